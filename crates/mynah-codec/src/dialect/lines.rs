//! Lines in a byte stream, for wires that go on behind a line that is too long.
//!
//! Unlike [`LineFraming`](crate::framing::LineFraming), to which a line beyond its limit is the end of the stream, this
//! goes past it: what stands at its start is shown, the rest is not kept.

/// What stands at the start of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// No end of a line yet.
    Open,
    /// So many bytes are an empty line, or the rest of one that was too long.
    Blank(usize),
    /// The first `len` bytes are a line, and the next begins at `next`.
    Whole { len: usize, next: usize },
    /// A line beyond the limit, of which the first `len` bytes are to be looked at; what it has beyond `next` is
    /// [`Self::Blank`].
    TooLong { len: usize, next: usize },
}

/// Cuts a byte stream into lines of up to `limit` bytes, without what ends them: a line feed, before which one carriage
/// return is taken away.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines {
    limit: usize,
    /// So many bytes were looked at and hold no line feed.
    seen: usize,
    /// Within a line that was too long.
    beyond: bool,
}

impl Lines {
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            limit,
            seen: 0,
            beyond: false,
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
            self.beyond = found.is_none();
            return Line::Blank(found.map_or(input.len(), |at| at + 1));
        }
        let Some(at) = found else {
            self.seen = input.len();
            // One carriage return may still turn out to be no part of it.
            if trimmed(input).len() <= self.limit && input.len() <= self.limit.saturating_add(1) {
                return Line::Open;
            }
            self.seen = 0;
            self.beyond = true;
            return Line::TooLong {
                len: self.limit,
                next: input.len(),
            };
        };
        let end = self.seen + at;
        self.seen = 0;
        let next = end + 1;
        let len = trimmed(input.get(..end).unwrap_or_default()).len();
        match len {
            0 => Line::Blank(next),
            _ if len > self.limit => Line::TooLong {
                len: self.limit,
                next,
            },
            _ => Line::Whole { len, next },
        }
    }

    /// The stream has ended, and `input` is what is left of it: a line that has no line feed.
    pub(super) fn finish(&mut self, input: &[u8]) -> Line {
        self.seen = 0;
        let len = trimmed(input).len();
        let next = input.len();
        if std::mem::take(&mut self.beyond) || len == 0 {
            Line::Blank(next)
        } else if len > self.limit {
            Line::TooLong {
                len: self.limit,
                next,
            }
        } else {
            Line::Whole { len, next }
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
        let mut lines = Lines::new(5);
        let (mut heard, mut buffer) = (Vec::new(), Vec::new());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        for piece in stream.chunks(size) {
            buffer.extend_from_slice(piece);
            while !buffer.is_empty() {
                let used = match lines.cut(&buffer) {
                    Line::Open => break,
                    Line::Blank(used) => used,
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
            other => panic!("{other:?}"),
        }
        heard
    }

    #[test]
    fn lines_do_not_depend_on_the_pieces() {
        let stream = b"one\n\r\n12345\n12345\r\n123456\n123456\r\n12345\r6\n1234567890\n\n\nlast";
        let expected = [
            "one", "12345", "12345", "!12345", "!12345", "!12345", "!12345", "last",
        ];
        for size in 1..=stream.len() {
            assert_eq!(cut(stream, size), expected, "in pieces of {size}");
        }
    }

    #[test]
    fn what_is_left_of_a_long_line_is_no_line() {
        for size in 1..=10 {
            assert_eq!(cut(b"1234567890", size), ["!12345"]);
        }
    }
}
