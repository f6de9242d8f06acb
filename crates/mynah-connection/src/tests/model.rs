//! What one side of a connection must do, in its simplest form: lists, no slots, no timers.

use super::number;
use super::recorder::End;
use mynah_protocol::{CancelReason, Envelope, ErrorCode, Limits, Moment, WireId};

/// What a side must do next. As [`Seen`](super::Seen), without the keys of slots.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Must {
    Pong(u64),
    Refuse(String, i64),
    Withdraw(u64),
    End(u64, String),
    Side(u64),
    Start(u64),
    Stop(u64, bool),
}

impl Must {
    pub(super) fn end(serial: u64, end: &End) -> Self {
        Self::End(serial, format!("{end:?}"))
    }
    pub(super) fn refuse(id: &WireId, code: ErrorCode) -> Self {
        Self::Refuse(id.to_string(), code.value())
    }
    pub(super) fn stop(serial: u64, reason: CancelReason) -> Self {
        Self::Stop(serial, reason == CancelReason::Deadline)
    }
}

/// A handler that runs. `stopped` by this side's deadline, or by the peer.
#[derive(Debug)]
pub(super) struct Handler {
    pub(super) serial: u64,
    pub(super) id: Option<WireId>,
    pub(super) answered: bool,
    pub(super) deadline: Moment,
    pub(super) parked: bool,
    pub(super) stopped: bool,
}

/// One side.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) limits: Limits,
    /// Calls that wait: id, serial, deadline.
    pub(super) waiting: Vec<(WireId, u64, Moment)>,
    /// Calls whose outcome nobody took.
    pub(super) ended: Vec<(WireId, u64)>,
    pub(super) running: Vec<Handler>,
    pub(super) unflushed: usize,
    pub(super) draining: (bool, bool),
    pub(super) closed: bool,
}

impl Model {
    pub(super) fn may_open(&self) -> bool {
        let held = self.waiting.len() + self.ended.len();
        let drains = self.draining.0 || self.draining.1;
        !self.closed && !drains && held < self.limits.outgoing_calls as usize
    }

    pub(super) fn permits(&self) -> usize {
        self.running.len() + self.unflushed
    }

    /// The earliest moment at which the side must have looked at the clock.
    pub(super) fn earliest(&self) -> Moment {
        let ours = self.waiting.iter().map(|(_, _, deadline)| *deadline);
        let theirs = self.running.iter().filter(|one| one.parked && !one.stopped);
        ours.chain(theirs.map(|one| one.deadline))
            .min()
            .unwrap_or(Moment::NEVER)
    }

    /// The side looks at the clock, or (with `None`) at its end.
    pub(super) fn sweep(&mut self, now: Option<Moment>) -> Vec<Must> {
        let due = |deadline| now.is_none_or(|now| deadline <= now);
        let mut must = Vec::new();
        for (id, serial, _) in self
            .waiting
            .extract_if(.., |(_, _, deadline)| due(*deadline))
        {
            must.extend(now.map(|_| Must::Withdraw(serial)));
            must.push(Must::end(
                serial,
                if now.is_some() {
                    &End::Deadline
                } else {
                    &End::Lost
                },
            ));
            self.ended.push((id, serial));
        }
        for one in self
            .running
            .iter_mut()
            .filter(|one| !one.stopped && due(one.deadline))
        {
            one.stopped = true;
            must.push(Must::Stop(one.serial, now.is_some()));
        }
        must
    }

    fn admit(&mut self, serial: u64, id: Option<WireId>, answered: bool, deadline: Moment) -> Must {
        self.running.push(Handler {
            serial,
            id,
            answered,
            deadline,
            parked: false,
            stopped: false,
        });
        Must::Start(serial)
    }

    /// An envelope arrives.
    pub(super) fn arrives(&mut self, now: Moment, envelope: &Envelope<'_>) -> Option<Must> {
        let full = self.permits() >= self.limits.calls_in_flight as usize;
        let cap = self.limits.max_deadline;
        let waiting = |id: &WireId| self.waiting.iter().position(|(known, ..)| known == id);
        match envelope {
            _ if self.closed => None,
            Envelope::Request(r) if self.draining.0 => {
                Some(Must::refuse(&r.id, ErrorCode::DRAINING))
            }
            Envelope::Request(r) if full => Some(Must::refuse(&r.id, ErrorCode::BUSY)),
            Envelope::Request(r) => {
                let span = r
                    .timeout
                    .map_or(cap, |asked| Some(cap.map_or(asked, |cap| asked.min(cap))));
                let deadline = span.map_or(Moment::NEVER, |span| now.after(span));
                Some(self.admit(number(&r.params), Some(r.id.clone()), true, deadline))
            }
            Envelope::Notification(_) if self.draining.0 || full => None,
            Envelope::Notification(n) => {
                let deadline = cap.map_or(Moment::NEVER, |cap| now.after(cap));
                Some(self.admit(number(&n.params), n.id.clone(), false, deadline))
            }
            Envelope::Response(response) => waiting(&response.id).map(|at| {
                let (id, serial, _) = self.waiting.remove(at);
                self.ended.push((id, serial));
                Must::end(
                    serial,
                    &match &response.result {
                        Ok(_) => End::Reply(serial),
                        Err(error) => End::Error(error.code()),
                    },
                )
            }),
            Envelope::Cancel(cancel) => {
                let meant =
                    |one: &&mut Handler| one.id.as_ref() == Some(&cancel.id) && !one.stopped;
                let one = self.running.iter_mut().find(meant)?;
                one.stopped = true;
                Some(Must::stop(one.serial, cancel.reason))
            }
            Envelope::Progress(progress) => {
                waiting(&progress.id).map(|at| Must::Side(self.waiting[at].1))
            }
            Envelope::Ping(number) => Some(Must::Pong(*number)),
            Envelope::GoingAway(_) => {
                self.draining.1 = true;
                None
            }
            _ => None,
        }
    }
}
