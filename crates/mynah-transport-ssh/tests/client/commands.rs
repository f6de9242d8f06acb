//! What a remote command says, and how it ends.

use crate::sshd::Sshd;
use crate::support::*;
use mynah_protocol::{EvidenceKey, PeerEnd};
use mynah_transport_ssh::{Remote, RemoteCommand, RemoteExit, StopTimes};
use std::future::poll_fn;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Reads to the end, and what the end was.
async fn read_all(stream: &mut mynah_transport_ssh::SshStream) -> (Vec<u8>, std::io::Error) {
    let mut all = Vec::new();
    let error = within(stream.read_to_end(&mut all)).await.unwrap_err();
    (all, error)
}

#[tokio::test]
async fn a_command_talks_and_its_status_is_the_end() {
    let server = Sshd::start("");
    let remote = command("echo hello; echo aside >&2; cat; exit 3");
    let mut accepted = dial(&dialer(&server, remote)).await.unwrap();
    let stream = &mut accepted.connection;
    let mut lines = stream.take_lines().unwrap();
    stream.write_all(b"and back\n").await.unwrap();
    stream.shutdown().await.unwrap();
    let (all, error) = read_all(stream).await;
    assert_eq!(all, b"hello\nand back\n");
    let end = PeerEnd::of(&error).unwrap();
    assert_eq!(end.to_string(), "the remote command exited with status 3");
    assert_eq!(end.facts().integer(EvidenceKey::EXIT_STATUS), Some(3));
    let line = within(poll_fn(|cx| {
        futures_core::Stream::poll_next(std::pin::Pin::new(&mut lines), cx)
    }))
    .await
    .unwrap();
    assert_eq!(line.text, "aside");
    let evidence = accepted.evidence;
    assert_eq!(evidence.text(EvidenceKey::TRANSPORT), Some("ssh"));
    assert_eq!(
        evidence.text(EvidenceKey::new("host_key_type")),
        Some("ssh-ed25519")
    );
}

#[tokio::test]
async fn words_arrive_as_they_were_given() {
    let server = Sshd::start("");
    let words = ["a b", "$HOME", "it's", "*", "", "-n", "x;y", "\\"];
    let printf = RemoteCommand::new("printf").arg("<%s>").args(words);
    let mut accepted = dial(&dialer(&server, Remote::Command(printf)))
        .await
        .unwrap();
    let (all, error) = read_all(&mut accepted.connection).await;
    let expected: String = words.iter().map(|word| format!("<{word}>")).collect();
    assert_eq!(String::from_utf8(all).unwrap(), expected);
    assert!(PeerEnd::of(&error).is_some());
}

#[tokio::test]
async fn a_command_that_is_not_there_and_one_that_a_signal_ends() {
    let server = Sshd::start("");
    let remote = Remote::Command(RemoteCommand::new("no-such-program-here"));
    let mut accepted = dial(&dialer(&server, remote)).await.unwrap();
    let (_, error) = read_all(&mut accepted.connection).await;
    let status = PeerEnd::of(&error).unwrap().facts();
    assert_eq!(status.integer(EvidenceKey::EXIT_STATUS), Some(127));

    let mut accepted = dial(&dialer(&server, command("kill -9 $$"))).await.unwrap();
    let (_, error) = read_all(&mut accepted.connection).await;
    let end = PeerEnd::of(&error).unwrap();
    assert_eq!(end.facts().integer(EvidenceKey::SIGNAL), Some(9));
    assert_eq!(
        end.to_string(),
        "the remote command was ended by signal SIGKILL"
    );
}

/// Each of the three steps ends some command.
#[tokio::test]
async fn a_command_is_stopped_step_by_step() {
    let server = Sshd::start("");
    let quick = Duration::from_millis(300);
    let times = StopTimes::default()
        .with_after_eof(quick)
        .with_after_term(quick)
        .with_after_kill(quick);
    let options = mynah_transport_ssh::SshOptions::default().with_stop(times);
    // Until the folder of the server is gone: nobody else may end it.
    let stubborn = format!(
        "trap '' TERM; while [ -e '{}' ]; do sleep 0.05; done",
        server.known_hosts().display()
    );
    for (text, ends) in [("cat", Some(RemoteExit::Status(0))), (&*stubborn, None)] {
        let dialer = dialer(&server, command(text)).options(options.clone());
        let accepted = dial(&dialer).await.unwrap();
        let handle = accepted.connection.handle();
        let stopped = within(handle.stop()).await;
        match ends {
            Some(exit) => assert_eq!(stopped.unwrap(), Some(exit)),
            // Whether a server sends signals on is its own affair (OpenSSH does not for root): it is a signal that ended
            // it, or the connection was closed.
            None => match stopped {
                Ok(exit) => assert!(exit.unwrap().signal().is_some()),
                Err(error) => assert!(error.to_string().contains("does not end"), "{error}"),
            },
        }
        drop(accepted);
        within(handle.closed()).await;
    }
}
