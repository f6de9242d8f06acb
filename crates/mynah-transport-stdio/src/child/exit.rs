//! How a child ended.

use mynah_protocol::{EvidenceKey, PeerEnd};
use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChildExit {
    status: Option<i32>,
    signal: Option<i32>,
}

impl ChildExit {
    /// Somebody else in this process has asked for its status, or has asked the system to keep none.
    pub(super) const UNKNOWN: Self = Self {
        status: None,
        signal: None,
    };

    /// The status with which it exited; `None` when a signal ended it, or nobody knows.
    #[must_use]
    pub const fn status(self) -> Option<i32> {
        self.status
    }

    /// The signal that ended it.
    #[must_use]
    pub const fn signal(self) -> Option<i32> {
        self.signal
    }

    /// Whether it exited with status 0.
    #[must_use]
    pub const fn is_success(self) -> bool {
        matches!(self.status, Some(0))
    }

    /// The same as the end of a connection.
    pub(super) fn of_peer(self, pid: u32) -> PeerEnd {
        let mut end = PeerEnd::new(format!("process {pid} {self}"));
        if let Some(status) = self.status {
            end = end.with(EvidenceKey::EXIT_STATUS, i64::from(status));
        }
        if let Some(signal) = self.signal {
            end = end.with(EvidenceKey::SIGNAL, i64::from(signal));
        }
        end
    }
}

impl From<ExitStatus> for ChildExit {
    fn from(status: ExitStatus) -> Self {
        Self {
            status: status.code(),
            signal: status.signal(),
        }
    }
}

impl fmt::Display for ChildExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.status, self.signal) {
            (Some(status), _) => write!(f, "exited with status {status}"),
            (None, Some(signal)) => match name(signal) {
                Some(name) => write!(f, "was ended by signal {signal} ({name})"),
                None => write!(f, "was ended by signal {signal}"),
            },
            (None, None) => f.write_str("ended, and nobody knows how"),
        }
    }
}

/// The signals that have one number everywhere.
const fn name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        _ => return None,
    })
}
