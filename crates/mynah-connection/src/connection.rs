//! The connection itself: its state, the commands of the program, and time.

mod arrivals;
mod late;
mod streams;
mod within;

use crate::budget::Budget;
use crate::inbound::Inbound;
use crate::outgoing::OutFlow;
use crate::outgoing::Outgoing;
use crate::silence::Silence;
use crate::timers::Due;
use crate::{CloseReason, Effects, InboundKey, OpenError, Outcome};
use late::{Late, one_more};
use mynah_protocol::{
    CallId, Cancel, CancelReason, Envelope, ErrorCode, GoingAway, Lane, Limits, Moment, OnTimeout,
    Profile, Remote, Window, WireId,
};
use std::sync::Arc;
use std::time::Duration;
pub use streams::OpenStreams;

/// The state of one connection.
///
/// ```text
///          start_drain / going-away           nothing in flight, all written
///   Open ──────────────────────────▶ Draining ───────────────────────────────▶ Closed
///     └───────────────────────────────── close ───────────────────────────────▶ Closed
/// ```
///
/// `local`: this side takes nothing new from the peer. `remote`: the peer takes nothing new. What is in flight goes on,
/// and so do the calls back that belong to it.
#[derive(Clone, Debug)]
enum State {
    Open,
    Draining { local: bool, remote: bool },
    Closed(CloseReason),
}

/// The number of the ping of [`Connection::ask_heard`]: those that ask for a sign of life are numbered by the time.
const HEARD: u64 = 0;

/// How long a drain waits for a peer to say that it has heard.
const PATIENCE: Duration = Duration::from_secs(1);

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
    can_ping: bool,
    /// The peer has not said yet that it has heard of the drain; it is waited for until then.
    unheard: Option<Moment>,
    /// Its answer may still come.
    asked: bool,
    /// This side has said that it has heard of the peer's drain.
    has_heard: bool,
    on_timeout: OnTimeout,
    /// Whether the peer has introduced itself.
    met: bool,
    /// Late answers that the peer may still send: one for each call that we gave up.
    late_answers: u64,
    /// Cancels that the peer may still send: one for each call that we answered or refused.
    late_cancels: u64,
    /// Items that the peer may still send for calls that are over.
    late_items: u64,
    /// Credits, stops and ends of streams that the peer may still send for calls that are over.
    late_flow: u64,
    /// What a stream that comes in may have on its way.
    window: Window,
    max_id_bytes: usize,
    /// The peer's direction has ended.
    input_over: bool,
    /// Why the peer ends the connection, if it said so.
    farewell: Option<(ErrorCode, Arc<str>)>,
    dropped_notifications: u64,
    /// Several peers are behind it: who said what nobody waits for is not known.
    is_group: bool,
}

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
            can_ping: profile.capabilities.ping,
            unheard: None,
            asked: false,
            has_heard: false,
            on_timeout: profile.on_timeout,
            met: false,
            late_answers: 0,
            late_cancels: 0,
            late_items: 0,
            late_flow: 0,
            window: Window {
                items: u64::from(limits.stream_items.max(1)),
                bytes: u64::from(limits.stream_bytes.max(1)),
            },
            max_id_bytes: limits.max_id_bytes,
            input_over: false,
            farewell: None,
            dropped_notifications: 0,
            is_group: profile.remote == Remote::Group,
        };
        connection.due.add(connection.silence.due());
        connection
    }

    // Commands of the program.

    /// Opens a call. The driver writes the request with the id, and keeps what it needs in the slot.
    ///
    /// # Errors
    /// - [`OpenError::Closed`] after the end of the connection.
    /// - [`OpenError::Draining`] when the peer is going away, or this side is and no handler runs: one that still runs
    ///   may call its peer back.
    /// - [`OpenError::Full`] when `Limits::outgoing_calls` wait already.
    #[inline]
    pub fn open(
        &mut self,
        now: Moment,
        timeout: Option<Duration>,
    ) -> Result<(CallId, &mut O), OpenError> {
        self.open_flow(now, timeout, None)
    }

    #[inline]
    fn open_flow(
        &mut self,
        now: Moment,
        timeout: Option<Duration>,
        flow: Option<Box<OutFlow>>,
    ) -> Result<(CallId, &mut O), OpenError> {
        match &self.state {
            State::Open | State::Draining { .. } if self.input_over => {
                return Err(OpenError::Closed(CloseReason::PeerGone));
            }
            State::Open => {}
            State::Draining { remote: false, .. } if self.inbound.running() > 0 => {}
            State::Draining { .. } => return Err(OpenError::Draining),
            State::Closed(reason) => return Err(OpenError::Closed(reason.clone())),
        }
        let deadline = timeout.map_or(Moment::NEVER, |timeout| now.after(timeout));
        let full = OpenError::Full(self.outgoing.capacity());
        let opened = self.outgoing.open(deadline, flow).ok_or(full)?;
        self.due.add(deadline);
        Ok(opened)
    }

    /// What the driver keeps for a call, and whether the call has ended. `None` for a call that was
    /// taken or cancelled.
    #[inline]
    pub fn call_mut(&mut self, id: CallId) -> Option<(&mut O, bool)> {
        self.outgoing.data_mut(id)
    }

    /// When a call that waits or has ended was or is to end; [`Moment::NEVER`] when it has no deadline, and for one that was
    /// taken.
    #[must_use]
    pub fn call_deadline(&self, id: CallId) -> Moment {
        self.outgoing.deadline(id)
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
        if let Some((data, flow)) = self.outgoing.give_up(id) {
            self.late_answers = one_more(self.late_answers);
            if let Some(flow) = flow {
                let late = Late::of_ours(&flow);
                late.add_to(&mut self.late_items, &mut self.late_flow);
            }
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
        if let Some(flow) = finished.flow {
            let late = Late::of_theirs(&flow);
            late.add_to(&mut self.late_items, &mut self.late_flow);
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

    /// A drain is to start as soon as the peer has introduced itself: it is waited for, for a moment.
    pub fn await_peer(&mut self, now: Moment) {
        self.unheard = Some(self.patience(now));
    }

    /// Asks a peer that was told of the drain whether it has heard, where it can be asked: what it sent before it had
    /// arrives ahead of its answer, and can be refused instead of being cut off. See [`Self::is_heard`].
    pub fn ask_heard(&mut self, now: Moment, fx: &mut impl Effects<O, I>) {
        self.unheard = None;
        if self.can_say_going_away && self.can_ping {
            self.unheard = Some(self.patience(now));
            self.asked = true;
            fx.send(Lane::Control, Envelope::Ping(HEARD));
        }
    }

    fn patience(&mut self, now: Moment) -> Moment {
        let until = now.after(PATIENCE);
        self.due.add(until);
        until
    }

    /// Whether nothing more is to be waited for from a peer that was asked with [`Self::ask_heard`]: it has answered, or
    /// nothing has come of it for a second.
    #[must_use]
    pub const fn is_heard(&self) -> bool {
        self.unheard.is_none()
    }

    /// The peer's direction has ended, and it still takes answers: every call of ours ends as lost and no more can be
    /// made, what the peer has asked for goes on. See [`Self::is_answered`].
    pub fn handle_half_close(&mut self, fx: &mut impl Effects<O, I>) {
        self.input_over = true;
        self.outgoing
            .sweep(|_| true, |_, data, _| fx.complete(data, Outcome::Lost));
    }

    /// Whether the peer's direction has ended and the last answer has left the output buffer: nobody waits for anything.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.input_over && self.inbound.permits() == 0
    }

    /// Ends the connection: every call of ours ends as lost, every call of the peer is cancelled.
    /// The first reason stays; what arrives later means nothing.
    pub fn close(&mut self, reason: CloseReason, fx: &mut impl Effects<O, I>) {
        if matches!(self.state, State::Closed(_)) {
            return;
        }
        let reason = match (reason, self.farewell.take()) {
            (CloseReason::PeerGone | CloseReason::PeerEnded(_), Some((code, text))) => {
                CloseReason::Refused(code, text)
            }
            // It said before that it goes.
            (CloseReason::PeerGone | CloseReason::PeerEnded(_), None) if self.peer_drains() => {
                CloseReason::Drained
            }
            (reason, _) => reason,
        };
        self.state = State::Closed(reason);
        self.due = Due::never();
        self.outgoing
            .sweep(|_| true, |_, data, _| fx.complete(data, Outcome::Lost));
        self.inbound
            .close(|key, data| fx.cancelled(key, data, CancelReason::Caller));
    }

    // Time.

    /// The time of [`Self::poll_timeout`] has come, or may have.
    ///
    /// # Errors
    /// The reason to close the connection with, when the peer was silent for too long, or when a call was not answered
    /// in time on a wire that cannot go on after that.
    pub fn handle_timeout(
        &mut self,
        now: Moment,
        fx: &mut impl Effects<O, I>,
    ) -> Result<(), CloseReason> {
        if !self.due.take(now) || matches!(self.state, State::Closed(_)) {
            return Ok(());
        }
        let late_answers = &mut self.late_answers;
        let late_items = &mut self.late_items;
        let late_flow = &mut self.late_flow;
        let mut timed_out = false;
        let next = self.outgoing.sweep(
            |deadline| deadline <= now,
            |id, data, flow| {
                timed_out = true;
                *late_answers = one_more(*late_answers);
                if let Some(flow) = flow {
                    Late::of_ours(&flow).add_to(late_items, late_flow);
                }
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
        if let Some(until) = self.unheard {
            if until <= now {
                self.unheard = None;
            } else {
                self.due.add(until);
            }
        }
        if timed_out && self.on_timeout == OnTimeout::Close {
            return Err(CloseReason::TimedOut("call was not answered in time"));
        }
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

    /// Whether the peer has said that it drains, and not that it ends the connection for another reason.
    #[must_use]
    pub const fn peer_drains(&self) -> bool {
        matches!(self.state, State::Draining { remote: true, .. }) && self.farewell.is_none()
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

    /// Notifications, events and lines of log that were dropped because no permit was free.
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

    /// What the driver keeps for every live call of the peer.
    pub fn handlers(&self) -> impl Iterator<Item = &I> {
        self.inbound.live()
    }

    /// What the driver keeps for a live call of the peer.
    pub fn handler_mut(&mut self, key: InboundKey) -> Option<&mut I> {
        self.inbound.data_mut(key)
    }

    /// Breaches that would be forgiven now, as far as time was looked at.
    #[cfg(any(test, fuzzing))]
    pub(crate) const fn forgiven(&self) -> u32 {
        self.budget.left()
    }

    /// What the peer may still send for calls that are over: answers, cancels, items, and messages about streams.
    #[cfg(any(test, fuzzing))]
    pub(crate) const fn late(&self) -> [u64; 4] {
        [
            self.late_answers,
            self.late_cancels,
            self.late_items,
            self.late_flow,
        ]
    }

    /// The streams of a call of ours.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn out_flow(&self, id: CallId) -> Option<&OutFlow> {
        self.outgoing.flow(id)
    }

    /// The streams of a call of the peer.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn in_flow(&mut self, key: InboundKey) -> Option<&crate::inbound::InFlow> {
        self.inbound.flow_mut(key).map(|(flow, _)| &*flow)
    }

    /// Entries of tables for which memory is held.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn footprint(&self) -> usize {
        self.outgoing.footprint() + self.inbound.footprint()
    }
}
