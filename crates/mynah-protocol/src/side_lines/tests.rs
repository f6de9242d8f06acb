use super::*;

fn lines(buffer: &mut SideLineBuffer) -> Vec<SideLine> {
    core::iter::from_fn(|| buffer.pop()).collect()
}

/// What becomes of bytes that arrive in these pieces, with lines of at most eight bytes.
fn check(pieces: &[&[u8]], expected: &[(&str, u64)]) {
    let mut buffer = SideLineBuffer::new(8, 10);
    for piece in pieces {
        buffer.write(piece);
    }
    buffer.finish();
    let lines = lines(&mut buffer);
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
    let mut buffer = SideLineBuffer::new(8, 2);
    buffer.write(b"a\nb\nc\nd\ne\n");
    let left = lines(&mut buffer);
    let left: Vec<_> = left
        .iter()
        .map(|line| (line.text.as_str(), line.dropped))
        .collect();
    assert_eq!(left, [("d", 3), ("e", 0)]);
}

#[test]
fn one_line_at_a_time_counts_too() {
    let mut buffer = SideLineBuffer::new(8, 1);
    buffer.write(b"a\nb\nc\n");
    let left = lines(&mut buffer);
    assert_eq!(left.len(), 1);
    assert_eq!(left.first().map(|line| line.dropped), Some(2));
}
