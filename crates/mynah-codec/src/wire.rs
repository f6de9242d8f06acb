//! One object that speaks a whole wire, in both directions.

use crate::{DecodeError, EncodeError, Format, FrameSpan, Lane, Output};
use bytes::BytesMut;
use mynah_protocol::{Envelope, ErrorCode, Opaque, Profile};
use std::collections::BTreeMap;

/// What [`Wire::decode`] found at the start of its input.
#[derive(Debug)]
pub enum Step<'b> {
    /// Not a whole frame yet: at least so many bytes must follow what is there.
    Need(usize),
    /// So many bytes are padding between messages (white space, a preface): they cost the peer nothing.
    Skip(usize),
    /// So many bytes are a whole message that means nothing here (an unknown kind, say). It is dropped and charged to
    /// the peer's budget of breaches.
    Ignore(usize),
    /// The first so many bytes are this envelope.
    Envelope(usize, Envelope<'b>),
}

/// A large message that the driver reads right into its own buffer.
#[derive(Debug)]
pub struct Fill {
    /// Bytes at the start of the input that are not part of it and are done with.
    pub skip: usize,
    /// What is there of the message. The driver makes room as bytes arrive, never for all that was announced.
    pub buffer: BytesMut,
    /// How many bytes are to be appended: what follows in the input, then in the stream.
    pub want: usize,
    /// How many bytes the whole message wants, of which these may be a chunk: what room is to be made for.
    pub ahead: usize,
}

/// A wire: framing, layout of envelopes and what it can carry, for one connection.
///
/// One object serves both directions, because some wires share state between them (ids, batches, a
/// handshake). It does no I/O and reads no clock.
pub trait Wire: Send + std::fmt::Debug {
    /// What this wire can say.
    fn profile(&self) -> &Profile;

    /// The codec of payloads on this wire: that of [`Profile::format`] unless the wire has one of its own, which it must
    /// name here.
    fn format(&self) -> Format {
        Format::built_in(self.profile().format).unwrap_or(Format::Cbor)
    }

    /// Reads one step from the start of `input`.
    ///
    /// `input` is everything that has arrived and was not consumed yet: after `Need`, the next call sees the same
    /// bytes with more behind them, and the wire resumes where it stopped instead of reading them
    /// again. After `Skip(n)`, `Ignore(n)` and `Envelope(n, _)` the caller drops `n` bytes; `n` is never 0.
    ///
    /// # Errors
    /// [`WireError`]: the bytes cannot be understood from here on; the connection ends.
    fn decode<'b>(&mut self, input: &'b [u8]) -> Result<Step<'b>, WireError>;

    /// Asks, after a `Need`, whether what follows may be read right into a buffer of its own. The driver then drops
    /// `skip` bytes of the input, appends the next `want` bytes of the stream to the buffer and hands it to
    /// [`Self::filled`] before it decodes anything else. The default has no such buffers.
    fn begin_fill(&mut self, input: &[u8]) -> Option<Fill> {
        let _ = input;
        None
    }

    /// Takes the buffer of a [`Fill`] back with all its bytes. `None`: the message is not complete yet, or means
    /// nothing here.
    ///
    /// # Errors
    /// [`WireError`]: the bytes cannot be understood from here on; the connection ends.
    fn filled(&mut self, buffer: BytesMut) -> Result<Option<Envelope<'static>>, WireError> {
        drop(buffer);
        Ok(None)
    }

    /// The peer's direction of the stream has ended, and `input` is what is left of it, for which [`Self::decode`] wanted
    /// more. A step, if the end of the stream ends a message; it is the last one. The default has no such messages.
    ///
    /// # Errors
    /// [`WireError`]: what is left cannot be understood.
    fn finish<'b>(&mut self, input: &'b [u8]) -> Result<Option<Step<'b>>, WireError> {
        let _ = input;
        Ok(None)
    }

    /// What stands behind a message so that its end is known, where one that was delivered whole may lack it: a line feed.
    /// Behind what ends so already, and behind nothing, it means nothing. The default is nothing.
    fn message_end(&self) -> &'static [u8] {
        &[]
    }

    /// Why the last message was [`Step::Ignore`]d: one of a few texts of the wire, for logs and as the label of a metric.
    fn why_ignored(&self) -> &'static str {
        "message without a meaning"
    }

    /// Writes one envelope as one frame in the given lane: all of it or nothing. A payload may be split: it is written
    /// with [`Payload::write_to`](mynah_protocol::Payload::write_to), or its segments are put beside the lanes with
    /// [`Output::put_bulk`].
    ///
    /// # Errors
    /// - [`EncodeError::Unsupported`] when this wire cannot say it; nothing was written.
    /// - [`EncodeError::TooLarge`] when the frame exceeds what the peer takes; nothing was written.
    /// - [`EncodeError::Value`] when a payload cannot be put on this wire; nothing was written.
    fn encode(
        &mut self,
        envelope: &Envelope<'_>,
        lane: Lane,
        out: &mut Output,
    ) -> Result<FrameSpan, EncodeError>;

    /// Writes what the wire has to say of its own: a preface and a hello at the start, the answer to a handshake.
    /// The driver calls it once at the start and after every read; it may write nothing.
    fn own_output(&mut self, out: &mut Output);

    /// Takes the hashes of this side's contracts, to say them in its hello. Called before the first
    /// [`Self::own_output`], if at all; a wire whose hello has no room for them passes them over, which is the default.
    fn announce(&mut self, contracts: &BTreeMap<Box<str>, Opaque>) {
        let _ = contracts;
    }

    /// Whether the handshake, if this wire has one, is over. Until then the handshake time-out runs.
    fn is_ready(&self) -> bool {
        true
    }

    /// Whether a message with so many bytes of payload has to wait, because the peer has not said yet what it takes and
    /// might end the connection over it.
    fn awaits_hello(&self, len: usize) -> bool {
        let _ = len;
        false
    }

    /// What to tell the peer about a [`WireError`] before the connection is closed, for wires that have a way to say
    /// it. The default says nothing.
    fn farewell(&mut self, error: &WireError, out: &mut Output) {
        let _ = (error, out);
    }
}

/// The bytes of a peer cannot be understood; the connection ends.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// A frame announces or has more bytes than the limit.
    #[error("frame of {len} bytes exceeds limit of {limit}")]
    TooLarge {
        /// Its size in bytes, as far as it is known.
        len: u64,
        /// The limit in bytes.
        limit: usize,
    },
    /// A frame is not well-formed.
    #[error("frame is not well-formed")]
    Decode(#[source] DecodeError),
    /// The peer does not speak this wire, or another version of it.
    #[error("peer does not speak {dialect}: {detail}")]
    Handshake {
        /// The dialect that was expected.
        dialect: &'static str,
        /// What was found instead.
        detail: String,
    },
    /// A frame is well-formed and breaks the rules of the wire.
    #[error("peer broke the rules of {dialect}: {detail}")]
    Violation {
        /// The dialect.
        dialect: &'static str,
        /// The rule.
        detail: String,
    },
}

impl WireError {
    /// The code that tells the peer what was wrong.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::TooLarge { .. } => ErrorCode::TOO_LARGE,
            Self::Decode(_) => ErrorCode::PARSE_ERROR,
            Self::Handshake { .. } => ErrorCode::VERSION_MISMATCH,
            Self::Violation { .. } => ErrorCode::PROTOCOL_VIOLATION,
        }
    }
}

impl From<DecodeError> for WireError {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}
