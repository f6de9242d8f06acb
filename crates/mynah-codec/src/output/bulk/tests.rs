use super::*;
use crate::{Output, OutputChunk};
use mynah_protocol::Lane;

/// Number, total, length; as one byte each.
fn head(number: u64, total: Option<usize>, len: usize, out: &mut Vec<u8>) {
    out.push(u8::try_from(number).unwrap());
    out.push(total.map_or(0, |total| u8::try_from(total / 1024).unwrap()));
    out.push(u8::try_from(len / 1024).unwrap());
}

/// Chunks of four KiB, two messages and twenty KiB at once.
const RULES: BulkRules = BulkRules {
    prefix: 4,
    chunk_bytes: 4096,
    most_chunk_bytes: 4096,
    messages: 2,
    total_bytes: 20 << 10,
    head,
};

const WHOLE: BulkRules = BulkRules {
    chunk_bytes: usize::MAX,
    most_chunk_bytes: usize::MAX,
    messages: 0,
    ..RULES
};

fn call(id: u64) -> OrderKey {
    OrderKey::Call(WireId::Uint(id))
}

/// Puts a message of so many KiB, four bytes of length before it.
fn put(out: &mut Output, key: u64, kib: usize, rules: BulkRules) -> FrameSpan {
    let mark = u8::try_from(key).unwrap();
    let parts = vec![vec![0; 4].into(), vec![mark; kib * 1024].into()];
    out.put_bulk(call(key), parts, rules)
}

/// What leaves next, as heads of chunks `(number, total, length)`; of whole messages `(key, 99, length)`.
fn take(out: &mut Output) -> (Vec<(u8, u8, usize)>, usize) {
    let mut unit = BulkUnit::default();
    out.take_bulk(&mut unit, Moment::ZERO);
    let mut frames = Vec::new();
    let mut parts = unit.parts.iter();
    while let Some(first) = parts.next() {
        match **first {
            [number, total, len] => {
                let mut left = usize::from(len) * 1024;
                while left > 0 {
                    left -= parts.next().unwrap().len();
                }
                frames.push((number, total, usize::from(len)));
            }
            _ => {
                let content = parts.next().unwrap();
                frames.push((
                    content.first().copied().unwrap_or(0),
                    99,
                    content.len() / 1024,
                ));
            }
        }
    }
    out.bulk_written();
    (frames, unit.answers)
}

fn all(out: &mut Output) -> Vec<(u8, u8, usize)> {
    let mut all = Vec::new();
    loop {
        let (mut frames, _) = take(out);
        if frames.is_empty() {
            assert!(!out.bulk_waits() && out.bulk_held() == 0 && out.bulk_behind() == 0);
            return all;
        }
        all.append(&mut frames);
    }
}

#[test]
fn messages_take_turns() {
    let mut out = Output::with_bulk();
    put(&mut out, 1, 10, RULES);
    put(&mut out, 2, 5, RULES);
    assert_eq!(
        all(&mut out),
        [(0, 10, 4), (1, 5, 4), (0, 0, 4), (1, 0, 1), (0, 0, 2)]
    );
}

#[test]
fn no_more_than_the_peer_takes_leave_at_once() {
    let mut out = Output::with_bulk();
    for key in 0..3 {
        put(&mut out, key, 8, RULES);
    }
    let first: Vec<_> = all(&mut out).iter().map(|frame| frame.0).collect();
    assert_eq!(first, [0, 1, 0, 1, 2, 2], "two at once");
    put(&mut out, 1, 16, RULES);
    put(&mut out, 2, 8, RULES);
    let first: Vec<_> = all(&mut out).iter().map(|frame| frame.0).collect();
    assert_eq!(first, [3, 3, 3, 3, 4, 4], "twenty KiB at once");
}

#[test]
fn a_peer_without_chunks_gets_whole_frames() {
    let mut out = Output::with_bulk();
    put(&mut out, 1, 10, WHOLE);
    put(&mut out, 2, 1, WHOLE);
    assert_eq!(all(&mut out), [(1, 99, 10), (2, 99, 1)]);
}

#[test]
fn what_belongs_together_keeps_its_order() {
    let mut out = Output::with_bulk();
    put(&mut out, 1, 10, RULES);
    assert!(out.bulk_holds(&call(1)) && !out.bulk_holds(&call(2)));
    put(&mut out, 1, 1, RULES);
    put(&mut out, 2, 5, RULES);
    put(&mut out, 1, 6, RULES);
    assert_eq!(
        all(&mut out),
        [
            (0, 10, 4),
            (2, 5, 4),
            (0, 0, 4),
            (2, 0, 1),
            (0, 0, 2),
            (1, 99, 1),
            (3, 6, 4),
            (3, 0, 2)
        ]
    );
    put(&mut out, 1, 6, RULES);
    let parts = vec![vec![0; 4].into(), vec![9; 1024].into()];
    out.put_bulk(OrderKey::All, parts, RULES);
    put(&mut out, 2, 1, RULES);
    assert_eq!(
        all(&mut out),
        [(4, 6, 4), (4, 0, 2), (9, 99, 1), (2, 99, 1)]
    );
}

#[test]
fn what_has_not_begun_is_taken_back_without_a_trace() {
    let mut out = Output::with_bulk();
    let first = put(&mut out, 1, 10, RULES);
    let second = put(&mut out, 2, 10, RULES);
    let third = put(&mut out, 2, 10, RULES);
    assert!(out.withdraw(second) && out.withdraw(third));
    assert!(!out.withdraw(second), "it is gone");
    assert_eq!(out.bulk_held(), 10 * 1024 + 4);
    assert_eq!(all(&mut out), [(0, 10, 4), (0, 0, 4), (0, 0, 2)]);
    assert!(!out.withdraw(first), "it has left");
    assert!(!out.is_empty(), "its receiver may not have taken it");
    out.note_bulk_taken(10 * 1024);
    assert!(out.is_empty());
}

#[test]
fn what_has_begun_is_taken_back_with_an_empty_chunk() {
    let mut out = Output::with_bulk();
    let span = put(&mut out, 1, 40, RULES);
    assert_eq!(take(&mut out).0.len(), 8);
    assert!(!out.bulk_has_left(span, false));
    assert!(out.withdraw(span));
    assert!(!out.bulk_holds(&call(1)) && !out.is_empty());
    assert_eq!(all(&mut out), [(0, 0, 0)]);
    assert!(!out.withdraw(span));
}

#[test]
fn a_span_is_never_taken_for_that_of_a_later_message() {
    let mut out = Output::with_bulk();
    let old = put(&mut out, 1, 10, RULES);
    all(&mut out);
    put(&mut out, 1, 10, RULES);
    assert!(out.bulk_has_left(old, true) && !out.withdraw(old));
    let lane = out.frame(Lane::Data, |buffer| {
        buffer.push(1);
        Ok(())
    });
    assert!(!lane.unwrap().is_bulk());
}

#[test]
fn answers_count_when_their_last_byte_leaves() {
    let mut out = Output::with_bulk();
    let span = put(&mut out, 1, 36, RULES);
    out.note_bulk_answer(span);
    assert_eq!(take(&mut out).1, 0);
    let mut unit = BulkUnit::default();
    out.take_bulk(&mut unit, Moment::ZERO);
    assert_eq!(unit.answers, 1);
    assert!(out.bulk_has_left(span, false) && !out.bulk_has_left(span, true));
    out.bulk_written();
    assert!(out.bulk_has_left(span, true));
}

#[test]
fn what_the_receiver_does_not_take_is_not_sent_ahead() {
    let mut out = Output::with_bulk();
    let rules = BulkRules {
        chunk_bytes: 64 << 10,
        most_chunk_bytes: 64 << 10,
        total_bytes: 4 << 20,
        ..RULES
    };
    let said = out.frame(Lane::Data, |buffer| {
        buffer.push(1);
        Ok(())
    });
    assert_eq!(said.map(|span| span.len), Ok(1));
    out.take(Lane::Data, &mut OutputChunk::default());
    put(&mut out, 1, 200, rules);
    put(&mut out, 2, 200, rules);
    for _ in 0..2 {
        assert_eq!(take(&mut out).0.len(), 1);
    }
    assert_eq!(take(&mut out).0, []);
    assert!(!out.is_ready() && !out.is_empty());
    put(&mut out, 3, 8, rules);
    assert_eq!(
        take(&mut out).0,
        [(3, 99, 8)],
        "what is whole is not held back"
    );
    out.note_bulk_taken(64 << 10);
    assert!(out.is_ready());
    assert_eq!(take(&mut out).0.len(), 1);
    assert_eq!(take(&mut out).0, []);
}

#[test]
fn chunks_grow_while_nothing_else_is_said() {
    let mut out = Output::with_bulk();
    let rules = BulkRules {
        chunk_bytes: 8 << 10,
        most_chunk_bytes: 100 << 10,
        total_bytes: 4 << 20,
        ..RULES
    };
    // Taken in no time at all, by the clock of these tests.
    put(&mut out, 1, 16, rules);
    assert_eq!(take(&mut out).0, [(0, 16, 8), (0, 0, 8)]);
    out.note_bulk_taken(16 << 10);
    put(&mut out, 2, 210, rules);
    let sizes = |out: &mut Output| {
        let (frames, _) = take(out);
        frames.iter().map(|frame| frame.2).collect::<Vec<_>>()
    };
    assert_eq!(sizes(&mut out), [100], "the most that the peer takes");
    let said = out.frame(Lane::Data, |buffer| {
        buffer.push(1);
        Ok(())
    });
    assert_eq!(said.map(|span| span.len), Ok(1));
    out.note_bulk_taken(100 << 10);
    out.take(Lane::Data, &mut OutputChunk::default());
    assert_eq!(sizes(&mut out), [8; 4], "somebody may wait");
}

#[test]
fn a_small_rest_goes_with_the_chunk_before_it_while_nothing_else_is_said() {
    let mut out = Output::with_bulk();
    let rules = BulkRules {
        chunk_bytes: 8 << 10,
        most_chunk_bytes: 100 << 10,
        total_bytes: 4 << 20,
        ..RULES
    };
    put(&mut out, 1, 17, rules);
    let first = [(0, 17, 8), (0, 0, 8), (0, 0, 1)];
    assert_eq!(all(&mut out), first, "of its speed nothing is known");
    out.note_bulk_taken(17 << 10);
    put(&mut out, 2, 125, rules);
    assert_eq!(all(&mut out), [(1, 125, 125)]);
    out.note_bulk_taken(125 << 10);
    put(&mut out, 3, 126, rules);
    assert_eq!(all(&mut out), [(2, 126, 100), (2, 0, 26)]);
}
