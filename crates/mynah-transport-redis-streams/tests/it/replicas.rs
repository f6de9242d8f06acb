//! Fewer replicas than are to be waited for: what is said then, and that it passes by itself.

use crate::fleet::{ArithClient, redis, serve, settled, until, within};
use mynah::prelude::*;
use mynah::{CallError, CloseReason, RpcError};
use mynah_testkit::redis::{RedisSentinel, RedisServer};
use mynah_transport_redis_streams::{
    Effect, EffectReply, OperationError, Operations, RedisListener, RedisOptions,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// An effect that counts, and so shows whether it happened twice.
#[mynah::service(name = "shop")]
trait Shop {
    /// Takes one from the stock; what is left.
    async fn take(&self, cx: &Context, item: String) -> Result<i64, RpcError>;
}

#[derive(Clone)]
struct MyShop {
    operations: Operations,
    /// Answers of the store that said nothing.
    unknown: Arc<AtomicUsize>,
}

impl Shop for MyShop {
    async fn take(&self, cx: &Context, item: String) -> Result<i64, RpcError> {
        let operation = cx.operation_id().unwrap_or_default();
        loop {
            let effect = Effect::new().command(["DECR", &format!("stock:{item}")]);
            match self.operations.once("shop.take", operation, effect).await {
                Ok(committed) => {
                    let left = committed.replies.first().and_then(EffectReply::as_integer);
                    return left
                        .ok_or_else(|| RpcError::new(ErrorCode::application(1), "no number"));
                }
                Err(OperationError::Unknown(_)) => {
                    self.unknown.fetch_add(1, Ordering::SeqCst);
                }
                Err(other) => {
                    return Err(RpcError::new(ErrorCode::application(1), other.to_string()));
                }
            }
        }
    }
}

fn options(primary: &RedisServer) -> RedisOptions {
    let mut options = RedisOptions::new(primary.url())
        .with_prefix("app")
        .with_wait_replicas(1);
    options.wait_timeout = Duration::from_millis(100);
    options
}

const WAIT: &str = "wait=1&wait_timeout=100ms";

/// A pair, its primary and its replica.
async fn pair() -> (RedisSentinel, usize, usize) {
    let pair = RedisSentinel::start().await.unwrap();
    let primary = pair.primary().await.unwrap();
    (pair, primary, 1 - primary)
}

/// How often Redis was asked to wait for replicas.
async fn waits(redis: &RedisServer) -> u64 {
    let stats = redis.command(&["INFO", "commandstats"]).await.unwrap();
    let stats = stats.as_text().unwrap().to_owned();
    let line = stats
        .lines()
        .find_map(|line| line.strip_prefix("cmdstat_wait:calls="));
    line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
}

#[tokio::test]
async fn calls_and_outcomes_are_answered_all_the_same() {
    let (mut pair, primary, replica) = pair().await;
    let redis = &pair.servers()[primary];
    let (server, state) = serve(redis, WAIT).await;
    let arith: ArithClient = crate::fleet::connect(redis, WAIT).await;
    assert_eq!(within(arith.add(1, 1)).await.unwrap(), 2);
    pair.servers_mut()[replica].kill().await.unwrap();
    let redis = &pair.servers()[primary];
    let before = waits(redis).await;
    // An answer is a better receipt than what the replicas have.
    assert_eq!(within(arith.add(1, 2)).await.unwrap(), 3);
    let sealed = || arith.add(2, 2).operation_id("op-1");
    assert_eq!(within(sealed()).await.unwrap(), 4);
    assert_eq!(within(sealed()).await.unwrap(), 4);
    assert_eq!(state.runs(), 3, "the outcome was sealed");
    // One for each batch of calls, and one for the outcome.
    assert!(waits(redis).await >= before + 4);
    // Without an answer nothing is known.
    let call = arith.wait("x".into()).deadline(Duration::from_secs(1));
    let error = within(call).await.unwrap_err();
    assert!(
        matches!(&error, CallError::Indeterminate(CloseReason::TimedOut(_))),
        "{error:?}"
    );
    pair.servers_mut()[replica].restart().await.unwrap();
    assert_eq!(pair.settled().await.unwrap(), primary);
    // Now that there is a replica, a call that is not answered was written, and says so.
    until(async || {
        let call = arith.wait("y".into()).deadline(Duration::from_millis(500));
        matches!(within(call).await, Err(CallError::Deadline))
    })
    .await;
    let runs = state.runs();
    assert_eq!(within(sealed()).await.unwrap(), 4);
    assert_eq!(state.runs(), runs, "the outcome is still there");
    let redis = &pair.servers()[primary];
    settled(redis).await;
    drop(server);
}

#[tokio::test]
async fn an_effect_is_unknown_until_a_replica_has_it_and_happens_once() {
    let (mut pair, primary, replica) = pair().await;
    let redis = &pair.servers()[primary];
    redis.command(&["SET", "stock:bread", "10"]).await.unwrap();
    let shop = MyShop {
        operations: Operations::connect(options(redis)).await.unwrap(),
        unknown: Arc::default(),
    };
    let unknown = Arc::clone(&shop.unknown);
    let listener = RedisListener::bind(options(redis)).await.unwrap();
    let server = Server::new()
        .register(ShopService::new(shop))
        .listen_on_transport(listener)
        .start()
        .await
        .unwrap();
    let url = format!("{}?prefix=app&{WAIT}", redis.url());
    let client: ShopClient = mynah::connect(&url).await.unwrap().client();
    let take = |operation: &'static str| client.take("bread".into()).operation_id(operation);
    assert_eq!(within(take("op-1")).await.unwrap(), 9);
    pair.servers_mut()[replica].kill().await.unwrap();
    // It is tried as long as its caller waits, and no longer.
    let error = within(take("op-2").deadline(Duration::from_secs(1)))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, CallError::Indeterminate(CloseReason::TimedOut(_))),
        "{error:?}"
    );
    assert!(unknown.load(Ordering::SeqCst) > 0);
    // What was committed is not made undone, and not committed again.
    let stock = async |pair: &RedisSentinel| {
        let stock = pair.servers()[primary].command(&["GET", "stock:bread"]);
        stock.await.unwrap().as_integer()
    };
    assert_eq!(stock(&pair).await, Some(8));
    // One that waits when the replica comes back is answered.
    let waits = client
        .take("bread".into())
        .operation_id("op-3")
        .deadline(Duration::from_secs(60))
        .start();
    let seen = unknown.load(Ordering::SeqCst);
    until(async || unknown.load(Ordering::SeqCst) > seen).await;
    pair.servers_mut()[replica].restart().await.unwrap();
    assert_eq!(within(waits).await.unwrap(), 7);
    assert_eq!(within(take("op-2")).await.unwrap(), 8, "what it came to");
    assert_eq!(stock(&pair).await, Some(7));
    drop(server);
}

/// Redis answers nothing on a connection while it waits: effects that each had it wait would wait for one another.
#[tokio::test]
async fn effects_wait_for_replicas_together() {
    let (mut pair, primary, replica) = pair().await;
    let operations = Operations::connect(options(&pair.servers()[primary]));
    let operations = operations.await.unwrap();
    let all = async |name: &str| {
        let all = (0..200).map(|number| {
            let operations = operations.clone();
            let operation = format!("{name}-{number}");
            async move {
                let effect = Effect::new().command(["INCR", "app:stock"]);
                operations.once("test", &operation, effect).await
            }
        });
        within(futures::future::join_all(all)).await
    };
    assert!(all("a").await.iter().all(Result::is_ok));
    pair.servers_mut()[replica].kill().await.unwrap();
    let before = waits(&pair.servers()[primary]).await;
    for ended in all("b").await {
        assert!(
            matches!(ended, Err(OperationError::Unknown(_))),
            "{ended:?}"
        );
    }
    let asked = waits(&pair.servers()[primary]).await - before;
    assert!((1..=20).contains(&asked), "{asked} times for 200 effects");
    pair.servers_mut()[replica].restart().await.unwrap();
    pair.settled().await.unwrap();
    // The same operations are asked for again.
    for ended in all("b").await {
        assert!(!ended.unwrap().now);
    }
    let stock = pair.servers()[primary].command(&["GET", "app:stock"]);
    assert_eq!(stock.await.unwrap().as_integer(), Some(400));
}

#[tokio::test]
async fn waiting_for_ever_or_for_longer_than_for_an_answer_is_refused() {
    let redis = redis().await;
    for wrong in [Duration::ZERO, Duration::from_secs(15)] {
        let mut options = options(&redis);
        options.wait_timeout = wrong;
        let refused = RedisListener::bind(options.clone()).await.err().unwrap();
        assert!(refused.to_string().contains("wait_timeout"), "{refused}");
        let refused = Operations::connect(options.clone()).await.unwrap_err();
        assert!(refused.to_string().contains("wait_timeout"), "{refused}");
        // Nobody is waited for.
        let listener = RedisListener::bind(options.with_wait_replicas(0)).await;
        drop(listener.unwrap());
    }
}
