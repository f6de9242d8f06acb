//! Holds the contracts of the examples' services against a lock file, and says what a change of them breaks.

#[cfg(test)]
mod tests;

use crate::{Outcome, process, test};
use mynah_contract::{Comparison, Manifest, Verdict};

const LOCK: &str = "contracts.lock.json";
/// Prints the manifest.
const EXAMPLE: &str = "contracts";

/// What is asked of the chore.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ask {
    /// Write the lock file, if clients that are deployed go on working.
    Write,
    /// Write it whatever it breaks.
    WriteBreaking,
    /// Say whether it is up to date.
    Check,
}

/// The chore.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let ask = ask(arguments)?;
    let now = current()?;
    let path = process::root().join(LOCK);
    let locked = std::fs::read_to_string(&path).ok();
    let told = decide(ask, locked.as_deref(), &now)?;
    if ask != Ask::Check {
        std::fs::write(&path, now)?;
    }
    println!("    {told}");
    Ok(())
}

/// The gate.
///
/// # Errors
/// The lock file is not what the contracts are.
pub(crate) fn check() -> Outcome {
    run(&["--check".to_owned()])
}

fn ask(arguments: &[String]) -> Outcome<Ask> {
    match arguments {
        [] => Ok(Ask::Write),
        [one] if one == "--check" => Ok(Ask::Check),
        [one] if one == "--breaking" => Ok(Ask::WriteBreaking),
        _ => Err("manifest takes --check, --breaking, or nothing".into()),
    }
}

/// The manifest as it is now.
fn current() -> Outcome<String> {
    let mut command = process::cargo([
        "run",
        "--quiet",
        "--package",
        "mynah",
        "--features",
        test::OPTIONS,
    ]);
    process::read(command.args(["--example", EXAMPLE]))
}

/// What is to be said of a manifest beside the one that is locked.
///
/// # Errors
/// They differ, and that is not what was asked for; or one of them is no manifest.
fn decide(ask: Ask, locked: Option<&str>, now: &str) -> Outcome<String> {
    let new: Manifest = now.parse()?;
    let services = crate::layers::count(new.contracts().len(), "service");
    if locked == Some(now) {
        return Ok(format!("{LOCK} says what the contracts are ({services})"));
    }
    let old = match locked {
        Some(locked) => locked.parse().map_err(|error| format!("{LOCK}: {error}"))?,
        None => Manifest::default(),
    };
    let comparison = Comparison::of(&old, &new);
    let told = if comparison.is_empty() {
        "only what is for people has changed".to_owned()
    } else {
        comparison.to_string()
    };
    match ask {
        Ask::Check => Err(format!(
            "the contracts are not those of {LOCK}:\n{told}\nrun `cargo xtask manifest` and commit the file, if that is what you want"
        )
        .into()),
        Ask::Write if locked.is_some() && comparison.verdict() == Verdict::Breaking => Err(format!(
            "clients that are deployed would fail:\n{told}\nrun `cargo xtask manifest --breaking`, if that is what you want"
        )
        .into()),
        Ask::Write | Ask::WriteBreaking => Ok(format!("{LOCK} is written ({services}): {told}")),
    }
}
