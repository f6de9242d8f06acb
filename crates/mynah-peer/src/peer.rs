//! Handles to the other side.

mod builder;
mod caller;

pub use builder::PeerBuilder;
pub(crate) use builder::start_link;

use crate::call::ServiceClient;
use crate::error::CallError;
use crate::events::{Events, Lag, Near, Origin, Subscribe, Subscription};
use crate::intercept::{Interceptor, Interceptors};
use crate::link::Link;
use crate::local::{InProcess, LocalServer};
use crate::router::{RegisterError, Router};
use crate::scratch;
use crate::trace::TraceContext;
use mynah_codec::Dialect;
use mynah_connection::CloseReason;
use mynah_protocol::{Evidence, Limits, Transport};
use serde::Serialize;
use std::fmt;
use std::sync::Arc;
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
    /// Calls end no later: set on the peer that a handler gets from its context.
    deadline: Option<Instant>,
    /// The trace that calls go on with: set on the peer that a handler gets from its context.
    trace: Option<Arc<TraceContext>>,
    /// What stands around calls through this handle.
    chain: Option<Arc<Interceptors>>,
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

    pub(crate) fn in_process(local: InProcess) -> Self {
        Self {
            kind: Kind::Local(Arc::new(local)),
            deadline: None,
            trace: None,
            chain: None,
        }
    }

    pub(crate) fn linked(link: Arc<Link>) -> Self {
        link.add_handle();
        Self {
            kind: Kind::Linked(Arc::new(Handle { link })),
            deadline: None,
            trace: None,
            chain: None,
        }
    }

    /// The same peer, whose calls end no later.
    pub(crate) fn with_deadline(mut self, deadline: Option<Instant>) -> Self {
        self.deadline = deadline;
        self
    }

    /// The same peer, whose calls go on with a trace.
    pub(crate) fn with_trace(mut self, trace: Option<Arc<TraceContext>>) -> Self {
        self.trace = trace;
        self
    }

    /// Another handle of the same peer, with an interceptor around every call that is made through it, its clones and
    /// its clients.
    /// Several see a call in the order in which they were added.
    #[must_use]
    pub fn with_interceptor(&self, interceptor: impl Interceptor) -> Self {
        let chain = Interceptors::with(self.chain.as_deref(), interceptor);
        Self {
            chain: Some(chain),
            ..self.clone()
        }
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
        scratch::with_encoded(|buffer| {
            buffer
                .push(facts.format, message)
                .map_err(CallError::Encode)?;
            link.emit(topic, buffer.whole(), facts)
        })
    }

    /// What this side publishes to the other. Empty for a peer that was not given services.
    #[must_use]
    pub fn events(&self) -> Events {
        match &self.kind {
            Kind::Linked(handle) => handle.link.config.router.events().clone(),
            Kind::Local(local) => local.events(),
        }
    }

    /// Subscribes to a topic of the other side.
    ///
    /// On a wire that has events and no subscriptions (cbor-rpc), it hears what the other side emits under the topic.
    pub fn subscribe<T>(&self, topic: impl Into<Box<str>>) -> Subscribe<T> {
        Subscribe::new(self.clone(), topic)
    }

    /// Hears what the other side emits under a topic with [`Self::emit`], from now on. It is not asked for it: it emits
    /// whether anybody listens or not.
    ///
    /// # Errors
    /// - [`CallError::Unsupported`] on a wire without events, and in process.
    /// - [`CallError::Misuse`] before the wire is ready.
    pub fn listen<T>(&self, topic: &str) -> Result<Subscription<T>, CallError> {
        self.listen_with(topic, None, None).map(Subscription::near)
    }

    fn listen_with(
        &self,
        topic: &str,
        lag: Option<Lag>,
        capacity: Option<u64>,
    ) -> Result<Near, CallError> {
        let unsupported = |dialect| CallError::Unsupported {
            dialect,
            feature: "events",
        };
        let Some((link, facts)) = self.ready_link()? else {
            return Err(unsupported("memory"));
        };
        if !facts.capabilities.events {
            return Err(unsupported(facts.dialect));
        }
        let lag = match lag {
            Some(Lag::Block) => {
                return Err(CallError::Misuse("a peer that emits waits for nobody"));
            }
            Some(lag) => lag,
            None => Lag::DropOldest,
        };
        let limits = &link.config.limits;
        let capacity = capacity
            .and_then(|capacity| usize::try_from(capacity).ok())
            .unwrap_or(limits.side_messages);
        let max_bytes = limits.decode.max_message_bytes;
        let listeners = &link.listeners;
        let queue = listeners.listen(topic, lag, capacity, facts.format, max_bytes);
        if link.lock().ended {
            // It may have ended before the listener was in the books.
            drop(queue.close(mynah_protocol::EndReason::PeerGone));
        }
        Ok(Near {
            topic: topic.into(),
            queue,
            limits: facts.decode,
            origin: Origin::Link(Arc::clone(link)),
            observed: Vec::new(),
        })
    }

    /// A subscription that needs no wire, or whose wire has no subscriptions. `None`: ask for it over the wire.
    pub(crate) fn subscribe_near(
        &self,
        topic: &str,
        lag: Option<Lag>,
        capacity: Option<u64>,
    ) -> Result<Option<Near>, CallError> {
        match &self.kind {
            Kind::Local(local) => local.subscribe(topic, lag, capacity).map(Some),
            Kind::Linked(handle) => match handle.link.facts() {
                Some(facts) if !facts.capabilities.streams && facts.capabilities.events => {
                    self.listen_with(topic, lag, capacity).map(Some)
                }
                _ => Ok(None),
            },
        }
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
