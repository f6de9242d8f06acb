//! Servers that are no OpenSSH: without a strict key exchange, with passwords, with strange ends.

use crate::support::*;
use mynah_protocol::{EvidenceKey, PeerEnd, Value};
use mynah_transport_ssh::{
    HostKeys, Identity, KeyExchange, Remote, SshAddress, SshDialer, SshOptions, StopTimes,
};
use russh::keys::{Algorithm, PrivateKey};
use russh::server::{self, Auth, Msg, Session, run_stream};
use russh::{Channel, ChannelId, Sig};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

/// Lets in who knows the password, and does with a command what its name says.
struct Strange(Vec<Channel<Msg>>);

impl server::Handler for Strange {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, russh::Error> {
        Ok(if (user, password) == ("me", "open sesame") {
            Auth::Accept
        } else {
            Auth::reject()
        })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: server::ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        reply.accept().await;
        self.0.push(channel);
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        match command {
            b"refuse" => return session.channel_failure(channel),
            b"close" => return session.close(channel),
            _ => session.channel_success(channel)?,
        }
        match command {
            b"signal" => {
                let text = "evil\u{1b}[2J";
                let name = Sig::Custom("BAD\n".to_owned());
                session.exit_signal_request(channel, name, false, text, "")?;
                session.close(channel)
            }
            b"vanish" => session.close(channel),
            b"disconnect" => {
                let why = russh::Disconnect::ByApplication;
                session.disconnect(why, "going\u{7} down", "en")
            }
            _ => Ok(()),
        }
    }
}

/// A server on a free port, until the test ends.
async fn serve(strict: bool) -> u16 {
    serve_with(strict, 32 << 10).await
}

async fn serve_with(strict: bool, packet: u32) -> u16 {
    let key = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519);
    let mut config = server::Config {
        keys: vec![key.unwrap()],
        auth_rejection_time: Duration::ZERO,
        maximum_packet_size: packet,
        ..server::Config::default()
    };
    if !strict {
        let names = config.preferred.kex.iter().copied();
        let without = names.filter(|name| !name.as_ref().starts_with("kex-strict"));
        config.preferred.kex = without.collect::<Vec<_>>().into();
    }
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let running = run_stream(Arc::clone(&config), socket, Strange(Vec::new()));
            tokio::spawn(async move {
                if let Ok(session) = running.await {
                    drop(session.await);
                }
            });
        }
    });
    port
}

fn to(port: u16, text: &str, password: &str) -> SshDialer {
    let address = SshAddress::new("me", "127.0.0.1").unwrap().port(port);
    let quick = Duration::from_millis(100);
    let times = StopTimes::default()
        .with_after_eof(quick)
        .with_after_term(quick)
        .with_after_kill(quick);
    SshDialer::new(address, command(text))
        .host_keys(HostKeys::dangerous().accept_any())
        .identity(Identity::password(password))
        .options(SshOptions::default().with_stop(times))
}

#[tokio::test]
async fn passwords() {
    let port = serve(true).await;
    dial(&to(port, "run", "open sesame")).await.unwrap();
    let error = chain(dial(&to(port, "run", "open barley")).await);
    assert!(
        error.contains("does not let me in") && !error.contains("barley"),
        "{error}"
    );
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    std::fs::write(&file, "open sesame\nanother line\n").unwrap();
    let address = SshAddress::new("me", "127.0.0.1").unwrap().port(port);
    let from_file = SshDialer::new(address, command("run"))
        .host_keys(HostKeys::dangerous().accept_any())
        .identity(Identity::password_file(file));
    dial(&from_file).await.unwrap();
}

#[tokio::test]
async fn a_key_exchange_that_is_not_strict() {
    let port = serve(false).await;
    let dialer = to(port, "run", "open sesame");
    let error = chain(dial(&dialer).await);
    assert!(error.contains("no strict key exchange"), "{error}");
    let any = SshOptions::default().with_key_exchange(KeyExchange::Any);
    let accepted = dial(&dialer.options(any)).await.unwrap();
    let strict = accepted.evidence.fact(EvidenceKey::new("strict_kex"));
    assert_eq!(strict, Some(&Value::Bool(false)));
}

#[tokio::test]
async fn a_command_that_is_refused() {
    let port = serve(true).await;
    let error = chain(dial(&to(port, "refuse", "open sesame")).await);
    assert!(error.contains("the server runs no commands"), "{error}");
    let error = chain(dial(&to(port, "close", "open sesame")).await);
    assert!(error.contains("closed the channel"), "{error}");
    let address = SshAddress::new("me", "127.0.0.1").unwrap().port(port);
    let subsystem = SshDialer::new(address, Remote::Subsystem("none".to_owned()))
        .host_keys(HostKeys::dangerous().accept_any())
        .identity(Identity::password("open sesame"));
    let subsystem =
        subsystem.options(SshOptions::default().with_connect_timeout(Duration::from_secs(2)));
    // This one does not answer at all.
    let error = chain(dial(&subsystem).await);
    assert!(error.contains("not within 2s"), "{error}");
}

/// A channel that takes a byte at once would make a packet of each.
#[tokio::test]
async fn a_channel_that_takes_next_to_nothing() {
    for packet in [1, 1023] {
        let port = serve_with(true, packet).await;
        let error = chain(dial(&to(port, "run", "open sesame")).await);
        let why = format!("takes packets of {packet} bytes, less than 1024");
        assert!(error.contains(&why), "{error}");
    }
}

/// What a server says is shown without what a terminal would obey.
#[tokio::test]
async fn strange_ends() {
    let port = serve(true).await;
    for (text, what) in [
        (
            "signal",
            r"the remote command was ended by signal SIGBAD\n (evil\u{1b}[2J)",
        ),
        (
            "vanish",
            "the remote command is gone, and the server does not say how it ended",
        ),
        (
            "disconnect",
            r"the server ended the SSH connection: going\u{7} down",
        ),
    ] {
        let mut accepted = dial(&to(port, text, "open sesame")).await.unwrap();
        let error = within(accepted.connection.read_u8()).await.unwrap_err();
        assert_eq!(error.to_string(), what);
        assert_eq!(PeerEnd::of(&error).is_some(), text != "disconnect");
    }
}

/// A command that heeds nothing is left when the connection is closed.
#[tokio::test]
async fn a_command_that_does_not_end() {
    let port = serve(true).await;
    let accepted = dial(&to(port, "run", "open sesame")).await.unwrap();
    let error = within(accepted.connection.handle().stop())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("does not end"), "{error}");
    let handle = accepted.connection.handle();
    assert_eq!(within(handle.closed()).await, None);
}
