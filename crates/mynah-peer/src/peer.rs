//! Handles to the other side.

mod builder;
mod caller;
mod events;

pub use builder::PeerBuilder;
pub(crate) use builder::start_link;

use crate::call::{CallBuilder, CallerExt, ServiceClient};
use crate::error::CallError;
use crate::intercept::{Interceptor, Interceptors};
use crate::link::Link;
use crate::local::{InProcess, LocalCall, LocalServer};
use crate::router::{RegisterError, Router};
use crate::server::{IdTaken, PeerId};
use crate::trace::TraceContext;
use mynah_codec::Dialect;
use mynah_connection::{CloseReason, InboundKey};
use mynah_protocol::{Evidence, Limits, Opaque, RpcError, Transport};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::Instant;

/// The time for a call when neither the call nor its peer says otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// A handle to the other side of a connection. Both sides are equal: each may call and be called.
///
/// Cheap to clone, usable from any task or thread. When the last handle is dropped, what waits is
/// written and the connection is closed; a call on its way holds a handle.
#[derive(Clone)]
pub struct Peer {
    kind: Kind,
    /// Calls end no later while this call runs: set on the peer that a handler gets from its context.
    bound: Option<Bound>,
    /// Present when something stands around calls through this handle.
    around: Option<Arc<Around>>,
}

/// What stands around calls through one handle.
#[derive(Clone, Default)]
struct Around {
    /// The trace that calls go on with: set on the peer that a handler gets from its context.
    trace: Option<TraceContext>,
    chain: Option<Arc<Interceptors>>,
}

#[derive(Clone)]
enum Kind {
    Linked(Arc<Handle>),
    Local(Arc<InProcess>),
}

/// A call that bounds those that its handler makes.
#[derive(Clone)]
pub(crate) struct Bound {
    deadline: Instant,
    call: BoundBy,
}

#[derive(Clone)]
enum BoundBy {
    /// A call over the connection of this peer.
    Linked(InboundKey),
    Local(Arc<LocalCall>),
}

impl Bound {
    pub(crate) const fn linked(deadline: Instant, key: InboundKey) -> Self {
        Self {
            deadline,
            call: BoundBy::Linked(key),
        }
    }

    pub(crate) const fn local(deadline: Instant, call: Arc<LocalCall>) -> Self {
        Self {
            deadline,
            call: BoundBy::Local(call),
        }
    }

    /// The deadline, as long as the call runs.
    fn deadline(&self, kind: &Kind) -> Option<Instant> {
        let runs = match (&self.call, kind) {
            (BoundBy::Linked(key), Kind::Linked(handle)) => {
                handle.link.lock().connection.is_live(*key)
            }
            (BoundBy::Linked(_), Kind::Local(_)) => false,
            // Over, for it, is also that its time has passed.
            (BoundBy::Local(call), _) => !call.is_over(),
        };
        runs.then_some(self.deadline)
    }
}

/// Counts as one handle of its link.
struct Handle {
    link: Arc<Link>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.link.drop_handle();
    }
}

/// Why a connection takes no more calls.
#[derive(Debug)]
pub(crate) enum Departure {
    /// The other side goes away; what is in flight goes on.
    GoingAway,
    Ended(CloseReason),
}

/// How much of a connection is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerStats {
    /// Calls of this side that wait for an answer.
    pub calls_waiting: usize,
    /// Slots of calls of this side that are not free: those that wait, and those whose answer was not taken yet.
    pub calls_held: usize,
    /// Handlers that run for the other side.
    pub handlers_running: usize,
    /// Permits taken by the other side: running handlers, and answers that have not left.
    pub permits_taken: usize,
    /// Bytes of output that the other side has not taken.
    pub output_bytes: usize,
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Peer")
            .field(&self.evidence().to_string())
            .finish()
    }
}

impl Peer {
    /// A peer over anything that is open already and carries bytes, as the side that dialled.
    pub fn over<S>(stream: S, dialect: &impl Dialect) -> PeerBuilder
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
    {
        PeerBuilder::over(stream, dialect)
    }

    /// A peer over a carrier of envelopes.
    pub fn over_transport(transport: impl Transport + 'static) -> PeerBuilder {
        PeerBuilder::over_transport(Box::pin(transport))
    }

    /// A peer that is a server of this process, by the name that it listens on (`memory:NAME`). `None` when there is
    /// none of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        LocalServer::named(name).map(|server| Self::local(&server, None))
    }

    /// The same, with services that the handlers reach through `cx.peer()`, and the time for calls that name none.
    ///
    /// # Errors
    /// [`RegisterError`] when one of them cannot be registered.
    pub fn named_with(
        name: &str,
        caller: Router,
        limits: &Limits,
        default_deadline: Option<Duration>,
    ) -> Result<Option<Self>, RegisterError> {
        caller.check()?;
        let caller = LocalServer::new(Arc::new(caller), limits.clone());
        Ok(LocalServer::named(name).map(|server| {
            let mut local = InProcess::new(server, Some(caller));
            local.default_timeout = default_deadline;
            Self::in_process(local)
        }))
    }

    /// A peer that is a server of this process; `caller` is what its handlers call back.
    #[must_use]
    pub fn local(server: &Arc<LocalServer>, caller: Option<Arc<LocalServer>>) -> Self {
        let mut local = InProcess::new(Arc::clone(server), caller);
        local.default_timeout = Some(DEFAULT_TIMEOUT);
        Self::in_process(local)
    }

    /// A peer that is these services, in the same process: they live as long as its handles and clients. Values are
    /// passed as they are where caller and handler have the same types.
    ///
    /// # Errors
    /// [`RegisterError`] when one of them cannot be registered.
    pub fn of(router: Router) -> Result<Self, RegisterError> {
        router.check()?;
        let server = LocalServer::new(Arc::new(router), Limits::DEFAULT);
        Ok(Self::local(&server, None))
    }

    pub(crate) fn in_process(local: InProcess) -> Self {
        Self {
            kind: Kind::Local(Arc::new(local)),
            bound: None,
            around: None,
        }
    }

    pub(crate) fn linked(link: Arc<Link>) -> Self {
        link.add_handle();
        Self {
            kind: Kind::Linked(Arc::new(Handle { link })),
            bound: None,
            around: None,
        }
    }

    /// The same peer, whose calls end no later than another while that runs.
    pub(crate) fn within(mut self, bound: Option<Bound>) -> Self {
        self.bound = bound;
        self
    }

    /// The same peer, whose calls go on with a trace.
    pub(crate) fn with_trace(mut self, trace: Option<TraceContext>) -> Self {
        if trace.is_some() {
            self.around = Some(Arc::new(Around { trace, chain: None }));
        }
        self
    }

    /// Another handle of the same peer, with an interceptor around every call that is made through it, its clones and
    /// its clients.
    /// Several see a call in the order in which they were added.
    #[must_use]
    pub fn with_interceptor(&self, interceptor: impl Interceptor) -> Self {
        let around = self.around.as_deref();
        let known = around.and_then(|around| around.chain.as_deref());
        let around = Around {
            trace: around.and_then(|around| around.trace.clone()),
            chain: Some(Interceptors::with(known, interceptor)),
        };
        Self {
            around: Some(Arc::new(around)),
            ..self.clone()
        }
    }

    /// A typed client that calls through this peer.
    #[must_use]
    pub fn client<K: ServiceClient<Self>>(&self) -> K {
        K::from_caller(self.clone())
    }

    /// A call by name. See [`CallerExt::call`].
    pub fn call(
        &self,
        service: impl Into<Cow<'static, str>>,
        method: impl Into<Cow<'static, str>>,
    ) -> CallBuilder<Self> {
        CallerExt::call(self, service, method)
    }

    /// What the transport knows about the other side. The peer cannot send any of it.
    #[must_use]
    pub fn evidence(&self) -> &Evidence {
        match &self.kind {
            Kind::Linked(handle) => &handle.link.config.evidence,
            Kind::Local(local) => local.server().evidence(),
        }
    }

    /// The server of this process to which calls go, if it is one.
    pub(crate) fn local_server(&self) -> Option<&Arc<LocalServer>> {
        match &self.kind {
            Kind::Linked(_) => None,
            Kind::Local(local) => Some(local.server()),
        }
    }

    /// Whether the wire says the services of methods.
    pub(crate) fn says_services(&self) -> bool {
        match &self.kind {
            Kind::Linked(handle) => handle
                .link
                .facts()
                .is_none_or(|facts| facts.capabilities.services),
            Kind::Local(_) => true,
        }
    }

    /// The hash that the other side has said of its contract of a service. Waits for its hello on wires that have one.
    pub(crate) async fn announced(&self, service: &str) -> Option<Opaque> {
        let Kind::Linked(handle) = &self.kind else {
            return None;
        };
        std::future::poll_fn(|cx| {
            let mut state = handle.link.lock();
            if state.handshake_pending() && state.connection.closed().is_none() {
                state.wait_for_room(cx.waker(), 0);
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
        handle.link.announced.get()?.get(service).cloned()
    }

    fn ready_link(&self) -> Result<Option<(&Arc<Link>, &crate::link::WireFacts)>, CallError> {
        let Kind::Linked(handle) = &self.kind else {
            return Ok(None);
        };
        match handle.link.facts() {
            Some(facts) => Ok(Some((&handle.link, facts))),
            None => Err(CallError::Misuse(
                "the peer has not said yet what it speaks",
            )),
        }
    }

    /// Closes the connection once what waits has been written. Calls on their way end as
    /// [`CallError::Indeterminate`] or [`CallError::Disconnected`].
    pub fn close(&self) {
        if let Kind::Linked(handle) = &self.kind {
            handle.link.close(CloseReason::Local);
        }
    }

    /// The same, and tells the other side why where the wire can say it: its connection ends as
    /// [`CloseReason::Refused`] with code and message of `reason`, this one as [`CloseReason::Closed`].
    pub fn close_with(&self, reason: &RpcError) {
        if let Kind::Linked(handle) = &self.kind {
            let closed = CloseReason::Closed(reason.code(), reason.message().into());
            handle.link.close(closed);
        }
    }

    /// What the server that accepted this peer knows it by, `None` for a peer that no server accepted.
    #[must_use]
    pub fn id(&self) -> Option<PeerId> {
        let Kind::Linked(handle) = &self.kind else {
            return None;
        };
        let (server, number) = handle.link.config.server.as_ref()?;
        let named = server.upgrade()?.name_of(*number);
        Some(named.unwrap_or_else(|| PeerId::number(*number)))
    }

    /// Has its server know it by this id, in place of the one before; see [`Session::set_id`](crate::Session::set_id).
    /// Nothing happens for a peer that no server accepted, or that has gone.
    ///
    /// # Errors
    /// [`IdTaken`] when another connection of the server has it; nothing changes.
    pub fn set_id(&self, id: impl Into<PeerId>) -> Result<(), IdTaken> {
        let Kind::Linked(handle) = &self.kind else {
            return Ok(());
        };
        let server = handle.link.config.server.as_ref();
        match server.and_then(|(server, number)| Some((server.upgrade()?, number))) {
            Some((server, number)) => server.rename(*number, id.into()),
            None => Ok(()),
        }
    }

    /// Whether the connection has ended. Never for a server of the same process.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match &self.kind {
            Kind::Linked(handle) => handle.link.lock().ended,
            Kind::Local(_) => false,
        }
    }

    /// Waits for the end of the connection and says why it ended. Never ends for a server of the same process.
    ///
    /// Cancel safety: may be dropped and called again at any time.
    pub async fn closed(&self) -> CloseReason {
        let Kind::Linked(handle) = &self.kind else {
            return std::future::pending().await;
        };
        loop {
            // Asked for before the look, so that no end is missed.
            let over = handle.link.over.notified();
            if let Some(reason) = handle.link.end_reason() {
                return reason;
            }
            over.await;
        }
    }

    /// Waits until nothing new can be said through the connection: the other side goes away, or it has ended.
    pub(crate) async fn departed(&self) -> Departure {
        let Kind::Linked(handle) = &self.kind else {
            return std::future::pending().await;
        };
        loop {
            // Asked for before the look, so that nothing is missed.
            let over = handle.link.over.notified();
            // A server that has nothing left closes right after it has said so.
            if self.is_departing() {
                return Departure::GoingAway;
            }
            if let Some(reason) = handle.link.end_reason() {
                return Departure::Ended(reason);
            }
            over.await;
        }
    }

    /// Whether the other side has said that it goes away.
    pub(crate) fn is_departing(&self) -> bool {
        match &self.kind {
            Kind::Linked(handle) => handle.link.is_departing(),
            Kind::Local(_) => false,
        }
    }

    /// Why the connection ended, `None` while it goes on.
    pub(crate) fn end_reason(&self) -> Option<CloseReason> {
        match &self.kind {
            Kind::Linked(handle) => handle.link.end_reason(),
            Kind::Local(_) => None,
        }
    }

    /// Closes the connection once nothing is in flight in either direction.
    pub(crate) fn close_when_idle(&self) {
        if let Kind::Linked(handle) = &self.kind {
            handle.link.close_when_idle();
        }
    }

    /// How much of the connection is in use. All zero in process.
    #[must_use]
    pub fn stats(&self) -> PeerStats {
        let Kind::Linked(handle) = &self.kind else {
            return PeerStats::default();
        };
        let state = handle.link.lock();
        PeerStats {
            calls_waiting: state.connection.calls_waiting(),
            calls_held: state.connection.calls_held(),
            handlers_running: state.connection.handlers_running(),
            permits_taken: state.connection.permits_taken(),
            output_bytes: state.out.held() + state.out.bulk_held(),
        }
    }
}
