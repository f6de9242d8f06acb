//! The wire of PyPI cbor-rpc (its class RpcV1), as CBOR or as JSON.
//!
//! Messages are arrays that follow one another: a CBOR sequence (RFC 8742) without anything between the items, or a
//! JSON sequence with white space between the values. There is no handshake; the codec is agreed elsewhere. What maps
//! to what, what is refused and what is repaired is in `docs/wire/cbor-rpc.md`.

mod early;
mod element;
mod fault;
mod read;
mod write;

use crate::dialect::{Dialect, Side};
use crate::format::{cbor, json};
use crate::{
    DecodeError, DecodeErrorKind, EncodeError, Format, FrameSpan, Output, Step, Wire, WireError,
};
use early::EarlyCancels;
use element::{Codec, Element};
use mynah_protocol::{
    Capabilities, DecodeLimits, DuplicateKeys, Envelope, Lane, Limits, ParamsShape, Profile, WireId,
};
use read::Meaning;

/// The name of this dialect.
pub const NAME: &str = "cbor-rpc";

/// The deepest nesting of one message, the message itself included: what cbor2 takes.
pub const MAX_DEPTH: u32 = 400;

/// The most bytes of one message that the real peer takes: its buffer limit.
pub const MAX_MESSAGE_BYTES: usize = 50 << 20;

/// The white space behind a JSON message in [`Padding::Python`], in bytes: one less than what the real peer reads at
/// once, so that no message shares a read with the one before it.
pub const PADDING_BYTES: usize = 8191;

/// Calls that were not handed on and wait for [`Wire::own_output`] to answer them.
const MAX_REFUSALS: usize = 256;

/// The elements of the longest message.
const MAX_ELEMENTS: usize = 5;

/// What follows a JSON message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Padding {
    /// One newline.
    #[default]
    Newline,
    /// [`PADDING_BYTES`] newlines. The JSON decoder of the real peer throws away what shares a read with the end of a
    /// message; behind so much white space there is nothing to lose.
    Python,
}

/// The dialect as it is chosen: CBOR or JSON, and what a side may do beyond what every peer does.
#[derive(Clone, Copy, Debug)]
pub struct CborRpc {
    codec: Codec,
    padding: Padding,
    qualified: bool,
    rich_errors: bool,
}

impl CborRpc {
    /// Limits with what this wire has as its own default: messages of [`MAX_MESSAGE_BYTES`].
    #[must_use]
    pub const fn default_limits() -> Limits {
        Limits::DEFAULT.with_max_message_bytes(MAX_MESSAGE_BYTES)
    }

    /// The wire in CBOR.
    #[must_use]
    pub const fn cbor() -> Self {
        Self {
            codec: Codec::Cbor,
            padding: Padding::Newline,
            qualified: false,
            rich_errors: false,
        }
    }

    /// The wire in JSON. Toward a Python peer, [`Padding::Python`] is what keeps messages from being lost.
    #[must_use]
    pub const fn json(padding: Padding) -> Self {
        Self {
            codec: Codec::Json,
            padding,
            ..Self::cbor()
        }
    }

    /// Whether calls name the service too, as `service.method`. Off: the method alone, as Python servers know it.
    #[must_use]
    pub const fn with_qualified_names(mut self, qualified: bool) -> Self {
        self.qualified = qualified;
        self
    }

    /// Whether errors are sent as maps `{"code", "message", "data"}` instead of texts. Python callers get the map as
    /// the argument of the exception. Such maps are always understood when they come in.
    #[must_use]
    pub const fn with_rich_errors(mut self, rich: bool) -> Self {
        self.rich_errors = rich;
        self
    }
}

impl Dialect for CborRpc {
    fn name(&self) -> &'static str {
        NAME
    }

    fn wire(&self, _side: Side, limits: &Limits) -> Box<dyn Wire> {
        Box::new(CborRpcWire::new(*self, limits))
    }

    fn clone_box(&self) -> Box<dyn Dialect> {
        Box::new(*self)
    }

    fn limits(&self) -> Limits {
        Self::default_limits()
    }

    fn options(&self) -> String {
        let said = [
            (true, "dialect=cbor-rpc"),
            (matches!(self.codec, Codec::Json), "&format=json"),
            (self.padding == Padding::Python, "&padding=python"),
            (self.qualified, "&names=qualified"),
            (self.rich_errors, "&errors=rich"),
        ];
        let said = said.into_iter().filter(|(is_so, _)| *is_so);
        said.map(|(_, option)| option).collect()
    }
}

/// One connection on the wire of cbor-rpc.
///
/// Both sides are the same: either calls, fires, cancels, logs and emits.
#[derive(Debug)]
pub struct CborRpcWire {
    dialect: CborRpc,
    profile: Profile,
    decode: DecodeLimits,
    max_name_bytes: usize,
    scanner: Scanner,
    early: EarlyCancels,
    ignored: u64,
    /// The id of the next fire that has none of its own. The ids of calls begin above.
    next_fire: u16,
    refusals: Vec<(WireId, &'static str)>,
}

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one per connection, and used for every message"
)]
enum Scanner {
    Cbor(cbor::Scanner),
    Json(json::Scanner),
}

/// What stands at the start of the input.
enum Cut {
    Need(usize),
    Blank(usize),
    /// A whole message, and how many elements it has; 0 when it is no array.
    Message {
        len: usize,
        count: usize,
    },
}

#[inline]
fn cut_cbor<'b>(
    scanner: &mut cbor::Scanner,
    input: &'b [u8],
    elements: &mut [Element<'b>; MAX_ELEMENTS],
) -> Result<Cut, DecodeError> {
    let len = match scanner.advance(input)? {
        cbor::Scan::Need(more) => return Ok(Cut::Need(more)),
        cbor::Scan::Done(len) => len,
    };
    // A message in a tag is no array here, and none at the other end either.
    let count = match scanner.kind() {
        cbor::ItemKind::Array => scanner.child_count(),
        _ => 0,
    };
    let starts = scanner.children();
    let end = if input.first() == Some(&element::CBOR_OPEN_ARRAY) {
        len - 1
    } else {
        len
    };
    for (index, (element, start)) in elements.iter_mut().zip(starts).enumerate() {
        let end = starts.get(index + 1).copied().unwrap_or(end);
        *element = Element::new(Codec::Cbor, input.get(*start..end).unwrap_or_default());
    }
    scanner.reset();
    Ok(Cut::Message { len, count })
}

#[inline]
fn cut_json<'b>(
    scanner: &mut json::Scanner,
    input: &'b [u8],
    elements: &mut [Element<'b>; MAX_ELEMENTS],
) -> Result<Cut, DecodeError> {
    let len = match scanner.advance(input)? {
        json::Scan::Need(more) => return Ok(Cut::Need(more)),
        json::Scan::Blank(len) => return Ok(Cut::Blank(len)),
        json::Scan::Done(len) => len,
    };
    let count = scanner.child_count();
    for (element, range) in elements.iter_mut().zip(scanner.children()) {
        *element = Element::new(Codec::Json, input.get(range.clone()).unwrap_or_default());
    }
    scanner.reset();
    Ok(Cut::Message { len, count })
}

impl CborRpcWire {
    /// A connection that has said nothing yet.
    #[must_use]
    pub fn new(dialect: CborRpc, limits: &Limits) -> Self {
        let mut capabilities = Capabilities::NONE;
        capabilities.notifications = true;
        capabilities.cancel = true;
        capabilities.side_messages = true;
        capabilities.events = true;
        capabilities.error_codes = dialect.rich_errors;
        let profile = Profile::new(NAME, dialect.codec.id())
            .with_capabilities(capabilities)
            .with_params(ParamsShape::Positional)
            .with_bare_names(!dialect.qualified)
            .with_max_depth(MAX_DEPTH)
            .with_duplicate_keys(DuplicateKeys::LastWins);
        // A text has no code, and a map of another side has its own.
        let profile = match dialect.rich_errors {
            true => profile,
            false => profile.with_foreign_codes(),
        };
        let decode = profile.decode_limits(limits);
        Self {
            dialect,
            profile,
            decode,
            max_name_bytes: limits.max_name_bytes,
            scanner: match dialect.codec {
                Codec::Cbor => Scanner::Cbor(cbor::Scanner::new(decode)),
                Codec::Json => {
                    Scanner::Json(json::Scanner::with_options(&decode, json::Options::PYTHON))
                }
            },
            early: EarlyCancels::default(),
            ignored: 0,
            next_fire: 0,
            refusals: Vec::new(),
        }
    }

    /// How many messages were dropped because they say nothing on this wire.
    #[must_use]
    pub const fn ignored(&self) -> u64 {
        self.ignored
    }

    /// Writes what stands between two messages.
    fn pad(&self, buffer: &mut Vec<u8>) {
        match (self.dialect.codec, self.dialect.padding) {
            (Codec::Cbor, _) => {}
            (Codec::Json, Padding::Newline) => buffer.push(b'\n'),
            (Codec::Json, Padding::Python) => buffer.resize(buffer.len() + PADDING_BYTES, b'\n'),
        }
    }

    fn wire_error(&self, error: DecodeError, arrived: usize) -> WireError {
        match error.kind() {
            DecodeErrorKind::TooLarge => WireError::TooLarge {
                len: arrived as u64,
                limit: self.decode.max_message_bytes,
            },
            _ => WireError::Decode(error),
        }
    }

    /// Has a call answered with an error text. Beyond a number that no honest peer reaches at once, it is not.
    fn refuse(&mut self, id: WireId, why: &'static str) {
        if self.refusals.len() < MAX_REFUSALS {
            self.refusals.push((id, why));
        }
    }

    /// Reads a whole message whose elements are `elements`, `len` bytes long.
    #[inline]
    fn step<'b>(&mut self, len: usize, elements: &[Element<'b>]) -> Step<'b> {
        match read::message(elements, self.max_name_bytes, &self.decode) {
            Meaning::Envelope(envelope) => {
                let cancelled = match &envelope {
                    Envelope::Request(request) => self.early.call(&request.id),
                    Envelope::Notification(notification) => notification
                        .id
                        .as_ref()
                        .is_some_and(|id| self.early.call(id)),
                    Envelope::Cancel(cancel) => {
                        self.early.cancel(&cancel.id);
                        false
                    }
                    _ => false,
                };
                if !cancelled {
                    return Step::Envelope(len, envelope);
                }
                if let Envelope::Request(request) = envelope {
                    self.refuse(request.id, "call was cancelled");
                }
                // The cancel was charged for, if it was a breach at all.
                return Step::Skip(len);
            }
            Meaning::Nothing => {}
            Meaning::Refused(id, why) => self.refuse(id, why),
        }
        self.ignored += 1;
        Step::Ignore(len)
    }
}

impl Wire for CborRpcWire {
    fn profile(&self) -> &Profile {
        &self.profile
    }

    fn format(&self) -> Format {
        self.dialect.codec.format()
    }

    #[inline]
    fn decode<'b>(&mut self, input: &'b [u8]) -> Result<Step<'b>, WireError> {
        let mut elements = [Element::new(self.dialect.codec, &[]); MAX_ELEMENTS];
        let cut = match &mut self.scanner {
            Scanner::Cbor(scanner) => cut_cbor(scanner, input, &mut elements),
            Scanner::Json(scanner) => cut_json(scanner, input, &mut elements),
        };
        match cut {
            Ok(Cut::Need(more)) => Ok(Step::Need(more)),
            Ok(Cut::Blank(len)) => Ok(Step::Skip(len)),
            // What has more elements than any message has none that are of interest.
            Ok(Cut::Message { len, count }) => {
                Ok(self.step(len, elements.get(..count).unwrap_or_default()))
            }
            Err(error) => Err(self.wire_error(error, input.len())),
        }
    }

    fn encode(
        &mut self,
        envelope: &Envelope<'_>,
        lane: Lane,
        out: &mut Output,
    ) -> Result<FrameSpan, EncodeError> {
        let fire = self.next_fire;
        if matches!(envelope, Envelope::Notification(_)) {
            self.next_fire = fire.wrapping_add(1);
        }
        let wire = &*self;
        out.frame(lane, |buffer| {
            let start = buffer.len();
            write::envelope(wire.dialect, envelope, fire, buffer)?;
            let len = buffer.len() - start;
            let limit = wire.decode.max_message_bytes;
            if len > limit {
                return Err(EncodeError::TooLarge { len, limit });
            }
            wire.pad(buffer);
            Ok(())
        })
    }

    fn own_output(&mut self, out: &mut Output) {
        for (id, why) in std::mem::take(&mut self.refusals) {
            let wire = &*self;
            let written = out.frame(Lane::Data, |buffer| {
                write::refusal(wire.dialect.codec, &id, why, buffer)?;
                wire.pad(buffer);
                Ok(())
            });
            debug_assert!(written.is_ok(), "an id that was read can be written");
        }
    }
}

#[cfg(test)]
mod tests;
