//! Lists the public API of every published crate in `docs/api`, so that a change of surface is seen in a review.
//!
//! On demand: it builds the documentation of every crate once more, as JSON, which rustdoc writes for unstable use only
//! (`RUSTC_BOOTSTRAP=1`). The lister is a workspace of its own, `xtask/api`.

use crate::{Outcome, process};
use serde_json::Value as Json;
use std::path::Path;

const LISTER: &str = "xtask/api";
const FOLDER: &str = "docs/api";

/// The chore.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let published = published()?;
    let chosen: Vec<&String> = match arguments {
        [] => published.iter().collect(),
        some => some.iter().collect(),
    };
    if let Some(unknown) = chosen.iter().find(|name| !published.contains(name)) {
        return Err(format!("no crate {unknown} is published: {}", published.join(", ")).into());
    }
    let folder = process::root().join(FOLDER);
    std::fs::create_dir_all(&folder)?;
    for name in chosen {
        let text = listed(name)?;
        std::fs::write(folder.join(format!("{name}.txt")), text)?;
    }
    if arguments.is_empty() {
        remove_others(&folder, &published)?;
    }
    println!("    {FOLDER} says what the crates offer");
    Ok(())
}

/// The crates that are published, by name.
fn published() -> Outcome<Vec<String>> {
    let mut command = process::cargo(["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: Json = serde_json::from_str(&process::read(&mut command)?)?;
    let packages = metadata
        .get("packages")
        .and_then(Json::as_array)
        .cloned()
        .unwrap_or_default();
    let public = packages
        .iter()
        .filter(|package| package.get("publish").is_none_or(Json::is_null));
    let mut names: Vec<String> = public
        .filter_map(|package| Some(package.get("name")?.as_str()?.to_owned()))
        .collect();
    names.sort_unstable();
    Ok(names)
}

/// The listing of a crate with all of its features.
fn listed(name: &str) -> Outcome<String> {
    // Apart from other builds, which would be made anew for each other.
    let target = process::target_dir().join("api");
    let mut rustdoc =
        process::cargo(["rustdoc", "--quiet", "--lib", "--all-features", "--package"]);
    rustdoc
        .arg(name)
        .arg("--target-dir")
        .arg(&target)
        .args(["--", "-Z", "unstable-options", "--output-format", "json"])
        .env("RUSTC_BOOTSTRAP", "1");
    process::run(&mut rustdoc)?;
    let json = target
        .join("doc")
        .join(format!("{}.json", name.replace('-', "_")));
    let manifest = process::root().join(LISTER).join("Cargo.toml");
    let mut lister = process::cargo(["run", "--quiet", "--release", "--locked", "--manifest-path"]);
    lister
        .arg(manifest)
        .arg("--target-dir")
        .arg(target.join("lister"))
        .arg("--")
        .arg(json);
    process::read(&mut lister)
}

/// Removes the listings of crates that are gone.
fn remove_others(folder: &Path, published: &[String]) -> Outcome {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path
            .file_stem()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if path.extension().is_some_and(|extension| extension == "txt")
            && !published.iter().any(|known| known == name)
        {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}
