//! Streams of results within one process.

use super::call::Over;
use super::typed::Heard;
use super::{InProcess, LocalCall, observed};
use crate::call::{Attachments, Call, SideEffects};
use crate::context::Context;
use crate::error::{CallError, DomainError};
use crate::handler::{LocalResults, TypedError, TypedStreamMethod, panicked};
use crate::intercept::CallKind;
use crate::method::Target;
use crate::params::Params;
use crate::peer::Peer;
use crate::stream::Streaming;
use futures_core::Stream as _;
use mynah_connection::CloseReason;
use mynah_protocol::{By, EndReason, Metadata, MethodName, Moment};
use serde::de::DeserializeOwned;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{self, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// A stream of results within the process: polled where the caller polls it.
pub(crate) struct LocalStream<T, E> {
    source: Source<T, E>,
    end: EndReason,
}

enum Source<T, E> {
    Typed {
        /// Taken when it has ended, or panicked.
        stream: Option<LocalResults<T, E>>,
        /// Until an interceptor has let it pass.
        gate: Option<observed::WaitingStream<T, E>>,
        call: Arc<LocalCall>,
        /// Present when there is a deadline for the whole stream.
        whole: Option<Pin<Box<Sleep>>>,
        /// Until the first item has come, when it has a deadline of its own.
        first: Option<First>,
    },
    /// The types are not the ones of the handler: over a wire, in memory.
    Encoded {
        stream: Box<Streaming<T, E, Peer>>,
        /// What came beside it, when the caller listens.
        heard: Option<Heard>,
    },
}

/// The deadline of the first item.
struct First {
    deadline: Instant,
    /// Made at the first poll that has to wait.
    sleep: Option<Pin<Box<Sleep>>>,
}

/// Ready when the time for the first item is over.
fn poll_first(first: &mut Option<First>, cx: &mut task::Context<'_>) -> Poll<()> {
    let Some(First { deadline, sleep }) = first else {
        return Poll::Pending;
    };
    let sleep = sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(*deadline)));
    sleep.as_mut().poll(cx)
}

impl InProcess {
    /// Starts a call with a stream of results. The time is for the first item only if it says so.
    pub(crate) fn open_stream<P, T, E>(
        &self,
        name: MethodName<'_>,
        params: P,
        (timeout, until_first): (Option<Duration>, bool),
        metadata: Metadata,
        listens: bool,
        attachments: Attachments,
    ) -> Result<LocalStream<T, E>, CallError<E>>
    where
        P: Params + 'static,
        T: DeserializeOwned + Send + 'static,
        E: DomainError,
    {
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(CallError::Deadline);
        }
        let whole = self.capped(timeout.filter(|_| !until_first));
        let attached = !attachments.is_empty();
        let found = self.find::<Arc<dyn TypedStreamMethod<P, T, E>>>(&name, attached);
        let Some(found) = found else {
            if self.ends.server.draining.load(Ordering::Acquire) {
                return Err(CallError::Disconnected(CloseReason::Drained));
            }
            let target = Target::owned(&name);
            let mut call = Call::<P, T, E, Peer>::to(self.encoded(), target, params);
            call.attachments = attachments;
            let heard = listens.then(Heard::default);
            call.listeners = heard.as_ref().map(Heard::listeners);
            call = match whole {
                Some(timeout) => call.deadline(timeout),
                None => call.no_deadline(),
            };
            for (name, value) in metadata.iter() {
                call = call.metadata(name, value);
            }
            return Ok(LocalStream {
                source: Source::Encoded {
                    stream: Box::new(Streaming::open(call, None)),
                    heard,
                },
                end: EndReason::Finished,
            });
        };
        self.take_permit()?;
        let observed = if self.ends.server.router.observes() {
            self.observe(
                || found.name(&self.ends.server.router),
                CallKind::Stream,
                &metadata,
            )
        } else {
            None
        };
        let call = self.local_call(whole, listens, observed);
        // It covers the stream from here on, whenever the program takes the first item.
        let whole = call
            .deadline()
            .map(|deadline| Box::pin(tokio::time::sleep_until(deadline)));
        let context = Context::local(Arc::clone(&call), Moment::NEVER, metadata);
        let first = timeout
            .filter(|_| until_first)
            .and_then(|timeout| Instant::now().checked_add(timeout))
            .map(|deadline| First {
                deadline,
                sleep: None,
            });
        if call.observed.is_some() {
            let (stream, gate) = observed::open(found.typed(), &call, context, params)?;
            return Ok(LocalStream {
                source: Source::Typed {
                    stream,
                    gate,
                    call,
                    whole,
                    first,
                },
                end: EndReason::Finished,
            });
        }
        let typed = found.typed();
        let started = catch_unwind(AssertUnwindSafe(|| typed.open(context, params)));
        let stream = match started {
            Ok(Ok(stream)) => stream,
            Ok(Err(refused)) => {
                call.end(Over::Finished);
                return Err(CallError::from_peer(*refused, true));
            }
            Err(payload) => {
                call.end(Over::Finished);
                return Err(CallError::from_peer(*panicked(&*payload), true));
            }
        };
        Ok(LocalStream {
            source: Source::Typed {
                stream: Some(stream),
                gate: None,
                call,
                whole,
                first,
            },
            end: EndReason::Finished,
        })
    }
}

impl<T, E> LocalStream<T, E>
where
    T: DeserializeOwned + Send + 'static,
    E: DomainError,
{
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut task::Context<'_>,
        sides: Option<&mut SideEffects>,
    ) -> Poll<Option<Result<T, CallError<E>>>> {
        let (stream, call, whole, first) = match &mut self.source {
            Source::Encoded { stream, heard } => {
                let polled = Pin::new(&mut **stream).poll_next(cx);
                if let (Some(heard), Some(sides)) = (heard, sides) {
                    heard.hand_over(sides);
                }
                let polled = task::ready!(polled);
                if let Some(reason) = stream.end_reason() {
                    self.end = reason.clone();
                }
                return Poll::Ready(polled);
            }
            Source::Typed {
                stream,
                gate,
                call,
                whole,
                first,
            } => {
                if let Some(waiting) = gate {
                    let passed = observed::poll_gate(waiting, call, whole, cx);
                    if passed.is_pending() {
                        task::ready!(poll_first(first, cx));
                        return self.fail(CallError::Deadline);
                    }
                    match task::ready!(passed) {
                        Ok(started) => {
                            *gate = None;
                            *stream = Some(started);
                        }
                        Err(error) => {
                            *gate = None;
                            return self.fail(error);
                        }
                    }
                }
                (stream, call, whole, first)
            }
        };
        let Some(running) = stream else {
            return Poll::Ready(None);
        };
        if let Some(whole) = whole
            && (whole.is_elapsed() || whole.as_mut().poll(cx).is_ready())
        {
            return self.fail(CallError::Deadline);
        }
        let polled = catch_unwind(AssertUnwindSafe(|| running.as_mut().poll_next(cx)));
        call.hand_over(sides, cx.waker());
        let outcome = match polled {
            Ok(Poll::Ready(Some(Ok(item)))) => {
                if let Some(observed) = &call.observed {
                    observed.add_items(1);
                }
                *first = None;
                return Poll::Ready(Some(Ok(item)));
            }
            Ok(Poll::Pending) => {
                if let Some(error) = call.poll_stop(cx) {
                    Some(error)
                } else {
                    task::ready!(poll_first(first, cx));
                    Some(CallError::Deadline)
                }
            }
            Ok(Poll::Ready(None)) => None,
            Ok(Poll::Ready(Some(Err(TypedError::Own(error))))) => {
                Some(CallError::from_handler(error))
            }
            Ok(Poll::Ready(Some(Err(TypedError::Refused(error))))) => {
                Some(CallError::from_peer(*error, true))
            }
            Err(payload) => Some(CallError::from_peer(*panicked(&*payload), true)),
        };
        match outcome {
            Some(error) => self.fail(error),
            None => {
                if let Source::Typed { call, .. } = &self.source
                    && let Some(observed) = &call.observed
                {
                    observed.ended_locally::<E>(None);
                }
                self.end = EndReason::Finished;
                self.stop(Over::Finished);
                Poll::Ready(None)
            }
        }
    }

    fn fail(&mut self, error: CallError<E>) -> Poll<Option<Result<T, CallError<E>>>> {
        if let Source::Typed { call, .. } = &self.source
            && let Some(observed) = &call.observed
        {
            observed.ended_locally(Some(&error));
        }
        self.end = error.end_reason();
        let ended = Err(error);
        self.stop(Over::with(&ended));
        Poll::Ready(Some(ended))
    }
}

impl<T, E> LocalStream<T, E> {
    pub(crate) fn end_reason(&self) -> EndReason {
        self.end.clone()
    }

    fn stop(&mut self, how: Over) {
        if let Source::Typed {
            stream, gate, call, ..
        } = &mut self.source
        {
            *gate = None;
            let stream = stream.take();
            if !matches!(how, Over::Finished) {
                // What is dropped can ask why.
                call.end(how);
            }
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(stream))) {
                // Dropping the handler panicked: that is the callee's, and not for the caller to die of.
                panicked(&*payload);
            }
            call.end(how);
        }
    }
}

impl<T, E> Drop for LocalStream<T, E> {
    fn drop(&mut self) {
        self.end = EndReason::Cancelled(By::Caller);
        self.stop(Over::Dropped);
    }
}
