//! What a peer that is let in may ask for without being charged: not for ever, and never at the cost of those who talk.

use crate::raw;
use crate::support::{Site, accept, within};
use mynah_transport_ssh::SshServerStream;
use russh::client::Config;
use russh::{ChannelMsg, Error};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Far more than may come that carry nothing.
const MANY: usize = 100_000;

#[tokio::test]
async fn requests_that_are_refused_have_an_end() {
    let site = Site::new();
    let mut listener = site.listen().await;
    let client = raw::subsystem(listener.local_address(), Config::default());
    let ((session, _channel), accepted) = tokio::join!(within(client), accept(&mut listener));
    let mut far = accepted.unwrap().connection;
    let asking = async {
        for answers in 0..MANY {
            match session.tcpip_forward("127.0.0.1", 0).await {
                Ok(_port) => panic!("it forwards"),
                Err(Error::RequestDenied) => {}
                Err(_cut_off) => return answers,
            }
        }
        panic!("never cut off");
    };
    let answers = within(asking).await;
    assert!(answers > 8, "{answers}");
    charged(&mut far).await;
}

#[tokio::test]
async fn questions_that_want_no_answer_have_an_end() {
    let site = Site::new();
    let mut listener = site.listen().await;
    let client = raw::subsystem(listener.local_address(), Config::default());
    let ((session, mut channel), accepted) = tokio::join!(within(client), accept(&mut listener));
    let mut far = accepted.unwrap().connection;
    let asking = async {
        for _ in 0..MANY {
            if session.send_keepalive(false).await.is_err() {
                return;
            }
        }
        // They may be on their way still.
        while channel.wait().await.is_some() {}
    };
    within(asking).await;
    charged(&mut far).await;
}

/// Waits for the end, which says why.
async fn charged(far: &mut SshServerStream) {
    let mut nothing = [0; 1];
    let error = within(far.read(&mut nothing)).await.unwrap_err();
    assert!(error.to_string().contains("carries nothing"), "{error}");
}

/// Pieces of one byte are many times their size on the way, and are data all the same, in either direction.
#[tokio::test]
async fn small_pieces_are_no_flood() {
    const PIECES: usize = 30_000;
    let site = Site::new();
    let mut listener = site.listen().await;
    let client = raw::subsystem(listener.local_address(), Config::default());
    let ((_session, mut channel), accepted) = tokio::join!(within(client), accept(&mut listener));
    let mut far = accepted.unwrap().connection;
    let write = channel.make_writer();
    tokio::pin!(write);
    let near = async {
        for _ in 0..PIECES {
            write.write_all(b"x").await.unwrap();
            write.flush().await.unwrap();
        }
    };
    let heard = async {
        let mut heard = 0;
        while heard < PIECES {
            match channel.wait().await.unwrap() {
                ChannelMsg::Data { data } => heard += data.len(),
                ChannelMsg::Success | ChannelMsg::WindowAdjusted { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    };
    let back = async {
        let mut buffer = [0; 64];
        let mut passed = 0;
        while passed < PIECES {
            let read = far.read(&mut buffer).await.unwrap();
            for byte in &buffer[..read] {
                far.write_all(std::slice::from_ref(byte)).await.unwrap();
            }
            passed += read;
        }
    };
    within(async { tokio::join!(near, heard, back) }).await;
}

/// A client that wants new keys all the time is slow, and no flood.
#[tokio::test]
async fn exchanges_of_keys_are_no_flood() {
    const BYTES: usize = 4 << 20;
    let site = Site::new();
    let mut listener = site.listen().await;
    let port = listener.local_address().port();
    let mut ssh = site.ssh("mynah", port, &["-o", "RekeyLimit=100K", "-s"]);
    let mut ssh = ssh.arg("mynah").spawn().unwrap();
    let mut far = accept(&mut listener).await.unwrap().connection;
    let (mut stdin, mut stdout) = (ssh.stdin.take().unwrap(), ssh.stdout.take().unwrap());
    let near = async {
        stdin.write_all(&vec![7; BYTES]).await.unwrap();
        drop(stdin);
    };
    let echo = async {
        let (mut read, mut write) = tokio::io::split(&mut far);
        tokio::io::copy(&mut read, &mut write).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let heard = async {
        let mut heard = Vec::new();
        stdout.read_to_end(&mut heard).await.unwrap();
        heard.len()
    };
    let all = async { tokio::join!(near, echo, heard) };
    let ((), (), heard) = within(all).await;
    assert_eq!(heard, BYTES);
    drop(far);
    assert_eq!(within(ssh.wait()).await.unwrap().code(), Some(0));
}

/// A channel that takes a byte at once makes packets of bytes: it is refused, and so is one that takes less than 1 KiB.
#[tokio::test]
async fn a_channel_that_takes_next_to_nothing_is_refused() {
    let site = Site::new();
    let mut listener = site.listen().await;
    let address = listener.local_address();
    for (packet, window) in [(1, 2 << 20), (1023, 2 << 20), (32_768, 1)] {
        let config = Config {
            maximum_packet_size: packet,
            window_size: window,
            ..Config::default()
        };
        let session = raw::log_in(address, config);
        let client = async {
            let session = session.await;
            let opened = session.channel_open_session().await;
            assert!(
                matches!(opened, Err(Error::ChannelOpenFailure(_))),
                "{packet} {window}: {opened:?}"
            );
        };
        let ((), accepted) = tokio::join!(within(client), accept(&mut listener));
        let logged = accepted.map(|_| ()).unwrap_err().chain();
        let why = format!("takes {} bytes at once, less than 1024", packet.min(window));
        assert!(logged.contains(&why), "{logged}");
    }
    // With the least that will do, all is as ever.
    let config = Config {
        maximum_packet_size: 1024,
        ..Config::default()
    };
    let client = raw::subsystem(address, config);
    let ((_session, mut channel), accepted) = tokio::join!(within(client), accept(&mut listener));
    let mut far = accepted.unwrap().connection;
    let bytes = 1 << 20;
    let near = async {
        let mut heard = 0;
        while heard < bytes {
            if let ChannelMsg::Data { data } = channel.wait().await.unwrap() {
                assert!(data.len() <= 1024, "{}", data.len());
                heard += data.len();
            }
        }
    };
    let sent = vec![7; bytes];
    let ((), written) = within(async { tokio::join!(near, far.write_all(&sent)) }).await;
    written.unwrap();
}
