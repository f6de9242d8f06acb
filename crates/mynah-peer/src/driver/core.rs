//! What the tasks of byte streams and of carriers have in common: handlers are started, polled,
//! stopped and answered; time passes; the end comes.

use super::TURN_POLLS;
use super::end::wake_all;
use super::running::{Handler, Owner, Work};
use super::streams::drop_stream;
use super::told::Told;
use super::turn::Turn;
use crate::encoded::Mark;
use crate::handler::panicked;
use crate::link::{CancelOrder, Collected, HandlerRef, Link, OutInput, State};
use crate::metrics;
use crate::scratch::Lease;
use bytes::Bytes;
use mynah_codec::{SHARED_BYTES, Source};
use mynah_connection::InboundKey;
use mynah_protocol::{CallId, CancelReason, Envelope, ErrorCode, Lane, Moment, RpcError};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
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

    pub(super) fn fail(&mut self, key: InboundKey, start: Mark, error: Box<RpcError>) {
        self.turn.get().replies.truncate(start);
        self.turn.get().refuse(key, error);
    }

    /// Stops the handlers of cancelled calls and answers for them.
    pub(super) fn stop_cancelled(&mut self) {
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
