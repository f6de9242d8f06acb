//! T: deadlines.

use crate::probe::{MyProbe, ProbeClient};
use crate::support::*;
use mynah::prelude::*;
use mynah::{Limits, PeerStats, Router};
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

const MS: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn t1_a_deadline_covers_running() {
    for way in Way::TIMED {
        let probe = MyProbe::new();
        let joined = Setup::new(probe.service()).join(way).await;
        let client: ProbeClient = joined.client.client();
        let began = Instant::now();
        let call = client.hang().deadline(100 * MS);
        let error = within("deadline", call.into_future()).await.unwrap_err();
        assert!(matches!(error, CallError::Deadline), "{way:?}: {error:?}");
        let took = began.elapsed();
        assert!(took >= 100 * MS && took < 110 * MS, "{way:?}: {took:?}");
        until("the handler is over", || probe.0.calls.alive() == 0).await;
        assert_eq!(probe.0.calls.started(), 1, "{way:?}");
        joined.idle().await;
    }
}

/// The output is full: the call waits for room, and no longer than its deadline.
#[tokio::test(start_paused = true)]
async fn t1_a_deadline_covers_waiting_and_writing() {
    let limits = Limits::new().with_output_high_water_bytes(1000);
    let (mut raw, peer) = raw_server(Router::new(), limits, 64);
    let client: ProbeClient = peer.client();
    // The first is half written: the other side reads nothing.
    let mut first = client
        .echo("x".repeat(5000))
        .deadline(300 * MS)
        .into_future();
    assert!(poll_once(&mut first).await.is_pending());
    // The second and third wait for room; one has a deadline, the other is awaited late.
    let began = Instant::now();
    let second = client.echo("second".into()).deadline(100 * MS);
    let error = within("deadline", second.into_future()).await.unwrap_err();
    assert!(matches!(error, CallError::Deadline), "{error:?}");
    assert!(began.elapsed() >= 100 * MS && began.elapsed() < 110 * MS);
    let error = within("deadline", first).await.unwrap_err();
    assert!(matches!(error, CallError::Deadline), "{error:?}");
    assert!(
        began.elapsed() >= 300 * MS && began.elapsed() < 310 * MS,
        "{:?}",
        began.elapsed()
    );
    assert_eq!(peer.stats().calls_held, 0);
    // The second never left; the first did in part, so it goes on, with its cancel behind it.
    raw.send(&preface(b'J')).await;
    raw.hear_greeting().await;
    let request = raw.next().await.unwrap();
    assert_eq!(request.kind(), REQUEST);
    let cancel = raw.next().await.unwrap();
    assert_eq!((cancel.kind(), &cancel.head[1]), (CANCEL, &request.head[1]));
    until("all is written", || peer.stats() == PeerStats::default()).await;
    drop((client, peer));
    assert!(raw.next().await.is_none());
}

/// Too many calls of this side: refused at once, not parked behind a deadline.
#[tokio::test(start_paused = true)]
async fn t1_too_many_calls_of_this_side() {
    let limits = Limits::new().with_outgoing_calls(2);
    let probe = MyProbe::new();
    let joined = Setup::new(probe.service())
        .limits(&limits)
        .join(Way::Duplex)
        .await;
    let client: ProbeClient = joined.client.client();
    let calls = [client.pass(0).start(), client.pass(1).start()];
    let third = within("third", client.pass(2).into_future()).await;
    assert!(matches!(third, Err(CallError::Busy { .. })), "{third:?}");
    probe.0.gate.add_permits(2);
    assert!(
        futures::future::join_all(calls)
            .await
            .iter()
            .all(Result::is_ok)
    );
    joined.idle().await;
}

#[mynah::service]
trait Nested {
    /// What the caller says is left for a call from within this one, after some time.
    async fn ask(&self, cx: &Context, own: Option<u64>) -> Result<i64, RpcError>;
    /// The same through another peer, bound to this call.
    async fn ask_other(&self, cx: &Context) -> Result<i64, RpcError>;
}

struct MyNested(Option<Peer>);

fn failed(error: impl std::fmt::Display) -> RpcError {
    RpcError::new(ErrorCode::application(1), error.to_string())
}

impl Nested for MyNested {
    async fn ask(&self, cx: &Context, own: Option<u64>) -> Result<i64, RpcError> {
        tokio::time::sleep(100 * MS).await;
        let mut call = cx.peer().client::<ProbeClient>().remaining();
        if let Some(own) = own {
            call = call.deadline(Duration::from_millis(own));
        }
        call.await.map_err(failed)
    }

    async fn ask_other(&self, cx: &Context) -> Result<i64, RpcError> {
        tokio::time::sleep(100 * MS).await;
        let other: ProbeClient = self.0.as_ref().unwrap().client();
        other.remaining().within(cx).await.map_err(failed)
    }
}

#[tokio::test(start_paused = true)]
async fn t1_a_nested_call_sees_less() {
    for way in Way::TIMED {
        let setup = Setup::new(NestedService::new(MyNested(None)));
        let joined = setup.client(MyProbe::new().service()).join(way).await;
        let client: NestedClient = joined.client.client();
        for (outer, own, most) in [
            (500, None, 400),
            (500, Some(50), 50),
            (500, Some(9999), 400),
            (60_000, None, 30_000),
        ] {
            let call = client.ask(own).deadline(Duration::from_millis(outer));
            let left = within("answer", call.into_future()).await.unwrap();
            assert!(
                left <= most && left > most - 10,
                "{way:?}, {outer}, {own:?}: {left}"
            );
        }
        let left = within("answer", client.ask(None).no_deadline().into_future())
            .await
            .unwrap();
        assert!(
            left > 29_000 && left <= 30_000,
            "{way:?}: the default of the peer: {left}"
        );
        joined.idle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn t1_a_call_through_another_peer_is_bound_by_within() {
    for way in Way::TIMED {
        let third = Setup::new(MyProbe::new().service()).join(Way::Duplex).await;
        let setup = Setup::new(NestedService::new(MyNested(Some(third.client.clone()))));
        let joined = setup.join(way).await;
        let client: NestedClient = joined.client.client();
        let call = client.ask_other().deadline(500 * MS);
        let left = within("answer", call.into_future()).await.unwrap();
        assert!(left <= 400 && left > 390, "{way:?}: {left}");
    }
}

#[tokio::test(start_paused = true)]
async fn t1_the_smallest_and_the_largest() {
    for way in Way::TIMED {
        let probe = MyProbe::new();
        let joined = Setup::new(probe.service()).join(way).await;
        let client: ProbeClient = joined.client.client();
        let zero = client.echo("never".into()).deadline(Duration::ZERO);
        let error = within("zero", zero.into_future()).await.unwrap_err();
        assert!(matches!(error, CallError::Deadline), "{way:?}: {error:?}");
        settle().await;
        assert_eq!(probe.0.calls.started(), 0, "{way:?}: nothing was run");
        for large in [
            Duration::MAX,
            Duration::from_millis(u64::MAX),
            Duration::from_secs(u64::MAX),
        ] {
            let call = client.echo("a".into()).deadline(large);
            assert_eq!(
                within("large", call.into_future()).await.unwrap(),
                "a",
                "{way:?}"
            );
            let left = within("large", client.remaining().deadline(large).into_future()).await;
            let left = left.unwrap();
            assert!(left == -1 || left > 1_000_000_000, "{way:?}: {left}");
            // It does not end by itself.
            let mut call = client.hang().deadline(large).into_future();
            assert!(poll_once(&mut call).await.is_pending());
            tokio::time::sleep(Duration::from_secs(86_400)).await;
            assert!(poll_once(&mut call).await.is_pending(), "{way:?}");
        }
        let call = client.remaining().no_deadline();
        assert_eq!(
            within("none", call.into_future()).await.unwrap(),
            -1,
            "{way:?}"
        );
        let default = within("default", client.remaining().into_future())
            .await
            .unwrap();
        assert!(default > 29_000 && default <= 30_000, "{way:?}: {default}");
        joined.idle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn t1_on_the_wire() {
    let probe = MyProbe::new();
    let (raw, peer) = raw_pair(probe.router(), Limits::new(), 1 << 16);
    let mut raw = raw.greet().await;
    // The handler is cancelled at the deadline that travelled, with nobody's help.
    let began = Instant::now();
    raw.say(json!([REQUEST, 1, "probe", "hang", 50]), "[]")
        .await;
    let answer = within("answer", raw.answer()).await;
    assert_eq!(answer.head, json!([ERROR, 1]));
    assert_eq!(answer.body[0], json!(ErrorCode::DEADLINE_EXCEEDED.value()));
    assert!(began.elapsed() >= 50 * MS && began.elapsed() < 60 * MS);
    assert_eq!(probe.0.calls.alive(), 0);
    // Nothing left: nothing is started.
    let started = probe.0.calls.started();
    raw.say(json!([REQUEST, 2, "probe", "echo", 0]), "[\"a\"]")
        .await;
    let answer = within("answer", raw.answer()).await;
    assert_eq!(
        answer.body[0],
        json!(ErrorCode::DEADLINE_EXCEEDED.value()),
        "{answer:?}"
    );
    assert_eq!(probe.0.calls.started(), started);
    // As much as fits.
    for huge in [u64::MAX, u64::MAX - 1, 1 << 53] {
        raw.say(json!([REQUEST, 3, "probe", "echo", huge]), "[\"a\"]")
            .await;
        assert_eq!(within("answer", raw.answer()).await.body, json!("a"));
        raw.say(json!([REQUEST, 4, "probe", "remaining", huge]), "[]")
            .await;
        let left = within("answer", raw.answer()).await.body.as_i64().unwrap();
        assert!(left == -1 || left > 1_000_000_000, "{left}");
    }
    // None.
    raw.say(json!([REQUEST, 5, "probe", "remaining"]), "[]")
        .await;
    assert_eq!(within("answer", raw.answer()).await.body, json!(-1));
    raw.say(json!([REQUEST, 6, "probe", "remaining", null]), "[]")
        .await;
    assert_eq!(within("answer", raw.answer()).await.body, json!(-1));
    assert!(!peer.is_closed());
    assert_eq!(peer.stats(), PeerStats::default());
}

#[tokio::test(start_paused = true)]
async fn t1_the_server_caps_what_is_asked_for() {
    for way in Way::TIMED {
        let limits = Limits::new().with_max_deadline(Some(200 * MS));
        let probe = MyProbe::new();
        let joined = Setup::new(probe.service())
            .server_limits(limits)
            .join(way)
            .await;
        let client: ProbeClient = joined.client.client();
        let left = client
            .remaining()
            .deadline(Duration::from_secs(60))
            .await
            .unwrap();
        assert!(left <= 200 && left > 190, "{way:?}: {left}");
        let left = client.remaining().no_deadline().await.unwrap();
        assert!(left <= 200 && left > 190, "{way:?}: {left}");
        let left = client.remaining().deadline(50 * MS).await.unwrap();
        assert!(left <= 50 && left > 40, "{way:?}: {left}");
        let began = Instant::now();
        let error = within("cap", client.hang().no_deadline().into_future())
            .await
            .unwrap_err();
        assert!(matches!(error, CallError::Deadline), "{way:?}: {error:?}");
        assert!(began.elapsed() < 210 * MS);
        joined.idle().await;
    }
}
