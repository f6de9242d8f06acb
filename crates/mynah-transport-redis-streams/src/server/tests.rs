//! Tests of the server's parts, most of them without Redis.

use super::core::{Core, Standing};
use super::desk::Desk;
use super::guard::Guard;
use super::inbox;
use super::outbox::{Place, Step};
use super::remote::Manner;
use crate::coding::Coding;
use crate::connect::Connector;
use crate::entry::{Entry, EntryId};
use crate::keys::Keys;
use crate::options::RedisOptions;
use crate::sealed::Seals;
use crate::session::{Note, kind};
use futures_core::Stream as _;
use futures_sink::Sink as _;
use mynah_codec::dialect::jsonrpc::{JsonRpc, Messages, Read};
use mynah_protocol::{
    Envelope, FormatId, Items, Limits, Metadata, MethodName, Outbound, Payload, Request, Settled,
    StreamSide, Streams, WireId,
};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

const PLACE: Place = Place {
    desk: 0,
    id: EntryId { ms: 1, number: 0 },
};

const MANNER: Manner = Manner {
    coding: Coding::Json,
    sides: false,
};

fn core() -> Arc<Core> {
    let options = RedisOptions::new("redis://127.0.0.1:1/0");
    let connector = Connector::new(&options).unwrap();
    Arc::new(Core::new(
        options,
        connector,
        Keys::new("app"),
        "own".to_owned(),
    ))
}

fn call(id: u64) -> Envelope<'static> {
    let text = br#"{"jsonrpc":"2.0","method":"arith.add","params":{},"id":"x"}"#;
    let mut messages = Messages::new(JsonRpc::clamator(), &Limits::default());
    let Read::Envelope(Envelope::Request(mut request)) = messages.read(text) else {
        panic!("a call is read");
    };
    request.id = WireId::Uint(id);
    Envelope::Request(request).into_owned()
}

fn taken(core: &Core) -> Vec<Step> {
    let mut steps = Vec::new();
    core.outbox.take(&mut steps);
    steps
}

fn nobody_has_arrived(core: &Core) -> bool {
    core.poll_arrived(&Context::from_waker(Waker::noop()))
        .is_pending()
}

#[test]
fn a_call_that_was_cancelled_before_it_is_handed_on_does_not_begin() {
    let core = core();
    core.cancel("c", 7);
    core.deliver("c", call(7), PLACE, 1, None, MANNER);
    let steps = taken(&core);
    assert!(
        matches!(&*steps, [Step::Done(place)] if *place == PLACE),
        "{steps:?}"
    );
    assert!(nobody_has_arrived(&core));
    core.deliver("c", call(8), PLACE, 1, None, MANNER);
    assert!(!nobody_has_arrived(&core));
}

#[test]
fn a_client_that_comes_when_the_server_stops_is_left_to_others() {
    let core = core();
    core.stop();
    core.deliver("c", call(7), PLACE, 3, None, MANNER);
    let steps = taken(&core);
    assert!(
        matches!(&*steps, [Step::Release { place, attempts: 2 }] if *place == PLACE),
        "{steps:?}"
    );
    assert!(nobody_has_arrived(&core));
}

#[test]
fn many_clients_are_a_crowd_until_the_quiet_ones_are_gone() {
    let core = core();
    let limits = Limits::default().with_connections(4);
    core.limits.set(limits).unwrap();
    core.deliver("a", call(1), PLACE, 1, None, MANNER);
    assert!(!core.is_crowded());
    core.deliver("b", call(1), PLACE, 1, None, MANNER);
    assert!(core.is_crowded());
    // What has calls that run is not quiet.
    core.end_quiet(Duration::ZERO);
    assert!(core.is_crowded());
    drop(core.take_arrived());
    assert!(!core.is_crowded());
}

/// A server that has one service, without Redis.
fn serves(concurrency: usize) -> Arc<Core> {
    with_service(core(), concurrency)
}

fn with_service(core: Arc<Core>, concurrency: usize) -> Arc<Core> {
    let seals = Seals::new("app", "numbers", Duration::from_secs(1));
    let (stream, consumer) = ("app:cmds:numbers".to_owned(), "numbers:own".to_owned());
    let desk = Desk::new("numbers", None, stream, consumer, concurrency, seals);
    core.desks.set([desk].into()).unwrap();
    core
}

fn open(core: &Arc<Core>, call: u64) {
    let request = Request {
        id: WireId::Uint(call),
        name: MethodName::new("numbers", "sum"),
        timeout: None,
        metadata: Metadata::new(),
        streams: Streams {
            input: true,
            ..Streams::NONE
        },
        params: Payload::lent(FormatId::Json, b"{}"),
    };
    let reply_to = "app:replies:c".into();
    core.open_session("c", Coding::Json, &reply_to, call, request, "1-0");
}

/// A frame with items of the call 7.
fn items(core: &Core, bytes: usize) -> Vec<u8> {
    let len = u32::try_from(bytes).unwrap().to_be_bytes();
    let batch = [&len[..], &vec![b'1'; bytes]].concat();
    let items = Envelope::Items(Items {
        id: WireId::Uint(7),
        stream: StreamSide::Input,
        count: 1,
        batch: Payload::owned(FormatId::Json, batch.into()),
    });
    let mut frame = Vec::new();
    let frames = core.frames.of(Coding::Json);
    frames.write(&items, &mut frame).unwrap();
    frame
}

/// What is said to clients: kinds and numbers of calls.
fn said(core: &Core) -> Vec<(&'static str, u64)> {
    let note = |step| match step {
        Step::Note(_, written) => (written.kind, written.call),
        other => panic!("{other:?}"),
    };
    taken(core).into_iter().map(note).collect()
}

/// Hears frames until the session has ended, or so many were heard: how many.
fn fill(core: &Arc<Core>, bytes: usize, most: u64) -> u64 {
    let frame = items(core, bytes);
    let mut remote = core.take_arrived().pop_front().unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    // It is run by somebody who then takes nothing.
    assert!(Pin::new(&mut remote).poll_next(&mut cx).is_ready());
    let mut heard = 0;
    let note = |number| Note {
        call: 7,
        number,
        body: frame.clone(),
        ..Note::default()
    };
    while heard < most && core.hear_frame("c", Coding::Json, &note(heard + 2)) {
        heard += 1;
        if core.has_ended_session("c", 7) {
            break;
        }
    }
    match Pin::new(&mut remote).poll_next(&mut cx) {
        Poll::Ready(None) => {}
        Poll::Ready(Some(_)) => return u64::MAX,
        Poll::Pending => panic!("something waits"),
    }
    drop(remote);
    assert_eq!(said(core), [(kind::GONE, 0)]);
    heard
}

#[test]
fn what_waits_for_a_session_is_bounded_in_frames_and_in_bytes() {
    let core = serves(4);
    open(&core, 7);
    assert_eq!(fill(&core, 1, 100_000), 16_385);
    open(&core, 7);
    // 32 MiB, whoever says it.
    assert_eq!(fill(&core, 1 << 20, 100), 32);
    open(&core, 7);
    assert_eq!(fill(&core, 1, 100), u64::MAX, "it goes on");
    assert!(core.desks()[0].is_idle(), "each has given its place back");
}

#[test]
fn a_session_that_nobody_takes_or_has_room_for_is_left_to_others() {
    let core = serves(1);
    open(&core, 7);
    open(&core, 8);
    assert_eq!(said(&core), [(kind::BUSY, 8)]);
    drop(core.take_arrived());
    assert_eq!(said(&core), [(kind::BUSY, 7)]);
    // Whoever runs it has no permit for the call.
    open(&core, 7);
    let mut remote = core.take_arrived().pop_front().unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    let Poll::Ready(Some(Ok(inbound))) = Pin::new(&mut remote).poll_next(&mut cx) else {
        panic!("there is the request");
    };
    let receipt = inbound.receipt.unwrap();
    let settle = Outbound::Settle(receipt, Settled::Release);
    Pin::new(&mut remote).start_send(settle).unwrap();
    assert!(matches!(
        Pin::new(&mut remote).poll_next(&mut cx),
        Poll::Ready(None)
    ));
    drop(remote);
    assert_eq!(said(&core), [(kind::BUSY, 7)]);
    // One that began and was given up has ended.
    open(&core, 7);
    let mut remote = core.take_arrived().pop_front().unwrap();
    assert!(Pin::new(&mut remote).poll_next(&mut cx).is_ready());
    drop(remote);
    assert_eq!(said(&core), [(kind::GONE, 0)]);
    core.stop();
    open(&core, 9);
    assert_eq!(said(&core), [(kind::REFUSED, 9)]);
}

#[tokio::test]
async fn calls_that_a_server_leaves_unread_are_given_back() {
    let redis = mynah_testkit::redis::RedisServer::start().await.unwrap();
    let options = RedisOptions::new(redis.url()).with_prefix("app");
    let connector = Connector::new(&options).unwrap();
    let core = Core::new(options, connector, Keys::new("app"), "own".to_owned());
    let mut connection = core.connector.open().await.unwrap();
    inbox::open(&core, &mut connection).await.unwrap();
    let put = async |from: &str, call: &str, n: &str| {
        let add = [
            "XADD",
            "app:inbox:own",
            "*",
            "mynah",
            "frame",
            "from",
            from,
            "call",
            call,
            "n",
            n,
        ];
        let added = redis.command(&add).await.unwrap();
        EntryId::parse(added.as_text().unwrap().as_bytes()).unwrap()
    };
    core.set_heard(put("app:replies:c", "1", "1").await);
    put("app:replies:c", "1", "2").await;
    put("app:replies:c", "2", "1").await;
    put("app:replies:d", "3", "1").await;
    put("app:cmds:numbers", "4", "1").await;
    put("app:replies:c", "x", "1").await;
    // Its reader was ended while it took this one out.
    core.set_claiming(vec![("app:replies:c".into(), 9)]);
    inbox::leave(&core, &mut connection).await.unwrap();
    let refused = [9, 2, 3].map(|call| (kind::REFUSED, call));
    assert_eq!(said(&core), refused);
    let gone = redis.command(&["EXISTS", "app:inbox:own"]).await.unwrap();
    assert_eq!(gone.as_integer(), Some(0));
    // And nothing makes it again.
    assert_eq!(*core.standing.lock().await, Standing::Leaves);
}

#[tokio::test]
async fn a_call_that_was_taken_back_meanwhile_does_not_begin() {
    let redis = mynah_testkit::redis::RedisServer::start().await.unwrap();
    let options = RedisOptions::new(redis.url()).with_prefix("app");
    let connector = Connector::new(&options).unwrap();
    let core = Core::new(options, connector, Keys::new("app"), "own".to_owned());
    let core = with_service(Arc::new(core), 8);
    let mut connection = core.connector.open().await.unwrap();
    inbox::open(&core, &mut connection).await.unwrap();
    let mut position = inbox::Position::default();
    let mut entries = Vec::new();
    for call in 1..=4 {
        let body = format!(r#"[1,{call},"numbers","count",null,null,10,1000,0]{{"to":1}}"#);
        let number = call.to_string();
        let frame = ["mynah", "frame", "from", "app:replies:c", "n", "1", "call"];
        let mut add = vec!["XADD", "app:inbox:own", "*"];
        add.extend(frame.into_iter().chain([&*number, "body", &*body]));
        let added = redis.command(&add).await.unwrap();
        entries.push(added.as_text().unwrap().to_owned());
    }
    let read = inbox::read(&core, &mut connection, position).await.unwrap();
    assert_eq!(read.len(), 5, "the first says hello");
    // Two of them are taken back after they were read.
    let delete = ["XDEL", "app:inbox:own", &entries[1], &entries[3]];
    redis.command(&delete).await.unwrap();
    inbox::hear_all(&core, &mut connection, &read, &mut position)
        .await
        .unwrap();
    let refused = [2, 4].map(|call| (kind::REFUSED, call));
    assert_eq!(said(&core), refused);
    assert_eq!(core.take_arrived().len(), 2);
    let len = redis.command(&["XLEN", "app:inbox:own"]).await.unwrap();
    assert_eq!(len.as_integer(), Some(0), "what was read is deleted");
    assert_eq!(core.set_claiming(Vec::new()), []);
    // Where it cannot be known, nothing begins.
    drop(said(&core));
    redis.command(&["DEL", "app:inbox:own"]).await.unwrap();
    redis
        .command(&["SET", "app:inbox:own", "of another type"])
        .await
        .unwrap();
    inbox::hear_all(&core, &mut connection, &read, &mut position)
        .await
        .unwrap_err();
    let refused = [1, 2, 3, 4].map(|call| (kind::REFUSED, call));
    assert_eq!(said(&core), refused);
    assert!(nobody_has_arrived(&core));
}

/// An entry with a call that has a time of its own, added when the clock of Redis stood so.
fn entry(ms: u64, timeout_ms: u64) -> Entry {
    let call = br#"{"jsonrpc":"2.0","method":"numbers.sum","params":{},"id":7}"#;
    Entry {
        id: EntryId { ms, number: 0 },
        envelope: Some(call.to_vec()),
        reply_to: Some(b"app:replies:c".to_vec()),
        timeout_ms: Some(timeout_ms),
        ..Entry::default()
    }
}

/// What time a call has left that was added at `ms` with ten seconds, when the clock of Redis is seen to stand at `now`;
/// `None`: it is not begun.
fn left(core: &Arc<Core>, ms: u64, now: u64) -> Option<Duration> {
    core.set_clock(now);
    let mut guard = Guard {
        core: Arc::clone(core),
        desk: 0,
        messages: Messages::new(JsonRpc::clamator(), &Limits::default()),
        limits: Limits::default(),
    };
    assert!(
        guard.admit(entry(ms, 10_000), 1).is_none(),
        "it is no operation"
    );
    let mut remote = core.take_arrived().pop_front()?;
    let mut cx = Context::from_waker(Waker::noop());
    let Poll::Ready(Some(Ok(inbound))) = Pin::new(&mut remote).poll_next(&mut cx) else {
        panic!("something was handed on");
    };
    match inbound.envelope {
        Envelope::Request(request) => request.timeout,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn r4_clocks_that_are_set_begin_nothing_late_and_give_nobody_more_time() {
    const NOON: u64 = 1_700_000_000_000;
    const HOUR: u64 = 3_600_000;
    let core = serves(4);
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(left(&core, NOON, NOON), seconds(10));
    assert_eq!(left(&core, NOON, NOON + 4_000), seconds(6));
    assert_eq!(left(&core, NOON, NOON + 10_000), None);
    // Redis is set back: its entries are of the future, and have the time that they were given.
    assert_eq!(left(&core, NOON, NOON - HOUR), seconds(10));
    // It is set forward: what was added before is late.
    assert_eq!(left(&core, NOON, NOON + HOUR), None);
    assert_eq!(left(&core, NOON + HOUR, NOON + HOUR), seconds(10));
    // Between two looks at it this side reckons by a clock that nobody sets.
    core.set_clock(NOON);
    tokio::time::advance(Duration::from_secs(4)).await;
    assert_eq!(core.redis_ms(), NOON + 4_000);
    // An entry of the future does not hide what comes after it is gone.
    let desk = &core.desks()[0];
    desk.begin(
        EntryId {
            ms: NOON + 4_000,
            number: 1,
        },
        core.redis_ms(),
    );
    desk.begin(
        EntryId {
            ms: NOON + HOUR,
            number: 1,
        },
        core.redis_ms(),
    );
    assert_eq!(desk.seen(), NOON + 4_000);
}
