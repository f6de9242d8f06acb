//! A fleet that is killed, frozen and cut off from Redis while it works, in bounded time; `cargo xtask soak` runs the long
//! ones.

use interop_tests::chaos::{self, Plan, Replicas};
use interop_tests::soak::{self, Until};
use std::path::PathBuf;
use std::time::Duration;

fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_fleet_node"))
}

fn plan(seed: u64) -> Plan {
    Plan {
        program: program(),
        calls: 1_000,
        clients: 2,
        in_flight: 16,
        servers: 4,
        kill_every: Duration::from_secs(1),
        freeze_for: Duration::from_millis(2_500),
        restarts: 0,
        failovers: 0,
        replicas: Replicas::None,
        deadline: Duration::from_secs(15),
        seed,
    }
}

/// Servers are killed and frozen, and Redis with its replica is killed and started again, fails over, and is killed and
/// started again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_r4_each_operation_happens_once_whatever_is_killed() {
    let plan = Plan {
        calls: 2_000,
        clients: 4,
        servers: 8,
        kill_every: Duration::from_millis(500),
        restarts: 2,
        failovers: 1,
        replicas: Replicas::Waited,
        ..plan(1)
    };
    println!("{}", chaos::run(plan).await);
}

/// A single Redis, without a replica that is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_r4_a_restart_loses_nothing_that_redis_keeps() {
    let plan = Plan {
        restarts: 1,
        ..plan(2)
    };
    println!("{}", chaos::run(plan).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_r4_a_failover_without_waiting_loses_what_was_just_answered_and_no_more() {
    let plan = Plan {
        failovers: 1,
        replicas: Replicas::Behind,
        ..plan(3)
    };
    println!("{}", chaos::run(plan).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_p1_ten_thousand_calls_need_no_more_memory_than_three_thousand() {
    let soaked = soak::run(&program(), Until::Calls(10_000)).await;
    println!("{soaked}");
    soaked.check();
}
