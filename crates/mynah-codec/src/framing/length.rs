//! Frames behind their length.

use super::Cut;
use crate::WireError;

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
    /// [`WireError::TooLarge`] as soon as the length is there.
    #[inline]
    pub fn cut(&self, input: &[u8]) -> Result<Cut, WireError> {
        let Some(head) = input.first_chunk::<{ Self::HEAD }>() else {
            return Ok(Cut::Need(Self::HEAD - input.len()));
        };
        let len = u32::from_be_bytes(*head);
        let content = usize::try_from(len).unwrap_or(usize::MAX);
        if content > self.limit {
            return Err(WireError::TooLarge {
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
                end,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l1_a_length_bomb_is_refused_at_its_head() {
        let framing = LengthFraming::new(1 << 20);
        let bomb = u32::MAX.to_be_bytes();
        assert_eq!(
            framing.cut(&bomb),
            Err(WireError::TooLarge {
                len: u64::from(u32::MAX),
                limit: 1 << 20
            })
        );
    }

    #[test]
    fn every_prefix_needs_more() {
        let framing = LengthFraming::new(16);
        let input = [0, 0, 0, 3, b'a', b'b', b'c', b'd'];
        for len in 0..7 {
            let Cut::Need(more) = framing.cut(&input[..len]).unwrap() else {
                panic!("{len}")
            };
            assert!(more >= 1 && len + more <= 7);
        }
        assert_eq!(framing.cut(&input), Ok(Cut::Frame { start: 4, end: 7 }));
        assert_eq!(
            framing.cut(&[0, 0, 0, 0]),
            Ok(Cut::Frame { start: 4, end: 4 })
        );
    }
}
