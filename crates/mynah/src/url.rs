//! Connecting and listening by URL.

use mynah_codec::Dialect;
use mynah_endpoint::{BoxListener, Dialing, Endpoint, EndpointError, EndpointStream, Listening};
use mynah_peer::{
    Backoff, Context, DialError, EarlyListeners, LogLine, Logs, Peer, Reconnect, Reconnecting,
    RegisterError, Router, Server, Service, Subscription,
};
use mynah_protocol::{Accepted, Limits, TransportError, TransportErrorKind};
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
    /// There is no connection to make again, as with a server of this process.
    #[error("{}", .0.chain())]
    NoReconnect(TransportError),
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

/// Connects to a URL: `tcp://host:port`, `unix:/path`, `tcp://host:port?dialect=cbor-rpc`, `stdio:PROGRAM`, `memory:NAME`.
/// [`Endpoint`] lists the options. `stdio:PROGRAM` runs a program, so a URL is to be trusted as one that names a program is. The limits are those of the dialect.
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

    /// The limits. Without this they are those of the dialect; what the URL says of them holds in any case.
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
    /// [`ConnectError::NoReconnect`] for what cannot be dialled again, `memory:NAME` for one, and
    /// [`ConnectError::Transport`] for what cannot be dialled.
    pub fn reconnect(self, backoff: Backoff) -> Result<Reconnect, ConnectError> {
        let limits = self.limits_of_connections();
        let place = self.endpoint.place;
        place.again().map_err(ConnectError::NoReconnect)?;
        let reconnect = match place.dial()? {
            Dialing::Bytes(dialer) => Reconnecting::dial(dialer, &self.endpoint.dialect),
            Dialing::Carrier(dialer) => Reconnecting::dial_transport(dialer),
            _ => return Err(ConnectError::Transport(unknown("cannot be dialled again"))),
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
        let limits = given.unwrap_or_else(|| self.endpoint.dialect.limits());
        self.endpoint.limits.apply_to(limits)
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
        let (builder, evidence) = match self.endpoint.place.dial()? {
            Dialing::Bytes(dialer) => {
                let Accepted {
                    mut connection,
                    evidence,
                } = dialer.dial().await?;
                let side_lines = dialer.take_side_lines(&mut connection);
                let builder = Peer::over(connection, &self.endpoint.dialect);
                let builder = match side_lines {
                    Some(lines) => builder.side_lines(lines),
                    None => builder,
                };
                (builder, evidence)
            }
            Dialing::Carrier(dialer) => {
                let Accepted {
                    connection,
                    evidence,
                } = dialer.dial().await?;
                (Peer::over_transport(connection), evidence)
            }
            Dialing::InProcess(name) => {
                let usual = Some(mynah_peer::DEFAULT_TIMEOUT);
                let deadline = self.default_deadline.unwrap_or(usual);
                let peer = Peer::named_with(&name, self.router, &limits, deadline)?;
                return peer.ok_or(ConnectError::NoSuchName(name));
            }
            _ => return Err(ConnectError::Transport(unknown("cannot be dialled"))),
        };
        let mut builder = builder
            .router(self.router)
            .limits(limits)
            .listeners(self.listeners)
            .evidence(evidence);
        if let Some(timeout) = self.default_deadline {
            builder = builder.default_deadline(timeout);
        }
        Ok(builder.start()?)
    }
}

/// For kinds of places that come later.
fn unknown(what: &str) -> TransportError {
    let what = format!("this kind of endpoint {what}");
    TransportError::new(TransportErrorKind::Address, what)
}

/// Listening by URL. In scope with [`prelude`](crate::prelude).
pub trait Listen: Sized {
    /// Listens on a URL: `tcp://host:port` (port 0 takes a free one), `unix:/path`, `stdio:` (this process's own stdin and
    /// stdout) or `memory:NAME`, with the options of [`Endpoint`].
    /// A URL that names no endpoint is reported by `start`.
    #[must_use = "nothing runs before start"]
    fn listen(self, url: &str) -> Self;
}

impl Listen for Server {
    fn listen(self, url: &str) -> Self {
        let Endpoint {
            place,
            dialect,
            limits,
            ..
        } = match url.parse() {
            Ok(endpoint) => endpoint,
            Err(error) => {
                let error = EndpointError::to_string(&error);
                return fail(
                    self,
                    TransportError::new(TransportErrorKind::Address, error),
                );
            }
        };
        let change = move |given| limits.apply_to(given);
        match place.listen() {
            Ok(Listening::Bytes(bind)) => self.listen_within(bind, dialect, change),
            Ok(Listening::Carrier(bind)) => self.listen_transport_within(bind, change),
            Ok(Listening::InProcess(name)) => self.listen_in_process(name),
            Ok(_) => fail(self, unknown("cannot be listened on")),
            Err(error) => fail(self, error),
        }
    }
}

/// A server whose start says what is wrong.
fn fail(server: Server, error: TransportError) -> Server {
    let never = std::future::ready(Err::<BoxListener<EndpointStream>, _>(error));
    server.listen_with(never, mynah_codec::dialect::native::Native::new())
}
