//! How a byte stream is cut into frames, resumable.

mod length;

pub use length::LengthFraming;

/// What a framing finds at the start of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Not a whole frame yet: at least so many bytes must follow what is there.
    Need(usize),
    /// A frame: its content, as offsets of the input. The frame as a whole ends at `end`.
    Frame {
        /// Where the content begins.
        start: usize,
        /// Where the content, and the frame, ends.
        end: usize,
    },
}
