//! RS and Mynah alone: starts, stops, what Redis loses, and Redis itself.

use crate::checks::{done, usable};
use crate::harness::{CMDS, PREFIX, Redis, WORK, drained};
use crate::service::{ArithService, Here};
use futures::future::join_all;
use interop_tests::fleet::FleetClient;
use interop_tests::python::within;
use mynah::CallError;
use mynah::prelude::*;
use mynah::redis_streams::RedisListener;
use mynah_testkit::redis::{AppendOnly, RedisOptions};
use std::time::Duration;

/// An error and what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<_> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}

/// Until a call is answered: each attempt ends within its deadline, whatever has happened to Redis.
async fn usable_again(client: &crate::service::ArithClient) {
    within("a call is answered again", async {
        while client
            .add(2, 3)
            .deadline(Duration::from_secs(1))
            .await
            .is_err()
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    usable(client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_27_rs_a_drain_under_load_finishes_what_runs_and_leaves_the_rest_to_others() {
    let redis = Redis::start().await;
    let first = redis.serve("srv-1").await;
    let second = redis.serve("srv-2").await;
    let (peer, _client) = redis.connect().await;
    let fleet: FleetClient = peer.client();
    let calls = (0..400).map(|number| fleet.mark(format!("{number}"), 20).into_future());
    let calls = tokio::spawn(join_all(calls));
    redis
        .until("both run some", async || redis.pending(WORK).await > 64)
        .await;
    drained(first).await;
    // The default claim idle is a minute: nothing may wait for that.
    for result in within("all are answered", calls).await.expect("no panic") {
        result.expect("an answer");
    }
    redis.settled(WORK).await;
    for number in 0..400 {
        let marks = redis.marks(&number.to_string()).await;
        assert_eq!(marks.len(), 1, "{number}: {marks:?}");
    }
    // It has gone from the group, too.
    let consumers = redis.ask(&["XINFO", "CONSUMERS", WORK, "fleet-work"]).await;
    let names = consumers
        .items()
        .iter()
        .filter_map(|consumer| consumer.field("name")?.as_text());
    assert_eq!(names.collect::<Vec<_>>(), ["fleet-work:srv-2"]);
    drained(second).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_28_rs_streams_and_groups_that_are_deleted_are_made_again() {
    let redis = Redis::start().await;
    let server = redis.serve("srv-1").await;
    let (peer, client) = redis.connect().await;
    usable(&client).await;
    for lost in [
        &["DEL", CMDS][..],
        &["XGROUP", "DESTROY", CMDS, "arith"],
        &["FLUSHALL"],
    ] {
        redis.ask(lost).await;
        usable_again(&client).await;
    }
    drop((peer, client));
    drained(server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_28_rs_a_restart_of_redis_loses_nothing_that_was_acknowledged() {
    for kept in [AppendOnly::Always, AppendOnly::No] {
        let options = RedisOptions::new().with_append_only(kept);
        let mut redis = Redis::start_with(options).await;
        let idle = Duration::from_secs(1);
        let options = redis.options().with_instance("srv-1").with_claim_idle(idle);
        let server = redis.serve_with(options).await;
        let (peer, client) = redis.connect().await;
        usable(&client).await;
        let fleet: FleetClient = peer.client();
        let running = tokio::spawn(fleet.mark("over".to_owned(), 1_000).into_future());
        redis
            .until("it runs", async || redis.pending(WORK).await == 1)
            .await;
        redis.0.restart().await.expect("redis comes back");
        usable_again(&client).await;
        let ended = within("what ran ends", running).await.expect("no panic");
        match (kept, ended) {
            (AppendOnly::Always, ended) => {
                ended.expect("its answer is not lost");
            }
            // Either the answer was written after the restart, or the caller is told within its deadline.
            (_, Ok(marked)) => assert_eq!(marked.by, "srv-1"),
            (_, Err(error)) => assert!(
                matches!(error, CallError::Indeterminate(_) | CallError::Deadline),
                "{error:?}"
            ),
        }
        drop((peer, client));
        drained(server).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_28_a_frozen_redis_holds_nobody_past_its_deadline() {
    let redis = Redis::start().await;
    let server = redis.serve("srv-1").await;
    let (peer, client) = redis.connect().await;
    usable(&client).await;
    redis.0.freeze().expect("it is frozen");
    let calls = (0..20).map(|_| {
        client
            .add(1, 1)
            .deadline(Duration::from_millis(300))
            .into_future()
    });
    for result in within("all end", join_all(calls)).await {
        let error = result.expect_err("nobody answers");
        assert!(
            matches!(
                error,
                CallError::Deadline | CallError::Indeterminate(_) | CallError::Disconnected(_)
            ),
            "{error:?}"
        );
    }
    redis.0.thaw().expect("it goes on");
    usable_again(&client).await;
    redis.settled(CMDS).await;
    drop((peer, client));
    drained(server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_32_starts_and_stops() {
    let redis = Redis::start().await;
    let twice = Server::new()
        .register(ArithService::new(Here::default()))
        .register(ArithService::new(Here::default()))
        .listen_transport_within(RedisListener::bind(redis.options()), std::convert::identity)
        .start()
        .await;
    let text = chain(&twice.expect_err("one name, two services"));
    assert!(text.contains("arith"), "{text}");
    let none = redis.ask(&["KEYS", "*"]).await;
    assert!(none.items().is_empty(), "nothing is left of it: {none:?}");

    let server = redis.serve("srv-1").await;
    let (peer, client) = redis.connect().await;
    usable(&client).await;
    let report = server.drain(Duration::from_secs(5)).await;
    assert!(report.is_complete(), "{report}");
    let again = server.drain(Duration::from_secs(5)).await;
    assert!(again.is_complete(), "{again}");
    server.stop();
    // Somebody reads in its place.
    let server = redis.serve("srv-2").await;
    usable(&client).await;
    peer.close();
    let ended = done(client.add(1, 2)).await;
    assert!(
        matches!(ended, Err(CallError::Disconnected(_))),
        "{ended:?}"
    );
    drained(server).await;
    assert_eq!(redis.pending(CMDS).await, 0);
    assert_eq!(CMDS, format!("{PREFIX}:cmds:arith"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_32_what_cannot_be_served_fails_where_it_is_started() {
    let redis = Redis::start().await;
    redis.ask(&["SET", CMDS, "not a stream"]).await;
    let started = Server::new()
        .register(ArithService::new(Here::default()))
        .listen_transport_within(RedisListener::bind(redis.options()), std::convert::identity)
        .start()
        .await;
    let text = chain(&started.expect_err("another type is there"));
    assert!(text.contains("WRONGTYPE") || text.contains(CMDS), "{text}");
}
