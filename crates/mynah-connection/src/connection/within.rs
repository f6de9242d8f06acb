//! What arrives within one call of ours: a carrier has several peers behind it, and what one of them does wrong is nothing to
//! the others.

use super::late::{Late, one_more};
use super::{Connection, State};
use crate::outgoing::Known;
use crate::{Effects, Outcome};
use mynah_protocol::{
    Cancel, CancelReason, Envelope, Lane, Moment, StreamSide, Undelivered, WireId,
};

impl<O: Default, I: Default> Connection<O, I> {
    /// An envelope arrived from the peer that has this call of ours. The first breach of the rules ends the call, and
    /// nothing else. What comes after the call's end means nothing.
    pub fn handle_within(
        &mut self,
        now: Moment,
        call: &WireId,
        envelope: Envelope<'_>,
        fx: &mut impl Effects<O, I>,
    ) {
        if !self.is_waiting(call) {
            return;
        }
        if !belongs(call, &envelope) {
            return self.fail_within(call, "it does not belong to its call", fx);
        }
        self.budget.set_strict(true);
        let handled = self.handle(now, envelope, fx);
        self.budget.set_strict(false);
        if let Err(violation) = handled {
            self.fail_within(call, violation.what, fx);
        }
    }

    /// Whoever has this call of ours broke the rules: the call ends, and they are told to stop.
    pub fn fail_within(&mut self, call: &WireId, what: &'static str, fx: &mut impl Effects<O, I>) {
        let Some(Known::Waiting(index)) = call.as_call_id().map(|id| self.outgoing.known(id))
        else {
            return;
        };
        let Some((data, flow)) = self.outgoing.end(index) else {
            return;
        };
        self.late_answers = one_more(self.late_answers);
        if let Some(flow) = flow {
            Late::of_ours(&flow).add_to(&mut self.late_items, &mut self.late_flow);
        }
        fx.complete(data, Outcome::Undelivered(Undelivered::Violation(what)));
        let cancel = Cancel {
            id: call.clone(),
            reason: CancelReason::Caller,
        };
        fx.send(Lane::Control, Envelope::Cancel(cancel));
    }

    /// Whether a call of ours has this id, and waits.
    fn is_waiting(&self, call: &WireId) -> bool {
        let known = call.as_call_id().map(|id| self.outgoing.known(id));
        matches!(known, Some(Known::Waiting(_))) && !matches!(self.state, State::Closed(_))
    }
}

/// Whether an envelope may be said within a call. What is said of calls of the peer has ids that the carrier looks after.
fn belongs(call: &WireId, envelope: &Envelope<'_>) -> bool {
    match envelope {
        Envelope::Response(response) => response.id == *call,
        Envelope::Progress(progress) => progress.id == *call,
        Envelope::Log(log) => log.id.as_ref() == Some(call),
        Envelope::Accepted(id) => id == call,
        Envelope::Stop(stop) => stop.id == *call,
        Envelope::Items(items) => items.stream == StreamSide::Input || items.id == *call,
        Envelope::Credit(credit) => credit.stream == StreamSide::Result || credit.id == *call,
        Envelope::Request(_)
        | Envelope::Notification(_)
        | Envelope::Cancel(_)
        | Envelope::Event(_)
        | Envelope::InputEnd(_) => true,
        _ => false,
    }
}
