//! The end of a connection.

use super::core::{Core, stopped};
use super::running::{Owner, Work};
use super::told::release_held;
use crate::encoded::EncodedBuffer;
use crate::handler::{Running, panicked};
use crate::link::{DriverEffects, HandlerRef, State};
use crate::metrics;
use mynah_connection::CloseReason;
use mynah_protocol::{CancelReason, Envelope, GoingAway, Lane, TransportErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Poll, Waker};

impl Core {
    /// Ends the connection: every call ends, every handler is stopped, everybody is told.
    pub(super) fn end(&mut self, reason: CloseReason) {
        if let CloseReason::Violation(code, _) = &reason {
            metrics::failed_frame(*code);
        }
        let link = Arc::clone(&self.link);
        let mut guard = link.lock();
        let state = &mut *guard;
        self.write_done(state);
        let State {
            connection, out, ..
        } = state;
        if let Some(code) = reason.wire_code()
            && !self.said_farewell
            && out.is_ready()
            && out.profile().capabilities.going_away
        {
            let message = match &reason {
                CloseReason::Closed(_, text) => (**text).into(),
                reason => reason.to_string().into(),
            };
            let away = GoingAway { code, message };
            // Nothing is lost when it does not fit: the connection ends either way.
            drop(out.put(&Envelope::GoingAway(away), Lane::Data));
        }
        let mut fx = DriverEffects::new(out, &mut self.turn.get().collected, &link);
        connection.close(reason, &mut fx);
        if let Some(receipts) = &mut state.receipts {
            receipts.forget_held();
        }
        state.ended = true;
        self.turn
            .get()
            .collected
            .wakers
            .extend(state.room.drain(..));
        drop(guard);
        link.close_ears(&mut self.turn.get().collected.wakers);
        self.turn.get().collected.arrived.clear();
        self.end_told();
        release_held(&mut link.lock(), &mut self.turn.get().collected);
        self.carry_out(&[]);
        for handler in self.turn.get().running.drain() {
            let Owner::Theirs(key) = handler.owner else {
                self.recycle(handler);
                continue;
            };
            let shielded = link
                .lock()
                .connection
                .handler_mut(key)
                .is_some_and(|slot| slot.shields > 0);
            self.turn
                .get()
                .refuse(key, Box::new(stopped(CancelReason::Caller)));
            match handler.work {
                Work::Future(cell) if shielded => run_to_end(cell),
                _ => self.recycle(handler),
            }
        }
        // Tables are empty at the end, whoever still holds the link.
        let mut state = link.lock();
        self.write_done(&mut state);
        drop(state);
        link.over.notify_waiters();
        wake_all(&mut self.turn.get().collected.wakers);
    }
}

impl Drop for Core {
    /// The task may panic in code that is not ours, or go with its runtime: nobody must wait for it.
    fn drop(&mut self) {
        let link = Arc::clone(&self.link);
        let mut guard = link.lock();
        let state = &mut *guard;
        if state.ended {
            drop(guard);
            // The end itself may have been cut short, by a panic in code that is not ours.
            link.over.notify_waiters();
            wake_all(&mut self.turn.get().collected.wakers);
            return;
        }
        let gone = "the task of the connection is gone";
        let reason = CloseReason::Transport(TransportErrorKind::Other, gone.into());
        let State {
            connection, out, ..
        } = state;
        let mut fx = DriverEffects::new(out, &mut self.turn.get().collected, &link);
        connection.close(reason, &mut fx);
        state.ended = true;
        release_held(state, &mut self.turn.get().collected);
        self.turn
            .get()
            .collected
            .wakers
            .extend(state.room.drain(..));
        drop(guard);
        link.close_ears(&mut self.turn.get().collected.wakers);
        link.over.notify_waiters();
        for order in self.turn.get().collected.cancels.drain(..) {
            if let (HandlerRef::Spawned(task), false) = (order.handler, order.shielded) {
                task.abort();
            }
        }
        self.link
            .callbacks
            .revoke(&self.turn.get().collected.revoked);
        wake_all(&mut self.turn.get().collected.wakers);
    }
}

/// Wakes all of them. One that panics keeps none of the others asleep, and ends neither the connection nor, during an
/// unwinding, the process.
#[inline]
pub(super) fn wake_all(wakers: &mut Vec<Waker>) {
    let mut wakers = wakers.drain(..);
    while let Err(payload) =
        catch_unwind(AssertUnwindSafe(|| wakers.by_ref().for_each(Waker::wake)))
    {
        panicked(&*payload);
    }
}

/// A shield holds beyond the end of the connection: the handler goes on in a task, and nobody hears its answer.
fn run_to_end(mut cell: Box<dyn Running>) {
    tokio::spawn(async move {
        let mut unheard = EncodedBuffer::default();
        let ended = std::future::poll_fn(|cx| {
            match catch_unwind(AssertUnwindSafe(|| cell.poll(cx, &mut unheard))) {
                Ok(polled) => polled.map(|_unheard| ()),
                Err(payload) => {
                    panicked(&*payload);
                    Poll::Ready(())
                }
            }
        });
        ended.await;
    });
}
