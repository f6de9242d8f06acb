//! Calls, errors and notifications.

use crate::fleet::{connect, len, pending, redis, serve, settled, until, within};
use mynah::CallError;
use mynah::redis_streams::evidence;
use std::time::Duration;

#[tokio::test]
async fn a_typed_call_is_answered_and_nothing_is_left() {
    let redis = redis().await;
    let (server, state) = serve(&redis, "instance=srv-1").await;
    let arith = connect(&redis, "instance=cli-1").await;
    assert_eq!(within(arith.add(2, 3)).await.unwrap(), 5);
    let error = within(arith.fail(7)).await.unwrap_err();
    assert!(matches!(error, CallError::Application(error) if error.code().value() == 7));
    settled(&redis).await;
    let delivery = state.deliveries.lock().unwrap().pop().unwrap();
    assert_eq!(delivery.attempt, 1);
    let text = |key| delivery.evidence.text(key).map(str::to_owned);
    assert_eq!(text(evidence::STREAM).as_deref(), Some("app:cmds:arith"));
    assert_eq!(text(evidence::CONSUMER).as_deref(), Some("arith:srv-1"));
    let ttl = redis.command(&["PTTL", "app:replies:cli-1"]).await.unwrap();
    assert!(ttl.as_integer().unwrap() > 0, "answers expire");
    drop(arith);
    until(async || {
        let exists = redis.command(&["EXISTS", "app:replies:cli-1"]).await;
        exists.unwrap().as_integer() == Some(0)
    })
    .await;
    let report = server.drain(Duration::from_secs(5)).await;
    assert_eq!(report.calls_cut, 0);
    let consumers = redis
        .command(&["XINFO", "CONSUMERS", "app:cmds:arith", "arith"])
        .await
        .unwrap();
    assert!(
        consumers.items().is_empty(),
        "it leaves the group: {consumers:?}"
    );
    assert_eq!(pending(&redis).await, 0);
}

#[tokio::test]
async fn many_calls_at_once_and_notifications_in_order() {
    let redis = redis().await;
    let (_server, state) = serve(&redis, "").await;
    let arith = connect(&redis, "").await;
    let calls: Vec<_> = (0..500).map(|n| arith.add(n, 1).start()).collect();
    for (n, call) in (0..500).zip(calls) {
        assert_eq!(within(call).await.unwrap(), n + 1);
    }
    assert_eq!(state.runs(), 500);
    for n in 0..20 {
        arith.touch(n.to_string()).await.unwrap();
    }
    until(async || state.touched.lock().unwrap().len() == 20).await;
    let in_order: Vec<_> = (0..20).map(|n: i32| n.to_string()).collect();
    assert_eq!(*state.touched.lock().unwrap(), in_order);
    settled(&redis).await;
    assert!(len(&redis, "app:cmds:arith").await == 0);
}

#[tokio::test]
async fn large_messages_pass() {
    let redis = redis().await;
    let (_server, _state) = serve(&redis, "").await;
    let arith = connect(&redis, "").await;
    let text = "é\u{0}\u{2028}\u{10ffff}".repeat(100_000);
    assert_eq!(within(arith.echo(text.clone())).await.unwrap(), text);
}
