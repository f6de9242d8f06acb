//! Host keys: right, wrong, changed, revoked, of another type, signed.

use crate::sshd::{Sshd, make_key, public};
use crate::support::*;
use mynah_protocol::EvidenceKey;
use mynah_transport_ssh::{HostKeys, SshDialer};
use std::fs;
use std::process::Command;

fn with(server: &Sshd, keys: HostKeys) -> SshDialer {
    dialer(server, command("true")).host_keys(keys)
}

/// A dialer that knows what these lines say; KEY stands for the server's, NAME for its name.
fn knowing(server: &Sshd, lines: &str) -> SshDialer {
    let name = format!("[127.0.0.1]:{}", server.port());
    let lines = lines
        .replace("KEY", &server.host_key())
        .replace("NAME", &name);
    let file = server.path("lines");
    fs::write(&file, lines).unwrap();
    with(server, HostKeys::known_hosts_in([file]))
}

/// SSH2: a host key that is not the known one is refused.
#[tokio::test]
async fn ssh2_a_host_is_who_it_was() {
    let server = Sshd::start("");
    make_key(&server.path("other"), "ed25519", "");
    let other = public(&server.path("other.pub"));
    dial(&knowing(&server, "NAME KEY\n")).await.unwrap();
    dial(&knowing(&server, &format!("NAME {other}\nNAME KEY\n")))
        .await
        .unwrap();
    dial(&knowing(&server, "*,!10.* KEY\n")).await.unwrap();
    for (lines, why) in [
        ("", "which no file of known hosts lists"),
        ("127.0.0.1 KEY\n", "which no file of known hosts lists"),
        (&format!("NAME {other}\n"), "another one is known for it"),
        ("NAME KEY\n@revoked * KEY\n", "is revoked"),
        ("NAME KEY\n@revked * KEY\n", "there is no such marker"),
    ] {
        let error = chain(dial(&knowing(&server, lines)).await);
        assert!(error.contains(why), "{lines}: {error}");
    }
}

#[tokio::test]
async fn a_new_host_is_learnt_and_a_second_key_is_not() {
    let server = Sshd::start("");
    let file = server.path("learnt");
    let new = with(&server, HostKeys::known_hosts_in([&file]).accept_new());
    dial(&new).await.unwrap();
    let learnt = fs::read_to_string(&file).unwrap();
    let line = format!("[127.0.0.1]:{} {}\n", server.port(), server.host_key());
    assert_eq!(learnt, line);
    dial(&with(&server, HostKeys::known_hosts_in([&file])))
        .await
        .unwrap();

    // The same name, and a key of another type: somebody else.
    make_key(&server.path("ecdsa"), "ecdsa", "");
    let ecdsa = public(&server.path("ecdsa.pub"));
    fs::write(&file, format!("[127.0.0.1]:{} {ecdsa}\n", server.port())).unwrap();
    let error = chain(dial(&new).await);
    assert!(error.contains("known by a key of another type"), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 1);
}

/// RSA is not spoken, and a server that has nothing else is told so, not "no common algorithm".
#[tokio::test]
async fn a_server_that_has_rsa_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    make_key(&path("host_key"), "rsa", "");
    make_key(&path("user_key"), "ed25519", "");
    fs::copy(path("user_key.pub"), path("authorized_keys")).unwrap();
    let server = Sshd::start_in(directory, "");
    let error = chain(dial(&knowing(&server, "NAME KEY\n")).await);
    for part in ["no host key of type Ed25519 or ECDSA", "rsa-sha2-512"] {
        assert!(error.contains(part), "no {part:?} in {error}");
    }
}

/// A server has keys of several types, and the client knows one: that is the one it asks for.
#[tokio::test]
async fn the_known_type_is_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    for (name, kind) in [
        ("host_key", "ed25519"),
        ("user_key", "ed25519"),
        ("second", "ecdsa"),
    ] {
        make_key(&path(name), kind, "");
    }
    fs::copy(path("user_key.pub"), path("authorized_keys")).unwrap();
    let second = format!("HostKey {}", path("second").display());
    let server = Sshd::start_in(directory, &second);
    let ecdsa = public(&server.path("second.pub"));
    let accepted = dial(&knowing(&server, &format!("NAME {ecdsa}\n")))
        .await
        .unwrap();
    let kind = accepted.evidence.text(EvidenceKey::new("host_key_type"));
    assert_eq!(kind, Some("ecdsa-sha2-nistp256"));
}

#[tokio::test]
async fn fingerprints_and_no_check_at_all() {
    let server = Sshd::start("");
    let shown = Command::new("ssh-keygen")
        .args(["-l", "-f"])
        .arg(server.path("host_key.pub"))
        .output()
        .unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    let fingerprint = shown.split(' ').nth(1).unwrap();
    let accepted = dial(&with(&server, HostKeys::fingerprints([fingerprint])))
        .await
        .unwrap();
    let seen = accepted
        .evidence
        .text(EvidenceKey::new("host_key"))
        .unwrap();
    assert_eq!(seen, fingerprint);
    let other = format!("SHA256:{}", "A".repeat(43));
    let error = chain(dial(&with(&server, HostKeys::fingerprints([other]))).await);
    assert!(error.contains("not the one that is asked for"), "{error}");
    dial(&with(&server, HostKeys::dangerous().accept_any()))
        .await
        .unwrap();
}

/// Certificates of an authority that is known for the host, and of no other; in their time, and for this host.
#[tokio::test]
async fn certificates() {
    let made = |options: &[&str]| {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for name in ["host_key", "user_key", "authority"] {
            make_key(&path(name), "ed25519", "");
        }
        fs::copy(path("user_key.pub"), path("authorized_keys")).unwrap();
        let status = Command::new("ssh-keygen")
            .args(["-q", "-s"])
            .arg(path("authority"))
            .args(["-I", "test"])
            .args(options)
            .arg(path("host_key.pub"))
            .status();
        assert!(status.unwrap().success());
        let certificate = format!("HostCertificate {}", path("host_key-cert.pub").display());
        Sshd::start_in(directory, &certificate)
    };
    let known = |server: &Sshd, lines: &str| {
        let authority = public(&server.path("authority.pub"));
        knowing(server, &lines.replace("AUTHORITY", &authority))
    };
    let server = made(&["-h", "-n", "127.0.0.1,other", "-V", "-1h:+1h"]);
    let accepted = dial(&known(&server, "@cert-authority * AUTHORITY\n"))
        .await
        .unwrap();
    let kind = accepted.evidence.text(EvidenceKey::new("host_key_type"));
    assert_eq!(kind, Some("ssh-ed25519-cert-v01@openssh.com"));
    for (lines, why) in [
        (
            "@cert-authority 10.* AUTHORITY\n",
            "which no file of known hosts lists",
        ),
        ("@cert-authority * KEY\n", "not of an authority"),
        (
            "@cert-authority * AUTHORITY\n@revoked * AUTHORITY\n",
            "is revoked",
        ),
        (
            "@cert-authority * AUTHORITY\n@revoked * KEY\n",
            "is revoked",
        ),
    ] {
        let error = chain(dial(&known(&server, lines)).await);
        assert!(error.contains(why), "{lines}: {error}");
    }
    for (options, why) in [
        (
            ["-h", "-n", "elsewhere", "-V", "-1h:+1h"].as_slice(),
            "for other hosts",
        ),
        (&["-h", "-V", "-1h:+1h"], "for other hosts"),
        (&["-h", "-n", "127.0.0.1", "-V", "-2h:-1h"], "not valid now"),
        (&["-h", "-n", "127.0.0.1", "-V", "+1h:+2h"], "not valid now"),
    ] {
        let server = made(options);
        let error = chain(dial(&known(&server, "@cert-authority * AUTHORITY\n")).await);
        assert!(error.contains(why), "{options:?}: {error}");
    }
}
