//! What the two sides say to each other without being asked: events and logs.

use super::{Kind, Peer};
use crate::call::{Caller as _, CallerExt};
use crate::error::CallError;
use crate::events::{Events, Lag, Logs, Near, Subscribe, Subscription, WaitFor};
use crate::scratch;
use serde::Serialize;
use serde::de::DeserializeOwned;

impl Peer {
    /// Emits an event under a topic, to this peer, whether it listens or not.
    ///
    /// # Errors
    /// - [`CallError::Unsupported`] on a wire without events, and in process.
    /// - [`CallError::Encode`] when the message cannot be encoded.
    /// - [`CallError::Busy`] when the output is full; nothing was written.
    /// - [`CallError::Disconnected`] after the end.
    /// - [`CallError::Misuse`] before the wire is ready.
    pub fn emit<T: Serialize + ?Sized>(&self, topic: &str, message: &T) -> Result<(), CallError> {
        let Some((link, facts)) = self.ready_link()? else {
            return Err(unsupported("memory", "events"));
        };
        if !facts.capabilities.events {
            return Err(unsupported(facts.dialect, "events"));
        }
        scratch::with_encoded(|buffer| {
            buffer
                .push(facts.format, message)
                .map_err(CallError::Encode)?;
            link.emit(topic, buffer.whole(), facts)
        })
    }

    /// What this side publishes to the other. Empty for a peer that was not given services.
    #[must_use]
    pub fn publisher(&self) -> Events {
        match &self.kind {
            Kind::Linked(handle) => handle.link.config.router.events().clone(),
            Kind::Local(local) => local.events(),
        }
    }

    /// Subscribes to a topic of the other side, and waits until it is in its books: see [`Self::events`] for one that is
    /// there at once.
    ///
    /// On a wire that has events and no subscriptions (cbor-rpc), it hears what the other side emits under the topic.
    pub fn subscribe<T>(&self, topic: impl Into<Box<str>>) -> Subscribe<T> {
        Subscribe::new(self.clone(), topic)
    }

    /// The events of a topic of the other side. It is subscribed to when this is called, so nothing is lost that the other
    /// side publishes once it has heard of it: no later than what it does for a call that is made afterwards. See
    /// [`Subscribe::start`].
    pub fn events<T>(&self, topic: impl Into<Box<str>>) -> Subscription<T>
    where
        T: DeserializeOwned + Send + 'static,
    {
        CallerExt::events(self, topic)
    }

    /// The events of all topics of the other side, each with its topic; [`Value`](mynah_protocol::Value) is a type for
    /// messages of any shape.
    pub fn events_any<T>(&self) -> Subscription<(String, T)>
    where
        T: DeserializeOwned + Send + 'static,
    {
        CallerExt::events_any(self)
    }

    /// Hears what the other side emits under a topic with [`Self::emit`], from now on. It is not asked for it: it emits
    /// whether anybody listens or not.
    ///
    /// What waits is bounded by `Limits::side_messages`; beyond it the oldest is dropped and counted. What arrives before
    /// this is called is lost: to miss nothing right after the connection was made, listen at
    /// [`PeerBuilder::listen`](crate::PeerBuilder::listen).
    ///
    /// # Errors
    /// [`CallError::Unsupported`] on a wire without events, and in process.
    pub fn listen<T>(&self, topic: &str) -> Result<Subscription<T>, CallError> {
        self.listen_with(topic, None, None).map(Subscription::near)
    }

    /// Waits for the next event that the other side emits under a topic: it listens from now on, and is awaited when the
    /// program likes. It waits no longer than a call would unless told otherwise.
    ///
    /// Awaited, it ends with [`CallError::Deadline`], [`CallError::Disconnected`] at the end of the connection, or
    /// [`CallError::Remote`] when the message is of another shape.
    ///
    /// # Errors
    /// [`CallError::Unsupported`] on a wire without events, and in process.
    pub fn wait_for<T>(&self, topic: &str) -> Result<WaitFor<T>, CallError> {
        // The one that is waited for is the first; what comes behind it need not be kept.
        let near = self.listen_with(topic, Some(Lag::DropNewest), Some(1))?;
        Ok(WaitFor {
            subscription: Subscription::near(near),
            peer: self.clone(),
            timeout: self.default_timeout(),
            deadline: self.deadline(),
        })
    }

    fn listen_with(
        &self,
        topic: &str,
        lag: Option<Lag>,
        capacity: Option<u64>,
    ) -> Result<Near, CallError> {
        let Kind::Linked(handle) = &self.kind else {
            return Err(unsupported("memory", "events"));
        };
        let config = &handle.link.config;
        if let Some(facts) = handle.link.facts()
            && !facts.capabilities.events
        {
            return Err(unsupported(facts.dialect, "events"));
        }
        let lag = match lag {
            Some(Lag::Block) => {
                return Err(CallError::Misuse("a peer that emits waits for nobody"));
            }
            Some(lag) => lag,
            None => Lag::DropOldest,
        };
        let capacity = capacity
            .and_then(|capacity| usize::try_from(capacity).ok())
            .unwrap_or(config.limits.side_messages);
        let listeners = handle.link.listeners();
        Ok(listeners.listen(topic, lag, capacity, &config.limits))
    }

    /// A subscription that needs no wire, or whose wire has no subscriptions. `None`: ask for it over the wire.
    pub(crate) fn subscribe_near(
        &self,
        topic: &str,
        lag: Option<Lag>,
        capacity: Option<u64>,
    ) -> Result<Option<Near>, CallError> {
        match &self.kind {
            Kind::Local(local) => local.subscribe(topic, lag, capacity).map(Some),
            Kind::Linked(handle) => match handle.link.facts() {
                Some(facts) if !facts.capabilities.streams && facts.capabilities.events => {
                    self.listen_with(topic, lag, capacity).map(Some)
                }
                _ => Ok(None),
            },
        }
    }

    /// Writes a line into the other side's log that belongs to no call: 1 critical, 2 warning, 3 info,
    /// 4 verbose, 5 debug. Dropped and counted when the peer is too slow; in process, dropped.
    ///
    /// # Errors
    /// - [`CallError::Encode`] when the content cannot be encoded.
    /// - [`CallError::Misuse`] before the wire is ready.
    pub fn log<T: Serialize + ?Sized>(&self, level: i64, content: &T) -> Result<(), CallError> {
        let Some((link, facts)) = self.ready_link()? else {
            return Ok(());
        };
        scratch::with(|buffer| {
            facts
                .format
                .encode(content, buffer)
                .map_err(CallError::Encode)?;
            link.log(None, level, buffer);
            Ok(())
        })
    }

    /// Hears the lines of the other side's log that belong to no call, from now on. Those that nobody hears go to
    /// `tracing`, without their content.
    ///
    /// # Errors
    /// [`CallError::Unsupported`] on a wire without logs, and in process.
    pub fn logs(&self) -> Result<Logs, CallError> {
        let Kind::Linked(handle) = &self.kind else {
            return Err(unsupported("memory", "logs"));
        };
        if let Some(facts) = handle.link.facts()
            && !facts.capabilities.side_messages
        {
            return Err(unsupported(facts.dialect, "logs"));
        }
        let config = &handle.link.config;
        Ok(handle.link.listeners().logs(&config.limits))
    }
}

const fn unsupported(dialect: &'static str, feature: &'static str) -> CallError {
    CallError::Unsupported { dialect, feature }
}
