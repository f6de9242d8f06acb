//! Tests of the client's parts without Redis.

mod given;
mod offers;

use super::core::{Batch, Core, Queued, Said};
use super::table::Candidate;
use super::write::{add, answered};
use crate::command::Call;
use crate::connect::Commands;
use crate::connect::Connector;
use crate::entry::field;
use crate::keys::Keys;
use crate::options::RedisOptions;
use crate::presence::Living;
use crate::session::{Note, Written, kind};
use mynah_protocol::{
    Cancel, CancelReason, DeliveryReport, DeliveryStatus, Envelope, ErrorCode, FormatId, Metadata,
    MethodName, Payload, Request, Streams, Undelivered, WireId,
};
use redis::{Arg, Value};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::Instant;

fn core(reply_max_len: usize) -> Arc<Core> {
    let mut options = RedisOptions::new("redis://127.0.0.1:1/0");
    options.reply_max_len = reply_max_len;
    let connector = Connector::new(&options).unwrap();
    Core::new(options, connector, Keys::new("app"), "c")
}

fn queued(id: Option<u64>, until: Option<Instant>) -> Queued {
    Queued {
        said: Said::Call(Call {
            stream: "app:cmds:arith".to_owned(),
            envelope: b"{}".to_vec(),
            reply_to: None,
            metadata: None,
            operation: None,
            frame: None,
        }),
        bytes: 2,
        id: id.map(WireId::Uint),
        service: "arith".to_owned(),
        until,
        unserved: false,
        told: false,
    }
}

/// The time that a call is written with, in milliseconds.
fn written(queued: &Queued, now: Instant) -> Option<String> {
    let mut commands = Commands::of_library();
    add(&core(8192), queued, now, &mut commands);
    let command = commands.each().next().unwrap();
    let mut arguments = command.args_iter().map(|argument| match argument {
        Arg::Simple(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        other => panic!("{other:?}"),
    });
    arguments.find(|name| name == field::TIMEOUT_MS)?;
    arguments.next()
}

#[test]
fn a_call_is_written_with_the_time_that_it_has_left() {
    let said = Instant::now();
    let after = |seconds| said + Duration::from_secs(seconds);
    let timely = queued(None, Some(after(30)));
    assert_eq!(written(&timely, said).as_deref(), Some("30000"));
    assert_eq!(written(&timely, after(29)).as_deref(), Some("1000"));
    assert_eq!(written(&timely, after(31)).as_deref(), Some("0"));
    assert_eq!(written(&queued(None, None), after(29)), None);
}

#[test]
fn no_more_calls_are_written_than_answers_are_kept_for() {
    let core = core(4);
    for id in 1..=5 {
        core.write(queued(Some(id), None));
    }
    core.write(queued(None, None));
    let take = || {
        let batch = core.take_batch(Vec::new());
        let ids = batch.calls.iter().map(|queued| queued.id.clone());
        ids.collect::<Vec<_>>()
    };
    let call = |id| Some(WireId::Uint(id));
    assert_eq!(take(), [call(1), call(2)]);
    assert_eq!(take(), []);
    // An answer makes room, to whatever was asked; one that nobody waits for does not.
    core.fail(WireId::Uint(77), ErrorCode::INTERNAL, "forged");
    assert_eq!(take(), []);
    core.fail(WireId::Uint(1), ErrorCode::INTERNAL, "answered");
    assert_eq!(take(), [call(3)]);
    // So does a call that is not waited for any more.
    assert!(!core.withdraw(&WireId::Uint(2)));
    let batch = core.take_batch(Vec::new());
    assert_eq!(batch.calls.len(), 1);
    core.put_back(batch);
    assert_eq!(take(), [call(4)]);
    core.close();
    assert_eq!(take(), [call(5), None]);
}

#[test]
fn what_is_said_in_sessions_waits_for_no_answers() {
    let core = core(2);
    core.write(queued(Some(1), None));
    core.write(queued(Some(2), None));
    let note = |number| Queued {
        said: Said::Note(
            "app:inbox:s".into(),
            Written {
                kind: kind::FRAME,
                call: 9,
                number,
                body: Vec::new(),
            },
        ),
        ..queued(None, None)
    };
    core.write(note(2));
    core.write(note(3));
    let take = || {
        let of = |queued: &Queued| match &queued.said {
            Said::Note(_, written) => (None, written.number),
            _ => (queued.id.clone(), 0),
        };
        core.take_batch(Vec::new())
            .calls
            .iter()
            .map(of)
            .collect::<Vec<_>>()
    };
    // One answer is kept room for: the second call waits, and what ends streams does not.
    assert_eq!(take(), [(None, 2), (None, 3), (Some(WireId::Uint(1)), 0)]);
    core.write(note(4));
    assert_eq!(take(), [(None, 4)]);
    core.fail(WireId::Uint(1), ErrorCode::INTERNAL, "answered");
    assert_eq!(take(), [(Some(WireId::Uint(2)), 0)]);
}

/// A call with a stream, as the peer says it.
fn stream_call(id: u64) -> Envelope<'static> {
    let streams = Streams {
        input: true,
        ..Streams::NONE
    };
    Envelope::Request(Request {
        id: WireId::Uint(id),
        name: MethodName::new("numbers", "sum"),
        timeout: None,
        metadata: Metadata::new(),
        streams,
        params: Payload::lent(FormatId::Json, b"{}"),
    })
}

/// What the peer is told next.
fn heard(core: &Core) -> Option<Envelope<'static>> {
    match core.poll_heard(&Context::from_waker(Waker::noop())) {
        Poll::Ready(heard) => Some(heard),
        Poll::Pending => None,
    }
}

/// A server that is alive until then, by the clock of Redis.
fn living(server: &str, until_ms: u64) -> Living {
    Living {
        instance: server.into(),
        until_ms,
        late: false,
    }
}

/// A server that takes the entries of calls out before it begins them.
fn candidate(server: &str) -> Candidate {
    Candidate {
        server: server.into(),
        until_ms: 12_000,
        claims: true,
    }
}

/// The batch with the first frame of a call for this server, as the writer has it before it is written.
fn given(core: &Arc<Core>, server: &str) -> Batch {
    let mut batch = core.take_batch(Vec::new());
    for queued in &mut batch.calls {
        if let Said::Open(call) = queued.said {
            let (inbox, written) = core.begin_session(call, candidate(server)).unwrap();
            queued.said = Said::Note(inbox, written);
        }
    }
    batch
}

const fn delivery(id: u64, status: DeliveryStatus) -> Envelope<'static> {
    Envelope::Delivery(DeliveryReport {
        id: WireId::Uint(id),
        status,
    })
}

#[test]
fn calls_that_wait_for_room_for_their_answers_are_told_so_once() {
    let core = core(4);
    for id in 1..=4 {
        core.write(queued(Some(id), None));
    }
    assert_eq!(core.take_batch(Vec::new()).calls.len(), 2);
    let waits = |id| delivery(id, DeliveryStatus::Waits);
    let mut told = [heard(&core), heard(&core)].map(Option::unwrap);
    told.sort_by_key(|told| format!("{told:?}"));
    assert_eq!(told, [waits(3), waits(4)]);
    core.write(queued(Some(5), None));
    assert_eq!(core.take_batch(Vec::new()).calls.len(), 0);
    assert_eq!(heard(&core), Some(waits(5)));
    assert_eq!(core.take_batch(Vec::new()).calls.len(), 0);
    assert_eq!(heard(&core), None, "they know it");
    // Once there is room it is written, and that is told as well.
    core.was_not_written(&WireId::Uint(1));
    let mut batch = core.take_batch(Vec::new());
    assert_eq!(batch.calls.len(), 1);
    answered(&core, &mut batch, vec![Value::BulkString(b"1-0".to_vec())]);
    assert_eq!(heard(&core), Some(delivery(3, DeliveryStatus::Written)));
}

#[tokio::test]
async fn a_call_for_a_server_that_is_gone_is_given_to_another_whatever_else_was_written() {
    let core = core(8);
    assert!(core.say_in_session(stream_call(7)).is_none());
    let mut batch = given(&core, "gone");
    // A beat of other sessions stands ahead of it.
    core.write_note(
        "mynah:inbox:gone".into(),
        kind::BEAT,
        0,
        0,
        b"1:1 ".to_vec(),
    );
    core.write_note("app:inbox:gone".into(), kind::BEAT, 0, 0, b"1:1 ".to_vec());
    let beats = core.take_batch(Vec::new());
    batch.calls.splice(0..0, beats.calls);
    let answers = vec![Value::Nil; batch.calls.len()];
    answered(&core, &mut batch, answers);
    let waits = delivery(7, DeliveryStatus::Waits);
    assert_eq!(heard(&core), Some(waits), "it has not ended");
    let again = core.take_batch(Vec::new());
    assert!(matches!(again.calls[0].said, Said::Open(7)), "{again:?}");
}

/// A Redis that has come back refuses everything while it loads what it kept; so does a primary that was made a replica.
#[tokio::test]
async fn frames_that_are_refused_for_a_while_are_written_again_in_their_order() {
    let core = core(8);
    assert!(core.say_in_session(stream_call(7)).is_none());
    let mut first = given(&core, "one");
    let Said::Note(inbox, opening) = &first.calls[0].said else {
        panic!("{first:?}");
    };
    let (inbox, call) = (Arc::clone(inbox), opening.call);
    let taken = vec![Value::BulkString(b"1-0".to_vec())];
    answered(&core, &mut first, taken);
    assert_eq!(heard(&core), Some(delivery(7, DeliveryStatus::Written)));
    for number in [2, 3] {
        core.write_note(Arc::clone(&inbox), kind::FRAME, call, number, Vec::new());
    }
    core.write_note(inbox, kind::BEAT, 0, 0, b"1:1 ".to_vec());
    for (refusal, leaves) in [("LOADING", false), ("READONLY", true)] {
        let mut batch = core.take_batch(Vec::new());
        let error = format!("-{refusal} not now\r\n");
        let refused = redis::parse_redis_value(error.as_bytes()).unwrap();
        let answers = vec![refused; batch.calls.len()];
        let outcome = answered(&core, &mut batch, answers);
        assert_eq!((outcome.again, outcome.elsewhere), (true, leaves));
        assert_eq!(heard(&core), None, "nothing was lost");
    }
    let again = core.take_batch(Vec::new());
    let numbers = again.calls.iter().map(|queued| match &queued.said {
        Said::Note(_, note) => note.number,
        other => panic!("{other:?}"),
    });
    assert_eq!(
        numbers.collect::<Vec<_>>(),
        [2, 3],
        "a beat is none of them"
    );
    assert!(core.has_session(call));
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_server_has_gone_in_order_waits_for_its_word() {
    let core = core(8);
    assert!(core.say_in_session(stream_call(7)).is_none());
    let mut written = given(&core, "gone");
    answered(
        &core,
        &mut written,
        vec![Value::BulkString(b"1-0".to_vec())],
    );
    assert_eq!(heard(&core), Some(delivery(7, DeliveryStatus::Written)));
    core.lost_inbox("app:inbox:gone");
    core.end_silent_sessions(&core.pulse());
    assert_eq!(heard(&core), None, "it may have been left unread");
    tokio::time::advance(Duration::from_secs(3)).await;
    core.end_silent_sessions(&core.pulse());
    let gone = DeliveryStatus::Failed(Undelivered::PeerGone);
    assert_eq!(heard(&core), Some(delivery(7, gone)));
    assert_eq!(core.sessions.lock().held(), 0);
}

#[tokio::test]
async fn what_a_server_says_of_an_earlier_time_means_nothing() {
    let core = core(8);
    assert!(core.say_in_session(stream_call(7)).is_none());
    let number = |batch: &Batch| match &batch.calls[0].said {
        Said::Note(_, first) => (first.number, first.call),
        other => panic!("{other:?}"),
    };
    let first = given(&core, "one");
    let (one, earlier) = number(&first);
    let note = |kind: &str, call, body: &str| Note {
        kind: kind.as_bytes().to_vec(),
        from: b"one".to_vec(),
        call,
        number: 0,
        body: body.as_bytes().to_vec(),
    };
    let mut all = Vec::new();
    core.hear_note(&note(kind::BUSY, earlier, ""), &mut all);
    let second = given(&core, "one");
    let (again, later) = number(&second);
    assert_eq!((one, again), (1, 1));
    assert_ne!(earlier, later);
    assert!(!core.has_session(earlier) && core.has_session(later));
    for kind in [kind::BUSY, kind::REFUSED, kind::FRAME] {
        core.hear_note(&note(kind, earlier, ""), &mut all);
    }
    core.hear_note(&note(kind::GONE, 0, &earlier.to_string()), &mut all);
    assert_eq!(all, []);
    assert!(
        core.take_batch(Vec::new()).calls.is_empty(),
        "nobody else is asked"
    );
    core.hear_note(&note(kind::GONE, 0, &later.to_string()), &mut all);
    let gone = DeliveryStatus::Failed(Undelivered::PeerGone);
    assert_eq!(all, [delivery(7, gone)]);
    assert_eq!(core.sessions.lock().held(), 0);
}

#[tokio::test]
async fn many_sessions_are_spread_and_leave_nothing() {
    const MANY: u64 = 10_000;
    let core = core(100_000);
    let servers = ["a", "b", "c", "d"].map(|server| living(server, 12_000));
    for id in 1..=MANY {
        assert!(core.say_in_session(stream_call(id)).is_none());
        let server = core.least_loaded(servers.iter()).unwrap();
        core.begin_session(id, candidate(&server.instance)).unwrap();
    }
    let load = |server| core.sessions.lock().load(server);
    assert_eq!(["a", "b", "c", "d"].map(load), [(false, 2500); 4]);
    core.lost_inbox("app:inbox:a");
    for id in 1..=MANY {
        let cancel = Envelope::Cancel(Cancel {
            id: WireId::Uint(id),
            reason: CancelReason::Caller,
        });
        assert!(core.say_in_session(cancel).is_none());
    }
    let table = core.sessions.lock();
    assert_eq!((table.calls.len(), table.held()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_of_its_sessions_is_the_last_to_be_asked() {
    let core = core(8);
    let servers = ["dead", "alive"].map(|server| living(server, 12_000));
    let mut numbers = Vec::new();
    for (id, server) in [(1, "dead"), (2, "alive"), (3, "alive")] {
        assert!(core.say_in_session(stream_call(id)).is_none());
        let (_, first) = core.begin_session(id, candidate(server)).unwrap();
        numbers.push(first.call);
    }
    let least = || {
        core.least_loaded(servers.iter())
            .map(|server| server.instance.to_string())
    };
    assert_eq!(least().as_deref(), Some("dead"));
    for _ in 0..3 {
        tokio::time::advance(Duration::from_secs(3)).await;
        let beat = Note {
            kind: kind::BEAT.as_bytes().to_vec(),
            from: b"alive".to_vec(),
            body: format!("{}:0 {}:0 ", numbers[1], numbers[2]).into_bytes(),
            ..Note::default()
        };
        core.hear_note(&beat, &mut Vec::new());
    }
    assert_eq!(least().as_deref(), Some("alive"));
    // Where there is nobody else it is asked.
    assert!(core.least_loaded(servers[..1].iter()).is_some());
}

#[tokio::test]
async fn all_who_read_answers_go_on_when_there_is_room() {
    let core = core(8);
    let many = (0..5000).map(|id| delivery(id, DeliveryStatus::Written));
    core.hear(many);
    let mut readers: [Pin<Box<dyn Future<Output = ()> + '_>>; 2] = [
        Box::pin(core.wait_for_room()),
        Box::pin(core.wait_for_room()),
    ];
    let mut all = || {
        let mut cx = Context::from_waker(Waker::noop());
        readers
            .each_mut()
            .map(|reader| reader.as_mut().poll(&mut cx).is_ready())
    };
    assert_eq!(all(), [false, false]);
    while heard(&core).is_some() {}
    assert_eq!(all(), [true, true]);
}
