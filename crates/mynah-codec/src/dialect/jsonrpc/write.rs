//! Envelopes to messages.

use super::read::UUID_MIDDLE;
use super::{Flavor, NAME, fault, names};
use crate::EncodeError;
use crate::format::json::{self, NonFinite, Options};
use mynah_protocol::{Envelope, FormatId, Metadata, MethodName, Payload, RpcError, Value, WireId};
use serde::Serialize;

/// Writes the members of one message.
struct Message<'o> {
    flavor: Flavor,
    out: &'o mut Vec<u8>,
}

/// Writes one message on one line.
pub(super) fn envelope(
    flavor: Flavor,
    envelope: &Envelope<'_>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let mut message = Message { flavor, out };
    match envelope {
        Envelope::Request(request) => {
            no_metadata(&request.metadata)?;
            if !request.streams.is_none() {
                return Err(unsupported("streams"));
            }
            message.begin();
            match flavor {
                // The id first: of a message that is too long it can be told.
                Flavor::Standard => {
                    message.id(&request.id)?;
                    message.call(&request.name, &request.params)?;
                }
                Flavor::Clamator => {
                    message.call(&request.name, &request.params)?;
                    message.id(&request.id)?;
                }
            }
        }
        Envelope::Notification(notification) => {
            no_metadata(&notification.metadata)?;
            message.begin();
            message.call(&notification.name, &notification.params)?;
        }
        Envelope::Response(response) => {
            message.begin();
            message.id(&response.id)?;
            match &response.result {
                Ok(result) => {
                    message.key("result");
                    message.payload(result)?;
                }
                Err(error) => {
                    message.key("error");
                    message.error(error)?;
                }
            }
        }
        other => return Err(unsupported(other.kind())),
    }
    message.out.push(b'}');
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
    fn begin(&mut self) {
        self.out.extend_from_slice(match self.flavor {
            Flavor::Standard => br#"{"jsonrpc":"2.0""#,
            Flavor::Clamator => br#"{"jsonrpc": "2.0""#,
        });
    }

    /// The key of a further member.
    fn key(&mut self, key: &str) {
        let (before, behind): (&[u8], &[u8]) = match self.flavor {
            Flavor::Standard => (b",\"", b"\":"),
            Flavor::Clamator => (b", \"", b"\": "),
        };
        self.out.extend_from_slice(before);
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(behind);
    }

    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        let options = match self.flavor {
            Flavor::Standard => Options::STRICT,
            Flavor::Clamator => Options {
                non_finite: NonFinite::Refuse,
                ..Options::PYTHON_TEXT
            },
        };
        json::encode_with(value, self.out, options)
    }

    fn id(&mut self, id: &WireId) -> Result<(), EncodeError> {
        self.key("id");
        match (id, self.flavor) {
            (WireId::Uint(id), Flavor::Clamator) => {
                self.out.push(b'"');
                self.digits(id >> 48, 8);
                self.out.extend_from_slice(UUID_MIDDLE.as_bytes());
                self.digits(*id, 12);
                self.out.push(b'"');
                Ok(())
            }
            (WireId::Uint(id), Flavor::Standard) => self.value(id),
            (WireId::Int(id), _) => self.value(id),
            (WireId::Text(id), _) => self.value(&**id),
            (WireId::Null, _) => self.value(&()),
            // These bytes came from such a message.
            (WireId::Verbatim(bytes), _) => {
                self.out.extend_from_slice(bytes);
                Ok(())
            }
            _ => Err(unsupported("this kind of id")),
        }
    }

    /// The last hexadecimal digits of a number, so many.
    fn digits(&mut self, number: u64, count: u32) {
        let digits = (0..count).rev().map(|digit| {
            let digit = (number >> (4 * digit)) & 15;
            char::from_digit(u32::try_from(digit).unwrap_or_default(), 16).unwrap_or('0')
        });
        self.out.extend(digits.map(|digit| digit as u8));
    }

    fn call(&mut self, name: &MethodName<'_>, params: &Payload<'_>) -> Result<(), EncodeError> {
        self.key("method");
        match self.flavor {
            Flavor::Clamator => {
                check("service", &name.service, names::is_service)?;
                check("method", &name.method, names::is_method)?;
                // What such names are made of stands in a text as it is.
                let parts = ["\"", &name.service, ".", &name.method, "\""];
                for part in parts {
                    self.out.extend_from_slice(part.as_bytes());
                }
            }
            Flavor::Standard if name.service.is_empty() => self.value(&*name.method)?,
            Flavor::Standard => self.value(&format!("{}.{}", name.service, name.method))?,
        }
        self.key("params");
        self.payload(params)
    }

    /// Writes a payload on one line. A line feed in it is white space between two parts: within a text it would be
    /// escaped.
    fn payload(&mut self, payload: &Payload<'_>) -> Result<(), EncodeError> {
        let format = payload.format();
        if format != FormatId::Json {
            let text = format!("payload is in {format}, the wire in {}", FormatId::Json);
            return Err(EncodeError::Value(text));
        }
        let start = self.out.len();
        payload.write_to(self.out);
        let written = self.out.get_mut(start..).unwrap_or_default();
        if written.contains(&b'\n') {
            for byte in written {
                if *byte == b'\n' {
                    *byte = b' ';
                }
            }
        }
        Ok(())
    }

    fn error(&mut self, error: &RpcError) -> Result<(), EncodeError> {
        let (text, data) = fault::said(self.flavor, error);
        let mut entries = vec![
            (Value::from("code"), Value::from(error.code().value())),
            (Value::from("message"), Value::from(text)),
        ];
        if self.flavor == Flavor::Clamator || *data != Value::Null {
            entries.push((Value::from("data"), data.into_owned()));
        }
        self.value(&Value::Map(entries))
    }
}

/// Refuses a name that the other side would refuse, with its words.
fn check(what: &str, name: &str, is_one: fn(&str) -> bool) -> Result<(), EncodeError> {
    if is_one(name) {
        Ok(())
    } else {
        Err(EncodeError::Value(format!("invalid {what} \"{name}\"")))
    }
}
