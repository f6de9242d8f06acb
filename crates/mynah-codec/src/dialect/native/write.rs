//! Envelopes to frames.

mod msgpack;

use super::{NAME, hello, kind};
use crate::framing::LengthFraming;
use crate::{EncodeError, Format};
use msgpack::MsgpackHead;
use mynah_protocol::{
    CancelReason, DecodeLimits, Envelope, FormatId, Metadata, MethodName, Payload, RpcError,
    StreamSide, Value, WireId,
};
use std::time::Duration;

/// Writes head and body of one envelope.
#[inline]
pub(super) fn envelope(
    envelope: &Envelope<'_>,
    id: FormatId,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    match id {
        FormatId::Json => with_head(
            envelope,
            id,
            Format::NativeJson,
            &mut JsonHead { out, first: true },
        ),
        FormatId::MessagePack => {
            with_head(envelope, id, Format::MessagePack, &mut MsgpackHead { out })
        }
        _ => with_head(envelope, id, Format::Cbor, &mut CborHead { out }),
    }
}

/// Writes the length and the head of a frame with one chunk of a message.
pub(super) fn chunk(
    id: FormatId,
    number: u64,
    total: Option<usize>,
    len: usize,
    out: &mut Vec<u8>,
) {
    fn elements(head: &mut impl Head, number: u64, total: Option<usize>) {
        head.begin(2 + u8::from(total.is_some()));
        head.uint(kind::CHUNK);
        head.uint(number);
        if let Some(total) = total {
            head.uint(total as u64);
        }
        head.end();
    }
    let start = out.len();
    out.extend_from_slice(&[0; LengthFraming::HEAD]);
    match id {
        FormatId::Json => elements(&mut JsonHead { out, first: true }, number, total),
        FormatId::MessagePack => elements(&mut MsgpackHead { out }, number, total),
        _ => elements(&mut CborHead { out }, number, total),
    }
    close_frame(out, start, len);
}

/// Writes the frame that says how much was taken of chunks.
pub(super) fn taken(id: FormatId, len: u64, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; LengthFraming::HEAD]);
    // A head of two numbers can always be written.
    let _written = match id {
        FormatId::Json => scalar(kind::TAKEN, len, &mut JsonHead { out, first: true }),
        FormatId::MessagePack => scalar(kind::TAKEN, len, &mut MsgpackHead { out }),
        _ => scalar(kind::TAKEN, len, &mut CborHead { out }),
    };
    close_frame(out, start, 0);
}

/// Puts the length before a frame that began at `start`, with `len` bytes still to come.
fn close_frame(out: &mut [u8], start: usize, len: usize) {
    let len = out.len() - start - LengthFraming::HEAD + len;
    // A chunk is far from four gigabytes.
    let announced = u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes();
    out.iter_mut()
        .skip(start)
        .zip(announced)
        .for_each(|(slot, byte)| *slot = byte);
}

/// Writes a head in any format.
trait Head {
    /// Begins an array of `len` elements.
    fn begin(&mut self, len: u8);
    fn uint(&mut self, value: u64);
    fn int(&mut self, value: i64);
    fn text(&mut self, value: &str);
    fn null(&mut self);
    fn value(&mut self, value: &Value) -> Result<(), EncodeError>;
    fn end(&mut self) -> &mut Vec<u8>;
}

#[inline]
fn with_head(
    envelope: &Envelope<'_>,
    id: FormatId,
    format: Format,
    head: &mut impl Head,
) -> Result<(), EncodeError> {
    match envelope {
        Envelope::Request(request) => {
            let timeout = request.timeout.map(millis);
            let streams = request.streams;
            let len = if streams.is_none() {
                4 + optional_len(timeout.is_some(), !request.metadata.is_empty())
            } else {
                9
            };
            head.begin(len);
            head.uint(kind::REQUEST);
            call_id(&request.id, head)?;
            name(&request.name, head);
            if let Some(timeout) = timeout {
                head.uint(timeout);
            } else if len > 4 {
                head.null();
            }
            if len == 9 && request.metadata.is_empty() {
                head.null();
            }
            metadata(&request.metadata, head)?;
            if len == 9 {
                match streams.window {
                    Some(window) => {
                        head.uint(window.items);
                        head.uint(window.bytes);
                    }
                    None => {
                        head.null();
                        head.null();
                    }
                }
                head.uint(u64::from(streams.input));
            }
            body(&request.params, id, head.end())
        }
        Envelope::Response(response) => {
            head.begin(2);
            head.uint(if response.result.is_ok() {
                kind::RESULT
            } else {
                kind::ERROR
            });
            call_id(&response.id, head)?;
            match &response.result {
                Ok(payload) => body(payload, id, head.end()),
                Err(error) => error_body(error, format, head.end()),
            }
        }
        Envelope::Notification(notification) => {
            head.begin(3 + u8::from(!notification.metadata.is_empty()));
            head.uint(kind::NOTIFICATION);
            name(&notification.name, head);
            metadata(&notification.metadata, head)?;
            body(&notification.params, id, head.end())
        }
        Envelope::Cancel(cancel) => {
            head.begin(3);
            head.uint(kind::CANCEL);
            call_id(&cancel.id, head)?;
            head.uint(u64::from(cancel.reason == CancelReason::Deadline));
            head.end();
            Ok(())
        }
        Envelope::Progress(progress) => {
            let len = behind_len(&progress.value, id, format);
            head.begin(2 + u8::from(len.is_some()));
            head.uint(kind::PROGRESS);
            call_id(&progress.id, head)?;
            if let Some(len) = len {
                head.uint(len);
            }
            let out = head.end();
            body(&progress.value, id, out)?;
            if let Some(note) = &progress.note {
                if id == FormatId::Json && len.is_none() {
                    out.push(b' ');
                }
                body(note, id, out)?;
            }
            Ok(())
        }
        Envelope::Log(log) => {
            head.begin(4);
            head.uint(kind::LOG);
            match &log.id {
                Some(call) => call_id(call, head)?,
                None => head.null(),
            }
            head.int(log.level);
            head.uint(log.dropped);
            body(&log.content, id, head.end())
        }
        Envelope::Event(event) => {
            head.begin(2);
            head.uint(kind::EVENT);
            head.text(&event.topic);
            body(&event.message, id, head.end())
        }
        Envelope::Hello(hello) => {
            head.begin(3);
            head.uint(kind::HELLO);
            head.uint(hello.version);
            head.value(&hello::abilities(hello, id)?)?;
            head.end();
            Ok(())
        }
        Envelope::Ping(number) => scalar(kind::PING, *number, head),
        Envelope::Pong(number) => scalar(kind::PONG, *number, head),
        Envelope::GoingAway(away) => {
            head.begin(3);
            head.uint(kind::GOING_AWAY);
            head.int(away.code.value());
            head.text(&away.message);
            head.end();
            Ok(())
        }
        Envelope::Items(items) => {
            head.begin(4);
            head.uint(kind::ITEMS);
            call_id(&items.id, head)?;
            head.uint(stream(items.stream));
            head.uint(items.count);
            body(&items.batch, id, head.end())
        }
        Envelope::InputEnd(end) => {
            head.begin(2);
            head.uint(kind::INPUT_END);
            call_id(&end.id, head)?;
            let out = head.end();
            match &end.error {
                Some(error) => error_body(error, format, out),
                None => Ok(()),
            }
        }
        Envelope::Credit(credit) => {
            head.begin(5);
            head.uint(kind::CREDIT);
            call_id(&credit.id, head)?;
            head.uint(stream(credit.stream));
            head.uint(credit.more.items);
            head.uint(credit.more.bytes);
            head.end();
            Ok(())
        }
        Envelope::Stop(stop) => only_id(kind::STOP, &stop.id, head),
        Envelope::Accepted(id) => only_id(kind::ACCEPTED, id, head),
        _ => Err(EncodeError::Unsupported {
            dialect: NAME,
            feature: envelope.kind(),
        }),
    }
}

/// The length of a value that does not tell where it ends: one with bytes behind it, or in a format of a program's own.
/// `None` for all others.
fn behind_len(value: &Payload<'_>, id: FormatId, format: Format) -> Option<u64> {
    if let FormatId::Other(_) = id {
        return Some(value.contiguous().len() as u64);
    }
    if !matches!(format, Format::NativeJson) {
        return None;
    }
    let bytes = value.contiguous();
    let text = super::head::item_len(format, &bytes, &DecodeLimits::DEFAULT).ok()?;
    (text < bytes.len()).then_some(bytes.len() as u64)
}

/// How many elements follow the names of a request.
const fn optional_len(timeout: bool, metadata: bool) -> u8 {
    match (timeout, metadata) {
        (_, true) => 2,
        (true, false) => 1,
        (false, false) => 0,
    }
}

/// Remaining time in whole milliseconds, rounded up: a budget that is not used up is never sent as 0.
fn millis(timeout: Duration) -> u64 {
    u64::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(u64::MAX)
}

fn scalar(kind: u64, number: u64, head: &mut impl Head) -> Result<(), EncodeError> {
    head.begin(2);
    head.uint(kind);
    head.uint(number);
    head.end();
    Ok(())
}

fn only_id(kind: u64, id: &WireId, head: &mut impl Head) -> Result<(), EncodeError> {
    head.begin(2);
    head.uint(kind);
    call_id(id, head)?;
    head.end();
    Ok(())
}

/// The number of a stream of a call.
const fn stream(side: StreamSide) -> u64 {
    match side {
        StreamSide::Result => 0,
        StreamSide::Input => 1,
    }
}

#[inline]
fn call_id(id: &WireId, head: &mut impl Head) -> Result<(), EncodeError> {
    match id {
        WireId::Uint(id) => head.uint(*id),
        WireId::Text(id) => head.text(id),
        _ => {
            return Err(EncodeError::Unsupported {
                dialect: NAME,
                feature: "this kind of id",
            });
        }
    }
    Ok(())
}

#[inline]
fn name(name: &MethodName<'_>, head: &mut impl Head) {
    head.text(&name.service);
    head.text(&name.method);
}

fn metadata(metadata: &Metadata, head: &mut impl Head) -> Result<(), EncodeError> {
    if metadata.is_empty() {
        return Ok(());
    }
    let entries = metadata
        .iter()
        .map(|(name, value)| (Value::from(name), Value::from(value)));
    head.value(&Value::Map(entries.collect()))
}

#[inline]
fn body(payload: &Payload<'_>, id: FormatId, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if payload.format() != id {
        let text = format!("payload is in {}, the wire in {id}", payload.format());
        return Err(EncodeError::Value(text));
    }
    payload.write_to(out);
    Ok(())
}

fn error_body(error: &RpcError, format: Format, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let code = error.code().value();
    match error.data() {
        Some(data) => format.encode(&(code, error.message(), data), out),
        None => format.encode(&(code, error.message()), out),
    }
}

struct CborHead<'o> {
    out: &'o mut Vec<u8>,
}

impl CborHead<'_> {
    /// Shortest form of major type and argument.
    #[inline]
    fn put(&mut self, major: u8, value: u64) {
        let [.., low] = value.to_be_bytes();
        if value < 24 {
            self.out.push(major << 5 | low);
        } else {
            self.put_long(major << 5, value);
        }
    }

    fn put_long(&mut self, major: u8, value: u64) {
        if let Ok(value) = u8::try_from(value) {
            self.out.extend_from_slice(&[major | 24, value]);
        } else if let Ok(value) = u16::try_from(value) {
            let [a, b] = value.to_be_bytes();
            self.out.extend_from_slice(&[major | 25, a, b]);
        } else if let Ok(value) = u32::try_from(value) {
            let [a, b, c, d] = value.to_be_bytes();
            self.out.extend_from_slice(&[major | 26, a, b, c, d]);
        } else {
            let [a, b, c, d, e, f, g, h] = value.to_be_bytes();
            self.out
                .extend_from_slice(&[major | 27, a, b, c, d, e, f, g, h]);
        }
    }
}

impl Head for CborHead<'_> {
    #[inline]
    fn begin(&mut self, len: u8) {
        self.put(4, u64::from(len));
    }

    #[inline]
    fn uint(&mut self, value: u64) {
        self.put(0, value);
    }

    fn int(&mut self, value: i64) {
        match u64::try_from(value) {
            Ok(value) => self.put(0, value),
            Err(_negative) => self.put(1, !value.cast_unsigned()),
        }
    }

    #[inline]
    fn text(&mut self, value: &str) {
        self.put(3, value.len() as u64);
        self.out.extend_from_slice(value.as_bytes());
    }

    fn null(&mut self) {
        self.out.push(0xf6);
    }

    fn value(&mut self, value: &Value) -> Result<(), EncodeError> {
        Format::Cbor.encode(value, self.out)
    }

    #[inline]
    fn end(&mut self) -> &mut Vec<u8> {
        self.out
    }
}

struct JsonHead<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

impl JsonHead<'_> {
    fn separate(&mut self) {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
    }

    fn digits(&mut self, mut value: u64) {
        let mut digits = [0; 20];
        let mut start = digits.len();
        for slot in digits.iter_mut().rev() {
            start -= 1;
            let [digit, ..] = (value % 10).to_le_bytes();
            *slot = b'0' + digit;
            value /= 10;
            if value == 0 {
                break;
            }
        }
        self.out
            .extend_from_slice(digits.get(start..).unwrap_or_default());
    }
}

impl Head for JsonHead<'_> {
    fn begin(&mut self, _len: u8) {
        self.out.push(b'[');
    }

    fn uint(&mut self, value: u64) {
        self.separate();
        self.digits(value);
    }

    fn int(&mut self, value: i64) {
        self.separate();
        if value < 0 {
            self.out.push(b'-');
        }
        self.digits(value.unsigned_abs());
    }

    fn text(&mut self, value: &str) {
        self.separate();
        if value
            .bytes()
            .all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\')
        {
            self.out.push(b'"');
            self.out.extend_from_slice(value.as_bytes());
            self.out.push(b'"');
        } else {
            let written = Format::Json.encode(value, self.out);
            debug_assert!(written.is_ok(), "every text can be written");
        }
    }

    fn null(&mut self) {
        self.separate();
        self.out.extend_from_slice(b"null");
    }

    fn value(&mut self, value: &Value) -> Result<(), EncodeError> {
        self.separate();
        Format::Json.encode(value, self.out)
    }

    fn end(&mut self) -> &mut Vec<u8> {
        self.out.push(b']');
        self.out
    }
}
