//! What one of several peers behind a carrier says within the call that it has.

use super::*;
use crate::OpenStreams;
use mynah_protocol::{CallId, Remote, Undelivered, Within};
use recorder::End;

const RESULT: StreamSide = StreamSide::Result;
const INPUT: StreamSide = StreamSide::Input;

/// A connection to a group, which forgives nothing.
fn group() -> Connection {
    let limits = Limits::new().with_violation_budget(0);
    let limits = limits.with_stream_items(4).with_stream_bytes(100);
    let mut profile = Profile::new("test", FORMAT);
    profile.remote = Remote::Group;
    Connection::new(&limits, &profile, START)
}

fn opens_both(one: &mut Connection, serial: u64) -> CallId {
    let streams = OpenStreams {
        result: Some(window(4, 100)),
        input: true,
        until_first: false,
    };
    let (id, slot) = one.open_streams(START, None, streams).expect("room");
    *slot = serial;
    id
}

fn within(call: CallId, envelope: Envelope<'static>) -> Envelope<'static> {
    let call = call.into();
    Envelope::Within(Box::new(Within { call, envelope }))
}

#[test]
fn a_breach_within_a_call_ends_it_and_nothing_else() {
    let breaches = |own: CallId, other: CallId| {
        let (own, other): (WireId, WireId) = (own.into(), other.into());
        [
            items(own.clone(), RESULT, window(5, 5)),
            items(own.clone(), RESULT, window(0, 0)),
            credit(own, INPUT, Window::ZERO),
            items(other.clone(), RESULT, window(1, 1)),
            credit(other.clone(), INPUT, window(1, 1)),
            reply(other.clone(), 1),
            progress(other.clone()),
            log(None),
            log(Some(other.clone())),
            stop(other.clone()),
            Envelope::Accepted(other),
            cancel(WireId::Uint(77), CancelReason::Caller),
            going_away(),
            Envelope::Ping(1),
            Envelope::Pong(1),
        ]
    };
    let mut one = group();
    let other = opens_both(&mut one, 2);
    let count = breaches(other, other).len();
    for index in 0..count {
        let own = opens_both(&mut one, 1);
        let breach = breaches(own, other)[index].clone();
        let kind = breach.kind();
        let seen = arrives(&mut one, START, within(own, breach));
        let [
            Seen::Ended(1, End::Undelivered(Undelivered::Violation(_))),
            told,
        ] = &*seen
        else {
            panic!("{kind}: {seen:?}");
        };
        assert_eq!(told, &Seen::Cancelled(own.into()), "{kind}");
        one.take(own);
        // What is on its way still means nothing.
        for late in [
            reply(own.into(), 1),
            items(own.into(), RESULT, window(1, 1)),
        ] {
            assert_eq!(arrives(&mut one, START, within(own, late)), []);
        }
    }
    assert!(one.closed().is_none());
    let came = items(other.into(), RESULT, window(4, 4));
    assert_eq!(
        arrives(&mut one, START, within(other, came)),
        [Seen::Items(2, 4)]
    );
    let ended = arrives(&mut one, START, within(other, reply(other.into(), 9)));
    assert_eq!(ended, [Seen::Ended(2, End::Reply(9))]);
    one.take(other);
    assert_empty(&one);
}

#[test]
fn a_call_is_taken_on_once() {
    let mut one = group();
    let id = opens_both(&mut one, 1);
    let accepted = || within(id, Envelope::Accepted(id.into()));
    assert_eq!(arrives(&mut one, START, accepted()), [Seen::Accepted(1)]);
    let ended = arrives(&mut one, START, accepted());
    assert!(
        matches!(&*ended, [Seen::Ended(1, _), Seen::Cancelled(_)]),
        "{ended:?}"
    );
}

#[test]
fn answers_of_a_group_that_nobody_waits_for_are_nobodys_breach() {
    let mut one = group();
    let id = opens(&mut one, START, None, 1);
    assert_eq!(
        arrives(&mut one, START, reply(id.into(), 1)),
        [Seen::Ended(1, End::Reply(1))]
    );
    one.take(id);
    assert_eq!(
        one.handle_ignored(START, "a notification of no method"),
        Ok(())
    );
    for id in [id.into(), WireId::Uint(1 << 40), WireId::Text("x".into())] {
        assert_eq!(arrives(&mut one, START, reply(id.clone(), 1)), []);
        assert_eq!(arrives(&mut one, START, progress(id)), []);
    }
}
