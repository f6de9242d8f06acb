//! What can be wrong with frames.

use crate::{DecodeError, WireError};

/// Bytes that are not frames. The stream cannot be understood from here on.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A frame announces or has more bytes than the limit.
    #[error("frame of {len} bytes exceeds limit of {limit}")]
    TooLarge {
        /// Its size in bytes, as far as it is known.
        len: u64,
        /// The limit in bytes.
        limit: usize,
    },
    /// What stands around the content breaks the rules of the framing.
    #[error("frame is not well-formed: {0}")]
    Malformed(&'static str),
    /// The stream ends within a frame.
    #[error("stream ends within a frame")]
    Truncated,
    /// A framing that goes by values found none.
    #[error("frame is not one value")]
    Value(#[source] DecodeError),
}

impl FrameError {
    /// The same about a wire of which the framing is a part.
    #[must_use]
    pub fn on(self, dialect: &'static str) -> WireError {
        match self {
            Self::TooLarge { len, limit } => WireError::TooLarge { len, limit },
            Self::Value(error) => WireError::Decode(error),
            Self::Malformed(_) | Self::Truncated => WireError::Violation {
                dialect,
                detail: self.to_string(),
            },
        }
    }
}
