//! Handlers that run in a task or on a thread of their own.

use super::inline::{TypedError, taken_for_one};
use super::output::Output;
use super::{Called, Invocation, Method, encode, panicked};
use crate::blocking::PoolFull;
use crate::context::Context;
use crate::encoded::{Encoded, EncodedBuffer};
use crate::intercept::CallOutcome;
use crate::link::HandlerRef;
use crate::params::Reads;
use crate::scratch;
use crate::validate::{CheckParams, CheckResult};
use mynah_codec::Format;
use mynah_protocol::{EndReason, ErrorCode, RpcError};
use std::any::Any;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{self, Poll};

/// An async handler in a task of its own.
pub(super) struct Spawned<H, P, R, O, C> {
    handler: Arc<H>,
    reads: R,
    kinds: PhantomData<fn(P) -> (O, C)>,
}

impl<H, P, R, O, C> Spawned<H, P, R, O, C> {
    pub(super) const fn new(handler: Arc<H>, reads: R) -> Self {
        Self {
            handler,
            reads,
            kinds: PhantomData,
        }
    }
}

impl<H, P, R, F, O, C> Method for Spawned<H, P, R, O, C>
where
    H: Fn(Context, P) -> F + Send + Sync + 'static,
    F: Future<Output: Output<O>> + Send + 'static,
    R: Reads<P>,
    P: Send + 'static,
    O: 'static,
    C: CheckParams<P> + CheckResult<<F::Output as Output<O>>::Value>,
{
    fn call(
        &self,
        invocation: Invocation<'_>,
        _task: &mut task::Context<'_>,
        _reply: &mut EncodedBuffer,
    ) -> Called {
        let params = match taken_for_one::<P, R, C>(&invocation, &self.reads, false) {
            Ok(params) => params,
            Err(error) => return Called::Done(Err(error)),
        };
        let (context, format) = (invocation.context, invocation.format);
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
            finish::<_, O, C>(&context, format, result);
        });
        Called::Elsewhere(HandlerRef::Spawned(task.abort_handle()))
    }

    fn recycle(&self, _cell: Box<dyn Any>) {}
}

/// A plain function on the blocking pool.
pub(super) struct Blocking<H, P, R, O, C> {
    handler: Arc<H>,
    reads: R,
    kinds: PhantomData<fn(P) -> (O, C)>,
}

impl<H, P, R, O, C> Blocking<H, P, R, O, C> {
    pub(super) const fn new(handler: Arc<H>, reads: R) -> Self {
        Self {
            handler,
            reads,
            kinds: PhantomData,
        }
    }
}

impl<H, P, R, G, O, C> Method for Blocking<H, P, R, O, C>
where
    H: Fn(Context, P) -> G + Send + Sync + 'static,
    R: Reads<P>,
    P: Send + 'static,
    G: Output<O>,
    O: 'static,
    C: CheckParams<P> + CheckResult<G::Value>,
{
    fn call(
        &self,
        invocation: Invocation<'_>,
        _task: &mut task::Context<'_>,
        _reply: &mut EncodedBuffer,
    ) -> Called {
        let params = match taken_for_one::<P, R, C>(&invocation, &self.reads, false) {
            Ok(params) => params,
            Err(error) => return Called::Done(Err(error)),
        };
        let (context, format) = (invocation.context, invocation.format);
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
            finish::<_, O, C>(&context, format, result);
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
fn finish<R: Output<O>, O, C: CheckResult<R::Value>>(
    context: &Context,
    format: Format,
    result: Caught<R>,
) {
    if let (Err(_), Some(observed)) = (&result, context.observed()) {
        observed.ended(CallOutcome::Panicked);
    }
    scratch::with_encoded(|buffer| {
        let encoded = match result {
            Ok(result) => {
                let encoded = catch_unwind(AssertUnwindSafe(|| {
                    let result = match result.into_result() {
                        Ok(value) => match C::result(&value) {
                            Ok(()) => Ok(value),
                            Err(refused) => Err(TypedError::Refused(refused)),
                        },
                        Err(error) => Err(TypedError::Own(error)),
                    };
                    encode(result, format, buffer)
                }));
                encoded.unwrap_or_else(|payload| Err(panicked(&*payload)))
            }
            Err(payload) => Err(panicked(&*payload)),
        };
        let encoded: Result<(), Box<RpcError>> = encoded;
        answer(context, encoded.map(|()| buffer.whole()));
    });
}
