//! What is told through callbacks and has to wait for an interceptor: it is heard in order, and before the answer of its
//! call.

use super::core::{Core, stopped};
use super::observed::Gated;
use super::running::{Handler, Owner, Work};
use crate::intercept::Passage;
use crate::link::{CancelOrder, Collected, HandlerRef, Reply, State};
use mynah_connection::InboundKey;
use mynah_protocol::{CallId, CancelReason, Moment};
use std::collections::VecDeque;
use std::sync::Arc;

/// What waits; there only while something does. Each holds a place among the calls of the peer, which bounds them.
pub(super) struct Told {
    /// The one that waits for its interceptor.
    first: First,
    /// What came behind it.
    behind: VecDeque<(InboundKey, Box<Gated>)>,
    /// When the first of the calls has to end whose answers are held back.
    due: Option<Moment>,
}

/// What waits for its interceptor, in the set of what runs.
struct First {
    key: InboundKey,
    place: usize,
    /// The number of its callback.
    number: Box<str>,
}

impl Core {
    /// Whether what is told now has to wait for its turn.
    pub(super) const fn tells_wait(&self) -> bool {
        self.told.is_some()
    }

    /// When a call has to end whose answer is held back; [`Moment::NEVER`]: there is none.
    pub(super) fn held_due(&self) -> Moment {
        let due = self.told.as_ref().and_then(|told| told.due);
        due.unwrap_or(Moment::NEVER)
    }

    /// Has something wait behind what waits already.
    pub(super) fn queue_told(&mut self, key: InboundKey, gated: Gated) {
        if let Some(told) = &mut self.told {
            told.behind.push_back((key, Box::new(gated)));
            self.park(key, HandlerRef::None);
        }
    }

    /// Has something wait for its interceptor, at a place of the set. `behind`: what waits behind it.
    pub(super) fn wait_told(
        &mut self,
        key: InboundKey,
        place: usize,
        gated: Box<Gated>,
        behind: VecDeque<(InboundKey, Box<Gated>)>,
    ) {
        let number = gated.callback_number().unwrap_or_default().into();
        let turn = self.turn.get();
        turn.collected.tells_wait = true;
        let handler = Handler {
            owner: Owner::Theirs(key),
            route: usize::MAX,
            work: Work::Gate(gated),
        };
        turn.running.occupy(place, handler);
        let mut told = Told {
            first: First { key, place, number },
            behind,
            due: None,
        };
        if !turn.collected.held.is_empty() {
            told.due = first_due(&self.link.lock(), &turn.collected.held);
        }
        self.told = Some(Box::new(told));
        self.park(key, HandlerRef::Running(place));
    }

    /// What waited for its interceptor is through, or was stopped: the next ones have their turn.
    pub(super) fn advance_told(&mut self) {
        let Some(told) = self.told.take() else { return };
        let mut behind = told.behind;
        let link = Arc::clone(&self.link);
        while let Some((key, mut gated)) = behind.pop_front() {
            if link.lock().connection.cancelled(key).is_some() || !self.is_open(&gated) {
                self.fail_told(key);
                continue;
            }
            let (place, waker) = self.turn.get().running.next_place();
            match gated.pass(&waker) {
                Passage::Open => self.start_gated(&link, key, &mut gated),
                Passage::Refused(error) => self.turn.get().refuse(key, error),
                Passage::Waits => return self.wait_told(key, place, gated, behind),
            }
        }
        let collected = &mut self.turn.get().collected;
        collected.tells_wait = false;
        release_held(&mut link.lock(), collected);
    }

    /// Whether a callback is still to be heard.
    pub(super) fn is_open(&self, gated: &Gated) -> bool {
        let number = gated.callback_number();
        number.is_some_and(|number| self.link.callbacks.is_open(number))
    }

    /// Stops what waits for its interceptor when its callback is over.
    pub(super) fn stop_closed_told(&mut self) {
        if let Some(told) = &self.told
            && !self.link.callbacks.is_open(&told.first.number)
        {
            self.turn.get().collected.cancels.push(CancelOrder {
                key: told.first.key,
                reason: CancelReason::Caller,
                handler: HandlerRef::Running(told.first.place),
                shielded: false,
            });
        }
    }

    pub(super) fn fail_told(&mut self, key: InboundKey) {
        let error = Box::new(stopped(CancelReason::Caller));
        self.turn.get().refuse(key, error);
    }

    /// Looks at the calls whose answers have come: they are held back until what was told before is heard.
    #[cold]
    pub(super) fn look_at_held(&mut self) {
        let link = Arc::clone(&self.link);
        let mut state = link.lock();
        let collected = &mut self.turn.get().collected;
        match &mut self.told {
            Some(told) => told.due = first_due(&state, &collected.held),
            None => release_held(&mut state, collected),
        }
    }

    /// Ends the calls as late that are held back beyond their deadlines.
    pub(super) fn end_late_held(&mut self, state: &mut State) {
        let now = self.link.clock.now();
        let collected = &mut self.turn.get().collected;
        let (late, held) = std::mem::take(&mut collected.held)
            .into_iter()
            .partition(|id| state.connection.call_deadline(*id) <= now);
        collected.held = late;
        for id in &collected.held {
            if let Some((slot, _)) = state.connection.call_mut(*id) {
                slot.ended = Some(Reply::Deadline);
            }
        }
        release_held(state, collected);
        collected.held = held;
        if let Some(told) = &mut self.told {
            told.due = first_due(state, &collected.held);
        }
    }

    /// The connection ends: nothing more is heard.
    pub(super) fn end_told(&mut self) {
        let Some(told) = self.told.take() else { return };
        self.turn.get().collected.tells_wait = false;
        for (key, gated) in told.behind {
            drop(gated);
            self.fail_told(key);
        }
    }
}

fn first_due(state: &State, held: &[CallId]) -> Option<Moment> {
    let deadlines = held.iter().map(|id| state.connection.call_deadline(*id));
    deadlines.min().filter(|due| *due != Moment::NEVER)
}

/// Lets the answers go that were held back: their callers are to be woken, and their callbacks to be revoked.
pub(super) fn release_held(state: &mut State, collected: &mut Collected) {
    for id in std::mem::take(&mut collected.held) {
        release(id, state, collected);
    }
}

fn release(id: CallId, state: &mut State, collected: &mut Collected) {
    // It may have been given up meanwhile.
    let Some((slot, _)) = state.connection.call_mut(id) else {
        return;
    };
    let Some(extras) = slot.extras.as_mut().filter(|extras| extras.held) else {
        return;
    };
    extras.held = false;
    collected.revoked.append(&mut extras.callbacks);
    collected.wakers.extend(slot.waker.take());
}
