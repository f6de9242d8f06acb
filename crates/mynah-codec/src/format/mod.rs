//! Formats: values to bytes and back, one whole message at a time.

pub mod cbor;
mod custom;
mod error;
mod failure;
mod fault;
pub mod json;
mod keys;
pub mod msgpack;
mod utf8;
mod variant;

pub use custom::{CustomFormat, Visit};
pub use erased_serde;
pub use error::{DecodeError, DecodeErrorKind, EncodeError};

use crate::bytes;
use mynah_protocol::{DecodeLimits, FormatId, Segment};
use serde::{Deserialize, Serialize};

/// How values become bytes.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Format {
    /// CBOR (RFC 8949).
    Cbor,
    /// JSON (RFC 8259).
    Json,
    /// MessagePack.
    MessagePack,
    /// JSON from peers that write NaN and the infinities as words, as Python's `json` does. They are read, and never
    /// written: the same peers do not read them.
    PythonJson,
    /// JSON spelled as Python's `json` module does by default: ASCII, a space behind commas and colons. NaN and the
    /// infinities are read as words, and written or refused as this says.
    PythonText(json::NonFinite),
    /// JSON on the native wire: bytes stand raw behind the value, and in it as `{"$bytes":[offset,length]}`.
    NativeJson,
    /// A stranger's own.
    Custom(&'static dyn CustomFormat),
}

impl Format {
    /// The built-in format of an id, `None` for a stranger's.
    #[must_use]
    pub const fn built_in(id: FormatId) -> Option<Self> {
        match id {
            FormatId::Cbor => Some(Self::Cbor),
            FormatId::Json => Some(Self::Json),
            FormatId::MessagePack => Some(Self::MessagePack),
            _ => None,
        }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> FormatId {
        match self {
            Self::Cbor => FormatId::Cbor,
            Self::Json | Self::PythonJson | Self::PythonText(_) | Self::NativeJson => {
                FormatId::Json
            }
            Self::MessagePack => FormatId::MessagePack,
            Self::Custom(custom) => FormatId::Other(custom.id()),
        }
    }

    /// Writes one value behind what is in `out`; on an error `out` is as it was.
    ///
    /// # Errors
    /// [`EncodeError::Value`] when the format cannot say it.
    #[inline]
    pub fn encode<T: Serialize + ?Sized>(
        &self,
        value: &T,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let start = out.len();
        let written = match self {
            Self::Cbor => cbor::encode(value, out),
            Self::Json | Self::PythonJson => json::encode(value, out),
            Self::MessagePack => msgpack::encode(value, out),
            Self::PythonText(non_finite) => {
                let mut options = json::Options::PYTHON_TEXT;
                options.non_finite = *non_finite;
                json::encode_with(value, out, options)
            }
            Self::NativeJson => json::encode_with(value, out, json::Options::NATIVE),
            Self::Custom(custom) => custom.encode(&value, out),
        };
        if written.is_err() {
            out.truncate(start);
        }
        written
    }

    /// Writes one value behind what is in `out`, except for large [`Bytes`](crate::Bytes) in it: they are appended to
    /// `segments` and not copied. Where they belong is counted from where the value begins. On an error both are as
    /// they were.
    ///
    /// # Errors
    /// As [`Self::encode`].
    #[inline]
    pub fn encode_split<T: Serialize + ?Sized>(
        &self,
        value: &T,
        out: &mut Vec<u8>,
        segments: &mut Vec<Segment>,
    ) -> Result<(), EncodeError> {
        let start = out.len();
        let written = match self {
            Self::Cbor => bytes::collect(out, segments, |out| cbor::encode(value, out)),
            Self::MessagePack => bytes::collect(out, segments, |out| msgpack::encode(value, out)),
            Self::NativeJson => json::encode_split(value, out, segments, json::Options::NATIVE),
            _ => return self.encode(value, out),
        };
        if written.is_err() {
            out.truncate(start);
        }
        written
    }

    /// Reads the one value that is the whole of `bytes`.
    ///
    /// # Errors
    /// [`DecodeError`]: not well-formed, something is left over, a limit is exceeded, or the value has another shape.
    #[inline]
    pub fn decode<'de, T: Deserialize<'de>>(
        &self,
        bytes: &'de [u8],
        limits: &DecodeLimits,
    ) -> Result<T, DecodeError> {
        match self {
            Self::Cbor => cbor::decode(bytes, limits),
            Self::Json => json::decode(bytes, limits),
            Self::MessagePack => msgpack::decode(bytes, limits),
            Self::PythonJson | Self::PythonText(_) => {
                json::decode_with(bytes, limits, json::Options::PYTHON)
            }
            Self::NativeJson => json::decode_with(bytes, limits, json::Options::NATIVE),
            Self::Custom(custom) => {
                let mut value = None;
                custom.decode(bytes, limits, &mut |deserializer| {
                    value = Some(erased_serde::deserialize(deserializer)?);
                    Ok(())
                })?;
                value.ok_or_else(|| DecodeError::shape("the format decoded nothing", 0))
            }
        }
    }

    /// Whether the value begins as an array does; `None` when the format does not say. Nothing else is checked.
    #[must_use]
    pub fn is_array(&self, bytes: &[u8]) -> Option<bool> {
        match self {
            Self::Cbor => Some(cbor::is_array(bytes)),
            Self::Json | Self::PythonJson | Self::PythonText(_) | Self::NativeJson => {
                let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
                Some(first == Some(&b'['))
            }
            Self::MessagePack => Some(matches!(bytes.first(), Some(0x90..=0x9f | 0xdc | 0xdd))),
            Self::Custom(_) => None,
        }
    }

    /// How many bytes the value itself has in an encoding of it: all, unless bytes stand behind it.
    #[must_use]
    pub fn value_len(&self, encoded: &[u8]) -> usize {
        let unlimited = DecodeLimits {
            max_depth: u32::MAX,
            max_collection_len: usize::MAX,
            max_message_bytes: usize::MAX,
            ..DecodeLimits::DEFAULT
        };
        match self {
            Self::NativeJson => item_len(*self, encoded, &unlimited).unwrap_or(encoded.len()),
            _ => encoded.len(),
        }
    }

    /// Checks that `bytes` are exactly one value within `limits`, with the verdict that decoding would give.
    ///
    /// # Errors
    /// [`DecodeError`] when they are not.
    pub fn scan(&self, bytes: &[u8], limits: &DecodeLimits) -> Result<(), DecodeError> {
        match self {
            Self::Cbor => cbor::scan(bytes, limits),
            Self::Json => json::scan(bytes, limits),
            Self::MessagePack => msgpack::scan(bytes, limits),
            Self::PythonJson | Self::PythonText(_) => {
                json::scan_with(bytes, limits, json::Options::PYTHON)
            }
            Self::NativeJson => json::scan_with(bytes, limits, json::Options::NATIVE),
            Self::Custom(custom) => custom.scan(bytes, limits),
        }
    }
}

/// The length of the one value at the start of `bytes`, checked.
///
/// # Errors
/// [`DecodeError`] when there is none, or a part of one only.
pub(crate) fn item_len(
    format: Format,
    bytes: &[u8],
    limits: &DecodeLimits,
) -> Result<usize, DecodeError> {
    let truncated =
        || DecodeError::new(DecodeErrorKind::Truncated, "value is cut off", bytes.len());
    match format {
        Format::Json | Format::PythonJson | Format::PythonText(_) | Format::NativeJson => {
            let mut scanner = json::Scanner::new(limits);
            match scanner.advance(bytes)? {
                json::Scan::Done(len) => Ok(len),
                json::Scan::Need(_) | json::Scan::Blank(_) => scanner.finish(),
            }
        }
        Format::MessagePack => match msgpack::Scanner::new(*limits).advance(bytes)? {
            msgpack::Scan::Done(len) => Ok(len),
            msgpack::Scan::Need(_) => Err(truncated()),
        },
        Format::Cbor | Format::Custom(_) => match cbor::Scanner::new(*limits).advance(bytes)? {
            cbor::Scan::Done(len) => Ok(len),
            cbor::Scan::Need(_) => Err(truncated()),
        },
    }
}
