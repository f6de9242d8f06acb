//! Why something ended.

use crate::{ErrorCode, RpcError};
use alloc::boxed::Box;
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
