//! CBOR (RFC 8949).
//!
//! Writing: lengths are always definite, integers as short as they can be, floats in 64 bits except the three
//! that are not finite numbers (`f97e00`, `f97c00`, `f9fc00`). Structs are maps with text keys, enums are a text
//! (unit variants) or a map of one entry, `None` and `()` are null, integers beyond 64 bits are the tags 2 and 3.
//!
//! Reading is strict about the grammar and the limits and lenient about the spelling: any length of an integer or
//! a float, indefinite lengths, an integer for a float, an array for a struct, tags in front of typed values.
//! The names of fields and variants are texts (or bytes), never numbers.
//!
//! Keys are duplicates when they are the same value, in whatever spelling. Two maps as keys are the same only with
//! their entries in the same order, and a bignum that takes more than 256 bytes counts as it is spelled.

mod de;
mod fault;
mod head;
mod keys;
mod scan;
mod ser;

pub use scan::{ItemKind, Scan, Scanner, scan};

use crate::{DecodeError, EncodeError};
use mynah_protocol::DecodeLimits;
use serde::{Deserialize, Serialize};

/// Writes one value behind what is in `out`; on an error `out` may hold a part of it.
///
/// # Errors
/// [`EncodeError::Value`] when the value refuses to be written, or announces another number of elements than it has.
#[inline]
pub fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    value
        .serialize(ser::Encoder(out))
        .map_err(ser::Failure::into_inner)
}

/// Reads the one value that is the whole of `bytes`, and lends texts and bytes from it.
///
/// A map with a duplicate key is an error, or holds the last value of each key, as `limits` say.
///
/// # Errors
/// [`DecodeError`]: not well-formed, something is left over, a limit is exceeded, or the value has another shape.
#[inline]
pub fn decode<'de, T: Deserialize<'de>>(
    bytes: &'de [u8],
    limits: &DecodeLimits,
) -> Result<T, DecodeError> {
    de::decode(bytes, limits)
}

/// Whether what begins here is an array, behind whatever tags.
pub(super) fn is_array(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let [first, behind @ ..] = rest {
        if first & !head::INFO != head::TAG {
            return first & !head::INFO == head::ARRAY;
        }
        let argument = match first & head::INFO {
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            _ => 0,
        };
        rest = behind.get(argument..).unwrap_or_default();
    }
    false
}
