//! What the tasks of a client share.

use super::events::Subscriptions;
use super::offers::Offers;
use super::publish::{Emitted, Published};
use super::sessions::Sessions;
use super::state::State;
use crate::coding::Coding;
use crate::command::Call;
use crate::connect::Connector;
use crate::entry::EntryId;
use crate::keys::Keys;
use crate::options::RedisOptions;
use crate::random;
use crate::session::{Pulse, Written};
use mynah_protocol::{
    CallId, DeliveryReport, DeliveryStatus, Envelope, ErrorCode, Response, RpcError, WireId,
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::sync::Notify;
use tokio::time::Instant;

/// Bytes of calls that wait to be written, above which the peer is not asked for more.
pub(super) const FULL_BYTES: usize = 4 << 20;

/// Answers that wait for the peer, above which no more are read.
const MOST_HEARD: usize = 2048;

/// What a client and its two tasks share.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) options: RedisOptions,
    pub(super) connector: Connector,
    pub(super) keys: Keys,
    /// The format of its calls.
    pub(super) coding: Coding,
    /// The stream of the answers to this instance.
    pub(super) reply_to: Arc<str>,
    /// What numbers of calls are mixed with: an answer to an earlier client of the same name is no answer to this one.
    mask: u64,
    /// Calls with streams or callbacks.
    pub(super) sessions: Sessions,
    pub(super) subscriptions: Subscriptions,
    /// Calls that are not in JSON.
    pub(super) offers: Offers,
    pub(super) published: Published,
    /// Whether answers can be read.
    pulse: Mutex<Pulse>,
    state: Mutex<State>,
    /// Rung when there is something to write, or the client closes.
    pub(super) writable: Notify,
    /// Rung when there is room for what is read.
    heard: Notify,
    /// Rung when the client closes.
    left: Notify,
}

/// What is to be written.
#[derive(Debug)]
pub(super) enum Said {
    Call(Call),
    /// The call of this number is not wanted any more.
    Cancel(u64),
    /// A call with streams or callbacks, of which is not known yet who gets it.
    Open(u64),
    /// Something for the inbox of a server.
    Note(Arc<str>, Written),
    /// A call is not to be taken out of this inbox any more: its number on the wire, and its entry.
    TakeBack(Arc<str>, u64, EntryId),
    /// A message of a topic.
    Event(Emitted),
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
    /// The peer was told that it waits.
    pub(super) told: bool,
}

impl Queued {
    /// Something beside the calls, of no size and with no end of its own.
    pub(super) const fn aside(said: Said) -> Self {
        Self {
            said,
            bytes: 0,
            id: None,
            service: String::new(),
            until: None,
            unserved: false,
            told: false,
        }
    }
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
        let coding = Coding::of(options.format).unwrap_or_default();
        Arc::new(Self {
            coding,
            reply_to: keys.replies(instance).into(),
            sessions: Sessions::new(coding),
            subscriptions: Subscriptions::default(),
            offers: Offers::default(),
            published: Published::default(),
            pulse: Mutex::new(Pulse::new(options.block)),
            options,
            connector,
            keys,
            mask: random::bits() & CallId::MAX,
            state: Mutex::default(),
            writable: Notify::new(),
            heard: Notify::new(),
            left: Notify::new(),
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
        let offered = self.coding != Coding::Json;
        let mut state = self.lock();
        let before = state.asked.awaited();
        for heard in heard {
            if let Some(ended) = ended_by(&heard) {
                state.asked.end(ended);
                // Nor is it offered again.
                if offered {
                    drop(self.offers.take(ended));
                }
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
                // Whoever reads answers, and every subscription.
                self.heard.notify_waiters();
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

    /// Whether so much waits to be written that the peer is asked for nothing more.
    pub(super) fn is_full(&self) -> bool {
        self.lock().bytes >= FULL_BYTES
    }

    pub(super) fn write(&self, mut queued: Queued) {
        let mut state = self.lock();
        if matches!(queued.said, Said::Event(..)) {
            state.make_room_for_event(queued.bytes);
        }
        state.bytes += queued.bytes;
        let reader = match state.cut_off {
            true => state.tell_waiting(&mut queued),
            false => None,
        };
        state.queue_of(&queued.said).push_back(queued);
        drop(state);
        self.writable.notify_one();
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Tells the peer how calls stand.
    pub(super) fn report(&self, ids: impl IntoIterator<Item = WireId>, status: DeliveryStatus) {
        let report = |id| Envelope::Delivery(DeliveryReport { id, status });
        self.hear(ids.into_iter().map(report));
    }

    /// Whether answers may come yet.
    pub(super) fn awaits_answers(&self) -> bool {
        self.lock().asked.may_be_answered()
    }

    /// A call was not written, and its caller has ended it.
    pub(super) fn was_not_written(&self, id: &WireId) {
        self.lock().asked.end(id);
    }

    /// A call is not wanted any more. Its answer may come.
    pub(super) fn give_up(&self, id: &WireId) {
        self.lock().asked.give_up(id);
        // There may be room for another one.
        self.writable.notify_one();
    }

    pub(super) fn pulse(&self) -> Pulse {
        *self.pulse.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers were read, or could not be.
    pub(super) fn set_pulse(&self, reads: bool) {
        let mut pulse = self.pulse.lock().unwrap_or_else(PoisonError::into_inner);
        match reads {
            true => pulse.beat(),
            false => pulse.stop(),
        }
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
        state.asked.end(id);
        true
    }

    /// Answers were read. A good number of them are deleted at once, when something is written: Redis needs as long for it
    /// as for one.
    pub(super) fn was_read(&self, last: EntryId, entries: usize, bytes: usize) {
        let mut state = self.lock();
        state.read = Some(last);
        state.read_entries += entries;
        state.read_bytes += bytes;
        // Whoever only listens writes nothing else.
        if state.is_much_read() {
            self.writable.notify_one();
        }
    }

    /// What was read may not have been deleted.
    pub(super) fn keep_read(&self, read: Option<EntryId>) {
        if read.is_some() {
            let mut state = self.lock();
            state.read = state.read.max(read);
            state.delete_now = true;
        }
    }

    /// Nothing else is to be written for a while: what was read is deleted now.
    pub(super) fn delete_read(&self) {
        let mut state = self.lock();
        if state.read.is_some() {
            state.delete_now = true;
            self.writable.notify_one();
        }
    }

    /// Takes what there is, in turns of bounded size, and no more calls than answers are kept for.
    ///
    /// `calls`: what has the room for them, and nothing in it.
    pub(super) fn take_batch(&self, mut calls: Vec<Queued>) -> Batch {
        const MOST: usize = 512;
        const MOST_BYTES: usize = 1 << 20;
        // Answers to calls that were cancelled come beside them.
        let most_awaited = (self.options.reply_max_len / 2).max(1);
        let mut state = self.lock();
        let mut bytes = 0;
        let mut held_back = false;
        // Half of a turn at most, so that calls have theirs.
        while calls.len() < MOST / 2 && bytes < MOST_BYTES / 2 {
            let Some(queued) = state.notes.pop_front() else {
                break;
            };
            bytes += queued.bytes;
            calls.push(state.ask(queued));
        }
        while calls.len() < MOST && bytes < MOST_BYTES {
            let full = state.asked.awaited() >= most_awaited && !state.closing;
            let is_next = |queued: &Queued| !(full && queued.id.is_some());
            if !state.outbox.front().is_some_and(is_next) {
                held_back = full;
                break;
            }
            let Some(queued) = state.outbox.pop_front() else {
                break;
            };
            bytes += queued.bytes;
            calls.push(state.ask(queued));
        }
        let reader = match held_back {
            true => state.tell_all_waiting(),
            false => None,
        };
        state.bytes = state.bytes.saturating_sub(bytes);
        let writer = (state.bytes < FULL_BYTES).then(|| state.writer.take());
        let batch = Batch {
            calls,
            read: state.take_read(),
            closing: state.closing,
        };
        drop(state);
        for waker in [writer.flatten(), reader].into_iter().flatten() {
            waker.wake();
        }
        batch
    }

    /// What could not be written for want of a connection comes first again. Until there is one, calls are told that they
    /// wait.
    pub(super) fn put_back(&self, batch: Batch) {
        let mut guard = self.lock();
        let state = &mut *guard;
        for queued in batch.calls.into_iter().rev() {
            state.bytes += queued.bytes;
            if let Some(id) = &queued.id {
                state.asked.end(id);
            }
            state.queue_of(&queued.said).push_front(queued);
        }
        // More may have come meanwhile.
        state.make_room_for_event(0);
        if batch.read.is_some() {
            state.read = state.read.max(batch.read);
            state.delete_now = true;
        }
        state.cut_off = true;
        let mut reader = None;
        let mut outbox = std::mem::take(&mut state.outbox);
        let mut notes = std::mem::take(&mut state.notes);
        for queued in outbox.iter_mut().chain(&mut notes) {
            if let Some(waker) = state.tell_waiting(queued) {
                reader = Some(waker);
            }
        }
        state.outbox = outbox;
        state.notes = notes;
        drop(guard);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// What was written or was not, and is heard once however often it is written, is written again.
    pub(super) fn write_again(&self, calls: Vec<Queued>) {
        let mut state = self.lock();
        for queued in calls.into_iter().rev() {
            let again = match &queued.said {
                Said::Note(_, note) => note.number != 1,
                Said::Event(..) => true,
                _ => false,
            };
            if again {
                state.bytes += queued.bytes;
                state.queue_of(&queued.said).push_front(queued);
            }
        }
    }

    /// Whether there is none.
    pub(super) fn is_cut_off(&self) -> bool {
        self.lock().cut_off
    }

    /// There is a connection to write on.
    pub(super) fn set_connected(&self) {
        self.lock().cut_off = false;
    }

    pub(super) fn is_closing(&self) -> bool {
        self.lock().closing
    }

    /// The peer is done with it.
    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.subscriptions.close();
        self.left.notify_waiters();
        self.writable.notify_one();
    }

    /// Waits until the client closes.
    pub(super) async fn wait_for_close(&self) {
        loop {
            let left = self.left.notified();
            if self.is_closing() {
                return;
            }
            left.await;
        }
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

/// The call that ends with it.
const fn ended_by<'h>(heard: &'h Envelope<'_>) -> Option<&'h WireId> {
    match heard {
        Envelope::Response(response) => Some(&response.id),
        Envelope::Delivery(DeliveryReport {
            id,
            status: DeliveryStatus::Failed(_),
        }) => Some(id),
        _ => None,
    }
}
