//! Peers that send more of something than makes sense.

mod streams;

use super::*;
use crate::Violation;
use mynah_protocol::ErrorCode;

const CALLER: CancelReason = CancelReason::Caller;
const PAIRS: u64 = 1_000_000;

fn deaf() -> Recorder {
    Recorder::default()
}

#[test]
fn f1_call_cancel_flood() {
    let limits = Limits::new().with_calls_in_flight(64);
    let mut callee = connection(&limits);
    let mut seen = deaf();
    let mut started = 0_u64;
    for id in 0..PAIRS {
        callee
            .handle(START, request(WireId::Uint(id), None, id), &mut seen)
            .expect("a call");
        // Half of them are cancelled before their handlers were polled.
        let parks = id % 2 == 0;
        for seen in seen.take() {
            if let Seen::Start(key, _) = seen
                && parks
            {
                callee.park(key);
            }
        }
        callee
            .handle(START, cancel(WireId::Uint(id), CALLER), &mut seen)
            .expect("a cancel");
        for seen in seen.take() {
            if let Seen::Stop(key, _) = seen {
                started += 1;
                assert_eq!(callee.finish(key), Some(WireId::Uint(id)));
            }
        }
        // The peer reads its answers now and then.
        if id % 100 == 99 {
            callee.flushed(100);
        }
    }
    assert!(started >= PAIRS / 100 * 64, "{started} handlers");
    assert!(
        callee.footprint() <= 64 * 8,
        "tables hold {} entries",
        callee.footprint()
    );
    callee.flushed(100);
    assert_empty(&callee);
}

#[test]
fn f1_call_cancel_flood_of_a_peer_that_does_not_read() {
    let limits = Limits::new().with_calls_in_flight(64);
    let mut callee = connection(&limits);
    let mut seen = deaf();
    let (mut started, mut refused) = (0, 0);
    for id in 0..100_000 {
        callee
            .handle(START, request(WireId::Uint(id), None, id), &mut seen)
            .expect("a call");
        callee
            .handle(START, cancel(WireId::Uint(id), CALLER), &mut seen)
            .expect("a cancel");
        for seen in seen.take() {
            match seen {
                Seen::Start(..) => started += 1,
                Seen::Stop(key, _) => assert!(callee.finish(key).is_some()),
                Seen::Refused(_, ErrorCode::BUSY) => refused += 1,
                other => panic!("{other:?}"),
            }
        }
        assert!(callee.permits_taken() <= 64);
    }
    assert_eq!(
        (started, refused),
        (64, 100_000 - 64),
        "no answer left, so no permit came home"
    );
    assert!(
        callee.footprint() <= 64 * 8,
        "tables hold {} entries",
        callee.footprint()
    );
}

#[test]
fn f1_our_own_call_cancel_flood() {
    let mut caller = connection(&Limits::new());
    let mut seen = deaf();
    for serial in 0..PAIRS {
        let id = opens(&mut caller, START, Some(ms(serial)), serial);
        caller.cancel(id, CALLER, &mut seen);
        assert_eq!(seen.take().len(), 1);
        if serial % 3 == 0 {
            caller
                .handle(START, reply(id.into(), serial), &mut seen)
                .expect("a late answer");
        }
    }
    assert!(
        caller.footprint() <= 16,
        "tables hold {} entries",
        caller.footprint()
    );
    assert_empty(&caller);
}

/// Sends `breach(n)` over and over: `budget` are forgiven at once, ten more after a second.
#[track_caller]
fn floods(
    connection: &mut Connection,
    budget: u32,
    what: &str,
    mut breach: impl FnMut(u64) -> Envelope<'static>,
) {
    let mut seen = deaf();
    let mut send =
        |connection: &mut Connection, now, n| connection.handle(now, breach(n), &mut seen);
    for n in 0..u64::from(budget) {
        send(connection, at(0), n).unwrap_or_else(|violation| panic!("{n}: {violation}"));
    }
    let violation = send(connection, at(0), 0).expect_err("past the budget");
    let Violation { code, what: said } = &violation;
    assert_eq!(*code, ErrorCode::PROTOCOL_VIOLATION);
    assert_eq!(*said, what);
    // Time earns forgiveness, and no more than its rate.
    for n in 0..10 {
        send(connection, at(1000), n).unwrap_or_else(|violation| panic!("{n}: {violation}"));
    }
    send(connection, at(1000), 0).expect_err("ten a second");
    send(connection, at(1099), 0).expect_err("ten a second");
    send(connection, at(1100), 0).expect("one more");
    // Nor does a long rest earn more than the budget.
    for n in 0..u64::from(budget) {
        send(connection, at(10_000_000), n).unwrap_or_else(|violation| panic!("{n}: {violation}"));
    }
    send(connection, at(10_000_000), 0).expect_err("past the budget");
    assert!(
        connection.footprint() <= 64,
        "tables hold {} entries",
        connection.footprint()
    );
}

fn small(budget: u32) -> Connection {
    connection(
        &Limits::new()
            .with_violation_budget(budget)
            .with_calls_in_flight(8),
    )
}

#[test]
fn f2_flood_of_pings() {
    floods(&mut small(50), 50, "too many pings", Envelope::Ping);
}

#[test]
fn f2_flood_of_pongs() {
    floods(&mut small(50), 50, "pong without a ping", Envelope::Pong);
}

#[test]
fn f2_flood_of_answers_to_unknown_calls() {
    let mut caller = small(50);
    let id = opens(&mut caller, START, None, 0);
    caller.take(id);
    // Ids that were never given, one that was and is over, and ids that are none of ours.
    floods(&mut caller, 50, "answer to an unknown call", |n| {
        match n % 4 {
            0 => reply(WireId::Uint(n << 20), 0),
            1 => reply(id.into(), 0),
            2 => failure(WireId::Text("x".into()), ErrorCode::BUSY),
            _ => reply(WireId::Uint(u64::MAX - n), 0),
        }
    });
}

#[test]
fn f2_flood_of_duplicate_ids() {
    for parked in [false, true] {
        let mut callee = small(50);
        let key = admits(&mut callee, START, request(WireId::Uint(3), None, 0));
        let named = admits(
            &mut callee,
            START,
            request(WireId::Text("three".into()), None, 1),
        );
        if parked {
            callee.park(key);
            callee.park(named);
        }
        floods(&mut callee, 50, "id is in flight already", |n| {
            match n % 3 {
                0 => request(WireId::Uint(3), None, n),
                1 => request(WireId::Text("three".into()), None, n),
                _ => notification(Some(WireId::Uint(3)), n),
            }
        });
        assert_eq!(callee.handlers_running(), 2, "one handler for each id");
        assert_eq!(callee.finish(key), Some(WireId::Uint(3)));
        assert_eq!(callee.finish(named), Some(WireId::Text("three".into())));
        callee.flushed(2);
        assert_empty(&callee);
    }
}

#[test]
fn f2_flood_of_unknown_side_messages() {
    floods(
        &mut small(50),
        50,
        "side message of an unknown call",
        |n| match n % 3 {
            0 => progress(WireId::Uint(n)),
            1 => log(Some(WireId::Uint(n << 16))),
            _ => progress(WireId::Null),
        },
    );
}

#[test]
fn f2_flood_of_unknown_cancels() {
    floods(&mut small(50), 50, "cancel of an unknown call", |n| {
        cancel(WireId::Uint(n), CALLER)
    });
}

#[test]
fn f2_flood_of_hellos_and_farewells() {
    let hello = || Envelope::Hello(mynah_protocol::Hello::version(1));
    let mut one = small(50);
    arrives(&mut one, START, hello());
    floods(&mut one, 50, "hello again", |_| hello());
    let mut one = small(50);
    arrives(&mut one, START, going_away());
    floods(&mut one, 50, "going away again", |_| going_away());
}

#[test]
fn f2_flood_of_ignored_messages() {
    let mut one = small(2);
    one.handle_ignored(START, "no meaning").expect("forgiven");
    one.handle_ignored(START, "no meaning").expect("forgiven");
    assert_eq!(
        one.handle_ignored(START, "no meaning")
            .expect_err("past")
            .what,
        "no meaning"
    );
}

#[test]
fn f2_notifications_past_the_permits_are_dropped_and_counted() {
    let mut callee = small(0);
    for serial in 0..20 {
        arrives(&mut callee, START, notification(None, serial));
    }
    assert_eq!(callee.handlers_running(), 8);
    assert_eq!(callee.dropped_notifications(), 12);
}

#[test]
fn f2_a_well_behaved_mix_is_never_charged() {
    let limits = Limits::new()
        .with_violation_budget(0)
        .with_calls_in_flight(2)
        .with_keep_alive(Some(ms(100)));
    let mut one = connection(&limits);
    let mut seen = deaf();
    let mut now = 0;
    for round in 0..2000_u64 {
        now += 7;
        one.handle_bytes(at(now), 10);
        // Our call: answered, cancelled with the answer under way, or past its deadline.
        let id = opens(&mut one, at(now), Some(ms(20)), round);
        arrives(&mut one, at(now), progress(id.into()));
        match round % 3 {
            0 => drop(arrives(&mut one, at(now), reply(id.into(), round))),
            1 => one.cancel(id, CALLER, &mut seen),
            _ => {
                now += 20;
                passes(&mut one, at(now));
            }
        }
        one.take(id);
        if round % 3 != 0 {
            arrives(&mut one, at(now), progress(id.into()));
            arrives(&mut one, at(now), reply(id.into(), round));
        }
        // The peer's calls, one more than there are permits, each with a cancel that comes late.
        let ids = [round * 3, round * 3 + 1, round * 3 + 2].map(WireId::Uint);
        let mut keys = Vec::new();
        for id in &ids {
            for seen in arrives(&mut one, at(now), request(id.clone(), Some(ms(1)), 0)) {
                if let Seen::Start(key, _) = seen {
                    one.park(key);
                    keys.push(key);
                }
            }
        }
        for key in keys {
            one.finish(key);
            one.flushed(1);
        }
        for id in ids {
            arrives(&mut one, at(now), cancel(id, CancelReason::Deadline));
        }
        // A silence that ends in a sign of life: bytes first, the pong inside them.
        if round % 10 == 0 {
            now += 100;
            for seen in passes(&mut one, at(now)) {
                let Seen::Ping(number) = seen else {
                    panic!("{seen:?}")
                };
                one.handle_bytes(at(now), 10);
                arrives(&mut one, at(now), Envelope::Pong(number));
            }
        }
    }
    assert_empty(&one);
}

#[test]
fn f2_ids_cost_little() {
    let id = |len| WireId::Text("i".repeat(len).into());
    let verbatim = |len| WireId::Verbatim(vec![0; len].into());
    let mut callee = small(50);
    let keys = [id(256), verbatim(256)].map(|id| admits(&mut callee, START, request(id, None, 1)));
    for envelope in [
        request(id(257), None, 2),
        request(verbatim(257), None, 2),
        notification(Some(id(1 << 20)), 2),
    ] {
        let mut seen = deaf();
        let violation = callee
            .handle(START, envelope, &mut seen)
            .expect_err("too long");
        assert_eq!(violation.what, "id is too long");
        assert_eq!(seen.take(), [], "not echoed");
    }
    // Where an id is only looked up it costs nothing.
    callee
        .handle(START, cancel(id(1 << 20), CALLER), &mut deaf())
        .expect("forgiven");
    assert_eq!(callee.handlers_running(), keys.len());
}
