//! Every input that once broke a target, a few that show its ways, and its corpus, through that target.

mod inputs;

use mynah_fuzz::TARGETS;
use std::path::Path;

#[test]
fn every_target_holds_on_its_inputs() {
    for target in TARGETS {
        let inputs = inputs::of(target.name);
        println!("{}: {} inputs", target.name, inputs.len());
        for (name, input) in inputs {
            println!("{} {name}", target.name);
            (target.run)(&input);
        }
    }
}

#[test]
fn everything_belongs_to_a_target() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in ["regressions", "corpus"] {
        for entry in std::fs::read_dir(here.join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let name = name.strip_suffix(".hex").unwrap_or(&name);
            assert!(
                TARGETS.iter().any(|target| target.name == name),
                "no target {name}"
            );
        }
    }
}

#[test]
fn the_manifest_has_every_target() {
    let manifest = include_str!("../Cargo.toml");
    for target in TARGETS {
        assert!(
            manifest.contains(&format!("name = \"{}\"", target.name)),
            "no [[bin]] {}",
            target.name
        );
    }
}
