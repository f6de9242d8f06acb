//! Connecting and listening by URL.

use mynah_codec::Dialect;
use mynah_endpoint::{Endpoint, EndpointError, Place};
use mynah_peer::{
    Backoff, Context, DialError, EarlyListeners, LogLine, Logs, Peer, Reconnect, Reconnecting,
    RegisterError, Router, Server, Service, Subscription,
};
use mynah_protocol::{Accepted, Dialer as _, Limits, TransportError, TransportErrorKind};
use mynah_transport_tcp::{TcpDialer, TcpListener};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL names no endpoint.
    #[error(transparent)]
    Url(#[from] EndpointError),
    /// The transport could not connect.
    #[error("{}", .0.chain())]
    Transport(#[from] TransportError),
    /// A service of this side cannot be registered.
    #[error("service cannot be registered")]
    Register(#[from] RegisterError),
    /// No server of this process listens under that name.
    #[error("no server of this process listens on memory:{0}")]
    NoSuchName(String),
    /// A server of this process is there or not: there is no connection to make again.
    #[error(
        "memory:{0} is a server of this process, to which no connection is lost: connect without reconnect"
    )]
    NoReconnect(String),
}

impl From<DialError> for ConnectError {
    fn from(error: DialError) -> Self {
        match error {
            DialError::Transport(error) => Self::Transport(error),
            DialError::Register(error) => Self::Register(error),
            other => Self::Transport(TransportError::new(
                TransportErrorKind::Other,
                other.to_string(),
            )),
        }
    }
}

/// Connects to a URL: `tcp://host:port`, `tcp://host:port?dialect=cbor-rpc`, `memory:NAME`. [`Endpoint`] lists the
/// options. The limits are those of the dialect.
///
/// Cancel safety: dropped before its end, nothing stays open.
///
/// # Errors
/// - [`ConnectError::Url`] when the URL names no endpoint.
/// - [`ConnectError::Transport`] when the transport cannot connect.
/// - [`ConnectError::NoSuchName`] when no server of this process has that name.
pub async fn connect(url: &str) -> Result<Peer, ConnectError> {
    connector(url)?.connect().await
}

/// The same with services of this side, limits and a default deadline.
///
/// # Errors
/// [`ConnectError::Url`] when the URL names no endpoint.
pub fn connector(url: &str) -> Result<Connector, ConnectError> {
    Ok(Connector {
        endpoint: url.parse()?,
        router: Router::new(),
        limits: None,
        default_deadline: None,
        listeners: EarlyListeners::default(),
    })
}

/// A connection that is about to be opened.
#[derive(Debug)]
#[must_use = "nothing is opened before connect"]
pub struct Connector {
    endpoint: Endpoint,
    router: Router,
    /// `None`: those of the dialect.
    limits: Option<Limits>,
    /// `None`: the usual default.
    default_deadline: Option<Option<Duration>>,
    listeners: EarlyListeners,
}

impl Connector {
    /// A service that the other side may call back.
    pub fn register(mut self, service: impl Service) -> Self {
        self.router = self.router.register(service);
        self
    }

    /// Runs a handler for every event that the other side emits under a topic: [`Router::on_event`].
    pub fn on_event<T, H, F>(mut self, topic: &str, handler: H) -> Self
    where
        T: DeserializeOwned + Send + 'static,
        H: Fn(Context, T) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        self.router = self.router.on_event(topic, handler);
        self
    }

    /// Runs a handler for every line of the other side's log that belongs to no call: [`Router::on_log`].
    pub fn on_log<H, F>(mut self, handler: H) -> Self
    where
        H: Fn(Context, LogLine) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        self.router = self.router.on_log(handler);
        self
    }

    /// Everything that the other side may call and that is heard of it, in place of what was registered before.
    pub fn router(mut self, router: Router) -> Self {
        self.router = router;
        self
    }

    /// Hears what the other side emits under a topic, from its first word on. It hears the end when there is no
    /// connection, or when the other side is of the same process.
    pub fn listen<T>(&mut self, topic: &str) -> Subscription<T> {
        self.listeners.listen(topic)
    }

    /// Hears the other side's log, as far as it belongs to no call, from its first line on.
    pub fn logs(&mut self) -> Logs {
        self.listeners.logs()
    }

    /// The limits. Without this they are those of the dialect; `max_message` of the URL holds in any case.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// The time for calls that name none: 30 s unless set, `None` for no end.
    pub fn default_deadline(mut self, timeout: Option<Duration>) -> Self {
        self.default_deadline = Some(timeout);
        self
    }

    /// What is spoken, in place of what the URL says.
    pub fn dialect(mut self, dialect: impl Dialect) -> Self {
        self.endpoint.dialect = Box::new(dialect);
        self
    }

    /// A client that connects again by itself, with these pauses between attempts.
    ///
    /// What [`Self::listen`] and [`Self::logs`] hear belongs to one connection: they hear the end here. Handlers of
    /// [`Self::on_event`] and [`Self::on_log`] hear every connection, and so does [`Reconnecting::subscribe`].
    ///
    /// ```no_run
    /// # #[mynah::service]
    /// # trait Arith { async fn add(&self, a: i64, b: i64) -> i64; }
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use mynah::{Backoff, Reconnecting};
    ///
    /// let client = mynah::connector("tcp://127.0.0.1:9000")?
    ///     .reconnect(Backoff::default())?
    ///     .connect()
    ///     .await?;
    /// let arith: ArithClient<Reconnecting> = client.client();
    /// assert_eq!(arith.add(2, 3).await?, 5);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ConnectError::NoReconnect`] for `memory:NAME`, and [`ConnectError::Transport`] for what cannot be dialled.
    pub fn reconnect(self, backoff: Backoff) -> Result<Reconnect, ConnectError> {
        let limits = self.limits_of_connections();
        let reconnect = match self.endpoint.place {
            Place::Tcp(address) => {
                Reconnecting::dial(TcpDialer::new(address), &self.endpoint.dialect)
            }
            Place::Memory(name) => return Err(ConnectError::NoReconnect(name)),
            _ => return Err(not_dialled()),
        };
        let reconnect = reconnect
            .router(self.router)
            .limits(limits)
            .backoff(backoff);
        Ok(match self.default_deadline {
            Some(timeout) => reconnect.default_deadline(timeout),
            None => reconnect,
        })
    }

    fn limits_of_connections(&self) -> Limits {
        let given = self.limits.clone();
        let mut limits = given.unwrap_or_else(|| self.endpoint.dialect.limits());
        if let Some(bytes) = self.endpoint.max_message_bytes {
            limits.decode.max_message_bytes = bytes;
        }
        limits
    }

    /// Opens the connection.
    ///
    /// Cancel safety: dropped before its end, nothing stays open.
    ///
    /// # Errors
    /// As [`connect`]; also [`ConnectError::Register`].
    pub async fn connect(self) -> Result<Peer, ConnectError> {
        self.router.check()?;
        let limits = self.limits_of_connections();
        let dialect = self.endpoint.dialect;
        match self.endpoint.place {
            Place::Tcp(address) => {
                let Accepted {
                    connection,
                    evidence,
                } = TcpDialer::new(address).dial().await?;
                let mut builder = Peer::over(connection, &dialect)
                    .router(self.router)
                    .limits(limits)
                    .listeners(self.listeners)
                    .evidence(evidence);
                if let Some(timeout) = self.default_deadline {
                    builder = builder.default_deadline(timeout);
                }
                Ok(builder.start()?)
            }
            Place::Memory(name) => {
                let deadline = self
                    .default_deadline
                    .unwrap_or(Some(mynah_peer::DEFAULT_TIMEOUT));
                let peer = Peer::named_with(&name, self.router, &limits, deadline)?;
                peer.ok_or(ConnectError::NoSuchName(name))
            }
            _ => Err(not_dialled()),
        }
    }
}

fn not_dialled() -> ConnectError {
    ConnectError::Transport(TransportError::new(
        TransportErrorKind::Address,
        "this kind of endpoint cannot be dialled",
    ))
}

/// Listening by URL. In scope with [`prelude`](crate::prelude).
pub trait Listen: Sized {
    /// Listens on a URL: `tcp://host:port` (port 0 takes a free one) or `memory:NAME`, with the options of [`Endpoint`].
    /// A URL that names no endpoint is reported by `start`.
    #[must_use = "nothing runs before start"]
    fn listen(self, url: &str) -> Self;
}

impl Listen for Server {
    fn listen(self, url: &str) -> Self {
        match url.parse::<Endpoint>() {
            Ok(Endpoint {
                place: Place::Memory(name),
                ..
            }) => self.listen_in_process(name),
            Ok(Endpoint {
                place: Place::Tcp(address),
                dialect,
                max_message_bytes,
                ..
            }) => {
                let bind = async move { TcpListener::bind(&address).await };
                self.listen_within(bind, dialect, max_message_bytes)
            }
            Ok(_) => fail(
                self,
                "this kind of endpoint cannot be listened on".to_owned(),
            ),
            Err(error) => fail(self, error.to_string()),
        }
    }
}

fn fail(server: Server, what: String) -> Server {
    let error = TransportError::new(TransportErrorKind::Address, what);
    let never = std::future::ready(Err::<TcpListener, _>(error));
    server.listen_with(never, mynah_codec::dialect::native::Native::new())
}
