//! The error that travels through a codec: one pointer, so that results stay in registers.

use crate::{DecodeError, DecodeErrorKind, EncodeError};
use std::fmt;

/// Stands for an offset that is not known where the error arises.
const UNKNOWN: usize = usize::MAX;

/// A [`DecodeError`] on its way out.
#[derive(Debug)]
pub(super) struct Failure(Box<DecodeError>);

impl Failure {
    #[cold]
    #[inline(never)]
    pub(super) fn new(kind: DecodeErrorKind, detail: &str, offset: usize) -> Self {
        Self(Box::new(DecodeError::new(kind, detail, offset)))
    }

    /// The error; `offset` is where the decoder stopped.
    pub(super) fn into_error(self, offset: usize) -> DecodeError {
        if self.0.offset() == UNKNOWN {
            self.0.at(offset)
        } else {
            *self.0
        }
    }
}

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        Self(Box::new(error))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Failure {}

impl serde::de::Error for Failure {
    #[cold]
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(Box::new(DecodeError::shape(message.to_string(), UNKNOWN)))
    }
}

/// An [`EncodeError`] on its way out.
#[derive(Debug)]
pub(super) struct Refusal(Box<EncodeError>);

impl Refusal {
    #[cold]
    #[inline(never)]
    pub(super) fn new(detail: &str) -> Self {
        Self(Box::new(EncodeError::Value(detail.to_owned())))
    }

    pub(super) fn into_error(self) -> EncodeError {
        *self.0
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Refusal {}

impl serde::ser::Error for Refusal {
    #[cold]
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(Box::new(EncodeError::Value(message.to_string())))
    }
}
