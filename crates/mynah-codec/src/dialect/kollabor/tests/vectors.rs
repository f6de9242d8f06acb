//! Every vector, whole, and cut at every byte.

use super::{encoded, hear, wire};
use mynah_protocol::{
    Cancel, CancelReason, Envelope, ErrorCode, FormatId, Metadata, MethodName, Payload, Request,
    Response, RpcError, Streams, Value, WireId,
};
use serde_json::Value as Json;
use std::time::Duration;

const FILE: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../interop-tests/vectors/kollabor.json"
));

fn vectors() -> Vec<Json> {
    let file: Json = serde_json::from_str(FILE).expect("the file is JSON");
    file["vectors"].as_array().expect("a list").clone()
}

fn text<'j>(vector: &'j Json, key: &str) -> &'j str {
    vector[key].as_str().expect("a text")
}

fn line(vector: &Json) -> Vec<u8> {
    format!("{}\n", text(vector, "text")).into_bytes()
}

fn id(view: &Json) -> WireId {
    match view {
        Json::Null => WireId::Null,
        Json::String(text) => WireId::Text(text.as_str().into()),
        Json::Number(number) => WireId::Uint(number.as_u64().expect("an id of this side")),
        spelled => WireId::Verbatim(text(spelled, "text").as_bytes().into()),
    }
}

fn payload(view: &Json, key: &str) -> Payload<'static> {
    let bytes = text(view, key).as_bytes().to_vec();
    Payload::owned(FormatId::Json, bytes.into())
}

fn envelope(view: &Json) -> Envelope<'static> {
    let id = id(&view["id"]);
    match text(view, "kind") {
        "request" => Envelope::Request(Request {
            id,
            name: MethodName::from(("", text(view, "method"))),
            timeout: view["timeout"].as_f64().map(Duration::from_secs_f64),
            metadata: Metadata::new(),
            streams: Streams::NONE,
            params: payload(view, "params"),
        }),
        "response" => Envelope::Response(Response {
            id,
            result: match view.get("message") {
                None => Ok(payload(view, "result")),
                Some(message) => {
                    let code = ErrorCode::from_wire(view["code"].as_i64().expect("a code"));
                    let error = RpcError::new(code, message.as_str().unwrap_or_default());
                    Err(Box::new(match view.get("data") {
                        Some(data) => {
                            let data = serde_json::from_value::<Value>(data.clone());
                            error.with_data(data.expect("a value"))
                        }
                        None => error,
                    }))
                }
            },
        }),
        "cancel" => Envelope::Cancel(Cancel {
            id,
            reason: match text(view, "reason") {
                "deadline" => CancelReason::Deadline,
                _ => CancelReason::Caller,
            },
        }),
        other => panic!("kind {other}"),
    }
}

#[test]
fn every_vector_gets_its_verdict() {
    for vector in vectors() {
        let name = text(&vector, "name");
        let mut wire = wire();
        let heard = hear(&mut wire, [&*line(&vector)]);
        assert_eq!(heard.left, 0, "{name}");
        match text(&vector, "verdict") {
            "envelope"
                if vector["view"]["message"].is_null() && vector["view"]["code"].is_i64() =>
            {
                let [
                    Envelope::Response(Response {
                        id,
                        result: Err(error),
                    }),
                ] = heard.envelopes.as_slice()
                else {
                    panic!("{name}: {heard:?}");
                };
                assert_eq!(*id, self::id(&vector["view"]["id"]), "{name}");
                assert_eq!(
                    Some(error.code().value()),
                    vector["view"]["code"].as_i64(),
                    "{name}"
                );
            }
            "envelope" => {
                let wanted = envelope(&vector["view"]);
                assert_eq!(heard.envelopes, [wanted], "{name}: {heard:?}");
                assert_eq!(heard.ignored, [""; 0], "{name}");
                assert_eq!(heard.said, "", "{name}");
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
fn lines_are_written_as_the_package_writes_them() {
    let mut any = false;
    for vector in vectors() {
        if vector["verdict"] != "envelope" || vector.get("one_way").is_some() {
            continue;
        }
        any = true;
        let written = encoded(&mut wire(), &envelope(&vector["view"]));
        assert_eq!(
            written.as_bytes(),
            line(&vector),
            "{}: {written}",
            text(&vector, "name")
        );
    }
    assert!(any, "no vector is written");
}

#[test]
fn l5_a_stream_cut_anywhere_gives_the_same_steps() {
    let mut lines: Vec<_> = vectors().iter().map(line).collect();
    for (number, line) in lines.iter_mut().enumerate() {
        if number % 3 == 0 {
            // CR LF ends a line too.
            line.insert(line.len() - 1, b'\r');
        }
        line.extend(&b"\n \r\n"[..number % 4]);
        line.push(b'\n');
    }
    let all = hear(&mut wire(), [&*lines.concat()]);
    assert_eq!(all.left, 0);
    assert_eq!(all.envelopes.len() + all.ignored.len(), lines.len());
    for three in lines.windows(3) {
        let stream = three.concat();
        let whole = hear(&mut wire(), [&*stream]);
        assert_eq!(whole.envelopes.len() + whole.ignored.len(), 3);
        for cut in 0..=stream.len() {
            let (left, right) = stream.split_at(cut);
            assert_eq!(hear(&mut wire(), [left, right]), whole, "cut at {cut}");
        }
        for size in [1, 7, 100] {
            assert_eq!(hear(&mut wire(), stream.chunks(size)), whole, "by {size}");
        }
    }
}
