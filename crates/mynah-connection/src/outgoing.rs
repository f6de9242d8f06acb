//! The calls that this side made.

use crate::flow::{Receiver, Sender};
use mynah_protocol::{CallId, Moment};

/// The state of one slot.
///
/// ```text
///            open              complete (reply, error, deadline, lost)
///   Free ───────────▶ Waiting ────────────────────────────────────────▶ Ended
///    ▲                   │ cancel, take                                    │ take
///    └───────────────────┴─────────────────────────────────────────────────┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Free,
    Waiting,
    Ended,
}

#[derive(Debug)]
struct Slot<O> {
    generation: u64,
    deadline: Moment,
    state: State,
    /// Absent for plain calls, whose slots stay small.
    flow: Option<Box<OutFlow>>,
    data: O,
}

/// The streams of a call of ours.
#[derive(Debug)]
pub(crate) struct OutFlow {
    /// Of the stream of results.
    pub(crate) result: Option<Receiver>,
    /// Of the stream that goes with the call, until it ends.
    pub(crate) input: Option<Sender>,
    /// The deadline is for a sign that the call is under way, and not for the whole of it.
    pub(crate) until_first: bool,
    /// The peer has said that it has taken the call on.
    pub(crate) accepted: bool,
}

/// The calls that this side made, in slots that are used again.
///
/// An id is `generation << 16 | slot`, so a late answer to an earlier call in the same slot is told
/// apart. Generations start at 1: no id is 0, which some wires give a meaning.
#[derive(Debug)]
pub(crate) struct Outgoing<O> {
    slots: Vec<Slot<O>>,
    free: Vec<usize>,
    waiting: usize,
    capacity: usize,
}

const SLOT_BITS: u32 = 16;
const SLOT_MASK: u64 = (1 << SLOT_BITS) - 1;
const MAX_GENERATION: u64 = CallId::MAX >> SLOT_BITS;

/// What an id from the peer stands for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// A call that waits.
    Waiting(usize),
    /// A call that was made once and is over for us.
    Over,
    /// No call of ours.
    Never,
}

impl<O: Default> Outgoing<O> {
    pub(crate) fn new(limit: u32) -> Self {
        let capacity = usize::try_from(limit)
            .unwrap_or(usize::MAX)
            .min(1 << SLOT_BITS);
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            waiting: 0,
            capacity,
        }
    }

    pub(crate) const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Calls that wait for an answer.
    pub(crate) const fn waiting(&self) -> usize {
        self.waiting
    }

    /// Slots that are not free.
    pub(crate) fn in_use(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn open(
        &mut self,
        deadline: Moment,
        flow: Option<Box<OutFlow>>,
    ) -> Option<(CallId, &mut O)> {
        let index = match self.free.pop() {
            Some(index) => index,
            None if self.slots.len() < self.capacity => {
                let data = O::default();
                self.slots.push(Slot {
                    generation: 0,
                    deadline,
                    state: State::Free,
                    flow: None,
                    data,
                });
                self.slots.len() - 1
            }
            None => return None,
        };
        let slot = self.slots.get_mut(index)?;
        // Wraps after 2^37 calls in one slot; a reply that late finds no peer.
        slot.generation = if slot.generation >= MAX_GENERATION {
            1
        } else {
            slot.generation + 1
        };
        slot.deadline = deadline;
        slot.state = State::Waiting;
        slot.flow = flow;
        self.waiting += 1;
        let id = CallId::new(slot.generation << SLOT_BITS | index as u64)?;
        Some((id, &mut slot.data))
    }

    pub(crate) fn known(&self, id: CallId) -> Known {
        let Some((index, slot)) = self.slot(id) else {
            return Known::Never;
        };
        let generation = id.value() >> SLOT_BITS;
        if generation == slot.generation && slot.state == State::Waiting {
            Known::Waiting(index)
        } else if generation <= slot.generation && generation > 0 {
            Known::Over
        } else {
            Known::Never
        }
    }

    /// Moves a waiting call to its end and hands out its data, and what its streams were.
    #[inline]
    pub(crate) fn end(&mut self, index: usize) -> Option<(&mut O, Option<Box<OutFlow>>)> {
        let slot = self.slots.get_mut(index)?;
        slot.state = State::Ended;
        self.waiting -= 1;
        Some((&mut slot.data, slot.flow.take()))
    }

    /// The streams and the data of a waiting call, `None` when it has no streams.
    pub(crate) fn flow_mut(&mut self, index: usize) -> Option<(&mut OutFlow, &mut O)> {
        let slot = self.slots.get_mut(index)?;
        slot.flow.as_deref_mut().map(|flow| (flow, &mut slot.data))
    }

    /// The streams of a waiting call.
    pub(crate) fn flow(&self, id: CallId) -> Option<&OutFlow> {
        match self.known(id) {
            Known::Waiting(index) => self.slots.get(index)?.flow.as_deref(),
            Known::Over | Known::Never => None,
        }
    }

    /// The call is under way: it waits for the rest as long as it takes.
    pub(crate) fn is_under_way(&mut self, index: usize) {
        if let Some(slot) = self.slots.get_mut(index)
            && let Some(flow) = &mut slot.flow
            && std::mem::take(&mut flow.until_first)
        {
            slot.deadline = Moment::NEVER;
        }
    }

    pub(crate) fn waiting_mut(&mut self, index: usize) -> Option<&mut O> {
        self.slots.get_mut(index).map(|slot| &mut slot.data)
    }

    /// The data of a call that is not free, and whether it has ended.
    pub(crate) fn data_mut(&mut self, id: CallId) -> Option<(&mut O, bool)> {
        let index = self.live(id)?;
        let slot = self.slots.get_mut(index)?;
        Some((&mut slot.data, slot.state == State::Ended))
    }

    /// When a call that is not free ends.
    pub(crate) fn deadline(&self, id: CallId) -> Moment {
        let slot = self.live(id).and_then(|index| self.slots.get(index));
        slot.map_or(Moment::NEVER, |slot| slot.deadline)
    }

    /// Frees a call that waits. `None` for any other.
    pub(crate) fn give_up(&mut self, id: CallId) -> Option<(&mut O, Option<Box<OutFlow>>)> {
        let Known::Waiting(index) = self.known(id) else {
            return None;
        };
        let flow = self.slots.get_mut(index)?.flow.take();
        self.release(id).map(|data| (data, flow))
    }

    /// Frees a call, whether it waits or has ended.
    pub(crate) fn release(&mut self, id: CallId) -> Option<&mut O> {
        let index = self.live(id)?;
        let slot = self.slots.get_mut(index)?;
        self.waiting -= usize::from(slot.state == State::Waiting);
        slot.state = State::Free;
        self.free.push(index);
        Some(&mut slot.data)
    }

    /// Ends every waiting call that `due` picks by its deadline; returns the earliest deadline that is left.
    pub(crate) fn sweep(
        &mut self,
        due: impl Fn(Moment) -> bool,
        mut ended: impl FnMut(CallId, &mut O, Option<Box<OutFlow>>),
    ) -> Moment {
        let mut next = Moment::NEVER;
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if slot.state != State::Waiting {
                continue;
            }
            if !due(slot.deadline) {
                next = next.min(slot.deadline);
                continue;
            }
            slot.state = State::Ended;
            self.waiting -= 1;
            if let Some(id) = CallId::new(slot.generation << SLOT_BITS | index as u64) {
                ended(id, &mut slot.data, slot.flow.take());
            }
        }
        next
    }

    /// Entries for which memory is held.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn footprint(&self) -> usize {
        self.slots.capacity() + self.free.capacity()
    }

    fn live(&self, id: CallId) -> Option<usize> {
        let (index, slot) = self.slot(id)?;
        let same = id.value() >> SLOT_BITS == slot.generation && slot.state != State::Free;
        same.then_some(index)
    }

    fn slot(&self, id: CallId) -> Option<(usize, &Slot<O>)> {
        let index = usize::try_from(id.value() & SLOT_MASK).ok()?;
        self.slots.get(index).map(|slot| (index, slot))
    }
}

#[cfg(test)]
mod tests;
