//! Events: subscribed to when they are asked for, and waited for.

use super::service::{DeskEvents, DeskService};
use super::ways::{self, Joined};
use mynah::dialect::{CborRpc, Kollabor, Native};
use mynah::prelude::*;
use mynah::{Caller, EndReason, Value};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(10);

async fn rings<C: Caller + Clone>(client: &C, times: u64) {
    let ring = client.call("desk", "ring").args((times,));
    ring.result::<()>().await.unwrap();
}

#[tokio::test]
async fn what_is_published_for_a_later_call_is_not_lost() {
    for (way, Joined { client, .. }) in &ways::all().await {
        // Nobody has polled it, and nobody waits for the other side.
        let mut rang = client.events::<u64>(DeskEvents::RANG);
        let mut all = client.events_any::<Value>();
        rings(client, 3).await;
        rings(client, 4).await;
        assert_eq!(rang.next_within(SOON).await.unwrap(), 3, "{way}");
        assert_eq!(rang.next().await, Some(Ok(4)), "{way}");
        for times in [3_u64, 4] {
            let (topic, message) = all.next_within(SOON).await.unwrap();
            assert_eq!(
                (topic.as_str(), message),
                ("desk.rang", times.into()),
                "{way}"
            );
        }
    }
}

#[tokio::test]
async fn a_client_that_reconnects_subscribes_at_once() {
    let client = ways::reconnecting(std::sync::Arc::default()).await;
    let mut rang = client.events::<u64>("desk.rang");
    let mut all = client.events_any::<u64>();
    rings(&client, 5).await;
    assert_eq!(rang.next_within(SOON).await.unwrap(), 5);
    let both = all.next_within(SOON).await.unwrap();
    assert_eq!(both, ("desk.rang".to_owned(), 5));
    client.close();
}

#[tokio::test(start_paused = true)]
async fn a_waiter_has_a_deadline_and_may_ask_again() {
    let Joined { client, .. } = &ways::over(&Native::new());
    let mut rang = client.events::<u64>("desk.rang");
    let late = rang.next_within(Duration::from_secs(1)).await.unwrap_err();
    assert!(matches!(late, CallError::Deadline), "{late:?}");
    rings(client, 1).await;
    assert_eq!(rang.next_within(Duration::from_secs(1)).await.unwrap(), 1);
    // What is of another shape is said.
    let mut texts = client.events::<String>("desk.rang");
    rings(client, 2).await;
    let wrong = texts.next_within(SOON).await.unwrap_err();
    assert!(matches!(wrong, CallError::Remote(_)), "{wrong:?}");
    let over = texts.next_within(SOON).await.unwrap_err();
    assert!(matches!(over, CallError::Disconnected(_)), "{over:?}");
}

#[tokio::test]
async fn dropped_events_are_unsubscribed() {
    let joined = ways::over(&Native::new());
    let publisher = joined.far.as_ref().unwrap().publisher();
    // Before the other side has heard of it, and after.
    drop(joined.client.events::<u64>("desk.rang"));
    drop(joined.client.events_any::<Value>());
    let rang = joined.client.events::<u64>("desk.rang");
    let all = joined.client.events_any::<Value>();
    let subscribers = || publisher.subscribers("desk.rang") + publisher.subscribers("*");
    ways::until("both are there", || subscribers() == 2).await;
    drop((rang, all));
    ways::until("both are gone", || subscribers() == 0).await;
    let all = publisher.publish("*", &1).await.unwrap_err();
    assert!(matches!(all, CallError::Misuse(_)), "{all:?}");
}

#[tokio::test]
async fn on_a_wire_without_subscriptions_what_is_emitted_is_heard() {
    let (near, far) = tokio::io::duplex(4096);
    let client = Peer::over(near, &CborRpc::cbor()).start().unwrap();
    let far = Peer::over(far, &CborRpc::cbor()).start().unwrap();
    let mut one = client.events::<u64>("news");
    let mut all = client.events_any::<Value>();
    far.emit("news", &1).unwrap();
    far.emit("other", &"text").unwrap();
    assert_eq!(one.next_within(SOON).await.unwrap(), 1);
    let (topic, message) = all.next_within(SOON).await.unwrap();
    assert_eq!((topic.as_str(), message), ("news", 1_u64.into()));
    let (topic, message) = all.next_within(SOON).await.unwrap();
    assert_eq!((topic.as_str(), message), ("other", "text".into()));
    drop(far);
    // The end of the connection is its end.
    let ended = all.next().await.unwrap().unwrap_err();
    assert_eq!(ended, EndReason::PeerGone);
}

#[tokio::test]
async fn a_wire_without_events_says_so_at_the_first_look() {
    let (near, _far) = tokio::io::duplex(4096);
    let client = Peer::over(near, &Kollabor::new()).start().unwrap();
    let mut events = client.events::<u64>("news");
    match events.next_within(SOON).await.unwrap_err() {
        CallError::Remote(error) => {
            assert_eq!(error.code(), ErrorCode::UNSUPPORTED);
            assert!(error.message().contains("kollabor"), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn services_of_a_peer_in_the_same_process_publish() {
    let service = DeskService::new(super::service::Clerk::default());
    let client = Peer::of(mynah::Router::new().register(service)).unwrap();
    let mut rang = client.events::<u64>("desk.rang");
    rings(&client, 6).await;
    assert_eq!(rang.next_within(SOON).await.unwrap(), 6);
}
