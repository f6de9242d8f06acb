//! Ids: ours, and those that a peer chose.

use alloc::boxed::Box;
use core::fmt;

/// The id of a call that this side made. Below 2^53, so that it survives a peer whose numbers are
/// 64-bit floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(u64);

impl CallId {
    /// The largest id.
    pub const MAX: u64 = (1 << 53) - 1;

    /// An id, `None` above [`Self::MAX`].
    #[must_use]
    pub const fn new(id: u64) -> Option<Self> {
        if id <= Self::MAX {
            Some(Self(id))
        } else {
            None
        }
    }

    /// The number.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }
}

/// The id of a call as a peer chose it. It is echoed in value and type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WireId {
    /// An explicit null.
    Null,
    /// An integer from 0 to 2^64 - 1.
    Uint(u64),
    /// A negative integer down to -2^63.
    Int(i64),
    /// A text.
    Text(Box<str>),
    /// Anything else that a dialect lets pass (a larger integer, say), as the bytes of the wire.
    Verbatim(Box<[u8]>),
}

impl From<CallId> for WireId {
    fn from(id: CallId) -> Self {
        Self::Uint(id.0)
    }
}

impl WireId {
    /// Reads it as the id of one of our own calls.
    #[must_use]
    pub const fn as_call_id(&self) -> Option<CallId> {
        match self {
            Self::Uint(id) => CallId::new(*id),
            Self::Null | Self::Int(_) | Self::Text(_) | Self::Verbatim(_) => None,
        }
    }
}

impl fmt::Display for WireId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Uint(id) => write!(f, "{id}"),
            Self::Int(id) => write!(f, "{id}"),
            Self::Text(id) => write!(f, "\"{}\"", id.escape_debug()),
            Self::Verbatim(bytes) => write!(f, "<{} bytes>", bytes.len()),
        }
    }
}
