//! The chores of this workspace, run as `cargo xtask <command>`.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line program: its output is what it is for"
)]

mod api;
mod bench;
mod compatibility;
mod fuzz;
mod layers;
mod links;
mod manifest;
mod process;
mod python;
mod redis;
mod release_check;
mod soak;
mod ssh;
mod test;

use std::error::Error;
use std::process::ExitCode;

/// What a chore gives back; the error is a sentence for a person.
type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

const USAGE: &str = "\
cargo xtask <command>

  test                     everything: layers, release check, no_std probe, unit tests, doctests,
                           examples, fuzz regressions, interop with Python
  interop                  the last of these alone, and what it needs
  layers                   dependencies of every crate against xtask/layers.toml
  links                    links of the documents, and of the guide, against files and headings
  release-check            versions, pins, VERSION constants and changelog against each other
  compatibility [--last]   runs the conformance suites and writes docs/compatibility.md from their results; --last
                           writes what the last run of them, or of test, has shown
  manifest [--check | --breaking]
                           contracts of the examples' services against contracts.lock.json: says what a change
                           breaks and writes the file, with --breaking whatever it is; --check writes nothing
  api [CRATE..]            lists the public API of every crate, or of these, in docs/api
  fuzz [TARGET] [--seconds N] [--keep]
                           one fuzz target of crates/mynah-fuzz, or all of them (10 s each); --keep writes what
                           it found worth keeping into the corpus of the tree
  soak [chaos] [memory] [--operations N] [--seconds N] [--seed N]
                           the long tests of a fleet on Redis: 20,000 operations while its servers and Redis are
                           killed, and ten minutes of load with a look at the memory
  bench [--quick] [--rounds N] [--only NAME..] [--pin same,split,mt] [--instructions]
                           every contender of xtask/bench/contenders.toml, interleaved; a NAME is one of
                           theirs, or calls, stream, bulk, mixed, slow, idle, callback, fanout, costs";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let command = args.next();
    let rest: Vec<String> = args.collect();
    let outcome = match command.as_deref() {
        Some("test") => no_arguments(&rest).and_then(|()| test::run()),
        Some("interop") => no_arguments(&rest).and_then(|()| test::only_interop()),
        Some("layers") => no_arguments(&rest).and_then(|()| layers::run()),
        Some("links") => no_arguments(&rest).and_then(|()| links::run()),
        Some("release-check") => no_arguments(&rest).and_then(|()| release_check::run()),
        Some("api") => api::run(&rest),
        Some("manifest") => manifest::run(&rest),
        Some("compatibility") => compatibility::run(&rest),
        Some("fuzz") => fuzz::run(&rest),
        Some("soak") => soak::run(&rest),
        Some("bench") => bench::run(&rest),
        Some("help" | "--help" | "-h") => {
            println!("{USAGE}");
            Ok(())
        }
        Some(other) => Err(format!("unknown command {other}\n\n{USAGE}").into()),
        None => Err(USAGE.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nxtask: {error}");
            ExitCode::FAILURE
        }
    }
}

fn no_arguments(rest: &[String]) -> Outcome {
    match rest.first() {
        None => Ok(()),
        Some(argument) => Err(format!("unexpected argument {argument}\n\n{USAGE}").into()),
    }
}
