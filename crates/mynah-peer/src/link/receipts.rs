//! What a carrier wants back for what it delivered: held while a handler runs, given back behind its answer.

use mynah_connection::InboundKey;
use mynah_protocol::{Receipt, Settled};
use std::collections::{HashSet, VecDeque};

/// The receipts of one connection over a carrier.
///
/// One whose handler is stopped because the connection ends is dropped: it was neither done nor not started, and what to
/// do about that is for the carrier to know.
#[derive(Debug, Default)]
pub(crate) struct Receipts {
    /// Of calls and notifications that run, each in the place of its slot.
    held: Vec<Option<(InboundKey, Receipt)>>,
    /// Of calls whose answers stand in the output: where, and in that order.
    behind: VecDeque<(u64, Receipt)>,
    /// To be given back now.
    ready: VecDeque<(Receipt, Settled)>,
    /// Calls that were stopped by the end of the connection: whoever gets them next answers them.
    stopped: HashSet<InboundKey>,
}

impl Receipts {
    /// Keeps a receipt until its handler has ended.
    pub(crate) fn hold(&mut self, key: InboundKey, receipt: Receipt) {
        let place = key.index();
        if self.held.len() <= place {
            self.held.resize_with(place + 1, || None);
        }
        if let Some(held) = self.held.get_mut(place) {
            *held = Some((key, receipt));
        }
    }

    /// The receipt of what runs.
    pub(crate) fn held(&self, key: InboundKey) -> Option<&Receipt> {
        let (held, receipt) = self.held.get(key.index())?.as_ref()?;
        (*held == key).then_some(receipt)
    }

    /// Gives a receipt back.
    pub(crate) fn settle(&mut self, receipt: Receipt, settled: Settled) {
        self.ready.push_back((receipt, settled));
    }

    /// The handler has ended, and its answer stands in the output at `place`. `None`: there is none.
    pub(crate) fn ended(&mut self, key: InboundKey, place: Option<u64>) {
        let Some(held) = self.held.get_mut(key.index()) else {
            return;
        };
        let Some((_, receipt)) = held.take_if(|(held, _)| *held == key) else {
            return;
        };
        match place {
            Some(place) => self.behind.push_back((place, receipt)),
            None => self.settle(receipt, Settled::Done),
        }
    }

    /// What is to be given back once everything before `place` in the output was handed over.
    pub(crate) fn next_before(&mut self, place: u64) -> Option<Receipt> {
        let (stands_at, _) = self.behind.front()?;
        if *stands_at >= place {
            return None;
        }
        self.behind.pop_front().map(|(_, receipt)| receipt)
    }

    pub(crate) fn next_ready(&mut self) -> Option<(Receipt, Settled)> {
        self.ready.pop_front()
    }

    /// About how many bytes wait to be given back: there may be one for every envelope that came.
    pub(crate) fn ready_bytes(&self) -> usize {
        self.ready.len() * 64
    }

    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The connection ends: what is stopped now is not settled.
    pub(crate) fn forget_held(&mut self) {
        self.stopped = self
            .held
            .drain(..)
            .flatten()
            .map(|(key, _unsettled)| key)
            .collect();
    }

    /// Whether a call was stopped by the end of the connection, and is for the carrier to deliver again.
    pub(crate) fn was_stopped(&self, key: InboundKey) -> bool {
        self.stopped.contains(&key)
    }
}
