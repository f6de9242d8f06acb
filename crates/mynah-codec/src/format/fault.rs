//! What can be wrong with bytes: one wording for scanning and decoding.

use crate::{DecodeError, DecodeErrorKind};

#[cold]
pub(in crate::format) fn truncated(at: usize) -> DecodeError {
    DecodeError::new(
        DecodeErrorKind::Truncated,
        "the input ends inside of a value",
        at,
    )
}

#[cold]
pub(in crate::format) fn trailing(at: usize) -> DecodeError {
    DecodeError::new(
        DecodeErrorKind::Trailing,
        "something is left over behind the value",
        at,
    )
}

#[cold]
pub(in crate::format) fn malformed(what: &'static str, at: usize) -> DecodeError {
    DecodeError::new(DecodeErrorKind::Malformed, what, at)
}

#[cold]
pub(in crate::format) fn too_deep(at: usize) -> DecodeError {
    DecodeError::new(DecodeErrorKind::TooDeep, "nested deeper than the limit", at)
}

#[cold]
pub(in crate::format) fn too_long(at: usize) -> DecodeError {
    DecodeError::new(DecodeErrorKind::TooLong, "more elements than the limit", at)
}

#[cold]
pub(in crate::format) fn too_large(at: usize) -> DecodeError {
    DecodeError::new(
        DecodeErrorKind::TooLarge,
        "more bytes than the limit of a message",
        at,
    )
}

#[cold]
pub(in crate::format) fn invalid_utf8(at: usize) -> DecodeError {
    DecodeError::new(
        DecodeErrorKind::InvalidUtf8,
        "a text is not valid UTF-8",
        at,
    )
}

#[cold]
pub(in crate::format) fn duplicate_key(at: usize) -> DecodeError {
    DecodeError::new(DecodeErrorKind::DuplicateKey, "a map has a key twice", at)
}
