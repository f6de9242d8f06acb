//! Frames behind their length.

use super::{Cut, FrameError, Framing, check_len};
use crate::EncodeError;

/// Frames behind a 32-bit big-endian length. The length does not count itself.
#[derive(Clone, Copy, Debug)]
pub struct LengthFraming {
    limit: usize,
}

impl LengthFraming {
    /// Bytes of the length.
    pub const HEAD: usize = 4;

    /// Frames of up to `limit` bytes of content.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { limit }
    }

    /// Cuts the frame at the start of `input`. Looks at four bytes, however often it is called.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`] as soon as the length is there.
    #[inline]
    pub fn cut(&self, input: &[u8]) -> Result<Cut, FrameError> {
        let Some(head) = input.first_chunk::<{ Self::HEAD }>() else {
            return Ok(Cut::Need(Self::HEAD - input.len()));
        };
        let len = u32::from_be_bytes(*head);
        let content = usize::try_from(len).unwrap_or(usize::MAX);
        if content > self.limit {
            return Err(FrameError::TooLarge {
                len: u64::from(len),
                limit: self.limit,
            });
        }
        let end = Self::HEAD + content;
        Ok(if input.len() < end {
            Cut::Need(end - input.len())
        } else {
            Cut::Frame {
                start: Self::HEAD,
                content_end: end,
                end,
            }
        })
    }
}

impl Framing for LengthFraming {
    fn cut(&mut self, input: &[u8]) -> Result<Cut, FrameError> {
        Self::cut(self, input)
    }

    fn enclose(&self, out: &mut Vec<u8>, start: usize) -> Result<(), EncodeError> {
        let len = check_len(out, start, self.limit)?;
        let Ok(head) = u32::try_from(len) else {
            let limit = u32::MAX as usize;
            out.truncate(start);
            return Err(EncodeError::TooLarge { len, limit });
        };
        drop(out.splice(start..start, head.to_be_bytes()));
        Ok(())
    }
}
