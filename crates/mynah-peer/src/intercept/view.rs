//! A call as interceptors see it.

use super::{CallKind, CallOutcome, CallSide, Extensions, Observed};
use crate::trace::TraceContext;
use mynah_protocol::{Evidence, Metadata, MethodName};
use std::fmt;
use std::time::Duration;
use tokio::time::Instant;

/// A call before its handler is started, or before its request is sent.
pub struct InterceptedCall<'a> {
    pub(super) observed: &'a Observed,
    pub(super) metadata: &'a mut Metadata,
    pub(super) extensions: &'a mut Extensions,
    pub(super) evidence: Option<&'a Evidence>,
    pub(super) deadline: Option<Instant>,
}

impl fmt::Debug for InterceptedCall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InterceptedCall")
            .field("method", &self.method_name())
            .field("kind", &self.kind())
            .finish_non_exhaustive()
    }
}

impl InterceptedCall<'_> {
    /// Which side this is.
    #[must_use]
    pub const fn side(&self) -> CallSide {
        self.observed.side
    }

    /// What kind of call it is.
    #[must_use]
    pub const fn kind(&self) -> CallKind {
        self.observed.kind
    }

    /// What is called.
    #[must_use]
    pub fn method_name(&self) -> MethodName<'_> {
        self.observed.name()
    }

    /// Whether somebody has the method. On the side that answers, what nobody has is answered -32601 once every
    /// interceptor has let it pass.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        self.observed.is_known()
    }

    /// What travels beside the params. On the side that calls, what is added goes to the peer; on the side that answers,
    /// the handler sees it. An entry on a wire without metadata fails the call as
    /// [`CallError::Unsupported`](crate::CallError::Unsupported).
    #[must_use]
    pub const fn metadata(&self) -> &Metadata {
        self.metadata
    }

    /// The same, to be changed.
    pub const fn metadata_mut(&mut self) -> &mut Metadata {
        self.metadata
    }

    /// What the transport knows about the other side. `None` on the side that calls, when the caller is no
    /// [`Peer`](crate::Peer).
    #[must_use]
    pub const fn evidence(&self) -> Option<&Evidence> {
        self.evidence
    }

    /// When the call must have ended, `None` when it has no deadline.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The trace that the call belongs to.
    #[must_use]
    pub fn trace(&self) -> Option<&TraceContext> {
        self.observed.trace.as_ref()
    }

    /// Which attempt it is, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.observed.attempt()
    }

    /// Leaves a value for the interceptors that come later, for [`Interceptor::after`](super::Interceptor::after), and
    /// for the handler, which finds it with [`Context::extension`](crate::Context::extension).
    pub fn insert<T: Send + Sync + 'static>(&mut self, value: T) {
        self.extensions.insert(value);
    }

    /// A value that was left by an interceptor before.
    #[must_use]
    pub fn extension<T: 'static>(&self) -> Option<&T> {
        self.extensions.value()
    }
}

/// A call after its end.
pub struct FinishedCall<'a> {
    pub(super) observed: &'a Observed,
    pub(super) outcome: CallOutcome,
    pub(super) elapsed: Option<Duration>,
}

impl fmt::Debug for FinishedCall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FinishedCall")
            .field("method", &self.method_name())
            .field("kind", &self.kind())
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}

impl FinishedCall<'_> {
    /// Which side this is.
    #[must_use]
    pub const fn side(&self) -> CallSide {
        self.observed.side
    }

    /// What kind of call it was.
    #[must_use]
    pub const fn kind(&self) -> CallKind {
        self.observed.kind
    }

    /// What was called.
    #[must_use]
    pub fn method_name(&self) -> MethodName<'_> {
        self.observed.name()
    }

    /// How it ended.
    #[must_use]
    pub const fn outcome(&self) -> CallOutcome {
        self.outcome
    }

    /// Items of its stream of results, zero when it had none.
    #[must_use]
    pub fn items(&self) -> u64 {
        self.observed.items()
    }

    /// From before the first interceptor to the end, over all attempts. `None` unless somebody is
    /// [`timed`](super::Interceptor::timed).
    #[must_use]
    pub const fn elapsed(&self) -> Option<Duration> {
        self.elapsed
    }

    /// The trace that the call belonged to.
    #[must_use]
    pub fn trace(&self) -> Option<&TraceContext> {
        self.observed.trace.as_ref()
    }

    /// Which attempt it was, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.observed.attempt()
    }

    /// A value that an interceptor left.
    #[must_use]
    pub fn extension<T: 'static>(&self) -> Option<&T> {
        self.observed.extension()
    }
}
