//! The same of streams and callbacks.

use super::*;

/// A call of ours with both streams.
#[track_caller]
fn opens_both(one: &mut Connection) -> WireId {
    let streams = crate::OpenStreams {
        result: Some(window(4, 100)),
        input: true,
        until_first: false,
    };
    let opened = one.open_streams(START, None, streams);
    opened.expect("room for a call").0.into()
}

const RESULT: StreamSide = StreamSide::Result;
const INPUT: StreamSide = StreamSide::Input;

#[test]
fn f2_flood_of_credits_of_nothing() {
    let mut one = small(50);
    let (ours, theirs) = (opens_both(&mut one), WireId::Uint(1));
    let asks = stream_request(theirs.clone(), Some(window(1, 1)), true);
    admits(&mut one, START, asks);
    floods(&mut one, 50, "credit of nothing", |n| match n % 2 {
        0 => credit(ours.clone(), INPUT, Window::ZERO),
        _ => credit(theirs.clone(), RESULT, Window::ZERO),
    });
}

#[test]
fn f2_flood_of_credits_of_one_item_for_items_that_were_not_sent() {
    let mut one = small(50);
    let (ours, theirs) = (opens_both(&mut one), WireId::Uint(1));
    let asks = stream_request(theirs.clone(), Some(window(1, 1)), true);
    let key = admits(&mut one, START, asks);
    // A few are free: windows may grow. So is one for each item, and one for its bytes.
    one.results_sent(key, window(1, 1));
    for _ in 0..4 {
        arrives(&mut one, START, credit(ours.clone(), INPUT, window(1, 1)));
    }
    for _ in 0..6 {
        arrives(
            &mut one,
            START,
            credit(theirs.clone(), RESULT, window(1, 1)),
        );
    }
    floods(
        &mut one,
        50,
        "more credits than items were taken",
        |n| match n % 3 {
            0 => credit(ours.clone(), INPUT, window(1, 0)),
            1 => credit(theirs.clone(), RESULT, window(0, 1)),
            _ => credit(theirs.clone(), RESULT, window(u64::MAX, u64::MAX)),
        },
    );
    // Credit for each item that is sent stays free, for as long as the stream goes on.
    for _ in 0..10_000 {
        one.results_sent(key, window(1, 1));
        arrives(
            &mut one,
            at(20_000_000),
            credit(theirs.clone(), RESULT, window(1, 1)),
        );
    }
    assert_eq!(one.finish(key), Some(theirs));
    assert!(one.late()[3] <= 6, "{:?} late", one.late());
}

#[test]
fn f2_flood_of_credits_and_stops_for_unknown_streams() {
    let credits = |n| match n % 2 {
        0 => credit(WireId::Uint(n << 16), RESULT, window(1, 1)),
        _ => credit(WireId::Null, RESULT, window(1, 1)),
    };
    floods(&mut small(50), 50, "credit for an unknown call", credits);
    let credits = |n| credit(WireId::Uint(n << 16), INPUT, window(1, 1));
    floods(&mut small(50), 50, "credit for an unknown stream", credits);
    let mut one = small(50);
    let id = opens_both(&mut one);
    arrives(&mut one, START, stop(id.clone()));
    floods(&mut one, 50, "stop of an unknown stream", |n| match n % 2 {
        0 => stop(id.clone()),
        _ => stop(WireId::Uint(n << 16)),
    });
}

#[test]
fn f2_flood_of_items_of_unknown_calls() {
    let batch = window(3, 3);
    let stray = |n| {
        items(
            WireId::Uint(n << 20),
            if n % 2 == 0 { RESULT } else { INPUT },
            batch,
        )
    };
    floods(&mut small(50), 50, "items of an unknown call", stray);
    // Of calls without a stream.
    let mut one = small(50);
    let id: WireId = opens(&mut one, START, None, 1).into();
    let what = "items of a call without a stream";
    floods(&mut one, 50, what, |_| items(id.clone(), RESULT, batch));
    let mut one = small(50);
    admits(&mut one, START, request(WireId::Uint(1), None, 1));
    floods(&mut one, 50, "input of a call without one", |_| {
        items(WireId::Uint(1), INPUT, batch)
    });
}

#[test]
fn f2_flood_of_batches_without_an_item() {
    let mut one = small(50);
    let id = opens_both(&mut one);
    floods(&mut one, 50, "items without an item", |n| {
        items(id.clone(), RESULT, window(0, n % 2))
    });
}

#[test]
fn f2_flood_of_input_ends() {
    let mut one = small(50);
    let id = WireId::Uint(1);
    admits(&mut one, START, stream_request(id.clone(), None, true));
    arrives(&mut one, START, input_end(id.clone(), true));
    floods(&mut one, 50, "end of a stream that has ended", |_| {
        input_end(id.clone(), true)
    });
    floods(&mut small(50), 50, "end of an unknown stream", |n| {
        input_end(WireId::Uint(n), true)
    });
}

#[test]
fn f2_flood_of_accepted() {
    let mut one = small(50);
    let id = opens_both(&mut one);
    arrives(&mut one, START, Envelope::Accepted(id.clone()));
    floods(&mut one, 50, "call was accepted for nothing", |_| {
        Envelope::Accepted(id.clone())
    });
    // An answer that is still to come is no licence.
    let mut one = small(50);
    let given_up = opens(&mut one, START, None, 1);
    one.cancel(given_up, CALLER, &mut deaf());
    floods(&mut one, 50, "unknown call was accepted", |n| match n % 2 {
        0 => Envelope::Accepted(given_up.into()),
        _ => Envelope::Accepted(WireId::Uint(n << 16)),
    });
}

#[test]
fn f2_what_callbacks_are_told_is_bounded_while_none_of_it_is_over() {
    let mut one = connection(&Limits::new().with_calls_in_flight(8));
    opens(&mut one, START, None, 1);
    for serial in 0..10_000 {
        arrives(&mut one, START, tell(serial));
    }
    assert_eq!(one.handlers_running(), 8 + 1024);
    assert_eq!(one.dropped_notifications(), 10_000 - 8 - 1024);
    // Without a call of ours nothing belongs to one.
    let mut one = small(0);
    for serial in 0..20 {
        arrives(&mut one, START, tell(serial));
    }
    assert_eq!(one.handlers_running(), 8);
}

#[test]
fn f2_streams_that_end_and_cross_are_never_charged_and_leave_little_behind() {
    let mut one = connection(
        &Limits::new()
            .with_violation_budget(0)
            .with_stream_items(4)
            .with_stream_bytes(100),
    );
    let mut seen = deaf();
    for round in 0..2000 {
        // Ours: given up with results, credits and a stop on the way.
        let id = opens_both(&mut one);
        arrives(&mut one, START, credit(id.clone(), INPUT, window(2, 10)));
        let ours = id.as_call_id().expect("ours");
        one.input_sent(ours, window(2, 10));
        one.cancel(ours, CALLER, &mut seen);
        arrives(&mut one, START, items(id.clone(), RESULT, window(4, 50)));
        arrives(&mut one, START, credit(id.clone(), INPUT, window(2, 10)));
        arrives(&mut one, START, stop(id.clone()));
        arrives(&mut one, START, reply(id, round));
        // Theirs: answered with credits and items on the way.
        let id = WireId::Uint(round);
        let asks = stream_request(id.clone(), Some(window(4, 100)), true);
        let key = admits(&mut one, START, asks);
        one.open_input(key, &mut seen);
        one.results_sent(key, window(4, 40));
        one.finish(key);
        one.flushed(1);
        arrives(&mut one, START, items(id.clone(), INPUT, window(4, 50)));
        arrives(&mut one, START, input_end(id.clone(), true));
        for _ in 0..4 {
            arrives(&mut one, START, credit(id.clone(), RESULT, window(1, 10)));
        }
    }
    assert_empty(&one);
    assert!(one.footprint() <= 64);
    assert_eq!(one.late()[2], 0, "late items");
}
