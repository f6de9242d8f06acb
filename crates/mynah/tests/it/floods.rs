//! F: floods, and handlers that panic.

use crate::probe::{MyProbe, ProbeClient};
use crate::support::*;
use mynah::prelude::*;
use mynah::{CloseReason, Limits};
use serde_json::{Value as Json, json};
use tokio::io::AsyncWriteExt as _;

/// A loop that never lets the connection's task run: what it starts and drops is taken back.
#[tokio::test]
async fn f1_call_and_drop_without_yielding() {
    const PAIRS: usize = 100_000;
    for way in Way::ALL {
        let probe = MyProbe::new();
        let joined = Setup::new(probe.service()).join(way).await;
        let client: ProbeClient = joined.client.client();
        client.echo("ready".into()).await.unwrap();
        let mut most = 0;
        for _ in 0..PAIRS {
            let mut call = client.hang().into_future();
            assert!(poll_once(&mut call).await.is_pending());
            most = most.max(joined.client.stats().output_bytes);
            drop(call);
        }
        assert!(most < 1024, "{way:?}: {most} bytes waited");
        joined.idle().await;
        until("every handler is over", || probe.0.calls.alive() == 0).await;
        assert_eq!(client.echo("a".into()).await.unwrap(), "a", "{way:?}");
    }
}

/// The same with turns for the task in between, so that requests leave.
#[tokio::test]
async fn f1_call_and_drop_with_turns() {
    const PAIRS: usize = 5_000;
    for way in Way::LINKED {
        let probe = MyProbe::new();
        let limits = Limits::new().with_calls_in_flight(16);
        let joined = Setup::new(probe.service()).limits(&limits).join(way).await;
        let client: ProbeClient = joined.client.client();
        for number in 0..PAIRS {
            let mut call = client.hang().into_future();
            drop(poll_once(&mut call).await);
            for _ in 0..number % 4 {
                tokio::task::yield_now().await;
            }
        }
        joined.idle().await;
        until("every handler is over", || probe.0.calls.alive() == 0).await;
        assert!(
            probe.0.calls.most() <= 16,
            "{way:?}: {}",
            probe.0.calls.most()
        );
        assert!(probe.0.calls.started() > 0, "{way:?}");
        assert_eq!(client.echo("a".into()).await.unwrap(), "a", "{way:?}");
    }
}

fn pair(id: u64) -> Vec<u8> {
    let request = frame(&json!([REQUEST, id, "probe", "hang"]), "[]");
    [request, frame(&json!([CANCEL, id]), "")].concat()
}

/// Pairs in frames, many more at a time than there are permits, from a peer that takes its answers.
#[tokio::test]
async fn slow_f1_raw_pairs_of_request_and_cancel() {
    const PAIRS: u64 = 100_000;
    const AT_ONCE: u64 = 500;
    let probe = MyProbe::new();
    let limits = Limits::new().with_calls_in_flight(16);
    let (raw, peer) = raw_pair(probe.router(), limits, 1 << 16);
    let mut raw = raw.greet().await;
    let [cancelled, busy] = [ErrorCode::CANCELLED, ErrorCode::BUSY].map(|code| json!(code.value()));
    let mut most = 0;
    let flood = async {
        for start in 0..PAIRS / AT_ONCE {
            let said: Vec<u8> = (0..AT_ONCE)
                .flat_map(|id| pair(start * AT_ONCE + id))
                .collect();
            raw.send(&said).await;
            for _ in 0..AT_ONCE {
                let answer = raw.answer().await;
                let code = &answer.body[0];
                assert!(*code == cancelled || *code == busy, "{answer:?}");
                most = most.max(peer.stats().output_bytes);
            }
        }
    };
    within("every pair is answered", flood).await;
    assert!(most < 128 << 10, "{most}");
    assert!(probe.0.calls.most() <= 16);
    until("all is zero", || {
        peer.stats() == mynah::PeerStats::default()
    })
    .await;
    assert_eq!(probe.0.calls.alive(), 0);
    assert!(!peer.is_closed());
}

/// The same from a peer that asks faster than it takes its answers: it is closed.
#[tokio::test]
async fn f1_raw_pairs_faster_than_the_answers_are_taken() {
    let probe = MyProbe::new();
    let limits = Limits::new()
        .with_calls_in_flight(16)
        .with_control_bytes(32 << 10);
    let (raw, peer) = raw_pair(probe.router(), limits, 1 << 16);
    let mut raw = raw.greet().await;
    let mut most = 0;
    let flood = async {
        for id in 0..100_000 {
            if raw.stream.write_all(&pair(id)).await.is_err() {
                break;
            }
            most = most.max(peer.stats().output_bytes);
        }
    };
    within("close", flood).await;
    assert!(most < 256 << 10, "{most}");
    assert!(matches!(peer.closed().await, CloseReason::TimedOut(_)));
    assert_eq!(probe.0.calls.alive(), 0);
}

/// Floods a server with one kind of breach until it closes; another connection must not notice.
async fn flood(name: &str, mut breach: impl FnMut(u64) -> Vec<u8>) {
    for place in Socket::each() {
        flood_at(&place, name, &mut breach).await;
    }
}

async fn flood_at(place: &Socket, name: &str, breach: &mut impl FnMut(u64) -> Vec<u8>) {
    let probe = MyProbe::new();
    let limits = Limits::new().with_violation_budget(100);
    let server = Server::new()
        .register(probe.service())
        .limits(limits)
        .listen(&place.url)
        .start()
        .await
        .unwrap();
    let healthy: ProbeClient = mynah::connect(server.address()).await.unwrap().client();
    let raw = raw_socket(&server).await.greet().await;
    let Raw { stream, read } = raw;
    let (reader, mut writer) = tokio::io::split(stream);
    let flooding = async {
        // Far past the budget, and on until the connection breaks.
        for number in 0..1_000_000 {
            let mut said = Vec::new();
            for frame in 0..50 {
                said.extend(breach(number * 50 + frame));
            }
            if writer.write_all(&said).await.is_err() {
                return;
            }
            if number % 8 == 0 {
                tokio::task::yield_now().await;
            }
        }
        panic!("{name}: never closed");
    };
    let hearing = async {
        Raw {
            stream: tokio::io::join(reader, tokio::io::sink()),
            read,
        }
        .rest()
        .await
    };
    let calling = async {
        for _ in 0..50 {
            assert_eq!(healthy.echo("a".into()).await.unwrap(), "a", "{name}");
        }
    };
    let (heard, (), ()) = within(name, async {
        let both = async { tokio::join!(hearing, calling) };
        let ((heard, ()), ()) = tokio::join!(both, flooding);
        (heard, (), ())
    })
    .await;
    let away: Vec<_> = heard
        .iter()
        .filter(|frame| frame.kind() == GOING_AWAY)
        .collect();
    assert_eq!(away.len(), 1, "{name}: {away:?}");
    assert_eq!(
        away[0].head[1],
        json!(ErrorCode::PROTOCOL_VIOLATION.value()),
        "{name}: {away:?}"
    );
    assert_eq!(healthy.echo("b".into()).await.unwrap(), "b", "{name}");
    until("the connection is forgotten", || server.peers().len() == 1).await;
}

fn bare(head: Json) -> Vec<u8> {
    frame(&head, "")
}

#[tokio::test]
async fn f2_flood_of_pings() {
    flood("pings", |number| bare(json!([PING, number]))).await;
}

#[tokio::test]
async fn f2_flood_of_pongs() {
    flood("pongs", |number| bare(json!([PONG, number]))).await;
}

#[tokio::test]
async fn f2_flood_of_answers_to_unknown_calls() {
    flood("results", |number| frame(&json!([RESULT, number]), "1")).await;
    flood("errors", |number| {
        frame(&json!([ERROR, number]), "[1,\"e\"]")
    })
    .await;
}

#[tokio::test]
async fn f2_flood_of_side_messages_of_unknown_calls() {
    flood("progress", |number| frame(&json!([PROGRESS, number]), "1")).await;
    flood("logs", |number| frame(&json!([LOG, number, 3, 0]), "1")).await;
}

#[tokio::test]
async fn f2_flood_of_unknown_notifications() {
    flood("notifications", |_| {
        frame(&json!([NOTIFICATION, "no", "such"]), "[]")
    })
    .await;
}

#[tokio::test]
async fn f2_flood_of_duplicate_ids() {
    flood("duplicates", |_| {
        frame(&json!([REQUEST, 1, "probe", "hang"]), "[]")
    })
    .await;
}

#[tokio::test]
async fn f2_flood_of_cancels_of_unknown_calls() {
    flood("cancels", |number| bare(json!([CANCEL, number]))).await;
}

#[tokio::test]
async fn f2_flood_of_unknown_kinds() {
    flood("kinds", |number| bare(json!([100, number]))).await;
}

/// What is no violation must not pile up either: requests that nobody lets in, from a peer that does not read.
#[tokio::test(start_paused = true)]
async fn f2_flood_of_requests_without_reading() {
    let probe = MyProbe::new();
    let limits = Limits::new()
        .with_calls_in_flight(4)
        .with_control_bytes(16 << 10);
    let (mut raw, peer) = raw_pair(probe.router(), limits, 1024);
    raw.send(&preface(b'J')).await;
    let mut most = 0;
    for id in 0..100_000 {
        let said = frame(&json!([REQUEST, id, "probe", "hang"]), "[]");
        if raw.stream.write_all(&said).await.is_err() {
            break;
        }
        most = most.max(peer.stats().output_bytes);
    }
    let reason = within("close", peer.closed()).await;
    assert!(matches!(reason, CloseReason::TimedOut(_)), "{reason}");
    assert!(most < 64 << 10, "{most}");
    assert_eq!(probe.0.calls.most(), 4);
    assert_eq!(peer.stats().handlers_running, 0);
}
