//! What handles and the task of a connection share.

use super::{Clock, DriverEffects, Out, Sent};
use crate::call::SideEffects;
use crate::error::CallError;
use crate::router::Router;
use mynah_codec::Format;
use mynah_connection::{CloseReason, Connection, InboundKey};
use mynah_protocol::{
    CallId, CancelReason, Envelope, ErrorCode, Evidence, Lane, Limits, Log, Metadata, MethodName,
    Notification, Payload, Progress, Request, Response, RpcError, WireId,
};
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;
use tokio::task::AbortHandle;

/// What a connection is made with.
#[derive(Debug)]
pub(crate) struct LinkConfig {
    pub(crate) limits: Limits,
    pub(crate) router: Arc<Router>,
    pub(crate) evidence: Evidence,
    pub(crate) default_timeout: Option<Duration>,
}

/// One connection.
pub(crate) struct Link {
    state: Mutex<State>,
    pub(crate) config: LinkConfig,
    pub(crate) clock: Clock,
    /// Set when the wire is ready; a wire's format does not change after that.
    format: OnceLock<WireFacts>,
    /// Handles of the program; the connection closes with the last one.
    handles: AtomicUsize,
}

/// What is known of the wire once it is ready.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WireFacts {
    pub(crate) format: Format,
    pub(crate) decode: mynah_protocol::DecodeLimits,
    pub(crate) dialect: &'static str,
    pub(crate) capabilities: mynah_protocol::Capabilities,
}

/// What is guarded by the lock.
pub(crate) struct State {
    pub(crate) connection: Connection<OutSlot, InSlot>,
    pub(crate) out: Out,
    /// Whether the task runs, or has been woken and will.
    pub(crate) scheduled: bool,
    pub(crate) task: Option<Waker>,
    /// Calls that wait for room in the output, or for the handshake.
    pub(crate) room: VecDeque<Waker>,
    /// Handles that wait for the end.
    pub(crate) closed_wakers: Vec<Waker>,
    /// Everything that waits is to be written, then the connection is to be closed.
    pub(crate) closing: Option<CloseReason>,
    /// Nothing is waited for: the connection ends with `closing` at the next look.
    pub(crate) cut: bool,
    /// This side drains: the connection is to be closed once nothing is in flight.
    pub(crate) drained: bool,
    /// The task is gone.
    pub(crate) ended: bool,
    /// Calls of the peer whose shield was lifted after they were cancelled.
    pub(crate) unshielded: Vec<InboundKey>,
    /// Answers in the output that I/O has not taken.
    pub(crate) answers: usize,
    /// Side messages dropped since the last log that went out, because the peer is slow.
    pub(crate) dropped_logs: u64,
}

/// What is kept for each call of this side.
#[derive(Default)]
pub(crate) struct OutSlot {
    pub(crate) waker: Option<Waker>,
    /// The encoded result; the buffer goes round.
    pub(crate) reply: Vec<u8>,
    pub(crate) ended: Option<Reply>,
    pub(crate) sent: Option<Sent>,
    /// Present when the caller listens to progress or logs.
    pub(crate) sides: Option<Box<Sides>>,
}

/// How a call of this side ended, as the task found it.
#[derive(Debug)]
pub(crate) enum Reply {
    /// The result is in the slot's buffer.
    Result,
    Error(Box<RpcError>),
    Deadline,
    Lost {
        sent: bool,
    },
}

/// Side messages that wait for the caller.
#[derive(Debug, Default)]
pub(crate) struct Sides {
    pub(crate) queue: VecDeque<Side>,
    pub(crate) dropped: u64,
}

/// One side message: owned, encoded.
#[derive(Debug)]
pub(crate) enum Side {
    Progress {
        value: Vec<u8>,
        note: Option<Vec<u8>>,
    },
    Log {
        level: i64,
        dropped: u64,
        content: Vec<u8>,
    },
}

/// What is kept for each call of the peer.
#[derive(Default)]
pub(crate) struct InSlot {
    pub(crate) handler: HandlerRef,
    pub(crate) shields: u32,
    /// Who waits for the cancellation of the call.
    pub(crate) waiters: Vec<Waker>,
}

/// Where the handler of a call runs.
#[derive(Default, Debug)]
pub(crate) enum HandlerRef {
    /// Not started, or over.
    #[default]
    None,
    /// In the set of the task, at this index.
    Running(usize),
    /// In a task of its own.
    Spawned(AbortHandle),
    /// On a thread; it cannot be stopped.
    Blocking,
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
        let link = Self {
            state: Mutex::new(State {
                connection,
                out,
                scheduled: true,
                task: None,
                room: VecDeque::new(),
                closed_wakers: Vec::new(),
                closing: None,
                cut: false,
                drained: false,
                ended: false,
                unshielded: Vec::new(),
                answers: 0,
                dropped_logs: 0,
            }),
            config,
            clock,
            format: OnceLock::new(),
            handles: AtomicUsize::new(0),
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

    /// For a side that knows its format before it has heard from the peer.
    pub(crate) fn set_facts(&self, out: &Out) {
        let profile = out.profile();
        let facts = WireFacts {
            format: out.format(),
            decode: profile.decode_limits(&self.config.limits),
            dialect: profile.dialect,
            capabilities: profile.capabilities,
        };
        // A second setting finds the same facts.
        let _same = self.format.set(facts);
    }

    /// Whether it matters when the peer was heard last.
    pub(crate) fn watches_silence(&self) -> bool {
        self.config.limits.idle_timeout.is_some() || self.config.limits.keep_alive.is_some()
    }

    pub(crate) fn add_handle(&self) {
        self.handles.fetch_add(1, Ordering::Relaxed);
    }

    /// The last handle closes the connection, after what waits has been written.
    pub(crate) fn drop_handle(&self) {
        if self.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.close(CloseReason::Local);
        }
    }

    pub(crate) fn close(&self, reason: CloseReason) {
        self.close_when(reason, false);
    }

    /// Closes without waiting for the peer to take what was written.
    pub(crate) fn cut(&self, reason: CloseReason) {
        self.close_when(reason, true);
    }

    fn close_when(&self, reason: CloseReason, cut: bool) {
        let mut state = self.lock();
        state.closing.get_or_insert(reason);
        state.cut |= cut;
        let waker = state.kick();
        drop(state);
        wake(waker);
    }

    /// Opens a call and writes its request.
    ///
    /// `Pending` when there is no room; the waker is kept.
    pub(crate) fn begin(
        &self,
        waker: &Waker,
        name: MethodName<'_>,
        params: &[u8],
        facts: &WireFacts,
        options: BeginOptions<'_>,
    ) -> Poll<Result<CallId, CallError>> {
        if options.timeout.is_some_and(|left| left.is_zero()) {
            return Poll::Ready(Err(CallError::Deadline));
        }
        let now = self.clock.now();
        let mut guard = self.lock();
        let state = &mut *guard;
        if state.out.held() > self.config.limits.output_high_water_bytes
            && state.connection.closed().is_none()
        {
            state.room.push_back(waker.clone());
            return Poll::Pending;
        }
        if let Some(reason) = &state.closing
            && state.connection.closed().is_none()
        {
            return Poll::Ready(Err(CallError::Disconnected(reason.clone())));
        }
        let (id, slot) = match state.connection.open(now, options.timeout) {
            Ok(opened) => opened,
            Err(error) => return Poll::Ready(Err(error.into())),
        };
        slot.ended = None;
        slot.reply.clear();
        slot.sides = options.sides;
        slot.waker = Some(waker.clone());
        let carried = options.timeout.filter(|_| facts.capabilities.deadline);
        let request = Request {
            id: id.into(),
            name,
            timeout: carried,
            metadata: options.metadata.clone(),
            params: Payload::lent(facts.format.id(), params),
        };
        match state.out.put(&Envelope::Request(request), Lane::Data) {
            Ok(sent) => slot.sent = Some(sent),
            Err(error) => {
                slot.waker = None;
                slot.sides = None;
                state.connection.take(id);
                return Poll::Ready(Err(error.into()));
            }
        }
        let task = state.kick();
        drop(guard);
        wake(task);
        Poll::Ready(Ok(id))
    }

    /// Writes a notification. `Pending` when there is no room.
    pub(crate) fn notify(
        &self,
        waker: &Waker,
        name: MethodName<'_>,
        params: &[u8],
        facts: &WireFacts,
        metadata: &Metadata,
    ) -> Poll<Result<(), CallError>> {
        let mut guard = self.lock();
        let state = &mut *guard;
        if let Some(reason) = state.connection.closed().or(state.closing.as_ref()) {
            return Poll::Ready(Err(CallError::Disconnected(reason.clone())));
        }
        if state.out.held() > self.config.limits.output_high_water_bytes {
            state.room.push_back(waker.clone());
            return Poll::Pending;
        }
        let notification = Notification {
            name,
            id: None,
            metadata: metadata.clone(),
            params: Payload::lent(facts.format.id(), params),
        };
        if let Err(error) = state
            .out
            .put(&Envelope::Notification(notification), Lane::Data)
        {
            return Poll::Ready(Err(error.into()));
        }
        let task = state.kick();
        drop(guard);
        wake(task);
        Poll::Ready(Ok(()))
    }

    /// Emits an event.
    pub(crate) fn emit(
        &self,
        topic: &str,
        message: &[u8],
        facts: &WireFacts,
    ) -> Result<(), CallError> {
        let event = Envelope::Event(mynah_protocol::Event {
            topic: topic.into(),
            message: Payload::lent(facts.format.id(), message),
        });
        self.say(&event)
    }

    fn say(&self, envelope: &Envelope<'_>) -> Result<(), CallError> {
        let mut state = self.lock();
        if let Some(reason) = state.connection.closed().or(state.closing.as_ref()) {
            return Err(CallError::Disconnected(reason.clone()));
        }
        if state.out.held() > self.config.limits.output_high_water_bytes {
            return Err(CallError::Busy { retry_after: None });
        }
        state.out.put(envelope, Lane::Data)?;
        let task = state.kick();
        drop(state);
        wake(task);
        Ok(())
    }

    /// Takes the outcome of a call, if it has ended: its result is swapped into `reply`.
    pub(crate) fn poll_outcome(
        &self,
        waker: &Waker,
        id: CallId,
        reply: &mut Vec<u8>,
        sides: Option<&mut SideEffects>,
    ) -> Poll<Result<(), CallEnd>> {
        let mut state = self.lock();
        let Some((slot, ended)) = state.connection.call_mut(id) else {
            return Poll::Ready(Err(CallEnd::Gone));
        };
        if let (Some(sides), Some(waiting)) = (sides, &mut slot.sides) {
            sides.queue.append(&mut waiting.queue);
            sides.dropped += std::mem::take(&mut waiting.dropped);
        }
        if !ended {
            match &mut slot.waker {
                Some(known) if known.will_wake(waker) => {}
                known => *known = Some(waker.clone()),
            }
            return Poll::Pending;
        }
        let end = slot.ended.take();
        std::mem::swap(reply, &mut slot.reply);
        if slot.reply.capacity() > crate::scratch::KEEP_BYTES {
            slot.reply = Vec::new();
        }
        slot.sides = None;
        slot.sent = None;
        state.connection.take(id);
        Poll::Ready(match end {
            Some(Reply::Result) => Ok(()),
            Some(Reply::Error(error)) => Err(CallEnd::Error(error)),
            Some(Reply::Deadline) => Err(CallEnd::Deadline),
            Some(Reply::Lost { sent }) => Err(CallEnd::Lost {
                sent,
                reason: state
                    .connection
                    .closed()
                    .cloned()
                    .unwrap_or(CloseReason::PeerGone),
            }),
            None => Err(CallEnd::Gone),
        })
    }

    /// Gives a call up: taken back if it has not left, cancelled at the peer otherwise.
    pub(crate) fn cancel(&self, id: CallId, reason: CancelReason) {
        let mut guard = self.lock();
        let state = &mut *guard;
        // The waker is code of the caller: it goes when the lock is free.
        let waker = state
            .connection
            .call_mut(id)
            .and_then(|(slot, _)| slot.waker.take());
        let mut collected = super::Collected::default();
        let mut fx = DriverEffects::new(&mut state.out, &mut collected, self);
        state.connection.cancel(id, reason, &mut fx);
        if let Some((slot, _)) = state.connection.call_mut(id) {
            // It had ended; nobody will take the outcome.
            slot.ended = None;
            slot.sides = None;
            slot.reply.clear();
            if slot.reply.capacity() > crate::scratch::KEEP_BYTES {
                slot.reply = Vec::new();
            }
            state.connection.take(id);
        }
        if collected.control_overflow {
            state
                .closing
                .get_or_insert(CloseReason::TimedOut("peer takes no control messages"));
        }
        let task = state.kick();
        drop(guard);
        drop(waker);
        wake(task);
    }

    /// Answers a call of the peer from outside the task.
    pub(crate) fn answer(&self, key: InboundKey, result: Result<&[u8], Box<RpcError>>) {
        let mut guard = self.lock();
        let state = &mut *guard;
        state.answer(key, result);
        let task = state.kick();
        drop(guard);
        wake(task);
    }

    /// Writes progress of a call of the peer; dropped when the call is over or the peer is slow.
    pub(crate) fn progress(&self, key: InboundKey, value: &[u8], note: Option<&[u8]>) {
        let Some(facts) = self.facts() else { return };
        if !facts.capabilities.side_messages {
            return;
        }
        let format = facts.format.id();
        let mut guard = self.lock();
        let state = &mut *guard;
        let Some(id) = state.connection.wire_id(key).cloned() else {
            return;
        };
        if state.out.held() > self.config.limits.output_high_water_bytes {
            state.dropped_logs += 1;
            return;
        }
        let envelope = Envelope::Progress(Progress {
            id,
            value: Payload::lent(format, value),
            note: note.map(|note| Payload::lent(format, note)),
        });
        // What the wire cannot say is not worth failing the call for.
        let written = state.out.put(&envelope, Lane::Data).is_ok();
        let task = if written { state.kick() } else { None };
        drop(guard);
        wake(task);
    }

    /// Writes a line of log, of a call of the peer or of the connection.
    pub(crate) fn log(&self, key: Option<InboundKey>, level: i64, content: &[u8]) {
        let Some(facts) = self.facts() else { return };
        if !facts.capabilities.side_messages {
            return;
        }
        let mut guard = self.lock();
        let state = &mut *guard;
        let id: Option<WireId> = match key {
            Some(key) => match state.connection.wire_id(key) {
                Some(id) => Some(id.clone()),
                None => return,
            },
            None => None,
        };
        if state.out.held() > self.config.limits.output_high_water_bytes {
            state.dropped_logs += 1;
            return;
        }
        let dropped = std::mem::take(&mut state.dropped_logs);
        let content = Payload::lent(facts.format.id(), content);
        let envelope = Envelope::Log(Log {
            id,
            level,
            dropped,
            content,
        });
        let written = state.out.put(&envelope, Lane::Data).is_ok();
        let task = if written { state.kick() } else { None };
        drop(guard);
        wake(task);
    }
}

/// What a call is begun with.
pub(crate) struct BeginOptions<'a> {
    pub(crate) timeout: Option<Duration>,
    pub(crate) metadata: &'a Metadata,
    pub(crate) sides: Option<Box<Sides>>,
}

/// Why a call ended without a result.
#[derive(Debug)]
pub(crate) enum CallEnd {
    Error(Box<RpcError>),
    Deadline,
    Lost {
        sent: bool,
        reason: CloseReason,
    },
    /// The slot was taken already.
    Gone,
}

impl State {
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
        (self.cut || reason.wire_code().is_some()).then(|| reason.clone())
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
        (self.drained && self.connection.is_idle()).then_some(CloseReason::Drained)
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
    pub(crate) fn answer(&mut self, key: InboundKey, result: Result<&[u8], Box<RpcError>>) {
        let Some(id) = self.connection.finish(key) else {
            return;
        };
        self.answers += 1;
        let format = self.out.profile().format;
        let result = result.map(|body| Payload::lent(format, body));
        let response = Envelope::Response(Response { id, result });
        let Err(error) = self.out.put(&response, Lane::Data) else {
            return;
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
        if self
            .out
            .put(&Envelope::Response(Response { id, result }), Lane::Data)
            .is_err()
        {
            self.connection.flushed(1);
            self.answers -= 1;
        }
    }
}

pub(crate) fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
