//! Operations: what is answered from a seal, what is refused, what happens once.

use crate::harness::{PREFIX, Redis, WORK, drained};
use futures::future::join_all;
use interop_tests::fleet::FleetClient;
use interop_tests::python::within;
use mynah::redis_streams::{Effect, EffectReply, OperationError, Operations};
use mynah::{CallError, ErrorCode};
use mynah_testkit::redis::RedisCluster;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_operation_runs_once_and_is_answered_alike_whoever_asks() {
    let redis = Redis::start().await;
    let server = redis.serve("srv-1").await;
    let (peer, _client) = redis.connect().await;
    let fleet: FleetClient = peer.client();
    let first = fleet.deposit("a".to_owned(), 5).operation_id("op-1").await;
    let first = first.expect("it runs");
    assert_eq!((first.balance, &*first.by), (5, "srv-1"));
    drained(server).await;

    // Another server and another client: what is known is in Redis.
    let server = redis.serve("srv-2").await;
    let (other, _client) = redis.connect().await;
    let others: FleetClient = other.client();
    let again = others.deposit("a".to_owned(), 5).operation_id("op-1").await;
    assert_eq!(again.expect("it is answered"), first);
    let runs = redis.number(&["LLEN", "runs:op-1"]).await;
    assert_eq!((runs, redis.number(&["GET", "balance:a"]).await), (1, 5));

    let new = fleet.deposit("a".to_owned(), 5).operation_id("op-2").await;
    assert_eq!(new.expect("another operation").balance, 10);
    drained(server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_operation_with_other_arguments_is_refused() {
    let redis = Redis::start().await;
    let server = redis.serve("srv-1").await;
    let (peer, _client) = redis.connect().await;
    let fleet: FleetClient = peer.client();
    let first = fleet.deposit("a".to_owned(), 5).operation_id("op-1").await;
    first.expect("it runs");
    for (account, amount) in [("a", 6), ("b", 5)] {
        let call = fleet.deposit(account.to_owned(), amount);
        let error = call.operation_id("op-1").await.expect_err("another call");
        let (CallError::Application(error) | CallError::Remote(error)) = error else {
            panic!("{error:?}");
        };
        assert_eq!(error.code(), ErrorCode::INVALID_REQUEST, "{error}");
        assert!(error.message().contains("other arguments"), "{error}");
    }
    // Another method is another call as well.
    let marked = fleet.mark("a".to_owned(), 0).operation_id("op-1").await;
    marked.expect_err("another method");
    assert_eq!(redis.number(&["GET", "balance:a"]).await, 5);
    redis.settled(WORK).await;
    drained(server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outcomes_are_kept_for_their_time_errors_among_them_and_what_did_not_end_is_none() {
    let redis = Redis::start().await;
    let ttl = Duration::from_secs(90);
    let options = redis.options().with_instance("srv-1").with_seal_ttl(ttl);
    let server = redis.serve_with(options).await;
    let (peer, _client) = redis.connect().await;
    let fleet: FleetClient = peer.client();
    // An error that the handler returns is an outcome like any other.
    redis.ask(&["SET", "balance:broken", "text"]).await;
    for _ in 0..2 {
        let call = fleet.deposit("broken".to_owned(), 1).operation_id("op-1");
        call.await.expect_err("redis refuses it");
    }
    assert_eq!(redis.number(&["LLEN", "runs:op-1"]).await, 1);
    let key = format!("{PREFIX}:op:fleet-work:op-1");
    let left = redis.number(&["PTTL", &key]).await;
    assert!((1..=90_000).contains(&left), "{left}");
    // A deadline is none: the call may be made again, and runs.
    let late = fleet.mark("late".to_owned(), 60_000).operation_id("op-2");
    let ended = late.deadline(Duration::from_millis(300)).await;
    assert!(matches!(ended, Err(CallError::Deadline)), "{ended:?}");
    let sealed = ["HEXISTS", &format!("{PREFIX}:op:fleet-work:op-2"), "reply"];
    assert_eq!(redis.number(&sealed).await, 0);
    // Ids have an end.
    let long = fleet.mark("x".to_owned(), 0).operation_id("x".repeat(257));
    long.await.expect_err("too long");
    redis
        .until("all is done", async || redis.pending(WORK).await == 0)
        .await;
    drained(server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn effects_happen_once_however_many_ask_at_once() {
    let redis = Redis::start().await;
    let operations = Operations::connect(redis.options()).await.expect("redis");
    let effect = || {
        Effect::new()
            .command(["INCRBY", "total", "7"])
            .command(["GET", "nothing"])
            .command(["SET", "text", "a\r\nb"])
            .command(["LRANGE", "nothing", "0", "-1"])
    };
    let asks = (0..50).map(|_| operations.once("deposit", "op-1", effect()));
    let committed = within("all are told", join_all(asks)).await;
    let committed: Vec<_> = committed
        .into_iter()
        .map(|committed| committed.expect("it is committed"))
        .collect();
    assert_eq!(committed.iter().filter(|one| one.now).count(), 1);
    let expected = [
        EffectReply::Integer(7),
        EffectReply::Nil,
        EffectReply::Bytes(b"OK".to_vec()),
        EffectReply::List(Vec::new()),
    ];
    for one in &committed {
        assert_eq!(one.replies, expected);
    }
    assert_eq!(redis.number(&["GET", "total"]).await, 7);
    // Another scope of the same operation is another effect.
    let other = operations.once("bonus", "op-1", effect()).await;
    assert!(other.expect("it is committed").now);
    assert_eq!(redis.number(&["GET", "total"]).await, 14);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn effects_that_redis_refuses_say_so_and_those_that_cannot_be_asked_for_too() {
    let redis = Redis::start().await;
    let operations = Operations::connect(redis.options()).await.expect("redis");
    redis.ask(&["SET", "text", "a"]).await;
    let refused = Effect::new()
        .command(["INCR", "text"])
        .command(["INCR", "total"]);
    let error = operations.once("s", "op-1", refused).await;
    assert!(
        matches!(error, Err(OperationError::Refused(_))),
        "{error:?}"
    );
    assert_eq!(redis.number(&["EXISTS", "total"]).await, 0);
    // Nothing has happened, so it may be asked for again.
    let mended = Effect::new().command(["INCR", "total"]);
    assert!(
        operations
            .once("s", "op-1", mended)
            .await
            .expect("it runs")
            .now
    );
    // What came before the refusal has happened, and does not happen again.
    let half = || {
        Effect::new()
            .command(["INCR", "total"])
            .command(["INCR", "text"])
    };
    for now in [true, false] {
        let committed = operations
            .once("s", "op-2", half())
            .await
            .expect("half of it");
        assert_eq!(committed.now, now);
        assert_eq!(committed.replies[0], EffectReply::Integer(2));
        assert!(matches!(committed.replies[1], EffectReply::Refused(_)));
    }
    assert_eq!(redis.number(&["GET", "total"]).await, 2);
    let one = || Effect::new().command(["INCR", "total"]);
    let many = (0..=Effect::MAX_COMMANDS).fold(Effect::new(), |all, _| all.command(["PING"]));
    let wide = Effect::new().command((0..=Effect::MAX_PARTS).map(|number| number.to_string()));
    for (id, effect) in [
        ("", one()),
        (&*"x".repeat(257), one()),
        ("op-3", Effect::new()),
        ("op-3", many),
        ("op-3", wide),
        ("op-3", Effect::new().command([""; 0])),
    ] {
        let error = operations.once("s", id, effect).await;
        assert!(matches!(error, Err(OperationError::Misuse(_))), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn effects_survive_a_restart_and_the_connection_comes_back() {
    let options = mynah_testkit::redis::RedisOptions::new();
    let always = mynah_testkit::redis::AppendOnly::Always;
    let mut redis = Redis::start_with(options.with_append_only(always)).await;
    let operations = Operations::connect(redis.options()).await.expect("redis");
    let effect = || Effect::new().command(["INCR", "total"]);
    let committed = operations.once("s", "op-1", effect()).await;
    assert!(committed.expect("it runs").now);
    redis.0.restart().await.expect("redis comes back");
    let again = within("redis is found again", async {
        loop {
            match operations.once("s", "op-1", effect()).await {
                Ok(again) => return again,
                Err(OperationError::Unknown(_)) => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
    })
    .await;
    assert!(!again.now);
    assert_eq!(redis.number(&["GET", "total"]).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_effects_in_a_cluster_stand_in_the_slot_of_their_keys() {
    let cluster = RedisCluster::start().await.expect("a cluster");
    // Each node answers for the keys that are its own.
    for (index, node) in cluster.nodes().iter().enumerate() {
        let options = mynah::redis_streams::RedisOptions::new(node.url()).with_prefix("app");
        let operations = Operations::connect(options).await.expect("redis");
        let mut mine = 0;
        for number in 0..12 {
            let account = format!("{{account-{number}}}");
            let effect = Effect::new()
                .command(["INCR", &format!("{account}:balance")])
                .command(["RPUSH", &format!("{account}:log"), "1"]);
            match operations.once("s", "op-1", effect).await {
                Ok(committed) => {
                    assert!(committed.now && committed.replies.len() == 2);
                    mine += 1;
                }
                Err(error) => {
                    let source = std::error::Error::source(&error).map(ToString::to_string);
                    let text = source.unwrap_or_else(|| error.to_string());
                    assert!(text.to_uppercase().contains("MOVED"), "{text}");
                }
            }
        }
        assert!(mine > 0, "node {index}");
    }
    let [node, ..] = cluster.nodes() else {
        panic!("no nodes");
    };
    let options = mynah::redis_streams::RedisOptions::new(node.url());
    let operations = Operations::connect(options).await.expect("redis");
    let apart = Effect::new().command(["MSET", "{a}:x", "1", "{b}:x", "1"]);
    operations
        .once("s", "op-2", apart)
        .await
        .expect_err("two slots");
}
