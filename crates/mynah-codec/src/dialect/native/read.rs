//! Frames to envelopes.

use super::head::{CborHead, Head, JsonHead, MsgpackHead, item_len};
use super::{NAME, hello, kind};
use crate::{DecodeError, Format, WireError};
use mynah_protocol::{
    Cancel, CancelReason, Credit, DecodeLimits, Envelope, ErrorCode, Event, FormatId, GoingAway,
    InputEnd, ItemBatch, Items, Limits, Log, Metadata, MethodName, Notification, Payload, Progress,
    Request, Response, RpcError, Stop, StreamSide, Streams, Value, Window,
};
use std::time::Duration;

/// What is needed of [`Limits`]: each connection has one of these.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadLimits {
    pub(super) decode: DecodeLimits,
    pub(super) calls_in_flight: u32,
    max_name_bytes: usize,
    max_metadata_entries: usize,
    max_metadata_bytes: usize,
}

impl From<&Limits> for ReadLimits {
    fn from(limits: &Limits) -> Self {
        Self {
            decode: limits.decode,
            calls_in_flight: limits.calls_in_flight,
            max_name_bytes: limits.max_name_bytes,
            max_metadata_entries: limits.max_metadata_entries,
            max_metadata_bytes: limits.max_metadata_bytes,
        }
    }
}

/// Reads one frame. `None` for a kind that this version does not know.
#[inline]
pub(super) fn envelope<'b>(
    frame: &'b [u8],
    id: FormatId,
    format: Format,
    limits: &ReadLimits,
) -> Result<Option<Envelope<'b>>, WireError> {
    match format {
        Format::Json | Format::PythonJson | Format::PythonText(_) | Format::NativeJson => {
            with_head(JsonHead::new(frame)?, id, format, limits)
        }
        Format::MessagePack => with_head(MsgpackHead::new(frame)?, id, format, limits),
        // Heads, and what the wire says itself, are in CBOR whatever the bodies are in.
        Format::Cbor | Format::Custom(_) => {
            with_head(CborHead::new(frame)?, id, Format::Cbor, limits)
        }
    }
}

#[inline]
fn with_head<'b, H: Head<'b>>(
    mut head: H,
    id: FormatId,
    format: Format,
    limits: &ReadLimits,
) -> Result<Option<Envelope<'b>>, WireError> {
    let decode = &limits.decode;
    let payload = |bytes| Payload::lent(id, bytes);
    let envelope = match head.uint()? {
        kind::REQUEST => {
            let call = head.id()?;
            let name = name(&mut head, limits)?;
            let timeout = head.optional_uint()?.map(Duration::from_millis);
            let metadata = metadata(&mut head, format, limits)?;
            let streams = if head.more()? {
                streams(&mut head)?
            } else {
                Streams::NONE
            };
            let params = payload(head.body(decode)?);
            Envelope::Request(Request {
                id: call,
                name,
                timeout,
                metadata,
                streams,
                params,
            })
        }
        kind::RESULT => {
            let call = head.id()?;
            Envelope::Response(Response {
                id: call,
                result: Ok(payload(head.body(decode)?)),
            })
        }
        kind::ERROR => {
            let call = head.id()?;
            let error = error(format, head.body(decode)?, limits)?;
            Envelope::Response(Response {
                id: call,
                result: Err(Box::new(error)),
            })
        }
        kind::NOTIFICATION => {
            let name = name(&mut head, limits)?;
            let metadata = metadata(&mut head, format, limits)?;
            let params = payload(head.body(decode)?);
            Envelope::Notification(Notification {
                name,
                id: None,
                metadata,
                params,
            })
        }
        kind::CANCEL => {
            let call = head.id()?;
            let reason = match head.optional_uint()? {
                Some(1) => CancelReason::Deadline,
                _ => CancelReason::Caller,
            };
            head.body(decode)?;
            Envelope::Cancel(Cancel { id: call, reason })
        }
        kind::PROGRESS => {
            let call = head.id()?;
            let announced = head.optional_uint()?;
            let body = head.body(decode)?;
            let split = value_len(announced, id, format, body, limits)?;
            let (value, note) = body.split_at_checked(split).unwrap_or((body, &[]));
            // Two JSON values may need white space between them.
            let note = if id == FormatId::Json {
                note.trim_ascii_start()
            } else {
                note
            };
            let note = (!note.is_empty()).then(|| payload(note));
            Envelope::Progress(Progress {
                id: call,
                value: payload(value),
                note,
            })
        }
        kind::LOG => {
            let call = if head.null()? { None } else { Some(head.id()?) };
            let level = head.int()?;
            let dropped = head.optional_uint()?.unwrap_or(0);
            let content = payload(head.body(decode)?);
            Envelope::Log(Log {
                id: call,
                level,
                dropped,
                content,
            })
        }
        kind::EVENT => {
            let topic = head.text()?;
            Envelope::Event(Event {
                topic,
                message: payload(head.body(decode)?),
            })
        }
        kind::HELLO => hello::read(head, format, limits)?,
        kind::PING => {
            let number = head.uint()?;
            head.body(decode)?;
            Envelope::Ping(number)
        }
        kind::PONG => {
            let number = head.uint()?;
            head.body(decode)?;
            Envelope::Pong(number)
        }
        kind::GOING_AWAY => {
            let code = ErrorCode::from_wire(head.int()?);
            let message = head.text()?;
            head.body(decode)?;
            Envelope::GoingAway(GoingAway { code, message })
        }
        kind::ITEMS => {
            let call = head.id()?;
            // A stream that a newer peer has and this side did not ask for.
            let Some(stream) = stream(head.uint()?) else {
                return Ok(None);
            };
            let count = head.uint()?;
            let batch = head.body(decode)?;
            if ItemBatch::count(batch) != Some(count) {
                return Err(violation("the lengths of items do not add up"));
            }
            Envelope::Items(Items {
                id: call,
                stream,
                count,
                batch: payload(batch),
            })
        }
        kind::INPUT_END => {
            let call = head.id()?;
            let body = head.body(decode)?;
            let error = if body.is_empty() {
                None
            } else {
                Some(Box::new(error(format, body, limits)?))
            };
            Envelope::InputEnd(InputEnd { id: call, error })
        }
        kind::CREDIT => {
            let call = head.id()?;
            let Some(stream) = stream(head.uint()?) else {
                return Ok(None);
            };
            let more = Window {
                items: head.uint()?,
                bytes: head.uint()?,
            };
            head.body(decode)?;
            Envelope::Credit(Credit {
                id: call,
                stream,
                more,
            })
        }
        kind::STOP => {
            let call = head.id()?;
            head.body(decode)?;
            Envelope::Stop(Stop { id: call })
        }
        kind::ACCEPTED => {
            let call = head.id()?;
            head.body(decode)?;
            Envelope::Accepted(call)
        }
        _ => return Ok(None),
    };
    Ok(Some(envelope))
}

/// How many bytes of the body of a progress are its value; what is behind them is its note.
fn value_len(
    announced: Option<u64>,
    id: FormatId,
    format: Format,
    body: &[u8],
    limits: &ReadLimits,
) -> Result<usize, WireError> {
    let own_len = || item_len(format, body, &limits.decode);
    let Some(announced) = announced else {
        return match id {
            FormatId::Other(_) => Err(violation("a progress does not say how long its value is")),
            _ => Ok(own_len()?),
        };
    };
    let len = usize::try_from(announced).unwrap_or(usize::MAX);
    // A length that cuts a value in two would be another message to whoever goes by the value.
    let fits = match id {
        FormatId::Other(_) => true,
        // Bytes may stand behind the value, which does not tell where they end.
        FormatId::Json => own_len()? <= len,
        _ => own_len()? == len,
    };
    if fits && len <= body.len() {
        Ok(len)
    } else {
        Err(violation(
            "the length of a progress is not that of its value",
        ))
    }
}

/// The window of the result stream, and whether there is an input stream.
fn streams<'b, H: Head<'b>>(head: &mut H) -> Result<Streams, WireError> {
    let items = head.optional_uint()?;
    let bytes = head.optional_uint()?;
    let input = head.optional_uint()?;
    Ok(Streams {
        window: items.map(|items| Window {
            items,
            bytes: bytes.unwrap_or(u64::MAX),
        }),
        input: input == Some(1),
        callbacks: false,
    })
}

/// Which stream of a call a number means.
const fn stream(number: u64) -> Option<StreamSide> {
    match number {
        0 => Some(StreamSide::Result),
        1 => Some(StreamSide::Input),
        _ => None,
    }
}

fn violation(detail: &str) -> WireError {
    WireError::Violation {
        dialect: NAME,
        detail: detail.to_owned(),
    }
}

#[inline]
fn name<'b, H: Head<'b>>(head: &mut H, limits: &ReadLimits) -> Result<MethodName<'b>, WireError> {
    let name = MethodName {
        service: head.text()?,
        method: head.text()?,
    };
    match name.check(limits.max_name_bytes) {
        Ok(()) => Ok(name),
        Err(error) => Err(WireError::Violation {
            dialect: NAME,
            detail: error.to_string(),
        }),
    }
}

#[inline]
fn metadata<'b, H: Head<'b>>(
    head: &mut H,
    format: Format,
    limits: &ReadLimits,
) -> Result<Metadata, WireError> {
    if !head.more()? || head.null()? {
        return Ok(Metadata::new());
    }
    let raw = head.raw(&limits.decode)?;
    if raw.len() > limits.max_metadata_bytes {
        let detail = format!(
            "metadata of {} bytes exceeds limit of {}",
            raw.len(),
            limits.max_metadata_bytes
        );
        return Err(WireError::Violation {
            dialect: NAME,
            detail,
        });
    }
    let mut decode = limits.decode;
    decode.max_collection_len = limits.max_metadata_entries;
    let value: Value = format.decode(raw, &decode)?;
    let mut metadata = Metadata::new();
    let Some(entries) = value.as_map() else {
        return Err(DecodeError::shape("metadata is not a map of texts", 0).into());
    };
    for (name, value) in entries {
        match (name.as_str(), value.as_str()) {
            (Some(name), Some(value)) => metadata.insert(name, value),
            _ => return Err(DecodeError::shape("metadata is not a map of texts", 0).into()),
        }
    }
    Ok(metadata)
}

/// `[code, message]` or `[code, message, data]`; what follows is for newer peers.
fn error(format: Format, body: &[u8], limits: &ReadLimits) -> Result<RpcError, WireError> {
    let value: Value = format.decode(body, &limits.decode)?;
    let shape = || DecodeError::shape("an error is [code, message, data]", 0);
    let Value::Array(elements) = value else {
        return Err(shape().into());
    };
    let mut elements = elements.into_iter();
    let code = elements
        .next()
        .and_then(|code| code.as_i64())
        .ok_or_else(shape)?;
    let Some(Value::Text(message)) = elements.next() else {
        return Err(shape().into());
    };
    let error = RpcError::new(ErrorCode::from_wire(code), message);
    Ok(match elements.next() {
        Some(data) if data != Value::Null => error.with_data(data),
        _ => error,
    })
}
