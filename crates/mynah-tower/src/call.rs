//! A call as a service of tower sees it, and the service at the bottom of the layers.

use mynah_peer::{CallKind, CallOutcome, CallSide, InterceptedCall};
use mynah_protocol::{Metadata, MethodName, RpcError};
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tower_service::Service;

/// A call before it goes on.
pub struct CallRequest {
    side: CallSide,
    kind: CallKind,
    name: MethodName<'static>,
    metadata: Metadata,
    handed_on: HandedOn,
}

impl fmt::Debug for CallRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallRequest")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl CallRequest {
    pub(crate) fn of(call: &InterceptedCall<'_>) -> (Self, HandedOn) {
        let handed_on = HandedOn::default();
        let request = Self {
            side: call.side(),
            kind: call.kind(),
            name: call.method_name().into_owned(),
            metadata: call.metadata().clone(),
            handed_on: handed_on.clone(),
        };
        (request, handed_on)
    }

    /// Which side this is.
    #[must_use]
    pub const fn side(&self) -> CallSide {
        self.side
    }

    /// What kind of call it is.
    #[must_use]
    pub const fn kind(&self) -> CallKind {
        self.kind
    }

    /// What is called.
    #[must_use]
    pub const fn name(&self) -> &MethodName<'static> {
        &self.name
    }

    /// What travels beside the params.
    #[must_use]
    pub const fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

/// A call that is over.
#[derive(Debug)]
pub struct CallResponse {
    outcome: CallOutcome,
}

impl CallResponse {
    /// How it ended.
    #[must_use]
    pub const fn outcome(&self) -> CallOutcome {
        self.outcome
    }
}

/// What the layers still do once they have let a call go on.
pub(crate) type Tail = Pin<Box<dyn Future<Output = Result<CallResponse, RpcError>> + Send>>;

/// How far a call is that layers stand around.
#[derive(Clone, Default)]
pub(crate) struct HandedOn(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    begun: bool,
    outcome: Option<CallOutcome>,
    /// Who waits for the call to come through the layers.
    gate: Option<Waker>,
    /// Who waits for its end: the service at the bottom of them.
    bottom: Option<Waker>,
    /// Absent while it is polled.
    tail: Option<Tail>,
}

impl HandedOn {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the call has come through. Wakes this task when it has.
    pub(crate) fn has_begun(&self, cx: &Context<'_>) -> bool {
        let mut state = self.lock();
        if !state.begun {
            state.gate = Some(cx.waker().clone());
        }
        state.begun
    }

    /// The call has come through. `false` for the second time.
    fn begin(&self) -> bool {
        let mut state = self.lock();
        let first = !std::mem::replace(&mut state.begun, true);
        let gate = state.gate.take();
        drop(state);
        if let Some(gate) = gate {
            gate.wake();
        }
        first
    }

    /// The call is over: the layers hear of it, once, and are let go.
    pub(crate) fn end(&self, outcome: CallOutcome) {
        let mut state = self.lock();
        state.outcome.get_or_insert(outcome);
        let (bottom, tail) = (state.bottom.take(), state.tail.take());
        drop(state);
        drop(bottom);
        if let Some(mut tail) = tail {
            let polled = tail.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            // Whatever they make of it: the call has its result.
            drop(polled);
        }
    }

    pub(crate) fn keep(&self, tail: Tail) {
        let mut state = self.lock();
        if state.outcome.is_none() {
            state.tail = Some(tail);
        } else {
            // It is code of others that is dropped.
            drop(state);
            drop(tail);
        }
    }

    /// Polls what the layers still do; ready when one of them fails before the call is over.
    pub(crate) fn poll_failed(&self, cx: &mut Context<'_>) -> Poll<RpcError> {
        let Some(mut tail) = self.lock().tail.take() else {
            return Poll::Pending;
        };
        match tail.as_mut().poll(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(error),
            // A layer waits for the call no longer.
            Poll::Ready(Ok(_)) => Poll::Pending,
            Poll::Pending => {
                self.keep(tail);
                Poll::Pending
            }
        }
    }

    fn poll_end(&self, cx: &Context<'_>) -> Poll<CallOutcome> {
        let mut state = self.lock();
        match state.outcome {
            Some(outcome) => Poll::Ready(outcome),
            None => {
                state.bottom = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// The service at the bottom of the layers: lets the call go on, and answers when it is over. Always ready.
#[derive(Clone, Debug)]
pub struct Proceed(());

impl Proceed {
    pub(crate) const fn new() -> Self {
        Self(())
    }
}

/// A layer has called its service twice for one call.
#[derive(Debug)]
struct Twice;

impl fmt::Display for Twice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a call goes on once: layers that repeat requests do not fit")
    }
}

impl Error for Twice {}

impl Service<CallRequest> for Proceed {
    type Response = CallResponse;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<CallResponse, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: CallRequest) -> Self::Future {
        let handed_on = request.handed_on;
        if !handed_on.begin() {
            return Box::pin(std::future::ready(Err(Twice.into())));
        }
        Box::pin(async move {
            let outcome = std::future::poll_fn(|cx| handed_on.poll_end(cx)).await;
            Ok(CallResponse { outcome })
        })
    }
}
