//! Subscriptions as a program makes them.

use super::queue::Lag;
use super::subscription::{Again, Source, Subscription};
use crate::call::{Call, Caller};
use crate::error::CallError;
use crate::intercept::{self, CallKind, CallSide, Name, Observed};
use crate::method::Target;
use crate::observe::{self, SlowThresholds, Start};
use crate::peer::Peer;
use crate::stream::Streaming;
use mynah_protocol::{EVENTS_SERVICE, RpcError, Window};
use serde::de::DeserializeOwned;
use std::fmt;
use std::future::{IntoFuture, poll_fn};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, Waker};

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

    pub(crate) const fn caller(&self) -> &C {
        &self.caller
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
    /// Subscribes now: the request is sent at once where there is room for it, and a task of the runtime waits for the
    /// other side to take it on. What goes wrong is the first item.
    ///
    /// Outside of a runtime it goes on where the subscription is polled, and through a
    /// [`blocking::Peer`](crate::blocking::Peer) where its connection is driven; its
    /// [`iter`](crate::blocking::Peer::iter) makes an iterator of it.
    pub fn start(self) -> Subscription<T, C> {
        let runtime = match tokio::runtime::Handle::try_current() {
            Ok(_) => None,
            Err(_none) => self.caller.own_runtime().cloned(),
        };
        let _entered = runtime.as_ref().map(tokio::runtime::Handle::enter);
        let mut making: Pin<Box<_>> = Box::pin(self.subscribe());
        let mut cx = task::Context::from_waker(Waker::noop());
        match making.as_mut().poll(&mut cx) {
            Poll::Ready(Ok(made)) => made,
            Poll::Ready(Err(error)) => Subscription::failed(&error),
            Poll::Pending => Subscription::making(making),
        }
    }

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
        let opened = poll_fn(|cx| stream.poll_opened(cx)).await;
        opened.map_err(no_events)?;
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

/// A wire that has neither subscriptions nor events is said to have no streams, which is what a subscription is made of.
fn no_events(error: CallError<RpcError>) -> CallError<RpcError> {
    match error {
        CallError::Unsupported { dialect, .. } => CallError::Unsupported {
            dialect,
            feature: "events",
        },
        other => other,
    }
}
