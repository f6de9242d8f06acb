//! What has happened, in numbers.

use super::{Plan, Replicas};
use std::collections::BTreeMap;
use std::fmt;

/// What has happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Operations.
    pub operations: usize,
    /// Operations that a client was told of as done.
    pub succeeded: usize,
    /// Operations that were given up after several attempts.
    pub given_up: usize,
    /// Attempts, the first of each operation among them.
    pub attempts: usize,
    /// Attempts that ended in an error, by its kind.
    pub errors: BTreeMap<String, usize>,
    /// Attempts that ended later than two seconds after their deadline.
    pub late: usize,
    /// The longest attempt, in milliseconds.
    pub longest: u128,
    /// Servers killed.
    pub killed: usize,
    /// Servers frozen.
    pub frozen: usize,
    /// Restarts of Redis.
    pub restarted: usize,
    /// Those among them that the sentinels took for the end of the primary.
    pub moved: usize,
    /// Failovers beside them.
    pub failed_over: usize,
    /// Runs of handlers.
    pub runs: usize,
    /// Runs after the first of an operation, by what explains them.
    pub extra_runs: BTreeMap<&'static str, usize>,
    /// Operations whose effect happened once.
    pub effects_once: usize,
    /// Operations whose effect happened more than once.
    pub effects_twice: usize,
    /// Operations that succeeded and whose effect did not happen.
    pub effects_missing: usize,
    /// Those among them that were answered long before or after a failover, or without one.
    pub effects_unexplained: usize,
    /// What the accounts say beyond what the effects say.
    pub balance_off: i64,
    /// Keys that are left and stay for ever.
    pub immortal: Vec<String>,
    /// Consumers that are left in the group.
    pub consumers: usize,
}

/// What explains no extra run.
pub(super) const UNEXPLAINED: &str = "unexplained";

impl Counts {
    /// What has to hold.
    ///
    /// # Panics
    /// It does not.
    pub fn check(&self, plan: &Plan) {
        let unexplained = self.extra_runs.get(UNEXPLAINED).copied();
        let holds = self.late == 0
            && self.given_up == 0
            && self.effects_twice == 0
            && self.restarted == plan.restarts
            && self.failed_over == plan.failovers
            && self.killed > 0
            && self.frozen > 0
            && (self.effects_missing == 0 || plan.replicas == Replicas::Behind)
            && self.effects_unexplained == 0
            && self.balance_off == 0
            && unexplained.unwrap_or_default() == 0
            && self.immortal.is_empty();
        assert!(holds, "{self}");
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "operations                    {:>8}", self.operations)?;
        writeln!(f, "  succeeded                   {:>8}", self.succeeded)?;
        writeln!(f, "  given up                    {:>8}", self.given_up)?;
        writeln!(f, "attempts                      {:>8}", self.attempts)?;
        for (kind, count) in &self.errors {
            writeln!(f, "  {kind:<28}{count:>8}")?;
        }
        writeln!(f, "  later than their deadline   {:>8}", self.late)?;
        writeln!(f, "  the longest                 {:>8} ms", self.longest)?;
        writeln!(f, "servers killed                {:>8}", self.killed)?;
        writeln!(f, "servers frozen                {:>8}", self.frozen)?;
        writeln!(f, "restarts of redis             {:>8}", self.restarted)?;
        writeln!(f, "  that failed over            {:>8}", self.moved)?;
        writeln!(f, "failovers                     {:>8}", self.failed_over)?;
        writeln!(f, "runs of handlers              {:>8}", self.runs)?;
        for (why, count) in &self.extra_runs {
            writeln!(f, "  again: {why:<21}{count:>8}")?;
        }
        writeln!(f, "effects that happened once    {:>8}", self.effects_once)?;
        writeln!(f, "  more than once              {:>8}", self.effects_twice)?;
        writeln!(
            f,
            "  not, though answered        {:>8}",
            self.effects_missing
        )?;
        let unexplained = self.effects_unexplained;
        writeln!(f, "  of those, unexplained       {unexplained:>8}")?;
        writeln!(f, "  missing in the accounts     {:>8}", self.balance_off)?;
        writeln!(f, "consumers left in the group   {:>8}", self.consumers)?;
        write!(
            f,
            "keys that stay for ever       {:>8}",
            self.immortal.len()
        )?;
        for key in self.immortal.iter().take(10) {
            write!(f, "\n  {key}")?;
        }
        Ok(())
    }
}
