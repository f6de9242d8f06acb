//! Requests that were refused, and did not run.

use super::*;
use mynah::ErrorCode;
use serde_json::json;

async fn refuse(raw: &mut Raw, request: &Frame, code: ErrorCode, retry_after_ms: Option<u64>) {
    let mut error = vec![json!(code.value()), json!("refused")];
    error.extend(retry_after_ms.map(|ms| json!({ "retry_after_ms": ms })));
    raw.say(json!([ERROR, request.head[1]]), &json!(error).to_string())
        .await;
}

#[tokio::test]
async fn busy_is_told_unless_it_is_to_be_tried_again() {
    let (mut place, client) = place(1 << 16);
    let client = client.start().unwrap();
    let call = tokio::spawn(pass_again(&client, 1).into_future());
    let mut raw = place.raw().await;
    let request = raw.request().await;
    refuse(&mut raw, &request, ErrorCode::BUSY, Some(70)).await;
    let error = within("end", call).await.unwrap().unwrap_err();
    let CallError::Busy { retry_after } = error else {
        panic!("{error:?}");
    };
    assert_eq!(retry_after, Some(70 * MS));
}

#[tokio::test(start_paused = true)]
async fn busy_is_tried_again_after_a_pause_within_the_deadline() {
    let (mut place, client) = place(1 << 16);
    let client = client.retry_busy().start().unwrap();
    let call = tokio::spawn(probe(&client).pass(1).no_deadline().into_future());
    let mut raw = place.raw().await;
    for (retry_after, at_least) in [(Some(5000), 5000), (None, 200), (Some(1), 800)] {
        let request = raw.request().await;
        let since = Instant::now();
        refuse(&mut raw, &request, ErrorCode::BUSY, retry_after).await;
        raw.hears_nothing().await;
        let mut next = Box::pin(raw.next());
        let frame = within("again", &mut next).await.unwrap();
        drop(next);
        assert_eq!(frame.kind(), REQUEST);
        assert!(since.elapsed() >= at_least * MS, "{:?}", since.elapsed());
        // The next round answers this one.
        refuse(&mut raw, &frame, ErrorCode::BUSY, Some(0)).await;
    }
    let request = raw.request().await;
    raw.result(&request, "1").await;
    assert_eq!(within("answer", call).await.unwrap().unwrap(), 1);

    let start = Instant::now();
    let call = tokio::spawn(probe(&client).pass(2).deadline(SECOND).into_future());
    let request = raw.request().await;
    refuse(&mut raw, &request, ErrorCode::BUSY, Some(5000)).await;
    let error = within("end", call).await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Deadline), "{error:?}");
    assert_eq!(start.elapsed(), SECOND);
    raw.hears_nothing().await;
    idle(&client).await;
}

/// More calls than may wait for an answer: refused on this side.
#[tokio::test(start_paused = true)]
async fn busy_on_this_side_is_tried_again_too() {
    let (mut place, client) = place(1 << 16);
    let limits = Limits::new().with_outgoing_calls(1);
    let client = client.limits(limits).retry_busy().start().unwrap();
    client.connected().await.unwrap();
    let mut raw = place.raw().await;
    let first = probe(&client).pass(1).start();
    let second = probe(&client).pass(2).start();
    let second = tokio::spawn(second);
    let request = raw.request().await;
    raw.hears_nothing().await;
    raw.result(&request, "1").await;
    assert_eq!(within("answer", first).await.unwrap(), 1);
    let request = raw.request().await;
    raw.result(&request, "2").await;
    assert_eq!(within("answer", second).await.unwrap().unwrap(), 2);
}

/// A refusal that crossed the word that the server goes away: the call runs on the next one.
#[tokio::test]
async fn what_a_server_that_drains_refuses_runs_on_the_next() {
    let (mut place, client) = place(1 << 16);
    let client = client.start().unwrap();
    let call = tokio::spawn(probe(&client).pass(1).into_future());
    let mut old = place.raw().await;
    let request = old.request().await;
    let code = ErrorCode::DRAINING.value();
    old.say(json!([GOING_AWAY, code, "bye"]), "").await;
    refuse(&mut old, &request, ErrorCode::DRAINING, None).await;
    let mut raw = place.raw().await;
    let request = raw.request().await;
    raw.result(&request, "1").await;
    assert_eq!(within("answer", call).await.unwrap().unwrap(), 1);
    within("old", old.rest()).await;
    idle(&client).await;
}

/// A handler that says so, on a connection that goes on, means something else.
#[tokio::test]
async fn draining_and_cancelled_mean_no_end_while_there_is_none() {
    let (mut place, client) = place(1 << 16);
    let client = client.start().unwrap();
    let mut raw = place.raw().await;
    let call = tokio::spawn(pass_again(&client, 1).into_future());
    let request = raw.request().await;
    refuse(&mut raw, &request, ErrorCode::DRAINING, None).await;
    let error = within("end", call).await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Remote(_)), "{error:?}");
    let call = tokio::spawn(pass_again(&client, 1).into_future());
    let request = raw.request().await;
    refuse(&mut raw, &request, ErrorCode::CANCELLED, None).await;
    let error = within("end", call).await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Cancelled(_)), "{error:?}");
    raw.hears_nothing().await;
    assert_eq!(client.stats().sent_again, 0);
}

/// The same for a stream of results, whose request was never written.
#[tokio::test(start_paused = true)]
async fn streams_are_tried_again_too() {
    let (mut place, client) = place(1 << 16);
    let limits = Limits::new().with_outgoing_calls(1);
    let client = client.limits(limits).retry_busy().start().unwrap();
    client.connected().await.unwrap();
    let mut raw = place.raw().await;
    let first = probe(&client).pass(1).start();
    let heard = tokio::spawn(client.subscribe::<u64>("ticks").into_future());
    let request = raw.request().await;
    raw.hears_nothing().await;
    raw.result(&request, "1").await;
    assert_eq!(within("answer", first).await.unwrap(), 1);
    let request = raw.request().await;
    assert_eq!(request.head[3], json!("subscribe"));
    refuse(&mut raw, &request, ErrorCode::BUSY, None).await;
    let request = raw.request().await;
    assert_eq!(request.head[3], json!("subscribe"));
    drop(heard);
}
