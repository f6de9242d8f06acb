//! What the two sides say without being asked: events and logs, to listeners, to handlers, to everybody.

use crate::probe::{MyProbe, ProbeClient};
use crate::support::*;
use mynah::codec::Dialect;
use mynah::dialect::{CborRpc, Native, Side};
use mynah::prelude::*;
use mynah::{
    CloseReason, EndReason, Events, Lag, Limits, LogLine, PeerBuilder, RegisterError, Router,
    ServerHandle, Value,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::DuplexStream;

const MS: Duration = Duration::from_millis(1);

/// Two sides over a stream in memory: one that speaks already, and one that is about to start.
fn half_started(dialect: &impl Dialect) -> (Peer, PeerBuilder) {
    let (near, far) = tokio::io::duplex(1 << 16);
    let early = over(near, dialect, Side::Dial, Router::new(), Limits::new());
    (early, Peer::over(far, dialect).side(Side::Accept))
}

/// Who hears what, in order.
type Heard<T> = Arc<Mutex<Vec<T>>>;

fn heard<T>() -> Heard<T> {
    Arc::default()
}

#[tokio::test]
async fn what_is_said_before_the_other_side_starts_is_heard_by_early_listeners() {
    async fn check(dialect: impl Dialect) {
        let (early, mut builder) = half_started(&dialect);
        early.emit("ready", &()).unwrap();
        early.emit("change", &1).unwrap();
        early.log(2, &"hello").unwrap();
        early.emit("change", &2).unwrap();
        settle().await;
        let mut ready = builder.listen::<()>("ready");
        let mut changes = builder.listen::<u32>("change");
        let mut logs = builder.logs();
        let handled = heard();
        let list = Arc::clone(&handled);
        let builder = builder.on_event("change", move |_cx, change: u32| {
            list.lock().unwrap().push(change);
            std::future::ready(())
        });
        let late = builder.start().unwrap();
        assert_eq!(within("ready", ready.next()).await, Some(Ok(())));
        assert_eq!(within("change", changes.next()).await, Some(Ok(1)));
        assert_eq!(within("change", changes.next()).await, Some(Ok(2)));
        let line = within("line", logs.next()).await.unwrap();
        assert_eq!(
            (line.level, line.content, line.dropped),
            (2, Value::from("hello"), 0)
        );
        assert_eq!(*handled.lock().unwrap(), [1, 2]);
        // A listener that was made later hears what comes later.
        let mut later = late.listen::<u32>("change").unwrap();
        early.emit("change", &3).unwrap();
        assert_eq!(within("change", later.next()).await, Some(Ok(3)));
        // The end of the connection ends them all.
        early.close();
        assert_eq!(within("end", changes.next()).await, Some(Ok(3)));
        assert_eq!(
            within("end", changes.next()).await,
            Some(Err(EndReason::PeerGone))
        );
        assert_eq!(
            within("end", later.next()).await,
            Some(Err(EndReason::PeerGone))
        );
        assert_eq!(within("end", later.next()).await, None);
        assert!(within("end", logs.next()).await.is_none());
        let mut too_late = late.listen::<u32>("change").unwrap();
        assert_eq!(
            within("end", too_late.next()).await,
            Some(Err(EndReason::PeerGone))
        );
    }
    check(Native::new()).await;
    check(Native::json()).await;
    check(CborRpc::cbor()).await;
}

#[tokio::test]
async fn early_listeners_without_a_connection_hear_the_end() {
    let mut connector = mynah::connector("tcp://127.0.0.1:1").unwrap();
    let mut nothing = connector.listen::<()>("ready");
    let mut logs = connector.logs();
    assert!(connector.connect().await.is_err());
    assert_eq!(
        within("end", nothing.next()).await,
        Some(Err(EndReason::PeerGone))
    );
    assert!(within("end", logs.next()).await.is_none());
    // A server of the same process emits nothing.
    let _server = Server::new().listen("memory:silent").start().await.unwrap();
    let mut connector = mynah::connector("memory:silent").unwrap();
    let mut nothing = connector.listen::<()>("ready");
    let peer = connector.connect().await.unwrap();
    assert_eq!(
        within("end", nothing.next()).await,
        Some(Err(EndReason::PeerGone))
    );
    for error in [
        peer.listen::<()>("ready").unwrap_err(),
        peer.wait_for::<()>("ready").unwrap_err(),
        peer.logs().unwrap_err(),
    ] {
        assert!(matches!(error, CallError::Unsupported { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn one_event_is_waited_for() {
    let (early, builder) = half_started(&CborRpc::cbor());
    let peer = builder.default_deadline(Some(50 * MS)).start().unwrap();
    // It listens from when it is made, and keeps the first.
    let waiter = peer.wait_for::<Value>("nöted \u{1f99c}").unwrap();
    let other = peer.wait_for::<Option<u32>>("nöted \u{1f99c}").unwrap();
    early.emit("nöted \u{1f99c}", &None::<u32>).unwrap();
    early.emit("nöted \u{1f99c}", &8).unwrap();
    settle().await;
    assert_eq!(
        within("event", waiter.into_future()).await.unwrap(),
        Value::Null
    );
    assert_eq!(within("event", other.into_future()).await.unwrap(), None);
    // Nothing comes: as long as a call would wait, or as it is told.
    let error = within(
        "time-out",
        peer.wait_for::<u32>("never").unwrap().into_future(),
    )
    .await;
    assert!(matches!(error, Err(CallError::Deadline)), "{error:?}");
    let waiter = peer.wait_for::<u32>("never").unwrap().deadline(MS);
    let error = within("time-out", waiter.into_future()).await;
    assert!(matches!(error, Err(CallError::Deadline)), "{error:?}");
    // Another shape, and the end.
    let waiter = peer.wait_for::<u32>("text").unwrap().no_deadline();
    early.emit("text", "no number").unwrap();
    let error = within("event", waiter.into_future()).await.unwrap_err();
    assert!(matches!(error, CallError::Remote(_)), "{error:?}");
    let waiter = peer.wait_for::<u32>("never").unwrap().no_deadline();
    early.close();
    let error = within("end", waiter.into_future()).await.unwrap_err();
    assert!(
        matches!(error, CallError::Disconnected(CloseReason::PeerGone)),
        "{error:?}"
    );
}

#[tokio::test]
async fn slow_listeners_lose_the_oldest_and_know_how_many() {
    let (early, builder) = half_started(&CborRpc::cbor());
    let mut builder = builder.limits(Limits::new().with_side_messages(3));
    let mut events = builder.listen::<u32>("number");
    let mut logs = builder.logs();
    let _peer = builder.start().unwrap();
    for number in 0..10 {
        early.emit("number", &number).unwrap();
        early.log(3, &number).unwrap();
    }
    early.emit("over", &()).unwrap();
    early.close();
    early.closed().await;
    let mut heard = Vec::new();
    while let Some(Ok(number)) = within("events", events.next()).await {
        heard.push(number);
    }
    assert_eq!((heard, events.dropped()), (vec![7, 8, 9], 7));
    let mut lines = Vec::new();
    while let Some(line) = within("lines", logs.next()).await {
        lines.push((line.content, line.dropped));
    }
    let wanted = [(7_u64, 7), (8, 0), (9, 0)];
    assert_eq!(
        lines,
        wanted.map(|(number, dropped)| (Value::from(number), dropped))
    );
}

/// Handlers of events are handlers: they run side by side, may call back, are isolated, and stop with the connection.
#[tokio::test]
async fn handlers_of_events_and_logs() {
    for way in [Way::TcpCbor, Way::Memory, Way::CborRpc] {
        let probe = MyProbe::new();
        let (events, lines) = (heard::<(String, Value)>(), heard::<LogLine>());
        let (to_events, to_lines, in_handler) =
            (Arc::clone(&events), Arc::clone(&lines), probe.clone());
        let mut setup = Setup::new(probe.service());
        setup.server = setup
            .server
            .on_any_event(move |_cx, topic: String, message: Value| {
                to_events.lock().unwrap().push((topic, message));
                std::future::ready(())
            })
            .on_event("hang", move |_cx, (): ()| {
                let probe = in_handler.clone();
                async move {
                    let _alive = probe.0.calls.enter();
                    std::future::pending::<()>().await;
                }
            })
            .on_event("panic", |_cx, (): ()| async {
                panic!("in the handler of an event")
            })
            .on_event("back", |cx: Context, topic: String| async move {
                cx.peer().emit(&topic, &"back").unwrap();
            })
            .on_log(move |_cx, line| {
                to_lines.lock().unwrap().push(line);
                std::future::ready(())
            });
        let joined = setup.join(way).await;
        let (peer, client) = (&joined.client, joined.client.client::<ProbeClient>());
        let mut back = peer.listen::<String>("answer").unwrap();
        peer.emit("any", &7).unwrap();
        peer.emit("panic", &()).unwrap();
        peer.emit("hang", &"not what it takes").unwrap();
        peer.emit("back", "answer").unwrap();
        peer.emit("hang", &()).unwrap();
        peer.log(1, &("critical", 1)).unwrap();
        peer.log(-9, &()).unwrap();
        assert_eq!(
            within("back", back.next()).await,
            Some(Ok("back".into())),
            "{way:?}"
        );
        // What was said before a call has been heard before its answer.
        assert_eq!(client.echo("on".into()).await.unwrap(), "on", "{way:?}");
        let seen = events.lock().unwrap().clone();
        assert_eq!(seen, [("any".to_owned(), Value::from(7_u64))], "{way:?}");
        let levels: Vec<_> = lines
            .lock()
            .unwrap()
            .iter()
            .map(|line| line.level)
            .collect();
        assert_eq!(levels, [1, -9], "{way:?}");
        let far = joined.far().await.unwrap();
        until("it hangs", || probe.0.calls.alive() == 1).await;
        assert_eq!(far.stats().handlers_running, 1, "{way:?}");
        peer.close();
        until("it is stopped", || probe.0.calls.alive() == 0).await;
    }
}

#[tokio::test]
async fn events_without_a_permit_are_dropped() {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let runs = heard::<u32>();
    let (in_handler, list) = (Arc::clone(&gate), Arc::clone(&runs));
    let (early, builder) = half_started(&CborRpc::cbor());
    let peer = builder
        .limits(Limits::new().with_calls_in_flight(2))
        .on_event("work", move |_cx, number: u32| {
            let (gate, list) = (Arc::clone(&in_handler), Arc::clone(&list));
            async move {
                list.lock().unwrap().push(number);
                gate.acquire().await.unwrap().forget();
            }
        })
        .start()
        .unwrap();
    let mut all = peer.listen::<u32>("work").unwrap();
    for number in 0..5 {
        early.emit("work", &number).unwrap();
    }
    for number in 0..5 {
        assert_eq!(within("heard", all.next()).await, Some(Ok(number)));
    }
    assert_eq!(*runs.lock().unwrap(), [0, 1]);
    gate.add_permits(2);
    until("they are over", || peer.stats().handlers_running == 0).await;
    early.emit("work", &5).unwrap();
    until("a permit is free", || runs.lock().unwrap().len() == 3).await;
    assert_eq!(*runs.lock().unwrap(), [0, 1, 5]);
}

#[test]
fn two_handlers_for_one_thing_are_refused() {
    let ignore = |_cx: Context, (): ()| std::future::ready(());
    let twice = [
        Router::new().on_event("a", ignore).on_event("a", ignore),
        Router::new()
            .on_any_event(|_, _, ()| std::future::ready(()))
            .on_any_event(|_, _, ()| std::future::ready(())),
        Router::new()
            .on_log(|_, _| std::future::ready(()))
            .on_log(|_, _| std::future::ready(())),
    ];
    for router in twice {
        let error = router.check().unwrap_err();
        assert!(matches!(error, RegisterError::Handlers(_)), "{error}");
    }
    assert!(
        Router::new()
            .on_event("a", ignore)
            .on_event("b", ignore)
            .check()
            .is_ok()
    );
}

async fn serve(dialect: &str, events: Events, limits: Limits) -> ServerHandle {
    Server::new()
        .events(events)
        .limits(limits)
        .register(MyProbe::new().service())
        .listen(&format!("tcp://127.0.0.1:0{dialect}"))
        .listen("tcp://127.0.0.1:0")
        .start()
        .await
        .unwrap()
}

/// A client that is connected and known to the server.
async fn client(server: &ServerHandle, address: usize, query: &str) -> Peer {
    let url = format!("{}{query}", server.addresses()[address]);
    let peer = mynah::connect(&url).await.unwrap();
    peer.client::<ProbeClient>().echo("a".into()).await.unwrap();
    peer
}

/// What is published reaches peers that cannot subscribe if its topic is pushed: those that are there and those that
/// come.
#[tokio::test]
async fn published_events_are_pushed_to_peers_that_cannot_subscribe() {
    let events = Events::new();
    events.push("pushed");
    let server = serve("?dialect=cbor-rpc", events.clone(), Limits::new()).await;
    let first = client(&server, 0, "?dialect=cbor-rpc").await;
    let mut pushed = first.subscribe::<u32>("pushed").await.unwrap();
    let mut silent = first.subscribe::<u32>("silent").await.unwrap();
    assert_eq!(events.publish("silent", &0).await.unwrap().subscribers, 0);
    assert_eq!(events.publish("pushed", &1).await.unwrap().subscribers, 1);
    assert_eq!(within("event", pushed.next()).await, Some(Ok(1)));
    // A peer that can subscribe gets what it subscribed to, and nothing else.
    let native = client(&server, 1, "").await;
    let mut unasked = native.listen::<u32>("pushed").unwrap();
    let mut subscribed = native.subscribe::<u32>("pushed").await.unwrap();
    let second = client(&server, 0, "?dialect=cbor-rpc").await;
    let mut also = second.subscribe::<u32>("pushed").await.unwrap();
    assert_eq!(events.publish("pushed", &2).await.unwrap().subscribers, 3);
    for hears in [&mut pushed, &mut subscribed, &mut also] {
        assert_eq!(within("event", hears.next()).await, Some(Ok(2)));
    }
    // A topic that is pushed from now on.
    events.push("silent");
    events.push("silent");
    assert_eq!(events.publish("silent", &3).await.unwrap().subscribers, 2);
    assert_eq!(within("event", silent.next()).await, Some(Ok(3)));
    // Connections that end are forgotten.
    first.close();
    until("it is forgotten", || events.subscribers("pushed") == 2).await;
    assert_eq!(events.publish("pushed", &4).await.unwrap().subscribers, 2);
    assert_eq!(within("event", also.next()).await, Some(Ok(4)));
    native.close();
    let end = within("end", unasked.next()).await;
    assert_eq!(
        end,
        Some(Err(EndReason::PeerGone)),
        "nothing was pushed to it"
    );
    drop((second, also, subscribed));
    until("nobody is left", || events.subscribers("pushed") == 0).await;
}

/// A peer that does not read is not waited for: what was declared for the topic holds for it.
#[tokio::test]
async fn pushed_events_follow_the_policy_of_their_topic() {
    let (stream, near) = tokio::io::duplex(256);
    let events = Events::new();
    events.declare("state", Lag::Latest, 1);
    events.push("state");
    let limits = Limits::new().with_output_high_water_bytes(2000);
    let peer = over(
        stream,
        &CborRpc::cbor(),
        Side::Accept,
        Router::new().with_events(events.clone()),
        limits,
    );
    let padding = "x".repeat(100);
    for number in 0..1000_u32 {
        let published = events.publish("state", &(number, &padding)).await.unwrap();
        assert_eq!(published.subscribers, 1);
    }
    settle().await;
    assert!(peer.stats().output_bytes < 4000, "{:?}", peer.stats());
    // It reads at last: some old ones that were on their way, and then the newest.
    let reader = over(
        near,
        &CborRpc::cbor(),
        Side::Dial,
        Router::new(),
        Limits::new(),
    );
    let mut state = reader.listen::<(u32, String)>("state").unwrap();
    let mut heard = Vec::new();
    while heard.last() != Some(&999) {
        let (number, _) = within("state", state.next()).await.unwrap().unwrap();
        heard.push(number);
    }
    assert!(heard.is_sorted() && heard.len() < 100, "{heard:?}");
    // Now that there is room, every one arrives.
    for number in 1000..1003_u32 {
        events.publish("state", &(number, &padding)).await.unwrap();
        let next = within("state", state.next()).await.unwrap().unwrap();
        assert_eq!(next.0, number);
    }
}

/// A publisher of a topic that waits for its subscribers waits for those it is pushed to as well, and for none that is
/// gone.
#[tokio::test]
async fn a_publisher_that_waits_waits_for_pushed_peers() {
    let (stream, near) = tokio::io::duplex(64);
    let events = Events::new();
    events.declare("all", Lag::Block, 2);
    events.push("all");
    let limits = Limits::new().with_output_high_water_bytes(100);
    let router = Router::new().with_events(events.clone());
    let _peer = over(stream, &CborRpc::cbor(), Side::Accept, router, limits);
    let publishing = tokio::spawn(async move {
        for number in 0..500_u32 {
            events.publish("all", &number).await.unwrap();
        }
    });
    settle().await;
    assert!(!publishing.is_finished(), "nobody reads");
    let mut builder = Peer::over(near, &CborRpc::cbor());
    builder = builder.limits(Limits::new().with_side_messages(1000));
    let mut all = builder.listen::<u32>("all");
    let reader = builder.start().unwrap();
    for number in 0..500 {
        assert_eq!(within("event", all.next()).await, Some(Ok(number)));
    }
    within("publishing", publishing).await.unwrap();
    drop(reader);
}

#[tokio::test]
async fn a_publisher_does_not_wait_for_a_pushed_peer_that_goes() {
    let (stream, near): (DuplexStream, DuplexStream) = tokio::io::duplex(64);
    let events = Events::new();
    events.declare("all", Lag::Block, 1);
    events.push("all");
    let limits = Limits::new().with_output_high_water_bytes(100);
    let router = Router::new().with_events(events.clone());
    let peer = over(stream, &CborRpc::cbor(), Side::Accept, router, limits);
    let publishing = tokio::spawn(async move {
        for number in 0..500_u32 {
            events.publish("all", &number).await.unwrap();
        }
    });
    settle().await;
    assert!(!publishing.is_finished(), "nobody reads");
    drop(near);
    within("publishing", publishing).await.unwrap();
    within("end", peer.closed()).await;
}
