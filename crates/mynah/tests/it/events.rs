//! Events: nothing is lost, and subscribers that are too slow are treated as was said.

use crate::flow::{LINKED, STREAMS};
use crate::support::*;
use mynah::prelude::*;
use mynah::{EndReason, Events, Lag, Limits, Published, Subscription};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) number: u64,
    pub(crate) text: String,
}

/// Events of all kinds.
#[mynah::service]
pub(crate) trait News {
    /// A note was written.
    #[event]
    fn noted(note: Note);
    #[event(lag = "drop-oldest", capacity = 4)]
    fn oldest(number: u64);
    #[event(lag = "drop-newest", capacity = 4)]
    fn newest(number: u64);
    #[event(lag = "latest")]
    fn latest(number: u64);
    #[event(lag = "close", capacity = 4)]
    fn closing(number: u64);
    #[event(lag = "block", capacity = 4)]
    fn waiting(number: u64);
    #[event]
    #[method(name = "other-name")]
    fn renamed(number: u64);

    /// Publishes from a handler; how many will hear it.
    async fn note(&self, cx: &Context, note: Note) -> usize;
}

struct MyNews;

impl News for MyNews {
    async fn note(&self, cx: &Context, note: Note) -> usize {
        let events = NewsEvents::from_context(cx);
        events.noted(&note).await.unwrap().subscribers
    }
}

/// Both sides, the client of the one and the publisher of the other.
async fn joined(way: Way) -> (Joined, NewsClient, NewsEvents) {
    joined_with(way, Limits::new()).await
}

async fn joined_with(way: Way, limits: Limits) -> (Joined, NewsClient, NewsEvents) {
    let setup = Setup::new(NewsService::new(MyNews)).limits(&limits);
    let events = NewsEvents::new(setup.server.events().clone());
    let joined = setup.join(way).await;
    let client = joined.client.client();
    (joined, client, events)
}

async fn next<T>(subscription: &mut Subscription<T>) -> T
where
    T: serde::de::DeserializeOwned + Send + 'static,
{
    within("message", subscription.next())
        .await
        .unwrap()
        .unwrap()
}

async fn ended<T>(subscription: &mut Subscription<T>) -> EndReason
where
    T: serde::de::DeserializeOwned + Send + std::fmt::Debug + 'static,
{
    let reason = within("end", subscription.next())
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(subscription.end_reason(), Some(&reason));
    assert!(subscription.next().await.is_none(), "a second end");
    reason
}

fn published(subscribers: usize, dropped: usize) -> Published {
    let mut published = Published::default();
    published.subscribers = subscribers;
    published.dropped = dropped;
    published
}

#[test]
fn topics_are_of_the_service() {
    assert_eq!(NewsEvents::NOTED, "news.noted");
    assert_eq!(NewsEvents::RENAMED, "news.other-name");
}

#[tokio::test]
async fn nothing_is_lost_after_a_subscription() {
    for way in STREAMS {
        let (joined, client, events) = joined(way).await;
        for number in 0..100 {
            let mut noted = client.noted().await.unwrap();
            let note = Note {
                number,
                text: "x".repeat(10),
            };
            assert_eq!(
                events.noted(&note).await.unwrap(),
                published(1, 0),
                "{way:?}"
            );
            assert_eq!(next(&mut noted).await, note, "{way:?}");
            assert_eq!(noted.dropped(), 0);
            drop(noted);
            until("unsubscribed", || {
                events.events().subscribers(NewsEvents::NOTED) == 0
            })
            .await;
        }
        joined.idle().await;
    }
}

#[tokio::test]
async fn a_handler_publishes_to_everybody_but_other_topics() {
    for way in STREAMS {
        let (joined, client, events) = joined(way).await;
        let mut first = client.noted().await.unwrap();
        let mut second = client.noted().await.unwrap();
        let mut other = client.renamed().await.unwrap();
        for number in 0..200 {
            let text = String::new();
            assert_eq!(
                client.note(Note { number, text }).await.unwrap(),
                2,
                "{way:?}"
            );
        }
        for number in 0..200 {
            assert_eq!(next(&mut first).await.number, number, "{way:?}");
            assert_eq!(next(&mut second).await.number, number, "{way:?}");
        }
        assert!(poll_once(&mut other.next()).await.is_pending(), "{way:?}");
        events.renamed(&5).await.unwrap();
        assert_eq!(next(&mut other).await, 5);
        drop((first, second, other));
        joined.idle().await;
    }
}

/// More than what may wait, in order, to one who takes it.
#[tokio::test]
async fn ten_thousand_to_a_fast_subscriber() {
    for way in STREAMS {
        let (joined, client, events) = joined(way).await;
        let mut waiting = client.waiting().await.unwrap();
        let publisher = async {
            for number in 0..10_000 {
                assert_eq!(events.waiting(&number).await.unwrap(), published(1, 0));
            }
        };
        let subscriber = async {
            for number in 0..10_000 {
                assert_eq!(next(&mut waiting).await, number, "{way:?}");
            }
        };
        within("all", async { tokio::join!(publisher, subscriber) }).await;
        assert_eq!(waiting.dropped(), 0);
        drop(waiting);
        joined.idle().await;
    }
}

/// Published in one go, with nobody in between: what is kept, and what was dropped before each.
async fn burst(events: &Events, topic: &str) -> usize {
    let mut dropped = 0;
    for number in 0..100_u64 {
        dropped += events.publish(topic, &number).await.unwrap().dropped;
    }
    dropped
}

#[tokio::test]
async fn the_oldest_are_dropped_and_counted() {
    for way in STREAMS {
        let (joined, client, events) = joined(way).await;
        let mut oldest = client.oldest().await.unwrap();
        assert_eq!(
            burst(events.events(), NewsEvents::OLDEST).await,
            96,
            "{way:?}"
        );
        assert_eq!(next(&mut oldest).await, 96, "{way:?}");
        assert_eq!(oldest.dropped(), 96, "{way:?}");
        for number in 97..100 {
            assert_eq!(next(&mut oldest).await, number, "{way:?}");
        }
        assert_eq!(oldest.dropped(), 96, "{way:?}");
        drop(oldest);
        joined.idle().await;
    }
}

#[tokio::test]
async fn the_newest_are_dropped_and_counted() {
    for way in STREAMS {
        let (joined, client, events) = joined(way).await;
        let mut newest = client.newest().await.unwrap();
        assert_eq!(
            burst(events.events(), NewsEvents::NEWEST).await,
            96,
            "{way:?}"
        );
        for number in 0..4 {
            assert_eq!(next(&mut newest).await, number, "{way:?}");
        }
        assert_eq!(newest.dropped(), 0, "{way:?}");
        events.newest(&1000).await.unwrap();
        assert_eq!(next(&mut newest).await, 1000, "{way:?}");
        assert_eq!(newest.dropped(), 96, "{way:?}");
        drop(newest);
        joined.idle().await;
    }
}

#[tokio::test]
async fn only_the_latest_waits() {
    for way in STREAMS {
        let (joined, client, events) = joined(way).await;
        let mut latest = client.latest().await.unwrap();
        assert_eq!(
            burst(events.events(), NewsEvents::LATEST).await,
            99,
            "{way:?}"
        );
        assert_eq!(next(&mut latest).await, 99, "{way:?}");
        assert_eq!(latest.dropped(), 99, "{way:?}");
        drop(latest);
        joined.idle().await;
    }
}

#[tokio::test]
async fn one_that_is_too_slow_is_let_go() {
    for way in STREAMS {
        let (joined, client, events) = joined(way).await;
        let mut closing = client.closing().await.unwrap();
        assert_eq!(
            burst(events.events(), NewsEvents::CLOSING).await,
            1,
            "{way:?}"
        );
        for number in 0..4 {
            assert_eq!(next(&mut closing).await, number, "{way:?}");
        }
        assert_eq!(ended(&mut closing).await, EndReason::Lagged(1), "{way:?}");
        until("out of the books", || {
            events.events().subscribers(NewsEvents::CLOSING) == 0
        })
        .await;
        joined.idle().await;
    }
}

/// A subscriber may choose, and what it does not take stays at the publisher.
#[tokio::test]
async fn a_slow_subscriber_chooses_and_misses_what_it_must() {
    for way in STREAMS {
        let (joined, client, events) = joined(way).await;
        let subscribe = client.noted().lag(Lag::DropOldest).capacity(8);
        let mut noted = subscribe.await.unwrap();
        let mut heard = Vec::new();
        for number in 0..1000 {
            let text = String::new();
            events.noted(&Note { number, text }).await.unwrap();
            // Slower than the publisher, which gives the connection time.
            settle().await;
            if number % 50 == 49 {
                heard.push(next(&mut noted).await.number);
            }
        }
        // The newest is kept.
        while heard.last() != Some(&999) {
            heard.push(next(&mut noted).await.number);
        }
        assert!(heard.is_sorted(), "{way:?}: {heard:?}");
        assert_eq!(
            heard.len() as u64 + noted.dropped(),
            1000,
            "{way:?}: {heard:?}"
        );
        assert!(noted.dropped() > 500, "{way:?}: {}", noted.dropped());
        drop(noted);
        joined.idle().await;
    }
}

#[tokio::test]
async fn a_publisher_that_waits_loses_nothing() {
    for way in STREAMS {
        let (joined, client, events) = joined(way).await;
        let mut waiting = client.waiting().capacity(4).await.unwrap();
        let publisher = {
            let events = events.clone();
            tokio::spawn(async move {
                for number in 0..100 {
                    events.waiting(&number).await.unwrap();
                }
            })
        };
        for _ in 0..10 {
            settle().await;
        }
        assert!(!publisher.is_finished(), "{way:?}: it did not wait");
        for number in 0..100 {
            assert_eq!(next(&mut waiting).await, number, "{way:?}");
        }
        within("publisher", publisher).await.unwrap();
        assert_eq!(waiting.dropped(), 0);

        // One that goes lets the publisher go on.
        let publisher = {
            let events = events.clone();
            tokio::spawn(async move {
                for number in 0..100 {
                    events.waiting(&number).await.unwrap();
                }
            })
        };
        settle().await;
        drop(waiting);
        within("publisher", publisher).await.unwrap();
        joined.idle().await;
    }
}

#[tokio::test]
async fn nobody_makes_a_publisher_wait_that_does_not_want_to() {
    for way in STREAMS {
        let (joined, client, _) = joined(way).await;
        let error = client.noted().lag(Lag::Block).await.unwrap_err();
        assert!(!error.is_retryable(), "{way:?}: {error:?}");
        joined.idle().await;
    }
}

#[tokio::test]
async fn a_program_overrules_the_contract() {
    let events = Events::new();
    events.declare(NewsEvents::OLDEST, Lag::DropOldest, 2);
    let router = mynah::Router::new()
        .register(NewsService::new(MyNews))
        .with_events(events.clone());
    let server = Server::new().router(router).listen("tcp://127.0.0.1:0");
    let server = server.start().await.unwrap();
    let client: NewsClient = mynah::connect(server.address()).await.unwrap().client();
    let mut oldest = client.oldest().await.unwrap();
    let mut newest = client.newest().await.unwrap();
    assert_eq!(burst(server.events(), NewsEvents::OLDEST).await, 98);
    assert_eq!(burst(&events, NewsEvents::NEWEST).await, 96);
    assert_eq!((next(&mut oldest).await, next(&mut newest).await), (98, 0));
}

#[tokio::test]
async fn a_drain_ends_subscriptions_and_says_so() {
    for way in [Way::TcpCbor, Way::TcpJson, Way::InProcess] {
        let (joined, client, events) = joined(way).await;
        let mut noted = client.noted().await.unwrap();
        let note = Note {
            number: 1,
            text: String::new(),
        };
        events.noted(&note).await.unwrap();
        let (report, reason) = within("drain", async {
            tokio::join!(joined.drain(), async {
                assert_eq!(next(&mut noted).await, note, "{way:?}: what waits is heard");
                ended(&mut noted).await
            })
        })
        .await;
        let report = report.unwrap();
        assert!(report.is_complete(), "{way:?}: {report:?}");
        assert_eq!(reason, EndReason::Draining, "{way:?}");
        until("out of the books", || {
            events.events().subscribers(NewsEvents::NOTED) == 0
        })
        .await;
    }
}

#[tokio::test]
async fn the_end_of_the_connection_ends_it_on_both_sides() {
    for way in LINKED {
        let (joined, client, events) = joined(way).await;
        let mut noted = client.noted().await.unwrap();
        assert_eq!(events.events().subscribers(NewsEvents::NOTED), 1);
        joined.client.close();
        assert_eq!(ended(&mut noted).await, EndReason::PeerGone, "{way:?}");
        until("out of the books", || {
            events.events().subscribers(NewsEvents::NOTED) == 0
        })
        .await;
    }
}

#[tokio::test]
async fn one_subscription_too_many_is_busy() {
    for way in STREAMS {
        let limits = Limits::new().with_subscriptions(2);
        let (joined, client, events) = joined_with(way, limits).await;
        let first = client.noted().await.unwrap();
        let second = client.oldest().await.unwrap();
        let error = within("busy", client.noted().into_future())
            .await
            .unwrap_err();
        assert!(
            matches!(error, CallError::Busy { .. }),
            "{way:?}: {error:?}"
        );
        drop(first);
        until("unsubscribed", || {
            events.events().subscribers(NewsEvents::NOTED) == 0
        })
        .await;
        let third = client.noted().await.unwrap();
        drop((second, third));
        joined.idle().await;
    }
}

#[tokio::test]
async fn a_message_of_another_shape_ends_it() {
    for way in STREAMS {
        let (joined, client, events) = joined(way).await;
        let mut noted = client.noted().await.unwrap();
        let topic = NewsEvents::NOTED;
        events.events().publish(topic, "no note").await.unwrap();
        let reason = ended(&mut noted).await;
        assert!(matches!(reason, EndReason::Error(_)), "{way:?}: {reason:?}");
        until("out of the books", || {
            events.events().subscribers(topic) == 0
        })
        .await;
        joined.idle().await;
    }
}

/// Polled `k` times and then dropped, for every `k` up to the end.
#[tokio::test]
async fn a_subscription_that_is_dropped_at_every_point() {
    for way in STREAMS {
        let (joined, client, events) = joined(way).await;
        for polls in 0..20 {
            let mut subscribing = client.noted().into_future();
            for _ in 0..polls {
                if poll_once(&mut subscribing).await.is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            drop(subscribing);
            joined.idle().await;
            until("unsubscribed", || {
                events.events().subscribers(NewsEvents::NOTED) == 0
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_client_publishes_to_its_server() {
    for way in LINKED {
        let setup = Setup::new(NewsService::new(MyNews)).client(NewsService::new(MyNews));
        let events = NewsEvents::new(setup.client.events().clone());
        let joined = setup.join(way).await;
        let far: NewsClient = joined.far().await.unwrap().client();
        let mut renamed = far.renamed().await.unwrap();
        events.renamed(&7).await.unwrap();
        assert_eq!(next(&mut renamed).await, 7, "{way:?}");
        drop(renamed);
        joined.idle().await;
    }
}
