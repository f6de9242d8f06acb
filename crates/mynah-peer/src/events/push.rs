//! What is published, to peers that cannot subscribe to it.

use super::queue::Queue;
use crate::error::CallError;
use crate::link::Link;
use bytes::Bytes;
use std::future::poll_fn;
use std::sync::{Arc, Weak};
use std::task::{Poll, Wake, Waker};
use tokio::runtime::Handle;

/// How many messages one publisher sends for others before a task goes on with it.
const TURN: usize = 64;

/// Emits the messages of one topic to one peer.
///
/// It is the waker of its queue: a publisher that finds it asleep runs it in its own turn, so an idle one costs no task.
/// It becomes a task when the peer is slower than the publisher, and waits there for room in the output; what is
/// published meanwhile waits in the queue, under the policy of its topic.
pub(super) struct Pump {
    topic: Box<str>,
    queue: Arc<Queue>,
    link: Weak<Link>,
    runtime: Option<Handle>,
}

impl Pump {
    /// From now on what is put in the queue is emitted.
    pub(super) fn start(topic: &str, queue: &Arc<Queue>, link: &Arc<Link>) {
        let pump = Arc::new(Self {
            topic: topic.into(),
            queue: Arc::clone(queue),
            link: Arc::downgrade(link),
            runtime: Handle::try_current().ok(),
        });
        // Nothing is in it yet; this leaves the waker there.
        let _empty = queue.poll_pop(&Waker::from(pump));
    }

    /// The next message, `None` when there is none now: the one who puts the next one in the queue runs this again.
    fn next(self: &Arc<Self>) -> Option<Bytes> {
        match self.queue.poll_pop(&Waker::from(Arc::clone(self))) {
            Poll::Ready(Ok((_dropped, message))) => Some(message),
            Poll::Ready(Err(_)) | Poll::Pending => None,
        }
    }

    /// Emits a message. Returns the connection when there is no room in its output.
    fn emit(&self, message: &[u8]) -> Option<Arc<Link>> {
        let link = self.link.upgrade()?;
        match link.emit(&self.topic, message, link.facts()?) {
            Ok(()) => None,
            Err(CallError::Busy { .. }) => Some(link),
            Err(error) => {
                tracing::debug!(topic = %self.topic.escape_debug(), %error, "event not pushed");
                None
            }
        }
    }

    async fn run(self: Arc<Self>, first: Bytes) {
        let mut next = Some(first);
        while let Some(message) = next {
            while let Some(link) = self.emit(&message) {
                poll_fn(|cx| link.poll_room(cx.waker())).await;
            }
            next = self.next();
        }
    }

    fn go_on(self: Arc<Self>, message: Bytes) {
        // Connections are made within a runtime; without one nothing is written any more.
        if let Some(runtime) = self.runtime.clone() {
            runtime.spawn(self.run(message));
        }
    }
}

impl Wake for Pump {
    fn wake(self: Arc<Self>) {
        for _ in 0..TURN {
            let Some(message) = self.next() else { return };
            if self.emit(&message).is_some() {
                return self.go_on(message);
            }
        }
        if let Some(message) = self.next() {
            self.go_on(message);
        }
    }
}
