//! The same bodies by the contract, by name in order, and by name each: over every wire, and in process.

use super::service::{AtDesk, DeskClient, DeskError, InOrder, Named, Order, Typed};
use super::ways::{self, Joined};
use futures::{StreamExt as _, TryStreamExt as _};
use mynah::prelude::*;
use mynah::{By, Caller};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Everything that the desk can do.
async fn works(desk: &impl AtDesk, way: &str) {
    assert_eq!(desk.add(5, 10).await.unwrap(), 15, "{way}");
    match desk.add(i64::MAX, 1).await.unwrap_err() {
        CallError::Application(error) => assert_eq!(error.message(), "too large", "{way}"),
        other => panic!("{way}: {other:?}"),
    }
    assert_eq!(desk.greet("Ada", None).await.unwrap(), "Hello, Ada");
    assert_eq!(
        desk.greet("Ada", Some("Dr")).await.unwrap(),
        "Hello, Dr Ada",
        "{way}"
    );
    let order = Order {
        item: "tea".to_owned(),
        count: 2,
    };
    assert_eq!(desk.order(&order).await.unwrap(), "2 tea", "{way}");
    match desk.open("hall").await.unwrap_err() {
        CallError::Application(DeskError::Closed { what }) => assert_eq!(what, "hall", "{way}"),
        other => panic!("{way}: {other:?}"),
    }
    let numbers: Vec<u64> = desk.count(3).try_collect().await.unwrap();
    assert_eq!(numbers, [0, 1, 2], "{way}");
    assert_eq!(desk.sum(2, vec![1, 2, 3]).await.unwrap(), 12, "{way}");

    let told = Arc::new(Mutex::new(Vec::new()));
    assert_eq!(desk.tell(3, Arc::clone(&told)).await.unwrap(), 6, "{way}");
    assert_eq!(*told.lock().unwrap(), [0, 1, 2], "{way}");

    let seen = Arc::new(Mutex::new(Vec::new()));
    assert_eq!(desk.steps(2, Arc::clone(&seen)).await.unwrap(), 2, "{way}");
    assert_eq!(
        *seen.lock().unwrap(),
        ["0", "step 0", "1", "step 1"],
        "{way}"
    );
    let label = desk.label("team", "blue").await.unwrap();
    assert_eq!(label.as_deref(), Some("blue"), "{way}");

    let before = desk.noted().await.unwrap().len();
    desk.note(way).await.unwrap();
    // A notification is handled in the order of its connection, and another in process may be slower.
    let mut noted = Vec::new();
    for _ in 0..10_000 {
        noted = desk.noted().await.unwrap();
        if noted.len() > before {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(noted.last().map(String::as_str), Some(way));
}

#[tokio::test]
async fn every_way_of_calling_does_the_same() {
    for (way, Joined { client, .. }) in &ways::all().await {
        works(
            &Typed(client.client::<DeskClient>()),
            &format!("{way}, typed"),
        )
        .await;
        works(&InOrder(client.clone()), &format!("{way}, in order")).await;
        works(&Named(client.clone()), &format!("{way}, named")).await;
    }
}

#[tokio::test]
async fn a_client_that_reconnects_calls_by_name() {
    let client = ways::reconnecting(Arc::default()).await;
    works(&Typed(client.client::<DeskClient<_>>()), "typed").await;
    works(&InOrder(client.clone()), "in order").await;
    works(&Named(client.clone()), "named").await;
    client.close();
}

/// Deadlines of calls by name.
async fn deadlines<C: Caller + Clone>(client: &C, way: &str)
where
    InOrder<C>: AtDesk,
{
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
