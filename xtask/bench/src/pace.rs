//! How long a phase goes on, and what was done in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a phase is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Amount {
    Time(Duration),
    Calls(u64),
}

/// Says how long a phase goes on.
#[derive(Debug)]
pub struct Pace {
    ended: AtomicBool,
    /// Calls that may still start, where the phase is a number of calls.
    left: Option<AtomicU64>,
}

impl Pace {
    pub(crate) fn new(amount: Amount) -> Self {
        let left = match amount {
            Amount::Time(_) => None,
            Amount::Calls(calls) => Some(AtomicU64::new(calls)),
        };
        Self {
            ended: AtomicBool::new(false),
            left,
        }
    }

    /// How many of `wanted` calls may start now; 0 ends the phase.
    #[inline]
    pub fn claim(&self, wanted: usize) -> usize {
        if self.ended.load(Ordering::Relaxed) {
            return 0;
        }
        let Some(left) = &self.left else {
            return wanted;
        };
        let take = |left: u64| left.min(wanted as u64);
        let before = left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                Some(left - take(left))
            })
            .unwrap_or(0);
        usize::try_from(take(before)).unwrap_or(wanted)
    }

    /// No call starts any more.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// Ends the phase when its time is over, or when the other end of `wait` is dropped: the load
    /// has failed before.
    ///
    /// A thread's clock instead of a timer of the runtime, which would cost every turn of it.
    pub(crate) fn end_after(
        self: Arc<Self>,
        time: Duration,
        wait: mpsc::Receiver<()>,
    ) -> JoinHandle<()> {
        std::thread::spawn(move || {
            let _ = wait.recv_timeout(time);
            self.end();
        })
    }
}

/// What one connection has to do in one phase.
#[derive(Clone, Debug)]
pub struct Load {
    /// Calls in flight on it.
    pub in_flight: usize,
    /// How long it goes on.
    pub pace: Arc<Pace>,
    /// Whether each call is timed.
    pub latencies: bool,
}

/// What one connection has done in one phase.
#[derive(Debug, Default)]
pub struct Tally {
    /// Calls that were answered; items of streams that were taken; events that everybody has got.
    pub calls: u64,
    /// Nanoseconds from start to answer of each call, where they are asked for.
    pub latencies: Vec<u32>,
}

impl Tally {
    /// Notes that a call that began at `start` is answered now, and returns now.
    pub fn time(&mut self, start: Instant) -> Instant {
        let now = Instant::now();
        self.latencies
            .push(u32::try_from((now - start).as_nanos()).unwrap_or(u32::MAX));
        now
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.latencies.extend(other.latencies);
    }

    /// The latency that so many per cent of the calls do not exceed.
    pub(crate) fn quantile(&mut self, of: usize) -> Option<u32> {
        self.latencies.sort_unstable();
        self.latencies.get(self.latencies.len() * of / 100).copied()
    }
}
