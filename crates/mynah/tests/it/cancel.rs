//! C: cancelling, dropping, late answers, deadlines that are sent once.

use crate::probe::{MyProbe, ProbeClient};
use crate::support::*;
use mynah::prelude::*;
use mynah::{By, Limits, PeerStats, Router};
use serde_json::{Value as Json, json};
use std::time::Duration;

fn cancel(id: impl Into<Json>) -> Vec<u8> {
    frame(&json!([CANCEL, id.into()]), "")
}

#[tokio::test]
async fn c1_cancel_before_during_after_twice_unknown() {
    let probe = MyProbe::new();
    let (raw, peer) = raw_pair(probe.router(), Limits::new(), 1 << 16);
    let mut raw = raw.greet().await;
    let cancelled = json!(ErrorCode::CANCELLED.value());

    // Before its start: both in one piece.
    let request = frame(&json!([REQUEST, 1, "probe", "hang"]), "[]");
    raw.send(&[request, cancel(1)].concat()).await;
    let answer = raw.answer().await;
    assert_eq!(
        (&answer.head, &answer.body[0]),
        (&json!([ERROR, 1]), &cancelled)
    );
    assert_eq!(probe.0.calls.started(), 0, "it was started");

    // While it runs, and then again.
    raw.say(json!([REQUEST, "a", "probe", "hang"]), "[]").await;
    until("it runs", || probe.0.calls.alive() == 1).await;
    raw.send(&cancel("a")).await;
    raw.send(&cancel("a")).await;
    let answer = raw.answer().await;
    assert_eq!(
        (&answer.head, &answer.body[0]),
        (&json!([ERROR, "a"]), &cancelled)
    );
    assert_eq!(probe.0.calls.alive(), 0);

    // After its answer, and twice.
    raw.say(json!([REQUEST, 3, "probe", "echo"]), "[\"x\"]")
        .await;
    assert_eq!(raw.answer().await.body, json!("x"));
    raw.send(&[cancel(3), cancel(3)].concat()).await;

    // Never heard of.
    raw.send(&[cancel(77), cancel("no")].concat()).await;

    // One answer each, and the connection lives.
    raw.say(json!([REQUEST, 4, "probe", "echo"]), "[\"y\"]")
        .await;
    let answer = raw.answer().await;
    assert_eq!((answer.head, answer.body), (json!([RESULT, 4]), json!("y")));
    assert_eq!(peer.stats(), PeerStats::default());
    assert!(!peer.is_closed());
}

/// An id is free again once its call was answered.
#[tokio::test]
async fn c1_the_id_of_a_cancelled_call_is_free_again() {
    let probe = MyProbe::new();
    let (raw, peer) = raw_pair(probe.router(), Limits::new(), 1 << 16);
    let mut raw = raw.greet().await;
    for _ in 0..100 {
        raw.say(json!([REQUEST, 1, "probe", "hang"]), "[]").await;
        raw.send(&cancel(1)).await;
        assert_eq!(
            raw.answer().await.body[0],
            json!(ErrorCode::CANCELLED.value())
        );
    }
    assert_eq!(peer.stats(), PeerStats::default());
}

#[tokio::test]
async fn c1_a_call_that_is_dropped_before_it_left_was_never_made() {
    for way in Way::ALL {
        let probe = MyProbe::new();
        let joined = Setup::new(probe.service()).join(way).await;
        let client: ProbeClient = joined.client.client();
        client.echo("ready".into()).await.unwrap();
        joined.idle().await;
        if way != Way::InProcess {
            drop(client.hang().start());
        }
        drop(client.hang());
        drop(client.hang().into_future());
        settle().await;
        assert_eq!(probe.0.calls.started(), 1, "{way:?}");
        assert_eq!(client.echo("a".into()).await.unwrap(), "a");
        joined.idle().await;
    }
}

#[tokio::test]
async fn c1_dropping_or_cancelling_a_call_stops_its_handler() {
    for way in Way::ALL {
        let probe = MyProbe::new();
        let joined = Setup::new(probe.service()).join(way).await;
        let client: ProbeClient = joined.client.client();
        for drops in [true, false] {
            let mut call = client.hang().start();
            until("it runs", || probe.0.calls.alive() == 1).await;
            if drops {
                drop(call);
            } else {
                call.cancel();
                let error = call.await.unwrap_err();
                assert!(
                    matches!(error, CallError::Cancelled(By::Caller)),
                    "{way:?}: {error:?}"
                );
            }
            until("it was dropped", || probe.0.calls.alive() == 0).await;
            joined.idle().await;
        }
        // After its end: nothing happens.
        let mut call = client.echo("a".into()).start();
        assert_eq!((&mut call).await.unwrap(), "a");
        call.cancel();
        drop(call);
        assert_eq!(client.echo("b".into()).await.unwrap(), "b", "{way:?}");
        joined.idle().await;
    }
}

/// Polled `k` times and then dropped, for every `k` up to the end of the call.
#[tokio::test]
async fn c2_dropped_at_every_await_point() {
    for way in Way::ALL {
        let probe = MyProbe::new();
        let setup = Setup::new(probe.service()).capacity(1);
        let joined = setup.join(way).await;
        let client: ProbeClient = joined.client.client();
        client.echo("ready".into()).await.unwrap();
        let mut finished = 0;
        for turns in [0, 1, 5] {
            for polls in 0..40 {
                let mut call = client.echo_later("text".into(), turns).into_future();
                for _ in 0..polls {
                    if let std::task::Poll::Ready(text) = poll_once(&mut call).await {
                        assert_eq!(text.unwrap(), "text");
                        finished += 1;
                        break;
                    }
                    tokio::task::yield_now().await;
                }
                drop(call);
                joined.idle().await;
                until("no handler is left", || probe.0.calls.alive() == 0).await;
            }
        }
        assert!(finished > 0, "{way:?}: no call came to its end");
        assert_eq!(client.echo("a".into()).await.unwrap(), "a", "{way:?}");
    }
}

/// A client of a server made of bytes.
async fn with_server(limits: Limits) -> (Raw, Peer) {
    let (mut raw, peer) = raw_server(Router::new(), limits, 1 << 16);
    raw.hear_greeting().await;
    raw.send(&preface(b'J')).await;
    raw.send(&frame(&json!([HELLO, 1]), "")).await;
    (raw, peer)
}

#[tokio::test]
async fn c3_a_late_answer_is_tolerated() {
    let limits = Limits::new().with_violation_budget(0);
    let (mut raw, peer) = with_server(limits).await;
    let client: ProbeClient = peer.client();
    for round in 0..50 {
        let call = client.hang().start();
        let request = raw.next().await.unwrap();
        assert_eq!(request.kind(), REQUEST);
        drop(call);
        let cancel = raw.next().await.unwrap();
        assert_eq!((cancel.kind(), &cancel.head[1]), (CANCEL, &request.head[1]));
        // Progress, then the answer, as if the cancel had crossed them.
        raw.say(json!([PROGRESS, request.head[1]]), "1").await;
        raw.say(json!([RESULT, request.head[1]]), "5").await;
        let call = client.hang().start();
        let request = raw.next().await.unwrap();
        raw.say(json!([RESULT, request.head[1]]), &round.to_string())
            .await;
        assert_eq!(
            call.await.unwrap(),
            round,
            "the late answer was taken for another"
        );
    }
    assert_eq!(peer.stats(), PeerStats::default());
    assert!(!peer.is_closed());
    // A second answer to the same call is one too many.
    let call = client.hang().start();
    let request = raw.next().await.unwrap();
    raw.say(json!([RESULT, request.head[1]]), "1").await;
    raw.say(json!([RESULT, request.head[1]]), "2").await;
    assert_eq!(call.await.unwrap(), 1);
    let away = raw.next().await.unwrap();
    assert_eq!(
        (away.kind(), &away.head[1]),
        (GOING_AWAY, &json!(ErrorCode::PROTOCOL_VIOLATION.value()))
    );
}

#[tokio::test(start_paused = true)]
async fn c5_a_timeout_cancels_once_and_never_sends_again() {
    let (mut raw, peer) = with_server(Limits::new()).await;
    let client: ProbeClient = peer.client();
    let call = client
        .hang()
        .deadline(Duration::from_millis(100))
        .into_future();
    let error = within("deadline", call).await.unwrap_err();
    assert!(matches!(error, CallError::Deadline), "{error:?}");
    // Long after.
    tokio::time::sleep(Duration::from_secs(3600)).await;
    drop(client);
    drop(peer);
    let heard = raw.rest().await;
    let kinds: Vec<u64> = heard.iter().map(Frame::kind).collect();
    assert_eq!(kinds, [REQUEST, CANCEL], "{heard:?}");
    assert_eq!(heard[0].head[4], json!(100));
    assert_eq!(heard[1].head, json!([CANCEL, heard[0].head[1], 1]));
}

/// The request that was taken back leaves no trace, and what stands around it arrives.
#[tokio::test]
async fn c5_a_call_taken_back_between_others() {
    let (mut raw, peer) = with_server(Limits::new()).await;
    let client: ProbeClient = peer.client();
    tokio::task::yield_now().await;
    let first = client.pass(1).start();
    let second = client.pass(2).start();
    let third = client.pass(3).start();
    drop(second);
    let mut heard = Vec::new();
    for _ in 0..2 {
        heard.push(raw.next().await.unwrap());
    }
    assert_eq!(heard[0].body, json!([1]));
    assert_eq!(heard[1].body, json!([3]));
    // What has left is told from what has not, withdrawn ones in between or not.
    drop(raw);
    for call in [first, third] {
        let error = within("end", call).await.unwrap_err();
        assert!(matches!(error, CallError::Indeterminate(_)), "{error:?}");
    }
}
