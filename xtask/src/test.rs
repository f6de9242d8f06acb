//! Everything that has to pass, in an order in which the first failure is the most telling one.

use crate::{
    Outcome, bench, compatibility, fuzz, layers, links, manifest, process, python, redis,
    release_check, ssh,
};
use std::process::Command;
use std::time::{Duration, Instant};

/// The crates without I/O; what is wrong there makes the rest fail too.
const PURE: [&str; 4] = [
    "mynah-protocol",
    "mynah-codec",
    "mynah-connection",
    "mynah-contract",
];
const INTEROP: &str = "interop-tests";
const PROBE: &str = "xtask/no-std-probe";

/// What is optional in `mynah`, for every step that needs some of it: they share what is built.
pub(crate) const OPTIONS: &str = "metrics,tower,ssh,schema";

/// One thing that can fail.
struct Step {
    name: &'static str,
    run: fn() -> Outcome,
}

const STEPS: &[Step] = &[
    Step {
        name: "layers",
        run: layers::run,
    },
    Step {
        name: "links of the documents",
        run: links::run,
    },
    Step {
        name: "release check",
        run: release_check::run,
    },
    Step {
        name: "tests of the pure crates",
        run: pure,
    },
    Step {
        name: "mynah-protocol is no_std",
        run: no_std,
    },
    Step {
        name: "OpenSSH",
        run: ssh::set_up,
    },
    Step {
        name: "redis-server",
        run: redis::require,
    },
    Step {
        name: "tests of the other crates",
        run: others,
    },
    Step {
        name: "the compatibility table says what the tests have shown",
        run: compatibility::check,
    },
    Step {
        name: "contracts are those of the lock file",
        run: manifest::check,
    },
    Step {
        name: "tests with what is optional: metrics, tower, SSH, schemas",
        run: with_options,
    },
    Step {
        name: "the examples run",
        run: examples,
    },
    Step {
        name: "fuzz targets on their inputs, and a random run",
        run: fuzz::replay,
    },
    Step {
        name: "the benchmark's programs compile",
        run: bench::check,
    },
    Step {
        name: "Python environments and Node",
        run: python::set_up,
    },
    Step {
        name: "interop with Python",
        run: interop,
    },
];

/// The chore: every step in order, up to the first that fails.
pub(crate) fn run() -> Outcome {
    let mut done: Vec<(&str, Duration)> = Vec::new();
    let mut failure = None;
    for (number, step) in (1..).zip(STEPS) {
        println!("\n==> [{number}/{}] {}", STEPS.len(), step.name);
        let start = Instant::now();
        let outcome = (step.run)();
        done.push((step.name, start.elapsed()));
        if let Err(error) = outcome {
            eprintln!("{error}");
            failure = Some(step.name);
            break;
        }
    }
    summary(&done, failure);
    match failure {
        None => Ok(()),
        Some(name) => Err(format!("failed at: {name}").into()),
    }
}

fn summary(done: &[(&str, Duration)], failure: Option<&str>) {
    println!("\n==> cargo xtask test");
    for step in STEPS {
        match done.iter().find(|(name, _)| *name == step.name) {
            Some((name, time)) => {
                let verdict = if failure == Some(*name) {
                    "FAILED"
                } else {
                    "passed"
                };
                println!("    {verdict}  {:>7.1} s  {name}", time.as_secs_f64());
            }
            None => println!("    not run             {}", step.name),
        }
    }
    let total: Duration = done.iter().map(|(_, time)| *time).sum();
    let verdict = if failure.is_some() {
        "FAILED"
    } else {
        "all passed"
    };
    println!("    {verdict} in {:.1} s", total.as_secs_f64());
}

fn pure() -> Outcome {
    // Pipes over async bytes and schemas of types are no default, and have tests of their own.
    let features = "mynah-codec/io,mynah-contract/schema";
    let mut command = process::cargo(["test", "--no-fail-fast", "--features", features]);
    for name in PURE {
        command.args(["--package", name]);
    }
    process::run(&mut command)
}

/// Apart from the rest, which runs as most programs are built; all with one set of features, so that they are built once.
fn with_options() -> Outcome {
    let with = |what: &str| {
        let mut command = process::cargo([what, "--package", "mynah", "--features"]);
        command.arg(OPTIONS);
        command
    };
    let mut tests = with("test");
    tests.arg("--no-fail-fast");
    for name in ["metrics", "contract", "ssh", "ssh_server"] {
        tests.args(["--test", name]);
    }
    process::run(&mut tests)?;
    // The pages of the guide that need the feature.
    process::run(with("test").args(["--doc", "ssh"]))?;
    process::run(with("run").args(["--quiet", "--example", "contract"]))
}

fn others() -> Outcome {
    compatibility::begin()?;
    let mut command = process::cargo(["test", "--no-fail-fast", "--workspace"]);
    compatibility::record(&mut command);
    for name in PURE.iter().chain([&INTEROP]) {
        command.args(["--exclude", name]);
    }
    process::run(&mut command)
}

/// The last steps alone: the real peers, and what they need.
pub(crate) fn only_interop() -> Outcome {
    redis::require()?;
    python::set_up()?;
    interop()
}

fn interop() -> Outcome {
    process::run(&mut process::cargo([
        "test",
        "--no-fail-fast",
        "--package",
        INTEROP,
    ]))
}

/// The README's first command, and every other example that ends by itself: each ends well.
fn examples() -> Outcome {
    for name in [
        "tour",
        "progress",
        "stdio-worker",
        "custom_format",
        "by_name",
        "by_hand",
        "direct_dispatch",
        "validation",
        "blocking",
        "peers",
        "kollabor_direct",
        "kollabor_socket",
        "ring",
    ] {
        println!("--- {name}");
        process::run(&mut process::cargo(["run", "--quiet", "--example", name]))?;
    }
    println!("--- fleet");
    // As the tests have built it: for its package alone everything beneath would be built once more.
    let mut build = process::cargo(["build", "--quiet", "--workspace", "--example", "fleet"]);
    for name in PURE.iter().chain([&INTEROP]) {
        build.args(["--exclude", name]);
    }
    process::run(&mut build)?;
    let fleet = process::target_dir().join("debug/examples/fleet");
    process::run(&mut Command::new(fleet))
}

/// A crate without `std` that has a panic handler and an allocator of its own: linking `std` into
/// it, through whichever dependency, is an error of the compiler ("duplicate lang item").
///
/// The second build turns the feature `std` on and must fail, or the first says nothing.
fn no_std() -> Outcome {
    let probe = process::root().join(PROBE).join("Cargo.toml");
    let target = process::target_dir().join("no-std-probe");
    let build = || {
        let mut command = process::cargo(["build", "--quiet", "--manifest-path"]);
        command.arg(&probe).arg("--target-dir").arg(&target);
        command
    };
    process::run(&mut build())?;
    match process::read(build().args(["--features", "std"])) {
        Err(error) if error.to_string().contains("panic_impl") => {
            println!("    with the feature std it is refused, as it must be");
            Ok(())
        }
        Err(error) => Err(format!("the probe fails for another reason with std: {error}").into()),
        Ok(_) => Err("the probe takes std without a word, so it proves nothing".into()),
    }
}
