//! What the peer may still send for calls that are over: it crosses their end.

use crate::flow::Sender;
use crate::inbound::InFlow;
use crate::outgoing::OutFlow;

/// Messages that cross the end of their call are forgiven up to this many at a time.
const MAX_LATE: u64 = 1 << 20;

/// Items among them: one message holds many.
const MAX_LATE_ITEMS: u64 = 1 << 32;

/// What a peer may still send for a call that is over.
pub(super) struct Late {
    pub(super) items: u64,
    pub(super) flow: u64,
}

impl Late {
    /// For a call of ours that was given up: its results, the word that it was taken on, and what is said of its input.
    pub(super) fn of_ours(flow: &OutFlow) -> Self {
        Self {
            items: flow.result.map_or(0, |result| result.outstanding()),
            flow: Self::of_answered(flow) + u64::from(!flow.accepted),
        }
    }

    /// For a call of ours that the peer answered: credits of its input, and a stop.
    pub(super) fn of_answered(flow: &OutFlow) -> u64 {
        flow.input.as_ref().map_or(0, Self::of_input)
    }

    /// For an input of ours that has ended, or whose call has: credits, and a stop.
    pub(super) fn of_input(input: &Sender) -> u64 {
        input.late_credits() + 1
    }

    /// For a call of the peer that was answered: items and the end of its input, credits of its results.
    pub(super) fn of_theirs(flow: &InFlow) -> Self {
        let credits = flow.result.as_ref().map_or(0, Sender::late_credits);
        Self {
            items: flow.input.map_or(0, |input| input.outstanding()),
            flow: credits + u64::from(flow.input.is_some()),
        }
    }

    pub(super) fn add_to(&self, items: &mut u64, flow: &mut u64) {
        *items = items.saturating_add(self.items).min(MAX_LATE_ITEMS);
        *flow = more(*flow, self.flow);
    }
}

/// Counts one more message that the peer may still send, up to [`MAX_LATE`].
pub(super) fn one_more(late: u64) -> u64 {
    more(late, 1)
}

pub(super) fn more(late: u64, count: u64) -> u64 {
    late.saturating_add(count).min(MAX_LATE)
}
