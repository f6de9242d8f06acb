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

#[cfg(test)]
mod tests {
    use super::*;
    use mynah_protocol::{
        Cancel, CancelReason, Credit, Items, Metadata, MethodName, Payload, Progress, Request,
        Response, RpcError, StreamSide, Streams, Window, WireId,
    };

    fn kinds(id: FormatId) -> Vec<Envelope<'static>> {
        let payload = |bytes: &'static [u8]| Payload::lent(id, bytes);
        // A one in CBOR is another byte.
        let one = || match id {
            FormatId::Json => payload(b"1"),
            _ => payload(&[1]),
        };
        let call = || WireId::Uint(1 << 52);
        let more = Window {
            items: 3,
            bytes: u64::MAX,
        };
        vec![
            Envelope::Request(Request {
                id: call(),
                name: MethodName::new("numbers", "count"),
                timeout: None,
                metadata: Metadata::new(),
                streams: Streams {
                    window: Some(more),
                    input: true,
                    callbacks: false,
                },
                params: one(),
            }),
            Envelope::Items(Items {
                id: call(),
                stream: StreamSide::Input,
                count: 2,
                batch: payload(&[0, 0, 0, 1, b'1', 0, 0, 0, 1, b']']),
            }),
            Envelope::Credit(Credit {
                id: call(),
                stream: StreamSide::Result,
                more,
            }),
            Envelope::Progress(Progress {
                id: call(),
                value: one(),
                note: Some(one()),
            }),
            Envelope::Cancel(Cancel {
                id: call(),
                reason: CancelReason::Deadline,
            }),
            Envelope::Accepted(call()),
            Envelope::Pong(7),
            Envelope::Response(Response {
                id: call(),
                result: Ok(one()),
            }),
            Envelope::Response(Response {
                id: call(),
                result: Err(Box::new(RpcError::new(
                    mynah_protocol::ErrorCode::from_wire(7),
                    "no",
                ))),
            }),
        ]
    }

    #[test]
    fn frames_are_read_as_they_were_written() {
        for id in [FormatId::Json, FormatId::Cbor, FormatId::MessagePack] {
            let frames = Frames::new(id, &Limits::default());
            for envelope in kinds(id) {
                let mut bytes = Vec::new();
                frames.write(&envelope, &mut bytes).expect("it can be said");
                let read = frames.read(&bytes).expect("it is a frame");
                assert_eq!(read, Some(envelope), "{id}");
            }
        }
    }

    #[test]
    fn what_is_no_frame_is_an_error_and_what_is_newer_is_nothing() {
        let frames = Frames::new(FormatId::Json, &Limits::default());
        for bytes in [
            &b""[..],
            b"[",
            b"[1",
            b"not a frame",
            b"[12,1,0,5]",
            b"{}",
            b"[3,1]7",
        ] {
            assert!(frames.read(bytes).is_err(), "{}", bytes.escape_ascii());
        }
        assert_eq!(frames.read(b"[4711]").expect("a frame"), None);
        let cbor = Envelope::Response(Response {
            id: WireId::Uint(1),
            result: Ok(Payload::lent(FormatId::Cbor, &[1])),
        });
        assert!(frames.write(&cbor, &mut Vec::new()).is_err());
    }
}
