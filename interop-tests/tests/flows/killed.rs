//! Calls with streams and callbacks whose server process is killed or frozen in their midst.

use super::{SILENCE, program, until, within};
use futures::stream::{self, StreamExt as _};
use interop_tests::chaos::{NodeProcess, options};
use interop_tests::fleet::{FleetClient, dial};
use interop_tests::flow::FlowClient;
use mynah::redis_streams::servers;
use mynah::{CallError, CloseReason, EndReason, RpcError, Streaming};
use mynah_testkit::redis::RedisServer;
use rustix::process::Signal;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

async fn start(redis: &RedisServer, instance: &str) -> NodeProcess {
    NodeProcess::start_with(program(), &redis.url(), instance, &["app", "100", "flow"]).await
}

/// Calls of one client that a server has, and that go on for as long as it does.
struct Under {
    results: Streaming<u64, RpcError>,
    input: JoinHandle<Result<u64, CallError<RpcError>>>,
    callback: JoinHandle<Result<u64, CallError<RpcError>>>,
    asked: Arc<AtomicU64>,
}

impl Under {
    async fn begin(flow: &FlowClient) -> Self {
        let mut results = flow.count(u64::MAX, 0).start();
        assert_eq!(results.next().await.unwrap().unwrap(), 0);
        let sent = Arc::new(AtomicU64::new(0));
        let sends = Arc::clone(&sent);
        let numbers = stream::iter(0..u64::MAX).then(move |number| {
            sends.store(number, Ordering::SeqCst);
            let pause = Duration::from_millis(u64::from(number > 100));
            async move {
                tokio::time::sleep(pause).await;
                number
            }
        });
        let input = flow.sum(numbers).no_deadline().start();
        let asked = Arc::new(AtomicU64::new(0));
        let asks = Arc::clone(&asked);
        let callback = flow
            .ask(u64::MAX, move |number| {
                asks.fetch_add(1, Ordering::SeqCst);
                async move {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    Ok(number)
                }
            })
            .no_deadline()
            .start();
        let under = Self {
            results,
            input: tokio::spawn(input),
            callback: tokio::spawn(callback),
            asked,
        };
        until(async || sent.load(Ordering::SeqCst) > 200).await;
        until(async || under.asked.load(Ordering::SeqCst) > 100).await;
        under
    }

    /// All three end, each with its typed error.
    async fn end(self) {
        let Self {
            mut results,
            input,
            callback,
            ..
        } = self;
        let mut last = 0;
        let error = loop {
            match within(SILENCE, results.next())
                .await
                .expect("not as if it were whole")
            {
                Ok(number) => {
                    assert_eq!(number, last + 1, "an item is missing");
                    last = number;
                }
                Err(error) => break error,
            }
        };
        is_gone(&error);
        assert_eq!(results.end_reason(), Some(&EndReason::PeerGone));
        for call in [input, callback] {
            is_gone(&within(SILENCE, call).await.unwrap().unwrap_err());
        }
    }
}

fn is_gone(error: &CallError<RpcError>) {
    let gone = matches!(error, CallError::Indeterminate(CloseReason::PeerGone));
    assert!(gone, "{error:?}");
}

/// Plain calls and a stream of the same client go on.
async fn lives_on(fleet: &FleetClient, other: &mut Streaming<u64, RpcError>, last: &mut u64) {
    for _ in 0..20 {
        let number = within(SILENCE, other.next()).await.unwrap().unwrap();
        assert_eq!(number, *last + 1);
        *last = number;
    }
    let marked = fleet.mark("x".to_owned(), 0).deadline(SILENCE).await;
    assert_eq!(marked.unwrap().by, "node-2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_r4_a_server_that_is_killed_in_the_midst_ends_its_streams_and_no_others() {
    let redis = RedisServer::start().await.unwrap();
    let doomed = start(&redis, "node-1").await;
    let peer = dial(options(&redis.url())).await.unwrap();
    let (flow, fleet): (FlowClient, FleetClient) = (peer.client(), peer.client());
    let under = Under::begin(&flow).await;
    let _other = start(&redis, "node-2").await;
    let mut other = on(&flow, &redis, "node-2").await;
    let mut last = 0;
    doomed.kill().await;
    // It counts as alive for seconds still: what it is given then is taken back, and given to the other.
    for _ in 0..4 {
        let late = dial(options(&redis.url())).await.unwrap();
        let flow: FlowClient = late.client();
        let sums = (0..5).map(|_| flow.sum(stream::iter([1, 2, 3u64])).deadline(SILENCE));
        for sum in sums.map(IntoFuture::into_future).collect::<Vec<_>>() {
            assert_eq!(within(SILENCE, sum).await.unwrap(), 6);
        }
        late.close();
    }
    under.end().await;
    lives_on(&fleet, &mut other, &mut last).await;
    // Who is gone is not chosen any more.
    for _ in 0..20 {
        let sum = flow.sum(stream::iter([1, 2, 3u64])).deadline(SILENCE);
        assert_eq!(within(SILENCE, sum).await.unwrap(), 6);
    }
    lives_on(&fleet, &mut other, &mut last).await;
    drop(other);
    peer.close();
    // What is left of it goes.
    until(async || {
        let keys = redis.command(&["KEYS", "app:*:node-1"]).await.unwrap();
        keys.items().is_empty()
    })
    .await;
    // A server may still answer what its client has cancelled: that is not kept for ever.
    let replies = redis.command(&["KEYS", "app:replies:*"]).await.unwrap();
    for key in replies.texts() {
        let left = redis.command(&["PTTL", key]).await.unwrap();
        assert_ne!(left.as_integer(), Some(-1), "{key}");
    }
    until(async || {
        let known = ["ZSCORE", "app:servers:fleet-flow", "node-1"];
        let known = redis.command(&known).await.unwrap();
        let consumers = ["XINFO", "CONSUMERS", "app:cmds:fleet-flow", "fleet-flow"];
        let consumers = redis.command(&consumers).await.unwrap();
        let names = consumers
            .items()
            .iter()
            .filter_map(|one| one.field("name")?.as_text());
        known.as_text().is_none() && names.into_iter().all(|name| name == "fleet-flow:node-2")
    })
    .await;
}

/// A stream of this server: the others are ended again.
async fn on(flow: &FlowClient, redis: &RedisServer, instance: &str) -> Streaming<u64, RpcError> {
    let load = async || {
        let found = servers(&options(&redis.url()), "fleet-flow").await.unwrap();
        found
            .iter()
            .find(|one| one.instance == instance)
            .map_or(0, |one| one.running)
    };
    loop {
        let mut items = flow.count(u64::MAX, 5).start();
        assert_eq!(within(SILENCE, items.next()).await.unwrap().unwrap(), 0);
        // It says so every few seconds.
        let has = async {
            while load().await == 0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(5), has)
            .await
            .is_ok()
        {
            return items;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_r4_a_server_that_is_frozen_in_the_midst_ends_its_streams_and_comes_back() {
    let redis = RedisServer::start().await.unwrap();
    let frozen = start(&redis, "node-1").await;
    let peer = dial(options(&redis.url())).await.unwrap();
    let (flow, fleet): (FlowClient, FleetClient) = (peer.client(), peer.client());
    let under = Under::begin(&flow).await;
    let other_node = start(&redis, "node-2").await;
    let mut other = on(&flow, &redis, "node-2").await;
    let mut last = 0;
    frozen.signal(Signal::STOP);
    under.end().await;
    lives_on(&fleet, &mut other, &mut last).await;
    let who = within(SILENCE, flow.who().deadline(SILENCE)).await.unwrap();
    assert_eq!(who, "node-2");
    let sum = flow.sum(stream::iter([1, 2, 3u64])).deadline(SILENCE);
    assert_eq!(within(SILENCE, sum).await.unwrap(), 6);
    frozen.signal(Signal::CONT);
    // It learns that nobody waits for its streams any more, and serves again.
    until(async || {
        let found = servers(&options(&redis.url()), "fleet-flow").await.unwrap();
        found
            .iter()
            .any(|one| one.instance == "node-1" && one.running == 0)
    })
    .await;
    drop(other);
    other_node.kill().await;
    until(async || {
        let sum = flow
            .sum(stream::iter([1, 2, 3u64]))
            .deadline(Duration::from_secs(5));
        sum.await.is_ok_and(|sum| sum == 6)
    })
    .await;
    peer.close();
}
