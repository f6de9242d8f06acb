//! The calls that the peer made.

use mynah_protocol::{CancelReason, Moment, WireId};
use std::collections::{HashMap, VecDeque};

/// Which call of the peer. A key of a call that is over means nothing and does no harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InboundKey {
    index: u32,
    generation: u32,
}

impl InboundKey {
    /// The slot: small, dense, used again.
    #[must_use]
    pub const fn index(self) -> usize {
        self.index as usize
    }
}

/// The state of one slot.
///
/// ```text
///          admit             park (not ready at its first poll)
///   Free ────────▶ Fresh ─────────────────────────────────────▶ Parked
///    ▲               │ finish                                     │ finish
///    └───────────────┴────────────────────────────────────────────┘
/// ```
///
/// A fresh call can be found by its id only through the short list of fresh ones; a parked one
/// through the table. Most calls never park, and pay for no table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Free,
    Fresh,
    Parked,
}

#[derive(Debug)]
struct Slot<I> {
    generation: u32,
    state: State,
    /// Notifications get no answer, and hold a permit until they end.
    answered: bool,
    cancelled: Option<CancelReason>,
    /// Whether the table maps the id to this slot.
    listed: bool,
    id: WireId,
    deadline: Moment,
    data: I,
}

/// The calls that the peer made and that are not answered.
#[derive(Debug)]
pub(crate) struct Inbound<I> {
    slots: Vec<Slot<I>>,
    free: Vec<u32>,
    fresh: VecDeque<u32>,
    by_id: HashMap<WireId, u32>,
    /// Answers that have not left the output buffer: each still holds its permit.
    unflushed: usize,
    limit: usize,
}

/// Why a call of the peer is not let in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Busy,
    Duplicate,
}

/// How a call of the peer ended.
#[derive(Debug)]
pub(crate) struct Finished {
    /// The id to answer with; `None` for a notification.
    pub(crate) id: Option<WireId>,
    pub(crate) cancelled: Option<CancelReason>,
}

impl<I: Default> Inbound<I> {
    pub(crate) fn new(limit: u32) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            fresh: VecDeque::new(),
            by_id: HashMap::new(),
            unflushed: 0,
            limit: usize::try_from(limit).unwrap_or(usize::MAX).min(u32::MAX as usize),
        }
    }

    /// Calls that run.
    pub(crate) fn running(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Permits that are taken.
    pub(crate) fn permits(&self) -> usize {
        self.running() + self.unflushed
    }

    pub(crate) fn flushed(&mut self, answers: usize) {
        self.unflushed -= answers.min(self.unflushed);
    }

    pub(crate) fn admit(
        &mut self,
        id: Option<WireId>,
        answered: bool,
        deadline: Moment,
    ) -> Result<(InboundKey, &mut I), Refused> {
        if self.permits() >= self.limit {
            return Err(Refused::Busy);
        }
        if let Some(id) = &id
            && !self.by_id.is_empty()
            && self.by_id.contains_key(id)
        {
            return Err(Refused::Duplicate);
        }
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                let index = u32::try_from(self.slots.len()).map_err(|_full| Refused::Busy)?;
                self.slots.push(Slot {
                    generation: 0,
                    state: State::Free,
                    answered,
                    cancelled: None,
                    listed: false,
                    id: WireId::Null,
                    deadline,
                    data: I::default(),
                });
                index
            }
        };
        let slot = self.slots.get_mut(index as usize).ok_or(Refused::Busy)?;
        slot.generation = slot.generation.wrapping_add(1);
        slot.state = State::Fresh;
        slot.answered = answered;
        slot.cancelled = None;
        slot.id = id.unwrap_or(WireId::Null);
        slot.deadline = deadline;
        self.fresh.push_back(index);
        Ok((InboundKey { index, generation: slot.generation }, &mut slot.data))
    }

    /// The handler was not ready at its first poll: from now on the call is found by its id.
    /// Returns its deadline.
    pub(crate) fn park(&mut self, key: InboundKey) -> Option<Moment> {
        let slot = live(&mut self.slots, key)?;
        if slot.state == State::Fresh {
            slot.state = State::Parked;
            forget_fresh(&mut self.fresh, key.index);
            if !self.by_id.contains_key(&slot.id) {
                self.by_id.insert(slot.id.clone(), key.index);
                slot.listed = true;
            }
        }
        Some(slot.deadline)
    }

    pub(crate) fn finish(&mut self, key: InboundKey) -> Option<Finished> {
        let slot = live(&mut self.slots, key)?;
        match slot.state {
            State::Fresh => forget_fresh(&mut self.fresh, key.index),
            State::Parked if slot.listed => {
                self.by_id.remove(&slot.id);
                slot.listed = false;
            }
            State::Parked | State::Free => {}
        }
        slot.state = State::Free;
        let id = std::mem::replace(&mut slot.id, WireId::Null);
        let cancelled = slot.cancelled;
        let answered = slot.answered;
        self.unflushed += usize::from(answered);
        self.free.push(key.index);
        Some(Finished { id: answered.then_some(id), cancelled })
    }

    /// Marks a call as cancelled. `None` when there is none of that id, or it was cancelled before.
    pub(crate) fn cancel(
        &mut self,
        id: &WireId,
        reason: CancelReason,
    ) -> Option<(InboundKey, &mut I)> {
        let index = match self.by_id.get(id) {
            Some(index) => *index,
            // The newest first: a cancel follows its request closely.
            None => self.fresh.iter().rev().copied().find(|index| {
                self.slots.get(*index as usize).is_some_and(|slot| slot.id == *id)
            })?,
        };
        let slot = self.slots.get_mut(index as usize)?;
        if slot.cancelled.is_some() {
            return None;
        }
        slot.cancelled = Some(reason);
        Some((InboundKey { index, generation: slot.generation }, &mut slot.data))
    }

    pub(crate) fn cancelled(&self, key: InboundKey) -> Option<CancelReason> {
        self.live_ref(key).and_then(|slot| slot.cancelled)
    }

    pub(crate) fn is_live(&self, key: InboundKey) -> bool {
        self.live_ref(key).is_some()
    }

    /// The id under which side messages of a live call travel.
    pub(crate) fn id(&self, key: InboundKey) -> Option<&WireId> {
        self.live_ref(key).map(|slot| &slot.id)
    }

    pub(crate) fn data_mut(&mut self, key: InboundKey) -> Option<&mut I> {
        live(&mut self.slots, key).map(|slot| &mut slot.data)
    }

    /// Marks every live call that `due` picks by its deadline as cancelled; returns the earliest deadline that is left.
    pub(crate) fn sweep(
        &mut self,
        due: impl Fn(Moment) -> bool,
        reason: CancelReason,
        mut cancelled: impl FnMut(InboundKey, &mut I),
    ) -> Moment {
        let mut next = Moment::NEVER;
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if slot.state == State::Free || slot.cancelled.is_some() {
                continue;
            }
            if !due(slot.deadline) {
                next = next.min(slot.deadline);
                continue;
            }
            slot.cancelled = Some(reason);
            if let Ok(index) = u32::try_from(index) {
                cancelled(InboundKey { index, generation: slot.generation }, &mut slot.data);
            }
        }
        next
    }

    fn live_ref(&self, key: InboundKey) -> Option<&Slot<I>> {
        let slot = self.slots.get(key.index())?;
        (slot.generation == key.generation && slot.state != State::Free).then_some(slot)
    }
}

fn live<I>(slots: &mut [Slot<I>], key: InboundKey) -> Option<&mut Slot<I>> {
    let slot = slots.get_mut(key.index())?;
    (slot.generation == key.generation && slot.state != State::Free).then_some(slot)
}

/// Calls leave the list in the order in which they came, nearly always.
fn forget_fresh(fresh: &mut VecDeque<u32>, index: u32) {
    if fresh.front() == Some(&index) {
        fresh.pop_front();
    } else if let Some(at) = fresh.iter().position(|other| *other == index) {
        fresh.remove(at);
    }
}
