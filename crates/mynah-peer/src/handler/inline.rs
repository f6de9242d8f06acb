//! Handlers that are polled where their request was read.

use super::{Called, Invocation, Method, Running, encode};
use crate::context::Context;
use crate::encoded::EncodedBuffer;
use crate::error::DomainError;
use crate::params::{Plain, Reads};
use mynah_codec::Format;
use mynah_protocol::RpcError;
use serde::Serialize;
use std::any::Any;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{self, Poll};

/// Cells that a method keeps for handlers to come.
const KEEP_CELLS: usize = 1024;

/// A method of types `P -> Result<T, E>`, for calls in the same process.
pub(crate) trait TypedMethod<P, T, E>: Send + Sync {
    fn start(&self, context: Context, params: P) -> Box<dyn TypedRunning<T, E>>;
}

/// A handler of known result that was started.
pub(crate) trait TypedRunning<T, E>: Send {
    fn poll_typed(&mut self, task: &mut task::Context<'_>) -> Poll<Result<T, E>>;
    /// The cell, for its method to take back.
    fn into_any_typed(self: Box<Self>) -> Box<dyn Any>;
}

/// An async handler `H: Fn(Context, P) -> F`, and how it reads its params.
pub(crate) struct Inline<H, P, F, R = Plain> {
    handler: H,
    reads: R,
    /// Cells for futures: pinned once, used again and again.
    cells: Cells<F>,
    params: PhantomData<fn(P)>,
}

#[allow(
    clippy::vec_box,
    reason = "the boxes go round: out of here as trait objects, and back"
)]
struct Cells<F>(Mutex<Vec<Box<Cell<F>>>>);

/// A place for one future.
struct Cell<F> {
    future: Pin<Box<Option<F>>>,
    format: Format,
}

impl<F> Cells<F> {
    #[inline]
    fn take(&self, format: Format, future: F) -> Box<Cell<F>> {
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
            }),
        }
    }

    #[inline]
    fn keep(&self, mut cell: Box<Cell<F>>) {
        cell.future.set(None);
        let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cells.len() < KEEP_CELLS {
            cells.push(cell);
        }
    }
}

impl<H, P, F> Inline<H, P, F>
where
    H: Fn(Context, P) -> F,
{
    pub(crate) fn new(handler: H) -> Arc<Self> {
        Self::reading(Plain, handler)
    }
}

impl<H, P, F, R> Inline<H, P, F, R>
where
    H: Fn(Context, P) -> F,
{
    pub(crate) fn reading(reads: R, handler: H) -> Arc<Self> {
        Arc::new(Self {
            handler,
            reads,
            cells: Cells(Mutex::new(Vec::new())),
            params: PhantomData,
        })
    }
}

impl<F, T, E> Cell<F>
where
    F: Future<Output = Result<T, E>>,
{
    #[inline]
    fn advance(&mut self, task: &mut task::Context<'_>) -> Poll<Result<T, E>> {
        match self.future.as_mut().as_pin_mut() {
            Some(future) => future.poll(task),
            None => Poll::Pending,
        }
    }
}

impl<H, P, F, R, T, E> Method for Arc<Inline<H, P, F, R>>
where
    H: Fn(Context, P) -> F + Send + Sync + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
    R: Reads<P>,
    P: 'static,
    T: Serialize + 'static,
    E: DomainError,
{
    fn call(
        &self,
        invocation: Invocation<'_>,
        task: &mut task::Context<'_>,
        reply: &mut EncodedBuffer,
    ) -> Called {
        let Invocation {
            context,
            params,
            format,
            limits,
            ..
        } = invocation;
        let params = match self.reads.read(params, format, limits) {
            Ok(params) => params,
            Err(error) => return Called::Done(Err(error)),
        };
        let mut cell = self.cells.take(format, (self.handler)(context, params));
        match cell.advance(task) {
            Poll::Ready(result) => {
                self.cells.keep(cell);
                Called::Done(encode(result, format, reply))
            }
            Poll::Pending => Called::Running(cell),
        }
    }

    fn recycle(&self, cell: Box<dyn Any>) {
        if let Ok(cell) = cell.downcast::<Cell<F>>() {
            self.cells.keep(cell);
        }
    }
}

impl<F, T, E> Running for Cell<F>
where
    F: Future<Output = Result<T, E>> + Send + 'static,
    T: Serialize + 'static,
    E: DomainError,
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

impl<H, P, F, R, T, E> TypedMethod<P, T, E> for Inline<H, P, F, R>
where
    H: Fn(Context, P) -> F + Send + Sync + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
    R: Send + Sync,
    P: 'static,
{
    fn start(&self, context: Context, params: P) -> Box<dyn TypedRunning<T, E>> {
        self.cells
            .take(Format::Cbor, (self.handler)(context, params))
    }
}

impl<F, T, E> TypedRunning<T, E> for Cell<F>
where
    F: Future<Output = Result<T, E>> + Send + 'static,
{
    fn poll_typed(&mut self, task: &mut task::Context<'_>) -> Poll<Result<T, E>> {
        self.advance(task)
    }

    fn into_any_typed(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
