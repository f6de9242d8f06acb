//! What a program sees of it.

use crate::peer::PeerStats;
use mynah_connection::CloseReason;
use std::time::Duration;
use tokio::sync::watch;

/// How a client that reconnects stands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ReconnectState {
    /// An attempt is under way.
    Connecting,
    /// There is a connection.
    Connected,
    /// Nothing is tried for a while.
    Waiting {
        /// Which attempt comes next: 1 after the first pause since a stable connection.
        attempt: u32,
        /// The whole pause.
        delay: Duration,
        /// Why there is no connection.
        reason: CloseReason,
    },
    /// Closed for good.
    Closed(CloseReason),
}

/// What a client that reconnects has done, and how much of its connections is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReconnectStats {
    /// Connections that were made.
    pub connections: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// Requests that were sent again, or are to be.
    pub sent_again: u64,
    /// Earlier connections that are kept because calls on them are not over.
    pub draining: usize,
    /// Tasks that wait for a connection, up to some that have given up since the last attempt.
    pub waiting: usize,
    /// What is in use, all connections together.
    pub peer: PeerStats,
}

/// Tells of changes of the state. Changes that follow each other closely come as one.
#[derive(Clone, Debug)]
pub struct ReconnectWatch(pub(super) watch::Receiver<ReconnectState>);

impl ReconnectWatch {
    /// The state of now; the next [`Self::changed`] waits for another.
    #[must_use]
    pub fn state(&mut self) -> ReconnectState {
        self.0.borrow_and_update().clone()
    }

    /// Waits for a state that was not seen yet, and returns it. Once closed, it returns at once.
    ///
    /// Cancel safety: may be dropped and called again at any time.
    pub async fn changed(&mut self) -> ReconnectState {
        if !matches!(*self.0.borrow(), ReconnectState::Closed(_)) {
            // An error: nobody is left who changes it.
            drop(self.0.changed().await);
        }
        self.state()
    }
}
