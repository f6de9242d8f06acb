//! Ids, side messages, and what a driver may get wrong.

use super::*;
use crate::OpenError;
use mynah_protocol::{CallId, ErrorCode};
use recorder::End;
use std::collections::HashSet;

#[test]
fn s1_no_side_message_after_end() {
    let mut caller = connection(&Limits::new().with_violation_budget(0));
    let mut seen = Recorder::default();
    let ends: [fn(&mut Connection, CallId); 4] = [
        |one, id| drop(arrives(one, START, reply(id.into(), 0))),
        |one, id| drop(arrives(one, START, failure(id.into(), ErrorCode::BUSY))),
        |one, id| one.cancel(id, CancelReason::Caller, &mut Recorder::default()),
        |one, _| drop(passes(one, at(5))),
    ];
    for (serial, end) in (0..).zip(ends) {
        let id = opens(&mut caller, START, Some(ms(5)), serial);
        assert_eq!(
            arrives(&mut caller, START, progress(id.into())),
            [Seen::Side(serial)]
        );
        assert_eq!(
            arrives(&mut caller, START, log(Some(id.into()))),
            [Seen::Side(serial)]
        );
        end(&mut caller, id);
        assert_eq!(arrives(&mut caller, START, progress(id.into())), []);
        caller.take(id);
        assert_eq!(arrives(&mut caller, START, log(Some(id.into()))), []);
        // Not even to the next call in the slot.
        let next = opens(&mut caller, START, None, 100);
        assert_eq!(arrives(&mut caller, START, progress(id.into())), []);
        caller.take(next);
    }
    caller.close(crate::CloseReason::Local, &mut seen);
    assert_eq!(arrives(&mut caller, START, log(None)), []);
}

#[test]
fn s1_the_callee_has_no_id_to_say_them_under() {
    let mut callee = connection(&Limits::new());
    let key = admits(&mut callee, START, request(WireId::Uint(5), None, 1));
    assert_eq!(callee.wire_id(key), Some(&WireId::Uint(5)));
    callee.park(key);
    arrives(
        &mut callee,
        START,
        cancel(WireId::Uint(5), CancelReason::Caller),
    );
    assert_eq!(callee.wire_id(key), Some(&WireId::Uint(5)));
    callee.finish(key);
    assert_eq!(callee.wire_id(key), None);
    // The slot is used again; the old key is still over.
    let next = admits(&mut callee, START, request(WireId::Uint(6), None, 2));
    assert_eq!(next.index(), key.index());
    assert_eq!(callee.wire_id(key), None);
    assert!(!callee.is_live(key));
    assert_eq!(callee.handler_mut(key), None);
    assert_eq!(callee.cancelled(key), None);
    assert_eq!(callee.finish(key), None);
    assert!(callee.is_live(next));
}

#[test]
fn ids_are_unique_below_2_to_the_53_and_never_0() {
    let mut one = connection(&Limits::new().with_outgoing_calls(7));
    let mut ids = HashSet::new();
    let mut live = std::collections::VecDeque::new();
    for serial in 0..10_000 {
        if live.len() == 7 {
            one.take(live.pop_front().expect("seven"));
        }
        let id = opens(&mut one, START, None, serial);
        assert!((1..1 << 53).contains(&id.value()));
        assert!(ids.insert(id), "{id:?} was given twice");
        live.push_back(id);
        if serial % 7 == 3 {
            one.take(live.pop_back().expect("one"));
        }
    }
}

#[test]
fn calls_past_the_limit_are_refused_and_room_comes_back() {
    let mut one = connection(&Limits::new().with_outgoing_calls(2));
    let first = opens(&mut one, START, None, 1);
    let second = opens(&mut one, START, None, 2);
    assert!(matches!(one.open(START, None), Err(OpenError::Full(2))));
    arrives(&mut one, START, reply(first.into(), 1));
    assert!(
        matches!(one.open(START, None), Err(OpenError::Full(2))),
        "its outcome waits"
    );
    one.take(first);
    opens(&mut one, START, None, 3);
    one.cancel(second, CancelReason::Caller, &mut Recorder::default());
    opens(&mut one, START, None, 4);
    // As many as the ids have room for, whatever the limit says.
    let mut wide = connection(&Limits::new().with_outgoing_calls(u32::MAX));
    for serial in 0..65_536 {
        opens(&mut wide, START, None, serial);
    }
    assert!(matches!(
        wide.open(START, None),
        Err(OpenError::Full(65_536))
    ));
}

#[test]
fn limits_of_zero_refuse_everything() {
    let limits = Limits::new().with_outgoing_calls(0).with_calls_in_flight(0);
    let mut one = connection(&limits);
    assert!(matches!(one.open(START, None), Err(OpenError::Full(0))));
    let busy = [Seen::Refused(WireId::Uint(1), ErrorCode::BUSY)];
    assert_eq!(
        arrives(&mut one, START, request(WireId::Uint(1), None, 1)),
        busy
    );
}

#[test]
fn a_permit_comes_home_when_its_answer_has_left() {
    let mut one = connection(&Limits::new().with_calls_in_flight(1));
    let busy = |id| [Seen::Refused(WireId::Uint(id), ErrorCode::BUSY)];
    let key = admits(&mut one, START, request(WireId::Uint(1), None, 1));
    assert_eq!(
        arrives(&mut one, START, request(WireId::Uint(2), None, 2)),
        busy(2)
    );
    one.finish(key);
    assert_eq!(
        arrives(&mut one, START, request(WireId::Uint(3), None, 3)),
        busy(3)
    );
    one.flushed(1);
    // A notification has no answer: its permit comes home with its end.
    let fired = admits(&mut one, START, notification(None, 4));
    assert_eq!(
        arrives(&mut one, START, request(WireId::Uint(5), None, 5)),
        busy(5)
    );
    assert_eq!(one.finish(fired), None);
    admits(&mut one, START, request(WireId::Uint(6), None, 6));
}

#[test]
fn an_error_of_the_peer_ends_a_call_as_it_is() {
    let mut one = connection(&Limits::new());
    let id = opens(&mut one, START, None, 1);
    let code = ErrorCode::BUSY;
    let ended = [Seen::Ended(1, End::Error(code))];
    assert_eq!(arrives(&mut one, START, failure(id.into(), code)), ended);
}

#[test]
fn misuse_by_the_driver_does_no_harm() {
    let mut one = connection(&Limits::new());
    let mut seen = Recorder::default();
    one.flushed(usize::MAX);
    for id in [0, 1, 1 << 16, CallId::MAX] {
        let id = CallId::new(id).expect("small");
        one.take(id);
        one.cancel(id, CancelReason::Caller, &mut seen);
        assert!(one.call_mut(id).is_none());
    }
    // A key of another connection.
    let mut other = connection(&Limits::new());
    for serial in 0..3 {
        let key = admits(
            &mut other,
            START,
            request(WireId::Uint(serial), None, serial),
        );
        one.park(key);
        assert_eq!(one.finish(key), None);
        assert!(!one.is_live(key));
    }
    // Everything twice, in any order.
    let key = admits(&mut one, START, request(WireId::Uint(1), None, 1));
    one.park(key);
    one.park(key);
    one.finish(key);
    one.finish(key);
    one.park(key);
    one.flushed(7);
    one.flushed(7);
    let id = opens(&mut one, START, None, 1);
    one.take(id);
    one.take(id);
    one.cancel(id, CancelReason::Caller, &mut seen);
    assert_eq!(seen.take(), []);
    assert_empty(&one);
}

#[test]
fn messages_of_the_whole_connection_are_passed_on() {
    let mut one = connection(&Limits::new());
    assert_eq!(arrives(&mut one, START, log(None)), [Seen::Log]);
    assert_eq!(arrives(&mut one, START, event()), [Seen::Event]);
    let mut seen = Recorder::default();
    one.handle(START, Envelope::Ping(u64::MAX), &mut seen)
        .expect("a ping");
    assert_eq!(seen.take(), [Seen::Pong(u64::MAX)]);
}

/// An event or a line of log that a handler hears is one more notification: it holds a permit, and is dropped
/// without one, or while this side drains.
#[test]
fn what_a_handler_hears_takes_a_permit() {
    let mut one = connection(&Limits::new().with_calls_in_flight(2));
    let event = || {
        Envelope::Event(Event {
            topic: "handled".into(),
            message: payload(7),
        })
    };
    let line = || {
        Envelope::Log(Log {
            id: None,
            level: 1,
            dropped: 0,
            content: payload(8),
        })
    };
    let hears = |one: &mut Connection, said| match arrives(one, START, said).as_slice() {
        [Seen::Event | Seen::Log, Seen::Start(key, number)] => (*key, *number),
        other => panic!("not heard: {other:?}"),
    };
    let (first, number) = hears(&mut one, event());
    assert_eq!(number, 7);
    let (second, number) = hears(&mut one, line());
    assert_eq!(number, 8);
    assert_eq!(arrives(&mut one, START, event()), [Seen::Event]);
    assert_eq!((one.permits_taken(), one.dropped_notifications()), (2, 1));
    assert_eq!(one.handlers().count(), 2);
    one.park(first);
    assert_eq!(one.finish(first), None, "nobody waits for an answer");
    assert_eq!(one.finish(second), None);
    assert_empty(&one);
    one.start_drain(&mut Recorder::default());
    assert_eq!(arrives(&mut one, START, event()), [Seen::Event]);
    assert_eq!(one.dropped_notifications(), 2);
    assert_empty(&one);
}
