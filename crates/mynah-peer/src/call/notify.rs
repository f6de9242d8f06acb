//! A notification before it is sent.

use super::{Attachments, Call, CallOptions, Caller, OutgoingCall, Watch};
use crate::context::Context;
use crate::error::CallError;
use crate::intercept::CallKind;
use crate::method::{MethodInfo, Target};
use crate::params::{self, Params};
use crate::scratch;
use mynah_protocol::{CALLBACK_SERVICE, OPERATION_ID};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

/// A notification: a call without an answer. Await it to send it; it is done when it stands in the output.
///
/// Cancel safety: dropped before it is done, it was not sent.
#[must_use = "a notification is sent when it is awaited"]
pub struct Notify<P, C> {
    caller: C,
    target: Target,
    params: Option<P>,
    options: CallOptions,
    watch: Option<Box<Watch>>,
    /// It cannot be a notification.
    misuse: Option<&'static str>,
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
            options: CallOptions::default(),
            watch: None,
            misuse: None,
        }
    }

    pub(crate) const fn caller(&self) -> &C {
        &self.caller
    }

    /// A call whose answer nobody waits for.
    pub(crate) fn of<T, E>(call: Call<P, T, E, C>) -> Self {
        let mut notify = Self::to(call.caller, call.target, call.params);
        notify.options = call.options;
        notify.misuse = if !call.attachments.is_empty() {
            Some("a stream or a callback lives as long as its call, and a notification has no end")
        } else if notify.options.id.is_some() {
            Some("nobody answers a notification, so it has no id")
        } else {
            None
        };
        notify
    }

    /// Adds an entry that travels beside the params.
    pub fn metadata(mut self, name: impl Into<Box<str>>, value: impl Into<Box<str>>) -> Self {
        self.options.metadata.insert(name, value);
        self
    }

    /// Says which operation the notification is a part of. See [`Call::operation_id`](crate::Call::operation_id).
    pub fn operation_id(self, id: impl Into<Box<str>>) -> Self {
        self.metadata(OPERATION_ID, id)
    }

    /// The notification goes on with the trace of the call that is being handled.
    pub fn within(mut self, context: &Context) -> Self {
        self.options.trace = context.trace().map(Arc::new);
        self
    }
}

impl<P, C> Notify<P, C>
where
    P: Params,
    C: Caller,
{
    fn poll_plain(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), CallError>> {
        let this = self;
        if let Some(server) = this.caller.in_process() {
            let Some(params) = this.params.take() else {
                return Poll::Ready(Ok(()));
            };
            return Poll::Ready(server.notify(
                this.target.name(),
                params,
                std::mem::take(&mut this.options.metadata),
            ));
        }
        let wire = task::ready!(this.caller.poll_format(cx))?;
        let Some(params) = &this.params else {
            return Poll::Ready(Err(CallError::Misuse(
                "a notification was polled after its end",
            )));
        };
        scratch::with_encoded(|buffer| {
            if let Err(error) = params::encode(params, &this.target, &wire, buffer) {
                return Poll::Ready(Err(error));
            }
            let call = OutgoingCall {
                name: this.target.name(),
                id: None,
                params: buffer.whole(),
                timeout: None,
                metadata: &this.options.metadata,
                listens: false,
                results: None,
                attachments: &mut Attachments::new(),
                idempotent: this.target.is_idempotent(),
            };
            this.caller.poll_notify(cx, &call)
        })
    }

    #[cold]
    fn poll_watched(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), CallError>> {
        if self.watch.is_none() {
            let kind = if self.target.name().service == CALLBACK_SERVICE {
                CallKind::Callback
            } else {
                CallKind::Notification
            };
            let begun = Watch::begin(&self.caller, &self.target, kind, &mut self.options, true);
            self.watch = begun.map(Box::new);
        }
        loop {
            let Some(watch) = &self.watch else {
                return self.poll_plain(cx);
            };
            let span = watch.observed().span().clone();
            let result = task::ready!(span.in_scope(|| self.poll_attempt(cx)));
            let Some(watch) = &mut self.watch else {
                return Poll::Ready(result);
            };
            let can = self.params.is_some();
            if !watch.tries_again(result.as_ref().err(), can, &mut self.options) {
                self.watch = None;
                return Poll::Ready(result);
            }
        }
    }

    fn poll_attempt(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), CallError>> {
        if let Some(watch) = &mut self.watch
            && let Err(error) = task::ready!(watch.poll_gate(&self.caller, &mut self.options, cx))
        {
            return Poll::Ready(Err(CallError::from_peer(*error, true)));
        }
        self.poll_plain(cx)
    }
}

impl<P, C> Future for Notify<P, C>
where
    P: Params,
    C: Caller,
{
    type Output = Result<(), CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Some(misuse) = this.misuse {
            return Poll::Ready(Err(CallError::Misuse(misuse)));
        }
        let begins = this.params.is_some() && Watch::may_begin(&this.caller, &this.options);
        let sent = if this.watch.is_some() || begins {
            task::ready!(this.poll_watched(cx))
        } else {
            task::ready!(this.poll_plain(cx))
        };
        this.params = None;
        Poll::Ready(sent)
    }
}
