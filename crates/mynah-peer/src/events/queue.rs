//! Messages that wait for one subscriber.

use bytes::Bytes;
use mynah_protocol::EndReason;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

/// What happens when a subscriber is slower than the publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Lag {
    /// The publisher waits. Only where the publisher has declared the topic so: a subscriber cannot ask for it
    /// otherwise.
    Block,
    /// The oldest message that waits is dropped.
    #[default]
    DropOldest,
    /// The new message is dropped.
    DropNewest,
    /// Only the newest message waits.
    Latest,
    /// The subscription ends, as lagged.
    Close,
}

/// Messages that wait for one subscriber, encoded.
#[derive(Debug)]
pub(crate) struct Queue {
    lag: Lag,
    capacity: usize,
    max_bytes: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    messages: VecDeque<Message>,
    bytes: usize,
    /// Dropped since the newest message that waits.
    dropped: u64,
    subscriber: Option<Waker>,
    /// Publishers that wait for room.
    publishers: Vec<Waker>,
    /// Why no message comes any more.
    closed: Option<EndReason>,
}

#[derive(Debug)]
struct Message {
    /// How many messages were dropped right before it.
    dropped: u64,
    bytes: Bytes,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    Taken,
    /// This one, or one that waited, was dropped.
    Dropped,
    /// The publisher is to wait.
    Full,
    /// Nobody listens any more.
    Gone,
}

impl Queue {
    pub(crate) fn new(lag: Lag, capacity: usize, max_bytes: usize) -> Self {
        let capacity = if lag == Lag::Latest {
            1
        } else {
            capacity.max(1)
        };
        Self {
            lag,
            capacity,
            max_bytes,
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a message. Returns whom to wake when no lock is held.
    pub(crate) fn push(&self, bytes: &Bytes) -> (Pushed, Option<Waker>) {
        let mut state = self.lock();
        if state.closed.is_some() {
            return (Pushed::Gone, None);
        }
        let mut pushed = Pushed::Taken;
        while self.is_full(&state, bytes.len()) {
            pushed = Pushed::Dropped;
            match self.lag {
                Lag::Block => return (Pushed::Full, None),
                Lag::DropNewest => {
                    state.dropped += 1;
                    return (Pushed::Dropped, None);
                }
                Lag::Close => {
                    state.closed = Some(EndReason::Lagged(1));
                    return (Pushed::Dropped, state.subscriber.take());
                }
                Lag::DropOldest | Lag::Latest => state.drop_oldest(),
            }
        }
        let dropped = std::mem::take(&mut state.dropped);
        state.bytes += bytes.len();
        state.messages.push_back(Message {
            dropped,
            bytes: bytes.clone(),
        });
        (pushed, state.subscriber.take())
    }

    /// Whether there is no room for a message of so many bytes.
    fn is_full(&self, state: &State, len: usize) -> bool {
        state.messages.len() >= self.capacity
            || !state.messages.is_empty() && state.bytes + len > self.max_bytes
    }

    /// Waits for room for a message of so many bytes. For publishers that wait.
    pub(crate) fn wait_for_room(&self, waker: &Waker, len: usize) {
        let mut state = self.lock();
        if !self.is_full(&state, len) || state.closed.is_some() {
            drop(state);
            waker.wake_by_ref();
        } else if !state.publishers.iter().any(|known| known.will_wake(waker)) {
            state.publishers.push(waker.clone());
        }
    }

    /// The next message, with how many were dropped before it; or why there is none any more.
    pub(crate) fn poll_pop(&self, waker: &Waker) -> Poll<Result<(u64, Bytes), EndReason>> {
        let mut state = self.lock();
        if let Some(message) = state.messages.pop_front() {
            state.bytes -= message.bytes.len();
            let publishers = std::mem::take(&mut state.publishers);
            drop(state);
            publishers.into_iter().for_each(Waker::wake);
            return Poll::Ready(Ok((message.dropped, message.bytes)));
        }
        if let Some(reason) = &state.closed {
            return Poll::Ready(Err(reason.clone()));
        }
        let stale = match &mut state.subscriber {
            Some(known) if known.will_wake(waker) => None,
            known => known.replace(waker.clone()),
        };
        drop(state);
        drop(stale);
        Poll::Pending
    }

    /// No more messages come. What waits can still be taken.
    pub(crate) fn close(&self, reason: EndReason) -> Option<Waker> {
        let mut state = self.lock();
        state.closed.get_or_insert(reason);
        let publishers = std::mem::take(&mut state.publishers);
        let subscriber = state.subscriber.take();
        drop(state);
        publishers.into_iter().for_each(Waker::wake);
        subscriber
    }

    /// Whether nobody will take a message any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed.is_some()
    }
}

impl State {
    /// What was dropped is told with the next message.
    fn drop_oldest(&mut self) {
        let Some(oldest) = self.messages.pop_front() else {
            return;
        };
        self.bytes -= oldest.bytes.len();
        let dropped = oldest.dropped + 1;
        match self.messages.front_mut() {
            Some(next) => next.dropped += dropped,
            None => self.dropped += dropped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    fn message(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    fn pop(queue: &Queue) -> Option<(u64, String)> {
        match queue.poll_pop(Waker::noop()) {
            Poll::Ready(Ok((dropped, bytes))) => {
                Some((dropped, String::from_utf8(bytes.to_vec()).unwrap()))
            }
            _ => None,
        }
    }

    /// Pushes a to e into a queue of two; says what became of each, and what comes out.
    fn check(lag: Lag, pushed: [Pushed; 5], out: &[(u64, &str)]) {
        let queue = Queue::new(lag, 2, 1 << 20);
        let found = ["a", "b", "c", "d", "e"].map(|text| queue.push(&message(text)).0);
        assert_eq!(found, pushed, "{lag:?}");
        for (dropped, text) in out {
            assert_eq!(pop(&queue), Some((*dropped, (*text).to_owned())), "{lag:?}");
        }
        assert_eq!(pop(&queue), None, "{lag:?}");
    }

    #[test]
    fn each_policy_drops_and_counts_as_it_says() {
        use Pushed::{Dropped, Full, Gone, Taken};
        check(
            Lag::Block,
            [Taken, Taken, Full, Full, Full],
            &[(0, "a"), (0, "b")],
        );
        check(
            Lag::DropOldest,
            [Taken, Taken, Dropped, Dropped, Dropped],
            &[(3, "d"), (0, "e")],
        );
        check(
            Lag::DropNewest,
            [Taken, Taken, Dropped, Dropped, Dropped],
            &[(0, "a"), (0, "b")],
        );
        check(
            Lag::Latest,
            [Taken, Dropped, Dropped, Dropped, Dropped],
            &[(4, "e")],
        );
        check(
            Lag::Close,
            [Taken, Taken, Dropped, Gone, Gone],
            &[(0, "a"), (0, "b")],
        );
    }

    #[test]
    fn what_was_dropped_is_told_with_the_next_message() {
        let queue = Queue::new(Lag::DropNewest, 1, 1 << 20);
        queue.push(&message("a"));
        queue.push(&message("b"));
        queue.push(&message("c"));
        assert_eq!(pop(&queue), Some((0, "a".to_owned())));
        queue.push(&message("d"));
        assert_eq!(pop(&queue), Some((2, "d".to_owned())));
    }

    #[test]
    fn a_publisher_sleeps_until_there_is_room_for_its_bytes() {
        let queue = Queue::new(Lag::Block, 100, 4);
        queue.push(&message("abc"));
        assert_eq!(queue.push(&message("de")).0, Pushed::Full);
        let bell = Arc::new(Bell::default());
        let waker = Waker::from(Arc::clone(&bell));
        queue.wait_for_room(&waker, 2);
        queue.wait_for_room(&waker, 2);
        assert_eq!(bell.rung.load(Ordering::SeqCst), 0, "there is no room yet");
        assert!(pop(&queue).is_some());
        assert_eq!(bell.rung.load(Ordering::SeqCst), 1);
        assert_eq!(queue.push(&message("de")).0, Pushed::Taken);
    }

    #[derive(Default)]
    struct Bell {
        rung: AtomicUsize,
    }

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.rung.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn bytes_are_bounded_too() {
        let queue = Queue::new(Lag::DropOldest, 100, 4);
        assert_eq!(queue.push(&message("large message")).0, Pushed::Taken);
        assert_eq!(queue.push(&message("abc")).0, Pushed::Dropped);
        assert_eq!(queue.push(&message("d")).0, Pushed::Taken);
        assert_eq!(pop(&queue), Some((1, "abc".to_owned())));
    }
}
