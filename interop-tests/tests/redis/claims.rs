//! Entries whose server is gone, or seems to be: who takes them over, when, and who does not.

use crate::harness::{PREFIX, Redis, WORK, drained};
use futures::future::join_all;
use interop_tests::fleet::FleetClient;
use interop_tests::python::within;
use mynah::redis_streams::RedisOptions;
use std::time::Duration;

const REPLIES: &str = "app:x:replies:raw";
const IDLE: Duration = Duration::from_millis(1_000);

fn mark(id: &str, milliseconds: u64) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","method":"fleet-work.mark","params":{{"id":"{id}","milliseconds":{milliseconds}}},"id":"{id}"}}"#
    )
}

fn options(redis: &Redis, instance: &str) -> RedisOptions {
    redis
        .options()
        .with_instance(instance)
        .with_claim_idle(IDLE)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_23_rs_an_abandoned_entry_is_taken_over_after_its_time_and_not_before() {
    let redis = Redis::start().await;
    redis.group("fleet-work").await;
    redis
        .entry(WORK, &[("envelope", &*mark("a", 0)), ("reply-to", REPLIES)])
        .await;
    let gone = "fleet-work:gone";
    let read = [
        "XREADGROUP",
        "GROUP",
        "fleet-work",
        gone,
        "STREAMS",
        WORK,
        ">",
    ];
    redis.ask(&read).await;
    let server = redis.serve_with(options(&redis, "srv-1")).await;
    let history = ["XPENDING", WORK, "fleet-work", "-", "+", "1"];
    // As long as it is not idle for long enough, it is where it was: looked at by Redis's own clock.
    within("it is taken over", async {
        loop {
            let pending = redis.ask(&history).await;
            let Some(entry) = pending.items().first() else {
                break;
            };
            let (owner, idle) = (entry.items()[1].as_text(), entry.items()[2].as_integer());
            if owner != Some(gone) {
                break;
            }
            let ran = redis.marks("a").await;
            let idle = idle.expect("milliseconds");
            assert!(
                ran.is_empty() || idle >= 1_000,
                "{idle} ms idle, and it ran"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    redis.settled(WORK).await;
    assert_eq!(redis.marks("a").await, ["srv-1"]);
    assert_eq!(redis.replies(REPLIES).await.len(), 1);
    drained(server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_26_rs_what_runs_or_waits_here_is_not_taken_over() {
    let redis = Redis::start().await;
    let one = options(&redis, "srv-1").with_concurrency(2);
    let servers = [
        redis.serve_with(one).await,
        redis
            .serve_with(options(&redis, "srv-2").with_concurrency(2))
            .await,
    ];
    // A server of the package with the same patience, which would take over what looks abandoned.
    let python = redis.serve_python("srv-3", IDLE).await;
    let (_peer, _) = redis.connect().await;
    let fleet: FleetClient = _peer.client();
    let calls = (0..8).map(|number| fleet.mark(format!("long-{number}"), 2_500).into_future());
    for result in within("long calls end", join_all(calls)).await {
        result.expect("an answer");
    }
    for number in 0..8 {
        let marks = redis.marks(&format!("long-{number}")).await;
        // The package's own servers take over from themselves what lies before a long call of theirs.
        let ours = marks.iter().filter(|by| *by != "srv-3").count();
        assert!(
            marks.contains(&"srv-3".to_owned()) || ours == 1,
            "{number}: {marks:?}"
        );
    }
    python.end().await;
    for server in servers {
        drained(server).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_26_rs_a_long_call_of_this_side_runs_once_beside_a_python_server() {
    let redis = Redis::start().await;
    let server = redis.serve_with(options(&redis, "srv-1")).await;
    let (peer, _) = redis.connect().await;
    let fleet: FleetClient = peer.client();
    let call = tokio::spawn(fleet.mark("long".to_owned(), 4_000).into_future());
    redis
        .until("it runs", async || redis.marks("long").await == ["srv-1"])
        .await;
    let python = redis.serve_python("srv-2", IDLE).await;
    let marked = within("it ends", call).await.expect("no panic");
    assert_eq!(marked.expect("an answer").by, "srv-1");
    assert_eq!(redis.marks("long").await, ["srv-1"]);
    python.end().await;
    drained(server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_30_rs_a_fast_call_does_not_wait_for_a_slow_one() {
    let redis = Redis::start().await;
    let server = redis.serve("srv-1").await;
    let (peer, client) = redis.connect().await;
    let fleet: FleetClient = peer.client();
    let slow = tokio::spawn(fleet.mark("slow".to_owned(), 60_000).into_future());
    redis
        .until("it runs", async || redis.marks("slow").await.len() == 1)
        .await;
    let fast = within(
        "a fast call ends",
        fleet.mark("fast".to_owned(), 0).into_future(),
    )
    .await;
    assert_eq!(fast.expect("an answer").by, "srv-1");
    assert!(!slow.is_finished());
    slow.abort();
    drop((peer, client));
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_30_rs_serial_services_keep_their_order() {
    let redis = Redis::start().await;
    let stream = redis.group("fleet-work").await;
    for number in 0..20 {
        // The longer ones first: side by side they would end the other way round.
        let text = mark(&number.to_string(), 20 - number);
        redis
            .entry(&stream, &[("envelope", &*text), ("reply-to", REPLIES)])
            .await;
    }
    let serial = redis
        .options()
        .with_instance("srv-1")
        .with_serial("fleet-work");
    let server = redis.serve_with(serial).await;
    let replies = redis.replied(REPLIES, 20).await;
    let order: Vec<_> = replies
        .iter()
        .filter_map(|reply| reply["id"].as_str())
        .collect();
    let expected: Vec<_> = (0..20).map(|number| number.to_string()).collect();
    assert_eq!(order, expected);
    assert_eq!(stream, format!("{PREFIX}:cmds:fleet-work"));
    drained(server).await;
}
