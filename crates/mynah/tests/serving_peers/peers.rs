//! Clients by id: to call, to tell, to close; and all of them at once.

use crate::support::*;
use mynah::prelude::*;
use mynah::{CloseReason, EndReason, Events, Lag};

#[tokio::test]
async fn a_client_is_found_by_its_id_and_called_told_and_closed() {
    let server = server().listen("tcp://127.0.0.1:0").start().await.unwrap();
    let (ada, bob) = (MyDesk::default(), MyDesk::default());
    let (one, other) = (
        colleague(&server, &ada).await,
        colleague(&server, &bob).await,
    );
    assert_eq!(desk(&one).who().await.unwrap().0, "#0");
    assert_eq!(desk(&other).who().await.unwrap().0, "#1");
    // A peer that no server has accepted has none.
    assert_eq!(one.id(), None);
    let [first, second] = &server.peers()[..] else {
        panic!("two are connected")
    };
    first.set_id("ada").unwrap();
    assert!(second.set_id("ada").is_err());
    second.set_id("bob").unwrap();
    assert_eq!(
        (number(first), number(second)),
        ("ada".into(), "bob".into())
    );
    assert_eq!(desk(&one).who().await.unwrap().0, "ada");
    // Its number goes on to find it.
    assert_eq!(server.peer("#0").unwrap().id(), Some("ada".into()));
    assert!(server.peer("#2").is_none() && server.peer("eve").is_none());

    let found = server.peer("bob").unwrap();
    assert_eq!(desk(&found).echo("a".into()).await.unwrap(), "a");
    desk(&found).note("b".into()).await.unwrap();
    let mut heard = other.listen::<u32>("bell").unwrap();
    found.emit("bell", &7).unwrap();
    assert_eq!(within("event", heard.next()).await, Some(Ok(7)));
    until("the notification is there", || {
        *bob.notes.lock().unwrap() == ["b"]
    })
    .await;
    // Through a handler, from one client to the other.
    let relayed = desk(&one).relay("bob".into(), "c".into()).await.unwrap();
    assert_eq!(relayed, "c");
    let nobody = desk(&one)
        .relay("eve".into(), "c".into())
        .await
        .unwrap_err();
    assert!(
        nobody.to_string().contains("nobody of that name"),
        "{nobody}"
    );

    found.close_with(&RpcError::new(ErrorCode::application(2), "go home"));
    assert_eq!(
        refusal(&other).await,
        (ErrorCode::application(2), "go home".into())
    );
    assert!(matches!(
        within("closed", found.closed()).await,
        CloseReason::Closed(..)
    ));
    until("it is forgotten", || server.peer("bob").is_none()).await;
    // Its name is free; a handle that is kept has lost it.
    server.peer("ada").unwrap().set_id("bob").unwrap();
    assert_eq!(desk(&one).who().await.unwrap().0, "bob");
    assert_eq!((number(&found), server.directory().len()), ("#1".into(), 1));
}

/// What was said before a close arrives.
#[tokio::test]
async fn a_close_with_a_reason_is_behind_what_was_said() {
    let server = server().listen("tcp://127.0.0.1:0").start().await.unwrap();
    let desk_of = MyDesk::default();
    let peer = colleague(&server, &desk_of).await;
    desk(&peer).echo(String::new()).await.unwrap();
    let here = server.peers().pop().unwrap();
    for number in 0..100 {
        desk(&here).note(number.to_string()).await.unwrap();
    }
    here.close_with(&RpcError::new(ErrorCode::application(1), "that is all"));
    assert_eq!(refusal(&peer).await.1, "that is all");
    let notes = desk_of.notes.lock().unwrap().clone();
    assert_eq!(notes, (0..100).map(|it| it.to_string()).collect::<Vec<_>>());
}

/// A broadcast reaches those who subscribed, and everybody on a wire where nobody can.
#[tokio::test]
async fn a_broadcast_reaches_subscribers_and_those_who_cannot_subscribe() {
    let events = Events::new();
    events.declare("news", Lag::DropOldest, 2);
    let server = server()
        .events(events)
        .listen("tcp://127.0.0.1:0")
        .listen("tcp://127.0.0.1:0?dialect=cbor-rpc");
    let server = server.start().await.unwrap();
    let nobody = server.broadcast("news", "to nobody").await.unwrap();
    assert_eq!((nobody.subscribers, nobody.dropped), (0, 0));
    let native = connect(&server, "").await;
    let idle = connect(&server, "?format=json").await;
    let url = format!("{}?dialect=cbor-rpc", server.addresses()[1]);
    let mut connector = mynah::connector(&url).unwrap();
    let mut hears = connector.listen::<String>("news");
    let python = connector.connect().await.unwrap();
    let local = server.local();
    let mut subscribed = native.subscribe::<String>("news").await.unwrap();
    let mut near = local.subscribe::<String>("news").await.unwrap();
    for peer in [&native, &idle, &python] {
        desk(peer).echo(String::new()).await.unwrap();
    }
    // Through a handler: the same for all.
    let told = desk(&native)
        .announce("news".into(), "a".into())
        .await
        .unwrap();
    assert_eq!(told, (3, 0));
    let told = desk(&local)
        .announce("news".into(), "b".into())
        .await
        .unwrap();
    assert_eq!(told, (3, 0));
    for text in ["a", "b"] {
        for hears in [&mut subscribed, &mut near, &mut hears] {
            let heard = within("event", hears.next()).await;
            assert_eq!(heard, Some(Ok(text.to_owned())));
        }
    }
    // The lag policy of the topic holds: the one in process takes nothing, and loses the oldest.
    let mut dropped = 0;
    for number in 0..5 {
        let told = server.broadcast("news", &number.to_string()).await.unwrap();
        assert_eq!(told.subscribers, 3);
        dropped += told.dropped;
        for hears in [&mut subscribed, &mut hears] {
            assert!(within("event", hears.next()).await.unwrap().is_ok());
        }
    }
    assert_eq!(dropped, 3);
    assert_eq!(near.next().await, Some(Ok("3".to_owned())));
    assert_eq!(near.dropped(), 3);
    // Another topic has other subscribers.
    let told = server.broadcast("weather", "rain").await.unwrap();
    assert_eq!(told.subscribers, 1);
    let report = within("drain", server.drain(None)).await;
    assert!(report.is_complete(), "{report}");
    assert_eq!(within("event", near.next()).await, Some(Ok("4".to_owned())));
    let end = within("end", near.next()).await;
    assert_eq!(end, Some(Err(EndReason::Draining)));
}
