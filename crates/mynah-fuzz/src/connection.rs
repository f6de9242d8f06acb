//! What the rules of a connection hold true of any peer and any program.

use mynah_connection::{Connection, Effects, InboundKey, OpenStreams, Outcome, Said, SideMessage};
use mynah_protocol::{
    CALLBACK_SERVICE, CallId, Cancel, CancelReason, Credit, Envelope, ErrorCode, Event, FormatId,
    GoingAway, InputEnd, Items, Lane, Limits, Metadata, MethodName, Moment, Notification, Payload,
    Profile, Progress, Request, Response, RpcError, Stop, StreamSide, Streams, Window, WireId,
};
use std::time::Duration;

const FORMAT: FormatId = FormatId::Cbor;
const WINDOW: Window = Window {
    items: 8,
    bytes: 64,
};
const PERMITS: usize = 4;
const CALLS: usize = 4;
/// Notifications to callbacks need no permit; so many may be there at once.
const TOLD: usize = 1024;

/// What arrived and was not taken.
#[derive(Default)]
struct Held {
    now: Window,
    largest: u64,
}

impl Held {
    fn arrive(&mut self, items: &Items<'_>) {
        let bytes = items.batch.as_slice().len() as u64;
        self.largest = self.largest.max(bytes);
        self.now.items += items.count;
        self.now.bytes += bytes;
        assert!(self.now.items <= WINDOW.items, "items beyond the window");
        assert!(
            self.now.bytes <= WINDOW.bytes + self.largest,
            "bytes beyond the window and a batch"
        );
    }
}

/// A call of ours: what came of its results.
#[derive(Default)]
struct Ours {
    held: Held,
    ends: u32,
}

/// Writes down what matters.
#[derive(Default)]
struct Driver {
    said: usize,
    arrived: Vec<InboundKey>,
}

impl Effects<Ours, Held> for Driver {
    fn send(&mut self, lane: Lane, envelope: Envelope<'_>) {
        // Who drains learns by this pong that nothing is on its way any more: it stays behind the requests.
        let stays_behind = matches!(envelope, Envelope::Pong(0));
        assert!(lane == Lane::Control || stays_behind, "{}", envelope.kind());
        self.said += 1;
    }
    fn complete(&mut self, slot: &mut Ours, _: Outcome<'_>) {
        slot.ends += 1;
        assert_eq!(slot.ends, 1, "a call ends once");
    }
    fn side(&mut self, slot: &mut Ours, _: SideMessage<'_>) {
        assert_eq!(slot.ends, 0, "beside a call that is over");
    }
    fn withdraw(&mut self, _: &mut Ours, _: Cancel) {}
    fn request(&mut self, key: InboundKey, slot: &mut Held, _: Moment, _: Request<'_>) {
        *slot = Held::default();
        self.arrived.push(key);
    }
    fn notification(&mut self, key: InboundKey, slot: &mut Held, _: Moment, _: Notification<'_>) {
        *slot = Held::default();
        self.arrived.push(key);
    }
    fn cancelled(&mut self, _: InboundKey, _: &mut Held, _: CancelReason) {}
    fn accepted(&mut self, slot: &mut Ours) {
        assert_eq!(slot.ends, 0, "a call that is over is accepted");
    }
    fn items(&mut self, slot: &mut Ours, items: Items<'_>) {
        assert_eq!(slot.ends, 0, "items of a call that is over");
        slot.held.arrive(&items);
    }
    fn input_credit(&mut self, _: CallId, slot: &mut Ours) {
        assert_eq!(slot.ends, 0, "credit for a call that is over");
    }
    fn input_stopped(&mut self, _: CallId, slot: &mut Ours) {
        assert_eq!(slot.ends, 0, "a stop of a call that is over");
    }
    fn input(&mut self, _: InboundKey, slot: &mut Held, items: Items<'_>) {
        slot.arrive(&items);
    }
    fn input_end(&mut self, _: InboundKey, _: &mut Held, _: Option<Box<RpcError>>) {}
    fn credit(&mut self, _: InboundKey, _: &mut Held) {}
    fn said<'m>(&mut self, said: Said<'m>) -> Option<Said<'m>> {
        Some(said)
    }
    fn hear(&mut self, key: InboundKey, slot: &mut Held, _: Moment, _: Said<'_>) {
        *slot = Held::default();
        self.arrived.push(key);
    }
}

/// Any peer says anything to a connection whose program does anything; four bytes are one step.
pub fn connection(bytes: &[u8]) {
    let limits = Limits::DEFAULT
        .with_calls_in_flight(PERMITS as u32)
        .with_outgoing_calls(CALLS as u32)
        .with_stream_items(WINDOW.items as u32)
        .with_stream_bytes(WINDOW.bytes as u32)
        .with_violation_budget(20)
        .with_keep_alive(Some(Duration::from_millis(50)))
        .with_idle_timeout(Some(Duration::from_millis(200)));
    let profile = Profile::new("fuzz", FORMAT);
    let mut now = Moment::ZERO;
    let mut one = Connection::<Ours, Held>::new(&limits, &profile, now);
    let mut driver = Driver::default();
    let mut ours: Vec<CallId> = Vec::new();
    let mut theirs: Vec<InboundKey> = Vec::new();
    let (steps, _) = bytes.as_chunks::<4>();
    for step in steps {
        let said = driver.said;
        if step[0] < 128 {
            one.handle_bytes(now, 10);
            let envelope = envelope(*step, &ours);
            if one.handle(now, envelope, &mut driver).is_err() {
                one.close(mynah_connection::CloseReason::PeerGone, &mut driver);
            }
        } else {
            act(*step, &mut one, &mut now, &mut driver, &mut ours, &theirs);
        }
        assert!(driver.said <= said + 1, "says more than it heard");
        theirs.append(&mut driver.arrived);
        theirs.retain(|key| one.is_live(*key));
        assert_eq!(theirs.len(), one.handlers_running());
        assert!(one.permits_taken() <= PERMITS + TOLD);
        assert!(one.calls_held() <= CALLS);
    }
    one.close(mynah_connection::CloseReason::PeerGone, &mut driver);
    for key in theirs {
        one.finish(key);
    }
    for id in ours {
        if let Some((slot, ended)) = one.call_mut(id) {
            assert!(ended && slot.ends == 1, "a call has no end");
            one.take(id);
        }
    }
    assert_eq!((one.calls_held(), one.permits_taken()), (0, 0), "left over");
}

/// What the peer says: `[kind, call, a, b]`.
fn envelope([kind, call, a, b]: [u8; 4], ours: &[CallId]) -> Envelope<'static> {
    // A call of theirs, or one of ours, the newest first, whether it goes on or not; or one that never was.
    let mine = ours.iter().rev().nth(call.into()).copied();
    let ours = mine.map_or(WireId::Uint(u64::from(call) << 16), WireId::from);
    let theirs = WireId::Uint(u64::from(call % 8));
    let (a64, b64) = (u64::from(a), u64::from(b));
    let payload = |len: u8| Payload::owned(FORMAT, vec![0; usize::from(len)].into());
    let (stream, of) = if kind & 64 == 0 {
        (StreamSide::Result, [&ours, &theirs])
    } else {
        (StreamSide::Input, [&theirs, &ours])
    };
    let more = Window {
        items: a64,
        bytes: b64,
    };
    match kind % 16 {
        0 | 1 => Envelope::Request(Request {
            id: theirs,
            name: MethodName::new(if b & 1 == 0 { "" } else { CALLBACK_SERVICE }, "1"),
            timeout: (a & 1 == 0).then(|| Duration::from_millis(b64)),
            metadata: Metadata::new(),
            streams: Streams {
                window: (a & 2 == 0).then_some(more),
                input: a & 4 == 0,
                callbacks: false,
            },
            params: payload(0),
        }),
        2 => Envelope::Notification(Notification {
            name: MethodName::new(if b & 1 == 0 { "" } else { CALLBACK_SERVICE }, "1"),
            id: (a & 1 == 0).then_some(theirs),
            metadata: Metadata::new(),
            params: payload(0),
        }),
        3 => Envelope::Response(Response {
            id: ours,
            result: match a & 1 {
                0 => Ok(payload(b)),
                _ => Err(Box::new(RpcError::from_code(ErrorCode::BUSY))),
            },
        }),
        4 => Envelope::Cancel(Cancel {
            id: theirs,
            reason: CancelReason::Caller,
        }),
        5 => Envelope::Progress(Progress {
            id: ours,
            value: payload(b),
            note: None,
        }),
        6 | 7 => Envelope::Items(Items {
            id: of[0].clone(),
            stream,
            count: u64::from(a % 16),
            batch: payload(b),
        }),
        8 | 9 => Envelope::Credit(Credit {
            id: of[1].clone(),
            stream,
            more: if b == 255 {
                Window {
                    items: u64::MAX,
                    bytes: u64::MAX,
                }
            } else {
                more
            },
        }),
        10 => Envelope::InputEnd(InputEnd {
            id: theirs,
            error: (a & 1 == 0).then(|| Box::new(RpcError::from_code(ErrorCode::BUSY))),
        }),
        11 => Envelope::Stop(Stop { id: ours }),
        12 => Envelope::Accepted(ours),
        13 if a & 1 == 0 => Envelope::Ping(b64),
        13 => Envelope::Pong(b64),
        14 if a == 0 => Envelope::GoingAway(GoingAway {
            code: ErrorCode::DRAINING,
            message: "".into(),
        }),
        _ => Envelope::Event(Event {
            topic: "t".into(),
            message: payload(b),
        }),
    }
}

/// What the program does: `[what, call, a, b]`.
fn act(
    [what, call, a, b]: [u8; 4],
    one: &mut Connection<Ours, Held>,
    now: &mut Moment,
    driver: &mut Driver,
    ours: &mut Vec<CallId>,
    theirs: &[InboundKey],
) {
    let call = usize::from(call);
    let mine = ours.iter().rev().nth(call % ours.len().max(1)).copied();
    let key = theirs.get(call % theirs.len().max(1)).copied();
    let timeout = (a & 8 != 0).then(|| Duration::from_millis(b.into()));
    match what % 16 {
        0 | 1 => {
            let streams = OpenStreams {
                result: (a & 1 == 0).then_some(WINDOW),
                input: a & 2 == 0,
                until_first: a & 4 == 0,
            };
            if let Ok((id, slot)) = one.open_streams(*now, timeout, streams) {
                *slot = Ours::default();
                assert!(!ours.contains(&id), "an id is given twice");
                ours.push(id);
            }
        }
        2 => {
            if let Some(id) = mine {
                one.cancel(id, CancelReason::Caller, driver);
            }
        }
        3 => {
            if let Some(id) = mine
                && one.call_mut(id).is_some_and(|(_, ended)| ended)
            {
                one.take(id);
            }
        }
        4 => {
            if let Some(key) = key {
                one.park(key);
            }
        }
        5 => {
            if let Some(key) = key {
                one.finish(key);
            }
        }
        6 => one.flushed(a.into()),
        7 | 8 => {
            // The program takes some of what waits.
            if let Some(id) = mine
                && let Some((slot, _)) = one.call_mut(id)
            {
                let taken = take(&mut slot.held, a);
                one.taken(id, taken, driver);
            }
        }
        9 => {
            if let Some(key) = key {
                one.open_input(key, driver);
            }
        }
        10 => {
            if let Some(key) = key
                && let Some(slot) = one.handler_mut(key)
            {
                let taken = take(slot, a);
                one.input_taken(key, taken, driver);
            }
        }
        11 => {
            if let Some(key) = key {
                one.stop_input(key, driver);
            }
        }
        12 => {
            if let Some(key) = key
                && let Some(credit) = one.result_credit(key)
            {
                one.results_sent(key, least(credit, a, b));
            }
            if let Some(id) = mine
                && let Some(credit) = one.input_credit(id)
            {
                one.input_sent(id, least(credit, a, b));
            }
        }
        13 => {
            if let Some(id) = mine {
                one.end_input(id);
            }
        }
        14 if a == 0 => one.start_drain(driver),
        _ => {
            *now = now.after(Duration::from_millis(u64::from(a)));
            let said = driver.said;
            if let Err(reason) = one.handle_timeout(*now, driver) {
                one.close(reason, driver);
            }
            assert!(one.poll_timeout() > *now, "the timer would never rest");
            assert!(driver.said <= said + 1, "more than a ping");
        }
    }
}

/// Takes the share of an item and its bytes, so that both come to nothing together.
fn take(held: &mut Held, count: u8) -> Window {
    let items = u64::from(count).min(held.now.items);
    let bytes = if items == held.now.items {
        held.now.bytes
    } else {
        held.now.bytes / held.now.items * items
    };
    held.now.items -= items;
    held.now.bytes -= bytes;
    Window { items, bytes }
}

fn least(credit: Window, items: u8, bytes: u8) -> Window {
    Window {
        items: credit.items.min(items.into()),
        bytes: bytes.into(),
    }
}
