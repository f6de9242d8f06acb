//! What every contender of `cargo xtask bench` shares.
//!
//! A contender is a program in `src/bin` that implements [`Contender`] and calls [`run`], and an
//! entry in `contenders.toml`. Client and server are two processes of the same program:
//!
//! ```text
//! PROGRAM server --variant V --runtime current|multi [--core N] [--count-allocations]
//!                [--transport tcp|unix|pipes|redis|ssh]
//!   -> "listening tcp://127.0.0.1:PORT" or "listening unix:@NAME", an ADDRESS;
//!                                    or "listening redis+unix://PATH", the MYNAH_BENCH_REDIS of its environment;
//!                                    over ssh a tcp address, and the keys are in the folder MYNAH_BENCH_SSH;
//!                                    or "listening pipes:PID/READ,WRITTEN/..", a pair for each connection
//!   <- "snapshot"                    as often as wanted, while nothing is in flight
//!   -> {"cpu_ns":..,"allocations":..,"allocated_bytes":..,"live_bytes":..,"rss_bytes":..}
//!                                    since the process began; the last two: now
//!   <- end of standard input: the server exits
//!
//! PROGRAM client --variant V --runtime current|multi [--core N] [--count-allocations]
//!                [--address ADDRESS] [--scenario S] --connections C --in-flight N [--size N]
//!                --warm-up AMOUNT --measure AMOUNT [--latencies]
//!   -> "ready"                       connected and warm, nothing in flight
//!   <- "go"
//!   -> {"calls":..,"elapsed_ns":..,"cpu_ns":..,"allocations":..,"allocated_bytes":..,
//!       "live_bytes":..,"rss_bytes":..,"p50_ns":..,"p99_ns":..,"busy_p50_ns":..,
//!       "busy_p99_ns":..,"busy_bytes":..,"busy_elapsed_ns":..}     of the measured phase
//! ```
//!
//! An AMOUNT is a time (`1.5s`) or a number of calls (`20000`). A contender in process has a
//! client only, without an address. A program in another language joins by the same protocol.
//!
//! | scenario | what is done, until the amount is over | `calls` are | `--size` is |
//! |---|---|---|---|
//! | `calls` | typed echoes | calls | |
//! | `stream` | streams of items, one after the other | items | items of a stream |
//! | `bulk` | echoes of a payload | calls | bytes of a payload |
//! | `mixed` | typed echoes: alone, then beside payloads to the server on the same connection | both phases' small calls | bytes of a payload |
//! | `slow` | typed echoes: alone, then beside connections that send a byte a second each | both phases' calls | slow connections |
//! | `idle` | so many connections more are opened, make a call, and stay | connections | |
//! | `callback` | round trips of a callback out of handlers | round trips | round trips of a call |
//! | `fanout` | events, one at a time, to every subscriber | events | subscribers in all |

mod allocations;
mod client;
mod options;
mod pace;
mod place;
mod scenarios;
mod server;
mod usage;
mod work;
mod workload;

pub use bytes::Bytes;
pub use pace::{Load, Pace, Tally};
pub use place::{Address, Listening, Stream};
pub use workload::{Echo, Item, MAX_MESSAGE, Seen, Taken, TypedEcho, echo_tasks};

use std::error::Error;
use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;

/// An error is a sentence; it ends the run.
pub type Failure = Box<dyn Error + Send + Sync>;

/// One connection of a client, and the server it is for.
pub trait Contender: Clone + Send + Sync + 'static {
    /// Answers every connection of `listener` for ever, with nodelay set on each where there is such
    /// a thing. A contender in process returns an error.
    fn serve(
        listener: Listening,
        variant: &str,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Opens one connection, with nodelay set where there is such a thing; `address` is missing in process.
    fn connect(
        address: Option<Address>,
        variant: &str,
    ) -> impl Future<Output = Result<Self, Failure>> + Send;

    /// Keeps `load.in_flight` calls in flight until the pace ends and all of them are answered.
    ///
    /// A contender with typed calls leaves it to [`echo_tasks`].
    fn load(&self, load: &Load) -> impl Future<Output = Result<Tally, Failure>> + Send;

    /// Has the server send [`Item`]s 0 to `items`, and takes every one of them, typed.
    fn numbers(&self, items: u64) -> impl Future<Output = Result<Taken, Failure>> + Send {
        let _ = items;
        absent("stream")
    }

    /// A payload there and back. Payloads of up to [`MAX_MESSAGE`] come.
    fn blob(&self, payload: Bytes) -> impl Future<Output = Result<Bytes, Failure>> + Send {
        let _ = payload;
        absent("bulk")
    }

    /// A payload to the server, which answers with its length only.
    fn upload(&self, payload: Bytes) -> impl Future<Output = Result<u64, Failure>> + Send {
        let _ = payload;
        absent("mixed")
    }

    /// What a peer would say first, of which slow connections send a byte at a time, over and over.
    fn first_bytes() -> Option<&'static [u8]> {
        None
    }

    /// One call with a callback that gives back the number it is called with; the handler calls it
    /// so many times, one after the other.
    fn callbacks(&self, times: u64) -> impl Future<Output = Result<(), Failure>> + Send {
        let _ = times;
        absent("callback")
    }

    /// Has so many subscribers on this connection, each of which tells `seen` of every event.
    fn subscribe(
        &self,
        subscribers: usize,
        seen: Arc<Seen>,
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        let _ = (subscribers, seen);
        absent("fanout")
    }

    /// Has the server publish the event of this number to every subscriber of every connection.
    fn publish(&self, event: u64) -> impl Future<Output = Result<(), Failure>> + Send {
        let _ = event;
        absent("fanout")
    }
}

async fn absent<T>(scenario: &str) -> Result<T, Failure> {
    Err(format!("it does not take part in {scenario}").into())
}

/// The `main` of a contender.
#[must_use]
pub fn run<C: Contender>() -> ExitCode {
    let outcome = options::Options::parse(std::env::args().skip(1)).and_then(|options| {
        options.prepare()?;
        let runtime = options.runtime()?;
        match options.client {
            None => runtime.block_on(server::run::<C>(&options)),
            Some(_) => runtime.block_on(client::run::<C>(&options)),
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
