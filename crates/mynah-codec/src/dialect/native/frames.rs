//! Frames without a connection around them.

use super::read::{self, ReadLimits};
use super::write;
use crate::{EncodeError, Format, WireError};
use mynah_protocol::{Envelope, FormatId, Limits};

/// The frames of the native wire, each by itself: head and body, without preface, hello and length. For a carrier that
/// keeps the edges of messages and has agreed on the format in another way.
#[derive(Debug)]
pub struct Frames {
    id: FormatId,
    format: Format,
    limits: ReadLimits,
}

impl Frames {
    /// Frames with bodies in this format. One of the program's own is none that this can read.
    #[must_use]
    pub fn new(format: FormatId, limits: &Limits) -> Self {
        Self {
            id: format,
            format: match format {
                FormatId::Json => Format::NativeJson,
                id => Format::built_in(id).unwrap_or(Format::Cbor),
            },
            limits: limits.into(),
        }
    }

    /// Reads the frame that is the whole of `frame`. `None` for a kind that this version does not know.
    ///
    /// # Errors
    /// [`WireError`] when it is no frame, or breaks a limit.
    pub fn read<'b>(&self, frame: &'b [u8]) -> Result<Option<Envelope<'b>>, WireError> {
        read::envelope(frame, self.id, self.format, &self.limits)
    }

    /// Appends the frame of one envelope.
    ///
    /// # Errors
    /// - [`EncodeError::Unsupported`] when this wire cannot say it.
    /// - [`EncodeError::Value`] when a payload is in another format.
    ///
    /// `out` may then hold a part of it.
    pub fn write(&self, envelope: &Envelope<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        write::envelope(envelope, self.id, out)
    }
}
