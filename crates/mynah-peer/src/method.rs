//! What is known of a method before anything is called.

use mynah_protocol::MethodName;
use std::borrow::Cow;

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
    object: bool,
    optional: u16,
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
            object: false,
            optional: 0,
        }
    }

    /// The same method, of which a second call changes nothing.
    #[must_use]
    pub const fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// The same method, which takes one param, and that is all of its params as one object.
    #[must_use]
    pub const fn object(mut self) -> Self {
        self.object = true;
        self
    }

    /// The same method; a bit for each param that is an `Option`, and is not written when it is `None`. The first is
    /// the lowest bit.
    #[must_use]
    pub const fn lacking(mut self, optional: u16) -> Self {
        self.optional = optional;
        self
    }

    /// Whether its one param is all of its params as one object.
    #[must_use]
    pub const fn takes_object(&self) -> bool {
        self.object
    }

    /// Which of its params are an `Option`: a bit for each, the first is the lowest.
    #[must_use]
    pub const fn optional(&self) -> u16 {
        self.optional
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
    Named {
        service: Cow<'static, str>,
        method: Cow<'static, str>,
        idempotent: bool,
    },
}

impl Target {
    #[inline]
    pub(crate) fn named(
        service: impl Into<Cow<'static, str>>,
        method: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::Named {
            service: service.into(),
            method: method.into(),
            idempotent: false,
        }
    }

    /// The same for a call that goes on under the name with which it began.
    pub(crate) fn owned(name: &MethodName<'_>) -> Self {
        Self::named(name.service.to_string(), name.method.to_string())
    }

    /// Says that a call may be made again. What a contract says of its methods stays.
    pub(crate) const fn set_idempotent(&mut self) {
        if let Self::Named { idempotent, .. } = self {
            *idempotent = true;
        }
    }

    /// Whether a call may be made again when it is not known whether it ran.
    #[inline]
    pub(crate) const fn is_idempotent(&self) -> bool {
        match self {
            Self::Method(info) => info.is_idempotent(),
            Self::Named { idempotent, .. } => *idempotent,
        }
    }

    /// Whether it is one of those that every peer has: their names begin with `$`.
    pub(crate) fn is_built_in(&self) -> bool {
        self.name().service.starts_with('$')
    }

    #[inline]
    pub(crate) fn name(&self) -> MethodName<'_> {
        match self {
            Self::Method(info) => MethodName::new(info.service(), info.name()),
            Self::Named {
                service, method, ..
            } => MethodName::new(service, method),
        }
    }
}
