//! Python processes of cbor-rpc.

use interop_tests::python::{Listening, interpreter, root, run, run_scenario};
pub(crate) use interop_tests::python::{Printed, Venv};
use mynah::stdio::Program;

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

/// A worker of the real package on its stdin and stdout, to be started.
pub(crate) fn worker(venv: Venv, codec: Codec) -> Program {
    Program::new(interpreter(venv))
        .args(["-u".into(), root().join("python/cbor_rpc_worker.py")])
        .arg(codec.name())
        .env("PYTHONDONTWRITEBYTECODE", "1")
}

/// Runs one scenario of the Python client with the worker of this side as its child.
pub(crate) async fn run_parent(venv: Venv, codec: Codec, scenario: &[&str]) -> Printed {
    let target = concat!("stdio:", env!("CARGO_BIN_EXE_stdio_worker"));
    run_client_at(venv, target, codec, scenario).await
}

/// A server of the real package.
#[derive(Debug)]
pub(crate) struct PythonServer {
    /// Its port on the loopback; 0 for one on a Unix socket.
    pub(crate) port: u16,
    _process: Listening,
}

impl PythonServer {
    /// Starts one and waits until it listens.
    pub(crate) async fn start(venv: Venv, codec: Codec) -> Self {
        Self::start_with(venv, codec, &[]).await
    }

    /// Starts one with more arguments.
    pub(crate) async fn start_with(venv: Venv, codec: Codec, arguments: &[&str]) -> Self {
        let arguments = [&[codec.name()], arguments].concat();
        let process = Listening::start(venv, "cbor_rpc_server.py", &arguments).await;
        Self {
            port: process.place.parse().unwrap_or_default(),
            _process: process,
        }
    }
}

/// Runs one scenario of the Python client against a port; every check in it has passed when this returns.
pub(crate) async fn run_client(port: u16, codec: Codec, scenario: &str) -> Printed {
    run_client_with(Venv::Current, port, codec, &[scenario]).await
}

/// Runs one scenario with arguments, in a version of the package.
pub(crate) async fn run_client_with(
    venv: Venv,
    port: u16,
    codec: Codec,
    scenario: &[&str],
) -> Printed {
    run_client_at(venv, &port.to_string(), codec, scenario).await
}

/// The same against a port or the path of a Unix socket.
pub(crate) async fn run_client_at(
    venv: Venv,
    place: &str,
    codec: Codec,
    scenario: &[&str],
) -> Printed {
    let arguments = [&[place, codec.name()], scenario].concat();
    run_scenario(venv, "cbor_rpc_client.py", &arguments).await
}

/// Runs a script to its end and returns what it printed; it has ended well when this returns.
pub(crate) async fn run_script(script: &str, arguments: &[&str]) -> String {
    run(Venv::Current, script, arguments).await.stdout
}
