//! Subscriptions through connections that come and go.

use super::*;
use mynah::dialect::CborRpc;
use mynah::{EndReason, Events, Lag, Subscription};

type Heard = Subscription<u64, Reconnecting>;

/// A server that publishes.
async fn publisher(place: &mut Place) -> (Peer, Events) {
    let events = Events::new();
    let server = place.serve(Router::new().with_events(events.clone())).await;
    (server, events)
}

async fn subscribed(events: &Events, count: usize) {
    until("subscribed", || events.subscribers("ticks") == count).await;
}

async fn hear(heard: &mut Heard) -> u64 {
    within("a message", heard.next()).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_subscription_is_made_again_and_counts_the_gaps() {
    let (mut place, client) = place(1 << 16);
    let client = client.start().unwrap();
    // Made before there is a connection.
    let made = tokio::spawn(client.subscribe::<u64>("ticks").into_future());
    let (mut server, mut events) = publisher(&mut place).await;
    let mut heard: Heard = within("made", made).await.unwrap().unwrap();
    // It is in the books: nothing is lost from here on.
    events.publish("ticks", &0_u64).await.unwrap();
    assert_eq!(hear(&mut heard).await, 0);
    assert_eq!(heard.reconnects(), 0);
    for round in 1..4 {
        server.close();
        let next = tokio::spawn(async move {
            let message = hear(&mut heard).await;
            (message, heard)
        });
        (server, events) = publisher(&mut place).await;
        subscribed(&events, 1).await;
        events.publish("ticks", &round).await.unwrap();
        let message;
        (message, heard) = within("next", next).await.unwrap();
        assert_eq!(message, round);
        assert_eq!(heard.reconnects(), round, "a gap that nobody was told of");
        assert_eq!(heard.dropped(), 0);
        assert!(heard.end_reason().is_none());
    }
    drop(heard);
    subscribed(&events, 0).await;
    idle(&client).await;
}

/// A server that drains ends its subscriptions first.
#[tokio::test]
async fn a_drain_hands_subscriptions_over() {
    let served = Server::new().listen("tcp://127.0.0.1:0").start().await;
    let first = served.unwrap();
    let second = Server::new().listen("tcp://127.0.0.1:0").start().await;
    let second = second.unwrap();
    let addresses = [first.address().to_owned(), second.address().to_owned()];
    let opened = std::sync::atomic::AtomicUsize::new(0);
    let client = Reconnecting::open_with(move || {
        let number = opened.fetch_add(1, Ordering::SeqCst).min(1);
        let address = addresses[number].strip_prefix("tcp://").unwrap().to_owned();
        async move {
            let stream = tokio::net::TcpStream::connect(address).await?;
            Ok(Peer::over(stream, &Native::new()))
        }
    });
    let client = client.connect().await.unwrap();
    let mut heard: Heard = client.subscribe("ticks").await.unwrap();
    first.events().publish("ticks", &1_u64).await.unwrap();
    assert_eq!(hear(&mut heard).await, 1);
    let next = tokio::spawn(async move {
        let message = hear(&mut heard).await;
        (message, heard.reconnects())
    });
    let report = within("drain", first.drain(60 * SECOND)).await;
    assert!(report.is_complete(), "{report:?}");
    subscribed(second.events(), 1).await;
    second.events().publish("ticks", &2_u64).await.unwrap();
    assert_eq!(within("next", next).await.unwrap(), (2, 1));
    idle(&client).await;
}

/// The connection is lost again before the subscription is made again, and again.
#[tokio::test(start_paused = true)]
async fn it_is_asked_for_on_every_connection_until_it_is_there() {
    let (mut place, client) = place(1 << 16);
    let client = client.start().unwrap();
    let asked = client
        .subscribe::<u64>("ticks")
        .lag(Lag::Latest)
        .capacity(5);
    let made = tokio::spawn(asked.into_future());
    let mut params = Vec::new();
    for _ in 0..3 {
        let mut raw = place.raw().await;
        params.push(raw.request().await.body);
    }
    let (server, events) = publisher(&mut place).await;
    let mut heard: Heard = within("made", made).await.unwrap().unwrap();
    events.publish("ticks", &1_u64).await.unwrap();
    assert_eq!(hear(&mut heard).await, 1);
    server.close();
    let next = tokio::spawn(async move {
        let message = hear(&mut heard).await;
        (message, heard.reconnects())
    });
    for _ in 0..3 {
        let mut raw = place.raw().await;
        params.push(raw.request().await.body);
    }
    let (_server, events) = publisher(&mut place).await;
    subscribed(&events, 1).await;
    // Longer than the default time for a call.
    tokio::time::sleep(100 * SECOND).await;
    events.publish("ticks", &2_u64).await.unwrap();
    assert_eq!(within("next", next).await.unwrap(), (2, 4));
    // What it asks for is the same each time.
    params.dedup();
    assert_eq!(params, [serde_json::json!(["ticks", "latest", 5])]);
}

/// Nothing is published for longer than the default time for a call.
#[tokio::test(start_paused = true)]
async fn a_subscription_has_no_deadline_once_it_is_made() {
    let (mut place, client) = place(1 << 16);
    let client = client.start().unwrap();
    let made = tokio::spawn(client.subscribe::<u64>("ticks").into_future());
    let (_server, events) = publisher(&mut place).await;
    let mut heard: Heard = within("made", made).await.unwrap().unwrap();
    tokio::time::sleep(100 * SECOND).await;
    events.publish("ticks", &1_u64).await.unwrap();
    assert_eq!(hear(&mut heard).await, 1);
    assert_eq!(heard.reconnects(), 0);
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_the_client_closes_and_when_the_publisher_ends_it() {
    for fail_fast in [false, true] {
        let (mut place, client) = place(1 << 16);
        let client = if fail_fast {
            client.fail_fast()
        } else {
            client
        };
        let client = client.start().unwrap();
        let made = tokio::spawn(client.subscribe::<u64>("ticks").into_future());
        let (server, _events) = publisher(&mut place).await;
        let mut heard: Heard = within("made", made).await.unwrap().unwrap();
        place.dialled.refuse(true);
        server.close();
        let next = tokio::spawn(async move { (heard.next().await, heard.next().await, heard) });
        tokio::time::sleep(60 * SECOND).await;
        assert!(!next.is_finished(), "{fail_fast}");
        client.close();
        let (one, two, heard) = within("end", next).await.unwrap();
        assert!(matches!(one, Some(Err(EndReason::PeerGone))), "{one:?}");
        assert!(two.is_none());
        assert!(matches!(heard.end_reason(), Some(EndReason::PeerGone)));
    }

    let (mut place, client) = place(1 << 16);
    let client = client.start().unwrap();
    let asked = client.subscribe::<u64>("ticks").lag(Lag::Close).capacity(1);
    let made = tokio::spawn(asked.into_future());
    let (_server, events) = publisher(&mut place).await;
    let mut heard: Heard = within("made", made).await.unwrap().unwrap();
    for number in 0..10_u64 {
        events.publish("ticks", &number).await.unwrap();
    }
    let end = loop {
        match within("end", heard.next()).await.unwrap() {
            Ok(_) => {}
            Err(reason) => break reason,
        }
    };
    assert!(matches!(end, EndReason::Lagged(_)), "{end:?}");
    assert!(heard.next().await.is_none());
    assert_eq!(heard.reconnects(), 0);
}

/// One that cannot be made fails, now and when it is made again.
#[tokio::test]
async fn a_publisher_that_refuses_is_told() {
    let (mut place, client) = place(1 << 16);
    let client = client.start().unwrap();
    let made = tokio::spawn(
        client
            .subscribe::<u64>("ticks")
            .lag(Lag::Block)
            .into_future(),
    );
    let (server, _events) = publisher(&mut place).await;
    assert!(within("refused", made).await.unwrap().is_err());
    drop(server);

    let (mut place, client) = super::place(1 << 16);
    let client = client.start().unwrap();
    let made = tokio::spawn(
        client
            .subscribe::<u64>("ticks")
            .lag(Lag::Block)
            .into_future(),
    );
    let events = Events::new();
    events.declare("ticks", Lag::Block, 8);
    let server = place.serve(Router::new().with_events(events)).await;
    let mut heard: Heard = within("made", made).await.unwrap().unwrap();
    server.close();
    let next = tokio::spawn(async move { (heard.next().await, heard.next().await) });
    // This one does not wait for anybody.
    let (_server, _events) = publisher(&mut place).await;
    let (one, two) = within("end", next).await.unwrap();
    assert!(matches!(one, Some(Err(EndReason::Error(_)))), "{one:?}");
    assert!(two.is_none());
}

/// A wire that has events and no subscriptions: what the other side emits is heard on each connection.
#[tokio::test]
async fn what_is_emitted_is_heard_on_each_connection() {
    let (mut place, client) = place_of(1 << 16, CborRpc::cbor());
    let client = client.start().unwrap();
    let made = tokio::spawn(client.subscribe::<u64>("ticks").into_future());
    let mut heard: Option<Heard> = None;
    let mut made = Some(made);
    for round in 0..3 {
        let far = place.accept().await;
        let server = over(
            far,
            &CborRpc::cbor(),
            Side::Accept,
            Router::new(),
            Limits::new(),
        );
        if let Some(made) = made.take() {
            heard = Some(within("made", made).await.unwrap().unwrap());
        }
        let mut listening = heard.take().unwrap();
        let next = tokio::spawn(async move {
            let message = hear(&mut listening).await;
            (message, listening)
        });
        settle().await;
        server.emit("ticks", &round).unwrap();
        let (message, listening) = within("next", next).await.unwrap();
        assert_eq!((message, listening.reconnects()), (round, round));
        heard = Some(listening);
        server.close();
    }
}
