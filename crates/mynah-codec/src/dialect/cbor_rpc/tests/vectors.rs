//! Every vector, whole, and cut at every byte.

use super::super::element::Codec;
use super::{CborRpcWire, cbor, encoded, hear, json, unhex, written};
use crate::{DecodeErrorKind, Output, Wire as _, WireError};
use mynah_protocol::{
    Cancel, CancelReason, Envelope, ErrorCode, Event, Log, Metadata, MethodName, Notification,
    Payload, Progress, Request, Response, RpcError, Streams, Value, WireId,
};
use serde_json::Value as Json;

const FILE: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../interop-tests/vectors/cbor-rpc.json"
));

fn vectors() -> Vec<Json> {
    let file: Json = serde_json::from_str(FILE).expect("the file is JSON");
    file["vectors"].as_array().expect("a list").clone()
}

fn name(vector: &Json) -> &str {
    vector["name"].as_str().expect("a name")
}

fn codec(vector: &Json) -> Codec {
    match vector["codec"].as_str() {
        Some("cbor") => Codec::Cbor,
        Some("json") => Codec::Json,
        other => panic!("codec {other:?}"),
    }
}

fn wire(codec: Codec) -> CborRpcWire {
    match codec {
        Codec::Cbor => cbor(),
        Codec::Json => json(),
    }
}

fn bytes(vector: &Json) -> Vec<u8> {
    match codec(vector) {
        Codec::Cbor => unhex(vector["hex"].as_str().expect("hex")),
        Codec::Json => vector["text"].as_str().expect("text").as_bytes().to_vec(),
    }
}

fn id(view: &Json) -> WireId {
    match view {
        Json::Null => WireId::Null,
        Json::String(text) => WireId::Text(text.as_str().into()),
        Json::Number(number) => match number.as_u64() {
            Some(number) => WireId::Uint(number),
            None => WireId::Int(number.as_i64().expect("an integer")),
        },
        Json::Object(bytes) => WireId::Verbatim(match bytes.get("hex") {
            Some(hex) => unhex(hex.as_str().expect("hex")).into(),
            None => bytes["text"].as_str().expect("text").as_bytes().into(),
        }),
        other => panic!("id {other}"),
    }
}

fn value(view: &Json) -> Value {
    match view {
        Json::Null => Value::Null,
        Json::Number(number) => Value::from(number.as_u64().expect("not negative")),
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(elements) => Value::Array(elements.iter().map(value).collect()),
        Json::Object(entries) => Value::Map(
            entries
                .iter()
                .map(|(key, entry)| (Value::from(&**key), value(entry)))
                .collect(),
        ),
        other @ Json::Bool(_) => panic!("value {other}"),
    }
}

fn text(view: &Json) -> String {
    view.as_str().expect("a text").to_owned()
}

fn payload(view: &Json, codec: Codec) -> Payload<'static> {
    let text = view.as_str().expect("a payload");
    let bytes = match codec {
        Codec::Cbor => unhex(text),
        Codec::Json => text.as_bytes().to_vec(),
    };
    Payload::owned(codec.id(), bytes.into())
}

fn envelope(view: &Json, codec: Codec) -> Envelope<'static> {
    let payload = |key: &str| payload(&view[key], codec);
    let method = || MethodName::from(("", view["method"].as_str().expect("a method")));
    let id = id(&view["id"]);
    match view["kind"].as_str().expect("a kind") {
        "request" => Envelope::Request(Request {
            streams: Streams::NONE,
            id,
            name: method(),
            timeout: None,
            metadata: Metadata::new(),
            params: payload("params"),
        }),
        "notification" => Envelope::Notification(Notification {
            name: method(),
            id: Some(id),
            metadata: Metadata::new(),
            params: payload("params"),
        }),
        "response" => Envelope::Response(Response {
            id,
            result: match view.get("message") {
                None => Ok(payload("result")),
                Some(message) => {
                    let code = view.get("code").and_then(Json::as_i64);
                    let code = code.map_or(ErrorCode::UNCODED, ErrorCode::from_wire);
                    let error = RpcError::new(code, text(message));
                    Err(Box::new(match view.get("data") {
                        Some(data) => error.with_data(value(data)),
                        None => error,
                    }))
                }
            },
        }),
        "cancel" => Envelope::Cancel(Cancel {
            id,
            reason: CancelReason::Caller,
        }),
        "log" => Envelope::Log(Log {
            id: (id != WireId::Null).then_some(id),
            level: view["level"].as_i64().expect("a level"),
            dropped: 0,
            content: payload("content"),
        }),
        "progress" => Envelope::Progress(Progress {
            id,
            value: payload("value"),
            note: (!view["note"].is_null()).then(|| payload("note")),
        }),
        "event" => Envelope::Event(Event {
            topic: text(&view["topic"]).into(),
            message: payload("message"),
        }),
        other => panic!("kind {other}"),
    }
}

fn breaks(error: &WireError, rule: &str) -> bool {
    match (rule, error) {
        ("limit", WireError::TooLarge { .. }) => true,
        ("limit", WireError::Decode(error)) => error.kind() == DecodeErrorKind::TooLong,
        ("malformed", WireError::Decode(error)) => error.kind() == DecodeErrorKind::Malformed,
        ("utf8", WireError::Decode(error)) => error.kind() == DecodeErrorKind::InvalidUtf8,
        ("depth", WireError::Decode(error)) => error.kind() == DecodeErrorKind::TooDeep,
        _ => false,
    }
}

#[test]
fn every_vector_gets_its_verdict() {
    for vector in vectors() {
        let name = name(&vector);
        let mut wire = wire(codec(&vector));
        let heard = hear(&mut wire, [&*bytes(&vector)]);
        match vector["verdict"].as_str().expect("a verdict") {
            "envelope" => {
                let wanted = envelope(&vector["view"], codec(&vector));
                assert_eq!(heard.envelopes, [wanted], "{name}: {heard:?}");
                assert_eq!(
                    (heard.ignored, heard.left, heard.error),
                    (0, 0, None),
                    "{name}"
                );
            }
            "ignored" => {
                assert_eq!((heard.ignored, heard.left), (1, 0), "{name}: {heard:?}");
                assert_eq!((wire.ignored(), heard.error), (1, None), "{name}");
                let mut output = Output::new();
                wire.own_output(&mut output);
                assert!(output.is_empty(), "{name} is answered");
            }
            "refused" => {
                assert_eq!((heard.ignored, heard.error), (1, None), "{name}");
                let mut output = Output::new();
                wire.own_output(&mut output);
                let answer = unhex(vector["answer"].as_str().expect("an answer"));
                assert_eq!(written(&mut output), answer, "{name}");
            }
            "closed" => {
                let error = heard
                    .error
                    .unwrap_or_else(|| panic!("{name} is not refused"));
                let rule = vector["error"].as_str().expect("a rule");
                assert!(breaks(&error, rule), "{name}: {error:?} is not {rule}");
                assert_eq!(heard.envelopes, [], "{name}");
            }
            other => panic!("verdict {other}"),
        }
    }
}

#[test]
fn golden_bytes_are_written_as_they_were_captured() {
    for vector in vectors() {
        if vector["verdict"] != "envelope" || vector.get("one_way").is_some() {
            continue;
        }
        let codec = codec(&vector);
        let written = encoded(&mut wire(codec), &envelope(&vector["view"], codec));
        match codec {
            Codec::Cbor => assert_eq!(written, bytes(&vector), "{}", name(&vector)),
            // The same value; white space is free.
            Codec::Json => {
                let read = |bytes| serde_json::from_slice::<Json>(bytes).expect("JSON");
                assert_eq!(read(&written), read(&bytes(&vector)), "{}", name(&vector));
            }
        }
    }
}

#[test]
fn l5_a_stream_cut_at_every_byte_gives_the_same_steps() {
    for codec in [Codec::Cbor, Codec::Json] {
        let vectors: Vec<_> = vectors()
            .into_iter()
            .filter(|vector| self::codec(vector) == codec && vector["verdict"] != "closed")
            // The deep ones make this quadratic test slow and show nothing more.
            .filter(|vector| bytes(vector).len() < 200)
            .collect();
        let mut stream = Vec::new();
        for vector in &vectors {
            stream.extend(bytes(vector));
        }
        let whole = hear(&mut wire(codec), [&*stream]);
        assert_eq!((whole.left, &whole.error), (0, &None));
        assert_eq!(whole.envelopes.len() + whole.ignored, vectors.len());
        for cut in 0..=stream.len() {
            let (left, right) = stream.split_at(cut);
            assert_eq!(
                hear(&mut wire(codec), [left, right]),
                whole,
                "{codec:?} cut at {cut}"
            );
        }
        assert_eq!(
            hear(&mut wire(codec), stream.chunks(1)),
            whole,
            "{codec:?} byte by byte"
        );
        assert_eq!(
            hear(&mut wire(codec), stream.chunks(7)),
            whole,
            "{codec:?} by sevens"
        );
    }
}

#[test]
fn l5_every_refused_stream_is_refused_byte_by_byte() {
    for vector in vectors()
        .iter()
        .filter(|vector| vector["verdict"] == "closed")
    {
        let bytes = bytes(vector);
        let whole = hear(&mut wire(codec(vector)), [&*bytes]).error;
        let pieces = hear(&mut wire(codec(vector)), bytes.chunks(1)).error;
        assert!(pieces.is_some(), "{}", name(vector));
        let kind = |error: Option<WireError>| error.map(|error| std::mem::discriminant(&error));
        assert_eq!(kind(pieces), kind(whole), "{}", name(vector));
    }
}
