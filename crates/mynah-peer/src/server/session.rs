//! A connection as its server knows it, from its arrival to its end.

use super::registry::{IdTaken, PeerId};
use super::shared::Shared;
use crate::state::ConnectionState;
use mynah_protocol::Evidence;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::Instant;

/// A connection as its server knows it: from its arrival, before anything of it is read, to its end.
///
/// What decides about connections ([`SessionPolicy`](super::SessionPolicy), [`Server::on_connect`](super::Server::on_connect))
/// sees it first, and may name it and give it state; [`Server::on_disconnect`](super::Server::on_disconnect) sees it last.
/// A cheap clone.
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
}

struct Inner {
    server: Weak<Shared>,
    number: u64,
    evidence: Evidence,
    state: Arc<ConnectionState>,
    arrived: Instant,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id().to_string())
            .field("evidence", &self.inner.evidence.to_string())
            .finish_non_exhaustive()
    }
}

impl Session {
    pub(super) fn new(server: &Arc<Shared>, number: u64, evidence: Evidence) -> Self {
        Self {
            inner: Arc::new(Inner {
                server: Arc::downgrade(server),
                number,
                evidence,
                state: Arc::default(),
                arrived: Instant::now(),
            }),
        }
    }

    pub(super) fn state_of_connection(&self) -> &Arc<ConnectionState> {
        &self.inner.state
    }

    /// What the server knows it by: the id that the program has set, or a number of the server's (`#7`).
    #[must_use]
    pub fn id(&self) -> PeerId {
        let server = self.inner.server.upgrade();
        let named = server.and_then(|server| server.name_of(self.inner.number));
        named.unwrap_or_else(|| PeerId::number(self.inner.number))
    }

    /// Has the server know it by this id, in place of the one before: [`ServerHandle::peer`](super::ServerHandle::peer).
    ///
    /// # Errors
    /// [`IdTaken`] when another connection of the server, waiting ones included, has it; nothing changes.
    pub fn set_id(&self, id: impl Into<PeerId>) -> Result<(), IdTaken> {
        match self.inner.server.upgrade() {
            Some(server) => server.rename(self.inner.number, id.into()),
            None => Ok(()),
        }
    }

    /// What the transport knows about the peer. The peer cannot send any of it.
    #[must_use]
    pub fn evidence(&self) -> &Evidence {
        &self.inner.evidence
    }

    /// Sets the state of the connection of this type, in place of the one before. Handlers find it by its type.
    pub fn set_state<T: Send + Sync + 'static>(&self, value: T) {
        self.inner.state.set(value);
    }

    /// The state of the connection of a type, if it was set.
    #[must_use]
    pub fn state<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.inner.state.value()
    }

    /// How long ago it arrived.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.inner.arrived.elapsed()
    }
}
