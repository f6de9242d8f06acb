//! P: a client of this side, a server of the package.

use crate::harness::{PythonServer, Socket};
use crate::service::StateClient;
use futures::future::join_all;
use interop_tests::python::within;
use mynah::{CallError, ErrorCode, Peer, PeerStats, RpcError, Value};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixListener;

const MIB: usize = 1 << 20;

async fn both() -> (PythonServer, Peer, StateClient) {
    let server = PythonServer::start().await;
    let (peer, client) = server.socket.connect("").await;
    (server, peer, client)
}

/// Awaits a call, bounded.
async fn done<T, E>(
    call: impl IntoFuture<Output = Result<T, CallError<E>>>,
) -> Result<T, CallError<E>> {
    within("a call ends", call.into_future()).await
}

/// The error that the other side answered with.
async fn answered<T: std::fmt::Debug>(
    call: impl IntoFuture<Output = Result<T, CallError<RpcError>>>,
) -> RpcError {
    match done(call).await {
        Err(CallError::Application(error) | CallError::Remote(error)) => error,
        other => panic!("no answer with an error: {other:?}"),
    }
}

/// The connection goes on, and holds nothing.
async fn usable(peer: &Peer, client: &StateClient) {
    assert_eq!(done(client.add(2, 3)).await.expect("usable"), 5);
    assert_eq!(peer.stats(), PeerStats::default());
}

/// Waits until the Python side shows something.
async fn until(client: &StateClient, what: &str, holds: impl Fn(&crate::service::Seen) -> bool) {
    let looks = async {
        loop {
            let seen = client.seen().await.expect("it is answered");
            if holds(&seen) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within(what, looks).await;
}

#[tokio::test]
async fn check_01_p_requests_are_spelled_as_the_package_spells_them() {
    let socket = Socket::new();
    let listener = UnixListener::bind(socket.path()).expect("a socket");
    let (_peer, client) = socket.connect("").await;
    let (stream, _) = listener.accept().await.expect("it dials");
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let call = client.echo("h\u{e9}\u{1d11e}\u{2028}".into());
    let call = tokio::spawn(call.deadline(Duration::from_secs(30)).into_future());
    let line = within("a request", lines.next_line()).await;
    let line = line.expect("text").expect("a line");
    let rest = line
        .strip_prefix(r#"{"action": "rpc_request", "request_id": ""#)
        .unwrap_or_else(|| panic!("{line}"));
    let (id, rest) = rest.split_at(32);
    assert!(
        id.bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')),
        "{line}"
    );
    let timeout = rest
        .strip_prefix(r#"", "method": "state.echo", "params": {"value": "h\u00e9\ud834\udd1e\u2028"}, "timeout": "#)
        .and_then(|rest| rest.strip_suffix('}'))
        .unwrap_or_else(|| panic!("{line}"));
    let timeout: f64 = timeout.parse().expect("a number");
    assert!((25.0..=30.0).contains(&timeout), "{timeout}");
    let reply = format!(
        "{{\"action\": \"rpc_reply\", \"request_id\": \"{id}\", \"result\": {{\"status\": \"ok\"}}, \"error\": null, \"error_kind\": null}}\n"
    );
    write.write_all(reply.as_bytes()).await.expect("it reads");
    let result = call.await.expect("no panic").expect("a result");
    assert_eq!(result.to_string(), r#"{"status": "ok"}"#);
}

#[tokio::test]
async fn check_01_p_every_line_of_this_side_is_the_packages_own() {
    let (_server, peer, client) = both().await;
    for value in [
        Value::from(1.5e-7),
        Value::from("h\u{e9}\u{1d11e}\u{2028}\u{0}\u{7f}\"\\"),
        Value::Array(vec![
            1_u64.into(),
            f64::NAN.into(),
            Value::Null,
            true.into(),
        ]),
        Value::Map(vec![("\u{e9}".into(), Value::Map(vec![]))]),
    ] {
        done(client.echo(value)).await.expect("echo");
    }
    drop(tokio::time::timeout(Duration::from_millis(50), client.sleep(200).into_future()).await);
    until(&client, "the cancel arrives", |seen| {
        seen.actions
            .iter()
            .flatten()
            .any(|action| action == "rpc_cancel")
    })
    .await;
    let seen = done(client.seen()).await.expect("seen");
    assert!(seen.alike, "a line is spelled otherwise");
    until(&client, "it ends", |seen| seen.running == 0).await;
    usable(&peer, &client).await;
}

#[tokio::test]
async fn check_02_p_values_come_back_as_they_went() {
    let (_server, peer, client) = both().await;
    let mut values = vec![
        Value::Null,
        false.into(),
        true.into(),
        "".into(),
        Value::Array(vec![]),
        Value::Map(vec![]),
        "text".into(),
        "nul \0 inside".into(),
        "\u{2028}\u{2029}".into(),
        "\u{ffff}\u{1f600}\u{10ffff}".into(),
        "\"\\/\u{8}\u{c}\n\r\t\u{7f}".into(),
        Value::Map(vec![(
            "a".into(),
            Value::Array(vec![Value::Null, 1_u64.into()]),
        )]),
    ];
    values.extend([0, 1, (1 << 53) + 1, u64::MAX].map(Value::from));
    values.extend([-1, i64::MIN].map(Value::from));
    values.extend([0.1, -0.0, 1.0, 5e-324, f64::MAX, 123_456.789].map(Value::from));
    for value in values {
        let back = done(client.echo(value.clone())).await.expect("echo");
        assert_eq!(back, value);
        assert_eq!(back.to_string(), value.to_string(), "-0.0 is no 0.0");
    }
    usable(&peer, &client).await;
}

#[tokio::test]
async fn check_03_p_kinds_of_errors() {
    let (_server, peer, client) = both().await;
    let error = answered(client.remaining()).await;
    assert_eq!(error.code(), ErrorCode::METHOD_NOT_FOUND);
    assert_eq!(error.message(), "method not found: state.remaining");
    let error = answered(client.fail("boom".into())).await;
    assert_eq!(error.code(), ErrorCode::UNCODED);
    assert_eq!(error.message(), "ValueError('boom', 1)");
    let error = answered(client.unencodable()).await;
    assert_eq!(error.code(), ErrorCode::UNENCODABLE);
    assert_eq!(
        error.message(),
        "result not json-serializable: Circular reference detected"
    );
    usable(&peer, &client).await;
}

fn reply(rest: &str) -> String {
    format!("{{\"action\": \"rpc_reply\", \"request_id\": REQUEST_ID{rest}}}")
}

#[tokio::test]
async fn check_04_p_replies_that_the_listener_makes_and_odd_ones() {
    let (_server, peer, client) = both().await;
    let raw = |line: String| client.raw(vec![line]);
    let error = answered(raw(reply(
        r#", "error": "rpc server not initialized", "error_kind": "handler""#,
    )))
    .await;
    assert_eq!(error.message(), "rpc server not initialized");
    assert_eq!(error.code(), ErrorCode::UNCODED);
    for rest in [
        r#", "error": "boom""#,
        r#", "error": "boom", "error_kind": null"#,
    ] {
        let error = answered(raw(reply(rest))).await;
        assert_eq!(
            (error.code(), error.message()),
            (ErrorCode::UNCODED, "boom")
        );
        assert_eq!(error.data(), None);
    }
    let error = answered(raw(reply(r#", "error": "boom", "error_kind": "odd""#))).await;
    assert_eq!(error.message(), "boom");
    assert_eq!(
        error.data(),
        Some(&Value::Map(vec![("error_kind".into(), "odd".into())]))
    );
    let error = answered(raw(reply(r#", "error_kind": "not_found""#))).await;
    assert_eq!(error.code(), ErrorCode::METHOD_NOT_FOUND);
    for rest in [
        "",
        r#", "result": null"#,
        r#", "error": """#,
        r#", "error_kind": "odd""#,
        r#", "error": "", "error_kind": "odd""#,
    ] {
        assert_eq!(
            done(raw(reply(rest))).await.expect(rest),
            Value::Null,
            "{rest}"
        );
    }
    // What belongs to nobody, then the reply.
    let lines = [
        "junk",
        "",
        "[1, 2]",
        r#"{"type": "heartbeat"}"#,
        r#"{"type": "message", "message_type": "assistant", "content": "hi", "kwargs": {}, "ts": 1.5}"#,
        r#"{"action": "rpc_reply", "request_id": "nobody", "result": 1}"#,
        r#"{"action": "rpc_reply", "result": 1}"#,
        r#"{"action": "what"}"#,
    ];
    let mut lines: Vec<_> = lines.map(str::to_owned).into();
    lines.push(format!("  {}\r", reply(r#", "result": 5"#)));
    lines.push(reply(r#", "result": 6"#));
    let result = done(client.raw(lines)).await.expect("the reply");
    assert_eq!(result, Value::from(5_u64));
    usable(&peer, &client).await;
}

#[tokio::test]
async fn check_09_p_64_at_once_in_any_order() {
    let (_server, peer, client) = both().await;
    let calls = (0..64_u64).map(|number| done(client.sleep(200 - 3 * number)));
    for (number, result) in (0..).zip(join_all(calls).await) {
        assert_eq!(result.expect("an answer"), 200 - 3 * number);
    }
    let calls: Vec<_> = (0..20).map(|_| client.sleep(300).start()).collect();
    until(&client, "20 run at once", |seen| seen.most >= 20).await;
    for call in calls {
        assert_eq!(done(call).await.expect("an answer"), 300);
    }
    usable(&peer, &client).await;
}

#[tokio::test]
async fn check_10_p_large_results_and_requests() {
    let (_server, peer, client) = both().await;
    let most = 159 * MIB / 10;
    for letters in [70_000, 5_000_000, most] {
        let text = done(client.grow(letters)).await.expect("a result");
        assert_eq!(text.len(), letters);
        let length = done(client.length("x".repeat(letters))).await;
        assert_eq!(length.expect("a result"), letters);
    }
    // The package reads no more either, but it would send it.
    let error = match done(client.grow(17 * MIB)).await {
        Err(CallError::Remote(error)) => error,
        other => panic!("{:?}", other.map(|text| text.len())),
    };
    assert_eq!(error.code(), ErrorCode::TOO_LARGE);
    usable(&peer, &client).await;
    let refused = done(client.length("x".repeat(17 * MIB))).await;
    assert!(matches!(refused, Err(CallError::Encode(_))), "{refused:?}");
    usable(&peer, &client).await;
}

#[tokio::test]
async fn check_10_p_a_request_that_a_hub_does_not_take_is_not_sent() {
    let server = PythonServer::hub().await;
    let (peer, client) = server.socket.connect("&max_sent_bytes=64KiB").await;
    let length = done(client.length("x".repeat(60_000))).await;
    assert_eq!(length.expect("a hub takes it"), 60_000);
    let refused = done(client.length("x".repeat(70_000))).await;
    assert!(matches!(refused, Err(CallError::Encode(_))), "{refused:?}");
    let text = done(client.grow(5_000_000)).await.expect("a result");
    assert_eq!(text.len(), 5_000_000);
    usable(&peer, &client).await;
    // What the option keeps from happening.
    let (peer, client) = server.socket.connect("").await;
    let lost = done(client.length("x".repeat(70_000))).await;
    assert!(matches!(lost, Err(CallError::Indeterminate(_))), "{lost:?}");
    within("it is closed", peer.closed()).await;
}

#[tokio::test]
async fn check_11_p_deadlines_hold_here_and_late_replies_are_dropped() {
    let (_server, peer, client) = both().await;
    let late = client.sleep(150).deadline(Duration::from_millis(30));
    let ended = done(late).await;
    assert!(matches!(ended, Err(CallError::Deadline)), "{ended:?}");
    usable(&peer, &client).await;
    // Its reply comes all the same.
    until(&client, "the late one ends", |seen| seen.running == 0).await;
    usable(&peer, &client).await;
    let abandoned = client.sleep(100).start();
    until(&client, "it runs", |seen| seen.running == 1).await;
    drop(abandoned);
    until(&client, "it ends", |seen| seen.running == 0).await;
    usable(&peer, &client).await;
    let seen = done(client.seen()).await.expect("seen");
    let cancels = seen.actions.iter().flatten();
    let cancels = cancels.filter(|action| *action == "rpc_cancel").count();
    assert_eq!(cancels, 2, "both are cancelled, which the package skips");
}

#[tokio::test]
async fn check_12_p_a_server_that_closes() {
    let (_server, peer, client) = both().await;
    let pending: Vec<_> = (0..3).map(|_| client.sleep(60_000).start()).collect();
    until(&client, "they run", |seen| seen.running == 3).await;
    let closing = done(client.close()).await;
    assert!(
        matches!(closing, Err(CallError::Indeterminate(_))),
        "{closing:?}"
    );
    for call in pending {
        let ended = done(call).await;
        assert!(
            matches!(ended, Err(CallError::Indeterminate(_))),
            "{ended:?}"
        );
    }
    within("it is closed", peer.closed()).await;
    let later = done(client.add(2, 3)).await;
    assert!(
        matches!(later, Err(CallError::Disconnected(_))),
        "{later:?}"
    );
}

#[tokio::test]
async fn check_13_p_connections_are_independent() {
    let (server, peer, client) = both().await;
    let mut others = Vec::new();
    for _ in 0..8 {
        others.push(server.socket.connect("").await);
    }
    let slow: Vec<_> = others
        .iter()
        .take(4)
        .map(|(_, other)| other.sleep(60_000).start())
        .collect();
    until(&client, "they run", |seen| seen.running == 4).await;
    let quick = (0..)
        .zip(&others)
        .map(|(number, (_, other))| done(other.add(number, 1)));
    for (number, sum) in (0..).zip(join_all(quick).await) {
        assert_eq!(sum.expect("an answer"), number + 1);
    }
    let (first, _) = others.remove(0);
    first.close();
    within("it is closed", first.closed()).await;
    let mut slow = slow.into_iter();
    let lost = done(slow.next().expect("four")).await;
    assert!(lost.is_err(), "{lost:?}");
    for (_, other) in &others {
        assert_eq!(done(other.add(2, 3)).await.expect("it goes on"), 5);
    }
    drop(slow);
    usable(&peer, &client).await;
}

#[tokio::test]
async fn check_14_p_nan_large_integers_and_half_pairs() {
    let (_server, peer, client) = both().await;
    let back = done(client.odd("nan".into())).await.expect("it is read");
    let Value::Array(back) = back else {
        panic!("{back}");
    };
    assert!(matches!(back[0], Value::Float(nan) if nan.is_nan()));
    assert_eq!(back[1..], [f64::INFINITY.into(), f64::NEG_INFINITY.into()]);
    let big = done(client.odd("big".into())).await.expect("it is read");
    assert_eq!(
        big.to_string(),
        "[18446744073709551616, -9223372036854775809, 123456789012345678901234567890]"
    );
    assert_eq!(done(client.echo(big.clone())).await.expect("echo"), big);
    let half = done(client.odd("half".into())).await;
    assert!(matches!(half, Err(CallError::Decode(_))), "{half:?}");
    usable(&peer, &client).await;
}
