//! Why a value cannot become what was asked for.

use alloc::boxed::Box;
use alloc::string::{String, ToString as _};
use core::fmt;

/// A value that does not have the asked shape, or a Rust value that has no [`Value`](super::Value).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct ValueError {
    detail: Box<str>,
}

impl ValueError {
    pub(super) fn new(detail: impl Into<String>) -> Self {
        Self {
            detail: detail.into().into_boxed_str(),
        }
    }
}

impl serde::ser::Error for ValueError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }
}

impl serde::de::Error for ValueError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }
}
