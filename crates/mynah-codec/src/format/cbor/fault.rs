//! What can be wrong with bytes: one wording for scanning and decoding.

use crate::{DecodeError, DecodeErrorKind};

pub(super) const RESERVED: &str = "a reserved length";
pub(super) const NOT_INDEFINITE: &str = "an indefinite length where there is none";
pub(super) const STRAY_BREAK: &str = "a break where nothing can end";
pub(super) const LONG_SIMPLE: &str = "a simple value in two bytes that has one";
pub(super) const NOT_A_CHUNK: &str = "a string holds something else than its chunks";

#[cold]
pub(super) fn truncated(at: usize) -> DecodeError {
    DecodeError::new(
        DecodeErrorKind::Truncated,
        "the input ends inside of a value",
        at,
    )
}

#[cold]
pub(super) fn trailing(at: usize) -> DecodeError {
    DecodeError::new(
        DecodeErrorKind::Trailing,
        "something is left over behind the value",
        at,
    )
}

#[cold]
pub(super) fn malformed(what: &'static str, at: usize) -> DecodeError {
    DecodeError::new(DecodeErrorKind::Malformed, what, at)
}

#[cold]
pub(super) fn too_deep(at: usize) -> DecodeError {
    DecodeError::new(DecodeErrorKind::TooDeep, "nested deeper than the limit", at)
}

#[cold]
pub(super) fn too_long(at: usize) -> DecodeError {
    DecodeError::new(DecodeErrorKind::TooLong, "more elements than the limit", at)
}

#[cold]
pub(super) fn too_large(at: usize) -> DecodeError {
    DecodeError::new(
        DecodeErrorKind::TooLarge,
        "more bytes than the limit of a message",
        at,
    )
}

#[cold]
pub(super) fn invalid_utf8(at: usize) -> DecodeError {
    DecodeError::new(
        DecodeErrorKind::InvalidUtf8,
        "a text is not valid UTF-8",
        at,
    )
}

#[cold]
pub(super) fn duplicate_key(at: usize) -> DecodeError {
    DecodeError::new(DecodeErrorKind::DuplicateKey, "a map has a key twice", at)
}
