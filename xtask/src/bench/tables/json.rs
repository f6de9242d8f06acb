//! All raw figures.

use super::machine;
use crate::Outcome;
use crate::bench::costs::Costs;
use crate::bench::figures::{Figures, Sample};
use serde_json::{Value as Json, json};

/// All raw figures.
///
/// # Errors
/// They cannot be written as JSON.
pub(crate) fn json(figures: &Figures<'_>) -> Outcome<String> {
    let samples: Vec<Json> = figures.samples.iter().map(sample).collect();
    let costs: Vec<Json> = figures
        .costs
        .iter()
        .map(|costs| cost(figures, costs))
        .collect();
    let all = json!({ "machine": machine(), "samples": samples, "per_call": costs });
    Ok(serde_json::to_string_pretty(&all)?)
}

fn sample(sample: &Sample) -> Json {
    json!({
        "contender": sample.contender,
        "scenario": sample.case.scenario.name(),
        "pin": sample.case.mode.name(),
        "connections": sample.case.load.connections,
        "in_flight": sample.case.load.in_flight,
        "size": sample.case.size,
        "round": sample.round,
        "calls": sample.calls,
        "elapsed_ns": sample.elapsed_ns,
        "cpu_ns": sample.cpu_ns,
        "p50_ns": sample.p50_ns,
        "p99_ns": sample.p99_ns,
        "busy_p50_ns": sample.busy_p50_ns,
        "busy_p99_ns": sample.busy_p99_ns,
        "busy_bytes": sample.busy_bytes,
        "server_live_bytes": sample.server_bytes[0],
        "server_rss_bytes": sample.server_bytes[1],
        "client_live_bytes": sample.client_bytes,
    })
}

fn cost(figures: &Figures<'_>, costs: &Costs) -> Json {
    let name = &costs.contender;
    let contender = figures.contenders.iter().find(|one| one.name == *name);
    let instructions = costs
        .instructions
        .as_ref()
        .and_then(|count| count.as_ref().ok());
    json!({
        "contender": costs.contender,
        "allocations": costs.allocations,
        "user_allocations": contender.map(|contender| contender.user_allocations),
        "allocated_bytes": costs.allocated_bytes,
        "wire_bytes": costs.wire_bytes,
        "syscalls_at_1": costs.syscalls_at_1.as_ref().ok(),
        "syscalls_at_64": costs.syscalls_at_64.as_ref().ok(),
        "instructions_at_64": instructions,
    })
}
