//! PS: a client of this side, the server core of the package.

use crate::checks::{self, answered, done, text};
use crate::service::{ArithClient, Sum};
use interop_tests::python::{Listening, Venv, within};
use mynah::{CallError, ErrorCode, Peer, PeerStats};
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

macro_rules! checks {
    ($($test:ident => $check:ident;)*) => { $(
        #[tokio::test]
        async fn $test() {
            let joined = both().await;
            checks::$check(&joined.client).await;
            assert_eq!(joined.peer.stats(), PeerStats::default());
        }
    )* };
}

checks! {
    check_01_16_17_18_ps_values_come_back_as_they_went => values;
    check_05_06_08_09_ps_errors => errors;
    check_10_ps_notifications_run_in_order_and_harm_nothing => notifications;
    check_19_20_ps_64_at_once_and_timeouts => at_once;
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
