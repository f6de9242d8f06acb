//! What the peer emits without being asked.

use super::queue::{Lag, Queue};
use bytes::Bytes;
use mynah_codec::Format;
use mynah_protocol::{EndReason, Event};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// Who listens to what the peer of one connection emits, by topic.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    topics: Mutex<HashMap<Box<str>, Vec<Arc<Queue>>>>,
}

impl Listeners {
    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Vec<Arc<Queue>>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn listen(
        &self,
        topic: &str,
        lag: Lag,
        capacity: usize,
        format: Format,
        max_bytes: usize,
    ) -> Arc<Queue> {
        let queue = Arc::new(Queue::new(format, lag, capacity, max_bytes));
        let mut topics = self.lock();
        let listeners = topics.entry(topic.into()).or_default();
        listeners.push(Arc::clone(&queue));
        queue
    }

    pub(crate) fn forget(&self, topic: &str, queue: &Arc<Queue>) {
        let mut topics = self.lock();
        if let Some(listeners) = topics.get_mut(topic) {
            listeners.retain(|known| !Arc::ptr_eq(known, queue));
            if listeners.is_empty() {
                topics.remove(topic);
            }
        }
    }

    /// An event arrived. Called under the connection's lock: nobody is woken here.
    pub(crate) fn event(&self, event: &Event<'_>, wakers: &mut Vec<Waker>) {
        let topics = self.lock();
        let Some(listeners) = topics.get(&*event.topic) else {
            tracing::trace!(topic = %event.topic.escape_debug(), "event without a listener");
            return;
        };
        let bytes = Bytes::copy_from_slice(event.message.as_slice());
        for queue in listeners {
            // A queue that is closed takes nothing; one that is full drops as it was told to.
            let (_pushed, waker) = queue.push(&bytes);
            wakers.extend(waker);
        }
    }

    /// The connection has ended.
    pub(crate) fn close(&self, wakers: &mut Vec<Waker>) {
        for queue in std::mem::take(&mut *self.lock()).into_values().flatten() {
            wakers.extend(queue.close(EndReason::PeerGone));
        }
    }
}
