//! How sessions end, and what cannot reach them.

use crate::fleet::{len, redis, until, within};
use crate::sessions::{NumbersClient, connect, serve};
use futures::{StreamExt as _, stream};
use mynah::{CallError, CloseReason, EndReason, ErrorCode};
use mynah_testkit::redis::RedisServer;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Makes an entry of a stream.
async fn put(redis: &RedisServer, stream: &str, fields: &[&str]) {
    let mut command = vec!["XADD", stream, "*"];
    command.extend(fields);
    redis.command(&command).await.unwrap();
}

/// How a stream of results goes on, to its end.
async fn end(items: mynah::Streaming<u64, mynah::RpcError>) -> (u64, Option<EndReason>) {
    let mut items = items;
    let mut count = 0;
    while let Some(item) = within(items.next()).await {
        count += u64::from(item.is_ok());
    }
    (count, items.end_reason().cloned())
}

/// A server that has said that it lives, and is no more.
async fn ghost(redis: &RedisServer) {
    let far = [
        "ZADD",
        "app:servers:numbers",
        "9999999999999",
        "ghost",
        "0",
        "-",
    ];
    redis.command(&far).await.unwrap();
    put(redis, "app:inbox:ghost", &["mynah", "hello"]).await;
}

#[tokio::test]
async fn slow_a_server_that_is_not_heard_ends_its_sessions() {
    let redis = redis().await;
    ghost(&redis).await;
    let numbers = connect(&redis, "").await;
    let sum = numbers.sum(stream::iter([1u64])).no_deadline();
    let error = within(sum).await.unwrap_err();
    assert!(
        matches!(&error, CallError::Indeterminate(CloseReason::PeerGone)),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_server_whose_inbox_is_gone_is_passed_over() {
    let redis = redis().await;
    ghost(&redis).await;
    redis.command(&["DEL", "app:inbox:ghost"]).await.unwrap();
    let (_server, _state) = serve(&redis, "").await;
    let numbers = connect(&redis, "").await;
    for _ in 0..10 {
        let sum = numbers.sum(stream::iter([1u64, 2]));
        assert_eq!(within(sum).await.unwrap(), 3);
    }
}

#[tokio::test]
async fn slow_a_client_that_is_not_heard_ends_its_sessions() {
    let redis = redis().await;
    let (_server, state) = serve(&redis, "instance=one").await;
    let open = r#"[1,77,"numbers","count",null,null,10,1000,0]{"to":1000000}"#;
    let frame = [
        "mynah",
        "frame",
        "from",
        "app:replies:ghost",
        "call",
        "77",
        "n",
        "1",
        "body",
        open,
    ];
    put(&redis, "app:inbox:one", &frame).await;
    until(async || state.runs.load(Ordering::SeqCst) == 1).await;
    until(async || state.ends.lock().unwrap().len() == 1).await;
    assert!(matches!(
        state.ends.lock().unwrap()[0],
        Some(EndReason::PeerGone | EndReason::Cancelled(_))
    ));
    assert_eq!(
        state.made.load(Ordering::SeqCst),
        10,
        "as many as it had credit for"
    );
    // The same again under its number, late: it is another call, and nothing of the first.
    put(
        &redis,
        "app:inbox:one",
        &["mynah", "gone", "from", "app:replies:ghost", "body", "77"],
    )
    .await;
}

#[tokio::test]
async fn servers_of_clamator_alone_cannot_stream() {
    let redis = redis().await;
    let group = [
        "XGROUP",
        "CREATE",
        "app:cmds:numbers",
        "numbers",
        "$",
        "MKSTREAM",
    ];
    redis.command(&group).await.unwrap();
    let numbers = connect(&redis, "").await;
    let error = within(numbers.sum(stream::iter([1u64]))).await.unwrap_err();
    let streams = |error: &CallError<mynah::RpcError>| {
        matches!(
            error,
            CallError::Unsupported {
                feature: "streams",
                dialect: "jsonrpc"
            }
        )
    };
    assert!(streams(&error), "{error:?}");
    let mut items = numbers.count(3).start();
    let error = within(items.next()).await.unwrap().unwrap_err();
    assert!(streams(&error), "{error:?}");
    let error = within(numbers.ask(1, async |number| Ok(number)))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            CallError::Unsupported {
                feature: "callbacks",
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(
        len(&redis, "app:cmds:numbers").await,
        0,
        "nothing was asked"
    );
}

#[tokio::test]
async fn a_session_that_nobody_serves_ends_at_once() {
    let redis = redis().await;
    let numbers = connect(&redis, "").await;
    let error = within(numbers.sum(stream::iter([1u64]))).await.unwrap_err();
    assert!(
        matches!(&error, CallError::Remote(error) if error.code() == ErrorCode::NO_SERVERS),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_server_that_has_no_room_is_asked_again() {
    let redis = redis().await;
    let (_server, state) = serve(&redis, "serial=numbers").await;
    let numbers = connect(&redis, "").await;
    let mut first = numbers.count(u64::MAX).start();
    assert_eq!(within(first.next()).await.unwrap().unwrap(), 0);
    let hasty = numbers
        .sum(stream::iter([1u64]))
        .deadline(Duration::from_millis(300));
    let error = within(hasty).await.unwrap_err();
    assert!(
        matches!(error, CallError::Disconnected(_) | CallError::Busy { .. }),
        "nobody was given it, so it may be made again: {error:?}"
    );
    assert!(error.is_retryable());
    let second = numbers.sum(stream::iter([1u64, 2])).start();
    assert_eq!(state.runs.load(Ordering::SeqCst), 1);
    drop(first);
    assert_eq!(within(second).await.unwrap(), 3);
}

#[tokio::test]
async fn a_serial_service_runs_nothing_beside_a_stream() {
    let redis = redis().await;
    let (_server, _state) = serve(&redis, "serial=numbers").await;
    let numbers = connect(&redis, "").await;
    let mut first = numbers.count(u64::MAX).start();
    assert_eq!(within(first.next()).await.unwrap().unwrap(), 0);
    // A reading that began before the stream waits at Redis for the next call.
    let hasty = numbers.who().deadline(Duration::from_millis(500));
    let error = within(hasty).await.unwrap_err();
    assert!(matches!(error, CallError::Deadline), "{error:?}");
    drop(first);
    within(numbers.who()).await.unwrap();
}

#[tokio::test]
async fn what_keeps_one_stream_from_a_server_keeps_no_call_from_another() {
    let redis = redis().await;
    redis
        .command(&["SET", "app:servers:numbers", "of another type"])
        .await
        .unwrap();
    let (_server, _state) = crate::fleet::serve(&redis, "").await;
    let peer = mynah::connect(&crate::fleet::url(&redis, ""))
        .await
        .unwrap();
    let (numbers, arith): (NumbersClient, crate::fleet::ArithClient) =
        (peer.client(), peer.client());
    let sum = numbers.sum(stream::iter([1u64])).no_deadline();
    let error = within(sum).await.unwrap_err();
    assert!(
        matches!(&error, CallError::Application(error) if error.code() == ErrorCode::UNSUPPORTED),
        "{error:?}"
    );
    assert_eq!(within(arith.add(1, 2)).await.unwrap(), 3);
}

#[tokio::test]
async fn a_server_that_stops_ends_its_streams_at_once() {
    let redis = redis().await;
    let (server, _state) = serve(&redis, "").await;
    let numbers = connect(&redis, "").await;
    let mut items = numbers.count(u64::MAX).start();
    assert_eq!(within(items.next()).await.unwrap().unwrap(), 0);
    server.stop();
    let (_, reason) = end(items).await;
    assert!(
        matches!(reason, Some(EndReason::PeerGone | EndReason::Cancelled(_))),
        "{reason:?}"
    );
}

#[tokio::test]
async fn a_drain_finishes_streams_or_says_that_it_drains() {
    let redis = redis().await;
    let (server, _state) = serve(&redis, "instance=one").await;
    let numbers = connect(&redis, "").await;
    let mut short = numbers.count(100_000).start();
    assert_eq!(within(short.next()).await.unwrap().unwrap(), 0);
    let mut endless = numbers.count(u64::MAX).start();
    assert_eq!(within(endless.next()).await.unwrap().unwrap(), 0);
    let drain = tokio::spawn(async move { server.drain(Duration::from_secs(2)).await });
    let (count, reason) = end(short).await;
    assert_eq!((count, reason), (99_999, Some(EndReason::Finished)));
    let (_, reason) = end(endless).await;
    assert!(matches!(reason, Some(EndReason::Draining)), "{reason:?}");
    let report = within(drain).await.unwrap();
    assert_eq!(report.calls_cut, 1);
    assert_eq!(len(&redis, "app:inbox:one").await, 0);
}

#[tokio::test]
async fn what_is_forged_reaches_no_call() {
    let redis = redis().await;
    let (_server, state) = serve(&redis, "instance=one").await;
    let numbers = connect(&redis, "instance=me").await;
    let mut items = numbers.count(u64::MAX).start();
    assert_eq!(within(items.next()).await.unwrap().unwrap(), 0);
    let error = r#"[3,1][-32000,"forged"]"#;
    for call in ["1", "2", "77"] {
        for from in ["one", "other", ""] {
            for (kind, number) in [
                ("frame", "2"),
                ("frame", "0"),
                ("gone", "0"),
                ("busy", "0"),
                ("beat", "0"),
            ] {
                let body = if kind == "frame" { error } else { call };
                let fields = [
                    "mynah", kind, "from", from, "call", call, "n", number, "body", body,
                ];
                put(&redis, "app:replies:me", &fields).await;
            }
        }
        for body in [
            "[5,1,0]",
            "[12,1,1,1]",
            "not a frame",
            "[1,1,\"$callback\",\"1\"][1]",
        ] {
            let fields = [
                "mynah",
                "frame",
                "from",
                "app:replies:me",
                "call",
                call,
                "n",
                "2",
                "body",
                body,
            ];
            put(&redis, "app:inbox:one", &fields).await;
        }
    }
    for expected in 1..1000 {
        assert_eq!(within(items.next()).await.unwrap().unwrap(), expected);
    }
    assert_eq!(
        within(numbers.sum(stream::iter([1u64, 2]))).await.unwrap(),
        3
    );
    assert!(state.ends.lock().unwrap().is_empty());
}

/// Streams until there is an end, whatever becomes of Redis meanwhile.
async fn streams_again(numbers: &NumbersClient) {
    until(async || {
        let items: Vec<_> = numbers.count(100).start().collect().await;
        items.len() == 100 && items.iter().all(Result::is_ok)
    })
    .await;
}

#[tokio::test]
async fn slow_frames_that_are_lost_are_missed() {
    let redis = redis().await;
    let (_server, _state) = serve(&redis, "").await;
    let numbers = connect(&redis, "").await;
    let mut items = numbers.count(u64::MAX).start();
    assert_eq!(within(items.next()).await.unwrap().unwrap(), 0);
    redis.command(&["FLUSHALL"]).await.unwrap();
    // Either nothing was lost and it goes on, or it ends, and says why.
    let mut last = 0;
    let ended = loop {
        match within(items.next()).await {
            Some(Ok(item)) => {
                assert_eq!(item, last + 1, "an item is missing");
                last = item;
                if last > 2_000_000 {
                    break None;
                }
            }
            Some(Err(error)) => break Some(error),
            None => panic!("it ends as if it were whole"),
        }
    };
    if let Some(error) = ended {
        assert!(matches!(error, CallError::Indeterminate(_)), "{error:?}");
    }
    drop(items);
    streams_again(&numbers).await;
}

#[tokio::test]
async fn slow_a_stream_survives_a_restart_of_redis_or_says_that_it_did_not() {
    let mut redis = mynah_testkit::redis::RedisOptions::new()
        .with_append_only(mynah_testkit::redis::AppendOnly::Always)
        .start()
        .await
        .unwrap();
    let (_server, _state) = serve(&redis, "").await;
    let numbers = connect(&redis, "").await;
    let mut items = numbers.count(300_000).start();
    assert_eq!(within(items.next()).await.unwrap().unwrap(), 0);
    redis.kill().await.unwrap();
    redis.restart().await.unwrap();
    let mut last = 0;
    while let Some(item) = within(items.next()).await {
        match item {
            Ok(item) => {
                assert_eq!(item, last + 1, "an item is missing, or came twice");
                last = item;
            }
            Err(error) => assert!(matches!(error, CallError::Indeterminate(_)), "{error:?}"),
        }
    }
    if items.end_reason() == Some(&EndReason::Finished) {
        assert_eq!(last, 299_999);
    }
    streams_again(&numbers).await;
}

#[tokio::test]
async fn a_client_that_closes_ends_its_sessions_at_once() {
    let redis = redis().await;
    let (_server, state) = serve(&redis, "").await;
    let url = crate::fleet::url(&redis, "");
    let peer = mynah::connect(&url).await.unwrap();
    let numbers: NumbersClient = peer.client();
    let mut items = numbers.count(u64::MAX).start();
    assert_eq!(within(items.next()).await.unwrap().unwrap(), 0);
    peer.close();
    // Long before anybody would call it silent.
    let ended = async { until(async || state.ends.lock().unwrap().len() == 1).await };
    tokio::time::timeout(Duration::from_secs(8), ended)
        .await
        .unwrap();
}
