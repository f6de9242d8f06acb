//! Errors: codes, and the texts that the specification has for some of them.

use super::Flavor;
use crate::dialect::members::json_text;
use crate::format::json::{self, Options};
use mynah_protocol::{DecodeLimits, ErrorCode, RpcError, Value};
use std::borrow::Cow;

/// The text of the specification for a code of its own.
pub(super) const fn title(code: ErrorCode) -> Option<&'static str> {
    match code {
        ErrorCode::PARSE_ERROR => Some("Parse error"),
        ErrorCode::INVALID_REQUEST => Some("Invalid Request"),
        ErrorCode::METHOD_NOT_FOUND => Some("Method not found"),
        ErrorCode::INVALID_PARAMS => Some("Invalid params"),
        ErrorCode::INTERNAL => Some("Internal error"),
        _ => None,
    }
}

/// Reads the members of an error object; `None` when they are none.
pub(super) fn read(
    code: Option<&[u8]>,
    message: Option<&[u8]>,
    data: Option<&[u8]>,
    limits: &DecodeLimits,
) -> Option<RpcError> {
    let code = str::from_utf8(code?).ok()?.parse().ok()?;
    let message = message?;
    let text = match json_text(message) {
        Some(text) => text,
        // Half a surrogate pair, or no text.
        None if message.first() == Some(&b'"') => Cow::Borrowed("error text cannot be read"),
        None => return None,
    };
    let error = RpcError::new(ErrorCode::from_wire(code), text);
    Some(match data {
        None | Some(b"null") => error,
        Some(data) => match json::decode_with::<Value>(data, limits, Options::PYTHON_TEXT) {
            Ok(data) => error.with_data(data),
            // As above; what can be said of the error is said.
            Err(_) => error,
        },
    })
}

/// What goes out for an error: its text and its data.
///
/// What this side says of a call that never reached its handler becomes the text of the specification; what a handler
/// returns stays as it is.
pub(super) fn said(flavor: Flavor, error: &RpcError) -> (&str, Cow<'_, Value>) {
    let (code, message) = (error.code(), error.message());
    let own = code
        .public_text()
        .filter(|own| message.starts_with(own))
        .and_then(|_| title(code));
    let data = error.data().map(Cow::Borrowed);
    let Some(title) = own else {
        return (message, data.unwrap_or(Cow::Owned(Value::Null)));
    };
    let text = |key: &str| (Value::from(key), Value::from(message));
    let data = match (data, code, flavor) {
        (Some(data), ErrorCode::INTERNAL, Flavor::Clamator) => Cow::Owned(Value::Map(vec![
            ("name".into(), "InternalError".into()),
            text("message"),
            ("data".into(), data.into_owned()),
        ])),
        (Some(data), ..) => data,
        (None, ErrorCode::INTERNAL, Flavor::Clamator) => Cow::Owned(Value::Map(vec![
            ("name".into(), "InternalError".into()),
            text("message"),
        ])),
        (None, ErrorCode::INVALID_PARAMS, Flavor::Clamator) => {
            let error = Value::Map(vec![
                ("type".into(), "invalid".into()),
                ("loc".into(), Value::Array(vec![])),
                text("msg"),
            ]);
            let errors = Value::Array(vec![error]);
            Cow::Owned(Value::Map(vec![("errors".into(), errors)]))
        }
        (None, ErrorCode::INTERNAL | ErrorCode::INVALID_PARAMS, Flavor::Standard)
            if Some(message) != code.public_text() =>
        {
            Cow::Owned(Value::from(message))
        }
        // The caller knows which method it has called.
        (None, ..) => Cow::Owned(Value::Null),
    };
    (title, data)
}
