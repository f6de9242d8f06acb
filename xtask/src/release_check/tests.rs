//! Each test copies what the check reads of this very workspace, breaks one thing and sees the
//! check name it.

use super::{CONSTANT, check};
use crate::process;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A copy of the workspace's manifests, libraries and changelog; removed on drop.
struct Copy {
    root: PathBuf,
}

impl Copy {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("xtask-release-check-{}-{number}", std::process::id());
        let copy = Self {
            root: std::env::temp_dir().join(name),
        };
        copy.take("Cargo.toml");
        copy.take("CHANGELOG.md");
        for folder in ["interop-tests", "xtask", "xtask/bench"] {
            copy.take(&format!("{folder}/Cargo.toml"));
        }
        for entry in std::fs::read_dir(process::root().join("crates")).unwrap() {
            let folder = entry.unwrap().file_name().into_string().unwrap();
            copy.take(&format!("crates/{folder}/Cargo.toml"));
            copy.take(&format!("crates/{folder}/src/lib.rs"));
        }
        copy
    }

    fn take(&self, file: &str) {
        let to = self.root.join(file);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(process::root().join(file), to).unwrap();
    }

    /// Replaces `old`, which must be there, by `new` everywhere in a file.
    #[track_caller]
    fn replace(&self, file: &str, old: &str, new: &str) {
        let path = self.root.join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(old), "{file} has no {old:?}");
        std::fs::write(path, text.replace(old, new)).unwrap();
    }

    fn append(&self, file: &str, text: &str) {
        let path = self.root.join(file);
        let before = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, before + text).unwrap();
    }

    fn problems(&self) -> Vec<String> {
        check(&self.root).unwrap().problems
    }

    /// What disagrees here and not in the workspace as it is, so that a disagreement there fails
    /// the one test about it and not all of them.
    fn new_problems(&self) -> Vec<String> {
        let known = check(&process::root()).unwrap().problems;
        self.problems()
            .into_iter()
            .filter(|problem| !known.contains(problem))
            .collect()
    }

    #[track_caller]
    fn expect(&self, expected: &str) {
        assert_eq!(self.new_problems(), [expected]);
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // A folder left behind in the temporary folder harms nobody.
        drop(std::fs::remove_dir_all(&self.root));
    }
}

/// The version of the workspace, which the tests read so that a release does not edit them.
fn version() -> String {
    check(&process::root()).unwrap().version
}

#[test]
fn the_workspace_agrees() {
    assert_eq!(Copy::new().problems(), Vec::<String>::new());
}

#[test]
fn a_pin_without_equals_is_seen() {
    let (copy, v) = (Copy::new(), version());
    copy.replace(
        "Cargo.toml",
        &format!("mynah-codec = {{ version = \"={v}\""),
        &format!("mynah-codec = {{ version = \"{v}\""),
    );
    copy.expect(&format!(
        "Cargo.toml: mynah-codec is pinned to {v}, not ={v}"
    ));
}

#[test]
fn a_pin_to_another_version_is_seen() {
    let (copy, v) = (Copy::new(), version());
    copy.replace(
        "Cargo.toml",
        &format!("mynah-peer = {{ version = \"={v}\""),
        "mynah-peer = { version = \"=9.9.9\"",
    );
    copy.expect(&format!(
        "Cargo.toml: mynah-peer is pinned to =9.9.9, not ={v}"
    ));
}

#[test]
fn a_pin_with_a_wrong_path_is_seen() {
    let copy = Copy::new();
    copy.replace(
        "Cargo.toml",
        "path = \"crates/mynah-peer\"",
        "path = \"crates/mynah-codec\"",
    );
    copy.expect("Cargo.toml: the path of mynah-peer is not crates/mynah-peer");
}

#[test]
fn a_missing_pin_is_seen() {
    let (copy, v) = (Copy::new(), version());
    copy.replace(
        "Cargo.toml",
        &format!("mynah-codec = {{ version = \"={v}\", path = \"crates/mynah-codec\" }}\n"),
        "",
    );
    copy.expect("Cargo.toml: [workspace.dependencies] has no mynah-codec");
}

#[test]
fn a_crate_that_pins_by_itself_is_seen() {
    let (copy, v) = (Copy::new(), version());
    let file = "crates/mynah-connection/Cargo.toml";
    copy.append(
        file,
        &format!("\n[build-dependencies]\nmynah-protocol = \"={v}\"\n"),
    );
    copy.expect(&format!(
        "{file}: build-dependencies pins mynah-protocol by itself; write `mynah-protocol.workspace = true`"
    ));
}

#[test]
fn a_pin_under_another_name_and_for_one_target_is_seen() {
    let copy = Copy::new();
    let file = "crates/mynah-connection/Cargo.toml";
    copy.append(
        file,
        "\n[target.'cfg(unix)'.dependencies]\nsaid = { package = \"mynah-protocol\", path = \"../mynah-protocol\" }\n",
    );
    copy.expect(&format!(
        "{file}: dependencies pins mynah-protocol by itself; write `mynah-protocol.workspace = true`"
    ));
}

#[test]
fn a_version_of_its_own_is_seen() {
    let (copy, v) = (Copy::new(), version());
    let file = "crates/mynah-codec/Cargo.toml";
    copy.replace(file, "version.workspace = true", "version = \"9.9.9\"");
    copy.expect(&format!("{file}: version 9.9.9 is not {v}"));
}

#[test]
fn the_same_version_written_out_passes() {
    let (copy, v) = (Copy::new(), version());
    let stated = format!("version = \"{v}\"");
    copy.replace(
        "crates/mynah-codec/Cargo.toml",
        "version.workspace = true",
        &stated,
    );
    assert_eq!(copy.new_problems(), Vec::<String>::new());
}

#[test]
fn a_new_version_of_the_workspace_must_reach_pins_and_changelog() {
    let (copy, v) = (Copy::new(), version());
    copy.replace(
        "Cargo.toml",
        &format!("[workspace.package]\nversion = \"{v}\""),
        "[workspace.package]\nversion = \"9.9.9\"",
    );
    let problems = copy.problems();
    let pin = format!("Cargo.toml: mynah is pinned to ={v}, not =9.9.9");
    let heading = format!("CHANGELOG.md: the newest heading is {v}, not 9.9.9");
    assert!(problems.contains(&pin), "{problems:?}");
    assert!(problems.contains(&heading), "{problems:?}");
}

#[test]
fn a_version_that_is_no_release_is_seen() {
    let (copy, v) = (Copy::new(), version());
    for file in ["Cargo.toml", "CHANGELOG.md"] {
        copy.replace(file, &v, &format!("{v}-dev"));
    }
    copy.expect(&format!(
        "Cargo.toml: version {v}-dev is not of the form x.y.z"
    ));
}

#[test]
fn a_missing_constant_is_seen() {
    let copy = Copy::new();
    let file = "crates/mynah-codec/src/lib.rs";
    copy.replace(file, CONSTANT, "pub const VERSION: &str = \"0.1.0\";");
    copy.expect(&format!("{file}: no line `{CONSTANT}`"));
}

#[test]
fn a_changelog_that_lags_is_seen() {
    let (copy, v) = (Copy::new(), version());
    copy.replace("CHANGELOG.md", &format!("## [{v}]"), "## [0.0.9]");
    copy.expect(&format!(
        "CHANGELOG.md: the newest heading is 0.0.9, not {v}"
    ));
}

#[test]
fn a_missing_changelog_is_seen() {
    let copy = Copy::new();
    std::fs::remove_file(copy.root.join("CHANGELOG.md")).unwrap();
    let problems = copy.new_problems();
    assert!(
        matches!(&problems[..], [one] if one.starts_with("CHANGELOG.md: ")),
        "{problems:?}"
    );
}

#[test]
fn a_root_that_is_no_workspace_is_an_error() {
    let copy = Copy::new();
    std::fs::write(copy.root.join("Cargo.toml"), "[package]\nname = \"x\"\n").unwrap();
    let error = check(Path::new(&copy.root)).unwrap_err().to_string();
    assert_eq!(error, "Cargo.toml has no [workspace]");
}
