//! What stands around every call, on the side that calls and on the side that answers.

mod around;
mod caller;
mod chain;
mod extensions;
mod observed;
mod view;

pub use caller::Intercepted;
pub use chain::Interceptors;
pub use extensions::Extensions;
pub use view::{FinishedCall, InterceptedCall};

pub(crate) use around::{admitted, run};
pub(crate) use chain::{Entering, Gate, Passage};
pub(crate) use observed::{Beginning, Name, Observed, outcome_of};

use mynah_protocol::{EndReason, ErrorCode, Metadata, RpcError};
use std::fmt;
use std::pin::Pin;
use std::time::Duration;

/// Stands around every call: unary, with streams, callbacks, subscriptions and notifications, over a connection or
/// within the process.
///
/// The same trait serves both sides. On the side that answers it is registered with
/// [`Router::intercept`](crate::Router::intercept) and comes before the handler is started; on the side that calls,
/// with [`Peer::with_interceptor`](crate::Peer::with_interceptor) or [`Intercepted`](crate::Intercepted), and comes
/// before the request is sent. Several run in the order in which they were registered, and are told of the end in the
/// opposite order.
///
/// It runs where its call runs and must not block. A panic of [`before`](Self::before) refuses the call with an
/// internal error, one of the others is logged; neither ends anything else.
pub trait Interceptor: Send + Sync + 'static {
    /// Before the handler is started, or before the request is sent. It may look at the call, add to it, refuse it, or
    /// have it wait.
    fn before(&self, call: &mut InterceptedCall<'_>) -> Before {
        let _ = call;
        Before::Proceed
    }

    /// After the end, once for every call (or attempt of one) that [`before`](Self::before) let pass, however it ended.
    fn after(&self, call: &FinishedCall<'_>) {
        let _ = call;
    }

    /// On the side that calls, after an attempt failed in a way after which nothing can run twice: when to try again,
    /// `None` not to. The first interceptor with an answer decides. The deadline of the call covers all attempts; a
    /// call with streams or callbacks, or within the process after its handler was started, is tried once.
    fn retry(&self, call: &FinishedCall<'_>) -> Option<Duration> {
        let _ = call;
        None
    }

    /// Whether [`FinishedCall::elapsed`] is wanted: it costs two looks at the clock.
    fn timed(&self) -> bool {
        false
    }
}

/// What an [`Interceptor`] decides about a call.
#[must_use]
pub enum Before {
    /// It goes on.
    Proceed,
    /// It ends here. The caller sees the error as if the handler had answered it.
    Refuse(RpcError),
    /// It waits for this, for instance for an answer of another service. Its deadline goes on, and a call that is
    /// cancelled meanwhile drops the future. What is told through a callback without an answer waits in order with all
    /// that is told on its connection, and the answer of its call waits for it, no longer than the deadline of the call.
    Wait(Pin<Box<dyn Future<Output = Result<Admission, RpcError>> + Send>>),
}

impl fmt::Debug for Before {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Proceed => f.write_str("Proceed"),
            Self::Refuse(error) => f.debug_tuple("Refuse").field(error).finish(),
            Self::Wait(_) => f.write_str("Wait"),
        }
    }
}

impl Before {
    /// Waits for a future.
    pub fn wait(
        future: impl Future<Output = Result<Admission, RpcError>> + Send + 'static,
    ) -> Self {
        Self::Wait(Box::pin(future))
    }
}

pub(crate) type Stop = Pin<Box<dyn Future<Output = RpcError> + Send>>;

/// What is added to a call that was let pass after it had waited.
#[derive(Default)]
pub struct Admission {
    pub(crate) metadata: Metadata,
    pub(crate) extensions: Extensions,
    pub(crate) stop: Option<Stop>,
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission")
            .field("metadata", &self.metadata)
            .field("stops", &self.stop.is_some())
            .finish_non_exhaustive()
    }
}

impl Admission {
    /// Nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entry of metadata.
    #[must_use]
    pub fn metadata(mut self, name: impl Into<Box<str>>, value: impl Into<Box<str>>) -> Self {
        self.metadata.insert(name, value);
        self
    }

    /// Adds a value for those that come later; handlers find it with [`Context::extension`](crate::Context::extension).
    #[must_use]
    pub fn extension<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.extensions.insert(value);
        self
    }

    /// Polled beside the call, where it is polled: when it is ready first, the call is stopped and ends with this error.
    /// A handler on the blocking pool cannot be stopped.
    #[must_use]
    pub fn stop_when(mut self, stop: impl Future<Output = RpcError> + Send + 'static) -> Self {
        self.stop = Some(Box::pin(stop));
        self
    }
}

/// Which side of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallSide {
    /// The side that calls.
    Client,
    /// The side that answers.
    Server,
}

impl CallSide {
    /// `client` or `server`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// What kind of call it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CallKind {
    /// One request, one answer.
    Unary,
    /// No answer.
    Notification,
    /// The results are a stream.
    Stream,
    /// A function that was passed as a param.
    Callback,
    /// Events of a topic.
    Subscription,
}

impl CallKind {
    /// `unary`, `notification`, `stream`, `callback` or `subscription`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unary => "unary",
            Self::Notification => "notification",
            Self::Stream => "stream",
            Self::Callback => "callback",
            Self::Subscription => "subscription",
        }
    }
}

/// How a call ended, as [`FinishedCall`] tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CallOutcome {
    /// With its result, or the end of its stream.
    Ok,
    /// With an error. Within the process a domain error is not encoded: its code is [`ErrorCode::UNCODED`].
    Error(ErrorCode),
    /// It was stopped.
    Cancelled,
    /// Its deadline passed.
    Deadline,
    /// Its handler panicked. The other side sees an internal error.
    Panicked,
    /// The connection was closed before the request left.
    Disconnected,
    /// The connection ended after the request had left: it may have run or not.
    Indeterminate,
}

impl CallOutcome {
    /// One word for logs and metrics: `ok`, `error`, `cancelled`, `deadline`, `panicked`, `disconnected` or
    /// `indeterminate`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error(_) => "error",
            Self::Cancelled => "cancelled",
            Self::Deadline => "deadline",
            Self::Panicked => "panicked",
            Self::Disconnected => "disconnected",
            Self::Indeterminate => "indeterminate",
        }
    }

    /// The code of the error, `None` when there was none.
    #[must_use]
    pub const fn code(self) -> Option<ErrorCode> {
        match self {
            Self::Error(code) => Some(code),
            Self::Cancelled => Some(ErrorCode::CANCELLED),
            Self::Deadline => Some(ErrorCode::DEADLINE_EXCEEDED),
            Self::Panicked => Some(ErrorCode::INTERNAL),
            Self::Ok | Self::Disconnected | Self::Indeterminate => None,
        }
    }

    /// What the end of a stream says.
    pub(crate) fn of_end(reason: &EndReason) -> Self {
        match reason {
            EndReason::Finished => Self::Ok,
            EndReason::Cancelled(_) => Self::Cancelled,
            EndReason::Deadline => Self::Deadline,
            EndReason::Lagged(_) => Self::Error(ErrorCode::LAGGED),
            EndReason::PeerGone => Self::Indeterminate,
            EndReason::Draining => Self::Error(ErrorCode::DRAINING),
            EndReason::Error(error) => Self::of_code(error.code()),
            _ => Self::Error(ErrorCode::UNCODED),
        }
    }

    /// What an error on the wire says.
    pub(crate) fn of_code(code: ErrorCode) -> Self {
        match code {
            ErrorCode::CANCELLED => Self::Cancelled,
            ErrorCode::DEADLINE_EXCEEDED => Self::Deadline,
            code => Self::Error(code),
        }
    }
}
