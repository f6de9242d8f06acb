//! Errors: a text on this wire, or any value at all.

use super::element::{Codec, Element};
use crate::dialect::shown;
use crate::format::{cbor, json};
use mynah_protocol::{DecodeLimits, ErrorCode, RpcError, Value};

/// Reads the error of a reply.
///
/// A text is the message, and nothing but the message. A map `{"code", "message", "data"}` is an error as this side
/// writes it on request. Any other value becomes the data, and a compact text of it the message.
#[cold]
pub(super) fn read(element: Element<'_>, limits: &DecodeLimits) -> RpcError {
    if let Some(text) = element.text(limits) {
        return RpcError::new(ErrorCode::UNCODED, text);
    }
    let value = match element.codec() {
        Codec::Cbor => cbor::decode::<Value>(element.bytes(), limits),
        Codec::Json => json::decode_with(element.bytes(), limits, json::Options::PYTHON),
    };
    match value {
        Ok(value) => rich(&value).unwrap_or_else(|| {
            RpcError::new(ErrorCode::UNCODED, shown::short(&value)).with_data(value)
        }),
        // Well-formed, and no value of any kind that is known here.
        Err(_) => RpcError::new(ErrorCode::UNCODED, "error value cannot be read"),
    }
}

/// An error in the richer form: `code` and `message`, at most `data` beside them.
fn rich(value: &Value) -> Option<RpcError> {
    let Value::Map(entries) = value else {
        return None;
    };
    let (mut code, mut message, mut data) = (None, None, None);
    for (key, value) in entries {
        match key.as_str()? {
            "code" => code = Some(integer(value)?),
            "message" => message = Some(value.as_str()?),
            "data" => data = Some(value.clone()),
            _ => return None,
        }
    }
    let error = RpcError::new(ErrorCode::from_wire(code?), message?);
    Some(match data {
        Some(data) => error.with_data(data),
        None => error,
    })
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Uint(value) => i64::try_from(*value).ok(),
        Value::Int(value) => Some(*value),
        _ => None,
    }
}
