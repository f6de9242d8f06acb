//! How long the peer may say nothing.

use crate::CloseReason;
use mynah_protocol::{CallId, Limits, Moment};
use std::time::Duration;

/// Watches for a peer that is silent: idle connections are closed, and a peer that has not been
/// heard for a while is asked for a sign of life.
///
/// ```text
///                  silent for keep_alive: ping              silent for keep_alive again
///   Heard ──────────────────────────────────────▶ Asked ──────────────────────────────────▶ gone
///     ▲                                             │ any byte
///     └─────────────────────────────────────────────┘
/// ```
///
/// The two rules have clocks of their own: a call in flight keeps a connection from being idle, but
/// does not make a dead peer alive; and a sign of life does not make a connection used.
#[derive(Debug)]
pub(crate) struct Silence {
    idle: Option<Duration>,
    keep_alive: Option<Duration>,
    /// When bytes arrived last.
    heard: Moment,
    /// Since when nothing is known that keeps the connection.
    idle_since: Moment,
    /// The same before bytes arrived that may be a sign of life and nothing else.
    idle_before: Moment,
    /// Bytes that have come since then, of a message that is not complete.
    unfinished: usize,
    /// When a sign of life was asked for that did not come yet.
    asked: Option<Moment>,
    /// Pongs that the peer owes. Any byte is a sign of life, its pong still follows.
    owed: u32,
}

/// Bytes of a message that count as use of the connection although the message is not complete. A peer that feeds fewer
/// in an idle time-out has nothing to say: it keeps the connection open, and nothing else.
const WORTH_KEEPING: usize = 1024;

/// A span of zero would be over before any time has passed, and the timer would never rest.
const SHORTEST: Duration = Duration::from_millis(1);

impl Silence {
    pub(crate) fn new(limits: &Limits, can_ping: bool, now: Moment) -> Self {
        let at_least = |span: Option<Duration>| span.map(|span| span.max(SHORTEST));
        Self {
            idle: at_least(limits.idle_timeout),
            keep_alive: at_least(limits.keep_alive).filter(|_| can_ping),
            heard: now,
            idle_since: now,
            idle_before: now,
            unfinished: 0,
            asked: None,
            owed: 0,
        }
    }

    /// So many bytes arrived.
    pub(crate) const fn heard(&mut self, now: Moment, bytes: usize) {
        self.heard = now;
        self.asked = None;
        self.idle_before = self.idle_since;
        self.unfinished = self.unfinished.saturating_add(bytes);
        if self.unfinished >= WORTH_KEEPING {
            self.unfinished = 0;
            self.idle_since = now;
        }
    }

    /// What arrived is more than a sign of life.
    #[inline]
    pub(crate) fn used(&mut self) {
        self.unfinished = 0;
        self.idle_since = self.idle_since.max(self.heard);
        self.idle_before = self.idle_since;
    }

    /// What arrived is a sign of life: by itself it keeps no connection.
    pub(crate) const fn sign_of_life(&mut self) {
        self.idle_since = self.idle_before;
    }

    /// A pong arrived. `false` when none was asked for.
    pub(crate) fn pong(&mut self) -> bool {
        self.asked = None;
        let left = self.owed.checked_sub(1);
        self.owed = left.unwrap_or(0);
        left.is_some()
    }

    /// When to check next.
    pub(crate) fn due(&self) -> Moment {
        let after = |since: Moment, span: Option<Duration>| {
            span.map_or(Moment::NEVER, |span| since.after(span))
        };
        let ping = after(self.asked.unwrap_or(self.heard), self.keep_alive);
        ping.min(after(self.idle_since, self.idle))
    }

    /// Looks at the time. Returns the number of a ping that is to be sent.
    ///
    /// # Errors
    /// The reason to close the connection with.
    pub(crate) fn check(&mut self, now: Moment, in_use: bool) -> Result<Option<u64>, CloseReason> {
        if let Some(span) = self.idle
            && now.since(self.idle_since) >= span
        {
            if !in_use {
                return Err(CloseReason::TimedOut("connection was idle"));
            }
            self.idle_since = now;
        }
        let Some(span) = self.keep_alive else {
            return Ok(None);
        };
        match self.asked {
            Some(asked) if now.since(asked) >= span => {
                Err(CloseReason::TimedOut("peer gives no sign of life"))
            }
            None if now.since(self.heard) >= span => {
                self.asked = Some(now);
                self.owed = self.owed.saturating_add(1);
                Ok(Some(now.as_nanos() & CallId::MAX))
            }
            Some(_) | None => Ok(None),
        }
    }
}
