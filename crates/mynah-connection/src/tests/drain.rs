//! The end: draining and closing.

use super::*;
use crate::{CloseReason, OpenError};
use mynah_protocol::ErrorCode;
use recorder::End;

#[track_caller]
fn drains(connection: &mut Connection) -> Vec<Seen> {
    let mut seen = Recorder::default();
    connection.start_drain(&mut seen);
    seen.take()
}

#[test]
fn draining_refuses_the_new_and_lets_the_old_end() {
    let mut one = connection(&Limits::new());
    let ours = opens(&mut one, START, None, 1);
    let theirs = admits(&mut one, START, request(WireId::Uint(1), None, 2));
    assert_eq!(drains(&mut one), [Seen::GoingAway]);
    assert_eq!(drains(&mut one), [], "said once");
    assert!(one.is_draining());
    let refused = [Seen::Refused(WireId::Uint(2), ErrorCode::DRAINING)];
    assert_eq!(
        arrives(&mut one, START, request(WireId::Uint(2), None, 3)),
        refused
    );
    assert_eq!(arrives(&mut one, START, notification(None, 4)), []);
    assert_eq!(one.dropped_notifications(), 1);
    assert!(!one.is_idle());
    assert_eq!(
        arrives(&mut one, START, reply(ours.into(), 1)),
        [Seen::Ended(1, End::Reply(1))]
    );
    assert_eq!(one.finish(theirs), Some(WireId::Uint(1)));
    assert!(matches!(one.open(START, None), Err(OpenError::Draining)));
    assert!(!one.is_idle(), "the answer has not left");
    one.flushed(1);
    assert!(one.is_idle());
    one.take(ours);
    assert_empty(&one);
}

#[test]
fn a_peer_that_ends_its_direction_is_answered_and_answers_nothing() {
    let mut one = connection(&Limits::new());
    let ours = opens(&mut one, START, None, 1);
    let theirs = admits(&mut one, START, request(WireId::Uint(1), None, 2));
    let mut seen = Recorder::default();
    one.handle_half_close(&mut seen);
    assert_eq!(seen.take(), [Seen::Ended(1, End::Lost)]);
    one.take(ours);
    assert!(matches!(
        one.open(START, None),
        Err(OpenError::Closed(CloseReason::PeerGone))
    ));
    assert!(!one.is_answered(), "a handler runs");
    assert_eq!(one.finish(theirs), Some(WireId::Uint(1)));
    assert!(!one.is_answered(), "the answer has not left");
    one.flushed(1);
    assert!(one.is_answered());
    assert_empty(&one);
}

#[test]
fn a_peer_that_goes_away_still_calls_and_is_told_once_when_we_go_too() {
    let mut one = connection(&Limits::new());
    assert_eq!(arrives(&mut one, START, going_away()), []);
    assert!(matches!(one.open(START, None), Err(OpenError::Draining)));
    let key = admits(&mut one, START, request(WireId::Uint(1), None, 1));
    assert_eq!(one.finish(key), Some(WireId::Uint(1)));
    assert_eq!(drains(&mut one), [Seen::GoingAway]);
    assert_eq!(drains(&mut one), []);
    let refused = [Seen::Refused(WireId::Uint(2), ErrorCode::DRAINING)];
    assert_eq!(
        arrives(&mut one, START, request(WireId::Uint(2), None, 1)),
        refused
    );
}

#[test]
fn our_own_drain_is_not_forgotten_when_the_peer_goes_away_too() {
    let mut one = connection(&Limits::new());
    drains(&mut one);
    arrives(&mut one, START, going_away());
    let refused = [Seen::Refused(WireId::Uint(2), ErrorCode::DRAINING)];
    assert_eq!(
        arrives(&mut one, START, request(WireId::Uint(2), None, 1)),
        refused
    );
}

#[test]
fn a_handler_that_still_runs_may_call_its_peer_back() {
    let mut one = connection(&Limits::new());
    drains(&mut one);
    assert!(matches!(one.open(START, None), Err(OpenError::Draining)));
    let mut one = connection(&Limits::new());
    let key = admits(&mut one, START, request(WireId::Uint(1), None, 1));
    drains(&mut one);
    let back = opens(&mut one, START, None, 2);
    arrives(&mut one, START, reply(back.into(), 2));
    one.take(back);
    one.finish(key);
    assert!(matches!(one.open(START, None), Err(OpenError::Draining)));
    // A peer that goes away takes nothing new.
    let mut one = connection(&Limits::new());
    admits(&mut one, START, request(WireId::Uint(1), None, 1));
    arrives(&mut one, START, going_away());
    assert!(matches!(one.open(START, None), Err(OpenError::Draining)));
    drains(&mut one);
    assert!(matches!(one.open(START, None), Err(OpenError::Draining)));
}

#[test]
fn callbacks_belong_to_calls_in_flight_and_outlast_a_drain() {
    let limits = Limits::new().with_calls_in_flight(1);
    let mut one = connection(&limits);
    let ask = |id| {
        Envelope::Request(Request {
            name: MethodName::new(CALLBACK, "1"),
            ..plain_request(WireId::Uint(id), None, 9)
        })
    };
    let ours = opens(&mut one, START, None, 1);
    drains(&mut one);
    let asked = admits(&mut one, START, ask(1));
    // What is told needs no permit.
    let told = admits(&mut one, START, tell(2));
    assert_eq!(one.dropped_notifications(), 0);
    one.finish(asked);
    one.finish(told);
    one.flushed(1);
    // Without a call in flight there is nobody to call back.
    arrives(&mut one, START, reply(ours.into(), 1));
    one.take(ours);
    let refused = [Seen::Refused(WireId::Uint(3), ErrorCode::DRAINING)];
    assert_eq!(arrives(&mut one, START, ask(3)), refused);
    assert_eq!(arrives(&mut one, START, tell(4)), []);
    assert_eq!(one.dropped_notifications(), 1);
    assert_empty(&one);
}

#[test]
fn streams_go_on_while_a_side_drains() {
    let mut one = connection(&Limits::new());
    let streams = crate::OpenStreams {
        result: Some(window(2, 100)),
        input: true,
        until_first: false,
    };
    let (ours, slot) = one.open_streams(START, None, streams).expect("room");
    *slot = 1;
    let theirs = WireId::Uint(1);
    let request = stream_request(theirs.clone(), Some(window(1, 10)), true);
    let key = admits(&mut one, START, request);
    drains(&mut one);
    arrives(&mut one, START, going_away());
    let mut seen = Recorder::default();
    assert!(one.open_input(key, &mut seen));
    let came = items(ours.into(), StreamSide::Result, window(2, 20));
    assert_eq!(arrives(&mut one, START, came), [Seen::Items(1, 2)]);
    one.taken(ours, window(2, 20), &mut seen);
    assert_eq!(seen.take().len(), 2, "both grant credit");
    let more = credit(theirs.clone(), StreamSide::Result, window(1, 10));
    assert_eq!(arrives(&mut one, START, more), [Seen::ResultCredit(key)]);
    let came = items(theirs, StreamSide::Input, window(1, 10));
    assert_eq!(arrives(&mut one, START, came), [Seen::Input(key, 1)]);
    assert!(!one.is_idle());
    arrives(&mut one, START, reply(ours.into(), 1));
    one.take(ours);
    one.finish(key);
    one.flushed(1);
    assert!(one.is_idle());
    assert_empty(&one);
}

fn asks(connection: &mut Connection, now: Moment) -> Vec<Seen> {
    let mut seen = Recorder::default();
    connection.ask_heard(now, &mut seen);
    seen.take()
}

/// What the peer sent before it has heard of the drain arrives ahead of its answer.
#[test]
fn a_drain_waits_until_the_peer_has_heard_of_it() {
    let mut one = connection(&Limits::new().with_violation_budget(0));
    drains(&mut one);
    assert!(one.is_heard(), "nobody was asked");
    assert_eq!(asks(&mut one, START), [Seen::Ping(0)]);
    assert!(one.is_idle() && !one.is_heard());
    let refused = [Seen::Refused(WireId::Uint(1), ErrorCode::DRAINING)];
    assert_eq!(
        arrives(&mut one, START, request(WireId::Uint(1), None, 1)),
        refused
    );
    assert!(!one.is_heard());
    assert_eq!(arrives(&mut one, START, Envelope::Pong(0)), []);
    assert!(one.is_heard());

    // One that does not answer is waited for a second, and may answer later.
    assert_eq!(asks(&mut one, at(100)), [Seen::Ping(0)]);
    assert!(one.poll_timeout() <= at(1100));
    passes(&mut one, at(1099));
    assert!(!one.is_heard());
    passes(&mut one, at(1100));
    assert!(one.is_heard());
    assert_eq!(arrives(&mut one, at(1200), Envelope::Pong(0)), []);

    // A large request may take longer to come: while something comes, it is waited for.
    assert_eq!(asks(&mut one, at(2000)), [Seen::Ping(0)]);
    one.handle_bytes(at(2900), 64 << 10);
    passes(&mut one, at(3000));
    assert!(!one.is_heard());
    passes(&mut one, at(3900));
    assert!(one.is_heard());
}

/// The answer to the question goes behind what was said before it, and other answers go ahead.
#[test]
fn a_side_that_was_told_of_a_drain_answers_behind_its_requests() {
    let mut one = connection(&Limits::new());
    let mut seen = Recorder::default();
    one.handle(START, Envelope::Ping(0), &mut seen).unwrap();
    assert_eq!(seen.take(), [Seen::Pong(0)]);
    arrives(&mut one, START, going_away());
    // It costs nothing, once.
    assert_eq!(
        arrives(&mut one, START, Envelope::Ping(0)),
        [Seen::PongBehind(0)]
    );
    let before = one.forgiven();
    one.handle(START, Envelope::Ping(0), &mut seen).unwrap();
    assert_eq!(seen.take(), [Seen::Pong(0)]);
    assert_eq!(one.forgiven(), before - 1);
}

#[test]
fn a_peer_that_has_not_introduced_itself_is_waited_for() {
    let mut one = connection(&Limits::new());
    one.await_peer(START);
    assert!(!one.is_heard() && !one.is_draining());
    passes(&mut one, at(1000));
    assert!(one.is_heard());
}

#[test]
fn a_wire_without_pings_is_not_asked() {
    let mut capabilities = mynah_protocol::Capabilities::ALL;
    capabilities.ping = false;
    let profile = Profile::new("test", FORMAT).with_capabilities(capabilities);
    let mut one = Connection::new(&Limits::new(), &profile, START);
    drains(&mut one);
    assert_eq!(asks(&mut one, START), []);
    assert!(one.is_heard());
}

#[test]
fn a_wire_that_cannot_say_it_drains_in_silence() {
    let mut capabilities = mynah_protocol::Capabilities::ALL;
    capabilities.going_away = false;
    let profile = Profile::new("test", FORMAT).with_capabilities(capabilities);
    let mut one = Connection::new(&Limits::new(), &profile, START);
    assert_eq!(drains(&mut one), []);
    assert!(one.is_draining());
}

#[test]
fn close_ends_everything_exactly_once_and_stays() {
    let mut one = connection(&Limits::new().with_keep_alive(Some(ms(100))));
    let waits = opens(&mut one, START, Some(ms(5)), 1);
    let ended = opens(&mut one, START, None, 2);
    arrives(&mut one, START, reply(ended.into(), 2));
    let given_up = opens(&mut one, START, None, 3);
    one.cancel(given_up, CancelReason::Caller, &mut Recorder::default());
    let fresh = admits(&mut one, START, request(WireId::Uint(1), Some(ms(5)), 4));
    let parked = admits(&mut one, START, request(WireId::Uint(2), Some(ms(5)), 5));
    one.park(parked);
    let stopped = admits(&mut one, START, request(WireId::Uint(3), None, 6));
    arrives(
        &mut one,
        START,
        cancel(WireId::Uint(3), CancelReason::Caller),
    );
    let answered = admits(&mut one, START, request(WireId::Uint(4), None, 7));
    one.finish(answered);

    let mut seen = Recorder::default();
    one.close(CloseReason::PeerGone, &mut seen);
    let caller = CancelReason::Caller;
    assert_eq!(
        seen.take(),
        [
            Seen::Ended(1, End::Lost),
            Seen::Stop(fresh, caller),
            Seen::Stop(parked, caller)
        ]
    );
    one.close(CloseReason::Local, &mut seen);
    assert!(
        matches!(one.closed(), Some(CloseReason::PeerGone)),
        "the first reason stays"
    );
    assert!(matches!(
        one.open(START, None),
        Err(OpenError::Closed(CloseReason::PeerGone))
    ));

    // Nothing that comes now, or that time brings, has an effect.
    one.park(fresh);
    assert_eq!(one.poll_timeout(), Moment::NEVER);
    one.handle_bytes(at(1), 10);
    for envelope in [
        request(WireId::Uint(9), None, 9),
        notification(None, 9),
        reply(waits.into(), 1),
        progress(waits.into()),
        log(None),
        cancel(WireId::Uint(1), caller),
        Envelope::Ping(1),
        Envelope::Pong(1),
        going_away(),
    ] {
        assert_eq!(arrives(&mut one, at(1), envelope), []);
    }
    assert_eq!(passes(&mut one, at(1_000_000)), []);
    one.start_drain(&mut seen);
    one.cancel(waits, caller, &mut seen);
    assert_eq!(seen.take(), []);
    assert!(!one.is_draining());

    // Handlers and callers come home; answers hold no permit that nobody brings back.
    assert_eq!(one.finish(fresh), Some(WireId::Uint(1)));
    assert_eq!(one.finish(parked), Some(WireId::Uint(2)));
    assert_eq!(one.finish(stopped), Some(WireId::Uint(3)));
    one.take(waits);
    one.take(ended);
    assert_empty(&one);
    one.flushed(4);
    assert_empty(&one);
}

#[test]
fn a_peer_that_says_why_it_closes_is_heard() {
    let says = |code, message: &'static str| {
        let mut one = connection(&Limits::new());
        let away = GoingAway {
            code,
            message: message.into(),
        };
        arrives(&mut one, START, Envelope::GoingAway(away));
        one.close(CloseReason::PeerGone, &mut Recorder::default());
        one.closed().map(ToString::to_string)
    };
    assert_eq!(
        says(ErrorCode::VERSION_MISMATCH, "speaks 2").as_deref(),
        Some("peer ended the connection: -32011 (version_mismatch): speaks 2")
    );
    assert_eq!(
        says(ErrorCode::DRAINING, "draining").as_deref(),
        Some("drained")
    );
    let long = says(
        ErrorCode::PROTOCOL_VIOLATION,
        "0123456789".repeat(100).leak(),
    );
    assert!(long.is_some_and(|text| text.len() < 400));
}
