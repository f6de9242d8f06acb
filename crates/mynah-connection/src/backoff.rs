//! How long to wait before the next attempt.

use std::time::Duration;

/// How long to wait before the next attempt to connect: longer each time, up to a cap, and never the same for
/// everybody.
///
/// A rule and nothing else: it does not sleep, reads no clock and draws no random numbers. The same seed gives the same
/// sequence. Without a seed, whoever waits sets one of its own.
///
/// ```
/// use mynah_connection::Backoff;
/// use std::time::Duration;
///
/// let mut backoff = Backoff::new().with_jitter_percent(0).with_seed(1);
/// assert_eq!(backoff.next_delay(), Duration::from_millis(100));
/// assert_eq!(backoff.next_delay(), Duration::from_millis(200));
/// backoff.lived(Duration::from_secs(60));
/// assert_eq!(backoff.next_delay(), Duration::from_millis(100));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    factor_percent: u32,
    cap: Duration,
    jitter_percent: u32,
    stable_after: Duration,
    seed: Option<u64>,
    /// Delays since the last reset.
    attempt: u32,
    /// Delays since the beginning: two rounds do not have the same jitter.
    drawn: u64,
}

/// A delay of zero would have the attempts follow each other without end.
const SHORTEST: Duration = Duration::from_millis(1);

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}

impl Backoff {
    /// 100 ms at first, twice as long each time, 30 s at most, each shortened by up to a half; a connection that lived
    /// for 10 s was a stable one.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            first: Duration::from_millis(100),
            factor_percent: 200,
            cap: Duration::from_secs(30),
            jitter_percent: 50,
            stable_after: Duration::from_secs(10),
            seed: None,
            attempt: 0,
            drawn: 0,
        }
    }

    /// The first delay, 1 ms at least.
    #[must_use]
    pub const fn with_first(mut self, first: Duration) -> Self {
        self.first = first;
        self
    }

    /// How long each delay is, in percent of the one before it: 200 doubles it. 100 at least.
    #[must_use]
    pub const fn with_factor_percent(mut self, percent: u32) -> Self {
        self.factor_percent = percent;
        self
    }

    /// The longest delay.
    #[must_use]
    pub const fn with_cap(mut self, cap: Duration) -> Self {
        self.cap = cap;
        self
    }

    /// By how much a delay is shortened at most, in percent of its length: 0 for none, 100 at most.
    #[must_use]
    pub const fn with_jitter_percent(mut self, percent: u32) -> Self {
        self.jitter_percent = percent;
        self
    }

    /// How long a connection must have lived for the delays to begin anew.
    #[must_use]
    pub const fn with_stable_after(mut self, span: Duration) -> Self {
        self.stable_after = span;
        self
    }

    /// What the jitter follows from.
    #[must_use]
    pub const fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// What the jitter follows from, `None` when nobody has said.
    #[must_use]
    pub const fn seed(&self) -> Option<u64> {
        self.seed
    }

    /// Delays since the last reset.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The next delay.
    pub fn next_delay(&mut self) -> Duration {
        let delay = self.delay(self.attempt, self.drawn);
        self.attempt = self.attempt.saturating_add(1);
        self.drawn = self.drawn.wrapping_add(1);
        delay
    }

    /// The delay after `attempt` others, with the jitter of `salt`. Changes nothing.
    #[must_use]
    pub fn delay(&self, attempt: u32, salt: u64) -> Duration {
        let full = self.full(attempt);
        let nanos = u64::try_from(full.as_nanos()).unwrap_or(u64::MAX);
        let most = u128::from(nanos) * u128::from(self.jitter_percent.min(100)) / 100;
        let drawn = u128::from(mixed(self.seed.unwrap_or(0), salt));
        // The upper half of the product is evenly spread from 0 to `most`.
        let less = (drawn * (most + 1)) >> 64;
        Duration::from_nanos(nanos.saturating_sub(u64::try_from(less).unwrap_or(u64::MAX)))
    }

    /// Begins anew, as after a connection that was stable.
    pub const fn reset(&mut self) {
        self.attempt = 0;
    }

    /// A connection ended that had lived so long. Returns whether it was a stable one, after which the delays begin
    /// anew.
    pub fn lived(&mut self, span: Duration) -> bool {
        let stable = span >= self.stable_after;
        if stable {
            self.reset();
        }
        stable
    }

    /// The delay without its jitter.
    fn full(&self, attempt: u32) -> Duration {
        let cap = self.cap.max(SHORTEST);
        let mut delay = self.first.clamp(SHORTEST, cap);
        if self.factor_percent <= 100 {
            return delay;
        }
        for _ in 0..attempt {
            if delay >= cap {
                break;
            }
            let Some(grown) = delay.checked_mul(self.factor_percent) else {
                return cap;
            };
            let grown = grown / 100;
            if grown == delay {
                // Too short to grow by this factor.
                break;
            }
            delay = grown.min(cap);
        }
        delay
    }
}

/// Two numbers made one that looks like chance: SplitMix64.
const fn mixed(seed: u64, salt: u64) -> u64 {
    let mut z = seed.wrapping_add(salt.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
