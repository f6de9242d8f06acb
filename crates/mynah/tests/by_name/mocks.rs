//! Code of a program against a mock, without a server.

use super::service::{Clerk, DeskClient, DeskError, DeskEvents, DeskMock};
use futures::{StreamExt as _, TryStreamExt as _};
use mynah::prelude::*;
use mynah::{Caller, Router};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Code that is tested: it knows nothing of what it calls through.
async fn total<C: Caller + Clone>(desk: &DeskClient<C>, numbers: &[i64]) -> Result<i64, String> {
    let mut total = 0;
    for number in numbers {
        let sum = desk.add(total, *number).await;
        total = sum.map_err(|error| error.to_string())?;
    }
    Ok(total)
}

#[tokio::test]
async fn a_mock_does_what_the_test_gives_it() {
    let mock = DeskMock::new().on_add(async |a, b| match b {
        0 => Err(RpcError::new(ErrorCode::application(1), "no more")),
        b => Ok(a + b),
    });
    assert_eq!(total(&mock.client(), &[1, 2, 3]).await, Ok(6));
    let failed = total(&mock.client(), &[1, 0, 3]).await.unwrap_err();
    assert!(failed.contains("no more"), "{failed}");
    assert_eq!(mock.calls(), ["add"; 5]);
    assert_eq!(format!("{:?}", DeskMock::default()), "DeskMock([])");
}

#[tokio::test]
async fn every_kind_of_method_is_mocked() {
    let noted = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&noted);
    let mock = DeskMock::new()
        .on_count(|to| futures::stream::iter((0..to).map(|number| Ok(number * 10))))
        .on_sum(async |factor, numbers| {
            let sum = numbers.fold(0, async |sum, number| sum + number.unwrap_or(0));
            factor + sum.await
        })
        .on_tell(async |to, told, asked| {
            told.send(to).await.unwrap();
            asked.call(to).await.unwrap()
        })
        .on_open(async |what| Err(DeskError::Closed { what }))
        .on_digest(|data| data.len() as u64)
        .on_note(move |text| {
            notes.lock().unwrap().push(text);
            std::future::ready(())
        });
    let client = mock.client();
    let desk = &client;
    let numbers: Vec<u64> = desk.count(3).start().try_collect().await.unwrap();
    assert_eq!(numbers, [0, 10, 20]);
    assert_eq!(desk.sum(1, vec![2, 3]).await.unwrap(), 6);
    let told = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&told);
    let tells = move |number| hears.lock().unwrap().push(number);
    let asked = desk.tell(4, tells, async |number| Ok(number * 2));
    assert_eq!(asked.await.unwrap(), 8);
    assert_eq!(*told.lock().unwrap(), [4]);
    let closed = desk.open("door".to_owned()).await.unwrap_err();
    assert!(matches!(closed, CallError::Application(DeskError::Closed { what }) if what == "door"));
    assert_eq!(client.digest(vec![1, 2, 3]).await.unwrap(), 3);
    desk.note("a".to_owned()).await.unwrap();
    assert_eq!(*noted.lock().unwrap(), ["a"]);
    // By name as well, and what it publishes is heard.
    let mut numbers = mock.peer().call("desk", "count").args((2,)).stream::<u64>();
    assert_eq!(numbers.next().await.unwrap().unwrap(), 0);
    let mut rang = client.rang().await.unwrap();
    let events = DeskEvents::new(mock.events().clone());
    assert_eq!(events.rang(&2).await.unwrap().subscribers, 1);
    assert_eq!(rang.next().await, Some(Ok(2)));
    assert_eq!(
        mock.calls(),
        ["count", "sum", "tell", "open", "digest", "note", "count"]
    );
}

#[tokio::test(start_paused = true)]
async fn deadlines_hold_against_a_mock() {
    let mock = DeskMock::new().on_hang(async || {
        tokio::time::sleep(Duration::from_secs(60)).await;
    });
    let late = mock.client().hang().deadline(Duration::from_secs(1)).await;
    assert!(matches!(late, Err(CallError::Deadline)));
    mock.client().hang().no_deadline().await.unwrap();
}

#[tokio::test]
async fn a_call_of_what_was_not_given_fails_the_test() {
    let mock = DeskMock::new().on_noted(async || Vec::new());
    let client = mock.client();
    let failed = client.add(1, 2).await.unwrap_err();
    assert!(matches!(failed, CallError::Application(error) if error.code() == ErrorCode::INTERNAL));
    drop(client);
    let said = catch_unwind(AssertUnwindSafe(|| drop(mock))).unwrap_err();
    let said = said.downcast_ref::<String>().unwrap();
    assert_eq!(
        said,
        "DeskMock: `add` was called, and the test has given nothing for it"
    );
}

#[tokio::test]
async fn a_mock_is_served_like_any_other_service() {
    let mock = DeskMock::new().on_add(async |a, b| Ok(a * b));
    let service = super::service::DeskService::new(mock.clone());
    let peer = Peer::of(Router::new().register(service)).unwrap();
    let desk: DeskClient = peer.client();
    assert_eq!(desk.add(3, 4).await.unwrap(), 12);
    // Clones tell of the same calls.
    assert_eq!(mock.calls(), ["add"]);
    // The other way to replace a service is to write it.
    let real = super::service::DeskService::new(Clerk::default());
    let desk: DeskClient = Peer::of(Router::new().register(real)).unwrap().client();
    assert_eq!(total(&desk, &[1, 2]).await, Ok(3));
}
