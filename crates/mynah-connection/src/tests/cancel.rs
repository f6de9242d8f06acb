//! Cancelling, on both sides, at every moment.

use super::*;
use recorder::End;

const CALLER: CancelReason = CancelReason::Caller;
const ID: WireId = WireId::Uint(7);

#[test]
fn c1_cancel_before_dispatch() {
    // The callee has the request, its handler was not polled yet.
    let mut callee = connection(&Limits::new());
    let key = admits(&mut callee, START, request(ID, None, 1));
    assert_eq!(
        arrives(&mut callee, START, cancel(ID, CALLER)),
        [Seen::Stop(key, CALLER)]
    );
    assert_eq!(callee.cancelled(key), Some(CALLER));
    assert_eq!(callee.finish(key), Some(ID), "a cancelled call is answered");
    callee.flushed(1);
    assert_empty(&callee);
}

#[test]
fn c1_cancel_before_the_request() {
    // Some peers write the cancel first. It means nothing, and the call runs.
    let mut callee = connection(&Limits::new());
    let mut seen = Recorder::default();
    callee
        .handle(START, cancel(ID, CALLER), &mut seen)
        .expect("forgiven");
    assert_eq!(seen.take(), []);
    let key = admits(&mut callee, START, request(ID, None, 1));
    assert_eq!(callee.cancelled(key), None);
}

#[test]
fn c1_cancel_during() {
    let mut callee = connection(&Limits::new());
    let key = admits(&mut callee, START, request(ID, None, 1));
    let other = admits(
        &mut callee,
        START,
        request(WireId::Text("7".into()), None, 2),
    );
    callee.park(key);
    callee.park(other);
    assert_eq!(
        arrives(&mut callee, START, cancel(ID, CALLER)),
        [Seen::Stop(key, CALLER)]
    );
    assert_eq!(
        callee.cancelled(other),
        None,
        "an id is told by its type, too"
    );
    assert_eq!(
        callee.handlers_running(),
        2,
        "it runs until its handler has ended"
    );
    assert_eq!(callee.finish(key), Some(ID));
    assert_eq!(callee.finish(key), None, "answered once");
    assert_eq!(callee.finish(other), Some(WireId::Text("7".into())));
    callee.flushed(2);
    assert_empty(&callee);
}

#[test]
fn c1_cancel_after_response() {
    let mut callee = connection(&Limits::new().with_violation_budget(0));
    let key = admits(&mut callee, START, request(ID, None, 1));
    callee.park(key);
    assert_eq!(callee.finish(key), Some(ID));
    assert_eq!(arrives(&mut callee, START, cancel(ID, CALLER)), []);
    // The permit is still out, and comes home as if nothing had been.
    assert_eq!(callee.permits_taken(), 1);
    callee.flushed(1);
    assert_empty(&callee);
    // The next call in the same slot is not meant.
    let next = admits(&mut callee, START, request(WireId::Uint(8), None, 2));
    assert_eq!(next.index(), key.index());
    assert_eq!(callee.cancelled(next), None);
}

#[test]
fn c1_cancel_twice() {
    let mut callee = connection(&Limits::new().with_violation_budget(1));
    let key = admits(&mut callee, START, request(ID, None, 1));
    callee.park(key);
    arrives(&mut callee, START, cancel(ID, CALLER));
    let mut seen = Recorder::default();
    callee
        .handle(START, cancel(ID, CALLER), &mut seen)
        .expect("forgiven");
    assert_eq!(seen.take(), [], "a handler is stopped once");
    callee
        .handle(START, cancel(ID, CALLER), &mut seen)
        .expect_err("not for ever");
    assert_eq!(callee.finish(key), Some(ID));
    callee.flushed(1);
    assert_empty(&callee);
}

#[test]
fn c1_cancel_of_an_unknown_id() {
    let mut callee = connection(&Limits::new().with_violation_budget(1));
    let mut seen = Recorder::default();
    callee
        .handle(START, cancel(ID, CALLER), &mut seen)
        .expect("forgiven");
    callee
        .handle(START, cancel(ID, CALLER), &mut seen)
        .expect_err("not for ever");
    assert_eq!(seen.take(), []);
    assert_empty(&callee);
}

#[test]
fn c1_cancel_crosses_the_deadline_of_the_callee() {
    // Both sides see the deadline; the cancel of the caller comes second. Nothing to charge for,
    // whether the handler runs on or has ended.
    let mut callee = connection(&Limits::new().with_violation_budget(0));
    for ended in [false, true] {
        let key = admits(&mut callee, START, request(ID, Some(ms(5)), 1));
        callee.park(key);
        assert_eq!(
            passes(&mut callee, at(5)),
            [Seen::Stop(key, CancelReason::Deadline)]
        );
        if ended {
            callee.finish(key);
        }
        assert_eq!(
            arrives(&mut callee, at(5), cancel(ID, CancelReason::Deadline)),
            []
        );
        if !ended {
            callee.finish(key);
        }
        callee.flushed(1);
    }
    assert_empty(&callee);
}

#[test]
fn c1_cancel_crosses_a_refusal() {
    let limits = Limits::new()
        .with_violation_budget(0)
        .with_calls_in_flight(1);
    let mut callee = connection(&limits);
    let key = admits(&mut callee, START, request(ID, None, 1));
    let busy = [Seen::Refused(
        WireId::Uint(8),
        mynah_protocol::ErrorCode::BUSY,
    )];
    assert_eq!(
        arrives(&mut callee, START, request(WireId::Uint(8), None, 2)),
        busy
    );
    assert_eq!(
        arrives(&mut callee, START, cancel(WireId::Uint(8), CALLER)),
        []
    );
    assert_eq!(
        arrives(&mut callee, START, notification(Some(WireId::Uint(9)), 3)),
        []
    );
    assert_eq!(
        arrives(&mut callee, START, cancel(WireId::Uint(9), CALLER)),
        []
    );
    callee.start_drain(&mut Recorder::default());
    let draining = [Seen::Refused(
        WireId::Uint(8),
        mynah_protocol::ErrorCode::DRAINING,
    )];
    assert_eq!(
        arrives(&mut callee, START, request(WireId::Uint(8), None, 4)),
        draining
    );
    assert_eq!(
        arrives(&mut callee, START, cancel(WireId::Uint(8), CALLER)),
        []
    );
    assert_eq!(callee.cancelled(key), None);
}

#[test]
fn c1_a_call_can_be_cancelled_after_a_notification_of_the_same_slot() {
    let mut callee = connection(&Limits::new().with_violation_budget(0));
    let fired = admits(&mut callee, START, notification(Some(ID), 1));
    callee.park(fired);
    assert_eq!(
        arrives(&mut callee, START, cancel(ID, CALLER)),
        [Seen::Stop(fired, CALLER)]
    );
    assert_eq!(callee.finish(fired), None, "no answer");
    assert_empty(&callee);
    let key = admits(&mut callee, START, request(ID, None, 2));
    assert_eq!(callee.cancelled(key), None);
    assert_eq!(
        arrives(&mut callee, START, cancel(ID, CALLER)),
        [Seen::Stop(key, CALLER)]
    );
}

#[test]
fn c1_an_explicit_null_is_an_id_and_no_id_is_none() {
    let mut callee = connection(&Limits::new().with_violation_budget(1));
    let fired = admits(&mut callee, START, notification(None, 1));
    callee.park(fired);
    assert_eq!(callee.wire_id(fired), None, "nothing to say progress under");
    let key = admits(&mut callee, START, request(WireId::Null, None, 2));
    callee.park(key);
    assert_eq!(callee.wire_id(key), Some(&WireId::Null));
    assert_eq!(
        arrives(&mut callee, START, cancel(WireId::Null, CALLER)),
        [Seen::Stop(key, CALLER)]
    );
    assert_eq!(callee.cancelled(fired), None);
    assert_eq!(callee.finish(key), Some(WireId::Null));
    // A cancel of null now is one that crossed nothing.
    callee
        .handle(
            START,
            cancel(WireId::Null, CALLER),
            &mut Recorder::default(),
        )
        .expect("forgiven");
    assert_eq!(callee.forgiven(), 0);
}

#[test]
fn c3_late_response_is_tolerated() {
    let mut caller = connection(&Limits::new().with_violation_budget(0));
    let mut seen = Recorder::default();
    let first = opens(&mut caller, START, None, 1);
    caller.cancel(first, CALLER, &mut seen);
    assert_eq!(seen.take(), [Seen::Withdrawn(1, (first.into(), CALLER))]);
    // The slot is used again; the answer to the old call does not end the new one.
    let second = opens(&mut caller, START, None, 2);
    assert_ne!(first, second);
    assert_eq!(arrives(&mut caller, START, progress(first.into())), []);
    assert_eq!(arrives(&mut caller, START, reply(first.into(), 1)), []);
    assert_eq!(
        arrives(&mut caller, START, reply(second.into(), 2)),
        [Seen::Ended(2, End::Reply(2))]
    );
    // After a deadline it is the same.
    let third = opens(&mut caller, START, Some(ms(1)), 3);
    let order = (third.into(), CancelReason::Deadline);
    assert_eq!(
        passes(&mut caller, at(1)),
        [Seen::Withdrawn(3, order), Seen::Ended(3, End::Deadline)]
    );
    assert_eq!(arrives(&mut caller, at(1), reply(third.into(), 3)), []);
    // An answer that nothing explains is charged for.
    caller
        .handle(at(1), reply(third.into(), 3), &mut seen)
        .expect_err("answered twice, and nothing is forgiven");
    caller.take(second);
    caller.take(third);
    assert_empty(&caller);
}

#[test]
fn c1_a_call_that_has_ended_is_not_cancelled() {
    let mut caller = connection(&Limits::new());
    let id = opens(&mut caller, START, None, 1);
    arrives(&mut caller, START, reply(id.into(), 1));
    let mut seen = Recorder::default();
    caller.cancel(id, CALLER, &mut seen);
    assert_eq!(seen.take(), []);
    assert_eq!(
        caller.call_mut(id).map(|(_, ended)| ended),
        Some(true),
        "its outcome waits"
    );
    caller.take(id);
    caller.take(id);
    caller.cancel(id, CALLER, &mut seen);
    assert_eq!(seen.take(), []);
    assert_empty(&caller);
}
