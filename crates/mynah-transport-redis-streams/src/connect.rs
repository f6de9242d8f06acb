//! Connections to Redis, and what their errors mean.

use crate::options::RedisOptions;
use crate::random::jittered;
use mynah_protocol::{TransportError, TransportErrorKind};
use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::{
    AsyncConnectionConfig, Cmd, Pipeline, RedisError, RedisResult, ServerErrorKind, Value,
};
use std::fmt;
use std::time::Duration;

/// Opens connections to one place.
#[derive(Clone)]
pub(crate) struct Connector {
    client: redis::Client,
    response_timeout: Duration,
    connect_timeout: Duration,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}

/// An open connection. Clones share it.
#[derive(Clone)]
pub(crate) struct Connection(MultiplexedConnection);

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl Connector {
    pub(crate) fn new(options: &RedisOptions) -> Result<Self, TransportError> {
        let client = redis::Client::open(&*options.url).map_err(|error| {
            // Its text may hold the password.
            drop(error);
            TransportError::new(
                TransportErrorKind::Address,
                "the URL of Redis cannot be used: redis://host:port/db, rediss://host:port/db or redis+unix:///path",
            )
        })?;
        Ok(Self {
            client,
            response_timeout: options.response_timeout,
            connect_timeout: options.connect_timeout,
        })
    }

    /// Where it leads, without user and password.
    pub(crate) fn address(&self) -> String {
        self.client.get_connection_info().addr().to_string()
    }

    /// A connection for commands that do not block.
    pub(crate) async fn open(&self) -> RedisResult<Connection> {
        self.open_with(Some(self.response_timeout)).await
    }

    /// A connection for blocking reads, one at a time.
    pub(crate) async fn open_blocking(&self) -> RedisResult<Connection> {
        self.open_with(None).await
    }

    async fn open_with(&self, response_timeout: Option<Duration>) -> RedisResult<Connection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            .set_response_timeout(response_timeout);
        let connection = self
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        Ok(Connection(connection))
    }

    /// What failed, for whoever dials or listens.
    pub(crate) fn error(&self, what: &str, error: RedisError) -> TransportError {
        let kind = match error.kind() {
            _ if error.is_connection_refusal() => TransportErrorKind::Refused,
            _ if error.is_timeout() => TransportErrorKind::TimedOut,
            redis::ErrorKind::AuthenticationFailed => TransportErrorKind::Denied,
            redis::ErrorKind::Server(ServerErrorKind::NoPerm) => TransportErrorKind::Denied,
            redis::ErrorKind::Io => TransportErrorKind::Broken,
            _ => TransportErrorKind::Other,
        };
        let what = format!("{what} at redis {}", self.address());
        TransportError::new(kind, what).with_source(error)
    }
}

impl Connection {
    /// The answer to one command.
    pub(crate) async fn run(&mut self, command: &Cmd) -> RedisResult<Value> {
        // What stands within an array is looked at by whoever reads it.
        match self.0.req_packed_command(command).await? {
            Value::ServerError(error) => Err(error.into()),
            answer => Ok(answer),
        }
    }

    /// One answer to each command, errors of Redis among them. Of a transaction, one answer to each command within it;
    /// an error when none of them was carried out.
    pub(crate) async fn run_all(&mut self, commands: &Pipeline) -> RedisResult<Vec<Value>> {
        if !commands.is_transaction() {
            return self
                .0
                .req_packed_commands(commands, 0, commands.len())
                .await;
        }
        let mut answers = self
            .0
            .req_packed_commands(commands, commands.len() + 1, 1)
            .await?;
        match answers.pop() {
            Some(Value::Array(answers)) => Ok(answers),
            Some(other) => {
                other.extract_error()?;
                Ok(Vec::new())
            }
            None => Ok(Vec::new()),
        }
    }
}

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cure {
    /// The connection is of no use any more.
    Reconnect,
    /// The same may work after a while.
    Wait,
    /// The group or the stream is gone.
    CreateGroup,
    /// It will not work.
    None,
}

pub(crate) fn cure(error: &RedisError) -> Cure {
    match error.code() {
        Some("NOGROUP" | "UNBLOCKED") => return Cure::CreateGroup,
        Some(
            "LOADING" | "OOM" | "MISCONF" | "BUSY" | "CLUSTERDOWN" | "TRYAGAIN" | "MASTERDOWN"
            | "NOREPLICAS",
        ) => return Cure::Wait,
        // A failover: whoever was the primary is not.
        Some("READONLY") => return Cure::Reconnect,
        Some("EXECABORT") => return Cure::None,
        Some(_) => {}
        None => return Cure::Reconnect,
    }
    if error.is_unrecoverable_error() || error.is_io_error() {
        return Cure::Reconnect;
    }
    Cure::None
}

/// Pauses between attempts.
#[derive(Debug)]
pub(crate) struct Pauses {
    next: Duration,
}

impl Pauses {
    const FIRST: Duration = Duration::from_millis(20);
    const LONGEST: Duration = Duration::from_secs(2);

    pub(crate) const fn new() -> Self {
        Self { next: Self::FIRST }
    }

    /// It works again.
    pub(crate) const fn reset(&mut self) {
        self.next = Self::FIRST;
    }

    pub(crate) fn next(&mut self) -> Duration {
        let pause = jittered(self.next);
        self.next = (self.next * 2).min(Self::LONGEST);
        pause
    }

    pub(crate) async fn wait(&mut self) {
        tokio::time::sleep(self.next()).await;
    }
}
