//! One element of a message: a slice of the wire that holds one whole value, well-formed as the scanner found it.

use crate::Format;
use mynah_protocol::{DecodeLimits, FormatId, Payload, WireId};
use std::borrow::Cow;

/// The two spellings of this wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Cbor,
    Json,
}

impl Codec {
    pub(super) const fn id(self) -> FormatId {
        match self {
            Self::Cbor => FormatId::Cbor,
            Self::Json => FormatId::Json,
        }
    }

    pub(super) const fn format(self) -> Format {
        match self {
            Self::Cbor => Format::Cbor,
            Self::Json => Format::PythonJson,
        }
    }
}

/// The first byte of a CBOR array of indefinite length; a break ends it.
pub(super) const CBOR_OPEN_ARRAY: u8 = 0x9f;

/// One whole value on the wire.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element<'b> {
    codec: Codec,
    bytes: &'b [u8],
}

impl<'b> Element<'b> {
    pub(super) const fn new(codec: Codec, bytes: &'b [u8]) -> Self {
        Self { codec, bytes }
    }

    pub(super) const fn codec(self) -> Codec {
        self.codec
    }

    pub(super) const fn bytes(self) -> &'b [u8] {
        self.bytes
    }

    pub(super) const fn payload(self) -> Payload<'b> {
        Payload::lent(self.codec.id(), self.bytes)
    }

    pub(super) fn is_null(self) -> bool {
        match self.codec {
            Codec::Cbor => self.bytes == [0xf6],
            Codec::Json => self.bytes == b"null",
        }
    }

    /// Only the value true itself: what else passes for true in some languages means failure on this wire.
    pub(super) fn is_true(self) -> bool {
        match self.codec {
            Codec::Cbor => self.bytes == [0xf5],
            Codec::Json => self.bytes == b"true",
        }
    }

    /// An integer from 0 to 2^64 - 1, in any width.
    #[inline]
    pub(super) fn uint(self) -> Option<u64> {
        match self.codec {
            Codec::Cbor => match cbor_head(self.bytes)? {
                (0, argument, _) => Some(argument),
                _ => None,
            },
            Codec::Json => {
                let digits = self.bytes.iter().all(u8::is_ascii_digit);
                if digits {
                    str::from_utf8(self.bytes).ok()?.parse().ok()
                } else {
                    None
                }
            }
        }
    }

    /// An integer from -2^63 to 2^63 - 1, in any width.
    pub(super) fn int(self) -> Option<i64> {
        match self.codec {
            Codec::Cbor => match cbor_head(self.bytes)? {
                (0, argument, _) => i64::try_from(argument).ok(),
                (1, argument, _) => Some(-1 - i64::try_from(argument).ok()?),
                _ => None,
            },
            // Only digits and a sign parse: a fraction or an exponent is another kind of number.
            Codec::Json => str::from_utf8(self.bytes).ok()?.parse().ok(),
        }
    }

    /// A text, borrowed where the wire holds it in one piece and without escapes.
    #[inline]
    pub(super) fn text(self, limits: &DecodeLimits) -> Option<Cow<'b, str>> {
        match self.codec {
            Codec::Cbor => match cbor_head(self.bytes) {
                Some((3, length, rest)) if usize::try_from(length) == Ok(rest.len()) => {
                    str::from_utf8(rest).ok().map(Cow::Borrowed)
                }
                Some(_) => None,
                None => self.text_in_pieces(),
            },
            Codec::Json => {
                let inner = self.bytes.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
                if inner.contains(&b'\\') {
                    let text: String = Format::Json.decode(self.bytes, limits).ok()?;
                    return Some(Cow::Owned(text));
                }
                str::from_utf8(inner).ok().map(Cow::Borrowed)
            }
        }
    }

    /// A CBOR text of indefinite length.
    #[cold]
    fn text_in_pieces(self) -> Option<Cow<'b, str>> {
        let mut rest = self.bytes.strip_prefix(&[0x7f])?;
        let mut text = String::new();
        while rest.first() != Some(&0xff) {
            let (3, length, after) = cbor_head(rest)? else {
                return None;
            };
            let (piece, next) = after.split_at_checked(usize::try_from(length).ok()?)?;
            text.push_str(str::from_utf8(piece).ok()?);
            rest = next;
        }
        Some(Cow::Owned(text))
    }

    /// The id of a call, kept in value and type.
    #[inline]
    pub(super) fn id(self, limits: &DecodeLimits) -> WireId {
        if let Some(id) = self.uint() {
            return WireId::Uint(id);
        }
        if self.is_null() {
            return WireId::Null;
        }
        match self.int() {
            Some(id) if id < 0 => WireId::Int(id),
            _ => match self.text(limits) {
                Some(id) => WireId::Text(id.into()),
                None => WireId::Verbatim(self.bytes.into()),
            },
        }
    }
}

/// Major type, argument and what follows the head; `None` for a break or an indefinite length.
#[inline]
fn cbor_head(bytes: &[u8]) -> Option<(u8, u64, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let info = first & 0x1f;
    if info < 24 {
        return Some((first >> 5, u64::from(info), rest));
    }
    if info > 27 {
        return None;
    }
    let (argument, rest) = rest.split_at_checked(1 << (info - 24))?;
    let argument = argument
        .iter()
        .fold(0, |value, &byte| value << 8 | u64::from(byte));
    Some((first >> 5, argument, rest))
}
