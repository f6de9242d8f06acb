//! Lines without an end, depth, floods, and what the real peer sends that would hurt a careless reader.

use super::super::{HUB_LINE_BYTES, Kollabor, KollaborWire, MAX_DEPTH, MAX_LINE_BYTES};
use super::{Heard, encoded, hear, said, wire};
use crate::format::json;
use crate::{Dialect as _, EncodeError, Output, Step, Wire as _};
use mynah_protocol::{
    Envelope, ErrorCode, FormatId, Lane, Limits, Metadata, MethodName, Payload, Request, Response,
    RpcError, Streams, WireId,
};

fn short(limit: usize) -> KollaborWire {
    let limits = Limits::new().with_max_message_bytes(limit);
    KollaborWire::new(Kollabor::new(), &limits)
}

fn request(params: &[u8]) -> Envelope<'_> {
    Envelope::Request(Request {
        id: WireId::Uint(1),
        name: MethodName::new("arith", "add"),
        timeout: None,
        metadata: Metadata::new(),
        streams: Streams::NONE,
        params: Payload::lent(FormatId::Json, params),
    })
}

#[test]
fn limits_are_those_of_the_package() {
    assert_eq!(
        Kollabor::new().limits().decode.max_message_bytes,
        MAX_LINE_BYTES
    );
}

#[test]
fn l4_a_request_line_that_is_too_long_is_answered_and_the_next_is_read() {
    let long = format!(
        "{{\"action\": \"rpc_request\", \"request_id\": \"r1\", \"method\": \"m\", \"params\": {{\"t\": \"{}\"}}}}\n",
        "x".repeat(500)
    );
    let next = "{\"action\": \"rpc_cancel\", \"request_id\": \"r2\"}\r\n";
    let stream = format!("{long}{next}");
    let whole = hear(&mut short(200), [stream.as_bytes()]);
    assert_eq!(
        whole.said,
        "{\"action\": \"rpc_reply\", \"request_id\": \"r1\", \"result\": null, \"error\": \"request line exceeds limit of 200 bytes\", \"error_kind\": \"too_large\"}\n"
    );
    assert_eq!(whole.ignored, ["line is too long"]);
    assert_eq!(whole.envelopes.len(), 1);
    for size in [1, 3, 199, 200, 201, 202, 400] {
        let pieces = hear(&mut short(200), stream.as_bytes().chunks(size));
        assert_eq!(pieces, whole, "in pieces of {size}");
    }
}

#[test]
fn l4_a_line_without_an_end_is_answered_when_its_limit_is_reached_and_not_kept() {
    let mut wire = short(100);
    let mut buffer = b"{\"action\": \"rpc_request\", \"request_id\": \"r1\", \"p\": \"".to_vec();
    let mut answers = String::new();
    for _ in 0..1000 {
        buffer.extend_from_slice(&[b'x'; 50]);
        match wire.decode(&buffer).expect("the connection goes on") {
            Step::Need(_) => assert!(buffer.len() <= 101, "{} are kept", buffer.len()),
            Step::Skip(used) | Step::Ignore(used) => drop(buffer.drain(..used)),
            Step::Envelope(..) => panic!("there is none"),
        }
        answers.push_str(&said(&mut wire));
    }
    assert_eq!(answers.matches("too_large").count(), 1);
    assert_eq!(wire.ignored(), 1);
}

#[test]
fn l4_a_long_line_is_told_by_what_stands_at_its_start() {
    let reply = |id: &str, text: &str| {
        format!("{{\"action\": \"rpc_reply\", \"request_id\": {id}, \"result\": \"{text}\"}}\n")
    };
    let id = "\"00000000000000000000000000000005\"";
    let heard = hear(&mut short(100), [reply(id, &"x".repeat(200)).as_bytes()]);
    let [
        Envelope::Response(Response {
            id,
            result: Err(error),
        }),
    ] = heard.envelopes.as_slice()
    else {
        panic!("the call does not fail: {heard:?}");
    };
    assert_eq!((id, error.code()), (&WireId::Uint(5), ErrorCode::TOO_LARGE));
    // Neither an id that the limit cuts off nor one behind it is an id.
    let pad = "x".repeat(100);
    for line in [
        format!(
            "{{\"action\": \"rpc_request\", \"pad\": \"{}\", \"request_id\": 1234567}}\n",
            "x".repeat(45)
        ),
        format!("{{\"action\": \"rpc_request\", \"pad\": \"{pad}\", \"request_id\": 1}}\n"),
        format!("{{\"request_id\": 1, \"pad\": \"{pad}\", \"action\": \"rpc_request\"}}\n"),
        format!("{pad}{pad}\n"),
        format!("[\"{pad}\"]\n"),
    ] {
        assert!(line.len() > 101, "{line}");
        let heard = hear(&mut short(100), [line.as_bytes()]);
        let Heard {
            envelopes,
            ignored,
            said,
            ..
        } = heard;
        assert_eq!(ignored, ["line is too long"], "{line}");
        assert_eq!((envelopes.len(), &*said), (0, ""), "{line}");
    }
}

#[test]
fn lines_of_exactly_the_limit_pass() {
    let line = "{\"action\": \"rpc_cancel\", \"request_id\": \"r1\"}";
    for end in ["\n", "\r\n"] {
        let line = format!("{line}{end}");
        for pieces in [1, 20, 100] {
            let limit = line.trim_end().len();
            let heard = hear(&mut short(limit), line.as_bytes().chunks(pieces));
            assert_eq!(heard.envelopes.len(), 1, "{heard:?}");
            let heard = hear(&mut short(limit - 1), line.as_bytes().chunks(pieces));
            assert_eq!(heard.ignored, ["line is too long"]);
        }
    }
}

#[test]
fn l2_depth_is_counted_with_the_message_and_answered() {
    let line = |depth: usize| {
        format!(
            "{{\"action\": \"rpc_request\", \"request_id\": \"r1\", \"method\": \"m\", \"params\": {}{}}}\n",
            "[".repeat(depth - 1),
            "]".repeat(depth - 1)
        )
    };
    let deepest = usize::try_from(MAX_DEPTH).expect("small");
    assert_eq!(
        hear(&mut wire(), [line(deepest).as_bytes()])
            .envelopes
            .len(),
        1
    );
    for depth in [deepest + 1, 100_000] {
        let heard = hear(&mut wire(), [line(depth).as_bytes()]);
        assert_eq!(heard.ignored, ["line is no JSON"], "{depth}");
        assert!(heard.said.contains("nested deeper"), "{}", heard.said);
    }
}

#[test]
fn invalid_utf8_is_skipped_and_answered_if_an_id_was_seen() {
    let heard = hear(&mut wire(), [&b"\xff\xfe\n"[..]]);
    assert_eq!(
        (heard.ignored, &*heard.said),
        (vec!["line is no object"], "")
    );
    let line = b"{\"action\": \"rpc_request\", \"request_id\": \"r1\", \"method\": \"\xff\"}\n";
    let heard = hear(&mut wire(), [&line[..]]);
    assert_eq!(heard.ignored, ["line is no JSON"]);
    assert!(heard.said.contains("invalid_request"), "{}", heard.said);
}

#[test]
fn ids_and_names_are_bounded() {
    let long = "x".repeat(300);
    let line =
        format!("{{\"action\": \"rpc_request\", \"request_id\": \"{long}\", \"method\": \"m\"}}\n");
    let heard = hear(&mut wire(), [line.as_bytes()]);
    assert_eq!((heard.ignored, &*heard.said), (vec!["id is too long"], ""));
    let escaped = "\\u00e9".repeat(120);
    let line = format!(
        "{{\"action\": \"rpc_request\", \"request_id\": \"{escaped}\", \"method\": \"m\"}}\n"
    );
    assert_eq!(hear(&mut wire(), [line.as_bytes()]).envelopes.len(), 1);
    let line =
        format!("{{\"action\": \"rpc_request\", \"request_id\": 1, \"method\": \"{long}\"}}\n");
    let heard = hear(&mut wire(), [line.as_bytes()]);
    assert_eq!(heard.ignored, ["method is too long"]);
    assert!(
        heard.said.contains("exceeds limit of 256"),
        "{}",
        heard.said
    );
}

#[test]
fn f2_a_flood_of_bad_requests_is_answered_in_part() {
    let mut wire = wire();
    let line = b"{\"action\": \"rpc_request\", \"request_id\": 1}\n".repeat(10_000);
    let heard = hear(&mut wire, [&*line]);
    assert_eq!(heard.ignored.len(), 10_000);
    assert_eq!(heard.said.lines().count(), super::super::MAX_REFUSALS);
}

#[test]
fn a_last_line_needs_no_end() {
    let line = b"{\"action\": \"rpc_cancel\", \"request_id\": \"r1\"}";
    let mut wire = wire();
    assert!(matches!(wire.decode(line), Ok(Step::Need(1))));
    let step = wire.finish(line).expect("understood");
    assert!(matches!(step, Some(Step::Envelope(used, Envelope::Cancel(_))) if used == line.len()));
    // It asks whether the peer listens, once.
    assert_eq!((said(&mut wire), said(&mut wire)), ("\n".into(), "".into()));
    assert!(matches!(wire.finish(b""), Ok(None)));
    assert!(matches!(wire.finish(b"junk"), Ok(Some(Step::Ignore(4)))));
    assert!(matches!(wire.finish(b" \r"), Ok(Some(Step::Skip(2)))));
}

#[test]
fn what_this_wire_has_no_word_for_is_refused_and_nothing_is_written() {
    let mut metadata = Metadata::new();
    metadata.insert("a", "b");
    let Envelope::Request(mut with_metadata) = request(b"{}") else {
        panic!("a request");
    };
    with_metadata.metadata = metadata;
    for envelope in [Envelope::Ping(1), Envelope::Request(with_metadata)] {
        let mut output = Output::new();
        let refused = wire().encode(&envelope, Lane::Data, &mut output);
        assert!(
            matches!(refused, Err(EncodeError::Unsupported { .. })),
            "{refused:?}"
        );
        assert!(output.is_empty());
    }
    let mut output = Output::new();
    let cbor = Envelope::Response(Response {
        id: WireId::Uint(1),
        result: Ok(Payload::lent(FormatId::Cbor, b"\xf6")),
    });
    let refused = wire().encode(&cbor, Lane::Data, &mut output);
    assert!(matches!(refused, Err(EncodeError::Value(_))), "{refused:?}");
    assert!(output.is_empty());
}

#[test]
fn what_is_sent_has_the_limit_of_who_reads_it() {
    let text = |len: usize| format!("{{\"t\": \"{}\"}}", "x".repeat(len));
    let line = encoded(&mut wire(), &request(text(0).as_bytes()));
    let fits = HUB_LINE_BYTES - (line.len() - 1);
    let mut hub = KollaborWire::new(Kollabor::toward_hub(), &Limits::DEFAULT);
    let longest = encoded(&mut hub, &request(text(fits).as_bytes()));
    assert_eq!(longest.len(), HUB_LINE_BYTES + 1);
    let mut output = Output::new();
    let refused = hub.encode(&request(text(fits + 1).as_bytes()), Lane::Data, &mut output);
    assert!(
        matches!(refused, Err(EncodeError::TooLarge { len, limit: HUB_LINE_BYTES }) if len == HUB_LINE_BYTES + 1),
        "{refused:?}"
    );
    assert!(output.is_empty());
    // It reads as much as ever.
    let reply = format!(
        "{{\"action\": \"rpc_reply\", \"request_id\": \"r1\", \"result\": \"{}\"}}\n",
        "x".repeat(HUB_LINE_BYTES * 2)
    );
    assert_eq!(hear(&mut hub, [reply.as_bytes()]).envelopes.len(), 1);
}

#[test]
fn a_payload_of_several_lines_becomes_one() {
    let line = encoded(
        &mut wire(),
        &request(b"{\n  \"a\": \"\\n\",\r\n  \"b\": 1\n}"),
    );
    assert_eq!(line.matches('\n').count(), 1);
    assert!(line.contains(r#""params": {   "a": "\n","#), "{line}");
}

#[test]
fn errors_of_handlers_reach_python_as_such_whatever_their_code() {
    for (code, kind) in [
        (ErrorCode::application(7), "handler"),
        (ErrorCode::INVALID_PARAMS, "handler"),
        (ErrorCode::INTERNAL, "handler"),
        (ErrorCode::METHOD_NOT_FOUND, "not_found"),
        (ErrorCode::UNENCODABLE, "serialization"),
        (ErrorCode::TOO_LARGE, "serialization"),
        (ErrorCode::DEADLINE_EXCEEDED, "timeout"),
        (ErrorCode::CANCELLED, "cancelled"),
        (ErrorCode::DUPLICATE_ID, "invalid_request"),
        (ErrorCode::BUSY, "unavailable"),
        (ErrorCode::DRAINING, "unavailable"),
    ] {
        for text in ["why", ""] {
            let line = encoded(
                &mut wire(),
                &Envelope::Response(Response {
                    id: WireId::Text("r1".into()),
                    result: Err(Box::new(RpcError::new(code, text))),
                }),
            );
            let reply: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            assert_eq!(reply["error_kind"], kind);
            let is_failure =
                matches!(kind, "not_found" | "handler" | "serialization") || reply["error"] != "";
            assert!(is_failure, "Python takes {line} for a success");
        }
    }
}

#[test]
fn half_a_pair_is_refused_where_it_is_read() {
    let line = b"{\"action\": \"rpc_request\", \"request_id\": 1, \"method\": \"m\", \"params\": {\"t\": \"\\ud800\"}}\n";
    let heard = hear(&mut wire(), [&line[..]]);
    let [Envelope::Request(request)] = heard.envelopes.as_slice() else {
        panic!("{heard:?}");
    };
    let limits = wire().profile().decode_limits(&Limits::DEFAULT);
    let params = request.params.as_slice();
    let decoded = wire().format().decode::<serde_json::Value>(params, &limits);
    assert!(decoded.is_err_and(|error| error.to_string().contains("surrogate")));
    assert!(json::scan_with(params, &limits, json::Options::PYTHON_TEXT).is_err());
}
