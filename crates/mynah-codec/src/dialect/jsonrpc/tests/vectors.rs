//! Every vector, as a message, as a line, and cut at every byte.

use super::super::{Messages, Read};
use super::{JsonRpc, encoded, hear, wire};
use crate::format::json;
use mynah_protocol::{
    DecodeLimits, Envelope, ErrorCode, FormatId, Limits, Metadata, MethodName, Notification,
    Payload, Request, Response, RpcError, Streams, Value, WireId,
};
use serde_json::Value as Json;

const FILE: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../interop-tests/vectors/jsonrpc.json"
));

fn vectors() -> Vec<Json> {
    let file: Json = serde_json::from_str(FILE).expect("the file is JSON");
    file["vectors"].as_array().expect("a list").clone()
}

fn text<'j>(vector: &'j Json, key: &str) -> &'j str {
    vector[key].as_str().expect("a text")
}

fn dialect(vector: &Json) -> JsonRpc {
    match text(vector, "flavor") {
        "standard" => JsonRpc::standard(),
        "clamator" => JsonRpc::clamator(),
        other => panic!("flavor {other}"),
    }
}

fn line(vector: &Json) -> Vec<u8> {
    format!("{}\n", text(vector, "text")).into_bytes()
}

fn id(view: &Json) -> WireId {
    match view {
        Json::Null => WireId::Null,
        Json::String(text) => WireId::Text(text.as_str().into()),
        Json::Number(number) => match number.as_u64() {
            Some(number) => WireId::Uint(number),
            None => WireId::Int(number.as_i64().expect("an integer")),
        },
        spelled => WireId::Verbatim(text(spelled, "text").as_bytes().into()),
    }
}

fn payload(view: &Json, key: &str) -> Payload<'static> {
    let bytes = text(view, key).as_bytes().to_vec();
    Payload::owned(FormatId::Json, bytes.into())
}

fn envelope(view: &Json) -> Envelope<'static> {
    let name = || MethodName::from((text(view, "service"), text(view, "method")));
    match text(view, "kind") {
        "request" => Envelope::Request(Request {
            id: id(&view["id"]),
            name: name(),
            timeout: None,
            metadata: Metadata::new(),
            streams: Streams::NONE,
            params: payload(view, "params"),
        }),
        "notification" => Envelope::Notification(Notification {
            id: None,
            name: name(),
            metadata: Metadata::new(),
            params: payload(view, "params"),
        }),
        "response" => Envelope::Response(Response {
            id: id(&view["id"]),
            result: match view.get("message") {
                None => Ok(payload(view, "result")),
                Some(message) => {
                    let code = ErrorCode::from_wire(view["code"].as_i64().expect("a code"));
                    let error = RpcError::new(code, message.as_str().expect("a text"));
                    Err(Box::new(match view.get("data") {
                        Some(data) => {
                            let data = data.as_str().expect("a text").as_bytes();
                            let data = json::decode::<Value>(data, &DecodeLimits::DEFAULT);
                            error.with_data(data.expect("a value"))
                        }
                        None => error,
                    }))
                }
            },
        }),
        other => panic!("kind {other}"),
    }
}

#[test]
fn every_vector_gets_its_verdict() {
    for vector in vectors() {
        let name = text(&vector, "name");
        let mut wire = wire(dialect(&vector));
        let heard = hear(&mut wire, [&*line(&vector)]);
        match text(&vector, "verdict") {
            "envelope" => {
                let wanted = envelope(&vector["view"]);
                assert_eq!(heard.envelopes, [wanted], "{name}: {heard:?}");
                assert_eq!((heard.ignored.len(), &*heard.said), (0, ""), "{name}");
            }
            verdict @ ("ignored" | "refused") => {
                assert_eq!(heard.envelopes, [], "{name}");
                assert_eq!(heard.ignored, [text(&vector, "why")], "{name}");
                assert_eq!(wire.ignored(), 1, "{name}");
                let answer = match verdict {
                    "refused" => format!("{}\n", text(&vector, "answer")),
                    _ => String::new(),
                };
                assert_eq!(heard.said, answer, "{name}");
            }
            other => panic!("verdict {other}"),
        }
    }
}

#[test]
fn a_message_says_the_same_without_a_line_around_it() {
    for vector in vectors() {
        let name = text(&vector, "name");
        let mut messages = Messages::new(dialect(&vector), &Limits::DEFAULT);
        let text = text(&vector, "text");
        match messages.read(text.as_bytes()) {
            Read::Envelope(read) => {
                assert_eq!(read, envelope(&vector["view"]), "{name}");
            }
            Read::Ignored(why) => assert_eq!(
                (&vector["verdict"], &vector["why"]),
                (&"ignored".into(), &why.into()),
                "{name}"
            ),
            Read::Refused(answer, why) => {
                assert_eq!(
                    (&vector["verdict"], &vector["why"]),
                    (&"refused".into(), &why.into()),
                    "{name}"
                );
                let mut out = Vec::new();
                let answer = Envelope::Response(answer);
                messages.write(&answer, &mut out).expect("it can be said");
                assert_eq!(
                    String::from_utf8(out).expect("text"),
                    vector["answer"],
                    "{name}"
                );
            }
        }
    }
}

#[test]
fn messages_are_written_as_they_were_captured() {
    let mut any = 0;
    for vector in vectors() {
        let wanted = match vector.get("written") {
            None => continue,
            Some(Json::String(text)) => text,
            Some(_) => text(&vector, "text"),
        };
        any += 1;
        let written = encoded(&mut wire(dialect(&vector)), &envelope(&vector["view"]));
        assert_eq!(written, format!("{wanted}\n"), "{}", text(&vector, "name"));
    }
    assert!(any >= 40, "{any} vectors are written");
}

#[test]
fn l5_a_stream_cut_anywhere_gives_the_same_steps() {
    for flavor in ["standard", "clamator"] {
        let vectors: Vec<_> = vectors()
            .into_iter()
            .filter(|vector| vector["flavor"] == flavor)
            .collect();
        let dialect = dialect(&vectors[0]);
        let lines: Vec<_> = vectors.iter().map(line).collect();
        for three in lines.windows(3) {
            let stream = three.join(&b"\r\n"[..]);
            let whole = hear(&mut wire(dialect), [&*stream]);
            assert_eq!(whole.envelopes.len() + whole.ignored.len(), 3);
            for cut in 0..=stream.len() {
                let (left, right) = stream.split_at(cut);
                assert_eq!(
                    hear(&mut wire(dialect), [left, right]),
                    whole,
                    "cut at {cut}"
                );
            }
            for size in [1, 7] {
                assert_eq!(
                    hear(&mut wire(dialect), stream.chunks(size)),
                    whole,
                    "by {size}"
                );
            }
        }
    }
}
