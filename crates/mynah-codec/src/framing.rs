//! How a byte stream is cut into frames, resumable.
//!
//! A [`Format`](crate::Format) says one whole message and not where it ends; a [`Framing`] says where messages end and not
//! what they mean. A byte stream needs both.
//!
//! | framing | a frame | what cannot stand in it |
//! |---|---|---|
//! | [`LengthFraming`] | 32-bit length, then the content | nothing |
//! | [`LineFraming`] | the content, then a line feed | line feeds, and nothing at all |
//! | [`HeaderFraming`] | `Content-Length: n`, an empty line, then the content | nothing |
//! | [`CborSequence`], [`JsonSequence`], [`MessagePackSequence`] | one value, which tells where it ends | what is not one such value |

mod error;
mod header;
mod length;
mod line;
mod sequence;

pub use error::FrameError;
pub use header::HeaderFraming;
pub use length::LengthFraming;
pub use line::{LastLine, LineFraming};
pub use sequence::{CborSequence, JsonSequence, MessagePackSequence};

use crate::EncodeError;

/// A rule that cuts a byte stream into frames.
///
/// It looks at each byte once, however the stream arrives, allocates nothing for what is announced and has not arrived,
/// and knows a frame beyond its limit before it has arrived. An error is final: nobody knows where the next frame would
/// begin.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say where a message ends in a byte stream",
    label = "a framing is wanted here",
    note = "a format says one whole message; what cuts a stream into messages is a framing, such as `LengthFraming`, `LineFraming` or `JsonSequence`"
)]
pub trait Framing: Send {
    /// Cuts what is at the start of `input`.
    ///
    /// `input` is everything that has arrived and was not consumed: after [`Cut::Need`] the next call gets the same bytes
    /// with more behind them, and the framing resumes where it stopped. After [`Cut::Skip`] and [`Cut::Frame`] the caller
    /// drops so many bytes from the start.
    ///
    /// # Errors
    /// [`FrameError`]: this is no frame, or one beyond the limit. The stream cannot be understood from here on.
    fn cut(&mut self, input: &[u8]) -> Result<Cut, FrameError>;

    /// The stream has ended and `input` is what is left of it, for which [`Self::cut`] wanted more. `None` when nothing is
    /// left out by that; a frame if the end of the stream ends one.
    ///
    /// # Errors
    /// [`FrameError::Truncated`] when a frame is cut off.
    fn finish(&mut self, input: &[u8]) -> Result<Option<Cut>, FrameError> {
        if input.is_empty() {
            Ok(None)
        } else {
            Err(FrameError::Truncated)
        }
    }

    /// Makes a frame of the content that stands in `out` from `start` to its end. On an error `out` ends at `start`.
    ///
    /// # Errors
    /// - [`EncodeError::TooLarge`] when it is beyond the limit.
    /// - [`EncodeError::Value`] when such content cannot stand in a frame.
    fn enclose(&self, out: &mut Vec<u8>, start: usize) -> Result<(), EncodeError>;
}

/// What a framing finds at the start of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Not a whole frame yet: at least so many bytes must follow what is there.
    Need(usize),
    /// So many bytes are padding between frames.
    Skip(usize),
    /// A frame: its content, as offsets of the input. The frame as a whole ends at `end`.
    Frame {
        /// Where the content begins.
        start: usize,
        /// Where the content ends.
        content_end: usize,
        /// Where the frame ends.
        end: usize,
    },
}

/// Refuses content that cannot stand in a frame.
fn refuse(out: &mut Vec<u8>, start: usize, detail: &str) -> Result<(), EncodeError> {
    out.truncate(start);
    Err(EncodeError::Value(detail.to_owned()))
}

/// Holds a limit on what is about to be sent.
fn check_len(out: &mut Vec<u8>, start: usize, limit: usize) -> Result<usize, EncodeError> {
    let len = out.len().saturating_sub(start);
    if len > limit {
        out.truncate(start);
        return Err(EncodeError::TooLarge { len, limit });
    }
    Ok(len)
}

#[cfg(test)]
mod tests;
