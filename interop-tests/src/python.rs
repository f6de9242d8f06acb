//! Python processes for tests: the drivers in `interop-tests/python`, run by the interpreter of an environment that
//! `cargo xtask test` makes, and held by their handle.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test that meets what it does not expect ends there, its helpers included"
)]

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};

/// Which packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Venv {
    /// cbor-rpc 1.0.1 with cbor2 6.
    Current,
    /// cbor-rpc 1.0.0 with cbor2 5.
    Old,
    /// kollabor-rpc 0.5.8.
    Kollabor,
    /// clamator-protocol 0.1.9.
    Clamator,
    /// jsonschema 4.26.
    Contract,
}

/// The folder of the tests.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Waits for something that has to happen; generous, because it is a bound and no measure.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(30), future).await {
        Ok(value) => value,
        Err(_elapsed) => panic!("{what}: nothing for 30 s"),
    }
}

/// The interpreter of an environment. A missing one is a failure that says what to do, never a skipped test.
#[must_use]
pub fn interpreter(venv: Venv) -> PathBuf {
    let folder = match venv {
        Venv::Current => ".venv",
        Venv::Old => ".venv-1.0.0",
        Venv::Kollabor => ".venv-kollabor",
        Venv::Clamator => ".venv-clamator",
        Venv::Contract => ".venv-contract",
    };
    let python = root().join(folder).join("bin/python");
    assert!(
        python.exists(),
        "{} is missing: run `cargo xtask test`",
        python.display()
    );
    python
}

/// Ends with its handle: the child is killed when this is dropped, and ends by itself when its stdin ends.
#[must_use]
pub fn spawn(venv: Venv, script: &str, arguments: &[&str]) -> (Child, ChildStdin) {
    let mut child = Command::new(interpreter(venv))
        .arg("-u")
        .arg(root().join("python").join(script))
        .args(arguments)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the interpreter starts");
    let stdin = child.stdin.take().expect("stdin is a pipe");
    (child, stdin)
}

/// A script that listens, until this is dropped.
#[derive(Debug)]
pub struct Listening {
    /// Where, as it said.
    pub place: String,
    stdin: ChildStdin,
    child: Child,
}

impl Listening {
    /// Starts a script and waits until it says `listening PLACE`.
    pub async fn start(venv: Venv, script: &str, arguments: &[&str]) -> Self {
        let (mut child, stdin) = spawn(venv, script, arguments);
        let stdout = child.stdout.take().expect("stdout is a pipe");
        let mut stderr = child.stderr.take().expect("stderr is a pipe");
        let mut line = String::new();
        let mut stdout = BufReader::new(stdout);
        let read = stdout.read_line(&mut line);
        within("the Python server starts", read)
            .await
            .expect("stdout can be read");
        let Some(place) = line.trim().strip_prefix("listening ") else {
            let mut text = String::new();
            within("stderr ends", stderr.read_to_string(&mut text))
                .await
                .expect("stderr is text");
            panic!("the Python server did not start: {line}{text}");
        };
        let place = place.to_owned();
        // A pipe that nobody reads fills up and stops the writer.
        tokio::spawn(async move {
            let mut sink = tokio::io::sink();
            tokio::io::copy(&mut stderr, &mut sink).await
        });
        Self {
            place,
            stdin,
            child,
        }
    }

    /// Kills it where it is.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("it runs");
    }

    /// Has it stop in order, and waits for that.
    pub async fn end(mut self) {
        drop(self.stdin);
        let status = within("the Python server ends", self.child.wait()).await;
        status.expect("it can be waited for");
    }

    /// Freezes it, or lets it go on.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let id = self.child.id().and_then(|id| id.try_into().ok());
        let pid = id.and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(pid.expect("it runs"), signal).expect("it can be signalled");
    }
}

/// What a script printed.
#[derive(Debug)]
pub struct Printed {
    /// Its stdout.
    pub stdout: String,
    /// Its stderr.
    pub stderr: String,
}

/// Runs a script to its end; it has ended well when this returns.
pub async fn run(venv: Venv, script: &str, arguments: &[&str]) -> Printed {
    let (child, _stdin) = spawn(venv, script, arguments);
    let what = format!("{script} {arguments:?}");
    let output = tokio::time::timeout(Duration::from_secs(90), child.wait_with_output())
        .await
        .unwrap_or_else(|_elapsed| panic!("{what}: no end for 90 s"))
        .expect("the script can be waited for");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let status = output.status;
    assert!(status.success(), "{what} {status}:\n{stdout}{stderr}");
    Printed { stdout, stderr }
}

/// Runs one scenario of a client; every check in it has passed when this returns.
pub async fn run_scenario(venv: Venv, script: &str, arguments: &[&str]) -> Printed {
    let printed = run(venv, script, arguments).await;
    let done = printed.stdout.lines().last().unwrap_or_default();
    assert!(
        done.contains("\"done\""),
        "{arguments:?} did not come to its end:\n{}{}",
        printed.stdout,
        printed.stderr
    );
    printed
}
