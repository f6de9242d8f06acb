//! How many breaches of the protocol a peer is forgiven.

use mynah_protocol::{ErrorCode, Moment};
use std::time::Duration;

/// The peer broke the rules once too often; the connection ends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {what}")]
pub struct Violation {
    /// The code that says so on the wire.
    pub code: ErrorCode,
    /// The last breach.
    pub what: &'static str,
}

/// A bucket of forgiven breaches: full at the start, refilled at ten a second.
#[derive(Debug)]
pub(crate) struct Budget {
    tokens: u32,
    capacity: u32,
    refilled: Moment,
    /// What is handled belongs to one call, which ends with the first breach: nothing is taken.
    strict: bool,
}

const REFILL: Duration = Duration::from_millis(100);

impl Budget {
    pub(crate) const fn new(capacity: u32, now: Moment) -> Self {
        Self {
            tokens: capacity,
            capacity,
            refilled: now,
            strict: false,
        }
    }

    /// Takes one token.
    pub(crate) fn charge(&mut self, now: Moment, what: &'static str) -> Result<(), Violation> {
        self.refill(now);
        let left = self.tokens.checked_sub(1).filter(|_| !self.strict);
        self.tokens = left.unwrap_or(self.tokens);
        left.map(drop).ok_or(Violation {
            code: ErrorCode::PROTOCOL_VIOLATION,
            what,
        })
    }

    /// Whether every breach is an error, and no token is taken for it.
    pub(crate) const fn set_strict(&mut self, strict: bool) {
        self.strict = strict;
    }

    pub(crate) const fn is_strict(&self) -> bool {
        self.strict
    }

    /// Tokens that are left.
    #[cfg(any(test, fuzzing))]
    pub(crate) const fn left(&self) -> u32 {
        self.tokens
    }

    fn refill(&mut self, now: Moment) {
        let earned = now.since(self.refilled).as_nanos() / REFILL.as_nanos();
        let earned = u32::try_from(earned).unwrap_or(u32::MAX);
        self.tokens = self.tokens.saturating_add(earned).min(self.capacity);
        // A full bucket earns nothing; else the part of a token that was earned is kept.
        self.refilled = if self.tokens == self.capacity {
            self.refilled.max(now)
        } else {
            self.refilled.after(REFILL.saturating_mul(earned))
        };
    }
}
