//! Envelopes to messages.

use super::element::Codec;
use super::{CborRpc, NAME};
use crate::EncodeError;
use mynah_protocol::{Envelope, Metadata, MethodName, Payload, RpcError, Value, WireId};

/// Writes the elements of one message.
#[derive(Debug)]
struct Message<'o> {
    codec: Codec,
    out: &'o mut Vec<u8>,
    first: bool,
}

/// Writes one whole message. `fire`: the id of a notification that has none.
#[inline]
pub(super) fn envelope(
    dialect: CborRpc,
    envelope: &Envelope<'_>,
    fire: u16,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let mut message = Message {
        codec: dialect.codec,
        out,
        first: true,
    };
    match envelope {
        Envelope::Request(request) => {
            no_metadata(&request.metadata)?;
            if !request.streams.is_none() {
                return Err(unsupported("streams"));
            }
            message.begin(5, 1, 0);
            message.id(&request.id)?;
            message.name(&request.name, dialect.qualified)?;
            message.payload(&request.params)?;
        }
        Envelope::Notification(notification) => {
            no_metadata(&notification.metadata)?;
            message.begin(5, 1, 1);
            // No reply names it, yet two that run at once must differ: the second would be taken for a duplicate.
            let id = WireId::Uint(fire.into());
            message.id(notification.id.as_ref().unwrap_or(&id))?;
            message.name(&notification.name, dialect.qualified)?;
            message.payload(&notification.params)?;
        }
        Envelope::Response(response) => {
            message.begin(5, 1, 2);
            message.id(&response.id)?;
            match &response.result {
                Ok(payload) => {
                    message.bool(true);
                    message.payload(payload)?;
                }
                Err(error) => {
                    message.bool(false);
                    message.error(error, dialect.rich_errors)?;
                }
            }
        }
        Envelope::Cancel(cancel) => {
            message.begin(3, 1, 3);
            message.id(&cancel.id)?;
        }
        Envelope::Log(log) => {
            message.begin(5, 2, 0);
            message.id(log.id.as_ref().unwrap_or(&WireId::Uint(0)))?;
            message.int(log.level);
            message.payload(&log.content)?;
        }
        Envelope::Progress(progress) => {
            message.begin(5, 2, 1);
            message.id(&progress.id)?;
            message.payload(&progress.value)?;
            match &progress.note {
                Some(note) => message.payload(note)?,
                None => message.null(),
            }
        }
        Envelope::Event(event) => {
            message.begin(4, 3, 0);
            message.text(&event.topic)?;
            message.payload(&event.message)?;
        }
        other => return Err(unsupported(other.kind())),
    }
    message.end();
    Ok(())
}

/// Writes the answer to a call that was not handed on.
pub(super) fn refusal(
    codec: Codec,
    id: &WireId,
    why: &str,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let mut message = Message {
        codec,
        out,
        first: true,
    };
    message.begin(5, 1, 2);
    message.id(id)?;
    message.bool(false);
    message.text(why)?;
    message.end();
    Ok(())
}

const fn unsupported(feature: &'static str) -> EncodeError {
    EncodeError::Unsupported {
        dialect: NAME,
        feature,
    }
}

fn no_metadata(metadata: &Metadata) -> Result<(), EncodeError> {
    if metadata.is_empty() {
        Ok(())
    } else {
        Err(unsupported("metadata"))
    }
}

impl Message<'_> {
    /// An array of `len` elements and its first two.
    #[inline]
    fn begin(&mut self, len: u8, protocol: u8, sub: u8) {
        match self.codec {
            Codec::Cbor => self.out.extend_from_slice(&[0x80 | len, protocol, sub]),
            Codec::Json => {
                self.out
                    .extend_from_slice(&[b'[', b'0' | protocol, b',', b'0' | sub]);
                self.first = false;
            }
        }
    }

    #[inline]
    fn separate(&mut self) {
        if self.codec == Codec::Json {
            self.out.push(b',');
        }
    }

    #[inline]
    fn cbor_head(&mut self, major: u8, argument: u64) {
        let major = major << 5;
        let [a, b, c, d, e, f, g, h] = argument.to_be_bytes();
        match argument {
            0..=23 => self.out.push(major | h),
            24..=0xff => self.out.extend_from_slice(&[major | 24, h]),
            0x100..=0xffff => self.out.extend_from_slice(&[major | 25, g, h]),
            0x1_0000..=0xffff_ffff => self.out.extend_from_slice(&[major | 26, e, f, g, h]),
            _ => self
                .out
                .extend_from_slice(&[major | 27, a, b, c, d, e, f, g, h]),
        }
    }

    #[inline]
    fn uint(&mut self, value: u64) {
        self.separate();
        match self.codec {
            Codec::Cbor => self.cbor_head(0, value),
            Codec::Json => self.digits(value),
        }
    }

    fn int(&mut self, value: i64) {
        if let Ok(value) = u64::try_from(value) {
            return self.uint(value);
        }
        self.separate();
        match self.codec {
            Codec::Cbor => self.cbor_head(1, !value.cast_unsigned()),
            Codec::Json => {
                self.out.push(b'-');
                self.digits(value.unsigned_abs());
            }
        }
    }

    fn digits(&mut self, mut value: u64) {
        let mut digits = [0; 20];
        let mut start = digits.len();
        for slot in digits.iter_mut().rev() {
            start -= 1;
            let [digit, ..] = (value % 10).to_le_bytes();
            *slot = b'0' | digit;
            value /= 10;
            if value == 0 {
                break;
            }
        }
        self.out
            .extend_from_slice(digits.get(start..).unwrap_or_default());
    }

    fn bool(&mut self, value: bool) {
        self.separate();
        self.out.extend_from_slice(match (self.codec, value) {
            (Codec::Cbor, false) => &[0xf4],
            (Codec::Cbor, true) => &[0xf5],
            (Codec::Json, false) => b"false",
            (Codec::Json, true) => b"true",
        });
    }

    fn null(&mut self) {
        self.separate();
        self.out.extend_from_slice(match self.codec {
            Codec::Cbor => &[0xf6],
            Codec::Json => b"null",
        });
    }

    #[inline]
    fn text(&mut self, text: &str) -> Result<(), EncodeError> {
        self.separate();
        match self.codec {
            Codec::Cbor => {
                self.cbor_head(3, text.len() as u64);
                self.out.extend_from_slice(text.as_bytes());
                Ok(())
            }
            Codec::Json => self.codec.format().encode(text, self.out),
        }
    }

    #[inline]
    fn id(&mut self, id: &WireId) -> Result<(), EncodeError> {
        match id {
            WireId::Uint(id) => self.uint(*id),
            WireId::Int(id) => self.int(*id),
            WireId::Null => self.null(),
            WireId::Text(id) => self.text(id)?,
            // These bytes came from this wire.
            WireId::Verbatim(bytes) => {
                self.separate();
                self.out.extend_from_slice(bytes);
            }
            _ => return Err(unsupported("this kind of id")),
        }
        Ok(())
    }

    #[inline]
    fn name(&mut self, name: &MethodName<'_>, qualified: bool) -> Result<(), EncodeError> {
        if !qualified || name.service.is_empty() {
            return self.text(&name.method);
        }
        self.text(&format!("{}.{}", name.service, name.method))
    }

    #[inline]
    fn payload(&mut self, payload: &Payload<'_>) -> Result<(), EncodeError> {
        let wire = self.codec.id();
        if payload.format() != wire {
            let text = format!("payload is in {}, the wire in {wire}", payload.format());
            return Err(EncodeError::Value(text));
        }
        self.separate();
        payload.write_to(self.out);
        Ok(())
    }

    /// Without a code, an error is its text exactly, as the real peer's are; with one it is a map.
    #[cold]
    fn error(&mut self, error: &RpcError, rich: bool) -> Result<(), EncodeError> {
        if !rich {
            return self.text(error.message());
        }
        let mut entries = vec![
            (Value::from("code"), Value::from(error.code().value())),
            (Value::from("message"), Value::from(error.message())),
        ];
        if let Some(data) = error.data() {
            entries.push((Value::from("data"), data.clone()));
        }
        self.separate();
        self.codec.format().encode(&Value::Map(entries), self.out)
    }

    fn end(&mut self) {
        if self.codec == Codec::Json {
            self.out.push(b']');
        }
    }
}
