//! What a call costs in things that can be counted: allocations, bytes on the wire, system calls,
//! instructions. Each is counted in runs of their own.

use super::contenders::Contender;
use super::pair::{Amount, Load, Pair, Setup};
use super::proxy;
use crate::{Outcome, process};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Per call, client and server together; a sentence instead where it could not be counted.
#[derive(Debug)]
pub(crate) struct Costs {
    pub(crate) contender: String,
    pub(crate) allocations: f64,
    pub(crate) allocated_bytes: f64,
    /// From client to server, and back.
    pub(crate) wire_bytes: Option<[f64; 2]>,
    pub(crate) syscalls_at_1: Result<f64, String>,
    pub(crate) syscalls_at_64: Result<f64, String>,
    /// With `--instructions`, and of whoever is held to a number of them.
    pub(crate) instructions: Option<Result<f64, String>>,
}

const ONE: Load = Load::new(1, 1);
const MANY: Load = Load::new(1, 64);

impl Costs {
    /// Counts everything about one contender.
    ///
    /// # Errors
    /// A process fails. A tool that is missing is no error.
    pub(crate) fn count(contender: &Contender, instructions: bool) -> Outcome<Self> {
        let (allocations, allocated_bytes) = allocations(contender)?;
        // Where the proxy can stand in between; the bytes are the same elsewhere.
        let on_tcp = contender.kind() == "tcp";
        let strace = strace_is_there();
        let syscalls = |load, lengths| match &strace {
            Ok(()) => difference(contender, load, lengths, &strace_wrapper, &strace_total)
                .map_err(|error| error.to_string()),
            Err(why) => Err(why.clone()),
        };
        Ok(Self {
            contender: contender.name.clone(),
            allocations,
            allocated_bytes,
            wire_bytes: if on_tcp {
                Some(wire_bytes(contender)?)
            } else {
                None
            },
            syscalls_at_1: syscalls(ONE, [500, 4_500]),
            syscalls_at_64: syscalls(MANY, [5_000, 105_000]),
            instructions: (instructions || contender.plain_instructions.is_some()).then(|| {
                if !process::on_path("valgrind") {
                    return Err("needs valgrind (`apt-get install valgrind`)".to_owned());
                }
                difference(
                    contender,
                    MANY,
                    [1_000, 6_000],
                    &callgrind_wrapper,
                    &callgrind_total,
                )
                .map_err(|error| error.to_string())
            }),
        })
    }
}

/// Number and bytes per call, at 64 in flight and warm.
fn allocations(contender: &Contender) -> Outcome<(f64, f64)> {
    let setup = Setup {
        count_allocations: true,
        ..Setup::new(MANY, Amount::Calls(20_000), Amount::Calls(100_000))
    };
    let report = Pair::start(contender, &setup)?.run()?;
    let calls = report.number("calls")?;
    let per_call =
        |key| -> Outcome<f64> { Ok((report.number(key)? + report.server_delta(key)) / calls) };
    Ok((per_call("allocations")?, per_call("allocated_bytes")?))
}

/// Bytes of both ways per call, after a thousand calls, so that ids have their usual length.
fn wire_bytes(contender: &Contender) -> Outcome<[f64; 2]> {
    const CALLS: u32 = 1_000;
    let setup = Setup {
        between: Some(proxy::start),
        ..Setup::new(
            ONE,
            Amount::Calls(CALLS.into()),
            Amount::Calls(CALLS.into()),
        )
    };
    let pair = Pair::start(contender, &setup)?;
    let [out_before, back_before] = proxy::counted();
    pair.run()?;
    let [out, back] = proxy::counted();
    let per_call = |bytes: u64| bytes as f64 / f64::from(CALLS);
    Ok([per_call(out - out_before), per_call(back - back_before)])
}

/// Something that is counted over a whole process, per call: two runs of different length, and the
/// difference between them, so that start and end of the processes are left out.
fn difference(
    contender: &Contender,
    load: Load,
    lengths: [u32; 2],
    wrapper: &dyn Fn(&Path) -> Vec<OsString>,
    total: &dyn Fn(&str) -> Option<f64>,
) -> Outcome<f64> {
    let mut counted = [0.0; 2];
    for (counted, calls) in counted.iter_mut().zip(lengths) {
        *counted = whole_run(contender, load, calls, wrapper, total)?;
    }
    let [short, long] = counted;
    let [few, many] = lengths.map(f64::from);
    Ok((long - short) / (many - few))
}

fn whole_run(
    contender: &Contender,
    load: Load,
    calls: u32,
    wrapper: &dyn Fn(&Path) -> Vec<OsString>,
    total: &dyn Fn(&str) -> Option<f64>,
) -> Outcome<f64> {
    let file = |role: &str| -> PathBuf {
        std::env::temp_dir().join(format!("xtask-bench-{}-{role}", std::process::id()))
    };
    let files = if contender.in_process {
        vec![file("client")]
    } else {
        vec![file("client"), file("server")]
    };
    let setup = Setup {
        wrappers: [wrapper(&file("server")), wrapper(&file("client"))],
        ..Setup::new(load, Amount::Calls(0), Amount::Calls(calls.into()))
    };
    Pair::start(contender, &setup)?.run()?;
    let mut sum = 0.0;
    for file in files {
        let text = std::fs::read_to_string(&file)?;
        sum += total(&text).ok_or_else(|| format!("no total in {}", file.display()))?;
        std::fs::remove_file(file)?;
    }
    Ok(sum)
}

/// Sees that strace works here, and installs it where that may be done.
fn strace_is_there() -> Result<(), String> {
    if !process::on_path("strace")
        && (!process::can_apt_install() || process::apt_install(&["strace"]).is_err())
    {
        return Err("install strace".to_owned());
    }
    let mut command = std::process::Command::new("strace");
    command.args(["-f", "-c", "-o", "/dev/null", "true"]);
    process::read(&mut command)
        .map(drop)
        .map_err(|error| format!("strace does not work: {error}"))
}

fn strace_wrapper(file: &Path) -> Vec<OsString> {
    let mut words: Vec<OsString> = ["strace", "-f", "-c", "-o"].map(OsString::from).to_vec();
    words.push(file.into());
    words
}

/// The calls in the last line of strace's table: percent, seconds, microseconds, calls, ...
pub(crate) fn strace_total(text: &str) -> Option<f64> {
    let line = text.lines().rev().find(|line| line.ends_with(" total"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

fn callgrind_wrapper(file: &Path) -> Vec<OsString> {
    let mut out = OsString::from("--callgrind-out-file=");
    out.push(file);
    vec![
        "valgrind".into(),
        "--quiet".into(),
        "--tool=callgrind".into(),
        out,
    ]
}

/// The instructions that callgrind has counted.
pub(crate) fn callgrind_total(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("totals:"))?;
    line.split_whitespace().next()?.parse().ok()
}
