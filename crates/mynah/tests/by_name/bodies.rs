//! Calls by name over every spelling of params, and in process. What they have in common with typed ones is in
//! `tests/every_way`.

use super::service::DeskClient;
use super::ways::{self, Joined};
use futures::{StreamExt as _, TryStreamExt as _};
use mynah::prelude::*;
use mynah::{By, Caller};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Deadlines of calls by name.
async fn deadlines<C: Caller + Clone>(client: &C, way: &str) {
    let budget = || client.call("desk", "budget");
    let left = |left: Option<u64>| Duration::from_millis(left.unwrap());
    // The default of the client, unless another is named, or none.
    let found: Option<u64> = budget().result().await.unwrap();
    assert_eq!(left(found), Duration::from_secs(30), "{way}");
    let call = budget().deadline(Duration::from_secs(5));
    assert_eq!(left(call.result().await.unwrap()), Duration::from_secs(5));
    let call = budget().result().deadline(Duration::from_secs(6));
    assert_eq!(left(call.await.unwrap()), Duration::from_secs(6));
    let none: Option<u64> = budget().no_deadline().result().await.unwrap();
    assert_eq!(none, None, "{way}");

    let hangs = client.call("desk", "hang").result::<()>().await;
    assert!(
        matches!(hangs, Err(CallError::Deadline)),
        "{way}: {hangs:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_by_name_has_thirty_seconds_unless_told_otherwise() {
    let joined = ways::over(&mynah::dialect::Native::new());
    deadlines(&joined.client, "native").await;
    let joined = ways::in_process().await;
    deadlines(&joined.client, "in process").await;
    let client = ways::reconnecting(Arc::default()).await;
    deadlines(&client, "reconnecting").await;
    client.close();
}

#[tokio::test]
async fn a_dropped_call_by_name_is_cancelled() {
    for (way, Joined { client, clerk, .. }) in &ways::all().await {
        let hanging = Arc::clone(&clerk.hanging);
        let call = client.call("desk", "hang").result::<()>().start();
        ways::until(way, || hanging.load(Ordering::SeqCst) == 1).await;
        drop(call);
        ways::until(way, || hanging.load(Ordering::SeqCst) == 0).await;

        let mut call = client.call("desk", "hang").result::<()>().start();
        call.cancel();
        let ended = call.await.unwrap_err();
        assert!(matches!(ended, CallError::Cancelled(By::Caller)), "{way}");
        ways::until(way, || hanging.load(Ordering::SeqCst) == 0).await;
    }
}

#[tokio::test]
async fn what_nobody_serves_is_said_where_it_is_called() {
    for (way, Joined { client, .. }) in &ways::all().await {
        for (service, method) in [("desk", "nope"), ("nope", "add"), ("", "nope")] {
            let call = client.call(service, method).args((1,)).result::<u8>();
            match call.await.unwrap_err() {
                CallError::Application(error) => {
                    assert_eq!(error.code(), ErrorCode::METHOD_NOT_FOUND, "{way}");
                }
                other => panic!("{way}: {other:?}"),
            }
        }
        // A bare name, where one service has it.
        let sum = client.call("", "add").args((1, 2)).result::<u8>().await;
        assert_eq!(sum.unwrap(), 3, "{way}");
    }
}

#[tokio::test]
async fn params_that_do_not_fit_are_named() {
    for (way, Joined { client, .. }) in &ways::all().await {
        let add = || client.call("desk", "add");
        let calls = [
            (
                add().args((1,)).result::<u8>().await,
                "param `b` is missing",
            ),
            (add().arg("a", 1).result().await, "param `b` is missing"),
            (
                add().arg("a", 1).arg("B", 2).result().await,
                "unknown param `B`: there are `a`, `b`",
            ),
            (add().args((1, 2, 3)).result().await, "more elements"),
        ];
        for (result, text) in calls {
            match result.unwrap_err() {
                CallError::Application(error) => {
                    assert_eq!(error.code(), ErrorCode::INVALID_PARAMS, "{way}");
                    assert!(error.message().contains(text), "{way}: {error}");
                }
                other => panic!("{way}: {other:?}"),
            }
        }
        let twice = add().arg("a", 1).arg("a", 2).result::<u8>().await;
        assert!(twice.is_err(), "{way}: {twice:?}");
    }
}

#[tokio::test]
async fn a_notification_has_nothing_that_ends_with_a_call() {
    let joined = ways::over(&mynah::dialect::Native::new());
    let told = mynah::Attached::callback(|_: u64| {});
    let call = joined.client.call("desk", "tell").args((1, told));
    let sent = call.notify().await.unwrap_err();
    assert!(matches!(sent, CallError::Misuse(text) if text.contains("no end")));
    let call = joined.client.call("desk", "note").args(("a",)).id("n1");
    let sent = call.notify().await.unwrap_err();
    assert!(matches!(sent, CallError::Misuse(text) if text.contains("no id")));
}

#[tokio::test]
async fn a_stream_by_name_is_dropped_with_its_call() {
    for (way, Joined { client, .. }) in &ways::all().await {
        let call = client.call("desk", "count").args((u64::MAX,));
        let mut numbers = call.stream::<u64>();
        assert_eq!(numbers.next().await.unwrap().unwrap(), 0, "{way}");
        drop(numbers);
        let stats = || client.stats().calls_waiting;
        ways::until(way, || stats() == 0).await;
        // What goes wrong is the first item.
        let mut wrong = client.call("desk", "count").stream::<u64>();
        let error = wrong.next().await.unwrap().unwrap_err();
        assert!(
            matches!(error, CallError::Application(_)),
            "{way}: {error:?}"
        );
        assert!(wrong.next().await.is_none(), "{way}");
    }
}

#[tokio::test]
async fn a_handler_calls_back_by_name() {
    for (way, Joined { client, .. }) in &ways::all().await {
        let desk: DeskClient = client.client();
        assert_eq!(desk.back(1, 2).await.unwrap(), 3, "{way}");
        let call = client.call("desk", "back").arg("a", 1).arg("b", 2);
        assert_eq!(call.result::<i64>().await.unwrap(), 3, "{way}");
    }
}

#[tokio::test]
async fn progress_beside_a_stream_is_heard() {
    for (way, Joined { client, .. }) in &ways::all().await {
        let desk: DeskClient = client.client();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let hears = || {
            let seen = Arc::clone(&seen);
            move |step: u64| seen.lock().unwrap().push(step)
        };
        let typed = desk.walk(3).on_progress(hears()).start();
        assert_eq!(typed.try_collect::<Vec<_>>().await.unwrap(), [0, 1, 2]);
        assert_eq!(*seen.lock().unwrap(), [0, 1, 2], "{way}");
        let named = client.call("desk", "walk").arg("to", 2);
        let named = named.on_progress(hears()).stream::<u64>();
        assert_eq!(named.try_collect::<Vec<_>>().await.unwrap(), [0, 1]);
        assert_eq!(*seen.lock().unwrap(), [0, 1, 2, 0, 1], "{way}");
    }
}
