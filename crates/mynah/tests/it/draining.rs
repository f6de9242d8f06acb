//! G, C4: ends of servers and of their connections, and what is said of them.

mod stopping;

use crate::flow::{FlowClient, MyFlow};
use crate::probe::{MyProbe, ProbeClient};
use crate::support::*;
use futures::StreamExt as _;
use mynah::dialect::{CborRpc, Native, Side};
use mynah::memory::MemoryOptions;
use mynah::prelude::*;
use mynah::{
    AttachError, By, CloseReason, CutConnection, EndReason, Evidence, EvidenceKey, Limits, Router,
    RunKind, ServerHandle,
};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};

const MS: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(3600);

fn router(probe: &MyProbe, flow: &MyFlow) -> Router {
    Router::new()
        .register(probe.service())
        .register(flow.service())
}

async fn serve(router: Router) -> ServerHandle {
    let server = Server::new().router(router).listen("tcp://127.0.0.1:0");
    server.start().await.unwrap()
}

async fn connect(server: &ServerHandle) -> Peer {
    let peer = mynah::connect(server.address()).await.unwrap();
    let echo = peer.client::<ProbeClient>().echo("here".into()).await;
    assert_eq!(echo.unwrap(), "here");
    peer
}

/// The methods that were cut with a connection, and what they were.
fn cut(connection: &CutConnection) -> Vec<(&str, RunKind)> {
    let mut calls: Vec<_> = connection
        .calls
        .iter()
        .map(|call| (call.method.as_str(), call.kind))
        .collect();
    calls.sort_by_key(|(method, _)| *method);
    calls
}

#[tokio::test]
async fn g1_drain_ends_at_its_grace_and_says_what_it_cut() {
    let (probe, flow) = (MyProbe::new(), MyFlow::new());
    let server = serve(router(&probe, &flow)).await;
    let idle = [connect(&server).await, connect(&server).await];
    let subscriber = connect(&server).await;
    let mut news = subscriber.subscribe::<u64>("news").await.unwrap();
    server.events().publish("news", &1).await.unwrap();
    assert_eq!(within("news", news.next()).await, Some(Ok(1)));
    // An endless stream to a consumer that takes everything.
    let streaming = connect(&server).await;
    let mut endless = streaming.client::<FlowClient>().count(u64::MAX).start();
    assert_eq!(within("item", endless.next()).await.unwrap().unwrap(), 0);
    let consumer = tokio::spawn(async move {
        while let Some(Ok(_)) = endless.next().await {}
        endless.end_reason().cloned()
    });
    // Handlers that are stuck.
    let busy = connect(&server).await;
    let stuck: ProbeClient = busy.client();
    let calls = [stuck.hang().start(), stuck.hang().start()];
    let mut waits = busy.client::<FlowClient>().hang(1).start();
    assert_eq!(within("item", waits.next()).await.unwrap().unwrap(), 0);
    // Handshakes that are not over, one of them begun.
    let silent = raw_tcp(&server).await;
    let mut half_open = raw_tcp(&server).await;
    half_open.send(b"MYN").await;
    // One that asks for much and never reads.
    let mut never_reads = raw_tcp(&server).await;
    never_reads.send(&preface(b'J')).await;
    for id in 0..4 {
        let head = json!([REQUEST, id, "probe", "letters"]);
        never_reads.send(&frame(&head, "[5000000]")).await;
    }
    until("all are there", || {
        // Five said hello, two hang, four ask for letters.
        probe.0.calls.started() == 11 && server.peers().len() == 8
    })
    .await;

    let draining = server.drain(1000 * MS);
    let others = async {
        for peer in &idle {
            let reason = within("the idle go at once", peer.closed()).await;
            assert!(
                matches!(reason, CloseReason::PeerGone | CloseReason::Drained),
                "{reason}"
            );
        }
        let end = within("the subscription ends", news.next()).await;
        assert_eq!(end, Some(Err(EndReason::Draining)));
    };
    let (report, ()) = within("drain", async { tokio::join!(draining, others) }).await;

    assert!(!report.is_complete());
    assert_eq!(report.connections, 8, "{report}");
    assert_eq!(report.half_open, 2, "{report}");
    assert_eq!(report.subscriptions_ended, 1, "{report}");
    assert_eq!(report.connections_cut, 3, "{report}");
    assert_eq!((report.calls_cut, report.streams_cut), (4, 2), "{report}");
    assert_eq!(report.local_calls_left, 0);
    assert!(report.took >= 1000 * MS, "{report}");
    let find = |count: usize| {
        let mut found = report.cut.iter().filter(|cut| cut.calls.len() == count);
        (found.next().unwrap(), found.count()).0
    };
    assert_eq!(cut(find(1)), [("flow.count", RunKind::Stream)]);
    assert_eq!(
        cut(find(3)),
        [
            ("flow.hang", RunKind::Stream),
            ("probe.hang", RunKind::Call),
            ("probe.hang", RunKind::Call)
        ]
    );
    assert!(find(3).calls.iter().all(|call| call.ran >= 1000 * MS));
    assert!(find(0).output_bytes > 1_000_000, "{report}");
    for cut in &report.cut {
        let address = cut.peer.text(EvidenceKey::REMOTE_ADDRESS).unwrap();
        assert!(address.starts_with("127.0.0.1:"), "{address}");
    }
    let text = report.to_string();
    for part in [
        "8 connections",
        "2 half-open",
        "call probe.hang for",
        "127.0.0.1:",
    ] {
        assert!(text.contains(part), "{text}");
    }

    // Everything is over, on both sides.
    for call in calls {
        assert!(within("end", call).await.is_err());
    }
    assert!(within("end", waits.next()).await.unwrap().is_err());
    assert_eq!(waits.end_reason(), Some(&EndReason::Draining));
    let reason = within("end", consumer).await.unwrap();
    assert_eq!(reason, Some(EndReason::Draining));
    until("every handler is over", || {
        probe.0.calls.alive() == 0 && flow.0.calls.alive() == 0 && server.peers().is_empty()
    })
    .await;
    drop((silent, half_open, never_reads, subscriber));
}

#[tokio::test]
async fn g1_a_drain_in_process_counts_subscriptions() {
    let probe = MyProbe::new();
    let server = Server::new()
        .register(probe.service())
        .start()
        .await
        .unwrap();
    let mut news = server.local().subscribe::<u64>("news").await.unwrap();
    let gone = server.local().subscribe::<u64>("news").await.unwrap();
    drop(gone);
    let report = within("drain", server.drain(LONG)).await;
    assert!(report.is_complete() && report.cut.is_empty(), "{report}");
    assert_eq!((report.connections, report.subscriptions_ended), (0, 1));
    let end = within("end", news.next()).await;
    assert_eq!(end, Some(Err(EndReason::Draining)));
}

/// The probe with other types than its own.
#[mynah::service(name = "probe")]
trait Small {
    async fn pass(&self, number: u8) -> u8;
}

/// A call in process whose types are not those of its handler is encoded: it is waited for, and cut, as any other.
#[tokio::test]
async fn g1_a_drain_in_process_counts_encoded_calls() {
    for finishes in [true, false] {
        let probe = MyProbe::new();
        let server = Server::new().router(probe.router()).start().await.unwrap();
        let local: SmallClient = server.local().client();
        let call = local.pass(7);
        let call = tokio::spawn(call.into_future());
        until("it runs", || probe.0.calls.alive() == 1).await;
        let grace = if finishes { LONG } else { MS };
        let others = async {
            settle().await;
            let late = within("late", local.pass(8).into_future())
                .await
                .unwrap_err();
            assert!(matches!(late, CallError::Disconnected(_)), "{late:?}");
            if finishes {
                probe.0.gate.add_permits(1);
            }
        };
        let drained = async { tokio::join!(server.drain(grace), others) };
        let (report, ()) = within("drain", drained).await;
        assert_eq!(report.is_complete(), finishes, "{report}");
        let ended = within("call", call).await.unwrap();
        if finishes {
            assert_eq!(ended.unwrap(), 7);
            assert!(report.cut.is_empty(), "{report}");
        } else {
            let error = ended.unwrap_err();
            assert!(
                matches!(
                    error,
                    CallError::Indeterminate(_) | CallError::Cancelled(By::Callee)
                ),
                "{error:?}"
            );
            let calls = cut(&report.cut[0]);
            assert_eq!(calls, [("probe.pass", RunKind::Call)], "{report}");
            assert_eq!(report.local_calls_left, 0, "{report}");
        }
        until("it is over", || probe.0.calls.alive() == 0).await;
    }
}

#[mynah::service]
trait Back {
    /// The text, as the caller says it again.
    async fn echo(&self, cx: &Context, text: String) -> Result<String, RpcError>;
}

struct MyBack(Arc<tokio::sync::Semaphore>);

impl Back for MyBack {
    async fn echo(&self, cx: &Context, text: String) -> Result<String, RpcError> {
        self.0.acquire().await.unwrap().forget();
        let caller: ProbeClient = cx.peer().client();
        Ok(caller.echo(text).await?)
    }
}

/// A handler that has to finish may need its caller for it: it calls back while its server drains. New calls of the
/// caller are refused.
#[tokio::test]
async fn a_handler_calls_back_while_its_server_drains() {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let server = Server::new()
        .register(BackService::new(MyBack(Arc::clone(&gate))))
        .listen("tcp://127.0.0.1:0")
        .start()
        .await
        .unwrap();
    let mine = MyProbe::new();
    let client = mynah::connector(server.address())
        .unwrap()
        .register(mine.service())
        .connect()
        .await
        .unwrap();
    let client: BackClient = client.client();
    let ask = || client.echo("a".into());
    let call = tokio::spawn(ask().into_future());
    until("it runs", || {
        server
            .peers()
            .iter()
            .any(|peer| peer.stats().handlers_running == 1)
    })
    .await;
    let others = async {
        settle().await;
        let late = within("late", ask().into_future()).await.unwrap_err();
        assert!(late.is_retryable(), "{late:?}");
        gate.add_permits(1);
    };
    let drained = async { tokio::join!(server.drain(LONG), others) };
    let (report, ()) = within("drain", drained).await;
    assert!(report.is_complete(), "{report}");
    assert_eq!(within("call", call).await.unwrap().unwrap(), "a");
    assert_eq!(mine.0.calls.started(), 1);
}

/// A client that is gone without a word needs nothing any more: what runs for it is stopped.
#[tokio::test]
async fn c4_a_disconnect_stops_handlers_and_streams() {
    let (probe, flow) = (MyProbe::new(), MyFlow::new());
    let server = serve(router(&probe, &flow)).await;
    for rounds in 1..=2 {
        // By bytes: unary, in a task of its own, a stream of results, a stream of items that nobody reads.
        let mut raw = raw_tcp(&server).await.greet().await;
        raw.say(json!([REQUEST, 1, "probe", "hang"]), "[]").await;
        raw.say(json!([REQUEST, 2, "probe", "pass"]), "[1]").await;
        until("they run", || probe.0.calls.alive() == 2).await;
        // Through a client: streams and callbacks too.
        let peer = connect(&server).await;
        let client: FlowClient = peer.client();
        let mut results = client.hang(3).start();
        for number in 0..3 {
            assert_eq!(results.next().await.unwrap().unwrap(), number);
        }
        let ignores = client.ignores(futures::stream::iter(0..)).start();
        let length = client.length(futures::stream::pending()).start();
        let asks = client
            .ask_and_hang(|_| async { std::future::pending().await })
            .start();
        until("all run", || {
            let running = |peer: &Peer| peer.stats().handlers_running;
            server.peers().iter().map(running).sum::<usize>() == 6
        })
        .await;
        drop(raw);
        until("those of one client are stopped", || {
            probe.0.calls.alive() == 0
        })
        .await;
        peer.close();
        until("those of the other are stopped", || {
            flow.0.calls.alive() == 0
        })
        .await;
        until("the connections are forgotten", || {
            server.peers().is_empty()
        })
        .await;
        assert!(within("end", ignores).await.is_err());
        assert!(within("end", length).await.is_err());
        assert!(within("end", asks).await.is_err());
        assert_eq!(flow.0.calls.started(), 4 * rounds);
    }
}

#[tokio::test]
async fn attached_connections_are_those_of_the_server() {
    let probe = MyProbe::new();
    let (early, far) = tokio::io::duplex(4096);
    let server = Server::new()
        .register(probe.service())
        .limits(Limits::new().with_connections(4))
        .listen("tcp://127.0.0.1:0")
        .attach(
            far,
            Native::new(),
            Evidence::new().with(EvidenceKey::TRANSPORT, "pipe"),
        )
        .start()
        .await
        .unwrap();
    let early = over(
        early,
        &Native::new(),
        Side::Dial,
        Router::new(),
        Limits::new(),
    );
    let mut clients = vec![early];
    // Bytes in another dialect, and with a service of the client that the server calls.
    let (near, far) = tokio::io::duplex(4096);
    let evidence = Evidence::new().with(EvidenceKey::REMOTE_ADDRESS, "cell 7");
    let attached = server.attach(far, &CborRpc::cbor(), evidence).unwrap();
    let near = over(
        near,
        &CborRpc::cbor(),
        Side::Dial,
        MyProbe::new().router(),
        Limits::new(),
    );
    clients.push(near);
    assert_eq!(attached.evidence().to_string(), "cell 7");
    let back: ProbeClient = attached.client();
    assert_eq!(
        within("back", back.echo("b".into()).into_future())
            .await
            .unwrap(),
        "b"
    );
    drop((attached, back));
    // Envelopes.
    let (near, far) = mynah::memory::pair_with(&MemoryOptions::default());
    server.attach_transport(far).unwrap();
    clients.push(Peer::over_transport(near).start().unwrap());
    // A socket that somebody else has accepted.
    let activated = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dialled = TcpStream::connect(activated.local_addr().unwrap())
        .await
        .unwrap();
    let (accepted, _) = activated.accept().await.unwrap();
    server
        .attach(accepted, &Native::json(), Evidence::new())
        .unwrap();
    clients.push(over(
        dialled,
        &Native::json(),
        Side::Dial,
        Router::new(),
        Limits::new(),
    ));
    for (index, client) in clients.iter().enumerate() {
        let client: ProbeClient = client.client();
        let echo = within("echo", client.echo("a".into()).into_future()).await;
        assert_eq!(echo.unwrap(), "a", "{index}");
    }
    // They count, together and apart from those of a listener: the next is refused however it comes.
    clients.push(connect(&server).await);
    assert_eq!(server.peers().len(), 5);
    let (mut near, far) = tokio::io::duplex(64);
    let refused = server
        .attach(far, &Native::new(), Evidence::new())
        .unwrap_err();
    assert_eq!(refused, AttachError::Full);
    assert_eq!(near.read(&mut [0; 8]).await.unwrap(), 0, "it was closed");
    let (_near, far) = mynah::memory::pair_with(&MemoryOptions::default());
    assert_eq!(server.attach_transport(far).unwrap_err(), AttachError::Full);
    // They are drained with the rest: what runs finishes, and then they go.
    let calls: Vec<_> = clients
        .iter()
        .map(|client| client.client::<ProbeClient>().pass(1).start())
        .collect();
    until("all run", || probe.0.calls.alive() == 5).await;
    let draining = server.drain(LONG);
    let others = async {
        settle().await;
        probe.0.gate.add_permits(5);
        for call in calls {
            assert_eq!(call.await.unwrap(), 1);
        }
    };
    let (report, ()) = within("drain", async { tokio::join!(draining, others) }).await;
    assert!(report.is_complete() && report.connections == 5, "{report}");
    let (_near, far) = tokio::io::duplex(64);
    let refused = server
        .attach(far, &Native::new(), Evidence::new())
        .unwrap_err();
    assert_eq!(refused, AttachError::Stopped);
}

/// One server on several listeners, several dialects at once: one set of peers, one drain.
#[tokio::test]
async fn several_listeners_are_drained_together() {
    let probe = MyProbe::new();
    let server = Server::new()
        .register(probe.service())
        .listen("tcp://127.0.0.1:0")
        .listen("tcp://127.0.0.1:0?dialect=cbor-rpc")
        .listen("tcp://127.0.0.1:0?dialect=cbor-rpc&format=json&padding=python&errors=rich")
        .listen("memory:drained-together")
        .start()
        .await
        .unwrap();
    let [native, cbor, json] = server.addresses() else {
        panic!("{:?}", server.addresses())
    };
    let mut calls = Vec::new();
    for url in [
        native.clone(),
        format!("{native}?format=json"),
        format!("{cbor}?dialect=cbor-rpc"),
        format!("{json}?dialect=cbor-rpc&format=json&names=qualified"),
        "memory:drained-together".to_owned(),
    ] {
        let client: ProbeClient = mynah::connect(&url).await.unwrap().client();
        assert_eq!(client.echo(url.clone()).await.unwrap(), url);
        calls.push(client.pass(1).start());
    }
    until("all run", || probe.0.calls.alive() == 5).await;
    assert_eq!(server.peers().len(), 4);
    let draining = server.drain(LONG);
    let others = async {
        settle().await;
        probe.0.gate.add_permits(5);
        for call in calls {
            assert_eq!(call.await.unwrap(), 1);
        }
    };
    let (report, ()) = within("drain", async { tokio::join!(draining, others) }).await;
    assert!(report.is_complete() && report.connections == 4, "{report}");
}
