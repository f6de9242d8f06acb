//! Deadlines, at their edges.

use super::*;
use recorder::End;

#[test]
fn t1_deadline_of_zero_is_over_at_once() {
    let mut one = connection(&Limits::new());
    let id = opens(&mut one, START, Some(Duration::ZERO), 1);
    assert!(one.poll_timeout() <= START);
    let order = (id.into(), CancelReason::Deadline);
    let over = [Seen::Withdrawn(1, order), Seen::Ended(1, End::Deadline)];
    assert_eq!(passes(&mut one, START), over);
    assert_eq!(passes(&mut one, START), [], "once");
    one.take(id);
    let key = admits(
        &mut one,
        START,
        request(WireId::Uint(1), Some(Duration::ZERO), 2),
    );
    one.park(key);
    assert_eq!(
        passes(&mut one, START),
        [Seen::Stop(key, CancelReason::Deadline)]
    );
    assert_eq!(passes(&mut one, START), [], "once");
    assert_eq!(one.finish(key), Some(WireId::Uint(1)));
    one.flushed(1);
    assert_empty(&one);
    assert_eq!(one.poll_timeout(), Moment::NEVER);
}

#[test]
fn t1_deadlines_beyond_the_range_are_never() {
    let mut one = connection(&Limits::new());
    let huge = [
        Duration::MAX,
        Duration::from_millis(u64::MAX),
        Duration::from_secs(u64::MAX),
        ms(1 << 60),
    ];
    for (serial, timeout) in (0..).zip(huge) {
        opens(&mut one, START, Some(timeout), serial);
        let key = admits(
            &mut one,
            START,
            request(WireId::Uint(serial), Some(timeout), serial),
        );
        one.park(key);
    }
    assert_eq!(one.poll_timeout(), Moment::NEVER);
    let late = Moment::from_nanos(u64::MAX - 1);
    assert_eq!(passes(&mut one, late), []);
    // Even opened at the end of time.
    opens(&mut one, late, Some(ms(1)), 9);
    assert_eq!(one.poll_timeout(), Moment::NEVER);
    assert_eq!(one.calls_waiting(), 5);
}

#[test]
fn t1_time_that_stands_still_or_runs_backwards_ends_nothing_early() {
    let mut one = connection(&Limits::new().with_keep_alive(Some(ms(50))));
    opens(&mut one, at(10), Some(ms(5)), 1);
    for _ in 0..3 {
        assert_eq!(passes(&mut one, at(10)), []);
    }
    assert_eq!(passes(&mut one, START), []);
    assert_eq!(passes(&mut one, Moment::ZERO), []);
    one.handle_bytes(Moment::ZERO, 10);
    one.handle_ignored(Moment::ZERO, "nothing")
        .expect("forgiven");
    let ends = passes(&mut one, at(15));
    assert!(ends.contains(&Seen::Ended(1, End::Deadline)), "{ends:?}");
}

#[test]
fn t1_the_timer_is_never_late() {
    // Many calls in both directions with scattered deadlines; each ends at the first look at the
    // clock at or after its deadline, and the timer asks for that look in time.
    let mut one = connection(&Limits::new());
    let spans = (0..200_u64).map(|n| n * 37 % 101 + 1);
    let mut left = std::collections::BTreeMap::new();
    for (serial, span) in (0..).zip(spans) {
        opens(&mut one, START, Some(ms(span)), serial);
        left.insert((at(span), serial), ());
        let key = admits(
            &mut one,
            START,
            request(WireId::Uint(serial), Some(ms(span)), 1000 + serial),
        );
        one.park(key);
        left.insert((at(span), 1000 + serial), ());
        if serial % 5 == 0 {
            // Answered in time: it leaves a mark in the timer, and nothing else.
            let answered = opens(&mut one, START, Some(ms(1)), 5000);
            arrives(&mut one, START, reply(answered.into(), 0));
        }
    }
    while let Some((&(earliest, _), ())) = left.first_key_value() {
        let due = one.poll_timeout();
        assert!(due <= earliest, "due {due:?}, deadline {earliest:?}");
        for seen in passes(&mut one, due) {
            let serial = match seen {
                Seen::Ended(serial, End::Deadline) => serial,
                Seen::Stop(key, CancelReason::Deadline) => *one.handler_mut(key).expect("runs"),
                Seen::Withdrawn(..) => continue,
                other => panic!("{other:?}"),
            };
            let deadline = *left
                .keys()
                .find(|(_, known)| *known == serial)
                .expect("once");
            assert!(deadline.0 <= due, "ended early");
            left.remove(&deadline);
        }
    }
    assert_eq!(one.poll_timeout(), Moment::NEVER);
}

#[test]
fn t1_a_call_that_ends_in_its_first_poll_has_no_timer() {
    let mut one = connection(&Limits::new());
    let key = admits(&mut one, START, request(WireId::Uint(1), Some(ms(5)), 1));
    assert_eq!(one.poll_timeout(), Moment::NEVER);
    one.finish(key);
    one.park(key);
    assert_eq!(one.poll_timeout(), Moment::NEVER, "parked too late: over");
    let key = admits(&mut one, START, request(WireId::Uint(2), Some(ms(5)), 1));
    one.park(key);
    assert_eq!(one.poll_timeout(), at(5));
}

#[test]
fn t1_max_deadline_cuts_what_the_peer_asks_for() {
    let mut one = connection(&Limits::new().with_max_deadline(Some(ms(50))));
    let asked = [Some(Duration::MAX), Some(ms(50)), None, Some(ms(20))];
    let keys: Vec<_> = (0..)
        .zip(asked)
        .map(|(id, timeout)| admits(&mut one, START, request(WireId::Uint(id), timeout, 0)))
        .collect();
    let fired = admits(&mut one, START, notification(None, 0));
    for key in keys.iter().chain([&fired]) {
        one.park(*key);
    }
    let stop = |key: &crate::InboundKey| Seen::Stop(*key, CancelReason::Deadline);
    assert_eq!(one.poll_timeout(), at(20));
    assert_eq!(passes(&mut one, at(20)), [stop(&keys[3])]);
    assert_eq!(one.poll_timeout(), at(50));
    assert_eq!(passes(&mut one, at(49)), []);
    let rest = [&keys[0], &keys[1], &keys[2], &fired].map(stop);
    assert_eq!(passes(&mut one, at(50)), rest);
    // The cap is for the peer: what this side asks for is its own affair.
    opens(&mut one, at(50), Some(ms(500)), 1);
    assert_eq!(one.poll_timeout(), at(550));
}

#[test]
fn t1_an_answer_at_the_deadline_wins_when_it_is_handled_first() {
    let mut one = connection(&Limits::new());
    let id = opens(&mut one, START, Some(ms(5)), 1);
    assert_eq!(
        arrives(&mut one, at(6), reply(id.into(), 1)),
        [Seen::Ended(1, End::Reply(1))]
    );
    assert_eq!(passes(&mut one, at(6)), []);
}

#[test]
fn t1_a_wire_that_cannot_go_on_after_a_timeout_ends() {
    let mut profile = Profile::new("test", FORMAT);
    profile.on_timeout = mynah_protocol::OnTimeout::Close;
    let mut one = Connection::new(&Limits::new(), &profile, START);
    let id = opens(&mut one, START, Some(ms(5)), 1);
    opens(&mut one, START, None, 2);
    let key = admits(&mut one, START, request(WireId::Uint(1), Some(ms(3)), 3));
    one.park(key);
    let mut seen = Recorder::default();
    // A deadline of the peer is its own affair.
    one.handle_timeout(at(3), &mut seen).expect("goes on");
    seen.take();
    let closed = one.handle_timeout(at(5), &mut seen).expect_err("it ends");
    let order = (id.into(), CancelReason::Deadline);
    let over = [Seen::Withdrawn(1, order), Seen::Ended(1, End::Deadline)];
    assert_eq!(seen.take(), over);
    one.close(closed, &mut seen);
    assert_eq!(seen.take(), [Seen::Ended(2, End::Lost)]);
}
