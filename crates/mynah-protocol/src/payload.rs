//! The opaque bytes of the application inside an envelope.

use bytes::Bytes;
use core::fmt;

/// Which format a payload is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FormatId {
    /// JSON (RFC 8259).
    Json,
    /// CBOR (RFC 8949).
    Cbor,
    /// MessagePack.
    MessagePack,
    /// A format of a stranger's own, under a number that the two ends agree on.
    Other(u16),
}

impl fmt::Display for FormatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json => f.write_str("json"),
            Self::Cbor => f.write_str("cbor"),
            Self::MessagePack => f.write_str("messagepack"),
            Self::Other(number) => write!(f, "format {number}"),
        }
    }
}

/// Where the bytes of a payload are.
#[derive(Clone, Debug)]
pub enum PayloadBytes<'a> {
    /// In somebody else's buffer.
    Lent(&'a [u8]),
    /// In a buffer of their own.
    Owned(Bytes),
}

/// One encoded value and the format it is encoded in.
///
/// An envelope is decoded, its payload is not, until the one place that knows the type.
#[derive(Clone)]
pub struct Payload<'a> {
    format: FormatId,
    bytes: PayloadBytes<'a>,
}

impl<'a> Payload<'a> {
    /// A payload in a borrowed buffer.
    #[must_use]
    pub const fn lent(format: FormatId, bytes: &'a [u8]) -> Self {
        Self {
            format,
            bytes: PayloadBytes::Lent(bytes),
        }
    }

    /// A payload with a buffer of its own.
    #[must_use]
    pub const fn owned(format: FormatId, bytes: Bytes) -> Self {
        Self {
            format,
            bytes: PayloadBytes::Owned(bytes),
        }
    }

    /// The format.
    #[must_use]
    pub const fn format(&self) -> FormatId {
        self.format
    }

    /// The encoded bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        match &self.bytes {
            PayloadBytes::Lent(bytes) => bytes,
            PayloadBytes::Owned(bytes) => bytes,
        }
    }

    /// The bytes, taken apart from their format.
    #[must_use]
    pub fn into_bytes(self) -> PayloadBytes<'a> {
        self.bytes
    }

    /// The same payload with a buffer of its own; copies what is lent.
    #[must_use]
    pub fn into_owned(self) -> Payload<'static> {
        let bytes = match self.bytes {
            PayloadBytes::Lent(bytes) => Bytes::copy_from_slice(bytes),
            PayloadBytes::Owned(bytes) => bytes,
        };
        Payload {
            format: self.format,
            bytes: PayloadBytes::Owned(bytes),
        }
    }
}

impl PartialEq for Payload<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.format == other.format && self.as_slice() == other.as_slice()
    }
}

impl fmt::Debug for Payload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Payload({}, {} bytes)",
            self.format,
            self.as_slice().len()
        )
    }
}
