//! Python processes: the drivers in `interop-tests/python`, run by the interpreter of a venv.

use super::within;
use mynah::stdio::Program;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};

/// Which version of the package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Venv {
    /// 1.0.1 with cbor2 6.
    Current,
    /// 1.0.0 with cbor2 5.
    Old,
}

/// How the messages are spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    Cbor,
    Json,
}

impl Codec {
    const fn name(self) -> &'static str {
        match self {
            Self::Cbor => "cbor",
            Self::Json => "json",
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The interpreter of a venv. A missing one is a failure that says what to do, never a skipped test.
fn interpreter(venv: Venv) -> PathBuf {
    let folder = match venv {
        Venv::Current => ".venv",
        Venv::Old => ".venv-1.0.0",
    };
    let python = root().join(folder).join("bin/python");
    assert!(
        python.exists(),
        "{} is missing: run `cargo xtask test`",
        python.display()
    );
    python
}

/// A worker of the real package on its stdin and stdout, to be started.
pub(crate) fn worker(venv: Venv, codec: Codec) -> Program {
    Program::new(interpreter(venv))
        .args(["-u".into(), root().join("python/cbor_rpc_worker.py")])
        .arg(codec.name())
        .env("PYTHONDONTWRITEBYTECODE", "1")
}

/// Runs one scenario of the Python client with the worker of this side as its child.
pub(crate) async fn run_parent(venv: Venv, codec: Codec, scenario: &[&str]) -> Output {
    let target = concat!("stdio:", env!("CARGO_BIN_EXE_stdio_worker"));
    run_client_at(venv, target, codec, scenario).await
}

/// Ends with its handle: the child is killed when this is dropped, and ends by itself when its stdin ends.
fn spawn(venv: Venv, script: &str, arguments: &[&str]) -> (Child, ChildStdin) {
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

/// A server of the real package.
#[derive(Debug)]
pub(crate) struct PythonServer {
    /// Its port on the loopback; 0 for one on a Unix socket.
    pub(crate) port: u16,
    _stdin: ChildStdin,
    _child: Child,
}

impl PythonServer {
    /// Starts one and waits until it listens.
    pub(crate) async fn start(venv: Venv, codec: Codec) -> Self {
        Self::start_with(venv, codec, &[]).await
    }

    /// Starts one with more arguments.
    pub(crate) async fn start_with(venv: Venv, codec: Codec, arguments: &[&str]) -> Self {
        let arguments = [&[codec.name()], arguments].concat();
        let (mut child, stdin) = spawn(venv, "cbor_rpc_server.py", &arguments);
        let stdout = child.stdout.take().expect("stdout is a pipe");
        let mut stderr = child.stderr.take().expect("stderr is a pipe");
        let mut line = String::new();
        let mut stdout = BufReader::new(stdout);
        let read = stdout.read_line(&mut line);
        within("the Python server starts", read)
            .await
            .expect("stdout can be read");
        let Some(port) = line.trim().strip_prefix("listening ") else {
            let mut text = String::new();
            within("stderr ends", stderr.read_to_string(&mut text))
                .await
                .expect("stderr is text");
            panic!("the Python server did not start: {line}{text}");
        };
        let port = port.parse().unwrap_or_default();
        // A pipe that nobody reads fills up and stops the writer.
        tokio::spawn(async move {
            let mut sink = tokio::io::sink();
            tokio::io::copy(&mut stderr, &mut sink).await
        });
        Self {
            port,
            _stdin: stdin,
            _child: child,
        }
    }
}

/// Runs one scenario of the Python client against a port; every check in it has passed when this returns.
pub(crate) async fn run_client(port: u16, codec: Codec, scenario: &str) -> Output {
    run_client_with(Venv::Current, port, codec, &[scenario]).await
}

/// What a Python client printed.
#[derive(Debug)]
pub(crate) struct Output {
    /// Its stderr.
    pub(crate) stderr: String,
}

/// Runs one scenario with arguments, in a version of the package.
pub(crate) async fn run_client_with(
    venv: Venv,
    port: u16,
    codec: Codec,
    scenario: &[&str],
) -> Output {
    run_client_at(venv, &port.to_string(), codec, scenario).await
}

/// The same against a port or the path of a Unix socket.
pub(crate) async fn run_client_at(
    venv: Venv,
    place: &str,
    codec: Codec,
    scenario: &[&str],
) -> Output {
    let arguments = [&[place, codec.name()], scenario].concat();
    let (child, _stdin) = spawn(venv, "cbor_rpc_client.py", &arguments);
    let output = within(&format!("scenario {scenario:?}"), child.wait_with_output())
        .await
        .expect("the client can be waited for");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success(),
        "{scenario:?} {}:\n{stdout}{stderr}",
        output.status
    );
    let done = stdout.lines().last().unwrap_or_default();
    assert!(
        done.contains("\"done\""),
        "{scenario:?} did not come to its end:\n{stdout}{stderr}"
    );
    Output { stderr }
}

/// Runs a script to its end and returns what it printed; it has ended well when this returns.
pub(crate) async fn run_script(script: &str, arguments: &[&str]) -> String {
    let (child, _stdin) = spawn(Venv::Current, script, arguments);
    let output = within(script, child.wait_with_output())
        .await
        .expect("the script can be waited for");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{script} {arguments:?} {}:\n{stdout}{stderr}",
        output.status
    );
    stdout
}
