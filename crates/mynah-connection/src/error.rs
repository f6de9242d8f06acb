//! Why a connection ended, and why a call cannot be made.

use mynah_protocol::{ErrorCode, PeerEnd, TransportErrorKind};
use std::fmt;
use std::sync::Arc;

/// Why a connection ended. Recorded once; every later call returns the same.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CloseReason {
    /// This side closed it.
    Local,
    /// This side closed it and told the peer why, where the wire can say it.
    Closed(ErrorCode, Arc<str>),
    /// The peer closed it, or went away without a word.
    PeerGone,
    /// The same, where the transport knows more of it: the exit status of a process.
    PeerEnded(Arc<PeerEnd>),
    /// The peer ended it and said why.
    Refused(ErrorCode, Arc<str>),
    /// It was drained: both sides finished, or the peer said that it goes away and then went, whatever was still in
    /// flight.
    Drained,
    /// The peer was silent, or took nothing, for too long.
    TimedOut(&'static str),
    /// The peer broke the rules; the text says which.
    Violation(ErrorCode, Arc<str>),
    /// The transport failed.
    Transport(TransportErrorKind, Arc<str>),
}

impl CloseReason {
    /// The code that tells the peer, `None` when nothing is to be said.
    #[must_use]
    pub const fn wire_code(&self) -> Option<ErrorCode> {
        match self {
            Self::Violation(code, _) | Self::Closed(code, _) => Some(*code),
            Self::TimedOut(_) => Some(ErrorCode::TIMED_OUT),
            Self::Local
            | Self::PeerGone
            | Self::PeerEnded(_)
            | Self::Refused(..)
            | Self::Drained
            | Self::Transport(..) => None,
        }
    }

    /// Whether it ends at once, whatever still waits to be written.
    #[must_use]
    pub const fn is_fault(&self) -> bool {
        matches!(self, Self::Violation(..) | Self::TimedOut(_))
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("closed by this side"),
            Self::Closed(code, text) => write!(f, "closed by this side: {code}: {text}"),
            Self::PeerGone => f.write_str("peer closed the connection"),
            Self::PeerEnded(end) => write!(f, "peer is gone: {end}"),
            Self::Refused(code, text) => {
                write!(
                    f,
                    "peer ended the connection: {code}: {}",
                    text.escape_debug()
                )
            }
            Self::Drained => f.write_str("drained"),
            Self::TimedOut(what) => write!(f, "timed out: {what}"),
            Self::Violation(code, what) => write!(f, "{code}: {}", what.escape_debug()),
            Self::Transport(_, what) => write!(f, "{what}"),
        }
    }
}

/// Why a call cannot be made now.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The connection has ended.
    #[error("connection is closed: {0}")]
    Closed(CloseReason),
    /// One side is going away.
    #[error("connection is draining")]
    Draining,
    /// As many calls as allowed wait for an answer already.
    #[error("{0} calls are in flight already")]
    Full(usize),
}
