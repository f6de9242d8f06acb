//! Deadlines of hours, years, and as long as there are numbers for.

use crate::fleet::{connect, redis, serve, settled, until, within};
use crate::sessions;
use futures::{StreamExt as _, stream};
use mynah::CallError;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// From an hour and a bit up to what no clock shows.
fn long() -> [Duration; 7] {
    [
        HOUR + Duration::from_millis(1),
        HOUR * 24 * 30,
        HOUR * 24 * 365 * 100,
        Duration::from_secs(1 << 43),
        Duration::from_secs(1 << 53),
        Duration::from_millis(u64::MAX),
        Duration::MAX,
    ]
}

#[tokio::test]
async fn calls_with_long_deadlines_are_answered_in_every_format() {
    let redis = redis().await;
    let (_server, _) = serve(&redis, "").await;
    let (_streams, _) = sessions::serve(&redis, "").await;
    for format in ["format=json", "format=cbor", "format=messagepack"] {
        let arith = connect(&redis, format).await;
        let numbers = sessions::connect(&redis, format).await;
        for time in long() {
            let sum = within(arith.add(1, 2).deadline(time)).await;
            assert_eq!(sum.unwrap(), 3, "{format} {time:?}");
            let operation = format!("{format}-{time:?}");
            let sum = arith.add(1, 2).deadline(time).operation_id(operation);
            assert_eq!(within(sum).await.unwrap(), 3, "{format} {time:?}");
            let sum = numbers.sum(stream::iter([1u64, 2])).deadline(time);
            assert_eq!(within(sum).await.unwrap(), 3, "{format} {time:?}");
            let items = numbers.count(10).deadline(time).start();
            let items: Vec<_> = within(items.map(Result::unwrap).collect()).await;
            assert_eq!(items.len(), 10, "{format} {time:?}");
            let asked = numbers.ask(1, async |number| Ok(number)).deadline(time);
            assert_eq!(within(asked).await.unwrap(), 2, "{format} {time:?}");
        }
    }
    settled(&redis).await;
}

/// What is given back is written again with what is left of its time, by a script.
#[tokio::test]
async fn calls_with_long_deadlines_are_given_back_with_them() {
    let redis = redis().await;
    for format in ["format=json", "format=cbor"] {
        let arith = connect(&redis, format).await;
        let (mut server, mut state) = serve(&redis, "").await;
        let calls: Vec<_> = (long().into_iter())
            .map(|time| arith.wait("x".into()).deadline(time).start())
            .collect();
        let all = u32::try_from(calls.len()).unwrap();
        state.begun(all).await;
        for _ in 0..2 {
            let (next, second) = serve(&redis, "").await;
            drop(within(server.drain(Duration::from_millis(20))).await);
            second.begun(all).await;
            (server, state) = (next, second);
        }
        assert_eq!(state.runs(), u64::from(all));
        state.gate.add_permits(calls.len());
        for call in calls {
            assert_eq!(within(call).await.unwrap(), "x", "{format}");
        }
        settled(&redis).await;
        within(server.drain(Duration::from_secs(5))).await;
    }
}

/// One that waits for a server that has room waits for as long as it may, and begins then.
#[tokio::test]
async fn calls_with_long_deadlines_wait_for_room() {
    let redis = redis().await;
    let (_server, _state) = sessions::serve(&redis, "serial=numbers").await;
    let numbers = sessions::connect(&redis, "").await;
    let mut first = numbers.count(u64::MAX).start();
    assert_eq!(within(first.next()).await.unwrap().unwrap(), 0);
    let mut calls = Vec::new();
    for time in long() {
        calls.push(numbers.sum(stream::iter([1u64])).deadline(time).start());
    }
    calls.push(numbers.sum(stream::iter([1u64])).no_deadline().start());
    // This one is given up meanwhile: they are not.
    let hasty = numbers.sum(stream::iter([1u64]));
    let error = within(hasty.deadline(Duration::from_millis(500))).await;
    let error = error.unwrap_err();
    assert!(
        matches!(
            error,
            CallError::Disconnected(_) | CallError::Busy { .. } | CallError::Deadline
        ),
        "{error:?}"
    );
    drop(first);
    for call in calls {
        assert_eq!(within(call).await.unwrap(), 1);
    }
    until(async || crate::fleet::len(&redis, "app:cmds:numbers").await == 0).await;
}
