//! Large messages: bytes of any size, and small calls beside them.

use crate::support::*;
use futures::FutureExt as _;
use mynah::prelude::*;
use mynah::{Bytes, CloseReason, Limits, Value};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
struct File {
    name: String,
    parts: Vec<Bytes>,
}

#[mynah::service]
trait Store {
    async fn echo(&self, cx: &Context, data: Bytes) -> Result<Bytes, RpcError>;
    async fn file(&self, cx: &Context, file: File, twice: bool) -> Result<Vec<File>, RpcError>;
    async fn value(&self, cx: &Context, value: Value) -> Result<Value, RpcError>;
    async fn give(&self, cx: &Context, len: usize) -> Result<Bytes, RpcError>;
    async fn small(&self, cx: &Context, number: u64) -> Result<u64, RpcError>;
    async fn fail(&self, cx: &Context, data: Bytes) -> Result<(), RpcError>;
    #[spawn]
    async fn spawned(&self, cx: &Context, data: Bytes) -> Result<Bytes, RpcError>;
    #[notification]
    async fn note(&self, cx: &Context, data: Bytes);
}

#[derive(Clone, Default)]
struct MyStore {
    echoes: Arc<AtomicUsize>,
    noted: Arc<AtomicUsize>,
}

/// Bytes of which each tells where it stands.
fn bytes(len: usize) -> Bytes {
    (0..len).map(|at| at.to_le_bytes()[at % 3]).collect()
}

impl Store for MyStore {
    async fn echo(&self, _cx: &Context, data: Bytes) -> Result<Bytes, RpcError> {
        self.echoes.fetch_add(1, Ordering::Relaxed);
        Ok(data)
    }

    async fn file(&self, _cx: &Context, file: File, twice: bool) -> Result<Vec<File>, RpcError> {
        Ok(vec![file; if twice { 2 } else { 1 }])
    }

    async fn value(&self, _cx: &Context, value: Value) -> Result<Value, RpcError> {
        Ok(value)
    }

    async fn give(&self, _cx: &Context, len: usize) -> Result<Bytes, RpcError> {
        Ok(bytes(len))
    }

    async fn small(&self, _cx: &Context, number: u64) -> Result<u64, RpcError> {
        Ok(number + 1)
    }

    async fn fail(&self, _cx: &Context, data: Bytes) -> Result<(), RpcError> {
        let data = Value::Bytes(data.to_vec());
        Err(RpcError::new(ErrorCode::application(1), "no").with_data(data))
    }

    async fn spawned(&self, _cx: &Context, data: Bytes) -> Result<Bytes, RpcError> {
        Ok(data)
    }

    async fn note(&self, _cx: &Context, data: Bytes) {
        self.noted.fetch_add(data.len(), Ordering::Relaxed);
    }
}

fn setup() -> (MyStore, Setup) {
    let store = MyStore::default();
    (store.clone(), Setup::new(StoreService::new(store)))
}

const SIZES: [usize; 9] = [
    0, 1, 16_383, 16_384, 65_535, 65_536, 70_000, 300_000, 3_000_000,
];

#[tokio::test]
async fn bytes_of_any_size_come_back() {
    for way in Way::ALL {
        let (_, setup) = setup();
        let joined = setup.join(way).await;
        let client: StoreClient = joined.client.client();
        for len in SIZES {
            let data = bytes(len);
            let back = within("echo", client.echo(data.clone()).into_future()).await;
            assert_eq!(back.unwrap(), data, "{way:?} {len}");
            let back = within("spawned", client.spawned(data.clone()).into_future()).await;
            assert_eq!(back.unwrap(), data, "{way:?} {len}");
            let file = File {
                name: "f".into(),
                parts: vec![data.clone(), Bytes::from_static(b"x"), data, Bytes::new()],
            };
            let back = within("file", client.file(file.clone(), true).into_future()).await;
            assert_eq!(back.unwrap(), [file.clone(), file], "{way:?} {len}");
        }
        joined.idle().await;
    }
}

#[tokio::test]
async fn many_at_once_both_ways_do_not_mix() {
    for way in Way::LINKED {
        let (_, setup) = setup();
        let joined = setup
            .client(StoreService::new(MyStore::default()))
            .join(way)
            .await;
        let near: StoreClient = joined.client.client();
        let far: StoreClient = joined.far().await.unwrap().client();
        let mut calls = Vec::new();
        for n in 0..24 {
            for client in [&near, &far] {
                let len = SIZES[n % SIZES.len()] + n;
                calls.push((len, client.echo(bytes(len)).start()));
            }
        }
        for (len, call) in calls {
            assert_eq!(within("echo", call).await.unwrap(), bytes(len), "{way:?}");
        }
        joined.idle().await;
    }
}

#[tokio::test]
async fn bytes_keep_their_type_in_values_and_errors() {
    for way in [Way::TcpCbor, Way::TcpJson, Way::Memory] {
        let (_, setup) = setup();
        let joined = setup.join(way).await;
        let client: StoreClient = joined.client.client();
        for len in [0, 3, 100_000] {
            let value = Value::Map(vec![("b".into(), Value::Bytes(bytes(len).to_vec()))]);
            let back = within("value", client.value(value.clone()).into_future()).await;
            assert_eq!(back.unwrap(), value, "{way:?} {len}");
            let error = within("fail", client.fail(bytes(len)).into_future()).await;
            let Err(CallError::Application(error) | CallError::Remote(error)) = error else {
                panic!("{error:?}")
            };
            assert_eq!(
                error.data(),
                Some(&Value::Bytes(bytes(len).to_vec())),
                "{way:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_small_call_overtakes_a_large_one() {
    for (asks, len) in [(true, 4_000_000), (false, 4_000_000)] {
        let (_, setup) = setup();
        let joined = setup.join(Way::Duplex).await;
        let client: StoreClient = joined.client.client();
        // Both have heard the other's hello.
        client.small(0).await.unwrap();
        let mut large = if asks {
            client.echo(bytes(len)).start().boxed()
        } else {
            client.give(len).start().boxed()
        };
        for number in 0..20 {
            let answer = within("small", client.small(number).into_future()).await;
            assert_eq!(answer.unwrap(), number + 1);
        }
        assert!(
            matches!(poll_once(&mut large).await, Poll::Pending),
            "asks: {asks}"
        );
        assert_eq!(within("large", large).await.unwrap(), bytes(len));
        joined.idle().await;
    }
}

#[tokio::test]
async fn large_calls_do_not_keep_small_ones_from_the_output() {
    let limits = Limits::new().with_output_high_water_bytes(100_000);
    let (_, setup) = setup();
    let joined = setup.limits(&limits).join(Way::Duplex).await;
    let client: StoreClient = joined.client.client();
    client.small(0).await.unwrap();
    let mut large: Vec<_> = (0..4)
        .map(|_| client.echo(bytes(1_000_000)).start())
        .collect();
    assert_eq!(
        within("small", client.small(1).into_future())
            .await
            .unwrap(),
        2
    );
    let held = joined.client.stats().output_bytes;
    assert!(held < 1_100_000, "{held}: large calls wait for large ones");
    assert!(matches!(poll_once(&mut large[3]).await, Poll::Pending));
    for call in large {
        assert_eq!(within("large", call).await.unwrap().len(), 1_000_000);
    }
    joined.idle().await;
}

#[tokio::test]
async fn f1_a_large_call_that_is_dropped_half_way_was_never_made() {
    for yields in [0, 1, 2, 4] {
        let (store, setup) = setup();
        let joined = setup.join(Way::Duplex).await;
        let client: StoreClient = joined.client.client();
        client.small(0).await.unwrap();
        let large = client.echo(bytes(12_000_000)).start();
        for _ in 0..yields {
            tokio::task::yield_now().await;
        }
        drop(large);
        assert_eq!(
            within("small", client.small(1).into_future())
                .await
                .unwrap(),
            2
        );
        let next = within("next", client.echo(bytes(100_000)).into_future()).await;
        assert_eq!(next.unwrap().len(), 100_000);
        joined.idle().await;
        assert_eq!(store.echoes.load(Ordering::Relaxed), 1, "{yields}");
    }
}

#[tokio::test]
async fn permits_come_home_when_large_answers_have_left() {
    for way in Way::LINKED {
        let limits = Limits::new().with_calls_in_flight(1);
        let (_, setup) = setup();
        let joined = setup.server_limits(limits).join(way).await;
        let client: StoreClient = joined.client.client();
        for _ in 0..5 {
            let given = within("give", client.give(1_000_000).into_future()).await;
            assert_eq!(given.unwrap().len(), 1_000_000, "{way:?}");
            joined.idle().await;
        }
    }
}

#[tokio::test]
async fn notifications_keep_their_order() {
    let (store, setup) = setup();
    let joined = setup.join(Way::Duplex).await;
    let client: StoreClient = joined.client.client();
    client.note(bytes(500_000)).await.unwrap();
    client.note(bytes(5)).await.unwrap();
    until("both are heard", || {
        store.noted.load(Ordering::Relaxed) >= 500_005
    })
    .await;
    joined.idle().await;
}

#[tokio::test]
async fn bytes_are_published() {
    for way in [Way::TcpCbor, Way::TcpJson, Way::Memory] {
        let events = mynah::Events::new();
        let setup = Setup {
            server: mynah::Router::new().with_events(events.clone()),
            capacity: 64,
            ..Setup::default()
        };
        let joined = setup.join(way).await;
        let mut news = joined
            .client
            .subscribe::<(u64, Bytes)>("news")
            .await
            .unwrap();
        for len in [0, 3, 100_000] {
            events.publish("news", &(7u64, bytes(len))).await.unwrap();
            let heard = within("news", news.next()).await.unwrap().unwrap();
            assert_eq!(heard, (7, bytes(len)), "{way:?} {len}");
        }
    }
}

/// A peer that announces chunks and never says that it took one.
#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_say_what_it_takes_is_closed() {
    let limits = Limits::new().with_write_timeout(Duration::from_millis(300));
    let router = mynah::Router::new().register(StoreService::new(MyStore::default()));
    let (mut raw, peer) = raw_pair(router, limits, 16 << 20);
    raw.send(&preface(b'J')).await;
    raw.send(&frame(&json!([HELLO, 1, {"partial_messages": 8}]), ""))
        .await;
    raw.say(json!([REQUEST, 1, "store", "give"]), "[8000000]")
        .await;
    settle().await;
    assert_eq!(peer.stats().permits_taken, 1, "its answer has not left");
    let reason = within("close", peer.closed()).await;
    assert!(
        matches!(reason, CloseReason::TimedOut("peer takes no data")),
        "{reason}"
    );
}

/// A peer that begins messages and never ends them holds no more than it may, and is served on.
#[tokio::test]
async fn l1_messages_that_never_end_hold_a_bounded_place() {
    let router = mynah::Router::new().register(StoreService::new(MyStore::default()));
    let (raw, peer) = raw_pair(router, Limits::new(), 1 << 20);
    let mut raw = raw.greet().await;
    for number in 0..8 {
        raw.say(json!([24, number, 4_000_000]), "x").await;
    }
    raw.say(json!([REQUEST, 1, "store", "small"]), "[1]").await;
    assert_eq!(within("answer", raw.answer()).await.kind(), RESULT);
    raw.say(json!([24, 8, 4_000_000]), "x").await;
    let reason = within("close", peer.closed()).await;
    assert!(
        matches!(
            reason,
            CloseReason::Violation(ErrorCode::PROTOCOL_VIOLATION, _)
        ),
        "{reason}"
    );
}

/// What a stranger writes: JSON with white space, bytes behind it, whole or in chunks.
#[tokio::test]
async fn a_stranger_sends_bytes_in_json() {
    let router = mynah::Router::new().register(StoreService::new(MyStore::default()));
    let (raw, _peer) = raw_pair(router, Limits::new(), 1 << 20);
    let mut raw = raw.greet().await;
    let params = "[ {\"$bytes\": [0, 3]} ]abc";
    raw.say(json!([REQUEST, 1, "store", "echo"]), params).await;
    assert_eq!(text(&mut raw).await, "[2,1]{\"$bytes\":[0,3]}abc");
    let content = format!("[1,2,\"store\",\"echo\"]{params}");
    let (first, rest) = content.split_at(7);
    raw.say(json!([24, 1, content.len()]), first).await;
    raw.say(json!([REQUEST, 3, "store", "small"]), "[1]").await;
    raw.say(json!([24, 1]), rest).await;
    assert_eq!(text(&mut raw).await, "[2,3]2", "it went ahead");
    assert_eq!(text(&mut raw).await, "[2,2]{\"$bytes\":[0,3]}abc");
}

/// The content of the next frame that is no control.
async fn text(raw: &mut Raw) -> String {
    use tokio::io::AsyncReadExt as _;
    let read = async {
        loop {
            if let Some(head) = raw.read.first_chunk::<4>() {
                let len = u32::from_be_bytes(*head) as usize;
                if raw.read.len() >= 4 + len {
                    let frame: Vec<u8> = raw.read.drain(..4 + len).skip(4).collect();
                    let content = String::from_utf8(frame).unwrap();
                    if content.starts_with("[25,") {
                        // What was taken: control, which may come at any time.
                        continue;
                    }
                    return content;
                }
            }
            assert_ne!(raw.stream.read_buf(&mut raw.read).await.unwrap(), 0);
        }
    };
    within("a frame", read).await
}
