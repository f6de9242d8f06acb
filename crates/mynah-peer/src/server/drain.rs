//! Draining a server.

use super::accept::Shared;
use super::report::{CutConnection, DrainReport, cut_connection};
use crate::link::{Collected, DriverEffects, Link, RunKind, wake};
use crate::local::LocalServer;
use mynah_connection::CloseReason;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// How often calls in process are looked at while a server drains.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

pub(super) async fn run(shared: &Arc<Shared>, local: &LocalServer, grace: Duration) -> DrainReport {
    let began = Instant::now();
    shared.refuse();
    let mut subscriptions_ended = local.start_drain();
    let links = shared.links();
    let connections = links.len();
    let mut half_open = 0;
    for link in &links {
        half_open += usize::from(link.facts_pending());
        subscriptions_ended += link.subscriptions.load(Ordering::Acquire);
        start_drain(link);
    }
    // Only the server itself holds its connections while it waits.
    drop(links);
    let end = began.checked_add(grace);
    loop {
        // Asked for before the look, so that no end is missed.
        let ended = shared.ended.notified();
        let idle = shared.links().is_empty() && local.in_flight() == 0;
        let now = Instant::now();
        if idle || end.is_some_and(|end| end <= now) {
            break;
        }
        // Calls in process ring no bell: they are looked at again after a moment.
        let look_again = if local.in_flight() > 0 {
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
    let cut: Vec<CutConnection> = shared
        .links()
        .iter()
        .map(|link| cut_connection(link))
        .collect();
    shared.close_all();
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

/// Tells one peer, and has its connection close once nothing is in flight.
fn start_drain(link: &Link) {
    let mut guard = link.lock();
    let state = &mut *guard;
    let mut collected = Collected::default();
    let mut fx = DriverEffects::new(&mut state.out, &mut collected, link);
    state.connection.start_drain(&mut fx);
    state.drained = true;
    if collected.control_overflow {
        state
            .closing
            .get_or_insert(CloseReason::TimedOut("peer takes no control messages"));
    }
    let task = state.kick();
    drop(guard);
    wake(task);
}
