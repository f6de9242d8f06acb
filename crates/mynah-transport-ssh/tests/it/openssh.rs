//! The client of OpenSSH against the server.

use crate::support::{Site, accept, user_key, within};
use mynah_protocol::EvidenceKey;
use std::process::Output;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

async fn output(child: tokio::process::Child) -> Output {
    within(child.wait_with_output()).await.unwrap()
}

#[tokio::test]
async fn its_client_reaches_the_subsystem_and_nothing_is_lost_at_the_end() {
    let site = Site::new();
    let mut listener = site.listen().await;
    let port = listener.local_address().port();
    let mut ssh = site
        .ssh("mynah", port, &["-s"])
        .arg("mynah")
        .spawn()
        .expect("install openssh-client: apt-get install openssh-client");
    let accepted = accept(&mut listener).await.unwrap();
    let evidence = accepted.evidence;
    assert_eq!(evidence.text(EvidenceKey::TRANSPORT), Some("ssh"));
    assert_eq!(evidence.text(EvidenceKey::USER), Some("mynah"));
    assert_eq!(evidence.text(EvidenceKey::KEY_TYPE), Some("ssh-ed25519"));
    let fingerprint = std::process::Command::new("ssh-keygen")
        .args(["-l", "-f"])
        .arg(user_key())
        .output()
        .unwrap();
    let fingerprint = String::from_utf8(fingerprint.stdout).unwrap();
    let fingerprint = fingerprint.split(' ').nth(1);
    assert_eq!(evidence.text(EvidenceKey::KEY_FINGERPRINT), fingerprint);
    assert!(
        evidence
            .text(EvidenceKey::REMOTE_ADDRESS)
            .is_some_and(|address| address.starts_with("127.0.0.1:")),
        "{evidence:?}"
    );

    let mut stream = accepted.connection;
    let mut stdin = ssh.stdin.take().unwrap();
    let sent: Vec<u8> = (0..500_000_u32).flat_map(u32::to_le_bytes).collect();
    let expected = sent.clone();
    let writing = tokio::spawn(async move {
        stdin.write_all(&sent).await.unwrap();
        // Its end is an end of one direction.
        drop(stdin);
    });
    let ending = async move {
        let (mut read, mut write) = tokio::io::split(&mut stream);
        tokio::io::copy(&mut read, &mut write).await.unwrap();
        write.write_all(b"last words").await.unwrap();
        write.flush().await.unwrap();
        drop((read, write));
        drop(stream);
    };
    let mut stdout = ssh.stdout.take().unwrap();
    let mut heard = Vec::new();
    let hearing = async {
        stdout.read_to_end(&mut heard).await.unwrap();
    };
    within(async { tokio::join!(ending, hearing) }).await;
    writing.await.unwrap();
    let output = output(ssh).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let (echo, end) = heard.split_at(expected.len());
    assert!(echo == expected, "the echo is another");
    assert_eq!(end, b"last words");
}
