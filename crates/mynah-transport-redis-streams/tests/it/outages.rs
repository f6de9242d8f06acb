//! What callers are told while Redis is away, and how a server comes back.

use crate::fleet::{
    ArithClient, ArithService, MyArith, connect, pending, redis, serve, settled, until, url, within,
};
use crate::robust::{STREAM, add, answered, group, send};
use mynah::prelude::*;
use mynah::{CallError, CloseReason};
use mynah_protocol::{Dialer as _, Listener as _, Offer};
use mynah_testkit::redis::{RedisOptions, RedisSentinel, RedisServer};
use mynah_transport_redis_streams::{RedisDialer, RedisListener, RedisOptions as Options};
use std::time::Duration;

#[tokio::test]
async fn a_server_of_a_fixed_name_takes_what_it_left_at_once() {
    let redis = redis().await;
    group(&redis).await;
    send(
        &redis,
        &["envelope", &add("left"), "reply-to", "app:replies:c"],
    )
    .await;
    // An earlier process of this name took it, and was killed.
    let read = [
        "XREADGROUP",
        "GROUP",
        "arith",
        "arith:one",
        "STREAMS",
        STREAM,
        ">",
    ];
    let read = redis.command(&read).await.unwrap();
    assert_eq!(read.items().len(), 1);
    // Others would wait for an hour.
    let (_one, state) = serve(&redis, "instance=one&claim_idle=60min").await;
    assert!(answered(&redis, "c", 1).await[0].contains("left"));
    settled(&redis).await;
    assert_eq!(state.deliveries.lock().unwrap()[0].attempt, 2);
}

#[tokio::test]
async fn a_listener_that_failed_to_open_serves_when_it_is_opened_again() {
    let redis = redis().await;
    redis.command(&["SET", STREAM, "no stream"]).await.unwrap();
    let options = Options::new(redis.url()).with_prefix("app");
    let mut listener = RedisListener::bind(options).await.unwrap();
    let offer = Offer::default().with_service("arith", None);
    for _ in 0..2 {
        let refused = listener.open(&offer).await.unwrap_err();
        assert!(refused.to_string().contains("consumer group"), "{refused}");
    }
    redis.command(&["DEL", STREAM]).await.unwrap();
    listener.open(&offer).await.unwrap();
    send(
        &redis,
        &["envelope", &add("x"), "reply-to", "app:replies:c"],
    )
    .await;
    let arrived = within(std::future::poll_fn(|cx| listener.poll_accept(cx))).await;
    assert!(arrived.unwrap().is_ok());
}

/// A client whose commands have a tenth of a second.
async fn hasty(redis: &RedisServer) -> ArithClient {
    connect(
        redis,
        "response_timeout=100ms&connect_timeout=100ms&block=100ms",
    )
    .await
}

#[tokio::test]
async fn a_call_that_may_have_been_written_is_indeterminate() {
    let redis = redis().await;
    let (_server, _state) = serve(&redis, "").await;
    let arith = hasty(&redis).await;
    assert_eq!(within(arith.add(1, 2)).await.unwrap(), 3);
    redis.freeze().unwrap();
    let call = arith.add(1, 2).deadline(Duration::from_secs(2)).start();
    let error = within(call).await.unwrap_err();
    redis.thaw().unwrap();
    assert!(
        matches!(&error, CallError::Indeterminate(CloseReason::TimedOut(_))),
        "{error:?}"
    );
    assert!(!error.is_retryable());
    until(async || arith.add(2, 2).await.is_ok()).await;
}

#[tokio::test]
async fn a_call_that_was_certainly_not_written_says_so() {
    let mut redis = redis().await;
    let (_server, state) = serve(&redis, "").await;
    let arith = hasty(&redis).await;
    assert_eq!(within(arith.add(1, 2)).await.unwrap(), 3);
    redis.kill().await.unwrap();
    // The first may have been on its way when the connection was found to be lost.
    let lost = within(arith.add(1, 1).deadline(Duration::from_millis(500))).await;
    assert!(lost.is_err());
    let error = within(arith.add(1, 2).deadline(Duration::from_secs(1)))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, CallError::Disconnected(CloseReason::TimedOut(_))),
        "{error:?}"
    );
    assert!(error.is_retryable());
    redis.restart().await.unwrap();
    until(async || arith.add(2, 2).await.is_ok()).await;
    assert!(state.runs() >= 2);
}

#[tokio::test]
async fn calls_that_redis_has_no_room_for_are_busy() {
    let redis = redis().await;
    let (_server, _state) = serve(&redis, "").await;
    let arith = connect(&redis, "").await;
    assert_eq!(within(arith.add(1, 2)).await.unwrap(), 3);
    let full = ["CONFIG", "SET", "maxmemory", "1"];
    redis.command(&full).await.unwrap();
    let error = within(arith.add(1, 2)).await.unwrap_err();
    assert!(matches!(error, CallError::Busy { .. }), "{error:?}");
    let room = ["CONFIG", "SET", "maxmemory", "0"];
    redis.command(&room).await.unwrap();
    assert_eq!(within(arith.add(1, 2)).await.unwrap(), 3);
}

#[tokio::test]
async fn what_replicas_do_not_have_is_doubtful() {
    let sentinel = RedisSentinel::start().await.unwrap();
    let primary = &sentinel.servers()[sentinel.primary().await.unwrap()];
    let (_server, state) = serve(primary, "wait=1").await;
    let arith = connect(primary, "wait=1").await;
    let sum = arith.add(1, 2).operation_id("one");
    assert_eq!(within(sum).await.unwrap(), 3);
    let replica = 1 - sentinel.primary().await.unwrap();
    sentinel.servers()[replica].freeze().unwrap();
    let hasty = connect(primary, "wait=1&wait_timeout=100ms").await;
    let call = hasty.wait("x".into()).deadline(Duration::from_secs(1));
    let error = within(call).await.unwrap_err();
    sentinel.servers()[replica].thaw().unwrap();
    assert!(
        matches!(&error, CallError::Indeterminate(CloseReason::TimedOut(_))),
        "{error:?}"
    );
    assert_eq!(state.runs(), 2, "it was written all the same");
}

#[tokio::test]
async fn redis_that_does_not_write_to_its_disk_is_refused_where_it_must() {
    let lazy = redis().await;
    let required = url(&lazy, "appendfsync=always");
    let refused = Server::new()
        .register(ArithService::new(MyArith::default()))
        .listen(&required)
        .start()
        .await
        .unwrap_err();
    let refused = format!("{refused:?}");
    assert!(refused.contains("appendfsync always"), "{refused}");
    let durable = RedisOptions::new()
        .with_append_only(mynah_testkit::redis::AppendOnly::Always)
        .start()
        .await
        .unwrap();
    let (_server, _state) = serve(&durable, "appendfsync=always").await;
    let arith = connect(&durable, "appendfsync=always").await;
    assert_eq!(within(arith.add(1, 2)).await.unwrap(), 3);
    assert_eq!(pending(&durable).await, 0);
}

#[tokio::test]
async fn a_configured_client_is_used_and_left_alone() {
    let redis = redis().await;
    let configured = redis::Client::open(redis.url()).unwrap();
    let mut theirs = configured.get_multiplexed_async_connection().await.unwrap();
    let options = Options::from_client(configured.clone()).with_prefix("app");
    let listener = RedisListener::bind(options.clone()).await.unwrap();
    let server = Server::new()
        .register(ArithService::new(MyArith::default()))
        .listen_on_transport(listener)
        .start()
        .await
        .unwrap();
    let dialer = RedisDialer::new(options).unwrap();
    let connection = dialer.dial().await.unwrap().connection;
    let peer = Peer::over_transport(connection).start().unwrap();
    let arith: ArithClient = peer.client();
    assert_eq!(within(arith.add(1, 2)).await.unwrap(), 3);
    drop((peer, arith));
    server.drain(Duration::from_secs(5)).await;
    let pong: String = redis::cmd("PING").query_async(&mut theirs).await.unwrap();
    assert_eq!(pong, "PONG");
}

/// Redis closes connections that were idle for long, and so do proxies. What is written next was not written on the old one,
/// and is not taken for it.
#[tokio::test]
async fn a_connection_that_was_closed_while_idle_costs_no_call() {
    let redis = redis().await;
    let (_server, state) = serve(&redis, "").await;
    for round in 1..=3 {
        // It does not know yet who serves, and asks on the connection that is gone.
        let arith = connect(&redis, "").await;
        let killed = redis.command(&["CLIENT", "KILL", "TYPE", "normal"]).await;
        killed.unwrap();
        arith.touch(round.to_string()).await.unwrap();
        until(async || state.touched.lock().unwrap().len() == round).await;
        assert_eq!(within(arith.add(1, 2)).await.unwrap(), 3);
    }
}

/// A primary that was made a replica takes no writes, and may stay connected.
#[tokio::test]
async fn a_primary_that_was_demoted_is_left() {
    let redis = redis().await;
    let (_server, _state) = serve(&redis, "").await;
    let arith = connect(&redis, "").await;
    assert_eq!(within(arith.add(1, 2)).await.unwrap(), 3);
    let before = redis
        .command(&["CLIENT", "LIST", "TYPE", "normal"])
        .await
        .unwrap();
    let known = |list: &mynah_testkit::redis::Reply| -> Vec<String> {
        let lines = list.as_text().unwrap().lines();
        lines
            .filter_map(|line| line.split(' ').next())
            .map(str::to_owned)
            .collect()
    };
    let before = known(&before);
    let other = RedisServer::start().await.unwrap();
    let port = other.port().to_string();
    redis
        .command(&["REPLICAOF", "127.0.0.1", &port])
        .await
        .unwrap();
    let error = within(arith.add(1, 2).deadline(Duration::from_secs(5))).await;
    assert!(error.is_err());
    // What wrote before is opened anew, and asks where to: so it finds this one when it is a primary again.
    redis.command(&["REPLICAOF", "NO", "ONE"]).await.unwrap();
    until(async || {
        let call = arith.add(1, 2).deadline(Duration::from_secs(5));
        within(call).await.is_ok()
    })
    .await;
    let after = redis
        .command(&["CLIENT", "LIST", "TYPE", "normal"])
        .await
        .unwrap();
    let after = known(&after);
    assert!(after.iter().any(|one| !before.contains(one)), "{after:?}");
}
