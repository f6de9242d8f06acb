//! A stream of results that somebody looks at: through its interceptors, in its span, and again if one says so.

use super::{Stage, Step, Streaming};
use crate::call::{Attachments, CallOptions, Caller, Watch};
use crate::error::{CallError, DomainError};
use crate::intercept::CallKind;
use crate::local::{InProcess, LocalStream};
use crate::method::Target;
use mynah_protocol::{EVENTS_SERVICE, Metadata};
use serde::de::DeserializeOwned;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, Waker};
use std::time::Duration;
use tokio::time::Sleep;

/// What is kept for it.
pub(super) struct Watched {
    pub(super) watch: Watch,
    /// Runs while interceptors have the call wait.
    waiting: Option<Pin<Box<Sleep>>>,
}

/// Opens a stream within the process, of params of a type that is known only inside.
type OpenLocal<T, E> = Box<
    dyn FnOnce(&InProcess, Option<Duration>, Metadata) -> Result<LocalStream<T, E>, CallError<E>>
        + Send,
>;

/// A call within the process that waits for an interceptor.
pub(super) struct Gated<T, E> {
    pub(super) open: OpenLocal<T, E>,
    pub(super) options: CallOptions,
}

impl Watched {
    pub(super) fn begin<C: Caller>(
        caller: &C,
        target: &Target,
        options: &mut CallOptions,
        attachments: &Attachments,
    ) -> Option<Box<Self>> {
        let kind = if target.name().service == EVENTS_SERVICE {
            CallKind::Subscription
        } else {
            CallKind::Stream
        };
        let watch = Watch::begin(caller, target, kind, options, attachments.is_empty())?;
        Some(Box::new(Self {
            watch,
            waiting: None,
        }))
    }
}

impl<T, E, C> Streaming<T, E, C>
where
    T: DeserializeOwned + Send + 'static,
    E: DomainError,
    C: Caller,
{
    /// Sends the request if it comes through its interceptors at once and there is room.
    #[cold]
    pub(super) fn send_watched(&mut self) {
        // Whoever polls later takes over.
        let _waits = self.poll_sent(&mut task::Context::from_waker(Waker::noop()));
    }

    /// Ready when the request was sent, or the stage says why not.
    pub(super) fn poll_sent(&mut self, cx: &mut task::Context<'_>) -> Poll<()> {
        let Some(watched) = &mut self.watch else {
            return Poll::Ready(());
        };
        let options = match (&mut self.stage, &mut self.unsent) {
            (Stage::Unsent, Some(unsent)) => &mut unsent.options,
            (Stage::Gated(gated), _) => &mut gated.options,
            _ => return Poll::Ready(()),
        };
        let span = watched.watch.observed().span().clone();
        let caller = &self.caller;
        let passed = span.in_scope(|| watched.watch.poll_gate(caller, options, cx));
        let passed = match passed {
            Poll::Ready(passed) => passed.map_err(|error| CallError::from_peer(*error, true)),
            Poll::Pending => {
                let Some(deadline) = options.deadline else {
                    return Poll::Pending;
                };
                let sleep = watched
                    .waiting
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
                task::ready!(sleep.as_mut().poll(cx));
                Err(CallError::Deadline)
            }
        };
        watched.waiting = None;
        if let Err(error) = passed {
            self.stage = Stage::Failed(error);
            return Poll::Ready(());
        }
        if let Stage::Unsent = self.stage {
            let sent = task::ready!(span.in_scope(|| self.poll_send_in_time(cx)));
            if let Err(error) = sent
                && let Step::Out(Some(Err(error))) = self.fail_unsent(error)
            {
                self.stage = Stage::Failed(error);
            }
            return Poll::Ready(());
        }
        if let Stage::Gated(gated) = std::mem::replace(&mut self.stage, Stage::Done) {
            let Gated { open, mut options } = *gated;
            let timeout = options.timeout(self.caller.default_timeout(), self.caller.deadline());
            let metadata = std::mem::take(&mut options.metadata);
            let opened = match self.caller.in_process() {
                Some(server) => span.in_scope(|| open(server, timeout, metadata)),
                None => Err(CallError::Misuse("the caller has changed")),
            };
            self.stage = opened.map_or_else(Stage::Failed, Stage::Local);
        }
        Poll::Ready(())
    }

    #[cold]
    pub(super) fn poll_watched(
        &mut self,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<Result<T, CallError<E>>>> {
        loop {
            task::ready!(self.poll_sent(cx));
            let Some(watched) = &self.watch else {
                return self.poll_plain(cx);
            };
            let observed = Arc::clone(watched.watch.observed());
            let polled = match observed.span().in_scope(|| self.poll_plain(cx)) {
                Poll::Ready(polled) => polled,
                Poll::Pending => {
                    let stopped = task::ready!(observed.poll_stop(cx));
                    let error = CallError::from_peer(*stopped, true);
                    self.end = Some(error.end_reason());
                    self.give_up();
                    Some(Err(error))
                }
            };
            if let Some(Ok(_)) = polled {
                observed.add_items(1);
                return Poll::Ready(polled);
            }
            let error = match &polled {
                Some(Err(error)) => Some(error),
                _ => None,
            };
            if !self.finish_watch(error) {
                return Poll::Ready(polled);
            }
            self.end = None;
        }
    }

    /// Tells of the end. Returns whether there is another attempt, which waits in the stage.
    pub(super) fn finish_watch(&mut self, error: Option<&CallError<E>>) -> bool {
        let Some(watched) = &mut self.watch else {
            return false;
        };
        // Nothing is tried again of which something came.
        let can = watched.watch.observed().items() == 0;
        if let Some(unsent) = &mut self.unsent
            && watched.watch.tries_again(error, can, &mut unsent.options)
        {
            unsent.waiting = None;
            self.stage = Stage::Unsent;
            self.again = None;
            return true;
        }
        if let Some(watched) = self.watch.take() {
            watched.watch.report(error);
        }
        false
    }
}
