//! What a handler's context knows of a call within the process.

use super::{Ends, InProcess, LocalServer};
use crate::blocking::BlockingPool;
use crate::call::SideEffects;
use crate::error::CallError;
use crate::events::Events;
use crate::intercept::Observed;
use crate::peer::{DEFAULT_TIMEOUT, Peer};
use crate::router::Router;
use crate::server::Peers;
use crate::states::States;
use mynah_codec::Format;
use mynah_protocol::{By, EndReason, Evidence};
use serde::Serialize;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Waker;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// What a handler's context knows of a call within the process.
pub(crate) struct LocalCall {
    pub(super) ends: Arc<Ends>,
    timeout: Option<Duration>,
    /// Set by whoever asks first: at the latest when the handler is not ready at its first poll, so a handler
    /// that is ready at once costs no look at the clock.
    deadline: OnceLock<Option<Instant>>,
    /// 0 while it runs, then how it ended: an [`Over`].
    over: AtomicU8,
    /// Made by the first who waits for the end.
    ended: OnceLock<Notify>,
    /// Present when the caller listens.
    sides: Option<Mutex<LocalSides>>,
    /// Present when somebody looks at the call.
    pub(super) observed: Option<Arc<Observed>>,
}

/// How a call within the process ended.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(super) enum Over {
    Finished = 1,
    /// Its caller dropped it.
    Dropped,
    Deadline,
}

impl Over {
    /// As its outcome says.
    pub(super) const fn with<T, E>(outcome: &Result<T, CallError<E>>) -> Self {
        match outcome {
            Err(CallError::Deadline) => Self::Deadline,
            Ok(_) | Err(_) => Self::Finished,
        }
    }
}

#[derive(Default)]
struct LocalSides {
    waiting: SideEffects,
    caller: Option<Waker>,
}

impl LocalSides {
    fn hand_over(&mut self, sides: &mut SideEffects, waker: &Waker) {
        sides.queue.append(&mut self.waiting.queue);
        sides.dropped += std::mem::take(&mut self.waiting.dropped);
        if !self
            .caller
            .as_ref()
            .is_some_and(|known| known.will_wake(waker))
        {
            self.caller = Some(waker.clone());
        }
    }
}

impl LocalCall {
    /// A call to a server, from a caller that may be called back. `listens`: to progress and logs.
    pub(super) fn new(
        ends: Arc<Ends>,
        timeout: Option<Duration>,
        listens: bool,
        observed: Option<Arc<Observed>>,
    ) -> Self {
        Self {
            ends,
            timeout,
            deadline: OnceLock::new(),
            over: AtomicU8::new(0),
            ended: OnceLock::new(),
            sides: listens.then(|| Mutex::new(LocalSides::default())),
            observed,
        }
    }

    pub(crate) fn evidence(&self) -> &Evidence {
        &self.ends.server.evidence
    }

    /// What handlers keep for the connection.
    pub(crate) fn states(&self) -> &States {
        self.ends.states()
    }

    /// What the server's handlers share.
    pub(crate) fn server_states(&self) -> &States {
        self.ends.server.router.states()
    }

    /// The events that the server publishes.
    pub(crate) fn events(&self) -> Events {
        self.ends.server.router.events().clone()
    }

    /// Where `#[blocking]` handlers of the server run.
    pub(crate) fn blocking_pool(&self) -> &BlockingPool {
        self.ends.server.router.blocking()
    }

    /// The clients of the server.
    pub(crate) fn peers(&self) -> Peers {
        self.ends.server.router.peers()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let timeout = self.timeout?;
        *self
            .deadline
            .get_or_init(|| Instant::now().checked_add(timeout))
    }

    /// The side that called, to call it back; one without services when it has none.
    pub(crate) fn caller(&self) -> Peer {
        let caller = self.ends.caller.clone().unwrap_or_else(|| {
            LocalServer::new(Arc::new(Router::new()), self.ends.server.limits.clone())
        });
        let mut local = InProcess::between(self.ends.back(caller));
        local.default_timeout = Some(DEFAULT_TIMEOUT);
        Peer::in_process(local)
    }

    /// Whether nobody waits for it any more.
    pub(crate) fn is_over(&self) -> bool {
        self.is_cancelled()
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.over.load(Ordering::Acquire) != 0
    }

    /// Why it is to stop, or is over; `None` while it goes on.
    pub(crate) fn end_reason(&self) -> Option<EndReason> {
        Some(match self.over.load(Ordering::Acquire) {
            0 => return None,
            over if over == Over::Finished as u8 => EndReason::Finished,
            over if over == Over::Deadline as u8 => EndReason::Deadline,
            _ => EndReason::Cancelled(By::Caller),
        })
    }

    pub(crate) async fn cancelled(&self) {
        let ended = self.ended.get_or_init(Notify::new);
        let waiting = ended.notified();
        // A step on `over`, not only a look: of this one and that of `end` one is first, and the other sees what was
        // done before it.
        if self.over.fetch_add(0, Ordering::AcqRel) == 0 {
            waiting.await;
        }
    }

    /// Ends the call, once: its permit comes home.
    pub(super) fn end(&self, how: Over) {
        // Only the one owner of the call comes here, so a look and a step are as good as one.
        if self.is_cancelled() {
            return;
        }
        self.over.swap(how as u8, Ordering::AcqRel);
        self.ends.server.in_flight.fetch_sub(1, Ordering::AcqRel);
        if let Some(ended) = self.ended.get() {
            ended.notify_waiters();
        }
        if let Some(observed) = &self.observed {
            observed.report();
        }
    }

    pub(crate) fn progress<T, N>(&self, value: &T, note: Option<&N>)
    where
        T: Serialize + ?Sized,
        N: Serialize + ?Sized,
    {
        if self.sides.is_none() {
            return;
        }
        let mut encoded = Vec::new();
        if Format::Cbor.encode(value, &mut encoded).is_err() {
            return;
        }
        let note = note.map(|note| {
            let mut encoded = Vec::new();
            Format::Cbor.encode(note, &mut encoded).map(|()| encoded)
        });
        self.push(|sides| sides.push_progress(encoded, note.and_then(Result::ok)));
    }

    pub(crate) fn log<T: Serialize + ?Sized>(&self, level: i64, content: &T) {
        if self.sides.is_none() {
            return;
        }
        let mut encoded = Vec::new();
        if Format::Cbor.encode(content, &mut encoded).is_ok() {
            self.push(|sides| sides.push_log(level, encoded));
        }
    }

    #[inline]
    pub(super) fn hand_over(&self, sides: Option<&mut SideEffects>, waker: &Waker) {
        if let (Some(waiting), Some(sides)) = (&self.sides, sides) {
            waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .hand_over(sides, waker);
        }
    }

    /// Gives back what was taken too early, ahead of what came since.
    pub(super) fn push_back(&self, mut sides: SideEffects) {
        if let Some(waiting) = &self.sides {
            let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
            sides.queue.append(&mut waiting.waiting.queue);
            waiting.waiting.queue = sides.queue;
            waiting.waiting.dropped += sides.dropped;
        }
    }

    fn push(&self, add: impl FnOnce(&mut SideEffects)) {
        let Some(sides) = &self.sides else { return };
        if self.is_cancelled() {
            return;
        }
        let mut sides = sides.lock().unwrap_or_else(PoisonError::into_inner);
        add(&mut sides.waiting);
        while sides.waiting.queue.len() > self.ends.server.limits.side_messages {
            sides.waiting.queue.pop_front();
            sides.waiting.dropped += 1;
        }
        let waker = sides.caller.take();
        drop(sides);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
