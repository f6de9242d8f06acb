//! A call that somebody looks at: through its interceptors, in its span, and again if one says so.

use super::{CallFuture, Stage};
use crate::call::{Caller, Watch};
use crate::error::{CallError, DomainError};
use crate::intercept::CallKind;
use crate::params::Params;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::task::{self, Poll};

/// What is kept for it.
pub(super) struct Watched<E> {
    pub(super) watch: Watch,
    /// It could not be sent when it was started.
    failed: Option<CallError<E>>,
}

impl<P, T, E, C> CallFuture<P, T, E, C>
where
    P: Params,
    T: DeserializeOwned + Send + 'static,
    E: DomainError,
    C: Caller,
{
    fn begin_watch(&mut self) {
        if self.watch.is_some() {
            return;
        }
        let callback = self.target.name().service == mynah_protocol::CALLBACK_SERVICE;
        let kind = if callback {
            CallKind::Callback
        } else {
            CallKind::Unary
        };
        let repeatable = self.attachments.is_empty();
        let begun = Watch::begin(
            &self.caller,
            &self.target,
            kind,
            &mut self.options,
            repeatable,
        );
        self.watch = begun.map(|watch| {
            Box::new(Watched {
                watch,
                failed: None,
            })
        });
    }

    /// Sends the request if it comes through its interceptors at once and there is room.
    #[cold]
    pub(super) fn send_watched(&mut self, cx: &mut task::Context<'_>) {
        self.begin_watch();
        let Some(watched) = &self.watch else {
            if let Poll::Ready(Err(error)) = self.poll_send(cx)
                && !self.may_wait(&error)
            {
                self.stage = Stage::Failed(error);
            }
            return;
        };
        let span = watched.watch.observed().span().clone();
        let sent = span.in_scope(|| match self.poll_gate(cx) {
            Poll::Ready(Ok(())) => self.poll_send(cx),
            other => other,
        });
        if let Poll::Ready(Err(error)) = sent
            && !self.may_wait(&error)
            && let Some(watched) = &mut self.watch
        {
            self.stage = Stage::Done;
            watched.failed = Some(error);
        }
    }

    fn poll_gate(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), CallError<E>>> {
        let Some(watched) = &mut self.watch else {
            return Poll::Ready(Ok(()));
        };
        let passed = watched.watch.poll_gate(&self.caller, &mut self.options, cx);
        passed.map_err(|error| CallError::from_peer(*error, true))
    }

    #[cold]
    pub(super) fn poll_watched(
        &mut self,
        cx: &mut task::Context<'_>,
    ) -> Poll<Result<T, CallError<E>>> {
        self.begin_watch();
        loop {
            let Some(watched) = &self.watch else {
                return self.poll_plain(cx);
            };
            let span = watched.watch.observed().span().clone();
            let result = task::ready!(span.in_scope(|| self.poll_attempt(cx)));
            let Some(watched) = &mut self.watch else {
                return Poll::Ready(result);
            };
            let error = result.as_ref().err();
            let can = self.params.is_some();
            if !watched.watch.tries_again(error, can, &mut self.options) {
                self.watch = None;
                self.stage = Stage::Done;
                return Poll::Ready(result);
            }
            self.stage = Stage::Unsent;
            self.again = None;
        }
    }

    fn poll_attempt(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<T, CallError<E>>> {
        if let Some(watched) = &mut self.watch
            && let Some(error) = watched.failed.take()
        {
            return Poll::Ready(Err(error));
        }
        if let Stage::Unsent = self.stage {
            let passed = match self.poll_gate(cx) {
                Poll::Ready(passed) => passed,
                Poll::Pending => task::ready!(self.poll_waiting(cx)),
            };
            if let Err(error) = passed {
                self.stage = Stage::Done;
                self.waiting = None;
                return Poll::Ready(Err(error));
            }
        }
        if let Poll::Ready(result) = self.poll_plain(cx) {
            return Poll::Ready(result);
        }
        let Some(watched) = &self.watch else {
            return Poll::Pending;
        };
        let observed = Arc::clone(watched.watch.observed());
        let stopped = task::ready!(observed.poll_stop(cx));
        self.give_up();
        Poll::Ready(Err(CallError::from_peer(*stopped, true)))
    }
}
