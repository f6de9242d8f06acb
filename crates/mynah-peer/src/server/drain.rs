//! Draining a server.

use super::report::{CutConnection, DrainReport, cut_connection};
use super::shared::Shared;
use crate::link::{Link, RunKind};
use crate::local::LocalServer;
use mynah_connection::CloseReason;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// How often calls in process are looked at while a server drains.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Calls that run in process, those that are encoded included.
fn in_process(local: &LocalServer) -> usize {
    local.in_flight()
        + local
            .bridges()
            .iter()
            .map(|bridge| runs(bridge))
            .sum::<usize>()
}

fn runs(link: &Link) -> usize {
    link.lock().connection.handlers_running()
}

pub(super) async fn run(shared: &Arc<Shared>, local: &LocalServer, grace: Duration) -> DrainReport {
    let began = Instant::now();
    shared.refuse();
    let mut subscriptions_ended = local.start_drain();
    let links = shared.registry().links();
    let connections = links.len();
    let mut half_open = 0;
    for link in &links {
        half_open += usize::from(link.facts_pending());
        subscriptions_ended += link.subscriptions.load(Ordering::Acquire);
        link.start_drain();
    }
    // Only the server itself holds its connections while it waits.
    drop(links);
    let end = began.checked_add(grace);
    loop {
        // Asked for before the look, so that no end is missed.
        let ended = shared.ended.notified();
        let idle = shared.registry().links().is_empty() && in_process(local) == 0;
        let now = Instant::now();
        if idle || end.is_some_and(|end| end <= now) {
            break;
        }
        // Calls in process ring no bell: they are looked at again after a moment.
        let look_again = if in_process(local) > 0 {
            LOOK_AGAIN
        } else {
            grace
        };
        let until = now.checked_add(look_again).into_iter().chain(end).min();
        match until {
            Some(until) => drop(tokio::time::timeout_at(until, ended).await),
            None => ended.await,
        }
    }
    let bridges = local.bridges();
    let cut: Vec<CutConnection> = shared
        .registry()
        .links()
        .iter()
        // Nothing ran for those that have said nothing.
        .filter(|link| !link.facts_pending())
        .chain(bridges.iter().filter(|bridge| runs(bridge) > 0))
        .map(|link| cut_connection(link))
        .collect();
    shared.close_all();
    for bridge in &bridges {
        bridge.cut(CloseReason::Local);
    }
    let calls = || cut.iter().flat_map(|connection| &connection.calls);
    DrainReport {
        connections,
        half_open,
        subscriptions_ended,
        connections_cut: cut.len(),
        calls_cut: calls().count(),
        streams_cut: calls().filter(|call| call.kind == RunKind::Stream).count(),
        local_calls_left: local.in_flight(),
        took: began.elapsed(),
        cut,
    }
}
