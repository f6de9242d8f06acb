//! I1: two connections drive each other, with random operations and random delivery, beside a
//! model of what each must do.

use super::model::{Model, Must};
use super::*;
use crate::{CloseReason, InboundKey};
use mynah_protocol::{CallId, ErrorCode};
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};

/// What happens next. Numbers pick among what is there.
#[derive(Clone, Debug)]
enum Op {
    Open(Option<u64>),
    Cancel(usize),
    Take(usize),
    Notify {
        with_id: bool,
    },
    CancelNotification(usize),
    /// A handler ends: with a result, or with an error.
    Finish(usize, bool),
    Park(usize),
    Say(usize),
    Ping,
    /// I/O takes frames of the data lane: they cannot be withdrawn any more.
    Grab(usize),
    /// One frame leaves, of the control lane if there is one and it is asked for.
    Write {
        control: bool,
    },
    /// Permits of answers that have left come home.
    Flush,
    /// The peer takes so many frames off the wire.
    Deliver(usize),
    /// Time passes; the timers of both sides are looked at, unless they are `late`.
    Pass {
        millis: u64,
        late: bool,
    },
    Drain,
    Close,
}

fn op() -> impl Strategy<Value = Op> {
    let timeout = prop_oneof![Just(None), (0..40_u64).prop_map(Some), Just(Some(u64::MAX))];
    prop_oneof![
        12 => timeout.prop_map(Op::Open),
        5 => any::<usize>().prop_map(Op::Cancel),
        6 => any::<usize>().prop_map(Op::Take),
        3 => any::<bool>().prop_map(|with_id| Op::Notify { with_id }),
        1 => any::<usize>().prop_map(Op::CancelNotification),
        10 => (any::<usize>(), any::<bool>()).prop_map(|(pick, well)| Op::Finish(pick, well)),
        5 => any::<usize>().prop_map(Op::Park),
        4 => any::<usize>().prop_map(Op::Say),
        1 => Just(Op::Ping),
        4 => (1..4_usize).prop_map(Op::Grab),
        14 => any::<bool>().prop_map(|control| Op::Write { control }),
        5 => Just(Op::Flush),
        14 => (1..4_usize).prop_map(Op::Deliver),
        5 => (0..20_u64, prop::bool::weighted(0.2)).prop_map(|(millis, late)| Op::Pass { millis, late }),
    ]
}

/// The limits of one side, as far as they differ. Times in milliseconds.
#[derive(Clone, Debug)]
struct Bounds {
    permits: u32,
    calls: u32,
    cap: Option<u64>,
    keep_alive: Option<u64>,
}

fn bounds() -> impl Strategy<Value = Bounds> {
    let cap = prop::option::weighted(0.25, 1..30_u64);
    let keep_alive = prop::option::weighted(0.25, Just(60));
    (1..5_u32, 1..6_u32, cap, keep_alive).prop_map(|(permits, calls, cap, keep_alive)| Bounds {
        permits,
        calls,
        cap,
        keep_alive,
    })
}

impl Bounds {
    fn limits(&self) -> Limits {
        Limits::new()
            .with_calls_in_flight(self.permits)
            .with_outgoing_calls(self.calls)
            .with_max_deadline(self.cap.map(ms))
            .with_keep_alive(self.keep_alive.map(ms))
            // Pings cost; nothing else that the two say to each other may.
            .with_violation_budget(100_000)
    }
}

/// The number of a ping that the connection did not ask for: its pong would be charged.
const UNASKED: u64 = u64::MAX;

/// Which side does it.
type Turn = (bool, Op);

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let tail = prop_oneof![3 => Just(None), 1 => Just(Some(Op::Drain)), 1 => Just(Some(Op::Close))];
    let some = |len| prop::collection::vec((any::<bool>(), op()), 0..len);
    (some(150), any::<bool>(), tail, some(60)).prop_map(|(mut turns, side, tail, rest)| {
        turns.extend(tail.map(|op| (side, op)));
        turns.extend(rest);
        turns
    })
}

proptest! {
    #[test]
    fn i1_two_connections_keep_the_rules(
        left in bounds(),
        right in bounds(),
        turns in turns(),
    ) {
        let mut pair = Pair::new(left.limits(), right.limits());
        for (side, op) in turns {
            pair.does(usize::from(side), op);
            pair.check();
        }
        pair.settle();
    }
}

/// One side: the connection, its model, and its output on the way to the peer.
struct Side {
    connection: Connection,
    model: Model,
    keys: BTreeMap<u64, InboundKey>,
    /// In the buffer, behind it with I/O, and the control lane that may overtake both.
    data: VecDeque<Envelope<'static>>,
    taken: VecDeque<Envelope<'static>>,
    control: VecDeque<Envelope<'static>>,
    /// On the wire, in order.
    wire: VecDeque<Envelope<'static>>,
    /// Answers that have left and were not reported.
    left: usize,
    fired: Vec<WireId>,
}

struct Pair {
    sides: [Side; 2],
    now: Moment,
    serial: u64,
    /// How often each call ended, by serial.
    ends: BTreeMap<u64, u32>,
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
            fired: Vec::new(),
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

    fn write(&mut self, control: bool) {
        if control && let Some(envelope) = self.control.pop_front() {
            return self.wire.push_back(envelope);
        }
        if let Some(envelope) = self.taken.pop_front().or_else(|| self.data.pop_front()) {
            self.left += usize::from(matches!(envelope, Envelope::Response(_)));
            self.wire.push_back(envelope);
        }
    }

    fn flush(&mut self) {
        let left = std::mem::take(&mut self.left);
        self.connection.flushed(left);
        self.model.unflushed = self.model.unflushed.saturating_sub(left);
    }

    fn finish(&mut self, pick: usize, well: bool) {
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

    fn is_quiet(&self) -> bool {
        let lanes = [&self.data, &self.taken, &self.control, &self.wire];
        lanes.iter().all(|lane| lane.is_empty()) && self.model.running.is_empty() && self.left == 0
    }
}

impl Pair {
    fn new(left: Limits, right: Limits) -> Self {
        let sides = [Side::new(left), Side::new(right)];
        Self {
            sides,
            now: START,
            serial: 0,
            ends: BTreeMap::new(),
        }
    }

    fn does(&mut self, at: usize, op: Op) {
        let now = self.now;
        let side = &mut self.sides[at];
        match op {
            Op::Open(timeout) => self.open(at, timeout.map(ms)),
            Op::Cancel(pick) => {
                let count = side.model.waiting.len() + side.model.ended.len();
                if count == 0 {
                    return;
                }
                let pick = pick % count;
                // One that waits, or one that has ended: then nothing may happen.
                let (id, must) = if pick < side.model.waiting.len() {
                    let (id, serial, _) = side.model.waiting.remove(pick);
                    self.ends.remove(&serial);
                    (id, vec![Must::Withdraw(serial)])
                } else {
                    (
                        side.model.ended[pick - side.model.waiting.len()].0.clone(),
                        Vec::new(),
                    )
                };
                let mut seen = Recorder::default();
                let id = id.as_call_id().expect("ours");
                side.connection.cancel(id, CancelReason::Caller, &mut seen);
                self.compare(at, seen, must);
            }
            Op::Take(pick) => {
                if !side.model.ended.is_empty() {
                    let (id, serial) = side.model.ended.remove(pick % side.model.ended.len());
                    let id = id.as_call_id().expect("ours");
                    assert_eq!(
                        side.connection.call_mut(id),
                        Some((&mut serial.clone(), true))
                    );
                    side.connection.take(id);
                    assert_eq!(side.connection.call_mut(id), None);
                }
            }
            Op::Notify { with_id } => {
                self.serial += 1;
                let id = with_id.then(|| WireId::Text(format!("n{}", self.serial).into()));
                side.fired.extend(id.clone());
                side.data.push_back(notification(id, self.serial));
            }
            Op::CancelNotification(pick) => {
                if !side.fired.is_empty() {
                    let id = side.fired.remove(pick % side.fired.len());
                    side.data.push_back(cancel(id, CancelReason::Caller));
                }
            }
            Op::Finish(pick, well) => side.finish(pick, well),
            Op::Park(pick) => {
                if !side.model.running.is_empty() {
                    let pick = pick % side.model.running.len();
                    let handler = &mut side.model.running[pick];
                    handler.parked = true;
                    side.connection.park(side.keys[&handler.serial]);
                }
            }
            Op::Say(pick) => {
                if !side.model.running.is_empty() {
                    let handler = &side.model.running[pick % side.model.running.len()];
                    let id = side.connection.wire_id(side.keys[&handler.serial]);
                    assert_eq!(id, handler.id.as_ref());
                    side.data
                        .extend(id.filter(|_| handler.answered).cloned().map(progress));
                }
            }
            Op::Ping => side.control.push_back(Envelope::Ping(UNASKED)),
            Op::Grab(count) => {
                let count = count.min(side.data.len());
                side.taken.extend(side.data.drain(..count));
            }
            Op::Write { control } => side.write(control),
            Op::Flush => side.flush(),
            Op::Deliver(count) => {
                for _ in 0..count {
                    self.deliver(at);
                }
            }
            Op::Pass { millis, late } => {
                self.now = now.after(ms(millis));
                if !late {
                    self.look_at_the_clock(0);
                    self.look_at_the_clock(1);
                }
            }
            Op::Drain => {
                let mut seen = Recorder::default();
                side.connection.start_drain(&mut seen);
                let first = !std::mem::replace(&mut side.model.draining.0, true);
                let says = first && !side.model.closed;
                assert_eq!(seen.take(), [Seen::GoingAway][..usize::from(says)]);
                if says {
                    side.control.push_back(going_away());
                }
            }
            Op::Close => self.close(at, CloseReason::Local),
        }
    }

    fn open(&mut self, at: usize, timeout: Option<Duration>) {
        let side = &mut self.sides[at];
        let may = side.model.may_open();
        match side.connection.open(self.now, timeout) {
            Ok((id, slot)) => {
                assert!(may, "opened against the model");
                self.serial += 1;
                *slot = self.serial;
                assert!((1..=CallId::MAX).contains(&id.value()));
                let id = WireId::from(id);
                let known = side.model.waiting.iter().map(|one| &one.0);
                let mut known = known.chain(side.model.ended.iter().map(|one| &one.0));
                assert!(known.all(|known| *known != id), "{id} is in use");
                let deadline = timeout.map_or(Moment::NEVER, |span| self.now.after(span));
                side.model.waiting.push((id.clone(), self.serial, deadline));
                self.ends.insert(self.serial, 0);
                side.data.push_back(request(id, timeout, self.serial));
            }
            Err(error) => assert!(!may, "{error}"),
        }
    }

    fn close(&mut self, at: usize, reason: CloseReason) {
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
    fn deliver(&mut self, at: usize) {
        let Some(envelope) = self.sides[1 - at].wire.pop_front() else {
            return;
        };
        let side = &mut self.sides[at];
        let is_ping = matches!(envelope, Envelope::Ping(_));
        let must = side.model.arrives(self.now, &envelope);
        let before = side.connection.forgiven();
        let mut seen = Recorder::default();
        side.connection.handle_bytes(self.now);
        let handled = side
            .connection
            .handle(self.now, envelope.clone(), &mut seen);
        assert_eq!(handled, Ok(()), "{envelope:?}");
        let charged = before.saturating_sub(side.connection.forgiven());
        assert!(charged == 0 || is_ping, "charged for {envelope:?}");
        self.compare(at, seen, must.into_iter().collect());
    }

    fn look_at_the_clock(&mut self, at: usize) {
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
    fn compare(&mut self, at: usize, mut seen: Recorder, mut must: Vec<Must>) {
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
                    let serial = *side.connection.handler_mut(key).expect("it runs");
                    assert_eq!(side.connection.cancelled(key), Some(reason));
                    Must::stop(serial, reason)
                }
                other => panic!("{other:?} out of nowhere"),
            });
        }
        did.sort();
        must.sort();
        assert_eq!(did, must, "side {at}");
    }

    /// What holds at every moment.
    fn check(&self) {
        for Side {
            connection, model, ..
        } in &self.sides
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
            assert!(
                model.permits() <= model.limits.calls_in_flight as usize,
                "permits"
            );
            assert_eq!(connection.closed().is_some(), model.closed);
            let due = connection.poll_timeout();
            assert!(
                due <= model.earliest() || model.closed,
                "the timer would be late"
            );
            assert!(connection.footprint() <= 64, "tables grow");
        }
    }

    /// Everything is delivered, every handler ends, every outcome is taken.
    fn settle(&mut self) {
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
            assert_empty(&self.sides[at].connection);
        }
        assert!(
            self.ends.values().all(|ends| *ends == 1),
            "ends: {:?}",
            self.ends
        );
    }
}
