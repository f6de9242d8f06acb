//! SSH with real peers: the SSH client of PyPI cbor-rpc (asyncssh) and a real OpenSSH server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![cfg(unix)]

#[allow(dead_code, reason = "shared with the other tests, which use all of it")]
#[path = "../it/service.rs"]
mod service;
#[path = "../../../crates/mynah-transport-ssh/tests/sshd/mod.rs"]
mod sshd;

use interop_tests::python::{Venv, interpreter, root, run, run_scenario, within};
use mynah::dialect::CborRpc;
use mynah::prelude::*;
use mynah::ssh::{SshListener, SshServerOptions};
use mynah::{CallError, ServerHandle, Value};
use mynah_codec::dialect::cbor_rpc::Padding;
use service::{Here, InteropClient};
use sshd::{Sshd, make_key, public};
use std::fs;
use tempfile::TempDir;

const CODECS: [&str; 2] = ["cbor", "json"];
const CLIENT: &str = "cbor_rpc_client.py";

fn behind(server: &Sshd) -> String {
    format!(
        "ssh:{}:{}:{}:{}",
        server.port(),
        server.user(),
        server.user_key().display(),
        env!("CARGO_BIN_EXE_stdio_worker")
    )
}

// R: a worker of this side, started by sshd for the package's own SSH client.

#[tokio::test]
async fn check_21_r_a_worker_behind_sshd() {
    let server = Sshd::start("");
    for codec in CODECS {
        run_scenario(
            Venv::Current,
            CLIENT,
            &[&behind(&server), codec, "worker_over_ssh"],
        )
        .await;
    }
}

#[tokio::test]
async fn check_21_r_calls_both_ways_through_sshd() {
    let server = Sshd::start("");
    for codec in CODECS {
        for scenario in [
            "echo",
            "errors",
            "side_messages",
            "cancel",
            "fire",
            "events",
            "call_back",
            "many",
        ] {
            run_scenario(Venv::Current, CLIENT, &[&behind(&server), codec, scenario]).await;
        }
    }
}

// B: a worker of the package, started by sshd for this side.

#[tokio::test]
async fn check_21_b_a_python_worker_behind_sshd() {
    let server = Sshd::start("");
    for codec in CODECS {
        let json = if codec == "json" {
            "&format=json&padding=python"
        } else {
            ""
        };
        let url = format!(
            "ssh://{}@127.0.0.1:{}?command={}&arg=-u&arg={}&arg={codec}&identity={}&known_hosts={}&dialect=cbor-rpc{json}",
            server.user(),
            server.port(),
            interpreter(Venv::Current).display(),
            root().join("python/cbor_rpc_worker.py").display(),
            server.user_key().display(),
            server.known_hosts().display(),
        );
        let connector = mynah::connector(&url).unwrap();
        let here = Here::default();
        let connecting = connector.router(here.router()).connect();
        let peer = within("it connects", connecting).await.unwrap();
        let client: InteropClient = peer.client();
        let answered = within("a call", async {
            assert_eq!(client.add(1, 2).await.unwrap(), 3);
            let odd = Value::from("\u{3}\u{4}\r\n\u{7f}");
            assert_eq!(client.echo(odd.clone()).await.unwrap(), odd);
            client.long_task(3).await.unwrap();
            client.fail("boom".to_owned()).await.unwrap_err();
            client.call_back("ping".to_owned()).await
        });
        let answered = answered.await;
        assert!(
            !matches!(answered, Err(CallError::Disconnected(_))),
            "{answered:?}"
        );
    }
}

/// The server of this side, over SSH.
struct Own {
    directory: TempDir,
    port: u16,
    _server: ServerHandle,
}

impl Own {
    async fn start(dialect: CborRpc) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        make_key(&at("user_key"), "ed25519", "");
        fs::copy(at("user_key.pub"), at("authorized_keys")).unwrap();
        assert!(public(&at("authorized_keys")).starts_with("ssh-ed25519 "));
        let options = SshServerOptions::new(at("authorized_keys"), at("host_key"));
        let listener = SshListener::bind("127.0.0.1:0", options).await.unwrap();
        let port = listener.local_address().port();
        let server = Server::new()
            .router(Here::default().router())
            .listen_on(listener, dialect)
            .start()
            .await
            .unwrap();
        Self {
            directory,
            port,
            _server: server,
        }
    }

    fn key(&self) -> String {
        self.directory.path().join("user_key").display().to_string()
    }
}

#[tokio::test]
async fn asyncssh_talks_to_the_server_of_this_side() {
    for codec in CODECS {
        let dialect = match codec {
            "json" => CborRpc::json(Padding::Python),
            _ => CborRpc::cbor(),
        };
        let own = Own::start(dialect).await;
        let place = format!("ssh:{}:mynah:{}", own.port, own.key());
        // Bytes are none in JSON as Python writes it.
        let last = if codec == "json" { "many" } else { "large" };
        for scenario in [
            "echo",
            "errors",
            "side_messages",
            "cancel",
            "call_back",
            last,
        ] {
            run_scenario(Venv::Current, CLIENT, &[&place, codec, scenario]).await;
        }
    }
}

#[tokio::test]
async fn asyncssh_gets_nothing_but_the_subsystem() {
    let own = Own::start(CborRpc::cbor()).await;
    let (port, key) = (own.port.to_string(), own.key());
    let printed = run(Venv::Current, "ssh_probe.py", &[&port, &key]).await;
    assert_eq!(printed.stdout.trim(), "all refused", "{}", printed.stderr);
    assert!(!std::path::Path::new("/tmp/mynah-none").exists());
}
