//! Calls within one process: no wire, typed values passed as they are, the handler polled where the
//! call is awaited.

mod call;
mod observed;
mod server;
mod stream;
mod typed;

pub(crate) use call::LocalCall;
pub use server::LocalServer;
pub(crate) use stream::LocalStream;
pub(crate) use typed::TypedCall;

use crate::call::{Attachments, Call, Notify};
use crate::context::Context;
use crate::error::{CallError, DomainError};
use crate::events::{Events, Holder, Lag, Lease, Near, Origin};
use crate::handler::{TypedMethod, panicked};
use crate::intercept::{CallKind, Name, Observed};
use crate::method::Target;
use crate::metrics::{self, Dropped};
use crate::params::Params;
use crate::peer::Peer;
use crate::router::{Route, Router};
use crate::states::States;
use call::Over;
use mynah_codec::Format;
use mynah_connection::CloseReason;
use mynah_protocol::{Metadata, MethodName, Moment};
use serde::de::DeserializeOwned;
use std::convert::Infallible;
use std::fmt;
use std::future::IntoFuture as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{self, Poll, Waker};
use std::time::Duration;
use typed::{Heard, TypedStage};

/// A caller's view of a [`LocalServer`].
#[derive(Debug)]
pub struct InProcess {
    ends: Arc<Ends>,
    pub(crate) default_timeout: Option<Duration>,
    /// The route that was found last: the next call is often to the same method.
    last_route: AtomicUsize,
    /// Subscriptions that are open through it.
    subscriptions: Arc<AtomicUsize>,
}

/// The two ends of calls through one [`InProcess`]: what a connection is elsewhere.
pub(crate) struct Ends {
    pub(crate) server: Arc<LocalServer>,
    /// What the handlers reach through `cx.peer()`.
    pub(crate) caller: Option<Arc<LocalServer>>,
    /// What handlers keep for the connection: those of one side, and those of the other.
    states: Arc<[States; 2]>,
    /// Which of the two is that of `server`.
    side: usize,
}

impl Ends {
    /// What the handlers of `server` keep.
    pub(crate) fn states(&self) -> &States {
        let [one, other] = &*self.states;
        if self.side == 0 { one } else { other }
    }

    /// The other way: for calls to this server.
    pub(crate) fn back(&self, caller: Arc<LocalServer>) -> Self {
        Self {
            server: caller,
            caller: Some(Arc::clone(&self.server)),
            states: Arc::clone(&self.states),
            side: 1 - self.side,
        }
    }
}

impl fmt::Debug for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ends").field(&self.server).finish()
    }
}

/// A method of the types that a call has.
enum Found<'a, M> {
    Route(usize, &'a M),
    /// One that was added since the start.
    Added(Arc<Route>, M),
}

impl<M> Found<'_, M> {
    const fn typed(&self) -> &M {
        match self {
            Self::Route(_, typed) => typed,
            Self::Added(_, typed) => typed,
        }
    }

    const fn index(&self) -> usize {
        match self {
            Self::Route(index, _) => *index,
            Self::Added(..) => usize::MAX,
        }
    }

    fn name(&self, router: &Arc<Router>) -> Name {
        match self {
            Self::Route(index, _) => Name::Route(Arc::clone(router), *index),
            Self::Added(route, _) => Name::Named(route.service.clone(), route.method.clone()),
        }
    }
}

/// The params of a call that begins now.
fn owned<P: Params, E>(params: &mut Option<P>) -> Result<P::Owned, CallError<E>> {
    const USED_UP: &str = "a call was started twice";
    let params = params.take().ok_or(CallError::Misuse(USED_UP))?;
    params.into_owned().map_err(CallError::Encode)
}

impl InProcess {
    pub(crate) fn new(server: Arc<LocalServer>, caller: Option<Arc<LocalServer>>) -> Self {
        Self::between(Ends {
            server,
            caller,
            states: Arc::default(),
            side: 0,
        })
    }

    pub(crate) fn between(ends: Ends) -> Self {
        Self {
            ends: Arc::new(ends),
            default_timeout: None,
            last_route: AtomicUsize::new(usize::MAX),
            subscriptions: Arc::default(),
        }
    }

    pub(crate) fn server(&self) -> &Arc<LocalServer> {
        &self.ends.server
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
        P: Params,
        T: DeserializeOwned + Send + 'static,
        E: DomainError,
    {
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(CallError::Deadline);
        }
        let timeout = self.capped(timeout);
        let attached = !attachments.is_empty();
        let Some(found) = self.find::<Arc<dyn TypedMethod<P::Owned, T, E>>>(&name, attached) else {
            if self.ends.server.draining.load(Ordering::Acquire) {
                return Err(CallError::Disconnected(CloseReason::Drained));
            }
            // An unknown method, or one of other types: the wire finds the words.
            let params = owned(params)?;
            let target = Target::owned(&name);
            let mut call = Call::<P::Owned, T, E, Peer>::to(self.encoded(), target, params);
            call.attachments = attachments;
            let heard = listens.then(Heard::default);
            call.listeners = heard.as_ref().map(Heard::listeners);
            call = match timeout {
                Some(timeout) => call.deadline(timeout),
                None => call.no_deadline(),
            };
            for (name, value) in metadata.iter() {
                call = call.metadata(name, value);
            }
            return Ok(TypedCall {
                stage: TypedStage::Encoded {
                    future: Box::pin(call.into_future()),
                    heard,
                },
            });
        };
        self.take_permit()?;
        let params = match owned(params) {
            Ok(params) => params,
            Err(error) => {
                self.ends.server.in_flight.fetch_sub(1, Ordering::AcqRel);
                return Err(error);
            }
        };
        let observed = if self.ends.server.router.observes() {
            let kind = if notified {
                CallKind::Notification
            } else {
                CallKind::Unary
            };
            self.observe(|| found.name(&self.ends.server.router), kind, &metadata)
        } else {
            None
        };
        let local = self.local_call(timeout, listens, observed);
        let context = Context::local(Arc::clone(&local), Moment::NEVER, metadata);
        if local.observed.is_some() {
            let (cell, gate) = observed::start(found.typed(), &local, context, params)?;
            let stage = TypedStage::Typed {
                cell,
                gate,
                route: found.index(),
                call: local,
                sleep: None,
            };
            return Ok(TypedCall { stage });
        }
        // Starting runs no code of the user but the handler's own first lines at its first poll.
        let typed = found.typed();
        let started = catch_unwind(AssertUnwindSafe(|| typed.start(context, params)));
        let cell = match started {
            Ok(Ok(cell)) => cell,
            Ok(Err(refused)) => {
                local.end(Over::Finished);
                return Err(CallError::from_peer(*refused, true));
            }
            Err(payload) => {
                local.end(Over::Finished);
                return Err(CallError::from_peer(*panicked(&*payload), true));
            }
        };
        let stage = TypedStage::Typed {
            cell: Some(cell),
            gate: None,
            route: found.index(),
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
        P: Params,
    {
        if self
            .find::<Arc<dyn TypedMethod<P::Owned, (), Infallible>>>(&name, false)
            .is_none()
        {
            return self.notify_encoded(&name, params, &metadata);
        }
        let none = Attachments::new();
        let begun = self.start::<P, (), Infallible>(
            name.clone(),
            &mut Some(params),
            None,
            metadata,
            (false, true),
            none,
        );
        let mut call = match begun {
            Ok(call) => call,
            // Nobody is told of what is wrong with a notification but the log, as over a connection.
            Err(CallError::Remote(error)) => {
                metrics::dropped(Dropped::Notification, 1);
                tracing::warn!(method = %name, %error, "notification dropped");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let mut cx = task::Context::from_waker(Waker::noop());
        if call.poll(&mut cx, None).is_pending() {
            tokio::spawn(async move {
                // Nobody waits for the outcome of a notification.
                drop(std::future::poll_fn(|cx| call.poll(cx, None)).await);
            });
        }
        Ok(())
    }

    /// A notification of a method that nobody has, or that takes other types.
    fn notify_encoded<P>(
        &self,
        name: &MethodName<'_>,
        params: P,
        metadata: &Metadata,
    ) -> Result<(), CallError>
    where
        P: Params,
    {
        if self.ends.server.draining.load(Ordering::Acquire) {
            return Err(CallError::Disconnected(CloseReason::Drained));
        }
        let target = Target::owned(name);
        let params = params.into_owned().map_err(CallError::Encode)?;
        let mut notify = Notify::to(self.encoded(), target, params);
        for (name, value) in metadata.iter() {
            notify = notify.metadata(name, value);
        }
        let mut cx = task::Context::from_waker(Waker::noop());
        match Pin::new(&mut notify).poll(&mut cx) {
            Poll::Ready(sent) => sent,
            Poll::Pending => {
                tokio::spawn(notify);
                Ok(())
            }
        }
    }

    /// What the handlers' `cx.peer()` hears from this side.
    pub(crate) fn events(&self) -> Events {
        match &self.ends.caller {
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
        let server = &self.ends.server;
        let max_bytes = server.limits.output_high_water_bytes;
        let events = server.events();
        let holder = Holder::Process(Arc::clone(&self.subscriptions));
        let lease =
            Lease::take(holder, &server.limits).ok_or(CallError::Busy { retry_after: None })?;
        let queue = events
            .subscribe(topic, lag, capacity, Format::Cbor, max_bytes)
            .map_err(CallError::Misuse)?;
        server.keep_subscription(&queue);
        Ok(Near {
            topic: topic.into(),
            queue,
            origin: Origin::Hub(events.clone(), server.limits.decode),
            _lease: Some(lease),
            observed: Vec::new(),
        })
    }

    /// Where calls go that must be encoded.
    fn encoded(&self) -> Peer {
        self.ends.server.encoded(self.ends.caller.as_ref())
    }

    /// The time for a call, no longer than the server allows.
    fn capped(&self, timeout: Option<Duration>) -> Option<Duration> {
        match (timeout, self.ends.server.limits.max_deadline) {
            (Some(asked), Some(cap)) => Some(asked.min(cap)),
            (one, other) => one.or(other),
        }
    }

    /// A method of the given types. `attached`: streams or callbacks come with the call; a method made by hand is told
    /// of them only where they are decoded.
    fn find<M: Clone + 'static>(
        &self,
        name: &MethodName<'_>,
        attached: bool,
    ) -> Option<Found<'_, M>> {
        let router = &self.ends.server.router;
        let Some(index) = router.find(name, self.last_route.load(Ordering::Relaxed)) else {
            let route = router.find_added(name)?;
            if attached && route.binds_late() {
                return None;
            }
            let typed = route.typed.downcast_ref::<M>()?.clone();
            return Some(Found::Added(route, typed));
        };
        self.last_route.store(index, Ordering::Relaxed);
        let route = router.route(index)?;
        if attached && route.binds_late() {
            return None;
        }
        Some(Found::Route(index, route.typed.downcast_ref::<M>()?))
    }

    fn local_call(
        &self,
        timeout: Option<Duration>,
        listens: bool,
        observed: Option<Arc<Observed>>,
    ) -> Arc<LocalCall> {
        let ends = Arc::clone(&self.ends);
        Arc::new(LocalCall::new(ends, timeout, listens, observed))
    }

    fn take_permit<E>(&self) -> Result<(), CallError<E>> {
        let limit = usize::try_from(self.ends.server.limits.calls_in_flight).unwrap_or(usize::MAX);
        if self.ends.server.in_flight.fetch_add(1, Ordering::SeqCst) >= limit {
            self.ends.server.in_flight.fetch_sub(1, Ordering::AcqRel);
            metrics::busy(1);
            return Err(CallError::Busy { retry_after: None });
        }
        // A drain that began meanwhile may have counted without this one.
        if self.ends.server.draining.load(Ordering::SeqCst) {
            self.ends.server.in_flight.fetch_sub(1, Ordering::AcqRel);
            return Err(CallError::Disconnected(CloseReason::Drained));
        }
        Ok(())
    }
}
