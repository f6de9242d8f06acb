//! PS: a client of this side, the server core of the package.

use crate::service::{ArithClient, Notes, Sum};
use futures::future::join_all;
use interop_tests::python::{Listening, Venv, within};
use mynah::{CallError, ErrorCode, Peer, PeerStats, RpcError, Value};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixListener;

struct Joined {
    peer: Peer,
    client: ArithClient,
    _server: Listening,
    _directory: tempfile::TempDir,
}

async fn connect(path: &str) -> (Peer, ArithClient) {
    let url = format!("unix:{path}?dialect=jsonrpc&profile=clamator");
    let peer = within("connect", mynah::connect(&url)).await;
    let peer = peer.expect("somebody listens");
    let client = peer.client();
    (peer, client)
}

async fn both() -> Joined {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("socket").display().to_string();
    let server = Listening::start(Venv::Clamator, "clamator_server.py", &[&path]).await;
    let (peer, client) = connect(&path).await;
    Joined {
        peer,
        client,
        _server: server,
        _directory: directory,
    }
}

async fn done<T, E>(
    call: impl IntoFuture<Output = Result<T, CallError<E>>>,
) -> Result<T, CallError<E>> {
    within("a call ends", call.into_future()).await
}

async fn answered<T: std::fmt::Debug>(
    call: impl IntoFuture<Output = Result<T, CallError<RpcError>>>,
) -> RpcError {
    match done(call).await {
        Err(CallError::Application(error) | CallError::Remote(error)) => error,
        other => panic!("no answer with an error: {other:?}"),
    }
}

impl Joined {
    async fn usable(&self) {
        let sum = done(self.client.add(2, 3)).await.expect("usable");
        assert_eq!(sum, Sum { sum: 5 });
        assert_eq!(self.peer.stats(), PeerStats::default());
    }
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    let Value::Map(entries) = value else {
        panic!("{value}");
    };
    let entry = entries.iter().find(|(name, _)| name.as_str() == Some(key));
    entry.and_then(|(_, value)| value.as_str()).expect("a text")
}

#[tokio::test]
async fn check_01_16_17_18_ps_values_come_back_as_they_went() {
    let joined = both().await;
    let mut nested = Value::Array(vec![]);
    for _ in 0..199 {
        nested = Value::Array(vec![nested]);
    }
    let mut values = vec![
        Value::Null,
        true.into(),
        "".into(),
        "\u{e9}\u{1f600}\u{2028}\0\u{ffff}\u{10ffff}".into(),
        "x".repeat(1 << 20).into(),
        Value::Map(vec![("\u{e9}".into(), Value::Array(vec![]))]),
        Value::Array((0..100_000_u64).map(Value::from).collect()),
        nested,
        Value::from(u128::from(u64::MAX) + 1),
    ];
    values.extend([0, (1 << 53) + 1, u64::MAX].map(Value::from));
    values.extend([-1, i64::MIN].map(Value::from));
    values.extend([0.1, -0.0, 1.0, 5e-324, 1.797e308].map(Value::from));
    for value in values {
        let back = done(joined.client.echo(value.clone())).await.expect("echo");
        assert!(back.value == value, "it was changed");
        assert_eq!(back.value.to_string(), value.to_string(), "-0.0 is no 0.0");
    }
    joined.usable().await;
}

#[tokio::test]
async fn check_03_ps_requests_are_spelled_as_python_spells_them() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("socket");
    let listener = UnixListener::bind(&path).expect("a socket");
    let (_peer, client) = connect(&path.display().to_string()).await;
    let (stream, _) = listener.accept().await.expect("it dials");
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut ids = std::collections::HashSet::new();
    for _ in 0..2 {
        let call = tokio::spawn(client.add(2, 3).into_future());
        let line = within("a request", lines.next_line()).await;
        let line = line.expect("text").expect("a line");
        let id = line
            .strip_prefix(
                r#"{"jsonrpc": "2.0", "method": "arith.add", "params": {"a": 2, "b": 3}, "id": ""#,
            )
            .and_then(|rest| rest.strip_suffix("\"}"))
            .unwrap_or_else(|| panic!("{line}"));
        assert_eq!(id.len(), 36, "{line}");
        assert!(ids.insert(id.to_owned()), "an id comes twice: {line}");
        let reply = format!("{{\"jsonrpc\":\"2.0\",\"id\":\"{id}\",\"result\":{{\"sum\":5}}}}\n");
        write.write_all(reply.as_bytes()).await.expect("it reads");
        let sum = call.await.expect("no panic").expect("a result");
        assert_eq!(sum, Sum { sum: 5 });
    }
    client.note("x".to_owned()).await.expect("it is sent");
    let line = within("a notification", lines.next_line()).await;
    assert_eq!(
        line.expect("text").as_deref(),
        Some(r#"{"jsonrpc": "2.0", "method": "arith.note", "params": {"text": "x"}}"#)
    );
}

#[tokio::test]
async fn check_05_06_08_09_ps_errors() {
    let joined = both().await;
    for (code, message, data) in [
        (7, "seven", None),
        (-1, "", Some(Value::Array(vec![1_u64.into(), Value::Null]))),
        (-32001, "\u{e9}\u{2028}", Some("text".into())),
        (0, "zero", None),
    ] {
        let call = joined
            .client
            .fail_with(code, message.to_owned(), data.clone());
        let error = answered(call).await;
        assert_eq!((error.code().value(), error.message()), (code, message));
        assert_eq!(error.data(), data.as_ref());
    }
    let error = answered(joined.client.nowhere()).await;
    assert_eq!(error.code(), ErrorCode::METHOD_NOT_FOUND);
    assert_eq!(error.message(), "Method not found");
    let error = answered(joined.client.boom()).await;
    assert_eq!(error.code(), ErrorCode::INTERNAL);
    let data = error.data().expect("data");
    assert_eq!(
        (text(data, "name"), text(data, "message")),
        ("ValueError", "boom")
    );
    let error = answered(joined.client.bad_result()).await;
    assert_eq!(error.code(), ErrorCode::INTERNAL);
    assert_eq!(error.message(), "Result validation failed");
    assert!(error.data().is_some());
    joined.usable().await;
}

#[tokio::test]
async fn check_10_ps_notifications_run_in_order_and_harm_nothing() {
    let joined = both().await;
    let mut notes: Vec<_> = (0..20).map(|number| number.to_string()).collect();
    notes.push("fail".to_owned());
    for note in &notes {
        joined.client.note(note.clone()).await.expect("it is sent");
    }
    let looks = async {
        while done(joined.client.notes()).await.expect("notes")
            != (Notes {
                notes: notes.clone(),
            })
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within("all are heard", looks).await;
    joined.usable().await;
}

/// A server that answers each request with these lines, `ID` being the id of the request.
async fn scripted(answers: Vec<&'static [&'static str]>) -> (Peer, ArithClient, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("socket");
    let listener = UnixListener::bind(&path).expect("a socket");
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("it dials");
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        for answer in answers {
            let request = lines.next_line().await.expect("text").expect("a request");
            let request: serde_json::Value = serde_json::from_str(&request).expect("JSON");
            let id = request["id"].to_string();
            for line in answer {
                let line = format!("{}\n", line.replace("ID", &id));
                write.write_all(line.as_bytes()).await.expect("it reads");
            }
        }
        // Stays open until the other side goes.
        drop(lines.next_line().await);
    });
    let (peer, client) = connect(&path.display().to_string()).await;
    (peer, client, directory)
}

#[tokio::test]
async fn check_08_14_15_ps_replies_that_no_core_writes() {
    const GOOD: &str = r#"{"jsonrpc": "2.0", "id": ID, "result": {"sum": 5}}"#;
    let broken: &[&[&str]] = &[
        &[r#"{"jsonrpc": "2.0", "id": ID, "result": {"sum": 5}, "error": null}"#],
        &[r#"{"id": ID, "result": {"sum": 5}}"#],
        &[r#"{"jsonrpc": "1.0", "id": ID, "result": {"sum": 5}}"#],
        &[r#"{"jsonrpc": "2.0", "id": ID, "error": {"code": 1.5, "message": "m"}}"#],
        &[r#"{"jsonrpc": "2.0", "id": ID, "error": {"code": "1", "message": "m"}}"#],
        &[r#"{"jsonrpc": "2.0", "id": ID, "error": {"code": 1}}"#],
        &[r#"{"jsonrpc": "2.0", "id": ID, "error": "boom"}"#],
    ];
    let mut answers: Vec<&[&str]> = vec![
        // What belongs to nobody, twice the same, other orders and fields.
        &[
            "junk",
            "[]",
            "null",
            "{}",
            r#"{"jsonrpc": "2.0", "id": "nobody", "result": 1}"#,
            r#"{"result": {"sum": 5}, "x": [1], "id": ID, "jsonrpc": "2.0"}"#,
            GOOD,
        ],
        &[
            r#"{"jsonrpc":"2.0","id":ID,"error":{"code":-32602,"message":"Invalid params","data":{"name":"ZodError","message":"[]"}}}"#,
        ],
        &[r#"{"jsonrpc": "2.0", "id": ID, "error": {"code": 1, "message": "m"}}"#],
        &[r#"{"jsonrpc": "2.0", "id": ID, "result": {"sum": NaN}}"#],
        &[r#"{"jsonrpc": "2.0", "id": ID, "result": {"sum": "\ud800"}}"#],
    ];
    answers.extend(broken);
    answers.push(&[GOOD]);
    let (peer, client, _directory) = scripted(answers).await;
    assert_eq!(
        done(client.add(2, 3)).await.expect("the reply"),
        Sum { sum: 5 }
    );
    let error = answered(client.add(2, 3)).await;
    assert_eq!(error.code(), ErrorCode::INVALID_PARAMS);
    assert_eq!(text(error.data().expect("data"), "name"), "ZodError");
    let error = answered(client.add(2, 3)).await;
    assert_eq!((error.code().value(), error.data()), (1, None));
    for _ in 0..2 {
        let odd = done(client.add(2, 3)).await;
        assert!(matches!(odd, Err(CallError::Decode(_))), "{odd:?}");
    }
    for answer in broken {
        let error = answered(client.add(2, 3)).await;
        assert_eq!(error.code(), ErrorCode::PROTOCOL_VIOLATION, "{answer:?}");
    }
    assert_eq!(
        done(client.add(2, 3)).await.expect("it goes on"),
        Sum { sum: 5 }
    );
    assert_eq!(peer.stats(), PeerStats::default());
}

#[tokio::test]
async fn check_19_20_ps_64_at_once_and_timeouts() {
    let joined = both().await;
    let calls = (0..64_u64).map(|number| done(joined.client.sleep(200 - 3 * number)));
    for (number, result) in (0..).zip(join_all(calls).await) {
        assert_eq!(result.expect("an answer").sum, 200 - 3 * number);
    }
    let late = joined.client.sleep(150).deadline(Duration::from_millis(30));
    let ended = done(late).await;
    assert!(matches!(ended, Err(CallError::Deadline)), "{ended:?}");
    // Its reply comes all the same.
    done(joined.client.sleep(200)).await.expect("an answer");
    joined.usable().await;
}
