//! The Redis of a fleet that is being destroyed.

use crate::fleet::now;
use mynah_testkit::redis::{AppendOnly, RedisOptions, RedisSentinel, RedisServer, Reply};
use std::time::Duration;

/// How long a primary goes on without its replica before it is killed: not as long as replicas are waited for.
const CUT_OFF: Duration = Duration::from_millis(400);

/// One server that is killed and comes back with what it kept, or a primary that is killed and whose replica takes over.
pub(super) enum Store {
    One(Box<RedisServer>),
    Pair(Box<RedisSentinel>),
}

impl Store {
    pub(super) async fn start(pair: bool) -> Self {
        let options = RedisOptions::new().with_append_only(AppendOnly::Always);
        match pair {
            false => {
                let one = options.start().await;
                Self::One(Box::new(one.expect("redis-server starts")))
            }
            true => {
                let pair = RedisSentinel::start_with(options).await;
                Self::Pair(Box::new(pair.expect("redis-servers start")))
            }
        }
    }

    /// How processes find it.
    pub(super) fn place(&self, wait: u32) -> String {
        match self {
            Self::One(one) => one.url(),
            Self::Pair(pair) => {
                let addresses = pair.addresses().join(",");
                format!("sentinel://{addresses}/{}?wait={wait}", pair.name())
            }
        }
    }

    /// One command, where calls are written to.
    pub(super) async fn command(&self, command: &[&str]) -> Reply {
        let answer = match self {
            Self::One(one) => one.command(command).await,
            Self::Pair(pair) => {
                let primary = pair.primary().await.expect("sentinels answer");
                let primary = pair.servers().get(primary).expect("one of them");
                primary.command(command).await
            }
        };
        answer.expect("it answers")
    }

    /// Kills it and starts it again; or cuts the primary off from its replica and kills it, and starts it again once the replica is the primary and every
    /// sentinel says so. From when until when it was away.
    pub(super) async fn strike(&mut self) -> (u128, u128) {
        let from = now();
        match self {
            Self::One(one) => one.restart().await.expect("redis comes back"),
            Self::Pair(pair) => {
                let before = pair.primary().await.expect("sentinels answer");
                let [replica, primary] = match (pair.servers_mut(), before) {
                    ([primary, replica], 0) => [replica, primary],
                    ([replica, primary], _) => [replica, primary],
                };
                // What is written from now on the replica does not get, whatever is on its way to it.
                replica.freeze().expect("it runs");
                let cut = primary
                    .command(&["CLIENT", "KILL", "TYPE", "REPLICA"])
                    .await;
                cut.expect("it answers");
                tokio::time::sleep(CUT_OFF).await;
                primary.kill().await.expect("it runs");
                replica.thaw().expect("it runs");
                pair.moved_from(before).await.expect("it fails over");
                let old = pair.servers_mut().get_mut(before).expect("one of them");
                old.restart().await.expect("redis comes back");
            }
        }
        (from, now())
    }
}
