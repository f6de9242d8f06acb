//! How a remote command ended.

use mynah_protocol::{EvidenceKey, PeerEnd};
use std::fmt;

/// How a remote command ended, as the server says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RemoteExit {
    /// It exited with this status. A shell says 127 for a command that it does not find, 126 for one that it may not
    /// run, and 128 + n for one that signal n ended.
    Status(u32),
    /// A signal ended it.
    Signal {
        /// Its name without `SIG`: `TERM`.
        name: String,
        /// What the server says of it. Mostly empty.
        message: String,
    },
}

impl RemoteExit {
    /// The status with which it exited; `None` when a signal ended it.
    #[must_use]
    pub const fn status(&self) -> Option<u32> {
        match self {
            Self::Status(status) => Some(*status),
            Self::Signal { .. } => None,
        }
    }

    /// The name of the signal that ended it, without `SIG`.
    #[must_use]
    pub fn signal(&self) -> Option<&str> {
        match self {
            Self::Status(_) => None,
            Self::Signal { name, .. } => Some(name),
        }
    }

    /// The same as the end of a connection.
    pub(crate) fn of_peer(&self) -> PeerEnd {
        let end = PeerEnd::new(format!("the remote command {self}"));
        match self {
            Self::Status(status) => end.with(EvidenceKey::EXIT_STATUS, i64::from(*status)),
            Self::Signal { name, .. } => match number(name) {
                Some(number) => end.with(EvidenceKey::SIGNAL, number),
                None => end,
            },
        }
    }
}

impl fmt::Display for RemoteExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "exited with status {status}"),
            Self::Signal { name, message } => {
                write!(f, "was ended by signal SIG{}", name.escape_debug())?;
                match message.trim() {
                    "" => Ok(()),
                    message => write!(f, " ({})", message.escape_debug()),
                }
            }
        }
    }
}

/// The signals that have one number everywhere.
fn number(name: &str) -> Option<i64> {
    Some(match name {
        "HUP" => 1,
        "INT" => 2,
        "QUIT" => 3,
        "ILL" => 4,
        "ABRT" => 6,
        "FPE" => 8,
        "KILL" => 9,
        "SEGV" => 11,
        "PIPE" => 13,
        "ALRM" => 14,
        "TERM" => 15,
        _ => return None,
    })
}
