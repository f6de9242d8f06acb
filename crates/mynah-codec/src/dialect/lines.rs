//! Lines in a byte stream, for wires that go on behind a line that is too long.
//!
//! Unlike [`LineFraming`](crate::framing::LineFraming), to which a line beyond its limit is the end of the stream, this
//! goes past it: what stands at its start is shown, the rest is not kept.

/// What stands at the start of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// No end of a line yet.
    Open,
    /// So many bytes are an empty line, or a further part of one that was too long.
    Blank(usize),
    /// The first so many bytes end a line that was too long: [`Lines::tail`] has its last bytes.
    End(usize),
    /// The first `len` bytes are a line, and the next begins at `next`.
    Whole { len: usize, next: usize },
    /// A line beyond the limit, of which the first `len` bytes are to be looked at; what it has from `next` on is
    /// [`Self::Blank`] up to its [`Self::End`].
    TooLong { len: usize, next: usize },
}

/// Cuts a byte stream into lines of up to `limit` bytes, without what ends them: a line feed, before which one carriage
/// return is taken away.
#[derive(Debug)]
pub(super) struct Lines {
    limit: usize,
    /// So many bytes were looked at and hold no line feed.
    seen: usize,
    /// Within a line that was too long.
    beyond: bool,
    /// The last bytes of such a line, up to so many.
    tail: Vec<u8>,
    most_tail: usize,
}

impl Lines {
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            limit,
            seen: 0,
            beyond: false,
            tail: Vec::new(),
            most_tail: 0,
        }
    }

    /// The same, which keeps so many of the last bytes of a line that is too long.
    pub(super) const fn with_tail(mut self, bytes: usize) -> Self {
        self.most_tail = bytes;
        self
    }

    /// The last bytes of the line that was too long, without what ends it.
    pub(super) fn tail(&self) -> &[u8] {
        trimmed(&self.tail)
    }

    fn keep_tail(&mut self, part: &[u8]) {
        let part = part.get(part.len().saturating_sub(self.most_tail)..);
        let part = part.unwrap_or_default();
        let surplus = (self.tail.len() + part.len()).saturating_sub(self.most_tail);
        self.tail.drain(..surplus.min(self.tail.len()));
        self.tail.extend_from_slice(part);
    }

    /// Goes past what is there of a line that is too long, up to `end`.
    fn go_beyond(&mut self, input: &[u8], end: usize) -> Line {
        self.seen = 0;
        self.beyond = true;
        self.tail.clear();
        self.keep_tail(input.get(..end).unwrap_or_default());
        Line::TooLong {
            len: self.limit,
            next: end,
        }
    }

    pub(super) const fn limit(&self) -> usize {
        self.limit
    }

    /// Cuts what is at the start of `input`, which is not empty. Each byte is looked at once, whatever the pieces in
    /// which it comes, and the verdict does not depend on them.
    pub(super) fn cut(&mut self, input: &[u8]) -> Line {
        let fresh = input.get(self.seen..).unwrap_or_default();
        let found = fresh.iter().position(|byte| *byte == b'\n');
        if self.beyond {
            let end = found.unwrap_or(input.len());
            self.keep_tail(input.get(..end).unwrap_or_default());
            self.beyond = found.is_none();
            return match found {
                Some(at) => Line::End(at + 1),
                None => Line::Blank(end),
            };
        }
        let Some(at) = found else {
            self.seen = input.len();
            // One carriage return may still turn out to be no part of it.
            if trimmed(input).len() <= self.limit && input.len() <= self.limit.saturating_add(1) {
                return Line::Open;
            }
            return self.go_beyond(input, input.len());
        };
        let end = self.seen + at;
        let next = end + 1;
        let len = trimmed(input.get(..end).unwrap_or_default()).len();
        if len > self.limit {
            return self.go_beyond(input, end);
        }
        self.seen = 0;
        match len {
            0 => Line::Blank(next),
            _ => Line::Whole { len, next },
        }
    }

    /// The stream has ended, and `input` is what is left of it: a line that has no line feed.
    pub(super) fn finish(&mut self, input: &[u8]) -> Line {
        let next = input.len();
        if std::mem::take(&mut self.beyond) {
            self.keep_tail(input);
            return Line::End(next);
        }
        self.seen = 0;
        let len = trimmed(input).len();
        if len > self.limit {
            let line = self.go_beyond(input, next);
            self.beyond = false;
            return line;
        }
        match len {
            0 => Line::Blank(next),
            _ => Line::Whole { len, next },
        }
    }
}

/// The line without the carriage return at its end.
const fn trimmed(line: &[u8]) -> &[u8] {
    match line {
        [line @ .., b'\r'] => line,
        line => line,
    }
}

#[cfg(test)]
mod tests {
    use super::{Line, Lines};

    /// The lines of a stream that arrives in pieces; `!` in front of what is too long.
    fn cut(stream: &[u8], size: usize) -> Vec<String> {
        let mut lines = Lines::new(5).with_tail(3);
        let (mut heard, mut buffer) = (Vec::new(), Vec::new());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        for piece in stream.chunks(size) {
            buffer.extend_from_slice(piece);
            while !buffer.is_empty() {
                let used = match lines.cut(&buffer) {
                    Line::Open => break,
                    Line::Blank(used) => used,
                    Line::End(used) => {
                        heard.push(format!("…{}", text(lines.tail())));
                        used
                    }
                    Line::Whole { len, next } => {
                        heard.push(text(&buffer[..len]));
                        next
                    }
                    Line::TooLong { len, next } => {
                        heard.push(format!("!{}", text(&buffer[..len])));
                        next
                    }
                };
                buffer.drain(..used);
            }
            assert!(buffer.len() <= 6, "more is kept than a line may have");
        }
        match lines.finish(&buffer) {
            Line::Whole { len, .. } => heard.push(text(&buffer[..len])),
            Line::Blank(_) => {}
            Line::End(_) => heard.push(format!("…{}", text(lines.tail()))),
            other => panic!("{other:?}"),
        }
        heard
    }

    #[test]
    fn lines_do_not_depend_on_the_pieces() {
        let stream = b"one\n\r\n12345\n12345\r\n123456\n123456\r\n12345\r6\n1234567890\n\n\nlast";
        let expected = [
            "one", "12345", "12345", "!12345", "…456", "!12345", "…56", "!12345", "…5\r6",
            "!12345", "…890", "last",
        ];
        for size in 1..=stream.len() {
            assert_eq!(cut(stream, size), expected, "in pieces of {size}");
        }
    }

    #[test]
    fn what_is_left_of_a_long_line_is_no_line() {
        for size in 1..=10 {
            assert_eq!(cut(b"1234567890", size), ["!12345", "…890"]);
        }
    }
}
