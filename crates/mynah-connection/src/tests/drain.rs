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
    assert!(matches!(one.open(START, None), Err(OpenError::Draining)));
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
    assert!(!one.is_idle(), "the answer has not left");
    one.flushed(1);
    assert!(one.is_idle());
    one.take(ours);
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
    one.handle_bytes(at(1));
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
