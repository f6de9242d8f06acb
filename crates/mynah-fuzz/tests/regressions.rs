//! Every input that once broke a target, and a few that show its ways, through that target.

use mynah_fuzz::TARGETS;
use std::path::Path;

#[test]
fn every_target_holds_on_its_regressions() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
    for (name, target) in TARGETS {
        let mut files = 0;
        for entry in std::fs::read_dir(folder.join(name)).unwrap() {
            let path = entry.unwrap().path();
            println!("{}", path.display());
            target(&std::fs::read(path).unwrap());
            files += 1;
        }
        assert!(files > 0, "{name} has no file in regressions/{name}");
    }
}

#[test]
fn every_folder_belongs_to_a_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            TARGETS.iter().any(|(target, _)| *target == name),
            "no target {name}"
        );
    }
}

#[test]
fn the_manifest_has_every_target() {
    let manifest = include_str!("../Cargo.toml");
    for (name, _) in TARGETS {
        assert!(
            manifest.contains(&format!("name = \"{name}\"")),
            "no [[bin]] {name}"
        );
    }
}
