//! Sockets, subsystems, floods, ends of connections, and servers that are gone.

use crate::sshd::Sshd;
use crate::support::*;
use mynah_protocol::{Dialer as _, EvidenceKey, PeerEnd, TransportErrorKind};
use mynah_transport_ssh::{Remote, RemoteCommand, SshOptions, SshStream, StopTimes};
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::watch;

async fn line(lines: &mut mynah_transport_ssh::RemoteLines) -> Option<String> {
    let next = poll_fn(|cx| futures_core::Stream::poll_next(Pin::new(&mut *lines), cx));
    within(next).await.map(|line| line.text)
}

async fn read(stream: &mut SshStream, bytes: usize) -> Vec<u8> {
    let mut all = vec![0; bytes];
    within(stream.read_exact(&mut all)).await.unwrap();
    all
}

#[tokio::test]
async fn a_subsystem() {
    let server = Sshd::start("Subsystem echo cat");
    let remote = Remote::Subsystem("echo".to_owned());
    let mut accepted = dial(&dialer(&server, remote)).await.unwrap();
    accepted.connection.write_all(b"back").await.unwrap();
    assert_eq!(read(&mut accepted.connection, 4).await, b"back");
    let error = dial(&dialer(&server, Remote::Subsystem("none".to_owned()))).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Refused);
    assert!(
        error.chain().contains("has no subsystem \"none\""),
        "{}",
        error.chain()
    );
}

/// What was written before a drop is said as long as the other side takes it, though that lasts longer than the steps.
#[tokio::test]
async fn last_words_to_a_slow_reader() {
    let server = Sshd::start("");
    let path = server.path("slow");
    let listener = UnixListener::bind(&path).unwrap();
    let times = StopTimes::default().with_after_eof(Duration::from_secs(1));
    let dialer = dialer(&server, Remote::Socket(path.display().to_string()))
        .options(SshOptions::default().with_stop(times));
    let mut stream = dial(&dialer).await.unwrap().connection;
    let (mut far, _) = within(listener.accept()).await.unwrap();
    let handle = stream.handle();
    // Until it is held up, so that no window is left for the rest.
    let piece = vec![7; 64 << 10];
    let mut written = 0;
    while let Ok(taken) = tokio::time::timeout(Duration::from_secs(1), stream.write(&piece)).await {
        written += taken.unwrap();
    }
    drop(stream);
    // For longer than the steps last.
    let early = tokio::time::timeout(Duration::from_secs(3), handle.closed()).await;
    assert!(early.is_err(), "it was cut");
    let mut all = Vec::new();
    within(far.read_to_end(&mut all)).await.unwrap();
    assert_eq!(all.len(), written);
    drop(far);
    within(handle.closed()).await;
}

#[tokio::test]
async fn a_socket() {
    let server = Sshd::start("");
    let path = server.path("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let remote = |path: &str| Remote::Socket(path.to_owned());
    let mut accepted = dial(&dialer(&server, remote(path.to_str().unwrap())))
        .await
        .unwrap();
    let (mut far, _) = within(listener.accept()).await.unwrap();
    accepted.connection.write_all(b"there").await.unwrap();
    let mut there = [0; 5];
    within(far.read_exact(&mut there)).await.unwrap();
    assert_eq!(&there, b"there");
    far.write_all(b"back").await.unwrap();
    drop(far);
    let mut all = Vec::new();
    within(accepted.connection.read_to_end(&mut all))
        .await
        .unwrap();
    assert_eq!(all, b"back");
    let error = chain(dial(&dialer(&server, remote("/no/such/socket"))).await);
    assert!(
        error.contains("opens no connection to \"/no/such/socket\""),
        "{error}"
    );
    let error = chain(dial(&dialer(&server, remote("relative"))).await);
    assert!(error.contains("a path from the root"), "{error}");

    let closed = Sshd::start("AllowStreamLocalForwarding no");
    let error = chain(dial(&dialer(&closed, remote(path.to_str().unwrap()))).await);
    assert!(error.contains("opens no connection"), "{error}");
}

/// SSH4: however much a command writes to stderr, its stdout arrives as it was written.
#[tokio::test]
async fn ssh4_stderr_never_corrupts_stdout() {
    let server = Sshd::start("");
    let script = "i=0; while [ $i -lt 2000 ]; do echo \"out $i\"; echo \"err $i\" >&2; i=$((i+1)); done; \
                  head -c 300000 /dev/zero | tr '\\0' x >&2; echo last";
    let mut accepted = dial(&dialer(&server, command(script))).await.unwrap();
    let mut lines = accepted.connection.take_lines().unwrap();
    let mut all = Vec::new();
    let error = within(accepted.connection.read_to_end(&mut all))
        .await
        .unwrap_err();
    assert!(PeerEnd::of(&error).is_some());
    let mut expected: String = (0..2000).map(|number| format!("out {number}\n")).collect();
    expected.push_str("last\n");
    assert!(String::from_utf8(all).unwrap() == expected);
    // Bounded: the last lines are there, and what was cut of them is known.
    let mut count = 0;
    while let Some(text) = line(&mut lines).await {
        assert!(
            text.starts_with("err ") || text.bytes().all(|byte| byte == b'x'),
            "{text}"
        );
        assert!(text.len() <= 8 << 10);
        count += 1;
    }
    assert!((2..=256).contains(&count), "{count}");
}

/// The second way to hang, with a real server: write, and read only then.
#[tokio::test]
async fn a_write_that_comes_before_the_read() {
    const BYTES: usize = 16 << 20;
    let server = Sshd::start("");
    let mut accepted = dial(&dialer(&server, command("cat"))).await.unwrap();
    let say: Vec<u8> = (0..BYTES)
        .map(|at| u8::try_from(at % 253).unwrap())
        .collect();
    within(accepted.connection.write_all(&say)).await.unwrap();
    assert!(read(&mut accepted.connection, BYTES).await == say);
}

/// New keys are agreed on in the middle of both directions, again and again.
#[tokio::test]
async fn new_keys_on_the_way() {
    const BYTES: usize = 12 << 20;
    let server = Sshd::start("RekeyLimit 1M");
    let accepted = dial(&dialer(&server, command("cat"))).await.unwrap();
    let (mut read, mut write) = tokio::io::split(accepted.connection);
    let say: Vec<u8> = (0..BYTES)
        .map(|at| u8::try_from(at % 253).unwrap())
        .collect();
    let mut heard = vec![0; BYTES];
    let both = async { tokio::try_join!(write.write_all(&say), read.read_exact(&mut heard)) };
    within(both).await.unwrap();
    assert!(heard == say);
}

/// A dial that is given up leaves nothing open, wherever it is.
#[tokio::test]
async fn a_dial_that_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let address = mynah_transport_ssh::SshAddress::new("me", "127.0.0.1").unwrap();
    let dialer = mynah_transport_ssh::SshDialer::new(address.port(port), command("true"))
        .host_keys(mynah_transport_ssh::HostKeys::dangerous().accept_any());
    for says in ["", "SSH-2.0-half\r\n"] {
        let dialling = tokio::spawn({
            let dialer = dialer.clone();
            async move { dialer.dial().await.map(drop) }
        });
        let (mut socket, _) = within(listener.accept()).await.unwrap();
        socket.write_all(says.as_bytes()).await.unwrap();
        let mut first = [0; 8];
        within(socket.read_exact(&mut first)).await.unwrap();
        assert_eq!(&first, b"SSH-2.0-");
        dialling.abort();
        assert!(within(dialling).await.unwrap_err().is_cancelled());
        let mut rest = Vec::new();
        // The end, or a reset.
        drop(within(socket.read_to_end(&mut rest)).await);
    }
}

/// Nobody reads: the command is held up, and goes on when somebody does.
#[tokio::test]
async fn a_command_that_nobody_reads_is_held_up() {
    const BYTES: usize = 64 << 20;
    let server = Sshd::start("");
    let mark = server.path("mark");
    let script = format!("head -c {BYTES} /dev/zero; echo > {}", mark.display());
    let mut accepted = dial(&dialer(&server, command(&script))).await.unwrap();
    read(&mut accepted.connection, 1).await;
    // As long as the same takes when somebody reads.
    let same = command(&format!("head -c {BYTES} /dev/zero"));
    let mut other = dial(&dialer(&server, same)).await.unwrap();
    read(&mut other.connection, BYTES).await;
    assert!(!mark.exists(), "nothing holds the command up");
    let mut rest = 0;
    let mut buffer = vec![0; 1 << 20];
    while rest < BYTES - 1 {
        rest += within(accepted.connection.read(&mut buffer)).await.unwrap();
    }
    assert_eq!(rest, BYTES - 1);
}

#[tokio::test]
async fn a_login_banner_is_heard() {
    let directory = tempfile::tempdir().unwrap();
    let banner = directory.path().join("banner");
    std::fs::write(&banner, "Authorised use only.\nAll is logged.\n").unwrap();
    let server = Sshd::start(&format!("Banner {}", banner.display()));
    let mut accepted = dial(&dialer(&server, command("echo hi >&2")))
        .await
        .unwrap();
    let mut lines = accepted.connection.take_lines().unwrap();
    for expected in ["Authorised use only.", "All is logged.", "hi"] {
        assert_eq!(line(&mut lines).await.as_deref(), Some(expected));
    }
    assert_eq!(line(&mut lines).await, None);
}

/// Passes bytes on both ways, until it is told to swallow them.
async fn relay(to: u16) -> (u16, watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (swallow, swallows) = watch::channel(false);
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
            let (near_read, near_write) = near.into_split();
            let (far_read, far_write) = far.into_split();
            tokio::spawn(pass(near_read, far_write, swallows.clone()));
            tokio::spawn(pass(far_read, near_write, swallows.clone()));
        }
    });
    (port, swallow)
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    swallows: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if !*swallows.borrow() && to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
    // Neither side hears that the other one is gone.
    if *swallows.borrow() {
        std::future::pending::<()>().await;
    }
}

/// SSH1: a server that is gone without a word is noticed after interval x count.
#[tokio::test]
async fn ssh1_a_dead_server_is_noticed() {
    let server = Sshd::start("");
    let (port, swallow) = relay(server.port()).await;
    let interval = Duration::from_millis(200);
    let options = SshOptions::default().with_keep_alive(Some(interval), 3);
    let keys = mynah_transport_ssh::HostKeys::dangerous().accept_any();
    let dialer = mynah_transport_ssh::SshDialer::new(address(&server).port(port), command("cat"))
        .host_keys(keys)
        .identity(mynah_transport_ssh::Identity::file(server.user_key()))
        .options(options);
    let mut accepted = dial(&dialer).await.unwrap();
    let stream = &mut accepted.connection;
    // A silent server that answers questions is alive.
    tokio::time::sleep(interval * 10).await;
    stream.write_all(b"alive").await.unwrap();
    assert_eq!(read(stream, 5).await, b"alive");
    swallow.send_replace(true);
    let error = within(stream.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut, "{error}");
    assert!(
        error.to_string().contains("did not answer 3 questions"),
        "{error}"
    );
    let error = within(stream.write_all(b"x")).await.unwrap_err();
    assert!(error.to_string().contains("no sign of life"), "{error}");
}

/// A server that takes connections and says nothing, or nonsense, or half of the beginning.
#[tokio::test]
async fn what_is_no_ssh_server() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (says, mut said) = tokio::sync::mpsc::channel::<&'static [u8]>(1);
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Some(what) = said.recv().await {
            let (mut socket, _) = listener.accept().await.unwrap();
            let _gone = socket.write_all(what).await;
            open.push(socket);
        }
    });
    let address = mynah_transport_ssh::SshAddress::new("me", "127.0.0.1").unwrap();
    let options = SshOptions::default().with_connect_timeout(Duration::from_secs(1));
    let dialer = mynah_transport_ssh::SshDialer::new(address.port(port), command("true"))
        .host_keys(mynah_transport_ssh::HostKeys::dangerous().accept_any())
        .identity(mynah_transport_ssh::Identity::password("x"))
        .options(options);
    for (what, kind) in [
        (b"".as_slice(), Some(TransportErrorKind::TimedOut)),
        (b"SSH-2.0-half\r\n", Some(TransportErrorKind::TimedOut)),
        (
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            Some(TransportErrorKind::TimedOut),
        ),
        (b"SSH-1.5-old\r\n", None),
        (b"SSH-2.0-x\r\n\xff\xff\xff\xff\xff\xff\xff\xff", None),
        (&[b'x'; 10_000], None),
        // Lines before the protocol may come, and not without end.
        (b"come in\r\n".repeat(100_000).leak(), None),
    ] {
        says.send(what).await.unwrap();
        let error = dial(&dialer).await.unwrap_err();
        if let Some(kind) = kind {
            assert_eq!(error.kind(), kind, "{}", error.chain());
        }
        assert!(
            error
                .to_string()
                .contains("cannot connect to ssh://me@127.0.0.1:"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn nobody_there() {
    let port = crate::sshd::free_port();
    let address = mynah_transport_ssh::SshAddress::new("me", "127.0.0.1").unwrap();
    let dialer = mynah_transport_ssh::SshDialer::new(
        address.port(port),
        Remote::Command(RemoteCommand::new("true")),
    )
    .host_keys(mynah_transport_ssh::HostKeys::dangerous().accept_any());
    let error = within(dialer.dial()).await.unwrap_err();
    assert_eq!(
        error.kind(),
        TransportErrorKind::Refused,
        "{}",
        error.chain()
    );
}

#[tokio::test]
async fn the_evidence() {
    let server = Sshd::start("");
    let accepted = dial(&dialer(&server, command("true"))).await.unwrap();
    let evidence = accepted.evidence;
    let text = |key| evidence.text(EvidenceKey::new(key)).unwrap().to_owned();
    assert_eq!(text("transport"), "ssh");
    assert_eq!(
        text("remote_address"),
        format!("127.0.0.1:{}", server.port())
    );
    assert_eq!(text("login_user"), server.user());
    assert!(text("host_key").starts_with("SHA256:"));
    let strict = evidence.fact(EvidenceKey::new("strict_kex"));
    assert_eq!(strict, Some(&mynah_protocol::Value::Bool(true)));
}
