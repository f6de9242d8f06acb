//! Where a fleet keeps what it has: said in one argument, so that its processes find it.

use mynah::redis_streams::{RedisOptions, RedisTopology};
use redis::aio::MultiplexedConnection;
use redis::sentinel::{SentinelClient, SentinelServerType};
use redis::{AsyncConnectionConfig, Cmd, RedisResult};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A command that takes longer than this has lost its connection.
const PATIENCE: Duration = Duration::from_secs(2);

/// One Redis by its URL, or the primary that sentinels know: `sentinel://HOST:PORT,HOST:PORT/NAME`. Then `?wait=N` where `N`
/// replicas are to be waited for, and `&patience=MS` where Redis has so long for an answer, and a blocking read as long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    nodes: Vec<String>,
    primary: Option<String>,
    wait: u32,
    patience: Option<Duration>,
}

impl Place {
    /// Reads what [`Place`] describes.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let Some(rest) = text.strip_prefix("sentinel://") else {
            return Self {
                nodes: vec![text.to_owned()],
                primary: None,
                wait: 0,
                patience: None,
            };
        };
        let (rest, wait) = rest.split_once("?wait=").unwrap_or((rest, "0"));
        let (wait, patience) = wait.split_once("&patience=").unwrap_or((wait, ""));
        let (nodes, primary) = rest.split_once('/').unwrap_or((rest, "mynah"));
        Self {
            nodes: nodes
                .split(',')
                .map(|node| format!("redis://{node}"))
                .collect(),
            primary: Some(primary.to_owned()),
            wait: wait.parse().unwrap_or(0),
            patience: patience.parse().ok().map(Duration::from_millis),
        }
    }

    /// Where a fleet with these options is.
    #[must_use]
    pub fn of(options: &RedisOptions) -> Self {
        let mut nodes = vec![options.url.clone()];
        let mut found = None;
        if let RedisTopology::Sentinel {
            primary,
            nodes: more,
        } = &options.topology
        {
            nodes.extend(more.iter().cloned());
            found = Some(primary.clone());
        }
        Self {
            nodes,
            primary: found,
            wait: options.wait_replicas,
            patience: None,
        }
    }

    /// How a fleet uses it.
    #[must_use]
    pub fn options(&self) -> RedisOptions {
        let (first, more) = self
            .nodes
            .split_first()
            .map_or(("", &[][..]), |(first, more)| (first.as_str(), more));
        let mut options = RedisOptions::new(first).with_wait_replicas(self.wait);
        if let Some(patience) = self.patience {
            options.block = patience;
            options.response_timeout = patience;
        }
        match &self.primary {
            None => options,
            Some(primary) => options.with_topology(RedisTopology::Sentinel {
                primary: primary.clone(),
                nodes: more.to_vec(),
            }),
        }
    }

    async fn open(&self) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let Some(primary) = &self.primary else {
            let url = self.nodes.first().cloned().unwrap_or_default();
            let client = redis::Client::open(url)?;
            return client
                .get_multiplexed_async_connection_with_config(&config)
                .await;
        };
        let master = SentinelServerType::Master;
        let nodes = self.nodes.clone();
        let mut client = SentinelClient::build(nodes, primary.clone(), None, master)?;
        client.get_async_connection_with_config(&config).await
    }
}

/// A connection there, which is opened again when it is lost.
#[derive(Debug)]
pub struct Store {
    place: Place,
    connection: Mutex<Option<MultiplexedConnection>>,
}

impl Store {
    /// Connects.
    ///
    /// # Errors
    /// Redis is not there.
    pub async fn connect(place: Place) -> RedisResult<Self> {
        let connection = place.open().await?;
        Ok(Self {
            place,
            connection: Mutex::new(Some(connection)),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Option<MultiplexedConnection>> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// One command whose answer is a number.
    ///
    /// # Errors
    /// Redis refuses, or it may have been carried out or not: the next one is on a new connection.
    pub async fn run(&self, command: &Cmd) -> RedisResult<i64> {
        let known = self.lock().clone();
        let mut connection = match known {
            Some(connection) => connection,
            None => {
                let opened = self.place.open().await?;
                self.lock().get_or_insert(opened).clone()
            }
        };
        let answer = command.query_async(&mut connection).await;
        if answer.is_err() {
            *self.lock() = None;
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read() {
        let one = Place::read("redis://127.0.0.1:6379/0");
        assert_eq!((one.primary, one.wait), (None, 0));
        let pair = Place::read("sentinel://127.0.0.1:1,127.0.0.1:2/name?wait=1");
        assert_eq!(pair.primary.as_deref(), Some("name"));
        assert_eq!(pair.nodes, ["redis://127.0.0.1:1", "redis://127.0.0.1:2"]);
        assert_eq!(pair.wait, 1);
        assert_eq!(Place::of(&pair.options()), pair);
        let hasty = Place::read("sentinel://127.0.0.1:1/name?wait=1&patience=1500").options();
        assert_eq!(hasty.wait_replicas, 1);
        assert_eq!(hasty.response_timeout, Duration::from_millis(1500));
    }
}
