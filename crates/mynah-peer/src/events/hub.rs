//! Who publishes, and who hears it.

use super::ALL_TOPICS;
use super::push::Pump;
use super::queue::{Lag, Pushed, Queue};
use crate::error::CallError;
use crate::link::Link;
use crate::metrics::{self, Dropped};
use bytes::Bytes;
use mynah_codec::Format;
use mynah_protocol::EndReason;
use serde::Serialize;
use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;

/// What one side publishes: a cheap clone, usable from any task or thread.
///
/// A server has one, and so has a peer with services; both sides of a connection can subscribe to the other. Reach
/// it with `ServerHandle::events`, `Peer::events` or `Context::events`.
#[derive(Clone, Default)]
pub struct Events {
    hub: Arc<Mutex<Hub>>,
}

#[derive(Default)]
struct Hub {
    topics: HashMap<Box<str>, Topic>,
    /// Connections whose peers hear what is pushed to them and cannot subscribe, by their addresses.
    fed: HashMap<usize, Weak<Link>>,
}

#[derive(Default)]
struct Topic {
    declared: Option<Declared>,
    /// It goes to every peer that cannot subscribe.
    pushed: bool,
    subscribers: Vec<Subscriber>,
}

impl Topic {
    /// Whether nobody would notice if it were forgotten.
    const fn is_unknown(&self) -> bool {
        self.subscribers.is_empty() && self.declared.is_none() && !self.pushed
    }
}

#[derive(Clone)]
struct Subscriber {
    queue: Arc<Queue>,
    format: Format,
    /// The address of the connection that it was pushed to unasked.
    fed: Option<usize>,
}

#[derive(Clone, Copy, Debug)]
struct Declared {
    lag: Lag,
    capacity: usize,
}

/// What nobody has said anything of.
const UNDECLARED: Declared = Declared {
    lag: Lag::DropOldest,
    capacity: 256,
};
/// The most that a subscriber may ask for.
const MAX_CAPACITY: usize = 65_536;

/// What became of a message that was published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// Subscribers that will get it, or one in its place.
    pub subscribers: usize,
    /// Subscribers for whom a message was dropped.
    pub dropped: usize,
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("topics", &self.lock().topics.len())
            .finish()
    }
}

impl Events {
    /// Nothing is published yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Hub> {
        self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Declares what happens under a topic when a subscriber is too slow, and how many messages may wait for each.
    /// Without this it is [`Lag::DropOldest`], 256.
    pub fn declare(&self, topic: &str, lag: Lag, capacity: usize) {
        let declared = Declared { lag, capacity };
        let mut hub = self.lock();
        hub.topics.entry(topic.into()).or_default().declared = Some(declared);
    }

    /// Has what is published under a topic go to every peer that hears events and cannot subscribe to them (on the wire
    /// cbor-rpc), those that are connected and those that will be, without being asked. What was declared for the topic
    /// holds for them as for subscribers.
    ///
    /// Without this such a peer gets what is emitted to it ([`Peer::emit`](crate::Peer::emit)) and nothing else.
    pub fn push(&self, topic: &str) {
        let mut hub = self.lock();
        let Hub { topics, fed } = &mut *hub;
        let topics = topics.entry(topic.into()).or_default();
        if std::mem::replace(&mut topics.pushed, true) {
            return;
        }
        for link in fed.values().filter_map(Weak::upgrade) {
            topics.feed(topic, &link);
        }
    }

    /// Sends a peer that cannot subscribe what is pushed, from now until [`Self::starve`].
    pub(crate) fn feed(&self, link: &Arc<Link>) {
        let mut hub = self.lock();
        hub.fed.insert(address(link), Arc::downgrade(link));
        for (name, topic) in hub.topics.iter_mut().filter(|(_, topic)| topic.pushed) {
            topic.feed(name, link);
        }
    }

    /// The connection of such a peer has ended.
    pub(crate) fn starve(&self, link: &Arc<Link>) {
        let mut unused = Vec::new();
        let address = address(link);
        let mut hub = self.lock();
        if hub.fed.remove(&address).is_none() {
            return;
        }
        for topic in hub.topics.values_mut().filter(|topic| topic.pushed) {
            let gone = |known: &mut Subscriber| known.fed == Some(address);
            for subscriber in topic.subscribers.extract_if(.., gone) {
                unused.extend(subscriber.queue.close(EndReason::PeerGone));
            }
        }
        drop(hub);
        drop(unused);
    }

    /// The same unless something is declared already: what a contract says, which a program may overrule. What is not
    /// said is as without a declaration.
    pub fn declare_default(&self, topic: &str, lag: Option<Lag>, capacity: Option<usize>) {
        let mut hub = self.lock();
        hub.topics
            .entry(topic.into())
            .or_default()
            .declared
            .get_or_insert_with(|| Declared {
                lag: lag.unwrap_or(UNDECLARED.lag),
                capacity: capacity.unwrap_or(UNDECLARED.capacity),
            });
    }

    /// How many subscribers a topic has.
    #[must_use]
    pub fn subscribers(&self, topic: &str) -> usize {
        let hub = self.lock();
        let topic = hub.topics.get(topic);
        topic.map_or(0, |topic| topic.subscribers.len())
    }

    /// Publishes a message. Waits only for subscribers of a topic that is declared [`Lag::Block`].
    ///
    /// Cancel safety: dropped while it waits, some subscribers have the message and others do not.
    ///
    /// # Errors
    /// [`CallError::Encode`] when the message cannot be encoded; nobody has it then.
    pub async fn publish<T: Serialize + Sync + ?Sized>(
        &self,
        topic: &str,
        message: &T,
    ) -> Result<Published, CallError> {
        let (mut published, full) = self.offer(topic, message)?;
        for (queue, bytes) in full {
            let pushed = poll_fn(|cx| match queue.push(&bytes) {
                (Pushed::Full, _) => {
                    queue.wait_for_room(cx.waker(), bytes.len());
                    Poll::Pending
                }
                (pushed, waker) => {
                    wake(waker);
                    Poll::Ready(pushed)
                }
            })
            .await;
            published.subscribers += usize::from(pushed == Pushed::Taken);
        }
        Ok(published)
    }

    /// Publishes a message to all who are to hear it: subscribers, and every peer whose wire has events and no
    /// subscriptions, to which the topic is pushed from now on ([`Self::push`]). The lag policy of the topic holds for
    /// both, and both are counted.
    ///
    /// Cancel safety: as [`Self::publish`].
    ///
    /// # Errors
    /// [`CallError::Encode`] when the message cannot be encoded; nobody has it then.
    pub async fn broadcast<T: Serialize + Sync + ?Sized>(
        &self,
        topic: &str,
        message: &T,
    ) -> Result<Published, CallError> {
        self.push(topic);
        self.publish(topic, message).await
    }

    /// Publishes a message without waiting: for subscribers of a [`Lag::Block`] topic that have no room it is dropped,
    /// and counted in the answer only.
    ///
    /// # Errors
    /// [`CallError::Encode`] when the message cannot be encoded; nobody has it then.
    pub fn try_publish<T: Serialize + ?Sized>(
        &self,
        topic: &str,
        message: &T,
    ) -> Result<Published, CallError> {
        let (mut published, full) = self.offer(topic, message)?;
        published.dropped += full.len();
        metrics::dropped(Dropped::Event, full.len() as u64);
        Ok(published)
    }

    /// Hands a message to everybody who has room. Returns those who have not and are to be waited for.
    #[allow(clippy::type_complexity, reason = "used right here")]
    fn offer<T: Serialize + ?Sized>(
        &self,
        topic: &str,
        message: &T,
    ) -> Result<(Published, Vec<(Arc<Queue>, Bytes)>), CallError> {
        if topic == ALL_TOPICS {
            return Err(CallError::Misuse("`*` is all topics, and not one of them"));
        }
        let hub = self.lock();
        let of = |topic: &str| match hub.topics.get(topic) {
            Some(topic) => topic.subscribers.clone(),
            None => Vec::new(),
        };
        let (subscribers, all) = (of(topic), of(ALL_TOPICS));
        drop(hub);
        let mut published = Published::default();
        let mut full = Vec::new();
        let (mut encoded, mut with_topic) = (PerFormat::default(), PerFormat::default());
        // Encoded once for each format; all of them before anybody has it.
        for subscriber in &subscribers {
            encoded.add(subscriber.format, message)?;
        }
        for subscriber in &all {
            with_topic.add(subscriber.format, &(topic, message))?;
        }
        let each = subscribers.iter().map(|subscriber| (subscriber, &encoded));
        let all = all.iter().map(|subscriber| (subscriber, &with_topic));
        for (Subscriber { queue, format, .. }, encoded) in each.chain(all) {
            let Some(bytes) = encoded.find(*format) else {
                continue;
            };
            let (pushed, waker) = queue.push(bytes);
            wake(waker);
            match pushed {
                Pushed::Taken => published.subscribers += 1,
                Pushed::Dropped => {
                    published.subscribers += usize::from(!queue.is_closed());
                    published.dropped += 1;
                }
                Pushed::Full => full.push((Arc::clone(queue), bytes.clone())),
                Pushed::Gone => {}
            }
        }
        if metrics::ENABLED && published.dropped > 0 {
            metrics::dropped(Dropped::Event, published.dropped as u64);
        }
        Ok((published, full))
    }

    /// A new subscriber. `Err`: it asks for what the publisher does not offer.
    pub(crate) fn subscribe(
        &self,
        topic: &str,
        lag: Option<Lag>,
        capacity: Option<u64>,
        format: Format,
        max_bytes: usize,
    ) -> Result<Arc<Queue>, &'static str> {
        let mut hub = self.lock();
        let declared = hub.topics.get(topic).and_then(|topic| topic.declared);
        let Declared {
            lag: usual,
            capacity: room,
        } = declared.unwrap_or(UNDECLARED);
        let lag = lag.unwrap_or(usual);
        if lag == Lag::Block && usual != Lag::Block {
            return Err("the publisher of this topic waits for nobody");
        }
        let capacity = capacity.map_or(room, |asked| {
            usize::try_from(asked)
                .unwrap_or(usize::MAX)
                .min(MAX_CAPACITY)
        });
        let queue = Arc::new(Queue::new(lag, capacity, max_bytes));
        let topic = hub.topics.entry(topic.into()).or_default();
        topic.subscribers.push(Subscriber {
            queue: Arc::clone(&queue),
            format,
            fed: None,
        });
        Ok(queue)
    }

    /// Takes a subscriber out.
    pub(crate) fn unsubscribe(&self, topic: &str, queue: &Arc<Queue>) {
        let waker = queue.close(EndReason::Finished);
        let mut hub = self.lock();
        if let Some(found) = hub.topics.get_mut(topic) {
            let subscribers = &mut found.subscribers;
            subscribers.retain(|known| !Arc::ptr_eq(&known.queue, queue));
            if found.is_unknown() {
                hub.topics.remove(topic);
            }
        }
        drop(hub);
        drop(waker);
    }
}

impl Topic {
    /// Sends a peer that cannot subscribe what is published from now on.
    fn feed(&mut self, name: &str, link: &Arc<Link>) {
        let Some(facts) = link.facts() else { return };
        if !link.allows_topic(name) {
            return;
        }
        let Declared { lag, capacity } = self.declared.unwrap_or(UNDECLARED);
        let max_bytes = link.config.limits.output_high_water_bytes;
        let queue = Arc::new(Queue::new(lag, capacity, max_bytes));
        Pump::start(name, &queue, link);
        self.subscribers.push(Subscriber {
            queue,
            format: facts.format,
            fed: Some(address(link)),
        });
    }
}

/// What tells two connections apart while both live.
fn address(link: &Arc<Link>) -> usize {
    Arc::as_ptr(link).addr()
}

/// One message in every format that somebody needs.
#[derive(Default)]
pub(crate) struct PerFormat(Vec<(Format, Bytes)>);

impl PerFormat {
    /// Encodes the message unless it is there in this format.
    pub(crate) fn add<T: Serialize + ?Sized>(
        &mut self,
        format: Format,
        message: &T,
    ) -> Result<(), CallError> {
        if self.find(format).is_none() {
            let mut bytes = Vec::new();
            let encoded = format.encode(message, &mut bytes);
            encoded.map_err(CallError::Encode)?;
            self.0.push((format, bytes.into()));
        }
        Ok(())
    }

    pub(crate) fn find(&self, format: Format) -> Option<&Bytes> {
        let kind = |format: &Format| (std::mem::discriminant(format), format.id());
        let found = self
            .0
            .iter()
            .find(|(known, _)| kind(known) == kind(&format));
        found.map(|(_, bytes)| bytes)
    }
}

pub(super) fn wake(waker: Option<std::task::Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
