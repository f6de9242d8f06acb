//! Subscriptions as a program hears them.

use super::hub::Events;
use super::listen::Listeners;
use super::queue::{Lag, Queue};
use super::serve::Lease;
use crate::call::{Attempt, Caller};
use crate::error::CallError;
use crate::intercept::{CallOutcome, Observed};
use crate::metrics::{self, Dropped};
use crate::peer::Peer;
use crate::stream::Streaming;
use futures_core::Stream;
use mynah_codec::Format;
use mynah_connection::CloseReason;
use mynah_protocol::{By, DecodeLimits, EndReason, ErrorCode, RpcError};
use serde::de::DeserializeOwned;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// Whether a subscription ended because its connection did, and there may be another.
fn is_lost(caller: &impl Caller, error: &CallError<RpcError>) -> bool {
    let gone = match error {
        CallError::Disconnected(_) | CallError::Indeterminate(_) => true,
        // Nobody here has stopped it: these are the last words of a publisher that closes its connections.
        CallError::Cancelled(By::Callee) => true,
        _ => false,
    };
    let lost = || CallError::Indeterminate(CloseReason::PeerGone);
    let attempt = Attempt::of_subscription();
    gone && caller.reconnects() && caller.send_again(&lost(), attempt).is_some()
}

/// The messages of a topic, in order.
///
/// It ends with `None` when the publisher ends it, and with one error and `None` otherwise. What was dropped because
/// this side was too slow is counted in [`dropped`](Self::dropped). Dropped, it unsubscribes.
///
/// Through a client that reconnects it does not end with its connection: it is made again on the next one, where it is
/// polled, and [`reconnects`](Self::reconnects) counts the gaps.
#[must_use = "dropped, it unsubscribes"]
pub struct Subscription<T, C: Caller = Peer> {
    source: Option<Source<T, C>>,
    dropped: u64,
    reconnects: u64,
    /// Its connection has ended; it is to be made again on the next one.
    lost: bool,
    end: Option<EndReason>,
}

pub(super) enum Source<T, C: Caller> {
    /// A subscription on the wire.
    Stream(Box<Streaming<(u64, T), RpcError, C>>),
    /// With what is needed to make it again, where it can be.
    Near(Near, Option<Box<Again<C>>>),
    /// It is being made.
    Making(Making<T, C>),
    /// It could not be made.
    Failed(EndReason),
}

type Made<T, C> = Result<Subscription<T, C>, CallError<RpcError>>;

/// A subscription on its way to the publisher.
pub(super) enum Making<T, C: Caller> {
    /// In a task, which ends with this.
    Task(JoinHandle<Made<T, C>>),
    /// Where it is polled.
    Here(Pin<Box<dyn Future<Output = Made<T, C>> + Send>>),
}

impl<T, C: Caller> Making<T, C> {
    fn poll(&mut self, cx: &mut task::Context<'_>) -> Poll<Made<T, C>> {
        match self {
            Self::Task(task) => Pin::new(task).poll(cx).map(|joined| {
                // The runtime ends; nothing else stops it but this.
                joined.unwrap_or(Err(CallError::Cancelled(By::Caller)))
            }),
            Self::Here(future) => future.as_mut().poll(cx),
        }
    }
}

impl<T, C: Caller> Drop for Making<T, C> {
    fn drop(&mut self) {
        if let Self::Task(task) = self {
            task.abort();
        }
    }
}

/// Why there is no subscription, in words where it has some.
fn why(error: &CallError<RpcError>) -> EndReason {
    match error {
        CallError::Application(error) => EndReason::Error(Box::new(error.clone())),
        CallError::Unsupported { .. } | CallError::Misuse(_) | CallError::Encode(_) => {
            let error = RpcError::new(ErrorCode::UNSUPPORTED, error.to_string());
            EndReason::Error(Box::new(error))
        }
        other => other.end_reason(),
    }
}

/// A message that was waited for, or why there is none.
pub(crate) fn message<T>(next: Option<Result<T, EndReason>>) -> Result<T, CallError> {
    match next {
        Some(Ok(message)) => Ok(message),
        Some(Err(EndReason::Error(error))) => Err(CallError::Remote(*error)),
        Some(Err(EndReason::Draining)) => Err(CallError::Disconnected(CloseReason::Drained)),
        Some(Err(_)) | None => Err(CallError::Disconnected(CloseReason::PeerGone)),
    }
}

/// What a subscription without a wire is made again with.
pub(super) struct Again<C> {
    pub(super) caller: C,
    pub(super) lag: Option<Lag>,
    pub(super) capacity: Option<u64>,
}

/// A queue of this process.
pub(crate) struct Near {
    pub(crate) topic: Box<str>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) origin: Origin,
    /// Its place among the subscriptions that the publisher allows, where it is in the same process.
    pub(crate) _lease: Option<Lease>,
    /// Who looks at it, on both sides of this process.
    pub(crate) observed: Vec<Arc<Observed>>,
}

/// Who fills a queue.
pub(crate) enum Origin {
    /// A publisher of the same process: in CBOR, with its limits.
    Hub(Events, DecodeLimits),
    /// The peer of a connection that emits without being asked.
    Said(Arc<Listeners>),
}

impl Near {
    /// How messages are encoded. Known when there is one.
    fn codec(&self) -> Option<(Format, DecodeLimits)> {
        match &self.origin {
            Origin::Hub(_, limits) => Some((Format::Cbor, *limits)),
            Origin::Said(listeners) => listeners.codec(),
        }
    }
}

impl Near {
    /// A message was taken, and so many were lost before it.
    fn took(&self, dropped: u64) {
        if metrics::ENABLED && matches!(self.origin, Origin::Said(_)) {
            metrics::dropped(Dropped::Event, dropped);
        }
        for observed in &self.observed {
            observed.add_items(1);
        }
    }

    fn ended(&self, reason: &EndReason) {
        for observed in &self.observed {
            observed.ended(CallOutcome::of_end(reason));
            observed.report();
        }
    }
}

impl Drop for Near {
    fn drop(&mut self) {
        match &self.origin {
            Origin::Hub(events, _) => events.unsubscribe(&self.topic, &self.queue),
            Origin::Said(listeners) => listeners.forget(Some(&self.topic), &self.queue),
        }
    }
}

impl<T, C: Caller> Unpin for Subscription<T, C> {}

impl<T, C: Caller> fmt::Debug for Subscription<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("dropped", &self.dropped)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

impl<T, C: Caller> Subscription<T, C> {
    pub(super) const fn new(source: Source<T, C>) -> Self {
        Self {
            source: Some(source),
            dropped: 0,
            reconnects: 0,
            lost: false,
            end: None,
        }
    }

    pub(crate) const fn near(near: Near) -> Self {
        Self::new(Source::Near(near, None))
    }

    pub(super) fn failed(error: &CallError<RpcError>) -> Self {
        Self::new(Source::Failed(why(error)))
    }

    /// How many messages were dropped, up to the last one that was handed out.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// How often its connection has ended, and it was or is being made again. Messages that were published
    /// between two connections are missing, and nobody knows how many: a message that comes with a higher count than
    /// the one before it comes after a gap. Always 0 through a plain peer.
    #[must_use]
    pub const fn reconnects(&self) -> u64 {
        self.reconnects
    }

    /// Why it ended, `None` before the program has seen its end.
    #[must_use]
    pub const fn end_reason(&self) -> Option<&EndReason> {
        self.end.as_ref()
    }

    fn finish(&mut self, reason: EndReason) -> Poll<Option<Result<T, EndReason>>> {
        if let Some(Source::Near(near, _)) = &self.source {
            near.ended(&reason);
        }
        self.source = None;
        self.end = Some(reason.clone());
        Poll::Ready(match reason {
            EndReason::Finished => None,
            reason => Some(Err(reason)),
        })
    }
}

impl<T, C> Subscription<T, C>
where
    T: DeserializeOwned + Send + 'static,
    C: Caller,
{
    pub(super) fn making(making: Pin<Box<dyn Future<Output = Made<T, C>> + Send>>) -> Self {
        Self::new(Source::Making(match Handle::try_current() {
            Ok(runtime) => Making::Task(runtime.spawn(making)),
            Err(_none) => Making::Here(making),
        }))
    }

    /// The next message, if it comes within this time: to wait for one event is to take the events before what causes
    /// it, and then this.
    ///
    /// Cancel safety: dropped before its end, no message is lost.
    ///
    /// # Errors
    /// - [`CallError::Deadline`] when none has come; it may be asked again.
    /// - [`CallError::Remote`] when the other side refused the subscription, or the message is of another shape.
    /// - [`CallError::Disconnected`] when it has ended.
    pub async fn next_within(&mut self, timeout: Duration) -> Result<T, CallError> {
        match tokio::time::timeout(timeout, self.next()).await {
            Err(_elapsed) => Err(CallError::Deadline),
            Ok(next) => message(next),
        }
    }

    /// The next message, as the stream yields it.
    ///
    /// Cancel safety: dropped before its end, no message is lost.
    #[allow(
        clippy::should_implement_trait,
        reason = "it is awaited, as the `next` of streams is"
    )]
    pub fn next(
        &mut self,
    ) -> impl Future<Output = Option<Result<T, EndReason>>> + Send + Unpin + '_ {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx))
    }

    /// The next message with how many were dropped before it, or the end: `None` when it is made again.
    fn poll_source(
        &mut self,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<Result<(u64, T), EndReason>>> {
        let finished = Poll::Ready(Some(Err(EndReason::Finished)));
        if let Some(Source::Making(making)) = &mut self.source {
            match task::ready!(making.poll(cx)) {
                Ok(mut made) => self.source = made.source.take(),
                Err(error) => return Poll::Ready(Some(Err(why(&error)))),
            }
        }
        match &mut self.source {
            None | Some(Source::Making(_)) => finished,
            Some(Source::Failed(reason)) => Poll::Ready(Some(Err(reason.clone()))),
            Some(Source::Stream(stream)) => {
                match task::ready!(Pin::new(&mut **stream).poll_next(cx)) {
                    Some(Ok(item)) => Poll::Ready(Some(Ok(item))),
                    Some(Err(error)) if is_lost(stream.caller(), &error) => Poll::Ready(None),
                    Some(Err(_)) | None => match stream.end_reason() {
                        Some(reason) => Poll::Ready(Some(Err(reason.clone()))),
                        None => finished,
                    },
                }
            }
            Some(Source::Near(near, again)) => {
                match task::ready!(near.queue.poll_pop(cx.waker())) {
                    Ok((dropped, bytes)) => {
                        let Some((format, limits)) = near.codec() else {
                            return Poll::Ready(Some(Err(EndReason::PeerGone)));
                        };
                        let decoded = format.decode(&bytes, &limits);
                        if decoded.is_ok() {
                            near.took(dropped);
                        }
                        Poll::Ready(Some(decoded.map(|message| (dropped, message)).map_err(
                            |error| {
                                let text = format!("message is not of the expected shape: {error}");
                                let error = RpcError::new(ErrorCode::PARSE_ERROR, text);
                                EndReason::Error(Box::new(error))
                            },
                        )))
                    }
                    Err(EndReason::PeerGone) if again.is_some() => Poll::Ready(None),
                    Err(reason) => Poll::Ready(Some(Err(reason))),
                }
            }
        }
    }

    /// Waits for a connection, and makes the subscription again on it.
    fn poll_again(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), EndReason>> {
        match &mut self.source {
            None | Some(Source::Near(_, None) | Source::Making(_) | Source::Failed(_)) => {
                return Poll::Ready(Err(EndReason::PeerGone));
            }
            Some(Source::Stream(stream)) => {
                let connected = task::ready!(stream.caller().poll_connected(cx));
                connected.map_err(|error| error.end_reason())?;
                if !stream.begin_again() {
                    return Poll::Ready(Err(EndReason::PeerGone));
                }
            }
            Some(Source::Near(near, Some(again))) => loop {
                let connected = task::ready!(again.caller.poll_connected(cx));
                connected.map_err(|error| error.end_reason())?;
                // It may be gone again already.
                let Some(peer) = again.caller.peer() else {
                    continue;
                };
                match peer.subscribe_near(&near.topic, again.lag, again.capacity) {
                    Ok(Some(mut made)) => {
                        made.observed = std::mem::take(&mut near.observed);
                        *near = made;
                        break;
                    }
                    Ok(None) => return Poll::Ready(Err(EndReason::PeerGone)),
                    Err(error) => return Poll::Ready(Err(error.end_reason())),
                }
            },
        }
        self.lost = false;
        Poll::Ready(Ok(()))
    }
}

impl<T, C> Stream for Subscription<T, C>
where
    T: DeserializeOwned + Send + 'static,
    C: Caller,
{
    type Item = Result<T, EndReason>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.source.is_none() {
            return Poll::Ready(None);
        }
        loop {
            if this.lost
                && let Err(reason) = task::ready!(this.poll_again(cx))
            {
                return this.finish(reason);
            }
            match task::ready!(this.poll_source(cx)) {
                Some(Ok((dropped, message))) => {
                    this.dropped += dropped;
                    return Poll::Ready(Some(Ok(message)));
                }
                Some(Err(reason)) => return this.finish(reason),
                None => {
                    this.lost = true;
                    this.reconnects += 1;
                }
            }
        }
    }
}
