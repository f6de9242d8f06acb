//! The connection of now, earlier ones with calls that are not over, and who waits for the next.

use super::state::{ReconnectState, ReconnectStats, ReconnectWatch};
use crate::call::Caller as _;
use crate::error::CallError;
use crate::peer::{Peer, PeerStats};
use mynah_connection::{Backoff, CloseReason};
use mynah_protocol::FormatId;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// How calls are made.
#[derive(Debug)]
pub(super) struct Manners {
    /// Calls that are made while there is no connection end at once.
    pub(super) fail_fast: bool,
    /// Calls that were refused as `Busy` are sent again.
    pub(super) retry_busy: bool,
    pub(super) default_timeout: Option<Duration>,
    pub(super) backoff: Backoff,
}

/// What handles and the task that connects share.
pub(super) struct Connections {
    state: Mutex<State>,
    watch: watch::Sender<ReconnectState>,
    /// Rung when it closes for good.
    closing: Notify,
    pub(super) manners: Manners,
    pub(super) maps_codes: AtomicBool,
    made: AtomicU64,
    failures: AtomicU64,
    pub(super) sent_again: AtomicU64,
}

struct State {
    /// Counts connections; that of now has this number.
    epoch: u32,
    current: Option<Peer>,
    /// Ended, or going away: their calls finish, or wait for their callers.
    old: Vec<(u32, Peer)>,
    waiting: Waiting,
    /// Why there is no connection, when one was lost or could not be made.
    failure: Option<CloseReason>,
    /// What the first connection spoke: params that were encoded for one connection may go out on the next.
    format: Option<FormatId>,
    closed: Option<CloseReason>,
}

/// Tasks that wait for a connection, each once however often it is polled. All are woken at each attempt, and those
/// that still wait come again: nobody who gave up is kept for long.
#[derive(Default)]
struct Waiting {
    wakers: Vec<Waker>,
    /// Two wakers that wake the same have the same parts.
    known: HashSet<(usize, usize)>,
}

impl Waiting {
    fn add(&mut self, waker: &Waker) {
        let vtable = std::ptr::from_ref(waker.vtable()) as usize;
        if self.known.insert((waker.data() as usize, vtable)) {
            self.wakers.push(waker.clone());
        }
    }

    /// Wakes them in the order in which they came. Not under the lock.
    fn wake(self) {
        for waker in self.wakers {
            waker.wake();
        }
    }
}

impl Connections {
    pub(super) fn new(manners: Manners) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                epoch: 0,
                current: None,
                old: Vec::new(),
                waiting: Waiting::default(),
                failure: None,
                format: None,
                closed: None,
            }),
            watch: watch::Sender::new(ReconnectState::Connecting),
            closing: Notify::new(),
            manners,
            maps_codes: AtomicBool::new(true),
            made: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            sent_again: AtomicU64::new(0),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code of the user runs under the lock, so a poisoned one means a defect of this crate; the state is still
        // the best there is.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // For calls.

    /// The connection of now, with its number; waits for one.
    #[inline]
    pub(super) fn poll_current(&self, waker: &Waker) -> Poll<Result<(u32, Peer), CallError>> {
        self.poll_one(waker, self.manners.fail_fast)
    }

    /// The same, however long it takes.
    pub(super) fn poll_next(&self, waker: &Waker) -> Poll<Result<(u32, Peer), CallError>> {
        self.poll_one(waker, false)
    }

    #[inline]
    fn poll_one(&self, waker: &Waker, fail_fast: bool) -> Poll<Result<(u32, Peer), CallError>> {
        let mut state = self.lock();
        if let Some(reason) = &state.closed {
            return Poll::Ready(Err(CallError::Disconnected(reason.clone())));
        }
        if let Some(peer) = &state.current {
            return Poll::Ready(Ok((state.epoch, peer.clone())));
        }
        if fail_fast && let Some(reason) = &state.failure {
            return Poll::Ready(Err(CallError::Disconnected(reason.clone())));
        }
        state.waiting.add(waker);
        Poll::Pending
    }

    /// Waits for what comes after a connection that takes no calls. `false`: there is something to look at already.
    pub(super) fn wait_after(&self, epoch: u32, waker: &Waker) -> bool {
        let mut state = self.lock();
        if state.closed.is_some() || state.current.is_none() || state.epoch != epoch {
            return false;
        }
        state.waiting.add(waker);
        true
    }

    /// The connection that a call was sent on.
    #[inline]
    pub(super) fn find(&self, epoch: u32) -> Option<Peer> {
        let state = self.lock();
        if state.epoch == epoch && state.current.is_some() {
            return state.current.clone();
        }
        let old = state.old.iter().find(|(known, _)| *known == epoch);
        old.map(|(_, peer)| peer.clone())
    }

    /// A call is over: its connection may be one that nothing is left of.
    #[inline]
    pub(super) fn call_over(&self, epoch: u32) {
        let state = self.lock();
        if state.epoch != epoch || state.current.is_none() {
            Self::sweep_locked(state);
        }
    }

    /// Forgets connections that have ended and whose calls were all taken.
    pub(super) fn sweep(&self) {
        Self::sweep_locked(self.lock());
    }

    fn sweep_locked(mut state: MutexGuard<'_, State>) {
        let over = |peer: &Peer| peer.is_closed() && peer.stats().calls_held == 0;
        let gone: Vec<_> = state.old.extract_if(.., |(_, peer)| over(peer)).collect();
        drop(state);
        drop(gone);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed.is_some()
    }

    // For the task that connects.

    /// There is a connection. `false`: nobody wants one any more.
    pub(super) fn install(&self, peer: &Peer) -> bool {
        let mut state = self.lock();
        if state.closed.is_some() {
            drop(state);
            peer.close();
            return false;
        }
        state.epoch = state.epoch.wrapping_add(1);
        state.current = Some(peer.clone());
        state.failure = None;
        self.maps_codes.store(peer.maps_codes(), Ordering::Relaxed);
        self.made.fetch_add(1, Ordering::Relaxed);
        let waiting = std::mem::take(&mut state.waiting);
        Self::sweep_locked(state);
        self.tell(ReconnectState::Connected);
        waiting.wake();
        true
    }

    /// Whether connections so far have spoken this format, or there was none.
    pub(super) fn speaks(&self, format: FormatId) -> bool {
        let mut state = self.lock();
        *state.format.get_or_insert(format) == format
    }

    /// The connection of now takes no more calls; those that it has go on.
    pub(super) fn retire(&self) {
        let mut state = self.lock();
        let epoch = state.epoch;
        let Some(peer) = state.current.take() else {
            return;
        };
        state.old.push((epoch, peer.clone()));
        drop(state);
        peer.close_when_idle();
    }

    /// The connection of now has ended. Calls that it had wait for their callers.
    pub(super) fn lose(&self, reason: CloseReason) {
        let mut state = self.lock();
        let epoch = state.epoch;
        state.failure = Some(reason);
        if let Some(peer) = state.current.take() {
            state.old.push((epoch, peer));
        }
        let waiting = std::mem::take(&mut state.waiting);
        Self::sweep_locked(state);
        waiting.wake();
    }

    /// An attempt is under way.
    pub(super) fn connecting(&self) {
        self.tell(ReconnectState::Connecting);
    }

    /// An attempt has failed.
    pub(super) fn fail(&self, reason: CloseReason) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        let mut state = self.lock();
        state.failure = Some(reason);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.wake();
    }

    /// Nothing is tried for a while.
    pub(super) fn pause(&self, attempt: u32, delay: Duration) {
        let reason = self.lock().failure.clone();
        self.tell(ReconnectState::Waiting {
            attempt,
            delay,
            reason: reason.unwrap_or(CloseReason::Drained),
        });
    }

    /// Waits until it closes for good.
    pub(super) async fn until_closed(&self) {
        loop {
            // Asked for before the look, so that nothing is missed.
            let closing = self.closing.notified();
            if self.is_closed() {
                return;
            }
            closing.await;
        }
    }

    // For the program.

    pub(super) fn close(&self, reason: CloseReason) {
        let mut state = self.lock();
        if state.closed.is_some() {
            return;
        }
        state.closed = Some(reason.clone());
        let waiting = std::mem::take(&mut state.waiting);
        let peers = all(&state);
        drop(state);
        self.tell(ReconnectState::Closed(reason));
        for peer in peers {
            peer.close();
        }
        self.closing.notify_waiters();
        waiting.wake();
    }

    /// The program is gone, and its calls with it.
    pub(super) fn let_go(&self) {
        let mut state = self.lock();
        let current = state.current.take();
        let old = std::mem::take(&mut state.old);
        drop(state);
        drop((current, old));
    }

    pub(super) fn current(&self) -> Option<Peer> {
        self.lock().current.clone()
    }

    pub(super) fn peers(&self) -> Vec<Peer> {
        all(&self.lock())
    }

    pub(super) fn state(&self) -> ReconnectState {
        self.watch.borrow().clone()
    }

    pub(super) fn watch(&self) -> ReconnectWatch {
        ReconnectWatch(self.watch.subscribe())
    }

    pub(super) fn stats(&self) -> ReconnectStats {
        let state = self.lock();
        let mut peer = PeerStats::default();
        for one in all(&state) {
            let one = one.stats();
            peer.calls_waiting += one.calls_waiting;
            peer.calls_held += one.calls_held;
            peer.handlers_running += one.handlers_running;
            peer.permits_taken += one.permits_taken;
            peer.output_bytes += one.output_bytes;
        }
        ReconnectStats {
            connections: self.made.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            sent_again: self.sent_again.load(Ordering::Relaxed),
            draining: state.old.len(),
            waiting: state.waiting.wakers.len(),
            peer,
        }
    }

    /// Tells the state, unless it has closed, which is the last one.
    fn tell(&self, now: ReconnectState) {
        self.watch.send_if_modified(|known| {
            let open = !matches!(known, ReconnectState::Closed(_));
            if open {
                *known = now;
            }
            open
        });
    }
}

fn all(state: &State) -> Vec<Peer> {
    let old = state.old.iter().map(|(_, peer)| peer);
    state.current.iter().chain(old).cloned().collect()
}
