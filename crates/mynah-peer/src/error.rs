//! What a caller gets instead of a result.

use crate::handler;
use mynah_codec::{DecodeError, EncodeError};
use mynah_connection::{CloseReason, OpenError};
use mynah_contract::ErrorEntry;
use mynah_protocol::{By, EndReason, ErrorCode, RetryClass, RpcError, Value};
use std::any::Any;
use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

/// Why a call has no result. One list for every transport and dialect.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CallError<E = Infallible> {
    /// The handler returned its error: the domain error of the method, typed.
    Application(E),
    /// The peer answered with an error that is not the method's own.
    Remote(RpcError),
    /// Somebody stopped the call.
    Cancelled(By),
    /// The deadline passed.
    Deadline,
    /// The connection is closed; the request never left.
    Disconnected(CloseReason),
    /// The connection ended after the request had left: it may have run or not.
    Indeterminate(CloseReason),
    /// No permit was free, here or at the peer; nothing was run.
    Busy {
        /// When to try again, if the peer said so.
        retry_after: Option<Duration>,
    },
    /// This wire has no way to say it; nothing was written.
    Unsupported {
        /// The dialect.
        dialect: &'static str,
        /// What it cannot carry.
        feature: &'static str,
    },
    /// The params cannot be encoded, or are too large; nothing was written.
    Encode(EncodeError),
    /// The answer is not of the expected shape.
    Decode(DecodeError),
    /// The call was made in a way that cannot work; the text says how.
    Misuse(&'static str),
}

const _: () = assert!(
    size_of::<CallError<()>>() <= 64,
    "errors travel through every future"
);

/// Whether the request of a failed call left this side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WasSent {
    /// It did not.
    No,
    /// Nobody can know.
    Maybe,
    /// It did.
    Yes,
}

/// An error of a handler that keeps its type on its way to the caller.
///
/// Derive it with `#[derive(mynah::DomainError)]`. On wires that carry only a text it arrives as
/// [`CallError::Remote`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the error of a method",
    note = "derive it: `#[derive(mynah::DomainError)]`, or use `mynah::RpcError`"
)]
pub trait DomainError: Sized + Send + 'static {
    /// The error as it travels.
    fn into_rpc(self) -> RpcError;

    /// Reads it back.
    ///
    /// # Errors
    /// The error unchanged when it is none of this type.
    fn from_rpc(error: RpcError) -> Result<Self, RpcError>;

    /// What a contract says of it: each code with its text. None when that is not known.
    #[must_use]
    fn entries() -> Vec<ErrorEntry> {
        Vec::new()
    }
}

impl DomainError for RpcError {
    fn into_rpc(self) -> RpcError {
        self
    }

    fn from_rpc(error: RpcError) -> Result<Self, RpcError> {
        Ok(error)
    }
}

impl DomainError for Infallible {
    fn into_rpc(self) -> RpcError {
        match self {}
    }

    fn from_rpc(error: RpcError) -> Result<Self, RpcError> {
        Err(error)
    }
}

impl<E> CallError<E> {
    /// The same as the reason for which a stream ended. What the peer sent as its own error comes without its text
    /// here.
    #[must_use]
    pub fn end_reason(&self) -> EndReason {
        match self {
            Self::Cancelled(by) => EndReason::Cancelled(*by),
            Self::Deadline => EndReason::Deadline,
            Self::Disconnected(CloseReason::Drained)
            | Self::Indeterminate(CloseReason::Drained) => EndReason::Draining,
            Self::Disconnected(_) | Self::Indeterminate(_) => EndReason::PeerGone,
            Self::Remote(error) => remote_reason(error),
            Self::Busy { .. } => EndReason::Error(Box::new(RpcError::from_code(ErrorCode::BUSY))),
            Self::Application(_)
            | Self::Unsupported { .. }
            | Self::Encode(_)
            | Self::Decode(_)
            | Self::Misuse(_) => {
                EndReason::Error(Box::new(RpcError::from_code(ErrorCode::UNCODED)))
            }
        }
    }

    /// Whether the request left this side.
    #[must_use]
    pub const fn was_sent(&self) -> WasSent {
        match self {
            Self::Application(_) | Self::Remote(_) | Self::Decode(_) => WasSent::Yes,
            Self::Cancelled(_) | Self::Deadline | Self::Indeterminate(_) | Self::Busy { .. } => {
                WasSent::Maybe
            }
            Self::Disconnected(_)
            | Self::Unsupported { .. }
            | Self::Encode(_)
            | Self::Misuse(_) => WasSent::No,
        }
    }

    /// The error with another domain error in it.
    pub fn map_application<F>(self, map: impl FnOnce(E) -> F) -> CallError<F> {
        match self {
            Self::Application(error) => CallError::Application(map(error)),
            Self::Remote(error) => CallError::Remote(error),
            Self::Cancelled(by) => CallError::Cancelled(by),
            Self::Deadline => CallError::Deadline,
            Self::Disconnected(reason) => CallError::Disconnected(reason),
            Self::Indeterminate(reason) => CallError::Indeterminate(reason),
            Self::Busy { retry_after } => CallError::Busy { retry_after },
            Self::Unsupported { dialect, feature } => CallError::Unsupported { dialect, feature },
            Self::Encode(error) => CallError::Encode(error),
            Self::Decode(error) => CallError::Decode(error),
            Self::Misuse(how) => CallError::Misuse(how),
        }
    }
}

impl<E: 'static> CallError<E> {
    /// The error that the other side answered with, where it is no type of the method's own: [`Self::Remote`], and
    /// [`Self::Application`] of a method whose error is `RpcError`, as those of calls by name are.
    #[must_use]
    pub fn rpc_error(&self) -> Option<&RpcError> {
        match self {
            Self::Remote(error) => Some(error),
            Self::Application(error) => (error as &dyn Any).downcast_ref(),
            _ => None,
        }
    }

    /// The code that the peer sent, or would have sent for the same; `None` for reasons that never travel, and for a
    /// domain error, which has its own.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Remote(_) | Self::Application(_) => self.rpc_error().map(RpcError::code),
            Self::Cancelled(_) => Some(ErrorCode::CANCELLED),
            Self::Deadline => Some(ErrorCode::DEADLINE_EXCEEDED),
            Self::Busy { .. } => Some(ErrorCode::BUSY),
            Self::Unsupported { .. } => Some(ErrorCode::UNSUPPORTED),
            Self::Disconnected(_)
            | Self::Indeterminate(_)
            | Self::Encode(_)
            | Self::Decode(_)
            | Self::Misuse(_) => None,
        }
    }

    /// Whether the same call may be made again without running anything twice.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Busy { .. } | Self::Disconnected(_) => true,
            Self::Remote(_) | Self::Application(_) => self
                .rpc_error()
                .is_some_and(|error| error.code().retry_class() == RetryClass::NotRun),
            Self::Cancelled(_)
            | Self::Deadline
            | Self::Indeterminate(_)
            | Self::Unsupported { .. }
            | Self::Encode(_)
            | Self::Decode(_)
            | Self::Misuse(_) => false,
        }
    }
}

impl CallError {
    /// The same reason for a call with a domain error.
    pub(crate) fn widen<E>(self) -> CallError<E> {
        self.map_application(|never| match never {})
    }
}

/// What an error of the peer says of the end of a stream.
pub(crate) fn remote_reason(error: &RpcError) -> EndReason {
    match error.code() {
        ErrorCode::CANCELLED => EndReason::Cancelled(By::Callee),
        ErrorCode::DEADLINE_EXCEEDED => EndReason::Deadline,
        ErrorCode::DRAINING => EndReason::Draining,
        ErrorCode::LAGGED => {
            let dropped = error.data().and_then(|data| data.get("dropped")?.as_u64());
            EndReason::Lagged(dropped.unwrap_or(0))
        }
        _ => EndReason::Error(Box::new(error.clone())),
    }
}

impl CallError<RpcError> {
    /// Why a stream ended, with what the peer said.
    pub(crate) fn peer_reason(&self) -> EndReason {
        match self {
            Self::Application(error) => remote_reason(error),
            other => other.end_reason(),
        }
    }

    /// The same reason with the peer's error read as the domain error of the method.
    pub(crate) fn typed<E: DomainError>(self, mapped: bool) -> CallError<E> {
        match self {
            Self::Application(error) => CallError::from_peer(error, mapped),
            Self::Remote(error) => CallError::Remote(error),
            Self::Cancelled(by) => CallError::Cancelled(by),
            Self::Deadline => CallError::Deadline,
            Self::Disconnected(reason) => CallError::Disconnected(reason),
            Self::Indeterminate(reason) => CallError::Indeterminate(reason),
            Self::Busy { retry_after } => CallError::Busy { retry_after },
            Self::Unsupported { dialect, feature } => CallError::Unsupported { dialect, feature },
            Self::Encode(error) => CallError::Encode(error),
            Self::Decode(error) => CallError::Decode(error),
            Self::Misuse(how) => CallError::Misuse(how),
        }
    }
}

impl<E: DomainError> CallError<E> {
    /// What the error of a handler in the same process means to its caller: what it would mean had it travelled.
    pub(crate) fn from_handler(error: E) -> Self {
        let untyped = (&error as &dyn Any).downcast_ref::<RpcError>();
        match untyped.map(RpcError::code) {
            Some(
                ErrorCode::BUSY
                | ErrorCode::CANCELLED
                | ErrorCode::DEADLINE_EXCEEDED
                | ErrorCode::NO_SERVERS,
            ) => Self::from_peer(error.into_rpc(), true),
            // The code of a domain error is none of the protocol's.
            _ => Self::Application(error),
        }
    }

    /// What an error of the peer means to the caller. `mapped`: the wire gives our codes our meaning.
    pub(crate) fn from_peer(error: RpcError, mapped: bool) -> Self {
        if mapped {
            match error.code() {
                ErrorCode::BUSY => {
                    return Self::Busy {
                        retry_after: retry_after(&error),
                    };
                }
                ErrorCode::CANCELLED => return Self::Cancelled(By::Callee),
                ErrorCode::DEADLINE_EXCEEDED => return Self::Deadline,
                _ => {}
            }
        }
        if error.code() == ErrorCode::NO_SERVERS {
            // No method says that of itself: there was none.
            return Self::Remote(error);
        }
        match E::from_rpc(error) {
            Ok(domain) => Self::Application(domain),
            Err(error) => Self::Remote(error),
        }
    }
}

pub(crate) fn retry_after(error: &RpcError) -> Option<Duration> {
    error
        .data()?
        .get("retry_after_ms")
        .and_then(Value::as_u64)
        .map(Duration::from_millis)
}

/// For a handler that makes calls of its own, and a `?` behind them: an error that the called method returned is passed
/// on, and so is that time is up or somebody has stopped the call. Of everything else the caller learns an incident
/// number: it is about the way to somebody whom the caller may not know, and goes to the log.
impl<E: DomainError> From<CallError<E>> for RpcError {
    fn from(error: CallError<E>) -> Self {
        match error.map_application(DomainError::into_rpc) {
            CallError::Application(error) => error,
            CallError::Cancelled(_) => Self::from_code(ErrorCode::CANCELLED),
            CallError::Deadline => Self::from_code(ErrorCode::DEADLINE_EXCEEDED),
            other => {
                let incident = handler::incident();
                tracing::warn!(incident, error = %other, "call of a handler failed");
                handler::internal(&incident)
            }
        }
    }
}

impl<E> From<EncodeError> for CallError<E> {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::Unsupported { dialect, feature } => Self::Unsupported { dialect, feature },
            other => Self::Encode(other),
        }
    }
}

impl<E> From<OpenError> for CallError<E> {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Closed(reason) => Self::Disconnected(reason),
            OpenError::Draining => Self::Disconnected(CloseReason::Drained),
            _ => Self::Busy { retry_after: None },
        }
    }
}

impl<E: fmt::Display> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Application(error) => write!(f, "{error}"),
            Self::Remote(error) => write!(f, "peer answered with an error: {error}"),
            Self::Cancelled(by) => write!(f, "call was cancelled by the {by}"),
            Self::Deadline => f.write_str("deadline of the call exceeded"),
            Self::Disconnected(reason) => {
                write!(f, "not connected, request was not sent: {reason}")
            }
            Self::Indeterminate(reason) => {
                write!(f, "connection ended, request may have run: {reason}")
            }
            Self::Busy { .. } => f.write_str("too many calls in flight"),
            Self::Unsupported { dialect, feature } => {
                write!(f, "{dialect} cannot carry {feature}")
            }
            Self::Encode(_) => f.write_str("params cannot be sent"),
            Self::Decode(_) => f.write_str("answer is not of the expected shape"),
            Self::Misuse(how) => f.write_str(how),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for CallError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Application(error) => error.source(),
            Self::Encode(error) => Some(error),
            Self::Decode(error) => Some(error),
            _ => None,
        }
    }
}
