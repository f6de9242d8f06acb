//! The stream of results of a call.

mod sending;
mod watched;

use super::Batch;
use crate::call::{Again, Call, Caller, Listeners, Ticket, Watch};
use crate::error::{CallError, DomainError};
use crate::local::{InProcess, LocalStream};
use crate::params::Params;
use crate::peer::Peer;
use futures_core::Stream;
use mynah_codec::{DecodeError, Format};
use mynah_protocol::{By, CancelReason, DecodeLimits, EndReason, RpcError, Window};
use sending::Unsent;
use serde::de::DeserializeOwned;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{self, Poll, Waker};
use watched::{Gated, Watched};

/// The stream of results of a call: items in order, then `None`; or one error, then `None`.
///
/// The callee sends no more than is taken: `Limits::stream_items` and `Limits::stream_bytes` bound what waits here, and
/// a stream that nobody polls holds up nobody else. Dropped before its end, it cancels the call.
#[must_use = "streams do nothing unless polled"]
pub struct Streaming<T, E, C: Caller = Peer> {
    caller: C,
    stage: Stage<T, E>,
    /// Until the request is sent; as long as the stream is there where it may have to be sent again.
    unsent: Option<Box<Unsent>>,
    /// Whether the caller is asked to send it again.
    resends: bool,
    again: Option<Box<Again>>,
    /// Something of the results has come: it does not begin again by itself.
    begun: bool,
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
    Unsent,
    /// In process: it waits for an interceptor.
    Gated(Box<Gated<T, E>>),
    Open(Ticket),
    /// In process: the stream is polled in place.
    Local(LocalStream<T, E>),
    Failed(CallError<E>),
    Done,
}

/// What a look at the stream found.
enum Step<T, E> {
    Out(Option<Result<T, CallError<E>>>),
    /// It has to be looked at once more: items have come, or it has begun again.
    Again,
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
        P: Params,
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
        let runtime = caller.runtime().cloned();
        let _entered = runtime.as_ref().map(tokio::runtime::Handle::enter);
        let watch = if Watch::may_begin(&caller, &options) {
            Watched::begin(&caller, &target, &mut options, &attachments)
        } else {
            None
        };
        let mut unsent = None;
        let params = params.into_owned();
        let stage = match (params, caller.in_process()) {
            (Err(error), _) => Stage::Failed(CallError::Encode(error)),
            (Ok(params), Some(_)) if watch.is_some() => {
                let listens = listeners.is_some();
                let open = move |server: &InProcess, timeout, metadata| {
                    let name = target.name();
                    server.open_stream::<P::Owned, T, E>(
                        name,
                        params,
                        (timeout, until_first),
                        metadata,
                        listens,
                        attachments,
                    )
                };
                Stage::Gated(Box::new(Gated {
                    open: Box::new(open),
                    options,
                }))
            }
            (Ok(params), Some(server)) => {
                let timeout = options.timeout(caller.default_timeout(), caller.deadline());
                let metadata = std::mem::take(&mut options.metadata);
                let name = target.name();
                match server.open_stream::<P::Owned, T, E>(
                    name,
                    params,
                    (timeout, until_first),
                    metadata,
                    listeners.is_some(),
                    attachments,
                ) {
                    Ok(stream) => Stage::Local(stream),
                    Err(error) => Stage::Failed(error),
                }
            }
            (Ok(params), None) => {
                unsent = Some(Box::new(Unsent {
                    until_first,
                    repeats: false,
                    target,
                    params: Box::new(params),
                    options,
                    attachments,
                    window,
                    waiting: None,
                }));
                Stage::Unsent
            }
        };
        let mut stream = Self {
            caller,
            stage,
            unsent,
            resends: false,
            again: None,
            begun: false,
            batch: Batch::default(),
            format: None,
            listeners,
            end: None,
            result: PhantomData,
            watch,
        };
        if stream.watch.is_some() {
            stream.send_watched();
        } else if let Stage::Unsent = stream.stage {
            let mut cx = task::Context::from_waker(Waker::noop());
            match stream.poll_send(&mut cx) {
                // Whoever polls asks whether it is sent again.
                Poll::Ready(Err(CallError::Busy { .. })) if stream.caller.reconnects() => {}
                Poll::Ready(Err(error)) => stream.stage = Stage::Failed(error.widen()),
                Poll::Ready(Ok(())) | Poll::Pending => {}
            }
        }
        stream
    }

    /// Waits until the callee has taken the call on, and says so if it has failed. Items or an end that came already are
    /// left for the next poll.
    pub(crate) fn poll_opened(
        &mut self,
        cx: &mut task::Context<'_>,
    ) -> Poll<Result<(), CallError<E>>> {
        loop {
            if self.watch.is_some() {
                task::ready!(self.poll_sent(cx));
            }
            let ended = match self.stage {
                Stage::Open(ticket) => {
                    task::ready!(self.caller.poll_accepted(cx, ticket));
                    match self.poll_first(ticket) {
                        Some(error) => self.fail(error),
                        None => break,
                    }
                }
                Stage::Unsent => match task::ready!(self.poll_send_in_time(cx)) {
                    Ok(()) => Step::Again,
                    Err(error) => self.fail_unsent(error),
                },
                Stage::Failed(_) => task::ready!(self.poll_step(cx)),
                Stage::Gated(_) | Stage::Local(_) | Stage::Done => break,
            };
            if let Step::Out(Some(Err(error))) = ended {
                if let Some(watched) = self.watch.take() {
                    watched.watch.report(Some(&error));
                }
                return Poll::Ready(Err(error));
            }
        }
        // From here on its end is told.
        self.begun = true;
        Poll::Ready(Ok(()))
    }

    /// Looks at what came after the callee has taken the call on. Returns how it failed, if it has.
    fn poll_first(&mut self, ticket: Ticket) -> Option<CallError<RpcError>> {
        let mut cx = task::Context::from_waker(Waker::noop());
        let taken = self.batch.take_taken();
        let bytes = &mut self.batch.bytes;
        match self.caller.poll_items(&mut cx, ticket, bytes, taken, None) {
            Poll::Ready(Ok(true)) => self.batch.restart(),
            Poll::Ready(Ok(false)) => {
                self.stage = Stage::Done;
                self.end = Some(EndReason::Finished);
            }
            Poll::Ready(Err(error)) => return Some(error),
            Poll::Pending => {}
        }
        None
    }

    /// Notes why the stream ended, and types the error.
    fn ended(&mut self, error: CallError<RpcError>) -> CallError<E> {
        self.end = Some(error.peer_reason());
        if let Some(watched) = &self.watch {
            watched.watch.ended(&error);
        }
        error.typed(self.caller.maps_codes())
    }

    /// Ends the stream, or begins it again.
    fn fail(&mut self, error: CallError<RpcError>) -> Step<T, E> {
        self.stage = Stage::Done;
        if self.sends_again(&error) {
            return Step::Again;
        }
        self.fail_for_good(error)
    }

    /// The call could not be sent. It waits where it can: what is left is not helped by another connection.
    fn fail_unsent(&mut self, error: CallError) -> Step<T, E> {
        match error {
            CallError::Busy { .. } => self.fail(error.widen()),
            error => self.fail_for_good(error.widen()),
        }
    }

    fn fail_for_good(&mut self, error: CallError<RpcError>) -> Step<T, E> {
        self.stage = Stage::Done;
        let error = match error {
            // What has begun was sent, whatever is said of its end.
            CallError::Disconnected(reason) if self.begun => CallError::Indeterminate(reason),
            error => error,
        };
        let error = Again::settle(&mut self.again, error);
        Step::Out(Some(Err(self.ended(error))))
    }

    pub(crate) const fn caller(&self) -> &C {
        &self.caller
    }

    fn poll_step(&mut self, cx: &mut task::Context<'_>) -> Poll<Step<T, E>> {
        if let Stage::Unsent = self.stage
            && let Err(error) = task::ready!(self.poll_send_in_time(cx))
        {
            return Poll::Ready(self.fail_unsent(error));
        }
        match &mut self.stage {
            Stage::Open(ticket) => {
                let ticket = *ticket;
                self.poll_open(cx, ticket)
            }
            Stage::Local(stream) => {
                let sides = self
                    .listeners
                    .as_mut()
                    .map(|listeners| &mut listeners.sides);
                let polled = stream.poll_next(cx, sides);
                if let Some(listeners) = &mut self.listeners {
                    // As they are said within a process.
                    listeners.hand_out(Format::Cbor, &DecodeLimits::DEFAULT);
                }
                let polled = task::ready!(polled);
                if !matches!(polled, Some(Ok(_))) {
                    self.end = Some(stream.end_reason());
                    self.stage = Stage::Done;
                }
                Poll::Ready(Step::Out(polled))
            }
            Stage::Failed(_) => match std::mem::replace(&mut self.stage, Stage::Done) {
                Stage::Failed(error) => {
                    self.end.get_or_insert_with(|| error.end_reason());
                    Poll::Ready(Step::Out(Some(Err(error))))
                }
                _ => Poll::Ready(Step::Out(None)),
            },
            Stage::Unsent | Stage::Gated(_) | Stage::Done => Poll::Ready(Step::Out(None)),
        }
    }

    /// Asks for the next batch, once there is nothing left of the last.
    #[cold]
    fn poll_open(&mut self, cx: &mut task::Context<'_>, ticket: Ticket) -> Poll<Step<T, E>> {
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
        Poll::Ready(match task::ready!(polled) {
            Ok(true) => {
                self.begun = true;
                self.batch.restart();
                Step::Again
            }
            Ok(false) => {
                self.stage = Stage::Done;
                self.end = Some(EndReason::Finished);
                Step::Out(None)
            }
            Err(error) => self.fail(error),
        })
    }

    /// The next item of the batch, if there is one.
    #[inline]
    fn next_of_batch(&mut self) -> Option<Result<T, CallError<E>>> {
        let Stage::Open(ticket) = self.stage else {
            return None;
        };
        let (format, limits) = self.format.as_ref()?;
        let item = self.batch.next()?;
        match format.decode(item, limits) {
            Ok(item) => {
                if let Some(taken) = self.batch.take_worthy() {
                    self.caller.taken(ticket, taken);
                }
                Some(Ok(item))
            }
            Err(error) => Some(Err(self.misshapen(error))),
        }
    }

    #[cold]
    fn misshapen(&mut self, error: DecodeError) -> CallError<E> {
        self.give_up();
        let text = format!("item is not of the expected shape: {error}");
        let reason = RpcError::new(mynah_protocol::ErrorCode::PARSE_ERROR, text);
        self.end = Some(EndReason::Error(Box::new(reason)));
        CallError::Decode(error)
    }
}

impl<T, E, C> Stream for Streaming<T, E, C>
where
    T: DeserializeOwned + Send + 'static,
    E: DomainError,
    C: Caller,
{
    type Item = Result<T, CallError<E>>;

    #[inline]
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
        loop {
            // Nearly every poll ends here.
            if let Some(item) = self.next_of_batch() {
                return Poll::Ready(Some(item));
            }
            match task::ready!(self.poll_step(cx)) {
                Step::Again => {}
                Step::Out(item) => return Poll::Ready(item),
            }
        }
    }
}

impl<T, E, C: Caller> Drop for Streaming<T, E, C> {
    fn drop(&mut self) {
        self.give_up();
    }
}
