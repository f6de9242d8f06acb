//! A notification before it is sent.

use super::{Attachments, Caller, OutgoingCall};
use crate::error::CallError;
use crate::method::{MethodInfo, Target};
use crate::scratch;
use mynah_protocol::Metadata;
use serde::Serialize;
use std::fmt;
use std::pin::Pin;
use std::task::{self, Poll};

/// A notification: a call without an answer. Await it to send it; it is done when it stands in the output.
///
/// Cancel safety: dropped before it is done, it was not sent.
#[must_use = "a notification is sent when it is awaited"]
pub struct Notify<P, C> {
    caller: C,
    target: Target,
    params: Option<P>,
    metadata: Metadata,
}

impl<P, C> fmt::Debug for Notify<P, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notify")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

impl<P, C> Unpin for Notify<P, C> {}

impl<P, C> Notify<P, C> {
    /// A notification through a caller. Made by the macro.
    pub fn new(caller: C, method: &'static MethodInfo, params: P) -> Self {
        Self::to(caller, Target::Method(method), params)
    }

    pub(crate) fn to(caller: C, target: Target, params: P) -> Self {
        Self {
            caller,
            target,
            params: Some(params),
            metadata: Metadata::new(),
        }
    }

    /// Adds an entry that travels beside the params.
    pub fn metadata(mut self, name: impl Into<Box<str>>, value: impl Into<Box<str>>) -> Self {
        self.metadata.insert(name, value);
        self
    }
}

impl<P, C> Future for Notify<P, C>
where
    P: Serialize + Send + 'static,
    C: Caller,
{
    type Output = Result<(), CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Some(server) = this.caller.in_process() {
            let Some(params) = this.params.take() else {
                return Poll::Ready(Ok(()));
            };
            return Poll::Ready(server.notify(
                this.target.name(),
                params,
                std::mem::take(&mut this.metadata),
            ));
        }
        let (format, _limits) = task::ready!(this.caller.poll_format(cx))?;
        let Some(params) = &this.params else {
            return Poll::Ready(Err(CallError::Misuse(
                "a notification was polled after its end",
            )));
        };
        let sent = scratch::with(|buffer| {
            if let Err(error) = format.encode(params, buffer) {
                return Poll::Ready(Err(CallError::Encode(error)));
            }
            let call = OutgoingCall {
                name: this.target.name(),
                params: buffer,
                timeout: None,
                metadata: &this.metadata,
                listens: false,
                results: None,
                attachments: &mut Attachments::new(),
            };
            this.caller.poll_notify(cx, &call)
        });
        let sent = task::ready!(sent);
        this.params = None;
        Poll::Ready(sent)
    }
}
