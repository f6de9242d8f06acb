//! Subscriptions as a program makes and hears them.

use super::hub::Events;
use super::listen::Listeners;
use super::queue::{Lag, Queue};
use crate::call::{Attempt, Call, Caller};
use crate::error::CallError;
use crate::intercept::{self, CallKind, CallSide, Name, Observed, Outcome};
use crate::method::Target;
use crate::metrics::{self, Dropped};
use crate::observe::{self, SlowThresholds, Start};
use crate::peer::Peer;
use crate::stream::Streaming;
use futures_core::Stream;
use mynah_codec::Format;
use mynah_connection::CloseReason;
use mynah_protocol::{By, DecodeLimits, EVENTS_SERVICE, EndReason, ErrorCode, RpcError, Window};
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
        if self.caller.reconnects() {
            self.wait_for_connection().await?;
        }
        let observed = self.admitted_in_process().await?;
        let near = match self.caller.peer() {
            Some(peer) => peer
                .subscribe_near(&self.topic, self.lag, self.capacity)
                .map_err(CallError::widen)?,
            None => None,
        };
        if let Some(mut near) = near {
            near.observed = observed;
            let again = self.caller.reconnects().then(|| {
                Box::new(Again {
                    caller: self.caller,
                    lag: self.lag,
                    capacity: self.capacity,
                })
            });
            return Ok(Subscription::new(Source::Near(near, again)));
        }
        let window = self.window();
        let target = Target::named(EVENTS_SERVICE, "subscribe");
        let params = (self.topic, self.lag, self.capacity);
        let call = Call::to(self.caller, target, params);
        let mut stream = Streaming::open(call, window);
        stream.repeats();
        poll_fn(|cx| stream.poll_opened(cx)).await?;
        Ok(Subscription::new(Source::Stream(Box::new(stream))))
    }

    /// Within the process no call is made: the interceptors of both sides are asked here.
    async fn admitted_in_process(&self) -> Result<Vec<Arc<Observed>>, CallError<RpcError>> {
        let Some(server) = self.caller.in_process() else {
            return Ok(Vec::new());
        };
        let peer = self.caller.peer();
        let evidence = peer.as_ref().map(Peer::evidence);
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
        let peer = self.caller.peer();
        observe::start(Start {
            side: CallSide::Client,
            kind: CallKind::Subscription,
            name: || Name::Named(EVENTS_SERVICE.into(), "subscribe".into()),
            peer: match &peer {
                Some(peer) => peer.evidence(),
                None => &unknown,
            },
            chain,
            above: self.caller.trace().cloned(),
            slow: SlowThresholds::off(),
        })
    }

    /// What can be subscribed to is not known before there is a connection.
    async fn wait_for_connection(&self) -> Result<(), CallError<RpcError>> {
        let connected = poll_fn(|cx| self.caller.poll_format(cx));
        let found = match self.caller.default_timeout() {
            Some(timeout) => match tokio::time::timeout(timeout, connected).await {
                Ok(found) => found,
                Err(_elapsed) => return Err(CallError::Deadline),
            },
            None => connected.await,
        };
        found.map(drop).map_err(CallError::widen)
    }
}

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

enum Source<T, C: Caller> {
    /// A subscription on the wire.
    Stream(Box<Streaming<(u64, T), RpcError, C>>),
    /// With what is needed to make it again, where it can be.
    Near(Near, Option<Box<Again<C>>>),
}

/// What a subscription without a wire is made again with.
struct Again<C> {
    caller: C,
    lag: Option<Lag>,
    capacity: Option<u64>,
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
            reconnects: 0,
            lost: false,
            end: None,
        }
    }

    pub(crate) const fn near(near: Near) -> Self {
        Self::new(Source::Near(near, None))
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
        match &mut self.source {
            None => finished,
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
            None | Some(Source::Near(_, None)) => return Poll::Ready(Err(EndReason::PeerGone)),
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
