//! PS: a server of the package, a client of this side.

use crate::checks::{self, answered, done, text, usable};
use crate::harness::{CMDS, PREFIX, Redis};
use crate::service::Sum;
use futures::future::join_all;
use interop_tests::fleet::FleetClient;
use interop_tests::python::within;
use mynah::{CallError, ErrorCode, Peer, PeerStats};
use mynah_testkit::redis::Reply;
use std::sync::Arc;
use std::time::Duration;

const IDLE: Duration = Duration::from_secs(60);

macro_rules! checks {
    ($($test:ident => $check:ident;)*) => { $(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            let redis = Redis::start().await;
            let _server = redis.serve_python("srv-1", IDLE).await;
            let (peer, client) = redis.connect().await;
            checks::$check(&client).await;
            assert_eq!(peer.stats(), PeerStats::default());
            drop(client);
            ended(&redis, peer).await;
        }
    )* };
}

checks! {
    check_01_16_17_18_ps_values_come_back_as_they_went => values;
    check_05_06_08_09_ps_errors => errors;
    check_10_ps_notifications_run_in_order_and_harm_nothing => notifications;
    check_19_20_ps_64_at_once_and_timeouts => at_once;
}

/// 21: a client that ends takes its stream of replies with it.
async fn ended(redis: &Redis, peer: Peer) {
    drop(peer);
    redis
        .until("no stream of replies is left", async || {
            replies(redis).await.is_empty()
        })
        .await;
}

async fn replies(redis: &Redis) -> Vec<String> {
    let keys = redis.ask(&["KEYS", &format!("{PREFIX}:replies:*")]).await;
    keys.texts().into_iter().map(str::to_owned).collect()
}

/// The fields of the entries of a stream that are not the lease of somebody.
async fn fields(redis: &Redis, stream: &str) -> Vec<Reply> {
    let entries = redis.ask(&["XRANGE", stream, "-", "+"]).await;
    let entries = entries.items().iter();
    entries.map(|entry| entry.items()[1].clone()).collect()
}

#[tokio::test]
async fn check_02_03_10_ps_entries_are_spelled_as_python_spells_them() {
    let redis = Redis::start().await;
    redis.group("arith").await;
    let (_peer, client) = redis
        .connect_with(redis.options().with_instance("cli-1"))
        .await;
    let call = tokio::spawn(client.add(2, 3).into_future());
    redis
        .until("the call is written", async || {
            redis.number(&["XLEN", CMDS]).await == 1
        })
        .await;
    client.note("x".to_owned()).await.expect("it is sent");
    redis
        .until("the notification is written", async || {
            redis.number(&["XLEN", CMDS]).await == 2
        })
        .await;
    let entries = fields(&redis, CMDS).await;
    let field = |index: usize, name: &str| {
        let value = entries[index].field(name)?;
        value.as_text().map(str::to_owned)
    };
    assert_eq!(field(0, "type").as_deref(), Some("rpc"));
    let reply_to = field(0, "reply-to").expect("somebody waits");
    assert_eq!(reply_to, format!("{PREFIX}:replies:cli-1"));
    let envelope = field(0, "envelope").expect("an envelope");
    let request: serde_json::Value = serde_json::from_str(&envelope).expect("JSON");
    let id = request["id"].as_str().expect("a text");
    assert_eq!(id.len(), 36, "{envelope}");
    let expected = serde_json::json!({"jsonrpc": "2.0", "method": "arith.add", "params": {"a": 2, "b": 3}, "id": id});
    assert_eq!(request, expected);
    assert_eq!(field(1, "type").as_deref(), Some("rpc"));
    assert_eq!(field(1, "reply-to"), None);
    let envelope = field(1, "envelope").expect("an envelope");
    let notification: serde_json::Value = serde_json::from_str(&envelope).expect("JSON");
    let expected =
        serde_json::json!({"jsonrpc": "2.0", "method": "arith.note", "params": {"text": "x"}});
    assert_eq!(notification, expected);
    // TypeScript servers look for these words among names and values alike.
    for entry in &entries {
        let values = entry.items().iter().skip(1).step_by(2);
        for value in values.filter_map(Reply::as_text) {
            assert!(value != "envelope" && value != "reply-to", "{entry:?}");
        }
    }
    let answer = format!(r#"{{"jsonrpc": "2.0", "id": "{id}", "result": {{"sum": 5}}}}"#);
    let reply = [("type", "rpc"), ("envelope", &*answer)];
    redis.entry(&reply_to, &reply).await;
    let sum = within("the answer comes", call).await.expect("no panic");
    assert_eq!(sum.expect("a result"), Sum { sum: 5 });
}

/// A server that answers each request with these fields, `ID` being the id of the request.
async fn scripted(redis: Arc<Redis>, answers: Vec<Vec<Vec<(&'static str, &'static str)>>>) {
    let mut last = "0".to_owned();
    for answer in answers {
        let command = [
            "XREAD", "COUNT", "1", "BLOCK", "20000", "STREAMS", CMDS, &last,
        ];
        let read = redis.ask(&command).await;
        let entry = &read.items()[0].items()[1].items()[0];
        let fields = &entry.items()[1];
        let field = |name| {
            fields
                .field(name)
                .and_then(Reply::as_text)
                .expect("a field")
        };
        let request: serde_json::Value = serde_json::from_str(field("envelope")).expect("JSON");
        let id = request["id"].to_string();
        for fields in answer {
            let fields: Vec<_> = fields
                .iter()
                .map(|(name, value)| (*name, value.replace("ID", &id)))
                .collect();
            let fields: Vec<_> = fields
                .iter()
                .map(|(name, value)| (*name, &**value))
                .collect();
            redis.entry(field("reply-to"), &fields).await;
        }
        last = entry.items()[0].as_text().expect("an id").to_owned();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_08_14_15_ps_replies_that_no_core_writes() {
    const GOOD: &str = r#"{"jsonrpc": "2.0", "id": ID, "result": {"sum": 5}}"#;
    const BROKEN: [&str; 7] = [
        r#"{"jsonrpc": "2.0", "id": ID, "result": {"sum": 5}, "error": null}"#,
        r#"{"id": ID, "result": {"sum": 5}}"#,
        r#"{"jsonrpc": "1.0", "id": ID, "result": {"sum": 5}}"#,
        r#"{"jsonrpc": "2.0", "id": ID, "error": {"code": 1.5, "message": "m"}}"#,
        r#"{"jsonrpc": "2.0", "id": ID, "error": {"code": "1", "message": "m"}}"#,
        r#"{"jsonrpc": "2.0", "id": ID, "error": {"code": 1}}"#,
        r#"{"jsonrpc": "2.0", "id": ID, "error": "boom"}"#,
    ];
    let plain = |text: &'static str| vec![("type", "rpc"), ("envelope", text)];
    let strangers = [
        "junk",
        "[]",
        "null",
        "{}",
        r#"{"jsonrpc": "2.0", "id": "nobody", "result": 1}"#,
        r#"{"result": {"sum": 5}, "x": [1], "id": ID, "jsonrpc": "2.0"}"#,
        GOOD,
    ];
    let mut first = vec![vec![("x", "1")], vec![("type", "rpc"), ("envelope", "")]];
    first.extend(strangers.map(plain));
    let zod = r#"{"jsonrpc":"2.0","id":ID,"error":{"code":-32602,"message":"Invalid params","data":{"name":"ZodError","message":"[]"}}}"#;
    let reordered = vec![("more", "1"), ("envelope", GOOD), ("type", "rpc")];
    let nan = r#"{"jsonrpc": "2.0", "id": ID, "result": {"sum": NaN}}"#;
    let mut answers = vec![first, vec![reordered], vec![plain(zod)], vec![plain(nan)]];
    answers.extend(BROKEN.map(|text| vec![plain(text)]));
    answers.push(vec![plain(GOOD)]);

    let redis = Arc::new(Redis::start().await);
    redis.group("arith").await;
    let server = tokio::spawn(scripted(Arc::clone(&redis), answers));
    let (peer, client) = redis.connect().await;
    for _ in 0..2 {
        assert_eq!(
            done(client.add(2, 3)).await.expect("the reply"),
            Sum { sum: 5 }
        );
    }
    let error = answered(client.add(2, 3)).await;
    assert_eq!(error.code(), ErrorCode::INVALID_PARAMS);
    assert_eq!(text(error.data().expect("data"), "name"), "ZodError");
    let odd = done(client.add(2, 3)).await;
    assert!(matches!(odd, Err(CallError::Decode(_))), "{odd:?}");
    for answer in BROKEN {
        let error = answered(client.add(2, 3)).await;
        assert_eq!(error.code(), ErrorCode::PROTOCOL_VIOLATION, "{answer}");
    }
    usable(&client).await;
    within("the script ends", server).await.expect("no panic");
    assert_eq!(peer.stats(), PeerStats::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_19_ps_four_clients_get_their_own_replies() {
    let redis = Redis::start().await;
    let _server = redis.serve_python("srv-1", IDLE).await;
    let clients = join_all((0..4).map(|_| redis.connect())).await;
    let calls = (0..4 * 64).map(|number| {
        let (_, client) = &clients[number % 4];
        done(client.add(number.try_into().expect("small"), 1))
    });
    for (number, result) in (1..).zip(join_all(calls).await) {
        assert_eq!(result.expect("an answer").sum, number);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_21_ps_a_client_that_ends_fails_what_waits_and_takes_its_replies_along() {
    let redis = Redis::start().await;
    let _server = redis.serve_python("srv-1", IDLE).await;
    let (peer, client) = redis
        .connect_with(redis.options().with_instance("cli-1"))
        .await;
    usable(&client).await;
    redis
        .until("nothing runs", async || redis.pending(CMDS).await == 0)
        .await;
    let call = tokio::spawn(client.sleep(300).into_future());
    redis
        .until("it runs", async || redis.pending(CMDS).await == 1)
        .await;
    peer.close();
    let ended = within("what waits is told", call).await.expect("no panic");
    assert!(
        matches!(ended, Err(CallError::Indeterminate(_))),
        "{ended:?}"
    );
    // The server answers all the same, and knows of no time to live.
    redis
        .until("it has answered", async || redis.pending(CMDS).await == 0)
        .await;
    drop((peer, client));
    redis
        .until("no stream of replies stays for ever", async || {
            let mut left = false;
            for key in replies(&redis).await {
                left |= redis.number(&["PTTL", &key]).await == -1;
            }
            !left
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_22_ps_calls_while_the_server_is_down_run_when_it_returns() {
    let redis = Redis::start().await;
    let server = redis.serve_python("srv-1", IDLE).await;
    server.end().await;
    let (_peer, client) = redis.connect().await;
    let call = tokio::spawn(client.add(2, 3).into_future());
    redis
        .until("the call is written", async || {
            redis.number(&["XLEN", CMDS]).await == 1
        })
        .await;
    let _server = redis.serve_python("srv-2", IDLE).await;
    let sum = within("it is answered", call).await.expect("no panic");
    assert_eq!(sum.expect("a result"), Sum { sum: 5 });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_28_ps_the_client_comes_back_after_a_restart_of_redis() {
    let mut redis = Redis::start().await;
    let (_peer, client) = redis.connect().await;
    let server = redis.serve_python("srv-1", IDLE).await;
    usable(&client).await;
    redis.0.restart().await.expect("redis comes back");
    // It has lost its group with everything else, and never makes it again.
    server.end().await;
    let _server = redis.serve_python("srv-2", IDLE).await;
    let short = Duration::from_millis(500);
    within("a call is answered", async {
        while client.add(2, 3).deadline(short).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    usable(&client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_31_ps_names_with_hyphens_and_names_that_are_refused() {
    let redis = Redis::start().await;
    let _server = redis.serve_python("srv-1", IDLE).await;
    let (peer, client) = redis.connect().await;
    let fleet: FleetClient = peer.client();
    let marked = done(fleet.mark("a".to_owned(), 0)).await.expect("it runs");
    assert_eq!(marked.by, "srv-1");
    for (service, method) in [
        ("Arith", "add"),
        ("arith", "Add"),
        ("arith\n", "add"),
        ("arith", "add\n"),
        ("ar:ith", "add"),
        ("arith", "a-b"),
    ] {
        let call = peer.call(service, method).args((2, 3)).result::<Sum>();
        let error = done(call).await.expect_err("not sent");
        assert!(
            matches!(
                error,
                CallError::Misuse(_) | CallError::Unsupported { .. } | CallError::Encode(_)
            ),
            "{service:?}.{method:?}: {error:?}"
        );
    }
    let written = redis.ask(&["KEYS", &format!("{PREFIX}:cmds:*")]).await;
    assert_eq!(written.items().len(), 2, "{written:?}");
    usable(&client).await;
}
