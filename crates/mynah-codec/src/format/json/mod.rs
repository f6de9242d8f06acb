//! JSON (RFC 8259).

use crate::{DecodeError, EncodeError};
use mynah_protocol::DecodeLimits;
use serde::{Deserialize, Serialize};

/// Writes one value behind what is in `out`.
///
/// # Errors
/// [`EncodeError::Value`] when JSON cannot say it.
pub fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let _ = (value, out);
    todo!()
}

/// Reads the one value that is the whole of `bytes`.
///
/// # Errors
/// [`DecodeError`].
pub fn decode<'de, T: Deserialize<'de>>(bytes: &'de [u8], limits: &DecodeLimits) -> Result<T, DecodeError> {
    let _ = (bytes, limits);
    todo!()
}

/// Checks that `bytes` are exactly one item.
///
/// # Errors
/// [`DecodeError`].
pub fn scan(bytes: &[u8], limits: &DecodeLimits) -> Result<(), DecodeError> {
    let _ = (bytes, limits);
    todo!()
}
