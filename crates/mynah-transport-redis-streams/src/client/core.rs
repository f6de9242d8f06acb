//! What the tasks of a client share.

use super::asked::Asked;
use crate::command::Call;
use crate::connect::Connector;
use crate::entry::EntryId;
use crate::keys::Keys;
use crate::options::RedisOptions;
use crate::random;
use mynah_protocol::{CallId, Envelope, ErrorCode, Response, RpcError, WireId};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::sync::Notify;
use tokio::time::Instant;

/// Bytes of calls that wait to be written, above which the peer is not asked for more.
const FULL_BYTES: usize = 4 << 20;

/// Answers that wait for the peer, above which no more are read.
const MOST_HEARD: usize = 2048;

/// What a client and its two tasks share.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) options: RedisOptions,
    pub(super) connector: Connector,
    pub(super) keys: Keys,
    /// The stream of the answers to this instance.
    pub(super) reply_to: Arc<str>,
    /// What numbers of calls are mixed with: an answer to an earlier client of the same name is no answer to this one.
    mask: u64,
    state: Mutex<State>,
    /// Rung when there is something to write, or the client closes.
    pub(super) writable: Notify,
    /// Rung when there is room for what is read.
    heard: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// What was heard.
    inbox: VecDeque<Envelope<'static>>,
    reader: Option<Waker>,
    /// Calls to be written.
    outbox: VecDeque<Queued>,
    bytes: usize,
    /// Calls that were taken to be written.
    asked: Asked,
    writer: Option<Waker>,
    /// Answers up to this one were read, and are to be deleted.
    read: Option<EntryId>,
    closing: bool,
    /// The last of the tasks has ended.
    closed: bool,
    closer: Option<Waker>,
}

/// What is to be written.
#[derive(Debug)]
pub(super) enum Said {
    Call(Call),
    /// The call of this number is not wanted any more.
    Cancel(u64),
}

/// A call that waits to be written.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) said: Said,
    /// Bytes of its message.
    pub(super) bytes: usize,
    /// Of a call that wants an answer.
    pub(super) id: Option<WireId>,
    /// The service that is called.
    pub(super) service: String,
    /// After that its caller does not wait any more.
    pub(super) until: Option<Instant>,
    /// Nobody serves it now.
    pub(super) unserved: bool,
}

/// What is to be written now.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) calls: Vec<Queued>,
    pub(super) read: Option<EntryId>,
    pub(super) closing: bool,
}

impl Core {
    pub(super) fn new(
        options: RedisOptions,
        connector: Connector,
        keys: Keys,
        instance: &str,
    ) -> Arc<Self> {
        Arc::new(Self {
            options,
            connector,
            reply_to: keys.replies(instance).into(),
            keys,
            mask: random::bits() & CallId::MAX,
            state: Mutex::default(),
            writable: Notify::new(),
            heard: Notify::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of a call as it stands on the wire, and back.
    pub(super) const fn mix(&self, id: &mut WireId) {
        if let WireId::Uint(number) = id {
            *number ^= self.mask;
        }
    }

    /// Hands what was heard to the peer.
    pub(super) fn hear(&self, heard: impl IntoIterator<Item = Envelope<'static>>) {
        let mut state = self.lock();
        let before = state.asked.awaited();
        for heard in heard {
            if let Envelope::Response(response) = &heard {
                state.asked.end(&response.id);
            }
            state.inbox.push_back(heard);
        }
        let reader = state.reader.take();
        let may_write = state.asked.awaited() < before && !state.outbox.is_empty();
        drop(state);
        if may_write {
            self.writable.notify_one();
        }
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Waits until the peer has taken most of what was heard.
    pub(super) async fn wait_for_room(&self) {
        loop {
            let heard = self.heard.notified();
            if self.lock().inbox.len() <= MOST_HEARD {
                return;
            }
            heard.await;
        }
    }

    /// Ends a call with an error of this side.
    pub(super) fn fail(&self, id: WireId, code: ErrorCode, what: impl Into<String>) {
        let result = Err(Box::new(RpcError::new(code, what)));
        self.hear([Envelope::Response(Response { id, result })]);
    }

    pub(super) fn poll_heard(&self, cx: &Context<'_>) -> Poll<Envelope<'static>> {
        let mut state = self.lock();
        if let Some(heard) = state.inbox.pop_front() {
            if state.inbox.len() == MOST_HEARD {
                self.heard.notify_one();
            }
            return Poll::Ready(heard);
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(super) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.bytes < FULL_BYTES {
            return Poll::Ready(());
        }
        state.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(super) fn write(&self, queued: Queued) {
        let mut state = self.lock();
        state.bytes += queued.bytes;
        state.outbox.push_back(queued);
        drop(state);
        self.writable.notify_one();
    }

    /// Whether answers may come yet.
    pub(super) fn awaits_answers(&self) -> bool {
        self.lock().asked.may_be_answered()
    }

    /// A call was not written, and its caller has ended it.
    pub(super) fn was_not_written(&self, id: &WireId) {
        self.lock().asked.end(id);
    }

    /// Takes back a call that was not written. `false`: it was, or is being written; its answer is not waited for.
    pub(super) fn withdraw(&self, id: &WireId) -> bool {
        let mut state = self.lock();
        let is_it = |queued: &Queued| queued.id.as_ref() == Some(id);
        let Some(at) = state.outbox.iter().position(is_it) else {
            state.asked.give_up(id);
            return false;
        };
        if let Some(queued) = state.outbox.remove(at) {
            state.bytes = state.bytes.saturating_sub(queued.bytes);
        }
        true
    }

    /// Answers were read, and are deleted when something is written next.
    pub(super) fn was_read(&self, last: EntryId) {
        self.lock().read = Some(last);
    }

    /// Nothing else is to be written for a while: what was read is deleted now.
    pub(super) fn delete_read(&self) {
        if self.lock().read.is_some() {
            self.writable.notify_one();
        }
    }

    /// Takes what there is, in turns of bounded size, and no more calls than answers are kept for.
    pub(super) fn take_batch(&self) -> Batch {
        const MOST: usize = 512;
        const MOST_BYTES: usize = 1 << 20;
        // Answers to calls that were cancelled come beside them.
        let most_awaited = (self.options.reply_max_len / 2).max(1);
        let mut state = self.lock();
        let mut calls = Vec::with_capacity(state.outbox.len().min(MOST));
        let mut bytes = 0;
        while calls.len() < MOST && bytes < MOST_BYTES {
            let full = state.asked.awaited() >= most_awaited && !state.closing;
            let is_next = |queued: &Queued| !(full && queued.id.is_some());
            if !state.outbox.front().is_some_and(is_next) {
                break;
            }
            let Some(queued) = state.outbox.pop_front() else {
                break;
            };
            if let Some(id) = &queued.id {
                state.asked.ask(id.clone());
            }
            bytes += queued.bytes;
            calls.push(queued);
        }
        state.bytes = state.bytes.saturating_sub(bytes);
        let writer = (state.bytes < FULL_BYTES).then(|| state.writer.take());
        let batch = Batch {
            calls,
            read: state.read.take(),
            closing: state.closing,
        };
        drop(state);
        if let Some(Some(writer)) = writer {
            writer.wake();
        }
        batch
    }

    /// What could not be written for want of a connection comes first again.
    pub(super) fn put_back(&self, batch: Batch) {
        let mut state = self.lock();
        for queued in batch.calls.into_iter().rev() {
            state.bytes += queued.bytes;
            if let Some(id) = &queued.id {
                state.asked.end(id);
            }
            state.outbox.push_front(queued);
        }
        state.read = state.read.max(batch.read);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.lock().closing
    }

    /// The peer is done with it.
    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.writable.notify_one();
    }

    pub(super) fn set_closed(&self) {
        let mut state = self.lock();
        state.closed = true;
        let closer = state.closer.take();
        drop(state);
        if let Some(closer) = closer {
            closer.wake();
        }
    }

    pub(super) fn poll_closed(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.closed {
            return Poll::Ready(());
        }
        state.closer = Some(cx.waker().clone());
        Poll::Pending
    }
}
