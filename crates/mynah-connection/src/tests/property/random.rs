//! Random operations and limits, for property tests.

use super::{Bounds, Op, Opened, StreamOp, Turn};
use proptest::prelude::*;

fn timeout() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![Just(None), (0..40_u64).prop_map(Some), Just(Some(u64::MAX))]
}

fn opened() -> impl Strategy<Value = Opened> {
    let window = prop::option::weighted(0.8, (1..9_u64, 1..200_u64));
    (timeout(), any::<bool>(), window, any::<bool>()).prop_map(
        |(timeout, until_first, window, input)| Opened {
            timeout,
            until_first,
            window,
            input,
        },
    )
}

fn stream_op() -> impl Strategy<Value = StreamOp> {
    let some = || (1..6_u64, 4..60_u64);
    prop_oneof![
        6 => some().prop_map(|(count, size)| StreamOp::Results(count, size)),
        5 => (1..6_usize).prop_map(StreamOp::TakeResults),
        1 => Just(StreamOp::Accept),
        4 => Just(StreamOp::OpenInput),
        6 => some().prop_map(|(count, size)| StreamOp::Input(count, size)),
        5 => (1..6_usize).prop_map(StreamOp::TakeInput),
        1 => any::<bool>().prop_map(StreamOp::EndInput),
        1 => Just(StreamOp::StopInput),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => timeout().prop_map(Op::Open),
        10 => opened().prop_map(Op::OpenStreams),
        5 => any::<usize>().prop_map(Op::Cancel),
        6 => any::<usize>().prop_map(Op::Take),
        2 => any::<bool>().prop_map(|with_id| Op::Notify { with_id }),
        1 => any::<usize>().prop_map(Op::CancelNotification),
        1 => Just(Op::Event),
        3 => any::<bool>().prop_map(|asks| Op::CallBack { asks }),
        6 => (any::<usize>(), any::<bool>()).prop_map(|(pick, well)| Op::Finish(pick, well)),
        5 => any::<usize>().prop_map(Op::Park),
        3 => any::<usize>().prop_map(Op::Say),
        40 => (any::<usize>(), stream_op()).prop_map(|(pick, op)| Op::Stream(pick, op)),
        1 => Just(Op::Ping),
        4 => (1..4_usize).prop_map(Op::Grab),
        28 => any::<bool>().prop_map(|control| Op::Write { control }),
        5 => Just(Op::Flush),
        28 => (1..4_usize).prop_map(Op::Deliver),
        4 => (0..20_u64, prop::bool::weighted(0.2)).prop_map(|(millis, late)| Op::Pass { millis, late }),
    ]
}

pub(super) fn bounds() -> impl Strategy<Value = Bounds> {
    let cap = prop::option::weighted(0.25, 1..30_u64);
    let keep_alive = prop::option::weighted(0.25, Just(60));
    let window = (1..9_u32, 1..200_u32);
    (1..5_u32, 1..6_u32, cap, keep_alive, window).prop_map(
        |(permits, calls, cap, keep_alive, window)| Bounds {
            permits,
            calls,
            cap,
            keep_alive,
            window,
        },
    )
}

pub(super) fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let tail = prop_oneof![3 => Just(None), 1 => Just(Some(Op::Drain)), 1 => Just(Some(Op::Close))];
    let some = |len| prop::collection::vec((any::<bool>(), op()), 0..len);
    (some(160), any::<bool>(), tail, some(50)).prop_map(|(mut turns, side, tail, rest)| {
        turns.extend(tail.map(|op| (side, op)));
        turns.extend(rest);
        turns
    })
}
