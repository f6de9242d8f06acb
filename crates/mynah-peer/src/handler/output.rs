//! What a handler gives back.

use crate::error::DomainError;
use serde::Serialize;
use std::convert::Infallible;

/// What a handler gives back: a value, or a `Result` with a domain error. Implemented for both; `M` tells them apart.
///
/// A type that is both, a `Result` whose error has `Serialize` beside being a [`DomainError`], is ambiguous to the
/// compiler: leave `Serialize` off the error.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the result of a method",
    label = "this is neither a value that can be sent nor a `Result` with a domain error",
    note = "a value needs `serde::Serialize`; the error of a `Result` needs `#[derive(mynah::DomainError)]`, or is `mynah::RpcError`"
)]
pub trait Output<M>: Send + 'static {
    /// What is sent.
    type Value: Serialize + Send + 'static;
    /// The error that keeps its type on its way; `Infallible` where there is none.
    type Error: DomainError;

    /// Both as a result.
    #[doc(hidden)]
    fn into_result(self) -> Result<Self::Value, Self::Error>;
}

/// Marks a value.
#[derive(Debug)]
pub enum ViaValue {}

/// Marks a result.
#[derive(Debug)]
pub enum ViaResult {}

impl<T: Serialize + Send + 'static> Output<ViaValue> for T {
    type Value = T;
    type Error = Infallible;

    #[inline]
    fn into_result(self) -> Result<T, Infallible> {
        Ok(self)
    }
}

impl<T: Serialize + Send + 'static, E: DomainError> Output<ViaResult> for Result<T, E> {
    type Value = T;
    type Error = E;

    #[inline]
    fn into_result(self) -> Self {
        self
    }
}
