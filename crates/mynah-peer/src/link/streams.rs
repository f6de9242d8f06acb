//! Streams as the program takes and stops them.

use super::state::wake;
use super::{CallEnd, Collected, DriverEffects, Link, Reply, State};
use crate::call::SideEffects;
use mynah_connection::{CloseReason, InboundKey};
use mynah_protocol::{By, CallId, CancelReason, EndReason, Window};
use std::task::{Poll, Waker};

/// What a look at the results of a call found.
#[derive(Debug)]
pub(crate) enum Batch {
    /// Items, in the buffer.
    Items,
    /// The stream came to its end in order.
    End,
}

impl Link {
    /// Takes the results that wait, in exchange for an empty buffer; says how many were taken since the last time.
    ///
    /// After [`Batch::End`] or an error the call is over and its slot is free.
    pub(crate) fn poll_items(
        &self,
        waker: &Waker,
        id: CallId,
        batch: &mut Vec<u8>,
        taken: Window,
        sides: Option<&mut SideEffects>,
    ) -> Poll<Result<Batch, CallEnd>> {
        // A waker is code of the caller, and goes when the lock is free.
        let mut _stale = None;
        let mut guard = self.lock();
        let state = &mut *guard;
        let mut task = None;
        if !taken.is_zero() {
            task = self.command(state, |rules, fx| rules.taken(id, taken, fx));
        }
        let Some((slot, ended)) = state.connection.call_mut(id) else {
            return Poll::Ready(Err(CallEnd::Gone));
        };
        if let (Some(sides), Some(waiting)) = (sides, &mut slot.sides) {
            waiting.hand_over(sides);
        }
        if let Some(extras) = &mut slot.extras
            && !extras.results.is_empty()
        {
            batch.clear();
            std::mem::swap(batch, &mut extras.results);
            drop(guard);
            wake(task);
            return Poll::Ready(Ok(Batch::Items));
        }
        if !ended || slot.is_held() {
            match &mut slot.waker {
                Some(known) if known.will_wake(waker) => {}
                known => _stale = known.replace(waker.clone()),
            }
            drop(guard);
            wake(task);
            return Poll::Pending;
        }
        let end = slot.ended.take();
        slot.reply.clear();
        slot.shared = None;
        slot.sides = None;
        slot.sent = None;
        slot.extras = None;
        state.connection.take(id);
        let closed = state.connection.closed().cloned();
        Poll::Ready(match end {
            Some(Reply::Result) => Ok(Batch::End),
            Some(Reply::Error(error)) => Err(CallEnd::Error(error)),
            Some(Reply::Deadline) => Err(CallEnd::Deadline),
            Some(Reply::Undelivered(why)) => Err(CallEnd::Undelivered(why)),
            Some(Reply::Lost { sent }) => Err(CallEnd::Lost {
                sent,
                reason: closed.unwrap_or(CloseReason::PeerGone),
            }),
            None => Err(CallEnd::Gone),
        })
    }

    /// The program took so many items of the results of a call, and has more of them at hand.
    #[cold]
    pub(crate) fn taken(&self, id: CallId, taken: Window) {
        let mut state = self.lock();
        let task = self.command(&mut state, |rules, fx| rules.taken(id, taken, fx));
        drop(state);
        wake(task);
    }

    /// The same for the stream that comes with a call.
    #[cold]
    pub(crate) fn input_taken(&self, key: InboundKey, taken: Window) {
        let mut state = self.lock();
        let task = self.command(&mut state, |rules, fx| rules.input_taken(key, taken, fx));
        drop(state);
        wake(task);
    }

    /// What a stream that comes in may have on its way.
    pub(crate) fn window(&self) -> Window {
        self.lock().connection.window()
    }

    /// Waits until the peer has taken a call on, or the call has ended: then there is something for
    /// [`Self::poll_items`].
    pub(crate) fn poll_accepted(&self, waker: &Waker, id: CallId) -> Poll<()> {
        let mut _stale = None;
        let mut state = self.lock();
        let Some((slot, ended)) = state.connection.call_mut(id) else {
            return Poll::Ready(());
        };
        let there = |extras: &super::OutExtras| extras.accepted || !extras.results.is_empty();
        if ended || slot.extras.as_deref().is_none_or(there) {
            return Poll::Ready(());
        }
        match &mut slot.waker {
            Some(known) if known.will_wake(waker) => {}
            known => _stale = known.replace(waker.clone()),
        }
        Poll::Pending
    }

    /// Why a call of the peer is to stop, or that it is over; `None` while it goes on.
    pub(crate) fn end_reason_of(&self, key: InboundKey) -> Option<EndReason> {
        let state = self.lock();
        let over = (!state.connection.is_live(key)).then_some(EndReason::Finished);
        stopped_reason(&state, key).or(over)
    }

    /// The handler of a call is ready for the stream that comes with it. `false` when there is none.
    pub(crate) fn open_input(&self, key: InboundKey) -> bool {
        let mut guard = self.lock();
        let state = &mut *guard;
        if let Some(slot) = state.connection.handler_mut(key) {
            // Its end may be there already.
            slot.input.get_or_insert_default();
        }
        let mut opened = false;
        let task = self.command(state, |rules, fx| {
            opened = rules.open_input(key, fx);
        });
        drop(guard);
        wake(task);
        opened
    }

    /// Takes the items that wait for a handler, in exchange for an empty buffer. `Ok(false)`: the stream came to its
    /// end.
    pub(crate) fn poll_input(
        &self,
        waker: &Waker,
        key: InboundKey,
        batch: &mut Vec<u8>,
        taken: Window,
    ) -> Poll<Result<bool, EndReason>> {
        let mut _stale = None;
        let mut guard = self.lock();
        let state = &mut *guard;
        let mut task = None;
        if !taken.is_zero() {
            task = self.command(state, |rules, fx| rules.input_taken(key, taken, fx));
        }
        let over = over_reason(state, key);
        let cancelled = state.connection.cancelled(key).is_some();
        let Some(input) = state
            .connection
            .handler_mut(key)
            .and_then(|slot| slot.input.as_deref_mut())
        else {
            return Poll::Ready(Err(over));
        };
        let polled = if !input.items.is_empty() {
            batch.clear();
            std::mem::swap(batch, &mut input.items);
            Poll::Ready(Ok(true))
        } else if let Some(end) = input.end.clone() {
            Poll::Ready(end.map(|()| false).map_err(EndReason::Error))
        } else if cancelled {
            Poll::Ready(Err(over))
        } else {
            match &mut input.waker {
                Some(known) if known.will_wake(waker) => {}
                known => _stale = known.replace(waker.clone()),
            }
            Poll::Pending
        };
        drop(guard);
        wake(task);
        polled
    }

    /// The handler takes no more of the stream that comes with its call.
    pub(crate) fn stop_input(&self, key: InboundKey) {
        let mut guard = self.lock();
        let state = &mut *guard;
        let input = state
            .connection
            .handler_mut(key)
            .and_then(|slot| slot.input.take());
        let task = self.command(state, |rules, fx| rules.stop_input(key, fx));
        drop(guard);
        // It holds a waker, which is code of the caller.
        drop(input);
        wake(task);
    }

    /// Carries out a command that says nothing but control. Returns the task to wake once the lock is free.
    fn command(
        &self,
        state: &mut State,
        run: impl FnOnce(&mut super::state::Rules, &mut DriverEffects<'_>),
    ) -> Option<Waker> {
        let mut collected = Collected::default();
        let before = state.out.control_held();
        let mut fx = DriverEffects::new(&mut state.out, &mut collected, self);
        run(&mut state.connection, &mut fx);
        if collected.control_overflow {
            state
                .closing
                .get_or_insert(CloseReason::TimedOut("peer takes no control messages"));
        }
        if state.out.control_held() == before && !collected.control_overflow {
            return None;
        }
        state.kick()
    }
}

/// Why the input of a call that is over ended.
fn over_reason(state: &State, key: InboundKey) -> EndReason {
    stopped_reason(state, key).unwrap_or(EndReason::Cancelled(By::Caller))
}

/// Why a call of the peer is to stop; `None`: it is not, or was over before its connection.
fn stopped_reason(state: &State, key: InboundKey) -> Option<EndReason> {
    let gone = match state.connection.closed() {
        Some(CloseReason::Local) if state.drained => Some(EndReason::Draining),
        Some(CloseReason::Drained) => Some(EndReason::Draining),
        Some(_) => Some(EndReason::PeerGone),
        None => None,
    };
    match state.connection.cancelled(key) {
        Some(CancelReason::Deadline) => Some(EndReason::Deadline),
        Some(_) => gone.or(Some(EndReason::Cancelled(By::Caller))),
        None => gone,
    }
}
