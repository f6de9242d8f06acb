//! A fleet that is killed, frozen and cut off from Redis while it works, in bounded time; `cargo xtask soak` runs the long
//! ones.

use interop_tests::chaos::{self, Plan, Replicas};
use interop_tests::soak::{self, Until};
use std::path::PathBuf;
use std::time::Duration;

fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_fleet_node"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_r4_each_operation_happens_once_whatever_is_killed() {
    let plan = Plan {
        program: program(),
        calls: 2_000,
        clients: 4,
        in_flight: 16,
        servers: 8,
        kill_every: Duration::from_millis(500),
        freeze_for: Duration::from_millis(1_500),
        restarts: 1,
        replicas: Replicas::None,
        deadline: Duration::from_secs(15),
        seed: 1,
    };
    println!("{}", chaos::run(plan).await);
}

/// A primary is killed while it works, and its replica takes over.
fn failover(replicas: Replicas, seed: u64) -> Plan {
    Plan {
        program: program(),
        calls: 1_000,
        clients: 2,
        in_flight: 16,
        servers: 4,
        kill_every: Duration::from_secs(1),
        freeze_for: Duration::from_millis(1_500),
        restarts: 1,
        replicas,
        deadline: Duration::from_secs(15),
        seed,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_r4_a_failover_loses_nothing_that_replicas_were_waited_for() {
    println!("{}", chaos::run(failover(Replicas::Waited, 2)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_r4_a_failover_without_waiting_loses_what_was_just_answered_and_no_more() {
    println!("{}", chaos::run(failover(Replicas::Behind, 3)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_p1_ten_thousand_calls_need_no_more_memory_than_three_thousand() {
    let soaked = soak::run(&program(), Until::Calls(10_000)).await;
    println!("{soaked}");
    soaked.check();
}
