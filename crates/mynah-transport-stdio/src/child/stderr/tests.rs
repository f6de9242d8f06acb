use super::*;

/// What becomes of bytes that arrive in these pieces, with lines of at most eight bytes.
fn check(pieces: &[&[u8]], expected: &[(&str, u64)]) {
    let mut splitter = Splitter::new(8);
    let mut lines = Vec::new();
    for piece in pieces {
        splitter.split(piece, &mut |line| lines.push(line));
    }
    splitter.finish(&mut |line| lines.push(line));
    let lines: Vec<_> = lines
        .iter()
        .map(|line| (line.text.as_str(), line.cut_bytes))
        .collect();
    assert_eq!(lines, expected);
}

#[test]
fn bytes_become_lines_however_they_arrive() {
    check(&[], &[]);
    check(&[b"one\ntwo\n"], &[("one", 0), ("two", 0)]);
    check(&[b"on", b"e\nt", b"wo"], &[("one", 0), ("two", 0)]);
    check(&[b"\r\n\n"], &[("", 0), ("", 0)]);
    check(&[b"one\r\n", b"two\r", b"\n"], &[("one", 0), ("two", 0)]);
    check(&[b"\xff\xfe\n"], &[("\u{fffd}\u{fffd}", 0)]);
}

#[test]
fn a_line_that_is_too_long_is_cut_and_says_so() {
    check(&[b"12345678\n"], &[("12345678", 0)]);
    check(&[b"123456789\nx\n"], &[("12345678", 1), ("x", 0)]);
    check(&[b"12345", b"67890", b"12345"], &[("12345678", 7)]);
}

#[test]
fn the_oldest_lines_are_dropped_and_counted_in_the_next() {
    let (_lines, queue) = StderrLines::new(2);
    hand_over(&queue, |push| {
        for text in ["a", "b", "c", "d", "e"] {
            push(SideLine::new(text));
        }
    });
    let queue = lock(&queue);
    let left: Vec<_> = queue
        .lines
        .iter()
        .map(|line| (line.text.as_str(), line.dropped))
        .collect();
    assert_eq!(left, [("d", 3), ("e", 0)]);
}

#[test]
fn one_line_at_a_time_counts_too() {
    let (_lines, queue) = StderrLines::new(1);
    hand_over(&queue, |push| {
        for text in ["a", "b", "c"] {
            push(SideLine::new(text));
        }
    });
    let queue = lock(&queue);
    assert_eq!(queue.lines.len(), 1);
    assert_eq!(queue.lines[0].dropped, 2);
}
