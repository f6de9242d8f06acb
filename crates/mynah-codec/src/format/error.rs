//! What can be wrong with bytes, and with values that should become bytes.

use std::fmt;

/// What is wrong with the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// They end in the middle of a value.
    Truncated,
    /// They break the grammar of the format.
    Malformed,
    /// Something is left over behind the value.
    Trailing,
    /// Nested deeper than the limit.
    TooDeep,
    /// An array or map has more elements than the limit.
    TooLong,
    /// More bytes than the limit.
    TooLarge,
    /// A text is not valid UTF-8.
    InvalidUtf8,
    /// A map has a key twice.
    DuplicateKey,
    /// Well-formed, and not of the shape that was asked for.
    Shape,
}

/// Bytes that are not the value that was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct DecodeError {
    kind: DecodeErrorKind,
    offset: usize,
    detail: Box<str>,
}

impl DecodeError {
    /// An error at a byte offset of the input.
    #[must_use]
    pub fn new(kind: DecodeErrorKind, detail: impl Into<String>, offset: usize) -> Self {
        Self {
            kind,
            offset,
            detail: detail.into().into_boxed_str(),
        }
    }

    /// A value of another shape than was asked for.
    #[must_use]
    pub fn shape(detail: impl Into<String>, offset: usize) -> Self {
        Self::new(DecodeErrorKind::Shape, detail, offset)
    }

    /// What is wrong.
    #[must_use]
    pub const fn kind(&self) -> DecodeErrorKind {
        self.kind
    }

    /// What was expected, in words; it may quote the input.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Where, in bytes from the start of the input; 0 when it is not known.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// The same error at another offset.
    #[must_use]
    pub fn at(mut self, offset: usize) -> Self {
        self.offset = offset;
        self
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.detail.escape_debug(), self.offset)
    }
}

impl std::error::Error for DecodeError {}

impl serde::de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::shape(message.to_string(), 0)
    }
}

/// A value or an envelope that cannot be written.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The value has no spelling in this format.
    #[error("value cannot be encoded: {0}")]
    Value(String),
    /// This wire has no way to say it.
    #[error("{dialect} cannot carry {feature}")]
    Unsupported {
        /// The dialect.
        dialect: &'static str,
        /// What it cannot carry.
        feature: &'static str,
    },
    /// The frame would exceed the limit of the peer.
    #[error("message of {len} bytes exceeds limit of {limit}")]
    TooLarge {
        /// Its size in bytes.
        len: usize,
        /// The limit in bytes.
        limit: usize,
    },
}

impl serde::ser::Error for EncodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Value(message.to_string())
    }
}
