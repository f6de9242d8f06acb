//! Cancels that came before their call.
//!
//! The real peer writes a call in a task of its own and a cancel at once, so a call that is cancelled where it is made
//! has its cancel on the wire first. The peer's own callee ignores it and runs the call to its end.

use mynah_protocol::WireId;
use std::collections::VecDeque;

/// How many are remembered; the oldest is forgotten. A call that was cancelled before it was started is never sent, so
/// some stay for good.
const KEPT: usize = 64;

/// Remembers cancels of ids above every id that a call or fire had so far.
///
/// Ids of a peer count up, so a cancel of a lower one belongs to a call that was here.
#[derive(Debug, Default)]
pub(super) struct EarlyCancels {
    next: u64,
    ids: VecDeque<u64>,
}

impl EarlyCancels {
    /// A cancel arrived.
    pub(super) fn cancel(&mut self, id: &WireId) {
        let WireId::Uint(id) = *id else { return };
        if id < self.next || self.ids.contains(&id) {
            return;
        }
        if self.ids.len() == KEPT {
            self.ids.pop_front();
        }
        self.ids.push_back(id);
    }

    /// A call or a fire arrived. Whether it was cancelled already.
    #[inline]
    pub(super) fn call(&mut self, id: &WireId) -> bool {
        let WireId::Uint(id) = *id else { return false };
        self.next = self.next.max(id.saturating_add(1));
        if self.ids.is_empty() {
            return false;
        }
        self.forget(id)
    }

    #[cold]
    fn forget(&mut self, id: u64) -> bool {
        let place = self.ids.iter().position(|known| *known == id);
        place.and_then(|place| self.ids.remove(place)).is_some()
    }
}
