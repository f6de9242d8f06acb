//! The opaque bytes of the application inside an envelope.

use alloc::borrow::Cow;
use alloc::vec::Vec;
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
    /// In somebody else's buffer, except for the segments, which stand between its bytes.
    Split(&'a [u8], &'a [Segment]),
}

/// Bytes of a payload that stand in a buffer of their own, because they are too many to be copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// How many bytes of the payload's other buffer precede it. Segments stand in this order.
    pub at: usize,
    /// The bytes.
    pub bytes: Bytes,
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

    /// A payload whose large parts stand in segments. Without segments it is a lent one.
    #[must_use]
    pub const fn split(format: FormatId, bytes: &'a [u8], segments: &'a [Segment]) -> Self {
        Self {
            format,
            bytes: if segments.is_empty() {
                PayloadBytes::Lent(bytes)
            } else {
                PayloadBytes::Split(bytes, segments)
            },
        }
    }

    /// The format.
    #[must_use]
    pub const fn format(&self) -> FormatId {
        self.format
    }

    /// The encoded bytes; of a split payload, those outside its segments. What arrives is never split, and whoever
    /// writes what leaves takes [`Self::write_to`].
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        match &self.bytes {
            PayloadBytes::Lent(bytes) | PayloadBytes::Split(bytes, _) => bytes,
            PayloadBytes::Owned(bytes) => bytes,
        }
    }

    /// The segments, none unless it is split.
    #[must_use]
    pub const fn segments(&self) -> &[Segment] {
        match &self.bytes {
            PayloadBytes::Split(_, segments) => segments,
            _ => &[],
        }
    }

    /// How many bytes it has, segments included.
    #[must_use]
    pub fn len(&self) -> usize {
        let aside: usize = self.segments().iter().map(|one| one.bytes.len()).sum();
        self.as_slice().len() + aside
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends all its bytes, segments where they belong.
    #[inline]
    pub fn write_to(&self, out: &mut Vec<u8>) {
        match &self.bytes {
            PayloadBytes::Split(bytes, segments) => join(bytes, segments, out),
            _ => out.extend_from_slice(self.as_slice()),
        }
    }

    /// All its bytes in one piece; copies what is split.
    #[must_use]
    pub fn contiguous(&self) -> Cow<'_, [u8]> {
        match &self.bytes {
            PayloadBytes::Split(bytes, segments) => {
                let mut joined = Vec::with_capacity(self.len());
                join(bytes, segments, &mut joined);
                Cow::Owned(joined)
            }
            _ => Cow::Borrowed(self.as_slice()),
        }
    }

    /// The bytes, taken apart from their format.
    #[must_use]
    pub fn into_bytes(self) -> PayloadBytes<'a> {
        self.bytes
    }

    /// All its bytes in a buffer of their own; copies what is lent or split.
    #[must_use]
    pub fn into_shared(self) -> Bytes {
        match self.bytes {
            PayloadBytes::Lent(bytes) => Bytes::copy_from_slice(bytes),
            PayloadBytes::Owned(bytes) => bytes,
            PayloadBytes::Split(..) => self.contiguous().into_owned().into(),
        }
    }

    /// The same payload with a buffer of its own; copies what is lent.
    #[must_use]
    pub fn into_owned(self) -> Payload<'static> {
        Payload::owned(self.format, self.into_shared())
    }
}

/// Appends bytes with segments between them.
#[cold]
fn join(bytes: &[u8], segments: &[Segment], out: &mut Vec<u8>) {
    let mut from = 0;
    for segment in segments {
        let to = segment.at.clamp(from, bytes.len());
        out.extend_from_slice(bytes.get(from..to).unwrap_or_default());
        out.extend_from_slice(&segment.bytes);
        from = to;
    }
    out.extend_from_slice(bytes.get(from..).unwrap_or_default());
}

impl PartialEq for Payload<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.format == other.format && self.contiguous() == other.contiguous()
    }
}

impl fmt::Debug for Payload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({}, {} bytes)", self.format, self.len())
    }
}
