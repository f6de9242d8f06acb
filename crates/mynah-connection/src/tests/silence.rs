//! Idle time-out and keep-alive.

use super::*;
use crate::CloseReason;

#[track_caller]
fn ends(connection: &mut Connection, now: Moment) -> &'static str {
    match connection.handle_timeout(now, &mut Recorder::default()) {
        Err(CloseReason::TimedOut(what)) => what,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn pings(connection: &mut Connection, now: Moment) -> u64 {
    match passes(connection, now).as_slice() {
        [Seen::Ping(number)] => *number,
        other => panic!("{other:?}"),
    }
}

#[test]
fn idle_connection_is_closed() {
    let mut one = connection(&Limits::new().with_idle_timeout(Some(ms(100))));
    assert_eq!(one.poll_timeout(), at(100));
    one.handle_bytes(at(60), 1024);
    assert_eq!(passes(&mut one, at(100)), []);
    assert_eq!(one.poll_timeout(), at(160));
    assert_eq!(passes(&mut one, at(159)), []);
    assert_eq!(ends(&mut one, at(160)), "connection was idle");
}

/// A message that never ends is no use of a connection; one that comes along is, and so is one that has come.
#[test]
fn l3_a_byte_now_and_then_does_not_keep_a_connection() {
    let limits = Limits::new().with_idle_timeout(Some(ms(100)));
    let mut one = connection(&limits);
    for now in (0..100).step_by(10) {
        one.handle_bytes(at(now), 1);
        assert_eq!(passes(&mut one, at(now)), []);
    }
    assert_eq!(ends(&mut one, at(100)), "connection was idle");
    let mut one = connection(&limits);
    for now in (0..1000).step_by(10) {
        one.handle_bytes(at(now), 200);
        assert_eq!(passes(&mut one, at(now)), []);
    }
    let mut one = connection(&limits);
    for now in (0..1000).step_by(90) {
        one.handle_bytes(at(now), 10);
        let call = admits(&mut one, at(now), request(WireId::Uint(now), None, 1));
        one.finish(call);
        one.flushed(1);
        assert_eq!(passes(&mut one, at(now)), []);
    }
    assert_eq!(ends(&mut one, at(1090)), "connection was idle");
}

#[test]
fn calls_in_flight_keep_a_silent_connection() {
    let mut one = connection(&Limits::new().with_idle_timeout(Some(ms(100))));
    let ours = opens(&mut one, START, None, 1);
    assert_eq!(passes(&mut one, at(100)), []);
    let theirs = admits(&mut one, at(150), request(WireId::Uint(1), None, 1));
    one.cancel(ours, CancelReason::Caller, &mut Recorder::default());
    assert_eq!(passes(&mut one, at(250)), []);
    one.finish(theirs);
    assert_eq!(
        passes(&mut one, at(350)),
        [],
        "an answer that has not left is in flight, too"
    );
    one.flushed(1);
    assert_eq!(ends(&mut one, at(450)), "connection was idle");
}

#[test]
fn silent_peer_is_asked_and_then_given_up() {
    let mut one = connection(&Limits::new().with_keep_alive(Some(ms(100))));
    assert_eq!(one.poll_timeout(), at(100));
    let number = pings(&mut one, at(100));
    assert!(number <= mynah_protocol::CallId::MAX);
    assert_eq!(one.poll_timeout(), at(200));
    one.handle_bytes(at(199), 10);
    arrives(&mut one, at(199), Envelope::Pong(number));
    assert_eq!(passes(&mut one, at(200)), []);
    assert_eq!(one.poll_timeout(), at(299));
    pings(&mut one, at(299));
    assert_eq!(passes(&mut one, at(398)), [], "asked once");
    assert_eq!(ends(&mut one, at(399)), "peer gives no sign of life");
}

#[test]
fn any_byte_is_a_sign_of_life_and_the_pong_is_still_awaited() {
    let mut one = connection(
        &Limits::new()
            .with_keep_alive(Some(ms(100)))
            .with_violation_budget(0),
    );
    let number = pings(&mut one, at(100));
    one.handle_bytes(at(150), 10);
    assert_eq!(passes(&mut one, at(200)), []);
    arrives(&mut one, at(240), Envelope::Pong(number));
    one.handle(at(240), Envelope::Pong(number), &mut Recorder::default())
        .expect_err("one pong for one ping");
}

#[test]
fn calls_in_flight_do_not_make_a_dead_peer_alive() {
    // With an idle time-out shorter than the keep-alive.
    let limits = Limits::new()
        .with_idle_timeout(Some(ms(40)))
        .with_keep_alive(Some(ms(100)));
    let mut one = connection(&limits);
    opens(&mut one, START, None, 1);
    for now in [40, 80] {
        assert_eq!(passes(&mut one, at(now)), []);
    }
    pings(&mut one, at(100));
    for now in [120, 160] {
        assert_eq!(passes(&mut one, at(now)), []);
    }
    assert_eq!(ends(&mut one, at(200)), "peer gives no sign of life");
}

#[test]
fn signs_of_life_do_not_make_a_connection_used() {
    let limits = Limits::new()
        .with_idle_timeout(Some(ms(250)))
        .with_keep_alive(Some(ms(100)));
    let mut one = connection(&limits);
    for now in [100, 210] {
        let number = pings(&mut one, at(now));
        one.handle_bytes(at(now + 10), 10);
        arrives(&mut one, at(now + 10), Envelope::Pong(number));
    }
    assert_eq!(ends(&mut one, at(250)), "connection was idle");
    // Nor do those that the peer asks for.
    let mut one = connection(&limits);
    one.handle_bytes(at(200), 10);
    let mut seen = Recorder::default();
    one.handle(at(200), Envelope::Ping(1), &mut seen)
        .expect("a ping");
    assert_eq!(ends(&mut one, at(250)), "connection was idle");
    // Anything else does, before or behind them, or a good part of it.
    for pong_first in [false, true] {
        let mut one = connection(&limits);
        one.handle_bytes(at(200), 10);
        let mut batch = [Envelope::Ping(1), event()];
        if !pong_first {
            batch.reverse();
        }
        for envelope in batch {
            one.handle(at(200), envelope, &mut seen).expect("allowed");
        }
        assert!(one.handle_timeout(at(250), &mut seen).is_ok());
    }
    let mut one = connection(&limits);
    one.handle_bytes(at(200), 1024);
    assert!(one.handle_timeout(at(250), &mut seen).is_ok());
}

#[test]
fn a_wire_without_pings_is_not_asked() {
    let mut capabilities = mynah_protocol::Capabilities::ALL;
    capabilities.ping = false;
    let profile = Profile::new("test", FORMAT).with_capabilities(capabilities);
    let limits = Limits::new().with_keep_alive(Some(ms(100)));
    let mut one = Connection::new(&limits, &profile, START);
    assert_eq!(one.poll_timeout(), Moment::NEVER);
    assert_eq!(passes(&mut one, at(1000)), []);
}

#[test]
fn spans_of_zero_do_not_spin() {
    let zero = Some(Duration::ZERO);
    let mut one = connection(&Limits::new().with_idle_timeout(zero).with_keep_alive(zero));
    opens(&mut one, START, None, 1);
    assert_eq!(passes(&mut one, START), []);
    assert!(one.poll_timeout() > START);
}

#[test]
fn what_arrives_beside_the_connection_is_no_use_of_it() {
    let mut one = connection(&Limits::new().with_idle_timeout(Some(ms(100))));
    let Envelope::Log(line) = log(None) else {
        panic!("a line of log");
    };
    let mut seen = Recorder::default();
    one.handle_beside(at(60), line.clone(), &mut seen);
    assert_eq!(seen.take(), [Seen::Log]);
    assert_eq!(ends(&mut one, at(100)), "connection was idle");
    one.close(CloseReason::Local, &mut Recorder::default());
    one.handle_beside(at(101), line, &mut seen);
    assert_eq!(seen.take(), [], "after the end nobody is told");
}
