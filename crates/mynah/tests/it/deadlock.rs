//! D: two-way traffic and peers that do not read.

use crate::probe::{MyProbe, ProbeClient};
use crate::support::*;
use mynah::prelude::*;
use mynah::{CloseReason, Limits};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

#[mynah::service]
trait Bounce {
    /// Calls the other side back until the depth is used up; says how deep it was.
    async fn bounce(&self, cx: &Context, left: u32) -> Result<u32, RpcError>;
}

struct MyBounce;

impl Bounce for MyBounce {
    async fn bounce(&self, cx: &Context, left: u32) -> Result<u32, RpcError> {
        if left == 0 {
            return Ok(0);
        }
        let back: BounceClient = cx.peer().client();
        match Box::pin(back.bounce(left - 1).into_future()).await {
            Ok(depth) => Ok(depth + 1),
            Err(error) => Err(RpcError::new(ErrorCode::application(1), error.to_string())),
        }
    }
}

#[tokio::test]
async fn d1_both_sides_call_each_other_64_deep() {
    for way in Way::ALL {
        let setup = Setup::new(BounceService::new(MyBounce)).client(BounceService::new(MyBounce));
        let joined = setup.capacity(1).join(way).await;
        let client: BounceClient = joined.client.client();
        let deep = within("64 deep", client.bounce(64).into_future()).await;
        assert_eq!(deep.unwrap(), 64, "{way:?}");
        joined.idle().await;
    }
}

/// From both sides at once, many at a time, through queues of one.
#[tokio::test]
async fn d1_from_both_sides_at_once() {
    for way in Way::LINKED {
        let setup = Setup::new(BounceService::new(MyBounce)).client(BounceService::new(MyBounce));
        let joined = setup.capacity(1).join(way).await;
        let near: BounceClient = joined.client.client();
        let far: BounceClient = joined.far().await.unwrap().client();
        let mut calls = Vec::new();
        for _ in 0..16 {
            calls.push(near.bounce(16).start());
            calls.push(far.bounce(16).start());
        }
        for depth in within("all", futures::future::join_all(calls)).await {
            assert_eq!(depth.unwrap(), 16, "{way:?}");
        }
        joined.idle().await;
    }
}

/// A peer that calls and never reads: what waits for it is bounded, and in the end it is closed.
#[tokio::test(start_paused = true)]
async fn d2_peer_stops_reading_while_it_keeps_calling() {
    const PERMITS: usize = 8;
    const LETTERS: usize = 64 << 10;
    let probe = MyProbe::new();
    let limits = Limits::new()
        .with_calls_in_flight(8)
        .with_control_bytes(16 << 10)
        .with_write_timeout(Duration::from_millis(300));
    let (mut raw, peer) = raw_pair(probe.router(), limits, 1024);
    raw.send(&preface(b'J')).await;
    raw.send(&frame(&json!([HELLO, 1]), "")).await;
    let params = json!([LETTERS]).to_string();
    let mut most = 0;
    // Few enough that the refusals fit: then it is the time of writing that ends it.
    for id in 0..100 {
        raw.send(&frame(&json!([REQUEST, id, "probe", "letters"]), &params))
            .await;
        most = most.max(peer.stats().output_bytes);
    }
    settle().await;
    most = most.max(peer.stats().output_bytes);
    assert!(most <= PERMITS * (LETTERS + 100) + (16 << 10), "{most}");
    assert_eq!(peer.stats().permits_taken, PERMITS);
    let started = tokio::time::Instant::now();
    let reason = within("close", peer.closed()).await;
    assert!(
        matches!(reason, CloseReason::TimedOut("peer takes no data")),
        "{reason}"
    );
    assert!(started.elapsed() <= Duration::from_secs(1));
    assert_eq!(probe.0.calls.started(), PERMITS);
}

/// The same over a socket, with a peer that calls for ever.
#[tokio::test]
async fn d2_over_a_socket() {
    for place in Socket::each() {
        calls_and_does_not_read(&place).await;
    }
}

async fn calls_and_does_not_read(place: &Socket) {
    let probe = MyProbe::new();
    let limits = Limits::new()
        .with_calls_in_flight(8)
        .with_control_bytes(16 << 10)
        .with_write_timeout(Duration::from_millis(200));
    let server = Server::new()
        .register(probe.service())
        .limits(limits)
        .listen(&place.url)
        .start()
        .await
        .unwrap();
    let mut raw = raw_socket(&server).await;
    raw.send(&preface(b'J')).await;
    until("accepted", || !server.peers().is_empty()).await;
    let peer = server.peers().pop().unwrap();
    let mut most = 0;
    let calling = async {
        for id in 0.. {
            let said = frame(&json!([REQUEST, id, "probe", "letters"]), "[1000000]");
            if raw.stream.write_all(&said).await.is_err() {
                break;
            }
            most = most.max(peer.stats().output_bytes);
        }
    };
    let closed = async { peer.closed().await };
    let (reason, ()) = within("close", async { tokio::join!(closed, calling) }).await;
    assert!(
        matches!(reason, CloseReason::TimedOut(_)),
        "{place:?}: {reason}"
    );
    assert!(most <= 8 * 1_000_100 + (32 << 10), "{most}");
}

#[mynah::service]
trait Ask {
    /// Asks the caller.
    async fn ask(&self, cx: &Context, number: u64) -> Result<u64, RpcError>;
}

struct MyAsk;

impl Ask for MyAsk {
    async fn ask(&self, cx: &Context, number: u64) -> Result<u64, RpcError> {
        let back: ProbeClient = cx.peer().client();
        back.pass(number)
            .await
            .map_err(|error| RpcError::new(ErrorCode::application(1), error.to_string()))
    }
}

#[tokio::test]
async fn d3_replies_come_through_when_all_permits_are_held() {
    const PERMITS: u32 = 4;
    for way in Way::ALL {
        let answers = MyProbe::new();
        let setup = Setup::new(AskService::new(MyAsk)).client(answers.service());
        let limits = Limits::new().with_calls_in_flight(PERMITS);
        let joined = setup.server_limits(limits).capacity(1).join(way).await;
        let client: AskClient = joined.client.client();
        let calls: Vec<_> = (0..u64::from(PERMITS))
            .map(|n| client.ask(n).start())
            .collect();
        let asked = Arc::clone(&answers.0);
        until("all ask back", || asked.calls.alive() == PERMITS as usize).await;
        let refused = within("refusal", client.ask(9).into_future()).await;
        assert!(
            matches!(refused, Err(CallError::Busy { .. }))
                || way == Way::CborRpc
                    && matches!(
                        refused,
                        Err(CallError::Remote(_) | CallError::Application(_))
                    ),
            "{way:?}: {refused:?}"
        );
        answers.0.gate.add_permits(PERMITS as usize);
        let answered = within("answers", futures::future::join_all(calls)).await;
        for (number, answer) in answered.into_iter().enumerate() {
            assert_eq!(answer.unwrap(), number as u64, "{way:?}");
        }
        joined.idle().await;
        answers.0.gate.add_permits(1);
        assert_eq!(
            client.ask(5).await.unwrap(),
            5,
            "{way:?}: permits came home"
        );
    }
}
