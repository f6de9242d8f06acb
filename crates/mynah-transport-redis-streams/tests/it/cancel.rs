//! Calls that are not wanted any more.

use crate::fleet::{connect, len, redis, serve, settled, until, within};
use std::sync::atomic::Ordering;
use std::time::Duration;

#[tokio::test]
async fn a_call_that_is_dropped_is_stopped_where_it_runs() {
    let redis = redis().await;
    let (_one, first) = serve(&redis, "").await;
    let (_two, second) = serve(&redis, "").await;
    let arith = connect(&redis, "").await;
    let call = arith.wait("x".into()).start();
    until(async || first.runs() + second.runs() == 1).await;
    drop(call);
    let stopped = || first.stopped.load(Ordering::SeqCst) + second.stopped.load(Ordering::SeqCst);
    until(async || stopped() == 1).await;
    settled(&redis).await;
    assert_eq!(first.runs() + second.runs(), 1);
    // The connection is none the worse for it.
    assert_eq!(within(arith.add(1, 2)).await.unwrap(), 3);
    let ttl = redis.command(&["PTTL", "app:control"]).await.unwrap();
    assert!(ttl.as_integer().unwrap() > 0);
}

#[tokio::test]
async fn a_call_that_waits_in_the_stream_does_not_begin() {
    let redis = redis().await;
    let (_server, state) = serve(&redis, "serial=arith").await;
    let arith = connect(&redis, "").await;
    let first = arith.wait("first".into()).start();
    state.begun(1).await;
    let second = arith.wait("second".into()).start();
    until(async || len(&redis, "app:cmds:arith").await == 2).await;
    let before = len(&redis, "app:control").await;
    drop(second);
    until(async || len(&redis, "app:control").await > before).await;
    let third = arith.wait("third".into()).start();
    state.gate.add_permits(2);
    assert_eq!(within(first).await.unwrap(), "first");
    assert_eq!(within(third).await.unwrap(), "third");
    settled(&redis).await;
    assert_eq!(state.runs(), 2);
}

#[tokio::test]
async fn the_deadline_of_a_call_holds_where_it_runs() {
    let redis = redis().await;
    let (_server, state) = serve(&redis, "").await;
    let arith = connect(&redis, "").await;
    let call = arith.wait("x".into()).deadline(Duration::from_millis(300));
    let error = within(call).await.unwrap_err();
    assert!(matches!(error, mynah::CallError::Deadline), "{error:?}");
    until(async || state.stopped.load(Ordering::SeqCst) == 1).await;
    settled(&redis).await;
}
