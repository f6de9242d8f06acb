//! Streams of results within one process.

use super::{InProcess, LocalCall, observed};
use crate::call::{Attachments, Call};
use crate::context::Context;
use crate::error::{CallError, DomainError};
use crate::handler::{TypedStreamMethod, panicked};
use crate::intercept::CallKind;
use crate::method::Target;
use crate::peer::Peer;
use crate::stream::Streaming;
use futures_core::Stream;
use mynah_connection::CloseReason;
use mynah_protocol::{By, EndReason, Metadata, MethodName, Moment};
use serde::{Serialize, de::DeserializeOwned};
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

pub(super) type BoxStream<T, E> = Pin<Box<dyn Stream<Item = Result<T, E>> + Send>>;

enum Source<T, E> {
    Typed {
        /// Taken when it has ended, or panicked.
        stream: Option<BoxStream<T, E>>,
        /// Until an interceptor has let it pass.
        gate: Option<observed::WaitingStream<T, E>>,
        call: Arc<LocalCall>,
        /// Made at the first poll that has to wait.
        sleep: Option<Pin<Box<Sleep>>>,
        until_first: Option<Instant>,
    },
    /// The types are not the ones of the handler: over a wire, in memory.
    Encoded(Box<Streaming<T, E, Peer>>),
}

impl InProcess {
    /// Starts a call with a stream of results. The time is for the first item only if it says so.
    pub(crate) fn open_stream<P, T, E>(
        &self,
        name: MethodName<'_>,
        params: P,
        (timeout, until_first): (Option<Duration>, bool),
        metadata: Metadata,
        attachments: Attachments,
    ) -> Result<LocalStream<T, E>, CallError<E>>
    where
        P: Serialize + Send + 'static,
        T: DeserializeOwned + Send + 'static,
        E: DomainError,
    {
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(CallError::Deadline);
        }
        let whole = self.capped(timeout.filter(|_| !until_first));
        let found = self.find::<Arc<dyn TypedStreamMethod<P, T, E>>>(&name);
        let Some((route, typed)) = found else {
            if self.server.draining.load(Ordering::Acquire) {
                return Err(CallError::Disconnected(CloseReason::Drained));
            }
            let target = Target::named(&*name.service, &*name.method);
            let mut call = Call::<P, T, E, Peer>::to(self.server.encoded(), target, params);
            call.attachments = attachments;
            call = match whole {
                Some(timeout) => call.deadline(timeout),
                None => call.no_deadline(),
            };
            for (name, value) in metadata.iter() {
                call = call.metadata(name, value);
            }
            return Ok(LocalStream {
                source: Source::Encoded(Box::new(Streaming::open(call, None))),
                end: EndReason::Finished,
            });
        };
        self.take_permit()?;
        let observed = if self.server.router.observes() {
            self.observe(route, CallKind::Stream, &metadata)
        } else {
            None
        };
        let call = self.local_call(whole, false, observed);
        let context = Context::local(Arc::clone(&call), Moment::NEVER, metadata);
        let until_first = timeout
            .filter(|_| until_first)
            .and_then(|timeout| Instant::now().checked_add(timeout));
        if call.observed.is_some() {
            let (stream, gate) = observed::open(typed, &call, context, params)?;
            return Ok(LocalStream {
                source: Source::Typed {
                    stream,
                    gate,
                    call,
                    sleep: None,
                    until_first,
                },
                end: EndReason::Finished,
            });
        }
        let started = catch_unwind(AssertUnwindSafe(|| typed.open(context, params)));
        let stream = match started {
            Ok(stream) => stream,
            Err(payload) => {
                call.end();
                return Err(CallError::Remote(*panicked(&*payload)));
            }
        };
        Ok(LocalStream {
            source: Source::Typed {
                stream: Some(stream),
                gate: None,
                call,
                sleep: None,
                until_first,
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
    ) -> Poll<Option<Result<T, CallError<E>>>> {
        let (stream, call, sleep, until_first) = match &mut self.source {
            Source::Encoded(stream) => {
                let polled = task::ready!(Pin::new(&mut **stream).poll_next(cx));
                if let Some(reason) = stream.end_reason() {
                    self.end = reason.clone();
                }
                return Poll::Ready(polled);
            }
            Source::Typed {
                stream,
                gate,
                call,
                sleep,
                until_first,
            } => {
                if let Some(waiting) = gate {
                    match task::ready!(observed::poll_gate(waiting, call, sleep, cx)) {
                        Ok(started) => {
                            *gate = None;
                            *sleep = None;
                            *stream = Some(started);
                        }
                        Err(error) => {
                            *gate = None;
                            self.end = error.end_reason();
                            self.stop();
                            return Poll::Ready(Some(Err(error)));
                        }
                    }
                }
                (stream, call, sleep, until_first)
            }
        };
        let Some(running) = stream else {
            return Poll::Ready(None);
        };
        let polled = catch_unwind(AssertUnwindSafe(|| running.as_mut().poll_next(cx)));
        let outcome = match polled {
            Ok(Poll::Ready(Some(Ok(item)))) => {
                if let Some(observed) = &call.observed {
                    observed.add_items(1);
                }
                if until_first.take().is_some() {
                    *sleep = None;
                }
                return Poll::Ready(Some(Ok(item)));
            }
            Ok(Poll::Pending) => {
                if let Some(error) = call.poll_stop(cx) {
                    Some(error)
                } else {
                    let Some(deadline) = until_first.or_else(|| call.deadline()) else {
                        return Poll::Pending;
                    };
                    let sleep =
                        sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
                    task::ready!(sleep.as_mut().poll(cx));
                    Some(CallError::Deadline)
                }
            }
            Ok(Poll::Ready(None)) => None,
            Ok(Poll::Ready(Some(Err(error)))) => Some(CallError::Application(error)),
            Err(payload) => Some(CallError::Remote(*panicked(&*payload))),
        };
        self.end = match &outcome {
            None => EndReason::Finished,
            Some(error) => error.end_reason(),
        };
        if let Some(observed) = &call.observed {
            observed.ended_locally(outcome.as_ref());
        }
        self.stop();
        Poll::Ready(outcome.map(Err))
    }
}

impl<T, E> LocalStream<T, E> {
    pub(crate) fn end_reason(&self) -> EndReason {
        self.end.clone()
    }

    fn stop(&mut self) {
        if let Source::Typed {
            stream, gate, call, ..
        } = &mut self.source
        {
            *gate = None;
            call.end();
            let stream = stream.take();
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(stream))) {
                // Dropping the handler panicked: that is the callee's, and not for the caller to die of.
                panicked(&*payload);
            }
        }
    }
}

impl<T, E> Drop for LocalStream<T, E> {
    fn drop(&mut self) {
        self.end = EndReason::Cancelled(By::Caller);
        self.stop();
    }
}
