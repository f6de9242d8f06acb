//! Waiting, failing fast, and the end for good.

use super::*;
use mynah::{CloseReason, DialError, ReconnectState};
use std::sync::atomic::AtomicUsize;

#[tokio::test(start_paused = true)]
async fn calls_wait_for_a_connection_as_long_as_they_may() {
    let (mut place, client) = place(1 << 16);
    place.dialled.refuse(true);
    let client = client.start().unwrap();
    let service = probe(&client);
    let start = Instant::now();
    // A server that refuses for ever, and deadlines.
    let error = within("own", service.pass(1).deadline(3 * SECOND).into_future());
    assert!(matches!(error.await, Err(CallError::Deadline)));
    assert_eq!(start.elapsed(), 3 * SECOND);
    let error = within("default", service.pass(2).into_future());
    assert!(matches!(error.await, Err(CallError::Deadline)));
    assert_eq!(start.elapsed(), 33 * SECOND);
    assert!(place.dialled.count() > 5);
    assert_eq!(client.stats().connections, 0);
    // One that waits still when there is somebody.
    let call = tokio::spawn(service.pass(3).no_deadline().into_future());
    settle().await;
    place.dialled.refuse(false);
    let mut raw = place.raw().await;
    let request = raw.request().await;
    assert_eq!(request.body, serde_json::json!([3]));
    raw.result(&request, "3").await;
    assert_eq!(within("answer", call).await.unwrap().unwrap(), 3);
    raw.hears_nothing().await;
    idle(&client).await;
}

/// However often a call that waits is polled, it is noted down once, and not for ever.
#[tokio::test(start_paused = true)]
async fn who_waits_is_noted_down_once_and_not_for_ever() {
    let (place, client) = place(1 << 16);
    place.dialled.refuse(true);
    let client = client.start().unwrap();
    let mut call = probe(&client).pass(1).into_future();
    for _ in 0..1000 {
        assert!(poll_once(&mut call).await.is_pending());
    }
    assert_eq!(client.stats().waiting, 1);
    drop(call);
    let mut calls = Vec::new();
    for number in 0..100 {
        calls.push(tokio::spawn(probe(&client).pass(number).into_future()));
    }
    until("all wait", || client.stats().waiting == 100).await;
    for call in calls {
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
    }
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(client.stats().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn fail_fast_fails_while_there_is_no_connection() {
    let (mut place, client) = place(1 << 16);
    let client = client.fail_fast().start().unwrap();
    let service = probe(&client);
    // The first attempt is waited for.
    let call = tokio::spawn(service.pass(1).into_future());
    let mut raw = place.raw().await;
    let request = raw.request().await;
    raw.result(&request, "1").await;
    assert_eq!(within("answer", call).await.unwrap().unwrap(), 1);

    let lost = tokio::spawn(service.pass(2).into_future());
    raw.request().await;
    let again = tokio::spawn(pass_again(&client, 3).into_future());
    raw.request().await;
    place.dialled.refuse(true);
    drop(raw);
    let error = within("end", lost).await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Indeterminate(_)), "{error:?}");
    // It may have run, and is not said to have never left.
    let error = within("end", again).await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Indeterminate(_)), "{error:?}");
    let start = Instant::now();
    let error = service.pass(4).await.unwrap_err();
    assert!(matches!(error, CallError::Disconnected(_)), "{error:?}");
    let error = service.touch("key".into()).await.unwrap_err();
    assert!(matches!(error, CallError::Disconnected(_)), "{error:?}");
    assert_eq!(start.elapsed(), Duration::ZERO);

    place.dialled.refuse(false);
    client.connected().await.unwrap();
    let call = tokio::spawn(service.pass(5).into_future());
    let mut raw = place.raw().await;
    let request = raw.request().await;
    raw.result(&request, "5").await;
    assert_eq!(within("answer", call).await.unwrap().unwrap(), 5);
    idle(&client).await;
}

#[tokio::test(start_paused = true)]
async fn close_ends_what_waits_and_what_is_on_its_way() {
    let (mut place, client) = place(1 << 16);
    place.dialled.refuse(true);
    let client = client.start().unwrap();
    let waits = tokio::spawn(probe(&client).pass(1).no_deadline().into_future());
    let again = tokio::spawn(pass_again(&client, 2).no_deadline().into_future());
    let service = probe(&client);
    let told = tokio::spawn(async move { service.touch("key".into()).await });
    let connected = tokio::spawn({
        let client = client.clone();
        async move { client.connected().await }
    });
    settle().await;
    client.close();
    for call in [waits, again] {
        let error = within("end", call).await.unwrap().unwrap_err();
        let CallError::Disconnected(CloseReason::Local) = error else {
            panic!("{error:?}");
        };
    }
    assert!(within("told", told).await.unwrap().is_err());
    assert!(within("connected", connected).await.unwrap().is_err());
    assert!(matches!(client.closed().await, CloseReason::Local));
    assert!(client.is_closed());
    let tried = place.dialled.count();
    place.dialled.refuse(false);
    tokio::time::sleep(3600 * SECOND).await;
    assert_eq!(place.dialled.count(), tried, "it goes on");
    assert!(place.accepted.try_recv().is_err());
    let error = probe(&client).pass(3).await.unwrap_err();
    assert!(
        matches!(error, CallError::Disconnected(CloseReason::Local)),
        "{error:?}"
    );
}

#[tokio::test]
async fn close_with_a_connection_ends_its_calls() {
    let (mut place, client) = place(1 << 16);
    let client = client.start().unwrap();
    let call = tokio::spawn(probe(&client).pass(1).into_future());
    let again = tokio::spawn(pass_again(&client, 2).into_future());
    let mut raw = place.raw().await;
    raw.request().await;
    raw.request().await;
    client.close();
    for call in [call, again] {
        let error = within("end", call).await.unwrap().unwrap_err();
        assert!(
            matches!(error, CallError::Indeterminate(CloseReason::Local)),
            "{error:?}"
        );
    }
    within("closed", client.closed()).await;
    assert!(within("rest", raw.rest()).await.is_empty());
    assert!(client.peer().is_none_or(|peer| peer.is_closed()));
    assert_eq!(client.stats().sent_again, 0);
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_ends_it() {
    let (mut place, client) = place(1 << 16);
    let client = client.start().unwrap();
    let service = probe(&client);
    let mut raw = place.raw().await;
    let call = service.pass(1).start();
    drop((client, service));
    // A call on its way is a handle.
    let call = tokio::spawn(call);
    let request = raw.request().await;
    raw.result(&request, "1").await;
    assert_eq!(within("answer", call).await.unwrap().unwrap(), 1);
    within("end", raw.rest()).await;
    let tried = place.dialled.count();
    tokio::time::sleep(3600 * SECOND).await;
    assert_eq!(place.dialled.count(), tried);
}

#[tokio::test]
async fn a_first_attempt_that_fails_is_told_by_connect() {
    let (place, client) = place(1 << 16);
    place.dialled.refuse(true);
    let error = client.connect().await.unwrap_err();
    assert!(matches!(error, DialError::Transport(_)), "{error:?}");
    assert_eq!(error.to_string(), "nobody is there");
    settle().await;
    assert_eq!(place.dialled.count(), 1, "it goes on");

    let (_place, client) = super::place(1 << 16);
    let probe = crate::probe::MyProbe::new();
    let twice = client.register(probe.service()).register(probe.service());
    assert!(matches!(
        twice.connect().await.unwrap_err(),
        DialError::Register(_)
    ));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_takes_no_longer_than_it_may() {
    let client = Reconnecting::open_with(std::future::pending)
        .attempt_timeout(2 * SECOND)
        .connect();
    let start = Instant::now();
    let error = within("end", client).await.unwrap_err();
    assert_eq!(start.elapsed(), 2 * SECOND);
    assert_eq!(error.to_string(), "no connection within 2s");
}

/// Code of the user connects. Should it panic, nobody waits for it.
#[tokio::test]
async fn an_opener_that_panics_closes() {
    let client = Reconnecting::open_with(|| async { panic!("on purpose") })
        .start()
        .unwrap();
    let error = within("end", probe(&client).pass(1).no_deadline().into_future());
    let error = error.await.unwrap_err();
    assert!(
        matches!(error, CallError::Disconnected(CloseReason::Transport(..))),
        "{error:?}"
    );
    assert!(client.is_closed());
}

/// Every connection speaks what the first one spoke: params may have been encoded for it.
#[tokio::test(start_paused = true)]
async fn another_format_than_before_is_a_failed_attempt() {
    let (sender, mut accepted) = mpsc::channel(8);
    let opened = AtomicUsize::new(0);
    let client = Reconnecting::open_with(move || {
        let number = opened.fetch_add(1, Ordering::SeqCst);
        let sender = sender.clone();
        async move {
            let (near, far) = tokio::io::duplex(4096);
            sender.send(far).await.unwrap();
            Ok(match number {
                1 => Peer::over(near, &Native::new()),
                _ => Peer::over(near, &Native::json()),
            })
        }
    });
    let client = client.start().unwrap();
    let mut place = Vec::new();
    for _ in 0..2 {
        place.push(within("dial", accepted.recv()).await.unwrap());
        settle().await;
        place.clear();
    }
    place.push(within("dial", accepted.recv()).await.unwrap());
    client.connected().await.unwrap();
    let stats = client.stats();
    assert_eq!((stats.connections, stats.failures), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn the_state_is_told() {
    let (mut place, client) = place(1 << 16);
    place.dialled.refuse(true);
    let client = client.start().unwrap();
    let mut watch = client.watch();
    assert!(matches!(watch.state(), ReconnectState::Connecting));
    let mut waits = Vec::new();
    while waits.len() < 3 {
        if let ReconnectState::Waiting {
            attempt,
            delay,
            reason,
        } = watch.changed().await
        {
            assert_eq!(reason.to_string(), "nobody is there");
            waits.push((attempt, delay));
        }
    }
    let mut same = Backoff::new().with_seed(7);
    let expected: Vec<_> = (1..=3)
        .map(|attempt| (attempt, same.next_delay()))
        .collect();
    assert_eq!(waits, expected);
    place.dialled.refuse(false);
    while !matches!(watch.changed().await, ReconnectState::Connected) {}
    assert!(matches!(client.state(), ReconnectState::Connected));
    let raw = place.raw().await;
    drop(raw);
    let ReconnectState::Waiting { reason, .. } = watch.changed().await else {
        panic!("{:?}", client.state());
    };
    assert!(matches!(reason, CloseReason::PeerGone));
    client.close();
    let ReconnectState::Closed(CloseReason::Local) = watch.changed().await else {
        panic!("{:?}", client.state());
    };
    // The last one stays.
    assert!(matches!(watch.changed().await, ReconnectState::Closed(_)));
}
