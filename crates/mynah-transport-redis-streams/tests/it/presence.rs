//! Who serves what, and what clients make of it.

use crate::fleet::{ArithClient, connect, redis, serve, settled, until, within};
use mynah::redis_streams::{RedisOptions, servers};
use mynah::{CallError, ErrorCode};
use std::time::Duration;

/// A call that nobody would answer ends at once, long before its time.
async fn nobody_serves(arith: &ArithClient) {
    let call = arith.add(1, 2).deadline(Duration::from_secs(600));
    let error = within(call).await.unwrap_err();
    assert!(
        matches!(&error, CallError::Remote(error) if error.code() == ErrorCode::NO_SERVERS),
        "{error:?}"
    );
    assert!(error.is_retryable());
}

#[tokio::test]
async fn a_call_that_nobody_serves_ends_at_once() {
    let redis = redis().await;
    let arith = connect(&redis, "").await;
    nobody_serves(&arith).await;
    let (server, _state) = serve(&redis, "instance=one").await;
    assert_eq!(within(arith.add(1, 2)).await.unwrap(), 3);
    drop(within(server.drain(Duration::from_secs(5))).await);
    // What was seen is believed for a second.
    until(async || {
        let call = arith.add(1, 2).deadline(Duration::from_millis(200));
        matches!(call.await, Err(CallError::Remote(error)) if error.code() == ErrorCode::NO_SERVERS)
    })
    .await;
    nobody_serves(&arith).await;
}

#[tokio::test]
async fn servers_of_clamator_are_given_their_time() {
    let redis = redis().await;
    let stream = "app:cmds:arith";
    redis
        .command(&["XGROUP", "CREATE", stream, "arith", "$", "MKSTREAM"])
        .await
        .unwrap();
    let arith = connect(&redis, "").await;
    let call = arith.add(1, 2).deadline(Duration::from_millis(200));
    assert!(matches!(within(call).await, Err(CallError::Deadline)));
    // One of ours has served it since; there is a consumer that is none of ours.
    let (server, _state) = serve(&redis, "").await;
    within(arith.add(1, 2)).await.unwrap();
    redis
        .command(&["XGROUP", "CREATECONSUMER", stream, "arith", "arith:python"])
        .await
        .unwrap();
    drop(within(server.drain(Duration::from_secs(5))).await);
    let call = arith.add(1, 2).deadline(Duration::from_millis(1500));
    assert!(matches!(within(call).await, Err(CallError::Deadline)));
}

#[tokio::test]
async fn servers_say_who_they_are() {
    let redis = redis().await;
    let (server, state) = serve(&redis, "instance=one&concurrency=7").await;
    let options = RedisOptions::new(redis.url()).with_prefix("app");
    let found = servers(&options, "arith").await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].instance, "one");
    assert_eq!(found[0].version, mynah::redis_streams::VERSION);
    assert_eq!((found[0].running, found[0].concurrency), (0, 7));
    assert!(servers(&options, "other").await.unwrap().is_empty());
    let ttl = redis.command(&["PTTL", "app:server:one"]).await.unwrap();
    assert!(ttl.as_integer().unwrap() > 0);
    let arith = connect(&redis, "").await;
    let call = arith.wait("x".into()).start();
    state.begun(1).await;
    until(async || servers(&options, "arith").await.unwrap()[0].running == 1).await;
    state.gate.add_permits(1);
    within(call).await.unwrap();
    settled(&redis).await;
    drop(within(server.drain(Duration::from_secs(5))).await);
    assert!(servers(&options, "arith").await.unwrap().is_empty());
}

#[tokio::test]
async fn what_a_dead_instance_left_is_cleaned_up() {
    let redis = redis().await;
    let stream = "app:cmds:arith";
    redis
        .command(&["XGROUP", "CREATE", stream, "arith", "$", "MKSTREAM"])
        .await
        .unwrap();
    for consumer in ["arith:dead", "arith:python"] {
        redis
            .command(&["XGROUP", "CREATECONSUMER", stream, "arith", consumer])
            .await
            .unwrap();
    }
    redis
        .command(&["ZADD", "app:servers:arith", "1000", "dead", "0", "-"])
        .await
        .unwrap();
    let (_server, _state) = serve(&redis, "instance=alive").await;
    let known = async |key: &str| redis.command(&["ZSCORE", key, "dead"]).await.unwrap();
    until(async || known("app:servers:arith").await.as_text().is_none()).await;
    let consumers = redis
        .command(&["XINFO", "CONSUMERS", stream, "arith"])
        .await
        .unwrap();
    let names: Vec<_> = consumers
        .items()
        .iter()
        .filter_map(|one| one.field("name")?.as_text())
        .collect();
    assert!(
        !names.contains(&"arith:dead") && names.contains(&"arith:python"),
        "{names:?}"
    );
}

#[tokio::test]
async fn a_clock_that_was_set_back_keeps_no_dead_server_alive() {
    let redis = redis().await;
    // By the clock of then they would be alive for years.
    let far = [
        "ZADD",
        "app:servers:arith",
        "9999999999999",
        "dead",
        "0",
        "-",
    ];
    redis.command(&far).await.unwrap();
    let (_server, _state) = serve(&redis, "instance=alive").await;
    let until_of = async |instance: &str| {
        let score = ["ZSCORE", "app:servers:arith", instance];
        let score = redis.command(&score).await.unwrap();
        score.as_text().and_then(|score| score.parse::<f64>().ok())
    };
    until(async || until_of("dead").await.is_some_and(|score| score < 9e12)).await;
    let (dead, alive) = (until_of("dead").await, until_of("alive").await);
    assert!(dead.unwrap() < alive.unwrap() + 30_000.0);
    assert!(until_of("-").await == Some(0.0));
}
