//! Messages to envelopes.

use super::{DEFAULT_TIMEOUT_SECS, Kind, Refusal, fault};
use crate::DecodeError;
use crate::dialect::members::{is_falsy, json_text, number};
use mynah_protocol::{
    CallId, Cancel, CancelReason, Envelope, ErrorCode, FormatId, Metadata, MethodName, NameError,
    Payload, Request, Response, RpcError, Streams, WireId,
};
use std::time::Duration;

/// The digits of an id of this side.
pub(super) const ID_DIGITS: usize = 32;

/// What names and ids may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) max_name_bytes: usize,
    pub(super) max_id_bytes: usize,
}

/// The members of a message that mean something, as they are spelled. Of one that comes twice the last one counts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fields<'b> {
    action: Option<&'b [u8]>,
    request_id: Option<&'b [u8]>,
    method: Option<&'b [u8]>,
    params: Option<&'b [u8]>,
    timeout: Option<&'b [u8]>,
    result: Option<&'b [u8]>,
    error: Option<&'b [u8]>,
    error_kind: Option<&'b [u8]>,
    reason: Option<&'b [u8]>,
}

impl<'b> Fields<'b> {
    pub(super) fn put(&mut self, key: &[u8], value: Option<&'b [u8]>) {
        let field = match key {
            b"action" => &mut self.action,
            b"request_id" => &mut self.request_id,
            b"method" => &mut self.method,
            b"params" => &mut self.params,
            b"timeout" => &mut self.timeout,
            b"result" => &mut self.result,
            b"error" => &mut self.error,
            b"error_kind" => &mut self.error_kind,
            b"reason" => &mut self.reason,
            _ => return,
        };
        *field = value;
    }
}

/// What is wrong with a line of which the first members could be read.
#[derive(Debug)]
pub(super) enum Flaw {
    /// It is longer than so many bytes.
    TooLong(usize),
    Malformed(DecodeError),
}

/// What a message says.
#[derive(Debug)]
pub(super) enum Meaning<'b> {
    Envelope(Envelope<'b>),
    /// Nothing that this side knows, and why.
    Nothing(&'static str),
    /// A request that cannot be handed on: its caller waits for an answer and gets this one.
    Refused(Refusal, &'static str),
}

/// What the members of a line say. With a flaw they are those before it.
pub(super) fn message<'b>(fields: &Fields<'b>, flaw: Option<Flaw>, rules: Rules) -> Meaning<'b> {
    let why = match &flaw {
        None => "",
        Some(Flaw::TooLong(_)) => "line is too long",
        Some(Flaw::Malformed(_)) => "line is no JSON",
    };
    let Some(action) = fields.action else {
        return Meaning::Nothing(match flaw {
            None => "line has no action",
            Some(_) => why,
        });
    };
    match (&*json_text(action).unwrap_or_default(), flaw) {
        ("rpc_request", None) => request(fields, rules),
        ("rpc_request", Some(flaw)) => match known_id(fields, rules) {
            Some(id) => {
                let (kind, text) = match flaw {
                    Flaw::TooLong(limit) => (
                        Kind::TooLarge,
                        format!("request line exceeds limit of {limit} bytes"),
                    ),
                    Flaw::Malformed(error) => {
                        (Kind::InvalidRequest, format!("request line: {error}"))
                    }
                };
                Meaning::Refused(Refusal { id, kind, text }, why)
            }
            None => Meaning::Nothing(why),
        },
        ("rpc_reply", None) => reply(fields, rules),
        ("rpc_reply", Some(flaw)) => match known_id(fields, rules) {
            Some(id) => {
                let error = match flaw {
                    Flaw::TooLong(limit) => RpcError::new(
                        ErrorCode::TOO_LARGE,
                        format!("reply line exceeds limit of {limit} bytes"),
                    ),
                    Flaw::Malformed(error) => {
                        RpcError::new(ErrorCode::PARSE_ERROR, format!("reply line: {error}"))
                    }
                };
                Meaning::Envelope(Envelope::Response(Response {
                    id,
                    result: Err(Box::new(error)),
                }))
            }
            None => Meaning::Nothing(why),
        },
        (_, Some(_)) => Meaning::Nothing(why),
        ("rpc_cancel", None) => match known_id(fields, rules) {
            Some(id) => Meaning::Envelope(Envelope::Cancel(Cancel {
                id,
                reason: match fields.reason {
                    Some(b"\"deadline\"") => CancelReason::Deadline,
                    _ => CancelReason::Caller,
                },
            })),
            None => Meaning::Nothing("cancel has no id"),
        },
        (_, None) => Meaning::Nothing("action is unknown"),
    }
}

fn request<'b>(fields: &Fields<'b>, rules: Rules) -> Meaning<'b> {
    let refused = |id, kind, text: String, why| Meaning::Refused(Refusal { id, kind, text }, why);
    if fields.request_id.is_none() {
        // As a hub answers it, word by word.
        let (id, text) = (WireId::Text("".into()), "KeyError('request_id')".to_owned());
        return refused(id, Kind::Handler, text, "request has no id");
    }
    let Some(id) = known_id(fields, rules) else {
        return Meaning::Nothing("id is too long");
    };
    let Some(method) = fields.method else {
        let text = "KeyError('method')".to_owned();
        return refused(id, Kind::Handler, text, "request has no method");
    };
    let Some(method) = json_text(method) else {
        let text = "method is no text".to_owned();
        return refused(id, Kind::InvalidRequest, text, "method is no text");
    };
    let name = MethodName {
        service: "".into(),
        method,
    };
    match name.check(rules.max_name_bytes) {
        Ok(()) => {}
        Err(NameError::Empty) => {
            let text = "method not found: ".to_owned();
            return refused(id, Kind::NotFound, text, "method is empty");
        }
        Err(error) => {
            let text = format!("method {error}");
            return refused(id, Kind::InvalidRequest, text, "method is too long");
        }
    }
    let Some(timeout) = timeout(fields.timeout) else {
        let text = "timeout is no number of seconds".to_owned();
        return refused(id, Kind::InvalidRequest, text, "timeout is no number");
    };
    let params = fields.params.filter(|params| !is_falsy(params));
    Meaning::Envelope(Envelope::Request(Request {
        id,
        name,
        timeout,
        metadata: Metadata::new(),
        streams: Streams::NONE,
        params: Payload::lent(FormatId::Json, params.unwrap_or(b"{}")),
    }))
}

fn reply<'b>(fields: &Fields<'b>, rules: Rules) -> Meaning<'b> {
    let Some(id) = known_id(fields, rules) else {
        return Meaning::Nothing("reply has no id");
    };
    let result = match fault::read(fields.error, fields.error_kind) {
        Some(error) => Err(Box::new(error)),
        None => Ok(Payload::lent(
            FormatId::Json,
            fields.result.unwrap_or(b"null"),
        )),
    };
    Meaning::Envelope(Envelope::Response(Response { id, result }))
}

/// An id of a size that can be kept.
fn known_id(fields: &Fields<'_>, rules: Rules) -> Option<WireId> {
    let spelling = fields.request_id?;
    // An escape has up to six bytes for one.
    if spelling.len() > rules.max_id_bytes.saturating_mul(6).saturating_add(2) {
        return None;
    }
    let id = id(spelling);
    let len = match &id {
        WireId::Text(text) => text.len(),
        WireId::Verbatim(bytes) => bytes.len(),
        _ => 0,
    };
    (len <= rules.max_id_bytes).then_some(id)
}

/// An id, so that it can be said again in value and type.
///
/// Ids are texts here: 32 lower-case hexadecimal digits whose value fits are the number that they spell, as ids of this
/// side are. What is no text is kept as it is spelled.
fn id(spelling: &[u8]) -> WireId {
    if spelling == b"null" {
        return WireId::Null;
    }
    match json_text(spelling) {
        Some(text) => match own_id(&text) {
            Some(id) => id.into(),
            None => WireId::Text(text.into()),
        },
        None => WireId::Verbatim(spelling.into()),
    }
}

/// The id of this side that a text spells.
pub(super) fn own_id(text: &str) -> Option<CallId> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != ID_DIGITS || !text.bytes().all(is_digit) {
        return None;
    }
    let value = u128::from_str_radix(text, 16).ok()?;
    CallId::new(u64::try_from(value).ok()?)
}

/// The time that a request has; the inner `None` when it has as much as it wants. `None` for what is no number.
#[expect(
    clippy::option_option,
    reason = "a time that is no time is one thing, no end of time another"
)]
fn timeout(spelling: Option<&[u8]>) -> Option<Option<Duration>> {
    let seconds = match spelling {
        None => return Some(Some(Duration::from_secs(DEFAULT_TIMEOUT_SECS))),
        Some(b"true") => 1.0,
        Some(b"false") => 0.0,
        // What Python makes a float of: numbers, and texts that spell one.
        Some(spelling) => match json_text(spelling) {
            Some(text) => text.trim().parse().ok()?,
            None => number(spelling)?,
        },
    };
    if seconds <= 0.0 {
        return Some(Some(Duration::ZERO));
    }
    // Beyond what a time can be, infinite or not a number: it does not end.
    Some(Duration::try_from_secs_f64(seconds).ok())
}
