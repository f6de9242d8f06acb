//! What a handler takes.

use super::extract::{FromContext, Needs};
use super::read::AsWhole;
use crate::context::Context;
use crate::params::{Reads, Signature, Spelled};
use mynah_protocol::RpcError;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;

/// A function or closure by what it takes. Implemented for all of up to six arguments; `A` is what they are.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the handler of a method",
    label = "not a handler: what it takes is neither of the call nor params",
    note = "a handler takes what it wants of its call (`cx: Context`, `State<T>`, `ServerState<T>`, `Peer`), then one argument that is its params",
    note = "the params need `serde::Deserialize` and are `Send`; several of them are a tuple: `|cx: Context, (a, b): (i64, i64)|`",
    note = "a closure cannot borrow its context: take `cx: Context`, which is a cheap clone; a named `async fn(cx: &Context, ..)` may"
)]
pub trait Function<A>: Send + Sync + 'static {
    /// Its params, as one value.
    type Params: Send + 'static;
    /// How they are read.
    #[doc(hidden)]
    type Reads: Reads<Self::Params> + Default;
    /// What it returns when it is called.
    type Returned: Send + 'static;

    /// Whether there may be streams or callbacks in its params.
    #[doc(hidden)]
    const BINDS: bool;

    /// What must have been given to the router before it starts.
    #[doc(hidden)]
    fn needs(needs: &mut Needs);

    /// Calls it.
    #[doc(hidden)]
    fn call(&self, cx: Context, params: Self::Params) -> Result<Self::Returned, RpcError>;
}

/// Marks a function that takes these of its call, and params.
#[derive(Debug)]
pub struct Takes<C, P>(PhantomData<(C, P)>);

/// Marks a function that takes these of its call, and has no params.
#[derive(Debug)]
pub struct TakesNone<C>(PhantomData<C>);

/// The params of a method that has none.
#[derive(Debug)]
pub struct NoParams;

impl Signature for NoParams {
    type Params = ();

    const NAMES: &'static [&'static str] = &[];
    const DEFAULTS: () = ();
}

macro_rules! functions {
    ($($first:ident $first_value:ident $($rest:ident $rest_value:ident)*)?) => {
        impl<Fun, Out, $($first, $($rest,)*)? P> Function<Takes<($($first, $($rest,)*)?), P>> for Fun
        where
            Fun: Fn($($first, $($rest,)*)? P) -> Out + Send + Sync + 'static,
            Out: Send + 'static,
            $($first: FromContext, $($rest: FromContext,)*)?
            P: DeserializeOwned + Send + 'static,
        {
            type Params = P;
            type Reads = AsWhole;
            type Returned = Out;

            const BINDS: bool = true;

            #[allow(unused_variables, clippy::allow_attributes, reason = "there may be none")]
            fn needs(needs: &mut Needs) {
                $($first::needs(needs); $($rest::needs(needs);)*)?
            }

            #[inline]
            #[allow(unused_variables, clippy::allow_attributes, reason = "there may be none")]
            fn call(&self, cx: Context, params: P) -> Result<Out, RpcError> {
                $(
                    $(let $rest_value = $rest::from_context(&cx)?;)*
                    // The first is the context itself, as a rule: moved, not cloned.
                    let $first_value = $first::from_owned(cx)?;
                )?
                Ok(self($($first_value, $($rest_value,)*)? params))
            }
        }

        impl<Fun, Out $(, $first $(, $rest)*)?> Function<TakesNone<($($first, $($rest,)*)?)>> for Fun
        where
            Fun: Fn($($first $(, $rest)*)?) -> Out + Send + Sync + 'static,
            Out: Send + 'static,
            $($first: FromContext, $($rest: FromContext,)*)?
        {
            type Params = ();
            type Reads = Spelled<NoParams>;
            type Returned = Out;

            const BINDS: bool = false;

            #[allow(unused_variables, clippy::allow_attributes, reason = "there may be none")]
            fn needs(needs: &mut Needs) {
                $($first::needs(needs); $($rest::needs(needs);)*)?
            }

            #[inline]
            #[allow(unused_variables, clippy::allow_attributes, reason = "there may be none")]
            fn call(&self, cx: Context, (): ()) -> Result<Out, RpcError> {
                $(
                    $(let $rest_value = $rest::from_context(&cx)?;)*
                    let $first_value = $first::from_owned(cx)?;
                )?
                Ok(self($($first_value $(, $rest_value)*)?))
            }
        }
    };
}

functions!();
functions!(A a);
functions!(A a B b);
functions!(A a B b C c);
functions!(A a B b C c D d);
functions!(A a B b C c D d E e);
