//! MessagePack.
//!
//! Writing: everything as short as it can be, floats in the width of their type. Structs are maps with text keys,
//! enums are a text (unit variants) or a map of one entry, `None` and `()` are nil. Integers beyond 64 bits, the
//! tags of CBOR and its simple values (undefined among them) have no spelling and are errors.
//!
//! Reading is strict about the grammar and the limits and lenient about the spelling: any width of an integer, a
//! float or a length, an integer for a float, an array for a struct. The names of fields and variants are texts (or
//! bytes), never numbers. Texts are texts and bytes are bytes: a text that is not UTF-8, as the format had it before
//! 2013, is an error.
//!
//! Extension types, timestamps among them, are passed over where nobody asks for them, and kept where a message is
//! passed on as it is. A [`Value`](mynah_protocol::Value) reads and writes them as they are; no Rust type does.
//!
//! Keys are duplicates when they are the same value, in whatever spelling. Two maps as keys are the same only with
//! their entries in the same order.

mod de;
pub(crate) mod head;
mod keys;
mod scan;
mod ser;

pub use scan::{Scan, Scanner, scan};

use crate::{DecodeError, EncodeError};
use mynah_protocol::DecodeLimits;
use serde::{Deserialize, Serialize};

/// What is wrong with the one byte that begins nothing.
const RESERVED: &str = "a byte that begins no value";

/// Writes one value behind what is in `out`; on an error `out` may hold a part of it.
///
/// # Errors
/// [`EncodeError::Value`] when the value refuses to be written, has no spelling in MessagePack, or announces another
/// number of elements than it has.
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
