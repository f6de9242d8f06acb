//! What handles and the task of a connection share.

use super::closing::ears_reason;
use super::slots::{InSlot, OutSlot};
use super::{Clock, Out, Receipts, Sent};
use crate::call::WireFormat;
use crate::callback::CallbackTable;
use crate::encoded::Encoded;
use crate::events::Listeners;
use crate::intercept::{CallOutcome, Observed};
use crate::router::Router;
use crate::server::Shared;
use crate::states::States;
use mynah_codec::Format;
use mynah_connection::{CloseReason, Connection, InboundKey};
use mynah_protocol::{
    AllowedMethods, CallId, CancelReason, Envelope, ErrorCode, Evidence, Lane, Limits, Opaque,
    ParamsShape, Response, RpcError,
};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::Waker;
use std::time::Duration;
use tokio::sync::Notify;

/// What a connection is made with.
#[derive(Debug)]
pub(crate) struct LinkConfig {
    pub(crate) limits: Arc<Limits>,
    pub(crate) router: Arc<Router>,
    pub(crate) evidence: Evidence,
    pub(crate) default_timeout: Option<Duration>,
    /// Who listens to what the peer says unasked, once somebody does: see [`Link::listeners`].
    pub(crate) listeners: OnceLock<Arc<Listeners>>,
    /// The server that it is a connection of, and its number there.
    pub(crate) server: Option<(Weak<Shared>, u64)>,
    /// There is one delivery, and one answer to it: nothing goes on between them.
    pub(crate) direct: bool,
}

/// From so many bytes on something is large: it may leave beside what is small, and waits for its like.
const LARGE: usize = 64 << 10;
/// Up to so many bytes every peer takes something, whatever it will say of itself.
const SMALL: usize = 4 << 10;

/// One connection.
pub(crate) struct Link {
    state: Mutex<State>,
    pub(crate) config: LinkConfig,
    /// What the peer may call, where its evidence says so.
    pub(crate) allowed: Option<Box<AllowedMethods>>,
    /// It was warned of something that the peer may not do: what follows is worth no warning of its own.
    pub(super) warned: AtomicBool,
    pub(crate) clock: Clock,
    /// Rung when the connection has ended, and when the peer says that it is going away.
    pub(crate) over: Notify,
    /// The peer has said that it is going away. Stays when the connection has ended.
    pub(crate) departing: AtomicBool,
    /// Set when the wire is ready; a wire's format does not change after that.
    format: OnceLock<WireFacts>,
    /// Handles of the program; the connection closes with the last one.
    pub(super) handles: AtomicUsize,
    /// What the peer may call while the calls that it was passed with are in flight.
    pub(crate) callbacks: CallbackTable,
    /// Subscriptions that the peer has open here.
    pub(crate) subscriptions: AtomicUsize,
    /// The hashes of its contracts, if the peer has said any in its hello.
    pub(crate) announced: OnceLock<BTreeMap<Box<str>, Opaque>>,
    /// What handlers keep for the connection.
    pub(crate) states: States,
}

/// What is known of the wire once it is ready.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WireFacts {
    pub(crate) format: Format,
    pub(crate) decode: mynah_protocol::DecodeLimits,
    pub(crate) dialect: &'static str,
    pub(crate) capabilities: mynah_protocol::Capabilities,
    pub(crate) maps_codes: bool,
    params: ParamsShape,
    only_params: bool,
}

impl WireFacts {
    /// What a call has to know of them.
    #[inline]
    pub(crate) const fn wire_format(&self) -> WireFormat {
        let mut wire = WireFormat::new(self.format, self.decode);
        wire.params = self.params;
        wire.only_params = self.only_params;
        wire.dialect = self.dialect;
        wire
    }
}

/// The rules of the connection, with what is kept for each call.
pub(crate) type Rules = Connection<OutSlot, InSlot>;

/// What is guarded by the lock.
pub(crate) struct State {
    pub(crate) connection: Rules,
    pub(crate) out: Out,
    /// Whether the task runs, or has been woken and will.
    pub(crate) scheduled: bool,
    pub(crate) task: Option<Waker>,
    /// Calls that wait for room in the output, or for the handshake.
    pub(crate) room: VecDeque<Waker>,
    /// All of them have something large to say.
    pub(crate) only_large_wait: bool,
    /// Everything that waits is to be written, then the connection is to be closed.
    pub(crate) closing: Option<CloseReason>,
    /// Nothing is waited for: the connection ends with `closing` at the next look.
    pub(crate) cut: bool,
    /// This side drains: the connection is to be closed once nothing is in flight.
    pub(crate) drained: bool,
    /// The peer is to be told of the drain once it has introduced itself.
    pub(crate) drain_untold: bool,
    /// The task is gone.
    pub(crate) ended: bool,
    /// Nothing is written any more: what handlers still answer is dropped.
    pub(crate) mute: bool,
    /// What handles leave for the task to stop. There is hardly ever any.
    pub(crate) strays: Option<Box<Strays>>,
    /// Answers in the output that I/O has not taken.
    pub(crate) answers: usize,
    /// Side messages dropped since the last log that went out, because the peer is slow.
    pub(crate) dropped_logs: u64,
    /// Present once a carrier has delivered something that it wants settled.
    pub(crate) receipts: Option<Box<Receipts>>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("peer", &self.config.evidence)
            .finish_non_exhaustive()
    }
}

impl Link {
    pub(crate) fn new(out: Out, config: LinkConfig) -> Arc<Self> {
        let clock = Clock::start();
        let connection = Connection::new(&config.limits, out.profile(), clock.now());
        let allowed = AllowedMethods::of(&config.evidence).map(Box::new);
        let link = Self {
            allowed,
            state: Mutex::new(State {
                connection,
                out,
                scheduled: true,
                task: None,
                room: VecDeque::new(),
                only_large_wait: false,
                closing: None,
                cut: false,
                drained: false,
                drain_untold: false,
                ended: false,
                mute: false,
                strays: None,
                answers: 0,
                dropped_logs: 0,
                receipts: None,
            }),
            config,
            clock,
            over: Notify::new(),
            departing: AtomicBool::new(false),
            warned: AtomicBool::new(false),
            format: OnceLock::new(),
            handles: AtomicUsize::new(0),
            callbacks: CallbackTable::default(),
            subscriptions: AtomicUsize::new(0),
            announced: OnceLock::new(),
            states: States::default(),
        };
        Arc::new(link)
    }

    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // No code of the user runs under the lock, so a poisoned one means a defect of this crate;
        // the state is still the best there is.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of the wire, `None` before its handshake.
    #[inline]
    pub(crate) fn facts(&self) -> Option<&WireFacts> {
        self.format.get()
    }

    /// Notes that the wire is ready, if it is.
    pub(crate) fn note_ready(&self, state: &State) {
        self.note_ready_out(&state.out);
    }

    /// The same for whoever holds the output already.
    pub(crate) fn note_ready_out(&self, out: &Out) {
        if self.format.get().is_none() && out.is_ready() {
            self.set_facts(out);
        }
    }

    /// Whether the handshake is still to come.
    pub(crate) fn facts_pending(&self) -> bool {
        !self.lock().out.is_ready()
    }

    /// For a side that knows its format before it has heard from the peer. Under the lock.
    pub(crate) fn set_facts(&self, out: &Out) {
        let profile = out.profile();
        let facts = WireFacts {
            format: out.format(),
            decode: profile.decode_limits(&self.config.limits),
            dialect: profile.dialect,
            capabilities: profile.capabilities,
            maps_codes: profile.maps_codes,
            params: profile.params,
            only_params: profile.only_params,
        };
        if let Some(listeners) = self.config.listeners.get() {
            listeners.set_codec(facts.format, facts.decode);
        }
        // A second setting finds the same facts.
        let _same = self.format.set(facts);
    }

    /// Whether something of `len` bytes has to wait for room in the output. What is large waits for what is large, and
    /// for nothing of it does what is small.
    #[inline]
    pub(crate) fn is_full(&self, state: &State, len: usize) -> bool {
        let high = self.config.limits.output_high_water_bytes;
        state.out.held() > high
            || len > SMALL
                && (len > LARGE && state.out.bulk_held() > high || state.out.awaits_hello(len))
    }

    /// Whether the other side has said that it goes away.
    pub(crate) fn is_departing(&self) -> bool {
        self.departing.load(Ordering::Acquire)
    }

    /// Whether the other side drains, or the connection has ended with that.
    #[cold]
    pub(crate) fn is_drained(&self) -> bool {
        let state = self.lock();
        state.connection.closed().map_or_else(
            || state.connection.peer_drains(),
            |reason| matches!(reason, CloseReason::Drained),
        )
    }

    /// Why the connection ended, `None` while its task goes on.
    pub(crate) fn end_reason(&self) -> Option<CloseReason> {
        let state = self.lock();
        let reason = state.connection.closed().cloned();
        state.ended.then(|| reason.unwrap_or(CloseReason::PeerGone))
    }

    /// Whether anybody hears lines of log that belong to no call.
    pub(crate) fn hears_log(&self) -> bool {
        self.config
            .listeners
            .get()
            .is_some_and(|listeners| listeners.hears_log())
            || self.config.router.hearers().hears_log()
    }

    /// Who listens to what the peer says unasked: most connections have nobody who does.
    pub(crate) fn listeners(&self) -> &Arc<Listeners> {
        if let Some(listeners) = self.config.listeners.get() {
            return listeners;
        }
        // Under the lock neither the handshake nor the end can pass them by.
        let state = self.lock();
        self.config.listeners.get_or_init(|| {
            let listeners = Listeners::default();
            if let Some(facts) = self.facts() {
                listeners.set_codec(facts.format, facts.decode);
            }
            if state.ended {
                listeners.close(&ears_reason(&state), &mut Vec::new());
            }
            Arc::new(listeners)
        })
    }

    /// Whether it matters when the peer was heard last.
    pub(crate) fn watches_silence(&self) -> bool {
        self.config.limits.idle_timeout.is_some() || self.config.limits.keep_alive.is_some()
    }
}

/// What was ended outside the task, and is to be stopped in it.
#[derive(Debug, Default)]
pub(crate) struct Strays {
    /// Calls of the peer whose shield was lifted after they were cancelled.
    pub(crate) unshielded: Vec<InboundKey>,
    /// Input streams whose calls were given up, at their places in the set of the task.
    pub(crate) stopped_inputs: Vec<(usize, CallId)>,
}

impl State {
    /// Whether the peer has still to say what it is and what it takes.
    pub(crate) fn handshake_pending(&self) -> bool {
        !self.out.is_ready() || self.out.awaits_hello(usize::MAX)
    }

    /// Wakes this waker when there is room, or the handshake is over.
    /// `len`: bytes of what is to be said.
    pub(crate) fn wait_for_room(&mut self, waker: &Waker, len: usize) {
        self.only_large_wait = len > LARGE && (self.only_large_wait || self.room.is_empty());
        if !self.room.back().is_some_and(|last| last.will_wake(waker)) {
            self.room.push_back(waker.clone());
        }
    }

    /// Makes sure that the task will look at the output. Returns the waker to wake after the lock is free.
    #[inline]
    #[must_use]
    pub(crate) fn kick(&mut self) -> Option<Waker> {
        if self.scheduled {
            return None;
        }
        self.scheduled = true;
        self.task.clone()
    }

    /// Why the connection is to end now, whatever still waits: it was cut, or the peer broke the rules.
    pub(crate) fn cut_short(&self) -> Option<CloseReason> {
        let reason = self.closing.as_ref()?;
        (self.cut || reason.is_fault()).then(|| reason.clone())
    }

    /// Why the connection is to end now, `None` if it is not. `quiet`: I/O has nothing left.
    pub(crate) fn may_close(&self, quiet: bool) -> Option<CloseReason> {
        if let Some(reason) = self.cut_short() {
            return Some(reason);
        }
        if !quiet || !self.out.is_empty() {
            return None;
        }
        if let Some(reason) = &self.closing {
            return Some(reason.clone());
        }
        if self.connection.is_answered() {
            return Some(CloseReason::PeerGone);
        }
        (self.drained && self.connection.is_idle() && self.connection.is_heard())
            .then_some(CloseReason::Drained)
    }

    /// The task goes to sleep; whoever adds output wakes it.
    pub(crate) fn sleep_with(&mut self, waker: &Waker) {
        self.scheduled = false;
        match &mut self.task {
            Some(known) if known.will_wake(waker) => {}
            known => *known = Some(waker.clone()),
        }
    }

    /// Writes the answer to a call of the peer, unless it was answered or wants none.
    /// `woken`: who waited for the end of the call, to be woken once the lock is free.
    pub(crate) fn answer(
        &mut self,
        key: InboundKey,
        result: Result<Encoded<'_>, Box<RpcError>>,
        woken: &mut Vec<Waker>,
    ) {
        let mut observed = None;
        if let Some(slot) = self.connection.handler_mut(key) {
            slot.waiters.take_into(woken);
            if let Some(mut input) = slot.input.take() {
                woken.extend(input.waker.take());
            }
            observed = slot.observed.take();
        }
        if let Some(observed) = observed {
            self.end_observed(key, &observed, result.as_ref().err().map(|error| &**error));
            woken.push(Waker::from(observed));
        }
        let Some(id) = self.connection.finish(key) else {
            self.settle(key, None);
            return;
        };
        if self.mute {
            return;
        }
        if (self.receipts.as_ref()).is_some_and(|receipts| receipts.was_stopped(key)) {
            // It is delivered again: to say that it is over would be wrong.
            self.connection.flushed(1);
            return;
        }
        let format = self.out.profile().format;
        let result = result.map(|body| body.payload(format));
        let response = Envelope::Response(Response { id, result });
        let error = match self.out.put(&response, Lane::Data) {
            Ok(sent) => {
                self.answers += self.out.note_answer(sent);
                self.settle(key, Some(sent));
                return;
            }
            Err(error) => error,
        };
        // Say why instead. This is small and of a kind that every wire can say.
        let Envelope::Response(Response { id, .. }) = response else {
            return;
        };
        let code = match &error {
            mynah_codec::EncodeError::TooLarge { .. } => ErrorCode::TOO_LARGE,
            _ => ErrorCode::UNENCODABLE,
        };
        let result = Err(Box::new(RpcError::new(code, error.to_string())));
        match self
            .out
            .put(&Envelope::Response(Response { id, result }), Lane::Data)
        {
            Ok(sent) => {
                self.answers += self.out.note_answer(sent);
                self.settle(key, Some(sent));
            }
            Err(_) => {
                self.connection.flushed(1);
                self.settle(key, None);
            }
        }
    }

    /// What a carrier delivered has been dealt with, once its answer is handed over.
    #[inline]
    fn settle(&mut self, key: InboundKey, answer: Option<Sent>) {
        if let Some(receipts) = &mut self.receipts {
            receipts.ended(key, answer.map(Sent::place));
        }
    }
}

impl State {
    /// Notes how a call ended that somebody looks at.
    #[cold]
    fn end_observed(&self, key: InboundKey, observed: &Observed, error: Option<&RpcError>) {
        match self.connection.cancelled(key) {
            // A handler that came to its result under a shield was not stopped.
            Some(reason) if error.is_some() => observed.ended(match reason {
                CancelReason::Deadline => CallOutcome::Deadline,
                _ => CallOutcome::Cancelled,
            }),
            _ => observed.ended_with(error),
        }
    }
}

pub(crate) fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
