//! Who is let in, and who is not.

use crate::sshd::{INSTALL, Sshd, make_key, public};
use crate::support::*;
use mynah_protocol::TransportErrorKind;
use mynah_transport_ssh::{Identity, SshDialer};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

fn as_one(server: &Sshd, identity: Identity) -> SshDialer {
    SshDialer::new(address(server), command("true"))
        .host_keys(mynah_transport_ssh::HostKeys::known_hosts_in([
            server.known_hosts()
        ]))
        .identity(identity)
}

/// Lets a new key in.
fn let_in(server: &Sshd, name: &str, kind: &str, passphrase: &str, options: &str) -> PathBuf {
    let path = server.path(name);
    make_key(&path, kind, passphrase);
    let known = fs::read_to_string(server.path("authorized_keys")).unwrap();
    let key = public(&server.path(&format!("{name}.pub")));
    fs::write(
        server.path("authorized_keys"),
        format!("{known}{options}{key}\n"),
    )
    .unwrap();
    path
}

#[tokio::test]
async fn keys_of_either_type_from_files_and_from_memory() {
    let server = Sshd::start("");
    for (name, kind) in [("one", "ed25519"), ("two", "ecdsa")] {
        let path = let_in(&server, name, kind, "", "");
        dial(&as_one(&server, Identity::file(&path))).await.unwrap();
        let text = fs::read_to_string(&path).unwrap();
        dial(&as_one(&server, Identity::key(&text, None).unwrap()))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_passphrase() {
    let server = Sshd::start("");
    let path = let_in(&server, "locked", "ed25519", "open sesame", "");
    let right = Identity::file_with_passphrase(&path, "open sesame");
    dial(&as_one(&server, right)).await.unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let right = Identity::key(&text, Some("open sesame")).unwrap();
    dial(&as_one(&server, right)).await.unwrap();
    let error = chain(dial(&as_one(&server, Identity::file(&path))).await);
    assert!(error.contains("is protected by a passphrase"), "{error}");
    let wrong = Identity::file_with_passphrase(&path, "open barley");
    let error = chain(dial(&as_one(&server, wrong)).await);
    assert!(
        error.contains("no key that can be read with that passphrase"),
        "{error}"
    );
    assert!(!error.contains("barley"), "{error}");
    assert!(Identity::key(&text, None).is_err());
}

#[tokio::test]
async fn who_is_not_let_in_hears_what_was_tried() {
    let server = Sshd::start("");
    make_key(&server.path("stranger"), "ed25519", "");
    let stranger = as_one(&server, Identity::file(server.path("stranger")));
    let error = dial(&stranger).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Denied);
    let error = error.chain();
    for part in [
        "does not let",
        "tried: key SHA256:",
        "stranger",
        "it takes publickey",
    ] {
        assert!(error.contains(part), "no {part:?} in {error}");
    }
    // The next identity is tried.
    dial(&stranger.identity(Identity::file(server.user_key())))
        .await
        .unwrap();

    let missing = as_one(&server, Identity::file("/no/such/key"));
    let error = chain(dial(&missing).await);
    assert!(error.contains("cannot read /no/such/key"), "{error}");

    let password = as_one(&server, Identity::password("hush"));
    let error = chain(dial(&password).await);
    assert!(
        error.contains("a password") && !error.contains("hush"),
        "{error}"
    );

    // RSA is not spoken, and says so.
    make_key(&server.path("rsa"), "rsa", "");
    let error = chain(dial(&as_one(&server, Identity::file(server.path("rsa")))).await);
    assert!(error.contains("Ed25519 and ECDSA"), "{error}");
}

#[tokio::test]
async fn expired_and_restricted_keys() {
    let server = Sshd::start("");
    let path = let_in(&server, "old", "ed25519", "", "expiry-time=\"20200101\" ");
    let error = chain(dial(&as_one(&server, Identity::file(path))).await);
    assert!(error.contains("does not let"), "{error}");
    let path = let_in(&server, "elsewhere", "ed25519", "", "from=\"192.0.2.1\" ");
    let error = chain(dial(&as_one(&server, Identity::file(path))).await);
    assert!(error.contains("does not let"), "{error}");
}

/// An agent that runs until it is dropped.
struct Agent {
    socket: PathBuf,
    child: Child,
}

impl Agent {
    fn start(socket: PathBuf) -> Self {
        let mut child = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(&socket)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("there is no ssh-agent ({error}): {INSTALL}"));
        // It says where it is once it is there.
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        assert!(line.contains("SSH_AUTH_SOCK"), "{line}");
        Self { socket, child }
    }

    fn add(&self, key: &Path) {
        let added = Command::new("ssh-add")
            .arg("-q")
            .arg(key)
            .env("SSH_AUTH_SOCK", &self.socket)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(added.unwrap().success());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[tokio::test]
async fn the_agent() {
    let server = Sshd::start("");
    let agent = Agent::start(server.path("agent"));
    let dialer = as_one(&server, Identity::agent_at(&agent.socket));
    let error = chain(dial(&dialer).await);
    assert!(
        error.contains("the agent, which has no Ed25519 or ECDSA key"),
        "{error}"
    );
    make_key(&server.path("stranger"), "ed25519", "");
    agent.add(&server.path("stranger"));
    let error = chain(dial(&dialer).await);
    assert!(error.contains("of the agent"), "{error}");
    agent.add(&server.user_key());
    dial(&dialer).await.unwrap();
    drop(agent);
    let error = chain(dial(&dialer).await);
    assert!(error.contains("no agent can be asked"), "{error}");
}
