//! Subscriptions as a program makes and hears them.

use super::hub::Events;
use super::listen::Listeners;
use super::queue::{Lag, Queue};
use crate::call::{Call, Caller};
use crate::error::CallError;
use crate::intercept::{self, CallKind, CallSide, Name, Observed, Outcome};
use crate::method::Target;
use crate::metrics::{self, Dropped};
use crate::observe::{self, SlowThresholds, Start};
use crate::peer::Peer;
use crate::stream::Streaming;
use futures_core::Stream;
use mynah_codec::Format;
use mynah_protocol::{DecodeLimits, EVENTS_SERVICE, EndReason, ErrorCode, RpcError, Window};
use serde::de::DeserializeOwned;
use std::fmt;
use std::future::{IntoFuture, poll_fn};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

/// A subscription before it is made. Await it: it is done when the publisher has it in its books, so nothing that is
/// published afterwards is lost.
///
/// Cancel safety: dropped before it is done, there is no subscription.
#[must_use = "a subscription is made when it is awaited"]
pub struct Subscribe<T, C = Peer> {
    caller: C,
    topic: Box<str>,
    lag: Option<Lag>,
    capacity: Option<u64>,
    message: PhantomData<fn() -> T>,
}

impl<T, C> fmt::Debug for Subscribe<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscribe")
            .field("topic", &self.topic)
            .field("lag", &self.lag)
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

impl<T, C> Subscribe<T, C> {
    /// A subscription to a topic of the other side of `caller`.
    pub fn new(caller: C, topic: impl Into<Box<str>>) -> Self {
        Self {
            caller,
            topic: topic.into(),
            lag: None,
            capacity: None,
            message: PhantomData,
        }
    }

    /// What is to happen when this side is too slow, in place of what the publisher declared.
    pub const fn lag(mut self, lag: Lag) -> Self {
        self.lag = Some(lag);
        self
    }

    /// How many messages may wait at the publisher, and how many here.
    pub const fn capacity(mut self, messages: u64) -> Self {
        self.capacity = Some(messages);
        self
    }

    /// How many messages may be on their way: what waits here cannot be replaced by a newer one.
    const fn window(&self) -> Option<Window> {
        let items = match (self.lag, self.capacity) {
            (Some(Lag::Latest), _) | (_, Some(0)) => 1,
            (_, Some(capacity)) => capacity,
            (_, None) => return None,
        };
        Some(Window {
            items,
            bytes: 1 << 20,
        })
    }
}

impl<T, C> IntoFuture for Subscribe<T, C>
where
    T: DeserializeOwned + Send + 'static,
    C: Caller,
{
    type Output = Result<Subscription<T, C>, CallError<RpcError>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.subscribe())
    }
}

impl<T, C> Subscribe<T, C>
where
    T: DeserializeOwned + Send + 'static,
    C: Caller,
{
    async fn subscribe(self) -> Result<Subscription<T, C>, CallError<RpcError>> {
        let observed = self.admitted_in_process().await?;
        let near = match self.caller.as_peer() {
            Some(peer) => peer
                .subscribe_near(&self.topic, self.lag, self.capacity)
                .map_err(CallError::widen)?,
            None => None,
        };
        if let Some(mut source) = near {
            source.observed = observed;
            return Ok(Subscription::new(Source::Near(source)));
        }
        let window = self.window();
        let target = Target::named(EVENTS_SERVICE, "subscribe");
        let params = (self.topic, self.lag, self.capacity);
        let call = Call::to(self.caller, target, params);
        let mut stream = Streaming::open(call, window);
        poll_fn(|cx| stream.poll_accepted(cx)).await;
        match stream.take_failure() {
            Some(error) => Err(error),
            None => Ok(Subscription::new(Source::Stream(Box::new(stream)))),
        }
    }

    /// Within the process no call is made: the interceptors of both sides are asked here.
    async fn admitted_in_process(&self) -> Result<Vec<Arc<Observed>>, CallError<RpcError>> {
        let Some(server) = self.caller.in_process() else {
            return Ok(Vec::new());
        };
        let evidence = self.caller.as_peer().map(Peer::evidence);
        let mut admitted = Vec::new();
        for observed in [self.observe(), server.observe_subscription()] {
            let Some(observed) = observed else { continue };
            let passed = intercept::admitted(&observed, evidence, self.caller.deadline()).await;
            if let Err(error) = passed {
                return Err(CallError::from_peer(error, true));
            }
            admitted.push(observed);
        }
        Ok(admitted)
    }

    fn observe(&self) -> Option<Arc<Observed>> {
        let chain = self.caller.interceptors();
        if !observe::calls(chain) {
            return None;
        }
        let unknown = "a caller";
        let peer = self.caller.as_peer().map(Peer::evidence);
        observe::start(Start {
            side: CallSide::Client,
            kind: CallKind::Subscription,
            name: || Name::Named(EVENTS_SERVICE.into(), "subscribe".into()),
            peer: match &peer {
                Some(evidence) => *evidence,
                None => &unknown,
            },
            chain,
            above: self.caller.trace().cloned(),
            slow: SlowThresholds::off(),
        })
    }
}

/// The messages of a topic, in order.
///
/// It ends with `None` when the publisher ends it, and with one error and `None` otherwise. What was dropped because
/// this side was too slow is counted in [`dropped`](Self::dropped). Dropped, it unsubscribes.
#[must_use = "dropped, it unsubscribes"]
pub struct Subscription<T, C: Caller = Peer> {
    source: Option<Source<T, C>>,
    dropped: u64,
    end: Option<EndReason>,
}

enum Source<T, C: Caller> {
    /// A subscription on the wire.
    Stream(Box<Streaming<(u64, T), RpcError, C>>),
    Near(Near),
}

/// A queue of this process.
pub(crate) struct Near {
    pub(crate) topic: Box<str>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) origin: Origin,
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
            observed.ended(Outcome::of_end(reason));
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
    const fn new(source: Source<T, C>) -> Self {
        Self {
            source: Some(source),
            dropped: 0,
            end: None,
        }
    }

    pub(crate) const fn near(near: Near) -> Self {
        Self::new(Source::Near(near))
    }

    /// How many messages were dropped, up to the last one that was handed out.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Why it ended, `None` before the program has seen its end.
    #[must_use]
    pub const fn end_reason(&self) -> Option<&EndReason> {
        self.end.as_ref()
    }

    fn finish(&mut self, reason: EndReason) -> Poll<Option<Result<T, EndReason>>> {
        if let Some(Source::Near(near)) = &self.source {
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
}

impl<T, C> Stream for Subscription<T, C>
where
    T: DeserializeOwned + Send + 'static,
    C: Caller,
{
    type Item = Result<T, EndReason>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let Some(source) = &mut this.source else {
            return Poll::Ready(None);
        };
        let (dropped, message) = match source {
            Source::Stream(stream) => match task::ready!(Pin::new(&mut **stream).poll_next(cx)) {
                Some(Ok(item)) => item,
                Some(Err(_)) | None => {
                    let reason = stream.end_reason().cloned();
                    return this.finish(reason.unwrap_or(EndReason::Finished));
                }
            },
            Source::Near(near) => match task::ready!(near.queue.poll_pop(cx.waker())) {
                Ok((dropped, bytes)) => match near
                    .codec()
                    .map(|(format, limits)| format.decode(&bytes, &limits))
                {
                    None => return this.finish(EndReason::PeerGone),
                    Some(Ok(message)) => {
                        near.took(dropped);
                        (dropped, message)
                    }
                    Some(Err(error)) => {
                        let text = format!("message is not of the expected shape: {error}");
                        let error = RpcError::new(ErrorCode::PARSE_ERROR, text);
                        return this.finish(EndReason::Error(Box::new(error)));
                    }
                },
                Err(reason) => return this.finish(reason),
            },
        };
        this.dropped += dropped;
        Poll::Ready(Some(Ok(message)))
    }
}
