//! Messages to envelopes.

use super::messages::Read;
use super::{Flavor, fault, names};
use crate::dialect::members::{Members, json_text};
use crate::format::json::Options;
use crate::{DecodeError, Format};
use mynah_protocol::{
    CallId, DecodeLimits, Envelope, ErrorCode, FormatId, Metadata, MethodName, Notification,
    Payload, Request, Response, RpcError, Streams, WireId,
};

/// The form of an id of this side in [`Flavor::Clamator`], which is that of a UUID: what stands between its parts.
pub(super) const UUID_MIDDLE: &str = "-0000-4000-8000-";

/// What names and ids may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) flavor: Flavor,
    pub(super) max_name_bytes: usize,
    pub(super) max_id_bytes: usize,
    pub(super) decode: DecodeLimits,
}

/// A member: not there, there, or there with a value that is not all there.
#[derive(Clone, Copy, Debug, Default)]
enum Field<'b> {
    #[default]
    Absent,
    Value(&'b [u8]),
    Broken,
}

impl<'b> Field<'b> {
    const fn is_there(self) -> bool {
        !matches!(self, Self::Absent)
    }

    const fn value(self) -> Option<&'b [u8]> {
        match self {
            Self::Value(value) => Some(value),
            _ => None,
        }
    }
}

/// The members of a message that mean something, as they are spelled. Of one that comes twice the last one counts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fields<'b> {
    jsonrpc: Field<'b>,
    method: Field<'b>,
    params: Field<'b>,
    id: Field<'b>,
    result: Field<'b>,
    error: Field<'b>,
}

impl<'b> Fields<'b> {
    pub(super) fn put(&mut self, key: &[u8], value: Option<&'b [u8]>) {
        let field = match key {
            b"jsonrpc" => &mut self.jsonrpc,
            b"method" => &mut self.method,
            b"params" => &mut self.params,
            b"id" => &mut self.id,
            b"result" => &mut self.result,
            b"error" => &mut self.error,
            _ => return,
        };
        *field = value.map_or(Field::Broken, Field::Value);
    }
}

/// What is wrong with a text before anything is asked about its members.
#[derive(Debug)]
pub(super) enum Flaw {
    /// It is longer than so many bytes; the members are those at its start.
    TooLong(usize),
    /// It is no JSON, or beyond the limits; the members are those before that.
    Malformed(DecodeError),
    Batch,
    NoObject,
}

impl Flaw {
    /// The reason under which it is counted.
    const fn why(&self) -> &'static str {
        match self {
            Self::TooLong(_) => "message is too long",
            Self::Malformed(_) => "message is no JSON",
            Self::Batch => "message is a batch",
            Self::NoObject => "message is no object",
        }
    }

    fn code(&self) -> ErrorCode {
        use crate::DecodeErrorKind as Kind;
        match self {
            Self::TooLong(_) => ErrorCode::TOO_LARGE,
            Self::Malformed(error) => match error.kind() {
                Kind::TooDeep | Kind::TooLong | Kind::TooLarge => ErrorCode::TOO_LARGE,
                _ => ErrorCode::PARSE_ERROR,
            },
            Self::Batch | Self::NoObject => ErrorCode::INVALID_REQUEST,
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::TooLong(limit) => format!("message exceeds limit of {limit} bytes"),
            Self::Malformed(error) => error.to_string(),
            Self::Batch => "batch requests not supported".to_owned(),
            Self::NoObject => "not an object".to_owned(),
        }
    }
}

/// What the members of a message say. With a flaw they are what could be read of it.
pub(super) fn message<'b>(fields: &Fields<'b>, flaw: Option<Flaw>, rules: &Rules) -> Read<'b> {
    if let Some(flaw) = flaw {
        return flawed(fields, &flaw, rules);
    }
    let is_text = |spelling: &[u8]| spelling.first() == Some(&b'"');
    let has_method = fields.method.value().is_some_and(is_text);
    let has_answer = fields.result.is_there() || fields.error.is_there();
    let version = fields.jsonrpc.value();
    if version != Some(b"\"2.0\"") && version.and_then(json_text).as_deref() != Some("2.0") {
        let what = "jsonrpc must equal \"2.0\"";
        return match has_answer && !has_method {
            true => unusable_answer(fields, rules, what),
            false => refused(fields, rules, what),
        };
    }
    match (has_method, has_answer) {
        (true, _) => call(fields, rules),
        (false, true) => answer(fields, rules),
        (false, false) => {
            let what = "envelope must be request, notification, or response";
            refused(fields, rules, what)
        }
    }
}

/// A message that is not all there, or cannot be read to its end.
#[cold]
fn flawed(fields: &Fields<'_>, flaw: &Flaw, rules: &Rules) -> Read<'static> {
    part(&Part::of(fields, rules), flaw, rules)
}

/// What is known of a message that cannot be read to its end.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) id: Option<WireId>,
    is_answer: bool,
}

impl Part {
    pub(super) fn of(fields: &Fields<'_>, rules: &Rules) -> Self {
        let is_answer = fields.result.is_there() || fields.error.is_there();
        Self {
            id: (fields.id.value().filter(|id| is_id(id, rules.flavor)))
                .and_then(|id| known_id(id, rules)),
            is_answer: is_answer && !fields.method.is_there(),
        }
    }

    /// The same with the id that the last bytes of the message end with, as most peers have it: `"id": 7}`.
    ///
    /// What is found can be nothing else if the message is an object at all: within a text the quotes would be escaped,
    /// and an object within it would have another bracket behind it.
    pub(super) fn with_tail(mut self, tail: &[u8], rules: &Rules) -> Self {
        const KEY: &[u8] = b"\"id\"";
        let Some(tail) = tail.trim_ascii_end().strip_suffix(b"}") else {
            return self;
        };
        let at = tail.windows(KEY.len()).rposition(|window| window == KEY);
        let (before, rest) = tail.split_at(at.unwrap_or(tail.len()));
        let value = rest.get(KEY.len()..).unwrap_or_default().trim_ascii();
        let Some(value) = value.strip_prefix(b":") else {
            return self;
        };
        let value = value.trim_ascii();
        let is_member = matches!(before.trim_ascii_end().last(), Some(b',' | b'{'));
        let is_scalar = !matches!(value.first(), Some(b'[' | b'{') | None);
        // Strictly: what stands here goes back as it is.
        let is_id = is_scalar && is_id(value, rules.flavor);
        if is_member && is_id && Format::Json.scan(value, &rules.decode).is_ok() {
            self.id = known_id(value, rules);
        }
        self
    }
}

/// What is said of a message of which this is known.
#[cold]
pub(super) fn part(part: &Part, flaw: &Flaw, rules: &Rules) -> Read<'static> {
    let id = part.id.clone();
    if part.is_answer {
        return match id {
            // Its call fails at once, and does not wait for its time.
            Some(id) => Read::Envelope(Envelope::Response(Response {
                id,
                result: Err(Box::new(RpcError::new(flaw.code(), flaw.detail()))),
            })),
            None => Read::Ignored(flaw.why()),
        };
    }
    let id = match (id, rules.flavor) {
        (Some(id), _) if id != WireId::Null => id,
        // An answer to nobody means nothing to clamator.
        (_, Flavor::Clamator) => return Read::Ignored(flaw.why()),
        (_, Flavor::Standard) => WireId::Null,
    };
    Read::Refused(refusal(id, flaw.code(), &flaw.detail(), rules), flaw.why())
}

/// The answer to what is no message, or none that can be handed on.
fn refusal(id: WireId, code: ErrorCode, detail: &str, rules: &Rules) -> Response<'static> {
    let error = match (fault::title(code), rules.flavor) {
        // What the specification shows has no data.
        (Some(title), Flavor::Standard) => RpcError::new(code, title),
        (Some(title), Flavor::Clamator) => RpcError::new(code, title).with_data(detail),
        (None, _) => RpcError::new(code, detail),
    };
    Response {
        id,
        result: Err(Box::new(error)),
    }
}

/// Well-formed, and no request: answered, under its id if that can be told.
#[cold]
fn refused<'b>(fields: &Fields<'b>, rules: &Rules, what: &'static str) -> Read<'b> {
    let id = fields.id.value().filter(|id| is_id(id, rules.flavor));
    let id = match id.and_then(|id| known_id(id, rules)) {
        Some(id) if id != WireId::Null => id,
        _ if rules.flavor == Flavor::Clamator => return Read::Ignored(what),
        _ => WireId::Null,
    };
    let answer = refusal(id, ErrorCode::INVALID_REQUEST, what, rules);
    Read::Refused(answer, what)
}

/// An answer that breaks the rules: its call fails with that, and does not wait for its time.
#[cold]
fn unusable_answer<'b>(fields: &Fields<'b>, rules: &Rules, what: &'static str) -> Read<'b> {
    let id = fields.id.value().and_then(|id| known_id(id, rules));
    match id {
        Some(id) if id != WireId::Null => {
            let text = format!("invalid response: {what}");
            let error = RpcError::new(ErrorCode::PROTOCOL_VIOLATION, text);
            Read::Envelope(Envelope::Response(Response {
                id,
                result: Err(Box::new(error)),
            }))
        }
        _ => Read::Ignored(what),
    }
}

fn call<'b>(fields: &Fields<'b>, rules: &Rules) -> Read<'b> {
    let Some(method) = fields.method.value().and_then(json_text) else {
        return refused(fields, rules, "method is no text");
    };
    let name = match rules.flavor {
        Flavor::Standard => MethodName {
            service: "".into(),
            method,
        },
        Flavor::Clamator => match names::split(&method) {
            Ok(name) => name,
            Err(what) => return refused(fields, rules, what),
        },
    };
    if name.check(rules.max_name_bytes).is_err() {
        return refused(fields, rules, "method is empty or too long");
    }
    let params = match (fields.params.value(), rules.flavor) {
        (None | Some(b"null"), Flavor::Standard) => b"[]",
        (None | Some(b"null"), Flavor::Clamator) => b"{}",
        (Some(params), Flavor::Standard) if !matches!(params.first(), Some(b'[' | b'{')) => {
            return refused(fields, rules, "params must be an array or an object");
        }
        (Some(params), _) => params,
    };
    let params = Payload::lent(FormatId::Json, params);
    let metadata = Metadata::new();
    let id = match fields.id.value() {
        None => None,
        Some(b"null") if rules.flavor == Flavor::Clamator => None,
        Some(id) if !is_id(id, rules.flavor) => {
            return refused(fields, rules, "id must be string or number");
        }
        Some(id) => match known_id(id, rules) {
            Some(id) => Some(id),
            None => return Read::Ignored("id is too long"),
        },
    };
    Read::Envelope(match id {
        Some(id) => Envelope::Request(Request {
            id,
            name,
            timeout: None,
            metadata,
            streams: Streams::NONE,
            params,
        }),
        None => Envelope::Notification(Notification {
            name,
            id: None,
            metadata,
            params,
        }),
    })
}

fn answer<'b>(fields: &Fields<'b>, rules: &Rules) -> Read<'b> {
    let id = match fields.id.value() {
        None | Some(b"null") => None,
        Some(id) => known_id(id, rules),
    };
    let result = match (fields.result.value(), fields.error.value()) {
        (Some(result), None) => Ok(Payload::lent(FormatId::Json, result)),
        (None, Some(error)) => match error_object(error, rules) {
            Some(error) => Err(Box::new(error)),
            None => {
                let what = "error must have numeric code + string message";
                return unusable_answer(fields, rules, what);
            }
        },
        _ => {
            let what = "envelope must be request, notification, or response";
            return unusable_answer(fields, rules, what);
        }
    };
    match id {
        Some(id) => Read::Envelope(Envelope::Response(Response { id, result })),
        None => Read::Ignored(match result {
            Ok(_) => "response must have id",
            Err(_) => "error of no request",
        }),
    }
}

fn error_object(spelling: &[u8], rules: &Rules) -> Option<RpcError> {
    if spelling.first() != Some(&b'{') {
        return None;
    }
    let (mut code, mut message, mut data) = (None, None, None);
    let mut members = Members::new(&rules.decode, Options::PYTHON_TEXT);
    let read = members.read(spelling, |key, value| match key {
        b"code" => code = value,
        b"message" => message = value,
        b"data" => data = value,
        _ => {}
    });
    read.ok()?;
    fault::read(code, message, data, &rules.decode)
}

/// Whether a value may be the id of a request.
fn is_id(spelling: &[u8], flavor: Flavor) -> bool {
    match (spelling.first(), flavor) {
        (Some(b'"'), _) => true,
        // Python takes integers of any size, and no fractions.
        (Some(b'-' | b'0'..=b'9'), Flavor::Clamator) => spelling
            .iter()
            .all(|byte| matches!(byte, b'-' | b'0'..=b'9')),
        (Some(b'-' | b'0'..=b'9'), Flavor::Standard) => true,
        _ => flavor == Flavor::Standard && spelling == b"null",
    }
}

/// An id of a size that can be kept, so that it can be said again in value and type.
fn known_id(spelling: &[u8], rules: &Rules) -> Option<WireId> {
    // An escape has up to six bytes for one.
    if spelling.len() > rules.max_id_bytes.saturating_mul(6).saturating_add(2) {
        return None;
    }
    let id = match rules.flavor {
        Flavor::Standard => standard_id(spelling),
        Flavor::Clamator => clamator_id(spelling),
    };
    let len = match &id {
        WireId::Text(text) => text.len(),
        WireId::Verbatim(bytes) => bytes.len(),
        _ => 0,
    };
    (len <= rules.max_id_bytes).then_some(id)
}

fn standard_id(spelling: &[u8]) -> WireId {
    if spelling == b"null" {
        return WireId::Null;
    }
    if let Some(text) = json_text(spelling) {
        return WireId::Text(text.into());
    }
    let digits = str::from_utf8(spelling).unwrap_or_default();
    // Minus zero parses as zero, and is another number.
    if spelling != b"-0" {
        if let Ok(id) = digits.parse() {
            return WireId::Uint(id);
        }
        if let Ok(id) = digits.parse() {
            return WireId::Int(id);
        }
    }
    WireId::Verbatim(spelling.into())
}

/// Ids are texts here: one in the form that this side gives its own is the number in it. What is no text is kept as it
/// is spelled.
fn clamator_id(spelling: &[u8]) -> WireId {
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

fn own_id(text: &str) -> Option<CallId> {
    let (high, rest) = text.as_bytes().split_first_chunk::<8>()?;
    let low = rest.strip_prefix(UUID_MIDDLE.as_bytes())?;
    let low: &[u8; 12] = low.try_into().ok()?;
    CallId::new(
        digits(high)?
            .checked_mul(1 << 48)?
            .checked_add(digits(low)?)?,
    )
}

/// The number that lower-case hexadecimal digits are; `None` if it does not fit, or one of them is none.
fn digits(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0u64, |number, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        Some(number.checked_mul(16)? + u64::from(digit))
    })
}
