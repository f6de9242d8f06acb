//! Frames behind headers, as the Language Server Protocol has them.

use super::{Cut, FrameError, Framing, check_len};
use crate::EncodeError;
use std::io::Write as _;

/// Frames behind headers of which one, `Content-Length`, counts the bytes of the content. An empty line ends the headers;
/// lines end with carriage return and line feed, and the names of headers are in any case. Other headers mean nothing here.
///
/// Source: the base protocol of the Language Server Protocol 3.17.
#[derive(Clone, Copy, Debug)]
pub struct HeaderFraming {
    limit: usize,
    /// So many bytes were looked at and do not end the headers.
    seen: usize,
    /// Bytes of the headers and of the content, once they are known.
    known: Option<(usize, usize)>,
}

/// What ends the headers.
const END: &[u8; 4] = b"\r\n\r\n";

impl HeaderFraming {
    /// The most bytes of headers of one frame, in bytes, their end included. Real ones take 20 to 100.
    pub const MAX_HEADER_BYTES: usize = 4096;

    /// Frames of up to `limit` bytes of content.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self {
            limit,
            seen: 0,
            known: None,
        }
    }

    /// Looks for the end of the headers. `Err` holds how many bytes are missing at least.
    fn headers(&mut self, input: &[u8]) -> Result<Result<(usize, usize), usize>, FrameError> {
        let window = input.get(..Self::MAX_HEADER_BYTES).unwrap_or(input);
        let from = self.seen.saturating_sub(END.len() - 1);
        let unknown = window.get(from..).unwrap_or_default();
        let at = unknown.windows(END.len()).position(|bytes| bytes == END);
        let end = at.map_or(window.len(), |at| from + at);
        // Such a byte is in no header, so whoever sends something else is told at once.
        let fresh = window.get(self.seen..end).unwrap_or_default();
        if !fresh.iter().all(|byte| is_header_byte(*byte)) {
            return Err(FrameError::Malformed("a byte that is in no header"));
        }
        if at.is_none() {
            self.seen = window.len();
            if window.len() == Self::MAX_HEADER_BYTES {
                return Err(FrameError::Malformed("headers have no end"));
            }
            // What is there may be the beginning of the end.
            let parts = (1..END.len()).rev();
            let there = parts
                .filter_map(|len| END.get(..len))
                .find(|part| window.ends_with(part));
            return Ok(Err(END.len() - there.map_or(0, <[u8]>::len)));
        }
        let len = content_length(window.get(..end).unwrap_or_default())?;
        let content = usize::try_from(len).unwrap_or(usize::MAX);
        if content > self.limit {
            let limit = self.limit;
            return Err(FrameError::TooLarge { len, limit });
        }
        Ok(Ok((end + END.len(), content)))
    }
}

const fn is_header_byte(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\r' | b'\n' | 0x20..=0x7e)
}

/// The number behind `Content-Length`.
fn content_length(headers: &[u8]) -> Result<u64, FrameError> {
    let mut found = None;
    for line in headers.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = colon
            .and_then(|colon| line.split_at_checked(colon))
            .ok_or(FrameError::Malformed("a header without a colon"))?;
        if line.contains(&b'\r') {
            return Err(FrameError::Malformed("a carriage return within a header"));
        }
        if !name.eq_ignore_ascii_case(b"content-length") {
            continue;
        }
        if found.is_some() {
            return Err(FrameError::Malformed("Content-Length stands there twice"));
        }
        let digits = value.get(1..).unwrap_or_default().trim_ascii();
        found = Some(number(digits).ok_or(FrameError::Malformed("Content-Length is no number"))?);
    }
    found.ok_or(FrameError::Malformed("Content-Length is missing"))
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number.checked_mul(10)?.checked_add(digit.into())
    })
}

impl Framing for HeaderFraming {
    fn cut(&mut self, input: &[u8]) -> Result<Cut, FrameError> {
        let (start, len) = match self.known {
            Some(known) => known,
            None => match self.headers(input)? {
                Ok(known) => *self.known.insert(known),
                Err(missing) => return Ok(Cut::Need(missing)),
            },
        };
        // The headers are there, and the content is within the limit: it does not overflow.
        let end = start.saturating_add(len);
        if input.len() < end {
            return Ok(Cut::Need(end - input.len()));
        }
        self.known = None;
        self.seen = 0;
        Ok(Cut::Frame {
            start,
            content_end: end,
            end,
        })
    }

    fn enclose(&self, out: &mut Vec<u8>, start: usize) -> Result<(), EncodeError> {
        let len = check_len(out, start, self.limit)?;
        let mut head = Vec::with_capacity(40);
        // Writing into memory does not fail.
        let _written = write!(head, "Content-Length: {len}\r\n\r\n");
        drop(out.splice(start..start, head));
        Ok(())
    }
}
