//! Calls within the process that somebody looks at.

use super::call::Over;
use super::{InProcess, LocalCall, LocalServer};
use crate::context::Context;
use crate::error::{CallError, DomainError};
use crate::handler::{
    LocalResults, TypedError, TypedMethod, TypedRunning, TypedStreamMethod, panicked,
};
use crate::intercept::{CallKind, CallSide, Entering, Gate, Name, Observed, Passage};
use crate::observe::{self, Start};
use crate::trace::TraceContext;
use futures_core::Stream;
use mynah_protocol::{CALLBACK_SERVICE, EVENTS_SERVICE, Metadata, RpcError};
use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use tokio::time::Sleep;

/// A handler that is started once its call has come through its interceptors.
pub(super) type Gated<S, E> = Pin<Box<dyn Future<Output = Result<S, CallError<E>>> + Send>>;
pub(super) type Waiting<T, E> = Gated<Box<dyn TypedRunning<T, E>>, E>;
pub(super) type WaitingStream<T, E> = Gated<LocalResults<T, E>, E>;

/// What was started, or what waits to be.
type Started<S, E> = Result<(Option<S>, Option<Gated<S, E>>), CallError<E>>;

impl InProcess {
    #[cold]
    pub(super) fn observe(
        &self,
        name: impl FnOnce() -> Name,
        kind: CallKind,
        metadata: &Metadata,
    ) -> Option<Arc<Observed>> {
        let router = &self.ends.server.router;
        observe::start(Start {
            side: CallSide::Server,
            kind,
            name,
            peer: &self.ends.server.evidence,
            chain: router.chain(),
            above: TraceContext::from_metadata(metadata),
            slow: router.slow(),
        })
    }
}

impl InProcess {
    /// What is kept for a subscription, on the side of the publisher.
    pub(crate) fn observe_subscription(&self) -> Option<Arc<Observed>> {
        self.ends
            .server
            .observe(CallKind::Subscription, EVENTS_SERVICE, "subscribe")
    }
}

impl LocalServer {
    /// What is kept for a call of what nobody registered.
    fn observe(
        &self,
        kind: CallKind,
        service: &'static str,
        method: &str,
    ) -> Option<Arc<Observed>> {
        if !self.router.observes() {
            return None;
        }
        observe::start(Start {
            side: CallSide::Server,
            kind,
            name: || Name::Named(service.into(), method.into()),
            peer: &self.evidence,
            chain: self.router.chain(),
            above: None,
            slow: self.router.slow(),
        })
    }
}

impl LocalCall {
    /// What is kept for a call of one of its callbacks, on the side that passed it.
    pub(crate) fn observe_callback(&self, number: u64) -> Option<Arc<Observed>> {
        let caller = self.ends.caller.as_ref()?;
        if !caller.router.observes() {
            return None;
        }
        caller.observe(CallKind::Callback, CALLBACK_SERVICE, &number.to_string())
    }

    /// What asks the call to stop, beside its caller and its deadline.
    #[inline]
    pub(super) fn poll_stop<E: DomainError>(
        &self,
        cx: &mut task::Context<'_>,
    ) -> Option<CallError<E>> {
        let observed = self.observed.as_ref()?;
        match observed.poll_stop(cx) {
            Poll::Ready(error) => Some(CallError::from_peer(*error, true)),
            Poll::Pending => None,
        }
    }
}

/// Starts a handler: at once, or once its interceptors let it pass.
#[cold]
pub(super) fn start<P, T, E>(
    typed: &Arc<dyn TypedMethod<P, T, E>>,
    call: &Arc<LocalCall>,
    context: Context,
    params: P,
) -> Started<Box<dyn TypedRunning<T, E>>, E>
where
    P: Send + 'static,
    T: 'static,
    E: DomainError,
{
    let typed = Arc::clone(typed);
    gate(call, context, move |context, observed| {
        let inner = observed.run(|| typed.start(context, params))?;
        let running: Box<dyn TypedRunning<T, E>> = Box::new(ObservedTyped { inner, observed });
        Ok(running)
    })
}

/// The same for a stream of results.
#[cold]
pub(super) fn open<P, T, E>(
    typed: &Arc<dyn TypedStreamMethod<P, T, E>>,
    call: &Arc<LocalCall>,
    context: Context,
    params: P,
) -> Started<LocalResults<T, E>, E>
where
    P: Send + 'static,
    T: 'static,
    E: DomainError,
{
    let typed = Arc::clone(typed);
    gate(call, context, move |context, observed| {
        let inner = observed.run(|| typed.open(context, params))?;
        let stream: LocalResults<T, E> = Box::pin(ObservedStream { inner, observed });
        Ok(stream)
    })
}

fn gate<S, E>(
    call: &Arc<LocalCall>,
    mut context: Context,
    start: impl FnOnce(Context, Arc<Observed>) -> Result<S, Box<RpcError>> + Send + 'static,
) -> Started<S, E>
where
    S: 'static,
    E: DomainError,
{
    let Some(observed) = call.observed.clone() else {
        return Err(CallError::Misuse("a call that nobody looks at"));
    };
    let mut gate = Gate::new(Arc::clone(&observed));
    let start = move |context: Context| {
        let started = catch_unwind(AssertUnwindSafe(|| {
            start(
                context.watched(Arc::clone(&observed)),
                Arc::clone(&observed),
            )
        }));
        match started {
            Ok(Ok(started)) => Ok(started),
            Ok(Err(refused)) => Err(CallError::from_peer(*refused, true)),
            Err(payload) => Err(CallError::from_peer(*panicked(&*payload), true)),
        }
    };
    match pass(&mut gate, call, &mut context, None) {
        Passage::Open => match start(context) {
            Ok(started) => Ok((Some(started), None)),
            Err(error) => {
                call.end(Over::Finished);
                Err(error)
            }
        },
        Passage::Refused(error) => {
            call.end(Over::Finished);
            Err(CallError::from_peer(*error, true))
        }
        Passage::Waits => {
            let call = Arc::clone(call);
            let waiting: Gated<S, E> = Box::pin(async move {
                poll_fn(|cx| match pass(&mut gate, &call, &mut context, Some(cx)) {
                    Passage::Open => Poll::Ready(Ok(())),
                    Passage::Refused(error) => Poll::Ready(Err(CallError::from_peer(*error, true))),
                    Passage::Waits => Poll::Pending,
                })
                .await?;
                start(context)
            });
            Ok((None, Some(waiting)))
        }
    }
}

fn pass(
    gate: &mut Gate,
    call: &LocalCall,
    context: &mut Context,
    task: Option<&mut task::Context<'_>>,
) -> Passage {
    let entering = Entering {
        metadata: context.metadata_mut(),
        evidence: Some(call.evidence()),
        deadline: call.deadline(),
    };
    gate.pass(entering, task)
}

/// Polls what a call waits for, no longer than its deadline.
pub(super) fn poll_gate<S, E>(
    waiting: &mut Gated<S, E>,
    call: &LocalCall,
    sleep: &mut Option<Pin<Box<Sleep>>>,
    cx: &mut task::Context<'_>,
) -> Poll<Result<S, CallError<E>>> {
    let started = match waiting.as_mut().poll(cx) {
        Poll::Ready(Ok(started)) => return Poll::Ready(Ok(started)),
        Poll::Ready(Err(error)) => Err(error),
        Poll::Pending => {
            let Some(deadline) = call.deadline() else {
                return Poll::Pending;
            };
            let sleep = sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
            task::ready!(sleep.as_mut().poll(cx));
            Err(CallError::Deadline)
        }
    };
    if let (Some(observed), Err(error)) = (&call.observed, &started) {
        observed.ended_locally(Some(error));
    }
    Poll::Ready(started)
}

/// A handler that somebody looks at.
struct ObservedTyped<T, E> {
    inner: Box<dyn TypedRunning<T, E>>,
    observed: Arc<Observed>,
}

impl<T, E> TypedRunning<T, E> for ObservedTyped<T, E> {
    fn poll_typed(&mut self, task: &mut task::Context<'_>) -> Poll<Result<T, TypedError<E>>> {
        let inner = &mut self.inner;
        self.observed.run(|| inner.poll_typed(task))
    }

    fn into_any_typed(self: Box<Self>) -> Box<dyn Any> {
        self.inner.into_any_typed()
    }
}

/// A stream of results that somebody looks at.
struct ObservedStream<T, E> {
    inner: LocalResults<T, E>,
    observed: Arc<Observed>,
}

impl<T, E> Stream for ObservedStream<T, E> {
    type Item = Result<T, TypedError<E>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let inner = &mut this.inner;
        this.observed.run(|| inner.as_mut().poll_next(cx))
    }
}
