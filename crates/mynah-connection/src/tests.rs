//! Tests of the connection as a whole. Those of one table lie beside it.
//!
//! The pair of connections with its models is also there for fuzz targets (`cfg(fuzzing)`), which drive it by bytes.
#![cfg_attr(
    not(test),
    allow(
        dead_code,
        unused_imports,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "a fuzz target uses a part of what the tests use, and panics when a rule is broken"
    )
)]

#[cfg(test)]
mod cancel;
#[cfg(test)]
mod deadlines;
#[cfg(test)]
mod delivery;
#[cfg(test)]
mod drain;
#[cfg(test)]
mod floods;
mod model;
mod property;
mod recorder;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod silence;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod within;

use mynah_protocol::{
    CALLBACK_SERVICE as CALLBACK, Cancel, CancelReason, Credit, Envelope, Event, FormatId,
    GoingAway, InputEnd, Items, Limits, Log, Metadata, MethodName, Moment, Notification, Payload,
    Profile, Progress, Request, Response, RpcError, StreamSide, Streams, Window, WireId,
};
#[cfg(fuzzing)]
pub use property::bytes::two_connections;
use recorder::{Recorder, Seen};
use std::time::Duration;

type Connection = crate::Connection<u64, u64>;

const FORMAT: FormatId = FormatId::Cbor;
const START: Moment = Moment::from_nanos(1_000_000_000);

fn connection(limits: &Limits) -> Connection {
    Connection::new(limits, &Profile::new("test", FORMAT), START)
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// So many milliseconds after the start.
fn at(millis: u64) -> Moment {
    START.after(ms(millis))
}

/// A payload that stands for a number.
fn payload(number: u64) -> Payload<'static> {
    Payload::owned(FORMAT, number.to_be_bytes().to_vec().into())
}

/// The number that a payload of [`payload`] stands for.
fn number(payload: &Payload<'_>) -> u64 {
    payload
        .as_slice()
        .try_into()
        .map_or(u64::MAX, u64::from_be_bytes)
}

fn plain_request(id: WireId, timeout: Option<Duration>, serial: u64) -> Request<'static> {
    Request {
        streams: Streams::NONE,
        id,
        name: MethodName::new("", "m"),
        timeout,
        metadata: Metadata::new(),
        params: payload(serial),
    }
}

fn request(id: WireId, timeout: Option<Duration>, serial: u64) -> Envelope<'static> {
    Envelope::Request(plain_request(id, timeout, serial))
}

/// A call of the peer with streams.
fn stream_request(id: WireId, window: Option<Window>, input: bool) -> Envelope<'static> {
    Envelope::Request(Request {
        streams: Streams {
            window,
            input,
            callbacks: false,
        },
        ..plain_request(id, None, 0)
    })
}

const fn window(items: u64, bytes: u64) -> Window {
    Window { items, bytes }
}

/// Items of so many bytes together.
fn items(id: WireId, stream: StreamSide, batch: Window) -> Envelope<'static> {
    let bytes = vec![0; usize::try_from(batch.bytes).expect("small")];
    Envelope::Items(Items {
        id,
        stream,
        count: batch.items,
        batch: Payload::owned(FORMAT, bytes.into()),
    })
}

fn credit(id: WireId, stream: StreamSide, more: Window) -> Envelope<'static> {
    Envelope::Credit(Credit { id, stream, more })
}

fn stop(id: WireId) -> Envelope<'static> {
    Envelope::Stop(mynah_protocol::Stop { id })
}

fn input_end(id: WireId, well: bool) -> Envelope<'static> {
    let error = || Box::new(RpcError::from_code(mynah_protocol::ErrorCode::UNCODED));
    let error = (!well).then(error);
    Envelope::InputEnd(InputEnd { id, error })
}

/// A callback is told something.
fn tell(serial: u64) -> Envelope<'static> {
    Envelope::Notification(Notification {
        name: MethodName::new(CALLBACK, "1"),
        id: None,
        metadata: Metadata::new(),
        params: payload(serial),
    })
}

fn event() -> Envelope<'static> {
    Envelope::Event(Event {
        topic: "t".into(),
        message: payload(1),
    })
}

fn notification(id: Option<WireId>, serial: u64) -> Envelope<'static> {
    Envelope::Notification(Notification {
        name: MethodName::new("", "n"),
        id,
        metadata: Metadata::new(),
        params: payload(serial),
    })
}

fn reply(id: WireId, serial: u64) -> Envelope<'static> {
    Envelope::Response(Response {
        id,
        result: Ok(payload(serial)),
    })
}

fn failure(id: WireId, code: mynah_protocol::ErrorCode) -> Envelope<'static> {
    Envelope::Response(Response {
        id,
        result: Err(Box::new(RpcError::from_code(code))),
    })
}

fn cancel(id: WireId, reason: CancelReason) -> Envelope<'static> {
    Envelope::Cancel(Cancel { id, reason })
}

fn progress(id: WireId) -> Envelope<'static> {
    Envelope::Progress(Progress {
        id,
        value: payload(0),
        note: None,
    })
}

fn log(id: Option<WireId>) -> Envelope<'static> {
    Envelope::Log(Log {
        id,
        level: 3,
        dropped: 0,
        content: payload(0),
    })
}

fn going_away() -> Envelope<'static> {
    Envelope::GoingAway(GoingAway {
        code: mynah_protocol::ErrorCode::DRAINING,
        message: "draining".into(),
    })
}

/// Hands an envelope over that breaks no rule, and returns what it caused.
#[track_caller]
fn arrives(connection: &mut Connection, now: Moment, envelope: Envelope<'_>) -> Vec<Seen> {
    let mut seen = Recorder::default();
    let before = connection.forgiven();
    connection
        .handle(now, envelope, &mut seen)
        .expect("no violation");
    assert!(
        connection.forgiven() >= before,
        "charged for what is allowed"
    );
    seen.take()
}

/// Lets time pass as a driver does. Returns what it caused.
#[track_caller]
fn passes(connection: &mut Connection, now: Moment) -> Vec<Seen> {
    let mut seen = Recorder::default();
    connection
        .handle_timeout(now, &mut seen)
        .expect("the connection stays");
    assert!(
        connection.poll_timeout() > now,
        "the timer would never rest"
    );
    seen.take()
}

/// Opens a call that is known by `serial`.
#[track_caller]
fn opens(
    connection: &mut Connection,
    now: Moment,
    timeout: Option<Duration>,
    serial: u64,
) -> mynah_protocol::CallId {
    let (id, slot) = connection.open(now, timeout).expect("room for a call");
    *slot = serial;
    id
}

/// Lets a call of the peer in.
#[track_caller]
fn admits(connection: &mut Connection, now: Moment, envelope: Envelope<'_>) -> crate::InboundKey {
    match arrives(connection, now, envelope).as_slice() {
        [Seen::Start(key, _)] => *key,
        other => panic!("not let in: {other:?}"),
    }
}

#[track_caller]
fn assert_empty(connection: &Connection) {
    assert_eq!(connection.calls_waiting(), 0, "calls wait");
    assert_eq!(connection.calls_held(), 0, "slots are held");
    assert_eq!(connection.handlers_running(), 0, "handlers run");
    assert_eq!(connection.permits_taken(), 0, "permits are out");
}
