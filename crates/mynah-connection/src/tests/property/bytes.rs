//! Operations out of arbitrary bytes, for the fuzzer: the same two connections and the same models as the property test.

use super::*;

/// Bytes that say the limits of one side.
const HEAD: usize = 6;
/// Bytes of one operation.
const STEP: usize = 4;
/// What is longer finds nothing that this does not.
const MOST: usize = 400;

/// Two connections do what the bytes say, each beside its model; at the end both come to rest.
///
/// # Panics
/// A connection does something else than its model, or a rule of both together is broken.
#[cfg_attr(
    not(fuzzing),
    allow(
        unreachable_pub,
        reason = "what a fuzz target reaches, a test need not"
    )
)]
pub fn two_connections(bytes: &[u8]) {
    let Some((left, rest)) = bytes.split_first_chunk::<HEAD>() else {
        return;
    };
    let Some((right, rest)) = rest.split_first_chunk::<HEAD>() else {
        return;
    };
    let mut pair = Pair::new(limits(*left), limits(*right));
    let (steps, _) = rest.as_chunks::<STEP>();
    for &[what, pick, a, b] in steps.iter().take(MOST) {
        let at = usize::from(what >> 7);
        pair.does(at, op(what & 127, pick, a, b));
        pair.check();
    }
    pair.settle();
}

fn limits([permits, calls, cap, keep_alive, items, bytes]: [u8; HEAD]) -> Limits {
    let bounds = Bounds {
        permits: 1 + u32::from(permits % 4),
        calls: 1 + u32::from(calls % 5),
        cap: (cap.is_multiple_of(4)).then_some(1 + u64::from(cap / 4) % 29),
        keep_alive: (keep_alive.is_multiple_of(4)).then_some(60),
        window: (1 + u32::from(items % 8), 1 + u32::from(bytes % 199)),
    };
    bounds.limits()
}

fn timeout(byte: u8) -> Option<u64> {
    match byte {
        0..128 => None,
        255 => Some(u64::MAX),
        _ => Some(u64::from(byte % 40)),
    }
}

fn op(what: u8, pick: u8, a: u8, b: u8) -> Op {
    let pick = usize::from(pick);
    match what % 28 {
        0 => Op::Open(timeout(a)),
        1 | 2 => Op::OpenStreams(Opened {
            timeout: timeout(a),
            until_first: b & 1 == 1,
            window: (b & 6 != 0).then_some((1 + (pick as u64) % 8, 1 + u64::from(b) % 199)),
            input: b & 8 == 0,
        }),
        3 => Op::Cancel(pick),
        4 => Op::Take(pick),
        5 => Op::Notify {
            with_id: a & 1 == 1,
        },
        6 => Op::CancelNotification(pick),
        7 => Op::Event,
        8 => Op::CallBack { asks: a & 1 == 1 },
        9 => Op::Finish(pick, a & 1 == 1),
        10 => Op::Park(pick),
        11 => Op::Say(pick),
        12..=18 => Op::Stream(pick, stream_op(what % 28 - 12, a, b)),
        19 => Op::Ping,
        20 => Op::Grab(1 + usize::from(a % 3)),
        21..=22 => Op::Write {
            control: a & 1 == 1,
        },
        23 => Op::Flush,
        24..=25 => Op::Deliver(1 + usize::from(a % 3)),
        26 => Op::Pass {
            millis: u64::from(a % 20),
            late: b.is_multiple_of(5),
        },
        _ if a == 255 => Op::Close,
        _ => Op::Drain,
    }
}

fn stream_op(what: u8, a: u8, b: u8) -> StreamOp {
    let (count, size) = (1 + u64::from(a % 5), 4 + u64::from(b) % 56);
    let some = 1 + usize::from(a % 5);
    match what {
        0 => StreamOp::Results(count, size),
        1 => StreamOp::TakeResults(some),
        2 if b & 1 == 0 => StreamOp::Accept,
        2 => StreamOp::StopInput,
        3 => StreamOp::OpenInput,
        4 => StreamOp::Input(count, size),
        5 => StreamOp::TakeInput(some),
        _ => StreamOp::EndInput(b & 1 == 1),
    }
}
