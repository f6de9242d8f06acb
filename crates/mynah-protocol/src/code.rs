//! The one table of error codes. Everything that is known of a code is generated from it.

use core::fmt;

/// A number on the wire that says why a call failed.
///
/// Open: any integer that a peer sends survives a round trip. The named constants keep their
/// meaning on the native wire only; in a foreign dialect a code is a number unless that dialect
/// maps it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrorCode(i64);

/// What an error ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// The call that it answers.
    Call,
    /// The whole connection.
    Connection,
}

/// Whether the same request may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RetryClass {
    /// Sending it again gives the same answer.
    Never,
    /// The request was not run; sending it again later is safe and may succeed.
    NotRun,
    /// The request may have run; only an idempotent one may be sent again.
    Unknown,
}

macro_rules! error_codes {
    ($( $(#[$doc:meta])* $konst:ident = $number:literal, $name:literal, $scope:ident, $retry:ident,
        $http:literal, $text:literal; )*) => {
        impl ErrorCode {
            $( $(#[$doc])* pub const $konst: Self = Self($number); )*

            /// Every code that has a meaning of its own, in the order of the table.
            pub const ALL: &'static [Self] = &[ $( Self::$konst ),* ];

            /// The name of a code of the table, `None` for any other number.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 { $( $number => Some($name), )* _ => None }
            }

            /// The text that may be shown to anyone, `None` for a number outside the table.
            #[must_use]
            pub const fn public_text(self) -> Option<&'static str> {
                match self.0 { $( $number => Some($text), )* _ => None }
            }

            /// What an error with this code ends; [`Scope::Call`] outside the table.
            #[must_use]
            #[allow(clippy::match_same_arms, reason = "one arm per line of the table")]
            pub const fn scope(self) -> Scope {
                match self.0 { $( $number => Scope::$scope, )* _ => Scope::Call }
            }

            /// Whether a request that failed with this code may be sent again;
            /// [`RetryClass::Never`] outside the table.
            #[must_use]
            #[allow(clippy::match_same_arms, reason = "one arm per line of the table")]
            pub const fn retry_class(self) -> RetryClass {
                match self.0 { $( $number => RetryClass::$retry, )* _ => RetryClass::Never }
            }

            /// The HTTP status that says the same; 500 outside the table.
            #[must_use]
            #[allow(clippy::match_same_arms, reason = "one arm per line of the table")]
            pub const fn http_status(self) -> u16 {
                match self.0 { $( $number => $http, )* _ => 500 }
            }
        }
    };
}

error_codes! {
    /// The bytes of a message are not well-formed (JSON-RPC 2.0, section 5.1).
    PARSE_ERROR = -32700, "parse_error", Connection, Never, 400, "message is not well-formed";
    /// The message is well-formed but is no request (JSON-RPC 2.0, section 5.1).
    INVALID_REQUEST = -32600, "invalid_request", Call, Never, 400, "not a valid request";
    /// No such service or method (JSON-RPC 2.0, section 5.1).
    METHOD_NOT_FOUND = -32601, "method_not_found", Call, Never, 404, "method not found";
    /// The params do not have the shape that the method takes (JSON-RPC 2.0, section 5.1).
    INVALID_PARAMS = -32602, "invalid_params", Call, Never, 400, "invalid params";
    /// A handler panicked or failed without saying how (JSON-RPC 2.0, section 5.1).
    INTERNAL = -32603, "internal", Call, Unknown, 500, "internal error";
    /// The peer failed and its wire carries no code.
    UNCODED = -32000, "uncoded", Call, Never, 500, "error without a code";
    /// The call was cancelled by its caller.
    CANCELLED = -32001, "cancelled", Call, Unknown, 499, "call was cancelled";
    /// The deadline of the call passed before it ended.
    DEADLINE_EXCEEDED = -32002, "deadline_exceeded", Call, Unknown, 504, "deadline exceeded";
    /// No permit was free; the request was not started.
    BUSY = -32003, "busy", Call, NotRun, 503, "too many calls in flight";
    /// The peer is going away; the request was not started.
    DRAINING = -32004, "draining", Call, NotRun, 503, "peer is going away";
    /// A message or a part of it exceeds a limit.
    TOO_LARGE = -32005, "too_large", Call, Never, 413, "a limit was exceeded";
    /// The peer knows what was asked for and does not offer it here.
    UNSUPPORTED = -32006, "unsupported", Call, Never, 501, "not supported";
    /// The answer could not be encoded for this wire.
    UNENCODABLE = -32007, "unencodable", Call, Never, 500, "result cannot be encoded";
    /// A request arrived with an id that is in flight already.
    DUPLICATE_ID = -32008, "duplicate_id", Call, Never, 409, "id is in flight already";
    /// A consumer was too slow, and its stream was closed for it; data may hold `dropped`.
    LAGGED = -32009, "lagged", Call, Never, 429, "consumer was too slow";
    /// The peer broke the rules of the protocol.
    PROTOCOL_VIOLATION = -32010, "protocol_violation", Connection, Never, 400,
        "the rules of the protocol were broken";
    /// The two ends share no version or format.
    VERSION_MISMATCH = -32011, "version_mismatch", Connection, Never, 505,
        "no common version of the protocol";
    /// The connection said nothing, or took nothing, for too long.
    TIMED_OUT = -32012, "timed_out", Connection, Unknown, 408, "connection timed out";
    /// Nobody serves what was called; the request was not started.
    NO_SERVERS = -32013, "no_servers", Call, NotRun, 503, "nobody serves this now";
    /// What the peer may call does not include this; it was not run.
    PERMISSION_DENIED = -32014, "permission_denied", Call, Never, 403, "not allowed";
}

impl ErrorCode {
    /// The lowest code that JSON-RPC reserves.
    pub const RESERVED_MIN: i64 = -32768;
    /// The highest code that JSON-RPC reserves.
    pub const RESERVED_MAX: i64 = -32000;

    /// A code as it came from a peer: any integer.
    #[must_use]
    pub const fn from_wire(code: i64) -> Self {
        Self(code)
    }

    /// A code of the application's own.
    ///
    /// # Panics
    /// When `code` is in the range that JSON-RPC reserves (-32768 to -32000). In a `const` this is an error of
    /// the compiler:
    ///
    /// ```compile_fail
    /// const TAKEN: mynah_protocol::ErrorCode = mynah_protocol::ErrorCode::application(-32001);
    /// ```
    #[must_use]
    #[allow(
        clippy::panic,
        reason = "a mistake of the programmer, found at compile time in a const"
    )]
    pub const fn application(code: i64) -> Self {
        match Self::try_application(code) {
            Some(code) => code,
            None => panic!("codes from -32768 to -32000 are reserved"),
        }
    }

    /// A code of the application's own, `None` when it is in the reserved range.
    #[must_use]
    pub const fn try_application(code: i64) -> Option<Self> {
        if code >= Self::RESERVED_MIN && code <= Self::RESERVED_MAX {
            None
        } else {
            Some(Self(code))
        }
    }

    /// The number.
    #[must_use]
    pub const fn value(self) -> i64 {
        self.0
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{} ({name})", self.0),
            None => write!(f, "{}", self.0),
        }
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ErrorCode({self})")
    }
}

#[cfg(test)]
mod tests;
