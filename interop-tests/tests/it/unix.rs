//! Unix sockets between processes: the real Python package, a server that is killed, sockets that are handed over.

use crate::harness::{Codec, PythonServer, RustClient, ServerProcess, Venv, run_client_at, within};
use crate::service::Here;
use interop_tests::served::{Asked, AskedService, ServedClient};
use mynah::prelude::*;
use mynah::{EvidenceKey, Value};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

struct Directory(tempfile::TempDir);

impl Directory {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

fn url(path: &Path) -> String {
    format!("unix:{}", path.display())
}

async fn client(url: &str) -> (Peer, ServedClient) {
    struct Me;
    impl Asked for Me {
        async fn back(&self, number: u64) -> u64 {
            number
        }
    }
    let connector = mynah::connector(url).expect("a URL");
    let connecting = connector.register(AskedService::new(Me)).connect();
    let peer = within("connect", connecting).await;
    let peer = peer.expect("the server listens");
    let client = peer.client();
    (peer, client)
}

async fn works(url: &str, transport: &str) {
    let (_peer, client) = client(url).await;
    let echo = within("echo", client.echo("there".into()).into_future()).await;
    assert_eq!(echo.expect("it is answered"), "there", "{url}");
    let asked = within("ask", client.ask(5).into_future()).await;
    assert_eq!(asked.expect("it is answered"), 5, "{url}");
    let who = within("who", client.who().into_future()).await;
    assert_eq!(who.expect("it is answered").0, transport, "{url}");
}

/// Every dialect in every format that it has.
#[tokio::test]
async fn every_wire_over_a_socket_file() {
    let directory = Directory::new();
    let path = directory.path("socket");
    for query in [
        "",
        "?format=json",
        "?format=messagepack",
        "?dialect=cbor-rpc",
        "?dialect=cbor-rpc&format=json",
        "?dialect=cbor-rpc&format=json&padding=python&errors=rich&names=qualified",
        "?dialect=kollabor",
    ] {
        let url = format!("{}{query}", url(&path));
        let server = ServerProcess::start(&[&url]).await;
        works(&url, "unix").await;
        server.end().await;
        assert!(!path.exists(), "{query}: it is removed at the end");
    }
}

/// The kernel tells both sides about the other process.
#[tokio::test]
async fn u1_peers_in_two_processes_know_each_other() {
    let directory = Directory::new();
    let path = directory.path("socket");
    let server = ServerProcess::start(&[&url(&path)]).await;
    let (peer, client) = client(&url(&path)).await;
    let known = |key| peer.evidence().integer(key);
    assert_eq!(known(EvidenceKey::PROCESS_ID), Some(server.id().into()));
    let user = rustix::process::geteuid().as_raw();
    assert_eq!(known(EvidenceKey::USER_ID), Some(user.into()));
    let who = within("who", client.who().into_future()).await;
    assert_eq!(
        who.expect("it is answered"),
        ("unix".into(), Some(user.into()))
    );
    server.end().await;
}

/// A server that was killed leaves its files behind; the next one takes their place, and not while the first one lives.
#[tokio::test]
async fn u1_a_killed_server_is_followed_by_another() {
    let directory = Directory::new();
    let path = directory.path("socket");
    let first = ServerProcess::start(&[&url(&path)]).await;
    let refused = ServerProcess::refuses(&[&url(&path)]).await;
    assert!(
        refused.contains("another server listens there"),
        "{refused}"
    );
    works(&url(&path), "unix").await;
    first.kill().await;
    let left = std::fs::symlink_metadata(&path).expect("nobody removes it");
    assert!(left.file_type().is_socket());
    let second = ServerProcess::start(&[&url(&path)]).await;
    works(&url(&path), "unix").await;
    second.end().await;
    let left = std::fs::read_dir(directory.0.path()).expect("a directory");
    assert_eq!(left.count(), 0);
}

/// Starts the server with sockets, as systemd does it: from descriptor 3 on, with three variables. A shell puts them
/// there, because it is the program behind it that has to have the number in `LISTEN_PID`.
async fn start_with_sockets(sockets: [Stdio; 1], names: &str, urls: &[&str]) -> ServerProcess {
    let [socket] = sockets;
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg("exec 3<&2 2>/dev/null; LISTEN_PID=$$ exec \"$@\"")
        .arg("sh")
        .arg(ServerProcess::program())
        .args(urls)
        .env("LISTEN_FDS", "1")
        .env("LISTEN_FDNAMES", names)
        .stderr(socket);
    ServerProcess::start_as(command).await
}

#[tokio::test]
async fn u1_sockets_that_were_passed_are_served() {
    let directory = Directory::new();
    let path = directory.path("socket");
    let unix = std::os::unix::net::UnixListener::bind(&path).expect("a path");
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = tcp.local_addr().expect("it is bound").port();

    let passed = Stdio::from(std::os::fd::OwnedFd::from(unix));
    let server = start_with_sockets([passed], "api", &["systemd:api"]).await;
    assert_eq!(server.addresses, [url(&path)]);
    works(&url(&path), "unix").await;
    server.end().await;
    // It belongs to whoever has passed it.
    assert!(path.exists());

    let passed = Stdio::from(std::os::fd::OwnedFd::from(tcp));
    let server = start_with_sockets([passed], "unknown", &["systemd:?format=json"]).await;
    let there = format!("tcp://127.0.0.1:{port}");
    assert_eq!(server.addresses, [there.as_str()]);
    works(&format!("{there}?format=json"), "tcp").await;
    server.end().await;

    let refused = ServerProcess::refuses(&["systemd:api"]).await;
    assert!(refused.contains("LISTEN_FDS"), "{refused}");
}

/// The real package's peers on a Unix socket, in both roles and both codecs.
#[tokio::test]
async fn cbor_rpc_with_the_real_package() {
    for (codec, query) in [
        (Codec::Cbor, "?dialect=cbor-rpc"),
        (Codec::Json, "?dialect=cbor-rpc&format=json&padding=python"),
    ] {
        let directory = Directory::new();
        let path = directory.path("ours");
        let place = path.to_str().expect("a path in UTF-8");
        let server = Server::new()
            .router(Here::default().router())
            .listen(&format!("{}{query}", url(&path)))
            .start();
        let server = within("the server starts", server).await;
        let server = server.expect("the path is free");
        for scenario in ["echo", "errors", "side_messages", "call_back"] {
            run_client_at(Venv::Current, place, codec, &[scenario]).await;
        }
        drop(server);

        let path = directory.path("theirs");
        let place = path.to_str().expect("a path in UTF-8");
        let _server = PythonServer::start_with(Venv::Current, codec, &["--unix", place]).await;
        let connector = mynah::connector(&format!("{}{query}", url(&path))).expect("a URL");
        let ours = RustClient::connect_with(connector).await;
        let sum = within("add", ours.client.add(2, 3).into_future()).await;
        assert_eq!(sum.expect("it is answered"), 5);
        let back = ours.client.call_back("ping".into()).into_future();
        let back = within("call back", back).await;
        assert_eq!(back.expect("it is answered"), Value::from("pong"));
    }
}
