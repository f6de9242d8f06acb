//! Who publishes, and who hears it.

use super::queue::{Lag, Pushed, Queue};
use crate::error::CallError;
use crate::metrics::{self, Dropped};
use bytes::Bytes;
use mynah_codec::Format;
use mynah_protocol::{EndReason, FormatId};
use serde::Serialize;
use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

/// What one side publishes: a cheap clone, usable from any task or thread.
///
/// A server has one, and so has a peer with services; both sides of a connection can subscribe to the other. Reach
/// it with `ServerHandle::events`, `Peer::events` or `Context::events`.
#[derive(Clone, Default)]
pub struct Events {
    hub: Arc<Mutex<HashMap<Box<str>, Topic>>>,
}

#[derive(Default)]
struct Topic {
    declared: Option<Declared>,
    subscribers: Vec<Arc<Queue>>,
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
            .field("topics", &self.lock().len())
            .finish()
    }
}

impl Events {
    /// Nothing is published yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Topic>> {
        self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Declares what happens under a topic when a subscriber is too slow, and how many messages may wait for each.
    /// Without this it is [`Lag::DropOldest`], 256.
    pub fn declare(&self, topic: &str, lag: Lag, capacity: usize) {
        let declared = Declared { lag, capacity };
        self.lock().entry(topic.into()).or_default().declared = Some(declared);
    }

    /// The same unless something is declared already: what a contract says, which a program may overrule. What is not
    /// said is as without a declaration.
    pub fn declare_default(&self, topic: &str, lag: Option<Lag>, capacity: Option<usize>) {
        let mut topics = self.lock();
        topics
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
        self.lock()
            .get(topic)
            .map_or(0, |topic| topic.subscribers.len())
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
                    queue.wait_for_room(cx.waker());
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
        let subscribers = match self.lock().get(topic) {
            Some(topic) => topic.subscribers.clone(),
            None => Vec::new(),
        };
        let mut published = Published::default();
        let mut full = Vec::new();
        let mut encoded: Vec<(FormatId, Bytes)> = Vec::new();
        // Encoded once for each format; all of them before anybody has it.
        for queue in &subscribers {
            let id = queue.format.id();
            if !encoded.iter().any(|(known, _)| *known == id) {
                let mut bytes = Vec::new();
                queue
                    .format
                    .encode(message, &mut bytes)
                    .map_err(CallError::Encode)?;
                encoded.push((id, bytes.into()));
            }
        }
        for queue in subscribers {
            let id = queue.format.id();
            let Some((_, bytes)) = encoded.iter().find(|(known, _)| *known == id) else {
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
                Pushed::Full => full.push((queue, bytes.clone())),
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
        let mut topics = self.lock();
        let declared = topics.get(topic).and_then(|topic| topic.declared);
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
        let queue = Arc::new(Queue::new(format, lag, capacity, max_bytes));
        let topic = topics.entry(topic.into()).or_default();
        topic.subscribers.push(Arc::clone(&queue));
        Ok(queue)
    }

    /// Takes a subscriber out.
    pub(crate) fn unsubscribe(&self, topic: &str, queue: &Arc<Queue>) {
        let waker = queue.close(EndReason::Finished);
        let mut topics = self.lock();
        if let Some(found) = topics.get_mut(topic) {
            found.subscribers.retain(|known| !Arc::ptr_eq(known, queue));
            if found.subscribers.is_empty() && found.declared.is_none() {
                topics.remove(topic);
            }
        }
        drop(topics);
        drop(waker);
    }
}

pub(super) fn wake(waker: Option<std::task::Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
