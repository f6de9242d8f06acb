//! The wire that Mynah peers speak with each other.
//!
//! A preface of eight bytes from each side names version and format; frames follow: a 32-bit length, a head (one
//! positional array), and a body (one value, encoded as it was handed over). Specified in
//! `docs/wire/native.md`.

mod bulk;
mod chunks;
mod custom;
mod frames;
mod head;
mod hello;
mod read;
mod write;

use crate::dialect::{Dialect, Side};
use crate::format::CustomFormat;
use crate::framing::{Cut, LengthFraming};
use crate::{EncodeError, Fill, Format, FrameSpan, Output, Step, Wire, WireError};
use bytes::BytesMut;
use mynah_protocol::{
    Envelope, ErrorCode, FormatId, GoingAway, Hello, Lane, Limits, Opaque, Profile,
};
use read::ReadLimits;
use std::collections::BTreeMap;

pub use custom::CustomNative;
pub use frames::Frames;

/// The name of this dialect.
pub const NAME: &str = "native";
/// The version of the wire.
pub const VERSION: u8 = 1;
/// The first bytes that each side sends: this, the version, a byte for the format, a line feed.
pub const MAGIC: &[u8; 5] = b"MYNAH";
/// Bytes of the preface.
pub const PREFACE: usize = 8;
/// The most bytes of payload that a side which has dialled sends before it has heard what the other side takes. A new
/// connection of TCP carries about as much in its first round trip.
pub const EARLY_BYTES: usize = 12 << 10;

/// Kinds of frames, the first element of a head.
pub(crate) mod kind {
    pub(crate) const HELLO: u64 = 0;
    pub(crate) const REQUEST: u64 = 1;
    pub(crate) const RESULT: u64 = 2;
    pub(crate) const ERROR: u64 = 3;
    pub(crate) const NOTIFICATION: u64 = 4;
    pub(crate) const CANCEL: u64 = 5;
    pub(crate) const PROGRESS: u64 = 6;
    pub(crate) const LOG: u64 = 7;
    pub(crate) const EVENT: u64 = 8;
    pub(crate) const PING: u64 = 9;
    pub(crate) const PONG: u64 = 10;
    pub(crate) const GOING_AWAY: u64 = 11;
    pub(crate) const ITEMS: u64 = 12;
    pub(crate) const INPUT_END: u64 = 13;
    pub(crate) const CREDIT: u64 = 14;
    pub(crate) const STOP: u64 = 15;
    pub(crate) const ACCEPTED: u64 = 16;
    pub(crate) const CHUNK: u64 = 24;
    pub(crate) const TAKEN: u64 = 25;
}

/// The native dialect: CBOR unless told otherwise. A side that accepts speaks whatever format the other side asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Native {
    format: FormatId,
}

impl Native {
    /// The native dialect in CBOR.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            format: FormatId::Cbor,
        }
    }

    /// The native dialect in MessagePack.
    #[must_use]
    pub const fn messagepack() -> Self {
        Self {
            format: FormatId::MessagePack,
        }
    }

    /// The native dialect in JSON.
    #[must_use]
    pub const fn json() -> Self {
        Self {
            format: FormatId::Json,
        }
    }
}

impl Default for Native {
    fn default() -> Self {
        Self::new()
    }
}

impl Dialect for Native {
    fn name(&self) -> &'static str {
        NAME
    }

    fn wire(&self, side: Side, limits: &Limits) -> Box<dyn Wire> {
        Box::new(match side {
            Side::Dial => NativeWire::dial(self.format, limits),
            Side::Accept => NativeWire::accept(limits),
        })
    }

    fn clone_box(&self) -> Box<dyn Dialect> {
        Box::new(*self)
    }

    fn options(&self) -> String {
        match self.format {
            FormatId::Json => "format=json".to_owned(),
            FormatId::MessagePack => "format=messagepack".to_owned(),
            _ => String::new(),
        }
    }
}

/// One connection on the native wire.
#[derive(Debug)]
pub struct NativeWire {
    profile: Profile,
    limits: ReadLimits,
    /// A format of the program's own that this side can speak.
    custom: Option<&'static dyn CustomFormat>,
    framing: LengthFraming,
    /// The largest frame that the peer takes, from its hello.
    peer_limit: usize,
    /// How many messages the peer takes in chunks at once, from its hello.
    peer_partials: usize,
    /// What has arrived of messages in chunks.
    partials: chunks::Partials,
    /// What the driver reads right into its buffer.
    filling: Option<chunks::Filling>,
    said_preface: bool,
    /// The peer has said what it takes.
    heard_hello: bool,
    /// A side that accepts takes the format of the side that dials.
    heard_preface: bool,
    dials: bool,
    /// What the hello says of this side's contracts.
    contracts: Option<BTreeMap<Box<str>, Opaque>>,
}

impl NativeWire {
    /// The side that dials, in the given format (CBOR, MessagePack or JSON).
    #[must_use]
    pub fn dial(format: FormatId, limits: &Limits) -> Self {
        Self::new(format, limits, true)
    }

    /// The side that accepts: it speaks the format that the dialling side names.
    #[must_use]
    pub fn accept(limits: &Limits) -> Self {
        Self::new(FormatId::Cbor, limits, false)
    }

    fn new(format: FormatId, limits: &Limits, dials: bool) -> Self {
        Self {
            profile: Profile::new(NAME, format),
            limits: limits.into(),
            custom: None,
            framing: LengthFraming::new(limits.decode.max_message_bytes),
            peer_limit: u32::MAX as usize,
            peer_partials: 0,
            partials: chunks::Partials::new(limits.decode.max_message_bytes),
            filling: None,
            said_preface: false,
            heard_hello: false,
            heard_preface: false,
            dials,
            contracts: None,
        }
    }

    /// Reads the peer's preface. Knows after the first wrong byte that it is none.
    fn read_preface(&mut self, input: &[u8]) -> Result<Step<'static>, WireError> {
        let wrong = |detail: &str| WireError::Handshake {
            dialect: NAME,
            detail: detail.to_owned(),
        };
        if input.iter().zip(MAGIC).any(|(byte, magic)| byte != magic) {
            return Err(wrong("the first bytes are not the preface"));
        }
        let [_, _, _, _, _, version, format, end] = *match input.first_chunk::<PREFACE>() {
            Some(preface) => preface,
            None => return Ok(Step::Need(PREFACE - input.len())),
        };
        let format = match format {
            b'C' => Some(FormatId::Cbor),
            b'J' => Some(FormatId::Json),
            b'M' => Some(FormatId::MessagePack),
            b'X' => self.custom.map(|custom| FormatId::Other(custom.id())),
            _ => None,
        };
        if version != VERSION {
            // What the peer is told about it, it should be able to read.
            if let (false, Some(format)) = (self.dials, format) {
                self.profile.format = format;
            }
            return Err(hello::other_version(version.into()));
        }
        let Some(format) = format else {
            return Err(wrong("peer asks for a format that is unknown here"));
        };
        if end != b'\n' {
            return Err(wrong("the preface does not end with a line feed"));
        }
        if self.dials && format != self.profile.format {
            return Err(wrong("peer answers in another format than was asked for"));
        }
        self.profile.format = format;
        self.heard_preface = true;
        Ok(Step::Skip(PREFACE))
    }

    fn say_preface(&mut self, out: &mut Output) {
        self.said_preface = true;
        let format = match self.profile.format {
            FormatId::Json => b'J',
            FormatId::MessagePack => b'M',
            FormatId::Other(_) => b'X',
            _ => b'C',
        };
        let mut preface = [0; PREFACE];
        let bytes = MAGIC.iter().copied().chain([VERSION, format, b'\n']);
        preface
            .iter_mut()
            .zip(bytes)
            .for_each(|(slot, byte)| *slot = byte);
        // The lane of control: nothing may overtake it.
        let written = out.frame(Lane::Control, |buffer| {
            buffer.extend_from_slice(&preface);
            Ok(())
        });
        debug_assert!(written.is_ok(), "a preface always fits");
    }
}

impl Wire for NativeWire {
    fn profile(&self) -> &Profile {
        &self.profile
    }

    #[inline]
    fn decode<'b>(&mut self, input: &'b [u8]) -> Result<Step<'b>, WireError> {
        if !self.heard_preface {
            return self.read_preface(input);
        }
        let (start, end) = match self.framing.cut(input).map_err(|error| error.on(NAME))? {
            Cut::Need(more) => return Ok(Step::Need(more)),
            Cut::Skip(blank) => return Ok(Step::Skip(blank)),
            Cut::Frame { start, end, .. } => (start, end),
        };
        let frame = input.get(start..end).unwrap_or_default();
        match read::envelope(frame, self.profile.format, self.format(), &self.limits)? {
            Some(envelope) => {
                self.heed(&envelope)?;
                Ok(Step::Envelope(end, envelope))
            }
            None => self.take_other(frame, end),
        }
    }

    fn begin_fill(&mut self, input: &[u8]) -> Option<Fill> {
        self.start_fill(input)
    }

    fn filled(&mut self, buffer: BytesMut) -> Result<Option<Envelope<'static>>, WireError> {
        self.end_fill(buffer)
    }

    #[inline]
    fn encode(
        &mut self,
        envelope: &Envelope<'_>,
        lane: Lane,
        out: &mut Output,
    ) -> Result<FrameSpan, EncodeError> {
        if out.takes_bulk()
            && (envelope.payload_bytes() > bulk::LARGE || out.bulk_waits())
            && lane == Lane::Data
            && let Some(put) = self.encode_bulk(envelope, out)
        {
            return put;
        }
        let limit = self.peer_limit;
        let format = self.profile.format;
        out.frame(lane, |buffer| {
            let start = buffer.len();
            buffer.extend_from_slice(&[0; LengthFraming::HEAD]);
            write::envelope(envelope, format, buffer)?;
            let len = buffer.len() - start - LengthFraming::HEAD;
            match u32::try_from(len) {
                Ok(announced) if len <= limit => {
                    if let Some(head) = buffer
                        .get_mut(start..)
                        .and_then(|frame| frame.first_chunk_mut::<{ LengthFraming::HEAD }>())
                    {
                        *head = announced.to_be_bytes();
                    }
                    Ok(())
                }
                _ => Err(EncodeError::TooLarge { len, limit }),
            }
        })
    }

    fn announce(&mut self, contracts: &BTreeMap<Box<str>, Opaque>) {
        if !contracts.is_empty() {
            self.contracts = Some(contracts.clone());
        }
    }

    fn own_output(&mut self, out: &mut Output) {
        if self.partials.has_news() {
            self.tell_taken(out);
        }
        if self.said_preface || !(self.dials || self.heard_preface) {
            return;
        }
        self.say_preface(out);
        let mut hello = Hello::version(u64::from(VERSION));
        hello.max_message_bytes = Some(self.limits.decode.max_message_bytes as u64);
        hello.calls_in_flight = Some(u64::from(self.limits.calls_in_flight));
        hello.more_mut().partial_messages = Some(chunks::MESSAGES as u64);
        if let FormatId::Other(number) = self.profile.format {
            hello.more_mut().format = Some(number.into());
        }
        hello.agent = concat!("mynah/", env!("CARGO_PKG_VERSION")).into();
        if let Some(contracts) = self.contracts.take() {
            hello.more_mut().contracts = hello::as_said(contracts, self.profile.format);
        }
        let written = self.encode(&Envelope::Hello(hello), Lane::Control, out);
        debug_assert!(written.is_ok(), "a hello always fits");
    }

    fn format(&self) -> Format {
        match self.profile.format {
            FormatId::Json => Format::NativeJson,
            FormatId::Other(_) => self.custom.map_or(Format::Cbor, Format::Custom),
            id => Format::built_in(id).unwrap_or(Format::Cbor),
        }
    }

    fn is_ready(&self) -> bool {
        self.heard_preface
    }

    fn awaits_hello(&self, len: usize) -> bool {
        // A side that has accepted hears the hello right behind the preface, before it has anything to say.
        self.dials && !self.heard_hello && len > EARLY_BYTES
    }

    fn farewell(&mut self, error: &WireError, out: &mut Output) {
        if !self.said_preface {
            self.say_preface(out);
        }
        let away = GoingAway {
            code: match error.code() {
                ErrorCode::PARSE_ERROR => ErrorCode::PROTOCOL_VIOLATION,
                code => code,
            },
            message: error.to_string().into(),
        };
        // Nothing is lost when it does not fit: the connection ends either way.
        drop(self.encode(&Envelope::GoingAway(away), Lane::Data, out));
    }
}

#[cfg(test)]
mod tests;
