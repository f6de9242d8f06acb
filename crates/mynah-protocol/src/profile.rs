//! All that the connection knows of a dialect.

use crate::{DuplicateKeys, FormatId};

/// How a wire spells the params of a call.
///
/// A method knows the names of its parameters and their order, so it is called in any spelling, and reads all of them.
/// A method that takes its params as one object is spelled by that object, whichever of the last two it is. Where a
/// call has no params, an array without elements or a map without entries stands for them: a dialect whose calls may
/// leave them out delivers one of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ParamsShape {
    /// An array, one element per parameter; the last ones may be left out where the method has something in their
    /// place.
    Positional,
    /// A map from parameter name to value; those may be left out for which the method has something in their place.
    Named,
    /// One value, a map from name to value as a rule.
    Object,
}

/// What a timeout of the caller does to the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnTimeout {
    /// The call ends, the connection stays.
    Keep,
    /// Replies have no ids, so a late one would be taken for the next: the connection ends, and every other call with
    /// it.
    Close,
}

/// What it means that the peer's direction of a stream of bytes has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HalfClose {
    /// The peer is gone: what runs for it is stopped.
    Ends,
    /// It has no more to ask, and still takes the answers to what it asked. Then the connection ends.
    Answers,
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Remote {
    /// One peer.
    One,
    /// A group of which any member may answer.
    Group,
}

/// What a wire can say beyond calls and their answers.
///
/// A capability that is absent makes the call that needs it fail with `Unsupported` where it is
/// made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct Capabilities {
    /// Requests without an answer.
    pub notifications: bool,
    /// Asking the other side to stop a call.
    pub cancel: bool,
    /// Progress and logs beside a call.
    pub side_messages: bool,
    /// The remaining time of a call.
    pub deadline: bool,
    /// Key-value pairs beside a request.
    pub metadata: bool,
    /// Service and method as two names; without it a method has one flat name.
    pub services: bool,
    /// Error codes and data; without it an error is a text.
    pub error_codes: bool,
    /// Events by topic.
    pub events: bool,
    /// Ping and pong.
    pub ping: bool,
    /// Saying that this side goes away.
    pub going_away: bool,
    /// Streams of a call, both ways, with credit; and saying that a call has been taken on.
    pub streams: bool,
    /// Calling what was passed as a param.
    pub callbacks: bool,
    /// Ids of calls that are texts, so that a program may choose them.
    pub text_ids: bool,
}

impl Capabilities {
    /// Everything.
    pub const ALL: Self = Self {
        notifications: true,
        cancel: true,
        side_messages: true,
        deadline: true,
        metadata: true,
        services: true,
        error_codes: true,
        events: true,
        ping: true,
        going_away: true,
        streams: true,
        callbacks: true,
        text_ids: true,
    };
    /// Calls and answers only.
    pub const NONE: Self = Self {
        notifications: false,
        cancel: false,
        side_messages: false,
        deadline: false,
        metadata: false,
        services: false,
        error_codes: false,
        events: false,
        ping: false,
        going_away: false,
        streams: false,
        callbacks: false,
        text_ids: false,
    };
}

/// All that the connection knows of a dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Profile {
    /// The name of the dialect: `native`, `cbor-rpc`, …
    pub dialect: &'static str,
    /// What the wire can say.
    pub capabilities: Capabilities,
    /// How it spells params.
    pub params: ParamsShape,
    /// Whether it has no other spelling: a call that gives its params in one that the wire cannot say fails where it
    /// is made.
    pub only_params: bool,
    /// Whether methods of services are called by their own names, without the service before them.
    pub bare_names: bool,
    /// Whether a code of the table means here what it means in the table. Without it the peer's programs give such
    /// numbers a meaning of their own: an error with one is theirs, and is handed on as it is.
    pub maps_codes: bool,
    /// The format in which payloads travel.
    pub format: FormatId,
    /// What a timeout does.
    pub on_timeout: OnTimeout,
    /// What the end of the peer's direction means.
    pub half_close: HalfClose,
    /// Who is at the other end.
    pub remote: Remote,
    /// The depth that this dialect needs where real peers nest deeper than the default; `None`: the
    /// limit in force.
    pub max_depth: Option<u32>,
    /// What duplicate keys do on this wire.
    pub duplicate_keys: DuplicateKeys,
    /// The largest message that a carrier of envelopes takes, in bytes of payload, where it has a bound of its own.
    pub max_message_bytes: Option<usize>,
}

impl Profile {
    /// A profile of a dialect that carries everything in the given format; params are positional, and may be spelled in
    /// any other way.
    #[must_use]
    pub const fn new(dialect: &'static str, format: FormatId) -> Self {
        Self {
            dialect,
            capabilities: Capabilities::ALL,
            params: ParamsShape::Positional,
            maps_codes: true,
            only_params: false,
            bare_names: false,
            format,
            on_timeout: OnTimeout::Keep,
            half_close: HalfClose::Ends,
            remote: Remote::One,
            max_depth: None,
            duplicate_keys: DuplicateKeys::Refuse,
            max_message_bytes: None,
        }
    }

    /// The same profile with other capabilities.
    #[must_use]
    pub const fn with_capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// The same profile of a wire that spells params so, and in no other way.
    #[must_use]
    pub const fn with_params(mut self, params: ParamsShape) -> Self {
        self.params = params;
        self.only_params = true;
        self
    }

    /// The same profile of a wire that takes params in any spelling, its own before others.
    #[must_use]
    pub const fn with_any_params(mut self) -> Self {
        self.only_params = false;
        self
    }

    /// The same profile of a wire on which codes of the table are numbers like any other.
    #[must_use]
    pub const fn with_foreign_codes(mut self) -> Self {
        self.maps_codes = false;
        self
    }

    /// The same profile with another meaning of the end of the peer's direction.
    #[must_use]
    pub const fn with_half_close(mut self, half_close: HalfClose) -> Self {
        self.half_close = half_close;
        self
    }

    /// The same profile of a wire that calls methods by their own names, without a service.
    #[must_use]
    pub const fn with_bare_names(mut self, bare: bool) -> Self {
        self.bare_names = bare;
        self
    }

    /// The same profile with a depth of its own.
    #[must_use]
    pub const fn with_max_depth(mut self, depth: u32) -> Self {
        self.max_depth = Some(depth);
        self
    }

    /// The same profile of a carrier that takes no larger messages.
    #[must_use]
    pub const fn with_max_message_bytes(mut self, bytes: usize) -> Self {
        self.max_message_bytes = Some(bytes);
        self
    }

    /// The same profile with another rule for duplicate keys.
    #[must_use]
    pub const fn with_duplicate_keys(mut self, rule: DuplicateKeys) -> Self {
        self.duplicate_keys = rule;
        self
    }

    /// The limits for values on this wire: those in force, with what the dialect states for itself.
    #[must_use]
    pub fn decode_limits(&self, limits: &crate::Limits) -> crate::DecodeLimits {
        let mut decode = limits.decode;
        decode.max_depth = self.max_depth.unwrap_or(decode.max_depth);
        if self.duplicate_keys == DuplicateKeys::LastWins {
            decode.duplicate_keys = DuplicateKeys::LastWins;
        }
        decode
    }
}
