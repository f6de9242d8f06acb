//! A call on its way.

mod watched;

use super::builder::Listeners;
use super::{Again, Attachments, Call, CallOptions, Caller, OutgoingCall, Ticket, Watch};
use crate::error::{CallError, DomainError};
use crate::local::TypedCall;
use crate::method::Target;
use crate::params::{self, Params};
use crate::scratch;
use mynah_codec::Format;
use mynah_protocol::{CancelReason, DecodeLimits, RpcError, WireId};
use serde::de::DeserializeOwned;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{self, Poll, Waker};
use tokio::time::Sleep;
use watched::Watched;

/// The future of a call.
///
/// Cancel safety: may be dropped at any time. A request that has not left is taken back; one that
/// has left is cancelled at the peer, once.
#[must_use = "futures do nothing unless polled"]
pub struct CallFuture<P, T, E, C: Caller> {
    caller: C,
    target: Target,
    stage: Stage<T, E>,
    /// Until the request is sent; until the call ends where it may have to be sent again.
    params: Option<P>,
    options: CallOptions,
    listeners: Option<Box<Listeners>>,
    attachments: Attachments,
    format: Option<(Format, DecodeLimits)>,
    /// Runs while the call waits to be sent; once it is sent, the connection watches its deadline.
    waiting: Option<Pin<Box<Sleep>>>,
    /// Whether the caller is asked to send it again.
    resends: bool,
    again: Option<Box<Again>>,
    result: PhantomData<fn() -> Result<T, E>>,
    /// Present when somebody looks at the call.
    watch: Option<Box<Watched<E>>>,
}

/// How far a call is.
///
/// ```text
///   Unsent ◀─▶ Sent ──▶ Done
///      │─────▶ Local ────▲
///      └─────────────────┘  it cannot be sent
/// ```
enum Stage<T, E> {
    Unsent,
    Sent(Ticket),
    /// In process: the handler is polled in place.
    Local(TypedCall<T, E>),
    /// It could not be sent when it was started.
    Failed(CallError<E>),
    Done,
}

/// How a call ended, `None` when it begins again.
type Answer<T, E> = Option<Result<T, CallError<E>>>;

impl<P, T, E, C: Caller> fmt::Debug for CallFuture<P, T, E, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallFuture")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

// Nothing in it is pinned: the handler of a call in process has a pinned place of its own.
impl<P, T, E, C: Caller> Unpin for CallFuture<P, T, E, C> {}

impl<P, T, E, C> CallFuture<P, T, E, C>
where
    P: Params,
    T: DeserializeOwned + Send + 'static,
    E: DomainError,
    C: Caller,
{
    #[inline]
    pub(super) fn new(call: Call<P, T, E, C>) -> Self {
        let Call {
            caller,
            target,
            params,
            options,
            listeners,
            attachments,
            result,
        } = call;
        Self {
            caller,
            target,
            stage: Stage::Unsent,
            params: Some(params),
            options,
            listeners,
            attachments,
            format: None,
            waiting: None,
            resends: false,
            again: None,
            result,
            watch: None,
        }
    }

    /// Sends the request if there is room, once; whoever polls later takes over.
    pub(crate) fn send(&mut self) {
        if !matches!(self.stage, Stage::Unsent) {
            return;
        }
        let runtime = self.caller.runtime().cloned();
        let _entered = runtime.as_ref().map(tokio::runtime::Handle::enter);
        let mut cx = task::Context::from_waker(Waker::noop());
        if self.is_looked_at() {
            self.send_watched(&mut cx);
        } else if let Poll::Ready(Err(error)) = self.poll_send(&mut cx)
            && !self.may_wait(&error)
        {
            self.stage = Stage::Failed(error);
        }
        if let Stage::Local(_) = self.stage
            && let Stage::Local(call) = std::mem::replace(&mut self.stage, Stage::Done)
        {
            self.stage = Stage::Local(call.start());
        }
    }

    /// Whether a call that could not be started may be sent all the same: whoever polls it asks.
    fn may_wait(&self, error: &CallError<E>) -> bool {
        matches!(error, CallError::Busy { .. }) && self.caller.reconnects()
    }

    /// The id of the call: the one that the program chose, or that of its request once it is sent. `None` before, within
    /// one process, and after its end.
    #[must_use]
    pub fn id(&self) -> Option<WireId> {
        match (&self.options.id, &self.stage) {
            (Some(id), _) => Some(WireId::Text(id.clone())),
            (None, Stage::Sent(ticket)) => Some(ticket.id().into()),
            (None, _) => None,
        }
    }

    /// Stops the call: it ends as cancelled by its caller.
    pub fn cancel(&mut self) {
        self.give_up();
        self.stage = Stage::Failed(CallError::Cancelled(mynah_protocol::By::Caller));
    }

    #[inline]
    fn poll_send(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), CallError<E>>> {
        let timeout = self
            .options
            .timeout(self.caller.default_timeout(), self.caller.deadline());
        if let Some(server) = self.caller.in_process() {
            let mut params = self.params.take();
            if params.is_none() {
                return Poll::Ready(Ok(()));
            }
            self.stage = Stage::Done;
            let listens = self.listeners.is_some();
            let metadata = std::mem::take(&mut self.options.metadata);
            let name = self.target.name();
            let attachments = std::mem::take(&mut self.attachments);
            let started = server.start::<P, T, E>(
                name,
                &mut params,
                timeout,
                metadata,
                (listens, false),
                attachments,
            );
            let call = match started {
                Ok(call) => call,
                Err(error) => {
                    self.params = params;
                    self.stage = Stage::Unsent;
                    return Poll::Ready(Err(error));
                }
            };
            self.format = Some((Format::Cbor, DecodeLimits::DEFAULT));
            self.stage = Stage::Local(call);
            return Poll::Ready(Ok(()));
        }
        let wire = task::ready!(self.caller.poll_format(cx)).map_err(CallError::widen)?;
        self.format = Some((wire.format, wire.limits));
        let Some(params) = &self.params else {
            return Poll::Ready(Ok(()));
        };
        // What is attached goes with the request, and there is no second one of it.
        let resends = self.caller.reconnects() && self.attachments.is_empty();
        let listens = self.listeners.is_some();
        let begun = scratch::with_encoded(|buffer| {
            if let Err(error) = params::encode(params, &self.target, &wire, buffer) {
                return Poll::Ready(Err(error));
            }
            let mut call = OutgoingCall {
                name: self.target.name(),
                id: self.options.id.as_deref(),
                params: buffer.whole(),
                timeout,
                metadata: &self.options.metadata,
                listens,
                results: None,
                attachments: &mut self.attachments,
                idempotent: self.target.is_idempotent(),
            };
            self.caller.poll_begin(cx, &mut call)
        });
        let ticket = task::ready!(begun).map_err(CallError::widen)?;
        self.stage = Stage::Sent(ticket);
        self.resends = resends;
        if resends {
            // However often it is sent, it ends in time.
            self.options.fix_deadline(timeout);
        } else if self.watch.is_none() {
            self.params = None;
        }
        Poll::Ready(Ok(()))
    }

    /// The call waits to be sent: its deadline is fixed now, and watched here.
    #[cold]
    fn poll_waiting(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), CallError<E>>> {
        if self.waiting.is_none() {
            let timeout = self
                .options
                .timeout(self.caller.default_timeout(), self.caller.deadline());
            let Some(deadline) = self.options.fix_deadline(timeout) else {
                return Poll::Pending;
            };
            self.waiting = Some(Box::pin(tokio::time::sleep_until(deadline)));
        }
        let Some(sleep) = &mut self.waiting else {
            return Poll::Pending;
        };
        sleep.as_mut().poll(cx).map(|()| Err(CallError::Deadline))
    }

    #[inline]
    fn poll_answer(&mut self, cx: &mut task::Context<'_>, ticket: Ticket) -> Poll<Answer<T, E>> {
        scratch::with_reply(|buffer| {
            let sides = self
                .listeners
                .as_mut()
                .map(|listeners| &mut listeners.sides);
            let polled = self.caller.poll_reply(cx, ticket, buffer, sides);
            if polled.is_ready() {
                // From here on there is nothing to cancel.
                self.stage = Stage::Done;
            }
            if self.listeners.is_some() {
                self.hand_out_sides();
            }
            let outcome = task::ready!(polled);
            Poll::Ready(match (outcome, &self.format) {
                (Ok(()), Some((format, limits))) => {
                    Some(buffer.decode(*format, limits).map_err(CallError::Decode))
                }
                (Ok(()), None) => Some(Err(CallError::Misuse("an answer without a request"))),
                (Err(error), _) => {
                    if self.resends && self.sends_again(&error) {
                        return Poll::Ready(None);
                    }
                    if let Some(watched) = &self.watch {
                        watched.watch.ended(&error);
                    }
                    Some(Err(error.typed(self.caller.maps_codes())))
                }
            })
        })
    }

    /// Whether the call begins again, after an end that says so.
    #[cold]
    fn sends_again(&mut self, error: &CallError<RpcError>) -> bool {
        let idempotent = self.target.is_idempotent();
        let again = Again::ask(&mut self.again, &self.caller, error, idempotent);
        if again {
            self.stage = Stage::Unsent;
        }
        again
    }

    /// Sends the request once it may be sent, within its time.
    #[cold]
    fn poll_send_again(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), CallError<E>>> {
        if let Some(again) = &mut self.again {
            task::ready!(again.poll_pause(cx));
        }
        self.poll_send(cx)
    }

    /// The error as it ends the call for good.
    #[inline]
    fn settle(&mut self, error: CallError<E>) -> CallError<E> {
        match self.again {
            None => error,
            Some(_) => Again::settle(&mut self.again, error),
        }
    }

    fn hand_out_sides(&mut self) {
        if let (Some(listeners), Some((format, limits))) = (&mut self.listeners, &self.format) {
            listeners.hand_out(*format, limits);
        }
    }
}

impl<P, T, E, C: Caller> CallFuture<P, T, E, C> {
    pub(crate) const fn caller(&self) -> &C {
        &self.caller
    }

    fn give_up(&mut self) {
        if let Stage::Sent(ticket) = self.stage {
            self.caller.cancel(ticket, CancelReason::Caller);
        }
        self.stage = Stage::Done;
    }
}

impl<P, T, E, C> Future for CallFuture<P, T, E, C>
where
    P: Params,
    T: DeserializeOwned + Send + 'static,
    E: DomainError,
    C: Caller,
{
    type Output = Result<T, CallError<E>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if this.is_looked_at() {
            return this.poll_watched(cx);
        }
        this.poll_plain(cx)
    }
}

impl<P, T, E, C> CallFuture<P, T, E, C>
where
    P: Params,
    T: DeserializeOwned + Send + 'static,
    E: DomainError,
    C: Caller,
{
    /// Whether somebody looks at the call, or may do so now that it begins.
    #[inline]
    fn is_looked_at(&self) -> bool {
        if self.watch.is_some() {
            return true;
        }
        matches!(self.stage, Stage::Unsent) && Watch::may_begin(&self.caller, &self.options)
    }

    #[inline]
    fn poll_plain(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<T, CallError<E>>> {
        loop {
            if let Stage::Unsent = self.stage {
                let polled = match self.again {
                    None => self.poll_send(cx),
                    Some(_) => self.poll_send_again(cx),
                };
                let sent = match polled {
                    Poll::Ready(sent) => sent,
                    Poll::Pending => task::ready!(self.poll_waiting(cx)),
                };
                self.waiting = None;
                if let Err(error) = sent {
                    if self.may_wait(&error)
                        && self.sends_again(&CallError::Busy { retry_after: None })
                    {
                        continue;
                    }
                    self.stage = Stage::Done;
                    return Poll::Ready(Err(self.settle(error)));
                }
                if let Stage::Sent(_) = self.stage {
                    // The waker went with the request.
                    return Poll::Pending;
                }
            }
            let Stage::Sent(ticket) = self.stage else {
                return self.poll_rest(cx);
            };
            if let Some(answer) = task::ready!(self.poll_answer(cx, ticket)) {
                return Poll::Ready(answer.map_err(|error| self.settle(error)));
            }
        }
    }

    /// A call in process, or one that is over.
    fn poll_rest(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<T, CallError<E>>> {
        match &mut self.stage {
            Stage::Local(call) => {
                let sides = self
                    .listeners
                    .as_mut()
                    .map(|listeners| &mut listeners.sides);
                let polled = call.poll(cx, sides);
                if polled.is_ready() {
                    self.stage = Stage::Done;
                }
                if self.listeners.is_some() {
                    self.hand_out_sides();
                }
                polled
            }
            Stage::Failed(_) => match std::mem::replace(&mut self.stage, Stage::Done) {
                Stage::Failed(error) => Poll::Ready(Err(error)),
                _ => Poll::Pending,
            },
            Stage::Unsent | Stage::Sent(_) | Stage::Done => {
                Poll::Ready(Err(CallError::Misuse("a call was polled after its end")))
            }
        }
    }
}

impl<P, T, E, C: Caller> Drop for CallFuture<P, T, E, C> {
    #[inline]
    fn drop(&mut self) {
        self.give_up();
    }
}
