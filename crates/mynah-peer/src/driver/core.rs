//! What the tasks of byte streams and of carriers have in common: handlers are started, polled,
//! stopped and answered; time passes; the end comes.

use super::TURN_POLLS;
use super::end::wake_all;
use super::running::{Handler, Owner, Work};
use super::streams::drop_stream;
use super::told::Told;
use super::turn::Turn;
use crate::context::Context;
use crate::encoded::Mark;
use crate::handler::{Called, Invocation, panicked};
use crate::link::{
    Arrived, Body, CalledKind, CancelOrder, Collected, HandlerRef, Link, OutInput, State,
};
use crate::metrics::{self, Dropped};
use crate::scratch::Lease;
use bytes::Bytes;
use mynah_codec::{SHARED_BYTES, Source};
use mynah_connection::{CloseReason, InboundKey};
use mynah_protocol::{
    CallId, CancelReason, Envelope, ErrorCode, Lane, MethodName, Moment, RpcError,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, Waker};
use tokio::time::Sleep;

/// The part of a connection's task that does not do I/O.
pub(super) struct Core {
    pub(super) link: Arc<Link>,
    pub(super) turn: Lease<Turn>,
    pub(super) last_route: usize,
    /// Places of streams that wait for room in the output.
    pub(super) stalled: Vec<usize>,
    /// Places of streams whose own large messages wait, and how many bytes of all waited when they stopped.
    pub(super) stalled_large: Vec<usize>,
    pub(super) large_waits: usize,
    /// What was told through callbacks and waits.
    pub(super) told: Option<Box<Told>>,
    /// Streams without an end were told that this side drains.
    pub(super) told_drain: bool,
    pub(super) sleep: Option<Pin<Box<Sleep>>>,
    pub(super) armed: Moment,
    /// The wire has told the peer already why the connection ends.
    pub(super) said_farewell: bool,
    _open: metrics::OpenConnection,
}

/// Something that is to be written. Ranges are in [`Core::replies`].
pub(super) enum Done {
    /// The answer to a call.
    Answer {
        key: InboundKey,
        result: Result<(Mark, Mark), Box<RpcError>>,
    },
    /// A call has been taken on.
    Accepted(InboundKey),
    /// Items of a stream.
    Items {
        owner: Owner,
        count: u64,
        range: (usize, usize),
    },
    /// The end of a stream that goes with a call of ours.
    InputEnd {
        id: CallId,
        error: Option<Box<RpcError>>,
    },
}

impl Core {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self {
            link,
            turn: Lease::default(),
            last_route: usize::MAX,
            stalled: Vec::new(),
            stalled_large: Vec::new(),
            large_waits: 0,
            told: None,
            told_drain: false,
            sleep: None,
            armed: Moment::NEVER,
            said_farewell: false,
            _open: metrics::OpenConnection::count(),
        }
    }

    /// Carries out what was collected under the lock: wakes callers, stops and starts handlers.
    /// `buffer` is what the ranges of arrived calls refer to.
    #[inline]
    pub(super) fn carry_out(&mut self, buffer: &[u8]) {
        if metrics::ENABLED {
            metrics::busy(std::mem::take(&mut self.turn.get().collected.refused));
        }
        if std::mem::take(&mut self.turn.get().collected.called_back) {
            // What was said through a callback before the answer is heard before it.
            self.start_arrived(buffer);
        }
        if !self.turn.get().collected.held.is_empty() {
            self.look_at_held();
        }
        wake_all(&mut self.turn.get().collected.wakers);
        if std::mem::take(&mut self.turn.get().collected.departing) {
            self.link.over.notify_waiters();
        }
        for _event in 0..std::mem::take(&mut self.turn.get().collected.forbidden_events) {
            self.charge("event that the peer may not emit");
        }
        if std::mem::take(&mut self.turn.get().collected.met) {
            // What is large may have waited for it.
            let mut woken: Vec<_> = self.link.lock().room.drain(..).collect();
            wake_all(&mut woken);
        }
        if self.turn.get().collected.has_streams() {
            self.carry_out_streams();
        }
        if !self.turn.get().collected.cancels.is_empty() {
            self.stop_cancelled();
        }
        if !self.turn.get().collected.arrived.is_empty() {
            self.start_arrived(buffer);
        }
    }

    #[inline]
    fn start_arrived(&mut self, buffer: &[u8]) {
        let mut arrived = std::mem::take(&mut self.turn.get().collected.arrived);
        for call in arrived.drain(..) {
            self.start(call, buffer);
        }
        self.turn.get().collected.arrived = arrived;
    }

    /// Starts one call of the peer: one poll here, and a place among the running handlers if that
    /// is not enough.
    #[inline]
    fn start(&mut self, call: Arrived, buffer: &[u8]) {
        if let Some(reason) = call.cancelled {
            self.turn.get().refuse(call.key, Box::new(stopped(reason)));
            return;
        }
        if call.forbidden {
            return self.refuse_forbidden(&call);
        }
        if !call.streams.is_none() && self.link.config.direct {
            let text = "a call without a connection has no streams";
            let error = RpcError::new(ErrorCode::UNSUPPORTED, text);
            self.turn.get().refuse(call.key, Box::new(error));
            return;
        }
        let link = Arc::clone(&self.link);
        if link.config.router.observes()
            && let Some(observed) = self.observe(&call)
        {
            return self.start_observed(observed, call, buffer);
        }
        let Arrived {
            key,
            route: index,
            unknown,
            other,
            called: kind,
            streams,
            answered,
            deadline,
            metadata,
            body,
            forbidden: _,
            cancelled: _,
        } = call;
        let route = index.and_then(|index| link.config.router.route(index));
        let method = route.map(|route| &*route.handler).or(other.as_deref());
        let (Some(method), Some(facts)) = (method, link.facts()) else {
            self.refuse_unknown(key, unknown.as_deref(), answered);
            return;
        };
        let params = body.as_slice(buffer);
        let context = Context::linked(Arc::clone(&link), key, deadline, metadata);
        let invocation = Invocation {
            context,
            params,
            streams,
            format: facts.format,
            limits: &facts.decode,
        };
        // Large parts of the params are parts of their message.
        let _shared = match &body {
            Body::Owned(bytes) => share(bytes),
            Body::Range(..) => None,
        };
        let (place, waker) = self.turn.get().running.next_place();
        let start = self.turn.get().replies.mark();
        let replies = &mut self.turn.get().replies;
        let told = kind == CalledKind::BuiltIn && !answered;
        let called = catch_unwind(AssertUnwindSafe(|| {
            method.call(invocation, &mut task::Context::from_waker(&waker), replies)
        }));
        if !answered && let Ok(Called::Done(Err(error))) = &called {
            self.note_dropped(index, unknown.as_deref(), kind, error);
        }
        let index = index.unwrap_or(usize::MAX);
        self.take_up((key, index, told), (place, &waker), start, called);
    }

    /// Goes on with a call as its handler took it. `told`: it is a callback that needs no permit. `start`: where its
    /// result begins.
    #[allow(
        clippy::inline_always,
        reason = "the plain way and the observed one: neither is to be a call"
    )]
    #[inline(always)]
    pub(super) fn take_up(
        &mut self,
        (key, index, told): (InboundKey, usize, bool),
        (place, waker): (usize, &Waker),
        start: Mark,
        called: std::thread::Result<Called>,
    ) {
        match called {
            Ok(Called::Done(Ok(()))) => {
                self.turn.get().answer(key, start);
            }
            Ok(Called::Done(Err(error))) => self.fail(key, start, error),
            Ok(Called::Running(cell)) if told => {
                // What is told needs no permit because it is over at once. This function is one that is asked.
                self.recycle(Handler {
                    owner: Owner::Theirs(key),
                    route: index,
                    work: Work::Future(cell),
                });
                self.fail(key, start, Box::new(stopped(CancelReason::Caller)));
            }
            Ok(Called::Running(cell)) => {
                self.turn.get().running.occupy(
                    place,
                    Handler {
                        owner: Owner::Theirs(key),
                        route: index,
                        work: Work::Future(cell),
                    },
                );
                self.park(key, HandlerRef::Running(place));
            }
            Ok(Called::Streaming { producer, accepted }) => {
                if accepted {
                    self.turn.get().done.push(Done::Accepted(key));
                }
                self.turn.get().running.occupy(
                    place,
                    Handler {
                        owner: Owner::Theirs(key),
                        route: index,
                        work: Work::Stream(producer),
                    },
                );
                self.park(key, HandlerRef::Running(place));
                waker.wake_by_ref();
            }
            Ok(Called::Elsewhere(handler)) => self.park(key, handler),
            Err(payload) => self.fail(key, start, panicked(&*payload)),
        }
    }

    /// Notes where the handler of a call runs, from now on found by the call's id.
    pub(super) fn park(&mut self, key: InboundKey, handler: HandlerRef) {
        // What was answered before must not wait for a lock of its own: it goes with this one.
        let link = Arc::clone(&self.link);
        let mut state = link.lock();
        self.write_done(&mut state);
        let cancelled = state.connection.cancelled(key);
        state.connection.park(key);
        if let Some(slot) = state.connection.handler_mut(key) {
            slot.handler = handler;
            if let Some(reason) = cancelled {
                // The cancel came between its arrival and now.
                let handler = std::mem::take(&mut slot.handler);
                let shielded = slot.shields > 0;
                drop(state);
                self.turn.get().collected.cancels.push(CancelOrder {
                    key,
                    reason,
                    handler,
                    shielded,
                });
                self.stop_cancelled();
            }
        }
    }

    /// `name`: absent for a callback that is over, which what the peer says may cross.
    pub(super) fn refuse_unknown(&mut self, key: InboundKey, name: Option<&str>, answered: bool) {
        if let Some(error) = self.link.config.router.refusal() {
            // Whether its wire can say why the connection ends or not: this it can say. Then it ends.
            let error = Box::new(error.clone());
            let reason = CloseReason::Closed(error.code(), error.message().into());
            self.link.lock().closing.get_or_insert(reason);
            return self.turn.get().refuse(key, error);
        }
        if let (Some(name), false) = (name, answered) {
            metrics::dropped(Dropped::Notification, 1);
            tracing::debug!(method = name, "notification for a method that nobody has");
            self.charge("notification of an unknown method");
        }
        let text = name.map_or_else(
            || "callback is over".to_owned(),
            |name| {
                let router = &self.link.config.router;
                match router.services_of(&MethodName::new("", name)) {
                    None => format!("method not found: {name}"),
                    // One of them is meant, and which one nobody knows.
                    Some(services) => format!("method not found: {name} is that of {services}"),
                }
            },
        );
        let error = RpcError::new(ErrorCode::METHOD_NOT_FOUND, text);
        self.turn.get().refuse(key, Box::new(error));
    }

    /// Answers for what the evidence of the peer does not let it call. No interceptor and no handler sees it.
    #[cold]
    fn refuse_forbidden(&mut self, call: &Arrived) {
        let method = call.unknown.as_deref().unwrap_or_default();
        self.link.log_forbidden("call", method);
        if !call.answered {
            metrics::dropped(Dropped::Notification, 1);
            self.charge("notification that the peer may not send");
        }
        let text = format!("not allowed: {method}");
        let error = RpcError::new(ErrorCode::PERMISSION_DENIED, text);
        self.turn.get().refuse(call.key, Box::new(error));
    }

    /// A notification has come to nothing: nobody is told but the log. Params that are wrong are charged to the peer.
    #[cold]
    pub(super) fn note_dropped(
        &self,
        route: Option<usize>,
        name: Option<&str>,
        kind: CalledKind,
        error: &RpcError,
    ) {
        if matches!(kind, CalledKind::BuiltIn | CalledKind::Hearer) {
            return;
        }
        let link = Arc::clone(&self.link);
        let known = route.and_then(|index| link.config.router.route(index));
        let method = known.map(|route| route.name().to_string());
        let method = method.as_deref().or(name).unwrap_or_default();
        metrics::dropped(Dropped::Notification, 1);
        tracing::warn!(method, %error, "notification dropped");
        if matches!(
            error.code(),
            ErrorCode::INVALID_PARAMS | ErrorCode::TOO_LARGE
        ) {
            self.charge("notification with wrong params");
        }
    }

    /// Charges a breach to the peer's budget; the connection ends when it is used up.
    fn charge(&self, what: &'static str) {
        let mut state = self.link.lock();
        let now = self.link.clock.now();
        if let Err(violation) = state.connection.handle_ignored(now, what) {
            state.closing.get_or_insert_with(|| {
                CloseReason::Violation(violation.code, violation.what.into())
            });
        }
    }

    pub(super) fn fail(&mut self, key: InboundKey, start: Mark, error: Box<RpcError>) {
        self.turn.get().replies.truncate(start);
        self.turn.get().refuse(key, error);
    }

    /// Stops the handlers of cancelled calls and answers for them.
    fn stop_cancelled(&mut self) {
        let mut cancels = std::mem::take(&mut self.turn.get().collected.cancels);
        for CancelOrder {
            key,
            reason,
            handler,
            shielded,
        } in cancels.drain(..)
        {
            if shielded {
                continue;
            }
            match handler {
                HandlerRef::Running(place) => {
                    // It may have ended meanwhile, and another one be in its place.
                    if let Some(handler) =
                        self.turn.get().running.remove_of(place, Owner::Theirs(key))
                    {
                        let told = matches!(&handler.work, Work::Gate(gated) if gated.is_told());
                        self.recycle(handler);
                        if told {
                            self.advance_told();
                        }
                    }
                }
                HandlerRef::Spawned(task) => task.abort(),
                // It runs to its end, holds its permit until then, and answers itself.
                HandlerRef::Blocking | HandlerRef::None => continue,
            }
            self.turn.get().refuse(key, Box::new(stopped(reason)));
        }
        self.turn.get().collected.cancels = cancels;
    }

    /// Drops a handler's future, which is code of the user, and keeps its cell.
    pub(super) fn recycle(&self, handler: Handler) {
        let route = self.link.config.router.route(handler.route);
        let mut cell = match handler.work {
            Work::Future(cell) => cell,
            Work::Stream(producer) => return drop_stream(producer),
            Work::Gate(gated) => return drop(gated),
        };
        let recycled = catch_unwind(AssertUnwindSafe(|| {
            cell.stop();
            if let Some(route) = route {
                route.handler.recycle(cell.into_any());
            }
        }));
        if let Err(payload) = recycled {
            panicked(&*payload);
        }
    }

    /// Polls the handlers that are ready. Returns whether some are left.
    pub(super) fn poll_running(&mut self, task: &task::Context<'_>) -> bool {
        if self.turn.held().is_none_or(|turn| turn.running.is_empty()) {
            return false;
        }
        for _ in 0..TURN_POLLS {
            if self.produced_enough() {
                return true;
            }
            let Some(place) = self.turn.get().running.next_ready(task.waker()) else {
                return false;
            };
            let Some((mut handler, waker)) = self.turn.get().running.lift(place) else {
                continue;
            };
            let start = self.turn.get().replies.mark();
            let (Owner::Theirs(key), Work::Future(cell)) = (handler.owner, &mut handler.work)
            else {
                if let (Owner::Theirs(key), Work::Gate(gated)) = (handler.owner, &mut handler.work)
                {
                    if self.poll_gate(key, place, gated, &waker) {
                        self.turn.get().running.put_back(place, handler);
                    }
                    continue;
                }
                match self.poll_stream(place, handler, &waker) {
                    Some(handler) => self.turn.get().running.put_back(place, handler),
                    None => self.turn.get().running.free(place),
                }
                continue;
            };
            let replies = &mut self.turn.get().replies;
            let polled = catch_unwind(AssertUnwindSafe(|| {
                cell.poll(&mut task::Context::from_waker(&waker), replies)
            }));
            match polled {
                Ok(Poll::Pending) => self.turn.get().running.put_back(place, handler),
                Ok(Poll::Ready(result)) => {
                    self.turn.get().running.free(place);
                    self.recycle(handler);
                    match result {
                        Ok(()) => {
                            self.turn.get().answer(key, start);
                        }
                        Err(error) => self.fail(key, start, error),
                    }
                }
                Err(payload) => {
                    self.turn.get().running.free(place);
                    self.fail(key, start, panicked(&*payload));
                    // Its future may be in any state: the cell is not used again.
                    drop(catch_unwind(AssertUnwindSafe(|| drop(handler))));
                }
            }
        }
        true
    }

    /// Writes the answers that wait.
    #[inline]
    pub(super) fn write_done(&mut self, state: &mut State) {
        if !self.has_done() {
            return;
        }
        let Turn {
            collected,
            done,
            replies,
            produced,
            ..
        } = self.turn.get();
        for done in done.drain(..) {
            match done {
                Done::Answer { key, result } => {
                    let result = result.map(|(start, end)| replies.between(start, end));
                    state.answer(key, result, &mut collected.wakers);
                }
                other => write_other(other, state, &replies.bytes, collected),
            }
        }
        replies.clear();
        *produced = 0;
    }

    /// Whether something waits to be carried out.
    pub(super) fn has_work(&self) -> bool {
        self.turn.held().is_some_and(Turn::has_work)
    }

    #[inline]
    pub(super) fn has_done(&self) -> bool {
        self.turn.held().is_some_and(|turn| !turn.done.is_empty())
    }

    /// Whether control piles up that the peer does not take.
    #[inline]
    pub(super) fn overflows(&self) -> bool {
        let turn = self.turn.held();
        turn.is_some_and(|turn| turn.collected.control_overflow)
    }

    /// The task comes to rest: what holds nothing is given back.
    #[inline]
    pub(super) fn give_back(&mut self) {
        self.turn.give_back();
    }

    /// Wakes callers that wait for room, when there is some.
    #[inline]
    pub(super) fn wake_room(&mut self, state: &mut State) {
        if (!state.room.is_empty() || !self.stalled.is_empty())
            && state.out.held() <= self.link.config.limits.output_high_water_bytes / 2
            && (!state.only_large_wait
                || state.out.bulk_held() <= self.link.config.limits.output_high_water_bytes / 2)
        {
            self.turn
                .get()
                .collected
                .wakers
                .extend(state.room.drain(..));
            self.resume_stalled();
        }
        if !self.stalled_large.is_empty() {
            self.resume_stalled_large(state.out.bulk_held());
        }
    }
}

/// Writes what is no answer.
#[cold]
fn write_other(done: Done, state: &mut State, replies: &[u8], collected: &mut Collected) {
    match done {
        Done::Answer { .. } => {}
        Done::Accepted(key) => {
            if let Some(id) = state.connection.wire_id(key).cloned() {
                drop(state.out.put(&Envelope::Accepted(id), Lane::Data));
            }
        }
        Done::Items {
            owner,
            count,
            range: (start, end),
        } => {
            let batch = replies.get(start..end).unwrap_or_default();
            let Err(error) = Core::write_items(state, owner, count, batch) else {
                return;
            };
            match owner {
                Owner::Theirs(key) => {
                    if let Some(slot) = state.connection.handler_mut(key) {
                        collected.cancels.push(CancelOrder {
                            key,
                            reason: CancelReason::Caller,
                            handler: std::mem::take(&mut slot.handler),
                            shielded: false,
                        });
                    }
                    state.answer(key, Err(error), &mut collected.wakers);
                }
                Owner::Ours(id) => {
                    if let Some((slot, _)) = state.connection.call_mut(id)
                        && let Some(extras) = &mut slot.extras
                        && let OutInput::Running(place) = std::mem::take(&mut extras.input)
                    {
                        collected.stopped_inputs.push((place, id));
                    }
                    Core::write_input_end(state, id, Some(error));
                }
            }
        }
        Done::InputEnd { id, error } => Core::write_input_end(state, id, error),
    }
}

/// The error of something that panicked.
pub(super) fn panicked_error(payload: &(dyn std::any::Any + Send)) -> Box<RpcError> {
    panicked(payload)
}

/// Lets large parts of what is decoded from a buffer share it, if it is large.
pub(super) fn share(bytes: &Bytes) -> Option<Source> {
    (bytes.len() >= SHARED_BYTES).then(|| Source::share(bytes))
}

/// The error that answers a call which was stopped.
pub(super) fn stopped(reason: CancelReason) -> RpcError {
    RpcError::from_code(match reason {
        CancelReason::Deadline => ErrorCode::DEADLINE_EXCEEDED,
        _ => ErrorCode::CANCELLED,
    })
}
