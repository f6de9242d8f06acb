//! Two ends of russh in one process, over a pipe that is far smaller than their windows.

use super::*;
use crate::elastic::{Elastic, WRITE_CAP_BYTES};
use russh::Channel;
use russh::client::{self, connect_stream};
use russh::keys::{Algorithm, PrivateKey, PublicKeyOrCertificate};
use russh::server::{self, Auth, run_stream};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, split};
use tokio::sync::mpsc;

const PIPE_BYTES: usize = 4 << 10;

/// What has not happened by then hangs.
const HANGS: Duration = Duration::from_secs(60);

struct Client;

impl client::Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        _key: &PublicKeyOrCertificate,
    ) -> Result<bool, russh::Error> {
        Ok(true)
    }
}

struct Server(mpsc::Sender<Channel<server::Msg>>);

impl server::Handler for Server {
    type Error = russh::Error;

    async fn auth_none(&mut self, _user: &str) -> Result<Auth, russh::Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<server::Msg>,
        reply: server::ChannelOpenHandle,
        _session: &mut server::Session,
    ) -> Result<(), russh::Error> {
        reply.accept().await;
        self.0.send(channel).await.unwrap();
        Ok(())
    }
}

/// Both ends of a channel, and what keeps them alive.
struct Pair {
    near: Duplex,
    near_state: Arc<State>,
    far: Duplex,
    far_state: Arc<State>,
    _session: client::Handle<Client>,
}

async fn pair() -> Pair {
    let (near, far) = tokio::io::duplex(PIPE_BYTES);
    let (read, write) = split(near);
    let (near, near_control) = Elastic::new(read, write, WRITE_CAP_BYTES);
    let (read, write) = split(far);
    let (far, far_control) = Elastic::new(read, write, WRITE_CAP_BYTES);
    let key = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519);
    let config = server::Config {
        keys: vec![key.unwrap()],
        ..server::Config::default()
    };
    let (opened, mut opens) = mpsc::channel(1);
    let running = tokio::spawn(run_stream(Arc::new(config), far, Server(opened)));
    let config = Arc::new(client::Config::default());
    let mut session = connect_stream(config, near, Client).await.unwrap();
    drop(running.await.unwrap().unwrap());
    assert!(session.authenticate_none("me").await.unwrap().success());
    let channel = session.channel_open_session().await.unwrap();
    let (read, write) = channel.split();
    let (near, near_state) = duplex(read, Arc::new(write), near_control, Eof::HalfClose, || None);
    let (read, write) = opens.recv().await.unwrap().split();
    let (far, far_state) = duplex(read, Arc::new(write), far_control, Eof::HalfClose, || None);
    Pair {
        near,
        near_state,
        far,
        far_state,
        _session: session,
    }
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    let future = tokio::time::timeout(HANGS, future);
    future.await.expect("it hangs")
}

fn pattern(bytes: usize, seed: u8) -> Vec<u8> {
    (0..bytes)
        .map(|at| u8::try_from(at % 251).unwrap() ^ seed)
        .collect()
}

/// The first of the two ways to hang: both loops await a socket that is full, and neither reads.
#[tokio::test]
async fn both_directions_are_full() {
    const BYTES: usize = 8 << 20;
    let pair = in_time(pair()).await;
    let (there, back) = (pattern(BYTES, 1), pattern(BYTES, 2));
    let (mut near_read, mut near_write) = split(pair.near);
    let (mut far_read, mut far_write) = split(pair.far);
    let (mut at_near, mut at_far) = (vec![0; BYTES], vec![0; BYTES]);
    in_time(async {
        tokio::try_join!(
            near_write.write_all(&there),
            far_write.write_all(&back),
            near_read.read_exact(&mut at_near),
            far_read.read_exact(&mut at_far),
        )
    })
    .await
    .unwrap();
    assert!(at_near == back && at_far == there);
    // What waited for the pipe stayed near what is handed over, though windows are 2 MiB.
    for state in [&pair.near_state, &pair.far_state] {
        let most = state.control().high_water();
        assert!(most <= HAND_OVER_BYTES + (512 << 10), "{most}");
    }
}

/// The second: a program that wants to get rid of a write before it reads on, on both sides.
#[tokio::test]
async fn each_side_writes_before_it_reads() {
    const BYTES: usize = 8 << 20;
    let pair = in_time(pair()).await;
    let one_side = |mut end: Duplex, say: Vec<u8>, bytes: usize| async move {
        end.write_all(&say).await?;
        let mut heard = vec![0; bytes];
        end.read_exact(&mut heard).await?;
        std::io::Result::Ok((end, heard))
    };
    let (there, back) = (pattern(BYTES, 1), pattern(BYTES, 2));
    let (near, far) = in_time(async {
        tokio::try_join!(
            one_side(pair.near, there.clone(), BYTES),
            one_side(pair.far, back.clone(), BYTES),
        )
    })
    .await
    .unwrap();
    assert!(near.1 == back && far.1 == there);
}

/// One side echoes, the other writes and does not read until it is rid of all.
#[tokio::test]
async fn an_echo_in_series() {
    const BYTES: usize = 16 << 20;
    let pair = in_time(pair()).await;
    let say = pattern(BYTES, 3);
    let (mut read, mut write) = split(pair.far);
    let echo = tokio::spawn(async move { tokio::io::copy(&mut read, &mut write).await });
    let mut near = pair.near;
    let mut heard = vec![0; BYTES];
    in_time(async {
        near.write_all(&say).await.unwrap();
        near.read_exact(&mut heard).await.unwrap();
    })
    .await;
    assert!(heard == say);
    drop(near);
    // In order, or because nobody hears it.
    drop(in_time(echo).await.unwrap());
}

/// A side that never reads what comes back is told, and does not take all memory.
#[tokio::test]
async fn whoever_never_reads_is_told() {
    let pair = in_time(pair()).await;
    let (mut read, mut write) = split(pair.far);
    let echo = tokio::spawn(async move { tokio::io::copy(&mut read, &mut write).await });
    let mut near = pair.near;
    let piece = vec![0; 1 << 20];
    let error = in_time(async {
        loop {
            if let Err(error) = near.write_all(&piece).await {
                return error;
            }
        }
    })
    .await;
    assert!(error.to_string().contains("wait to be read"), "{error}");
    drop(echo);
}

/// A side that does not read holds up the other one, and not itself.
#[tokio::test]
async fn a_side_that_does_not_read() {
    const MOST: usize = 64 << 20;
    let pair = in_time(pair()).await;
    let (mut near, mut far) = (pair.near, pair.far);
    let piece = pattern(64 << 10, 4);
    let mut written = 0;
    // Until it is held up: nothing is taken any more, for however long one looks.
    while let Ok(done) = tokio::time::timeout(Duration::from_secs(1), far.write_all(&piece)).await {
        done.unwrap();
        written += piece.len();
        assert!(written < MOST, "nothing holds the writer up");
    }
    // The other direction is free all the same.
    let say = pattern(1 << 20, 5);
    let mut heard = vec![0; say.len()];
    in_time(async { tokio::try_join!(near.write_all(&say), far.read_exact(&mut heard)) })
        .await
        .unwrap();
    assert!(heard == say);
    // What was held up arrives.
    let mut all = vec![0; written];
    in_time(near.read_exact(&mut all)).await.unwrap();
    let whole = all.chunks(piece.len()).all(|chunk| chunk == piece);
    assert!(whole);
}

#[tokio::test]
async fn the_end_of_one_side_and_of_both() {
    let pair = in_time(pair()).await;
    let (mut near, mut far) = (pair.near, pair.far);
    near.write_all(b"last words").await.unwrap();
    near.shutdown().await.unwrap();
    let mut all = Vec::new();
    in_time(far.read_to_end(&mut all)).await.unwrap();
    assert_eq!(all, b"last words");
    far.write_all(b"an answer").await.unwrap();
    far.shutdown().await.unwrap();
    let mut all = Vec::new();
    in_time(near.read_to_end(&mut all)).await.unwrap();
    assert_eq!(all, b"an answer");
    assert!(near.write_all(b"more").await.is_err());
    assert!(!pair.near_state.was_cut() && !pair.far_state.was_cut());
}

/// Chunks of one byte cost more than their bytes, and all of it is given back.
#[tokio::test]
async fn small_chunks_are_charged_for() {
    let (near, _far) = tokio::io::duplex(PIPE_BYTES);
    let (read, write) = split(near);
    let (_elastic, control) = Elastic::new(read, write, WRITE_CAP_BYTES);
    let state = Arc::new(State::new(control, Eof::HalfClose, Box::new(|| None)));
    let mut stream = Duplex::new(Arc::clone(&state));
    const CHUNKS: usize = READ_SOFT_BYTES / 100;
    for _round in 0..3 {
        assert_eq!(state.waiting(), (0, false));
        for _ in 0..CHUNKS {
            state.arrived(bytes::Bytes::from_static(b"x"));
        }
        assert_eq!(state.waiting(), (CHUNKS * (1 + state::CHUNK_BYTES), true));
        let mut heard = [0; CHUNKS];
        in_time(stream.read_exact(&mut heard)).await.unwrap();
        assert_eq!(state.waiting(), (0, false));
    }
    state.arrived(bytes::Bytes::from_static(b"xyz"));
    let mut one = [0];
    in_time(stream.read_exact(&mut one)).await.unwrap();
    assert_eq!(state.waiting(), (2 + state::CHUNK_BYTES, false));
    // Nobody reads, and the writer waits: the end comes by what it costs.
    state.set_blocked(true);
    for _ in 0..READ_HARD_BYTES / state::CHUNK_BYTES {
        state.arrived(bytes::Bytes::from_static(b"x"));
    }
    let (_, why) = state.control().ended().unwrap();
    assert!(why.contains("wait to be read"), "{why}");
}
