//! What runs of one service, and how much more may.

use crate::entry::EntryId;
use crate::sealed::Seals;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How far ids may be ahead of the clock of Redis as this side knows it, in milliseconds.
const AHEAD_MS: u64 = 10_000;

/// One service of a server.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) service: Box<str>,
    /// The hash of its contract, as text.
    pub(super) contract: Option<String>,
    pub(super) stream: String,
    pub(super) consumer: String,
    /// How many of its calls may run at once.
    concurrency: usize,
    running: Mutex<Running>,
    /// Rung when a place is free.
    freed: Notify,
    /// The outcomes of its operations.
    pub(super) seals: Seals,
    /// From where the group is created again when it is gone: milliseconds of the clock of Redis.
    seen_ms: AtomicU64,
}

/// What becomes of an entry that was delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begun {
    Now,
    /// It runs here already.
    Before,
    /// Sessions have taken the places meanwhile.
    NoRoom,
}

#[derive(Debug, Default)]
struct Running {
    /// Delivered to this side and not acknowledged.
    entries: BTreeSet<EntryId>,
    /// Calls that are sessions.
    sessions: usize,
    /// Nothing is fetched before.
    rests_until: Option<Instant>,
}

impl Running {
    fn runs(&self) -> usize {
        self.entries.len() + self.sessions
    }
}

impl Desk {
    pub(super) fn new(
        service: &str,
        contract: Option<String>,
        stream: String,
        consumer: String,
        concurrency: usize,
        seals: Seals,
    ) -> Self {
        Self {
            service: service.into(),
            contract,
            stream,
            consumer,
            concurrency,
            running: Mutex::default(),
            freed: Notify::new(),
            seals,
            seen_ms: AtomicU64::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) const fn concurrency(&self) -> usize {
        self.concurrency
    }

    /// Whether it does not rest.
    pub(super) fn may_fetch(&self) -> bool {
        self.lock()
            .rests_until
            .is_none_or(|until| until <= Instant::now())
    }

    /// How many calls may be fetched now.
    pub(super) fn free(&self) -> usize {
        self.concurrency.saturating_sub(self.lock().runs())
    }

    /// Waits until something may be fetched, and says how much.
    pub(super) async fn wait_for_room(&self) -> usize {
        loop {
            let freed = self.freed.notified();
            let (free, rests_until) = {
                let state = self.lock();
                let free = self.concurrency.saturating_sub(state.runs());
                let rests_until = state.rests_until;
                (free, rests_until.filter(|until| *until > Instant::now()))
            };
            match rests_until {
                Some(until) => tokio::time::sleep_until(until).await,
                None if free > 0 => return free,
                None => freed.await,
            }
        }
    }

    /// An entry was delivered, to a reading that began when there was room for it. `redis_ms`: the time at Redis. Whoever may write can choose
    /// any id: one of the future says nothing of what was seen.
    pub(super) fn begin(&self, id: EntryId, redis_ms: u64) -> Begun {
        if id.ms <= redis_ms.saturating_add(AHEAD_MS) {
            self.seen_ms.fetch_max(id.ms, Ordering::Relaxed);
        }
        let mut state = self.lock();
        let full = state.sessions > 0 && state.runs() >= self.concurrency;
        if full && !state.entries.contains(&id) {
            return Begun::NoRoom;
        }
        match state.entries.insert(id) {
            true => Begun::Now,
            false => Begun::Before,
        }
    }

    /// Entries are acknowledged, or somebody else's.
    pub(super) fn end(&self, ids: &[EntryId]) {
        let mut state = self.lock();
        for id in ids {
            state.entries.remove(id);
        }
        drop(state);
        self.freed.notify_one();
    }

    pub(super) fn runs(&self, id: EntryId) -> bool {
        self.lock().entries.contains(&id)
    }

    pub(super) fn running(&self) -> Vec<EntryId> {
        self.lock().entries.iter().copied().collect()
    }

    /// Takes a place for a session; `false`: there is none.
    pub(super) fn begin_session(&self) -> bool {
        let mut state = self.lock();
        let free = state.runs() < self.concurrency;
        state.sessions += usize::from(free);
        free
    }

    /// A session has ended.
    pub(super) fn end_session(&self) {
        let mut state = self.lock();
        state.sessions = state.sessions.saturating_sub(1);
        drop(state);
        self.freed.notify_one();
    }

    /// How many of its calls run.
    pub(super) fn runs_now(&self) -> usize {
        self.lock().runs()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.lock().runs() == 0
    }

    /// Fetches nothing for a while: what was fetched could not begin.
    pub(super) fn rest(&self, time: Duration) {
        self.lock().rests_until = Instant::now().checked_add(time);
    }

    /// Up to here entries have been delivered.
    pub(super) fn saw(&self, ms: u64) {
        self.seen_ms.fetch_max(ms, Ordering::Relaxed);
    }

    pub(super) fn seen(&self) -> u64 {
        self.seen_ms.load(Ordering::Relaxed)
    }
}
