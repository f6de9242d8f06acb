//! MX: servers of both kinds in one group.

use crate::harness::{CMDS, Redis, WORK, drained};
use futures::future::join_all;
use interop_tests::fleet::FleetClient;
use interop_tests::python::within;
use rustix::process::Signal;
use std::collections::HashMap;
use std::time::Duration;

const IDLE: Duration = Duration::from_millis(1_000);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_24_mx_each_entry_of_a_healthy_pool_runs_once_and_the_work_is_shared() {
    let redis = Redis::start().await;
    let servers = [redis.serve("rust-1").await, redis.serve("rust-2").await];
    let long = Duration::from_secs(60);
    let pythons = [
        redis.serve_python("python-1", long).await,
        redis.serve_python("python-2", long).await,
    ];
    let (peer, _client) = redis.connect().await;
    let fleet: FleetClient = peer.client();
    let mut share: HashMap<String, usize> = HashMap::new();
    for round in 0..10 {
        let calls = (0..40).map(|number| fleet.mark(format!("{round}-{number}"), 5).into_future());
        for result in within("forty calls end", join_all(calls)).await {
            *share.entry(result.expect("an answer").by).or_default() += 1;
        }
    }
    for round in 0..10 {
        for number in 0..40 {
            let marks = redis.marks(&format!("{round}-{number}")).await;
            assert_eq!(marks.len(), 1, "{round}-{number}: {marks:?}");
        }
    }
    for name in ["rust-1", "rust-2", "python-1", "python-2"] {
        assert!(share.contains_key(name), "{share:?}");
    }
    redis
        .until("nothing is pending", async || {
            redis.pending(WORK).await == 0
        })
        .await;
    for python in pythons {
        python.end().await;
    }
    for server in servers {
        drained(server).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_24_mx_what_a_killed_python_server_held_is_taken_over() {
    let redis = Redis::start().await;
    let python = redis.serve_python("python-1", IDLE).await;
    let (peer, _client) = redis.connect().await;
    let fleet: FleetClient = peer.client();
    // It reads up to sixteen and runs one.
    let calls = (0..8).map(|number| fleet.mark(number.to_string(), 300).into_future());
    let calls = tokio::spawn(join_all(calls));
    redis
        .until("it has begun", async || {
            !redis.marks("0").await.is_empty() || redis.pending(WORK).await > 0
        })
        .await;
    python.kill().await;
    let options = redis
        .options()
        .with_instance("rust-1")
        .with_claim_idle(IDLE);
    let server = redis.serve_with(options).await;
    for result in within("all are answered", calls).await.expect("no panic") {
        result.expect("an answer");
    }
    redis.settled(WORK).await;
    for number in 0..8 {
        let marks = redis.marks(&number.to_string()).await;
        assert_eq!(
            marks.iter().filter(|by| *by == "rust-1").count(),
            1,
            "{marks:?}"
        );
    }
    drained(server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_24_mx_what_a_killed_rust_server_held_is_taken_over() {
    let redis = Redis::start().await;
    let server = redis.serve_apart("rust-1", "8").await;
    let (peer, _client) = redis.connect().await;
    let fleet: FleetClient = peer.client();
    let calls = (0..4).map(|number| fleet.mark(number.to_string(), 500).into_future());
    let calls = tokio::spawn(join_all(calls));
    redis
        .until("they run", async || redis.pending(WORK).await == 4)
        .await;
    server.kill().await;
    let python = redis.serve_python("python-1", IDLE).await;
    for result in within("all are answered", calls).await.expect("no panic") {
        assert_eq!(result.expect("an answer").by, "python-1");
    }
    redis
        .until("nothing is pending", async || {
            redis.pending(WORK).await == 0
        })
        .await;
    python.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_25_mx_deleting_what_is_done_does_not_disturb_python_servers() {
    let redis = Redis::start().await;
    let servers = redis.serve("rust-1").await;
    let python = redis.serve_python("python-1", IDLE).await;
    redis.scenario("thousand").await;
    redis.scenario("concurrent").await;
    // A frozen server of the package comes back to entries that others have taken over, answered and deleted.
    let (peer, client) = redis.connect().await;
    python.signal(Signal::STOP);
    let calls = (0..40).map(|number| client.add(number, 1).into_future());
    let calls = tokio::spawn(join_all(calls));
    let options = redis
        .options()
        .with_instance("rust-2")
        .with_claim_idle(IDLE);
    let other = redis.serve_with(options).await;
    for (number, result) in (1..).zip(within("all are answered", calls).await.expect("no panic")) {
        assert_eq!(result.expect("an answer").sum, number);
    }
    python.signal(Signal::CONT);
    let group = async || {
        let groups = redis.ask(&["XINFO", "GROUPS", CMDS]).await;
        let group = &groups.items()[0];
        let number = |name| {
            group
                .field(name)
                .and_then(mynah_testkit::redis::Reply::as_integer)
        };
        (number("pending"), number("lag").unwrap_or_default())
    };
    redis
        .until("pending and lag are zero", async || {
            group().await == (Some(0), 0)
        })
        .await;
    redis.scenario("thousand").await;
    drop((peer, client));
    python.end().await;
    drained(other).await;
    drained(servers).await;
}
