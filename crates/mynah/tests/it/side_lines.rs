//! Lines that arrive beside a connection: handlers of them, floods of them, and transports that have no place for them.

use crate::support::*;
use futures::StreamExt as _;
use futures::stream;
use mynah::dialect::{Native, Side};
use mynah::prelude::*;
use mynah::protocol::SideLine;
use mynah::{Limits, Router};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Long for what happens at once, and shorter than any time-out that would wake a connection by itself.
const MOMENT: Duration = Duration::from_secs(5);

/// The handler's first poll is that in which it is started, and nothing else happens on the connection.
#[tokio::test]
async fn a_handler_that_a_line_started_goes_on_although_the_connection_is_silent() {
    let (near, far) = tokio::io::duplex(1 << 16);
    let silent = over(
        far,
        &Native::new(),
        Side::Accept,
        Router::new(),
        Limits::new(),
    );
    let (say, said) = mpsc::channel(1);
    let lines = stream::unfold(said, |mut said: mpsc::Receiver<SideLine>| async {
        Some((said.recv().await?, said))
    });
    let (started, mut starts) = mpsc::channel(1);
    let peer = Peer::over(near, &Native::new())
        .side_lines(lines)
        .on_log(move |_cx, line| {
            let started = started.clone();
            async move {
                let (go_on, wait) = oneshot::channel();
                started.send(go_on).await.unwrap();
                wait.await.unwrap();
                let (done, _) = oneshot::channel();
                assert_eq!(line.stderr(), Some("a line"));
                started.send(done).await.unwrap();
            }
        })
        .start()
        .unwrap();
    // Once it has settled down, the line is all that happens.
    settle().await;
    for _ in 0..3 {
        say.send(SideLine::new("a line")).await.unwrap();
        let go_on = within("the handler starts", starts.recv()).await.unwrap();
        settle().await;
        go_on.send(()).unwrap();
        within_time("the handler goes on", MOMENT, starts.recv())
            .await
            .unwrap();
        settle().await;
    }
    drop((peer, silent));
}

/// Ends an endless stream with the test, however that ends.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Both workers are there for others: neither the connection nor what is left of the lines takes one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_without_an_end_hold_up_neither_the_end_nor_other_tasks() {
    let stop = Stop(Arc::default());
    let mut peers = Vec::new();
    for _ in 0..4 {
        let (near, far) = tokio::io::duplex(1 << 16);
        let stopped = Arc::clone(&stop.0);
        let lines = stream::repeat_with(|| SideLine::new("y"));
        let lines = lines.take_while(move |_| {
            let more = !stopped.load(Ordering::SeqCst);
            std::future::ready(more)
        });
        let peer = Peer::over(near, &Native::new()).side_lines(lines);
        let peer = peer.start().unwrap();
        drop(far);
        within("the end", peer.closed()).await;
        peers.push(peer);
    }
    let other = tokio::spawn(tokio::task::yield_now());
    within("another task", other).await.unwrap();
}

/// What carries messages has no lines beside it; given some all the same, they are not lost.
#[tokio::test]
async fn beside_a_transport_of_messages_lines_are_taken_to_their_end() {
    let (near, _far) = mynah::memory::pair();
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&taken);
    let lines = stream::iter(["one", "two", "three"]).map(move |text| {
        counted.fetch_add(1, Ordering::SeqCst);
        SideLine::new(text)
    });
    let recorder = crate::spans::Recorder::default();
    let _guard = tracing::subscriber::set_default(recorder.clone());
    let peer = Peer::over_transport(near).side_lines(lines);
    let _peer = peer.start().unwrap();
    until("all are taken", || taken.load(Ordering::SeqCst) == 3).await;
    until("all are traced", || recorder.messages().len() == 3).await;
    assert_eq!(recorder.messages(), ["one", "two", "three"]);
}
