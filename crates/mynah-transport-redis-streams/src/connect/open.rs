//! Opening connections.

use super::direct::{self, Direct};
use super::{Connection, Inner, Library, Shared};
use crate::keys::Keys;
use crate::options::{RedisOptions, RedisTopology};
use mynah_protocol::{TransportError, TransportErrorKind};
use redis::{
    AsyncConnectionConfig, ConnectionInfo, IntoConnectionInfo as _, RedisError, RedisResult,
    ServerErrorKind,
};
use std::fmt;
use std::time::Duration;

/// Opens connections to one place.
#[derive(Clone)]
pub(crate) struct Connector {
    place: Place,
    address: String,
    /// Whether all keys of the prefix are in one place.
    one_slot: bool,
    response_timeout: Duration,
    /// How long a blocking read may take in all.
    #[cfg_attr(
        not(feature = "cluster"),
        allow(dead_code, reason = "only a cluster asks")
    )]
    block_timeout: Duration,
    connect_timeout: Duration,
    require_fsync: bool,
    /// The client of the library is the program's.
    handed_in: bool,
}

#[derive(Clone)]
enum Place {
    Single(redis::Client),
    #[cfg(feature = "cluster")]
    Cluster(Vec<ConnectionInfo>),
    #[cfg(feature = "sentinel")]
    Sentinel {
        nodes: Vec<ConnectionInfo>,
        primary: String,
    },
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

fn wrong(what: impl Into<String>) -> TransportError {
    TransportError::new(TransportErrorKind::Address, what)
}

/// Reads the URL of a node. Errors do not show it: there may be a password in it.
fn node(url: &str) -> Result<ConnectionInfo, TransportError> {
    let info = url.into_connection_info();
    info.map_err(|_hidden| wrong("the URL of Redis cannot be used: redis://host:port/db, rediss://host:port/db or redis+unix:///path"))
}

/// The same for further nodes: `host:port`, or a URL. They are what the first is in all else.
#[cfg(any(feature = "cluster", feature = "sentinel"))]
fn nodes(first: &ConnectionInfo, more: &[String]) -> Result<Vec<ConnectionInfo>, TransportError> {
    let mut nodes = vec![first.clone()];
    for one in more {
        let url = match one.contains("://") {
            true => one.clone(),
            false => format!("redis://{one}"),
        };
        nodes.push(first.clone().set_addr(node(&url)?.addr().clone()));
    }
    Ok(nodes)
}

impl Connector {
    pub(crate) fn new(options: &RedisOptions) -> Result<Self, TransportError> {
        let first = first(options)?;
        if matches!(first.addr(), redis::ConnectionAddr::TcpTls { .. }) {
            ready_for_tls()?;
        }
        if options.root_certificates.is_some() && options.topology != RedisTopology::Single {
            // They would not be used.
            let what = "certificates of one's own are for a single server; a cluster and sentinels have those of the system";
            return Err(wrong(what));
        }
        // For Redis no time means for ever; and whoever does not answer in time is left.
        let waits = options.wait_replicas > 0;
        if waits
            && (options.wait_timeout.is_zero() || options.wait_timeout >= options.response_timeout)
        {
            let what = "replicas are waited for for longer than nothing, and not as long as Redis may take for an answer: wait_timeout";
            return Err(wrong(what));
        }
        let address = first.addr().to_string();
        let mut one_slot = true;
        let place = match &options.topology {
            RedisTopology::Single => Place::Single(client(first, options)?),
            _ if options.wait_replicas > 0
                && matches!(options.topology, RedisTopology::Cluster { .. }) =>
            {
                return Err(wrong(
                    "replicas can be waited for on one primary only, not in a Cluster",
                ));
            }
            #[cfg(feature = "cluster")]
            RedisTopology::Cluster { nodes: more } => {
                one_slot = Keys::new(&options.prefix).share_a_slot();
                Place::Cluster(nodes(&first, more)?)
            }
            #[cfg(feature = "sentinel")]
            RedisTopology::Sentinel {
                primary,
                nodes: more,
            } => Place::Sentinel {
                nodes: nodes(&first, more)?,
                primary: primary.clone(),
            },
            #[cfg(not(all(feature = "cluster", feature = "sentinel")))]
            other => {
                let _unused: (&mut bool, fn(&Keys) -> bool) = (&mut one_slot, Keys::share_a_slot);
                return Err(wrong(format!(
                    "{} was left out of this program",
                    other.feature()
                )));
            }
        };
        Ok(Self {
            place,
            address,
            one_slot,
            response_timeout: options.response_timeout,
            block_timeout: options.block + Duration::from_secs(60),
            connect_timeout: options.connect_timeout,
            require_fsync: options.require_fsync,
            #[cfg(feature = "redis-client")]
            handed_in: options.client.is_some(),
            #[cfg(not(feature = "redis-client"))]
            handed_in: false,
        })
    }

    /// Where it leads, without user and password.
    pub(crate) fn address(&self) -> String {
        self.address.clone()
    }

    /// Whether an answer and what it answers may be written in one transaction.
    pub(crate) const fn one_slot(&self) -> bool {
        self.one_slot
    }

    /// Whether a blocking read can be ended from another connection: it is known which node has it.
    pub(crate) const fn can_unblock(&self) -> bool {
        match &self.place {
            Place::Single(_) => true,
            #[cfg(feature = "cluster")]
            Place::Cluster(_) => false,
            #[cfg(feature = "sentinel")]
            Place::Sentinel { .. } => true,
        }
    }

    /// A connection for commands that do not block.
    pub(crate) async fn open(&self) -> RedisResult<Connection> {
        self.open_with(Some(self.response_timeout)).await
    }

    /// A connection for blocking reads, one at a time.
    pub(crate) async fn open_blocking(&self) -> RedisResult<Connection> {
        self.open_with(None).await
    }

    /// A connection that several use at once.
    pub(crate) async fn open_shared(&self) -> RedisResult<Shared> {
        let timeout = Some(self.response_timeout);
        let shared = Shared {
            inner: Box::pin(self.connect_by_library(timeout)).await?,
            one_slot: self.one_slot,
        };
        self.checked(shared.connection()).await?;
        Ok(shared)
    }

    async fn open_with(&self, response_timeout: Option<Duration>) -> RedisResult<Connection> {
        let opened = self.connect(response_timeout).await?;
        self.checked(opened).await
    }

    async fn checked(&self, mut connection: Connection) -> RedisResult<Connection> {
        if self.require_fsync {
            let mut get = redis::cmd("CONFIG");
            get.arg("GET").arg("append*");
            let asked = tokio::time::timeout(self.connect_timeout, connection.run(&get)).await;
            let slow = |_elapsed| RedisError::from((redis::ErrorKind::Io, "redis does not answer"));
            require_fsync(asked.map_err(slow)??)?;
        }
        Ok(connection)
    }

    async fn connect(&self, response_timeout: Option<Duration>) -> RedisResult<Connection> {
        let client = match &self.place {
            // What else the client was told is known to the library alone.
            Place::Single(_) if self.handed_in => None,
            Place::Single(client) => Some(client.clone()),
            #[cfg(feature = "cluster")]
            Place::Cluster(_) => None,
            #[cfg(feature = "sentinel")]
            Place::Sentinel { nodes, primary } => {
                let named = sentinel(nodes, primary);
                Some(Box::pin(self.named_in_time(named)).await?)
            }
        };
        if let Some(client) = client {
            let info = client.get_connection_info();
            if let Some(place) = direct::Place::of(info) {
                let limit = self.connect_timeout;
                // Once for a connection; what waits for it need not hold its steps.
                let opened = Box::pin(Direct::open(&place, info, limit, response_timeout));
                return Ok(Connection::direct(opened.await?));
            }
        }
        Ok(Connection {
            inner: Inner::Library(Box::pin(self.connect_by_library(response_timeout)).await?),
            one_slot: self.one_slot,
        })
    }

    async fn connect_by_library(&self, response_timeout: Option<Duration>) -> RedisResult<Library> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            .set_response_timeout(response_timeout);
        match &self.place {
            Place::Single(client) => {
                let opened = client.get_multiplexed_async_connection_with_config(&config);
                Ok(Library::Single(opened.await?))
            }
            #[cfg(feature = "cluster")]
            Place::Cluster(nodes) => {
                let timeout = response_timeout.unwrap_or(self.block_timeout);
                let client = redis::cluster::ClusterClientBuilder::new(nodes.clone())
                    // What may have been carried out is not sent again by a library that cannot know.
                    .retries(0)
                    .connection_timeout(self.connect_timeout)
                    .response_timeout(timeout)
                    .overall_response_timeout(None)
                    .build()?;
                Ok(Library::Cluster(client.get_async_connection().await?))
            }
            #[cfg(feature = "sentinel")]
            Place::Sentinel { nodes, primary } => {
                let client = self.named_in_time(sentinel(nodes, primary)).await?;
                let opened = client.get_multiplexed_async_connection_with_config(&config);
                Ok(Library::Single(opened.await?))
            }
        }
    }

    #[cfg(feature = "sentinel")]
    async fn named_in_time(
        &self,
        named: impl Future<Output = RedisResult<redis::Client>>,
    ) -> RedisResult<redis::Client> {
        let named = tokio::time::timeout(self.connect_timeout * 2, named).await;
        let slow = |_elapsed| {
            RedisError::from((redis::ErrorKind::Io, "sentinels name no primary in time"))
        };
        named.map_err(slow)?
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
        let what = format!("{what} at redis {}", self.address);
        TransportError::new(kind, what).with_source(error)
    }
}

/// Where Redis is.
fn first(options: &RedisOptions) -> Result<ConnectionInfo, TransportError> {
    #[cfg(feature = "redis-client")]
    if let Some(client) = &options.client {
        if options.topology != RedisTopology::Single || options.root_certificates.is_some() {
            return Err(wrong(
                "a client that was configured before is all that there is to be said of Redis",
            ));
        }
        return Ok(client.0.get_connection_info().clone());
    }
    node(&options.url)
}

/// Whether Redis says that it writes to its disk before it answers.
fn require_fsync(answer: redis::Value) -> RedisResult<()> {
    let settings: std::collections::HashMap<String, String> = redis::from_redis_value(answer)?;
    let is = |name: &str, value: &str| settings.get(name).is_some_and(|found| found == value);
    if is("appendonly", "yes") && is("appendfsync", "always") {
        return Ok(());
    }
    let what = "redis does not write to its disk before it answers: appendonly yes and appendfsync always are required";
    Err((redis::ErrorKind::InvalidClientConfig, what).into())
}

fn client(info: ConnectionInfo, options: &RedisOptions) -> Result<redis::Client, TransportError> {
    #[cfg(feature = "redis-client")]
    if let Some(client) = &options.client {
        return Ok(client.0.clone());
    }
    let refused = |error: RedisError| wrong("Redis cannot be used so").with_source(error);
    #[cfg(feature = "tls")]
    if let Some(roots) = &options.root_certificates {
        let certificates = redis::TlsCertificates {
            client_tls: None,
            root_cert: Some(roots.clone()),
        };
        return redis::Client::build_with_tls(info, certificates).map_err(refused);
    }
    #[cfg(not(feature = "tls"))]
    if options.root_certificates.is_some() {
        return Err(wrong("TLS was left out of this program"));
    }
    redis::Client::open(info).map_err(refused)
}

/// Asks the sentinels who is the primary, each time anew: it may be another by now.
#[cfg(feature = "sentinel")]
async fn sentinel(nodes: &[ConnectionInfo], primary: &str) -> RedisResult<redis::Client> {
    use redis::sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType};
    // User, password and database are those of the primary.
    let settings = nodes.first().map(|node| node.redis_settings().clone());
    let node = SentinelNodeConnectionInfo::default()
        .set_redis_connection_info(settings.unwrap_or_default());
    let sentinels: Vec<_> = nodes.iter().map(|node| node.addr().clone()).collect();
    let mut client = SentinelClient::build(
        sentinels,
        String::from(primary),
        Some(node),
        SentinelServerType::Master,
    )?;
    client.async_get_client().await
}

/// TLS needs somebody who does the arithmetic, unless the program has chosen.
#[cfg(feature = "tls")]
#[expect(clippy::unnecessary_wraps, reason = "without TLS there is an error")]
fn ready_for_tls() -> Result<(), TransportError> {
    // An error says that there is one already.
    drop(rustls::crypto::ring::default_provider().install_default());
    Ok(())
}

#[cfg(not(feature = "tls"))]
fn ready_for_tls() -> Result<(), TransportError> {
    Err(wrong("TLS was left out of this program"))
}
