//! Streams of calls: commands of the program, and what arrives.

use super::late::{Late, more};
use super::{Connection, State};
use crate::flow::{Receiver, Sender};
use crate::outgoing::{Known, OutFlow};
use crate::{Effects, InboundKey, OpenError, Violation};
use mynah_protocol::{
    CallId, Credit, Envelope, ErrorCode, InputEnd, Items, Lane, Moment, Stop, StreamSide, Streams,
    Window, WireId,
};
use std::time::Duration;

/// What streams a call of ours is opened with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenStreams {
    /// Present when results are to come as a stream: what is taken at first. See [`Connection::window`].
    pub result: Option<Window>,
    /// Whether a stream goes with the call.
    pub input: bool,
    /// The deadline is for the first item, or for the word that the call was taken on, whichever comes first.
    pub until_first: bool,
}

impl OpenStreams {
    /// What the request says of it.
    #[must_use]
    pub const fn on_the_wire(&self) -> Streams {
        Streams {
            window: self.result,
            input: self.input,
            callbacks: false,
        }
    }
}

impl<O: Default, I: Default> Connection<O, I> {
    /// Opens a call with streams. As [`Self::open`] otherwise.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_streams(
        &mut self,
        now: Moment,
        timeout: Option<Duration>,
        streams: OpenStreams,
    ) -> Result<(CallId, &mut O), OpenError> {
        let flow = OutFlow {
            result: streams.result.map(Receiver::granted),
            input: streams.input.then(|| Sender::new(Window::ZERO)),
            until_first: streams.until_first,
            accepted: false,
        };
        self.open_flow(now, timeout, Some(Box::new(flow)))
    }

    /// What a stream that comes in may have on its way.
    #[must_use]
    pub const fn window(&self) -> Window {
        self.window
    }

    /// The program took so many items of the results of a call of ours: the peer may send more.
    pub fn taken(&mut self, id: CallId, taken: Window, fx: &mut impl Effects<O, I>) {
        let Known::Waiting(index) = self.outgoing.known(id) else {
            return;
        };
        let credit = self
            .outgoing
            .flow_mut(index)
            .and_then(|(flow, _)| flow.result.as_mut()?.take(taken));
        if let Some(more) = credit {
            grant(id.into(), StreamSide::Result, more, fx);
        }
    }

    /// The handler of a call of the peer is ready for the stream that comes with it: the peer may begin to send.
    /// `false` when none came with the call. One that came may have ended already.
    pub fn open_input(&mut self, key: InboundKey, fx: &mut impl Effects<O, I>) -> bool {
        let window = self.window;
        let closed = self.is_over();
        let Some((flow, id)) = self.inbound.flow_mut(key) else {
            return false;
        };
        if let (Some(input), Some(id), false) = (&mut flow.input, id, closed)
            && let Some(more) = input.open(window)
        {
            grant(id.clone(), StreamSide::Input, more, fx);
        }
        flow.has_input
    }

    /// The handler took so many items of the stream that comes with a call of the peer.
    pub fn input_taken(&mut self, key: InboundKey, taken: Window, fx: &mut impl Effects<O, I>) {
        if self.is_over() {
            return;
        }
        let Some((flow, Some(id))) = self.inbound.flow_mut(key) else {
            return;
        };
        if let Some(more) = flow.input.as_mut().and_then(|input| input.take(taken)) {
            grant(id.clone(), StreamSide::Input, more, fx);
        }
    }

    /// The handler takes no more of the stream that comes with a call of the peer.
    pub fn stop_input(&mut self, key: InboundKey, fx: &mut impl Effects<O, I>) {
        if let Some((flow, Some(id))) = self.inbound.flow_mut(key)
            && let Some(input) = &mut flow.input
            && input.stop()
            && !matches!(self.state, State::Closed(_))
        {
            fx.send(Lane::Control, Envelope::Stop(Stop { id: id.clone() }));
        }
    }

    /// What may be sent now of the results of a call of the peer; `None`: nothing.
    pub fn result_credit(&mut self, key: InboundKey) -> Option<Window> {
        self.inbound.flow_mut(key)?.0.result.as_ref()?.left()
    }

    /// So much was sent of the results of a call of the peer.
    pub fn results_sent(&mut self, key: InboundKey, sent: Window) {
        if let Some((flow, _)) = self.inbound.flow_mut(key)
            && let Some(result) = &mut flow.result
        {
            result.take(sent);
        }
    }

    /// Whether the caller of a call of the peer wants a stream of results.
    pub fn wants_stream(&mut self, key: InboundKey) -> bool {
        self.inbound
            .flow_mut(key)
            .is_some_and(|(flow, _)| flow.result.is_some())
    }

    /// What may be sent now of the stream that goes with a call of ours; `None`: nothing.
    #[must_use]
    pub fn input_credit(&self, id: CallId) -> Option<Window> {
        self.outgoing.flow(id)?.input.as_ref()?.left()
    }

    /// So much was sent of the stream that goes with a call of ours.
    pub fn input_sent(&mut self, id: CallId, sent: Window) {
        if let Known::Waiting(index) = self.outgoing.known(id)
            && let Some((flow, _)) = self.outgoing.flow_mut(index)
            && let Some(input) = &mut flow.input
        {
            input.take(sent);
        }
    }

    /// The stream that goes with a call of ours has ended. Returns whether the peer is to be told.
    ///
    /// Not before the first credit for it came: until then the request may still be taken back, and its end with it.
    pub fn end_input(&mut self, id: CallId) -> bool {
        let Known::Waiting(index) = self.outgoing.known(id) else {
            return false;
        };
        let Some((flow, _)) = self.outgoing.flow_mut(index) else {
            return false;
        };
        let Some(input) = flow.input.take() else {
            return false;
        };
        // Credits and a stop may cross the end.
        self.late_flow = more(self.late_flow, Late::of_input(&input));
        true
    }

    const fn is_over(&self) -> bool {
        matches!(self.state, State::Closed(_))
    }

    pub(super) fn handle_items(
        &mut self,
        now: Moment,
        items: Items<'_>,
        fx: &mut impl Effects<O, I>,
    ) -> Result<(), Violation> {
        if items.count == 0 {
            return self.budget.charge(now, "items without an item");
        }
        let came = Window {
            items: items.count,
            bytes: items.batch.as_slice().len() as u64,
        };
        match items.stream {
            StreamSide::Result => self.handle_results(now, came, items, fx),
            StreamSide::Input => self.handle_input(now, came, items, fx),
        }
    }

    fn handle_results(
        &mut self,
        now: Moment,
        came: Window,
        items: Items<'_>,
        fx: &mut impl Effects<O, I>,
    ) -> Result<(), Violation> {
        let known = items
            .id
            .as_call_id()
            .map_or(Known::Never, |id| self.outgoing.known(id));
        match known {
            Known::Waiting(index) => {
                self.outgoing.is_under_way(index);
                let Some((flow, data)) = self.outgoing.flow_mut(index) else {
                    return self.budget.charge(now, "items of a call without a stream");
                };
                let Some(result) = &mut flow.result else {
                    return self.budget.charge(now, "items of a call without a stream");
                };
                if !result.arrive(came) {
                    return Err(OVERFLOW);
                }
                fx.items(data, items);
                Ok(())
            }
            Known::Over => self.late_item(now, came),
            Known::Never => self.budget.charge(now, "items of an unknown call"),
        }
    }

    fn handle_input(
        &mut self,
        now: Moment,
        came: Window,
        items: Items<'_>,
        fx: &mut impl Effects<O, I>,
    ) -> Result<(), Violation> {
        let Some((key, flow, data)) = self.inbound.by_id(&items.id) else {
            return self.late_item(now, came);
        };
        let Some(input) = flow.and_then(|flow| flow.input.as_mut()) else {
            return self.budget.charge(now, "input of a call without one");
        };
        if !input.arrive(came) {
            return Err(OVERFLOW);
        }
        if !input.is_stopped() {
            fx.input(key, data, items);
        }
        Ok(())
    }

    /// Items that crossed the end of their call.
    fn late_item(&mut self, now: Moment, came: Window) -> Result<(), Violation> {
        match self.late_items.checked_sub(came.items) {
            Some(left) => {
                self.late_items = left;
                Ok(())
            }
            None => self.budget.charge(now, "items of an unknown call"),
        }
    }

    /// A message about the flow of a stream whose call is over: it crossed the end, most likely.
    fn late_flow(&mut self, now: Moment, what: &'static str) -> Result<(), Violation> {
        match self.late_flow.checked_sub(1) {
            Some(left) => {
                self.late_flow = left;
                Ok(())
            }
            None => self.budget.charge(now, what),
        }
    }

    pub(super) fn handle_credit(
        &mut self,
        now: Moment,
        credit: &Credit,
        fx: &mut impl Effects<O, I>,
    ) -> Result<(), Violation> {
        if credit.more.is_zero() {
            return self.budget.charge(now, "credit of nothing");
        }
        match credit.stream {
            StreamSide::Result => {
                let Some((key, flow, data)) = self.inbound.by_id(&credit.id) else {
                    return self.late_flow(now, "credit for an unknown call");
                };
                let Some(result) = flow.and_then(|flow| flow.result.as_mut()) else {
                    let what = "credit for a call without a stream";
                    return self.budget.charge(now, what);
                };
                if !result.add(credit.more) {
                    self.budget.charge(now, TOO_MANY_CREDITS)?;
                }
                fx.credit(key, data);
                Ok(())
            }
            StreamSide::Input => {
                let id = credit.id.as_call_id();
                if let Some((id, index)) = self.waiting(id)
                    && let Some((flow, data)) = self.outgoing.flow_mut(index)
                    && let Some(input) = &mut flow.input
                {
                    if !input.add(credit.more) {
                        self.budget.charge(now, TOO_MANY_CREDITS)?;
                    }
                    fx.input_credit(id, data);
                    return Ok(());
                }
                self.late_flow(now, "credit for an unknown stream")
            }
        }
    }

    pub(super) fn handle_input_end(
        &mut self,
        now: Moment,
        end: InputEnd,
        fx: &mut impl Effects<O, I>,
    ) -> Result<(), Violation> {
        let Some((key, flow, data)) = self.inbound.by_id(&end.id) else {
            return self.late_flow(now, "end of an unknown stream");
        };
        match flow.and_then(|flow| flow.input.take()) {
            Some(input) if input.is_stopped() => Ok(()),
            Some(_input) => {
                fx.input_end(key, data, end.error);
                Ok(())
            }
            None => self.budget.charge(now, "end of a stream that has ended"),
        }
    }

    pub(super) fn handle_stop(
        &mut self,
        now: Moment,
        stop: &Stop,
        fx: &mut impl Effects<O, I>,
    ) -> Result<(), Violation> {
        if let Some((id, index)) = self.waiting(stop.id.as_call_id())
            && let Some((flow, data)) = self.outgoing.flow_mut(index)
            && flow.input.take().is_some()
        {
            // It comes behind every credit, so nothing of this stream is left to come.
            fx.input_stopped(id, data);
            return Ok(());
        }
        self.late_flow(now, "stop of an unknown stream")
    }

    pub(super) fn handle_accepted(
        &mut self,
        now: Moment,
        id: &WireId,
        fx: &mut impl Effects<O, I>,
    ) -> Result<(), Violation> {
        match id
            .as_call_id()
            .map_or(Known::Never, |id| self.outgoing.known(id))
        {
            Known::Waiting(index) => {
                self.outgoing.is_under_way(index);
                match self.outgoing.flow_mut(index) {
                    Some((flow, data)) if !flow.accepted => {
                        flow.accepted = true;
                        fx.accepted(data);
                        Ok(())
                    }
                    _ => self.budget.charge(now, "call was accepted for nothing"),
                }
            }
            Known::Over => self.late_flow(now, "unknown call was accepted"),
            Known::Never => self.budget.charge(now, "unknown call was accepted"),
        }
    }

    fn waiting(&self, id: Option<CallId>) -> Option<(CallId, usize)> {
        let id = id?;
        match self.outgoing.known(id) {
            Known::Waiting(index) => Some((id, index)),
            Known::Over | Known::Never => None,
        }
    }
}

/// Credit is what keeps memory bounded, so a peer that ignores it is not forgiven once.
const OVERFLOW: Violation = Violation {
    code: ErrorCode::PROTOCOL_VIOLATION,
    what: "more items than there was credit for",
};

/// Each costs work, so a peer does not send more of them than it takes items.
const TOO_MANY_CREDITS: &str = "more credits than items were taken";

fn grant<O, I>(id: WireId, stream: StreamSide, more: Window, fx: &mut impl Effects<O, I>) {
    fx.send(Lane::Control, Envelope::Credit(Credit { id, stream, more }));
}
