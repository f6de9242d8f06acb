//! Holds the dependencies of every crate against `xtask/layers.toml`.
//!
//! Only what is linked into a user's program counts: normal and build dependencies. What tests use
//! is free.

#[cfg(test)]
mod tests;

use crate::{Outcome, process};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// What one crate may use.
#[derive(Debug, PartialEq)]
enum Rule {
    /// These crates of ours, and these of others.
    Only {
        internal: BTreeSet<String>,
        external: BTreeSet<String>,
    },
    /// Anything.
    Free,
}

type Table = BTreeMap<String, Rule>;

/// The chore.
pub(crate) fn run() -> Outcome {
    let table = parse(&std::fs::read_to_string(
        process::root().join("xtask/layers.toml"),
    )?)?;
    let metadata = process::read(&mut process::cargo([
        "metadata",
        "--no-deps",
        "--format-version",
        "1",
    ]))?;
    let metadata = serde_json::from_str(&metadata)?;
    let problems = check(&metadata, &table);
    if problems.is_empty() {
        println!(
            "layers: {} crates, every arrow is in the table",
            table.len()
        );
        return Ok(());
    }
    Err(format!(
        "layers: {} against xtask/layers.toml:\n  {}",
        count(problems.len(), "offence"),
        problems.join("\n  ")
    )
    .into())
}

/// "1 offence", "2 offences".
pub(crate) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// Reads the table.
fn parse(text: &str) -> Outcome<Table> {
    let document: toml::Table = text.parse()?;
    document
        .into_iter()
        .map(|(name, rule)| {
            let rule =
                parse_rule(&rule).map_err(|error| format!("layers.toml, {name}: {error}"))?;
            Ok((name, rule))
        })
        .collect()
}

fn parse_rule(rule: &toml::Value) -> Outcome<Rule> {
    let rule = rule.as_table().ok_or("expected a table")?;
    for key in rule.keys() {
        if !["internal", "external", "anything"].contains(&key.as_str()) {
            return Err(format!("unknown key {key}").into());
        }
    }
    if let Some(anything) = rule.get("anything") {
        let alone = rule.len() == 1 && anything.as_bool() == Some(true);
        return if alone {
            Ok(Rule::Free)
        } else {
            Err("`anything = true` stands alone".into())
        };
    }
    let names = |key: &str| -> Outcome<BTreeSet<String>> {
        let list = rule.get(key).and_then(toml::Value::as_array);
        let list = list.ok_or_else(|| format!("`{key}` is not a list"))?;
        let name = |name: &toml::Value| name.as_str().map(str::to_owned);
        list.iter()
            .map(name)
            .collect::<Option<_>>()
            .ok_or_else(|| format!("`{key}` holds more than names").into())
    };
    Ok(Rule::Only {
        internal: names("internal")?,
        external: names("external")?,
    })
}

/// Every offence as one line: crate, arrow, rule.
fn check(metadata: &Json, table: &Table) -> Vec<String> {
    let none = Vec::new();
    let packages = metadata["packages"].as_array().unwrap_or(&none);
    let ours: BTreeSet<&str> = packages
        .iter()
        .filter_map(|package| package["name"].as_str())
        .collect();
    let mut problems = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(rule) = table.get(name) else {
            problems.push(format!(
                "{name}: unknown crate; it has no entry in the table"
            ));
            continue;
        };
        let Rule::Only { internal, external } = rule else {
            continue;
        };
        for dependency in package["dependencies"].as_array().unwrap_or(&none) {
            if dependency["kind"].as_str() == Some("dev") {
                continue;
            }
            // A dependency in a folder is ours, whatever it is called.
            let target = dependency["name"].as_str().unwrap_or_default();
            let is_ours = ours.contains(target) || dependency["path"].is_string();
            let (allowed, kind) = if is_ours {
                (internal, "internal")
            } else {
                (external, "external")
            };
            if !allowed.contains(target) {
                problems.push(format!(
                    "{name}: arrow {name} -> {target} breaks the rule `{kind} = [{}]`",
                    allowed
                        .iter()
                        .map(String::as_str)
                        .collect::<Vec<_>>()
                        .join(", ")
                ));
            }
        }
    }
    for name in table.keys().filter(|name| !ours.contains(name.as_str())) {
        problems.push(format!(
            "{name}: the table has an entry for a crate that does not exist"
        ));
    }
    problems
}
