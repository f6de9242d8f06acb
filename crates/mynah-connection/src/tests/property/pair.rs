//! Two sides, and the wire between them.

use super::*;
use crate::InboundKey;
use mynah_protocol::{CallId, Credit, ErrorCode, Stop};
use std::collections::{BTreeMap, VecDeque};

/// One side: the connection, its model, and its output on the way to the peer.
pub(super) struct Side {
    pub(super) connection: Connection,
    pub(super) model: Model,
    pub(super) keys: BTreeMap<u64, InboundKey>,
    /// In the buffer, behind it with I/O, and the control lane that may overtake both.
    pub(super) data: VecDeque<Envelope<'static>>,
    pub(super) taken: VecDeque<Envelope<'static>>,
    pub(super) control: VecDeque<Envelope<'static>>,
    /// On the wire, in order.
    pub(super) wire: VecDeque<Envelope<'static>>,
    /// Answers that have left and were not reported.
    left: usize,
    /// Calls with streams that were opened or let in.
    streams: u64,
    /// All calls.
    calls: u64,
    pub(super) fired: Vec<WireId>,
    /// The most handlers at once that were let in whatever the permits said: tables keep their room.
    most_told: usize,
}

pub(super) struct Pair {
    pub(super) sides: [Side; 2],
    pub(super) now: Moment,
    pub(super) serial: u64,
    /// How often each call ended, by serial.
    pub(super) ends: BTreeMap<u64, u32>,
}

impl Side {
    fn new(limits: Limits) -> Self {
        Self {
            connection: connection(&limits),
            model: Model {
                limits,
                ..Model::default()
            },
            keys: BTreeMap::new(),
            data: VecDeque::new(),
            taken: VecDeque::new(),
            control: VecDeque::new(),
            wire: VecDeque::new(),
            left: 0,
            streams: 0,
            calls: 0,
            fired: Vec::new(),
            most_told: 0,
        }
    }

    /// What a driver does with a request that is to be withdrawn.
    fn withdraw(&mut self, id: &WireId, reason: CancelReason) {
        let is_it = |one: &Envelope<'_>| matches!(one, Envelope::Request(r) if r.id == *id);
        if let Some(at) = self.data.iter().position(is_it) {
            self.data.remove(at);
        } else if self.taken.iter().any(is_it) {
            self.data.push_back(cancel(id.clone(), reason));
        } else {
            self.control.push_back(cancel(id.clone(), reason));
        }
    }

    pub(super) fn write(&mut self, control: bool) {
        if control && let Some(envelope) = self.control.pop_front() {
            return self.wire.push_back(envelope);
        }
        if let Some(envelope) = self.taken.pop_front().or_else(|| self.data.pop_front()) {
            self.left += usize::from(matches!(envelope, Envelope::Response(_)));
            self.wire.push_back(envelope);
        }
    }

    pub(super) fn flush(&mut self) {
        let left = std::mem::take(&mut self.left);
        self.connection.flushed(left);
        self.model.unflushed = self.model.unflushed.saturating_sub(left);
    }

    pub(super) fn finish(&mut self, pick: usize, well: bool) {
        if self.model.running.is_empty() {
            return;
        }
        let handler = self.model.running.remove(pick % self.model.running.len());
        let key = self
            .keys
            .remove(&handler.serial)
            .expect("a handler has a key");
        let id = self.connection.finish(key);
        assert_eq!(
            id,
            handler.id.filter(|_| handler.answered),
            "answers under its id"
        );
        assert_eq!(self.connection.finish(key), None, "a handler ends once");
        let Some(id) = id else { return };
        self.model.unflushed += usize::from(!self.model.closed);
        self.data.push_back(match well {
            true => reply(id, handler.serial),
            false => failure(id, ErrorCode::CANCELLED),
        });
    }

    fn serial_of(&mut self, key: InboundKey) -> u64 {
        *self.connection.handler_mut(key).expect("it runs")
    }

    fn is_delivered(&self) -> bool {
        let lanes = [&self.data, &self.taken, &self.control, &self.wire];
        lanes.iter().all(|lane| lane.is_empty())
    }

    fn is_quiet(&self) -> bool {
        self.is_delivered() && self.model.running.is_empty() && self.left == 0
    }
}

impl Pair {
    pub(super) fn new(left: Limits, right: Limits) -> Self {
        let sides = [Side::new(left), Side::new(right)];
        Self {
            sides,
            now: START,
            serial: 0,
            ends: BTreeMap::new(),
        }
    }

    pub(super) fn drain(&mut self, at: usize) {
        let side = &mut self.sides[at];
        let mut seen = Recorder::default();
        side.connection.start_drain(&mut seen);
        let first = !std::mem::replace(&mut side.model.draining.0, true);
        let says = first && !side.model.closed;
        assert_eq!(seen.take(), [Seen::GoingAway][..usize::from(says)]);
        if says {
            side.control.push_back(going_away());
        }
    }

    pub(super) fn open(
        &mut self,
        at: usize,
        timeout: Option<Duration>,
        streams: Option<crate::OpenStreams>,
        service: &'static str,
    ) {
        let side = &mut self.sides[at];
        let may = side.model.may_open();
        let opened = match streams {
            None => side.connection.open(self.now, timeout),
            Some(streams) => side.connection.open_streams(self.now, timeout, streams),
        };
        let has_flow = streams.is_some();
        let streams = streams.unwrap_or_default();
        match opened {
            Ok((id, slot)) => {
                assert!(may, "opened against the model");
                self.serial += 1;
                *slot = self.serial;
                assert!((1..=CallId::MAX).contains(&id.value()));
                let id = WireId::from(id);
                let known = side.model.waiting.iter().map(|one| &one.id);
                let mut known = known.chain(side.model.ended.iter().map(|one| &one.0));
                assert!(known.all(|known| *known != id), "{id} is in use");
                let deadline = timeout.map_or(Moment::NEVER, |span| self.now.after(span));
                side.calls += 1;
                side.streams += u64::from(has_flow);
                side.model.waiting.push(Call {
                    id: id.clone(),
                    serial: self.serial,
                    deadline,
                    until_first: streams.until_first,
                    result: streams.result.map(Intake::new),
                    input: streams.input.then(Feed::default),
                });
                self.ends.insert(self.serial, 0);
                // As a driver does: such a deadline is not for the peer.
                let carried = timeout.filter(|_| !streams.until_first);
                side.data.push_back(Envelope::Request(Request {
                    streams: streams.on_the_wire(),
                    name: MethodName::new(service, "1"),
                    ..plain_request(id, carried, self.serial)
                }));
            }
            Err(error) => assert!(!may, "{error}"),
        }
    }

    pub(super) fn close(&mut self, at: usize, reason: CloseReason) {
        let side = &mut self.sides[at];
        let mut seen = Recorder::default();
        side.connection.close(reason, &mut seen);
        if std::mem::replace(&mut side.model.closed, true) {
            assert_eq!(seen.take(), [], "closed once");
            return;
        }
        side.model.unflushed = 0;
        let must = side.model.sweep(None);
        self.compare(at, seen, must);
    }

    /// Takes a frame of the peer off the wire.
    pub(super) fn deliver(&mut self, at: usize) {
        let Some(envelope) = self.sides[1 - at].wire.pop_front() else {
            return;
        };
        let side = &mut self.sides[at];
        let is_ping = matches!(envelope, Envelope::Ping(_));
        match &envelope {
            Envelope::Request(request) => {
                side.calls += 1;
                side.streams += u64::from(!request.streams.is_none());
            }
            Envelope::Notification(_) => side.calls += 1,
            _ => {}
        }
        let must = side.model.arrives(self.now, &envelope);
        let before = side.connection.forgiven();
        let mut seen = Recorder::default();
        side.connection.handle_bytes(self.now, 10);
        let handled = side
            .connection
            .handle(self.now, envelope.clone(), &mut seen);
        assert_eq!(handled, Ok(()), "{envelope:?}");
        let charged = before.saturating_sub(side.connection.forgiven());
        assert!(charged == 0 || is_ping, "charged for {envelope:?}");
        self.compare(at, seen, must.into_iter().collect());
    }

    pub(super) fn look_at_the_clock(&mut self, at: usize) {
        let side = &mut self.sides[at];
        let due = side.connection.poll_timeout();
        assert!(
            due <= side.model.earliest() || side.model.closed,
            "the timer is late"
        );
        if due > self.now || side.model.closed {
            return;
        }
        let mut seen = Recorder::default();
        let handled = side.connection.handle_timeout(self.now, &mut seen);
        let must = side.model.sweep(Some(self.now));
        assert!(
            handled.is_err() || side.connection.poll_timeout() > self.now,
            "the timer spins"
        );
        self.compare(at, seen, must);
        if let Err(reason) = handled {
            let keeps = self.sides[at].model.limits.keep_alive;
            assert!(
                keeps.is_some_and(|span| self.now.since(START) >= span),
                "{reason}"
            );
            self.close(at, reason);
        }
    }

    /// Holds what a side did against what it must do, and carries it out.
    pub(super) fn compare(&mut self, at: usize, mut seen: Recorder, mut must: Vec<Must>) {
        let side = &mut self.sides[at];
        let mut did = Vec::new();
        for seen in seen.take() {
            did.push(match seen {
                Seen::Pong(number) => {
                    if number != UNASKED {
                        side.control.push_back(Envelope::Pong(number));
                    }
                    Must::Pong(number)
                }
                Seen::Ping(number) => {
                    assert!(side.model.limits.keep_alive.is_some());
                    side.control.push_back(Envelope::Ping(number));
                    continue;
                }
                Seen::Refused(id, code) => {
                    side.control.push_back(failure(id.clone(), code));
                    Must::refuse(&id, code)
                }
                Seen::Ended(serial, end) => {
                    *self
                        .ends
                        .get_mut(&serial)
                        .expect("a call that was not cancelled") += 1;
                    Must::end(serial, &end)
                }
                Seen::Side(serial) => Must::Side(serial),
                Seen::Withdrawn(serial, (id, reason)) => {
                    side.withdraw(&id, reason);
                    Must::Withdraw(serial)
                }
                Seen::Start(key, serial) => {
                    side.keys.insert(serial, key);
                    Must::Start(serial)
                }
                Seen::Stop(key, reason) => {
                    let serial = side.serial_of(key);
                    assert_eq!(side.connection.cancelled(key), Some(reason));
                    Must::stop(serial, reason)
                }
                Seen::Event => Must::Event,
                Seen::Accepted(serial) => Must::Accepted(serial),
                Seen::Items(serial, count) => Must::Items(serial, count),
                Seen::InputCredit(serial) => Must::InputCredit(serial),
                Seen::InputStopped(serial) => Must::InputStopped(serial),
                Seen::Input(key, count) => Must::Input(side.serial_of(key), count),
                Seen::InputEnd(key, well) => Must::InputEnd(side.serial_of(key), well),
                Seen::ResultCredit(key) => Must::ResultCredit(side.serial_of(key)),
                Seen::Credit(id, stream, more) => {
                    let must = Must::grant(&id, stream, more);
                    let credit = Credit { id, stream, more };
                    side.control.push_back(Envelope::Credit(credit));
                    must
                }
                Seen::StopInput(id) => {
                    let must = Must::StopInput(id.to_string());
                    side.control.push_back(Envelope::Stop(Stop { id }));
                    must
                }
                other => panic!("{other:?} out of nowhere"),
            });
        }
        did.sort();
        must.sort();
        assert_eq!(did, must, "side {at}");
    }

    /// What holds at every moment.
    pub(super) fn check(&mut self) {
        for Side {
            connection,
            model,
            most_told,
            ..
        } in &mut self.sides
        {
            let held = model.waiting.len() + model.ended.len();
            assert_eq!(
                connection.calls_waiting(),
                model.waiting.len(),
                "calls that wait"
            );
            assert_eq!(connection.calls_held(), held, "slots");
            assert_eq!(
                connection.handlers_running(),
                model.running.len(),
                "handlers"
            );
            assert_eq!(connection.permits_taken(), model.permits(), "permits");
            // What is told holds no permit of another.
            let told = model.running.iter().filter(|one| one.told).count();
            assert!(
                model.permits() - told <= model.limits.calls_in_flight as usize,
                "permits"
            );
            assert_eq!(connection.closed().is_some(), model.closed);
            let due = connection.poll_timeout();
            assert!(
                due <= model.earliest() || model.closed,
                "the timer would be late"
            );
            *most_told = told.max(*most_told);
            assert!(connection.footprint() <= 64 + *most_told * 8, "tables grow");
        }
        self.check_streams();
    }

    pub(super) fn deliver_everything(&mut self) {
        while !self.sides.iter().all(Side::is_delivered) {
            for at in 0..2 {
                self.sides[at].write(true);
                self.deliver(at);
            }
        }
    }

    /// Everything is delivered, every handler ends, every outcome is taken.
    pub(super) fn settle(&mut self) {
        self.deliver_everything();
        self.no_stream_is_stuck();
        let mut rounds = 0;
        while !self.sides.iter().all(Side::is_quiet) {
            rounds += 1;
            assert!(rounds < 10_000, "they never come to rest");
            for at in 0..2 {
                self.sides[at].write(true);
                self.sides[at].flush();
                self.deliver(at);
                if self.sides.iter().all(|side| side.wire.is_empty()) {
                    self.sides[at].finish(0, true);
                }
            }
            self.check();
        }
        // A side that was closed takes the other with it.
        if self.sides.iter().any(|side| side.model.closed) {
            self.close(0, CloseReason::PeerGone);
            self.close(1, CloseReason::PeerGone);
        }
        for at in 0..2 {
            assert!(self.sides[at].model.waiting.is_empty(), "a call has no end");
            while !self.sides[at].model.ended.is_empty() {
                self.does(at, Op::Take(0));
            }
            let side = &self.sides[at];
            assert_empty(&side.connection);
            // Windows are of eight items at most.
            let [answers, cancels, items, flow] = side.connection.late();
            assert!(answers <= side.calls && cancels <= side.calls);
            assert!(items <= side.streams * 8, "{items} late items");
            assert!(flow <= side.streams * (2 * (8 * 2 + 4) + 3), "{flow} late");
        }
        assert!(
            self.ends.values().all(|ends| *ends == 1),
            "ends: {:?}",
            self.ends
        );
    }
}
