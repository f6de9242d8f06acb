//! Handlers that are polled where their request was read.

use super::bind;
use super::output::Output;
use super::{Called, Invocation, Method, Running, encode};
use crate::context::Context;
use crate::encoded::EncodedBuffer;
use crate::params::Reads;
use crate::validate::{CheckParams, CheckResult};
use mynah_codec::Format;
use mynah_protocol::{DecodeLimits, ErrorCode, RpcError};
use std::any::Any;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{self, Poll};

/// Cells that a method keeps for handlers to come.
const KEEP_CELLS: usize = 1024;

/// A method of types `P -> Result<T, E>`, for calls in the same process.
pub(crate) trait TypedMethod<P, T, E>: Send + Sync {
    /// Starts it. The error: it was refused, and nothing was started.
    fn start(
        &self,
        context: Context,
        params: P,
    ) -> Result<Box<dyn TypedRunning<T, E>>, Box<RpcError>>;
}

/// A handler of known result that was started.
pub(crate) trait TypedRunning<T, E>: Send {
    fn poll_typed(&mut self, task: &mut task::Context<'_>) -> Poll<Result<T, TypedError<E>>>;
    /// The cell, for its method to take back.
    fn into_any_typed(self: Box<Self>) -> Box<dyn Any>;
}

/// Why a call has no result.
pub(crate) enum TypedError<E> {
    /// The handler returned its error.
    Own(E),
    /// It was refused on the way to the handler or back.
    Refused(Box<RpcError>),
}

/// What starts a handler.
pub(crate) trait Start<P>: Send + Sync + 'static {
    type Future: Send + 'static;

    /// Whether streams and callbacks in the params have to be bound to the call when they are decoded.
    const BINDS: bool;

    /// Starts it. The error: the call is refused.
    fn start(&self, context: Context, params: P) -> Result<Self::Future, Box<RpcError>>;
}

/// A function that takes everything as it is.
pub(crate) struct Direct<H>(pub(crate) H);

impl<H, P, F> Start<P> for Direct<H>
where
    H: Fn(Context, P) -> F + Send + Sync + 'static,
    F: Send + 'static,
{
    type Future = F;

    const BINDS: bool = false;

    #[inline]
    fn start(&self, context: Context, params: P) -> Result<F, Box<RpcError>> {
        Ok((self.0)(context, params))
    }
}

/// An async handler, polled where its request was read. `O` says what it gives back, `C` what is held against it.
pub(crate) struct Inline<S: Start<P>, P, R, O, C> {
    start: S,
    /// How it reads its params.
    reads: R,
    /// Cells for futures: pinned once, used again and again.
    cells: Cells<S::Future, O, C>,
    params: PhantomData<fn(P)>,
}

#[allow(
    clippy::vec_box,
    reason = "the boxes go round: out of here as trait objects, and back"
)]
struct Cells<F, O, C>(Mutex<Vec<Box<Cell<F, O, C>>>>);

/// A place for one future.
struct Cell<F, O, C> {
    future: Pin<Box<Option<F>>>,
    format: Format,
    kinds: PhantomData<fn() -> (O, C)>,
}

impl<F, O, C> Cells<F, O, C> {
    #[inline]
    fn take(&self, format: Format, future: F) -> Box<Cell<F, O, C>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match kept {
            Some(mut cell) => {
                cell.format = format;
                cell.future.set(Some(future));
                cell
            }
            None => Box::new(Cell {
                future: Box::pin(Some(future)),
                format,
                kinds: PhantomData,
            }),
        }
    }

    #[inline]
    fn keep(&self, mut cell: Box<Cell<F, O, C>>) {
        cell.future.set(None);
        let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cells.len() < KEEP_CELLS {
            cells.push(cell);
        }
    }
}

impl<S: Start<P>, P, R, O, C> Inline<S, P, R, O, C> {
    pub(crate) fn new(start: S, reads: R) -> Arc<Self> {
        Arc::new(Self {
            start,
            reads,
            cells: Cells(Mutex::new(Vec::new())),
            params: PhantomData,
        })
    }
}

/// What a future that a handler gave comes to.
pub(super) type Value<F, O> = <<F as Future>::Output as Output<O>>::Value;
type Error<F, O> = <<F as Future>::Output as Output<O>>::Error;
type Answer<F, O> = Result<Value<F, O>, TypedError<Error<F, O>>>;

impl<S, P, R, O, C> Inline<S, P, R, O, C>
where
    S: Start<P>,
    S::Future: Future<Output: Output<O>>,
    R: Reads<P>,
    P: 'static,
    O: 'static,
    C: CheckParams<P> + CheckResult<Value<S::Future, O>>,
{
    /// The same for calls in the same process, as a route has it.
    pub(crate) fn typed(self: Arc<Self>) -> Box<dyn Any + Send + Sync> {
        let typed: Typed<P, S::Future, O> = self;
        Box::new(typed)
    }
}

impl<F, O, C> Cell<F, O, C>
where
    F: Future,
    F::Output: Output<O>,
    C: CheckResult<Value<F, O>>,
{
    #[inline]
    fn advance(&mut self, task: &mut task::Context<'_>) -> Poll<Answer<F, O>> {
        let Some(future) = self.future.as_mut().as_pin_mut() else {
            return Poll::Pending;
        };
        future.poll(task).map(|output| match output.into_result() {
            Ok(value) => match C::result(&value) {
                Ok(()) => Ok(value),
                Err(refused) => Err(TypedError::Refused(refused)),
            },
            Err(error) => Err(TypedError::Own(error)),
        })
    }
}

impl<S, P, R, O, C> Method for Arc<Inline<S, P, R, O, C>>
where
    S: Start<P>,
    S::Future: Future,
    <S::Future as Future>::Output: Output<O>,
    R: Reads<P>,
    P: 'static,
    O: 'static,
    C: CheckParams<P> + CheckResult<Value<S::Future, O>>,
{
    fn call(
        &self,
        invocation: Invocation<'_>,
        task: &mut task::Context<'_>,
        reply: &mut EncodedBuffer,
    ) -> Called {
        let params = match taken_for_one::<P, R, C>(&invocation, &self.reads, S::BINDS) {
            Ok(params) => params,
            Err(error) => return Called::Done(Err(error)),
        };
        let (context, format) = (invocation.context, invocation.format);
        let future = match self.start.start(context, params) {
            Ok(future) => future,
            Err(refused) => return Called::Done(Err(refused)),
        };
        let mut cell = self.cells.take(format, future);
        match cell.advance(task) {
            Poll::Ready(result) => {
                self.cells.keep(cell);
                Called::Done(encode(result, format, reply))
            }
            Poll::Pending => Called::Running(cell),
        }
    }

    fn misread(
        &self,
        params: &[u8],
        format: Format,
        limits: &DecodeLimits,
    ) -> Option<Box<RpcError>> {
        self.reads.read(params, format, limits).err()
    }

    fn recycle(&self, cell: Box<dyn Any>) {
        if let Ok(cell) = cell.downcast::<Cell<S::Future, O, C>>() {
            self.cells.keep(cell);
        }
    }
}

/// The params of a call of a method that has one result. A call that asks for a stream of them is refused: it would take
/// the result for the end of an empty one.
#[inline]
pub(super) fn taken_for_one<P, R: Reads<P>, C: CheckParams<P>>(
    invocation: &Invocation<'_>,
    reads: &R,
    binds: bool,
) -> Result<P, Box<RpcError>> {
    if invocation.streams.window.is_some() {
        return Err(one_result());
    }
    taken::<P, R, C>(invocation, reads, binds)
}

#[cold]
fn one_result() -> Box<RpcError> {
    let text = "this method has one result, and the call asked for a stream of them";
    Box::new(RpcError::new(ErrorCode::INVALID_PARAMS, text))
}

/// Decodes the params of a call and holds them against what they must be. `binds`: streams and callbacks among them are told
/// of their call.
#[inline]
pub(super) fn taken<P, R: Reads<P>, C: CheckParams<P>>(
    invocation: &Invocation<'_>,
    reads: &R,
    binds: bool,
) -> Result<P, Box<RpcError>> {
    let read = || reads.read(invocation.params, invocation.format, invocation.limits);
    let params = if binds {
        bind::params(&invocation.context, read)
    } else {
        read()
    }?;
    C::params(&params, reads.names())?;
    Ok(params)
}

impl<F, O, C> Running for Cell<F, O, C>
where
    F: Future + Send + 'static,
    F::Output: Output<O>,
    O: 'static,
    C: CheckResult<Value<F, O>>,
{
    fn poll(
        &mut self,
        task: &mut task::Context<'_>,
        reply: &mut EncodedBuffer,
    ) -> Poll<Result<(), Box<RpcError>>> {
        self.advance(task)
            .map(|result| encode(result, self.format, reply))
    }

    fn stop(&mut self) {
        self.future.set(None);
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

impl<S, P, R, O, C> TypedMethod<P, Value<S::Future, O>, Error<S::Future, O>>
    for Inline<S, P, R, O, C>
where
    S: Start<P>,
    S::Future: Future,
    <S::Future as Future>::Output: Output<O>,
    R: Reads<P>,
    P: 'static,
    O: 'static,
    C: CheckParams<P> + CheckResult<Value<S::Future, O>>,
{
    fn start(&self, context: Context, params: P) -> Result<Started<S::Future, O>, Box<RpcError>> {
        C::params(&params, self.reads.names())?;
        let future = self.start.start(context, params)?;
        Ok(self.cells.take(Format::Cbor, future))
    }
}

type Started<F, O> = Box<dyn TypedRunning<Value<F, O>, Error<F, O>>>;
type Typed<P, F, O> = Arc<dyn TypedMethod<P, Value<F, O>, Error<F, O>>>;

impl<F, O, C> TypedRunning<Value<F, O>, Error<F, O>> for Cell<F, O, C>
where
    F: Future + Send + 'static,
    F::Output: Output<O>,
    O: 'static,
    C: CheckResult<Value<F, O>>,
{
    fn poll_typed(&mut self, task: &mut task::Context<'_>) -> Poll<Answer<F, O>> {
        self.advance(task)
    }

    fn into_any_typed(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
