//! How much of large messages may be on its way at once.
//!
//! What was handed to the network cannot be overtaken. The receiver says what it has taken; so much more than the
//! network holds by itself is not sent ahead, or small messages would wait behind it. What the network holds is
//! measured: bytes taken in the time that a chunk needs at least from here to there and back.

use mynah_protocol::Moment;
use std::collections::VecDeque;
use std::time::Duration;

/// So much may be on its way in any case.
const LEAST: u64 = 128 << 10;
/// And never more than so much.
const MOST: u64 = 64 << 20;

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
}

#[derive(Debug)]
struct Chunk {
    /// All that was sent up to its end, and when.
    end: u64,
    at: Moment,
    /// What the receiver had taken by then, and since when that was known.
    taken: u64,
    taken_at: Moment,
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
        self.on_its_way() < if measures { LEAST } else { self.window }
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
        let delay = now.since(chunk.at);
        self.shortest = self.shortest.min(delay);
        // Words of many chunks may come at once: the time counts from the word before.
        let moved = u128::from(self.taken - chunk.taken);
        let elapsed = now.since(chunk.taken_at).as_nanos().max(1);
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
