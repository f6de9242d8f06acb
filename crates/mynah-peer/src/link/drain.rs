//! Draining one connection: the peer is told, and what is in flight ends.

use super::state::wake;
use super::{Collected, DriverEffects, Link, State};
use mynah_connection::CloseReason;
use mynah_protocol::{Envelope, ErrorCode, GoingAway};

impl Link {
    /// Tells the peer, and closes once nothing is in flight.
    pub(crate) fn start_drain(&self) {
        let mut guard = self.lock();
        let state = &mut *guard;
        let mut collected = Collected::default();
        state.drained = true;
        if self.facts().is_some() {
            self.tell_drain(state, &mut collected);
        } else {
            // Nothing can be said before it is known what is spoken. What it asks for by then is refused.
            state.drain_untold = true;
            state.connection.await_peer(self.clock.now());
        }
        if collected.control_overflow {
            state
                .closing
                .get_or_insert(CloseReason::TimedOut("peer takes no control messages"));
        }
        let task = state.kick();
        drop(guard);
        wake(task);
    }

    /// Nobody is there who would answer a call of this side.
    pub(crate) fn expect_no_answers(&self) {
        let mut collected = Collected::default();
        let mut state = self.lock();
        let State {
            connection, out, ..
        } = &mut *state;
        let mut fx = DriverEffects::new(out, &mut collected, self);
        let away = GoingAway {
            code: ErrorCode::DRAINING,
            message: "nobody is there".into(),
        };
        // The first thing that is heard cannot be too much.
        let _heard = connection.handle(self.clock.now(), Envelope::GoingAway(away), &mut fx);
    }

    /// Tells the peer of the drain, and asks whether it has heard.
    #[cold]
    pub(crate) fn tell_drain(&self, state: &mut State, collected: &mut Collected) {
        state.drain_untold = false;
        if let Some(error) = self.config.router.refusal() {
            // It has said what it speaks, and can be told why it may not.
            let reason = CloseReason::Closed(error.code(), error.message().into());
            state.closing.get_or_insert(reason);
            return;
        }
        let State {
            connection, out, ..
        } = state;
        let mut fx = DriverEffects::new(out, collected, self);
        connection.start_drain(&mut fx);
        connection.ask_heard(self.clock.now(), &mut fx);
    }
}
