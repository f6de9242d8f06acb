//! The client's side of the line protocol.

use crate::options::Options;
use crate::scenarios::Scene;
use crate::usage::Usage;
use crate::{Contender, Failure};
use serde::Serialize;
use std::io::Write as _;
use std::time::Instant;

/// What the harness gets.
#[derive(Serialize)]
struct Report {
    calls: u64,
    elapsed_ns: u64,
    #[serde(flatten)]
    usage: Usage,
    p50_ns: Option<u32>,
    p99_ns: Option<u32>,
    busy_p50_ns: Option<u32>,
    busy_p99_ns: Option<u32>,
    busy_bytes: u64,
    busy_elapsed_ns: u64,
}

pub(crate) async fn run<C: Contender>(options: &Options) -> Result<(), Failure> {
    let Some(client) = &options.client else {
        return Err("not a client".into());
    };
    let mut scene = Scene::<C>::open(client, &options.variant).await?;
    scene.warm_up().await?;

    say("ready")?;
    // Blocks the runtime on purpose: nothing is in flight.
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    if line.trim() != "go" {
        return Err(format!("expected `go`, got {line:?}").into());
    }

    let before = Usage::now();
    let start = Instant::now();
    let mut done = scene.measure().await?;
    let elapsed = start.elapsed();
    let usage = Usage::now().since(before);

    let report = Report {
        calls: done.tally.calls + done.busy.calls,
        elapsed_ns: u64::try_from(elapsed.as_nanos())?,
        usage,
        p50_ns: done.tally.quantile(50),
        p99_ns: done.tally.quantile(99),
        busy_p50_ns: done.busy.quantile(50),
        busy_p99_ns: done.busy.quantile(99),
        busy_bytes: done.busy_bytes,
        busy_elapsed_ns: u64::try_from(done.busy_elapsed.as_nanos())?,
    };
    say(&serde_json::to_string(&report)?)?;
    // Wait for the harness to have taken the server's counters before connections close.
    line.clear();
    std::io::stdin().read_line(&mut line)?;
    std::process::exit(0)
}

fn say(line: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
