//! How a pipe fails.

use crate::{DecodeError, EncodeError, FrameError};
use std::io;

/// What went wrong in a [`Pipe`](super::Pipe).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipeError {
    /// Reading or writing failed. Ends the side of the pipe on which it happened.
    #[error("input or output failed")]
    Io(#[source] io::Error),
    /// What came is no frame, or one beyond the limit. Ends the stream.
    #[error("bytes cannot be cut into messages")]
    Frame(#[source] FrameError),
    /// A message is not the value that was expected. Ends the stream.
    #[error("message cannot be decoded")]
    Decode(#[source] DecodeError),
    /// A message cannot be written. Nothing of it was, and the next may be.
    #[error("message cannot be encoded")]
    Encode(#[source] EncodeError),
}
