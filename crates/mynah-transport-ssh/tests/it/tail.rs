//! The last of what was written reaches a peer that is slow.

use crate::support::{Site, accept, meet, user_key, within};
use mynah_protocol::{EvidenceKey, PeerEnd};
use mynah_transport_ssh::{SshOptions, StopTimes};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// Less than a window, so that all of it is handed over at once and what follows is the end; and more than half of one,
/// so that the peer asks for more in the midst of it.
const BYTES: usize = 1_300_000;

/// Which way a link is slow.
#[derive(Clone, Copy, PartialEq)]
enum Slow {
    FromServer,
    ToServer,
}

/// A link that passes on 200 KB in a second one way: all of it takes longer than a goodbye.
async fn slow_link(server: SocketAddr, slow: Slow) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (near, _) = listener.accept().await.unwrap();
        let far = TcpStream::connect(server).await.unwrap();
        let (near_read, near_write) = near.into_split();
        let (far_read, far_write) = far.into_split();
        tokio::spawn(pass(near_read, far_write, slow == Slow::ToServer));
        pass(far_read, near_write, slow == Slow::FromServer).await;
    });
    port
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, slowly: bool) {
    let mut buffer = vec![0; 32 << 10];
    let mut passed = 0;
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        passed += read;
        // The handshake may be fast.
        if slowly && passed > 64 << 10 {
            tokio::time::sleep(Duration::from_millis(read as u64 / 200)).await;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn the_tail_reaches_our_client_over_a_slow_link() {
    let site = Site::new();
    let mut listener = site.listen().await;
    let port = slow_link(listener.local_address(), Slow::FromServer).await;
    let dialer = site.dialer_as("mynah", &user_key(), port);
    let (mut near, mut far) = meet(&dialer, &mut listener).await;
    far.connection.write_all(&vec![7; BYTES]).await.unwrap();
    drop(far);
    let mut heard = Vec::new();
    let error = within(near.connection.read_to_end(&mut heard))
        .await
        .unwrap_err();
    assert_eq!(heard.len(), BYTES, "{error}");
    let end = PeerEnd::of(&error).expect("it ends in order").facts();
    assert_eq!(end.integer(EvidenceKey::EXIT_STATUS), Some(0));
}

#[tokio::test]
async fn the_tail_of_our_client_reaches_the_server_over_a_slow_link() {
    let site = Site::new();
    let mut listener = site.listen().await;
    let port = slow_link(listener.local_address(), Slow::ToServer).await;
    let times = StopTimes::default().with_after_eof(Duration::from_millis(500));
    let dialer = site
        .dialer_as("mynah", &user_key(), port)
        .options(SshOptions::default().with_stop(times));
    let (mut near, mut far) = meet(&dialer, &mut listener).await;
    near.connection.write_all(&vec![7; BYTES]).await.unwrap();
    drop(near);
    let mut heard = Vec::new();
    let ended = within(far.connection.read_to_end(&mut heard)).await;
    assert_eq!(heard.len(), BYTES, "{ended:?}");
    ended.unwrap();
}

#[tokio::test]
async fn the_tail_reaches_openssh_whose_reader_is_slow() {
    let site = Site::new();
    let mut listener = site.listen().await;
    let port = listener.local_address().port();
    let mut ssh = site.ssh("mynah", port, &["-s"]);
    let mut ssh = ssh.arg("mynah").spawn().unwrap();
    let mut far = accept(&mut listener).await.unwrap().connection;
    far.write_all(&vec![7; BYTES]).await.unwrap();
    drop(far);
    // Nobody reads for longer than a goodbye lasts.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let mut heard = Vec::new();
    let mut stdout = ssh.stdout.take().unwrap();
    within(stdout.read_to_end(&mut heard)).await.unwrap();
    assert_eq!(heard.len(), BYTES);
    assert_eq!(within(ssh.wait()).await.unwrap().code(), Some(0));
}
