//! Measures every contender of `xtask/bench/contenders.toml` beside the others.
//!
//! Client and server of each are processes of their own. In a round every contender is measured
//! once, one after the other; ratios to the floor are taken inside a round, then the median over
//! the rounds. Times and counts are never taken in the same run, so that counting disturbs no time.

mod costs;
mod pair;
mod proxy;
mod table;
#[cfg(test)]
mod tests;

use crate::{Outcome, process};
use costs::Costs;
use pair::{Amount, Load, Pair, Setup};
use std::path::{Path, PathBuf};
use std::process::Command;

/// One program and how to start it.
#[derive(Clone, Debug)]
pub(crate) struct Contender {
    name: String,
    program: PathBuf,
    variant: String,
    /// No server, no wire.
    in_process: bool,
    /// The others of its kind are held against it.
    floor: bool,
    /// What the workload allocates by itself, per call.
    user_allocations: f64,
}

/// Where client and server run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Both on one core, current-thread runtimes: CPU time and nothing else.
    Same,
    /// A core each, current-thread runtimes: wake-ups across cores.
    Split,
    /// Not pinned, multi-thread runtimes with two workers each.
    Multi,
}

impl Mode {
    const ALL: [Self; 3] = [Self::Same, Self::Split, Self::Multi];

    const fn name(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Split => "split",
            Self::Multi => "mt",
        }
    }

    /// Connections and calls in flight on each.
    const fn loads(self) -> &'static [Load] {
        const SAME: [Load; 4] = [
            Load::new(1, 1),
            Load::new(1, 64),
            Load::new(1, 1024),
            Load::new(8, 64),
        ];
        const SPLIT: [Load; 2] = [Load::new(1, 1), Load::new(1, 64)];
        const MULTI: [Load; 1] = [Load::new(8, 64)];
        match self {
            Self::Same => &SAME,
            Self::Split => &SPLIT,
            Self::Multi => &MULTI,
        }
    }
}

/// One measurement.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    contender: String,
    mode: Mode,
    load: Load,
    round: usize,
    calls: f64,
    elapsed_ns: f64,
    /// Client and server together.
    cpu_ns: f64,
    p50_ns: Option<f64>,
    p99_ns: Option<f64>,
}

#[derive(Debug)]
struct Options {
    rounds: usize,
    warm_up: Amount,
    measure: Amount,
    only: Vec<String>,
    modes: Vec<Mode>,
    instructions: bool,
}

impl Options {
    fn parse(args: &[String]) -> Outcome<Self> {
        let mut options = Self {
            rounds: 3,
            warm_up: Amount::Seconds(0.3),
            measure: Amount::Seconds(1.5),
            only: Vec::new(),
            modes: Mode::ALL.to_vec(),
            instructions: false,
        };
        let mut args = args.iter();
        while let Some(name) = args.next() {
            let mut list = || -> Outcome<Vec<String>> {
                let value = args.next().ok_or_else(|| format!("{name} needs a value"))?;
                Ok(value.split(',').map(str::to_owned).collect())
            };
            match name.as_str() {
                "--quick" => {
                    options.rounds = 1;
                    options.warm_up = Amount::Seconds(0.1);
                    options.measure = Amount::Seconds(0.3);
                }
                "--rounds" => {
                    let rounds = list()?.concat().parse().ok().filter(|rounds| *rounds > 0);
                    options.rounds = rounds.ok_or("--rounds takes a number from 1")?;
                }
                "--only" => options.only = list()?,
                "--pin" => {
                    let mode = |name: String| {
                        let found = Mode::ALL.into_iter().find(|mode| mode.name() == name);
                        found.ok_or_else(|| format!("--pin takes same, split and mt, not {name}"))
                    };
                    options.modes = list()?.into_iter().map(mode).collect::<Result<_, _>>()?;
                }
                "--instructions" => options.instructions = true,
                other => return Err(format!("unknown option {other}").into()),
            }
        }
        Ok(options)
    }
}

/// The chore.
pub(crate) fn run(args: &[String]) -> Outcome {
    let options = Options::parse(args)?;
    let folder = build()?;
    let text = std::fs::read_to_string(process::root().join("xtask/bench/contenders.toml"))?;
    let contenders = chosen(contenders(&text, &folder)?, &options.only)?;

    let mut samples = Vec::new();
    for round in 0..options.rounds {
        for mode in &options.modes {
            for load in mode.loads() {
                for contender in &contenders {
                    if contender.in_process && *mode != Mode::Same {
                        continue;
                    }
                    let sample = measure(contender, *mode, *load, round, &options)
                        .map_err(|error| format!("{}: {error}", contender.name))?;
                    eprintln!("{}", table::progress(&sample));
                    samples.push(sample);
                }
            }
        }
    }
    let mut costs = Vec::new();
    for contender in &contenders {
        eprintln!("counting: {}", contender.name);
        let counted = Costs::count(contender, options.instructions)
            .map_err(|error| format!("{}: {error}", contender.name))?;
        costs.push(counted);
    }

    let json = process::target_dir().join("bench/latest.json");
    if let Some(parent) = json.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(&json, table::json(&contenders, &samples, &costs)?)?;
    print!(
        "{}",
        table::markdown(&contenders, &samples, &costs, options.rounds)
    );
    eprintln!("\nall figures: {}", json.display());
    Ok(())
}

/// Sees that the contenders compile, so that a change of our API does not break them unseen.
///
/// # Errors
/// They do not.
pub(crate) fn check() -> Outcome {
    process::run(&mut cargo("check", &target_dir()))
}

/// Builds the contenders, and returns the folder that they are in.
fn build() -> Outcome<PathBuf> {
    let target = target_dir();
    process::run_quietly(cargo("build", &target).arg("--release"))?;
    Ok(target.join("release"))
}

/// The target folder of the contenders.
fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || process::root().join("xtask/bench/target"),
        |folder| PathBuf::from(folder).join("bench"),
    )
}

/// Cargo in the contenders' workspace.
fn cargo(command: &str, target: &Path) -> Command {
    let mut command = process::cargo([command, "--manifest-path"]);
    command.arg(process::root().join("xtask/bench/Cargo.toml"));
    command.arg("--target-dir").arg(target);
    command
}

/// Reads the list of contenders.
fn contenders(text: &str, folder: &Path) -> Outcome<Vec<Contender>> {
    let document: toml::Table = text.parse()?;
    let entries = document.get("contender").and_then(toml::Value::as_array);
    let entries = entries.ok_or("contenders.toml has no [[contender]]")?;
    let contender = |entry: &toml::Value| {
        let text = |key: &str| entry.get(key).and_then(toml::Value::as_str);
        let flag = |key: &str| {
            entry
                .get(key)
                .and_then(toml::Value::as_bool)
                .unwrap_or(false)
        };
        let count = entry
            .get("user_allocations")
            .and_then(toml::Value::as_integer);
        Some(Contender {
            name: text("name")?.to_owned(),
            program: folder.join(text("program")?),
            variant: text("variant").unwrap_or_default().to_owned(),
            in_process: flag("in_process"),
            floor: flag("floor"),
            user_allocations: f64::from(u32::try_from(count?).ok()?),
        })
    };
    let all: Option<Vec<_>> = entries.iter().map(contender).collect();
    all.ok_or_else(|| "contenders.toml: each needs name, program and user_allocations".into())
}

/// The contenders of these names (all, if there are none), and the floors that they need.
fn chosen(all: Vec<Contender>, only: &[String]) -> Outcome<Vec<Contender>> {
    if only.is_empty() {
        return Ok(all);
    }
    for name in only {
        if !all.iter().any(|contender| contender.name == *name) {
            let names: Vec<_> = all
                .iter()
                .map(|contender| contender.name.as_str())
                .collect();
            return Err(format!("no contender {name}; there are: {}", names.join(", ")).into());
        }
    }
    let named = |contender: &Contender| only.contains(&contender.name);
    let kinds: Vec<bool> = all
        .iter()
        .filter(|contender| named(contender))
        .map(|contender| contender.in_process)
        .collect();
    let wanted = |contender: &Contender| {
        named(contender) || (contender.floor && kinds.contains(&contender.in_process))
    };
    Ok(all.into_iter().filter(wanted).collect())
}

/// One contender once.
fn measure(
    contender: &Contender,
    mode: Mode,
    load: Load,
    round: usize,
    options: &Options,
) -> Outcome<Sample> {
    // Two looks at a clock are most of a call in process, so its latency is the mean.
    let setup = Setup {
        mode,
        latencies: load == Load::new(1, 1) && !contender.in_process,
        ..Setup::new(load, options.warm_up, options.measure)
    };
    let report = Pair::start(contender, &setup)?.run()?;
    let time = |key: &str| report.client.get(key).and_then(serde_json::Value::as_f64);
    Ok(Sample {
        contender: contender.name.clone(),
        mode,
        load,
        round,
        calls: report.number("calls")?,
        elapsed_ns: report.number("elapsed_ns")?,
        cpu_ns: report.number("cpu_ns")? + report.server_delta("cpu_ns"),
        p50_ns: time("p50_ns"),
        p99_ns: time("p99_ns"),
    })
}
