//! The client's side of the line protocol, and the load.

use crate::options::{Amount, ClientOptions, Options};
use crate::{Contender, Echo, Failure, TypedEcho, Usage};
use serde::Serialize;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Says how long a phase goes on.
#[derive(Debug)]
pub struct Pace {
    ended: AtomicBool,
    /// Calls that may still start, where the phase is a number of calls.
    left: Option<AtomicU64>,
}

impl Pace {
    fn new(amount: Amount) -> Self {
        let left = match amount {
            Amount::Time(_) => None,
            Amount::Calls(calls) => Some(AtomicU64::new(calls)),
        };
        Self {
            ended: AtomicBool::new(false),
            left,
        }
    }

    /// How many of `wanted` calls may start now; 0 ends the phase.
    #[inline]
    pub fn claim(&self, wanted: usize) -> usize {
        if self.ended.load(Ordering::Relaxed) {
            return 0;
        }
        let Some(left) = &self.left else {
            return wanted;
        };
        let take = |left: u64| left.min(wanted as u64);
        let before = left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                Some(left - take(left))
            })
            .unwrap_or(0);
        usize::try_from(take(before)).unwrap_or(wanted)
    }
}

/// What one connection has to do in one phase.
#[derive(Clone, Debug)]
pub struct Load {
    /// Calls in flight on it.
    pub in_flight: usize,
    /// How long it goes on.
    pub pace: Arc<Pace>,
    /// Whether each call is timed.
    pub latencies: bool,
}

/// What one connection has done in one phase.
#[derive(Debug, Default)]
pub struct Tally {
    /// Calls that were answered.
    pub calls: u64,
    /// Nanoseconds from start to answer of each call, where they are asked for.
    pub latencies: Vec<u32>,
}

impl Tally {
    /// Notes that a call that began at `start` is answered now, and returns now.
    pub fn time(&mut self, start: Instant) -> Instant {
        let now = Instant::now();
        self.latencies
            .push(u32::try_from((now - start).as_nanos()).unwrap_or(u32::MAX));
        now
    }
}

/// One task for each call in flight, which makes one call after the other.
///
/// # Errors
/// A call fails, or its answer is not what was sent.
pub async fn echo_tasks<C: TypedEcho>(client: &C, load: &Load) -> Result<Tally, Failure> {
    let tasks: Vec<_> = (0..load.in_flight)
        .map(|number| tokio::spawn(echo_task(client.clone(), load.clone(), number as u64)))
        .collect();
    let mut sum = Tally::default();
    for task in tasks {
        let tally = task.await??;
        sum.calls += tally.calls;
        sum.latencies.extend(tally.latencies);
    }
    Ok(sum)
}

async fn echo_task<C: TypedEcho>(client: C, load: Load, first: u64) -> Result<Tally, Failure> {
    let sent = Echo::new(first);
    let mut value = sent.clone();
    let mut tally = Tally::default();
    let mut start = Instant::now();
    while load.pace.claim(1) == 1 {
        // Another id each time, so that no answer is taken for another's.
        let id = first + (tally.calls << 16);
        value.id = id;
        value = client.echo(value).await?;
        if value.id != id {
            return Err(format!("sent {id}, got {}", value.id).into());
        }
        tally.calls += 1;
        if load.latencies {
            start = tally.time(start);
        }
    }
    if value.name != sent.name || value.values != sent.values {
        return Err("the answer is not what was sent".into());
    }
    Ok(tally)
}

/// What the harness gets.
#[derive(Serialize)]
struct Report {
    calls: u64,
    elapsed_ns: u64,
    #[serde(flatten)]
    usage: Usage,
    p50_ns: Option<u32>,
    p99_ns: Option<u32>,
}

pub(crate) async fn run<C: Contender>(options: &Options) -> Result<(), Failure> {
    let Some(client) = &options.client else {
        return Err("not a client".into());
    };
    let mut connections = Vec::new();
    for _ in 0..client.connections {
        connections.push(C::connect(client.address, &options.variant).await?);
    }
    phase(&connections, client, client.warm_up, false).await?;

    say("ready")?;
    // Blocks the runtime on purpose: nothing is in flight.
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    if line.trim() != "go" {
        return Err(format!("expected `go`, got {line:?}").into());
    }

    let before = Usage::now();
    let start = Instant::now();
    let mut tally = phase(&connections, client, client.measure, client.latencies).await?;
    let elapsed = start.elapsed();
    let after = Usage::now();

    tally.latencies.sort_unstable();
    let quantile = |of: usize| {
        tally
            .latencies
            .get(tally.latencies.len() * of / 100)
            .copied()
    };
    let report = Report {
        calls: tally.calls,
        elapsed_ns: u64::try_from(elapsed.as_nanos())?,
        usage: Usage {
            cpu_ns: after.cpu_ns - before.cpu_ns,
            allocations: after.allocations - before.allocations,
            allocated_bytes: after.allocated_bytes - before.allocated_bytes,
        },
        p50_ns: quantile(50),
        p99_ns: quantile(99),
    };
    say(&serde_json::to_string(&report)?)?;
    // Wait for the harness to have taken the server's counters before connections close.
    line.clear();
    std::io::stdin().read_line(&mut line)?;
    std::process::exit(0)
}

/// All connections at once, for one amount.
async fn phase<C: Contender>(
    connections: &[C],
    client: &ClientOptions,
    amount: Amount,
    latencies: bool,
) -> Result<Tally, Failure> {
    let pace = Arc::new(Pace::new(amount));
    let load = Load {
        in_flight: client.in_flight,
        pace: pace.clone(),
        latencies,
    };
    let tasks: Vec<_> = connections
        .iter()
        .map(|connection| {
            let (connection, load) = (connection.clone(), load.clone());
            tokio::spawn(async move { connection.load(&load).await })
        })
        .collect();
    // A thread's clock instead of a timer of the runtime, which would cost every turn of it.
    let (done, wait) = mpsc::channel::<()>();
    let clock = match amount {
        Amount::Calls(_) => None,
        Amount::Time(time) => Some(end_after(pace, time, wait)),
    };
    let mut sum = Tally::default();
    for task in tasks {
        let tally = task.await??;
        sum.calls += tally.calls;
        sum.latencies.extend(tally.latencies);
    }
    drop(done);
    if let Some(clock) = clock {
        clock.join().map_err(|_| "the clock's thread died")?;
    }
    Ok(sum)
}

fn end_after(
    pace: Arc<Pace>,
    time: Duration,
    wait: mpsc::Receiver<()>,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        // Over when the time is, or when the load has failed before.
        let _ = wait.recv_timeout(time);
        pace.ended.store(true, Ordering::Relaxed);
    })
}

fn say(line: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
