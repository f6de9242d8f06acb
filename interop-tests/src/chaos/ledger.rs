//! What the handlers have left in Redis, held against what the clients were told.

use super::clients::Calls;
use super::counts::{Counts, UNEXPLAINED};
use super::nodes::Nodes;
use super::store::Store;
use mynah_testkit::redis::Reply;

/// Reads the marks of every operation.
pub(super) async fn read(redis: &Store, calls: &Calls, nodes: &Nodes, counts: &mut Counts) {
    let mut effects = 0;
    for (operation, succeeded) in calls.operations() {
        let runs = ["LRANGE", &format!("runs:{operation}"), "0", "-1"];
        let runs = redis.command(&runs).await;
        count_runs(&operation, &runs, calls, nodes, counts);
        let effect = ["GET", &format!("effects:{operation}")];
        let effect = redis.command(&effect).await;
        let effect = effect.as_integer().unwrap_or_default();
        effects += effect;
        match effect {
            0 if succeeded => {
                counts.effects_missing += 1;
                // What was answered before that was on the replica, and what was asked for behind it ran on the new primary.
                let explained = nodes
                    .history
                    .lost_in_a_failover(calls.under_way(&operation));
                counts.effects_unexplained += usize::from(!explained);
            }
            0 => {}
            1 => counts.effects_once += 1,
            _ => counts.effects_twice += 1,
        }
    }
    let accounts = redis.command(&["KEYS", "balance:*"]).await;
    let mut balance = 0;
    for account in accounts.texts() {
        let has = redis.command(&["GET", account]).await;
        balance += has.as_integer().expect("a balance");
    }
    counts.balance_off = balance - effects;
}

fn count_runs(operation: &str, runs: &Reply, calls: &Calls, nodes: &Nodes, counts: &mut Counts) {
    let mut runs: Vec<(&str, u128)> = runs
        .texts()
        .into_iter()
        .map(|run| {
            let (instance, time) = run.split_once(' ').expect("a server and a time");
            (instance, time.parse().expect("a time"))
        })
        .collect();
    // One run that was written down twice, because the answer to the first was lost.
    runs.sort_unstable_by_key(|(instance, time)| (*time, *instance));
    runs.dedup();
    counts.runs += runs.len();
    for pair in runs.windows(2) {
        let [first, next] = *pair else {
            continue;
        };
        let why = nodes.history.explains(first, next);
        // Asked for again while it ran: two entries, of which neither knew the other's outcome.
        let asked = || calls.was_repeated(operation).then_some("asked for again");
        let why = why.or_else(asked).unwrap_or(UNEXPLAINED);
        *counts.extra_runs.entry(why).or_default() += 1;
    }
}
