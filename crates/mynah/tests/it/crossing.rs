//! What peers of another make may say about streams and callbacks, and when.

use crate::flow::*;
use crate::support::*;
use mynah::prelude::*;
use mynah::{Limits, Server};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

const INPUT_END: u64 = 13;
const CREDIT: u64 = 14;

#[tokio::test]
async fn an_input_may_end_before_its_handler_asks_for_it() {
    let flow = MyFlow::new();
    let limits = Limits::new().with_violation_budget(0);
    let router = mynah::Router::new().register(flow.service());
    let (raw, peer) = raw_pair(router, limits, 1 << 16);
    let mut raw = raw.greet().await;
    for round in 1..4 {
        let head = json!([REQUEST, round, "flow", "sum", null, null, null, null, 1]);
        let request = frame(&head, "[null]");
        let end = frame(&json!([INPUT_END, round]), "");
        raw.send(&[request, end].concat()).await;
        let answer = within("answer", raw.answer()).await;
        assert_eq!(
            (answer.head, answer.body),
            (json!([RESULT, round]), json!(0))
        );
    }
    // An error is heard by the handler, too.
    let head = json!([REQUEST, 4, "flow", "sum", null, null, null, null, 1]);
    let request = frame(&head, "[null]");
    let end = frame(&json!([INPUT_END, 4]), "[77,\"no data\"]");
    raw.send(&[request, end].concat()).await;
    within("answer", raw.answer()).await;
    let ends = flow.ends();
    assert_eq!(ends.len(), 4);
    assert!(matches!(
        ends.last(),
        Some(Some(mynah::EndReason::Error(error))) if error.code().value() == 77
    ));
    drop(peer);
}

/// A client of a server made of bytes, which forgives it nothing.
async fn with_server() -> (Raw, Peer) {
    let limits = Limits::new().with_violation_budget(0);
    let (mut raw, peer) = raw_server(mynah::Router::new(), limits, 1 << 16);
    raw.hear_greeting().await;
    raw.send(&preface(b'J')).await;
    raw.send(&frame(&json!([HELLO, 1]), "")).await;
    (raw, peer)
}

async fn next_of(raw: &mut Raw, kind: u64) -> Frame {
    loop {
        let frame = within("frame", raw.next()).await.expect("it is closed");
        if frame.kind() == kind {
            return frame;
        }
    }
}

#[tokio::test]
async fn f2_what_is_told_to_a_callback_that_is_asked_does_not_pile_up() {
    let (mut raw, peer) = with_server().await;
    let client: FlowClient = peer.client();
    let alive = Arc::new(());
    let started = Arc::new(AtomicUsize::new(0));
    let (held, counted) = (Arc::clone(&alive), Arc::clone(&started));
    let call = client
        .ask(1, move |_number| {
            let held = Arc::clone(&held);
            counted.fetch_add(1, Ordering::SeqCst);
            async move {
                let _held = held;
                std::future::pending().await
            }
        })
        .start();
    let request = next_of(&mut raw, REQUEST).await;
    let number = request.body[1].to_string();
    for _ in 0..3000 {
        let head = json!([NOTIFICATION, "$callback", number]);
        raw.say(head, "[1]").await;
    }
    until("all were heard", || started.load(Ordering::SeqCst) == 3000).await;
    until("none is left", || Arc::strong_count(&alive) <= 2).await;
    raw.say(json!([RESULT, request.head[1]]), "5").await;
    assert_eq!(within("call", call).await.unwrap(), 5);
}

#[tokio::test]
async fn what_is_told_after_the_end_of_a_call_costs_nothing() {
    let (mut raw, peer) = with_server().await;
    let client: FlowClient = peer.client();
    let call = client.tell(1, |_number| {}).start();
    let request = next_of(&mut raw, REQUEST).await;
    let number = request.body[1].to_string();
    drop(call);
    next_of(&mut raw, CANCEL).await;
    for _ in 0..3000 {
        let head = json!([NOTIFICATION, "$callback", number]);
        raw.say(head, "[1]").await;
    }
    // One that asks is told that it is over.
    raw.say(json!([REQUEST, 1, "$callback", number]), "[1]")
        .await;
    let answer = within("answer", raw.answer()).await;
    assert_eq!(answer.head, json!([ERROR, 1]));
    assert_eq!(answer.body[0], json!(ErrorCode::METHOD_NOT_FOUND.value()));
    assert!(!peer.is_closed());
}

#[tokio::test]
async fn a_credit_for_each_item_is_free() {
    let flow = MyFlow::new();
    let limits = Limits::new().with_violation_budget(0);
    let router = mynah::Router::new().register(flow.service());
    let (raw, peer) = raw_pair(router, limits, 1 << 20);
    let mut raw = raw.greet().await;
    // As a simple client does it: all at once, when the stream has come to its end.
    for round in 1..20 {
        let head = json!([REQUEST, round, "flow", "count", null, null, 101, 10_000]);
        raw.say(head, "[100]").await;
        // Items are no JSON as a whole: the answer is told by its head.
        let answer = format!("[{RESULT},{round}]");
        while !within("frame", raw.content())
            .await
            .starts_with(answer.as_bytes())
        {}
        for _ in 0..100 {
            raw.say(json!([CREDIT, round, 0, 1, 0]), "").await;
            raw.say(json!([CREDIT, round, 0, 0, 10]), "").await;
        }
    }
    drop(peer);
}

#[tokio::test]
async fn a_handler_calls_back_while_its_server_drains() {
    let flow = MyFlow::new();
    let server = Server::new().register(flow.service());
    let server = server.listen("tcp://127.0.0.1:0").start().await.unwrap();
    let client = mynah::connect(server.address()).await.unwrap();
    let client: FlowClient = client.client();
    let asked = Arc::new(AtomicUsize::new(0));
    let drains = Arc::new(AtomicBool::new(false));
    let (asking, go) = (Arc::clone(&asked), Arc::clone(&drains));
    let sum = client
        .ask(10, move |number| {
            asking.fetch_add(1, Ordering::SeqCst);
            let go = Arc::clone(&go);
            async move {
                while !go.load(Ordering::SeqCst) {
                    tokio::task::yield_now().await;
                }
                Ok(i64::try_from(number).unwrap())
            }
        })
        .start();
    until("the first is asked", || asked.load(Ordering::SeqCst) == 1).await;
    let draining = server.drain(Duration::from_secs(20));
    let calling = async {
        // Refused: the client has heard of it, so the rest is asked while the server drains.
        while client.sum_of(0, futures::stream::empty()).await.is_ok() {
            tokio::task::yield_now().await;
        }
        drains.store(true, Ordering::SeqCst);
        sum.await
    };
    let (report, sum) = within("drain", async { tokio::join!(draining, calling) }).await;
    assert_eq!(sum.unwrap(), 45);
    assert!(report.is_complete(), "{report:?}");
}
