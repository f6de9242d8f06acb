//! How much of large messages may be on its way at once.
//!
//! What was handed to the network cannot be overtaken. The receiver says what it has taken; so much more than the
//! network holds by itself is not sent ahead, or small messages would wait behind it. What the network holds is
//! measured: bytes taken in the time that a chunk needs at least from here to there and back.
//!
//! While nothing else is said, there is nothing that could wait. Then as much is sent ahead as leaves in a moment, in
//! larger chunks: whoever speaks up first waits that moment, and the ones behind it wait no more than ever.

use mynah_protocol::Moment;
use std::collections::VecDeque;
use std::time::Duration;

/// So much may be on its way in any case.
const LEAST: u64 = 128 << 10;
/// And never more than so much.
const MOST: u64 = 64 << 20;
/// While nothing else is said: what leaves in so much time, and never more than so much.
const AHEAD: Duration = Duration::from_millis(1);
const MOST_AHEAD: u64 = 1 << 20;
/// How long nothing else must have been said.
const QUIET: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(super) struct Pace {
    window: u64,
    sent: u64,
    taken: u64,
    /// Chunks on their way, oldest first.
    chunks: VecDeque<Chunk>,
    /// The shortest time that a chunk has needed since nothing was on its way.
    shortest: Duration,
    /// When the receiver said last that it had taken something.
    taken_at: Moment,
    /// What the receiver takes in [`AHEAD`], at the best of late.
    ahead: u64,
    /// When something else was said last.
    other_at: Option<Moment>,
    quiet: bool,
}

#[derive(Debug)]
struct Chunk {
    /// All that was sent up to its end, and when.
    end: u64,
    at: Moment,
    /// What the receiver had taken by then, and since when that was known.
    taken: u64,
    taken_at: Moment,
    /// Sent while more than usual was sent ahead: of what the network holds by itself it says nothing.
    ahead: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            window: LEAST,
            sent: 0,
            taken: 0,
            chunks: VecDeque::new(),
            shortest: Duration::MAX,
            taken_at: Moment::ZERO,
            ahead: 0,
            other_at: None,
            quiet: false,
        }
    }
}

impl Pace {
    /// Bytes of chunks that the receiver has not taken.
    #[inline]
    pub(super) const fn on_its_way(&self) -> u64 {
        self.sent - self.taken
    }

    /// Whether another chunk may go.
    pub(super) const fn is_open(&self) -> bool {
        // The shortest time is measured with little on its way: what is much takes longer by itself.
        let measures = self.shortest.as_nanos() == Duration::MAX.as_nanos();
        self.on_its_way()
            < if self.quiet {
                self.ahead_now()
            } else if measures {
                LEAST
            } else {
                self.window
            }
    }

    /// Notes whether something else was said since the last time, or is to be said now.
    pub(super) fn listen(&mut self, other: bool, now: Moment) {
        if other {
            self.other_at = Some(now);
        }
        self.quiet = self.other_at.is_none_or(|at| now.since(at) >= QUIET);
    }

    /// How many bytes a chunk may have: `least` while it could hold up anything.
    pub(super) fn chunk_bytes(&self, least: usize) -> usize {
        if self.quiet {
            // Two are on the way, so that the line is never empty.
            least.max(usize::try_from(self.ahead / 2).unwrap_or(least))
        } else {
            least
        }
    }

    /// What may be on its way while nothing else is said.
    const fn ahead_now(&self) -> u64 {
        let window = if self.window > LEAST {
            self.window
        } else {
            LEAST
        };
        if self.ahead > window {
            self.ahead
        } else {
            window
        }
    }

    /// A chunk goes.
    pub(super) fn send(&mut self, len: usize, now: Moment) {
        if self.sent == self.taken {
            self.shortest = Duration::MAX;
            self.taken_at = now;
        }
        self.sent += len as u64;
        self.chunks.push_back(Chunk {
            end: self.sent,
            at: now,
            taken: self.taken,
            taken_at: self.taken_at,
            ahead: self.quiet && self.ahead > LEAST,
        });
    }

    /// The receiver has taken so many bytes more. What it cannot have taken does not count.
    pub(super) fn take(&mut self, len: u64, now: Moment) {
        self.taken = self.taken.saturating_add(len).min(self.sent);
        let mut last = None;
        while let Some(chunk) = self.chunks.front()
            && chunk.end <= self.taken
        {
            last = self.chunks.pop_front();
        }
        self.taken_at = now;
        let Some(chunk) = last else { return };
        // Words of many chunks may come at once: the time counts from the word before.
        let moved = u128::from(self.taken - chunk.taken);
        let elapsed = now.since(chunk.taken_at).as_nanos().max(1);
        let ahead = u64::try_from(moved * AHEAD.as_nanos() / elapsed).unwrap_or(MOST_AHEAD);
        self.ahead = ahead.min(MOST_AHEAD).max(self.ahead - self.ahead / 16);
        if chunk.ahead {
            return;
        }
        let delay = now.since(chunk.at);
        self.shortest = self.shortest.min(delay);
        let held = moved * self.shortest.as_nanos() / elapsed;
        // More than that, so that it is found out when the network holds more: much more while nothing has to wait.
        let waits = delay > self.shortest + self.shortest / 4;
        let quarters = if waits { 5 } else { 7 };
        let wanted = u64::try_from(held.saturating_mul(quarters) / 4)
            .unwrap_or(MOST)
            .clamp(LEAST, MOST);
        if wanted >= self.window {
            self.window = wanted;
        } else {
            self.window -= (self.window - wanted) / 8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends as much as may go over a line of so many bytes in a millisecond, with so many milliseconds there and
    /// back; returns the most that was on its way beyond what the line holds, and the bytes taken in a second.
    fn run(rate: u64, delay: u64) -> (u64, u64) {
        const CHUNK: u64 = 64 << 10;
        const LEN: usize = 64 << 10;
        let mut pace = Pace::default();
        let mut line: VecDeque<(u64, u64)> = VecDeque::new();
        let (mut free_at, mut excess) = (0, 0);
        for now in 0..1000 {
            while line.front().is_some_and(|(at, _)| *at <= now) {
                let (_, len) = line.pop_front().unwrap();
                pace.take(len, Moment::from_nanos(now * 1_000_000));
            }
            while pace.is_open() {
                pace.send(LEN, Moment::from_nanos(now * 1_000_000));
                free_at = free_at.max(now) + CHUNK.div_ceil(rate);
                line.push_back((free_at + delay, CHUNK));
            }
            excess = excess.max((pace.sent - pace.taken).saturating_sub(rate * delay));
        }
        (excess, pace.taken)
    }

    #[test]
    fn a_short_line_gets_no_more_than_the_least() {
        let (excess, taken) = run(64 << 10, 0);
        assert!(excess <= LEAST + (64 << 10), "{excess}");
        assert!(taken >= 900 * (64 << 10), "{taken}");
    }

    #[test]
    fn a_long_line_is_filled() {
        // 100 ms and 64 MB a second: 6.4 MB are on the way.
        let (excess, taken) = run(64 << 10, 100);
        assert!(taken > 200 * (64 << 10), "{taken}");
        assert!(excess < 3 * 100 * (64 << 10), "{excess}");
    }

    /// Sends chunks over a line that takes a megabyte in a quarter of a millisecond, until it is known.
    fn fast_line() -> (Pace, u64) {
        let (mut pace, mut now) = (Pace::default(), 100_000_000);
        for _ in 0..8 {
            pace.listen(false, Moment::from_nanos(now));
            let len = pace.chunk_bytes(64 << 10);
            pace.send(len, Moment::from_nanos(now));
            now += len as u64 / 4;
            pace.take(len as u64, Moment::from_nanos(now));
        }
        (pace, now)
    }

    #[test]
    fn much_goes_ahead_only_while_nothing_else_is_said() {
        let (mut pace, now) = fast_line();
        pace.listen(false, Moment::from_nanos(now));
        let chunk = pace.chunk_bytes(64 << 10);
        assert!(chunk as u64 > LEAST && chunk as u64 <= MOST_AHEAD / 2);
        pace.send(chunk, Moment::from_nanos(now));
        assert!(pace.is_open());
        pace.listen(true, Moment::from_nanos(now));
        assert!(!pace.is_open());
        assert_eq!(pace.chunk_bytes(64 << 10), 64 << 10);

        // It is quiet again a while after the last word, not at once.
        let soon = now + 1_000_000;
        pace.take(u64::MAX, Moment::from_nanos(soon));
        pace.listen(false, Moment::from_nanos(soon));
        assert_eq!(pace.chunk_bytes(64 << 10), 64 << 10);
        pace.listen(false, Moment::from_nanos(now + 30_000_000));
        assert!(pace.chunk_bytes(64 << 10) as u64 > LEAST);
    }

    #[test]
    fn what_goes_ahead_does_not_widen_the_window_of_others() {
        let (mut pace, now) = fast_line();
        pace.listen(true, Moment::from_nanos(now));
        let mut sent = 0;
        while pace.is_open() {
            pace.send(64 << 10, Moment::from_nanos(now));
            sent += 64 << 10;
        }
        assert!(sent <= LEAST, "{sent}");
    }

    #[test]
    fn a_slow_line_gets_no_more_ahead_in_quiet() {
        let mut pace = Pace::default();
        for number in 0..50 {
            let now = Moment::from_nanos(number * 10_000_000);
            pace.listen(false, now);
            assert_eq!(pace.chunk_bytes(64 << 10), 64 << 10);
            pace.send(64 << 10, now);
            pace.take(64 << 10, Moment::from_nanos((number + 1) * 10_000_000));
        }
    }

    #[test]
    fn what_was_not_sent_cannot_be_taken() {
        let mut pace = Pace::default();
        pace.take(u64::MAX, Moment::ZERO);
        pace.send(1000, Moment::ZERO);
        pace.take(u64::MAX, Moment::ZERO);
        pace.take(u64::MAX, Moment::ZERO);
        assert!(pace.is_open() && pace.sent == pace.taken);
        for _ in 0..5 {
            pace.send(64 << 10, Moment::ZERO);
        }
        assert!(!pace.is_open());
    }
}
