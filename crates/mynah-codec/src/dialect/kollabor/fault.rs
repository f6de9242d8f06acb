//! The kinds of errors, and what they are elsewhere.

use crate::dialect::members::{is_falsy, json_text};
use crate::dialect::shown;
use crate::format::json::{self, Options};
use mynah_protocol::{DecodeLimits, ErrorCode, RpcError, Value};

/// What failed. The first three are those of the package; a Python client raises its general error for the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    NotFound,
    Handler,
    Serialization,
    Timeout,
    Cancelled,
    InvalidRequest,
    Unavailable,
    TooLarge,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::NotFound,
        Self::Handler,
        Self::Serialization,
        Self::Timeout,
        Self::Cancelled,
        Self::InvalidRequest,
        Self::Unavailable,
        Self::TooLarge,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Handler => "handler",
            Self::Serialization => "serialization",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::InvalidRequest => "invalid_request",
            Self::Unavailable => "unavailable",
            Self::TooLarge => "too_large",
        }
    }

    /// What the code of an answer is called here. Whatever a handler returns that has no name of its own is the
    /// handler's; so are params that it does not take, which a handler of the package finds out itself.
    pub(super) const fn of(code: ErrorCode) -> Self {
        match code {
            ErrorCode::METHOD_NOT_FOUND => Self::NotFound,
            // A result beyond the limit is found out when it is written, as one that cannot be written at all.
            ErrorCode::UNENCODABLE | ErrorCode::TOO_LARGE => Self::Serialization,
            ErrorCode::DEADLINE_EXCEEDED => Self::Timeout,
            ErrorCode::CANCELLED => Self::Cancelled,
            ErrorCode::INVALID_REQUEST | ErrorCode::DUPLICATE_ID => Self::InvalidRequest,
            ErrorCode::BUSY | ErrorCode::DRAINING => Self::Unavailable,
            _ => Self::Handler,
        }
    }

    const fn code(self) -> ErrorCode {
        match self {
            Self::NotFound => ErrorCode::METHOD_NOT_FOUND,
            Self::Handler => ErrorCode::UNCODED,
            Self::Serialization => ErrorCode::UNENCODABLE,
            Self::Timeout => ErrorCode::DEADLINE_EXCEEDED,
            Self::Cancelled => ErrorCode::CANCELLED,
            Self::InvalidRequest => ErrorCode::INVALID_REQUEST,
            Self::Unavailable => ErrorCode::BUSY,
            Self::TooLarge => ErrorCode::TOO_LARGE,
        }
    }
}

/// Reads the error of a reply; `None` when it is no failure.
///
/// A known kind is a failure whatever its text. Of any other, a text (or what else Python takes for true) is.
pub(super) fn read(error: Option<&[u8]>, kind: Option<&[u8]>) -> Option<RpcError> {
    let error = error.filter(|error| *error != b"null");
    let kind_text = kind.and_then(json_text);
    let known = Kind::ALL
        .into_iter()
        .find(|known| kind_text.as_deref() == Some(known.name()));
    let code = match known {
        Some(kind) => kind.code(),
        None if error.is_some_and(|error| !is_falsy(error)) => ErrorCode::UNCODED,
        None => return None,
    };
    let failure = match error {
        None => RpcError::from_code(code),
        Some(error) => match json_text(error) {
            Some(text) => RpcError::new(code, text),
            None => text_of(code, error),
        },
    };
    Some(match kind_text {
        // It may mean something to the program.
        Some(kind) if known.is_none() => {
            failure.with_data(Value::from([("error_kind", Value::from(kind))]))
        }
        _ => failure,
    })
}

/// An error that is no text: the value is the data, and a compact text of it the message.
#[cold]
fn text_of(code: ErrorCode, error: &[u8]) -> RpcError {
    match json::decode_with::<Value>(error, &DecodeLimits::DEFAULT, Options::PYTHON) {
        Ok(value) => RpcError::new(code, shown::short(&value)).with_data(value),
        // Half a surrogate pair, say.
        Err(_) => RpcError::new(code, "error value cannot be read"),
    }
}

/// The text that goes out for an error. A kind of this side's own is none to a Python client without a text.
pub(super) fn text(error: &RpcError, kind: Kind) -> &str {
    let own = !matches!(kind, Kind::NotFound | Kind::Handler | Kind::Serialization);
    match error.message() {
        "" if own => kind.name(),
        text => text,
    }
}
