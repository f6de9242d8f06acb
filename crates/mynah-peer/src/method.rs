//! What is known of a method before anything is called.

/// Whether a method answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MethodKind {
    /// One request, one answer.
    Unary,
    /// No answer.
    Notification,
}

/// What is known of a method before anything is called. Made by the macro, as a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MethodInfo {
    service: &'static str,
    name: &'static str,
    params: &'static [&'static str],
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
        }
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
