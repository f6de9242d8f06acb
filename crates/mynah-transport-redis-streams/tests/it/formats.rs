//! Calls in CBOR and MessagePack, beside calls in JSON.

use crate::fleet::{self, ArithClient, len, redis, serve, settled, until, url, within};
use crate::robust::{STREAM, abandon, add, answered, group, send};
use crate::sessions::{self, NumbersClient};
use futures::{Stream, StreamExt as _, stream};
use mynah::prelude::*;
use mynah::redis_streams::{RedisDialer, RedisOptions};
use mynah::{Bytes, RpcError};
use mynah_protocol::FormatId;
use mynah_testkit::redis::RedisServer;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(crate) const BINARY: [&str; 2] = ["format=cbor", "format=messagepack"];

#[mynah::service(name = "blobs")]
trait Blobs {
    async fn turn(&self, data: Bytes) -> Result<Bytes, RpcError>;
    fn parts(&self, data: Bytes) -> impl Stream<Item = Result<Bytes, RpcError>> + Send;
}

struct MyBlobs;

impl Blobs for MyBlobs {
    async fn turn(&self, data: Bytes) -> Result<Bytes, RpcError> {
        let turned: Vec<u8> = data.iter().rev().copied().collect();
        Ok(turned.into())
    }

    fn parts(&self, data: Bytes) -> impl Stream<Item = Result<Bytes, RpcError>> + Send {
        let parts: Vec<Bytes> = data.chunks(2).map(|part| part.to_vec().into()).collect();
        stream::iter(parts.into_iter().map(Ok))
    }
}

pub(crate) async fn arith(redis: &RedisServer, options: &str) -> ArithClient {
    fleet::connect(redis, options).await
}

/// Says that a server of ours is alive, which is not there.
pub(crate) async fn alive(redis: &RedisServer, service: &str) {
    let servers = format!("app:servers:{service}");
    let says = ["ZADD", &servers, "99999999999999", "ghost"];
    redis.command(&says).await.unwrap();
}

/// Where in the field of the only entry of a stream these bytes are, from 1; zero: nowhere.
async fn find(redis: &RedisServer, stream: &str, field: &str, bytes: &[u8]) -> i64 {
    let list: Vec<String> = bytes.iter().map(u8::to_string).collect();
    let text = format!(
        "local entries = redis.call('XRANGE', KEYS[1], '-', '+') \
         local fields = entries[1][2] \
         for i = 1, #fields, 2 do \
           if fields[i] == ARGV[1] then return string.find(fields[i + 1], string.char({}), 1, true) or 0 end \
         end \
         return 0",
        list.join(",")
    );
    let found = redis.command(&["EVAL", &text, "1", stream, field]).await;
    found.unwrap().as_integer().unwrap_or(0)
}

#[tokio::test]
async fn calls_of_every_format_are_answered_by_the_same_servers() {
    let redis = redis().await;
    let (server, state) = serve(&redis, "").await;
    for format in ["", BINARY[0], BINARY[1]] {
        let arith = arith(&redis, format).await;
        let before = state.runs();
        let calls: Vec<_> = (0..200)
            .map(|number| arith.add(number, 1).start())
            .collect();
        for (number, call) in (0..).zip(calls) {
            assert_eq!(within(call).await.unwrap(), number + 1, "{format}");
        }
        assert_eq!(state.runs(), before + 200);
        let error = within(arith.fail(7)).await.unwrap_err();
        assert!(
            matches!(&error, CallError::Application(error) if error.code() == ErrorCode::from_wire(7)),
            "{format}: {error:?}"
        );
        let text = "ä\u{0}\u{1f600}".repeat(100_000);
        assert_eq!(within(arith.echo(text.clone())).await.unwrap(), text);
        arith.touch(format.to_owned()).await.unwrap();
        until(async || {
            state
                .touched
                .lock()
                .unwrap()
                .iter()
                .any(|key| key == format)
        })
        .await;
    }
    settled(&redis).await;
    // No method of that name in any of them.
    for format in ["", BINARY[0], BINARY[1]] {
        let peer = mynah::connect(&url(&redis, format)).await.unwrap();
        let none = peer.call("arith", "none").result::<i64>();
        let error = within(none).await.unwrap_err();
        assert!(
            matches!(&error, CallError::Application(error) | CallError::Remote(error)
                if error.code() == ErrorCode::METHOD_NOT_FOUND),
            "{format}: {error:?}"
        );
    }
    let report = server.drain(Duration::from_secs(5)).await;
    assert!(report.is_complete(), "{report}");
}

#[tokio::test]
async fn bytes_are_bytes_on_the_wire() {
    let redis = redis().await;
    let stream = "app:cmds:blobs";
    let made = ["XGROUP", "CREATE", stream, "blobs", "$", "MKSTREAM"];
    redis.command(&made).await.unwrap();
    alive(&redis, "blobs").await;
    let data = [0, 255, 254, 13, 10];
    for (format, head) in [(BINARY[0], &[0x45][..]), (BINARY[1], &[0xc4, 5])] {
        let peer = mynah::connect(&url(&redis, format)).await.unwrap();
        let blobs: BlobsClient = peer.client();
        let call = blobs.turn(data.to_vec().into()).start();
        until(async || len(&redis, stream).await == 1).await;
        let raw = [head, &data].concat();
        assert!(find(&redis, stream, "body", &raw).await > 0, "{format}");
        // Servers of clamator find a method that nobody has.
        assert!(find(&redis, stream, "envelope", b"\"blobs.mynahCallIn").await > 0);
        assert!(find(&redis, stream, "mynah", b"call+").await == 1);
        let server = Server::new()
            .register(BlobsService::new(MyBlobs))
            .listen(&url(&redis, ""))
            .start()
            .await
            .unwrap();
        let turned = within(call).await.unwrap();
        assert_eq!(turned.to_vec(), [10, 13, 254, 255, 0]);
        let parts: Vec<_> = within(blobs.parts(data.to_vec().into()).start().collect()).await;
        let parts: Vec<Bytes> = parts.into_iter().map(Result::unwrap).collect();
        assert_eq!(
            parts,
            [vec![0, 255], vec![254, 13], vec![10]].map(Bytes::from)
        );
        within(server.drain(Duration::from_secs(5))).await;
    }
}

#[tokio::test]
async fn sessions_are_in_the_format_of_their_client() {
    let redis = redis().await;
    let (_one, _) = sessions::serve(&redis, "").await;
    let (_two, _) = sessions::serve(&redis, "").await;
    for format in ["", BINARY[0], BINARY[1]] {
        let numbers: NumbersClient = sessions::connect(&redis, format).await;
        let said = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::clone(&said);
        let items = numbers
            .count(1000)
            .on_progress(move |what: String| list.lock().unwrap().push(what))
            .start();
        let items: Vec<u64> = within(items.map(|item| item.unwrap()).collect()).await;
        assert_eq!(items, Vec::from_iter(0..1000), "{format}");
        assert_eq!(*said.lock().unwrap(), ["begun"]);
        assert_eq!(
            within(numbers.sum(stream::iter(1..=10_000u64)))
                .await
                .unwrap(),
            50_005_000
        );
        let told = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::clone(&told);
        let tell = numbers.tell(100, move |number| list.lock().unwrap().push(number));
        assert_eq!(within(tell).await.unwrap(), 100);
        assert_eq!(*told.lock().unwrap(), Vec::from_iter(0..100));
        let asked = numbers.ask(4, async |number| Ok(number * 10));
        assert_eq!(within(asked).await.unwrap(), 41);
        // Beside a plain call.
        let steps = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::clone(&steps);
        let call = numbers
            .steps(10)
            .on_progress(move |step: u64| list.lock().unwrap().push(step));
        assert_eq!(within(call).await.unwrap(), 10);
        assert_eq!(*steps.lock().unwrap(), Vec::from_iter(0..10), "{format}");
    }
}

#[tokio::test]
async fn what_was_taken_by_a_server_that_died_is_run_by_another() {
    let redis = redis().await;
    for format in BINARY {
        redis.command(&["FLUSHALL"]).await.unwrap();
        group(&redis).await;
        alive(&redis, "arith").await;
        let arith = arith(&redis, format).await;
        let call = arith.add(1, 2).start();
        until(async || len(&redis, STREAM).await == 1).await;
        abandon(&redis).await;
        let (server, state) = serve(&redis, "claim_idle=300ms").await;
        assert_eq!(within(call).await.unwrap(), 3, "{format}");
        settled(&redis).await;
        assert_eq!(state.runs(), 1);
        assert_eq!(state.deliveries.lock().unwrap()[0].attempt, 2);
        within(server.drain(Duration::from_secs(5))).await;
    }
}

#[tokio::test]
async fn what_is_given_back_keeps_its_format() {
    let redis = redis().await;
    for format in BINARY {
        redis.command(&["FLUSHALL"]).await.unwrap();
        let (one, first) = serve(&redis, "").await;
        let arith = arith(&redis, format).await;
        let call = arith.wait("x".into()).start();
        first.begun(1).await;
        let (two, second) = serve(&redis, "").await;
        within(one.drain(Duration::from_millis(50))).await;
        second.begun(1).await;
        second.gate.add_permits(1);
        assert_eq!(within(call).await.unwrap(), "x", "{format}");
        settled(&redis).await;
        within(two.drain(Duration::from_secs(5))).await;
    }
}

#[tokio::test]
async fn what_is_given_up_is_kept_whole_and_its_caller_is_told() {
    let redis = redis().await;
    group(&redis).await;
    alive(&redis, "arith").await;
    let arith = arith(&redis, "format=cbor").await;
    let call = arith.echo("once upon a time".into()).start();
    until(async || len(&redis, STREAM).await == 1).await;
    abandon(&redis).await;
    let claim = "local id = redis.call('XRANGE', KEYS[1], '-', '+')[1][1] \
        redis.call('XCLAIM', KEYS[1], 'arith', 'arith:ghost', 0, id, 'RETRYCOUNT', 3, 'JUSTID', 'IDLE', 100000)";
    redis.command(&["EVAL", claim, "1", STREAM]).await.unwrap();
    let (_server, _state) = serve(&redis, "claim_idle=200ms&max_deliveries=3").await;
    let error = within(call).await.unwrap_err();
    assert!(
        matches!(&error, CallError::Application(error) if error.code() == ErrorCode::INTERNAL),
        "{error:?}"
    );
    settled(&redis).await;
    let dead = "app:dead:arith";
    assert!(find(&redis, dead, "body", b"once upon a time").await > 0);
    assert_eq!(find(&redis, dead, "mynah", b"call+cbor").await, 1);
}

#[tokio::test]
async fn an_operation_runs_once_in_its_format_and_is_refused_in_another() {
    let redis = redis().await;
    let (_one, first) = serve(&redis, "").await;
    let (_two, second) = serve(&redis, "").await;
    let runs = || first.runs() + second.runs();
    let clients = [
        arith(&redis, "").await,
        arith(&redis, BINARY[0]).await,
        arith(&redis, BINARY[1]).await,
    ];
    let refusal = |error: CallError<RpcError>| error.to_string();
    for (number, client) in clients.iter().enumerate() {
        let operation = format!("o-{number}");
        let before = runs();
        for _ in 0..3 {
            let call = client.add(1, 2).operation_id(&*operation);
            assert_eq!(within(call).await.unwrap(), 3);
        }
        assert_eq!(runs(), before + 1);
        let other = client.add(1, 3).operation_id(&*operation);
        let other = refusal(within(other).await.unwrap_err());
        assert!(other.contains("other arguments"), "{other}");
        for (at, foreign) in clients.iter().enumerate() {
            if at == number {
                continue;
            }
            let again = foreign.add(1, 2).operation_id(&*operation);
            let again = refusal(within(again).await.unwrap_err());
            assert!(again.contains("another format"), "{again}");
        }
        assert_eq!(runs(), before + 1, "nothing ran again");
        // What was refused to others is answered to the first as before.
        let call = client.add(1, 2).operation_id(&*operation);
        assert_eq!(within(call).await.unwrap(), 3);
    }
    settled(&redis).await;
}

#[tokio::test]
async fn deadlines_and_cancels_hold() {
    let redis = redis().await;
    let (_server, state) = serve(&redis, "serial=arith").await;
    for (round, format) in (1..).zip(BINARY) {
        let arith = arith(&redis, format).await;
        let call = arith.wait("x".into()).start();
        state.begun(1).await;
        // Behind the one that runs, until its time is over: it never begins.
        let late = arith
            .wait("late".into())
            .deadline(Duration::from_millis(100));
        let error = within(late).await.unwrap_err();
        assert!(matches!(error, CallError::Deadline), "{error:?}");
        drop(call);
        let stopped = || state.stopped.load(Ordering::SeqCst);
        until(async || stopped() == 2 * round - 1).await;
        let limited = arith.wait("x".into()).deadline(Duration::from_secs(2));
        let limited = limited.start();
        state.begun(1).await;
        let error = within(limited).await.unwrap_err();
        assert!(matches!(error, CallError::Deadline), "{error:?}");
        until(async || stopped() == 2 * round).await;
        settled(&redis).await;
        assert_eq!(state.runs(), 2 * round, "{format}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_and_disturbs_nobody() {
    let redis = redis().await;
    group(&redis).await;
    let decoy = |id: &str| {
        format!(r#"{{"jsonrpc": "2.0", "method": "arith.none", "params": {{}}, "id": "{id}"}}"#)
    };
    for (id, kind, body) in [
        ("morse", "call+morse", "..."),
        ("broken", "call+cbor", "no frame"),
        ("empty", "call+cbor", ""),
        ("cut", "call+messagepack", "\u{1}"),
        // An answer is no call: [2, 1] and a null, in JSON; in CBOR it is not even a frame.
        ("answer", "call+cbor", "[2,1]null"),
    ] {
        let fields = [
            "envelope",
            &decoy(id),
            "reply-to",
            "app:replies:c",
            "mynah",
            kind,
            "body",
            body,
        ];
        send(&redis, &fields).await;
    }
    // A kind that merely looks alike is none.
    let plain = [
        "envelope",
        &add("plain"),
        "reply-to",
        "app:replies:c",
        "mynah",
        "calls",
    ];
    send(&redis, &plain).await;
    let (_server, state) = serve(&redis, "").await;
    let answers = answered(&redis, "c", 6).await;
    settled(&redis).await;
    assert_eq!(state.runs(), 1, "{answers:?}");
    let to = |id: &str| {
        let start = format!(r#"{{"jsonrpc": "2.0", "id": "{id}", "#);
        let found = answers.iter().find(|answer| answer.starts_with(&start));
        found.unwrap_or_else(|| panic!("{id}: {answers:?}")).clone()
    };
    assert!(to("morse").contains("-32006"), "{answers:?}");
    for id in ["broken", "empty", "cut", "answer"] {
        assert!(to(id).contains("-32600"), "{answers:?}");
    }
    assert!(to("plain").ends_with(r#""result": 3}"#));
    // Sessions of such a format are refused as well, and nothing is kept of them.
    let note = [
        "XADD",
        "app:inbox:own",
        "*",
        "mynah",
        "frame+morse",
        "from",
        "app:replies:d",
        "call",
        "5",
        "n",
        "1",
        "body",
        "x",
    ];
    let (_own, _) = serve(&redis, "instance=own").await;
    redis.command(&note).await.unwrap();
    until(async || len(&redis, "app:replies:d").await == 1).await;
    assert_eq!(find(&redis, "app:replies:d", "mynah", b"unspoken").await, 1);
}

#[tokio::test]
async fn topics_are_read_in_the_format_of_the_reader() {
    let redis = redis().await;
    let (json, _) = sessions::serve(&redis, "events=publish").await;
    let (cbor, _) = sessions::serve(&redis, "events=publish&format=cbor").await;
    let mut readers = Vec::new();
    for format in ["", BINARY[0], BINARY[1]] {
        let peer = mynah::connect(&url(&redis, format)).await.unwrap();
        readers.push(
            within(peer.subscribe::<(String, f64, i64)>("news"))
                .await
                .unwrap(),
        );
    }
    let message = ("rain \u{1f600}".to_owned(), 0.5, i64::MIN);
    for server in [&json, &cbor] {
        server.broadcast("news", &message).await.unwrap();
        for reader in &mut readers {
            assert_eq!(within(reader.next()).await.unwrap().unwrap(), message);
            assert_eq!(reader.dropped(), 0);
        }
    }
    // Bytes stay bytes.
    let peer = mynah::connect(&url(&redis, "format=cbor")).await.unwrap();
    let mut raw = within(peer.subscribe::<Bytes>("raw")).await.unwrap();
    cbor.broadcast("raw", &Bytes::from(vec![0, 255]))
        .await
        .unwrap();
    assert_eq!(
        within(raw.next()).await.unwrap().unwrap().to_vec(),
        [0, 255]
    );
    assert!(find(&redis, "app:events:raw", "body", &[0x42, 0, 255]).await > 0);
}

#[tokio::test]
async fn a_format_of_the_programs_own_is_refused() {
    let options = RedisOptions::new("redis://127.0.0.1:1/0").with_format(FormatId::Other(900));
    let error = RedisDialer::new(options).unwrap_err();
    assert!(error.to_string().contains("format"), "{error}");
    let error = mynah::connect("redis://127.0.0.1:1/0?format=morse").await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("json, cbor, messagepack"), "{error}");
}
