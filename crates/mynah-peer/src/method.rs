//! What is known of a method before anything is called.

use mynah_protocol::MethodName;

/// Whether a method answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MethodKind {
    /// One request, one answer.
    Unary,
    /// No answer.
    Notification,
    /// A stream of results.
    Stream,
}

/// What is known of a method before anything is called. Made by the macro, as a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MethodInfo {
    service: &'static str,
    name: &'static str,
    params: &'static [&'static str],
    idempotent: bool,
}

impl MethodInfo {
    /// A method of a service with the names of its params, in order.
    #[must_use]
    pub const fn new(
        service: &'static str,
        name: &'static str,
        params: &'static [&'static str],
    ) -> Self {
        Self {
            service,
            name,
            params,
            idempotent: false,
        }
    }

    /// The same method, of which a second call changes nothing.
    #[must_use]
    pub const fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// Whether a call may be made again when it is not known whether it ran.
    #[must_use]
    pub const fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    /// The name of the service.
    #[must_use]
    pub const fn service(&self) -> &'static str {
        self.service
    }

    /// The name of the method.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The names of the params, in order.
    #[must_use]
    pub const fn params(&self) -> &'static [&'static str] {
        self.params
    }
}

/// What is called: a method of a contract, or a name that is known only when the program runs.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Method(&'static MethodInfo),
    Named { service: Box<str>, method: Box<str> },
}

impl Target {
    pub(crate) fn named(service: impl Into<Box<str>>, method: impl Into<Box<str>>) -> Self {
        Self::Named {
            service: service.into(),
            method: method.into(),
        }
    }

    /// Whether a call may be made again when it is not known whether it ran.
    #[inline]
    pub(crate) const fn is_idempotent(&self) -> bool {
        match self {
            Self::Method(info) => info.is_idempotent(),
            Self::Named { .. } => false,
        }
    }

    #[inline]
    pub(crate) fn name(&self) -> MethodName<'_> {
        match self {
            Self::Method(info) => MethodName::new(info.service(), info.name()),
            Self::Named { service, method } => MethodName::new(service, method),
        }
    }
}
