//! Signs of life, and what comes at the end of a connection.

use crate::support::{Site, accept, meet, user_key, within};
use mynah_protocol::Dialer as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};

/// Stands between a client and a server, and passes nothing on any more when it is told so.
struct Between {
    port: u16,
    frozen: Arc<Notify>,
    /// How often the client has said something.
    said: watch::Receiver<usize>,
}

impl Between {
    async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let frozen = Arc::new(Notify::new());
        let told = Arc::clone(&frozen);
        let (count, said) = watch::channel(0);
        tokio::spawn(async move {
            let (mut near, _) = listener.accept().await.unwrap();
            let mut far = tokio::net::TcpStream::connect(server).await.unwrap();
            let (mut near_read, mut near_write) = near.split();
            let (mut far_read, mut far_write) = far.split();
            let there = async {
                let mut buffer = vec![0; 64 << 10];
                while let Ok(read @ 1..) = near_read.read(&mut buffer).await {
                    count.send_modify(|count| *count += 1);
                    far_write.write_all(&buffer[..read]).await.unwrap();
                }
            };
            tokio::select! {
                () = there => {}
                _ended = tokio::io::copy(&mut far_read, &mut near_write) => {}
                // Both stay open, and nobody hears anything.
                () = told.notified() => std::future::pending().await,
            }
        });
        Self { port, frozen, said }
    }

    /// Waits until the client has said something so many times more.
    async fn hears(&mut self, times: usize) {
        let most = *self.said.borrow() + times;
        within(self.said.wait_for(|said| *said >= most))
            .await
            .unwrap();
    }
}

/// SSH1: a peer that is gone without a word is noticed within interval x count.
#[tokio::test]
async fn ssh1_a_peer_that_is_gone_without_a_word() {
    let site = Site::new();
    let options = site
        .options()
        .with_keep_alive(Duration::from_millis(200), 4);
    let mut listener = site.listen_with(options).await;
    let mut between = Between::start(listener.local_address()).await;
    let dialer = site.dialer_as("mynah", &user_key(), between.port);
    let (near, mut far) = meet(&dialer, &mut listener).await;
    // As long as it answers, it may be silent: for more questions than may stay without an answer.
    between.hears(8).await;
    far.connection.write_all(b"still there").await.unwrap();
    between.frozen.notify_one();
    let mut nothing = [0; 1];
    let error = within(far.connection.read(&mut nothing)).await.unwrap_err();
    assert!(error.to_string().contains("no sign of life"), "{error}");
    drop(near);
}

/// A handler that is slow to read holds up the peer, which is no reason to take the peer for gone.
#[tokio::test]
async fn a_peer_that_has_to_wait_is_not_gone() {
    const BYTES: usize = 16 << 20;
    let site = Site::new();
    let options = site
        .options()
        .with_keep_alive(Duration::from_millis(100), 1);
    let mut listener = site.listen_with(options).await;
    let (mut near, mut far) = meet(&site.dialer(&listener), &mut listener).await;
    let writing = tokio::spawn(async move {
        let piece = vec![7; 64 << 10];
        for _ in 0..BYTES / piece.len() {
            near.connection.write_all(&piece).await.unwrap();
        }
        near.connection.flush().await.unwrap();
        near
    });
    // Nobody reads for five times as long as a silence may last.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut heard = vec![0; BYTES];
    within(far.connection.read_exact(&mut heard)).await.unwrap();
    assert!(heard.iter().all(|byte| *byte == 7));
    drop(within(writing).await.unwrap());
}

#[tokio::test]
async fn what_was_accepted_stays_when_the_listener_goes() {
    let site = Site::new();
    let mut listener = site.listen().await;
    let dialer = site.dialer(&listener);
    let (mut near, mut far) = meet(&dialer, &mut listener).await;
    let address = listener.local_address();
    let mut waiting = tokio::net::TcpStream::connect(address).await.unwrap();
    // It is there when the server has said who it is.
    let mut name = [0; 8];
    tokio::select! {
        heard = within(waiting.read_exact(&mut name)) => drop(heard.unwrap()),
        _never = accept(&mut listener) => unreachable!("it is not let in"),
    }
    drop(listener);
    // What is not let in yet is closed.
    let mut said = Vec::new();
    let _closed = within(waiting.read_to_end(&mut said)).await;
    near.connection.write_all(b"here").await.unwrap();
    let mut heard = [0; 4];
    within(far.connection.read_exact(&mut heard)).await.unwrap();
    assert_eq!(&heard, b"here");
    within(dialer.dial()).await.map(|_| ()).unwrap_err();
}

/// Both directions are full, and neither side reads before it has written: nobody hangs, and nothing grows without end.
#[tokio::test]
async fn both_directions_full_against_openssh() {
    const BYTES: usize = 24 << 20;
    let site = Site::new();
    let mut listener = site.listen().await;
    let port = listener.local_address().port();
    let mut ssh = site.ssh("mynah", port, &["-s"]);
    let mut ssh = ssh.arg("mynah").spawn().unwrap();
    let mut far = accept(&mut listener).await.unwrap().connection;
    let (mut stdin, mut stdout) = (ssh.stdin.take().unwrap(), ssh.stdout.take().unwrap());
    let piece = vec![1_u8; 1 << 20];
    let (mut read, mut write) = tokio::io::split(&mut far);
    let near_writes = async {
        for _ in 0..BYTES >> 20 {
            stdin.write_all(&piece).await.unwrap();
        }
        drop(stdin);
    };
    let far_writes = async {
        for _ in 0..BYTES >> 20 {
            write.write_all(&piece).await.unwrap();
        }
        write.shutdown().await.unwrap();
    };
    let near_reads = async {
        let mut sink = Vec::new();
        stdout.read_to_end(&mut sink).await.unwrap();
        sink.len()
    };
    let far_reads = async {
        let mut sink = Vec::new();
        read.read_to_end(&mut sink).await.unwrap();
        sink.len()
    };
    let all = async { tokio::join!(near_writes, far_writes, near_reads, far_reads) };
    let ((), (), near, far_len) = within(all).await;
    assert_eq!((near, far_len), (BYTES, BYTES));
    drop(far);
    let status = within(ssh.wait()).await.unwrap();
    assert_eq!(status.code(), Some(0));
}
