//! Formats of strangers.

use crate::{DecodeError, EncodeError};
use mynah_protocol::DecodeLimits;
use serde::de::IgnoredAny;

/// What is to be done with the value that a [`CustomFormat`] reads.
pub type Visit<'a, 'de> =
    &'a mut dyn FnMut(&mut dyn erased_serde::Deserializer<'de>) -> Result<(), erased_serde::Error>;

/// A format of a stranger's own: how one whole message is said, and not where it ends.
///
/// Decoding must hold the limits that it is given and refuse what is left over behind the value.
pub trait CustomFormat: Send + Sync + std::fmt::Debug {
    /// The number under which both ends know it.
    fn id(&self) -> u16;

    /// Writes one value behind what is in `out`.
    ///
    /// # Errors
    /// [`EncodeError::Value`] when the format cannot say it; `out` may hold a part of it.
    fn encode(
        &self,
        value: &dyn erased_serde::Serialize,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError>;

    /// Reads the one value that is the whole of `bytes` and hands a deserializer over it to `visit`.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes are not exactly one value within `limits`, or `visit` failed.
    fn decode<'de>(
        &self,
        bytes: &'de [u8],
        limits: &DecodeLimits,
        visit: Visit<'_, 'de>,
    ) -> Result<(), DecodeError>;

    /// Checks that `bytes` are exactly one value within `limits`. The default decodes them and forgets the value.
    ///
    /// # Errors
    /// [`DecodeError`] when they are not.
    fn scan(&self, bytes: &[u8], limits: &DecodeLimits) -> Result<(), DecodeError> {
        self.decode(bytes, limits, &mut |value| {
            erased_serde::deserialize::<IgnoredAny>(value).map(drop)
        })
    }
}
