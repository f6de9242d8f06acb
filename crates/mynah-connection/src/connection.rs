//! The connection itself: what arrives is routed to the table that it concerns.

use crate::budget::Budget;
use crate::inbound::{Cancelled, Inbound, Refused};
use crate::outgoing::{Known, Outgoing};
use crate::silence::Silence;
use crate::timers::Due;
use crate::{CloseReason, Effects, InboundKey, OpenError, Outcome, SideMessage, Violation};
use mynah_protocol::{
    CallId, Cancel, CancelReason, Envelope, ErrorCode, GoingAway, Lane, Limits, Moment,
    Notification, Profile, Request, Response, RpcError, Value, WireId,
};
use std::time::Duration;

/// The state of one connection.
///
/// ```text
///          start_drain / going-away           nothing in flight, all written
///   Open ──────────────────────────▶ Draining ───────────────────────────────▶ Closed
///     └───────────────────────────────── close ───────────────────────────────▶ Closed
/// ```
///
/// `local`: this side takes nothing new from the peer. `remote`: the peer takes nothing new.
#[derive(Clone, Debug)]
enum State {
    Open,
    Draining { local: bool, remote: bool },
    Closed(CloseReason),
}

/// The rules of one connection. See the [crate page](crate).
#[derive(Debug)]
pub struct Connection<O, I> {
    outgoing: Outgoing<O>,
    inbound: Inbound<I>,
    budget: Budget,
    silence: Silence,
    due: Due,
    state: State,
    max_deadline: Option<Duration>,
    can_say_going_away: bool,
    /// Whether the peer has introduced itself.
    met: bool,
    /// Late answers that the peer may still send: one for each call that we gave up.
    late_answers: u64,
    /// Cancels that the peer may still send: one for each call that we answered or refused.
    late_cancels: u64,
    dropped_notifications: u64,
}

/// Cancels and answers that cross are forgiven up to this many at a time.
const MAX_LATE: u64 = 1 << 20;

impl<O: Default, I: Default> Connection<O, I> {
    /// A new connection at the time `now`.
    #[must_use]
    pub fn new(limits: &Limits, profile: &Profile, now: Moment) -> Self {
        let mut connection = Self {
            outgoing: Outgoing::new(limits.outgoing_calls),
            inbound: Inbound::new(limits.calls_in_flight),
            budget: Budget::new(limits.violation_budget, now),
            silence: Silence::new(limits, profile.capabilities.ping, now),
            due: Due::never(),
            state: State::Open,
            max_deadline: limits.max_deadline,
            can_say_going_away: profile.capabilities.going_away,
            met: false,
            late_answers: 0,
            late_cancels: 0,
            dropped_notifications: 0,
        };
        connection.due.add(connection.silence.due());
        connection
    }

    // Commands of the program.

    /// Opens a call. The driver writes the request with the id, and keeps what it needs in the slot.
    ///
    /// # Errors
    /// - [`OpenError::Closed`] after the end of the connection.
    /// - [`OpenError::Draining`] when either side is going away.
    /// - [`OpenError::Full`] when `Limits::outgoing_calls` wait already.
    #[inline]
    pub fn open(
        &mut self,
        now: Moment,
        timeout: Option<Duration>,
    ) -> Result<(CallId, &mut O), OpenError> {
        match &self.state {
            State::Open => {}
            State::Draining { .. } => return Err(OpenError::Draining),
            State::Closed(reason) => return Err(OpenError::Closed(reason.clone())),
        }
        let deadline = timeout.map_or(Moment::NEVER, |timeout| now.after(timeout));
        let full = OpenError::Full(self.outgoing.capacity());
        let opened = self.outgoing.open(deadline).ok_or(full)?;
        self.due.add(deadline);
        Ok(opened)
    }

    /// What the driver keeps for a call, and whether the call has ended. `None` for a call that was
    /// taken or cancelled.
    #[inline]
    pub fn call_mut(&mut self, id: CallId) -> Option<(&mut O, bool)> {
        self.outgoing.data_mut(id)
    }

    /// Frees the slot of a call that ended, after its outcome was taken out, or of one whose request
    /// could not be written. Nothing is said to the peer.
    #[inline]
    pub fn take(&mut self, id: CallId) {
        self.outgoing.release(id);
    }

    /// The program gives a call up: it is taken back or cancelled, and its slot is free. Nothing
    /// happens for a call that has ended: its outcome waits for [`Self::take`].
    pub fn cancel(&mut self, id: CallId, reason: CancelReason, fx: &mut impl Effects<O, I>) {
        if let Some(data) = self.outgoing.give_up(id) {
            self.late_answers = one_more(self.late_answers);
            fx.withdraw(
                data,
                Cancel {
                    id: id.into(),
                    reason,
                },
            );
        }
    }

    /// The handler of a call of the peer was not ready at its first poll. Until then a call has no
    /// deadline timer and is not in the table of ids.
    pub fn park(&mut self, key: InboundKey) {
        if let Some(deadline) = self.inbound.park(key) {
            self.due.add(deadline);
        }
    }

    /// A call of the peer is over. Returns the id to answer with: `None` when it was answered
    /// already, or wants no answer. The permit comes home with [`Self::flushed`].
    #[inline]
    pub fn finish(&mut self, key: InboundKey) -> Option<WireId> {
        let finished = self.inbound.finish(key)?;
        if finished.cancel_may_follow {
            self.late_cancels = one_more(self.late_cancels);
        }
        finished.id
    }

    /// So many answers have left the output buffer.
    #[inline]
    pub fn flushed(&mut self, answers: usize) {
        self.inbound.flushed(answers);
    }

    /// Takes nothing new from now on and tells the peer so. What is in flight goes on.
    pub fn start_drain(&mut self, fx: &mut impl Effects<O, I>) {
        let remote = match self.state {
            State::Open => false,
            State::Draining {
                local: false,
                remote,
            } => remote,
            State::Draining { local: true, .. } | State::Closed(_) => return,
        };
        self.state = State::Draining {
            local: true,
            remote,
        };
        if self.can_say_going_away {
            fx.send(
                Lane::Control,
                Envelope::GoingAway(GoingAway {
                    code: ErrorCode::DRAINING,
                    message: "draining".into(),
                }),
            );
        }
    }

    /// Ends the connection: every call of ours ends as lost, every call of the peer is cancelled.
    /// The first reason stays; what arrives later means nothing.
    pub fn close(&mut self, reason: CloseReason, fx: &mut impl Effects<O, I>) {
        if matches!(self.state, State::Closed(_)) {
            return;
        }
        self.state = State::Closed(reason);
        self.due = Due::never();
        self.outgoing
            .sweep(|_| true, |_, data| fx.complete(data, Outcome::Lost));
        self.inbound
            .close(|key, data| fx.cancelled(key, data, CancelReason::Caller));
    }

    // What arrives.

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
                    fx.log(log);
                    Ok(())
                }
            },
            Envelope::Event(event) => {
                fx.event(event);
                Ok(())
            }
            Envelope::Ping(number) => {
                fx.send(Lane::Control, Envelope::Pong(number));
                self.budget.charge(now, "too many pings")
            }
            Envelope::Pong(_) if self.silence.pong() => Ok(()),
            Envelope::Pong(_) => self.budget.charge(now, "pong without a ping"),
            Envelope::GoingAway(_) => self.handle_going_away(now),
            Envelope::Hello(_) if !self.met => {
                self.met = true;
                Ok(())
            }
            Envelope::Hello(_) => self.budget.charge(now, "hello again"),
            _ => self.budget.charge(now, "unexpected kind of envelope"),
        }
    }

    /// Bytes arrived: the peer is alive.
    pub const fn handle_bytes(&mut self, now: Moment) {
        self.silence.heard(now);
    }

    /// A message arrived that means nothing on this wire, or names a method that nobody has.
    ///
    /// # Errors
    /// [`Violation`] when that happened once too often: close the connection.
    pub fn handle_ignored(&mut self, now: Moment, what: &'static str) -> Result<(), Violation> {
        self.budget.charge(now, what)
    }

    /// The time of [`Self::poll_timeout`] has come, or may have.
    ///
    /// # Errors
    /// The reason to close the connection with, when the peer was silent for too long.
    pub fn handle_timeout(
        &mut self,
        now: Moment,
        fx: &mut impl Effects<O, I>,
    ) -> Result<(), CloseReason> {
        if !self.due.take(now) || matches!(self.state, State::Closed(_)) {
            return Ok(());
        }
        let late_answers = &mut self.late_answers;
        let next = self.outgoing.sweep(
            |deadline| deadline <= now,
            |id, data| {
                *late_answers = one_more(*late_answers);
                fx.withdraw(
                    data,
                    Cancel {
                        id: id.into(),
                        reason: CancelReason::Deadline,
                    },
                );
                fx.complete(data, Outcome::Deadline);
            },
        );
        self.due.add(next);
        let next = self.inbound.sweep(
            |deadline| deadline <= now,
            CancelReason::Deadline,
            |key, data| fx.cancelled(key, data, CancelReason::Deadline),
        );
        self.due.add(next);
        let in_use = !self.is_idle();
        if let Some(number) = self.silence.check(now, in_use)? {
            fx.send(Lane::Control, Envelope::Ping(number));
        }
        self.due.add(self.silence.due());
        Ok(())
    }

    // What to do next.

    /// When [`Self::handle_timeout`] is to be called, [`Moment::NEVER`] if not at all. May be earlier
    /// than anything is due, never later.
    #[inline]
    #[must_use]
    pub const fn poll_timeout(&self) -> Moment {
        self.due.at()
    }

    // Getters.

    /// Why the connection ended, `None` while it has not.
    #[must_use]
    pub const fn closed(&self) -> Option<&CloseReason> {
        match &self.state {
            State::Closed(reason) => Some(reason),
            State::Open | State::Draining { .. } => None,
        }
    }

    /// Whether either side is going away.
    #[must_use]
    pub const fn is_draining(&self) -> bool {
        matches!(self.state, State::Draining { .. })
    }

    /// Calls of this side that wait for an answer.
    #[must_use]
    pub const fn calls_waiting(&self) -> usize {
        self.outgoing.waiting()
    }

    /// Slots of calls of this side that are not free: those that wait, and those whose outcome nobody took.
    #[must_use]
    pub fn calls_held(&self) -> usize {
        self.outgoing.in_use()
    }

    /// Calls of the peer whose handlers run.
    #[must_use]
    pub fn handlers_running(&self) -> usize {
        self.inbound.running()
    }

    /// Permits that are taken: by handlers that run, and by answers that have not left.
    #[must_use]
    pub fn permits_taken(&self) -> usize {
        self.inbound.permits()
    }

    /// Notifications that were dropped because no permit was free.
    #[must_use]
    pub const fn dropped_notifications(&self) -> u64 {
        self.dropped_notifications
    }

    /// Whether nothing is in flight in either direction.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.outgoing.waiting() == 0 && self.inbound.permits() == 0
    }

    /// Whether a call of the peer is still to be answered.
    #[must_use]
    pub fn is_live(&self, key: InboundKey) -> bool {
        self.inbound.is_live(key)
    }

    /// Why a call of the peer should stop, `None` when it should not, or is over.
    #[must_use]
    pub fn cancelled(&self, key: InboundKey) -> Option<CancelReason> {
        self.inbound.cancelled(key)
    }

    /// The id under which the side messages of a live call of the peer travel.
    #[must_use]
    pub fn wire_id(&self, key: InboundKey) -> Option<&WireId> {
        self.inbound.id(key)
    }

    /// What the driver keeps for a live call of the peer.
    pub fn handler_mut(&mut self, key: InboundKey) -> Option<&mut I> {
        self.inbound.data_mut(key)
    }

    /// Breaches that would be forgiven now, as far as time was looked at.
    #[cfg(test)]
    pub(crate) const fn forgiven(&self) -> u32 {
        self.budget.left()
    }

    /// Entries of tables for which memory is held.
    #[cfg(test)]
    pub(crate) fn footprint(&self) -> usize {
        self.outgoing.footprint() + self.inbound.footprint()
    }

    // Private reactions.

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
                if let Some(data) = self.outgoing.end(index) {
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
        if self.refuses() {
            self.late_cancels = one_more(self.late_cancels);
            answer(fx, request.id, RpcError::from_code(ErrorCode::DRAINING));
            return Ok(());
        }
        let deadline = self.deadline(now, request.timeout);
        match self.inbound.admit(Some(request.id.clone()), true, deadline) {
            Ok((key, data)) => {
                fx.request(key, data, request);
                Ok(())
            }
            Err(Refused::Busy) => {
                self.late_cancels = one_more(self.late_cancels);
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
        let id = notification.id.clone();
        let has_id = id.is_some();
        let refused = if self.refuses() {
            Refused::Busy
        } else {
            match self.inbound.admit(id, false, deadline) {
                Ok((key, data)) => {
                    fx.notification(key, data, notification);
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
            Known::Never => self.budget.charge(now, "side message of an unknown call"),
        }
    }

    fn handle_going_away(&mut self, now: Moment) -> Result<(), Violation> {
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
        Ok(())
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

/// Counts one more message that the peer may still send, up to [`MAX_LATE`].
fn one_more(late: u64) -> u64 {
    late.saturating_add(1).min(MAX_LATE)
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
