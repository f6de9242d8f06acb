//! The long tests of a fleet on Redis, which are too long for `cargo xtask test`.

use crate::{Outcome, process, redis};
use std::time::Duration;

const PACKAGE: &str = "interop-tests";
const PROGRAM: &str = "fleet_soak";
/// Operations of the chaos test.
const OPERATIONS: &str = "20000";
/// Seconds of the load.
const SECONDS: &str = "600";

/// The chore: `chaos`, `memory`, or both; `--operations N`, `--seconds N` and `--seed N` change what is usual.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let mut what = Vec::new();
    let (mut operations, mut seconds, mut seed) = (OPERATIONS, SECONDS, "1");
    let mut arguments = arguments.iter().map(String::as_str);
    while let Some(argument) = arguments.next() {
        let number = match argument {
            "chaos" | "memory" => {
                what.push(argument);
                continue;
            }
            "--operations" => &mut operations,
            "--seconds" => &mut seconds,
            "--seed" => &mut seed,
            other => return Err(format!("unexpected argument {other}").into()),
        };
        *number = arguments
            .next()
            .filter(|number| number.parse::<u64>().is_ok())
            .ok_or_else(|| format!("{argument} needs a number"))?;
    }
    if what.is_empty() {
        what = vec!["chaos", "memory"];
    }
    redis::require()?;
    process::run(&mut process::cargo([
        "build",
        "--release",
        "--package",
        PACKAGE,
        "--bins",
    ]))?;
    let program = process::target_dir().join("release").join(PROGRAM);
    for part in what {
        println!("\n==> {part}");
        let begun = std::time::Instant::now();
        let mut command = std::process::Command::new(&program);
        match part {
            "chaos" => command.args(["chaos", operations, seed]),
            _ => command.args(["memory", seconds]),
        };
        process::run(&mut command)?;
        println!("    {}", took(begun.elapsed()));
    }
    Ok(())
}

fn took(time: Duration) -> String {
    format!("passed in {:.1} s", time.as_secs_f64())
}
