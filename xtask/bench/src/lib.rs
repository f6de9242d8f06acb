//! What every contender of `cargo xtask bench` shares.
//!
//! A contender is a program in `src/bin` that implements [`Contender`] and calls [`run`], and an
//! entry in `contenders.toml`. Client and server are two processes of the same program:
//!
//! ```text
//! PROGRAM server --variant V --runtime current|multi [--core N] [--count-allocations]
//!   -> "listening 127.0.0.1:PORT"
//!   <- "snapshot"                    as often as wanted, while nothing is in flight
//!   -> {"cpu_ns":..,"allocations":..,"allocated_bytes":..}    since the process began
//!   <- end of standard input: the server exits
//!
//! PROGRAM client --variant V --runtime current|multi [--core N] [--count-allocations]
//!                [--address A] --connections C --in-flight N --warm-up AMOUNT --measure AMOUNT
//!                [--latencies]
//!   -> "ready"                       connected and warm, nothing in flight
//!   <- "go"
//!   -> {"calls":..,"elapsed_ns":..,"cpu_ns":..,"allocations":..,"allocated_bytes":..,
//!       "p50_ns":..,"p99_ns":..}     of the measured phase
//! ```
//!
//! An AMOUNT is a time (`1.5s`) or a number of calls (`20000`). A contender in process has a
//! client only, without an address. A program in another language joins by the same protocol.

mod allocations;
mod client;
mod options;
mod server;

pub use client::{Load, Pace, Tally, echo_tasks};

use serde::{Deserialize, Serialize};
use std::error::Error;
use std::future::Future;
use std::net::SocketAddr;
use std::process::ExitCode;
use tokio::net::TcpListener;

/// An error is a sentence; it ends the run.
pub type Failure = Box<dyn Error + Send + Sync>;

/// The workload W1: this value, there and back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Echo {
    /// A number.
    pub id: u64,
    /// Sixteen characters.
    pub name: String,
    /// Two floats that a half holds too, and two that only a double does.
    pub values: [f64; 4],
}

impl Echo {
    /// A value of the workload.
    #[must_use]
    pub fn new(id: u64) -> Self {
        Self {
            id,
            name: "sixteen letters.".into(),
            values: [1.5, -2.25, std::f64::consts::PI, 0.001],
        }
    }
}

/// One connection of a client, and the server it is for.
pub trait Contender: Clone + Send + Sync + 'static {
    /// Answers every connection of `listener` for ever, with nodelay set on each. A contender in
    /// process returns an error.
    fn serve(
        listener: TcpListener,
        variant: &str,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Opens one connection, with nodelay set; `address` is missing in process.
    fn connect(
        address: Option<SocketAddr>,
        variant: &str,
    ) -> impl Future<Output = Result<Self, Failure>> + Send;

    /// Keeps `load.in_flight` calls in flight until the pace ends and all of them are answered.
    ///
    /// A contender with typed calls leaves it to [`echo_tasks`].
    fn load(&self, load: &Load) -> impl Future<Output = Result<Tally, Failure>> + Send;
}

/// A contender with typed calls.
pub trait TypedEcho: Clone + Send + Sync + 'static {
    /// One call. The value is given away and comes back, so that the client makes no `String` per
    /// call besides the one that is decoded.
    fn echo(&self, value: Echo) -> impl Future<Output = Result<Echo, Failure>> + Send;
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

/// What a process has used since it began.
#[derive(Clone, Copy, Serialize)]
struct Usage {
    /// User and system time of all threads, in nanoseconds.
    cpu_ns: u64,
    /// Counted only where `--count-allocations` is given.
    allocations: u64,
    allocated_bytes: u64,
}

impl Usage {
    fn now() -> Self {
        let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        let seconds = u64::try_from(cpu.tv_sec).unwrap_or(0);
        let (allocations, allocated_bytes) = allocations::counted();
        Self {
            cpu_ns: seconds * 1_000_000_000 + u64::try_from(cpu.tv_nsec).unwrap_or(0),
            allocations,
            allocated_bytes,
        }
    }
}
