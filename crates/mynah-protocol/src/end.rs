//! Why something ended.

use crate::{ErrorCode, Evidence, EvidenceKey, RpcError, Value};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::string::ToString as _;
use core::fmt;

/// Who cancelled a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum By {
    /// The program that made the call: it cancelled it, or dropped it.
    Caller,
    /// The program that answers the call.
    Callee,
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Caller => "caller",
            Self::Callee => "callee",
        })
    }
}

/// Why a call, a stream or a connection ended. The same list on both sides.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum EndReason {
    /// It came to its end in order.
    Finished,
    /// Somebody asked it to stop.
    Cancelled(By),
    /// Its deadline passed.
    Deadline,
    /// Its consumer was too slow; so many items were dropped.
    Lagged(u64),
    /// The peer is gone: closed, crashed or silent for too long.
    PeerGone,
    /// The peer, or this side, is going away and takes nothing new.
    Draining,
    /// An error ended it.
    Error(Box<RpcError>),
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finished => f.write_str("finished"),
            Self::Cancelled(by) => write!(f, "cancelled by the {by}"),
            Self::Deadline => f.write_str("deadline exceeded"),
            Self::Lagged(count) => write!(f, "lagged, {count} items were dropped"),
            Self::PeerGone => f.write_str("peer gone"),
            Self::Draining => f.write_str("draining"),
            Self::Error(error) => write!(f, "{error}"),
        }
    }
}

impl core::error::Error for EndReason {}

impl From<EndReason> for RpcError {
    fn from(reason: EndReason) -> Self {
        let code = match &reason {
            EndReason::Error(_) => ErrorCode::INTERNAL,
            EndReason::Deadline => ErrorCode::DEADLINE_EXCEEDED,
            EndReason::Draining => ErrorCode::DRAINING,
            EndReason::Finished
            | EndReason::Cancelled(_)
            | EndReason::Lagged(_)
            | EndReason::PeerGone => ErrorCode::CANCELLED,
        };
        match reason {
            EndReason::Error(error) => *error,
            other => Self::new(code, other.to_string()),
        }
    }
}

/// How the other side came to its end, as far as its transport knows more than that it is gone: the exit status of a
/// process, the close code of a socket.
///
/// A byte transport ends with an `io::Error` that holds one (`PeerEnd` turns into it), in place of the end of its bytes;
/// a carrier ends with a [`TransportError`](crate::TransportError) whose source is one. It need not be a failure.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerEnd {
    what: Box<str>,
    facts: Evidence,
}

impl PeerEnd {
    /// What happened, for people: "process 4711 exited with status 3".
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into().into_boxed_str(),
            facts: Evidence::new(),
        }
    }

    /// The same for programs.
    #[must_use]
    pub fn with(mut self, key: EvidenceKey, value: impl Into<Value>) -> Self {
        self.facts = self.facts.with(key, value);
        self
    }

    /// What programs can know of it: [`EvidenceKey::EXIT_STATUS`], [`EvidenceKey::SIGNAL`], and what a transport adds.
    #[must_use]
    pub const fn facts(&self) -> &Evidence {
        &self.facts
    }

    /// What an error is the last word of, if it is: looks at the error and at its causes.
    #[must_use]
    pub fn of<'e>(error: &'e (dyn core::error::Error + 'static)) -> Option<&'e Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(end) = error.downcast_ref() {
                return Some(end);
            }
            #[cfg(feature = "std")]
            if let Some(inside) = error
                .downcast_ref::<std::io::Error>()
                .and_then(std::io::Error::get_ref)
                && let Some(end) = inside.downcast_ref()
            {
                return Some(end);
            }
            next = error.source();
        }
        None
    }
}

impl fmt::Display for PeerEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl core::error::Error for PeerEnd {}

#[cfg(feature = "std")]
impl From<PeerEnd> for std::io::Error {
    fn from(end: PeerEnd) -> Self {
        Self::new(std::io::ErrorKind::BrokenPipe, end)
    }
}

#[cfg(all(test, feature = "std"))]
mod tests;
