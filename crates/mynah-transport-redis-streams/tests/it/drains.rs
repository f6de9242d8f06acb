//! A server that goes away in order: nobody is given to it any more, and nobody hears of it.

use crate::fleet::{self, redis, settled, until, within};
use crate::sessions::{connect, serve};
use futures::{StreamExt as _, stream};
use mynah::redis_streams::{RedisOptions, servers};
use mynah::{CallError, ErrorCode};
use std::sync::atomic::Ordering;
use std::time::Duration;

#[tokio::test]
async fn a_server_that_drains_says_so_at_once() {
    let redis = redis().await;
    let (server, state) = fleet::serve(&redis, "instance=one").await;
    let arith = fleet::connect(&redis, "").await;
    let call = arith.wait("x".into()).start();
    state.begun(1).await;
    let options = RedisOptions::new(redis.url()).with_prefix("app");
    let seen = async || servers(&options, "arith").await.unwrap();
    assert!(!seen().await[0].draining);
    let drain = tokio::spawn(async move { server.drain(Duration::from_secs(60)).await });
    until(async || seen().await[0].draining).await;
    // It is known still, and so is its consumer: nobody waits for an answer of it.
    until(async || {
        let call = arith.add(1, 2).deadline(Duration::from_secs(20));
        matches!(call.await, Err(CallError::Remote(error)) if error.code() == ErrorCode::NO_SERVERS)
    })
    .await;
    // Another one serves while it finishes.
    let (_other, _) = fleet::serve(&redis, "").await;
    let call_again = arith.add(1, 2).deadline(Duration::from_secs(20));
    assert_eq!(within(call_again).await.unwrap(), 3);
    assert_eq!(seen().await.iter().filter(|one| one.draining).count(), 1);
    state.gate.add_permits(1);
    assert_eq!(within(call).await.unwrap(), "x");
    drop(within(drain).await.unwrap());
    settled(&redis).await;
    let left = seen().await;
    assert!(
        left.iter()
            .all(|one| one.instance != "one" && !one.draining)
    );
}

#[tokio::test]
async fn calls_that_are_made_while_a_server_drains_are_given_to_another() {
    let redis = redis().await;
    let (_stays, _) = serve(&redis, "").await;
    let formats = ["", "format=cbor", "format=messagepack", ""];
    for (round, format) in (0..).zip(formats) {
        let (server, state) = serve(&redis, "").await;
        let numbers = connect(&redis, format).await;
        // Until the one that goes has a stream as well.
        let mut streams = Vec::new();
        while state.runs.load(Ordering::SeqCst) == 0 {
            let mut items = numbers.count(u64::MAX).start();
            let first = within(items.next()).await;
            assert_eq!(first.unwrap().unwrap(), 0);
            streams.push(items);
        }
        let grace = Duration::from_millis(100 * round);
        let mut drain = tokio::spawn(async move { server.drain(grace).await });
        let mut made = 0;
        let mut gone = false;
        while !gone || made < 50 {
            let sums = (0..20u64).map(|number| numbers.sum(stream::iter([number, 1])).start());
            for (number, sum) in (0..).zip(sums.collect::<Vec<_>>()) {
                assert_eq!(within(sum).await.unwrap(), number + 1u64, "round {round}");
                made += 1;
            }
            gone = gone
                || tokio::time::timeout(Duration::ZERO, &mut drain)
                    .await
                    .is_ok();
        }
    }
}
