//! A service over the SSH server of this workspace: by URL, in typed calls, within what the key may call.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![cfg(unix)]

#[path = "../../../mynah-transport-ssh/tests/sshd/mod.rs"]
mod sshd;

use futures::{TryStreamExt as _, stream};
use mynah::prelude::*;
use mynah::{EvidenceKey, ServerHandle};
use sshd::{make_key, public};
use std::fs;
use tempfile::TempDir;

#[mynah::service]
trait Arith {
    async fn add(&self, a: i64, b: i64) -> i64;
    fn count(&self, to: u64) -> impl Stream<Item = u64> + Send;
    async fn who(&self, cx: &Context) -> Vec<String>;
}

#[mynah::service]
trait Admin {
    async fn stop(&self) -> u64;
}

struct Both;

impl Arith for Both {
    async fn add(&self, a: i64, b: i64) -> i64 {
        a + b
    }

    fn count(&self, to: u64) -> impl Stream<Item = u64> + Send {
        stream::iter(0..to)
    }

    async fn who(&self, cx: &Context) -> Vec<String> {
        let evidence = cx.evidence();
        let facts = [
            EvidenceKey::TRANSPORT,
            EvidenceKey::USER,
            EvidenceKey::KEY_TYPE,
            EvidenceKey::KEY_FINGERPRINT,
            EvidenceKey::REMOTE_ADDRESS,
        ];
        let facts = facts.map(|key| evidence.text(key).unwrap_or_default().to_owned());
        facts.into()
    }
}

impl Admin for Both {
    async fn stop(&self) -> u64 {
        1
    }
}

/// A server, and the files of it and of its clients.
struct Site {
    directory: TempDir,
    server: ServerHandle,
    address: String,
}

impl Site {
    async fn start(options: &str) -> Self {
        Self::start_with(options, "").await
    }

    /// The options of a key's line, and of the URL.
    async fn start_with(options: &str, more: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path().display().to_string();
        make_key(&directory.path().join("user_key"), "ed25519", "");
        let key = public(&directory.path().join("user_key.pub"));
        fs::write(
            directory.path().join("authorized_keys"),
            format!("{options} {key}\n"),
        )
        .unwrap();
        let url = format!(
            "ssh://127.0.0.1:0?authorized_keys={at}/authorized_keys&host_key={at}/host_key{more}"
        );
        let server = Server::new()
            .register(ArithService::new(Both))
            .register(AdminService::new(Both))
            .listen(&url)
            .start()
            .await
            .unwrap();
        let address = server.addresses()[0].clone();
        Self {
            directory,
            server,
            address,
        }
    }

    fn url(&self, user: &str) -> String {
        let at = self.directory.path().display();
        let address = self.address.strip_prefix("ssh://").unwrap();
        format!(
            "ssh://{user}@{address}?subsystem=mynah&identity={at}/user_key&host_key={}",
            self.fingerprint()
        )
    }

    /// Of the host key that the server has made.
    fn fingerprint(&self) -> String {
        let output = std::process::Command::new("ssh-keygen")
            .args(["-l", "-f"])
            .arg(self.directory.path().join("host_key"))
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.split(' ').nth(1).unwrap().to_owned()
    }
}

#[tokio::test]
async fn typed_calls_by_url_over_a_host_key_that_was_made() {
    let site = Site::start("restrict").await;
    let peer = mynah::connect(&site.url("mynah")).await.unwrap();
    let arith: ArithClient = peer.client();
    assert_eq!(arith.add(2, 3).await.unwrap(), 5);
    let counted: Vec<u64> = arith.count(1000).start().try_collect().await.unwrap();
    assert_eq!(counted.len(), 1000);
    let facts = arith.who().await.unwrap();
    assert_eq!(facts[..3], ["ssh", "mynah", "ssh-ed25519"]);
    assert!(facts[3].starts_with("SHA256:") && facts[4].starts_with("127.0.0.1:"));
    let admin: AdminClient = peer.client();
    assert_eq!(admin.stop().await.unwrap(), 1);
    drop(peer);
    site.server.stop();
}

#[tokio::test]
async fn a_key_calls_what_its_line_allows() {
    let site = Site::start("mynah-user=\"ann\",mynah-methods=\"arith.*\"").await;
    let peer = mynah::connect(&site.url("ann")).await.unwrap();
    let arith: ArithClient = peer.client();
    assert_eq!(arith.add(2, 3).await.unwrap(), 5);
    let admin: AdminClient = peer.client();
    let error = admin.stop().await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::PERMISSION_DENIED), "{error}");
    let manifest = peer.describe().await.unwrap();
    let names: Vec<_> = manifest.contracts().iter().map(|one| one.name()).collect();
    assert_eq!(names, ["arith"]);
    // Its name is one that stands in the line.
    mynah::connect(&site.url("mynah")).await.unwrap_err();
}

/// One address and no other comes too often.
#[tokio::test]
async fn an_address_that_comes_too_often() {
    let site = Site::start_with("restrict", "&connections_per_minute=2").await;
    for _ in 0..2 {
        mynah::connect(&site.url("mynah")).await.unwrap();
    }
    mynah::connect(&site.url("mynah")).await.unwrap_err();
    let address = site.address.strip_prefix("ssh://").unwrap();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.9:0".parse().unwrap()).unwrap();
    let mut stream = socket.connect(address.parse().unwrap()).await.unwrap();
    let mut said = [0; 8];
    let reading = tokio::io::AsyncReadExt::read_exact(&mut stream, &mut said);
    reading.await.unwrap();
    assert_eq!(&said, b"SSH-2.0-");
}

#[tokio::test]
async fn urls_that_are_wrong_are_told_so() {
    let check = async |url: &str, why: &str| {
        let server = Server::new().listen(url).start().await;
        let error = server.unwrap_err();
        let mut text = error.to_string();
        let mut next = std::error::Error::source(&error);
        while let Some(error) = next {
            text = format!("{text}: {error}");
            next = error.source();
        }
        assert!(text.contains(why), "{url}: {text}");
    };
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().display().to_string();
    check("ssh://127.0.0.1:0", "authorized_keys=/path").await;
    check("ssh://127.0.0.1:0?authorized_keys=/x", "host_key=/path").await;
    check(
        "ssh://127.0.0.1?authorized_keys=/x&host_key=/y",
        "needs a port",
    )
    .await;
    check(
        "ssh://ann@127.0.0.1:0?authorized_keys=/x&host_key=/y",
        "no user",
    )
    .await;
    check(
        "ssh://127.0.0.1:0?authorized_keys=/x&host_key=/y&user=a/b",
        "user",
    )
    .await;
    check(
        "ssh://127.0.0.1:0?authorized_keys=/x&host_key=/y&agent=yes",
        "agent",
    )
    .await;
    check("ssh://127.0.0.1:0?user=ann", "user").await;
    check(
        "ssh://127.0.0.1:0?authorized_keys=/x&host_key=/y&connections_per_minute=0",
        "how many one address may open",
    )
    .await;
    check(
        "ssh://me@127.0.0.1:1?shell=x&connections_per_minute=3",
        "it is for listening",
    )
    .await;
    let url = format!("ssh://127.0.0.1:0?authorized_keys={at}/none&host_key={at}/host_key");
    check(&url, "No such file").await;
}
