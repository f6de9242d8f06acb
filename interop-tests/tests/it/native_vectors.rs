//! The vectors of the native wire, `vectors/native.json`, run by this side and by the Python client.

use crate::harness::{hex, run_script, unhex};
use mynah::codec::format::erased_serde::Serialize;
use mynah::codec::format::{CustomFormat, Visit};
use mynah::codec::{DecodeError, EncodeError, Format};
use mynah::dialect::{Dialect as _, Native, Side};
use mynah::protocol::{
    CancelReason, DecodeLimits, Envelope, ItemBatch, Limits, Metadata, MoreHello, Opaque, Payload,
    RpcError, Streams, Value, WireId,
};
use mynah_codec::{Lane, Output, OutputChunk, Step, Wire, WireError};
use serde_json::{Map, Value as Json, json};

/// The format of bodies in the vectors of format X. Nothing here looks into a body.
#[derive(Debug)]
struct Unread;

static UNREAD: Unread = Unread;

impl CustomFormat for Unread {
    fn id(&self) -> u16 {
        7
    }

    fn encode(&self, _: &dyn Serialize, _: &mut Vec<u8>) -> Result<(), EncodeError> {
        unreachable!("the wire writes no body itself")
    }

    fn decode<'de>(
        &self,
        _: &'de [u8],
        _: &DecodeLimits,
        _: Visit<'_, 'de>,
    ) -> Result<(), DecodeError> {
        unreachable!("the wire reads no body")
    }
}

/// One side of a wire; that which accepts speaks every format.
fn side(side: Side, format: &str) -> Box<dyn Wire> {
    let limits = &Limits::DEFAULT;
    match (side, format) {
        (Side::Dial, "json") => Native::json().wire(side, limits),
        (Side::Dial, "messagepack") => Native::messagepack().wire(side, limits),
        (Side::Dial, "cbor") => Native::new().wire(side, limits),
        _ => Native::custom(&UNREAD).wire(side, limits),
    }
}

fn file() -> Json {
    let file = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/native.json"));
    serde_json::from_str(file).expect("the vectors are JSON")
}

fn vectors(list: &str) -> Vec<Json> {
    file()[list].as_array().expect("a list").clone()
}

fn text<'v>(vector: &'v Json, field: &str) -> &'v str {
    vector[field].as_str().unwrap_or_default()
}

fn preface(format: &str) -> Vec<u8> {
    let letter = match format {
        "cbor" => 'C',
        "json" => 'J',
        "messagepack" => 'M',
        "custom" => 'X',
        other => panic!("format {other}"),
    };
    format!("MYNAH\u{1}{letter}\n").into_bytes()
}

/// The accepting side of a wire that has heard the preface of a format.
fn wire(format: &str) -> Box<dyn Wire> {
    let mut wire = side(Side::Accept, format);
    let preface = preface(format);
    let step = wire.decode(&preface).expect("a good preface");
    assert!(matches!(step, Step::Skip(8)), "{step:?}");
    wire
}

/// Reads until there is an envelope, a frame to ignore, or an error.
fn read(wire: &mut dyn Wire, bytes: &[u8]) -> Result<Option<Envelope<'static>>, WireError> {
    match wire.decode(bytes)? {
        Step::Envelope(len, envelope) if len == bytes.len() => Ok(Some(envelope.into_owned())),
        Step::Ignore(len) if len == bytes.len() => Ok(None),
        other => panic!("{other:?}"),
    }
}

/// All that was written, control first.
fn written(output: &mut Output) -> Vec<u8> {
    let (mut first, mut said) = (OutputChunk::default(), OutputChunk::default());
    output.take(Lane::Control, &mut first);
    output.take(Lane::Data, &mut said);
    [first.bytes, said.bytes].concat()
}

/// The code with which a going-away tells the peer of an error.
fn farewell(wire: &mut dyn Wire, format: &str, error: &WireError) -> i64 {
    let mut output = Output::new();
    wire.farewell(error, &mut output);
    let mut other = side(Side::Dial, format);
    let mut said = written(&mut output);
    if !said.starts_with(b"MYNAH") {
        // It was said before.
        said.splice(0..0, preface(format));
    }
    let mut bytes = said.as_slice();
    loop {
        match other.decode(bytes).expect("a farewell can be read") {
            Step::Skip(len) | Step::Ignore(len) => bytes = &bytes[len..],
            Step::Envelope(_, Envelope::GoingAway(away)) => return away.code.value(),
            step => panic!("{step:?}"),
        }
    }
}

#[test]
fn prefaces_are_read_as_the_vectors_say() {
    for vector in vectors("prefaces") {
        let name = text(&vector, "name");
        let bytes = unhex(text(&vector, "hex"));
        let mut wire = Native::new().wire(Side::Accept, &Limits::DEFAULT);
        let outcome = wire
            .decode(&bytes)
            .map(|step| matches!(step, Step::Skip(8)));
        match outcome {
            Ok(skipped) => {
                assert!(skipped && wire.is_ready(), "{name}");
                assert_eq!(text(&vector, "verdict"), "ready", "{name}");
            }
            Err(error) => {
                assert_eq!(text(&vector, "verdict"), "closed", "{name}: {error}");
                assert_eq!(vector["code"], error.code().value(), "{name}: {error}");
            }
        }
    }
}

#[test]
fn frames_are_read_as_the_vectors_say() {
    let vectors = vectors("vectors");
    assert!(vectors.len() > 100, "the file holds the vectors");
    for vector in vectors {
        let name = format!("{} ({})", text(&vector, "name"), text(&vector, "format"));
        let bytes = unhex(text(&vector, "hex"));
        let mut wire = wire(text(&vector, "format"));
        match read(&mut *wire, &bytes) {
            Ok(Some(envelope)) => {
                assert_eq!(text(&vector, "verdict"), "envelope", "{name}: {envelope:?}");
                assert_eq!(vector["view"], view(&envelope), "{name}");
                again(&envelope, text(&vector, "format"), &name);
            }
            Ok(None) => assert_eq!(text(&vector, "verdict"), "ignored", "{name}"),
            Err(error) => {
                assert_eq!(text(&vector, "verdict"), "closed", "{name}: {error}");
                assert_eq!(
                    vector["code"],
                    farewell(&mut *wire, text(&vector, "format"), &error),
                    "{name}: {error}"
                );
            }
        }
    }
}

#[test]
fn messages_in_chunks_are_put_together_as_the_vectors_say() {
    let vectors = vectors("messages");
    assert!(vectors.len() > 30, "the file holds the vectors");
    for vector in vectors {
        let format = text(&vector, "format");
        let name = format!("{} ({format})", text(&vector, "name"));
        let bytes = unhex(text(&vector, "hex"));
        let mut wire = wire(format);
        // Its preface and its hello.
        wire.own_output(&mut Output::new());
        match messages(&mut *wire, &bytes) {
            Ok(heard) => {
                assert_eq!(text(&vector, "verdict"), "messages", "{name}: {heard:?}");
                let heard: Vec<_> = heard.iter().map(view).collect();
                assert_eq!(vector["messages"], Json::from(heard), "{name}");
                assert_eq!(vector["taken"], taken(&mut *wire, format), "{name}");
            }
            Err(error) => {
                assert_eq!(text(&vector, "verdict"), "closed", "{name}: {error}");
                let code = farewell(&mut *wire, format, &error);
                assert_eq!(vector["code"], code, "{name}: {error}");
            }
        }
    }
}

/// Everything that some whole frames say.
fn messages(wire: &mut dyn Wire, mut bytes: &[u8]) -> Result<Vec<Envelope<'static>>, WireError> {
    let mut heard = Vec::new();
    while !bytes.is_empty() {
        let used = match wire.decode(bytes)? {
            Step::Envelope(used, envelope) => {
                heard.push(envelope.into_owned());
                used
            }
            Step::Skip(used) | Step::Ignore(used) => used,
            step @ Step::Need(_) => panic!("{step:?}"),
        };
        bytes = &bytes[used..];
    }
    Ok(heard)
}

/// How many bytes of chunks the wire says that it has taken.
fn taken(wire: &mut dyn Wire, format: &str) -> u64 {
    let format = match format {
        "json" => Format::Json,
        "messagepack" => Format::MessagePack,
        _ => Format::Cbor,
    };
    let mut output = Output::new();
    wire.own_output(&mut output);
    let said = written(&mut output);
    let mut rest = said.as_slice();
    let mut taken = 0;
    while let Some((len, content)) = rest.split_first_chunk() {
        let len = usize::try_from(u32::from_be_bytes(*len)).expect("short");
        let (frame, behind) = content.split_at(len);
        if let Ok([25, bytes]) = format.decode::<[u64; 2]>(frame, &DecodeLimits::DEFAULT) {
            taken += bytes;
        }
        rest = behind;
    }
    taken
}

#[test]
fn bytes_in_json_are_read_as_the_vectors_say() {
    let vectors = vectors("bodies");
    assert!(vectors.len() > 10, "the file holds the vectors");
    for vector in vectors {
        let name = text(&vector, "name");
        let body = unhex(text(&vector, "hex"));
        match Format::NativeJson.decode::<Value>(&body, &DecodeLimits::DEFAULT) {
            Ok(value) => {
                assert_eq!(text(&vector, "verdict"), "value", "{name}: {value:?}");
                assert_eq!(vector["value"], shown(&value), "{name}");
                let mut again = Vec::new();
                let written = Format::NativeJson.encode(&value, &mut again);
                written.unwrap_or_else(|error| panic!("{name}: {error}"));
                let back = Format::NativeJson.decode::<Value>(&again, &DecodeLimits::DEFAULT);
                assert_eq!(back.as_ref(), Ok(&value), "{name}");
            }
            Err(error) => assert_eq!(text(&vector, "verdict"), "refused", "{name}: {error}"),
        }
    }
}

/// A value in the words of the vectors.
fn shown(value: &Value) -> Json {
    match value {
        Value::Bytes(bytes) => json!({"bytes": hex(bytes)}),
        Value::Array(elements) => elements.iter().map(shown).collect(),
        Value::Map(entries) => {
            let entries = entries.iter().map(|(key, value)| {
                let key = key.as_str().expect("a key of JSON").to_owned();
                (key, shown(value))
            });
            Json::Object(entries.collect())
        }
        other => serde_json::to_value(other).expect("the rest is JSON"),
    }
}

/// What is read can be written, and says the same then.
fn again(envelope: &Envelope<'_>, format: &str, name: &str) {
    let mut writer = wire(format);
    let mut output = Output::new();
    writer
        .encode(envelope, Lane::Data, &mut output)
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut chunk = OutputChunk::default();
    output.take(Lane::Data, &mut chunk);
    let read = read(&mut *wire(format), &chunk.bytes).expect("what was written can be read");
    assert_eq!(read.as_ref(), Some(envelope), "{name}");
}

/// An envelope in the words of the vectors.
fn view(envelope: &Envelope<'_>) -> Json {
    let mut view = Map::new();
    let mut put = |key: &str, value: Json| drop(view.insert(key.to_owned(), value));
    put("kind", envelope.kind().into());
    match envelope {
        Envelope::Hello(hello) => {
            put("version", hello.version.into());
            if let Some(limit) = hello.max_message_bytes {
                put("max_message_bytes", limit.into());
            }
            if let Some(limit) = hello.calls_in_flight {
                put("calls_in_flight", limit.into());
            }
            put("agent", (*hello.agent).into());
            if let Some(more) = &hello.more {
                for (name, value) in said(more) {
                    put(name, value);
                }
            }
        }
        Envelope::Request(request) => {
            put("id", id(&request.id));
            put("service", (*request.name.service).into());
            put("method", (*request.name.method).into());
            if let Some(timeout) = request.timeout {
                put(
                    "timeout_ms",
                    json!(u64::try_from(timeout.as_millis()).expect("short")),
                );
            }
            if !request.metadata.is_empty() {
                put("metadata", metadata(&request.metadata));
            }
            let Streams { window, input, .. } = request.streams;
            if let Some(window) = window {
                put("window", json!([window.items, window.bytes]));
            }
            if input {
                put("input", true.into());
            }
            put("params", bytes(&request.params));
        }
        Envelope::Notification(notification) => {
            put("service", (*notification.name.service).into());
            put("method", (*notification.name.method).into());
            if !notification.metadata.is_empty() {
                put("metadata", metadata(&notification.metadata));
            }
            put("params", bytes(&notification.params));
        }
        Envelope::Response(response) => {
            put("id", id(&response.id));
            match &response.result {
                Ok(result) => {
                    put("kind", "result".into());
                    put("result", bytes(result));
                }
                Err(error) => {
                    put("kind", "error".into());
                    error_fields(error, &mut put);
                }
            }
        }
        Envelope::Cancel(cancel) => {
            put("id", id(&cancel.id));
            let deadline = cancel.reason == CancelReason::Deadline;
            put(
                "reason",
                if deadline { "deadline" } else { "caller" }.into(),
            );
        }
        Envelope::Progress(progress) => {
            put("id", id(&progress.id));
            put("value", bytes(&progress.value));
            if let Some(note) = &progress.note {
                put("note", bytes(note));
            }
        }
        Envelope::Log(log) => {
            if let Some(call) = &log.id {
                put("id", id(call));
            }
            put("level", log.level.into());
            put("dropped", log.dropped.into());
            put("content", bytes(&log.content));
        }
        Envelope::Event(event) => {
            put("topic", (*event.topic).into());
            put("message", bytes(&event.message));
        }
        Envelope::Ping(number) | Envelope::Pong(number) => put("number", (*number).into()),
        Envelope::GoingAway(away) => {
            put("code", away.code.value().into());
            put("message", (*away.message).into());
        }
        Envelope::Items(items) => {
            put("id", id(&items.id));
            put("stream", stream(items.stream));
            let list = ItemBatch::new(items.batch.as_slice());
            put("items", list.map(|item| Json::from(hex(item))).collect());
        }
        Envelope::InputEnd(end) => {
            put("id", id(&end.id));
            if let Some(error) = &end.error {
                error_fields(error, &mut put);
            }
        }
        Envelope::Credit(credit) => {
            put("id", id(&credit.id));
            put("stream", stream(credit.stream));
            put("more", json!([credit.more.items, credit.more.bytes]));
        }
        Envelope::Stop(stop) => put("id", id(&stop.id)),
        Envelope::Accepted(call) => put("id", id(call)),
        other => panic!("no view of {}", other.kind()),
    }
    Json::Object(view)
}

fn metadata(metadata: &Metadata) -> Json {
    let entries = metadata
        .iter()
        .map(|(name, value)| (name.to_owned(), Json::from(value)));
    Json::Object(entries.collect())
}

fn error_fields(error: &RpcError, put: &mut impl FnMut(&str, Json)) {
    put("code", error.code().value().into());
    put("message", error.message().into());
    if let Some(data) = error.data() {
        put(
            "data",
            serde_json::to_value(data).expect("data of the vectors is JSON"),
        );
    }
}

fn stream(side: mynah::protocol::StreamSide) -> Json {
    u64::from(side == mynah::protocol::StreamSide::Input).into()
}

/// What few hellos say.
fn said(more: &MoreHello) -> Vec<(&'static str, Json)> {
    let opaque = |opaque: &Opaque| match opaque {
        Opaque::Text(text) => Json::from(&**text),
        Opaque::Bytes(bytes) => json!({"bytes": hex(bytes)}),
    };
    let mut said = Vec::new();
    if let Some((oldest, newest)) = more.versions {
        said.push(("versions", json!([oldest, newest])));
    }
    if let Some(format) = more.format {
        said.push(("format", format.into()));
    }
    if !more.features.is_empty() {
        said.push(("features", json!(more.features)));
    }
    if let Some(session) = &more.session {
        said.push(("session", opaque(session)));
    }
    if let Some(ack) = more.ack {
        said.push(("ack", ack.into()));
    }
    if !more.contracts.is_empty() {
        let contracts = more.contracts.iter();
        let contracts: Map<String, Json> = contracts
            .map(|(service, hash)| (service.to_string(), opaque(hash)))
            .collect();
        said.push(("contracts", contracts.into()));
    }
    said
}

fn id(id: &WireId) -> Json {
    match id {
        WireId::Uint(id) => (*id).into(),
        WireId::Text(id) => (**id).into(),
        other => panic!("{other:?}"),
    }
}

fn bytes(payload: &Payload<'_>) -> Json {
    hex(payload.as_slice()).into()
}

#[tokio::test]
async fn the_python_client_reads_the_vectors_the_same() {
    let stdout = run_script("native_vectors.py", &[]).await;
    let checked: usize = stdout
        .lines()
        .last()
        .and_then(|line| line.strip_suffix(" vectors hold"))
        .and_then(|count| count.parse().ok())
        .unwrap_or_else(|| panic!("{stdout}"));
    let readable = |vector: &&Json| text(vector, "format") != "messagepack";
    let all = ["vectors", "messages", "bodies"].map(vectors).concat();
    assert_eq!(checked, all.iter().filter(readable).count());
}
