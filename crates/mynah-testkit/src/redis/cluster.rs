//! A Cluster of three primaries.

use super::server::free_port;
use super::{RedisOptions, RedisServer, Reply, unexpected, until};
use std::io;

/// What each of three nodes holds of the 16,384 slots.
const SLOTS: [(&str, &str); 3] = [("0", "5460"), ("5461", "10922"), ("10923", "16383")];

/// Three redis-servers that share the slots, without replicas, until this is dropped.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts the three, and waits until each knows all slots.
    ///
    /// # Errors
    /// As [`RedisOptions::start`]; they do not agree in time.
    ///
    /// # Cancel safety
    /// Dropped, what was begun is ended.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(RedisOptions::new()).await
    }

    /// [`RedisCluster::start`] with options for each node.
    ///
    /// # Errors
    /// As [`RedisCluster::start`].
    ///
    /// # Cancel safety
    /// As [`RedisCluster::start`].
    pub async fn start_with(options: RedisOptions) -> io::Result<Self> {
        let mut nodes = Vec::new();
        for _ in SLOTS {
            let node = options
                .clone()
                .with_directive("cluster-enabled", "yes")
                .with_directive("cluster-config-file", "nodes.conf")
                .with_directive("cluster-node-timeout", "2000")
                // The default, the port and 10,000, need not be a port.
                .with_directive("cluster-port", &free_port()?.to_string());
            nodes.push(node.start().await?);
        }
        let cluster = Self { nodes };
        cluster.join().await?;
        Ok(cluster)
    }

    /// The nodes, in the order of their slots.
    #[must_use]
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// The nodes, to kill and restart them.
    pub fn nodes_mut(&mut self) -> &mut [RedisServer] {
        &mut self.nodes
    }

    /// `127.0.0.1:PORT` of each.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        self.nodes.iter().map(RedisServer::address).collect()
    }

    /// One command at the node that holds this key.
    ///
    /// # Errors
    /// As [`RedisServer::command`].
    ///
    /// # Cancel safety
    /// As [`RedisServer::command`].
    pub async fn command_at(&self, key: &str, command: &[&str]) -> io::Result<Reply> {
        let first = self.nodes.first().ok_or_else(|| unexpected("no nodes"))?;
        let slot = first.command(&["CLUSTER", "KEYSLOT", key]).await?;
        let slot = slot.as_integer().ok_or_else(|| unexpected("no slot"))?;
        let holds = SLOTS
            .iter()
            .position(|(_, last)| last.parse::<i64>().is_ok_and(|last| slot <= last));
        let node = holds.and_then(|index| self.nodes.get(index));
        let node = node.ok_or_else(|| unexpected(format!("slot {slot}")))?;
        node.command(command).await
    }

    /// Waits until every node sees a whole cluster.
    ///
    /// # Errors
    /// They do not agree in time.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn agree(&self) -> io::Result<()> {
        until("the cluster agrees", || async {
            for node in &self.nodes {
                let info = node.command(&["CLUSTER", "INFO"]).await?;
                let info = info.as_text().unwrap_or_default();
                if !(info.contains("cluster_state:ok")
                    && info.contains("cluster_known_nodes:3")
                    && info.contains("cluster_slots_ok:16384"))
                {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .await
    }

    async fn join(&self) -> io::Result<()> {
        for (node, (first, last)) in self.nodes.iter().zip(SLOTS) {
            node.command(&["CLUSTER", "ADDSLOTSRANGE", first, last])
                .await?;
        }
        let Some((first, others)) = self.nodes.split_first() else {
            return Ok(());
        };
        for other in others {
            let bus = other.command(&["CONFIG", "GET", "cluster-port"]).await?;
            let bus = bus.field("cluster-port").and_then(Reply::as_text);
            let bus = bus.ok_or_else(|| unexpected("no cluster-port"))?;
            let port = other.port().to_string();
            first
                .command(&["CLUSTER", "MEET", "127.0.0.1", &port, bus])
                .await?;
        }
        self.agree().await
    }
}
