//! Frames that are lines.

use super::{Cut, FrameError, Framing, check_len, refuse};
use crate::EncodeError;

/// What a last line means that has no line feed behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LastLine {
    /// It may be the beginning of a longer one, so it is an error.
    #[default]
    Ended,
    /// It is a line, as files that people write have it.
    MayBeOpen,
}

/// Frames that are lines: each ends with a line feed, before which one carriage return is taken away. Empty lines are
/// padding.
///
/// It suits formats that never write a line feed, JSON above all.
#[derive(Clone, Copy, Debug)]
pub struct LineFraming {
    limit: usize,
    last_line: LastLine,
    /// So many bytes were looked at and hold no line feed.
    pub(super) seen: usize,
}

impl LineFraming {
    /// Lines of up to `limit` bytes, without what ends them.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self {
            limit,
            last_line: LastLine::Ended,
            seen: 0,
        }
    }

    /// Sets what a last line means that has no end.
    #[must_use]
    pub const fn with_last_line(mut self, last_line: LastLine) -> Self {
        self.last_line = last_line;
        self
    }

    /// Holds the limit on a line without its end.
    const fn check(&self, line: &[u8]) -> Result<(), FrameError> {
        if line.len() > self.limit {
            return Err(FrameError::TooLarge {
                len: line.len() as u64,
                limit: self.limit,
            });
        }
        Ok(())
    }
}

/// The line without the carriage return at its end.
const fn trimmed(line: &[u8]) -> &[u8] {
    match line {
        [line @ .., b'\r'] => line,
        line => line,
    }
}

impl Framing for LineFraming {
    fn cut(&mut self, input: &[u8]) -> Result<Cut, FrameError> {
        let fresh = input.get(self.seen..).unwrap_or_default();
        // Nothing beyond the limit is looked at, so the verdict does not depend on how much has come already.
        let most = self.limit.saturating_add(2).saturating_sub(self.seen);
        let fresh = fresh.get(..most).unwrap_or(fresh);
        let Some(len) = fresh.iter().position(|byte| *byte == b'\n') else {
            self.seen += fresh.len();
            // One carriage return may still turn out to be no part of it.
            self.check(trimmed(input.get(..self.seen).unwrap_or_default()))?;
            return Ok(Cut::Need(1));
        };
        let line_end = self.seen + len;
        self.seen = 0;
        let line = trimmed(input.get(..line_end).unwrap_or_default());
        self.check(line)?;
        Ok(if line.is_empty() {
            Cut::Skip(line_end + 1)
        } else {
            Cut::Frame {
                start: 0,
                content_end: line.len(),
                end: line_end + 1,
            }
        })
    }

    fn finish(&mut self, input: &[u8]) -> Result<Option<Cut>, FrameError> {
        self.seen = 0;
        let line = trimmed(input);
        match self.last_line {
            _ if line.is_empty() => Ok(None),
            LastLine::Ended => Err(FrameError::Truncated),
            LastLine::MayBeOpen => {
                self.check(line)?;
                Ok(Some(Cut::Frame {
                    start: 0,
                    content_end: line.len(),
                    end: input.len(),
                }))
            }
        }
    }

    fn enclose(&self, out: &mut Vec<u8>, start: usize) -> Result<(), EncodeError> {
        check_len(out, start, self.limit)?;
        match out.get(start..).unwrap_or_default() {
            [] => refuse(out, start, "an empty line is no frame"),
            line if line.contains(&b'\n') => refuse(out, start, "a line cannot hold a line feed"),
            // One more, for whoever reads takes one away.
            [.., b'\r'] => {
                out.extend_from_slice(b"\r\n");
                Ok(())
            }
            _ => {
                out.push(b'\n');
                Ok(())
            }
        }
    }
}
