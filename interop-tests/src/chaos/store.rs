//! The Redis of a fleet that is being destroyed.

use super::Plan;
use super::clients::Calls;
use crate::fleet::now;
use mynah_testkit::redis::{AppendOnly, RedisOptions, RedisSentinel, RedisServer, Reply};
use std::time::Duration;

/// How long a primary goes on without its replica before it is killed: not as long as replicas are waited for.
const CUT_OFF: Duration = Duration::from_millis(400);

/// Between two looks at how many calls have ended.
const LOOK: Duration = Duration::from_millis(10);

/// One server that is killed and comes back with what it kept, or a primary with a replica that may take over.
pub(super) enum Store {
    One(Box<RedisServer>),
    Pair(Box<RedisSentinel>),
}

/// What is done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strike {
    /// It is killed, and started again at once.
    Restart,
    /// The primary is cut off from its replica and killed, and comes back once the replica is the primary.
    FailOver,
}

/// What was done to it. Times are milliseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blow {
    pub(super) strike: Strike,
    pub(super) from: u128,
    pub(super) until: u128,
    /// Another server is the primary now, whether that was meant or not.
    pub(super) moved: bool,
}

impl Plan {
    /// All that is done to Redis, in order: a restart first, then by turns.
    fn strikes(&self) -> Vec<Strike> {
        let (mut restarts, mut failovers) = (self.restarts, self.failovers);
        let mut strikes = Vec::new();
        while restarts + failovers > 0 {
            if restarts > 0 {
                restarts -= 1;
                strikes.push(Strike::Restart);
            }
            if failovers > 0 {
                failovers -= 1;
                strikes.push(Strike::FailOver);
            }
        }
        strikes
    }
}

/// Strikes as often as is planned, each time when the next share of the calls has ended.
pub(super) async fn strike_all(redis: &mut Store, plan: &Plan, calls: &Calls) -> Vec<Blow> {
    let strikes = plan.strikes();
    let shares = strikes.len() + 1;
    let mut blows = Vec::new();
    for (strike, number) in strikes.into_iter().zip(1..) {
        while calls.ended() < number * plan.calls / shares && !calls.are_done() {
            tokio::time::sleep(LOOK).await;
        }
        // One that has not got everything yet is no replica to fail over to.
        if let Store::Pair(pair) = &redis {
            pair.settled().await.expect("the servers settle");
        }
        blows.push(redis.strike(strike).await);
    }
    blows
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
            Self::Pair(pair) => place(pair, wait),
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

    async fn strike(&mut self, strike: Strike) -> Blow {
        let from = now();
        let (until, moved) = match (self, strike) {
            (Self::One(one), Strike::Restart) => {
                one.restart().await.expect("redis comes back");
                (now(), false)
            }
            (Self::One(_), Strike::FailOver) => panic!("one server has nobody to fail over to"),
            (Self::Pair(pair), Strike::Restart) => restart(pair).await,
            (Self::Pair(pair), Strike::FailOver) => (fail_over(pair, Some(CUT_OFF)).await, true),
        };
        Blow {
            strike,
            from,
            until,
            moved,
        }
    }
}

/// Kills the primary and starts it again. On a machine that is busy the sentinels may have given it up by then: that is a failover as any other. Until when
/// nobody could be written to, and whether another one is the primary now.
async fn restart(pair: &mut RedisSentinel) -> (u128, bool) {
    let before = pair.primary().await.expect("sentinels answer");
    let primary = pair.servers_mut().get_mut(before).expect("one of them");
    primary.restart().await.expect("redis comes back");
    let back = now();
    let after = pair.settled().await.expect("the servers settle");
    match after == before {
        true => (back, false),
        false => (now(), true),
    }
}

/// How processes find the primary of a pair, and how many replicas they are to wait for.
#[must_use]
pub fn place(pair: &RedisSentinel, wait: u32) -> String {
    let addresses = pair.addresses().join(",");
    format!("sentinel://{addresses}/{}?wait={wait}", pair.name())
}

/// Kills the primary, and starts it again once the replica is the primary and every sentinel says so. `cut_off`: for so long the replica gets nothing any
/// more before that, so what is written then is lost. Until when nobody could be written to.
///
/// # Panics
/// It does not fail over.
pub async fn fail_over(pair: &mut RedisSentinel, cut_off: Option<Duration>) -> u128 {
    let before = pair.primary().await.expect("sentinels answer");
    let [replica, primary] = match (pair.servers_mut(), before) {
        ([primary, replica], 0) => [replica, primary],
        ([replica, primary], _) => [replica, primary],
    };
    if let Some(time) = cut_off {
        // What is on its way to it is lost as well.
        replica.freeze().expect("it runs");
        let cut = ["CLIENT", "KILL", "TYPE", "REPLICA"];
        primary.command(&cut).await.expect("it answers");
        tokio::time::sleep(time).await;
    }
    primary.kill().await.expect("it runs");
    if cut_off.is_some() {
        replica.thaw().expect("it runs");
    }
    pair.moved_from(before).await.expect("it fails over");
    let moved = now();
    pair.rejoin(before).await.expect("redis comes back");
    moved
}
