//! What was collected under the lock and is to be carried out after it.

use super::HandlerRef;
use crate::handler::{Method, Produce};
use bytes::Bytes;
use mynah_connection::InboundKey;
use mynah_protocol::{CallId, CancelReason, Metadata, Moment, Streams};
use std::sync::Arc;
use std::task::Waker;

/// Everything that is to be done once the lock is free. The buffers go round.
#[derive(Default)]
pub(crate) struct Collected {
    /// Callers to wake.
    pub(crate) wakers: Vec<Waker>,
    /// Calls and notifications of the peer, in the order in which they came.
    pub(crate) arrived: Vec<Arrived>,
    /// Calls of the peer that are to stop.
    pub(crate) cancels: Vec<CancelOrder>,
    /// Control could not be written, or piles up.
    pub(crate) control_overflow: bool,
    /// Streams that go with calls of ours, whose peers are ready for items.
    pub(crate) inputs: Vec<(CallId, Box<dyn Produce>)>,
    /// Places of streams that may go on.
    pub(crate) resume: Vec<usize>,
    /// Places of input streams whose calls are over.
    pub(crate) stopped_inputs: Vec<(usize, CallId)>,
    /// Streams of the user that nobody needs any more: dropped when the lock is free.
    pub(crate) unused: Vec<Box<dyn Produce>>,
    /// Callbacks whose calls are over.
    pub(crate) revoked: Vec<u64>,
    /// A callback is among what arrived.
    pub(crate) called_back: bool,
    /// Requests that were refused for want of a permit; counted with the feature `metrics` only.
    pub(crate) refused: u64,
    /// The peer has said that it is going away.
    pub(crate) departing: bool,
    /// Events that the peer may not emit: each is a breach.
    pub(crate) forbidden_events: u32,
    /// The peer has introduced itself.
    pub(crate) met: bool,
    /// Something that was told through a callback waits for an interceptor.
    pub(crate) tells_wait: bool,
    /// Calls of ours whose ends are held back until it is heard.
    pub(crate) held: Vec<CallId>,
}

impl Collected {
    /// Whether something is to be done for streams or callbacks.
    #[inline]
    pub(crate) const fn has_streams(&self) -> bool {
        !self.resume.is_empty()
            || !self.inputs.is_empty()
            || !self.stopped_inputs.is_empty()
            || !self.unused.is_empty()
            || !self.revoked.is_empty()
    }
}

/// A call or notification of the peer that is to be started.
pub(crate) struct Arrived {
    pub(crate) key: InboundKey,
    /// The index of its route, `None` when nobody has the method.
    pub(crate) route: Option<usize>,
    /// The name as the peer wrote it, when it is none of a route. Absent for a callback that is over.
    pub(crate) unknown: Option<Box<str>>,
    /// What is called, when it is no route.
    pub(crate) other: Option<Arc<dyn Method>>,
    /// What kind of thing is called.
    pub(crate) called: CalledKind,
    pub(crate) streams: Streams,
    pub(crate) answered: bool,
    pub(crate) deadline: Moment,
    pub(crate) metadata: Metadata,
    pub(crate) body: Body,
    /// The peer may not call it.
    pub(crate) forbidden: bool,
    /// It was cancelled before it was started.
    pub(crate) cancelled: Option<CancelReason>,
}

/// What kind of thing is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CalledKind {
    /// A route, or nothing that there is.
    Route,
    /// A callback, or a subscription to events.
    BuiltIn,
    /// What hears what was said unasked.
    Hearer,
    /// A method that was added since the start.
    Added,
    /// What answers for methods that nobody has.
    Fallback,
}

/// Where the params of an arrived call are.
pub(crate) enum Body {
    /// In the read buffer, from and to.
    Range(usize, usize),
    Owned(Bytes),
}

impl Body {
    /// `buffer`: the read buffer.
    #[inline]
    pub(crate) fn as_slice<'b>(&'b self, buffer: &'b [u8]) -> &'b [u8] {
        match self {
            Self::Range(start, end) => buffer.get(*start..*end).unwrap_or_default(),
            Self::Owned(bytes) => bytes,
        }
    }

    /// For a call that has to wait.
    pub(crate) fn into_bytes(self, buffer: &[u8]) -> Bytes {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Range(..) => Bytes::copy_from_slice(self.as_slice(buffer)),
        }
    }
}

/// A call of the peer that is to stop.
pub(crate) struct CancelOrder {
    pub(crate) key: InboundKey,
    pub(crate) reason: CancelReason,
    pub(crate) handler: HandlerRef,
    pub(crate) shielded: bool,
}
