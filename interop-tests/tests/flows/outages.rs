//! Calls with streams and callbacks while Redis is killed and comes back, or fails over, or is frozen and replaced.

use super::{program, until, within};
use futures::stream::{self, StreamExt as _};
use interop_tests::chaos::{self, GROUP, NodeProcess, STREAM, fail_over, options};
use interop_tests::fleet::{FleetClient, dial};
use interop_tests::flow::FlowClient;
use mynah::redis_streams::servers;
use mynah::{CallError, ErrorCode, Peer, RpcError};
use mynah_testkit::redis::{AppendOnly, RedisOptions, RedisSentinel, RedisServer};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

/// What a call may take: longer than it takes to find out that the other side of a session is gone.
const DEADLINE: Duration = Duration::from_secs(20);
/// What one may take that goes on over the outage.
const LONG: Duration = Duration::from_secs(90);
/// A call that has not ended after this hangs.
const HANGS: Duration = Duration::from_secs(120);
/// The most items of a long stream, so that one that nobody ends ends.
const MOST: u64 = 1 << 40;

type Ended = Result<(), CallError<RpcError>>;

/// Two servers and a client on a primary with a replica.
struct Fleet {
    pair: RedisSentinel,
    store: String,
    nodes: Vec<NodeProcess>,
    peer: Peer,
    calls: Calls,
}

impl Fleet {
    async fn start(patience: &str) -> Self {
        let options = RedisOptions::new().with_append_only(AppendOnly::Always);
        let pair = RedisSentinel::start_with(options).await.unwrap();
        let store = format!("{}{patience}", chaos::place(&pair, 0));
        let mut nodes = Vec::new();
        for instance in ["node-1", "node-2"] {
            let more = ["app", "100", "flow"];
            nodes.push(NodeProcess::start_with(program(), &store, instance, &more).await);
        }
        let peer = dial(chaos::options(&store)).await.unwrap();
        let calls = Calls {
            flow: peer.client(),
            fleet: peer.client(),
            progress: Arc::default(),
            enough: Arc::default(),
        };
        Self {
            pair,
            store,
            nodes,
            peer,
            calls,
        }
    }

    async fn primary(&self) -> &RedisServer {
        &self.pair.servers()[self.pair.primary().await.unwrap()]
    }

    async fn command(&self, command: &[&str]) -> mynah_testkit::redis::Reply {
        self.primary().await.command(command).await.unwrap()
    }

    /// New calls of every kind work, and nothing is left of the old ones.
    async fn recovers(self) {
        let mut in_a_row = 0;
        until(async || {
            in_a_row = match self.calls.one_of_each().await {
                Ok(()) => in_a_row + 1,
                Err(_) => 0,
            };
            in_a_row == 5
        })
        .await;
        // Both servers have nothing to do, in their own words.
        let found = async || servers(&options(&self.store), "fleet-flow").await;
        until(async || {
            let found = found().await.unwrap_or_default();
            found.len() == 2 && found.iter().all(|one| one.running == 0)
        })
        .await;
        let count = |reply: mynah_testkit::redis::Reply| reply.as_integer();
        until(async || {
            let pending = self.command(&["XPENDING", STREAM, GROUP]).await;
            let pending = pending.items().first().and_then(|count| count.as_integer());
            let mut left = vec![pending, count(self.command(&["XLEN", STREAM]).await)];
            for node in &self.nodes {
                let inbox = format!("app:inbox:{}", node.instance);
                left.push(count(self.command(&["XLEN", &inbox]).await));
            }
            left.iter().all(|left| *left == Some(0))
        })
        .await;
        self.peer.close();
        until(async || {
            let replies = self.command(&["KEYS", "app:replies:*"]).await;
            let mut expire = true;
            for key in replies.texts() {
                expire &= count(self.command(&["PTTL", key]).await) != Some(-1);
            }
            expire
        })
        .await;
        for node in self.nodes {
            node.kill().await;
        }
    }
}

/// What one client calls.
#[derive(Clone)]
struct Calls {
    flow: FlowClient,
    fleet: FleetClient,
    /// Items and callbacks that came.
    progress: Arc<AtomicU64>,
    /// Whatever goes on may come to its end.
    enough: Arc<AtomicBool>,
}

impl Calls {
    fn went_on(&self) {
        self.progress.fetch_add(1, Ordering::SeqCst);
    }

    fn is_enough(&self) -> bool {
        self.enough.load(Ordering::SeqCst)
    }

    /// Items until it is enough, and a hundred more.
    async fn results(self) -> Ended {
        let mut items = self.flow.count(MOST, 1).deadline(LONG).start();
        let (mut next, mut more) = (0, 100);
        while more > 0 {
            let item = items.next().await.expect("not as if it were whole");
            assert_eq!(item?, next, "an item is missing");
            next += 1;
            self.went_on();
            more -= u64::from(self.is_enough());
        }
        Ok(())
    }

    /// The same the other way: the sum says whether one was lost or came twice.
    async fn input(self) -> Ended {
        let said = Arc::new(AtomicU64::new(0));
        let (saying, calls) = (Arc::clone(&said), self.clone());
        let numbers = stream::unfold((0_u64, 100), move |(next, more)| {
            let (saying, calls) = (Arc::clone(&saying), calls.clone());
            async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                calls.went_on();
                let more = more - u64::from(calls.is_enough());
                if more == 0 {
                    return None;
                }
                saying.fetch_add(next, Ordering::SeqCst);
                Some((next, (next + 1, more)))
            }
        });
        let sum = self.flow.sum(numbers).deadline(LONG).await?;
        assert_eq!(sum, said.load(Ordering::SeqCst), "an item is missing");
        Ok(())
    }

    /// Callbacks of one call: the last of them is answered when it is enough.
    async fn callback(self) -> Ended {
        const TIMES: u64 = 200;
        let calls = self.clone();
        let asked = Arc::new(AtomicU64::new(0));
        let asks = Arc::clone(&asked);
        let sum = self.flow.ask(TIMES, move |number| {
            let calls = calls.clone();
            assert_eq!(asks.fetch_add(1, Ordering::SeqCst), number);
            async move {
                // Some are answered before, one waits meanwhile, some come behind.
                while number >= TIMES / 2 && !calls.is_enough() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                calls.went_on();
                Ok(number)
            }
        });
        let sum = sum.deadline(LONG).await?;
        assert_eq!(sum, TIMES * (TIMES - 1) / 2);
        Ok(())
    }

    async fn one_of_each(&self) -> Ended {
        let (count, sum) = (20, 190);
        let mut items = self.flow.count(count, 0).deadline(DEADLINE).start();
        let mut next = 0;
        while let Some(item) = items.next().await {
            assert_eq!(item?, next, "an item is missing");
            next += 1;
        }
        assert_eq!(next, count, "an end as if it were whole");
        let numbers = stream::iter(0..count);
        assert_eq!(self.flow.sum(numbers).deadline(DEADLINE).await?, sum);
        let asked = self.flow.ask(count, async |number| Ok(number));
        assert_eq!(asked.deadline(DEADLINE).await?, sum);
        self.fleet
            .mark("plain".to_owned(), 0)
            .deadline(DEADLINE)
            .await?;
        Ok(())
    }

    /// One after the other, until it is enough and one of them was whole; how many were, and why each other one was not.
    async fn again_and_again(self) -> (usize, Vec<CallError<RpcError>>) {
        let (mut whole, mut failed) = (0, Vec::new());
        while whole == 0 || !self.is_enough() {
            match within(HANGS, self.one_of_each()).await {
                Ok(()) => whole += 1,
                Err(error) => failed.push(error),
            }
            self.went_on();
        }
        (whole, failed)
    }
}

/// Calls that are under way.
struct Under {
    calls: Calls,
    long: Vec<(&'static str, JoinHandle<Ended>)>,
    short: Vec<JoinHandle<(usize, Vec<CallError<RpcError>>)>>,
}

impl Under {
    async fn begin(calls: &Calls) -> Self {
        let mut long = Vec::new();
        for _ in 0..3 {
            long.push(("results", tokio::spawn(calls.clone().results())));
            long.push(("input", tokio::spawn(calls.clone().input())));
            long.push(("callback", tokio::spawn(calls.clone().callback())));
        }
        let short = (0..4).map(|_| tokio::spawn(calls.clone().again_and_again()));
        let under = Self {
            calls: calls.clone(),
            long,
            short: short.collect(),
        };
        under.go_on(2_000).await;
        under
    }

    /// Waits until so much more has come, or all that could bring it has ended.
    async fn go_on(&self, more: u64) {
        let until_then = self.calls.progress.load(Ordering::SeqCst) + more;
        until(async || {
            let ended = self.long.iter().all(|(_, call)| call.is_finished());
            ended || self.calls.progress.load(Ordering::SeqCst) >= until_then
        })
        .await;
    }

    /// How many of the long ones came to their end; whatever did not says why.
    async fn end(self) -> usize {
        self.calls.enough.store(true, Ordering::SeqCst);
        let mut whole = 0;
        for (what, call) in self.long {
            match within(HANGS, call).await.unwrap() {
                Ok(()) => whole += 1,
                Err(error) => is_told(what, &error),
            }
        }
        for calls in self.short {
            let (done, failed) = within(HANGS, calls).await.unwrap();
            failed.iter().for_each(|error| is_told("short", error));
            println!("short: {done} whole, {failed:?}");
        }
        println!("long: {whole} whole");
        whole
    }
}

/// What the guide says that callers hear while Redis is away.
fn is_told(what: &str, error: &CallError<RpcError>) {
    let told = match error {
        CallError::Indeterminate(_) | CallError::Disconnected(_) | CallError::Deadline => true,
        CallError::Busy { .. } => true,
        CallError::Remote(error) => error.code() == ErrorCode::NO_SERVERS,
        _ => false,
    };
    assert!(told, "{what}: {error:?}");
    println!("{what}: {error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_r4_streams_and_callbacks_go_on_when_redis_comes_back_with_what_it_had() {
    let mut fleet = Fleet::start("").await;
    // Nobody takes over while it is away.
    for sentinel in fleet.pair.sentinels() {
        let name = fleet.pair.name();
        let wait = ["SENTINEL", "SET", name, "down-after-milliseconds", "60000"];
        sentinel.command(&wait).await.unwrap();
    }
    let under = Under::begin(&fleet.calls).await;
    for _ in 0..2 {
        let primary = fleet.pair.primary().await.unwrap();
        fleet.pair.servers_mut()[primary].restart().await.unwrap();
        under.go_on(2_000).await;
    }
    // Nothing was lost, so nothing has ended.
    assert_eq!(under.end().await, 9);
    fleet.recovers().await;
}

async fn over_a_failover(cut_off: Option<Duration>) {
    let mut fleet = Fleet::start("").await;
    let under = Under::begin(&fleet.calls).await;
    fail_over(&mut fleet.pair, cut_off).await;
    under.go_on(2_000).await;
    under.end().await;
    fleet.recovers().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_r4_streams_and_callbacks_end_whole_or_with_an_error_over_a_failover() {
    over_a_failover(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_r4_streams_and_callbacks_of_which_a_failover_loses_a_part_end_with_an_error() {
    over_a_failover(Some(Duration::from_millis(400))).await;
}

/// Whose connections a server has, without those of its pair and its own tools.
async fn clients_of(redis: &RedisServer) -> Vec<String> {
    let list = ["CLIENT", "LIST", "TYPE", "normal"];
    let list = redis.command(&list).await.unwrap();
    let lines = list.as_text().unwrap_or_default().lines();
    lines
        .filter(|line| line.contains(" addr=127.0.0.1:") && !line.contains(" name=sentinel-"))
        .map(str::to_owned)
        .collect()
}

/// The primary does not answer, so another one is made. When it goes on it does not know, and takes writes for a while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_r4_a_primary_that_was_replaced_while_it_was_frozen_is_left() {
    let fleet = Fleet::start("&patience=1500").await;
    let under = Under::begin(&fleet.calls).await;
    let before = fleet.pair.primary().await.unwrap();
    let old = &fleet.pair.servers()[before];
    assert!(!clients_of(old).await.is_empty());
    old.freeze().unwrap();
    fleet.pair.moved_from(before).await.unwrap();
    // All find the new one while the old one says nothing at all.
    let flow = &fleet.calls.flow;
    until(async || {
        let sum = flow.sum(stream::iter(0..10)).deadline(DEADLINE).await;
        sum.is_ok_and(|sum| sum == 45)
    })
    .await;
    until(async || {
        let found = servers(&options(&fleet.store), "fleet-flow").await;
        found.is_ok_and(|found| found.len() == 2)
    })
    .await;
    old.thaw().unwrap();
    assert_ne!(fleet.pair.settled().await.unwrap(), before);
    until(async || clients_of(old).await.is_empty()).await;
    under.end().await;
    fleet.recovers().await;
}
