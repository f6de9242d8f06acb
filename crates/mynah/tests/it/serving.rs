//! Starting, ending, draining, and what the other side sees of it.

use crate::probe::{MyProbe, ProbeClient};
use crate::support::*;
use mynah::dialect::{Native, Side};
use mynah::prelude::*;
use mynah::{CloseReason, ConnectError, Limits, PeerStats, Router, ServerError};
use serde_json::json;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;

const MS: Duration = Duration::from_millis(1);

#[tokio::test]
async fn the_last_handle_closes_after_what_waits_was_written() {
    for way in Way::LINKED {
        let probe = MyProbe::new();
        let joined = Setup::new(probe.service()).join(way).await;
        let far = joined.far().await.unwrap();
        let client: ProbeClient = joined.client.client();
        client.echo("ready".into()).await.unwrap();
        let large = "x".repeat(100_000);
        for number in 0..5 {
            client.touch(format!("{number}{large}")).await.unwrap();
        }
        drop(client);
        let Joined { client, .. } = joined;
        drop(client);
        let reason = within("end", far.closed()).await;
        assert!(
            !matches!(reason, CloseReason::Violation(..)),
            "{way:?}: {reason}"
        );
        assert_eq!(probe.0.touched.lock().unwrap().len(), 5, "{way:?}");
    }
}

#[tokio::test]
async fn a_call_on_its_way_holds_the_connection() {
    let probe = MyProbe::new();
    let (near, far) = tokio::io::duplex(4096);
    let server = over(
        far,
        &Native::new(),
        Side::Accept,
        probe.router(),
        Limits::new(),
    );
    let client = over(
        near,
        &Native::new(),
        Side::Dial,
        Router::new(),
        Limits::new(),
    );
    let call = client.client::<ProbeClient>().pass(5).start();
    drop(client);
    until("it runs", || probe.0.calls.alive() == 1).await;
    probe.0.gate.add_permits(1);
    assert_eq!(within("answer", call).await.unwrap(), 5);
    within("end", server.closed()).await;
}

#[tokio::test]
async fn peer_gone_indeterminate_in_flight_disconnected_later() {
    for way in Way::LINKED {
        let probe = MyProbe::new();
        let joined = Setup::new(probe.service()).join(way).await;
        let far = joined.far().await.unwrap();
        let client: ProbeClient = joined.client.client();
        let call = client.hang().start();
        until("it runs", || probe.0.calls.alive() == 1).await;
        // Nothing of a goodbye: the server's side is gone.
        far.close();
        let error = within("end", call).await.unwrap_err();
        match way {
            // The server's last words were that it stopped the handler.
            _ if matches!(error, CallError::Cancelled(_) | CallError::Indeterminate(_)) => {}
            Way::CborRpc => assert!(matches!(error, CallError::Remote(_)), "{error:?}"),
            _ => panic!("{way:?}: {error:?}"),
        }
        within("end", joined.client.closed()).await;
        let error = within("later", client.echo("a".into()).into_future())
            .await
            .unwrap_err();
        assert!(
            matches!(error, CallError::Disconnected(_)),
            "{way:?}: {error:?}"
        );
        let error = within("later", client.touch("a".into())).await.unwrap_err();
        assert!(
            matches!(error, CallError::Disconnected(_)),
            "{way:?}: {error:?}"
        );
        assert!(joined.client.is_closed());
        assert_eq!(joined.client.stats(), PeerStats::default(), "{way:?}");
        until("the handler is over", || probe.0.calls.alive() == 0).await;
    }
}

#[tokio::test]
async fn a_peer_that_vanishes_without_a_word() {
    let (mut raw, peer) = raw_server(Router::new(), Limits::new(), 1 << 16);
    raw.hear_greeting().await;
    raw.send(&preface(b'J')).await;
    let client: ProbeClient = peer.client();
    let call = client.hang().start();
    assert_eq!(raw.next().await.unwrap().kind(), REQUEST);
    drop(raw);
    let error = within("end", call).await.unwrap_err();
    assert!(
        matches!(error, CallError::Indeterminate(CloseReason::PeerGone)),
        "{error:?}"
    );
    let error = client.hang().await.unwrap_err();
    assert!(
        matches!(error, CallError::Disconnected(CloseReason::PeerGone)),
        "{error:?}"
    );
}

async fn serve(probe: &MyProbe, limits: Limits) -> mynah::ServerHandle {
    let server = Server::new().register(probe.service()).limits(limits);
    server.listen("tcp://127.0.0.1:0").start().await.unwrap()
}

#[tokio::test]
async fn drain_finishes_what_runs_and_refuses_what_is_new() {
    let probe = MyProbe::new();
    let server = serve(&probe, Limits::new()).await;
    let address = server.address().to_owned();
    let client: ProbeClient = mynah::connect(&address).await.unwrap().client();
    let idle = mynah::connect(&address).await.unwrap();
    idle.client::<ProbeClient>()
        .echo("idle".into())
        .await
        .unwrap();
    let mut raw = raw_tcp(&server).await.greet().await;
    raw.say(json!([REQUEST, 1, "probe", "pass"]), "[1]").await;
    let call = client.pass(7).start();
    until("both run", || probe.0.calls.alive() == 2).await;
    let draining = server.drain(Duration::from_secs(5));
    let others = async {
        // The idle one goes at once.
        within("idle", idle.closed()).await;
        // Told, then refused.
        let away = raw.next().await.unwrap();
        assert_eq!(away.kind(), GOING_AWAY);
        assert_eq!(away.head[1], json!(ErrorCode::DRAINING.value()));
        raw.say(json!([REQUEST, 2, "probe", "echo"]), "[\"late\"]")
            .await;
        let refused = raw.answer().await;
        assert_eq!(refused.head, json!([ERROR, 2]));
        assert_eq!(refused.body[0], json!(ErrorCode::DRAINING.value()));
        let error = client.echo("late".into()).await.unwrap_err();
        assert!(error.is_retryable(), "{error:?}");
        assert!(mynah::connect(&address).await.is_err(), "it still listens");
        probe.0.gate.add_permits(2);
        assert_eq!(raw.answer().await.body, json!(1));
        assert_eq!(call.await.unwrap(), 7);
        raw.rest().await
    };
    let (report, rest) = within("drain", async { tokio::join!(draining, others) }).await;
    assert!(rest.is_empty(), "{rest:?}");
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(
        (report.connections, report.connections_cut, report.calls_cut),
        (3, 0, 0)
    );
    // Again: nothing is left to do.
    let again = within("again", server.drain(Duration::from_secs(5))).await;
    assert!(again.is_complete());
    assert_eq!(again.connections, 0);
}

#[tokio::test(start_paused = true)]
async fn drain_in_process() {
    let probe = MyProbe::new();
    let server = Server::new()
        .register(probe.service())
        .listen("memory:drained")
        .start()
        .await
        .unwrap();
    let client: ProbeClient = mynah::connect("memory:drained").await.unwrap().client();
    let call = client.pass(1).start();
    until("it runs", || probe.0.calls.alive() == 1).await;
    let others = async {
        settle().await;
        let error = client.echo("late".into()).await.unwrap_err();
        assert!(
            matches!(error, CallError::Disconnected(CloseReason::Drained)),
            "{error:?}"
        );
        assert!(mynah::connect("memory:drained").await.is_err());
        probe.0.gate.add_permits(1);
        assert_eq!(call.await.unwrap(), 1);
    };
    let draining = server.drain(Duration::from_secs(5));
    let (report, ()) = within("drain", async { tokio::join!(draining, others) }).await;
    assert!(report.is_complete(), "{report:?}");
}

#[tokio::test]
async fn connections_are_limited() {
    let probe = MyProbe::new();
    let server = serve(&probe, Limits::new().with_connections(2)).await;
    let connect = async || {
        let peer = mynah::connect(server.address()).await.unwrap();
        let client: ProbeClient = peer.client();
        (client.echo("a".into()).await, peer)
    };
    let (one, first) = connect().await;
    let (two, _second) = connect().await;
    assert!(one.is_ok() && two.is_ok());
    let (three, third) = within("refusal", connect()).await;
    let error = three.unwrap_err();
    assert!(
        matches!(
            error,
            CallError::Disconnected(_) | CallError::Indeterminate(_)
        ),
        "{error:?}"
    );
    within("end", third.closed()).await;
    // One goes, one comes.
    first.close();
    until("a place is free", || server.peers().len() == 1).await;
    assert!(connect().await.0.is_ok());
}

/// A byte stream on which nobody says anything.
#[tokio::test(start_paused = true)]
async fn a_silent_peer_runs_into_the_handshake_timeout() {
    let limits = Limits::new().with_handshake_timeout(200 * MS);
    for side in [Side::Accept, Side::Dial] {
        for said in [&b""[..], b"M", b"MYNAH", b"MYNAH\x01J"] {
            let (mut near, far) = tokio::io::duplex(1 << 16);
            let peer = over(far, &Native::json(), side, Router::new(), limits.clone());
            tokio::io::AsyncWriteExt::write_all(&mut near, said)
                .await
                .unwrap();
            let began = tokio::time::Instant::now();
            let reason = within("close", peer.closed()).await;
            assert!(
                matches!(reason, CloseReason::TimedOut(_)),
                "{side:?}, {said:?}: {reason}"
            );
            assert!(began.elapsed() >= 200 * MS && began.elapsed() < 210 * MS);
        }
    }
}

#[tokio::test]
async fn a_service_that_is_registered_twice_is_refused_at_start() {
    let twice = || {
        Router::new()
            .register(MyProbe::new().service())
            .register(MyProbe::new().service())
    };
    let error = Server::new()
        .router(twice())
        .listen("tcp://127.0.0.1:0")
        .start()
        .await
        .unwrap_err();
    assert!(matches!(&error, ServerError::Register(_)), "{error:?}");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        source.contains("probe.echo") && source.contains("twice"),
        "{source}"
    );
    assert!(
        Peer::over(tokio::io::duplex(1).0, &Native::new())
            .router(twice())
            .start()
            .is_err()
    );
    let connector = mynah::connector("tcp://127.0.0.1:1").unwrap();
    let error = connector
        .register(MyProbe::new().service())
        .register(MyProbe::new().service())
        .connect()
        .await
        .unwrap_err();
    assert!(matches!(error, ConnectError::Register(_)), "{error:?}");
}

#[tokio::test]
async fn a_wrong_url_fails_at_start_with_its_message() {
    for (url, says) in [
        ("nonsense", "no known scheme"),
        ("http://127.0.0.1:80", "no known scheme"),
        ("tcp://127.0.0.1", "needs a host and a port"),
        ("memory:", "needs a name"),
        ("tcp://127.0.0.1:0?dialect=klingon", "klingon"),
        ("tcp://127.0.0.1:0?colour=blue", "colour"),
        ("tcp://256.0.0.1:0", "256.0.0.1"),
    ] {
        let error = Server::new()
            .listen(url)
            .start()
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(says), "{url}: {error}");
        assert!(mynah::connect(url).await.is_err(), "{url}");
    }
    let taken = Server::new().listen("memory:taken").start().await.unwrap();
    let error = Server::new()
        .listen("memory:taken")
        .start()
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("memory:taken is taken"), "{error}");
    drop(taken);
    assert!(Server::new().listen("memory:taken").start().await.is_ok());
    let error = mynah::connect("memory:nobody")
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("memory:nobody"), "{error}");
}

#[tokio::test]
async fn several_listeners() {
    let probe = MyProbe::new();
    let server = Server::new()
        .register(probe.service())
        .listen("tcp://127.0.0.1:0")
        .listen("tcp://127.0.0.1:0?dialect=cbor-rpc")
        .listen("memory:several")
        .start()
        .await
        .unwrap();
    let [native, cbor_rpc] = server.addresses() else {
        panic!("{:?}", server.addresses())
    };
    for url in [
        native.clone(),
        format!("{native}?format=json"),
        format!("{cbor_rpc}?dialect=cbor-rpc"),
        "memory:several".to_owned(),
    ] {
        let client: ProbeClient = mynah::connect(&url).await.unwrap().client();
        assert_eq!(client.echo(url.clone()).await.unwrap(), url);
    }
    let client: ProbeClient = server.local().client();
    assert_eq!(client.echo("local".into()).await.unwrap(), "local");
}

/// A peer that never pauses keeps its connection's task busy for ever: deadlines pass, and drain ends, all the same.
#[tokio::test]
async fn a_peer_that_never_pauses_stops_neither_deadlines_nor_drain() {
    let probe = MyProbe::new();
    let (raw, peer) = raw_pair(probe.router(), Limits::new(), 1 << 20);
    let Raw { stream, .. } = raw.greet().await;
    let (mut reader, mut writer) = tokio::io::split(stream);
    // Complete frames that cost nothing but work.
    let events: Vec<u8> = (0..2000)
        .flat_map(|_| frame(&json!([EVENT, "topic"]), "[1,2,3]"))
        .collect();
    let flooding = tokio::spawn(async move {
        while tokio::io::AsyncWriteExt::write_all(&mut writer, &events)
            .await
            .is_ok()
        {}
    });
    let hearing = tokio::spawn(async move {
        let mut heard = Vec::new();
        drop(reader.read_to_end(&mut heard).await);
    });
    let client: ProbeClient = peer.client();
    let error = within("deadline", client.hang().deadline(50 * MS).into_future())
        .await
        .unwrap_err();
    assert!(matches!(error, CallError::Deadline), "{error:?}");
    peer.close();
    drop((client, peer));
    within("end", hearing).await.unwrap();
    within("end", flooding).await.unwrap();

    // At a server, which is dropped.
    let server = serve(&probe, Limits::new()).await;
    let Raw { stream, .. } = raw_tcp(&server).await.greet().await;
    let (_reader, mut writer) = tokio::io::split(stream);
    let flooding = tokio::spawn(async move {
        let events: Vec<u8> = (0..2000)
            .flat_map(|_| frame(&json!([EVENT, "topic"]), "[1,2,3]"))
            .collect();
        while tokio::io::AsyncWriteExt::write_all(&mut writer, &events)
            .await
            .is_ok()
        {}
    });
    settle().await;
    drop(server);
    within("end", flooding).await.unwrap();
}

/// Without limits of the program each connection has those of its dialect; the URL has the last word on messages.
#[tokio::test]
async fn the_largest_message_is_that_of_the_dialect_unless_it_is_set() {
    const MIB: usize = 1 << 20;
    let probe = MyProbe::new();
    let server = Server::new()
        .register(probe.service())
        .listen("tcp://127.0.0.1:0")
        .listen("tcp://127.0.0.1:0?dialect=cbor-rpc")
        .listen("tcp://127.0.0.1:0?dialect=cbor-rpc&max_message_bytes=1000")
        .start()
        .await
        .unwrap();
    // The listener, options of the URL, limits of the program, bytes that go through.
    let large = Limits::new().with_max_message_bytes(40 * MIB);
    for (listener, options, limits, bytes, passes) in [
        (0, "", None, 15 * MIB, true),
        (0, "", None, 17 * MIB, false),
        (1, "?dialect=cbor-rpc", None, 17 * MIB, true),
        (1, "?dialect=cbor-rpc", None, 51 * MIB, false),
        (1, "?dialect=cbor-rpc", Some(&large), 39 * MIB, true),
        (1, "?dialect=cbor-rpc", Some(&large), 41 * MIB, false),
        (
            1,
            "?dialect=cbor-rpc&max_message_bytes=2000",
            Some(&large),
            1900,
            true,
        ),
        (
            1,
            "?dialect=cbor-rpc&max_message_bytes=2000",
            Some(&large),
            2100,
            false,
        ),
    ] {
        let url = format!("{}{options}", server.addresses()[listener]);
        let mut connector = mynah::connector(&url).unwrap();
        if let Some(limits) = limits {
            connector = connector.limits(limits.clone());
        }
        let client: ProbeClient = connector.connect().await.unwrap().client();
        // The other side has said what it takes.
        assert_eq!(client.echo("a".into()).await.unwrap(), "a");
        let text = "x".repeat(bytes);
        let passed = within("echo", client.echo(text).into_future()).await;
        match passed {
            Ok(text) => assert!(passes && text.len() == bytes, "{url}: {bytes}"),
            Err(error) => assert!(
                !passes && matches!(error, CallError::Encode(_)),
                "{url}: {bytes}: {error:?}"
            ),
        }
    }
    // What a listener takes is its own.
    let url = format!("{}?dialect=cbor-rpc", server.addresses()[2]);
    let client: ProbeClient = mynah::connect(&url).await.unwrap().client();
    assert_eq!(client.echo("a".repeat(900)).await.unwrap().len(), 900);
    let error = within("refused", client.echo("a".repeat(1100)).into_future()).await;
    assert!(
        matches!(error, Err(CallError::Indeterminate(_))),
        "{error:?}"
    );
}
