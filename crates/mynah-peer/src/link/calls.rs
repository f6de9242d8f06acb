//! Calls of this side: begun, asked for, given up; and what is said without an answer.

use super::state::wake;
use super::{DriverEffects, InSlot, Link, OutSlot, Reply, Sides, WireFacts};
use crate::call::{Attachments, ResultStream, SideEffects};
use crate::encoded::{Encoded, ReplyBuffer};
use crate::error::CallError;
use mynah_connection::{CloseReason, Connection, OpenStreams};
use mynah_protocol::{
    CallId, CancelReason, Envelope, Lane, Metadata, MethodName, Notification, Request, RpcError,
    Streams, Undelivered, WireId,
};
use std::task::{Poll, Waker};
use std::time::Duration;

/// What a call is begun with.
pub(crate) struct BeginOptions<'a> {
    pub(crate) timeout: Option<Duration>,
    pub(crate) metadata: &'a Metadata,
    pub(crate) sides: Option<Box<Sides>>,
    /// Present when results are to come as a stream.
    pub(crate) results: Option<ResultStream>,
    pub(crate) attachments: &'a mut Attachments,
    /// An id that the program chose.
    pub(crate) id: Option<&'a str>,
}

impl BeginOptions<'_> {
    /// What streams the call has, `None` for a plain one.
    fn streams(&self, connection: &Connection<OutSlot, InSlot>) -> Option<OpenStreams> {
        let input = self.attachments.has_input();
        if self.results.is_none() && !input {
            return None;
        }
        let window = |results: ResultStream| results.window.unwrap_or_else(|| connection.window());
        Some(OpenStreams {
            result: self.results.map(window),
            input,
            until_first: self.results.is_some_and(|results| results.until_first),
        })
    }
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
    /// The carrier ended it.
    Undelivered(Undelivered),
    /// The slot was taken already.
    Gone,
}

impl Link {
    /// Opens a call and writes its request.
    ///
    /// `Pending` when there is no room; the waker is kept.
    pub(crate) fn begin(
        &self,
        waker: &Waker,
        name: MethodName<'_>,
        params: Encoded<'_>,
        facts: &WireFacts,
        options: BeginOptions<'_>,
    ) -> Poll<Result<CallId, CallError>> {
        if options.timeout.is_some_and(|left| left.is_zero()) {
            return Poll::Ready(Err(CallError::Deadline));
        }
        let now = self.clock.now();
        let mut guard = self.lock();
        let state = &mut *guard;
        if self.is_full(state, params.len()) && state.connection.closed().is_none() {
            state.wait_for_room(waker, params.len());
            return Poll::Pending;
        }
        if let Some(reason) = &state.closing
            && state.connection.closed().is_none()
        {
            return Poll::Ready(Err(CallError::Disconnected(reason.clone())));
        }
        let streams = options.streams(&state.connection);
        let opened = match streams {
            None => state.connection.open(now, options.timeout),
            Some(streams) => state.connection.open_streams(now, options.timeout, streams),
        };
        let (id, slot) = match opened {
            Ok(opened) => opened,
            Err(error) => return Poll::Ready(Err(error.into())),
        };
        let wire_id = match options.id {
            None => id.into(),
            Some(text) if state.out.name_call(id, text) => WireId::Text(text.into()),
            Some(_taken) => {
                state.connection.take(id);
                let text = "another call in flight has this id";
                return Poll::Ready(Err(CallError::Misuse(text)));
            }
        };
        slot.ended = None;
        slot.delivery = None;
        slot.reply.clear();
        slot.shared = None;
        slot.sides = options.sides;
        slot.waker = Some(waker.clone());
        slot.extras = None;
        let until_first = streams.is_some_and(|streams| streams.until_first);
        let carried = options
            .timeout
            .filter(|_| facts.capabilities.deadline && !until_first);
        let request = Request {
            id: wire_id,
            name,
            timeout: carried,
            metadata: options.metadata.clone(),
            streams: Streams {
                callbacks: options.attachments.callbacks() > 0,
                ..streams.map_or(Streams::NONE, |streams| streams.on_the_wire())
            },
            params: params.payload(facts.format.id()),
        };
        match state.out.put(&Envelope::Request(request), Lane::Data) {
            Ok(sent) => {
                slot.sent = Some(sent);
                if streams.is_some() || !options.attachments.is_empty() {
                    slot.id = Some(id);
                    slot.extras = Some(options.attachments.take(&self.callbacks));
                }
            }
            Err(error) => {
                slot.waker = None;
                slot.sides = None;
                state.connection.take(id);
                state.out.forget_call(id);
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
        params: Encoded<'_>,
        facts: &WireFacts,
        metadata: &Metadata,
    ) -> Poll<Result<(), CallError>> {
        let mut guard = self.lock();
        let state = &mut *guard;
        if let Some(reason) = state.connection.closed().or(state.closing.as_ref()) {
            return Poll::Ready(Err(CallError::Disconnected(reason.clone())));
        }
        if self.is_full(state, params.len()) {
            state.wait_for_room(waker, params.len());
            return Poll::Pending;
        }
        let notification = Notification {
            name,
            id: None,
            metadata: metadata.clone(),
            params: params.payload(facts.format.id()),
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
        message: Encoded<'_>,
        facts: &WireFacts,
    ) -> Result<(), CallError> {
        let event = Envelope::Event(mynah_protocol::Event {
            topic: topic.into(),
            message: message.payload(facts.format.id()),
        });
        self.say(&event)
    }

    /// Waits for room in the output for so many bytes. Ready at the end of the connection, too.
    pub(crate) fn poll_room(&self, waker: &Waker, len: usize) -> Poll<()> {
        let mut state = self.lock();
        let over = state.connection.closed().is_some() || state.closing.is_some();
        if over || !self.is_full(&state, len) {
            return Poll::Ready(());
        }
        state.wait_for_room(waker, len);
        Poll::Pending
    }

    fn say(&self, envelope: &Envelope<'_>) -> Result<(), CallError> {
        let mut state = self.lock();
        if let Some(reason) = state.connection.closed().or(state.closing.as_ref()) {
            return Err(CallError::Disconnected(reason.clone()));
        }
        if self.is_full(&state, envelope.payload_bytes()) {
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
        reply: &mut ReplyBuffer,
        sides: Option<&mut SideEffects>,
    ) -> Poll<Result<(), CallEnd>> {
        // Declared first: a waker is code of the caller, and goes when the lock is free.
        let mut _stale = None;
        let mut state = self.lock();
        let Some((slot, ended)) = state.connection.call_mut(id) else {
            return Poll::Ready(Err(CallEnd::Gone));
        };
        if let (Some(sides), Some(waiting)) = (sides, &mut slot.sides) {
            waiting.hand_over(sides);
        }
        if !ended || slot.is_held() {
            match &mut slot.waker {
                Some(known) if known.will_wake(waker) => {}
                known => _stale = known.replace(waker.clone()),
            }
            return Poll::Pending;
        }
        let end = slot.ended.take();
        std::mem::swap(&mut reply.buffer, &mut slot.reply);
        reply.shared = slot.shared.take();
        if slot.reply.capacity() > crate::scratch::KEEP_BYTES {
            slot.reply = Vec::new();
        }
        slot.sides = None;
        slot.sent = None;
        slot.extras = None;
        state.connection.take(id);
        state.out.forget_call(id);
        Poll::Ready(match end {
            Some(Reply::Result) => Ok(()),
            Some(Reply::Error(error)) => Err(CallEnd::Error(error)),
            Some(Reply::Deadline) => Err(CallEnd::Deadline),
            Some(Reply::Undelivered(why)) => Err(CallEnd::Undelivered(why)),
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
            if let Some(mut extras) = slot.extras.take() {
                collected.revoked.append(&mut extras.callbacks);
            }
            slot.shared = None;
            slot.reply.clear();
            if slot.reply.capacity() > crate::scratch::KEEP_BYTES {
                slot.reply = Vec::new();
            }
            state.connection.take(id);
        }
        state.out.forget_call(id);
        if collected.control_overflow {
            state
                .closing
                .get_or_insert(CloseReason::TimedOut("peer takes no control messages"));
        }
        if !collected.stopped_inputs.is_empty() {
            let strays = state.strays.get_or_insert_default();
            strays.stopped_inputs.append(&mut collected.stopped_inputs);
        }
        let task = state.kick();
        drop(guard);
        drop(waker);
        self.callbacks.revoke(&collected.revoked);
        drop(collected);
        wake(task);
    }
}
