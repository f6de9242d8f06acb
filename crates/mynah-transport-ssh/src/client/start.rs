//! Where to, and what is used there.

use crate::command::RemoteCommand;
use mynah_protocol::{TransportError, TransportErrorKind};
use std::fmt;

/// Whom to connect to. Displayed, it is `user@host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshAddress {
    pub(crate) user: String,
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl SshAddress {
    /// A user at a host, at port 22. The host is a name or an address, without brackets.
    ///
    /// # Errors
    /// [`TransportErrorKind::Address`] when one of them is empty, or holds what neither can hold.
    pub fn new(user: impl Into<String>, host: impl Into<String>) -> Result<Self, TransportError> {
        let (user, host) = (user.into(), host.into());
        let address = |what: String| TransportError::new(TransportErrorKind::Address, what);
        if user.is_empty() || user.chars().any(char::is_control) {
            return Err(address(format!("\"{}\" is no user", user.escape_debug())));
        }
        let other = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:%".contains(&byte);
        if host.is_empty() || host.starts_with('-') || !host.bytes().all(other) {
            return Err(address(format!("\"{}\" is no host", host.escape_debug())));
        }
        let port = 22;
        Ok(Self { user, host, port })
    }

    /// Sets the port.
    #[must_use]
    pub const fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }
}

impl fmt::Display for SshAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, host, port } = self;
        if host.contains(':') {
            write!(f, "{user}@[{host}]:{port}")
        } else {
            write!(f, "{user}@{host}:{port}")
        }
    }
}

/// What is used on the other side.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remote {
    /// The stdin and stdout of a command that the user's shell runs.
    Command(RemoteCommand),
    /// What the server offers under a name: a `Subsystem` of sshd_config, or a service of this crate.
    Subsystem(String),
    /// A Unix socket on that host, by its path: the server connects to it (`AllowStreamLocalForwarding`).
    Socket(String),
}

impl Remote {
    /// What keeps it from being asked for.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        match self {
            Self::Command(command) => command.fault(),
            Self::Subsystem(name) if name.is_empty() || name.chars().any(char::is_control) => {
                Some("a subsystem has a name")
            }
            Self::Socket(path) if !path.starts_with('/') || path.contains('\0') => {
                Some("a socket has a path from the root")
            }
            Self::Subsystem(_) | Self::Socket(_) => None,
        }
    }
}
