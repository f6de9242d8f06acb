//! What arrives from the peer.

use super::late::{Late, more, one_more};
use super::{Connection, HEARD, State};
use crate::inbound::{Cancelled, Refused};
use crate::outgoing::Known;
use crate::{Effects, Outcome, Said, SideMessage, Violation};
use mynah_protocol::{
    CALLBACK_SERVICE, Cancel, DeliveryReport, DeliveryStatus, Envelope, ErrorCode, GoingAway, Lane,
    Log, Moment, Notification, Request, Response, RpcError, Streams, Value, WireId,
};
use std::time::Duration;

impl<O: Default, I: Default> Connection<O, I> {
    /// An envelope arrived from the peer.
    ///
    /// # Errors
    /// [`Violation`] when the peer broke the rules once too often: close the connection.
    #[inline]
    pub fn handle(
        &mut self,
        now: Moment,
        envelope: Envelope<'_>,
        fx: &mut impl Effects<O, I>,
    ) -> Result<(), Violation> {
        if matches!(self.state, State::Closed(_)) {
            return Ok(());
        }
        if let Envelope::Delivery(report) = &envelope {
            // The carrier says it: the peer has said nothing.
            self.handle_delivery(report, fx);
            return Ok(());
        }
        if matches!(envelope, Envelope::Ping(_) | Envelope::Pong(_)) {
            self.silence.sign_of_life();
        } else {
            self.silence.used();
        }
        match envelope {
            Envelope::Response(response) => self.handle_response(now, response, fx),
            Envelope::Request(request) => self.handle_request(now, request, fx),
            Envelope::Notification(notification) => self.handle_notification(now, notification, fx),
            Envelope::Cancel(cancel) => self.handle_cancel(now, &cancel, fx),
            Envelope::Progress(progress) => {
                let id = progress.id.clone();
                self.handle_side(now, &id, SideMessage::Progress(progress), fx)
            }
            Envelope::Log(log) => match log.id.clone() {
                Some(id) => self.handle_side(now, &id, SideMessage::Log(log), fx),
                None => {
                    self.handle_said(now, Said::Log(log), fx);
                    Ok(())
                }
            },
            Envelope::Event(event) => {
                self.handle_said(now, Said::Event(event), fx);
                Ok(())
            }
            Envelope::Ping(HEARD) if self.is_asked_whether_it_heard() => {
                // All that was said before the drain was heard of goes ahead.
                fx.send(Lane::Data, Envelope::Pong(HEARD));
                Ok(())
            }
            Envelope::Ping(number) => {
                fx.send(Lane::Control, Envelope::Pong(number));
                self.budget.charge(now, "too many pings")
            }
            Envelope::Pong(HEARD) if std::mem::take(&mut self.asked) => {
                self.unheard = None;
                Ok(())
            }
            Envelope::Pong(_) if self.silence.pong() => Ok(()),
            Envelope::Pong(_) => self.budget.charge(now, "pong without a ping"),
            Envelope::GoingAway(away) => self.handle_going_away(now, &away, fx),
            Envelope::Hello(hello) if !self.met => {
                self.met = true;
                fx.met(&hello);
                Ok(())
            }
            Envelope::Hello(_) => self.budget.charge(now, "hello again"),
            Envelope::Items(items) => self.handle_items(now, items, fx),
            Envelope::Credit(credit) => self.handle_credit(now, &credit, fx),
            Envelope::InputEnd(end) => self.handle_input_end(now, end, fx),
            Envelope::Stop(stop) => self.handle_stop(now, &stop, fx),
            Envelope::Accepted(id) => self.handle_accepted(now, &id, fx),
            Envelope::Within(within) => {
                self.handle_within(now, &within.call, within.envelope, fx);
                Ok(())
            }
            _ => self.budget.charge(now, "unexpected kind of envelope"),
        }
    }

    /// So many bytes arrived: the peer is alive. To be said before the envelopes in them are handled: pings and pongs
    /// alone do not keep a connection that is not used, and neither does a message that comes a byte now and then.
    pub fn handle_bytes(&mut self, now: Moment, bytes: usize) {
        self.silence.heard(now, bytes);
        if self.asked && self.unheard.is_some() {
            // What it sent before it heard of the drain is still on its way.
            self.unheard = Some(self.patience(now));
        }
    }

    /// A message arrived that means nothing on this wire, or names a method that nobody has.
    ///
    /// # Errors
    /// [`Violation`] when that happened once too often: close the connection.
    pub fn handle_ignored(&mut self, now: Moment, what: &'static str) -> Result<(), Violation> {
        if self.is_group {
            // One of several peers said it, and the others are to go on.
            return Ok(());
        }
        self.budget.charge(now, what)
    }

    /// A request arrived that is larger than this side takes: its call fails.
    ///
    /// # Errors
    /// [`Violation`] when its id is too long to answer under, or that happened once too often: close the connection.
    pub fn handle_too_large(
        &mut self,
        now: Moment,
        request: Request<'_>,
        fx: &mut impl Effects<O, I>,
    ) -> Result<(), Violation> {
        check_id(&request.id, self.max_id_bytes)?;
        self.refused(request.streams);
        answer(fx, request.id, RpcError::from_code(ErrorCode::TOO_LARGE));
        if self.is_group && !self.budget.is_strict() {
            // All of them would pay for it.
            return Ok(());
        }
        self.budget.charge(now, "request is too large")
    }

    /// What is known of a call that has ended meanwhile means nothing.
    fn handle_delivery(&mut self, report: &DeliveryReport, fx: &mut impl Effects<O, I>) {
        let known = report.id.as_call_id().map(|id| self.outgoing.known(id));
        let Some(Known::Waiting(index)) = known else {
            return;
        };
        let DeliveryStatus::Failed(why) = report.status else {
            if let Some(data) = self.outgoing.waiting_mut(index) {
                fx.delivery(data, report.status);
            }
            return;
        };
        if let Some((data, flow)) = self.outgoing.end(index) {
            // The peer may not be as gone as it seems.
            self.late_answers = one_more(self.late_answers);
            if let Some(flow) = flow {
                Late::of_ours(&flow).add_to(&mut self.late_items, &mut self.late_flow);
            }
            fx.complete(data, Outcome::Undelivered(why));
        }
    }

    #[inline]
    fn handle_response(
        &mut self,
        now: Moment,
        response: Response<'_>,
        fx: &mut impl Effects<O, I>,
    ) -> Result<(), Violation> {
        let known = response
            .id
            .as_call_id()
            .map_or(Known::Never, |id| self.outgoing.known(id));
        match known {
            Known::Waiting(index) => {
                if let Some((data, flow)) = self.outgoing.end(index) {
                    if let Some(flow) = flow {
                        self.late_flow = more(self.late_flow, Late::of_answered(&flow));
                    }
                    let outcome = match response.result {
                        Ok(payload) => Outcome::Reply(payload),
                        Err(error) => Outcome::Error(error),
                    };
                    fx.complete(data, outcome);
                }
                Ok(())
            }
            Known::Over if self.late_answers > 0 => {
                self.late_answers -= 1;
                Ok(())
            }
            // It came twice, or is forged: whose breach it is nobody knows.
            Known::Over | Known::Never if self.is_group => Ok(()),
            Known::Over | Known::Never => self.budget.charge(now, "answer to an unknown call"),
        }
    }

    #[inline]
    fn handle_request(
        &mut self,
        now: Moment,
        request: Request<'_>,
        fx: &mut impl Effects<O, I>,
    ) -> Result<(), Violation> {
        check_id(&request.id, self.max_id_bytes)?;
        if self.refuses() && !self.calls_back(&request.name.service) {
            self.refused(request.streams);
            answer(fx, request.id, RpcError::from_code(ErrorCode::DRAINING));
            return Ok(());
        }
        let deadline = self.deadline(now, request.timeout);
        match self.inbound.admit(
            Some(request.id.clone()),
            true,
            deadline,
            request.streams,
            false,
        ) {
            Ok((key, data)) => {
                fx.request(key, data, deadline, request);
                Ok(())
            }
            Err(Refused::Busy) => {
                self.refused(request.streams);
                let error = RpcError::from_code(ErrorCode::BUSY).with_data(retry_after());
                answer(fx, request.id, error);
                Ok(())
            }
            Err(Refused::Duplicate) => {
                answer(fx, request.id, RpcError::from_code(ErrorCode::DUPLICATE_ID));
                self.budget.charge(now, "id is in flight already")
            }
        }
    }

    fn handle_notification(
        &mut self,
        now: Moment,
        notification: Notification<'_>,
        fx: &mut impl Effects<O, I>,
    ) -> Result<(), Violation> {
        let deadline = self.deadline(now, None);
        if let Some(id) = &notification.id {
            check_id(id, self.max_id_bytes)?;
        }
        let id = notification.id.clone();
        let has_id = id.is_some();
        // What a callback is told is over at once, and must not be lost.
        let told = self.calls_back(&notification.name.service);
        let refused = if self.refuses() && !told {
            Refused::Busy
        } else {
            match self.inbound.admit(id, false, deadline, Streams::NONE, told) {
                Ok((key, data)) => {
                    fx.notification(key, data, deadline, notification);
                    return Ok(());
                }
                Err(refused) => refused,
            }
        };
        self.dropped_notifications = self.dropped_notifications.saturating_add(1);
        match refused {
            Refused::Busy => {
                if has_id {
                    self.late_cancels = one_more(self.late_cancels);
                }
                Ok(())
            }
            Refused::Duplicate => self.budget.charge(now, "id is in flight already"),
        }
    }

    /// A line of log came from beside the connection: the stderr of a process. It is heard as one of the peer's, and is no
    /// use of the connection.
    pub fn handle_beside(&mut self, now: Moment, log: Log<'_>, fx: &mut impl Effects<O, I>) {
        if !matches!(self.state, State::Closed(_)) {
            self.handle_said(now, Said::Log(log), fx);
        }
    }

    /// What nobody asked for is heard under the same permits as notifications, and dropped without one.
    fn handle_said(&mut self, now: Moment, said: Said<'_>, fx: &mut impl Effects<O, I>) {
        let Some(said) = fx.said(said) else { return };
        let deadline = self.deadline(now, None);
        if !self.refuses()
            && let Ok((key, data)) = self
                .inbound
                .admit(None, false, deadline, Streams::NONE, false)
        {
            fx.hear(key, data, deadline, said);
            return;
        }
        self.dropped_notifications = self.dropped_notifications.saturating_add(1);
    }

    fn handle_cancel(
        &mut self,
        now: Moment,
        cancel: &Cancel,
        fx: &mut impl Effects<O, I>,
    ) -> Result<(), Violation> {
        match self.inbound.cancel(&cancel.id, cancel.reason) {
            Cancelled::Stop(key, data) => {
                fx.cancelled(key, data, cancel.reason);
                return Ok(());
            }
            Cancelled::Stopped => return Ok(()),
            Cancelled::Unknown => {}
        }
        // It crossed the answer, most likely.
        match self.late_cancels.checked_sub(1) {
            Some(left) => {
                self.late_cancels = left;
                Ok(())
            }
            // What one of them has begun may have ended with its call.
            None if self.is_group && !self.budget.is_strict() => Ok(()),
            None => self.budget.charge(now, "cancel of an unknown call"),
        }
    }

    fn handle_side(
        &mut self,
        now: Moment,
        id: &WireId,
        message: SideMessage<'_>,
        fx: &mut impl Effects<O, I>,
    ) -> Result<(), Violation> {
        match id
            .as_call_id()
            .map_or(Known::Never, |id| self.outgoing.known(id))
        {
            Known::Waiting(index) => {
                if let Some(data) = self.outgoing.waiting_mut(index) {
                    fx.side(data, message);
                }
                Ok(())
            }
            // Some peers send what belongs to a call after its end.
            Known::Over => Ok(()),
            Known::Never if self.is_group => Ok(()),
            Known::Never => self.budget.charge(now, "side message of an unknown call"),
        }
    }

    fn handle_going_away(
        &mut self,
        now: Moment,
        away: &GoingAway<'_>,
        fx: &mut impl Effects<O, I>,
    ) -> Result<(), Violation> {
        if away.code != ErrorCode::DRAINING && self.farewell.is_none() {
            // It closes right after: the program hears why.
            let text = away
                .message
                .chars()
                .take(MAX_FAREWELL_CHARS)
                .collect::<String>();
            self.farewell = Some((away.code, text.into()));
        }
        let local = match self.state {
            State::Open => false,
            State::Draining {
                local,
                remote: false,
            } => local,
            State::Draining { remote: true, .. } | State::Closed(_) => {
                return self.budget.charge(now, "going away again");
            }
        };
        self.state = State::Draining {
            local,
            remote: true,
        };
        fx.going_away();
        Ok(())
    }

    /// Whether a call of the peer belongs to one of ours that is in flight.
    fn calls_back(&self, service: &str) -> bool {
        service == CALLBACK_SERVICE && self.outgoing.waiting() > 0
    }

    /// A call was refused: it may still be cancelled, and its input be ended.
    fn refused(&mut self, streams: Streams) {
        self.late_cancels = one_more(self.late_cancels);
        self.late_flow = more(self.late_flow, u64::from(streams.input));
    }

    /// The peer goes away and asks, for the first time, whether this side has heard of it.
    const fn is_asked_whether_it_heard(&mut self) -> bool {
        let leaves = matches!(self.state, State::Draining { remote: true, .. });
        leaves && !std::mem::replace(&mut self.has_heard, true)
    }

    /// Whether this side takes nothing new.
    const fn refuses(&self) -> bool {
        matches!(
            self.state,
            State::Draining { local: true, .. } | State::Closed(_)
        )
    }

    fn deadline(&self, now: Moment, timeout: Option<Duration>) -> Moment {
        match (timeout, self.max_deadline) {
            (Some(asked), Some(cap)) => now.after(asked.min(cap)),
            (Some(only), None) | (None, Some(only)) => now.after(only),
            (None, None) => Moment::NEVER,
        }
    }
}

/// An id is kept for as long as its call runs and is echoed in every refusal, so it must not cost what a message may.
/// There is no way to answer under a longer one, so the connection ends.
#[inline]
fn check_id(id: &WireId, limit: usize) -> Result<(), Violation> {
    let len = match id {
        WireId::Text(text) => text.len(),
        WireId::Verbatim(bytes) => bytes.len(),
        _ => 0,
    };
    if len > limit {
        return Err(Violation {
            code: ErrorCode::PROTOCOL_VIOLATION,
            what: "id is too long",
        });
    }
    Ok(())
}

fn answer<O, I>(fx: &mut impl Effects<O, I>, id: WireId, error: RpcError) {
    let result = Err(Box::new(error));
    fx.send(Lane::Control, Envelope::Response(Response { id, result }));
}

/// A guess at when a permit may be free, for callers that retry.
fn retry_after() -> Value {
    const RETRY_AFTER_MS: u64 = 50;
    Value::Map(vec![(
        Value::from("retry_after_ms"),
        Value::from(RETRY_AFTER_MS),
    )])
}

/// How much is kept of what a peer says when it ends the connection.
const MAX_FAREWELL_CHARS: usize = 256;
