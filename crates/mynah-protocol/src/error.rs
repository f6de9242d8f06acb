//! The error object that travels.

use crate::{ErrorCode, Value};
use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

/// An error as it travels between peers: a code, a text for people, and data for programs.
///
/// What a handler returns as its error arrives unchanged on the other side as far as the wire can
/// carry it. Text and data from a peer are untrusted: they are bounded when decoded, and `Display`
/// escapes control characters.
#[derive(Clone, Debug, PartialEq)]
pub struct RpcError {
    code: ErrorCode,
    message: Box<str>,
    data: Option<Box<Value>>,
}

impl RpcError {
    /// An error with a code and a text.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into().into_boxed_str(),
            data: None,
        }
    }

    /// An error of the table with its public text.
    #[must_use]
    pub fn from_code(code: ErrorCode) -> Self {
        Self::new(code, code.public_text().unwrap_or("error"))
    }

    /// The same error with data for programs.
    #[must_use]
    pub fn with_data(mut self, data: impl Into<Value>) -> Self {
        self.data = Some(Box::new(data.into()));
        self
    }

    /// The number that says why.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        self.code
    }

    /// The text, as the peer sent it: not escaped.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The data, `None` when the peer sent none.
    #[must_use]
    pub fn data(&self) -> Option<&Value> {
        self.data.as_deref()
    }

    /// Takes the data out.
    pub fn take_data(&mut self) -> Option<Value> {
        self.data.take().map(|data| *data)
    }
}

impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message.escape_debug())
    }
}

impl core::error::Error for RpcError {}
