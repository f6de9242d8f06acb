//! Handles to the other side.

use crate::call::{Caller, OutgoingCall, ServiceClient, SideEffects, Ticket};
use crate::driver::{ByteStream, drive_bytes, drive_carrier};
use crate::error::CallError;
use crate::handler::Service;
use crate::link::{BeginOptions, CallEnd, Link, LinkConfig, Out, Sides};
use crate::local::{InProcess, LocalServer};
use crate::router::{RegisterError, Router};
use crate::scratch;
use mynah_codec::{Dialect, Format, Side};
use mynah_connection::CloseReason;
use mynah_protocol::{
    CancelReason, DecodeLimits, Evidence, Limits, Metadata, MethodName, RpcError, Transport,
};
use serde::Serialize;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// The time for a call when neither the call nor its peer says otherwise.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// A handle to the other side of a connection. Both sides are equal: each may call and be called.
///
/// Cheap to clone, usable from any task or thread. When the last handle is dropped, what waits is
/// written and the connection is closed; a call on its way holds a handle.
#[derive(Clone)]
pub struct Peer {
    kind: Kind,
    /// Calls end no later: set on the peer that a handler gets from its context.
    deadline: Option<Instant>,
}

#[derive(Clone)]
enum Kind {
    Linked(Arc<Handle>),
    Local(Arc<InProcess>),
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

    /// The same, with services that the handlers reach through `cx.peer()`.
    ///
    /// # Errors
    /// [`RegisterError`] when one of them cannot be registered.
    pub fn named_with(
        name: &str,
        caller: Router,
        limits: &Limits,
    ) -> Result<Option<Self>, RegisterError> {
        caller.check()?;
        let caller = LocalServer::new(Arc::new(caller), limits.clone());
        Ok(LocalServer::named(name).map(|server| Self::local(&server, Some(caller))))
    }

    /// A peer that is a server of this process; `caller` is what its handlers call back.
    #[must_use]
    pub fn local(server: &Arc<LocalServer>, caller: Option<Arc<LocalServer>>) -> Self {
        let mut local = InProcess::new(Arc::clone(server), caller);
        local.default_timeout = Some(DEFAULT_TIMEOUT);
        Self::in_process(local)
    }

    pub(crate) fn in_process(local: InProcess) -> Self {
        Self {
            kind: Kind::Local(Arc::new(local)),
            deadline: None,
        }
    }

    pub(crate) fn linked(link: Arc<Link>) -> Self {
        link.add_handle();
        Self {
            kind: Kind::Linked(Arc::new(Handle { link })),
            deadline: None,
        }
    }

    /// The same peer, whose calls end no later.
    pub(crate) fn with_deadline(mut self, deadline: Option<Instant>) -> Self {
        self.deadline = deadline;
        self
    }

    /// A typed client that calls through this peer.
    #[must_use]
    pub fn client<K: ServiceClient<Self>>(&self) -> K {
        K::from_caller(self.clone())
    }

    /// What the transport knows about the other side. The peer cannot send any of it.
    #[must_use]
    pub fn evidence(&self) -> &Evidence {
        match &self.kind {
            Kind::Linked(handle) => &handle.link.config.evidence,
            Kind::Local(local) => local.server().evidence(),
        }
    }

    /// Emits an event under a topic.
    ///
    /// # Errors
    /// - [`CallError::Unsupported`] on a wire without events, and in process.
    /// - [`CallError::Encode`] when the message cannot be encoded.
    /// - [`CallError::Busy`] when the output is full; nothing was written.
    /// - [`CallError::Disconnected`] after the end.
    pub fn emit<T: Serialize + ?Sized>(&self, topic: &str, message: &T) -> Result<(), CallError> {
        let Some((link, facts)) = self.ready_link()? else {
            return Err(CallError::Unsupported {
                dialect: "memory",
                feature: "events",
            });
        };
        if !facts.capabilities.events {
            return Err(CallError::Unsupported {
                dialect: facts.dialect,
                feature: "events",
            });
        }
        scratch::with(|buffer| {
            facts
                .format
                .encode(message, buffer)
                .map_err(CallError::Encode)?;
            link.emit(topic, buffer, facts)
        })
    }

    /// Writes a line into the other side's log that belongs to no call: 1 critical, 2 warning, 3 info,
    /// 4 verbose, 5 debug. Dropped and counted when the peer is too slow; in process, dropped.
    ///
    /// # Errors
    /// - [`CallError::Encode`] when the content cannot be encoded.
    /// - [`CallError::Misuse`] before the wire is ready.
    pub fn log<T: Serialize + ?Sized>(&self, level: i64, content: &T) -> Result<(), CallError> {
        let Some((link, facts)) = self.ready_link()? else {
            return Ok(());
        };
        scratch::with(|buffer| {
            facts
                .format
                .encode(content, buffer)
                .map_err(CallError::Encode)?;
            link.log(None, level, buffer);
            Ok(())
        })
    }

    fn ready_link(&self) -> Result<Option<(&Link, &crate::link::WireFacts)>, CallError> {
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
        poll_fn(|cx| {
            let mut state = handle.link.lock();
            if state.ended {
                let reason = state.connection.closed().cloned();
                return Poll::Ready(reason.unwrap_or(CloseReason::PeerGone));
            }
            if !state
                .closed_wakers
                .iter()
                .any(|known| known.will_wake(cx.waker()))
            {
                state.closed_wakers.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await
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
            output_bytes: state.out.held(),
        }
    }
}

impl Caller for Peer {
    #[inline]
    fn poll_format(
        &self,
        cx: &mut task::Context<'_>,
    ) -> Poll<Result<(Format, DecodeLimits), CallError>> {
        let Kind::Linked(handle) = &self.kind else {
            return Poll::Ready(Ok((Format::Cbor, DecodeLimits::DEFAULT)));
        };
        if let Some(facts) = handle.link.facts() {
            return Poll::Ready(Ok((facts.format, facts.decode)));
        }
        let mut state = handle.link.lock();
        if let Some(facts) = handle.link.facts() {
            return Poll::Ready(Ok((facts.format, facts.decode)));
        }
        if let Some(reason) = state.connection.closed() {
            return Poll::Ready(Err(CallError::Disconnected(reason.clone())));
        }
        state.room.push_back(cx.waker().clone());
        Poll::Pending
    }

    #[inline]
    fn poll_begin(
        &self,
        cx: &mut task::Context<'_>,
        call: &OutgoingCall<'_>,
    ) -> Poll<Result<Ticket, CallError>> {
        let Kind::Linked(handle) = &self.kind else {
            return Poll::Ready(Err(CallError::Misuse("calls in process are not encoded")));
        };
        let Some(facts) = handle.link.facts() else {
            return Poll::Pending;
        };
        if !call.metadata.is_empty() && !facts.capabilities.metadata {
            let error = CallError::Unsupported {
                dialect: facts.dialect,
                feature: "metadata",
            };
            return Poll::Ready(Err(error));
        }
        if !call.metadata.is_empty() {
            check_metadata(call.metadata, &handle.link.config.limits)?;
        }
        let options = BeginOptions {
            timeout: call.timeout,
            metadata: call.metadata,
            sides: call.listens.then(Box::<Sides>::default),
        };
        let name = MethodName::new(call.method.service(), call.method.name());
        handle
            .link
            .begin(cx.waker(), name, call.params, facts, options)
            .map(|begun| begun.map(Ticket))
    }

    fn poll_notify(
        &self,
        cx: &mut task::Context<'_>,
        call: &OutgoingCall<'_>,
    ) -> Poll<Result<(), CallError>> {
        let Kind::Linked(handle) = &self.kind else {
            return Poll::Ready(Err(CallError::Misuse("calls in process are not encoded")));
        };
        let Some(facts) = handle.link.facts() else {
            return Poll::Pending;
        };
        if !call.metadata.is_empty() {
            if !facts.capabilities.metadata {
                let error = CallError::Unsupported {
                    dialect: facts.dialect,
                    feature: "metadata",
                };
                return Poll::Ready(Err(error));
            }
            check_metadata(call.metadata, &handle.link.config.limits)?;
        }
        let name = MethodName::new(call.method.service(), call.method.name());
        handle
            .link
            .notify(cx.waker(), name, call.params, facts, call.metadata)
    }

    #[inline]
    fn poll_reply(
        &self,
        cx: &mut task::Context<'_>,
        ticket: Ticket,
        reply: &mut Vec<u8>,
        sides: Option<&mut SideEffects>,
    ) -> Poll<Result<(), CallError<RpcError>>> {
        let Kind::Linked(handle) = &self.kind else {
            return Poll::Ready(Err(CallError::Misuse("calls in process are not encoded")));
        };
        let polled = handle.link.poll_outcome(cx.waker(), ticket.0, reply, sides);
        polled.map(|outcome| {
            outcome.map_err(|end| match end {
                CallEnd::Error(error) => CallError::Application(*error),
                CallEnd::Deadline => CallError::Deadline,
                CallEnd::Lost { sent: true, reason } => CallError::Indeterminate(reason),
                CallEnd::Lost {
                    sent: false,
                    reason,
                } => CallError::Disconnected(reason),
                CallEnd::Gone => CallError::Misuse("the call was taken already"),
            })
        })
    }

    fn cancel(&self, ticket: Ticket, reason: CancelReason) {
        if let Kind::Linked(handle) = &self.kind {
            handle.link.cancel(ticket.0, reason);
        }
    }

    #[inline]
    fn default_timeout(&self) -> Option<Duration> {
        match &self.kind {
            Kind::Linked(handle) => handle.link.config.default_timeout,
            Kind::Local(local) => local.default_timeout,
        }
    }

    #[inline]
    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    #[inline]
    fn in_process(&self) -> Option<&InProcess> {
        match &self.kind {
            Kind::Linked(_) => None,
            Kind::Local(local) => Some(local),
        }
    }

    fn maps_codes(&self) -> bool {
        match &self.kind {
            Kind::Linked(handle) => handle
                .link
                .facts()
                .is_none_or(|facts| facts.capabilities.error_codes),
            Kind::Local(_) => true,
        }
    }
}

/// Too much metadata would end the connection at the peer: it fails the call here. The peer's limits are taken to be
/// those of this side.
#[cold]
fn check_metadata(metadata: &Metadata, limits: &Limits) -> Result<(), CallError> {
    /// What the heads of two texts take at most, as far as they fit the limit at all.
    const HEADS: usize = 8;
    let len = metadata.bytes() + metadata.len() * HEADS;
    if len > limits.max_metadata_bytes {
        let limit = limits.max_metadata_bytes;
        return Err(CallError::Encode(mynah_codec::EncodeError::TooLarge {
            len,
            limit,
        }));
    }
    if metadata.len() > limits.max_metadata_entries {
        let (len, limit) = (metadata.len(), limits.max_metadata_entries);
        return Err(CallError::Encode(mynah_codec::EncodeError::TooLarge {
            len,
            limit,
        }));
    }
    Ok(())
}

/// A peer that is about to start.
#[must_use = "nothing runs before start"]
pub struct PeerBuilder {
    medium: Medium,
    router: Router,
    limits: Limits,
    evidence: Evidence,
    side: Side,
    default_timeout: Option<Duration>,
}

enum Medium {
    Bytes {
        stream: Box<dyn ByteStreamObject>,
        wire: MakeWire,
    },
    Carrier(Pin<Box<dyn Transport>>),
}

type MakeWire = Box<dyn FnOnce(Side, &Limits) -> Box<dyn mynah_codec::Wire> + Send>;

/// [`ByteStream`] behind a pointer.
pub(crate) trait ByteStreamObject:
    tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin
{
}

impl<T: ByteStream> ByteStreamObject for T {}

impl fmt::Debug for PeerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerBuilder")
            .field("evidence", &self.evidence)
            .field("router", &self.router)
            .finish_non_exhaustive()
    }
}

impl PeerBuilder {
    pub(crate) fn over(stream: impl ByteStream, dialect: &(impl Dialect + ?Sized)) -> Self {
        let dialect = dialect.clone_box();
        let wire: MakeWire = Box::new(move |side, limits| dialect.wire(side, limits));
        Self::new(Medium::Bytes {
            stream: Box::new(stream),
            wire,
        })
    }

    pub(crate) fn over_transport(transport: Pin<Box<dyn Transport>>) -> Self {
        let evidence = transport.evidence().clone();
        Self {
            evidence,
            ..Self::new(Medium::Carrier(transport))
        }
    }

    fn new(medium: Medium) -> Self {
        Self {
            medium,
            router: Router::new(),
            limits: Limits::default(),
            evidence: Evidence::new(),
            side: Side::Dial,
            default_timeout: Some(DEFAULT_TIMEOUT),
        }
    }

    /// Services that the other side may call.
    pub fn register(mut self, service: impl Service) -> Self {
        self.router = self.router.register(service);
        self
    }

    /// All services that the other side may call, in place of those registered before.
    pub fn router(mut self, router: Router) -> Self {
        self.router = router;
        self
    }

    /// The limits.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// What is known about the other side.
    pub fn evidence(mut self, evidence: Evidence) -> Self {
        self.evidence = evidence;
        self
    }

    /// Whether this side dialled or accepted; it matters to wires whose handshake is not symmetric.
    pub fn side(mut self, side: Side) -> Self {
        self.side = side;
        self
    }

    /// The time for calls that name none: 30 s unless set, `None` for no end.
    pub fn default_deadline(mut self, timeout: Option<Duration>) -> Self {
        self.default_timeout = timeout;
        self
    }

    /// Starts the connection's task on the current tokio runtime.
    ///
    /// # Errors
    /// [`RegisterError`] when a service cannot be registered.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(self) -> Result<Peer, RegisterError> {
        self.router.check()?;
        Ok(self.start_unchecked())
    }

    pub(crate) fn start_unchecked(self) -> Peer {
        let router = Arc::new(self.router);
        let config = LinkConfig {
            limits: self.limits,
            router,
            evidence: self.evidence,
            default_timeout: self.default_timeout,
        };
        match self.medium {
            Medium::Bytes { stream, wire } => {
                let wire = wire(self.side, &config.limits);
                let link = start_link(Out::wire(wire), config, self.side);
                tokio::spawn(drive_bytes(stream, Arc::clone(&link)));
                Peer::linked(link)
            }
            Medium::Carrier(transport) => {
                let out = Out::carrier(transport.profile().clone(), &config.limits);
                let link = start_link(out, config, self.side);
                tokio::spawn(drive_carrier(transport, Arc::clone(&link)));
                Peer::linked(link)
            }
        }
    }
}

/// Makes a link and says what a wire says of itself at the start.
pub(crate) fn start_link(out: Out, config: LinkConfig, side: Side) -> Arc<Link> {
    let link = Link::new(out, config);
    let mut state = link.lock();
    state.out.own_output();
    if side == Side::Dial || state.out.is_ready() {
        link.set_facts(&state.out);
    }
    drop(state);
    link
}
