//! The inputs of a target that are kept.

use std::path::Path;

/// The files of `regressions/NAME`, and the lines of `corpus/NAME.hex`, each with a name.
pub(crate) fn of(target: &str) -> Vec<(String, Vec<u8>)> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut inputs = Vec::new();
    for entry in std::fs::read_dir(here.join("regressions").join(target)).unwrap() {
        let path = entry.unwrap().path();
        inputs.push((path.display().to_string(), std::fs::read(path).unwrap()));
    }
    assert!(!inputs.is_empty(), "{target} has no file in regressions/");
    // In no order otherwise, and runs with one seed are to be the same.
    inputs.sort();
    let corpus = here.join("corpus").join(format!("{target}.hex"));
    if let Ok(lines) = std::fs::read_to_string(&corpus) {
        for (number, line) in (1..).zip(lines.lines()) {
            let name = format!("{}:{number}", corpus.display());
            inputs.push((name, bytes(line)));
        }
    }
    inputs
}

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digit).collect()
}
