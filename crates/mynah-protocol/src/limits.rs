//! The one set of limits that holds in every dialect, format and transport.

use core::time::Duration;

/// What happens to a second value under the same key of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DuplicateKeys {
    /// It is an error.
    #[default]
    Refuse,
    /// The last one wins, as some foreign peers have it.
    LastWins,
}

/// The part of [`Limits`] that a decoder of values needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// The deepest nesting of containers and tags. A scalar has depth 0, `[]` depth 1.
    pub max_depth: u32,
    /// The most elements of one array, or entries of one map.
    pub max_collection_len: usize,
    /// The most bytes of one message.
    pub max_message_bytes: usize,
    /// What a duplicate key does.
    pub duplicate_keys: DuplicateKeys,
}

impl DecodeLimits {
    /// The defaults of [`Limits`].
    pub const DEFAULT: Self = Self {
        max_depth: 128,
        max_collection_len: 1 << 20,
        max_message_bytes: 16 << 20,
        duplicate_keys: DuplicateKeys::Refuse,
    };
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Everything that is bounded. One value for every dialect, format and byte transport alike.
///
/// Counts are per connection unless the field says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bounds on values and messages.
    pub decode: DecodeLimits,
    /// Requests of the peer that may be unanswered at once; one more is answered `busy`.
    /// A request counts until its response has left the output buffer.
    pub calls_in_flight: u32,
    /// Calls of this side that may wait for an answer at once; one more fails as busy.
    pub outgoing_calls: u32,
    /// Bytes of output above which new calls wait, and progress and logs are dropped and counted.
    pub output_high_water_bytes: usize,
    /// Bytes of control frames (busy, pong, cancel) waiting for a peer that does not read; one more closes
    /// the connection.
    pub control_bytes: usize,
    /// Progress and log messages that may wait for the caller of one call; the oldest is dropped.
    pub side_messages: usize,
    /// Items of a stream that may be on their way to this side, or wait here for the program.
    pub stream_items: u32,
    /// Bytes of such items; the last batch may exceed it.
    pub stream_bytes: u32,
    /// Callbacks of this side that may be open at once; one more fails its call.
    pub callbacks: usize,
    /// Subscriptions of the peer that may be open at once; one more is answered `busy`.
    pub subscriptions: usize,
    /// Bytes of service plus method name.
    pub max_name_bytes: usize,
    /// Bytes of an id that the peer chose. It is kept while its call runs, and echoed.
    pub max_id_bytes: usize,
    /// Entries of metadata in one request.
    pub max_metadata_entries: usize,
    /// Bytes of metadata in one request.
    pub max_metadata_bytes: usize,
    /// Connections that one listener holds open; those that were attached to a server count together.
    pub connections: usize,
    /// Connections that wait to be admitted to a server at once; one more is refused.
    pub waiting_connections: usize,
    /// Time that a connection may wait to be admitted; after it it is refused.
    pub admission_timeout: Duration,
    /// Time until a new connection has said what it is.
    pub handshake_timeout: Duration,
    /// Silence after which a connection without calls in flight is closed; pings and pongs are no use of it, and neither
    /// is a message that comes along with less than 1 KiB in this time. `None`: never.
    pub idle_timeout: Option<Duration>,
    /// Silence after which the peer is asked for a sign of life, on wires that have one; after a second
    /// such silence it counts as gone. `None`: never.
    pub keep_alive: Option<Duration>,
    /// Time in which a peer must take at least one byte of what waits for it.
    pub write_timeout: Duration,
    /// Breaches of the protocol that are forgiven at once; ten more are forgiven each second.
    pub violation_budget: u32,
    /// The longest deadline that a peer may ask for; longer ones are cut to it. `None`: no cap.
    pub max_deadline: Option<Duration>,
}

impl Limits {
    /// The defaults as a constant.
    pub const DEFAULT: Self = Self {
        decode: DecodeLimits::DEFAULT,
        calls_in_flight: 1024,
        outgoing_calls: 65_536,
        output_high_water_bytes: 4 << 20,
        control_bytes: 256 << 10,
        side_messages: 256,
        stream_items: 65_536,
        stream_bytes: 256 << 10,
        callbacks: 1024,
        subscriptions: 1024,
        max_name_bytes: 256,
        max_id_bytes: 256,
        max_metadata_entries: 64,
        max_metadata_bytes: 16 << 10,
        connections: 10_000,
        waiting_connections: 256,
        admission_timeout: Duration::from_secs(8),
        handshake_timeout: Duration::from_secs(10),
        idle_timeout: None,
        keep_alive: None,
        write_timeout: Duration::from_secs(30),
        violation_budget: 1000,
        max_deadline: None,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Limits {
    /// The defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self::DEFAULT
    }
}

macro_rules! with {
    ($( $(#[$doc:meta])* $setter:ident, $($field:ident).+ : $type:ty; )*) => {
        impl Limits { $(
            $(#[$doc])*
            #[must_use]
            pub const fn $setter(mut self, value: $type) -> Self {
                self.$($field).+ = value;
                self
            }
        )* }
    };
}

with! {
    /// Sets the deepest nesting.
    with_max_depth, decode.max_depth: u32;
    /// Sets the largest collection, in elements.
    with_max_collection_len, decode.max_collection_len: usize;
    /// Sets the largest message, in bytes.
    with_max_message_bytes, decode.max_message_bytes: usize;
    /// Sets what duplicate keys do.
    with_duplicate_keys, decode.duplicate_keys: DuplicateKeys;
    /// Sets how many requests of the peer may be unanswered.
    with_calls_in_flight, calls_in_flight: u32;
    /// Sets how many calls of this side may be unanswered.
    with_outgoing_calls, outgoing_calls: u32;
    /// Sets the output mark above which new work waits, in bytes.
    with_output_high_water_bytes, output_high_water_bytes: usize;
    /// Sets how many bytes of control may wait.
    with_control_bytes, control_bytes: usize;
    /// Sets how many side messages of one call may wait.
    with_side_messages, side_messages: usize;
    /// Sets how many items of a stream may be on their way.
    with_stream_items, stream_items: u32;
    /// Sets how many bytes of items of a stream may be on their way.
    with_stream_bytes, stream_bytes: u32;
    /// Sets how many callbacks of this side may be open.
    with_callbacks, callbacks: usize;
    /// Sets how many subscriptions of the peer may be open.
    with_subscriptions, subscriptions: usize;
    /// Sets how many connections a listener holds.
    with_connections, connections: usize;
    /// Sets how many connections may wait to be admitted.
    with_waiting_connections, waiting_connections: usize;
    /// Sets how long a connection may wait to be admitted.
    with_admission_timeout, admission_timeout: Duration;
    /// Sets the time for the handshake.
    with_handshake_timeout, handshake_timeout: Duration;
    /// Sets the silence after which an unused connection is closed.
    with_idle_timeout, idle_timeout: Option<Duration>;
    /// Sets the silence after which the peer is asked for a sign of life.
    with_keep_alive, keep_alive: Option<Duration>;
    /// Sets the time in which a peer must take a byte.
    with_write_timeout, write_timeout: Duration;
    /// Sets how many breaches are forgiven.
    with_violation_budget, violation_budget: u32;
    /// Sets the cap on deadlines that a peer asks for.
    with_max_deadline, max_deadline: Option<Duration>;
}
