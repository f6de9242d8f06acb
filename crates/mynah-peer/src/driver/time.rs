//! Time, as a connection's task lets it pass.

use super::core::Core;
use crate::link::{CancelOrder, DriverEffects, State, Strays};
use mynah_protocol::Moment;
use std::future::Future as _;
use std::task;

impl Core {
    /// Stops what was ended outside the task.
    #[cold]
    fn stop_strays(&mut self, state: &mut State) {
        let Some(strays) = state.strays.take() else {
            return;
        };
        let Strays {
            unshielded,
            mut stopped_inputs,
        } = *strays;
        let collected = &mut self.turn.get().collected;
        for key in unshielded {
            let reason = state.connection.cancelled(key);
            if let (Some(reason), Some(slot)) = (reason, state.connection.handler_mut(key)) {
                let handler = std::mem::take(&mut slot.handler);
                collected.cancels.push(CancelOrder {
                    key,
                    reason,
                    handler,
                    shielded: false,
                });
            }
        }
        collected.stopped_inputs.append(&mut stopped_inputs);
    }

    /// Lets time pass: deadlines, silence, and calls whose shield was lifted. Under the lock.
    pub(super) fn handle_time(&mut self, state: &mut State) {
        if state.strays.is_some() {
            self.stop_strays(state);
        }
        if state.drained && !self.told_drain {
            self.told_drain = true;
            self.drain_streams();
        }
        if self.tells_wait() {
            if self.held_due() != Moment::NEVER && self.timer_rang() {
                self.end_late_held(state);
            }
            self.stop_closed_told();
        }
        if state.connection.poll_timeout() == Moment::NEVER || !self.timer_rang() {
            return;
        }
        let now = self.link.clock.now();
        let State {
            connection, out, ..
        } = state;
        let mut fx = DriverEffects::new(out, &mut self.turn.get().collected, &self.link);
        if let Err(reason) = connection.handle_timeout(now, &mut fx) {
            state.closing.get_or_insert(reason);
        }
    }

    /// Whether the time for which the timer was armed has come. No look at a clock, which costs more than most of
    /// what a turn does.
    fn timer_rang(&self) -> bool {
        self.sleep.as_ref().is_some_and(|sleep| sleep.is_elapsed())
    }

    /// Sees that the timer is armed for `due` or earlier. Returns whether it has rung.
    ///
    /// A timer that rings early finds nothing due and is armed again: cheaper than moving it. It is polled when it is
    /// armed only, always from the one task of the connection.
    pub(super) fn poll_timer(&mut self, due: Moment, task: &mut task::Context<'_>) -> bool {
        let due = due.min(self.held_due());
        if due < self.armed {
            let Some(instant) = self.link.clock.instant(due) else {
                return false;
            };
            self.armed = due;
            let sleep = match &mut self.sleep {
                Some(sleep) => {
                    sleep.as_mut().reset(instant);
                    sleep
                }
                None => self
                    .sleep
                    .insert(Box::pin(tokio::time::sleep_until(instant))),
            };
            // Outside the budget of the task: with none left a poll registers nothing, and there is no second one.
            let mut registered = std::pin::pin!(tokio::task::unconstrained(sleep.as_mut()));
            if registered.as_mut().poll(task).is_pending() {
                return false;
            }
        } else if self.armed == Moment::NEVER || !self.timer_rang() {
            return false;
        }
        self.armed = Moment::NEVER;
        true
    }
}
