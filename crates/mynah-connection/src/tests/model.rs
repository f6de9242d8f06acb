//! What one side of a connection must do, in its simplest form: lists, no slots, no timers.

mod flow;

use super::number;
use super::recorder::End;
use mynah_protocol::{
    CALLBACK_SERVICE, CancelReason, Envelope, ErrorCode, Limits, Moment, StreamSide, Streams,
    Window, WireId,
};

pub(super) use flow::{Feed, Intake};

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
    Event,
    Accepted(u64),
    Items(u64, u64),
    InputCredit(u64),
    InputStopped(u64),
    Input(u64, u64),
    InputEnd(u64, bool),
    ResultCredit(u64),
    /// Credit that goes out: for results or input, items and bytes.
    Grant(String, bool, u64, u64),
    StopInput(String),
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
    pub(super) fn grant(id: &WireId, stream: StreamSide, more: Window) -> Self {
        let is_result = stream == StreamSide::Result;
        Self::Grant(id.to_string(), is_result, more.items, more.bytes)
    }
}

/// A call that waits. Its input is there until it ends.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: WireId,
    pub(super) serial: u64,
    pub(super) deadline: Moment,
    pub(super) until_first: bool,
    pub(super) result: Option<Intake>,
    pub(super) input: Option<Feed>,
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
    /// Whether it was let in whatever the permits said.
    pub(super) told: bool,
    pub(super) accepted: bool,
    pub(super) has_input: bool,
    pub(super) result: Option<Feed>,
    /// Until it ends.
    pub(super) input: Option<Intake>,
}

/// One side.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) limits: Limits,
    pub(super) waiting: Vec<Call>,
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
        // A handler that still runs may call its peer back.
        let drains = self.draining.1 || self.draining.0 && self.running.is_empty();
        !self.closed && !drains && held < self.limits.outgoing_calls as usize
    }

    pub(super) fn permits(&self) -> usize {
        self.running.len() + self.unflushed
    }

    /// The earliest moment at which the side must have looked at the clock.
    pub(super) fn earliest(&self) -> Moment {
        let ours = self.waiting.iter().map(|call| call.deadline);
        let theirs = self.running.iter().filter(|one| one.parked && !one.stopped);
        ours.chain(theirs.map(|one| one.deadline))
            .min()
            .unwrap_or(Moment::NEVER)
    }

    /// The side looks at the clock, or (with `None`) at its end.
    pub(super) fn sweep(&mut self, now: Option<Moment>) -> Vec<Must> {
        let due = |deadline| now.is_none_or(|now| deadline <= now);
        let mut must = Vec::new();
        for Call { id, serial, .. } in self.waiting.extract_if(.., |call| due(call.deadline)) {
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

    fn admit(&mut self, handler: Handler, streams: Streams) -> Must {
        let serial = handler.serial;
        self.running.push(Handler {
            has_input: streams.input,
            result: streams.window.map(Feed::new),
            input: streams.input.then(Intake::default),
            ..handler
        });
        Must::Start(serial)
    }

    /// What a call of ours is told.
    fn call(&mut self, id: &WireId) -> Option<&mut Call> {
        self.waiting.iter_mut().find(|call| call.id == *id)
    }

    /// What a handler is told.
    fn handler(&mut self, id: &WireId) -> Option<&mut Handler> {
        let is_it = |one: &&mut Handler| one.id.as_ref() == Some(id);
        self.running.iter_mut().find(is_it)
    }

    /// An envelope arrives.
    pub(super) fn arrives(&mut self, now: Moment, envelope: &Envelope<'_>) -> Option<Must> {
        let full = self.permits() >= self.limits.calls_in_flight as usize;
        let cap = self.limits.max_deadline;
        let calls_back = |service: &str| service == CALLBACK_SERVICE && !self.waiting.is_empty();
        let new = |serial, id, answered, span: Option<std::time::Duration>| Handler {
            serial,
            id,
            answered,
            deadline: span.map_or(Moment::NEVER, |span| now.after(span)),
            parked: false,
            stopped: false,
            told: false,
            accepted: false,
            has_input: false,
            result: None,
            input: None,
        };
        match envelope {
            _ if self.closed => None,
            Envelope::Request(r) if self.draining.0 && !calls_back(&r.name.service) => {
                Some(Must::refuse(&r.id, ErrorCode::DRAINING))
            }
            Envelope::Request(r) if full => Some(Must::refuse(&r.id, ErrorCode::BUSY)),
            Envelope::Request(r) => {
                let span = r
                    .timeout
                    .map_or(cap, |asked| Some(cap.map_or(asked, |cap| asked.min(cap))));
                let handler = new(number(&r.params), Some(r.id.clone()), true, span);
                Some(self.admit(handler, r.streams))
            }
            Envelope::Notification(n) => {
                let told = calls_back(&n.name.service);
                if (self.draining.0 || full) && !told {
                    return None;
                }
                let handler = new(number(&n.params), n.id.clone(), false, cap);
                Some(self.admit(Handler { told, ..handler }, Streams::NONE))
            }
            Envelope::Response(response) => {
                let known = |call: &Call| call.id == response.id;
                let at = self.waiting.iter().position(known)?;
                let Call { id, serial, .. } = self.waiting.remove(at);
                self.ended.push((id, serial));
                let end = match &response.result {
                    Ok(_) => End::Reply(serial),
                    Err(error) => End::Error(error.code()),
                };
                Some(Must::end(serial, &end))
            }
            Envelope::Cancel(cancel) => {
                let one = self.handler(&cancel.id)?;
                if std::mem::replace(&mut one.stopped, true) {
                    return None;
                }
                Some(Must::stop(one.serial, cancel.reason))
            }
            Envelope::Progress(progress) => {
                self.call(&progress.id).map(|call| Must::Side(call.serial))
            }
            Envelope::Ping(number) => Some(Must::Pong(*number)),
            Envelope::GoingAway(_) => {
                self.draining.1 = true;
                None
            }
            Envelope::Event(_) => Some(Must::Event),
            other => self.hears_of_a_stream(other),
        }
    }

    fn hears_of_a_stream(&mut self, envelope: &Envelope<'_>) -> Option<Must> {
        match envelope {
            Envelope::Accepted(id) => {
                let call = self.call(id)?;
                if std::mem::take(&mut call.until_first) {
                    call.deadline = Moment::NEVER;
                }
                Some(Must::Accepted(call.serial))
            }
            Envelope::Items(items) if items.stream == StreamSide::Result => {
                let bytes = items.batch.as_slice().len() as u64;
                let call = self.call(&items.id)?;
                if std::mem::take(&mut call.until_first) {
                    call.deadline = Moment::NEVER;
                }
                let intake = call.result.as_mut().expect("a call with results");
                intake.arrive(items.count, bytes);
                Some(Must::Items(call.serial, items.count))
            }
            Envelope::Items(items) => {
                let bytes = items.batch.as_slice().len() as u64;
                let handler = self.handler(&items.id)?;
                let intake = handler.input.as_mut().expect("an input that goes on");
                intake.arrive(items.count, bytes);
                let taken = !intake.stopped;
                taken.then_some(Must::Input(handler.serial, items.count))
            }
            Envelope::Credit(credit) if credit.stream == StreamSide::Result => {
                let handler = self.handler(&credit.id)?;
                handler
                    .result
                    .as_mut()
                    .expect("a stream of results")
                    .grant(credit.more);
                Some(Must::ResultCredit(handler.serial))
            }
            Envelope::Credit(credit) => {
                let call = self.call(&credit.id)?;
                call.input.as_mut()?.grant(credit.more);
                Some(Must::InputCredit(call.serial))
            }
            Envelope::InputEnd(end) => {
                let handler = self.handler(&end.id)?;
                let intake = handler.input.take().expect("an input that goes on");
                let ok = end.error.is_none();
                (!intake.stopped).then_some(Must::InputEnd(handler.serial, ok))
            }
            Envelope::Stop(stop) => {
                let call = self.call(&stop.id)?;
                call.input.take()?;
                Some(Must::InputStopped(call.serial))
            }
            _ => None,
        }
    }
}
