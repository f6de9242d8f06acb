//! Keys of users and of hosts: which let in, and which do not.

use crate::sshd::make_key;
use crate::support::{Site, accept, meet, other_key, public_of, refused, user_key, within};
use mynah_protocol::{AllowedMethods, Dialer as _, EvidenceKey, TransportErrorKind};
use mynah_transport_ssh::{HostKeys, Identity, SshListener};
use std::fs;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[tokio::test]
async fn a_key_that_is_listed_lets_in_and_one_that_is_not_does_not() {
    let site = Site::new();
    let mut listener = site.listen().await;
    let port = listener.local_address().port();
    let (mut near, mut far) = meet(&site.dialer(&listener), &mut listener).await;
    near.connection.write_all(b"here").await.unwrap();
    let mut heard = [0; 4];
    within(far.connection.read_exact(&mut heard)).await.unwrap();
    assert_eq!(&heard, b"here");
    assert_eq!(AllowedMethods::of(&far.evidence), None);

    let stranger = site.dialer_as("mynah", &other_key(), port);
    let (said, logged) = refused(&stranger, &mut listener).await;
    assert!(said.contains("127.0.0.1"), "{said}");
    assert!(logged.contains("the key is in no line"), "{logged}");
    assert!(logged.contains("user mynah with key SHA256:"), "{logged}");
}

async fn check(site: &Site, listener: &mut SshListener, options: &str, why: &str) {
    site.authorize(&format!(
        "# a comment\n{options} {}",
        public_of(&user_key())
    ));
    let (_said, logged) = refused(&site.dialer(listener), listener).await;
    assert!(logged.contains(why), "{options}: {logged}");
    assert!(logged.contains("line 2"), "{options}: {logged}");
}

#[tokio::test]
async fn keys_that_are_restricted_expired_or_not_understood() {
    let site = Site::new();
    let mut listener = site.listen().await;
    let listener = &mut listener;
    check(&site, listener, "expiry-time=\"20200101Z\"", "expired").await;
    check(
        &site,
        listener,
        "from=\"10.0.0.0/8\"",
        "may not be used from 127.0.0.1",
    )
    .await;
    check(&site, listener, "mynah-user=\"ann\"", "for this user").await;
    check(
        &site,
        listener,
        "command=\"/bin/sh\"",
        "command is not understood",
    )
    .await;
    check(&site, listener, "restrict,pty", "pty is not understood").await;
    // The file is read anew for each attempt.
    site.authorize(&format!(
        "restrict,from=\"127.0.0.0/8\",mynah-methods=\"arith.*\" {}",
        public_of(&user_key())
    ));
    let (_near, far) = meet(&site.dialer(listener), listener).await;
    let allowed = AllowedMethods::of(&far.evidence).unwrap();
    assert_eq!(allowed.to_string(), "arith.*");
    // One that was let in stays; one that comes later does not come in.
    site.authorize("");
    let (_said, logged) = refused(&site.dialer(listener), listener).await;
    assert!(logged.contains("in no line"), "{logged}");
}

#[tokio::test]
async fn a_file_that_others_may_write_lets_nobody_in() {
    use std::os::unix::fs::PermissionsExt as _;
    let site = Site::new();
    let mut listener = site.listen().await;
    let file = site.path("authorized_keys");
    let directory = file.parent().unwrap();
    for (mode, refuses) in [(0o775, true), (0o1777, true), (0o755, false)] {
        fs::set_permissions(directory, fs::Permissions::from_mode(mode)).unwrap();
        if refuses {
            let (_said, logged) = refused(&site.dialer(&listener), &mut listener).await;
            let path = directory.display();
            let told = format!("others may write it (mode {mode:04o}): chmod go-w {path}");
            assert!(logged.contains(&told), "{logged}");
        } else {
            let _both = meet(&site.dialer(&listener), &mut listener).await;
        }
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(0o664)).unwrap();
    let (_said, logged) = refused(&site.dialer(&listener), &mut listener).await;
    let told = format!("(mode 0664): chmod go-w {}", file.display());
    assert!(logged.contains(&told), "{logged}");
    let error = SshListener::bind("127.0.0.1:0", site.options())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Denied);
    fs::remove_file(&file).unwrap();
    let (_said, logged) = refused(&site.dialer(&listener), &mut listener).await;
    assert!(logged.contains("No such file"), "{logged}");
    rustix_fifo(&file);
    let (_said, logged) = refused(&site.dialer(&listener), &mut listener).await;
    assert!(logged.contains("no file"), "{logged}");
}

fn rustix_fifo(path: &std::path::Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.unwrap().success());
}

#[tokio::test]
async fn names_that_are_none_are_refused_and_not_repeated() {
    let site = Site::new();
    let mut listener = site.listen().await;
    let port = listener.local_address().port();
    let long = "x".repeat(30_000);
    for user in [long.as_str(), "ann bob", "a/../b", "\u{202e}ann"] {
        let dialer = site.dialer_as(user, &user_key(), port);
        let (_said, logged) = refused(&dialer, &mut listener).await;
        assert!(logged.contains("no name of a user"), "{logged}");
        assert!(logged.len() < 1000 && !logged.chars().any(char::is_control));
        assert!(!logged.contains('\u{202e}'), "{logged}");
    }
}

/// SSH2: a host key that is not the one that is known is refused, and so is one that was revoked.
#[tokio::test]
async fn ssh2_host_keys_that_are_wrong_changed_or_revoked() {
    let site = Site::new();
    let mut listener = site.listen().await;
    let port = listener.local_address().port();
    let known = site.known_hosts(port);
    let right = fs::read_to_string(&known).unwrap();
    let other = format!("[127.0.0.1]:{port} {}\n", public_of(&other_key()));
    let revoked = format!("{right}@revoked {right}");
    for (text, why) in [
        (other.as_str(), "another one is known for it"),
        (revoked.as_str(), "is revoked"),
        ("", "which no file of known hosts lists"),
    ] {
        fs::write(&known, text).unwrap();
        let dialer = site.dialer(&listener);
        fs::write(&known, text).unwrap();
        let (dialled, _attempt) = tokio::join!(within(dialer.dial()), accept(&mut listener));
        let error = dialled.map(|_| ()).unwrap_err().chain();
        assert!(error.contains(why), "{why}: {error}");
    }
    // Named by its fingerprint, it is the right one, and another is not.
    let right = listener.host_key_fingerprints().to_vec();
    let dialer = site
        .dialer(&listener)
        .host_keys(HostKeys::fingerprints(right));
    meet(&dialer, &mut listener).await;
    let other = site.dialer(&listener).host_keys(HostKeys::fingerprints([
        "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ]));
    let (dialled, _attempt) = tokio::join!(within(other.dial()), accept(&mut listener));
    dialled.map(|_| ()).unwrap_err();
}

/// A key comes with a certificate of an authority: neither the authority nor the certificate lets anybody in, and the log
/// says why.
#[tokio::test]
async fn certificates_of_users_let_nobody_in_and_are_told_of() {
    let site = Site::new();
    let key = site.path("key");
    let authority = site.path("authority");
    make_key(&key, "ed25519", "");
    make_key(&authority, "ed25519", "");
    let signed = std::process::Command::new("ssh-keygen")
        .args(["-q", "-s"])
        .arg(&authority)
        .args(["-I", "test", "-n", "mynah"])
        .arg(site.path("key.pub"))
        .status();
    assert!(signed.unwrap().success());
    site.authorize(&format!("cert-authority {}", public_of(&authority)));
    let mut listener = site.listen().await;
    // What the file says is told when the server begins.
    let told = accept(&mut listener).await.map(|_| ()).unwrap_err().chain();
    assert!(told.contains("line 1: "), "{told}");
    assert!(told.contains("the option cert-authority"), "{told}");
    assert!(told.contains("list each key itself"), "{told}");
    let port = listener.local_address().port();
    let certificate = format!("CertificateFile={}", site.path("key-cert.pub").display());
    let identity = key.display().to_string();
    let mut ssh = site.ssh_as(&identity, port, &["-o", &certificate, "-s"]);
    let output = async { ssh.arg("mynah").output().await.unwrap() };
    let (output, accepted) = tokio::join!(within(output), accept(&mut listener));
    assert_eq!(output.status.code(), Some(255));
    let told = accepted.map(|_| ()).unwrap_err().chain();
    assert!(told.contains("the key is in no line"), "{told}");
    // Where the key itself is listed the client goes on to that, and the certificate counts for nothing.
    site.authorize(&public_of(&key));
    let mut ssh = site.ssh_as(&identity, port, &["-v", "-o", &certificate, "-s"]);
    let ssh = ssh.arg("mynah").spawn().unwrap();
    let far = accept(&mut listener).await.unwrap();
    let kind = far.evidence.text(EvidenceKey::KEY_TYPE);
    assert_eq!(kind, Some("ssh-ed25519"));
    drop(far);
    let said = within(ssh.wait_with_output()).await.unwrap();
    let said = String::from_utf8_lossy(&said.stderr);
    assert!(
        said.contains("ED25519-CERT"),
        "no certificate was offered: {said}"
    );
}

#[tokio::test]
async fn every_type_of_key_that_is_spoken() {
    let site = Site::new();
    for (kind, name) in [("ed25519", "ssh-ed25519"), ("ecdsa", "ecdsa-sha2-nistp256")] {
        let key = site.path(&format!("of_{kind}"));
        make_key(&key, kind, "");
        let host = site.path(&format!("host_{kind}"));
        make_key(&host, kind, "");
        site.authorize(&public_of(&key));
        let options =
            mynah_transport_ssh::SshServerOptions::new(site.path("authorized_keys"), &host);
        let mut listener = site.listen_with(options).await;
        let port = listener.local_address().port();
        let dialer = site.dialer_as("mynah", &key, port);
        let fingerprints = listener.host_key_fingerprints().to_vec();
        let dialer = dialer.host_keys(HostKeys::fingerprints(fingerprints));
        let (_near, far) = meet(&dialer, &mut listener).await;
        assert_eq!(far.evidence.text(EvidenceKey::KEY_TYPE), Some(name));
    }
}

#[tokio::test]
async fn an_agent_that_is_not_there() {
    let site = Site::new();
    let mut listener = site.listen().await;
    let address = mynah_transport_ssh::SshAddress::new("mynah", "127.0.0.1").unwrap();
    let port = listener.local_address().port();
    let remote = mynah_transport_ssh::Remote::Subsystem("mynah".to_owned());
    let dialer = mynah_transport_ssh::SshDialer::new(address.port(port), remote)
        .host_keys(HostKeys::known_hosts_in([site.known_hosts(port)]))
        .identity(Identity::agent_at(site.path("no_agent")));
    let (dialled, _attempt) = tokio::join!(within(dialer.dial()), accept(&mut listener));
    let error = dialled.map(|_| ()).unwrap_err().chain();
    assert!(error.contains("agent"), "{error}");
}
