//! The stream of results of a call.

mod watched;

use super::Batch;
use crate::call::{
    Attachments, Call, CallOptions, Caller, Listeners, OutgoingCall, ResultStream, Ticket, Watch,
};
use crate::encoded::EncodedBuffer;
use crate::error::{CallError, DomainError};
use crate::local::{InProcess, LocalStream};
use crate::method::Target;
use crate::peer::Peer;
use crate::scratch;
use futures_core::Stream;
use mynah_codec::{EncodeError, Format};
use mynah_protocol::{By, CancelReason, DecodeLimits, EndReason, RpcError, Window};
use serde::{Serialize, de::DeserializeOwned};
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{self, Poll, Waker};
use tokio::time::{Instant, Sleep};
use watched::{Gated, Watched};

/// The stream of results of a call: items in order, then `None`; or one error, then `None`.
///
/// The callee sends no more than is taken: `Limits::stream_items` and `Limits::stream_bytes` bound what waits here, and
/// a stream that nobody polls holds up nobody else. Dropped before its end, it cancels the call.
#[must_use = "streams do nothing unless polled"]
pub struct Streaming<T, E, C: Caller = Peer> {
    caller: C,
    stage: Stage<T, E>,
    batch: Batch,
    format: Option<(Format, DecodeLimits)>,
    listeners: Option<Box<Listeners>>,
    end: Option<EndReason>,
    result: PhantomData<fn() -> Result<T, E>>,
    /// Present when somebody looks at the call.
    watch: Option<Box<Watched>>,
}

/// How far a call is.
enum Stage<T, E> {
    Unsent(Box<Unsent>),
    /// In process: it waits for an interceptor.
    Gated(Box<Gated<T, E>>),
    Open(Ticket),
    /// In process: the stream is polled in place.
    Local(LocalStream<T, E>),
    Failed(CallError<E>),
    Done,
}

/// A request that waits for room, or for the handshake.
struct Unsent {
    target: Target,
    params: Box<dyn Params>,
    options: CallOptions,
    attachments: Attachments,
    window: Option<Window>,
    until_first: bool,
    waiting: Option<Pin<Box<Sleep>>>,
}

/// Params of a type that is known only inside.
trait Params: Send {
    fn encode(&self, format: Format, out: &mut EncodedBuffer) -> Result<(), EncodeError>;
}

impl<P: Serialize + Send> Params for P {
    fn encode(&self, format: Format, out: &mut EncodedBuffer) -> Result<(), EncodeError> {
        out.push(format, self)
    }
}

impl<T, E, C: Caller> Unpin for Streaming<T, E, C> {}

impl<T, E, C: Caller> fmt::Debug for Streaming<T, E, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streaming")
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

impl<T, E, C: Caller> Streaming<T, E, C> {
    /// Why the stream ended, `None` before the program has seen its end.
    #[must_use]
    pub const fn end_reason(&self) -> Option<&EndReason> {
        self.end.as_ref()
    }

    /// Stops the stream: it ends as cancelled by its caller.
    pub fn cancel(&mut self) {
        if self.end.is_none() {
            self.give_up();
            // Told of as cancelled.
            self.watch = None;
            self.end = Some(EndReason::Cancelled(By::Caller));
        }
    }

    fn give_up(&mut self) {
        if let Stage::Open(ticket) = self.stage {
            self.caller.cancel(ticket, CancelReason::Caller);
        }
        self.stage = Stage::Done;
    }
}

impl<T, E, C> Streaming<T, E, C>
where
    T: DeserializeOwned + Send + 'static,
    E: DomainError,
    C: Caller,
{
    pub(crate) fn open<P>(call: Call<P, T, E, C>, window: Option<Window>) -> Self
    where
        P: Serialize + Send + 'static,
    {
        let Call {
            caller,
            target,
            params,
            mut options,
            listeners,
            attachments,
            ..
        } = call;
        let until_first = options.is_default_timeout(caller.deadline());
        let watch = if Watch::may_begin(&caller, &options) {
            Watched::begin(&caller, &target, &mut options, &attachments)
        } else {
            None
        };
        let stage = match caller.in_process() {
            Some(_) if watch.is_some() => {
                let open = move |server: &InProcess, timeout, metadata| {
                    let name = target.name();
                    server.open_stream::<P, T, E>(
                        name,
                        params,
                        (timeout, until_first),
                        metadata,
                        attachments,
                    )
                };
                Stage::Gated(Box::new(Gated {
                    open: Box::new(open),
                    options,
                }))
            }
            Some(server) => {
                let timeout = options.timeout(caller.default_timeout(), caller.deadline());
                let metadata = std::mem::take(&mut options.metadata);
                let name = target.name();
                match server.open_stream::<P, T, E>(
                    name,
                    params,
                    (timeout, until_first),
                    metadata,
                    attachments,
                ) {
                    Ok(stream) => Stage::Local(stream),
                    Err(error) => Stage::Failed(error),
                }
            }
            None => Stage::Unsent(Box::new(Unsent {
                until_first,
                target,
                params: Box::new(params),
                options,
                attachments,
                window,
                waiting: None,
            })),
        };
        let mut stream = Self {
            caller,
            stage,
            batch: Batch::default(),
            format: None,
            listeners,
            end: None,
            result: PhantomData,
            watch,
        };
        if stream.watch.is_some() {
            stream.send_watched();
        } else if let Stage::Unsent(_) = stream.stage {
            let mut cx = task::Context::from_waker(Waker::noop());
            if let Poll::Ready(Err(error)) = stream.poll_send(&mut cx) {
                stream.stage = Stage::Failed(error.widen());
            }
        }
        stream
    }

    /// Waits until the callee has taken the call on, or it has failed: then the first poll says how.
    pub(crate) fn poll_accepted(&mut self, cx: &mut task::Context<'_>) -> Poll<()> {
        if self.watch.is_some() {
            task::ready!(self.poll_sent(cx));
        } else if let Stage::Unsent(_) = self.stage {
            match self.poll_send_in_time(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => self.stage = Stage::Failed(error.widen()),
            }
        }
        match self.stage {
            Stage::Open(ticket) => self.caller.poll_accepted(cx, ticket),
            _ => Poll::Ready(()),
        }
    }

    /// The error that the call failed with before its first item, once [`Self::poll_accepted`] is ready. An item or an
    /// end that came already is left for the next poll.
    pub(crate) fn take_failure(&mut self) -> Option<CallError<E>> {
        let mut cx = task::Context::from_waker(Waker::noop());
        if let Stage::Open(ticket) = self.stage {
            let taken = self.batch.take_taken();
            let polled =
                self.caller
                    .poll_items(&mut cx, ticket, &mut self.batch.bytes, taken, None);
            match polled {
                Poll::Ready(Ok(true)) => self.batch.restart(),
                Poll::Ready(Ok(false)) => {
                    self.stage = Stage::Done;
                    self.end = Some(EndReason::Finished);
                }
                Poll::Ready(Err(error)) => {
                    self.stage = Stage::Failed(self.ended(error));
                }
                Poll::Pending => {}
            }
        }
        if let Stage::Failed(_) = self.stage
            && let Stage::Failed(error) = std::mem::replace(&mut self.stage, Stage::Done)
        {
            if let Some(watched) = self.watch.take() {
                watched.watch.report(Some(&error));
            }
            return Some(error);
        }
        None
    }

    fn poll_send(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), CallError>> {
        let Stage::Unsent(unsent) = &mut self.stage else {
            return Poll::Ready(Ok(()));
        };
        let timeout = unsent
            .options
            .timeout(self.caller.default_timeout(), self.caller.deadline());
        let (format, limits) = task::ready!(self.caller.poll_format(cx))?;
        self.format = Some((format, limits));
        let caller = &self.caller;
        let listens = self.listeners.is_some();
        let begun = scratch::with_encoded(|buffer| {
            if let Err(error) = unsent.params.encode(format, buffer) {
                return Poll::Ready(Err(CallError::Encode(error)));
            }
            let mut call = OutgoingCall {
                name: unsent.target.name(),
                params: buffer.whole(),
                timeout,
                metadata: &unsent.options.metadata,
                listens,
                results: Some(ResultStream {
                    window: unsent.window,
                    until_first: unsent.until_first,
                }),
                attachments: &mut unsent.attachments,
            };
            caller.poll_begin(cx, &mut call)
        });
        let ticket = task::ready!(begun)?;
        let unsent = std::mem::replace(&mut self.stage, Stage::Open(ticket));
        if let (Some(watched), Stage::Unsent(unsent)) = (&mut self.watch, unsent) {
            watched.kept = Some(unsent);
        }
        Poll::Ready(Ok(()))
    }

    /// The deadline of a call that waits to be sent is fixed at its first poll, and watched here.
    fn poll_send_in_time(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), CallError>> {
        if let Poll::Ready(sent) = self.poll_send(cx) {
            return Poll::Ready(sent);
        }
        let Stage::Unsent(unsent) = &mut self.stage else {
            return Poll::Pending;
        };
        if unsent.waiting.is_none() {
            let timeout = unsent
                .options
                .timeout(self.caller.default_timeout(), self.caller.deadline());
            let Some(deadline) = timeout.and_then(|timeout| Instant::now().checked_add(timeout))
            else {
                return Poll::Pending;
            };
            unsent.options.deadline = Some(deadline);
            unsent.waiting = Some(Box::pin(tokio::time::sleep_until(deadline)));
        }
        let Some(sleep) = &mut unsent.waiting else {
            return Poll::Pending;
        };
        sleep.as_mut().poll(cx).map(|()| Err(CallError::Deadline))
    }

    /// Notes why the stream ended, and types the error.
    fn ended(&mut self, error: CallError<RpcError>) -> CallError<E> {
        self.end = Some(error.peer_reason());
        if let Some(watched) = &self.watch {
            watched.watch.ended(&error);
        }
        error.typed(self.caller.maps_codes())
    }

    fn fail(&mut self, error: CallError<RpcError>) -> Poll<Option<Result<T, CallError<E>>>> {
        self.stage = Stage::Done;
        Poll::Ready(Some(Err(self.ended(error))))
    }

    fn poll_open(
        &mut self,
        cx: &mut task::Context<'_>,
        ticket: Ticket,
    ) -> Poll<Option<Result<T, CallError<E>>>> {
        loop {
            if let (Some(item), Some((format, limits))) = (self.batch.next(), &self.format) {
                return match format.decode(item, limits) {
                    Ok(item) => Poll::Ready(Some(Ok(item))),
                    Err(error) => {
                        self.give_up();
                        let text = format!("item is not of the expected shape: {error}");
                        let reason = RpcError::new(mynah_protocol::ErrorCode::PARSE_ERROR, text);
                        self.end = Some(EndReason::Error(Box::new(reason)));
                        Poll::Ready(Some(Err(CallError::Decode(error))))
                    }
                };
            }
            let taken = self.batch.take_taken();
            let sides = self
                .listeners
                .as_mut()
                .map(|listeners| &mut listeners.sides);
            let polled = self
                .caller
                .poll_items(cx, ticket, &mut self.batch.bytes, taken, sides);
            if let (Some(listeners), Some((format, limits))) = (&mut self.listeners, &self.format) {
                listeners.hand_out(*format, limits);
            }
            match task::ready!(polled) {
                Ok(true) => self.batch.restart(),
                Ok(false) => {
                    self.stage = Stage::Done;
                    self.end = Some(EndReason::Finished);
                    return Poll::Ready(None);
                }
                Err(error) => return self.fail(error),
            }
        }
    }
}

impl<T, E, C> Stream for Streaming<T, E, C>
where
    T: DeserializeOwned + Send + 'static,
    E: DomainError,
    C: Caller,
{
    type Item = Result<T, CallError<E>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.watch.is_some() {
            return this.poll_watched(cx);
        }
        this.poll_plain(cx)
    }
}

impl<T, E, C> Streaming<T, E, C>
where
    T: DeserializeOwned + Send + 'static,
    E: DomainError,
    C: Caller,
{
    #[inline]
    fn poll_plain(&mut self, cx: &mut task::Context<'_>) -> Poll<Option<Result<T, CallError<E>>>> {
        let this = self;
        if let Stage::Unsent(_) = this.stage
            && let Err(error) = task::ready!(this.poll_send_in_time(cx))
        {
            return this.fail(error.widen());
        }
        match &mut this.stage {
            Stage::Open(ticket) => {
                let ticket = *ticket;
                this.poll_open(cx, ticket)
            }
            Stage::Local(stream) => {
                let polled = task::ready!(stream.poll_next(cx));
                if !matches!(polled, Some(Ok(_))) {
                    this.end = Some(stream.end_reason());
                    this.stage = Stage::Done;
                }
                Poll::Ready(polled)
            }
            Stage::Failed(_) => match std::mem::replace(&mut this.stage, Stage::Done) {
                Stage::Failed(error) => {
                    this.end.get_or_insert_with(|| error.end_reason());
                    Poll::Ready(Some(Err(error)))
                }
                _ => Poll::Ready(None),
            },
            Stage::Unsent(_) | Stage::Gated(_) | Stage::Done => Poll::Ready(None),
        }
    }
}

impl<T, E, C: Caller> Drop for Streaming<T, E, C> {
    fn drop(&mut self) {
        self.give_up();
    }
}
