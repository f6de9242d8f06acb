//! Servers: several listeners, one router.

mod accept;
mod admission;
mod arrival;
mod drain;
mod handle;
mod peers;
mod registry;
mod report;
mod session;
mod shared;
mod waiting;

pub use admission::{SessionLimit, SessionPermit, SessionPolicy, Verdict};
pub use handle::ServerHandle;
pub use peers::Peers;
pub use registry::{IdTaken, PeerId};
pub use report::{CutCall, CutConnection, DrainReport};
pub use session::Session;
pub use shared::AttachError;
pub(crate) use shared::Shared;

use crate::blocking::BlockingPool;
use crate::context::Context;
use crate::events::{Events, LogLine};
use crate::handler::{Export, Handler, Service};
use crate::intercept::Interceptor;
use crate::link::Link;
use crate::local::LocalServer;
use crate::observe::SlowThresholds;
use crate::peer::DEFAULT_TIMEOUT;
use crate::router::{RegisterError, Router};
use crate::system::Shown;
use accept::Accepting;
use admission::{OnConnect, OnDisconnect};
use mynah_codec::Dialect;
use mynah_connection::CloseReason;
use mynah_contract::Contract;
use mynah_protocol::{Evidence, Limits, Listener, RpcError, Transport, TransportError};
use serde::de::DeserializeOwned;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// How long a drain lets calls finish unless it is told otherwise.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(5);

/// A server that is about to start: services, limits, and where to listen.
#[must_use = "nothing runs before start"]
pub struct Server {
    router: Router,
    /// `None`: those of each dialect.
    limits: Option<Limits>,
    default_timeout: Option<Duration>,
    binds: Vec<Bind>,
    names: Vec<String>,
    attached: Vec<Attach>,
    /// A dialect of a listener that says the names of methods and not those of services.
    bare_names: Option<&'static str>,
    policies: Vec<Box<dyn SessionPolicy>>,
}

/// A listener that is bound when the server starts.
type Bind = Pin<Box<dyn Future<Output = Result<Box<dyn Accepting>, TransportError>> + Send>>;

/// A connection that is open before the server starts.
type Attach = Box<dyn FnOnce(&Arc<Shared>) -> Result<Arc<Link>, AttachError> + Send>;

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
            .field("policies", &self.policies.len())
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
            limits: None,
            default_timeout: Some(DEFAULT_TIMEOUT),
            binds: Vec::new(),
            names: Vec::new(),
            attached: Vec::new(),
            bare_names: None,
            policies: Vec::new(),
        }
    }

    /// Adds a service.
    pub fn register(mut self, service: impl Service) -> Self {
        self.router = self.router.register(service);
        self
    }

    /// Adds a method made by hand: [`Router::method`].
    pub fn method<H, M>(mut self, name: &str, handler: H) -> Self
    where
        H: Handler<M>,
    {
        self.router = self.router.method(name, handler);
        self
    }

    /// Adds a function that was marked with `#[mynah::export]`: [`Router::add`].
    #[allow(clippy::should_implement_trait, reason = "it is no sum")]
    pub fn add(mut self, function: impl Export) -> Self {
        self.router = self.router.add(function);
        self
    }

    /// Gives handlers a value that they share: [`Router::state`].
    pub fn state<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.router = self.router.state(value);
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

    /// Says what is known of methods made by hand: [`Router::describe`].
    pub fn describe(mut self, contract: Contract) -> Self {
        self.router = self.router.describe(contract);
        self
    }

    /// The same for handlers that look at their values themselves: [`Router::describe_only`].
    pub fn describe_only(mut self, contract: Contract) -> Self {
        self.router = self.router.describe_only(contract);
        self
    }

    /// Decides what a caller is told of: [`Router::show`].
    pub fn show<F>(mut self, show: F) -> Self
    where
        F: Fn(&Evidence, Shown<'_>) -> bool + Send + Sync + 'static,
    {
        self.router = self.router.show(show);
        self
    }

    /// Has the hello of each connection say the hashes of the contracts: [`Router::announce_contracts`].
    pub fn announce_contracts(mut self) -> Self {
        self.router = self.router.announce_contracts();
        self
    }

    /// Where `#[blocking]` handlers run, in place of the threads that the process shares.
    pub fn blocking_pool(mut self, pool: BlockingPool) -> Self {
        self.router = self.router.blocking_pool(pool);
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

    /// Runs a handler for every event that a client emits under a topic: [`Router::on_event`].
    pub fn on_event<T, H, F>(mut self, topic: &str, handler: H) -> Self
    where
        T: DeserializeOwned + Send + 'static,
        H: Fn(Context, T) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        self.router = self.router.on_event(topic, handler);
        self
    }

    /// Runs a handler for every line of a client's log that belongs to no call: [`Router::on_log`].
    pub fn on_log<H, F>(mut self, handler: H) -> Self
    where
        H: Fn(Context, LogLine) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        self.router = self.router.on_log(handler);
        self
    }

    /// Has a policy decide about every connection before anything of it is handled: at most so many sessions
    /// ([`SessionLimit`]), one at a time, or whatever a program has of its own. Several are asked in the order in which
    /// they were added, and told of the end in the opposite order.
    ///
    /// Calls within the process are no connections, and are not asked about.
    pub fn admit(mut self, policy: impl SessionPolicy) -> Self {
        self.policies.push(Box::new(policy));
        self
    }

    /// Runs a function for every connection before anything of it is handled. It may name the connection, give it state,
    /// have it wait as long as the function takes (within `Limits::admission_timeout`), and refuse it: the peer hears the
    /// error where its wire can say it. It is a [`SessionPolicy`] like those of [`Self::admit`], in order with them. When
    /// the peer goes meanwhile, the function is dropped at its next await.
    pub fn on_connect<F, U>(self, function: F) -> Self
    where
        F: Fn(Session) -> U + Send + Sync + 'static,
        U: Future<Output = Result<(), RpcError>> + Send + 'static,
    {
        self.admit(OnConnect::new(function))
    }

    /// Runs a function once for every connection that was admitted, when it has ended, however it ended. It must not
    /// block.
    pub fn on_disconnect(
        self,
        function: impl Fn(&Session, &CloseReason) + Send + Sync + 'static,
    ) -> Self {
        self.admit(OnDisconnect(function))
    }

    /// The limits of every connection, and of the number of connections. Without this each connection has those of its
    /// dialect.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
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
        self,
        bind: impl Future<Output = Result<L, TransportError>> + Send + 'static,
        dialect: impl Dialect,
    ) -> Self
    where
        L: Listener,
        L::Connection: AsyncRead + AsyncWrite + Unpin,
    {
        self.listen_within(bind, dialect, std::convert::identity)
    }

    /// The same, where `change` makes the limits of its connections from those of the server, or of the dialect where
    /// the server has none.
    pub fn listen_within<L>(
        mut self,
        bind: impl Future<Output = Result<L, TransportError>> + Send + 'static,
        dialect: impl Dialect,
        change: impl Fn(Limits) -> Limits + Send + 'static,
    ) -> Self
    where
        L: Listener,
        L::Connection: AsyncRead + AsyncWrite + Unpin,
    {
        self.bare_names = shared::says_bare_names(&dialect).or(self.bare_names);
        self.binds.push(Box::pin(async move {
            let listener = bind.await?;
            let dialect = dialect.clone_box();
            Ok(accept::bytes(listener, dialect, Box::new(change)))
        }));
        self
    }

    /// Listens on a transport that carries envelopes.
    pub fn listen_on_transport<L>(self, listener: L) -> Self
    where
        L: Listener,
        L::Connection: Transport,
    {
        self.listen_transport_within(std::future::ready(Ok(listener)), std::convert::identity)
    }

    /// Listens on a transport that carries envelopes, and is bound when the server starts; `change` makes the limits of
    /// its connections from those of the server.
    pub fn listen_transport_within<L>(
        mut self,
        bind: impl Future<Output = Result<L, TransportError>> + Send + 'static,
        change: impl Fn(Limits) -> Limits + Send + 'static,
    ) -> Self
    where
        L: Listener,
        L::Connection: Transport,
    {
        self.binds.push(Box::pin(async move {
            Ok(accept::carrier(bind.await?, Box::new(change)))
        }));
        self
    }

    /// Can be called within this process under a name (`memory:NAME`), without a wire.
    pub fn listen_in_process(mut self, name: impl Into<String>) -> Self {
        self.names.push(name.into());
        self
    }

    /// Serves something that is open already and carries bytes: [`ServerHandle::attach`], when the server starts. It is
    /// closed then if as many connections are open as the limits allow.
    pub fn attach<S>(mut self, stream: S, dialect: impl Dialect, evidence: Evidence) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        self.bare_names = shared::says_bare_names(&dialect).or(self.bare_names);
        self.attached.push(Box::new(move |shared| {
            shared.attach_bytes(stream, &dialect, evidence)
        }));
        self
    }

    /// Serves a carrier of envelopes that is open already: [`ServerHandle::attach_transport`], when the server starts.
    pub fn attach_transport(mut self, transport: impl Transport + 'static) -> Self {
        self.attached
            .push(Box::new(move |shared| shared.attach_carrier(transport)));
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
        if let Some(dialect) = self.bare_names {
            self.router.listens_bare(dialect)?;
        }
        let mut listeners = Vec::new();
        for bind in self.binds {
            listeners.push(bind.await?);
        }
        let limits = self.limits.clone().unwrap_or_default();
        let offer = self.router.offer();
        for listener in &mut listeners {
            let mut offer = offer.clone();
            offer.limits = listener.limits(limits.clone());
            listener.open(&offer).await?;
        }
        let router = match &self.limits {
            Some(limits) => self.router.limits(limits.clone()),
            None => self.router,
        };
        let router = Arc::new(router);
        let local = LocalServer::new(Arc::clone(&router), limits);
        for (index, name) in self.names.iter().enumerate() {
            if !local.publish(name) {
                for published in self.names.iter().take(index) {
                    local.unpublish(published);
                }
                return Err(ServerError::NameTaken(name.clone()));
            }
        }
        let shared = Arc::new(Shared::new(
            router,
            self.limits,
            self.default_timeout,
            self.policies,
        ));
        shared.router.serve(Peers::new(Arc::downgrade(&shared)));
        let addresses = listeners
            .iter()
            .map(|listener| listener.address())
            .collect();
        let urls = listeners.iter().map(|listener| listener.url()).collect();
        let tasks = listeners
            .into_iter()
            .map(|listener| shared.listen(listener))
            .collect();
        for attach in self.attached {
            if let Err(error) = attach(&shared) {
                tracing::warn!(%error, "connection refused");
            }
        }
        Ok(ServerHandle::new(
            shared,
            local,
            self.names,
            (addresses, urls),
            tasks,
        ))
    }
}
