//! Servers: several listeners, one router.

mod accept;
mod drain;

pub use drain::DrainReport;

use crate::events::Events;
use crate::handler::Service;
use crate::intercept::Interceptor;
use crate::local::LocalServer;
use crate::observe::SlowThresholds;
use crate::peer::{DEFAULT_TIMEOUT, Peer};
use crate::router::{RegisterError, Router};
use accept::{Accepting, Shared};
use mynah_codec::Dialect;
use mynah_protocol::{EndReason, Limits, Listener, Transport, TransportError};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;

/// A server that is about to start: services, limits, and where to listen.
#[must_use = "nothing runs before start"]
pub struct Server {
    router: Router,
    limits: Limits,
    default_timeout: Option<Duration>,
    binds: Vec<Bind>,
    names: Vec<String>,
}

/// A listener that is bound when the server starts.
type Bind = Pin<Box<dyn Future<Output = Result<Box<dyn Accepting>, TransportError>> + Send>>;

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// A service cannot be registered.
    #[error("service cannot be registered")]
    Register(#[from] RegisterError),
    /// A listener cannot be bound.
    #[error("{}", .0.chain())]
    Listen(#[from] TransportError),
    /// The name of an in-process listener is taken.
    #[error("memory:{0} is taken by another server of this process")]
    NameTaken(String),
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("router", &self.router)
            .field("listeners", &self.binds.len())
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}

impl Server {
    /// A server without services.
    pub fn new() -> Self {
        Self {
            router: Router::new(),
            limits: Limits::default(),
            default_timeout: Some(DEFAULT_TIMEOUT),
            binds: Vec::new(),
            names: Vec::new(),
        }
    }

    /// Adds a service.
    pub fn register(mut self, service: impl Service) -> Self {
        self.router = self.router.register(service);
        self
    }

    /// All services, in place of those registered before.
    pub fn router(mut self, router: Router) -> Self {
        self.router = router;
        self
    }

    /// What the server publishes, in place of events of its own.
    pub fn events(mut self, events: Events) -> Self {
        self.router = self.router.with_events(events);
        self
    }

    /// Has an interceptor stand around every call that this side answers. See [`Router::intercept`].
    pub fn intercept(mut self, interceptor: impl Interceptor) -> Self {
        self.router = self.router.intercept(interceptor);
        self
    }

    /// What to warn of, in place of the default thresholds.
    pub fn warn_slow(mut self, thresholds: SlowThresholds) -> Self {
        self.router = self.router.warn_slow(thresholds);
        self
    }

    /// The limits of every connection, and of the number of connections.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The time for calls back to clients that name none: 30 s unless set.
    pub fn default_deadline(mut self, timeout: Option<Duration>) -> Self {
        self.default_timeout = timeout;
        self
    }

    /// Listens on a byte transport that is bound already.
    pub fn listen_on<L>(self, listener: L, dialect: impl Dialect) -> Self
    where
        L: Listener,
        L::Connection: AsyncRead + AsyncWrite + Unpin,
    {
        self.listen_with(std::future::ready(Ok(listener)), dialect)
    }

    /// Listens on a byte transport that is bound when the server starts.
    pub fn listen_with<L>(
        mut self,
        bind: impl Future<Output = Result<L, TransportError>> + Send + 'static,
        dialect: impl Dialect,
    ) -> Self
    where
        L: Listener,
        L::Connection: AsyncRead + AsyncWrite + Unpin,
    {
        self.binds.push(Box::pin(async move {
            Ok(accept::bytes(bind.await?, dialect.clone_box()))
        }));
        self
    }

    /// Listens on a transport that carries envelopes.
    pub fn listen_on_transport<L>(mut self, listener: L) -> Self
    where
        L: Listener,
        L::Connection: Transport,
    {
        self.binds
            .push(Box::pin(async move { Ok(accept::carrier(listener)) }));
        self
    }

    /// Can be called within this process under a name (`memory:NAME`), without a wire.
    pub fn listen_in_process(mut self, name: impl Into<String>) -> Self {
        self.names.push(name.into());
        self
    }

    /// Binds every listener and starts to accept.
    ///
    /// Cancel safety: dropped before its end, nothing listens.
    ///
    /// # Errors
    /// - [`ServerError::Register`] when a service cannot be registered.
    /// - [`ServerError::Listen`] when a listener cannot be bound; none is left behind.
    /// - [`ServerError::NameTaken`] when an in-process name is taken.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn start(self) -> Result<ServerHandle, ServerError> {
        self.router.check()?;
        let mut listeners = Vec::new();
        for bind in self.binds {
            listeners.push(bind.await?);
        }
        let router = Arc::new(self.router);
        let local = LocalServer::new(Arc::clone(&router), self.limits.clone());
        for (index, name) in self.names.iter().enumerate() {
            if !local.publish(name) {
                for published in self.names.iter().take(index) {
                    local.unpublish(published);
                }
                return Err(ServerError::NameTaken(name.clone()));
            }
        }
        let shared = Arc::new(Shared::new(router, self.limits, self.default_timeout));
        let addresses = listeners
            .iter()
            .map(|listener| listener.address())
            .collect();
        let tasks = listeners
            .into_iter()
            .map(|listener| tokio::spawn(listener.accept_all(Arc::clone(&shared))))
            .collect();
        Ok(ServerHandle {
            shared,
            local,
            names: self.names,
            addresses,
            tasks,
        })
    }
}

/// A running server. Dropped, it stops listening and closes its connections without waiting;
/// [`drain`](Self::drain) lets calls finish.
#[must_use = "the server stops when its handle is dropped"]
pub struct ServerHandle {
    shared: Arc<Shared>,
    local: Arc<LocalServer>,
    names: Vec<String>,
    addresses: Vec<String>,
    tasks: Vec<JoinHandle<()>>,
}

impl fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHandle")
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

impl ServerHandle {
    /// Where it listens, in the order of the listeners: `tcp://127.0.0.1:9000`.
    #[must_use]
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// The first address, empty when it listens in process only.
    #[must_use]
    pub fn address(&self) -> &str {
        self.addresses.first().map_or("", String::as_str)
    }

    /// A peer that calls this server in process: typed values, no wire.
    #[must_use]
    pub fn local(&self) -> Peer {
        Peer::local(&self.local, None)
    }

    /// The same, for a caller with services of its own, which the handlers reach through
    /// `cx.peer()`.
    ///
    /// # Errors
    /// [`RegisterError`] when a service of `caller` cannot be registered.
    pub fn local_with(&self, caller: Router) -> Result<Peer, RegisterError> {
        caller.check()?;
        let caller = LocalServer::new(Arc::new(caller), Limits::default());
        Ok(Peer::local(&self.local, Some(caller)))
    }

    /// What the server publishes.
    #[must_use]
    pub fn events(&self) -> &Events {
        self.local.events()
    }

    /// The clients that are connected.
    #[must_use]
    pub fn peers(&self) -> Vec<Peer> {
        self.shared.links().into_iter().map(Peer::linked).collect()
    }

    /// Stops to accept, tells every client, lets calls finish, and cuts what is left after `grace`. Always ends.
    ///
    /// Cancel safety: dropped before its end, the server goes on draining until its handle is dropped; it may be
    /// called again.
    pub async fn drain(&mut self, grace: Duration) -> DrainReport {
        self.stop_listening();
        self.local.start_drain();
        drain::run(&self.shared, &self.local, grace).await
    }

    fn stop_listening(&mut self) {
        for task in self.tasks.drain(..) {
            task.abort();
        }
        for name in self.names.drain(..) {
            self.local.unpublish(&name);
        }
    }
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        self.stop_listening();
        self.shared.close_all();
        self.local.end_subscriptions(&EndReason::PeerGone);
    }
}
