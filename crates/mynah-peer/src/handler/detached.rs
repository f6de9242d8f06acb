//! Handlers that run in a task or on a thread of their own.

use super::{Called, Invocation, Method, decode, encode, panicked};
use crate::blocking::PoolFull;
use crate::context::Context;
use crate::encoded::{Encoded, EncodedBuffer};
use crate::error::DomainError;
use crate::intercept::Outcome;
use crate::link::HandlerRef;
use crate::scratch;
use mynah_codec::Format;
use mynah_protocol::{EndReason, ErrorCode, RpcError};
use serde::{Serialize, de::DeserializeOwned};
use std::any::Any;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{self, Poll};

/// An async handler in a task of its own.
pub(super) struct Spawned<H, P> {
    handler: Arc<H>,
    params: PhantomData<fn(P)>,
}

impl<H, P> Spawned<H, P> {
    pub(super) const fn new(handler: Arc<H>) -> Self {
        Self {
            handler,
            params: PhantomData,
        }
    }
}

impl<H, P, F, T, E> Method for Spawned<H, P>
where
    H: Fn(Context, P) -> F + Send + Sync + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
    P: DeserializeOwned + Send + 'static,
    T: Serialize + Send + 'static,
    E: DomainError,
{
    fn call(
        &self,
        invocation: Invocation<'_>,
        _task: &mut task::Context<'_>,
        _reply: &mut EncodedBuffer,
    ) -> Called {
        let Invocation {
            context,
            params,
            format,
            limits,
            ..
        } = invocation;
        let params = match decode::<P>(params, format, limits) {
            Ok(params) => params,
            Err(error) => return Called::Done(Err(error)),
        };
        let handler = Arc::clone(&self.handler);
        let task = tokio::spawn(async move {
            let started = catch_unwind(AssertUnwindSafe(|| {
                in_span(&context, || handler(context.clone(), params))
            }));
            let result = match started {
                Ok(future) => match run(&context, future).await {
                    Ok(result) => result,
                    Err(stopped) => return answer(&context, Err(stopped)),
                },
                Err(payload) => Err(payload),
            };
            finish(&context, format, result);
        });
        Called::Elsewhere(HandlerRef::Spawned(task.abort_handle()))
    }

    fn recycle(&self, _cell: Box<dyn Any>) {}
}

/// A plain function on the blocking pool.
pub(super) struct Blocking<H, P> {
    handler: Arc<H>,
    params: PhantomData<fn(P)>,
}

impl<H, P> Blocking<H, P> {
    pub(super) const fn new(handler: Arc<H>) -> Self {
        Self {
            handler,
            params: PhantomData,
        }
    }
}

impl<H, P, T, E> Method for Blocking<H, P>
where
    H: Fn(Context, P) -> Result<T, E> + Send + Sync + 'static,
    P: DeserializeOwned + Send + 'static,
    T: Serialize + 'static,
    E: DomainError,
{
    fn call(
        &self,
        invocation: Invocation<'_>,
        _task: &mut task::Context<'_>,
        _reply: &mut EncodedBuffer,
    ) -> Called {
        let Invocation {
            context,
            params,
            format,
            limits,
            ..
        } = invocation;
        let params = match decode::<P>(params, format, limits) {
            Ok(params) => params,
            Err(error) => return Called::Done(Err(error)),
        };
        let handler = Arc::clone(&self.handler);
        let pool = context.blocking_pool().clone();
        let runtime = tokio::runtime::Handle::current();
        let taken = pool.run(move || {
            let _entered = runtime.enter();
            if let Some(stopped) = stopped_waiting(&context) {
                return answer(&context, Err(Box::new(stopped)));
            }
            let result = catch_unwind(AssertUnwindSafe(|| {
                in_span(&context, || handler(context.clone(), params))
            }));
            finish(&context, format, result);
        });
        match taken {
            Ok(()) => Called::Elsewhere(HandlerRef::Blocking),
            Err(PoolFull) => Called::Done(Err(Box::new(RpcError::new(ErrorCode::BUSY, FULL)))),
        }
    }

    fn recycle(&self, _cell: Box<dyn Any>) {}
}

const FULL: &str = "every thread for blocking handlers is busy";

/// Why a call that waited for a thread is not to be run any more.
fn stopped_waiting(context: &Context) -> Option<RpcError> {
    let code = match context.end_reason()? {
        EndReason::Deadline => ErrorCode::DEADLINE_EXCEEDED,
        _ => ErrorCode::CANCELLED,
    };
    Some(RpcError::from_code(code))
}

type Caught<T> = Result<T, Box<dyn Any + Send>>;

/// Runs a future and catches its panic.
pub(crate) async fn catch<F: Future>(future: F) -> Caught<F::Output> {
    let mut future = pin!(future);
    std::future::poll_fn(
        |cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Ok),
            Err(payload) => Poll::Ready(Err(payload)),
        },
    )
    .await
}

/// Runs the handler of a call to its end. The error: what stopped it, beside the handler.
async fn run<F: Future>(context: &Context, future: F) -> Result<Caught<F::Output>, Box<RpcError>> {
    if context.observed().is_none() {
        return Ok(catch(future).await);
    }
    let mut future = pin!(catch(future));
    std::future::poll_fn(|cx| {
        if let Poll::Ready(result) = in_span(context, || future.as_mut().poll(cx)) {
            return Poll::Ready(Ok(result));
        }
        match context.observed() {
            Some(observed) => observed.poll_stop(cx).map(Err),
            None => Poll::Pending,
        }
    })
    .await
}

/// Runs a piece of a handler in the span of its call.
fn in_span<R>(context: &Context, piece: impl FnOnce() -> R) -> R {
    match context.observed() {
        Some(observed) => observed.span().in_scope(piece),
        None => piece(),
    }
}

fn answer(context: &Context, result: Result<Encoded<'_>, Box<RpcError>>) {
    if let Some((link, key)) = context.link() {
        link.answer(key, result);
    }
}

/// Answers the call. The cause of a cancellation is told instead of a result that nobody waits for.
fn finish<T: Serialize, E: DomainError>(
    context: &Context,
    format: Format,
    result: Caught<Result<T, E>>,
) {
    if let (Err(_), Some(observed)) = (&result, context.observed()) {
        observed.ended(Outcome::Panicked);
    }
    scratch::with_encoded(|buffer| {
        let encoded = match result {
            Ok(result) => {
                let encoded = catch_unwind(AssertUnwindSafe(|| encode(result, format, buffer)));
                encoded.unwrap_or_else(|payload| Err(panicked(&*payload)))
            }
            Err(payload) => Err(panicked(&*payload)),
        };
        let encoded: Result<(), Box<RpcError>> = encoded;
        answer(context, encoded.map(|()| buffer.whole()));
    });
}
