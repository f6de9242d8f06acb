//! While Redis is away, or takes connections and is silent: what waits has bounds, and whoever closes is done in time.

use crate::fleet::{self, connect, len, pending, redis, until, url, within};
use crate::sessions;
use futures::{StreamExt as _, stream};
use mynah::redis_streams::{RedisOptions, servers};
use mynah_testkit::redis::AppendOnly;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

/// Adds up what the log says was lost.
#[derive(Clone, Default)]
struct Lost(Arc<AtomicU64>);

impl Subscriber for Lost {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::WARN
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

impl Visit for Lost {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "lost" {
            self.0.fetch_add(value, Ordering::SeqCst);
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.record_u64(field, value.try_into().unwrap());
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

/// Of more than 2 MiB that a client emits while Redis is away the oldest go, and the log and readers hear how many. Calls have
/// their place.
#[tokio::test]
async fn what_is_emitted_while_redis_is_away_is_bounded_and_what_goes_is_told() {
    const MESSAGE: usize = 64 << 10;
    const MANY: u64 = 80;
    let mut redis = mynah_testkit::redis::RedisOptions::new()
        .with_append_only(AppendOnly::Always)
        .start()
        .await
        .unwrap();
    let (_server, _) = fleet::serve(&redis, "").await;
    let peer = mynah::connect(&url(&redis, "")).await.unwrap();
    let arith: fleet::ArithClient = peer.client();
    let other = mynah::connect(&url(&redis, "")).await.unwrap();
    let mut news = within(other.subscribe::<(u64, String)>("news"))
        .await
        .unwrap();
    assert_eq!(within(arith.add(1, 2)).await.unwrap(), 3);
    peer.emit("news", &(MANY, "x".repeat(MESSAGE))).unwrap();
    assert_eq!(within(news.next()).await.unwrap().unwrap().0, MANY);
    // What is answered behind it says that its writer knows that it was written.
    assert_eq!(within(arith.add(1, 2)).await.unwrap(), 3);
    redis.kill().await.unwrap();
    // From then on it knows that nothing can be written.
    until(async || {
        let call = arith.add(1, 2).deadline(Duration::from_millis(50)).await;
        matches!(call, Err(mynah::CallError::Disconnected(_)))
    })
    .await;
    let lost = Lost::default();
    let logged = tracing::subscriber::set_default(lost.clone());
    for number in 0..MANY {
        // The peer hands on what it can, and says so when it cannot.
        until(async || peer.emit("news", &(number, "x".repeat(MESSAGE))).is_ok()).await;
        tokio::task::yield_now().await;
    }
    let call = arith.add(2, 2).deadline(Duration::from_secs(60)).start();
    redis.restart().await.unwrap();
    let mut heard = Vec::new();
    while heard.last() != Some(&(MANY - 1)) {
        let (number, text) = within(news.next()).await.unwrap().unwrap();
        assert_eq!(text.len(), MESSAGE);
        heard.push(number);
    }
    drop(logged);
    let most = u64::try_from((2 << 20) / MESSAGE).unwrap();
    let count = heard.len() as u64;
    assert!((most / 2..=most).contains(&count), "{count}");
    // Those that were emitted last, without one missing.
    assert_eq!(heard, Vec::from_iter(MANY - count..MANY));
    assert_eq!(lost.0.load(Ordering::SeqCst), MANY - count);
    assert_eq!(news.dropped(), MANY - count, "readers are told as well");
    assert_eq!(within(call).await.unwrap(), 4);
}

/// Everything that a peer has open at once.
#[tokio::test]
async fn a_client_that_closes_while_redis_is_frozen_is_done_in_time() {
    let redis = redis().await;
    let (_server, _) = sessions::serve(&redis, "").await;
    let peer = mynah::connect(&url(&redis, "")).await.unwrap();
    let numbers: sessions::NumbersClient = peer.client();
    let mut items = numbers.count(u64::MAX).start();
    assert_eq!(within(items.next()).await.unwrap().unwrap(), 0);
    let mut news = within(peer.subscribe::<u64>("news")).await.unwrap();
    redis.freeze().unwrap();
    let call = numbers.steps(1).no_deadline().start();
    let sum = numbers.sum(stream::iter([1u64])).no_deadline().start();
    peer.emit("news", &1u64).unwrap();
    peer.close();
    drop(within(peer.closed()).await);
    assert!(within(call).await.is_err());
    assert!(within(sum).await.is_err());
    within(async {
        while let Some(item) = items.next().await {
            if item.is_err() {
                break;
            }
        }
    })
    .await;
    assert!(within(news.next()).await.is_none_or(|last| last.is_err()));
    redis.thaw().unwrap();
}

#[tokio::test]
async fn a_server_that_drains_or_stops_while_redis_is_frozen_is_done_in_time() {
    for grace in [Some(Duration::from_millis(200)), None] {
        let redis = redis().await;
        let (server, state) = fleet::serve(&redis, "instance=one").await;
        let (streams, _) = sessions::serve(&redis, "events=publish").await;
        let arith = connect(&redis, "").await;
        let numbers = sessions::connect(&redis, "").await;
        let call = arith.wait("x".into()).no_deadline().start();
        state.begun(1).await;
        let mut items = numbers.count(u64::MAX).start();
        assert_eq!(within(items.next()).await.unwrap().unwrap(), 0);
        redis.freeze().unwrap();
        if grace.is_none() {
            server.stop();
            streams.stop();
        }
        let grace = grace.unwrap_or(Duration::ZERO);
        // A bound for what is to happen, longer than for others: each of them tries for seconds to leave in order.
        let done = futures::future::join(server.drain(grace), streams.drain(grace));
        let done = tokio::time::timeout(Duration::from_secs(60), done).await;
        drop(done.expect("they end in time"));
        until(async || state.stopped.load(Ordering::SeqCst) == 1).await;
        redis.thaw().unwrap();
        // What could not be given back is another's once it may be taken over.
        let (_other, second) = fleet::serve(&redis, "claim_idle=300ms").await;
        second.begun(1).await;
        second.gate.add_permits(1);
        assert_eq!(within(call).await.unwrap(), "x");
        fleet::settled(&redis).await;
    }
}

/// A drain may take longer than the connections live that the server began with.
#[tokio::test]
async fn what_a_server_leaves_at_the_end_of_a_drain_goes_over_a_fresh_connection() {
    let redis = redis().await;
    let (server, state) = fleet::serve(&redis, "instance=one").await;
    let arith = connect(&redis, "").await;
    let call = arith.wait("x".into()).no_deadline().start();
    state.begun(1).await;
    let drain = tokio::spawn(async move { server.drain(Duration::from_secs(600)).await });
    let options = RedisOptions::new(redis.url()).with_prefix("app");
    until(async || servers(&options, "arith").await.unwrap()[0].draining).await;
    // All of them, again and again, up to where the last call ends.
    for _ in 0..3 {
        for kind in ["normal", "pubsub"] {
            let killed = ["CLIENT", "KILL", "TYPE", kind];
            redis.command(&killed).await.unwrap();
        }
    }
    state.gate.add_permits(1);
    assert_eq!(within(call).await.unwrap(), "x");
    let report = within(drain).await.unwrap();
    assert_eq!(report.calls_cut, 0);
    for key in ["app:inbox:one", "app:server:one"] {
        let exists = redis.command(&["EXISTS", key]).await.unwrap();
        assert_eq!(exists.as_integer(), Some(0), "{key}");
    }
    let consumers = ["XINFO", "CONSUMERS", "app:cmds:arith", "arith"];
    let consumers = redis.command(&consumers).await.unwrap();
    assert!(consumers.items().is_empty(), "{consumers:?}");
    let member = ["ZSCORE", "app:servers:arith", "one"];
    assert!(redis.command(&member).await.unwrap().as_text().is_none());
    assert_eq!(
        (len(&redis, "app:cmds:arith").await, pending(&redis).await),
        (0, 0)
    );
}
