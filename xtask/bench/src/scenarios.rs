//! What a client does in each scenario.

use crate::options::{ClientOptions, Scenario};
use crate::pace::{Amount, Load, Pace, Tally};
use crate::usage::allow_files;
use crate::work::{blobs, callbacks, events, one_call, streams, uploads};
use crate::workload::{self, Seen, Taken};
use crate::{Contender, Failure};
use bytes::Bytes;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

/// Payloads in flight beside the small calls, as long as they are shorter than this: there is
/// always one on its way.
const LONG: usize = 4 << 20;
/// After connections have been opened, until they count as idle.
const SETTLE: Duration = Duration::from_millis(500);
/// Files and sockets of a process besides the connections that it is told to open.
const OTHER_FILES: u64 = 64;

/// A client that is connected.
pub(crate) struct Scene<'a, C> {
    options: &'a ClientOptions,
    variant: &'a str,
    connections: Vec<C>,
    payloads: [Bytes; 2],
    expected: Taken,
    seen: Arc<Seen>,
}

/// What a phase has brought.
#[derive(Default)]
pub(crate) struct Done {
    pub(crate) tally: Tally,
    /// Of the small calls beside payloads.
    pub(crate) busy: Tally,
    /// Bytes of payloads that went to the server beside them.
    pub(crate) busy_bytes: u64,
    pub(crate) busy_elapsed: Duration,
}

impl<'a, C: Contender> Scene<'a, C> {
    pub(crate) async fn open(
        options: &'a ClientOptions,
        variant: &'a str,
    ) -> Result<Self, Failure> {
        let more = match (options.scenario, options.measure) {
            (Scenario::Idle, Amount::Calls(more)) => more,
            (Scenario::Slow, _) => options.size as u64,
            _ => 0,
        };
        if more > 0 {
            allow_files(more + options.connections as u64 + OTHER_FILES)?;
        }
        let mut connections = Vec::new();
        for _ in 0..options.connections {
            connections.push(C::connect(options.address.clone(), variant).await?);
        }
        let seen = Arc::new(Seen::default());
        if options.scenario == Scenario::Fanout {
            for (at, connection) in connections.iter().enumerate() {
                // So that the sum is right where it cannot be divided.
                let upto = |at: usize| options.size * at / connections.len();
                let subscribers = upto(at + 1) - upto(at);
                connection.subscribe(subscribers, seen.clone()).await?;
            }
        }
        let with_payload = matches!(options.scenario, Scenario::Bulk | Scenario::Mixed);
        let with_items = options.scenario == Scenario::Stream;
        Ok(Self {
            options,
            variant,
            connections,
            payloads: workload::payloads(if with_payload { options.size } else { 0 }),
            expected: Taken::expected(if with_items { options.size as u64 } else { 0 }),
            seen,
        })
    }

    pub(crate) async fn warm_up(&mut self) -> Result<(), Failure> {
        let amount = self.options.warm_up;
        match self.options.scenario {
            Scenario::Idle => {
                for connection in &self.connections {
                    one_call(connection).await?;
                }
            }
            Scenario::Mixed => {
                self.calls(amount, false).await?;
                self.beside_payloads(amount).await?;
            }
            _ => {
                self.run(amount, false).await?;
            }
        }
        Ok(())
    }

    pub(crate) async fn measure(&mut self) -> Result<Done, Failure> {
        let amount = self.options.measure;
        match self.options.scenario {
            Scenario::Idle => self.open_more(amount).await,
            Scenario::Slow => {
                let tally = self.calls(amount, true).await?;
                let slow = self.open_slow().await?;
                let start = Instant::now();
                let busy = self.calls(amount, true).await;
                slow.abort();
                Ok(Done {
                    tally,
                    busy: busy?,
                    busy_elapsed: start.elapsed(),
                    ..Done::default()
                })
            }
            Scenario::Mixed => {
                let tally = self.calls(amount, true).await?;
                let start = Instant::now();
                let (busy, busy_bytes) = self.beside_payloads(amount).await?;
                Ok(Done {
                    tally,
                    busy,
                    busy_bytes,
                    busy_elapsed: start.elapsed(),
                })
            }
            _ => {
                let tally = self.run(amount, self.options.latencies).await?;
                Ok(Done {
                    tally,
                    ..Done::default()
                })
            }
        }
    }

    /// Where all connections do the same.
    async fn run(&self, amount: Amount, latencies: bool) -> Result<Tally, Failure> {
        let size = self.options.size as u64;
        match self.options.scenario {
            Scenario::Calls | Scenario::Mixed | Scenario::Slow | Scenario::Idle => {
                self.calls(amount, latencies).await
            }
            Scenario::Stream => {
                let expected = self.expected;
                self.phase(amount, latencies, move |connection, load| {
                    streams(connection, load, expected)
                })
                .await
            }
            Scenario::Bulk => {
                let payloads = self.payloads.clone();
                self.phase(amount, latencies, move |connection, load| {
                    blobs(connection, load, payloads.clone())
                })
                .await
            }
            Scenario::Callback => {
                self.phase(amount, latencies, move |connection, load| {
                    callbacks(connection, load, size)
                })
                .await
            }
            Scenario::Fanout => {
                let seen = self.seen.clone();
                // One publisher, whatever the number of connections.
                let first = self.connections.get(..1).unwrap_or_default();
                phase(first, 1, amount, latencies, move |connection, load| {
                    events(connection, load, size, seen.clone())
                })
                .await
            }
        }
    }

    async fn calls(&self, amount: Amount, latencies: bool) -> Result<Tally, Failure> {
        self.phase(amount, latencies, |connection, load| async move {
            connection.load(&load).await
        })
        .await
    }

    async fn phase<F>(
        &self,
        amount: Amount,
        latencies: bool,
        work: impl Fn(C, Load) -> F,
    ) -> Result<Tally, Failure>
    where
        F: Future<Output = Result<Tally, Failure>> + Send + 'static,
    {
        let in_flight = self.options.in_flight;
        phase(&self.connections, in_flight, amount, latencies, work).await
    }

    /// Small calls while payloads go over the same connections. Returns the bytes of payloads, too.
    async fn beside_payloads(&self, amount: Amount) -> Result<(Tally, u64), Failure> {
        // Ended by the small calls, so that there is no moment without payloads.
        let pace = Arc::new(Pace::new(Amount::Time(Duration::MAX)));
        let at_once = if self.options.size < LONG { 2 } else { 1 };
        let moved = Arc::new(AtomicU64::new(0));
        let mut tasks = Vec::new();
        for connection in &self.connections {
            let (moved, size) = (moved.clone(), self.options.size as u64);
            let done = move || {
                moved.fetch_add(size, Ordering::Relaxed);
            };
            let [payload, _] = self.payloads.clone();
            for _ in 0..at_once {
                let (connection, pace) = (connection.clone(), pace.clone());
                tasks.push(tokio::spawn(uploads(
                    connection,
                    pace,
                    payload.clone(),
                    done.clone(),
                )));
            }
        }
        let tally = self.calls(amount, true).await;
        let bytes = moved.load(Ordering::Relaxed);
        pace.end();
        for task in tasks {
            task.await??;
        }
        Ok((tally?, bytes))
    }

    /// Opens so many connections that send a byte a second each, until the task is aborted.
    async fn open_slow(&self) -> Result<JoinHandle<()>, Failure> {
        let bytes = C::first_bytes().ok_or("it does not take part in slow")?;
        let address = self.options.address.clone().ok_or("slow needs a wire")?;
        let mut streams = Vec::new();
        for _ in 0..self.options.size {
            streams.push(address.connect().await?);
        }
        // One after the other, so that the bytes come evenly.
        let mut tick = interval(Duration::from_secs(1) / u32::try_from(streams.len().max(1))?);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let feed = move |bytes: &'static [u8]| async move {
            for byte in bytes.chunks(1).cycle() {
                for stream in &mut streams {
                    tick.tick().await;
                    // One that the server has closed is slow no more.
                    drop(stream.write_all(byte).await);
                }
            }
        };
        Ok(tokio::spawn(feed(bytes)))
    }

    /// Opens so many connections more, each of which makes one call and then stays.
    async fn open_more(&mut self, amount: Amount) -> Result<Done, Failure> {
        let Amount::Calls(more) = amount else {
            return Err("idle needs a number of connections, not a time".into());
        };
        for _ in 0..more {
            let connection = C::connect(self.options.address.clone(), self.variant).await?;
            one_call(&connection).await?;
            self.connections.push(connection);
        }
        tokio::time::sleep(SETTLE).await;
        let tally = Tally {
            calls: more,
            latencies: Vec::new(),
        };
        Ok(Done {
            tally,
            ..Done::default()
        })
    }
}

/// All connections at once, for one amount.
async fn phase<C: Contender, F>(
    connections: &[C],
    in_flight: usize,
    amount: Amount,
    latencies: bool,
    work: impl Fn(C, Load) -> F,
) -> Result<Tally, Failure>
where
    F: Future<Output = Result<Tally, Failure>> + Send + 'static,
{
    let pace = Arc::new(Pace::new(amount));
    let load = Load {
        in_flight,
        pace: pace.clone(),
        latencies,
    };
    let tasks: Vec<_> = connections
        .iter()
        .map(|connection| tokio::spawn(work(connection.clone(), load.clone())))
        .collect();
    let (done, wait) = mpsc::channel::<()>();
    let clock = match amount {
        Amount::Calls(_) => None,
        Amount::Time(time) => Some(pace.end_after(time, wait)),
    };
    let mut sum = Tally::default();
    for task in tasks {
        sum.add(task.await??);
    }
    drop(done);
    if let Some(clock) = clock {
        clock.join().map_err(|_| "the clock's thread died")?;
    }
    Ok(sum)
}
