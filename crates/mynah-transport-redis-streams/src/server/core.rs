//! What the parts of a server share.

use super::accepted::RedisRemote;
use super::control::Unwanted;
use super::desk::Desk;
use super::outbox::{Outbox, Place, Sealing, Step};
use super::remote::{ClientRemote, Manner, Remote};
use super::session::Sessions;
use super::settle::Delivery;
use crate::coding::{Coding, PerCoding};
use crate::connect::Connector;
use crate::entry::EntryId;
use crate::keys::Keys;
use crate::options::RedisOptions;
use mynah_codec::dialect::jsonrpc::{JsonRpc, Messages};
use mynah_codec::dialect::native::Frames;
use mynah_protocol::{Envelope, Inbound, Limits, Receipt, WireId};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// What the parts of a server share.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) options: RedisOptions,
    pub(super) connector: Connector,
    pub(super) keys: Keys,
    pub(super) instance: String,
    /// The services, in the order of the offer.
    pub(super) desks: OnceLock<Box<[Desk]>>,
    pub(super) limits: OnceLock<Limits>,
    pub(super) messages: Messages,
    pub(super) frames: PerCoding<Frames>,
    /// Who it is to readers of topics: another each time.
    pub(super) publisher: String,
    pub(super) sessions: Sessions,
    pub(super) outbox: Outbox,
    remotes: Mutex<Remotes>,
    /// Nothing is fetched any more.
    stopping: AtomicBool,
    /// Rung when it stops.
    stopped: Notify,
    /// Redis does not take what was left when it stopped.
    given_up: AtomicBool,
    has_ended: AtomicBool,
    /// Rung when everything is left in order.
    ended: Notify,
    /// Tasks that may still fetch.
    fetching: AtomicUsize,
    /// Rung when one of them has ended.
    fetched: Notify,
    /// When it was made. The clock of the machine may be set while calls run; this goes on.
    made: Instant,
    /// The time at Redis then, in milliseconds.
    redis_ms_then: AtomicU64,
    /// What of this server is still to be seen in Redis. Held by whoever writes there that it is alive, or that it is not.
    pub(super) standing: tokio::sync::Mutex<Standing>,
    /// The last entry of the inbox that was heard.
    heard: Mutex<EntryId>,
    /// Calls that are taken out of the inbox now, each with the stream of answers of its client: none of them has begun.
    claiming: Mutex<Vec<(Arc<str>, u64)>>,
}

/// What of a server is to be seen in Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// All of it.
    Serves,
    /// Its inbox is gone.
    Leaves,
    /// Nothing.
    Gone,
}

/// Who calls.
#[derive(Debug, Default)]
struct Remotes {
    /// By the format of their calls and the name of their instance; under no name those who want no answers.
    known: PerCoding<HashMap<Box<str>, Arc<Remote>>>,
    /// To be accepted.
    arrived: VecDeque<RedisRemote>,
    acceptor: Option<Waker>,
    unwanted: Unwanted,
}

impl Core {
    pub(super) fn new(
        options: RedisOptions,
        connector: Connector,
        keys: Keys,
        instance: String,
    ) -> Self {
        let options_block = options.block;
        Self {
            options,
            connector,
            keys,
            instance,
            desks: OnceLock::new(),
            limits: OnceLock::new(),
            messages: Messages::new(JsonRpc::clamator(), &Limits::default()),
            frames: PerCoding::frames(&Limits::default()),
            publisher: crate::random::uuid(),
            sessions: Sessions::new(options_block),
            outbox: Outbox::default(),
            remotes: Mutex::default(),
            stopping: AtomicBool::new(false),
            stopped: Notify::new(),
            given_up: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            ended: Notify::new(),
            fetching: AtomicUsize::new(0),
            fetched: Notify::new(),
            made: Instant::now(),
            redis_ms_then: AtomicU64::new(0),
            standing: tokio::sync::Mutex::new(Standing::Serves),
            heard: Mutex::default(),
            claiming: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Remotes> {
        self.remotes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn desks(&self) -> &[Desk] {
        self.desks.get().map_or(&[], |desks| desks)
    }

    /// The format of messages that are published.
    pub(super) fn publishes_in(&self) -> Coding {
        Coding::of(self.options.format).unwrap_or_default()
    }

    /// The limits of connections.
    pub(super) fn limits(&self) -> Limits {
        self.limits.get().cloned().unwrap_or_default()
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Fetches nothing any more.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.stopped.notify_waiters();
    }

    /// Waits until it is told to stop.
    pub(super) async fn wait_for_stop(&self) {
        loop {
            let stopped = self.stopped.notified();
            if self.is_stopping() {
                return;
            }
            stopped.await;
        }
    }

    /// A task begins to fetch. It counts until what comes back is dropped.
    pub(super) fn begin_to_fetch(self: &Arc<Self>) -> Fetching {
        self.fetching.fetch_add(1, Ordering::AcqRel);
        Fetching(Arc::clone(self))
    }

    pub(super) fn fetches(&self) -> bool {
        self.fetching.load(Ordering::Acquire) > 0
    }

    /// Waits until nothing is fetched any more.
    pub(super) async fn wait_for_fetchers(&self) {
        loop {
            let fetched = self.fetched.notified();
            if !self.fetches() {
                return;
            }
            fetched.await;
        }
    }

    /// Learns the time at Redis from an answer that has just come. Redis is further by now, so what is reckoned from it is
    /// never ahead, and no call counts as late that is not.
    pub(super) fn set_clock(&self, redis_ms: u64) {
        let then = redis_ms.saturating_sub(self.age_ms());
        self.redis_ms_then.store(then, Ordering::Relaxed);
    }

    /// The time at Redis, in milliseconds.
    pub(super) fn redis_ms(&self) -> u64 {
        let then = self.redis_ms_then.load(Ordering::Relaxed);
        then.saturating_add(self.age_ms())
    }

    /// The inbox was heard up to this entry.
    pub(super) fn set_heard(&self, last: EntryId) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = last;
    }

    /// Up to which entry the inbox was heard.
    pub(super) fn heard(&self) -> EntryId {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers the calls that are taken out of the inbox now, and says which were before.
    pub(super) fn set_claiming(&self, calls: Vec<(Arc<str>, u64)>) -> Vec<(Arc<str>, u64)> {
        let mut claiming = self.claiming.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut claiming, calls)
    }

    fn age_ms(&self) -> u64 {
        u64::try_from(self.made.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Hands an entry to the connection of who sent it, unless it is not wanted any more. `instance`: empty for those who
    /// want no answer.
    pub(super) fn deliver(
        self: &Arc<Self>,
        instance: &str,
        envelope: Envelope<'static>,
        place: Place,
        attempt: u32,
        sealing: Option<Sealing>,
        manner: Manner,
    ) {
        let call = match &envelope {
            Envelope::Request(request) => request.id.clone(),
            _ => WireId::Null,
        };
        let mut remotes = self.lock();
        // Here and not before: a cancel that is heard meanwhile is looked for under the same lock.
        if let WireId::Uint(number) = call
            && remotes.unwanted.has(instance, number)
        {
            drop(remotes);
            self.outbox.push(Step::Done(place));
            return;
        }
        let known = remotes.known.of(manner.coding).get(instance);
        let known = known.filter(|remote| remote.is_open()).map(Arc::clone);
        if known.is_none() && self.is_stopping() {
            // Nobody accepts it any more. It has not begun, so this delivery does not count.
            drop(remotes);
            self.outbox.push(Step::Release {
                place,
                attempts: attempt.saturating_sub(1),
            });
            return;
        }
        let inbound = |remote: &Arc<Remote>| {
            if let Some(sealing) = sealing {
                remote.seal(call.clone(), sealing);
            }
            let delivery = Delivery::new(self, remote, place, attempt, call);
            Inbound {
                envelope,
                receipt: Some(Receipt::delivered(delivery, attempt)),
            }
        };
        let waker = match known {
            Some(remote) => remote.deliver(inbound(&remote)),
            None => {
                let remote = Arc::new(Remote::new(instance, manner));
                drop(remote.deliver(inbound(&remote)));
                let known = remotes.known.of_mut(manner.coding);
                known.insert(instance.into(), Arc::clone(&remote));
                let accepted = ClientRemote::new(Arc::clone(self), remote);
                remotes.arrived.push_back(RedisRemote::client(accepted));
                remotes.acceptor.take()
            }
        };
        drop(remotes);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Has a connection accepted.
    pub(super) fn accept(&self, remote: RedisRemote) {
        let mut remotes = self.lock();
        remotes.arrived.push_back(remote);
        let acceptor = remotes.acceptor.take();
        drop(remotes);
        if let Some(acceptor) = acceptor {
            acceptor.wake();
        }
    }

    /// A client does not want a call any more.
    pub(super) fn cancel(&self, instance: &str, call: u64) {
        let mut remotes = self.lock();
        let told = remotes
            .called(instance)
            .find_map(|remote| remote.cancel(call));
        if told.is_none() {
            // It may come yet, or somebody else has it.
            remotes.unwanted.add(instance, call);
        }
        drop(remotes);
        if let Some(Some(waker)) = told {
            waker.wake();
        }
    }

    /// Whether a call was cancelled before it came.
    pub(super) fn is_unwanted(&self, instance: &str, id: &WireId) -> bool {
        match id {
            WireId::Uint(call) => self.lock().unwanted.has(instance, *call),
            _ => false,
        }
    }

    /// A connection has ended.
    pub(super) fn forget(&self, gone: &Arc<Remote>) {
        let mut remotes = self.lock();
        let known = remotes.known.of_mut(gone.manner().coding);
        let same = |known: &Arc<Remote>| Arc::ptr_eq(known, gone);
        if known.get(gone.instance()).is_some_and(same) {
            known.remove(gone.instance());
        }
    }

    /// Whether half as many clients are known as may be connected.
    pub(super) fn is_crowded(&self) -> bool {
        let most = self
            .limits
            .get()
            .map_or(usize::MAX, |limits| limits.connections);
        let known: usize = self.lock().known.each().map(HashMap::len).sum();
        known >= most / 2
    }

    /// Ends connections that have said nothing for so long.
    pub(super) fn end_quiet(&self, after: Duration) {
        let now = Instant::now();
        let remotes = self.lock();
        let quiet: Vec<_> = (remotes.known.each().flat_map(HashMap::values))
            .filter(|remote| remote.is_quiet(now, after))
            .map(Arc::clone)
            .collect();
        drop(remotes);
        for remote in quiet {
            // Under the lock nothing new is delivered to it.
            let mut remotes = self.lock();
            let ended = remote.is_quiet(now, after).then(|| {
                let known = remotes.known.of_mut(remote.manner().coding);
                known.remove(remote.instance());
                remote.end()
            });
            drop(remotes);
            if let Some(Some(waker)) = ended {
                waker.wake();
            }
        }
    }

    pub(super) fn poll_arrived(&self, cx: &Context<'_>) -> Poll<RedisRemote> {
        let mut remotes = self.lock();
        if let Some(arrived) = remotes.arrived.pop_front() {
            return Poll::Ready(arrived);
        }
        remotes.acceptor = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Those that nobody accepts any more.
    pub(super) fn take_arrived(&self) -> VecDeque<RedisRemote> {
        std::mem::take(&mut self.lock().arrived)
    }

    /// Waits until nothing runs and nothing is to be written, or Redis does not take it.
    pub(super) async fn wait_until_settled(&self) {
        loop {
            let emptied = self.outbox.emptied.notified();
            let idle = self.desks().iter().all(Desk::is_idle);
            if idle && self.outbox.is_empty() || self.given_up.load(Ordering::Acquire) {
                return;
            }
            emptied.await;
        }
    }

    /// Redis does not take what is left.
    pub(super) fn give_up(&self) {
        self.given_up.store(true, Ordering::Release);
        self.outbox.emptied.notify_waiters();
    }

    /// Everything is left in order.
    pub(super) fn set_ended(&self) {
        self.has_ended.store(true, Ordering::Release);
        self.ended.notify_waiters();
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    /// Waits until everything is left in order.
    pub(super) async fn wait_for_end(&self) {
        loop {
            let ended = self.ended.notified();
            if self.has_ended.load(Ordering::Acquire) {
                return;
            }
            ended.await;
        }
    }
}

impl Remotes {
    /// What is called by this name, in any format.
    fn called(&self, instance: &str) -> impl Iterator<Item = &Arc<Remote>> {
        self.known
            .each()
            .filter_map(move |known| known.get(instance))
    }
}

/// A task that fetches.
pub(super) struct Fetching(Arc<Core>);

impl Drop for Fetching {
    fn drop(&mut self) {
        self.0.fetching.fetch_sub(1, Ordering::AcqRel);
        self.0.fetched.notify_waiters();
    }
}
