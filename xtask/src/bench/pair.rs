//! A client process and its server process, spoken to by the line protocol of `xtask/bench`.

use super::contenders::Contender;
use super::redis::{Asked, Redis};
use super::scenario::{Mode, Scenario};
use super::sshd::Sshd;
use crate::Outcome;
use serde_json::Value as Json;
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Longer than any phase, also under callgrind.
const PATIENCE: Duration = Duration::from_secs(300);
/// Tells contenders where the redis-server is.
const REDIS: &str = "MYNAH_BENCH_REDIS";
/// Tells contenders where the keys are, and what says where sshd is.
const SSH: &str = "MYNAH_BENCH_SSH";

/// Connections, and calls in flight on each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    pub(crate) in_flight: usize,
}

impl Load {
    pub(crate) const fn new(connections: usize, in_flight: usize) -> Self {
        Self {
            connections,
            in_flight,
        }
    }

    /// One call at a time.
    pub(crate) const fn is_one(self) -> bool {
        self.connections == 1 && self.in_flight == 1
    }
}

/// How long a phase is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Amount {
    Seconds(f64),
    Calls(u64),
}

impl Amount {
    fn text(self) -> String {
        match self {
            Self::Seconds(seconds) => format!("{seconds}s"),
            Self::Calls(calls) => calls.to_string(),
        }
    }
}

/// How a pair is run.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) scenario: Scenario,
    pub(crate) mode: Mode,
    pub(crate) load: Load,
    /// See `Case`.
    pub(crate) size: usize,
    pub(crate) warm_up: Amount,
    pub(crate) measure: Amount,
    pub(crate) latencies: bool,
    pub(crate) count_allocations: bool,
    /// What goes in front of the server's command and of the client's.
    pub(crate) wrappers: [Vec<OsString>; 2],
    /// Stands between the two and is told the server's address; its own is given to the client.
    pub(crate) between: Option<fn(&str) -> Outcome<String>>,
}

impl Setup {
    pub(crate) fn new(load: Load, warm_up: Amount, measure: Amount) -> Self {
        Self {
            scenario: Scenario::Calls,
            mode: Mode::Same,
            load,
            size: 0,
            warm_up,
            measure,
            latencies: false,
            count_allocations: false,
            wrappers: [Vec::new(), Vec::new()],
            between: None,
        }
    }
}

/// What both said.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) client: Json,
    /// The server's counters before and after; missing in process.
    pub(crate) server: Option<[Json; 2]>,
    /// What was asked of Redis, where they met at one.
    pub(crate) asked: Option<Asked>,
}

impl Report {
    /// A number of the client.
    ///
    /// # Errors
    /// It did not say it.
    pub(crate) fn number(&self, key: &str) -> Outcome<f64> {
        let number = self.client.get(key).and_then(Json::as_f64);
        number.ok_or_else(|| format!("the client reports no {key}").into())
    }

    /// By how much a counter of the server rose; 0 in process.
    pub(crate) fn server_delta(&self, key: &str) -> f64 {
        let Some([before, after]) = &self.server else {
            return 0.0;
        };
        let number = |counters: &Json| counters.get(key).and_then(Json::as_f64).unwrap_or(0.0);
        number(after) - number(before)
    }
}

/// Both processes, connected and warm.
pub(crate) struct Pair {
    /// Missing in process.
    server: Option<Running>,
    client: Running,
    /// Ended behind the two.
    redis: Option<Redis>,
    /// Ended behind the two as well.
    _sshd: Option<Sshd>,
}

impl Pair {
    /// Starts the server, then the client, and waits until it is warm.
    ///
    /// # Errors
    /// One of them does not start, ends or says something else.
    pub(crate) fn start(contender: &Contender, setup: &Setup) -> Outcome<Self> {
        let [server_wrapper, client_wrapper] = &setup.wrappers;
        let mut server = None;
        let mut address = None;
        let redis = match &*contender.transport {
            "redis" => Some(Redis::start(core(setup.mode, "server"))?),
            _ => None,
        };
        let sshd = match &*contender.transport {
            "ssh" => Some(Sshd::start(core(setup.mode, "server"))?),
            _ => None,
        };
        let folder = sshd.as_ref().map_or_else(|| Path::new(""), Sshd::folder);
        let redis_at = redis.as_ref().map(Redis::address).unwrap_or_default();
        if !contender.in_process {
            let mut command = command(contender, setup, "server", server_wrapper);
            let running = Running::start(command.env(REDIS, &redis_at).env(SSH, folder))?;
            let line = running.line()?;
            let heard = line.strip_prefix("listening ");
            let heard = heard.ok_or_else(|| format!("the server says {line:?}"))?;
            address = Some(match setup.between {
                None => heard.to_owned(),
                Some(between) => between(heard)?,
            });
            server = Some(running);
        }
        let mut command = command(contender, setup, "client", client_wrapper);
        if let Some(address) = address {
            command.args(["--address", &address]);
        }
        command.args(["--scenario", setup.scenario.name()]);
        command.args(["--size", &setup.size.to_string()]);
        command.args(["--connections", &setup.load.connections.to_string()]);
        command.args(["--in-flight", &setup.load.in_flight.to_string()]);
        command.args(["--warm-up", &setup.warm_up.text()]);
        command.args(["--measure", &setup.measure.text()]);
        if setup.latencies {
            command.arg("--latencies");
        }
        let client = Running::start(command.env(SSH, folder))?;
        let line = client.line()?;
        if line == "ready" {
            Ok(Self {
                server,
                client,
                redis,
                _sshd: sshd,
            })
        } else {
            Err(format!("the client says {line:?}").into())
        }
    }

    /// Runs the measured phase and ends both.
    ///
    /// # Errors
    /// One of them ends early or says something else.
    pub(crate) fn run(mut self) -> Outcome<Report> {
        let before = self.snapshot()?;
        let asked = self.redis.as_ref().map(Redis::asked).transpose()?;
        self.client.say("go")?;
        let client = serde_json::from_str(&self.client.line()?)?;
        let after = self.snapshot()?;
        let asked = match (&self.redis, asked) {
            (Some(redis), Some(before)) => Some(redis.asked()?.since(&before)),
            _ => None,
        };
        let report = Report {
            client,
            server: before.zip(after).map(<[Json; 2]>::from),
            asked,
        };
        self.client.finish()?;
        if let Some(server) = self.server {
            server.finish()?;
        }
        Ok(report)
    }

    fn snapshot(&mut self) -> Outcome<Option<Json>> {
        let Some(server) = &mut self.server else {
            return Ok(None);
        };
        server.say("snapshot")?;
        Ok(Some(serde_json::from_str(&server.line()?)?))
    }
}

/// The common part of both command lines.
fn command(contender: &Contender, setup: &Setup, role: &str, wrapper: &[OsString]) -> Command {
    let mut words = wrapper
        .iter()
        .cloned()
        .chain(contender.interpreter.clone().map(Into::into))
        .chain([contender.program.clone().into_os_string()]);
    // The chain is never empty: its last word is the program.
    let mut command = Command::new(words.next().unwrap_or_default());
    command
        .args(words)
        .arg(role)
        .args(["--variant", &contender.variant]);
    if role == "server" {
        command.args(["--transport", &contender.transport]);
    }
    if let Some(core) = core(setup.mode, role) {
        command.args(["--core", core]);
    }
    command.args([
        "--runtime",
        if setup.mode == Mode::Multi {
            "multi"
        } else {
            "current"
        },
    ]);
    if setup.count_allocations {
        command.arg("--count-allocations");
    }
    command
}

/// Where one of the two runs.
fn core(mode: Mode, role: &str) -> Option<&'static str> {
    match (mode, role) {
        (Mode::Same, _) | (Mode::Split, "server") => Some("0"),
        (Mode::Split, _) => Some("1"),
        (Mode::Multi, _) => None,
    }
}

/// A child whose lines are waited for with patience; killed when it is dropped before it ended.
struct Running {
    child: Child,
    /// Taken to tell the child that we are done.
    input: Option<ChildStdin>,
    lines: Receiver<std::io::Result<String>>,
}

impl Running {
    fn start(command: &mut Command) -> Outcome<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| {
                format!("cannot start {}: {error}", command.get_program().display())
            })?;
        let input = child.stdin.take();
        let output = child.stdout.take().ok_or("no standard output")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            child,
            input,
            lines,
        })
    }

    fn line(&self) -> Outcome<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Ok(line?),
            Err(_) => Err("it ended, or said nothing for too long".into()),
        }
    }

    fn say(&mut self, line: &str) -> Outcome {
        let input = self.input.as_mut().ok_or("its standard input is closed")?;
        Ok(writeln!(input, "{line}")?)
    }

    /// Closes its input and waits for it to end, so that a wrapper can write what it has counted.
    fn finish(mut self) -> Outcome {
        drop(self.input.take());
        let status = self.child.wait()?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("it ended with {status}").into())
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail where it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
