//! What strangers may do before they are let in: bounded in number, time, bytes and memory.

use crate::raw;
use crate::support::{Site, accept, meet, within};
use mynah_protocol::TransportErrorKind;
use mynah_transport_ssh::SshListener;
use russh::client;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// Memory of this process in KiB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.unwrap().parse().unwrap()
}

/// Accepts in the background; what is let in is told.
struct Serving {
    task: tokio::task::JoinHandle<()>,
    attempts: tokio::sync::mpsc::UnboundedReceiver<Result<(), String>>,
}

impl Serving {
    #[allow(clippy::disallowed_methods, reason = "as many as the test makes")]
    fn start(mut listener: SshListener) -> Self {
        let (sender, attempts) = tokio::sync::mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            let mut held = Vec::new();
            loop {
                let accepted = std::future::poll_fn(|cx| {
                    mynah_protocol::Listener::poll_accept(&mut listener, cx)
                });
                let told = match accepted.await.unwrap() {
                    Ok(accepted) => {
                        held.push(accepted);
                        Ok(())
                    }
                    Err(error) => Err(error.chain()),
                };
                if sender.send(told).is_err() {
                    return;
                }
            }
        });
        Self { task, attempts }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads to the end of what the server says: it has closed the connection.
async fn ended(mut stream: TcpStream) {
    let mut sink = Vec::new();
    // Reset or closed: it is over.
    let _over = within(stream.read_to_end(&mut sink)).await;
    assert!(sink.len() < 64 << 10, "{} bytes for a stranger", sink.len());
}

async fn connect(address: SocketAddr) -> TcpStream {
    within(TcpStream::connect(address)).await.unwrap()
}

#[tokio::test]
async fn who_says_nothing_has_to_go_in_time() {
    let site = Site::new();
    let options = site
        .options()
        .with_login_timeout(Duration::from_millis(300));
    let mut listener = site.listen_with(options).await;
    let address = listener.local_address();
    for said in [
        &b""[..],
        b"SSH-2.0-half",
        b"SSH-2.0-whole\r\n",
        b"SSH-2.0-x\r\n\x00\x00\x10\x00\x04",
    ] {
        let mut stream = connect(address).await;
        stream.write_all(said).await.unwrap();
        let error = accept(&mut listener).await.unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Denied);
        assert!(
            error.chain().contains("not let in within 300ms"),
            "{}",
            error.chain()
        );
        ended(stream).await;
    }
}

#[tokio::test]
async fn lines_before_the_protocol_and_names_that_are_too_long() {
    let site = Site::new();
    let mut listener = site.listen().await;
    let address = listener.local_address();
    let long = [b"SSH-2.0-".as_slice(), &[b'x'; 100_000]].concat();
    let lines = b"hello\r\n".repeat(10_000);
    let packet = [b"SSH-2.0-x\r\n".as_slice(), &[0xff; 16]].concat();
    for said in [&long, &lines, &packet] {
        let mut stream = connect(address).await;
        // It may hang up in the midst of it.
        let _hung_up = stream.write_all(said).await;
        accept(&mut listener).await.unwrap_err();
        ended(stream).await;
    }
    // A banner byte by byte is bounded like any other: by its length.
    let mut stream = connect(address).await;
    stream.set_nodelay(true).unwrap();
    let dribble = async {
        while stream.write_all(b"x").await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    let (error, ()) = tokio::join!(accept(&mut listener), within(dribble));
    error.unwrap_err();
}

#[tokio::test]
async fn bytes_before_authentication_are_counted() {
    let site = Site::new();
    let mut options = site.options();
    options.max_early_bytes = 32 << 10;
    let mut listener = site.listen_with(options).await;
    let mut stream = connect(listener.local_address()).await;
    stream.write_all(b"SSH-2.0-x\r\n").await.unwrap();
    // Packets that say nothing (SSH_MSG_IGNORE) and are never over.
    let mut packet = vec![0, 0, 0x10, 0, 4, 2];
    packet.resize(4 + 0x1000, 0);
    let flood = async {
        let mut sent = 0;
        while sent < 64 << 20 && stream.write_all(&packet).await.is_ok() {
            sent += packet.len();
        }
        sent
    };
    let (error, sent) = tokio::join!(accept(&mut listener), within(flood));
    error.unwrap_err();
    assert!(sent < 64 << 20, "{sent} bytes were taken");
}

#[tokio::test]
async fn two_thousand_idle_connections_keep_nobody_out_and_take_little() {
    const MANY: usize = 2_000;
    let site = Site::new();
    let listener = site.listen().await;
    let address = listener.local_address();
    let dialer = site.dialer(&listener);
    let mut serving = Serving::start(listener);
    // What the first connections make anew for the process is not theirs.
    drop(within(mynah_protocol::Dialer::dial(&dialer)).await.unwrap());
    serving.attempts.recv().await.unwrap().unwrap();
    let before = resident();
    let mut idle = Vec::new();
    for number in 0..MANY {
        let mut stream = connect(address).await;
        if number % 2 == 0 {
            // Half of a handshake.
            let _evicted = stream.write_all(b"SSH-2.0-idle\r\n").await;
        }
        idle.push(stream);
    }
    // All but those that may wait were told to go.
    let mut gone = 0;
    while gone < MANY - 64 {
        let told = within(serving.attempts.recv()).await.unwrap();
        let error = told.unwrap_err();
        if !error.contains("too many wait") {
            panic!("{error}");
        }
        gone += 1;
        // What does not fit into the report is not reported.
        if serving.attempts.is_empty() && gone > 1_000 {
            break;
        }
    }
    let during = resident();
    // Whoever has a key still gets in, and takes its place from those who have most.
    let accepted = within(mynah_protocol::Dialer::dial(&dialer)).await.unwrap();
    drop(accepted);
    let grown = during.saturating_sub(before);
    println!(
        "{MANY} idle connections: {before} KiB before, {during} KiB with them, {grown} KiB more"
    );
    assert!(grown < 24 << 10, "{grown} KiB for {MANY} connections");
    drop(idle);
}

/// A connection from an address of this machine's own network.
async fn connect_from(source: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((source, 0))).unwrap();
    within(socket.connect(to)).await.unwrap()
}

#[tokio::test]
async fn who_comes_too_often_is_closed_at_once_and_others_are_not() {
    let site = Site::new();
    let options = site.options().with_connections_per_minute(3);
    let mut listener = site.listen_with(options).await;
    let address = listener.local_address();
    let mut waiting = Vec::new();
    for _ in 0..3 {
        waiting.push(connect_from([127, 0, 0, 2], address).await);
    }
    for _ in 0..20 {
        let mut stream = connect_from([127, 0, 0, 2], address).await;
        let logged = accept(&mut listener).await.unwrap_err().to_string();
        assert!(logged.contains("from 127.0.0.2:"), "{logged}");
        assert!(logged.contains("too many from this address"), "{logged}");
        // Not a byte, not even the name of the protocol.
        let mut said = Vec::new();
        let _reset = within(stream.read_to_end(&mut said)).await;
        assert_eq!(said, b"");
    }
    // Those that came in time are served still, and so is whoever has a key and comes from elsewhere.
    for stream in &mut waiting {
        let mut said = [0; 8];
        let (heard, _pending) = tokio::join!(within(stream.read_exact(&mut said)), async {
            let idle = std::future::poll_fn(|cx| {
                let polled = mynah_protocol::Listener::poll_accept(&mut listener, cx);
                assert!(polled.is_pending(), "somebody is let in, or sent away");
                std::task::Poll::Ready(())
            });
            idle.await;
        });
        heard.unwrap();
        assert_eq!(&said, b"SSH-2.0-");
    }
    let _met = meet(&site.dialer(&listener), &mut listener).await;
}

#[tokio::test]
async fn connections_that_are_in_are_bounded_too() {
    let site = Site::new();
    let options = site.options().with_max_connections(8, 2);
    let mut listener = site.listen_with(options).await;
    let dialer = site.dialer(&listener);
    let first = meet(&dialer, &mut listener).await;
    let _second = meet(&dialer, &mut listener).await;
    let (dialled, accepted) = tokio::join!(
        within(mynah_protocol::Dialer::dial(&dialer)),
        accept(&mut listener)
    );
    dialled.map(|_| ()).unwrap_err();
    let logged = accepted.map(|_| ()).unwrap_err().chain();
    assert!(
        logged.contains("as many connections are open as may"),
        "{logged}"
    );
    drop(first);
    // The place is free once the connection is closed.
    loop {
        let (dialled, accepted) = tokio::join!(
            within(mynah_protocol::Dialer::dial(&dialer)),
            accept(&mut listener)
        );
        if dialled.is_ok() && accepted.is_ok() {
            break;
        }
    }
}

/// Lets a client in that then asks for channels of one kind, one after another: how many answers it hears.
async fn refused_channels(kind: &str) -> usize {
    let site = Site::new();
    let mut listener = site.listen().await;
    let address = listener.local_address();
    let client = raw::subsystem(address, client::Config::default());
    let ((session, _channel), accepted) = tokio::join!(within(client), accept(&mut listener));
    let _held = accepted.unwrap();
    for answers in 0..100 {
        let opened = match kind {
            "session" => session.channel_open_session().await,
            "x11" => session.channel_open_x11("127.0.0.1", 6000).await,
            "tcp" => {
                let open = session.channel_open_direct_tcpip("127.0.0.1", 22, "127.0.0.1", 1);
                open.await
            }
            _ => session.channel_open_direct_streamlocal("/nowhere").await,
        };
        match opened {
            Ok(_) => panic!("{kind}: a second channel was opened"),
            Err(russh::Error::ChannelOpenFailure(_)) => {}
            Err(_cut_off) => return answers,
        }
    }
    panic!("{kind}: never cut off");
}

#[tokio::test]
async fn who_asks_for_one_channel_after_another_is_cut_off() {
    for kind in ["session", "x11", "tcp", "path"] {
        let answers = within(Box::pin(refused_channels(kind))).await;
        assert_eq!(answers, 8, "{kind}");
    }
}
