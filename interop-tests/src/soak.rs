//! A load that goes on: memory of server, client and Redis while it does. Every tenth call is an operation, and every ninth
//! has a stream or a callback; a few streams go on all the time.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test that meets what it does not expect ends there, its helpers included"
)]

use crate::chaos::{NodeProcess, options};
use crate::fleet::{FleetClient, dial};
use crate::flow::FlowClient;
use futures::stream::{self, StreamExt as _};
use mynah_testkit::redis::RedisServer;
use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// So many calls.
    Calls(usize),
    /// So long.
    Over(Duration),
}

/// One look at the memory, in KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Calls until then.
    pub calls: usize,
    /// Those of them that had a stream or a callback.
    pub sessions: usize,
    /// The server process.
    pub server: u64,
    /// This process, with the client in it.
    pub client: u64,
    /// What Redis says that it uses.
    pub redis: u64,
}

/// What was seen.
#[derive(Clone, Debug)]
pub struct Soaked {
    /// In order.
    pub samples: Vec<Sample>,
    /// How long it took.
    pub took: Duration,
}

/// Calls between two looks.
const CALLS_A_LOOK: usize = 1_000;
/// What does not count as growth: allocators keep what they had, and seals stay for their time.
const SLACK_KIB: u64 = 4 * 1024;

/// The resident memory of a process, in KiB.
///
/// # Panics
/// There is no such process.
#[must_use]
pub fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"));
    let status = status.expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number
        .and_then(|number| number.parse().ok())
        .expect("a size")
}

/// Calls one server process with 64 calls in flight, every tenth of them an operation.
///
/// # Panics
/// A call fails.
pub async fn run(program: &Path, until: Until) -> Soaked {
    let redis = RedisServer::start().await.expect("redis-server starts");
    let more = ["app", "100", "flow"];
    let node = NodeProcess::start_with(program, &redis.url(), "node-1", &more).await;
    let peer = dial(options(&redis.url())).await;
    let peer = peer.expect("redis is there");
    let (fleet, flow): (FleetClient, FlowClient) = (peer.client(), peer.client());
    let endless: Vec<_> = (0..ENDLESS)
        .map(|_| tokio::spawn(read(flow.clone())))
        .collect();
    let begun = Instant::now();
    let mut samples = Vec::new();
    let (mut calls, mut sessions) = (0, 0);
    let goes_on = |calls: usize| match until {
        Until::Calls(most) => calls < most,
        Until::Over(time) => begun.elapsed() < time,
    };
    while goes_on(calls) {
        let some = (calls..calls + CALLS_A_LOOK).map(|number| one(&fleet, &flow, number));
        stream::iter(some)
            .for_each_concurrent(64, |call| call)
            .await;
        sessions += (calls..calls + CALLS_A_LOOK)
            .filter(|number| is_session(*number))
            .count();
        calls += CALLS_A_LOOK;
        // What the handlers keep for the checks of others is not what is measured here.
        redis
            .command(&["EVAL", FORGET, "0"])
            .await
            .expect("it forgets");
        samples.push(Sample {
            calls,
            sessions,
            server: node.resident(),
            client: resident(std::process::id()),
            redis: used(&redis).await,
        });
    }
    let took = begun.elapsed();
    for stream in endless {
        assert!(!stream.is_finished(), "a stream that has no end has ended");
        stream.abort();
    }
    peer.close();
    Soaked { samples, took }
}

/// Deletes the marks of handlers.
const FORGET: &str = r"
for _, pattern in ipairs({'marks:*', 'done:*', 'runs:*', 'effects:*', 'app:op:*', 'app:once:*'}) do
  for _, key in ipairs(redis.call('KEYS', pattern)) do redis.call('UNLINK', key) end
end
return 1
";

/// Streams that go on all the time.
const ENDLESS: usize = 4;
/// Items of one stream, callbacks of one call.
const ITEMS: u64 = 100;

/// Takes all of a stream that has no end.
async fn read(flow: FlowClient) {
    let mut items = flow.count(u64::MAX, 10).start();
    let mut next = 0;
    while let Some(item) = items.next().await {
        assert_eq!(item.expect("an item"), next, "an item is missing");
        next += 1;
    }
}

const fn is_session(number: usize) -> bool {
    number % 27 == 1 || number % 27 == 10 || number % 27 == 19
}

async fn one(fleet: &FleetClient, flow: &FlowClient, number: usize) {
    let sum = ITEMS * (ITEMS - 1) / 2;
    if number % 27 == 1 {
        let items: Vec<_> = flow.count(ITEMS, 0).start().collect().await;
        let items = items.into_iter().map(|item| item.expect("an item"));
        assert_eq!(items.sum::<u64>(), sum);
    } else if number % 27 == 10 {
        let summed = flow.sum(stream::iter(0..ITEMS)).await;
        assert_eq!(summed.expect("a sum"), sum);
    } else if number % 27 == 19 {
        let asked = flow.ask(ITEMS, async |number| Ok(number)).await;
        assert_eq!(asked.expect("a sum"), sum);
    } else if number.is_multiple_of(10) {
        let call = fleet.deposit("soak".to_owned(), 1);
        let deposited = call.operation_id(number.to_string()).await;
        deposited.expect("a balance");
    } else {
        let marked = fleet.mark(number.to_string(), 0).await;
        marked.expect("an answer");
    }
}

async fn used(redis: &RedisServer) -> u64 {
    let info = redis
        .command(&["INFO", "memory"])
        .await
        .expect("it answers");
    let info = info.as_text().unwrap_or_default();
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:"));
    let bytes: u64 = line.and_then(|bytes| bytes.parse().ok()).expect("a size");
    bytes / 1024
}

impl Soaked {
    /// Memory has to be flat: the second half needs no more than the end of the first third did.
    ///
    /// # Panics
    /// It grows.
    pub fn check(&self) {
        type Of = fn(&Sample) -> u64;
        let third = self.samples.len() / 3;
        let (before, after) = self.samples.split_at(third);
        let parts: [(&str, Of); 3] = [
            ("server", |sample| sample.server),
            ("client", |sample| sample.client),
            ("redis", |sample| sample.redis),
        ];
        for (name, of) in parts {
            let before = before.iter().map(of).max().unwrap_or_default();
            let after = after.iter().map(of).max().unwrap_or_default();
            let most = before + before / 10 + SLACK_KIB;
            assert!(
                after <= most,
                "{name} grows from {before} to {after} KiB:\n{self}"
            );
        }
    }
}

impl fmt::Display for Soaked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:>10} {:>10} {:>12} {:>12} {:>12}",
            "calls", "sessions", "server KiB", "client KiB", "redis KiB"
        )?;
        let step = (self.samples.len() / 12).max(1);
        let last = self.samples.len().saturating_sub(1);
        for (index, sample) in self.samples.iter().enumerate() {
            if index.is_multiple_of(step) || index == last {
                let Sample {
                    calls,
                    sessions,
                    server,
                    client,
                    redis,
                } = sample;
                writeln!(
                    f,
                    "{calls:>10} {sessions:>10} {server:>12} {client:>12} {redis:>12}"
                )?;
            }
        }
        write!(f, "in {:.1} s", self.took.as_secs_f64())
    }
}
