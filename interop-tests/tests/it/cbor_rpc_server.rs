//! R: a Rust server, the Python client of the real package; and a scripted client for what no client says.

use crate::harness::{
    Codec, Raw, Recorder, RustServer, Venv, eventually, hex, run_client, run_client_with, unhex,
    vectors, within,
};
use crate::transcript::Transcript;
use mynah::Value;
use mynah::dialect::CborRpc;
use mynah::prelude::*;
use mynah_codec::dialect::cbor_rpc::Padding;
use mynah_protocol::{Envelope, WireId};
use std::time::Duration;

async fn serve() -> RustServer {
    RustServer::start(CborRpc::cbor()).await
}

async fn scenario(name: &str) -> RustServer {
    let server = serve().await;
    run_client(server.port, Codec::Cbor, name).await;
    server
}

#[tokio::test]
async fn check_01_r_golden_bytes_of_the_python_client_are_understood_and_answered() {
    let server = serve().await;
    let recorder = Recorder::start(server.port).await;
    run_client(recorder.port, Codec::Cbor, "golden").await;
    let said = Transcript::read(&recorder.client_said(), &recorder.server_said());
    // What the package says, with its ids from 0 in the order of its calls.
    let wanted = [
        "8501000063616464820203",
        "85010001646563686f81a162c3a983f6f501",
        "85010002646661696c8164626f6f6d",
        "85010103646e6f74658107",
        "85010004696c6f6e675f7461736b8101",
        "8501000564736c6f7781191388",
        "83010305",
        "840300646e6f7465a1616b01",
        "850100066963616c6c5f6261636b816470696e67",
        "85010200f564706f6e67",
    ];
    assert_eq!(said.caller(), wanted);
    // What this side answers: the captured bytes, its own calls counted from 0 as well.
    let answers = said.callee();
    let wanted = [
        "85010200f505",
        "85010201f5a162c3a983f6f501",
        "85010202f464626f6f6d",
        "840300656e6f74656407",
        "85020004016463726974",
        "8502000402647761726e",
        "850200040364696e666f",
        "850200040467766572626f7365",
        "8502000405656465627567",
        "850201041864a1647374657001",
        "85010204f5a165737465707301",
        "850100006470696e6780",
        "85010206f564706f6e67",
    ];
    // The answer to the cancelled call is the one that differs: the handler was stopped, and says so.
    let answers: Vec<_> = answers
        .into_iter()
        .filter(|frame| !frame.starts_with("85010205f4"))
        .collect();
    assert_eq!(answers, wanted);
}

#[tokio::test]
async fn check_02_r_values_of_every_kind_are_echoed() {
    scenario("echo").await;
}

#[tokio::test]
async fn check_02_r_values_of_every_kind_survive_a_call_back() {
    scenario("echo_back").await;
}

#[tokio::test]
async fn check_03_r_an_error_is_exactly_the_text_of_the_handler() {
    scenario("errors").await;
}

#[tokio::test]
async fn check_04_r_logs_and_progress_come_in_order_before_the_reply() {
    scenario("side_messages").await;
}

#[tokio::test]
async fn check_06_r_a_cancel_stops_the_handler() {
    let server = scenario("cancel").await;
    eventually("nothing runs", || idle(&server)).await;
}

#[tokio::test]
async fn check_07_r_a_cancel_before_its_call_does_no_harm() {
    let server = scenario("cancel_first").await;
    // Better than the package, which runs such a call to its end.
    assert_eq!(
        server.here.remembered().started,
        0,
        "the cancelled call was run"
    );
}

#[tokio::test]
async fn check_07_r_a_cancel_before_its_call_of_the_version_before() {
    let server = serve().await;
    run_client_with(Venv::Old, server.port, Codec::Cbor, &["cancel_first"]).await;
    assert_eq!(
        server.here.remembered().started,
        0,
        "the cancelled call was run"
    );
}

#[tokio::test]
async fn check_08_r_a_timeout_of_the_client_cancels_the_handler() {
    scenario("timeout").await;
}

#[tokio::test]
async fn check_08_r_a_timeout_of_the_version_before_sends_no_cancel() {
    let server = serve().await;
    run_client_with(Venv::Old, server.port, Codec::Cbor, &["timeout", "no"]).await;
}

#[tokio::test]
async fn check_09_r_a_fire_is_never_answered() {
    let server = serve().await;
    let recorder = Recorder::start(server.port).await;
    run_client(recorder.port, Codec::Cbor, "fire").await;
    let said = Transcript::read(&recorder.client_said(), &recorder.server_said());
    for frame in &said.heard_by_caller {
        if let Envelope::Response(response) = frame {
            let asked = said.said_by_caller.iter().any(
                |said| matches!(said, Envelope::Request(request) if request.id == response.id),
            );
            assert!(asked, "an answer to a fire: {response:?}");
        }
    }
}

#[tokio::test]
async fn check_10_r_events_reach_the_waiter_and_the_handler() {
    scenario("events").await;
}

#[tokio::test]
async fn check_10_r_events_of_the_client_reach_the_waiter_and_the_handler() {
    for (venv, codec, dialect) in [
        (Venv::Current, Codec::Cbor, CborRpc::cbor()),
        (Venv::Old, Codec::Cbor, CborRpc::cbor()),
        (Venv::Current, Codec::Json, CborRpc::json(Padding::Python)),
    ] {
        let server = RustServer::start(dialect).await;
        run_client_with(venv, server.port, codec, &["events_up"]).await;
    }
}

#[tokio::test]
async fn check_10_r_events_of_the_server_in_json_and_to_the_version_before() {
    let server = RustServer::start(CborRpc::json(Padding::Python)).await;
    run_client(server.port, Codec::Json, "events").await;
    let server = serve().await;
    run_client_with(Venv::Old, server.port, Codec::Cbor, &["events"]).await;
}

/// One event to every client, of either version, and one that is published and pushed.
#[tokio::test]
async fn check_10_r_events_to_all_clients() {
    let server = serve().await;
    server.handle.events().push("pushed");
    let port = server.port;
    let clients: Vec<_> = [Venv::Current, Venv::Current, Venv::Old]
        .into_iter()
        .map(|venv| {
            tokio::spawn(async move {
                let scenario = ["hears_all", "to all", "pushed"];
                run_client_with(venv, port, Codec::Cbor, &scenario).await
            })
        })
        .collect();
    eventually("all of them listen", || {
        server.here.remembered().notes.len() == 3
    })
    .await;
    let message = |topic: &str| {
        let values = Value::Array(vec![Value::from(1_u64), Value::Null]);
        Value::Map(vec![
            (Value::from("topic"), Value::from(topic)),
            (Value::from("n"), values),
        ])
    };
    let to_all = message("to all");
    let told = server.handle.broadcast("to all", &to_all).await;
    assert_eq!(told.expect("it can be written").subscribers, 3);
    let pushed = message("pushed");
    let told = server.handle.events().publish("pushed", &pushed);
    assert_eq!(told.await.expect("it can be written").subscribers, 3);
    for client in clients {
        within("the client ends", client)
            .await
            .expect("every check of the client passed");
    }
    eventually("nobody is fed any more", || {
        server.handle.events().subscribers("pushed") == 0
    })
    .await;
}

#[tokio::test]
async fn check_11_r_call_backs_errors_through_hops_and_recursion() {
    let server = scenario("call_back").await;
    eventually("nothing runs", || idle(&server)).await;
}

#[tokio::test]
async fn check_12_r_a_system_log_goes_to_call_0_or_to_the_log() {
    let server = serve().await;
    let output = run_client(server.port, Codec::Cbor, "system_log").await;
    let printed = "[Remote System Log] when it is not";
    assert!(output.stderr.contains(printed), "{}", output.stderr);
}

#[tokio::test]
async fn check_12_r_a_system_log_of_the_client_is_heard() {
    for venv in [Venv::Current, Venv::Old] {
        let server = serve().await;
        run_client_with(venv, server.port, Codec::Cbor, &["system_log_up"]).await;
    }
    let server = RustServer::start(CborRpc::json(Padding::Python)).await;
    run_client(server.port, Codec::Json, "system_log_up").await;
}

/// The id 0 while a call 0 of this side's peer runs, and null: both are the connection.
#[tokio::test]
async fn check_12_r_a_log_for_0_or_null_is_one_of_the_connection() {
    let server = serve().await;
    let mut raw = Raw::cbor(server.port).await;
    raw.bytes(&unhex("8501000064736c6f77811a000f4240")).await;
    eventually("call 0 runs", || server.here.remembered().started == 1).await;
    raw.bytes(&unhex("8502000002626869 850200f61832f5 850200200361 78"))
        .await;
    // The last one names a call that is not there.
    raw.bytes(&unhex(PROBE)).await;
    assert_eq!(reply(&mut raw, &WireId::Uint(4711)).await, Ok(unhex("05")));
    let logs = server.here.remembered().logs.clone();
    assert_eq!(logs, [(2, Value::from("hi")), (50, Value::from(true))]);
}

#[tokio::test]
async fn check_13_r_many_calls_at_once() {
    scenario("many").await;
}

#[tokio::test]
async fn check_13_r_slow_large_messages_both_ways() {
    scenario("large").await;
}

/// The reply to an id, whatever else comes before it.
async fn reply(raw: &mut Raw, id: &WireId) -> Result<Vec<u8>, String> {
    loop {
        if let Envelope::Response(response) = raw.hear().await.expect("the server stays")
            && response.id == *id
        {
            let result = response.result.map(|payload| payload.as_slice().to_vec());
            return result.map_err(|error| error.message().to_owned());
        }
    }
}

/// A date that is none, a time that is a text, a decimal without its two numbers, an UUID of three bytes.
pub(crate) const MALFORMED_TAGS: &[&str] = &[
    "c06a6e6f7420612064617465",
    "c16178",
    "c48101",
    "d82543010203",
];

const PROBE: &str = "8501001912676361646482020 3";

#[tokio::test]
async fn check_14_r_a_frame_byte_by_byte() {
    let server = serve().await;
    let mut raw = Raw::cbor(server.port).await;
    for byte in unhex("85010001 646563686f 81a162c3a983f6f501") {
        raw.bytes(&[byte]).await;
    }
    assert_eq!(
        reply(&mut raw, &WireId::Uint(1)).await,
        Ok(unhex("a162c3a983f6f501"))
    );
}

#[tokio::test]
async fn check_14_r_several_frames_in_one_write() {
    let server = serve().await;
    let mut raw = Raw::cbor(server.port).await;
    let mut frames = Vec::new();
    for id in 0..64_u8 {
        frames.extend([&[0x85, 1, 0, 0x18, id][..], &unhex("63616464820203")].concat());
    }
    raw.bytes(&frames).await;
    for id in 0..64 {
        assert_eq!(reply(&mut raw, &WireId::Uint(id)).await, Ok(unhex("05")));
    }
}

#[tokio::test]
async fn check_14_r_every_spelling_of_a_call_is_answered_under_its_id() {
    let server = serve().await;
    let mut raw = Raw::cbor(server.port).await;
    // Frame, id in the answer, result.
    for (frame, id, result) in [
        ("9f01000163616464820203ff", WireId::Uint(1), "05"),
        ("85010002636164649f0203ff", WireId::Uint(2), "05"),
        ("85010003 7f 6161 626464 ff 820203", WireId::Uint(3), "05"),
        (
            "9805 1801 190000 1a00000004 63616464 821802 1b0000000000000003",
            WireId::Uint(4),
            "05",
        ),
        (
            "8501001b0000010000000000 63616464 820203",
            WireId::Uint(1 << 40),
            "05",
        ),
        (
            "85010063616263 63616464 820203",
            WireId::Text("abc".into()),
            "05",
        ),
        ("850100f6 63616464 820203", WireId::Null, "05"),
        ("85010020 63616464 820203", WireId::Int(-1), "05"),
        (
            "850100c249010000000000000000 63616464 820203",
            WireId::Verbatim(unhex("c249010000000000000000").into()),
            "05",
        ),
        (
            "850100820102 63616464 820203",
            WireId::Verbatim(unhex("820102").into()),
            "05",
        ),
        (
            "85010005646563686f81f93e00",
            WireId::Uint(5),
            "fb3ff8000000000000",
        ),
        (
            "85010005646563686f81fa3fc00000",
            WireId::Uint(5),
            "fb3ff8000000000000",
        ),
        (
            "85010006646563686f819f01 9f02ff ff",
            WireId::Uint(6),
            "82018102",
        ),
        (
            "85010007646563686f815f4100 41ff ff",
            WireId::Uint(7),
            "4200ff",
        ),
        (
            "85010008646563686f81bf6161 01ff",
            WireId::Uint(8),
            "a1616101",
        ),
        (
            "85010008646563686f81a2616101616102",
            WireId::Uint(8),
            "a1616102",
        ),
    ] {
        raw.bytes(&unhex(frame)).await;
        let answer = reply(&mut raw, &id).await;
        assert_eq!(
            answer.map(|bytes| hex(&bytes)),
            Ok(result.to_owned()),
            "{frame}"
        );
    }
}

#[tokio::test]
async fn check_15_r_bad_input_ends_what_it_must_and_nothing_else() {
    let server = serve().await;
    let mut healthy = Raw::cbor(server.port).await;
    for vector in vectors() {
        if vector["codec"] != "cbor" || vector["verdict"] == "envelope" {
            continue;
        }
        let name = vector["name"].as_str().expect("a name");
        let mut raw = Raw::cbor(server.port).await;
        raw.bytes(&unhex(vector["hex"].as_str().expect("hex")))
            .await;
        // What has been closed cannot be written to.
        let written = raw.try_bytes(&unhex(PROBE)).await;
        match vector["verdict"].as_str() {
            Some("closed") => raw.closed().await,
            Some("refused") => {
                let answer = unhex(vector["answer"].as_str().expect("an answer"));
                assert_eq!(
                    hex(&raw.exactly(answer.len()).await),
                    hex(&answer),
                    "{name}"
                );
                assert_eq!(
                    reply(&mut raw, &WireId::Uint(4711)).await,
                    Ok(unhex("05")),
                    "{name}"
                );
            }
            _ => {
                assert!(written, "{name}");
                assert_eq!(
                    reply(&mut raw, &WireId::Uint(4711)).await,
                    Ok(unhex("05")),
                    "{name}"
                );
            }
        }
        healthy.bytes(&unhex(PROBE)).await;
        let answer = reply(&mut healthy, &WireId::Uint(4711)).await;
        assert_eq!(answer, Ok(unhex("05")), "{name} hurt another connection");
    }
}

#[tokio::test]
async fn check_15_r_a_call_before_the_bad_bytes_is_answered() {
    let server = serve().await;
    let mut raw = Raw::cbor(server.port).await;
    raw.bytes(&unhex("8501000163616464820203 ff")).await;
    assert_eq!(reply(&mut raw, &WireId::Uint(1)).await, Ok(unhex("05")));
    raw.closed().await;
}

#[tokio::test]
async fn check_15_r_params_of_another_shape_are_an_error_of_the_call() {
    let server = serve().await;
    let mut raw = Raw::cbor(server.port).await;
    for params in ["f6", "a0", "01", "80", "8101", "83010203", "8261610 2"] {
        raw.bytes(&unhex(&format!("8501000163616464{params}")))
            .await;
        let answer = reply(&mut raw, &WireId::Uint(1)).await;
        assert!(answer.is_err(), "{params}: {answer:?}");
    }
    raw.bytes(&unhex(PROBE)).await;
    assert_eq!(reply(&mut raw, &WireId::Uint(4711)).await, Ok(unhex("05")));
}

/// Content that a tag does not allow: the package closes the connection, here the method decides.
#[tokio::test]
async fn check_15_r_malformed_content_of_a_tag_is_the_methods_affair() {
    let server = serve().await;
    let mut raw = Raw::cbor(server.port).await;
    for content in MALFORMED_TAGS {
        raw.bytes(&unhex(&format!("85010001646563686f81{content}")))
            .await;
        let back = reply(&mut raw, &WireId::Uint(1)).await;
        assert_eq!(back.map(|bytes| hex(&bytes)), Ok((*content).to_owned()));
        raw.bytes(&unhex(&format!("850100026361646482{content}03")))
            .await;
        let refused = reply(&mut raw, &WireId::Uint(2)).await;
        assert!(refused.is_err(), "{content} is no number: {refused:?}");
    }
    raw.bytes(&unhex(PROBE)).await;
    assert_eq!(reply(&mut raw, &WireId::Uint(4711)).await, Ok(unhex("05")));
}

#[tokio::test]
async fn check_16_r_a_result_that_cannot_be_written_is_an_error_text() {
    scenario("unencodable").await;
}

#[tokio::test]
async fn check_17_r_a_close_of_the_server_fails_pending_calls() {
    scenario("server_closes").await;
}

#[tokio::test]
async fn check_17_r_a_close_of_the_client_stops_what_runs_for_it() {
    let server = scenario("client_closes").await;
    eventually("the handler is stopped", || {
        server.here.remembered().cancelled == 1
    })
    .await;
    eventually("the connection is gone", || {
        server.handle.peers().is_empty()
    })
    .await;
}

#[tokio::test]
async fn check_17_r_a_drain_answers_what_runs_and_closes() {
    let server = serve().await;
    let port = server.port;
    let client = tokio::spawn(async move { run_client(port, Codec::Cbor, "server_drains").await });
    let here = server.here.clone();
    eventually("the call runs", || here.remembered().started == 1).await;
    within("drain ends", server.handle.drain(Duration::from_secs(10))).await;
    within("the client ends", client)
        .await
        .expect("every check of the client passed");
}

#[tokio::test]
async fn check_17_r_a_half_close_ends_the_connection() {
    scenario("half_close").await;
}

#[tokio::test]
async fn check_18_r_json_one_at_a_time() {
    let server = RustServer::start(CborRpc::json(Padding::Python)).await;
    run_client(server.port, Codec::Json, "json_one_at_a_time").await;
    run_client(server.port, Codec::Json, "errors").await;
    run_client(server.port, Codec::Json, "golden").await;
}

#[tokio::test]
async fn check_18_r_json_on_lines_of_any_layout() {
    for padding in [Padding::Newline, Padding::Python] {
        let server = RustServer::start(CborRpc::json(padding)).await;
        let mut raw = Raw::json(server.port, padding).await;
        for (id, text) in (1..).zip([
            "[1,0,1,\"add\",[2,3]]",
            "\r\n[1,0,2,\"add\",[2,3]]\r\n",
            "[\n1,\n0,\n3,\n\"\\u0061dd\",\n[2,3]]\n",
            "[1,\r\n0,\r\n4,\r\n\"add\",[\r\n2,\r\n3\r\n]\r\n]",
        ]) {
            raw.bytes(text.as_bytes()).await;
            let answer = reply(&mut raw, &WireId::Uint(id)).await;
            assert_eq!(answer, Ok(b"5".to_vec()), "{padding:?}: {text}");
        }
    }
}

#[tokio::test]
async fn check_19_r_json_with_padding_serves_64_concurrent_calls() {
    let server = RustServer::start(CborRpc::json(Padding::Python)).await;
    run_client(server.port, Codec::Json, "json_many").await;
}

#[tokio::test]
async fn check_19_r_json_many_lines_in_one_write_are_all_answered() {
    let server = RustServer::start(CborRpc::json(Padding::Newline)).await;
    let mut raw = Raw::json(server.port, Padding::Newline).await;
    let lines: String = (0..64)
        .map(|id| format!("[1, 0, {id}, \"add\", [{id}, 1]]\n"))
        .collect();
    raw.bytes(lines.as_bytes()).await;
    for id in 0..64 {
        let answer = reply(&mut raw, &WireId::Uint(id)).await;
        assert_eq!(answer, Ok((id + 1).to_string().into_bytes()));
    }
}

#[tokio::test]
async fn check_18_r_json_that_is_not_finite_fails_its_call_only() {
    let server = RustServer::start(CborRpc::json(Padding::Newline)).await;
    let mut raw = Raw::json(server.port, Padding::Newline).await;
    raw.bytes(b"[1, 0, 1, \"echo\", [NaN]]\n[1, 0, 2, \"add\", [2, 3]]\n")
        .await;
    assert!(reply(&mut raw, &WireId::Uint(1)).await.is_err());
    assert_eq!(reply(&mut raw, &WireId::Uint(2)).await, Ok(b"5".to_vec()));
    // A syntax error closes, where the package would fall silent.
    raw.bytes(b"[1, 0, 3, \"add\" [2, 3]]\n").await;
    raw.closed().await;
}

#[tokio::test]
async fn rich_errors_reach_python_as_maps() {
    let server = RustServer::start(CborRpc::cbor().with_rich_errors(true)).await;
    run_client(server.port, Codec::Cbor, "rich_errors").await;
}

#[tokio::test]
async fn rich_errors_by_url() {
    let url = "tcp://127.0.0.1:0?dialect=cbor-rpc&errors=rich&max_message_bytes=100000";
    let server = RustServer::start_with(|server| server.listen(url)).await;
    run_client(server.port, Codec::Cbor, "rich_errors").await;
    // 128 KiB are too much for this listener, by their head.
    let mut raw = Raw::cbor(server.port).await;
    raw.bytes(&unhex("85010001646563686f815a00020000")).await;
    raw.closed().await;
}

/// Whether no handler runs and no call waits for any client.
fn idle(server: &RustServer) -> bool {
    server.handle.peers().iter().all(|peer| {
        let stats = peer.stats();
        stats.handlers_running == 0 && stats.permits_taken == 0 && stats.calls_waiting == 0
    })
}
