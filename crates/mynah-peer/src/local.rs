//! Calls within one process: no wire, typed values passed as they are, the handler polled where the
//! call is awaited.

mod observed;
mod stream;

pub(crate) use stream::LocalStream;

use crate::call::{Attachments, Call, SideEffects};
use crate::context::Context;
use crate::driver::drive_bytes;
use crate::error::{CallError, DomainError};
use crate::events::{Events, Lag, Near, Origin, Queue};
use crate::handler::{TypedMethod, TypedRunning, panicked};
use crate::intercept::{CallKind, Observed};
use crate::link::{Link, LinkConfig, Out};
use crate::method::Target;
use crate::metrics;
use crate::peer::{DEFAULT_TIMEOUT, Peer, PeerBuilder};
use crate::router::Router;
use mynah_codec::Side;
use mynah_codec::dialect::native::Native;
use mynah_codec::{Dialect as _, Format};
use mynah_connection::CloseReason;
use mynah_protocol::{EndReason, Evidence, EvidenceKey, Limits, Metadata, MethodName, Moment};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::fmt;
use std::future::IntoFuture as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError, Weak};
use std::task::{self, Poll, Waker};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep};

/// A router that is called from the same process.
pub struct LocalServer {
    router: Arc<Router>,
    limits: Limits,
    evidence: Evidence,
    in_flight: AtomicUsize,
    draining: AtomicBool,
    /// Subscriptions of callers in this process.
    subscriptions: Mutex<Vec<Weak<Queue>>>,
    /// Where calls go whose types are not the ones of the handler: over a wire, in memory.
    encoded: Mutex<Option<Peer>>,
}

impl fmt::Debug for LocalServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalServer")
            .field("router", &self.router)
            .finish_non_exhaustive()
    }
}

/// A caller's view of a [`LocalServer`].
#[derive(Debug)]
pub struct InProcess {
    server: Arc<LocalServer>,
    /// What the handlers reach through `cx.peer()`.
    caller: Option<Arc<LocalServer>>,
    pub(crate) default_timeout: Option<Duration>,
    /// The route that was found last: the next call is often to the same method.
    last_route: AtomicUsize,
}

const USED_UP: &str = "a call was started twice";

static NAMES: LazyLock<Mutex<HashMap<String, Weak<LocalServer>>>> = LazyLock::new(Mutex::default);

impl LocalServer {
    pub(crate) fn new(router: Arc<Router>, limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            router,
            limits,
            evidence: Evidence::new().with(EvidenceKey::TRANSPORT, "memory"),
            in_flight: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            subscriptions: Mutex::default(),
            encoded: Mutex::new(None),
        })
    }

    pub(crate) const fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// Makes it known under a name. `false` when the name is taken by a living server.
    pub(crate) fn publish(self: &Arc<Self>, name: &str) -> bool {
        let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
        names.retain(|_, server| server.strong_count() > 0);
        if names.contains_key(name) {
            return false;
        }
        names.insert(name.to_owned(), Arc::downgrade(self));
        true
    }

    pub(crate) fn unpublish(self: &Arc<Self>, name: &str) {
        let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
        if names
            .get(name)
            .is_some_and(|known| known.as_ptr() == Arc::as_ptr(self))
        {
            names.remove(name);
        }
    }

    /// The server of a name.
    pub(crate) fn named(name: &str) -> Option<Arc<Self>> {
        NAMES
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)?
            .upgrade()
    }

    /// The events that it publishes.
    pub(crate) fn events(&self) -> &Events {
        self.router.events()
    }

    /// Takes no new calls, and ends what has no end of its own. Returns how many subscriptions that were.
    pub(crate) fn start_drain(&self) -> usize {
        self.draining.store(true, Ordering::SeqCst);
        self.end_subscriptions(&EndReason::Draining)
    }

    /// Takes no new calls; nothing is published to anybody any more.
    pub(crate) fn stop(&self) {
        self.draining.store(true, Ordering::SeqCst);
        self.end_subscriptions(&EndReason::PeerGone);
    }

    fn keep_subscription(&self, queue: &Arc<Queue>) {
        let mut subscriptions = self
            .subscriptions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        subscriptions.retain(|known| known.strong_count() > 0);
        subscriptions.push(Arc::downgrade(queue));
        drop(subscriptions);
        // A drain that began meanwhile may not have seen it.
        if self.draining.load(Ordering::SeqCst) {
            self.end_subscriptions(&EndReason::Draining);
        }
    }

    /// Ends the subscriptions of this process. Returns how many there were.
    pub(crate) fn end_subscriptions(&self, reason: &EndReason) -> usize {
        let subscriptions = std::mem::take(
            &mut *self
                .subscriptions
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        let mut ended = 0;
        for queue in subscriptions.iter().filter_map(Weak::upgrade) {
            ended += usize::from(!queue.is_closed());
            if let Some(waker) = queue.close(reason.clone()) {
                waker.wake();
            }
        }
        ended
    }

    /// Calls that run.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }

    /// A connection of its own in memory, for calls that must be encoded.
    fn encoded(self: &Arc<Self>) -> Peer {
        let mut encoded = self.encoded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(peer) = &*encoded
            && !peer.is_closed()
        {
            return peer.clone();
        }
        let (near, far) = tokio::io::duplex(64 << 10);
        let wire = Native::new().wire(Side::Accept, &self.limits);
        let config = LinkConfig {
            limits: self.limits.clone(),
            router: Arc::clone(&self.router),
            evidence: self.evidence.clone(),
            default_timeout: None,
            listeners: Arc::default(),
        };
        let link = Link::new(Out::wire(wire), config);
        // The server's own handle: one that a handler drops must not be the last.
        link.add_handle();
        tokio::spawn(drive_bytes(far, None, link));
        let peer = PeerBuilder::over(near, &Native::new()).start_unchecked();
        *encoded = Some(peer.clone());
        peer
    }
}

impl InProcess {
    pub(crate) const fn new(server: Arc<LocalServer>, caller: Option<Arc<LocalServer>>) -> Self {
        Self {
            server,
            caller,
            default_timeout: None,
            last_route: AtomicUsize::new(usize::MAX),
        }
    }

    pub(crate) fn server(&self) -> &Arc<LocalServer> {
        &self.server
    }

    /// Starts a call: typed if the handler has the same types, over memory otherwise. The params are left where they
    /// are when there is no permit.
    pub(crate) fn start<P, T, E>(
        &self,
        name: MethodName<'_>,
        params: &mut Option<P>,
        timeout: Option<Duration>,
        metadata: Metadata,
        (listens, notified): (bool, bool),
        attachments: Attachments,
    ) -> Result<TypedCall<T, E>, CallError<E>>
    where
        P: Serialize + Send + 'static,
        T: DeserializeOwned + Send + 'static,
        E: DomainError,
    {
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(CallError::Deadline);
        }
        let timeout = self.capped(timeout);
        let Some((route, typed)) = self.find::<Arc<dyn TypedMethod<P, T, E>>>(&name) else {
            if self.server.draining.load(Ordering::Acquire) {
                return Err(CallError::Disconnected(CloseReason::Drained));
            }
            // An unknown method, or one of other types: the wire finds the words.
            let params = params.take().ok_or(CallError::Misuse(USED_UP))?;
            let target = Target::named(&*name.service, &*name.method);
            let mut call = Call::<P, T, E, Peer>::to(self.server.encoded(), target, params);
            call.attachments = attachments;
            call = match timeout {
                Some(timeout) => call.deadline(timeout),
                None => call.no_deadline(),
            };
            for (name, value) in metadata.iter() {
                call = call.metadata(name, value);
            }
            return Ok(TypedCall {
                stage: TypedStage::Encoded(Box::pin(call.into_future())),
            });
        };
        self.take_permit()?;
        let params = params.take().ok_or(CallError::Misuse(USED_UP))?;
        let observed = if self.server.router.observes() {
            let kind = if notified {
                CallKind::Notification
            } else {
                CallKind::Unary
            };
            self.observe(route, kind, &metadata)
        } else {
            None
        };
        let local = self.local_call(timeout, listens, observed);
        let context = Context::local(Arc::clone(&local), Moment::NEVER, metadata);
        if local.observed.is_some() {
            let (cell, gate) = observed::start(typed, &local, context, params)?;
            let stage = TypedStage::Typed {
                cell,
                gate,
                route,
                call: local,
                sleep: None,
            };
            return Ok(TypedCall { stage });
        }
        // Starting runs no code of the user but the handler's own first lines at its first poll.
        let started = catch_unwind(AssertUnwindSafe(|| typed.start(context, params)));
        let cell = match started {
            Ok(cell) => cell,
            Err(payload) => {
                local.end();
                return Err(CallError::Remote(*panicked(&*payload)));
            }
        };
        let stage = TypedStage::Typed {
            cell: Some(cell),
            gate: None,
            route,
            call: local,
            sleep: None,
        };
        Ok(TypedCall { stage })
    }

    /// Starts a notification; its handler is polled once here and goes on in a task if need be.
    pub(crate) fn notify<P>(
        &self,
        name: MethodName<'_>,
        params: P,
        metadata: Metadata,
    ) -> Result<(), CallError>
    where
        P: Serialize + Send + 'static,
    {
        let none = Attachments::new();
        let mut call = self.start::<P, (), std::convert::Infallible>(
            name,
            &mut Some(params),
            None,
            metadata,
            (false, true),
            none,
        )?;
        let mut cx = task::Context::from_waker(Waker::noop());
        if call.poll(&mut cx, None).is_pending() {
            tokio::spawn(async move {
                // Nobody waits for the outcome of a notification.
                drop(std::future::poll_fn(|cx| call.poll(cx, None)).await);
            });
        }
        Ok(())
    }

    /// What the handlers' `cx.peer()` hears from this side.
    pub(crate) fn events(&self) -> Events {
        match &self.caller {
            Some(caller) => caller.events().clone(),
            None => Events::new(),
        }
    }

    /// Subscribes to a topic of the server.
    pub(crate) fn subscribe(
        &self,
        topic: &str,
        lag: Option<Lag>,
        capacity: Option<u64>,
    ) -> Result<Near, CallError> {
        let server = &self.server;
        let max_bytes = server.limits.output_high_water_bytes;
        let events = server.events();
        let queue = events
            .subscribe(topic, lag, capacity, Format::Cbor, max_bytes)
            .map_err(CallError::Misuse)?;
        server.keep_subscription(&queue);
        Ok(Near {
            topic: topic.into(),
            queue,
            origin: Origin::Hub(events.clone(), server.limits.decode),
            observed: Vec::new(),
        })
    }

    /// The time for a call, no longer than the server allows.
    fn capped(&self, timeout: Option<Duration>) -> Option<Duration> {
        match (timeout, self.server.limits.max_deadline) {
            (Some(asked), Some(cap)) => Some(asked.min(cap)),
            (one, other) => one.or(other),
        }
    }

    /// A method of the given types, and its route.
    fn find<M: 'static>(&self, name: &MethodName<'_>) -> Option<(usize, &M)> {
        let router = &self.server.router;
        let index = router.find(name, self.last_route.load(Ordering::Relaxed))?;
        self.last_route.store(index, Ordering::Relaxed);
        let typed = router.route(index)?.typed.downcast_ref::<M>()?;
        Some((index, typed))
    }

    fn local_call(
        &self,
        timeout: Option<Duration>,
        listens: bool,
        observed: Option<Arc<Observed>>,
    ) -> Arc<LocalCall> {
        Arc::new(LocalCall {
            server: Arc::clone(&self.server),
            caller: self.caller.clone(),
            timeout,
            deadline: OnceLock::new(),
            over: AtomicBool::new(false),
            ended: OnceLock::new(),
            sides: listens.then(|| Mutex::new(LocalSides::default())),
            observed,
        })
    }

    fn take_permit<E>(&self) -> Result<(), CallError<E>> {
        let limit = usize::try_from(self.server.limits.calls_in_flight).unwrap_or(usize::MAX);
        if self.server.in_flight.fetch_add(1, Ordering::SeqCst) >= limit {
            self.server.in_flight.fetch_sub(1, Ordering::AcqRel);
            metrics::busy(1);
            return Err(CallError::Busy { retry_after: None });
        }
        // A drain that began meanwhile may have counted without this one.
        if self.server.draining.load(Ordering::SeqCst) {
            self.server.in_flight.fetch_sub(1, Ordering::AcqRel);
            return Err(CallError::Disconnected(CloseReason::Drained));
        }
        Ok(())
    }
}

/// A call within the process.
pub(crate) struct TypedCall<T, E> {
    stage: TypedStage<T, E>,
}

enum TypedStage<T, E> {
    Typed {
        cell: Option<Box<dyn TypedRunning<T, E>>>,
        /// Until an interceptor has let it pass.
        gate: Option<observed::Waiting<T, E>>,
        /// The index of its method, which takes the cell back.
        route: usize,
        call: Arc<LocalCall>,
        sleep: Option<Pin<Box<Sleep>>>,
    },
    /// It was started and not awaited at once: it runs in a task, and stops with this.
    Spawned {
        task: JoinHandle<Result<T, CallError<E>>>,
        call: Arc<LocalCall>,
    },
    /// It was started, and ended at its first poll.
    Ended {
        outcome: Option<Result<T, CallError<E>>>,
        call: Arc<LocalCall>,
    },
    Encoded(Pin<Box<dyn Future<Output = Result<T, CallError<E>>> + Send>>),
}

impl<T: Send + 'static, E: Send + 'static> TypedCall<T, E> {
    /// Polls the handler once, and lets it run by itself if that is not enough.
    pub(crate) fn start(self) -> Self {
        let mut this = self;
        let mut cx = task::Context::from_waker(Waker::noop());
        let call = match &this.stage {
            TypedStage::Typed { call, .. } => Some(Arc::clone(call)),
            TypedStage::Encoded(_) => None,
            TypedStage::Spawned { .. } | TypedStage::Ended { .. } => return this,
        };
        let mut sides = SideEffects::default();
        let stage = match (this.poll(&mut cx, Some(&mut sides)), call) {
            (Poll::Ready(outcome), Some(call)) => {
                call.push_back(sides);
                TypedStage::Ended {
                    outcome: Some(outcome),
                    call,
                }
            }
            (Poll::Ready(outcome), None) => {
                TypedStage::Encoded(Box::pin(std::future::ready(outcome)))
            }
            (Poll::Pending, None) => return this,
            (Poll::Pending, Some(call)) => {
                call.push_back(sides);
                let task =
                    tokio::spawn(
                        async move { std::future::poll_fn(|cx| this.poll(cx, None)).await },
                    );
                TypedStage::Spawned { task, call }
            }
        };
        Self { stage }
    }
}

impl<T, E> TypedCall<T, E> {
    #[inline]
    pub(crate) fn poll(
        &mut self,
        cx: &mut task::Context<'_>,
        sides: Option<&mut SideEffects>,
    ) -> Poll<Result<T, CallError<E>>> {
        let (cell, call, sleep) = match &mut self.stage {
            TypedStage::Encoded(future) => return future.as_mut().poll(cx),
            TypedStage::Spawned { task, call } => {
                let polled = Pin::new(task).poll(cx);
                call.hand_over(sides, cx.waker());
                let joined = task::ready!(polled);
                return Poll::Ready(joined.unwrap_or_else(|_stopped| {
                    Err(CallError::Cancelled(mynah_protocol::By::Callee))
                }));
            }
            TypedStage::Ended { outcome, call } => {
                call.hand_over(sides, cx.waker());
                return outcome.take().map_or(Poll::Pending, Poll::Ready);
            }
            TypedStage::Typed {
                cell,
                gate,
                call,
                sleep,
                ..
            } => {
                if let Some(waiting) = gate {
                    match task::ready!(observed::poll_gate(waiting, call, sleep, cx)) {
                        Ok(started) => {
                            *gate = None;
                            *cell = Some(started);
                        }
                        Err(error) => {
                            *gate = None;
                            self.end();
                            return Poll::Ready(Err(error));
                        }
                    }
                }
                (cell, call, sleep)
            }
        };
        let Some(running) = cell else {
            return Poll::Pending;
        };
        let polled = catch_unwind(AssertUnwindSafe(|| running.poll_typed(cx)));
        call.hand_over(sides, cx.waker());
        let outcome = match polled {
            Ok(Poll::Ready(Ok(value))) => Ok(value),
            Ok(Poll::Ready(Err(error))) => Err(CallError::Application(error)),
            Err(payload) => {
                // The future may be in any state: its cell is not used again.
                drop(catch_unwind(AssertUnwindSafe(|| drop(cell.take()))));
                Err(CallError::Remote(*panicked(&*payload)))
            }
            Ok(Poll::Pending) => {
                if let Some(error) = call.poll_stop(cx) {
                    Err(error)
                } else {
                    let Some(deadline) = call.deadline() else {
                        return Poll::Pending;
                    };
                    let sleep =
                        sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
                    task::ready!(sleep.as_mut().poll(cx));
                    Err(CallError::Deadline)
                }
            }
        };
        if let Some(observed) = &call.observed {
            observed.ended_locally(outcome.as_ref().err());
        }
        self.end();
        Poll::Ready(outcome)
    }

    fn end(&mut self) {
        match &mut self.stage {
            TypedStage::Typed {
                cell, call, route, ..
            } => {
                call.end();
                let Some(cell) = cell.take() else { return };
                let method = call.server.router.route(*route);
                let given_back = catch_unwind(AssertUnwindSafe(|| match method {
                    Some(method) => method.handler.recycle(cell.into_any_typed()),
                    None => drop(cell),
                }));
                if let Err(payload) = given_back {
                    // Dropping the handler panicked: that is the callee's, and not for the caller to die of.
                    panicked(&*payload);
                }
            }
            TypedStage::Spawned { task, .. } => task.abort(),
            TypedStage::Encoded(_) | TypedStage::Ended { .. } => {}
        }
    }
}

impl<T, E> Drop for TypedCall<T, E> {
    fn drop(&mut self) {
        self.end();
    }
}

/// What a handler's context knows of a call within the process.
pub(crate) struct LocalCall {
    server: Arc<LocalServer>,
    caller: Option<Arc<LocalServer>>,
    timeout: Option<Duration>,
    /// Set by whoever asks first: at the latest when the handler is not ready at its first poll, so a handler
    /// that is ready at once costs no look at the clock.
    deadline: OnceLock<Option<Instant>>,
    over: AtomicBool,
    /// Made by the first who waits for the end.
    ended: OnceLock<Notify>,
    /// Present when the caller listens.
    sides: Option<Mutex<LocalSides>>,
    /// Present when somebody looks at the call.
    pub(super) observed: Option<Arc<Observed>>,
}

#[derive(Default)]
struct LocalSides {
    waiting: SideEffects,
    caller: Option<Waker>,
}

impl LocalSides {
    fn hand_over(&mut self, sides: &mut SideEffects, waker: &Waker) {
        sides.queue.append(&mut self.waiting.queue);
        sides.dropped += std::mem::take(&mut self.waiting.dropped);
        if !self
            .caller
            .as_ref()
            .is_some_and(|known| known.will_wake(waker))
        {
            self.caller = Some(waker.clone());
        }
    }
}

impl LocalCall {
    pub(crate) fn evidence(&self) -> &Evidence {
        &self.server.evidence
    }

    /// The events that the server publishes.
    pub(crate) fn events(&self) -> Events {
        self.server.router.events().clone()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let timeout = self.timeout?;
        *self
            .deadline
            .get_or_init(|| Instant::now().checked_add(timeout))
    }

    /// The side that called, to call it back; one without services when it has none.
    pub(crate) fn caller(&self) -> Peer {
        let caller = self.caller.clone().unwrap_or_else(|| {
            LocalServer::new(Arc::new(Router::new()), self.server.limits.clone())
        });
        let mut local = InProcess::new(caller, Some(Arc::clone(&self.server)));
        local.default_timeout = Some(DEFAULT_TIMEOUT);
        Peer::in_process(local)
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    pub(crate) async fn cancelled(&self) {
        let ended = self.ended.get_or_init(Notify::new);
        let waiting = ended.notified();
        if !self.is_cancelled() {
            waiting.await;
        }
    }

    /// Ends the call, once: its permit comes home.
    fn end(&self) {
        // Only the one owner of the call comes here, so a look and a step are as good as one.
        if self.over.load(Ordering::Acquire) {
            return;
        }
        self.over.store(true, Ordering::Release);
        self.server.in_flight.fetch_sub(1, Ordering::AcqRel);
        if let Some(ended) = self.ended.get() {
            ended.notify_waiters();
        }
        if let Some(observed) = &self.observed {
            observed.report();
        }
    }

    pub(crate) fn progress<T, N>(&self, value: &T, note: Option<&N>)
    where
        T: Serialize + ?Sized,
        N: Serialize + ?Sized,
    {
        if self.sides.is_none() {
            return;
        }
        let mut encoded = Vec::new();
        if Format::Cbor.encode(value, &mut encoded).is_err() {
            return;
        }
        let note = note.map(|note| {
            let mut encoded = Vec::new();
            Format::Cbor.encode(note, &mut encoded).map(|()| encoded)
        });
        self.push(|sides| sides.push_progress(encoded, note.and_then(Result::ok)));
    }

    pub(crate) fn log<T: Serialize + ?Sized>(&self, level: i64, content: &T) {
        if self.sides.is_none() {
            return;
        }
        let mut encoded = Vec::new();
        if Format::Cbor.encode(content, &mut encoded).is_ok() {
            self.push(|sides| sides.push_log(level, encoded));
        }
    }

    #[inline]
    fn hand_over(&self, sides: Option<&mut SideEffects>, waker: &Waker) {
        if let (Some(waiting), Some(sides)) = (&self.sides, sides) {
            waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .hand_over(sides, waker);
        }
    }

    /// Gives back what was taken too early, ahead of what came since.
    fn push_back(&self, mut sides: SideEffects) {
        if let Some(waiting) = &self.sides {
            let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
            sides.queue.append(&mut waiting.waiting.queue);
            waiting.waiting.queue = sides.queue;
            waiting.waiting.dropped += sides.dropped;
        }
    }

    fn push(&self, add: impl FnOnce(&mut SideEffects)) {
        let Some(sides) = &self.sides else { return };
        if self.is_cancelled() {
            return;
        }
        let mut sides = sides.lock().unwrap_or_else(PoisonError::into_inner);
        add(&mut sides.waiting);
        while sides.waiting.queue.len() > self.server.limits.side_messages {
            sides.waiting.queue.pop_front();
            sides.waiting.dropped += 1;
        }
        let waker = sides.caller.take();
        drop(sides);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
