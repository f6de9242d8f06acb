//! Named functions that borrow their context.
//!
//! The future of `async fn ping(cx: &Context, p: Ping)` holds the borrow, and has another type for each lifetime of it.
//! A closure cannot say that of itself; a named function does.

use super::extract::Needs;
use super::respond::{Respond, ViaFuture};
use super::{Handler, Mounted};
use crate::context::Context;
use crate::handler::output::Output;
use crate::validate::Unchecked;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;

/// A function that borrows its context for one lifetime.
pub trait Borrows<'a, P>: Fn(&'a Context, P) -> Self::Future {
    /// What it gives.
    type Future: Future<Output = Self::Given> + Send;
    /// What that comes to.
    type Given;
}

impl<'a, F, Fut, P> Borrows<'a, P> for F
where
    F: Fn(&'a Context, P) -> Fut,
    Fut: Future + Send + 'a,
{
    type Future = Fut;
    type Given = Fut::Output;
}

/// The same without params.
pub trait BorrowsAlone<'a>: Fn(&'a Context) -> Self::Future {
    /// What it gives.
    type Future: Future<Output = Self::Given> + Send;
    /// What that comes to.
    type Given;
}

impl<'a, F, Fut> BorrowsAlone<'a> for F
where
    F: Fn(&'a Context) -> Fut,
    Fut: Future + Send + 'a,
{
    type Future = Fut;
    type Given = Fut::Output;
}

/// Marks a function that borrows its context.
#[derive(Debug)]
pub struct ViaBorrow<P, R, O>(PhantomData<(P, R, O)>);

/// Marks a function that borrows its context and has no params.
#[derive(Debug)]
pub struct ViaBorrowAlone<R, O>(PhantomData<(R, O)>);

/// Makes a method of a function whose future is none of the user's.
fn mount<F, Fut, A, O>(function: F) -> Mounted
where
    F: super::Function<A, Returned = Fut>,
    Fut: Future<Output: Output<O>> + Send + 'static,
    A: 'static,
    O: 'static,
{
    <Fut as Respond<ViaFuture<O>>>::mount::<F, A, Unchecked>(function)
}

impl<F, P, R, O> Handler<ViaBorrow<P, R, O>> for F
where
    F: for<'a> Borrows<'a, P, Given = R> + Clone + Send + Sync + 'static,
    P: DeserializeOwned + Send + 'static,
    R: Output<O>,
    O: 'static,
{
    fn needs(_: &mut Needs) {}

    fn mount(self) -> Mounted {
        let function = move |cx: Context, params: P| {
            // A named function is no more than its type: a copy costs nothing.
            let function = self.clone();
            async move { function(&cx, params).await }
        };
        mount::<_, _, super::function::Takes<(Context,), P>, O>(function)
    }
}

impl<F, R, O> Handler<ViaBorrowAlone<R, O>> for F
where
    F: for<'a> BorrowsAlone<'a, Given = R> + Clone + Send + Sync + 'static,
    R: Output<O>,
    O: 'static,
{
    fn needs(_: &mut Needs) {}

    fn mount(self) -> Mounted {
        let function = move |cx: Context| {
            let function = self.clone();
            async move { function(&cx).await }
        };
        mount::<_, _, super::function::TakesNone<(Context,)>, O>(function)
    }
}
