//! A connection as its server knows it, from its arrival to its end.

use super::registry::{IdTaken, PeerId};
use super::shared::Shared;
use crate::link::Link;
use crate::states::States;
use mynah_protocol::Evidence;
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
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
    /// Its state as long as it has no connection.
    early: States,
    link: OnceLock<Weak<Link>>,
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
                early: States::default(),
                link: OnceLock::new(),
                arrived: Instant::now(),
            }),
        }
    }

    /// It has a connection from now on, which takes its state over.
    pub(super) fn linked(&self, link: &Arc<Link>) {
        // It gets one at most.
        let _first = self.inner.link.set(Arc::downgrade(link));
        link.states.take_over(&self.inner.early);
    }

    fn link(&self) -> Option<Arc<Link>> {
        self.inner.link.get()?.upgrade()
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

    /// Sets the state of the connection of this type, in place of the one before. Handlers find it by its type:
    /// [`Context::state`](crate::Context::state).
    pub fn set_state<T: Send + Sync + 'static>(&self, value: T) {
        let value = Arc::new(value);
        let replaced = match self.link() {
            Some(link) => link.states.set(value),
            None => {
                let replaced = self.inner.early.set(Arc::clone(&value));
                // It may have begun meanwhile, and taken over what was set before.
                if let Some(link) = self.link() {
                    drop(link.states.set(value));
                }
                replaced
            }
        };
        drop(replaced);
    }

    /// The state of the connection of a type, if it was set.
    #[must_use]
    pub fn find_state<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        match self.link() {
            Some(link) => link.states.find(),
            None => self.inner.early.find(),
        }
    }

    /// How long ago it arrived.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.inner.arrived.elapsed()
    }
}
