//! The clients of a server, for whoever serves them.

use super::registry::PeerId;
use super::shared::Shared;
use crate::error::CallError;
use crate::events::Published;
use crate::peer::Peer;
use serde::Serialize;
use std::fmt;
use std::sync::Weak;

/// The clients of a server, as its handlers reach them: [`Context::peers`](crate::Context::peers),
/// [`ServerHandle::directory`](super::ServerHandle::directory).
///
/// A cheap clone that does not keep the server running. Empty when the server has gone, and for a side that is no server.
#[derive(Clone, Default)]
pub struct Peers {
    shared: Weak<Shared>,
}

impl fmt::Debug for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peers").field("len", &self.len()).finish()
    }
}

impl Peers {
    pub(super) const fn new(shared: Weak<Shared>) -> Self {
        Self { shared }
    }

    /// The clients that are connected and were admitted, in the order of their arrival.
    #[must_use]
    pub fn all(&self) -> Vec<Peer> {
        let shared = self.shared.upgrade();
        shared.map_or_else(Vec::new, |shared| shared.registry().peers())
    }

    /// The client with this id.
    #[must_use]
    pub fn find(&self, id: impl Into<PeerId>) -> Option<Peer> {
        self.shared.upgrade()?.registry().peer(&id.into())
    }

    /// How many clients are connected and were admitted.
    #[must_use]
    pub fn len(&self) -> usize {
        let shared = self.shared.upgrade();
        shared.map_or(0, |shared| shared.registry().admitted())
    }

    /// Whether nobody is connected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Publishes a message to whoever is to hear it: [`ServerHandle::broadcast`](super::ServerHandle::broadcast).
    ///
    /// Cancel safety, errors: as there.
    ///
    /// # Errors
    /// [`CallError::Encode`] when the message cannot be encoded; nobody has it then.
    pub async fn broadcast<T: Serialize + Sync + ?Sized>(
        &self,
        topic: &str,
        message: &T,
    ) -> Result<Published, CallError> {
        match self.shared.upgrade() {
            Some(shared) => shared.router.events().broadcast(topic, message).await,
            None => Ok(Published::default()),
        }
    }
}
