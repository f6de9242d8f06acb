//! I1: two connections drive each other, with random operations and random delivery, beside a
//! model of what each must do.

pub(super) mod bytes;
mod pair;
#[cfg(test)]
mod random;
mod streams;

use super::model::{Call, Feed, Handler, Intake, Model, Must};
use super::*;
use crate::CloseReason;
use pair::Pair;
#[cfg(test)]
use proptest::prelude::*;
#[cfg(test)]
use random::{bounds, turns};

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

/// The limits of one side, as far as they differ. Times in milliseconds.
#[derive(Clone, Debug)]
struct Bounds {
    permits: u32,
    calls: u32,
    cap: Option<u64>,
    keep_alive: Option<u64>,
    window: (u32, u32),
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

#[cfg(test)]
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

    #[test]
    fn i1_whatever_bytes_say_they_do(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        bytes::two_connections(&bytes);
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
