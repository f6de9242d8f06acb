//! What goes wrong, and what comes of it.

use crate::fleet::{connect, len, pending, redis, serve, settled, until, within};
use mynah_testkit::redis::RedisServer;
use std::time::Duration;

pub(crate) const STREAM: &str = "app:cmds:arith";

pub(crate) fn add(id: &str) -> String {
    format!(
        r#"{{"jsonrpc": "2.0", "method": "arith.add", "params": {{"a": 1, "b": 2}}, "id": "{id}"}}"#
    )
}

/// Adds an entry as a foreign client does.
pub(crate) async fn send(redis: &RedisServer, fields: &[&str]) -> String {
    let mut command = vec!["XADD", STREAM, "*"];
    command.extend(fields);
    let id = redis.command(&command).await.unwrap();
    id.as_text().unwrap().to_owned()
}

/// The envelopes of a stream of answers.
async fn replies(redis: &RedisServer, instance: &str) -> Vec<String> {
    let stream = format!("app:replies:{instance}");
    let entries = redis.command(&["XRANGE", &stream, "-", "+"]).await.unwrap();
    let envelopes = |entry: &mynah_testkit::redis::Reply| {
        let fields = entry.items()[1].texts();
        match fields[..] {
            ["type", "rpc", "envelope", envelope] => vec![envelope.to_owned()],
            _ => {
                assert_eq!((fields.len(), fields[0]), (2, "answers"), "{fields:?}");
                each(fields[1])
            }
        }
    };
    entries.items().iter().flat_map(envelopes).collect()
}

/// Answers in one entry, each behind its length.
fn each(mut answers: &str) -> Vec<String> {
    let mut all = Vec::new();
    while let Some((len, rest)) = answers.split_once(':') {
        let (answer, behind) = rest.split_at(len.parse().unwrap());
        all.push(answer.to_owned());
        answers = behind;
    }
    assert_eq!(answers, "", "nothing is left over");
    all
}

pub(crate) async fn answered(redis: &RedisServer, instance: &str, count: usize) -> Vec<String> {
    until(async || replies(redis, instance).await.len() >= count).await;
    replies(redis, instance).await
}

/// A consumer that takes an entry and is never heard of again.
pub(crate) async fn abandon(redis: &RedisServer) {
    let taken = redis
        .command(&[
            "XREADGROUP",
            "GROUP",
            "arith",
            "arith:ghost",
            "COUNT",
            "1",
            "STREAMS",
            STREAM,
            ">",
        ])
        .await
        .unwrap();
    assert_eq!(taken.items().len(), 1, "there was something to take");
}

pub(crate) async fn group(redis: &RedisServer) {
    redis
        .command(&["XGROUP", "CREATE", STREAM, "arith", "$", "MKSTREAM"])
        .await
        .unwrap();
}

#[tokio::test]
async fn what_somebody_else_abandoned_is_answered_once() {
    let redis = redis().await;
    group(&redis).await;
    send(
        &redis,
        &[
            "type",
            "rpc",
            "envelope",
            &add("u1"),
            "reply-to",
            "app:replies:c",
        ],
    )
    .await;
    abandon(&redis).await;
    let (_server, state) = serve(&redis, "claim_idle=300ms").await;
    let answers = answered(&redis, "c", 1).await;
    assert_eq!(answers, [r#"{"jsonrpc": "2.0", "id": "u1", "result": 3}"#]);
    settled(&redis).await;
    assert_eq!(state.runs(), 1);
    assert_eq!(state.deliveries.lock().unwrap()[0].attempt, 2);
}

#[tokio::test]
async fn what_runs_keeps_its_claim() {
    let redis = redis().await;
    let (_one, first) = serve(&redis, "claim_idle=200ms").await;
    let (_two, second) = serve(&redis, "claim_idle=200ms").await;
    let arith = connect(&redis, "").await;
    let call = arith.wait("x".into()).start();
    let runs = async || first.runs() + second.runs();
    until(async || runs().await == 1).await;
    // Six times as long as anybody may leave it alone.
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(runs().await, 1);
    first.gate.add_permits(1);
    second.gate.add_permits(1);
    assert_eq!(within(call).await.unwrap(), "x");
    settled(&redis).await;
    assert_eq!(runs().await, 1);
}

#[tokio::test]
async fn one_bad_entry_does_not_delay_its_neighbours() {
    let redis = redis().await;
    group(&redis).await;
    let deep = format!(
        r#"{{"jsonrpc":"2.0","method":"arith.add","id":"deep","params":{}{}}}"#,
        "[".repeat(3000),
        "]".repeat(3000)
    );
    for bad in [
        "not json",
        "7",
        "null",
        "[]",
        "{}",
        r#"{"jsonrpc":"1.0","method":"arith.add","id":"v"}"#,
        r#"{"jsonrpc":"2.0","method":"add","id":"nodot"}"#,
        r#"{"jsonrpc":"2.0","method":"Arith.add","id":"case"}"#,
        r#"{"jsonrpc":"2.0","method":"arith.add","id":true}"#,
        r#"{"jsonrpc":"2.0","id":"r","result":1}"#,
        r#"{"jsonrpc":"2.0","method":"other.add","params":{},"id":"service"}"#,
        r#"{"jsonrpc":"2.0","method":"arith.constructor","params":{},"id":"method"}"#,
        r#"{"jsonrpc":"2.0","method":"arith.add","params":{"a":NaN,"b":1},"id":"nan"}"#,
        r#"{"jsonrpc":"2.0","method":"arith.echo","params":{"text":"\ud800"},"id":"surrogate"}"#,
        &deep,
    ] {
        send(
            &redis,
            &[
                "type",
                "rpc",
                "envelope",
                bad,
                "reply-to",
                "app:replies:bad",
            ],
        )
        .await;
    }
    send(&redis, &["type", "rpc"]).await;
    send(&redis, &["envelope", "", "reply-to", "app:replies:bad"]).await;
    redis
        .command_bytes(&[b"XADD", STREAM.as_bytes(), b"*", b"envelope", b"\xff\xfe"])
        .await
        .unwrap();
    // Not where answers go: neither run nor answered.
    send(
        &redis,
        &["envelope", &add("foreign"), "reply-to", "somebody:else"],
    )
    .await;
    send(
        &redis,
        &[
            "envelope",
            &add("bad-meta"),
            "reply-to",
            "app:replies:bad",
            "metadata",
            "[1]",
        ],
    )
    .await;
    send(
        &redis,
        &[
            "x",
            "y",
            "reply-to",
            "app:replies:good",
            "envelope",
            &add("good"),
        ],
    )
    .await;
    // It runs, and nobody hears of it.
    send(&redis, &["envelope", &add("nobody")]).await;
    let (_server, state) = serve(&redis, "early_calls=1min").await;
    assert_eq!(
        answered(&redis, "good", 1).await,
        [r#"{"jsonrpc": "2.0", "id": "good", "result": 3}"#]
    );
    settled(&redis).await;
    assert_eq!(state.runs(), 2);
    let told = replies(&redis, "bad").await;
    for (id, code) in [
        ("v", -32600),
        ("nodot", -32600),
        ("case", -32600),
        ("service", -32601),
        ("method", -32601),
        ("nan", -32602),
        ("surrogate", -32602),
        ("bad-meta", -32600),
    ] {
        let start = format!(r#"{{"jsonrpc": "2.0", "id": "{id}", "error": {{"code": {code}, "#);
        assert!(
            told.iter().any(|one| one.starts_with(&start)),
            "{id}: {told:#?}"
        );
    }
    let exists = redis.command(&["EXISTS", "somebody:else"]).await.unwrap();
    assert_eq!(exists.as_integer(), Some(0));
}

#[tokio::test]
async fn what_was_delivered_too_often_is_given_up() {
    let redis = redis().await;
    group(&redis).await;
    let id = send(
        &redis,
        &[
            "type",
            "rpc",
            "envelope",
            &add("poison"),
            "reply-to",
            "app:replies:c",
        ],
    )
    .await;
    abandon(&redis).await;
    redis
        .command(&[
            "XCLAIM",
            STREAM,
            "arith",
            "arith:ghost",
            "0",
            &id,
            "RETRYCOUNT",
            "3",
            "JUSTID",
        ])
        .await
        .unwrap();
    let (_server, state) = serve(&redis, "claim_idle=200ms&max_deliveries=3").await;
    let answers = answered(&redis, "c", 1).await;
    assert!(
        answers[0].contains(r#""id": "poison", "error": {"code": -32603"#),
        "{answers:?}"
    );
    settled(&redis).await;
    assert_eq!(state.runs(), 0);
    let dead = redis
        .command(&["XRANGE", "app:dead:arith", "-", "+"])
        .await
        .unwrap();
    assert_eq!(dead.items().len(), 1);
    let fields = dead.items()[0].items()[1].clone();
    let fields = fields.texts();
    assert!(
        fields.windows(2).any(|pair| pair == ["entry", &id]),
        "{fields:?}"
    );
    assert!(
        fields.windows(2).any(|pair| pair == ["deliveries", "3"]),
        "{fields:?}"
    );
}

#[tokio::test]
async fn a_call_past_its_deadline_does_not_start() {
    let redis = redis().await;
    group(&redis).await;
    send(
        &redis,
        &[
            "envelope",
            &add("late"),
            "reply-to",
            "app:replies:c",
            "timeout-ms",
            "20",
        ],
    )
    .await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    send(
        &redis,
        &[
            "envelope",
            &add("soon"),
            "reply-to",
            "app:replies:c",
            "timeout-ms",
            "20000",
        ],
    )
    .await;
    let (_server, state) = serve(&redis, "").await;
    assert!(answered(&redis, "c", 1).await[0].contains("soon"));
    settled(&redis).await;
    assert_eq!(state.runs(), 1);
}

#[tokio::test]
async fn a_drain_gives_back_what_does_not_end() {
    let redis = redis().await;
    let (one, first) = serve(&redis, "instance=one").await;
    let arith = connect(&redis, "").await;
    let call = arith.wait("x".into()).start();
    first.begun(1).await;
    let (_two, second) = serve(&redis, "instance=two").await;
    let report = within(one.drain(Duration::from_millis(50))).await;
    assert_eq!(report.calls_cut, 1);
    // At once, and not after the minute in which it might be claimed.
    second.begun(1).await;
    second.gate.add_permits(1);
    assert_eq!(within(call).await.unwrap(), "x");
    assert_eq!(second.deliveries.lock().unwrap()[0].attempt, 2);
    settled(&redis).await;
}

#[tokio::test]
async fn a_drain_lets_what_runs_finish_and_reads_no_more() {
    let redis = redis().await;
    let (one, first) = serve(&redis, "").await;
    let arith = connect(&redis, "").await;
    let running = arith.wait("first".into()).start();
    first.begun(1).await;
    let drain = tokio::spawn(async move { one.drain(Duration::from_secs(20)).await });
    // Its consumer may not read any more once it drains; what is asked now is for others.
    until(async || {
        let clients = redis.command(&["CLIENT", "LIST"]).await.unwrap();
        !clients.as_text().unwrap().contains("cmd=xreadgroup")
    })
    .await;
    let next = arith.wait("second".into()).start();
    let (_two, second) = serve(&redis, "").await;
    second.begun(1).await;
    second.gate.add_permits(1);
    assert_eq!(within(next).await.unwrap(), "second");
    first.gate.add_permits(1);
    assert_eq!(within(running).await.unwrap(), "first");
    assert_eq!(within(drain).await.unwrap().calls_cut, 0);
    settled(&redis).await;
    assert_eq!((first.runs(), second.runs()), (1, 1));
}

#[tokio::test]
async fn serial_calls_run_one_after_the_other() {
    let redis = redis().await;
    let (_server, state) = serve(&redis, "serial=arith").await;
    let arith = connect(&redis, "").await;
    let calls: Vec<_> = (0..4)
        .map(|n: i32| arith.wait(n.to_string()).start())
        .collect();
    for (n, call) in calls.into_iter().enumerate() {
        state.begun(1).await;
        assert_eq!(state.runs(), n as u64 + 1);
        assert!(state.began.try_acquire().is_err(), "one at a time");
        state.gate.add_permits(1);
        assert_eq!(within(call).await.unwrap(), n.to_string());
    }
}

#[tokio::test]
async fn a_server_takes_what_it_can_start_and_no_more() {
    let redis = redis().await;
    let (_one, first) = serve(&redis, "concurrency=2").await;
    let (_two, second) = serve(&redis, "concurrency=2").await;
    let arith = connect(&redis, "").await;
    let calls: Vec<_> = (0..6)
        .map(|n: i32| arith.wait(n.to_string()).start())
        .collect();
    first.begun(2).await;
    second.begun(2).await;
    assert_eq!(pending(&redis).await, 4);
    assert_eq!(len(&redis, STREAM).await, 6);
    first.gate.add_permits(6);
    second.gate.add_permits(6);
    for call in calls {
        within(call).await.unwrap();
    }
    settled(&redis).await;
}

#[tokio::test]
async fn a_server_that_stops_at_once_gives_back_what_runs() {
    let redis = redis().await;
    let (one, first) = serve(&redis, "").await;
    let arith = connect(&redis, "").await;
    let call = arith.wait("x".into()).start();
    first.begun(1).await;
    let (_two, second) = serve(&redis, "").await;
    one.stop();
    second.begun(1).await;
    second.gate.add_permits(1);
    assert_eq!(within(call).await.unwrap(), "x");
    settled(&redis).await;
}

#[tokio::test]
async fn a_server_that_stops_gives_back_what_never_arrived() {
    let redis = redis().await;
    let (one, first) = serve(&redis, "instance=one&serial=arith").await;
    let arith = connect(&redis, "").await;
    let call = arith.wait("x".into()).start();
    first.begun(1).await;
    // Delivered to its consumer, by a connection that was lost.
    let fields = ["envelope", &add("lost"), "reply-to", "app:replies:c"];
    send(&redis, &fields).await;
    let read = [
        "XREADGROUP",
        "GROUP",
        "arith",
        "arith:one",
        "STREAMS",
        STREAM,
        ">",
    ];
    let read = redis.command(&read).await.unwrap();
    assert_eq!(read.items().len(), 1);
    first.gate.add_permits(1);
    let report = within(one.drain(Duration::from_secs(20))).await;
    assert_eq!(report.calls_cut, 0);
    assert_eq!(within(call).await.unwrap(), "x");
    assert_eq!(pending(&redis).await, 0);
    let consumers = ["XINFO", "CONSUMERS", STREAM, "arith"];
    let consumers = redis.command(&consumers).await.unwrap();
    assert!(consumers.items().is_empty(), "{consumers:?}");
    let (_two, second) = serve(&redis, "").await;
    assert!(answered(&redis, "c", 1).await[0].contains("lost"));
    settled(&redis).await;
    assert_eq!(second.deliveries.lock().unwrap()[0].attempt, 1);
}

#[tokio::test]
async fn a_call_with_a_multitude_of_fields_is_given_back() {
    let redis = redis().await;
    group(&redis).await;
    let wait =
        r#"{"jsonrpc": "2.0", "method": "arith.wait", "params": {"name": "x"}, "id": "many"}"#;
    let mut fields = vec!["type", "rpc", "timeout-ms", "soon"];
    for _ in 0..5000 {
        fields.extend(["x", "y"]);
    }
    fields.extend(["envelope", wait, "reply-to", "app:replies:c"]);
    fields.extend(["envelope", "another"]);
    send(&redis, &fields).await;
    let (one, first) = serve(&redis, "").await;
    first.begun(1).await;
    let (_two, second) = serve(&redis, "").await;
    one.stop();
    second.begun(1).await;
    second.gate.add_permits(1);
    let answers = answered(&redis, "c", 1).await;
    assert!(answers[0].contains(r#""id": "many", "result": "x""#));
    settled(&redis).await;
}

#[tokio::test]
async fn answers_that_wait_go_to_a_client_of_ours_together_and_to_others_one_by_one() {
    let redis = redis().await;
    group(&redis).await;
    for id in ["a", "b", "c"] {
        for (instance, ours) in [("ours", true), ("theirs", false)] {
            let reply_to = format!("app:replies:{instance}");
            let envelope = add(id);
            let mut fields = vec!["type", "rpc", "envelope", &envelope, "reply-to", &reply_to];
            if ours {
                fields.extend(["timeout-ms", "30000"]);
            }
            send(&redis, &fields).await;
        }
    }
    let (_server, state) = serve(&redis, "").await;
    let to = |id: &str| format!(r#"{{"jsonrpc": "2.0", "id": "{id}", "result": 3}}"#);
    for instance in ["ours", "theirs"] {
        let answers = answered(&redis, instance, 3).await;
        assert_eq!(answers, ["a", "b", "c"].map(to), "in order");
    }
    settled(&redis).await;
    assert_eq!(state.runs(), 6);
    assert_eq!(len(&redis, "app:replies:theirs").await, 3);
    // All six were there when the server came, and were read at once.
    assert_eq!(len(&redis, "app:replies:ours").await, 1);
    let ttl = redis.command(&["PTTL", "app:replies:ours"]).await.unwrap();
    assert!(ttl.as_integer().unwrap() > 0, "answers expire");
}
