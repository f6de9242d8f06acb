//! The traps of two-way traffic with streams, callbacks and subscriptions: D, F, and what storms have found.

use crate::flow::*;
use crate::probe::MyProbe;
use crate::support::*;
use futures::{StreamExt as _, stream};
use mynah::prelude::*;
use mynah::protocol::{Accepted, Listener, TransportError};
use mynah::{Events, Evidence, Limits, Router};
use serde_json::{Value as Json, json};
use std::collections::HashSet;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

#[tokio::test]
async fn d5_a_consumer_that_never_polls_holds_up_nobody() {
    const LETTERS: usize = 1000;
    const WINDOW: u32 = 64 << 10;
    for way in STREAMS {
        let flow = MyFlow::new();
        let limits = Limits::new().with_stream_bytes(WINDOW);
        let setup = Setup::new(flow.service()).limits(&limits);
        let joined = setup.join(way).await;
        let client: FlowClient = joined.client.client();
        let streams: Vec<_> = (0..8)
            .map(|_| client.letters(1_000_000, LETTERS).start())
            .collect();
        // Items that a handler never takes.
        let (data, watch) = Watched::new(stream::repeat(1));
        let ignored = client.ignores(data).start();
        for _ in 0..3 {
            let items: Vec<u64> = within(
                "another stream",
                client.count(5_000).start().map(Result::unwrap).collect(),
            )
            .await;
            assert!(items.iter().copied().eq(0..5_000), "{way:?}");
            let sum = within("a call", client.sum(stream::iter(0..5_000)).into_future()).await;
            assert_eq!(sum.unwrap(), (0..5_000).sum::<i64>(), "{way:?}");
            let (told, asked) = (client.tell(10, drop), client.ask(10, async |_| Ok(1)));
            assert_eq!(within("tell", told.into_future()).await.unwrap(), 10);
            assert_eq!(within("ask", asked.into_future()).await.unwrap(), 10);
        }
        settle().await;
        // The last batch may exceed the window by what one turn makes.
        let most = 8 * (u64::from(WINDOW) + (64 << 10)) / LETTERS as u64;
        let made = flow.made() - 3 * 5_000;
        assert!(made <= most, "{way:?}: {made} items were made");
        let made = watch.made();
        assert!(made <= 2 * u64::from(WINDOW), "{way:?}: {made} were sent");
        if let Some(far) = joined.far().await {
            let held = far.stats().output_bytes + joined.client.stats().output_bytes;
            assert!(held <= 1 << 20, "{way:?}: {held} bytes wait");
        }
        drop((streams, ignored));
        until("nobody is alive", || flow.0.calls.alive() == 0).await;
        joined.idle().await;
    }
}

/// Each side answers with a stream that it makes of one of the other side.
#[mynah::service]
trait Echoes {
    fn echoes(
        &self,
        cx: &Context,
        left: u32,
        items: u64,
    ) -> impl Stream<Item = Result<u64, RpcError>> + Send;
}

struct MyEchoes;

impl Echoes for MyEchoes {
    fn echoes(
        &self,
        cx: &Context,
        left: u32,
        items: u64,
    ) -> impl Stream<Item = Result<u64, RpcError>> + Send {
        if left == 0 {
            return stream::iter(0..items).map(Ok).boxed();
        }
        let back: EchoesClient = cx.peer().client();
        let items = back.echoes(left - 1, items).start();
        items
            .map(|item| item.map_err(|error| RpcError::new(ErrorCode::UNCODED, error.to_string())))
            .boxed()
    }
}

#[tokio::test]
async fn d1_streams_of_streams_64_deep() {
    for way in STREAMS {
        let setup = Setup::new(EchoesService::new(MyEchoes)).client(EchoesService::new(MyEchoes));
        let limits = Limits::new().with_stream_items(1);
        let joined = setup.limits(&limits).capacity(1).join(way).await;
        let mut sides = vec![joined.client.clone()];
        sides.extend(joined.far().await);
        let deep = sides.iter().map(|side| {
            let client: EchoesClient = side.client();
            async move {
                let items: Vec<u64> = client
                    .echoes(64, 20)
                    .start()
                    .map(Result::unwrap)
                    .collect()
                    .await;
                assert!(items.iter().copied().eq(0..20), "{way:?}");
            }
        });
        within("64 deep", futures::future::join_all(deep)).await;
        joined.idle().await;
    }
}

/// A peer that opens streams and never reads: what waits for it is bounded, and all comes once it reads.
#[tokio::test]
async fn d2_a_peer_that_opens_streams_and_does_not_read() {
    // Small items, and such as are large messages each.
    for (count, letters) in [(1000, 1000), (40, 100_000)] {
        opens_streams_and_does_not_read(count, letters).await;
    }
}

async fn opens_streams_and_does_not_read(count: u64, letters: usize) {
    const PERMITS: u32 = 16;
    let flow = MyFlow::new();
    let limits = Limits::new()
        .with_calls_in_flight(PERMITS)
        .with_output_high_water_bytes(64 << 10);
    let router = Router::new().register(flow.service());
    let (raw, peer) = raw_pair(router, limits, 1024);
    let mut raw = raw.greet().await;
    // All of the credit that there is.
    let (items, bytes) = (1_000_000, 1_u64 << 40);
    let params = json!([count, letters]).to_string();
    for id in 0..PERMITS {
        let head = json!([REQUEST, id, "flow", "letters", null, null, items, bytes]);
        raw.say(head, &params).await;
    }
    settle().await;
    let held = peer.stats().output_bytes;
    // Beyond the mark one turn of all streams, and of each what it makes at a time.
    let each = if letters > 1000 {
        letters + (48 << 10)
    } else {
        0
    };
    let most = (64 << 10) + (320 << 10) + PERMITS as usize * each;
    assert!(held <= most, "{held} bytes wait");
    let mut items = [0; PERMITS as usize];
    let mut ended = 0;
    within("the rest", async {
        while ended < PERMITS {
            let frame = raw.next().await.expect("the connection is closed");
            let id = usize::try_from(frame.head[1].as_u64().unwrap()).unwrap();
            match frame.kind() {
                ITEMS => items[id] += frame.head[3].as_u64().unwrap(),
                RESULT => {
                    assert_eq!(items[id], count, "items of {id} came before its end");
                    ended += 1;
                }
                other => panic!("a frame of kind {other}"),
            }
        }
    })
    .await;
    until("idle", || peer.stats() == mynah::PeerStats::default()).await;
}

/// For a hundred thousand calls on a busy machine.
const LONG: Duration = Duration::from_secs(60);

/// Requests in one write. Each is answered once: the first ones run, the others find no permit.
async fn pipelined(
    router: Router,
    limits: Limits,
    head: impl Fn(u64) -> Json,
    params: &str,
) -> (Raw, Peer, HashSet<u64>, HashSet<u64>) {
    const CALLS: u64 = 100_000;
    let (raw, peer) = raw_pair(router, limits.with_control_bytes(64 << 20), 1 << 16);
    let mut raw = raw.greet().await;
    let mut bytes = Vec::new();
    for id in 0..CALLS {
        bytes.extend_from_slice(&frame(&head(id), params));
    }
    let (read, mut write) = tokio::io::split(raw.stream);
    let writer = tokio::spawn(async move {
        write.write_all(&bytes).await.unwrap();
        write
    });
    let mut reader = Raw {
        stream: tokio::io::join(read, tokio::io::sink()),
        read: Vec::new(),
    };
    let (mut taken, mut refused) = (HashSet::new(), HashSet::new());
    while (taken.len() + refused.len()) < usize::try_from(CALLS).unwrap() {
        let frame = reader.next().await.expect("closed");
        let id = frame.head[1].as_u64().unwrap();
        let fresh = match frame.kind() {
            ERROR => {
                assert_eq!(frame.body[0], -32003, "{frame:?}");
                refused.insert(id)
            }
            // Answered, or taken on: a subscription has no answer yet.
            _ => taken.insert(id),
        };
        assert!(fresh, "{id} was answered twice");
    }
    let write = writer.await.unwrap();
    raw.stream = reader.stream.into_inner().0.unsplit(write);
    raw.read = reader.read;
    (raw, peer, taken, refused)
}

#[tokio::test]
async fn f3_a_hundred_thousand_calls_in_one_write() {
    let probe = MyProbe::new();
    let limits = Limits::new().with_calls_in_flight(64);
    let head = |id| json!([REQUEST, id, "probe", "echo_later"]);
    let (raw, peer, taken, refused) = within_time(
        "all",
        LONG,
        pipelined(probe.router(), limits, head, r#"["x", 2]"#),
    )
    .await;
    assert!(
        probe.0.calls.most() <= 64,
        "{} ran at once",
        probe.0.calls.most()
    );
    assert_eq!(probe.0.calls.started(), taken.len());
    assert!(!taken.is_empty() && !refused.is_empty());
    until("idle", || peer.stats() == mynah::PeerStats::default()).await;
    assert!(!peer.is_closed());
    drop(raw);
}

#[tokio::test]
async fn f3_a_hundred_thousand_subscriptions_in_one_write() {
    for (permits, subscriptions) in [(64, 1024), (1024, 64)] {
        let events = Events::new();
        let router = Router::new()
            .register(MyProbe::new().service())
            .with_events(events.clone());
        let limits = Limits::new()
            .with_calls_in_flight(permits)
            .with_subscriptions(subscriptions);
        let head = |id| json!([REQUEST, id, "$events", "subscribe", null, null, 8, 1000]);
        let (raw, peer, taken, refused) = within_time(
            "all",
            LONG,
            pipelined(router, limits, head, r#"["topic", null, null]"#),
        )
        .await;
        assert_eq!(taken.len(), 64);
        assert_eq!(refused.len(), 100_000 - 64);
        assert_eq!(events.subscribers("topic"), 64);
        assert!(!peer.is_closed());
        let published = events.try_publish("topic", &1).unwrap();
        assert_eq!((published.subscribers, published.dropped), (64, 0));
        drop(raw);
        until("nobody subscribes", || events.subscribers("topic") == 0).await;
        until("it is over", || peer.is_closed()).await;
        until("idle", || peer.stats() == mynah::PeerStats::default()).await;
    }
}

/// Accepts one connection that is open already.
struct One(Option<DuplexStream>);

impl Listener for One {
    type Connection = DuplexStream;

    fn poll_accept(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<Accepted<DuplexStream>, TransportError>>> {
        let Some(connection) = self.0.take() else {
            return Poll::Pending;
        };
        let evidence = Evidence::new();
        Poll::Ready(Some(Ok(Accepted {
            connection,
            evidence,
        })))
    }

    fn address(&self) -> String {
        "one".to_owned()
    }
}

/// The greeting stands ahead of everything, also of the word that the server drains.
#[tokio::test(start_paused = true)]
async fn a_drain_before_the_greeting_says_nothing_ahead_of_it() {
    let probe = MyProbe::new();
    for says in 0..=2 {
        let (near, far) = tokio::io::duplex(1 << 16);
        let server = Server::new()
            .router(probe.router())
            .listen_on(One(Some(far)), mynah::dialect::Native::new());
        let server = server.start().await.unwrap();
        until("it has accepted", || !server.peers().is_empty()).await;
        let mut raw = Raw {
            stream: near,
            read: Vec::new(),
        };
        if says > 0 {
            raw.send(&preface(b'J')[..4 * says]).await;
        }
        let drain = server.drain(Duration::from_secs(1));
        let heard = async {
            let mut heard = Vec::new();
            raw.stream.read_to_end(&mut heard).await.unwrap();
            heard
        };
        let (_, heard) = within("drain", async { tokio::join!(drain, heard) }).await;
        let greeting = preface(b'J');
        let begin = &heard[..heard.len().min(greeting.len())];
        assert_eq!(begin, &greeting[..begin.len()], "{says}: {heard:?}");
    }
}

/// What is left of a connection when it has ended: nothing, whoever holds a handle.
#[tokio::test(start_paused = true)]
async fn a_connection_that_has_ended_holds_no_output() {
    let probe = MyProbe::new();
    let (raw, peer) = raw_pair(probe.router(), Limits::new(), 64);
    let mut raw = raw.greet().await;
    raw.say(json!([REQUEST, 1, "probe", "letters"]), "[50000]")
        .await;
    until("it was answered", || peer.stats().output_bytes > 45_000).await;
    drop(raw);
    within("end", peer.closed()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(peer.stats(), mynah::PeerStats::default());
    drop(peer.log(3, &"nobody hears this"));
    assert_eq!(peer.stats(), mynah::PeerStats::default());
}

/// A handler ends, its caller cancels it, and a callback takes its place, all in one turn: the cancel is about the
/// handler that has ended.
#[tokio::test]
async fn a_late_cancel_does_not_stop_the_callback_in_the_same_place() {
    let probe = MyProbe::new();
    let (raw, peer) = raw_server(probe.router(), Limits::new(), 1 << 16);
    let flow: FlowClient = peer.client();
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let opens = Arc::clone(&gate);
    let asked = flow.ask_and_hang(move |_| {
        let opens = Arc::clone(&opens);
        async move {
            opens.acquire().await.unwrap().forget();
            Ok(5)
        }
    });
    let call = asked.start();
    let mut raw = raw.greet().await;
    let request = raw.next().await.unwrap();
    assert_eq!(request.kind(), REQUEST);
    let callback = request.body[0].to_string();
    raw.say(json!([REQUEST, 1, "probe", "pass"]), "[7]").await;
    until("it runs", || probe.0.calls.alive() == 1).await;
    // The task of the connection finds all of it at once.
    probe.0.gate.add_permits(1);
    let said = [
        frame(&json!([CANCEL, 1]), ""),
        frame(&json!([REQUEST, 2, "$callback", callback]), "[3]"),
    ];
    raw.send(&said.concat()).await;
    let first = within("the first", raw.answer()).await;
    assert_eq!(first.head[1], 1, "{first:?}");
    settle().await;
    gate.add_permits(1);
    let second = within("the callback", raw.answer()).await;
    assert_eq!((second.kind(), &second.body), (RESULT, &json!(5)));
    drop(call);
}
