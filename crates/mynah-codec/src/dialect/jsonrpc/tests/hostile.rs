//! Names, lines without an end, depth, floods, and what is said of errors.

use super::super::{CLAMATOR_MAX_DEPTH, MAX_REFUSALS};
use super::{JsonRpc, JsonRpcWire, encoded, hear, said, wire};
use crate::{EncodeError, Output, Step, Wire as _};
use mynah_protocol::{
    Envelope, ErrorCode, FormatId, Lane, Limits, Metadata, MethodName, Payload, Request, Response,
    RpcError, Streams, Value, WireId,
};

fn short(dialect: JsonRpc, limit: usize) -> JsonRpcWire {
    let limits = Limits::new().with_max_message_bytes(limit);
    JsonRpcWire::new(dialect, &limits)
}

fn request(service: &'static str, method: &'static str) -> Envelope<'static> {
    Envelope::Request(Request {
        id: WireId::Uint(1),
        name: MethodName::new(service, method),
        timeout: None,
        metadata: Metadata::new(),
        streams: Streams::NONE,
        params: Payload::lent(FormatId::Json, b"{}"),
    })
}

fn failure(error: RpcError) -> Envelope<'static> {
    Envelope::Response(Response {
        id: WireId::Text("u1".into()),
        result: Err(Box::new(error)),
    })
}

#[test]
fn names_that_clamator_refuses_are_not_sent() {
    for (service, method, text) in [
        ("", "add", "invalid service \"\""),
        ("Arith", "add", "invalid service \"Arith\""),
        ("1arith", "add", "invalid service \"1arith\""),
        ("a_b", "add", "invalid service \"a_b\""),
        ("arith\n", "add", "invalid service \"arith\n\""),
        ("arith", "", "invalid method \"\""),
        ("arith", "Add", "invalid method \"Add\""),
        ("arith", "add-up", "invalid method \"add-up\""),
        ("arith", "add.up", "invalid method \"add.up\""),
        ("arith", "add\n", "invalid method \"add\n\""),
    ] {
        let mut output = Output::new();
        let refused =
            wire(JsonRpc::clamator()).encode(&request(service, method), Lane::Data, &mut output);
        assert_eq!(refused, Err(EncodeError::Value(text.to_owned())));
        assert!(output.is_empty());
    }
    for (service, method) in [("arith", "add"), ("optio-engine-2-", "processId9")] {
        let line = encoded(&mut wire(JsonRpc::clamator()), &request(service, method));
        assert!(line.contains(&format!("\"{service}.{method}\"")), "{line}");
    }
    // The specification has no such rules.
    let line = encoded(&mut wire(JsonRpc::standard()), &request("", "Add up"));
    assert!(line.contains("\"method\":\"Add up\""), "{line}");
}

#[test]
fn l4_a_message_that_is_too_long_is_told_by_its_start() {
    let pad = "x".repeat(300);
    for (dialect, line, said) in [
        (
            JsonRpc::standard(),
            format!("{{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"m\",\"params\":[\"{pad}\"]}}\n"),
            "{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":-32005,\"message\":\"message exceeds limit of 150 bytes\"}}\n",
        ),
        // The id stands at the end.
        (
            JsonRpc::standard(),
            format!(
                "{{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":[\"{pad}\"],\"id\":7}} \r\n"
            ),
            "{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":-32005,\"message\":\"message exceeds limit of 150 bytes\"}}\n",
        ),
        (
            JsonRpc::clamator(),
            format!(
                "{{\"jsonrpc\": \"2.0\", \"method\": \"a.b\", \"params\": {{\"t\": \"{pad}\"}}, \"id\": \"u1\"}}\n"
            ),
            "{\"jsonrpc\": \"2.0\", \"id\": \"u1\", \"error\": {\"code\": -32005, \"message\": \"message exceeds limit of 150 bytes\", \"data\": null}}\n",
        ),
        // Nobody knows whose it is: whoever reads JSON-RPC by the book hears of it all the same.
        (
            JsonRpc::standard(),
            format!("{{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":[\"{pad}\"]}}\n"),
            "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32005,\"message\":\"message exceeds limit of 150 bytes\"}}\n",
        ),
        // This one is no member of the message, and that one no id of clamator's.
        (
            JsonRpc::clamator(),
            format!(
                "{{\"jsonrpc\": \"2.0\", \"method\": \"a.b\", \"params\": {{\"t\": \"{pad}\", \"id\": 7}}}}\n"
            ),
            "",
        ),
        (
            JsonRpc::clamator(),
            format!(
                "{{\"jsonrpc\": \"2.0\", \"method\": \"a.b\", \"params\": \"{pad},\\\"id\\\": 7}}\"}}\n"
            ),
            "",
        ),
    ] {
        for size in [1, 149, 150, 151, 1000] {
            let next = "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1}\n";
            let stream = format!("{line}{next}");
            let heard = hear(&mut short(dialect, 150), stream.as_bytes().chunks(size));
            assert_eq!(heard.ignored, ["message is too long"], "{line}");
            assert_eq!((heard.envelopes.len(), &*heard.said), (1, said), "{line}");
        }
    }
    let answer = format!("{{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":\"{pad}\"}}\n");
    let heard = hear(&mut short(JsonRpc::standard(), 150), [answer.as_bytes()]);
    let [
        Envelope::Response(Response {
            id: WireId::Uint(7),
            result: Err(error),
        }),
    ] = heard.envelopes.as_slice()
    else {
        panic!("{heard:?}");
    };
    assert_eq!(error.code(), ErrorCode::TOO_LARGE);
    let mut output = Output::new();
    let long = Envelope::Response(Response {
        id: WireId::Uint(7),
        result: Ok(Payload::owned(FormatId::Json, format!("\"{pad}\"").into())),
    });
    let refused = short(JsonRpc::standard(), 150).encode(&long, Lane::Data, &mut output);
    assert!(
        matches!(refused, Err(EncodeError::TooLarge { limit: 150, .. })),
        "{refused:?}"
    );
    assert!(output.is_empty());
}

#[test]
fn l2_clamator_nests_254_deep() {
    let result = |depth: usize| {
        format!(
            "{{\"jsonrpc\": \"2.0\", \"id\": \"u1\", \"result\": {}{}}}\n",
            "[".repeat(depth),
            "]".repeat(depth)
        )
    };
    for (depth, fits) in [(254, true), (1000, false), (100_000, false)] {
        let heard = hear(&mut wire(JsonRpc::clamator()), [result(depth).as_bytes()]);
        let [Envelope::Response(Response { result, .. })] = heard.envelopes.as_slice() else {
            panic!("{heard:?}");
        };
        match result {
            Ok(payload) => {
                let mut wire = wire(JsonRpc::clamator());
                let limits = wire.profile().decode_limits(&Limits::DEFAULT);
                assert_eq!(limits.max_depth, CLAMATOR_MAX_DEPTH);
                let value = wire.format().decode::<Value>(payload.as_slice(), &limits);
                let value = value.expect("the decoder takes as much");
                let mut again = Vec::new();
                wire.format().encode(&value, &mut again).expect("written");
                assert!(fits && again.len() == 2 * depth, "{depth}");
                assert_eq!(said(&mut wire), "");
            }
            Err(error) => {
                assert_eq!(
                    (fits, error.code()),
                    (false, ErrorCode::TOO_LARGE),
                    "{depth}"
                );
            }
        }
    }
}

#[test]
fn f2_a_flood_of_junk_is_answered_in_part() {
    let mut wire = wire(JsonRpc::standard());
    let heard = hear(&mut wire, [&*b"{}\n".repeat(10_000)]);
    assert_eq!(heard.ignored.len(), 10_000);
    assert_eq!(heard.said.lines().count(), MAX_REFUSALS);
}

#[test]
fn answers_that_mean_nothing_are_never_answered() {
    // Two peers that answer each other's errors would not stop.
    for line in [
        "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,\"message\":\"Parse error\"}}",
        "{\"jsonrpc\":\"1.0\",\"id\":null,\"error\":5}",
        "{\"error\":",
        "{\"jsonrpc\":\"2.0\",\"result\":1,\"error\":2}",
        "{\"jsonrpc\":\"2.0\",\"result\":[",
    ] {
        for dialect in [JsonRpc::standard(), JsonRpc::clamator()] {
            let heard = hear(&mut wire(dialect), [format!("{line}\n").as_bytes()]);
            assert_eq!((heard.ignored.len(), &*heard.said), (1, ""), "{line}");
        }
    }
}

#[test]
fn a_last_line_needs_no_end() {
    let line = b"{\"jsonrpc\":\"2.0\",\"method\":\"m\"}";
    let mut wire = wire(JsonRpc::standard());
    assert!(matches!(wire.decode(line), Ok(Step::Need(1))));
    let step = wire.finish(line).expect("understood");
    assert!(
        matches!(step, Some(Step::Envelope(used, Envelope::Notification(_))) if used == line.len())
    );
    assert_eq!(
        (said(&mut wire), said(&mut wire)),
        ("\n".into(), String::new())
    );
}

#[test]
fn a_last_line_that_is_too_long_is_answered_at_the_end() {
    let line = format!(
        "{{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":[\"{}\"],\"id\":7}}",
        "x".repeat(300)
    );
    let mut wire = short(JsonRpc::standard(), 150);
    hear(&mut wire, [line.as_bytes()]);
    assert!(matches!(wire.finish(b""), Ok(Some(Step::Skip(0)))));
    assert_eq!(
        said(&mut wire),
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":-32005,\"message\":\"message exceeds limit of 150 bytes\"}}\n\n"
    );
    assert!(matches!(wire.finish(b""), Ok(None)));
}

#[test]
fn what_is_no_id_is_not_sent_back() {
    for id in ["NaN", "-Infinity", "{\"a\":1}", "[1,\n2]", "true"] {
        for line in [
            format!("{{\"id\":{id},x}}\n"),
            format!(
                "{{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":[\"{}\"],\"id\":{id}}}\n",
                "x".repeat(300)
            ),
        ] {
            if line.trim_end().contains('\n') {
                continue;
            }
            let mut wire = short(JsonRpc::standard(), 150);
            let said = hear(&mut wire, [line.as_bytes()]).said;
            assert!(
                said.is_empty() || said.starts_with("{\"jsonrpc\":\"2.0\",\"id\":null,"),
                "{line} {said}"
            );
        }
    }
}

#[test]
fn what_this_side_says_has_the_texts_of_the_specification() {
    let unknown = || RpcError::new(ErrorCode::METHOD_NOT_FOUND, "method not found: foobar");
    let params = || RpcError::new(ErrorCode::INVALID_PARAMS, "invalid params: b is missing");
    let panic = || RpcError::new(ErrorCode::INTERNAL, "internal error, incident 1-2");
    let own = || RpcError::new(ErrorCode::METHOD_NOT_FOUND, "no such plugin");
    for (error, standard, clamator) in [
        (
            unknown(),
            r#"{"code":-32601,"message":"Method not found"}"#,
            r#"{"code": -32601, "message": "Method not found", "data": null}"#,
        ),
        (
            params(),
            r#"{"code":-32602,"message":"Invalid params","data":"invalid params: b is missing"}"#,
            r#"{"code": -32602, "message": "Invalid params", "data": {"errors": [{"type": "invalid", "loc": [], "msg": "invalid params: b is missing"}]}}"#,
        ),
        (
            params().with_data(Value::Map(vec![("errors".into(), Value::Array(vec![]))])),
            r#"{"code":-32602,"message":"Invalid params","data":{"errors":[]}}"#,
            r#"{"code": -32602, "message": "Invalid params", "data": {"errors": []}}"#,
        ),
        (
            panic(),
            r#"{"code":-32603,"message":"Internal error","data":"internal error, incident 1-2"}"#,
            r#"{"code": -32603, "message": "Internal error", "data": {"name": "InternalError", "message": "internal error, incident 1-2"}}"#,
        ),
        // What a handler says is its own.
        (
            own(),
            r#"{"code":-32601,"message":"no such plugin"}"#,
            r#"{"code": -32601, "message": "no such plugin", "data": null}"#,
        ),
        (
            RpcError::new(ErrorCode::from_wire(-1), ""),
            r#"{"code":-1,"message":""}"#,
            r#"{"code": -1, "message": "", "data": null}"#,
        ),
    ] {
        let line = encoded(&mut wire(JsonRpc::standard()), &failure(error.clone()));
        assert_eq!(
            line,
            format!("{{\"jsonrpc\":\"2.0\",\"id\":\"u1\",\"error\":{standard}}}\n")
        );
        let line = encoded(&mut wire(JsonRpc::clamator()), &failure(error));
        assert_eq!(
            line,
            format!("{{\"jsonrpc\": \"2.0\", \"id\": \"u1\", \"error\": {clamator}}}\n")
        );
    }
}

#[test]
fn nan_is_read_from_python_and_never_written() {
    let wire = wire(JsonRpc::clamator());
    let limits = wire.profile().decode_limits(&Limits::DEFAULT);
    let read = wire.format().decode::<f64>(b"NaN", &limits);
    assert!(read.is_ok_and(f64::is_nan));
    let mut out = Vec::new();
    assert!(wire.format().encode(&f64::NAN, &mut out).is_err());
    assert!(out.is_empty());
}
