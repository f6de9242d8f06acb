//! A primary and a replica under two Sentinels.

use super::{RedisOptions, RedisServer, Reply, unexpected, until};
use std::io;

const NAME: &str = "mynah";

/// A primary, a replica of it and two Sentinels that agree on failing over, until this is dropped.
#[derive(Debug)]
pub struct RedisSentinel {
    servers: [RedisServer; 2],
    sentinels: [RedisServer; 2],
}

impl RedisSentinel {
    /// Starts the four, and waits until the replica follows and the Sentinels know all.
    ///
    /// # Errors
    /// As [`RedisOptions::start`]; they do not agree in time.
    ///
    /// # Cancel safety
    /// Dropped, what was begun is ended.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(RedisOptions::new()).await
    }

    /// [`RedisSentinel::start`] with options for the primary and the replica.
    ///
    /// # Errors
    /// As [`RedisSentinel::start`].
    ///
    /// # Cancel safety
    /// As [`RedisSentinel::start`].
    pub async fn start_with(options: RedisOptions) -> io::Result<Self> {
        let primary = options.clone().start().await?;
        let of = format!("127.0.0.1 {}", primary.port());
        let replica = options.with_directive("replicaof", &of).start().await?;
        let watch = async || {
            RedisOptions::new()
                .with_sentinel()
                .with_directive("sentinel monitor", &format!("{NAME} {of} 2"))
                .with_directive("sentinel down-after-milliseconds", &format!("{NAME} 500"))
                .with_directive("sentinel failover-timeout", &format!("{NAME} 3000"))
                .start()
                .await
        };
        let sentinels = [watch().await?, watch().await?];
        let all = Self {
            servers: [primary, replica],
            sentinels,
        };
        all.agree().await?;
        Ok(all)
    }

    /// What the Sentinels call the primary.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        NAME
    }

    /// `127.0.0.1:PORT` of each Sentinel.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        self.sentinels.iter().map(RedisServer::address).collect()
    }

    /// The Sentinels.
    #[must_use]
    pub const fn sentinels(&self) -> &[RedisServer; 2] {
        &self.sentinels
    }

    /// The two servers; which one is the primary changes.
    #[must_use]
    pub const fn servers(&self) -> &[RedisServer; 2] {
        &self.servers
    }

    /// The two servers, to kill and restart them.
    pub const fn servers_mut(&mut self) -> &mut [RedisServer; 2] {
        &mut self.servers
    }

    /// Which of [`RedisSentinel::servers`] the Sentinels call the primary.
    ///
    /// # Errors
    /// No Sentinel answers, or it names a server that is none of the two.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn primary(&self) -> io::Result<usize> {
        let [sentinel, _] = &self.sentinels;
        self.named_by(sentinel).await
    }

    async fn named_by(&self, sentinel: &RedisServer) -> io::Result<usize> {
        let address = sentinel
            .command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME])
            .await?;
        let port = address.items().get(1).and_then(Reply::as_integer);
        let servers = self.servers.iter();
        let mut ports = servers.map(|server| Some(i64::from(server.port())));
        ports
            .position(|own| own == port)
            .ok_or_else(|| unexpected(format!("the primary is at {address:?}")))
    }

    /// Asks for a failover, and waits until the other server is the primary and says so.
    ///
    /// # Errors
    /// The Sentinels refuse, or do not come to an end.
    ///
    /// # Cancel safety
    /// Dropped, the failover goes on.
    pub async fn fail_over(&self) -> io::Result<()> {
        let before = self.primary().await?;
        let [sentinel, _] = &self.sentinels;
        sentinel.command(&["SENTINEL", "FAILOVER", NAME]).await?;
        self.moved_from(before).await
    }

    /// Waits until a server other than this one is the primary, as after a kill, and both Sentinels say so.
    ///
    /// # Errors
    /// It takes too long.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn moved_from(&self, before: usize) -> io::Result<()> {
        until("a failover", || async {
            let [one, other] = &self.sentinels;
            let now = self.named_by(one).await?;
            // The old one may be frozen, and is not asked.
            if now == before || self.named_by(other).await? != now {
                return Ok(false);
            }
            let Some(server) = self.servers.get(now) else {
                return Ok(false);
            };
            let role = server.command(&["ROLE"]).await?;
            let role = role.items().first().and_then(Reply::as_text);
            Ok(role == Some("master"))
        })
        .await
    }

    /// Starts a server that was the primary again, as a replica of the one that is now, and does not wait until the Sentinels
    /// say so: they need 8 s for it, or a little longer.
    ///
    /// # Errors
    /// As [`RedisServer::restart`]; this one is the primary.
    ///
    /// # Cancel safety
    /// As [`RedisServer::restart`].
    pub async fn rejoin(&mut self, old: usize) -> io::Result<()> {
        let primary = self.primary().await?;
        let port = self.servers.get(primary).map(RedisServer::port);
        let (Some(port), Some(server)) = (port, self.servers.get_mut(old)) else {
            return Err(unexpected("no such server"));
        };
        if old == primary {
            return Err(unexpected("it is the primary"));
        }
        server.restart().await?;
        let follow = ["REPLICAOF", "127.0.0.1", &port.to_string()];
        server.command(&follow).await?;
        server.command(&["CONFIG", "REWRITE"]).await?;
        Ok(())
    }

    /// Waits until both Sentinels name the same primary, it says that it is one, and the other server follows it and has all
    /// that it has. Answers with the primary.
    ///
    /// A primary that comes back after a failover by itself is told whom to follow after 8 s, or a little later.
    ///
    /// # Errors
    /// It takes too long.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn settled(&self) -> io::Result<usize> {
        until("the servers follow the Sentinels", || async {
            let [one, other] = &self.sentinels;
            let primary = self.named_by(one).await?;
            let [first, second] = &self.servers;
            let [server, replica] = match primary {
                0 => [first, second],
                _ => [second, first],
            };
            let role = server.command(&["ROLE"]).await?;
            let role = role.items().first().and_then(Reply::as_text);
            let info = replica.command(&["INFO", "replication"]).await?;
            let info = info.as_text().unwrap_or_default();
            let follows = format!("master_port:{}\r\n", server.port());
            Ok(self.named_by(other).await? == primary
                && role == Some("master")
                && info.contains(&follows)
                && info.contains("master_link_status:up"))
        })
        .await?;
        self.primary().await
    }

    async fn agree(&self) -> io::Result<()> {
        until("the Sentinels agree", || async {
            for sentinel in &self.sentinels {
                let state = sentinel.command(&["SENTINEL", "MASTER", NAME]).await?;
                let number = |name| state.field(name).and_then(Reply::as_integer);
                if number("num-slaves") != Some(1) || number("num-other-sentinels") != Some(1) {
                    return Ok(false);
                }
            }
            let [_, replica] = &self.servers;
            let info = replica.command(&["INFO", "replication"]).await?;
            Ok(info
                .as_text()
                .unwrap_or_default()
                .contains("master_link_status:up"))
        })
        .await
    }
}
