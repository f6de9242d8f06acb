//! The calls that the peer made.

use crate::flow::{Receiver, Sender};
use mynah_protocol::{CancelReason, Moment, Streams, Window, WireId};
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
/// through the table. Most calls never park, and pay for no table. Cancelling is no state: a call
/// stays where it is, marked, until its handler has ended.
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
    /// Whether the peer has cancelled it: a cancel of it may still come otherwise.
    cancelled_by_peer: bool,
    /// `None` for a notification that has none.
    id: Option<WireId>,
    deadline: Moment,
    /// Absent for plain calls, whose slots stay small.
    flow: Option<Box<InFlow>>,
    data: I,
}

/// The streams of a call of the peer.
#[derive(Debug)]
pub(crate) struct InFlow {
    /// Of the stream of results.
    pub(crate) result: Option<Sender>,
    /// Of the stream that comes with the call, until it ends.
    pub(crate) input: Option<Receiver>,
    /// Whether a stream came with the call. It may end before the handler asks for it.
    pub(crate) has_input: bool,
}

impl InFlow {
    fn new(streams: Streams) -> Option<Box<Self>> {
        if streams.is_none() {
            return None;
        }
        Some(Box::new(Self {
            result: streams.window.map(Sender::new),
            input: streams.input.then(|| Receiver::waiting(Window::ZERO)),
            has_input: streams.input,
        }))
    }
}

/// Calls that are over at once may come in such a number beyond the permits, before any of them has ended. More than
/// a driver takes in between two looks at what arrived.
const MOST_UNLIMITED: usize = 1024;

/// Among so many fresh calls an id is looked for one by one.
const FEW: usize = 4;

/// The calls that the peer made and that are not answered.
#[derive(Debug)]
pub(crate) struct Inbound<I> {
    slots: Vec<Slot<I>>,
    free: Vec<u32>,
    fresh: VecDeque<u32>,
    /// Which fresh numbers there may be: most new ids are told to be no duplicate by one bit. Absent until the fresh
    /// are more than a few.
    fresh_ids: Option<Box<IdFilter>>,
    by_id: HashMap<WireId, u32>,
    /// Answers that have not left the output buffer: each still holds its permit.
    unflushed: usize,
    limit: usize,
    /// Nothing is let in any more, so answers hold no permits.
    closed: bool,
}

/// A set of numbers that may claim to hold one that it does not.
#[derive(Clone, Copy, Debug, Default)]
struct IdFilter([u64; 16]);

impl IdFilter {
    /// The word and the bit of a number.
    #[inline]
    const fn place(number: u64) -> (usize, u64) {
        // The highest bits of the product depend on all bits of the number, and numbers that follow each other differ
        // most in them.
        let high = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54;
        let [.., word] = (high >> 6).to_be_bytes();
        (word as usize, 1 << (high & 63))
    }

    #[inline]
    fn insert(&mut self, number: u64) {
        let (word, bit) = Self::place(number);
        if let Some(word) = self.0.get_mut(word) {
            *word |= bit;
        }
    }

    #[inline]
    fn may_hold(&self, number: u64) -> bool {
        let (word, bit) = Self::place(number);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }
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
    /// Whether a cancel of it may still be on its way.
    pub(crate) cancel_may_follow: bool,
    /// What its streams were.
    pub(crate) flow: Option<Box<InFlow>>,
}

/// What the cancel of a peer meets.
#[derive(Debug)]
pub(crate) enum Cancelled<'a, I> {
    /// A call that should stop now.
    Stop(InboundKey, &'a mut I),
    /// A call that was told to stop by this side already.
    Stopped,
    /// No call, or one that the peer has cancelled before.
    Unknown,
}

impl<I: Default> Inbound<I> {
    pub(crate) fn new(limit: u32) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            fresh: VecDeque::new(),
            fresh_ids: None,
            by_id: HashMap::new(),
            unflushed: 0,
            limit: usize::try_from(limit)
                .unwrap_or(usize::MAX)
                .min(u32::MAX as usize),
            closed: false,
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

    /// `unlimited`: it is let in whether a permit is free or not, as long as those before it are over soon.
    pub(crate) fn admit(
        &mut self,
        id: Option<WireId>,
        answered: bool,
        deadline: Moment,
        streams: Streams,
        unlimited: bool,
    ) -> Result<(InboundKey, &mut I), Refused> {
        let beyond = if unlimited { MOST_UNLIMITED } else { 0 };
        if self.permits() >= self.limit.saturating_add(beyond) {
            return Err(Refused::Busy);
        }
        let is_known = |id: &WireId| {
            !self.by_id.is_empty() && self.by_id.contains_key(id) || self.is_fresh(id)
        };
        if id.as_ref().is_some_and(is_known) {
            return Err(Refused::Duplicate);
        }
        if self.fresh.len() >= FEW {
            self.note_fresh(id.as_ref());
        }
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                let index = u32::try_from(self.slots.len()).map_err(|_full| Refused::Busy)?;
                if self.slots.is_empty() {
                    // Most connections that are idle had one call at a time.
                    self.slots.reserve_exact(1);
                }
                self.slots.push(Slot {
                    generation: 0,
                    state: State::Free,
                    answered,
                    cancelled: None,
                    cancelled_by_peer: false,
                    id: None,
                    deadline,
                    flow: None,
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
        slot.cancelled_by_peer = false;
        slot.id = id;
        slot.deadline = deadline;
        slot.flow = InFlow::new(streams);
        self.fresh.push_back(index);
        Ok((
            InboundKey {
                index,
                generation: slot.generation,
            },
            &mut slot.data,
        ))
    }

    /// The handler was not ready at its first poll: from now on the call is found by its id.
    /// Returns its deadline, unless it was told to stop already.
    pub(crate) fn park(&mut self, key: InboundKey) -> Option<Moment> {
        let slot = live(&mut self.slots, key)?;
        if slot.state == State::Fresh {
            slot.state = State::Parked;
            forget_fresh(&mut self.fresh, key.index);
            if let Some(id) = &slot.id {
                self.by_id.insert(id.clone(), key.index);
            }
        }
        slot.cancelled.is_none().then_some(slot.deadline)
    }

    pub(crate) fn finish(&mut self, key: InboundKey) -> Option<Finished> {
        let slot = live(&mut self.slots, key)?;
        match slot.state {
            State::Fresh => forget_fresh(&mut self.fresh, key.index),
            State::Parked => {
                if let Some(id) = &slot.id {
                    self.by_id.remove(id);
                }
            }
            State::Free => {}
        }
        slot.state = State::Free;
        let id = slot.id.take();
        let cancel_may_follow = id.is_some() && !slot.cancelled_by_peer;
        let answered = slot.answered;
        self.unflushed += usize::from(answered && !self.closed);
        self.free.push(key.index);
        Some(Finished {
            id: id.filter(|_| answered),
            cancel_may_follow,
            flow: slot.flow.take(),
        })
    }

    /// A live call by its id: its key, its streams and its data.
    pub(crate) fn by_id(
        &mut self,
        id: &WireId,
    ) -> Option<(InboundKey, Option<&mut InFlow>, &mut I)> {
        let index = self
            .by_id
            .get(id)
            .copied()
            .or_else(|| self.find_fresh(id))?;
        let slot = self.slots.get_mut(index as usize)?;
        let key = InboundKey {
            index,
            generation: slot.generation,
        };
        Some((key, slot.flow.as_deref_mut(), &mut slot.data))
    }

    /// The streams and the id of a live call.
    pub(crate) fn flow_mut(&mut self, key: InboundKey) -> Option<(&mut InFlow, Option<&WireId>)> {
        let slot = live(&mut self.slots, key)?;
        let id = slot.id.as_ref();
        slot.flow.as_deref_mut().map(|flow| (flow, id))
    }

    /// The peer cancels. The call stays until its handler has ended.
    pub(crate) fn cancel(&mut self, id: &WireId, reason: CancelReason) -> Cancelled<'_, I> {
        let index = self.by_id.get(id).copied().or_else(|| self.find_fresh(id));
        let slot = index.and_then(|index| self.slots.get_mut(index as usize));
        let (Some(index), Some(slot)) = (index, slot) else {
            return Cancelled::Unknown;
        };
        if std::mem::replace(&mut slot.cancelled_by_peer, true) {
            return Cancelled::Unknown;
        }
        if slot.cancelled.is_some() {
            return Cancelled::Stopped;
        }
        slot.cancelled = Some(reason);
        Cancelled::Stop(
            InboundKey {
                index,
                generation: slot.generation,
            },
            &mut slot.data,
        )
    }

    /// Nothing is let in any more. What runs is told to stop, and holds nothing once it has ended.
    pub(crate) fn close(&mut self, cancelled: impl FnMut(InboundKey, &mut I)) {
        self.closed = true;
        self.unflushed = 0;
        self.sweep(|_| true, CancelReason::Caller, cancelled);
    }

    pub(crate) fn cancelled(&self, key: InboundKey) -> Option<CancelReason> {
        self.live_ref(key).and_then(|slot| slot.cancelled)
    }

    pub(crate) fn is_live(&self, key: InboundKey) -> bool {
        self.live_ref(key).is_some()
    }

    /// The id under which side messages of a live call travel, `None` when it has none.
    pub(crate) fn id(&self, key: InboundKey) -> Option<&WireId> {
        self.live_ref(key)?.id.as_ref()
    }

    pub(crate) fn live(&self) -> impl Iterator<Item = &I> {
        let live = self.slots.iter().filter(|slot| slot.state != State::Free);
        live.map(|slot| &slot.data)
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
                cancelled(
                    InboundKey {
                        index,
                        generation: slot.generation,
                    },
                    &mut slot.data,
                );
            }
        }
        next
    }

    /// Entries for which memory is held.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn footprint(&self) -> usize {
        self.slots.capacity() + self.free.capacity() + self.fresh.capacity() + self.by_id.capacity()
    }

    fn is_fresh(&self, id: &WireId) -> bool {
        match (id, &self.fresh_ids) {
            _ if self.fresh.is_empty() => false,
            (WireId::Uint(number), Some(ids))
                if self.fresh.len() > FEW && !ids.may_hold(*number) =>
            {
                false
            }
            _ => self.find_fresh(id).is_some(),
        }
    }

    /// One more call joins the fresh ones, which are no few. All that joins passes here, whether it has an id or not.
    fn note_fresh(&mut self, id: Option<&WireId>) {
        let ids = self.fresh_ids.get_or_insert_default();
        if self.fresh.len() == FEW {
            **ids = IdFilter::default();
            let known = self
                .fresh
                .iter()
                .filter_map(|index| self.slots.get(*index as usize));
            for slot in known {
                if let Some(WireId::Uint(number)) = slot.id {
                    ids.insert(number);
                }
            }
        }
        if let Some(WireId::Uint(number)) = id {
            ids.insert(*number);
        }
    }

    /// The newest first: a cancel follows its request closely.
    fn find_fresh(&self, id: &WireId) -> Option<u32> {
        let is_it = |index: &u32| {
            self.slots
                .get(*index as usize)
                .is_some_and(|slot| slot.id.as_ref() == Some(id))
        };
        self.fresh.iter().rev().copied().find(is_it)
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

#[cfg(test)]
mod tests;
