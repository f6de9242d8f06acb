//! What Redis loses, keeps back or will not take, and how it goes on.

use crate::fleet::{connect, len, pending, redis, serve, settled, until, url, within};
use crate::robust::{STREAM, add, send};
use mynah::prelude::*;
use std::time::Duration;

#[tokio::test]
async fn a_lost_group_a_lost_stream_and_an_emptied_redis_are_recovered_from() {
    let redis = redis().await;
    let (_server, _state) = serve(&redis, "").await;
    let arith = connect(&redis, "").await;
    assert_eq!(within(arith.add(1, 1)).await.unwrap(), 2);
    for loss in [
        &["XGROUP", "DESTROY", STREAM, "arith"][..],
        &["DEL", STREAM],
        &["FLUSHALL"],
    ] {
        redis.command(loss).await.unwrap();
        let call = arith.add(1, 2).deadline(Duration::from_secs(20));
        assert_eq!(within(call).await.unwrap(), 3, "{loss:?}");
    }
}

#[tokio::test]
async fn an_entry_of_the_future_does_not_hide_what_comes_after_a_loss() {
    let redis = redis().await;
    let (_server, state) = serve(&redis, "").await;
    let arith = connect(&redis, "").await;
    let forged = [
        "XADD",
        STREAM,
        "99999999999999-1",
        "envelope",
        &add("forged"),
    ];
    redis.command(&forged).await.unwrap();
    settled(&redis).await;
    assert_eq!(state.runs(), 1);
    redis.command(&["DEL", STREAM]).await.unwrap();
    let call = arith.add(1, 2).deadline(Duration::from_secs(20));
    assert_eq!(within(call).await.unwrap(), 3);
}

#[tokio::test]
async fn entries_older_than_the_group_are_let_go_of() {
    let redis = redis().await;
    let old = ["XADD", STREAM, "1000-0", "envelope", &add("old")];
    redis.command(&old).await.unwrap();
    send(&redis, &["envelope", &add("early")]).await;
    let (_server, state) = serve(&redis, "").await;
    settled(&redis).await;
    assert_eq!(state.runs(), 1);
}

#[tokio::test]
async fn notifications_that_nobody_takes_do_not_pile_up() {
    let redis = redis().await;
    // So many that the stream is cut, whole nodes at a time.
    let fill = "for i = 1, 12000 do redis.call('XADD', KEYS[1], '*', 'envelope', '{}') end";
    redis.command(&["EVAL", fill, "1", STREAM]).await.unwrap();
    let arith = connect(&redis, "").await;
    arith.touch("k".into()).await.unwrap();
    until(async || len(&redis, STREAM).await < 9000).await;
    let last = ["XREVRANGE", STREAM, "+", "-", "COUNT", "1"];
    let last = redis.command(&last).await.unwrap();
    let fields = last.items()[0].items()[1].clone();
    assert!(fields.texts()[3].contains("arith.touch"), "{last:?}");
}

#[tokio::test]
async fn a_restart_of_redis_is_recovered_from() {
    let mut redis = redis().await;
    let (_server, _state) = serve(&redis, "").await;
    let arith = connect(&redis, "").await;
    assert_eq!(within(arith.add(1, 1)).await.unwrap(), 2);
    redis.kill().await.unwrap();
    let error = within(arith.add(1, 2).deadline(Duration::from_millis(300)))
        .await
        .unwrap_err();
    assert!(matches!(error, CallError::Indeterminate(_)), "{error:?}");
    redis.restart().await.unwrap();
    // The server may not be back yet: that is no reason to say that nobody serves.
    let call = arith.add(1, 2).deadline(Duration::from_secs(20));
    assert_eq!(within(call).await.unwrap(), 3);
}

#[tokio::test]
async fn a_frozen_redis_holds_no_call_beyond_its_deadline() {
    let redis = redis().await;
    let (_server, _state) = serve(&redis, "").await;
    let arith = connect(&redis, "").await;
    assert_eq!(within(arith.add(1, 1)).await.unwrap(), 2);
    redis.freeze().unwrap();
    let error = within(arith.add(1, 2).deadline(Duration::from_millis(200)))
        .await
        .unwrap_err();
    assert!(matches!(error, CallError::Deadline), "{error:?}");
    redis.thaw().unwrap();
    assert_eq!(within(arith.add(2, 2)).await.unwrap(), 4);
}

#[tokio::test]
async fn a_start_that_cannot_work_says_so() {
    let redis = redis().await;
    redis.command(&["SET", STREAM, "no stream"]).await.unwrap();
    let started = Server::new()
        .register(crate::fleet::ArithService::new(
            crate::fleet::MyArith::default(),
        ))
        .listen(&url(&redis, ""))
        .start()
        .await;
    let error = started.unwrap_err().to_string();
    assert!(
        error.contains("consumer group") && error.contains("WRONGTYPE"),
        "{error}"
    );
    let error = mynah::connect("redis://127.0.0.1:1/0?prefix=app")
        .await
        .unwrap_err();
    assert!(error.to_string().contains("redis 127.0.0.1:1"), "{error}");
}

#[tokio::test]
async fn an_answer_that_redis_has_no_memory_for_is_kept_and_not_acknowledged() {
    let redis = redis().await;
    let (_server, state) = serve(&redis, "").await;
    let arith = connect(&redis, "").await;
    let call = arith.wait("x".into()).start();
    state.begun(1).await;
    let refused = async || {
        let errors = redis.command(&["INFO", "errorstats"]).await.unwrap();
        errors.as_text().unwrap().contains("errorstat_OOM")
    };
    redis
        .command(&["CONFIG", "SET", "maxmemory", "1"])
        .await
        .unwrap();
    state.gate.add_permits(1);
    until(refused).await;
    assert_eq!(
        pending(&redis).await,
        1,
        "not acknowledged before it is answered"
    );
    redis
        .command(&["CONFIG", "SET", "maxmemory", "0"])
        .await
        .unwrap();
    assert_eq!(within(call).await.unwrap(), "x");
    settled(&redis).await;
    assert_eq!(state.runs(), 1);
}
