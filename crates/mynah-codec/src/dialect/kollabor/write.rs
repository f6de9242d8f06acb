//! Envelopes to messages.

use super::NAME;
use super::fault::{self, Kind};
use super::read::own_id;
use crate::EncodeError;
use crate::format::json::{self, Options};
use mynah_protocol::{CancelReason, Envelope, FormatId, Payload, WireId};
use serde::Serialize;
use std::io::Write as _;

/// Writes one message, without the line feed behind it.
pub(super) fn envelope(envelope: &Envelope<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    match envelope {
        Envelope::Request(request) => {
            if !request.metadata.is_empty() {
                return Err(unsupported("metadata"));
            }
            if !request.streams.is_none() {
                return Err(unsupported("streams"));
            }
            if let WireId::Text(text) = &request.id
                && own_id(text).is_some()
            {
                let text = "an id of 32 hexadecimal digits is one that the wire gives";
                return Err(EncodeError::Value(text.to_owned()));
            }
            out.extend_from_slice(br#"{"action": "rpc_request", "request_id": "#);
            id(&request.id, out)?;
            out.extend_from_slice(br#", "method": "#);
            if request.name.service.is_empty() {
                value(&*request.name.method, out)?;
            } else {
                let name = format!("{}.{}", request.name.service, request.name.method);
                value(&name, out)?;
            }
            out.extend_from_slice(br#", "params": "#);
            payload(&request.params, out)?;
            out.extend_from_slice(br#", "timeout": "#);
            let timeout = request.timeout.map(|timeout| timeout.as_secs_f64());
            value(&timeout.unwrap_or(f64::INFINITY), out)?;
        }
        Envelope::Response(response) => match &response.result {
            Ok(result) => {
                out.extend_from_slice(br#"{"action": "rpc_reply", "request_id": "#);
                id(&response.id, out)?;
                out.extend_from_slice(br#", "result": "#);
                payload(result, out)?;
                out.extend_from_slice(br#", "error": null, "error_kind": null"#);
            }
            Err(error) => {
                let kind = Kind::of(error.code());
                return failure(&response.id, kind.name(), fault::text(error, kind), out);
            }
        },
        Envelope::Cancel(cancel) => {
            out.extend_from_slice(br#"{"action": "rpc_cancel", "request_id": "#);
            id(&cancel.id, out)?;
            out.extend_from_slice(br#", "reason": "#);
            let reason = match cancel.reason {
                CancelReason::Deadline => "deadline",
                _ => "caller",
            };
            value(reason, out)?;
        }
        other => return Err(unsupported(other.kind())),
    }
    out.push(b'}');
    Ok(())
}

/// Writes the reply to a request that failed.
pub(super) fn failure(
    request: &WireId,
    kind: &str,
    text: &str,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    out.extend_from_slice(br#"{"action": "rpc_reply", "request_id": "#);
    id(request, out)?;
    out.extend_from_slice(br#", "result": null, "error": "#);
    value(text, out)?;
    out.extend_from_slice(br#", "error_kind": "#);
    value(kind, out)?;
    out.push(b'}');
    Ok(())
}

const fn unsupported(feature: &'static str) -> EncodeError {
    EncodeError::Unsupported {
        dialect: NAME,
        feature,
    }
}

fn value<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    json::encode_with(value, out, Options::PYTHON_TEXT)
}

fn id(id: &WireId, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    match id {
        WireId::Uint(id) => write!(out, "\"{id:032x}\"").map_err(|_full| unsupported("this id"))?,
        WireId::Text(id) => value(&**id, out)?,
        WireId::Null => out.extend_from_slice(b"null"),
        // These bytes came from this wire.
        WireId::Verbatim(bytes) => out.extend_from_slice(bytes),
        WireId::Int(id) => value(id, out)?,
        _ => return Err(unsupported("this kind of id")),
    }
    Ok(())
}

/// Writes a payload on one line. A line feed in it is white space between two parts: within a text it would be escaped.
fn payload(payload: &Payload<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let format = payload.format();
    if format != FormatId::Json {
        let text = format!("payload is in {format}, the wire in {}", FormatId::Json);
        return Err(EncodeError::Value(text));
    }
    let start = out.len();
    payload.write_to(out);
    for byte in out.get_mut(start..).unwrap_or_default() {
        if *byte == b'\n' {
            *byte = b' ';
        }
    }
    if out.len() == start {
        out.extend_from_slice(b"null");
    }
    Ok(())
}
