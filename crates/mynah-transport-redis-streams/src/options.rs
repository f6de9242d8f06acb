//! What there is to be chosen.

use mynah_protocol::FormatId;
use std::collections::BTreeMap;
use std::time::Duration;

/// What Redis is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedisTopology {
    /// One server.
    #[default]
    Single,
    /// A Redis Cluster. With the feature `cluster`.
    ///
    /// With a hash tag in the prefix all of its keys are in one slot, and an answer and its acknowledgement are one step;
    /// without, services are spread over the nodes, and an answer is written before it is acknowledged: a crash between the
    /// two has the call delivered again.
    Cluster {
        /// Nodes beside that of the URL, to begin with: `host:port`.
        nodes: Vec<String>,
    },
    /// A primary that sentinels know, asked each time a connection is opened. The URL is that of a sentinel; user, password
    /// and database in it are those of the primary. With the feature `sentinel`.
    Sentinel {
        /// The name under which the sentinels know the primary.
        primary: String,
        /// Sentinels beside that of the URL: `host:port`.
        nodes: Vec<String>,
    },
}

impl RedisTopology {
    #[cfg_attr(
        all(feature = "cluster", feature = "sentinel"),
        allow(dead_code, reason = "nothing is left out")
    )]
    pub(crate) const fn feature(&self) -> &'static str {
        match self {
            Self::Single => "a single server",
            Self::Cluster { .. } => "Redis Cluster (the feature `cluster`)",
            Self::Sentinel { .. } => "Redis Sentinel (the feature `sentinel`)",
        }
    }
}

/// How a client or a server uses Redis.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RedisOptions {
    /// Where Redis is: `redis://user:password@host:port/db`, `rediss://…` with TLS, or `redis+unix:///path`.
    pub url: String,
    /// What Redis is made of. Default one server.
    pub topology: RedisTopology,
    /// The certificates of authorities to trust for `rediss://`, as PEM, in place of those of the system. For a
    /// single server only.
    pub root_certificates: Option<Vec<u8>>,
    /// What the names of all keys begin with. Default `mynah`. With a hash tag in it (`{app}`) all of them are in one slot
    /// of a cluster.
    pub prefix: String,
    /// The name of this instance, at most 128 bytes without control characters. `None`, the default: a new one each time.
    /// No two may be alive with the same.
    pub instance: Option<String>,
    /// The format of a client's calls, and of the messages that a server publishes. Default JSON, which servers of clamator
    /// speak as well; servers of ours answer each call in its own. A format of a program's own is an error.
    pub format: FormatId,
    /// Whether a client makes every call a session, as those with streams or callbacks are: each is with one server and runs at
    /// most once, and the server may call the client while it runs. Default `false`.
    pub sessions: bool,
    /// How many calls of one service run at once in one server, and how many are fetched at most. Default 64.
    pub concurrency: usize,
    /// The same for services that have a number of their own. 1 is clamator's documented order: each call of the service
    /// sees the effects of those before it on the same server.
    pub concurrency_of: BTreeMap<String, usize>,
    /// How long an entry may lie untouched with a consumer before another takes it over. A running call is touched three
    /// times within it. The same for all servers of a group; default 60 s, as clamator has it.
    pub claim_idle: Duration,
    /// How often an entry is delivered before it goes to the dead-letter stream. Default 8.
    pub max_deliveries: u32,
    /// How many entries a dead-letter stream keeps, about. Default 1000.
    pub dead_letters: usize,
    /// How long answers that nobody reads are kept. Default 10 minutes.
    pub reply_ttl: Duration,
    /// How many answers that nobody reads or trims are kept for one client, about. Default 8192.
    pub reply_max_len: usize,
    /// Whether what the program broadcasts goes to whoever reads its topics under the prefix. The server then has one
    /// connection more, which stands for all of them. Default `false`.
    pub publish_events: bool,
    /// How many messages of a topic are kept, about, for readers that are slow. Default 1024.
    pub event_len: usize,
    /// How long the outcome of a call with an operation id is kept, and answered to the same call made again. Longer than
    /// anybody tries again, and in memory all that time. Default 10 minutes.
    pub seal_ttl: Duration,
    /// Calls that were made this long before the group of their service was created are served. Default 30 s, as long as a
    /// clamator client waits.
    pub early_calls: Duration,
    /// How long one blocking read waits. Default 5 s.
    pub block: Duration,
    /// How long Redis may take for a command that does not block, and beyond [`RedisOptions::block`] for one that does, before the
    /// connection is given up. Default 15 s.
    pub response_timeout: Duration,
    /// How long a connection may take to be opened. Default 5 s.
    pub connect_timeout: Duration,
    /// How many replicas are to have a call before it counts as written, and the outcome of an operation before it is
    /// answered (`WAIT`). Each batch then takes a round trip to the replicas more. Default 0: a failover loses what the
    /// replica has not got yet. Not in a Cluster.
    pub wait_replicas: u32,
    /// How long these replicas may take. Calls that they do not have in time count as doubtful: they end as
    /// indeterminate if nothing is heard of them. Longer than nothing, shorter than [`RedisOptions::response_timeout`]. Default 1 s.
    pub wait_timeout: Duration,
    /// Whether Redis is to write to its disk before it answers: asked of it when a connection is opened (`CONFIG GET
    /// appendfsync`, which the user of Redis must be allowed), and an error when it does not. Default `false`.
    pub require_fsync: bool,
    #[cfg(feature = "redis-client")]
    pub(crate) client: Option<crate::redis_client::Handed>,
}

impl RedisOptions {
    /// The defaults with this URL.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            topology: RedisTopology::Single,
            root_certificates: None,
            prefix: "mynah".to_owned(),
            instance: None,
            format: FormatId::Json,
            sessions: false,
            concurrency: 64,
            concurrency_of: BTreeMap::new(),
            claim_idle: Duration::from_secs(60),
            max_deliveries: 8,
            dead_letters: 1000,
            reply_ttl: Duration::from_secs(600),
            reply_max_len: 8192,
            publish_events: false,
            event_len: 1024,
            seal_ttl: Duration::from_secs(600),
            early_calls: Duration::from_secs(30),
            block: Duration::from_secs(5),
            response_timeout: Duration::from_secs(15),
            connect_timeout: Duration::from_secs(5),
            wait_replicas: 0,
            wait_timeout: Duration::from_secs(1),
            require_fsync: false,
            #[cfg(feature = "redis-client")]
            client: None,
        }
    }

    /// Sets what Redis is made of.
    #[must_use]
    pub fn with_topology(mut self, topology: RedisTopology) -> Self {
        self.topology = topology;
        self
    }

    /// Sets the certificates to trust, as PEM.
    #[must_use]
    pub fn with_root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates = Some(pem.into());
        self
    }

    /// Sets the prefix of all keys.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets the name of this instance.
    #[must_use]
    pub fn with_instance(mut self, instance: impl Into<String>) -> Self {
        self.instance = Some(instance.into());
        self
    }

    /// Sets the format of a client's calls, and of the messages that a server publishes.
    #[must_use]
    pub const fn with_format(mut self, format: FormatId) -> Self {
        self.format = format;
        self
    }

    /// Sets whether a client makes every call a session.
    #[must_use]
    pub const fn with_sessions(mut self, sessions: bool) -> Self {
        self.sessions = sessions;
        self
    }

    /// Sets how many calls of one service run at once, at least one.
    #[must_use]
    pub const fn with_concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// Sets the same for one service.
    #[must_use]
    pub fn with_concurrency_of(mut self, service: impl Into<String>, concurrency: usize) -> Self {
        self.concurrency_of.insert(service.into(), concurrency);
        self
    }

    /// Has the calls of a service run one after the other, in the order in which this server takes them.
    #[must_use]
    pub fn with_serial(self, service: impl Into<String>) -> Self {
        self.with_concurrency_of(service, 1)
    }

    /// How long a blocking read may take before its connection counts as broken.
    pub(crate) fn longest_read(&self) -> Duration {
        self.block.saturating_add(self.response_timeout)
    }

    /// Sets when an entry may be taken over.
    #[must_use]
    pub const fn with_claim_idle(mut self, idle: Duration) -> Self {
        self.claim_idle = idle;
        self
    }

    /// Sets how often an entry is delivered, at least once.
    #[must_use]
    pub const fn with_max_deliveries(mut self, deliveries: u32) -> Self {
        self.max_deliveries = deliveries;
        self
    }

    /// Sets how long answers are kept that nobody reads.
    #[must_use]
    pub const fn with_reply_ttl(mut self, ttl: Duration) -> Self {
        self.reply_ttl = ttl;
        self
    }

    /// Sets how long outcomes of operations are kept.
    #[must_use]
    pub const fn with_seal_ttl(mut self, ttl: Duration) -> Self {
        self.seal_ttl = ttl;
        self
    }

    /// Sets whether what the program broadcasts goes to readers of topics.
    #[must_use]
    pub const fn with_publish_events(mut self, publish: bool) -> Self {
        self.publish_events = publish;
        self
    }

    /// Sets how many replicas are to have what is written.
    #[must_use]
    pub const fn with_wait_replicas(mut self, replicas: u32) -> Self {
        self.wait_replicas = replicas;
        self
    }

    /// Sets whether Redis must write to its disk before it answers.
    #[must_use]
    pub const fn with_require_fsync(mut self, required: bool) -> Self {
        self.require_fsync = required;
        self
    }

    pub(crate) fn concurrency_for(&self, service: &str) -> usize {
        let own = self.concurrency_of.get(service).copied();
        own.unwrap_or(self.concurrency).max(1)
    }
}
