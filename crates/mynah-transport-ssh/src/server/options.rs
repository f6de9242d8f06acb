//! What a listener is told.

use super::authorized::is_user;
use std::path::PathBuf;
use std::time::Duration;

/// The user that keys are for which name none of their own.
pub const DEFAULT_USER: &str = "mynah";

/// What a listener is told: whom to let in, who it is, and what it bears from strangers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SshServerOptions {
    /// The file with the keys that are let in. It is read anew at each attempt, so that a key that is taken out of it is
    /// refused from then on; connections that are open stay.
    pub authorized_keys: PathBuf,
    /// The private keys with which the server shows who it is. One that does not exist is made, as Ed25519.
    pub host_keys: Vec<PathBuf>,
    /// The names under which a key may be used that names none of its own (`mynah-user="…"`). Default
    /// [`DEFAULT_USER`] alone.
    pub users: Vec<String>,
    /// Connections that may be open before they are authenticated. One more takes the place of the oldest one of
    /// whichever address has most. Default 64.
    pub max_unauthenticated: usize,
    /// Connections that one address may open in a minute, let in or not; a network of IPv6 (/64) counts as one address.
    /// One more is closed at once, before anything is computed for it. Default `None`: any number.
    pub connections_per_minute: Option<u32>,
    /// Connections that may be open once they are authenticated. Default 1024.
    pub max_authenticated: usize,
    /// Time from the first byte to the subsystem. Default 30 s.
    pub login_timeout: Duration,
    /// Attempts to authenticate in one connection. Default 6, as OpenSSH has it.
    pub max_attempts: usize,
    /// Bytes that are read of a peer before it is authenticated. Default 128 KiB: ten times what a client sends that
    /// tries six keys.
    pub max_early_bytes: usize,
    /// Silence after which the peer is asked for a sign of life. Default 30 s.
    pub keep_alive_interval: Duration,
    /// Questions without an answer after which the connection ends. Default 3.
    pub keep_alive_retries: u32,
    /// Connections that the kernel holds until they are accepted. Default 1024.
    pub backlog: u32,
}

impl SshServerOptions {
    /// Lets in whom the file `authorized_keys` lists, and shows the key in the file `host_key`, which is made unless it
    /// exists.
    pub fn new(authorized_keys: impl Into<PathBuf>, host_key: impl Into<PathBuf>) -> Self {
        Self {
            authorized_keys: authorized_keys.into(),
            host_keys: vec![host_key.into()],
            users: vec![DEFAULT_USER.to_owned()],
            max_unauthenticated: 64,
            connections_per_minute: None,
            max_authenticated: 1024,
            login_timeout: Duration::from_secs(30),
            max_attempts: 6,
            max_early_bytes: 128 << 10,
            keep_alive_interval: Duration::from_secs(30),
            keep_alive_retries: 3,
            backlog: 1024,
        }
    }

    /// Whether a name can be that of a user: letters, digits and `._-@+`, 64 bytes at most.
    #[must_use]
    pub fn is_user(name: &str) -> bool {
        is_user(name)
    }

    /// Shows this key too, to peers that prefer its type.
    #[must_use]
    pub fn with_host_key(mut self, path: impl Into<PathBuf>) -> Self {
        self.host_keys.push(path.into());
        self
    }

    /// Sets the names under which keys may be used that name none of their own.
    #[must_use]
    pub fn with_users(mut self, users: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.users = users.into_iter().map(Into::into).collect();
        self
    }

    /// Sets how many connections may be open before they are authenticated, and after.
    #[must_use]
    pub const fn with_max_connections(
        mut self,
        unauthenticated: usize,
        authenticated: usize,
    ) -> Self {
        self.max_unauthenticated = unauthenticated;
        self.max_authenticated = authenticated;
        self
    }

    /// Sets how many connections one address may open in a minute; 0 is taken for 1.
    #[must_use]
    pub const fn with_connections_per_minute(mut self, connections: u32) -> Self {
        self.connections_per_minute = Some(connections);
        self
    }

    /// Sets the time from the first byte to the subsystem.
    #[must_use]
    pub const fn with_login_timeout(mut self, timeout: Duration) -> Self {
        self.login_timeout = timeout;
        self
    }

    /// Sets after which silence the peer is asked for a sign of life, and how many such questions may stay without an
    /// answer.
    #[must_use]
    pub const fn with_keep_alive(mut self, interval: Duration, retries: u32) -> Self {
        self.keep_alive_interval = interval;
        self.keep_alive_retries = retries;
        self
    }
}
