//! Streams of a call, at each end, and what crosses their end.

use super::*;
use crate::{InboundKey, OpenStreams};
use mynah_protocol::CallId;
use recorder::End;

const CALLER: CancelReason = CancelReason::Caller;
const ID: WireId = WireId::Uint(7);
const RESULT: StreamSide = StreamSide::Result;
const INPUT: StreamSide = StreamSide::Input;

/// A connection that forgives nothing, with a window of four items and 100 bytes.
fn strict() -> Connection {
    let limits = Limits::new().with_violation_budget(0);
    connection(&limits.with_stream_items(4).with_stream_bytes(100))
}

const BOTH: OpenStreams = OpenStreams {
    result: Some(window(4, 100)),
    input: true,
    until_first: false,
};

#[track_caller]
fn opens_streams(one: &mut Connection, streams: OpenStreams, serial: u64) -> CallId {
    let opened = one.open_streams(START, Some(ms(5)), streams);
    let (id, slot) = opened.expect("room for a call");
    *slot = serial;
    id
}

#[track_caller]
fn admits_streams(one: &mut Connection, result: Option<Window>, input: bool) -> InboundKey {
    admits(one, START, stream_request(ID, result, input))
}

#[track_caller]
fn refuses(one: &mut Connection, envelope: Envelope<'_>, what: &str) {
    let violation = one.handle(START, envelope, &mut Recorder::default());
    assert_eq!(violation.expect_err("a breach").what, what);
}

/// What a command of the program causes.
fn causes(run: impl FnOnce(&mut Recorder)) -> Vec<Seen> {
    let mut seen = Recorder::default();
    run(&mut seen);
    seen.take()
}

#[test]
fn results_come_within_the_credit_and_credit_goes_back_by_halves() {
    let mut caller = strict();
    let id = opens_streams(&mut caller, BOTH, 1);
    let batch = |count, bytes| items(id.into(), RESULT, window(count, bytes));
    let came = arrives(&mut caller, START, batch(3, 30));
    assert_eq!(came, [Seen::Items(1, 3)]);
    let taken = causes(|fx| caller.taken(id, window(1, 10), fx));
    assert_eq!(taken, [], "less than half");
    let taken = causes(|fx| caller.taken(id, window(1, 10), fx));
    assert_eq!(taken, [Seen::Credit(id.into(), RESULT, window(2, 20))]);
    // Three are left; the last batch may go beyond the bytes.
    arrives(&mut caller, START, batch(1, 80));
    arrives(&mut caller, START, batch(1, 500));
    refuses(&mut caller, batch(1, 1), OVERFLOW);
}

const OVERFLOW: &str = "more items than there was credit for";

#[test]
fn results_without_credit_close_at_once_whatever_is_forgiven() {
    let mut caller = connection(&Limits::new());
    let id = opens_streams(&mut caller, BOTH, 1);
    let before = caller.forgiven();
    refuses(
        &mut caller,
        items(id.into(), RESULT, window(5, 50)),
        OVERFLOW,
    );
    assert_eq!(caller.forgiven(), before);
}

#[test]
fn results_are_sent_within_the_credit() {
    let mut callee = strict();
    let key = admits_streams(&mut callee, Some(window(2, 100)), false);
    assert!(callee.wants_stream(key));
    assert_eq!(callee.result_credit(key), Some(window(2, 100)));
    callee.results_sent(key, window(2, 120));
    assert_eq!(callee.result_credit(key), None);
    let credited = arrives(&mut callee, START, credit(ID, RESULT, window(2, 10)));
    assert_eq!(credited, [Seen::ResultCredit(key)]);
    assert_eq!(callee.result_credit(key), None, "no bytes");
    arrives(&mut callee, START, credit(ID, RESULT, window(0, 110)));
    assert_eq!(callee.result_credit(key), Some(window(2, 100)));
    // A call without one.
    let plain = admits(&mut callee, START, request(WireId::Uint(8), None, 1));
    assert!(!callee.wants_stream(plain));
    assert_eq!(callee.result_credit(plain), None);
    let stray = credit(WireId::Uint(8), RESULT, window(1, 1));
    refuses(&mut callee, stray, "credit for a call without a stream");
}

#[test]
fn input_waits_for_the_handler() {
    let mut callee = strict();
    let key = admits_streams(&mut callee, None, true);
    callee.park(key);
    let batch = |count, bytes| items(ID, INPUT, window(count, bytes));
    let opened = causes(|fx| assert!(callee.open_input(key, fx)));
    assert_eq!(opened, [Seen::Credit(ID, INPUT, window(4, 100))]);
    let again = causes(|fx| assert!(callee.open_input(key, fx)));
    assert_eq!(again, [], "granted once");
    let came = arrives(&mut callee, START, batch(4, 40));
    assert_eq!(came, [Seen::Input(key, 4)]);
    let taken = causes(|fx| callee.input_taken(key, window(4, 40), fx));
    assert_eq!(taken, [Seen::Credit(ID, INPUT, window(4, 40))]);
    let ended = arrives(&mut callee, START, input_end(ID, true));
    assert_eq!(ended, [Seen::InputEnd(key, true)]);
    let taken = causes(|fx| callee.input_taken(key, window(4, 40), fx));
    assert_eq!(taken, [], "nothing more comes");
    assert_eq!(causes(|fx| callee.stop_input(key, fx)), []);
    refuses(&mut callee, batch(1, 1), "input of a call without one");
}

#[test]
fn input_before_its_first_credit_closes() {
    let mut callee = strict();
    admits_streams(&mut callee, None, true);
    refuses(&mut callee, items(ID, INPUT, window(1, 1)), OVERFLOW);
}

#[test]
fn input_may_end_before_the_handler_asks_for_it() {
    let mut callee = strict();
    let key = admits_streams(&mut callee, None, true);
    let ended = arrives(&mut callee, START, input_end(ID, false));
    assert_eq!(ended, [Seen::InputEnd(key, false)]);
    let opened = causes(|fx| assert!(callee.open_input(key, fx), "one came with the call"));
    assert_eq!(opened, [], "nothing is granted to what has ended");
    let plain = admits(&mut callee, START, request(WireId::Uint(8), None, 1));
    causes(|fx| assert!(!callee.open_input(plain, fx)));
}

#[test]
fn input_is_sent_within_the_credit_and_ends_once() {
    let mut caller = strict();
    let id = opens_streams(&mut caller, BOTH, 1);
    assert_eq!(caller.input_credit(id), None);
    let credited = arrives(&mut caller, START, credit(id.into(), INPUT, window(2, 20)));
    assert_eq!(credited, [Seen::InputCredit(1)]);
    assert_eq!(caller.input_credit(id), Some(window(2, 20)));
    caller.input_sent(id, window(2, 30));
    assert_eq!(caller.input_credit(id), None);
    assert!(caller.end_input(id));
    assert!(!caller.end_input(id), "once");
    // Credits for what was sent, and a stop, cross the end.
    for _ in 0..2 {
        let late = credit(id.into(), INPUT, window(1, 15));
        assert_eq!(arrives(&mut caller, START, late), []);
    }
    assert_eq!(arrives(&mut caller, START, stop(id.into())), []);
    assert_eq!(caller.call_mut(id), Some((&mut 1, false)), "it waits");
}

#[test]
fn a_stop_ends_the_input_and_crosses_its_end() {
    let mut caller = strict();
    let id = opens_streams(&mut caller, BOTH, 1);
    arrives(&mut caller, START, credit(id.into(), INPUT, window(2, 20)));
    let stopped = arrives(&mut caller, START, stop(id.into()));
    assert_eq!(stopped, [Seen::InputStopped(1)]);
    assert!(!caller.end_input(id), "the peer knows");
    assert_eq!(caller.input_credit(id), None);
    refuses(&mut caller, stop(id.into()), "stop of an unknown stream");

    let mut callee = strict();
    let key = admits_streams(&mut callee, None, true);
    causes(|fx| assert!(callee.open_input(key, fx)));
    let stopped = causes(|fx| callee.stop_input(key, fx));
    assert_eq!(stopped, [Seen::StopInput(ID)]);
    assert_eq!(causes(|fx| callee.stop_input(key, fx)), [], "said once");
    // What crosses it is let go, as far as there was credit for it.
    let late = items(ID, INPUT, window(4, 40));
    assert_eq!(arrives(&mut callee, START, late), []);
    assert_eq!(arrives(&mut callee, START, input_end(ID, true)), []);
    let again = input_end(ID, true);
    refuses(&mut callee, again, "end of a stream that has ended");
}

#[test]
fn a_stopped_input_is_not_a_way_around_the_credit() {
    let mut callee = strict();
    let key = admits_streams(&mut callee, None, true);
    causes(|fx| assert!(callee.open_input(key, fx)));
    causes(|fx| callee.stop_input(key, fx));
    refuses(&mut callee, items(ID, INPUT, window(5, 50)), OVERFLOW);
}

#[test]
fn a_stop_before_the_first_credit_keeps_the_input_closed() {
    let mut callee = strict();
    let key = admits_streams(&mut callee, None, true);
    let stopped = causes(|fx| callee.stop_input(key, fx));
    assert_eq!(stopped, [Seen::StopInput(ID)]);
    let opened = causes(|fx| assert!(callee.open_input(key, fx)));
    assert_eq!(opened, []);
}

#[test]
fn everything_may_cross_a_cancel() {
    let mut caller = strict();
    let id = opens_streams(&mut caller, BOTH, 1);
    arrives(&mut caller, START, credit(id.into(), INPUT, window(4, 100)));
    caller.input_sent(id, window(2, 20));
    causes(|fx| caller.cancel(id, CALLER, fx));
    // The next call takes the slot; none of this is for it.
    let next = opens_streams(&mut caller, BOTH, 2);
    for late in [
        Envelope::Accepted(id.into()),
        items(id.into(), RESULT, window(3, 30)),
        items(id.into(), RESULT, window(1, 30)),
        credit(id.into(), INPUT, window(1, 10)),
        credit(id.into(), INPUT, window(1, 10)),
        stop(id.into()),
        failure(id.into(), mynah_protocol::ErrorCode::CANCELLED),
    ] {
        assert_eq!(arrives(&mut caller, START, late), []);
    }
    let beyond = items(id.into(), RESULT, window(1, 1));
    refuses(&mut caller, beyond, "items of an unknown call");
    assert_eq!(caller.call_mut(next), Some((&mut 2, false)));
    assert_eq!(caller.input_credit(next), None);
}

#[test]
fn everything_may_cross_an_answer() {
    let mut callee = strict();
    let key = admits_streams(&mut callee, Some(window(4, 100)), true);
    causes(|fx| assert!(callee.open_input(key, fx)));
    callee.results_sent(key, window(4, 40));
    assert_eq!(callee.finish(key), Some(ID), "answered early");
    callee.flushed(1);
    for late in [
        items(ID, INPUT, window(2, 20)),
        items(ID, INPUT, window(2, 20)),
        input_end(ID, true),
        // One for each item that was sent.
        credit(ID, RESULT, window(1, 10)),
        credit(ID, RESULT, window(1, 10)),
        credit(ID, RESULT, window(1, 10)),
        credit(ID, RESULT, window(1, 10)),
        cancel(ID, CALLER),
    ] {
        assert_eq!(arrives(&mut callee, START, late), []);
    }
    let beyond = items(ID, INPUT, window(1, 1));
    refuses(&mut callee, beyond, "items of an unknown call");
    assert_empty(&callee);
}

#[test]
fn an_answer_ends_the_input_and_what_is_said_of_it_may_cross() {
    let mut caller = strict();
    let id = opens_streams(&mut caller, BOTH, 1);
    arrives(&mut caller, START, credit(id.into(), INPUT, window(4, 100)));
    arrives(&mut caller, START, reply(id.into(), 1));
    assert!(!caller.end_input(id));
    assert_eq!(caller.input_credit(id), None);
    let late = credit(id.into(), INPUT, window(1, 10));
    assert_eq!(arrives(&mut caller, START, late), []);
    assert_eq!(arrives(&mut caller, START, stop(id.into())), []);
    assert_eq!(causes(|fx| caller.taken(id, window(4, 4), fx)), []);
    // Results precede the answer, always.
    let late = items(id.into(), RESULT, window(1, 1));
    refuses(&mut caller, late, "items of an unknown call");
}

#[test]
fn the_allowances_are_as_many_as_may_cross() {
    let mut callee = strict();
    let key = admits_streams(&mut callee, None, true);
    callee.finish(key);
    arrives(&mut callee, START, input_end(ID, true));
    let again = input_end(ID, true);
    refuses(&mut callee, again, "end of an unknown stream");
    // A few credits are free, and one stop is.
    let mut caller = strict();
    let id = opens_streams(&mut caller, BOTH, 1);
    arrives(&mut caller, START, reply(id.into(), 1));
    let late = || credit(id.into(), INPUT, window(1, 1));
    for _ in 0..4 {
        arrives(&mut caller, START, late());
    }
    arrives(&mut caller, START, stop(id.into()));
    refuses(&mut caller, late(), "credit for an unknown stream");
}

#[test]
fn the_end_of_an_input_crosses_a_refusal() {
    let limits = Limits::new()
        .with_violation_budget(0)
        .with_calls_in_flight(0);
    let mut busy = connection(&limits);
    let refused = arrives(&mut busy, START, stream_request(ID, None, true));
    assert!(matches!(refused.as_slice(), [Seen::Refused(..)]));
    assert_eq!(arrives(&mut busy, START, input_end(ID, true)), []);
    refuses(&mut busy, input_end(ID, true), "end of an unknown stream");
}

#[test]
fn a_call_is_accepted_once() {
    let mut caller = strict();
    let id = opens_streams(&mut caller, BOTH, 1);
    let accepted = arrives(&mut caller, START, Envelope::Accepted(id.into()));
    assert_eq!(accepted, [Seen::Accepted(1)]);
    let again = Envelope::Accepted(id.into());
    refuses(&mut caller, again, "call was accepted for nothing");
    // No late one is left when it is given up.
    causes(|fx| caller.cancel(id, CALLER, fx));
    let before = caller.late();
    causes(|fx| caller.cancel(id, CALLER, fx));
    assert_eq!(caller.late(), before, "counted once");
    let plain = opens(&mut caller, START, None, 2);
    let what = "call was accepted for nothing";
    refuses(&mut caller, Envelope::Accepted(plain.into()), what);
}

#[test]
fn s1_nothing_of_a_stream_after_its_end() {
    let mut caller = connection(&Limits::new());
    type Ending = fn(&mut Connection, CallId);
    let ends: [Ending; 3] = [
        |one, id| drop(arrives(one, START, reply(id.into(), 0))),
        |one, id| one.cancel(id, CALLER, &mut Recorder::default()),
        |one, _| drop(passes(one, at(5))),
    ];
    for (serial, end) in (0..).zip(ends) {
        let id = opens_streams(&mut caller, BOTH, serial);
        let before = arrives(&mut caller, START, items(id.into(), RESULT, window(1, 1)));
        assert_eq!(before, [Seen::Items(serial, 1)]);
        end(&mut caller, id);
        for late in [
            items(id.into(), RESULT, window(1, 1)),
            Envelope::Accepted(id.into()),
            credit(id.into(), INPUT, window(1, 1)),
            stop(id.into()),
        ] {
            let mut seen = Recorder::default();
            let handled = caller.handle(START, late, &mut seen);
            assert_eq!((handled, seen.take()), (Ok(()), Vec::new()));
        }
        caller.take(id);
    }
    assert_empty(&caller);
}

#[test]
fn a_deadline_until_the_first_item_is_over_with_it() {
    let first_signs: [fn(CallId) -> Envelope<'static>; 2] = [
        |id| items(id.into(), RESULT, window(1, 1)),
        |id| Envelope::Accepted(id.into()),
    ];
    for (sign, until_first) in [(0, true), (1, true), (0, false), (1, false)] {
        let mut caller = strict();
        let streams = OpenStreams {
            until_first,
            ..BOTH
        };
        let id = opens_streams(&mut caller, streams, 1);
        arrives(&mut caller, at(4), first_signs[sign](id));
        let over = passes(&mut caller, at(5));
        if until_first {
            assert_eq!(over, []);
            assert_eq!(caller.poll_timeout(), Moment::NEVER);
        } else {
            assert!(over.contains(&Seen::Ended(1, End::Deadline)), "{over:?}");
        }
    }
    // No sign in time.
    let mut caller = strict();
    let streams = OpenStreams {
        until_first: true,
        ..BOTH
    };
    opens_streams(&mut caller, streams, 1);
    let over = passes(&mut caller, at(5));
    assert!(over.contains(&Seen::Ended(1, End::Deadline)), "{over:?}");
}

#[test]
fn a_call_that_is_cancelled_is_fed_until_its_handler_has_ended() {
    let mut callee = strict();
    let key = admits_streams(&mut callee, Some(window(4, 100)), true);
    callee.park(key);
    causes(|fx| assert!(callee.open_input(key, fx)));
    arrives(&mut callee, START, cancel(ID, CALLER));
    let came = arrives(&mut callee, START, items(ID, INPUT, window(4, 40)));
    assert_eq!(came, [Seen::Input(key, 4)]);
    assert_eq!(callee.result_credit(key), Some(window(4, 100)));
    assert_eq!(callee.finish(key), Some(ID));
    assert_eq!(callee.result_credit(key), None);
    callee.results_sent(key, window(1, 1));
    assert_eq!(causes(|fx| assert!(!callee.open_input(key, fx))), []);
    assert_eq!(causes(|fx| callee.input_taken(key, window(4, 40), fx)), []);
}

#[test]
fn nothing_is_said_of_streams_after_the_end_of_the_connection() {
    let mut one = strict();
    let ours = opens_streams(&mut one, BOTH, 1);
    let key = admits_streams(&mut one, Some(window(4, 100)), true);
    causes(|fx| one.close(crate::CloseReason::PeerGone, fx));
    assert_eq!(causes(|fx| assert!(one.open_input(key, fx))), []);
    assert_eq!(causes(|fx| one.input_taken(key, window(4, 40), fx)), []);
    assert_eq!(causes(|fx| one.stop_input(key, fx)), []);
    assert_eq!(causes(|fx| one.taken(ours, window(4, 40), fx)), []);
    assert!(!one.end_input(ours));
    one.finish(key);
    one.take(ours);
    assert_empty(&one);
}
