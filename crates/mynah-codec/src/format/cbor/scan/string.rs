//! Texts and bytes, in one piece or in chunks, that may stop anywhere.

use super::{Head, Scanner, Step, as_u64};
use crate::DecodeError;
use crate::format::cbor::{fault, head};
use crate::format::utf8::Utf8;

/// A string that is being passed.
#[derive(Debug, Default)]
pub(super) struct InString {
    /// Whether there is one.
    pub(super) active: bool,
    /// Bytes that are missing of it, or of its current chunk.
    left: usize,
    /// The major type of the chunks that follow until a break; 0 for a string in one piece.
    chunks: u8,
    text: bool,
    utf8: Utf8,
}

impl InString {
    /// A string of a known length.
    #[inline]
    pub(super) fn whole(left: usize, text: bool) -> Self {
        Self {
            active: true,
            left,
            chunks: 0,
            text,
            utf8: Utf8::default(),
        }
    }

    /// A string in chunks.
    pub(super) fn chunked(major: u8) -> Self {
        Self {
            chunks: major,
            ..Self::whole(0, major == head::TEXT)
        }
    }
}

impl Scanner {
    /// Passes what is there of the current string.
    pub(super) fn string_step(&mut self, input: &[u8]) -> Result<Step, DecodeError> {
        let rest = input.get(self.at..).unwrap_or_default();
        let string = &mut self.string;
        let there = rest.get(..string.left).unwrap_or(rest);
        if string.text {
            self.examined += as_u64(there.len());
            if !string.utf8.check(there) {
                return Err(fault::invalid_utf8(self.at));
            }
        }
        self.at += there.len();
        string.left -= there.len();
        if string.left > 0 {
            return Ok(Step::Missing(string.left));
        }
        // Each chunk is a text of its own: no character is split.
        if !string.utf8.is_complete() {
            return Err(fault::invalid_utf8(self.at));
        }
        if string.chunks == 0 {
            string.active = false;
            return Ok(Step::Complete);
        }
        self.chunk(input)
    }

    /// The head of the next chunk of a string, or the break behind the last.
    fn chunk(&mut self, input: &[u8]) -> Result<Step, DecodeError> {
        let Some(first) = input.get(self.at).copied() else {
            return Ok(Step::Missing(1));
        };
        if first == head::BREAK {
            self.examined += 1;
            self.at += 1;
            self.string.active = false;
            return Ok(Step::Complete);
        }
        if first & !head::INFO != self.string.chunks || first & head::INFO == head::INDEFINITE {
            return Err(fault::malformed(fault::NOT_A_CHUNK, self.at));
        }
        match self.head(first & head::INFO, input)? {
            Head::Missing(missing) => Ok(Step::Missing(missing)),
            Head::Known { argument, end } => {
                self.string.left = self.fits(argument, 1, end)?;
                self.at = end;
                Ok(Step::Inside)
            }
        }
    }
}
