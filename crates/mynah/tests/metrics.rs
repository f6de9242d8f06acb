//! What is counted, as a recorder sees it. With the feature `metrics`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use futures::StreamExt as _;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use mynah::prelude::*;
use mynah::{Events, Lag, Limits, SlowThresholds};
use std::collections::BTreeMap;
use std::future::{Future, IntoFuture as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

#[mynah::service]
trait Counted {
    async fn add(&self, a: i64, b: i64) -> i64;
    async fn fails(&self) -> Result<(), RpcError>;
    async fn hangs(&self);
    async fn says(&self, cx: &Context);
    fn items(&self, count: u64) -> impl Stream<Item = u64> + Send;
    async fn tells(&self, told: Callback<u64>);
}

struct MyCounted;

impl Counted for MyCounted {
    async fn add(&self, a: i64, b: i64) -> i64 {
        a + b
    }

    async fn fails(&self) -> Result<(), RpcError> {
        Err(RpcError::new(ErrorCode::application(1), "no"))
    }

    async fn hangs(&self) {
        std::future::pending::<()>().await;
    }

    async fn says(&self, cx: &Context) {
        for number in 0..100 {
            cx.progress(&number);
        }
    }

    fn items(&self, count: u64) -> impl Stream<Item = u64> + Send {
        futures::stream::iter(0..count)
    }

    async fn tells(&self, told: Callback<u64>) {
        told.send(1).await.unwrap();
    }
}

/// What was counted since the last look: counters and gauges begin anew after each.
struct Counts(BTreeMap<String, f64>);

impl Counts {
    fn take(snapshotter: &Snapshotter) -> Self {
        let mut counts = BTreeMap::new();
        for (key, _, _, value) in snapshotter.snapshot().into_vec() {
            let mut labels: Vec<String> = key
                .key()
                .labels()
                .map(|label| format!("{}={}", label.key(), label.value()))
                .collect();
            labels.sort();
            let value = match value {
                DebugValue::Counter(count) => count as f64,
                DebugValue::Gauge(level) => level.into_inner(),
                DebugValue::Histogram(values) => values.len() as f64,
            };
            let name = format!("{}{{{}}}", key.key().name(), labels.join(","));
            counts.insert(name, value);
        }
        Self(counts)
    }

    fn of(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or(0.0)
    }
}

fn running(server: &mynah::ServerHandle) -> usize {
    let peers = server.peers();
    peers.iter().map(|peer| peer.stats().handlers_running).sum()
}

/// Lets other tasks run until it is so.
async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(10), "never: {what}");
        tokio::task::yield_now().await;
    }
}

/// A server in one thread with its client, and a recorder that sees both.
fn run<F: Future<Output = ()>>(
    limits: Limits,
    test: impl FnOnce(Peer, mynah::ServerHandle, Snapshotter, Events) -> F,
) {
    let slow = SlowThresholds::default().handler(Some(Duration::ZERO));
    run_with(limits, slow, test);
}

/// The same with thresholds of the server.
fn run_with<F: Future<Output = ()>>(
    limits: Limits,
    slow: SlowThresholds,
    test: impl FnOnce(Peer, mynah::ServerHandle, Snapshotter, Events) -> F,
) {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let events = Events::new();
        let server = Server::new()
            .register(CountedService::new(MyCounted))
            .events(events.clone())
            .limits(limits)
            .warn_slow(slow)
            .listen("tcp://127.0.0.1:0")
            .start()
            .await
            .unwrap();
        let peer = mynah::connect(server.address()).await.unwrap();
        test(peer, server, snapshotter, events).await;
    });
}

#[test]
fn calls_their_ends_and_their_bytes_are_counted() {
    run(
        Limits::default(),
        async |peer, server, snapshotter, _events| {
            let client: CountedClient = peer.client();
            assert_eq!(client.add(2, 3).await.unwrap(), 5);
            client.fails().await.unwrap_err();
            assert_eq!(client.items(7).start().count().await, 7);
            client.tells(|_number| {}).await.unwrap();
            let hangs = client.hangs().start();
            until("it runs", || running(&server) == 1).await;
            let counts = Counts::take(&snapshotter);
            for side in ["client", "server"] {
                assert_eq!(
                    counts.of(&format!("mynah_calls_in_flight{{side={side}}}")),
                    1.0
                );
                let started = |kind: &str, method: &str| {
                    counts.of(&format!(
                        "mynah_calls_started_total{{kind={kind},method={method},side={side}}}"
                    ))
                };
                assert_eq!(started("unary", "counted.add"), 1.0);
                assert_eq!(started("stream", "counted.items"), 1.0);
                assert_eq!(started("callback", "$callback"), 1.0);
                let ended = |kind: &str, method: &str, outcome: &str| {
                    counts.of(&format!(
                    "mynah_calls_ended_total{{kind={kind},method={method},outcome={outcome},side={side}}}"
                ))
                };
                assert_eq!(ended("unary", "counted.add", "ok"), 1.0);
                assert_eq!(ended("unary", "counted.fails", "error"), 1.0);
                assert_eq!(ended("unary", "counted.hangs", "cancelled"), 0.0);
                let items = format!("mynah_stream_items_total{{method=counted.items,side={side}}}");
                assert_eq!(counts.of(&items), 7.0);
                let durations = format!(
                    "mynah_call_duration_seconds{{kind=unary,method=counted.add,side={side}}}"
                );
                assert_eq!(counts.of(&durations), 1.0);
            }
            // Both ends are in this process.
            assert_eq!(counts.of("mynah_connections_open{}"), 2.0);
            assert!(counts.of("mynah_bytes_total{direction=in}") > 100.0);
            assert!(counts.of("mynah_bytes_total{direction=out}") > 100.0);
            assert!(counts.of("mynah_slow_handlers_total{method=counted.add}") >= 1.0);

            drop(hangs);
            until("nothing runs", || running(&server) == 0).await;
            peer.close();
            peer.closed().await;
            drop(peer);
            drop(client);
            until("the server's end is gone", || server.peers().is_empty()).await;
            let counts = Counts::take(&snapshotter);
            for side in ["client", "server"] {
                assert_eq!(
                    counts.of(&format!("mynah_calls_in_flight{{side={side}}}")),
                    -1.0
                );
                let cancelled = format!(
                    "mynah_calls_ended_total{{kind=unary,method=counted.hangs,outcome=cancelled,side={side}}}"
                );
                assert_eq!(counts.of(&cancelled), 1.0, "{side}");
            }
            assert_eq!(counts.of("mynah_connections_open{}"), -2.0);
        },
    );
}

#[test]
fn refusals_and_what_is_lost_are_counted() {
    let mut limits = Limits::default();
    limits.calls_in_flight = 1;
    run(limits, async |peer, server, snapshotter, events| {
        let client: CountedClient = peer.client();
        let hangs = client.hangs().start();
        until("it runs", || running(&server) == 1).await;
        client.add(1, 1).await.unwrap_err();
        assert_eq!(Counts::take(&snapshotter).of("mynah_busy_total{}"), 1.0);
        drop(hangs);
        until("its permit is home", || {
            server
                .peers()
                .iter()
                .all(|peer| peer.stats().permits_taken == 0)
        })
        .await;

        let mut news = peer
            .subscribe::<u64>("news")
            .lag(Lag::Latest)
            .into_future()
            .await
            .unwrap();
        let mut lost = 0;
        for number in 0..50u64 {
            lost += events.publish("news", &number).await.unwrap().dropped;
        }
        assert!(lost > 0);
        news.next().await.unwrap().unwrap();
        let counts = Counts::take(&snapshotter);
        assert_eq!(counts.of("mynah_dropped_total{what=event}"), lost as f64);
    });
}

/// Only those of handlers that are at or above the threshold.
#[test]
fn slow_polls_are_counted() {
    for (threshold, slow) in [(Some(Duration::ZERO), true), (None, false)] {
        let thresholds = SlowThresholds::off().poll(threshold);
        run_with(
            Limits::default(),
            thresholds,
            async |peer, _server, snapshotter, _events| {
                let client: CountedClient = peer.client();
                for _ in 0..3 {
                    assert_eq!(client.add(2, 3).await.unwrap(), 5);
                }
                let counts = Counts::take(&snapshotter);
                // A handler that waits for nothing is polled once.
                assert_eq!(
                    counts.of("mynah_slow_polls_total{method=counted.add}"),
                    if slow { 3.0 } else { 0.0 }
                );
                assert_eq!(
                    counts.of("mynah_slow_handlers_total{method=counted.add}"),
                    0.0
                );
            },
        );
    }
}

/// On the side that says too much for its output, and on the one that takes too little.
#[test]
fn progress_that_is_lost_is_counted() {
    let ample = Limits::default().with_side_messages(1000);
    for (server, client) in [
        (ample.clone().with_output_high_water_bytes(100), &ample),
        (ample.clone(), &ample.clone().with_side_messages(10)),
        (ample.clone(), &ample),
    ] {
        let loses = server != ample || *client != ample;
        run(server, async |_peer, server, snapshotter, _events| {
            let peer = mynah::connector(server.address()).unwrap();
            let peer = peer.limits(client.clone()).connect().await.unwrap();
            let client: CountedClient = peer.client();
            let heard = Arc::new(AtomicU64::new(0));
            let hears = Arc::clone(&heard);
            let says = client.says().on_progress(move |_: u64| {
                hears.fetch_add(1, Ordering::Relaxed);
            });
            says.await.unwrap();
            let heard = heard.load(Ordering::Relaxed);
            assert_eq!(heard < 100, loses, "{heard}");
            let counts = Counts::take(&snapshotter);
            let lost = counts.of("mynah_dropped_total{what=side_message}");
            assert_eq!(lost, (100 - heard) as f64);
        });
    }
}

#[test]
fn a_message_that_ends_the_connection_is_counted() {
    run(
        Limits::default(),
        async |_peer, server, snapshotter, _events| {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            let address = server.address().strip_prefix("tcp://").unwrap();
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
            let mut heard = Vec::new();
            // The other end closes.
            drop(stream.read_to_end(&mut heard).await);
            let counts = Counts::take(&snapshotter);
            let failed: f64 = counts
                .0
                .iter()
                .filter(|(name, _)| name.starts_with("mynah_failed_frames_total"))
                .map(|(_, count)| count)
                .sum();
            assert_eq!(failed, 1.0);
        },
    );
}

#[test]
fn lines_that_are_skipped_are_counted_by_their_reason() {
    run(
        Limits::default(),
        async |_peer, _server, snapshotter, _events| {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            let server = Server::new()
                .listen("tcp://127.0.0.1:0?dialect=kollabor")
                .start()
                .await
                .unwrap();
            let address = server.address().strip_prefix("tcp://").unwrap();
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            let lines = "junk\n[]\n{}\n{\"action\": \"what\"}\n{\"action\": \"rpc_request\"}\n";
            stream.write_all(lines.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut heard = String::new();
            stream.read_to_string(&mut heard).await.unwrap();
            assert_eq!(heard.matches("rpc_reply").count(), 1, "{heard}");
            let counts = Counts::take(&snapshotter);
            let ignored =
                |reason| counts.of(&format!("mynah_ignored_messages_total{{reason={reason}}}"));
            assert_eq!(ignored("line is no object"), 2.0);
            assert_eq!(ignored("line has no action"), 1.0);
            assert_eq!(ignored("action is unknown"), 1.0);
            assert_eq!(ignored("request has no id"), 1.0);
        },
    );
}

#[test]
fn notifications_that_come_to_nothing_are_counted() {
    /// The service as somebody calls it who knows no better.
    #[mynah::service(name = "counted")]
    trait Wrong {
        #[notification]
        async fn add(&self, a: String);
        #[notification]
        async fn nothing(&self);
    }

    run(
        Limits::default(),
        |peer, server, snapshotter, _events| async move {
            let _server = server;
            let (wrong, right): (WrongClient, CountedClient) = (peer.client(), peer.client());
            for _ in 0..3 {
                wrong.add("one".to_owned()).await.unwrap();
            }
            wrong.nothing().await.unwrap();
            assert_eq!(right.add(1, 2).await.unwrap(), 3);
            let counts = Counts::take(&snapshotter);
            let dropped = counts.of("mynah_dropped_total{what=notification}");
            assert_eq!(
                dropped, 4.0,
                "three with wrong params, and one that nobody has"
            );
        },
    );
}
