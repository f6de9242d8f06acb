//! What a handler sees of its call.

use crate::blocking::BlockingPool;
use crate::events::Events;
use crate::intercept::Observed;
use crate::link::{Link, WireFacts};
use crate::local::LocalCall;
use crate::peer::{Bound, Peer};
use crate::scratch;
use crate::server::Peers;
use crate::states::States;
use crate::trace::TraceContext;
use mynah_connection::InboundKey;
use mynah_protocol::{EndReason, Evidence, Metadata, Moment, OPERATION_ID};
use serde::Serialize;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;
use tokio::time::Instant;

/// What a handler sees of its call: the peer, evidence, deadline, metadata, cancellation, and the
/// ways to say something beside the result.
///
/// A cheap clone; it may be kept after the call, when it says nothing more to the caller.
#[derive(Clone)]
pub struct Context {
    inner: Inner,
    deadline: Moment,
    metadata: Metadata,
    /// Present when somebody looks at the call.
    observed: Option<Arc<Observed>>,
}

#[derive(Clone)]
enum Inner {
    Linked { link: Arc<Link>, key: InboundKey },
    Local(Arc<LocalCall>),
}

/// One delivery of a call by a carrier of envelopes.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Delivery {
    /// Which delivery of the call this is, from 1: above 1 somebody may have run it, or a part of it, before.
    pub attempt: u32,
    /// What the carrier knows of it.
    pub evidence: Evidence,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("peer", &self.evidence().to_string())
            .field("remaining", &self.remaining())
            .finish_non_exhaustive()
    }
}

impl Context {
    #[inline]
    pub(crate) fn linked(
        link: Arc<Link>,
        key: InboundKey,
        deadline: Moment,
        metadata: Metadata,
    ) -> Self {
        Self {
            inner: Inner::Linked { link, key },
            deadline,
            metadata,
            observed: None,
        }
    }

    pub(crate) fn local(call: Arc<LocalCall>, deadline: Moment, metadata: Metadata) -> Self {
        Self {
            inner: Inner::Local(call),
            deadline,
            metadata,
            observed: None,
        }
    }

    /// The same for a call that somebody looks at.
    pub(crate) fn watched(mut self, observed: Arc<Observed>) -> Self {
        self.observed = Some(observed);
        self
    }

    /// What is kept for it, when somebody looks at it.
    pub(crate) const fn observed(&self) -> Option<&Arc<Observed>> {
        self.observed.as_ref()
    }

    pub(crate) const fn metadata_mut(&mut self) -> &mut Metadata {
        &mut self.metadata
    }

    /// The link and key of a call over a connection.
    pub(crate) fn link(&self) -> Option<(&Arc<Link>, InboundKey)> {
        match &self.inner {
            Inner::Linked { link, key } => Some((link, *key)),
            Inner::Local(_) => None,
        }
    }

    /// The call within the process.
    pub(crate) fn local_call(&self) -> Option<&Arc<LocalCall>> {
        match &self.inner {
            Inner::Linked { .. } => None,
            Inner::Local(call) => Some(call),
        }
    }

    /// What is known of the wire of a call over a connection.
    pub(crate) fn facts(&self) -> Option<&WireFacts> {
        self.link()?.0.facts()
    }

    /// Where `#[blocking]` handlers of this side run.
    pub(crate) fn blocking_pool(&self) -> &BlockingPool {
        match &self.inner {
            Inner::Linked { link, .. } => link.config.router.blocking(),
            Inner::Local(call) => call.blocking_pool(),
        }
    }

    /// The events that this side publishes.
    #[must_use]
    pub fn events(&self) -> Events {
        match &self.inner {
            Inner::Linked { link, .. } => link.config.router.events().clone(),
            Inner::Local(call) => call.events(),
        }
    }

    /// The clients of the server that answers the call, to call them, emit to them or broadcast. Empty on a side that is
    /// no server.
    #[must_use]
    pub fn peers(&self) -> Peers {
        match &self.inner {
            Inner::Linked { link, .. } => link.config.router.peers(),
            Inner::Local(call) => call.peers(),
        }
    }

    /// What a carrier of envelopes knows of this one delivery of the call: which attempt it is, and the evidence that
    /// belongs to it. `None` where calls are not delivered again, and once the call is over.
    #[must_use]
    pub fn delivery(&self) -> Option<Delivery> {
        let (link, key) = self.link()?;
        let state = link.lock();
        let receipt = state.receipts.as_ref()?.held(key)?;
        Some(Delivery {
            attempt: receipt.attempt(),
            evidence: receipt.evidence(),
        })
    }

    /// The other side, to call it back. Calls made through it while this call runs end no later than its deadline. It
    /// may be kept after that: it is then a handle like any other, and its calls have their own time.
    #[must_use]
    pub fn peer(&self) -> Peer {
        match &self.inner {
            Inner::Linked { link, .. } => Peer::linked(Arc::clone(link)),
            Inner::Local(call) => call.caller(),
        }
        .within(self.bound())
        .with_trace(self.trace())
    }

    /// This call as what bounds others.
    fn bound(&self) -> Option<Bound> {
        let deadline = self.deadline()?;
        Some(match &self.inner {
            Inner::Linked { key, .. } => Bound::linked(deadline, *key),
            Inner::Local(call) => Bound::local(deadline, Arc::clone(call)),
        })
    }

    /// The value of this type that belongs to the connection: the first who asks for it makes it, everybody on the same
    /// connection has the same, and it goes with the connection. In process, each peer of
    /// [`ServerHandle::local`](crate::ServerHandle::local) with its clones is a connection.
    #[must_use]
    pub fn state<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        self.states().find_or_default()
    }

    /// The value of this type that belongs to the connection, if there is one.
    #[must_use]
    pub fn find_state<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.states().find()
    }

    /// Gives the connection a value, in the place of another of this type, which comes back.
    pub fn set_state<T: Send + Sync + 'static>(&self, value: T) -> Option<Arc<T>> {
        self.states().set(Arc::new(value))
    }

    fn states(&self) -> &States {
        match &self.inner {
            Inner::Linked { link, .. } => &link.states,
            Inner::Local(call) => call.states(),
        }
    }

    /// The value of this type that the server was given: [`Router::state`](crate::Router::state).
    #[must_use]
    pub fn server_state<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        match &self.inner {
            Inner::Linked { link, .. } => link.config.router.states().find(),
            Inner::Local(call) => call.server_states().find(),
        }
    }

    /// A value that an [`Interceptor`](crate::Interceptor) left for the handler.
    #[must_use]
    pub fn extension<T: 'static>(&self) -> Option<&T> {
        self.observed.as_ref()?.extension()
    }

    /// The trace that the call belongs to: what the caller said in its metadata, or a new one when a subscriber of
    /// `tracing` records the call. Calls through [`Self::peer`], and calls made
    /// [`within`](crate::Call::within) this one, go on with it.
    #[must_use]
    pub fn trace(&self) -> Option<TraceContext> {
        match &self.observed {
            Some(observed) => observed.trace.clone(),
            None if self.metadata.is_empty() => None,
            None => TraceContext::from_metadata(&self.metadata),
        }
    }

    /// What the transport knows about the other side. The peer cannot send any of it.
    #[must_use]
    pub fn evidence(&self) -> &Evidence {
        match &self.inner {
            Inner::Linked { link, .. } => &link.config.evidence,
            Inner::Local(call) => call.evidence(),
        }
    }

    /// When the call must have ended, `None` when it has no deadline.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match &self.inner {
            Inner::Linked { link, .. } => link.clock.instant(self.deadline),
            Inner::Local(call) => call.deadline(),
        }
    }

    /// The time that is left, zero when it has passed, `None` when the call has no deadline.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline()
            .map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// What came beside the params, and what interceptors added.
    #[must_use]
    pub const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Which operation the call is a part of, as its caller says: see [`OPERATION_ID`].
    #[must_use]
    pub fn operation_id(&self) -> Option<&str> {
        self.metadata.value(OPERATION_ID)
    }

    /// Whether the caller, its deadline or its going asks the call to stop. True after the call
    /// is over.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        match &self.inner {
            Inner::Linked { link, key } => {
                let state = link.lock();
                state.connection.cancelled(*key).is_some() || !state.connection.is_live(*key)
            }
            Inner::Local(call) => call.is_cancelled(),
        }
    }

    /// Waits until the call is asked to stop, or is over, and says why: [`Self::end_reason`].
    ///
    /// A handler that awaits this in the place of its work is dropped there unless a [`Shield`] is up; it is
    /// of use in a task of its own, under a shield, or in a `#[blocking]` handler by way of
    /// [`Self::is_cancelled`].
    ///
    /// Cancel safety: may be dropped and called again at any time.
    pub async fn cancelled(&self) -> EndReason {
        match &self.inner {
            Inner::Linked { link, key } => {
                let mut waiting = Waiting {
                    link,
                    key: *key,
                    number: None,
                };
                poll_fn(|cx| waiting.poll(cx.waker())).await;
            }
            Inner::Local(call) => call.cancelled().await,
        }
        self.end_reason().unwrap_or(EndReason::Finished)
    }

    /// Why the call is asked to stop, `None` while it is not; [`EndReason::Finished`] after it is over, until its
    /// connection ends.
    ///
    /// What is dropped because a call stops can still ask: a stream of results, say, that wants to know whether its
    /// consumer has gone or its time is over.
    #[must_use]
    pub fn end_reason(&self) -> Option<EndReason> {
        match &self.inner {
            Inner::Linked { link, key } => link.end_reason_of(*key),
            Inner::Local(call) => call.end_reason(),
        }
    }

    /// Says how far the call is. Never waits: when the caller is too slow, or the wire cannot say it,
    /// the message is dropped.
    pub fn progress<T: Serialize + ?Sized>(&self, value: &T) {
        self.say_progress(value, None::<&()>);
    }

    /// Says how far the call is, with a note.
    pub fn progress_with<T, N>(&self, value: &T, note: &N)
    where
        T: Serialize + ?Sized,
        N: Serialize + ?Sized,
    {
        self.say_progress(value, Some(note));
    }

    fn say_progress<T, N>(&self, value: &T, note: Option<&N>)
    where
        T: Serialize + ?Sized,
        N: Serialize + ?Sized,
    {
        match &self.inner {
            Inner::Linked { link, key } => {
                let Some(facts) = link.facts() else { return };
                scratch::with(|buffer| {
                    let split = match facts.format.encode(value, buffer) {
                        Ok(()) => buffer.len(),
                        Err(_unencodable) => return,
                    };
                    if let Some(note) = note
                        && facts.format.encode(note, buffer).is_err()
                    {
                        return;
                    }
                    let (value, rest) = buffer.split_at_checked(split).unwrap_or_default();
                    link.progress(*key, value, note.is_some().then_some(rest));
                });
            }
            Inner::Local(call) => call.progress(value, note),
        }
    }

    /// Writes a line into the caller's log of this call: 1 critical, 2 warning, 3 info, 4 verbose,
    /// 5 debug. Never waits: lines that the caller is too slow for are dropped and counted.
    pub fn log<T: Serialize + ?Sized>(&self, level: i64, content: &T) {
        match &self.inner {
            Inner::Linked { link, key } => {
                let Some(facts) = link.facts() else { return };
                scratch::with(|buffer| {
                    if facts.format.encode(content, buffer).is_ok() {
                        link.log(Some(*key), level, buffer);
                    }
                });
            }
            Inner::Local(call) => call.log(level, content),
        }
    }

    /// While the shield is up, a cancellation does not drop the handler: it sees
    /// [`Self::is_cancelled`] and stops when it is ready to.
    #[must_use = "the shield is down when this is dropped"]
    pub fn shield(&self) -> Shield {
        if let Inner::Linked { link, key } = &self.inner
            && let Some(slot) = link.lock().connection.handler_mut(*key)
        {
            slot.shields += 1;
        }
        Shield {
            context: self.clone(),
        }
    }

    pub(crate) fn unshield(&self) {
        let Inner::Linked { link, key } = &self.inner else {
            return;
        };
        let mut guard = link.lock();
        let state = &mut *guard;
        let cancelled = state.connection.cancelled(*key).is_some();
        let Some(slot) = state.connection.handler_mut(*key) else {
            return;
        };
        slot.shields = slot.shields.saturating_sub(1);
        let task = if slot.shields == 0 && cancelled {
            state.strays.get_or_insert_default().unshielded.push(*key);
            state.kick()
        } else {
            None
        };
        drop(guard);
        if let Some(task) = task {
            task.wake();
        }
    }
}

/// One who waits for the end of a call.
struct Waiting<'a> {
    link: &'a Link,
    key: InboundKey,
    number: Option<u64>,
}

impl Waiting<'_> {
    fn poll(&mut self, waker: &Waker) -> Poll<()> {
        let mut state = self.link.lock();
        if state.connection.cancelled(self.key).is_some() {
            return Poll::Ready(());
        }
        let Some(slot) = state.connection.handler_mut(self.key) else {
            return Poll::Ready(());
        };
        let (number, stale) = slot.waiters.wait(self.number, waker);
        self.number = Some(number);
        drop(state);
        drop(stale);
        Poll::Pending
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let mut state = self.link.lock();
        let slot = state.connection.handler_mut(self.key);
        let forgotten = slot.and_then(|slot| slot.waiters.forget(number));
        drop(state);
        drop(forgotten);
    }
}

/// Keeps a handler from being dropped when its call is cancelled. Made by [`Context::shield`].
#[derive(Debug)]
pub struct Shield {
    context: Context,
}

impl Drop for Shield {
    fn drop(&mut self) {
        self.context.unshield();
    }
}
