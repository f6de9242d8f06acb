//! Runs the fuzz targets of `crates/mynah-fuzz` with cargo-fuzz on nightly.

use crate::{Outcome, process};
use std::path::Path;
use std::process::Command;

const SECONDS: u64 = 10;
const FOLDER: &str = "crates/mynah-fuzz";
const INSTALL: &str = "cargo install cargo-fuzz --locked";

/// The chore.
pub(crate) fn run(args: &[String]) -> Outcome {
    let mut chosen = None;
    let mut seconds = SECONDS;
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--seconds" => {
                let value = args.next().and_then(|value| value.parse().ok());
                seconds = value.ok_or("--seconds takes a number of seconds")?;
            }
            name if !name.starts_with('-') && chosen.is_none() => chosen = Some(name),
            other => return Err(format!("unexpected argument {other}").into()),
        }
    }
    let targets = targets()?;
    let chosen = match chosen {
        None => targets,
        Some(name) if targets.iter().any(|target| target == name) => vec![name.to_owned()],
        Some(name) => {
            return Err(format!("no target {name}; there are: {}", targets.join(", ")).into());
        }
    };
    if process::read(&mut nightly(&["fuzz", "--version"])).is_err() {
        return Err(
            format!("cargo-fuzz or the nightly toolchain is missing; run `{INSTALL}`").into(),
        );
    }
    for target in chosen {
        let time = format!("-max_total_time={seconds}");
        // Inputs longer than this find nothing that shorter ones do not.
        let mut command = nightly(&["fuzz", "run", "--fuzz-dir", FOLDER, &target]);
        // The first folder takes what is found; the second gives a start.
        let corpus = Path::new(FOLDER).join("corpus").join(&target);
        std::fs::create_dir_all(process::root().join(&corpus))?;
        command
            .arg(corpus)
            .arg(Path::new(FOLDER).join("regressions").join(&target));
        process::run(command.args(["--", &time, "-max_len=4096"]))?;
    }
    Ok(())
}

/// The names in the manifest, so that a target is listed in one place.
fn targets() -> Outcome<Vec<String>> {
    let manifest = std::fs::read_to_string(process::root().join(FOLDER).join("Cargo.toml"))?;
    let manifest: toml::Table = manifest.parse()?;
    let bins = manifest.get("bin").and_then(toml::Value::as_array);
    let names = bins
        .into_iter()
        .flatten()
        .filter_map(|bin| bin.get("name")?.as_str());
    Ok(names.map(str::to_owned).collect())
}

fn nightly(args: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo"]).args(args);
    command.current_dir(process::root());
    command
}

/// Builds the targets' code on stable and sends the files of `regressions/` through it.
///
/// # Errors
/// It does not build, or a file breaks a property.
pub(crate) fn replay() -> Outcome {
    let mut command = process::cargo([
        "test",
        "--locked",
        "--no-default-features",
        "--manifest-path",
    ]);
    command.arg(process::root().join(FOLDER).join("Cargo.toml"));
    command
        .arg("--target-dir")
        .arg(process::target_dir().join("fuzz"));
    process::run(&mut command)
}
