//! Names of services and methods.

use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt;

/// A service and one of its methods. The service may be empty: some wires know only methods.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MethodName<'a> {
    /// The service; empty on a wire, or for a method, without one.
    pub service: Cow<'a, str>,
    /// The method.
    pub method: Cow<'a, str>,
}

/// Why a name is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// There is nothing in it.
    #[error("name is empty")]
    Empty,
    /// It is longer than the limit.
    #[error("name of {len} bytes exceeds limit of {limit}")]
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        limit: usize,
    },
}

/// The service under which a peer calls what was passed to it as a param; the method is the number of the callback in
/// decimal.
pub const CALLBACK_SERVICE: &str = "$callback";

/// The service under which a peer subscribes to events; its one method is `subscribe`.
pub const EVENTS_SERVICE: &str = "$events";

impl<'a> MethodName<'a> {
    /// A name that borrows.
    #[must_use]
    pub const fn new(service: &'a str, method: &'a str) -> Self {
        Self {
            service: Cow::Borrowed(service),
            method: Cow::Borrowed(method),
        }
    }

    /// Checks it: the method is not empty, both together are not longer than `limit` bytes.
    ///
    /// # Errors
    /// - [`NameError::Empty`] when there is no method name.
    /// - [`NameError::TooLong`] above the limit.
    pub fn check(&self, limit: usize) -> Result<(), NameError> {
        let len = self.service.len() + self.method.len();
        if self.method.is_empty() {
            return Err(NameError::Empty);
        }
        if len > limit {
            return Err(NameError::TooLong { len, limit });
        }
        Ok(())
    }

    /// The same name, owned.
    #[must_use]
    pub fn into_owned(self) -> MethodName<'static> {
        MethodName {
            service: Cow::Owned(self.service.into_owned()),
            method: Cow::Owned(self.method.into_owned()),
        }
    }
}

impl From<(&str, &str)> for MethodName<'static> {
    fn from((service, method): (&str, &str)) -> Self {
        Self {
            service: Cow::Owned(String::from(service)),
            method: Cow::Owned(String::from(method)),
        }
    }
}

impl fmt::Display for MethodName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.service.is_empty() {
            write!(f, "{}.", self.service.escape_debug())?;
        }
        write!(f, "{}", self.method.escape_debug())
    }
}
