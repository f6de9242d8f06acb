//! What a handler gives.

use super::Mounted;
use super::function::Function;
use crate::context::Context;
use crate::handler::inline::{Inline, Start, TypedError, Value};
use crate::handler::output::{Output, ViaResult};
use crate::handler::sink::{StreamSink, Streamed, TypedStreamMethod};
use crate::method::MethodKind;
use crate::params::Reads;
use crate::validate::{CheckParams, CheckResult};
use futures_core::Stream;
use mynah_protocol::RpcError;
use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::sync::Arc;

/// What a handler gives when it is called: a future, a value, a stream. Implemented for all of them; `M` tells them
/// apart.
#[diagnostic::on_unimplemented(
    message = "a handler cannot give `{Self}`",
    label = "what this handler gives cannot be sent",
    note = "a handler gives a value that is `serde::Serialize`, a `Result` with a `#[derive(mynah::DomainError)]` error, a stream of such, or a future of such; all of them `Send`"
)]
pub trait Respond<M>: Sized + Send + 'static {
    /// A result of the method, or one item of a stream of them.
    type Value;

    /// Makes a method of a function that gives this.
    #[doc(hidden)]
    fn mount<F, A, C>(function: F) -> Mounted
    where
        F: Function<A, Returned = Self>,
        A: 'static,
        C: CheckParams<F::Params> + CheckResult<Self::Value>;
}

/// Marks a future of an output.
#[derive(Debug)]
pub struct ViaFuture<O>(PhantomData<O>);

/// Marks an output as it is.
#[derive(Debug)]
pub struct ViaNow<O>(PhantomData<O>);

/// Marks a stream of outputs.
#[derive(Debug)]
pub struct ViaStream<O>(PhantomData<O>);

/// Marks a future of a stream of outputs.
#[derive(Debug)]
pub struct ViaFutureStream<O>(PhantomData<O>);

/// Marks a future of a stream, or of the error of all of it.
#[derive(Debug)]
pub enum ViaFutureResultStream {}

/// A function that gives a future.
struct Async<F, A>(F, PhantomData<fn() -> A>);

impl<F, A> Start<F::Params> for Async<F, A>
where
    F: Function<A>,
    A: 'static,
{
    type Future = F::Returned;

    const BINDS: bool = F::BINDS;

    #[inline]
    fn start(&self, context: Context, params: F::Params) -> Result<F::Returned, Box<RpcError>> {
        self.0.call(context, params).map_err(Box::new)
    }
}

/// A function that is done when it returns.
struct Now<F, A>(F, PhantomData<fn() -> A>);

impl<F, A> Start<F::Params> for Now<F, A>
where
    F: Function<A>,
    A: 'static,
{
    type Future = Ready<F::Returned>;

    const BINDS: bool = F::BINDS;

    #[inline]
    fn start(
        &self,
        context: Context,
        params: F::Params,
    ) -> Result<Ready<F::Returned>, Box<RpcError>> {
        self.0.call(context, params).map(ready).map_err(Box::new)
    }
}

impl<R, O> Respond<ViaFuture<O>> for R
where
    R: Future<Output: Output<O>> + Send + 'static,
    O: 'static,
{
    type Value = <R::Output as Output<O>>::Value;

    fn mount<F, A, C>(function: F) -> Mounted
    where
        F: Function<A, Returned = Self>,
        A: 'static,
        C: CheckParams<F::Params> + CheckResult<Self::Value>,
    {
        inline::<_, _, F::Reads, O, C>(Async(function, PhantomData))
    }
}

impl<R, O> Respond<ViaNow<O>> for R
where
    R: Output<O>,
    O: 'static,
{
    type Value = R::Value;

    fn mount<F, A, C>(function: F) -> Mounted
    where
        F: Function<A, Returned = Self>,
        A: 'static,
        C: CheckParams<F::Params> + CheckResult<Self::Value>,
    {
        inline::<_, _, F::Reads, O, C>(Now(function, PhantomData))
    }
}

impl<R, O> Respond<ViaStream<O>> for R
where
    R: Stream<Item: Output<O>> + Send + 'static,
    O: 'static,
{
    type Value = <R::Item as Output<O>>::Value;

    fn mount<F, A, C>(function: F) -> Mounted
    where
        F: Function<A, Returned = Self>,
        A: 'static,
        C: CheckParams<F::Params> + CheckResult<Self::Value>,
    {
        let handler = move |context, params, sink: StreamSink<_, _>| {
            let stream = function.call(context, params);
            async move {
                match stream {
                    Ok(stream) => sink.outputs::<O>(stream).await,
                    Err(error) => sink.end(TypedError::Refused(Box::new(error))).await,
                }
            }
        };
        streamed::<_, _, _, _, _, F::Reads, C>(handler, F::BINDS)
    }
}

impl<R, O> Respond<ViaFutureStream<O>> for R
where
    R: Future<Output: Stream<Item: Output<O>> + Send> + Send + 'static,
    O: 'static,
{
    type Value = <<R::Output as Stream>::Item as Output<O>>::Value;

    fn mount<F, A, C>(function: F) -> Mounted
    where
        F: Function<A, Returned = Self>,
        A: 'static,
        C: CheckParams<F::Params> + CheckResult<Self::Value>,
    {
        let handler = move |context, params, sink: StreamSink<_, _>| {
            let opening = function.call(context, params);
            async move {
                match opening {
                    Ok(opening) => sink.outputs::<O>(opening.await).await,
                    Err(error) => sink.end(TypedError::Refused(Box::new(error))).await,
                }
            }
        };
        streamed::<_, _, _, _, _, F::Reads, C>(handler, F::BINDS)
    }
}

impl<R, S, T, E> Respond<ViaFutureResultStream> for R
where
    R: Future<Output = Result<S, E>> + Send + 'static,
    S: Stream<Item = Result<T, E>> + Send,
    Result<T, E>: Output<ViaResult, Value = T, Error = E>,
    T: serde::Serialize + Send + 'static,
    E: crate::DomainError,
{
    type Value = T;

    fn mount<F, A, C>(function: F) -> Mounted
    where
        F: Function<A, Returned = Self>,
        A: 'static,
        C: CheckParams<F::Params> + CheckResult<T>,
    {
        let handler = move |context, params, sink: StreamSink<T, E>| {
            let opening = function.call(context, params);
            async move {
                match opening {
                    Ok(opening) => match opening.await {
                        Ok(stream) => sink.results(stream).await,
                        Err(error) => sink.end(TypedError::Own(error)).await,
                    },
                    Err(error) => sink.end(TypedError::Refused(Box::new(error))).await,
                }
            }
        };
        streamed::<_, _, _, _, _, F::Reads, C>(handler, F::BINDS)
    }
}

fn inline<S, P, R, O, C>(start: S) -> Mounted
where
    S: Start<P>,
    S::Future: Future<Output: Output<O>>,
    R: Reads<P> + Default,
    P: Send + 'static,
    O: 'static,
    C: CheckParams<P> + CheckResult<Value<S::Future, O>>,
{
    let reads = R::default();
    let names = reads.names();
    let method: Arc<Inline<S, P, R, O, C>> = Inline::new(start, reads);
    let typed = Arc::clone(&method).typed();
    Mounted {
        kind: MethodKind::Unary,
        handler: Box::new(method),
        typed,
        names,
    }
}

fn streamed<P, T, E, H, F, R, C>(handler: H, binds: bool) -> Mounted
where
    H: Fn(Context, P, StreamSink<T, E>) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
    R: Reads<P> + Default,
    P: Send + 'static,
    T: serde::Serialize + Send + 'static,
    E: crate::DomainError,
    C: CheckParams<P> + CheckResult<T>,
{
    let reads = R::default();
    let names = reads.names();
    let method = Streamed::<H, P, R, T, E, C>::new(handler, reads, binds);
    let other = Arc::clone(&method);
    let typed: Arc<dyn TypedStreamMethod<P, T, E>> = other;
    Mounted {
        kind: MethodKind::Stream,
        handler: Box::new(method),
        typed: Box::new(typed),
        names,
    }
}
