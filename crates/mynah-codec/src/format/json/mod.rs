//! JSON (RFC 8259).
//!
//! Encoding writes what `serde_json` writes, without white space, except that a float that is not
//! finite is an error and not silently `null`. Decoding is a deserializer of our own, because the
//! limits belong into it.
//!
//! What a peer may rely on, beyond the grammar:
//!
//! - A key twice in one object is an error at every level, also where the value is ignored and
//!   where the two are escaped differently; or the last one wins, as the limits say.
//! - Integers keep their value: up to 64 bits, up to 128 where the type asks for them, and
//!   in a `Value` of up to 4,096 digits. `-0` and
//!   anything with a fraction or an exponent is a float and no integer. A float becomes the nearest
//!   `f64`; one beyond its range is [`DecodeErrorKind::Shape`].
//! - Texts are valid UTF-8, and half a surrogate pair is no text.
//! - Structs are read from objects and, by position, from arrays; enums are tagged externally.

mod area;
mod de;
mod error;
mod keys;
mod number;
mod options;
mod raw;
mod scan;
mod ser;
mod string;

pub use options::{NonFinite, Options, Style};
pub use raw::Raw;
pub use scan::{Scan, Scanner, scan, scan_with};

use crate::{DecodeError, DecodeErrorKind, EncodeError};
use area::Area;
use de::Decoder;
use error::Failure;
use mynah_protocol::{DecodeLimits, Segment};
use serde::{Deserialize, Serialize};

/// Writes one value behind what is in `out`.
///
/// # Errors
/// [`EncodeError::Value`] when JSON cannot say it; `out` may then hold a part of it.
#[inline]
pub fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    encode_with(value, out, Options::STRICT)
}

/// Writes one value behind what is in `out`, in the JSON of a foreign dialect.
///
/// # Errors
/// [`EncodeError::Value`] when that JSON cannot say it; `out` may then hold a part of it.
#[inline]
pub fn encode_with<T: Serialize + ?Sized>(
    value: &T,
    out: &mut Vec<u8>,
    options: Options,
) -> Result<(), EncodeError> {
    if options.bytes_behind {
        let area = encode_text(value, out, options)?;
        area.finish_copied(out);
        return Ok(());
    }
    value
        .serialize(&mut ser::Encoder::new(out, options))
        .map_err(error::Refusal::into_error)
}

/// The same, except that large bytes behind the value become segments and are not copied.
pub(crate) fn encode_split<T: Serialize + ?Sized>(
    value: &T,
    out: &mut Vec<u8>,
    segments: &mut Vec<Segment>,
    options: Options,
) -> Result<(), EncodeError> {
    let start = out.len();
    let area = encode_text(value, out, options)?;
    area.finish(start, out, segments);
    Ok(())
}

/// Writes a value; the bytes that are to stand behind it are left.
fn encode_text<T: Serialize + ?Sized>(
    value: &T,
    out: &mut Vec<u8>,
    options: Options,
) -> Result<Area, EncodeError> {
    let mut area = Area::default();
    value
        .serialize(&mut ser::Encoder::new(out, options).with_area(&mut area))
        .map_err(error::Refusal::into_error)?;
    Ok(area)
}

/// Reads the one value that is the whole of `bytes`, apart from white space around it.
///
/// # Errors
/// [`DecodeError`] when the bytes are not exactly one value within `limits`, or one of another
/// shape.
#[inline]
pub fn decode<'de, T: Deserialize<'de>>(
    bytes: &'de [u8],
    limits: &DecodeLimits,
) -> Result<T, DecodeError> {
    decode_with(bytes, limits, Options::STRICT)
}

/// Reads the one value that is the whole of `bytes`, in the JSON of a foreign dialect.
///
/// # Errors
/// As [`decode`].
pub fn decode_with<'de, T: Deserialize<'de>>(
    bytes: &'de [u8],
    limits: &DecodeLimits,
    options: Options,
) -> Result<T, DecodeError> {
    check_size(bytes, limits)?;
    let mut decoder = Decoder::new(bytes, limits, options);
    let failure = match T::deserialize(&mut decoder) {
        Ok(value) => match decoder.end() {
            Ok(()) if !decoder.must_override() => return Ok(value),
            end => end.err(),
        },
        Err(failure) => Some(failure),
    };
    decode_again(bytes, limits, options, &decoder, failure)
}

/// Decodes a message that has a key twice where the last one wins: the deserializers of structs do
/// not take a second value, so the entries that do not count must be known before. Any other failure
/// is final.
#[cold]
#[inline(never)]
fn decode_again<'de, T: Deserialize<'de>>(
    bytes: &'de [u8],
    limits: &DecodeLimits,
    options: Options,
    first: &Decoder<'de>,
    failure: Option<Failure>,
) -> Result<T, DecodeError> {
    if let Some(failure) = failure
        && !first.must_override()
    {
        return Err(failure.into_error(first.offset()));
    }
    let overridden = scan::overridden_keys(bytes, limits, options)?;
    let mut decoder = Decoder::new(bytes, limits, options).overriding(overridden);
    let value = T::deserialize(&mut decoder);
    value
        .and_then(|value| decoder.end().map(|()| value))
        .map_err(|failure| failure.into_error(decoder.offset()))
}

/// The length of the text that an input starts with, quotes included, if it is short, all there, and of nothing but plain
/// ASCII: then it is valid as it lies there.
pub(crate) fn plain_text(input: &[u8]) -> Option<usize> {
    const SHORT: usize = 128;
    let inner = input.strip_prefix(b"\"")?;
    let inner = inner.get(..SHORT).unwrap_or(inner);
    let end = string::next_beyond_plain(inner, 0);
    (inner.get(end) == Some(&b'"')).then_some(end + 2)
}

/// Holds the limit on the size, which does not count white space around the value.
#[inline]
fn check_size(bytes: &[u8], limits: &DecodeLimits) -> Result<(), DecodeError> {
    if bytes.len() > limits.max_message_bytes {
        return check_trimmed_size(bytes, limits);
    }
    Ok(())
}

#[cold]
fn check_trimmed_size(bytes: &[u8], limits: &DecodeLimits) -> Result<(), DecodeError> {
    // Unlike `trim_ascii` this leaves the form feed alone, which is no white space in JSON.
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
    let value = bytes
        .iter()
        .position(|byte| !is_blank(byte))
        .unwrap_or(bytes.len());
    let end = bytes
        .iter()
        .rposition(|byte| !is_blank(byte))
        .map_or(value, |last| last + 1);
    if end - value > limits.max_message_bytes {
        let offset = value.saturating_add(limits.max_message_bytes);
        return Err(DecodeError::new(
            DecodeErrorKind::TooLarge,
            "message is larger than the limit",
            offset,
        ));
    }
    Ok(())
}
