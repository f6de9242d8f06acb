//! How the request of a stream is sent, and sent again.

use super::{Batch, Stage, Streaming};
use crate::call::{
    Again, Attachments, CallOptions, Caller, OutgoingCall, ResultStream, WireFormat,
};
use crate::encoded::EncodedBuffer;
use crate::error::{CallError, DomainError};
use crate::method::Target;
use crate::params::{self, Params};
use crate::scratch;
use mynah_protocol::{RpcError, Window};
use serde::de::DeserializeOwned;
use std::pin::Pin;
use std::task::{self, Poll};
use tokio::time::Sleep;

/// A request that waits for room, or for the handshake.
pub(super) struct Unsent {
    pub(super) target: Target,
    pub(super) params: Box<dyn AnyParams>,
    pub(super) options: CallOptions,
    pub(super) attachments: Attachments,
    pub(super) window: Option<Window>,
    pub(super) until_first: bool,
    /// To begin it again before the callee has taken it on runs nothing twice.
    pub(super) repeats: bool,
    pub(super) waiting: Option<Pin<Box<Sleep>>>,
}

/// Params of a type that is known only inside.
pub(super) trait AnyParams: Send {
    fn encode(
        &self,
        target: &Target,
        wire: &WireFormat,
        out: &mut EncodedBuffer,
    ) -> Result<(), CallError>;
}

impl<P: Params> AnyParams for P {
    fn encode(
        &self,
        target: &Target,
        wire: &WireFormat,
        out: &mut EncodedBuffer,
    ) -> Result<(), CallError> {
        params::encode(self, target, wire, out)
    }
}

impl<T, E, C> Streaming<T, E, C>
where
    T: DeserializeOwned + Send + 'static,
    E: DomainError,
    C: Caller,
{
    /// To begin it again before the callee has taken it on runs nothing twice.
    pub(crate) fn repeats(&mut self) {
        if let Some(unsent) = &mut self.unsent {
            unsent.repeats = true;
        }
    }

    pub(super) fn poll_send(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), CallError>> {
        let Some(unsent) = &mut self.unsent else {
            return Poll::Ready(Ok(()));
        };
        let timeout = unsent
            .options
            .timeout(self.caller.default_timeout(), self.caller.deadline());
        let wire = task::ready!(self.caller.poll_format(cx))?;
        self.format = Some((wire.format, wire.limits));
        let caller = &self.caller;
        let listens = self.listeners.is_some();
        // What is attached goes with the request, and there is no second one of it.
        self.resends = caller.reconnects() && unsent.attachments.is_empty();
        let begun = scratch::with_encoded(|buffer| {
            if let Err(error) = unsent.params.encode(&unsent.target, &wire, buffer) {
                return Poll::Ready(Err(error));
            }
            let mut call = OutgoingCall {
                name: unsent.target.name(),
                id: unsent.options.id.as_deref(),
                params: buffer.whole(),
                timeout,
                metadata: &unsent.options.metadata,
                listens,
                results: Some(ResultStream {
                    window: unsent.window,
                    until_first: unsent.until_first,
                }),
                attachments: &mut unsent.attachments,
                idempotent: unsent.target.is_idempotent(),
            };
            caller.poll_begin(cx, &mut call)
        });
        let ticket = task::ready!(begun)?;
        self.stage = Stage::Open(ticket);
        self.batch = Batch::new(unsent.window.or_else(|| caller.window()));
        unsent.waiting = None;
        if self.resends {
            // However often it is sent, it ends in time.
            unsent.options.fix_deadline(timeout);
        } else if self.watch.is_none() {
            self.unsent = None;
        }
        Poll::Ready(Ok(()))
    }

    /// The deadline of a call that waits to be sent is fixed at its first poll, and watched here.
    pub(super) fn poll_send_in_time(
        &mut self,
        cx: &mut task::Context<'_>,
    ) -> Poll<Result<(), CallError>> {
        let paused = match &mut self.again {
            Some(again) => again.poll_pause(cx).is_pending(),
            None => false,
        };
        if !paused && let Poll::Ready(sent) = self.poll_send(cx) {
            return Poll::Ready(sent);
        }
        let Some(unsent) = &mut self.unsent else {
            return Poll::Pending;
        };
        if unsent.waiting.is_none() {
            let timeout = unsent
                .options
                .timeout(self.caller.default_timeout(), self.caller.deadline());
            let Some(deadline) = unsent.options.fix_deadline(timeout) else {
                return Poll::Pending;
            };
            unsent.waiting = Some(Box::pin(tokio::time::sleep_until(deadline)));
        }
        let Some(sleep) = &mut unsent.waiting else {
            return Poll::Pending;
        };
        sleep.as_mut().poll(cx).map(|()| Err(CallError::Deadline))
    }

    /// Whether the call begins again, after an end that says so: only one that was not run.
    pub(super) fn sends_again(&mut self, error: &CallError<RpcError>) -> bool {
        let can = self.resends && !self.begun;
        let Some(unsent) = self.unsent.as_ref().filter(|_| can) else {
            return false;
        };
        let again = Again::ask(&mut self.again, &self.caller, error, unsent.repeats);
        if again {
            self.stage = Stage::Unsent;
        }
        again
    }

    /// Begins the same call once more, without a deadline; its end is told. `false` where it cannot.
    pub(crate) fn begin_again(&mut self) -> bool {
        let Some(unsent) = &mut self.unsent else {
            return false;
        };
        unsent.waiting = None;
        unsent.options.lift_deadline();
        self.give_up();
        self.stage = Stage::Unsent;
        self.batch = Batch::default();
        self.again = None;
        self.begun = true;
        self.end = None;
        true
    }
}
