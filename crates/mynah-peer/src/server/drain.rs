//! Draining a server.

use super::accept::Shared;
use crate::link::{Collected, DriverEffects, Link, wake};
use crate::local::LocalServer;
use mynah_connection::CloseReason;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How often calls in process are looked at while a server drains.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// What a drain did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainReport {
    /// Connections that were open when it began.
    pub connections: usize,
    /// Connections that were cut at the end of the grace.
    pub connections_cut: usize,
    /// Handlers that were stopped at the end of the grace, calls in process not counted.
    pub calls_cut: usize,
    /// Calls in process that still ran at the end of the grace; their callers own them.
    pub local_calls_left: usize,
    /// How long it took.
    pub took: Duration,
}

impl DrainReport {
    /// Whether every call finished.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.connections_cut == 0 && self.calls_cut == 0 && self.local_calls_left == 0
    }
}

pub(super) async fn run(shared: &Arc<Shared>, local: &LocalServer, grace: Duration) -> DrainReport {
    let began = Instant::now();
    shared.refuse();
    let links = shared.links();
    let connections = links.len();
    for link in &links {
        start_drain(link);
    }
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
    let left = shared.links();
    let calls_cut = left
        .iter()
        .map(|link| link.lock().connection.handlers_running())
        .sum();
    let connections_cut = left.len();
    shared.close_all();
    DrainReport {
        connections,
        connections_cut,
        calls_cut,
        local_calls_left: local.in_flight(),
        took: began.elapsed(),
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
