//! Handlers made by hand: functions and closures under a name.
//!
//! ```text
//! closure ── Function<A> ── what it takes: of the call, then the params          (function.rs, extract.rs)
//!    │           │
//!    │           └─ Returned: Respond<M> ── what it gives: a value, a future, a stream   (respond.rs)
//!    └── Handler<(A, M)> ── the same machinery that the macro's methods have
//! ```
//!
//! `A` and `M` are there for the compiler alone: they tell apart what one and the same type could mean.

mod borrowed;
mod extract;
mod function;
mod read;
mod respond;

pub use extract::{FromContext, Needs, ServerState, State};
pub use function::Function;
pub use respond::Respond;

/// Markers by which the compiler tells apart what a handler may be. A program names them only where it is generic over
/// handlers.
pub mod markers {
    pub use super::super::output::{ViaResult, ViaValue};
    pub use super::ViaValidated;
    pub use super::borrowed::{Borrows, BorrowsAlone, ViaBorrow, ViaBorrowAlone};
    pub use super::function::{NoParams, Takes, TakesNone};
    pub use super::read::AsWhole;
    pub use super::respond::{
        ViaFuture, ViaFutureResultStream, ViaFutureStream, ViaNow, ViaStream,
    };
}

use super::Method;
use crate::method::MethodKind;
use crate::validate::{CheckParams, CheckResult, Checked, Unchecked, Validate};
use std::any::Any;
use std::fmt;

/// What can answer under a name: a function or closure, async or not. Implemented for all of them; `M` tells apart what
/// they take and give.
///
/// A handler takes, in this order:
/// - what it wants of its call: [`Context`](crate::Context) by value (a cheap clone), [`State`], [`ServerState`],
///   [`Peer`](crate::Peer), [`Evidence`](mynah_protocol::Evidence), or anything else that is [`FromContext`];
/// - its params as one argument, any type that can be read: a struct for params by name or as one object, a tuple for
///   params by position. Streams and callbacks of the caller ([`Incoming`](crate::Incoming),
///   [`Callback`](crate::Callback)) are parts of them. Without this argument the method has no params.
///
/// It gives a value, a `Result` with a [`DomainError`](crate::DomainError), nothing, or a stream of such; as it is, or as
/// a future.
///
/// A closure that borrows its context does not compile, because its future would outlive it: it takes `cx: Context`. A
/// named function may borrow: `async fn(cx: &Context, params: P)`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the handler of a method",
    label = "not a handler",
    note = "a handler is a function or closure that takes what it wants of its call (`cx: Context`, `State<T>`, `ServerState<T>`, `Peer`), then one argument that is its params",
    note = "the params need `serde::Deserialize` and are `Send`; several of them are a tuple: `|cx: Context, (a, b): (i64, i64)|`",
    note = "it gives a value that is `serde::Serialize`, a `Result` with a `#[derive(mynah::DomainError)]` error, a stream of such, or a `Send` future of such",
    note = "a closure cannot borrow its context: take `cx: Context`, which is a cheap clone"
)]
pub trait Handler<M>: Sized + Send + Sync + 'static {
    /// What must have been given to the router before it starts.
    #[doc(hidden)]
    fn needs(needs: &mut Needs);

    /// Makes a method of it.
    #[doc(hidden)]
    fn mount(self) -> Mounted;
}

/// A handler that is a method: what a router keeps of it.
#[doc(hidden)]
pub struct Mounted {
    pub(crate) kind: MethodKind,
    pub(crate) handler: Box<dyn Method>,
    /// As a [`Route`](crate::router::Route) has it.
    pub(crate) typed: Box<dyn Any + Send + Sync>,
    pub(crate) names: &'static [&'static str],
}

impl fmt::Debug for Mounted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mounted")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl<F, A, M> Handler<(A, M)> for F
where
    F: Function<A>,
    F::Returned: Respond<M>,
    A: 'static,
{
    fn needs(needs: &mut Needs) {
        F::needs(needs);
    }

    fn mount(self) -> Mounted {
        F::Returned::mount::<F, A, Unchecked>(self)
    }
}

/// A handler whose params and results are held against [`Validate`]. Made by [`validated`].
#[derive(Clone, Copy, Debug)]
pub struct Validated<F>(F);

/// Has the params of a handler validated before it runs, and its result before it leaves.
///
/// Params that are not valid are refused with -32602 and what is wrong in `data.errors`, and the handler does not run; a
/// result that is not valid is answered with -32603 `Result validation failed`, and what is wrong with it is logged.
pub const fn validated<F>(handler: F) -> Validated<F> {
    Validated(handler)
}

/// Marks a handler that is validated.
#[derive(Debug)]
pub enum ViaValidated {}

impl<F, A, M> Handler<(ViaValidated, A, M)> for Validated<F>
where
    F: Function<A>,
    F::Params: Validate,
    F::Returned: Respond<M>,
    <F::Returned as Respond<M>>::Value: Validate,
    A: 'static,
    Checked: CheckParams<F::Params> + CheckResult<<F::Returned as Respond<M>>::Value>,
{
    fn needs(needs: &mut Needs) {
        F::needs(needs);
    }

    fn mount(self) -> Mounted {
        F::Returned::mount::<F, A, Checked>(self.0)
    }
}
