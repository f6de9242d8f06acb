//! Runs the fuzz targets of `crates/mynah-fuzz`: with cargo-fuzz, or for a short while without.

use crate::{Outcome, process};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SECONDS: u64 = 10;
const FOLDER: &str = "crates/mynah-fuzz";
const INSTALL: &str = "cargo install cargo-fuzz --locked";
/// Inputs longer than this find nothing that shorter ones do not.
const MAX_LEN: &str = "-max_len=4096";
/// What is kept of a corpus: so many inputs of so many bytes at most, small and large ones.
const KEPT: (usize, usize) = (300, 256);

/// The chore.
pub(crate) fn run(args: &[String]) -> Outcome {
    let mut chosen = None;
    let mut seconds = SECONDS;
    let mut keeps = false;
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--seconds" => {
                let value = args.next().and_then(|value| value.parse().ok());
                seconds = value.ok_or("--seconds takes a number of seconds")?;
            }
            "--keep" => keeps = true,
            name if !name.starts_with('-') && chosen.is_none() => chosen = Some(name),
            other => return Err(format!("unexpected argument {other}").into()),
        }
    }
    let targets = targets()?;
    let chosen = match chosen {
        None => targets,
        Some(name) if targets.iter().any(|target| target == name) => vec![name.to_owned()],
        Some(name) => {
            return Err(format!("no target {name}; there are: {}", targets.join(", ")).into());
        }
    };
    let toolchain = Toolchain::find();
    if process::read(&mut toolchain.cargo(&["fuzz", "--version"])).is_err() {
        return Err(format!("cargo-fuzz is missing; run `{INSTALL}`").into());
    }
    for target in chosen {
        let corpus = Corpus::unpack(&target)?;
        let time = format!("-max_total_time={seconds}");
        let mut command = toolchain.cargo(&["fuzz", "run", "--fuzz-dir", FOLDER, &target]);
        // The first folder takes what is found; the second gives a start.
        command
            .arg(&corpus.folder)
            .arg(Path::new(FOLDER).join("regressions").join(&target));
        process::run(command.args(["--", &time, MAX_LEN, "-print_final_stats=1"]))?;
        if keeps {
            corpus.pack(&toolchain, &target)?;
        }
    }
    Ok(())
}

/// What libFuzzer's instrumentation is built with: it is not stable.
enum Toolchain {
    Nightly,
    /// The stable compiler takes what is unstable when it is told to by `RUSTC_BOOTSTRAP`, as it is when it builds itself.
    Bootstrap,
}

impl Toolchain {
    fn find() -> Self {
        let nightly = process::read(&mut Self::Nightly.cargo(&["--version"]));
        if nightly.is_ok() {
            return Self::Nightly;
        }
        println!("no nightly toolchain: the stable one with RUSTC_BOOTSTRAP=1");
        Self::Bootstrap
    }

    fn cargo(&self, args: &[&str]) -> Command {
        let mut command = match self {
            Self::Nightly => {
                let mut command = Command::new("rustup");
                command.args(["run", "nightly", "cargo"]);
                command
            }
            Self::Bootstrap => {
                let mut command = process::cargo([]);
                command.env("RUSTC_BOOTSTRAP", "1");
                command
            }
        };
        command.args(args).current_dir(process::root());
        command
    }
}

/// The corpus of a target: one file in the tree with an input per line, and a folder of files while libFuzzer runs.
struct Corpus {
    file: PathBuf,
    folder: PathBuf,
}

impl Corpus {
    fn unpack(target: &str) -> Outcome<Self> {
        let corpus = process::root().join(FOLDER).join("corpus");
        let file = corpus.join(format!("{target}.hex"));
        let folder = corpus.join(target);
        fs::create_dir_all(&folder)?;
        let lines = fs::read_to_string(&file).unwrap_or_default();
        for (number, line) in (1..).zip(lines.lines()) {
            let input = bytes(line).ok_or_else(|| format!("{}:{number}", file.display()))?;
            fs::write(folder.join(format!("kept-{number}")), input)?;
        }
        Ok(Self { file, folder })
    }

    /// Keeps of the fewest inputs that reach all that the corpus reaches as many as the tree should hold.
    fn pack(&self, toolchain: &Toolchain, target: &str) -> Outcome {
        let least = self.folder.with_extension("least");
        fs::create_dir_all(&least)?;
        let mut command = toolchain.cargo(&["fuzz", "run", "--fuzz-dir", FOLDER, target]);
        command.arg(&least).arg(&self.folder);
        process::run(command.args(["--", "-set_cover_merge=1", MAX_LEN]))?;
        let mut inputs = Vec::new();
        for entry in fs::read_dir(&least)? {
            inputs.push(fs::read(entry?.path())?);
        }
        fs::remove_dir_all(&least)?;
        inputs.sort_by(|one, other| one.len().cmp(&other.len()).then_with(|| one.cmp(other)));
        let (most, bytes) = KEPT;
        inputs.retain(|input| input.len() <= bytes);
        let kept = inputs.iter().step_by(inputs.len().div_ceil(most).max(1));
        let lines: Vec<String> = kept.map(|input| hex(input)).collect();
        fs::write(&self.file, lines.join("\n") + "\n")?;
        Ok(())
    }
}

fn hex(input: &[u8]) -> String {
    use std::fmt::Write as _;
    input.iter().fold(String::new(), |mut text, byte| {
        // Writing into a text does not fail.
        let _written = write!(text, "{byte:02x}");
        text
    })
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits = (0..hex.len()).step_by(2);
    digits
        .map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok())
        .collect()
}

/// The names in the manifest, so that a target is listed in one place.
fn targets() -> Outcome<Vec<String>> {
    let manifest = fs::read_to_string(process::root().join(FOLDER).join("Cargo.toml"))?;
    let manifest: toml::Table = manifest.parse()?;
    let bins = manifest.get("bin").and_then(toml::Value::as_array);
    let names = bins
        .into_iter()
        .flatten()
        .filter_map(|bin| bin.get("name")?.as_str());
    Ok(names.map(str::to_owned).collect())
}

/// Builds the targets' code on stable, sends the files of `regressions/` and the corpus through it, and then a few
/// thousand variants of them, with a seed that is printed.
///
/// # Errors
/// It does not build, or an input breaks a property.
pub(crate) fn replay() -> Outcome {
    let mut command = process::cargo([
        "test",
        "--locked",
        "--no-default-features",
        "--manifest-path",
    ]);
    command.arg(process::root().join(FOLDER).join("Cargo.toml"));
    command
        .arg("--target-dir")
        .arg(process::target_dir().join("fuzz"))
        // The models that the targets use are built for tests and fuzzers only.
        .env("RUSTFLAGS", "--cfg fuzzing")
        .args(["--", "--nocapture"]);
    process::run(&mut command)
}
