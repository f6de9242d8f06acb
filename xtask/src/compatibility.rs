//! The table of what was shown to work, made from test results: transport by dialect by feature.
//!
//! The suites of `mynah-testkit` append a line for each case that passes to the file that `MYNAH_CONFORMANCE_REPORT`
//! names. Nothing in `docs/compatibility.md` is written by hand.

mod report;
mod table;

use crate::{Outcome, process};
use report::Report;
use std::path::PathBuf;
use std::process::Command;

/// The variable that names the file for the suites' results.
const REPORT: &str = "MYNAH_CONFORMANCE_REPORT";
/// The crate of the suites: who depends on it for tests runs them.
const TESTKIT: &str = "mynah-testkit";
const TABLE: &str = "docs/compatibility.md";

/// The chore: runs the suites and writes the table, or writes what was shown last.
pub(crate) fn run(args: &[String]) -> Outcome {
    match args {
        [] => {}
        [last] if last == "--last" => return write(),
        _ => return Err("compatibility takes --last, or nothing".into()),
    }
    let packages = packages()?;
    begin()?;
    let mut command = process::cargo(["test", "--no-fail-fast", "--test", "it"]);
    for package in &packages {
        command.args(["--package", package]);
    }
    record(&mut command);
    process::run(&mut command)?;
    write()
}

fn write() -> Outcome {
    let text = table::write(&read()?)?;
    std::fs::write(process::root().join(TABLE), text)?;
    println!("    {TABLE} says what the suites have shown");
    Ok(())
}

/// Forgets what earlier runs have shown.
pub(crate) fn begin() -> Outcome {
    let path = path();
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&path, "")?;
    Ok(())
}

/// Has the tests of a command write down what they show.
pub(crate) fn record(command: &mut Command) {
    command.env(REPORT, path());
}

/// Holds the committed table against what the tests have shown since [`begin`].
///
/// # Errors
/// They differ: a case that the table claims did not pass, or one has passed that it does not claim.
pub(crate) fn check() -> Outcome {
    let shown = table::write(&read()?)?;
    let committed = std::fs::read_to_string(process::root().join(TABLE)).unwrap_or_default();
    let Some(difference) = first_difference(&committed, &shown) else {
        println!("    {TABLE} says what the tests have shown");
        return Ok(());
    };
    Err(format!(
        "{TABLE} is not what the tests have shown; `cargo xtask compatibility` writes it\n{difference}"
    )
    .into())
}

/// The first line that differs, as it is in each.
fn first_difference(committed: &str, shown: &str) -> Option<String> {
    let (mut committed, mut shown) = (committed.lines(), shown.lines());
    loop {
        match (committed.next(), shown.next()) {
            (None, None) => return None,
            (claimed, seen) if claimed == seen => {}
            (claimed, seen) => {
                let line = |line: Option<&str>| line.unwrap_or("(nothing)").to_owned();
                return Some(format!("- {}\n+ {}", line(claimed), line(seen)));
            }
        }
    }
}

fn path() -> PathBuf {
    process::target_dir().join("conformance/report.tsv")
}

fn read() -> Outcome<Report> {
    let path = path();
    let text = std::fs::read_to_string(&path)
        .map_err(|error| format!("no results in {}: {error}", path.display()))?;
    Report::parse(&text)
}

/// The crates that run the suites: the testkit itself, and every transport that depends on it for its tests.
fn packages() -> Outcome<Vec<String>> {
    let mut command =
        process::cargo(["metadata", "--format-version", "1", "--no-deps", "--locked"]);
    let metadata: serde_json::Value = serde_json::from_str(&process::read(&mut command)?)?;
    let packages = metadata.get("packages").and_then(|list| list.as_array());
    let packages = packages.ok_or("cargo metadata lists no packages")?;
    let name_of = |item: &serde_json::Value| item.get("name")?.as_str().map(str::to_owned);
    let mut names = Vec::new();
    for package in packages {
        let name = name_of(package).unwrap_or_default();
        let dependencies = package.get("dependencies").and_then(|list| list.as_array());
        let depends = dependencies
            .into_iter()
            .flatten()
            .any(|dependency| name_of(dependency).is_some_and(|name| name == TESTKIT));
        let is_transport = name.starts_with("mynah-transport-");
        if name == TESTKIT || depends && is_transport {
            names.push(name);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests;
