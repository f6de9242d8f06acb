//! Measures every contender of `xtask/bench/contenders.toml` beside the others.
//!
//! Client and server of each are processes of their own. In a round every contender is measured
//! once, one after the other; ratios to the floor are taken inside a round, then the median over
//! the rounds. Times and counts are never taken in the same run, so that counting disturbs no time.

mod contenders;
mod costs;
mod figures;
mod fleet;
mod goals;
mod options;
mod pair;
mod proxy;
mod redis;
mod scenario;
mod sshd;
mod tables;
#[cfg(test)]
mod tests;

use crate::{Outcome, process};
use contenders::{Contender, contenders};
use costs::Costs;
use figures::{Figures, Sample};
use options::{Options, chosen};
use scenario::{Case, Mode, Scenario};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The chore.
pub(crate) fn run(args: &[String]) -> Outcome {
    if args == ["--fleet"] {
        return fleet::run();
    }
    let options = Options::parse(args)?;
    let text = std::fs::read_to_string(process::root().join("xtask/bench/contenders.toml"))?;
    let all = contenders(&text, &target_dir().join("release"))?;
    let (scenarios, contenders) = chosen(all, &options.only)?;
    build(&contenders)?;

    let cases: Vec<Case> = scenarios
        .iter()
        .flat_map(|scenario| scenario.cases())
        .filter(|case| options.modes.contains(&case.mode))
        .collect();
    let mut samples = Vec::new();
    for round in 0..options.rounds {
        for case in &cases {
            for contender in &contenders {
                let elsewhere = contender.in_process && case.mode != Mode::Same;
                let takes_part =
                    contender.takes_part(case.scenario) && contender.carries(case.load);
                if elsewhere || !takes_part {
                    continue;
                }
                let amounts = options.amounts(case.scenario);
                let sample = Sample::take(contender, *case, round, amounts)
                    .map_err(|error| format!("{}: {error}", contender.name))?;
                eprintln!("{}", tables::progress(&sample));
                samples.push(sample);
            }
        }
    }
    let mut costs = Vec::new();
    if scenarios.contains(&Scenario::Costs) {
        let counted = contenders
            .iter()
            .filter(|contender| contender.takes_part(Scenario::Costs));
        for contender in counted {
            eprintln!("counting: {}", contender.name);
            let counted = Costs::count(contender, options.instructions)
                .map_err(|error| format!("{}: {error}", contender.name))?;
            costs.push(counted);
        }
    }
    let figures = Figures {
        contenders: &contenders,
        samples: &samples,
        costs: &costs,
        rounds: options.rounds,
    };

    let json = process::target_dir().join("bench/latest.json");
    if let Some(parent) = json.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(&json, tables::json(&figures)?)?;
    print!("{}", tables::markdown(&figures));
    eprintln!("\nall figures: {}", json.display());
    Ok(())
}

/// Sees that the contenders compile, so that a change of our API does not break them unseen. Those
/// that need large crates are left out: none of them uses anything of ours but the harness.
///
/// # Errors
/// They do not.
pub(crate) fn check() -> Outcome {
    process::run(&mut cargo("check", &target_dir()))
}

/// Builds the programs of these contenders. The features are on whether they are needed or not, so that
/// everybody runs on the same build of what they share; but for SSH, which is compared with itself.
fn build(contenders: &[Contender]) -> Outcome {
    let mut command = cargo("build", &target_dir());
    let over_ssh = |contender: &&Contender| contender.transport == "ssh";
    let features = match contenders.iter().filter(over_ssh).count() {
        0 => "peers,redis",
        all if all == contenders.len() => "ssh",
        _ => "peers,redis,ssh",
    };
    command.args(["--release", "--features", features]);
    let programs: BTreeSet<_> = contenders
        .iter()
        .filter(|contender| contender.interpreter.is_none())
        .filter_map(|contender| contender.program.file_name())
        .collect();
    for program in programs {
        command.arg("--bin").arg(program);
    }
    process::run_quietly(&mut command)
}

/// The target folder of the contenders.
fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || process::root().join("xtask/bench/target"),
        |folder| PathBuf::from(folder).join("bench"),
    )
}

/// Cargo in the contenders' workspace.
fn cargo(command: &str, target: &Path) -> Command {
    let mut command = process::cargo([command, "--manifest-path"]);
    command.arg(process::root().join("xtask/bench/Cargo.toml"));
    command.arg("--target-dir").arg(target);
    command
}
