//! I1: two connections drive each other, with random operations and random delivery, beside a
//! model of what each must do.

mod pair;
mod streams;

use super::model::{Call, Feed, Handler, Intake, Model, Must};
use super::*;
use crate::CloseReason;
use pair::Pair;
use proptest::prelude::*;

/// What happens next. Numbers pick among what is there.
#[derive(Clone, Debug)]
enum Op {
    Open(Option<u64>),
    OpenStreams(Opened),
    Cancel(usize),
    Take(usize),
    Notify {
        with_id: bool,
    },
    CancelNotification(usize),
    Event,
    /// A handler calls back: asks, or tells.
    CallBack {
        asks: bool,
    },
    /// A handler ends: with a result, or with an error.
    Finish(usize, bool),
    Park(usize),
    Say(usize),
    Stream(usize, StreamOp),
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

/// What happens to a stream of one of the calls that have it.
#[derive(Clone, Debug)]
enum StreamOp {
    /// So many results leave, of so many bytes each.
    Results(u64, u64),
    /// The program takes so many of them.
    TakeResults(usize),
    Accept,
    OpenInput,
    /// So many items of the input leave, of so many bytes each.
    Input(u64, u64),
    TakeInput(usize),
    EndInput(bool),
    StopInput,
}

/// A call with streams.
#[derive(Clone, Debug)]
struct Opened {
    timeout: Option<u64>,
    until_first: bool,
    window: Option<(u64, u64)>,
    input: bool,
}

fn timeout() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![Just(None), (0..40_u64).prop_map(Some), Just(Some(u64::MAX))]
}

fn opened() -> impl Strategy<Value = Opened> {
    let window = prop::option::weighted(0.8, (1..9_u64, 1..200_u64));
    (timeout(), any::<bool>(), window, any::<bool>()).prop_map(
        |(timeout, until_first, window, input)| Opened {
            timeout,
            until_first,
            window,
            input,
        },
    )
}

fn stream_op() -> impl Strategy<Value = StreamOp> {
    let some = || (1..6_u64, 4..60_u64);
    prop_oneof![
        6 => some().prop_map(|(count, size)| StreamOp::Results(count, size)),
        5 => (1..6_usize).prop_map(StreamOp::TakeResults),
        1 => Just(StreamOp::Accept),
        4 => Just(StreamOp::OpenInput),
        6 => some().prop_map(|(count, size)| StreamOp::Input(count, size)),
        5 => (1..6_usize).prop_map(StreamOp::TakeInput),
        1 => any::<bool>().prop_map(StreamOp::EndInput),
        1 => Just(StreamOp::StopInput),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => timeout().prop_map(Op::Open),
        10 => opened().prop_map(Op::OpenStreams),
        5 => any::<usize>().prop_map(Op::Cancel),
        6 => any::<usize>().prop_map(Op::Take),
        2 => any::<bool>().prop_map(|with_id| Op::Notify { with_id }),
        1 => any::<usize>().prop_map(Op::CancelNotification),
        1 => Just(Op::Event),
        3 => any::<bool>().prop_map(|asks| Op::CallBack { asks }),
        6 => (any::<usize>(), any::<bool>()).prop_map(|(pick, well)| Op::Finish(pick, well)),
        5 => any::<usize>().prop_map(Op::Park),
        3 => any::<usize>().prop_map(Op::Say),
        40 => (any::<usize>(), stream_op()).prop_map(|(pick, op)| Op::Stream(pick, op)),
        1 => Just(Op::Ping),
        4 => (1..4_usize).prop_map(Op::Grab),
        28 => any::<bool>().prop_map(|control| Op::Write { control }),
        5 => Just(Op::Flush),
        28 => (1..4_usize).prop_map(Op::Deliver),
        4 => (0..20_u64, prop::bool::weighted(0.2)).prop_map(|(millis, late)| Op::Pass { millis, late }),
    ]
}

/// The limits of one side, as far as they differ. Times in milliseconds.
#[derive(Clone, Debug)]
struct Bounds {
    permits: u32,
    calls: u32,
    cap: Option<u64>,
    keep_alive: Option<u64>,
    window: (u32, u32),
}

fn bounds() -> impl Strategy<Value = Bounds> {
    let cap = prop::option::weighted(0.25, 1..30_u64);
    let keep_alive = prop::option::weighted(0.25, Just(60));
    let window = (1..9_u32, 1..200_u32);
    (1..5_u32, 1..6_u32, cap, keep_alive, window).prop_map(
        |(permits, calls, cap, keep_alive, window)| Bounds {
            permits,
            calls,
            cap,
            keep_alive,
            window,
        },
    )
}

impl Bounds {
    fn limits(&self) -> Limits {
        Limits::new()
            .with_calls_in_flight(self.permits)
            .with_outgoing_calls(self.calls)
            .with_max_deadline(self.cap.map(ms))
            .with_keep_alive(self.keep_alive.map(ms))
            .with_stream_items(self.window.0)
            .with_stream_bytes(self.window.1)
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
    (some(160), any::<bool>(), tail, some(50)).prop_map(|(mut turns, side, tail, rest)| {
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

impl Pair {
    fn does(&mut self, at: usize, op: Op) {
        let now = self.now;
        let side = &mut self.sides[at];
        match op {
            Op::Open(timeout) => self.open(at, timeout.map(ms), None, "m"),
            Op::OpenStreams(opened) => {
                let streams = crate::OpenStreams {
                    result: opened.window.map(|(items, bytes)| Window { items, bytes }),
                    input: opened.input,
                    until_first: opened.until_first,
                };
                self.open(at, opened.timeout.map(ms), Some(streams), "s");
            }
            Op::Cancel(pick) => {
                let count = side.model.waiting.len() + side.model.ended.len();
                if count == 0 {
                    return;
                }
                let pick = pick % count;
                // One that waits, or one that has ended: then nothing may happen.
                let (id, must) = if pick < side.model.waiting.len() {
                    let Call { id, serial, .. } = side.model.waiting.remove(pick);
                    self.ends.remove(&serial);
                    (id, vec![Must::Withdraw(serial)])
                } else {
                    let ended = &side.model.ended[pick - side.model.waiting.len()];
                    (ended.0.clone(), Vec::new())
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
                    let slot = side.connection.call_mut(id);
                    assert_eq!(slot, Some((&mut serial.clone(), true)));
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
            Op::Event => side.data.push_back(event()),
            Op::CallBack { asks } => {
                // What belongs to a call stands ahead of its answer.
                if side.model.running.iter().any(|one| one.answered) {
                    match asks {
                        true => self.open(at, None, None, CALLBACK),
                        false => {
                            self.serial += 1;
                            let told = tell(self.serial);
                            side.data.push_back(told);
                        }
                    }
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
            Op::Stream(pick, op) => self.stream(at, pick, op),
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
            Op::Drain => self.drain(at),
            Op::Close => self.close(at, CloseReason::Local),
        }
    }
}
