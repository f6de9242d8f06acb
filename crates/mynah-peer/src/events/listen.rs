//! What the peer says without being asked: events that it emits, and lines of its log.

use super::ALL_TOPICS;
use super::logs::{self, Logs};
use super::queue::{Lag, Queue};
use super::serve::pair;
use super::subscription::{Near, Origin, Subscription};
use bytes::Bytes;
use mynah_codec::Format;
use mynah_connection::Said;
use mynah_protocol::{DecodeLimits, EndReason, Limits};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;

/// Who listens to what the peer of one connection says unasked. There before the connection is.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    books: Mutex<Books>,
    /// What the peer speaks, once that is known.
    codec: OnceLock<(Format, DecodeLimits)>,
}

#[derive(Debug, Default)]
struct Books {
    topics: HashMap<Box<str>, Vec<Arc<Queue>>>,
    logs: Vec<Arc<Queue>>,
    /// Why nothing more is said.
    closed: Option<EndReason>,
}

impl Listeners {
    fn lock(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The wire is ready; nothing has been heard before.
    pub(crate) fn set_codec(&self, format: Format, limits: DecodeLimits) {
        // A second setting finds the same facts.
        let _same = self.codec.set((format, limits));
    }

    pub(crate) fn codec(&self) -> Option<(Format, DecodeLimits)> {
        self.codec.get().copied()
    }

    /// Hears a topic from now on.
    pub(crate) fn listen(
        self: &Arc<Self>,
        topic: &str,
        lag: Lag,
        capacity: usize,
        limits: &Limits,
    ) -> Near {
        let queue = Arc::new(Queue::new(lag, capacity, limits.decode.max_message_bytes));
        let mut books = self.lock();
        if let Some(reason) = &books.closed {
            drop(queue.close(reason.clone()));
        } else {
            let listeners = books.topics.entry(topic.into()).or_default();
            listeners.push(Arc::clone(&queue));
        }
        Near {
            topic: topic.into(),
            queue,
            origin: Origin::Said(Arc::clone(self)),
            _lease: None,
            observed: Vec::new(),
        }
    }

    /// Hears the log from now on.
    pub(crate) fn logs(self: &Arc<Self>, limits: &Limits) -> Logs {
        let (capacity, max_bytes) = (limits.side_messages, limits.decode.max_message_bytes);
        let queue = Arc::new(Queue::new(Lag::DropOldest, capacity, max_bytes));
        let mut books = self.lock();
        if let Some(reason) = &books.closed {
            drop(queue.close(reason.clone()));
        } else {
            books.logs.push(Arc::clone(&queue));
        }
        drop(books);
        Logs::new(queue, Arc::clone(self))
    }

    /// Whether anybody listens to the log.
    pub(crate) fn hears_log(&self) -> bool {
        !self.lock().logs.is_empty()
    }

    /// A listener of a topic is gone; without a topic, one of the log.
    pub(crate) fn forget(&self, topic: Option<&str>, queue: &Arc<Queue>) {
        let mut books = self.lock();
        let others = |known: &Arc<Queue>| !Arc::ptr_eq(known, queue);
        let Some(topic) = topic else {
            return books.logs.retain(others);
        };
        if let Some(listeners) = books.topics.get_mut(topic) {
            listeners.retain(others);
            if listeners.is_empty() {
                books.topics.remove(topic);
            }
        }
    }

    /// The peer said something. Called under the connection's lock: nobody is woken here. Returns whether anybody
    /// listens.
    pub(crate) fn said(&self, said: &Said<'_>, wakers: &mut Vec<Waker>) -> bool {
        let books = self.lock();
        // A queue that is closed takes nothing; one that is full drops as it was told to.
        let mut tell = |listeners: &[Arc<Queue>], bytes: Bytes| {
            for queue in listeners {
                let (_pushed, waker) = queue.push(&bytes);
                wakers.extend(waker);
            }
        };
        match said {
            Said::Event(event) => {
                let message = event.message.as_slice();
                let one = books.topics.get(&*event.topic);
                if let Some(listeners) = one {
                    tell(listeners, Bytes::copy_from_slice(message));
                }
                let all = books
                    .topics
                    .get(ALL_TOPICS)
                    .filter(|_| event.topic != ALL_TOPICS);
                if let (Some(listeners), Some((format, _limits))) = (all, self.codec()) {
                    let mut bytes = Vec::new();
                    if pair(&*event.topic, message, format, &mut bytes).is_ok() {
                        tell(listeners, bytes.into());
                    }
                }
                one.is_some() || all.is_some()
            }
            Said::Log(_) if books.logs.is_empty() => false,
            Said::Log(log) => {
                tell(&books.logs, logs::pack(log));
                true
            }
        }
    }

    /// Nothing more is said.
    pub(crate) fn close(&self, reason: &EndReason, wakers: &mut Vec<Waker>) {
        let mut books = self.lock();
        books.closed.get_or_insert_with(|| reason.clone());
        let queues = std::mem::take(&mut books.topics).into_values().flatten();
        for queue in queues.chain(std::mem::take(&mut books.logs)) {
            wakers.extend(queue.close(reason.clone()));
        }
    }
}

/// Listeners to a peer that is not there yet: they miss nothing of what it says right after it is.
///
/// Hand them to [`PeerBuilder::listeners`](crate::PeerBuilder::listeners). Dropped instead, they hear the end.
#[derive(Default)]
pub struct EarlyListeners {
    listeners: Option<Arc<Listeners>>,
    limits: Limits,
}

impl fmt::Debug for EarlyListeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EarlyListeners").finish_non_exhaustive()
    }
}

impl EarlyListeners {
    /// Nobody listens yet. What waits for each listener is bounded by `limits.side_messages` and by the bytes of one
    /// message.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self {
            listeners: None,
            limits: limits.clone(),
        }
    }

    /// Hears what the peer emits under a topic, from its first word on.
    pub fn listen<T>(&mut self, topic: &str) -> Subscription<T> {
        let listeners = self.listeners.get_or_insert_default();
        let capacity = self.limits.side_messages;
        let near = listeners.listen(topic, Lag::DropOldest, capacity, &self.limits);
        Subscription::near(near)
    }

    /// Hears the peer's log, from its first line on.
    pub fn logs(&mut self) -> Logs {
        let listeners = self.listeners.get_or_insert_default();
        listeners.logs(&self.limits)
    }

    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// For the connection, which says when it ends.
    pub(crate) fn take(mut self) -> OnceLock<Arc<Listeners>> {
        self.listeners
            .take()
            .map(OnceLock::from)
            .unwrap_or_default()
    }
}

impl Drop for EarlyListeners {
    fn drop(&mut self) {
        let mut wakers = Vec::new();
        if let Some(listeners) = &self.listeners {
            listeners.close(&EndReason::PeerGone, &mut wakers);
        }
        wakers.into_iter().for_each(Waker::wake);
    }
}
