//! Operations whose seals cannot be read, for a while or at all.

use crate::fleet::{pending, redis, serve, settled, until};
use crate::robust::{STREAM, abandon, add, answered, group, send};
use mynah_transport_redis_streams::{Effect, OperationError, Operations, RedisOptions};
use std::time::Duration;

#[tokio::test]
async fn an_operation_whose_seal_cannot_be_written_yet_waits_and_is_not_delivered_again() {
    let redis = redis().await;
    group(&redis).await;
    let fields = [
        "envelope",
        &add("op"),
        "reply-to",
        "app:replies:c",
        "operation",
        "o-1",
    ];
    let id = send(&redis, &fields).await;
    abandon(&redis).await;
    let (_server, state) = serve(&redis, "claim_idle=3s").await;
    // It is the ghost's for three more seconds; by then there is no memory.
    let touch = ["XCLAIM", STREAM, "arith", "arith:ghost", "0", &id, "JUSTID"];
    redis.command(&touch).await.unwrap();
    let memory = async |limit: &str| {
        let set = ["CONFIG", "SET", "maxmemory", limit];
        redis.command(&set).await.unwrap();
    };
    memory("1").await;
    until(async || {
        let stats = redis.command(&["INFO", "commandstats"]).await.unwrap();
        let stats = stats.as_text().unwrap().to_owned();
        let failed = stats.lines().find_map(|line| {
            let line = line.strip_prefix("cmdstat_evalsha:")?;
            line.rsplit_once("failed_calls=")?.1.parse::<u32>().ok()
        });
        // One of them is that the script was not known.
        failed.is_some_and(|failed| failed >= 5)
    })
    .await;
    assert_eq!(pending(&redis).await, 1);
    memory("0").await;
    let answers = answered(&redis, "c", 1).await;
    assert_eq!(answers, [r#"{"jsonrpc": "2.0", "id": "op", "result": 3}"#]);
    settled(&redis).await;
    assert_eq!(state.runs(), 1);
    assert_eq!(state.deliveries.lock().unwrap()[0].attempt, 2);
}

#[tokio::test]
async fn a_seal_of_another_type_refuses_its_own_call_only() {
    let redis = redis().await;
    group(&redis).await;
    let set = ["SET", "app:op:arith:bad", "no seal"];
    redis.command(&set).await.unwrap();
    for operation in ["good-1", "bad", "good-2"] {
        let fields = [
            "envelope",
            &add(operation),
            "reply-to",
            "app:replies:c",
            "operation",
            operation,
        ];
        send(&redis, &fields).await;
    }
    let (_server, state) = serve(&redis, "").await;
    let answers = answered(&redis, "c", 3).await;
    settled(&redis).await;
    assert_eq!(state.runs(), 2);
    let to = |id: &str| {
        let start = format!(r#"{{"jsonrpc": "2.0", "id": "{id}", "#);
        answers.iter().find(|answer| answer.starts_with(&start))
    };
    assert!(to("good-1").unwrap().ends_with(r#""result": 3}"#));
    assert!(to("good-2").unwrap().ends_with(r#""result": 3}"#));
    assert!(to("bad").unwrap().contains("-32603"), "{answers:?}");
}

/// What a failover would lose does not count as done.
#[tokio::test]
async fn an_effect_that_no_replica_has_is_not_known_to_be_committed() {
    let redis = redis().await;
    let options = RedisOptions::new(redis.url()).with_prefix("app");
    let mut waiting = options.clone().with_wait_replicas(1);
    waiting.wait_timeout = Duration::from_millis(50);
    let waiting = Operations::connect(waiting).await.unwrap();
    let effect = || Effect::new().command(["INCR", "app:stock"]);
    for _ in 0..2 {
        let unknown = waiting.once("arith.add", "op-1", effect()).await;
        assert!(
            matches!(unknown, Err(OperationError::Unknown(_))),
            "{unknown:?}"
        );
    }
    // It happened once all the same, and whoever does not wait is told so.
    let operations = Operations::connect(options).await.unwrap();
    let committed = operations
        .once("arith.add", "op-1", effect())
        .await
        .unwrap();
    assert!(!committed.now);
    assert_eq!(committed.replies[0].as_integer(), Some(1));
}
