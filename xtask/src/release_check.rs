//! Holds versions, pins, `VERSION` constants and the changelog against each other.
//!
//! All published crates share one version and pin each other with `=`, so that a program never
//! mixes two of them.

#[cfg(test)]
mod tests;

use crate::layers::count;
use crate::{Outcome, process};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The line that every published library has.
const CONSTANT: &str = "pub const VERSION: &str = env!(\"CARGO_PKG_VERSION\");";

/// The chore.
pub(crate) fn run() -> Outcome {
    let report = check(&process::root())?;
    if report.problems.is_empty() {
        println!(
            "release-check: {} crates agree on {}",
            report.published, report.version
        );
        return Ok(());
    }
    Err(format!(
        "release-check: {}, the version is {}:\n  {}",
        count(report.problems.len(), "disagreement"),
        report.version,
        report.problems.join("\n  ")
    )
    .into())
}

/// What was found under a root.
#[derive(Debug)]
struct Report {
    /// `[workspace.package] version`.
    version: String,
    /// How many crates are published.
    published: usize,
    /// One line for each thing that disagrees, the file in front.
    problems: Vec<String>,
}

/// One manifest below the root.
struct Member {
    /// Its folder, from the root.
    folder: PathBuf,
    /// `package.name`.
    name: String,
    manifest: toml::Table,
    /// Outside the workspace: it inherits nothing and names our crates by path alone.
    excluded: bool,
}

impl Member {
    /// Where it stands, for a message.
    fn file(&self) -> String {
        self.folder.join("Cargo.toml").display().to_string()
    }

    fn package(&self, key: &str) -> Option<&toml::Value> {
        self.manifest.get("package")?.get(key)
    }

    fn is_published(&self) -> bool {
        !self.excluded && self.package("publish").and_then(toml::Value::as_bool) != Some(false)
    }

    fn is_proc_macro(&self) -> bool {
        let flag = self
            .manifest
            .get("lib")
            .and_then(|lib| lib.get("proc-macro"));
        flag.and_then(toml::Value::as_bool) == Some(true)
    }
}

/// Reads everything below `root` and compares it.
///
/// # Errors
/// A file that must be there is missing or not TOML. A disagreement is no error but a problem of
/// the report.
fn check(root: &Path) -> Outcome<Report> {
    let workspace = read_toml(&root.join("Cargo.toml"))?;
    let workspace = workspace
        .get("workspace")
        .ok_or("Cargo.toml has no [workspace]")?;
    let version = workspace
        .get("package")
        .and_then(|package| package.get("version")?.as_str())
        .ok_or("Cargo.toml has no [workspace.package] version")?
        .to_owned();
    let members = members(root, workspace)?;
    let published: BTreeMap<&str, &Member> = members
        .iter()
        .filter(|member| member.is_published())
        .map(|member| (member.name.as_str(), member))
        .collect();

    let mut problems = Vec::new();
    if !is_release(&version) {
        problems.push(format!(
            "Cargo.toml: version {version} is not of the form x.y.z"
        ));
    }
    check_pins(workspace, &version, &published, &mut problems);
    for member in &members {
        check_version(member, &version, &mut problems);
        check_dependencies(member, &published, &mut problems);
    }
    for member in published.values() {
        check_constant(root, member, &mut problems);
    }
    check_changelog(root, &version, &mut problems);
    Ok(Report {
        version,
        published: published.len(),
        problems,
    })
}

/// Three numbers and nothing else.
fn is_release(version: &str) -> bool {
    let parts: Vec<_> = version.split('.').collect();
    parts.len() == 3 && parts.iter().all(|part| part.parse::<u32>().is_ok())
}

/// Every manifest of the workspace and those that it excludes, by folder.
fn members(root: &Path, workspace: &toml::Value) -> Outcome<Vec<Member>> {
    let patterns = |key: &str| -> Vec<String> {
        let list = workspace.get(key).and_then(toml::Value::as_array);
        let names = list.into_iter().flatten().filter_map(toml::Value::as_str);
        names.map(str::to_owned).collect()
    };
    let mut folders = BTreeMap::new();
    for pattern in patterns("members") {
        let Some(parent) = pattern.strip_suffix("/*") else {
            folders.insert(PathBuf::from(pattern), false);
            continue;
        };
        for entry in std::fs::read_dir(root.join(parent))? {
            let entry = entry?;
            if entry.path().join("Cargo.toml").is_file() {
                folders.insert(Path::new(parent).join(entry.file_name()), false);
            }
        }
    }
    for excluded in patterns("exclude") {
        if root.join(&excluded).join("Cargo.toml").is_file() {
            folders.insert(PathBuf::from(excluded), true);
        }
    }
    folders
        .into_iter()
        .map(|(folder, excluded)| {
            let manifest = read_toml(&root.join(&folder).join("Cargo.toml"))?;
            let name = manifest
                .get("package")
                .and_then(|package| package.get("name")?.as_str());
            let name = name.ok_or_else(|| format!("{}: no package.name", folder.display()))?;
            Ok(Member {
                name: name.to_owned(),
                folder,
                manifest,
                excluded,
            })
        })
        .collect()
}

fn read_toml(path: &Path) -> Outcome<toml::Table> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Ok(text
        .parse()
        .map_err(|error| format!("{}: {error}", path.display()))?)
}

/// `[workspace.dependencies]` holds every published crate, pinned and by path, and no other of ours.
fn check_pins(
    workspace: &toml::Value,
    version: &str,
    published: &BTreeMap<&str, &Member>,
    problems: &mut Vec<String>,
) {
    let pins = workspace
        .get("dependencies")
        .and_then(toml::Value::as_table);
    for (name, member) in published {
        let Some(pin) = pins.and_then(|pins| pins.get(*name)) else {
            problems.push(format!(
                "Cargo.toml: [workspace.dependencies] has no {name}"
            ));
            continue;
        };
        let wanted = format!("={version}");
        let found = pin
            .as_str()
            .or_else(|| pin.get("version")?.as_str())
            .unwrap_or("nothing");
        if found != wanted {
            problems.push(format!(
                "Cargo.toml: {name} is pinned to {found}, not {wanted}"
            ));
        }
        let path = pin.get("path").and_then(toml::Value::as_str).map(Path::new);
        if path != Some(&member.folder) {
            problems.push(format!(
                "Cargo.toml: the path of {name} is not {}",
                member.folder.display()
            ));
        }
    }
    for (name, pin) in pins.into_iter().flatten() {
        if pin.get("path").is_some() && !published.contains_key(name.as_str()) {
            problems.push(format!(
                "Cargo.toml: {name} has a path and is no published crate"
            ));
        }
    }
}

/// A published crate inherits the version or states the same.
fn check_version(member: &Member, version: &str, problems: &mut Vec<String>) {
    let stated = member.package("version");
    let inherits = stated
        .and_then(|stated| stated.get("workspace"))
        .and_then(toml::Value::as_bool)
        .unwrap_or(false);
    let stated = stated.and_then(toml::Value::as_str);
    let fits = if member.is_published() {
        inherits || stated == Some(version)
    } else {
        // What is never published has no version of its own.
        inherits || stated.is_none_or(|stated| stated == version || stated == "0.0.0")
    };
    if !fits {
        let stated = stated.unwrap_or("missing");
        problems.push(format!(
            "{}: version {stated} is not {version}",
            member.file()
        ));
    }
}

/// No crate pins one of ours by itself: members inherit the pin, the excluded name a path alone.
fn check_dependencies(
    member: &Member,
    published: &BTreeMap<&str, &Member>,
    problems: &mut Vec<String>,
) {
    let mut tables = vec![&member.manifest];
    let targets = member
        .manifest
        .get("target")
        .and_then(toml::Value::as_table);
    tables.extend(
        targets
            .into_iter()
            .flat_map(toml::Table::values)
            .filter_map(toml::Value::as_table),
    );
    for table in tables {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let dependencies = table.get(kind).and_then(toml::Value::as_table);
            for (key, dependency) in dependencies.into_iter().flatten() {
                let renamed = dependency.get("package").and_then(toml::Value::as_str);
                let name = renamed.unwrap_or(key);
                if !published.contains_key(name) {
                    continue;
                }
                let versioned = dependency.is_str() || dependency.get("version").is_some();
                let by_path = dependency.get("path").is_some();
                // A path without a version is what cargo wants for a test's dependency that
                // would otherwise be a circle when the crates are published.
                let path_alone = member.excluded || kind == "dev-dependencies";
                if versioned || (by_path && !path_alone) {
                    problems.push(format!(
                        "{}: {kind} pins {name} by itself; write `{name}.workspace = true`",
                        member.file()
                    ));
                }
            }
        }
    }
}

/// The library says its version; one of procedural macros can export nothing but macros.
fn check_constant(root: &Path, member: &Member, problems: &mut Vec<String>) {
    if member.is_proc_macro() {
        return;
    }
    let file = member.folder.join("src/lib.rs");
    let text = std::fs::read_to_string(root.join(&file)).unwrap_or_default();
    if !text.lines().any(|line| line == CONSTANT) {
        problems.push(format!("{}: no line `{CONSTANT}`", file.display()));
    }
}

/// The newest heading of the changelog is the version.
fn check_changelog(root: &Path, version: &str, problems: &mut Vec<String>) {
    let text = match std::fs::read_to_string(root.join("CHANGELOG.md")) {
        Ok(text) => text,
        Err(error) => {
            problems.push(format!("CHANGELOG.md: {error}"));
            return;
        }
    };
    let heading = text.lines().find_map(|line| line.strip_prefix("## ["));
    let newest = heading
        .and_then(|heading| heading.split(']').next())
        .unwrap_or("missing");
    if newest != version {
        problems.push(format!(
            "CHANGELOG.md: the newest heading is {newest}, not {version}"
        ));
    }
}
