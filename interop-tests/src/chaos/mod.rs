//! A fleet that is being destroyed while it works: what its callers see, what happened, and what is left.
//!
//! Servers are processes of their own (`fleet_node`), killed and frozen at random; Redis is killed and started again, or its
//! replica takes over. Each
//! call is an operation, which its client asks for until it is done. What has to hold is checked at the end, from what the
//! handlers have left in Redis.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test that meets what it does not expect ends there, its helpers included"
)]

mod clients;
mod counts;
mod ledger;
mod nodes;
mod store;

pub use counts::Counts;
pub use nodes::{NodeProcess, options};
pub use store::{fail_over, place};

use clients::Calls;
use mynah_testkit::Dice;
use nodes::Nodes;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use store::{Blow, Store, Strike};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

/// The service's commands.
pub const STREAM: &str = "app:cmds:fleet-work";
/// Its group.
pub const GROUP: &str = "fleet-work";

/// What is to happen.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The program `fleet_node`.
    pub program: PathBuf,
    /// Operations in all.
    pub calls: usize,
    /// Clients, each with connections of its own.
    pub clients: usize,
    /// Calls that one client has in flight.
    pub in_flight: usize,
    /// Server processes.
    pub servers: usize,
    /// Between two kills.
    pub kill_every: Duration,
    /// How long a server is frozen, between two kills: longer than the time after which its entries are taken over.
    pub freeze_for: Duration,
    /// How often Redis is killed, and started again with what it kept.
    pub restarts: usize,
    /// How often the primary is killed and its replica takes over.
    pub failovers: usize,
    /// What there is of Redis.
    pub replicas: Replicas,
    /// The time for one attempt of a call.
    pub deadline: Duration,
    /// What chance begins with.
    pub seed: u64,
}

/// What there is of Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replicas {
    /// One server.
    None,
    /// A primary with one replica, for which nobody waits: what is answered may be lost.
    Behind,
    /// The same, and it is waited for: what is answered is not lost.
    Waited,
}

/// Runs it to its end, and checks what has to hold.
///
/// # Panics
/// Something does not hold; the text says what, and the counts.
pub async fn run(plan: Plan) -> Counts {
    let redis = Store::start(plan.replicas != Replicas::None).await;
    let store = redis.place(u32::from(plan.replicas == Replicas::Waited));
    let redis = Arc::new(Mutex::new(redis));
    let nodes = Nodes::start(&plan, &store).await;
    let calls = Arc::new(Calls::new(&plan));
    let clients = clients::start(&plan, &store, &calls).await;
    let struck = tokio::spawn(strike(plan.clone(), Arc::clone(&redis), Arc::clone(&calls)));
    let destroyed = tokio::spawn(destroy(plan.clone(), struck, nodes, Arc::clone(&calls)));
    for client in clients {
        client.await.expect("no client panics");
    }
    let (nodes, mut counts) = destroyed.await.expect("nothing panics");
    calls.count(&mut counts);
    let redis = redis.lock().await;
    settle(&redis).await;
    ledger::read(&redis, &calls, &nodes, &mut counts).await;
    leftovers(&redis, &mut counts).await;
    drop(nodes);
    counts.check(&plan);
    counts
}

async fn strike(plan: Plan, redis: Arc<Mutex<Store>>, calls: Arc<Calls>) -> Vec<Blow> {
    store::strike_all(&mut *redis.lock().await, &plan, &calls).await
}

/// Kills and freezes until every operation has come to its end, whatever is done to Redis meanwhile.
async fn destroy(
    plan: Plan,
    struck: JoinHandle<Vec<Blow>>,
    mut nodes: Nodes,
    calls: Arc<Calls>,
) -> (Nodes, Counts) {
    let mut counts = Counts::default();
    let mut dice = Dice::new(plan.seed);
    while !(calls.are_done() && struck.is_finished()) {
        tokio::time::sleep(plan.kill_every).await;
        nodes.welcome();
        if let Some((victim, frozen)) = nodes.choose(&mut dice) {
            counts.frozen += usize::from(nodes.freeze(frozen, plan.freeze_for));
            nodes.replace(victim).await;
            counts.killed += 1;
        }
        nodes.thaw_those_due();
    }
    nodes.thaw_all();
    nodes.welcome_all().await;
    for blow in struck.await.expect("redis can be killed and started") {
        nodes.redis_was_away(blow.from, blow.until);
        match blow.strike {
            Strike::Restart => counts.restarted += 1,
            Strike::FailOver => counts.failed_over += 1,
        }
        counts.moved += usize::from(blow.moved && blow.strike == Strike::Restart);
    }
    (nodes, counts)
}

/// Until nothing is pending and nothing is left to run.
async fn settle(redis: &Store) {
    let settled = async {
        loop {
            let length = redis.command(&["XLEN", STREAM]).await;
            let pending = redis.command(&["XPENDING", STREAM, GROUP]).await;
            let pending = pending.items().first().and_then(|count| count.as_integer());
            if (length.as_integer(), pending) == (Some(0), Some(0)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), settled)
        .await
        .expect("pending and stream length return to zero within a minute");
}

/// What the clients and the killed servers leave has to go by itself.
async fn leftovers(redis: &Store, counts: &mut Counts) {
    let keys = redis.command(&["KEYS", "app:*"]).await;
    for key in keys.texts() {
        let left = redis.command(&["PTTL", key]).await;
        let stays = left.as_integer() == Some(-1);
        // The stream of a service is empty, and stays with its group.
        if stays && key != STREAM {
            counts.immortal.push(key.to_owned());
        }
    }
    let consumers = ["XINFO", "CONSUMERS", STREAM, GROUP];
    let consumers = redis.command(&consumers).await;
    counts.consumers = consumers.items().len();
}
