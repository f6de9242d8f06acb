//! How often strangers may come, by where they come from.

use super::door::source;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::Instant;

/// Sources that are remembered at most: 200 KiB. When more come within a minute, those are forgotten that came least.
const MAX_SOURCES: usize = 4096;

const MINUTE: Duration = Duration::from_secs(60);

/// Counts by source. Whoever has come as often as it may in a minute waits until its share grows again.
#[derive(Debug)]
pub(super) struct Rate {
    /// What each connection costs of a minute.
    cost: Duration,
    /// Until when the share of a source is used up by what came so far, if nothing more comes.
    spent: HashMap<IpAddr, Instant>,
}

impl Rate {
    /// At most that many a minute, at least one.
    pub(super) fn new(per_minute: u32) -> Self {
        Self {
            cost: MINUTE / per_minute.max(1),
            spent: HashMap::new(),
        }
    }

    /// Whether one more may come from there. One that may not counts for nothing.
    pub(super) fn admits(&mut self, remote: IpAddr, now: Instant) -> bool {
        let source = source(remote);
        let spent = self.spent.get(&source).map_or(now, |spent| now.max(*spent));
        let spent = spent + self.cost;
        if spent > now + MINUTE {
            return false;
        }
        if self.spent.len() >= MAX_SOURCES && !self.spent.contains_key(&source) {
            self.forget(now);
        }
        self.spent.insert(source, spent);
        true
    }

    /// Makes room for one.
    fn forget(&mut self, now: Instant) {
        self.spent.retain(|_, spent| *spent > now);
        if self.spent.len() < MAX_SOURCES {
            return;
        }
        let least = self.spent.iter().min_by_key(|(_, spent)| **spent);
        if let Some((source, _)) = least.map(|(source, spent)| (*source, *spent)) {
            self.spent.remove(&source);
        }
    }
}

#[cfg(test)]
mod tests;
