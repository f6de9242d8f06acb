//! Encoded values between the program and the wire.

use bytes::Bytes;
use mynah_codec::{DecodeError, EncodeError, Format, Source};
use mynah_protocol::{DecodeLimits, FormatId, Payload, Segment};
use serde::{Serialize, de::DeserializeOwned};

/// An encoded value whose large parts may stand beside it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Encoded<'a> {
    bytes: &'a [u8],
    segments: &'a [Segment],
}

impl<'a> Encoded<'a> {
    /// A value with segments.
    #[must_use]
    pub const fn new(bytes: &'a [u8], segments: &'a [Segment]) -> Self {
        Self { bytes, segments }
    }

    /// The payload that it is in a format.
    #[inline]
    #[must_use]
    pub const fn payload(self, format: FormatId) -> Payload<'a> {
        Payload::split(format, self.bytes, self.segments)
    }

    /// How many bytes it has, segments included.
    #[inline]
    #[must_use]
    pub fn len(self) -> usize {
        let aside: usize = self.segments.iter().map(|one| one.bytes.len()).sum();
        self.bytes.len() + aside
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

impl<'a> From<&'a [u8]> for Encoded<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::new(bytes, &[])
    }
}

/// Encoded values one behind the other, large parts aside.
#[derive(Debug, Default)]
pub(crate) struct EncodedBuffer {
    pub(crate) bytes: Vec<u8>,
    segments: Vec<Segment>,
}

/// A place between two values of an [`EncodedBuffer`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    bytes: usize,
    segments: usize,
}

impl EncodedBuffer {
    /// An empty one that uses a buffer.
    #[inline]
    pub(crate) const fn over(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            segments: Vec::new(),
        }
    }

    /// All of it, if it is one value.
    #[inline]
    pub(crate) fn whole(&self) -> Encoded<'_> {
        Encoded::new(&self.bytes, &self.segments)
    }

    #[inline]
    pub(crate) fn push<T: Serialize + ?Sized>(
        &mut self,
        format: Format,
        value: &T,
    ) -> Result<(), EncodeError> {
        format.encode_split(value, &mut self.bytes, &mut self.segments)
    }

    /// The end of what is there.
    #[inline]
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            bytes: self.bytes.len(),
            segments: self.segments.len(),
        }
    }

    /// Drops what stands behind a mark.
    pub(crate) fn truncate(&mut self, mark: Mark) {
        self.bytes.truncate(mark.bytes);
        self.segments.truncate(mark.segments);
    }

    /// The one value between two marks.
    #[inline]
    pub(crate) fn between(&self, start: Mark, end: Mark) -> Encoded<'_> {
        let bytes = self.bytes.get(start.bytes..end.bytes);
        let segments = self.segments.get(start.segments..end.segments);
        Encoded::new(bytes.unwrap_or_default(), segments.unwrap_or_default())
    }

    /// Forgets the content, and large buffers.
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.segments.clear();
        if self.bytes.capacity() > crate::scratch::KEEP_BYTES {
            self.bytes = Vec::new();
        }
    }
}

/// An encoded result: in a buffer that goes round, or, when it is large, in the buffer of its message.
#[derive(Debug, Default)]
pub struct ReplyBuffer {
    /// The result, unless it is shared. Empty, or a buffer to be swapped.
    pub buffer: Vec<u8>,
    /// The result in a buffer that what is decoded from it may share.
    pub shared: Option<Bytes>,
}

impl ReplyBuffer {
    #[inline]
    pub(crate) fn decode<T: DeserializeOwned>(
        &self,
        format: Format,
        limits: &DecodeLimits,
    ) -> Result<T, DecodeError> {
        match &self.shared {
            None => format.decode(&self.buffer, limits),
            Some(shared) => {
                let _source = Source::share(shared);
                format.decode(shared, limits)
            }
        }
    }
}
