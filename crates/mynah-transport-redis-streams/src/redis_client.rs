//! A client of redis-rs that the program has configured, in place of a URL.
//!
//! This is the one place where a type of that library is public, and it is behind a feature: whoever turns it on ties the
//! program to the version of redis-rs that this crate uses. See ADR 57.

use crate::RedisOptions;
use std::fmt;

/// A client as it was handed in. What it is configured with may be secret.
#[derive(Clone)]
pub(crate) struct Handed(pub(crate) redis::Client);

impl fmt::Debug for Handed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl RedisOptions {
    /// The defaults, with a client of redis-rs that was configured before: its address, user, TLS and callbacks hold.
    ///
    /// Connections are opened with it, and those are closed when the client or the server stops; it is not touched itself, nor is
    /// any connection that the program has opened with it. Cluster and Sentinel have clients of their own, and are
    /// configured by [`RedisOptions::new`].
    #[must_use]
    pub fn from_client(client: redis::Client) -> Self {
        let mut options = Self::new("redis://configured");
        options.client = Some(Handed(client));
        options
    }
}
