//! Streams of results: order, ends on both sides, errors, panics, drops.

use crate::flow::*;
use crate::support::*;
use futures::{StreamExt as _, stream};
use mynah::prelude::*;
use mynah::{By, EndReason};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[tokio::test]
async fn items_come_in_order_and_the_end_once() {
    for way in STREAMS {
        let flow = MyFlow::new();
        let joined = Setup::new(flow.service()).join(way).await;
        let client: FlowClient = joined.client.client();
        for count in [0, 1, 2, 1000] {
            let mut stream = client.count(count).start();
            assert!(stream.end_reason().is_none());
            let mut next = 0;
            while let Some(item) = within("item", stream.next()).await {
                assert_eq!(item.unwrap(), next, "{way:?}");
                next += 1;
            }
            assert_eq!(next, count, "{way:?}");
            assert_eq!(stream.end_reason(), Some(&EndReason::Finished), "{way:?}");
            assert!(stream.next().await.is_none(), "{way:?}: a second end");
            until("it was dropped", || flow.0.calls.alive() == 0).await;
            joined.idle().await;
        }
    }
}

#[tokio::test]
async fn a_hundred_thousand_items() {
    for way in STREAMS {
        let flow = MyFlow::new();
        let joined = Setup::new(flow.service()).join(way).await;
        let client: FlowClient = joined.client.client();
        let items: Vec<u64> = within(
            "items",
            client.count(100_000).start().map(Result::unwrap).collect(),
        )
        .await;
        assert!(items.iter().copied().eq(0..100_000), "{way:?}");
        assert_eq!(flow.made(), 100_000);
        joined.idle().await;
    }
}

#[tokio::test]
async fn an_error_in_the_middle_keeps_its_type_and_its_place() {
    for way in STREAMS {
        let flow = MyFlow::new();
        let joined = Setup::new(flow.service()).join(way).await;
        let client: FlowClient = joined.client.client();
        for at in [0, 3] {
            let mut stream = client.squares(10, Some(at)).start();
            for number in 0..at {
                let pair = within("item", stream.next()).await.unwrap().unwrap();
                assert_eq!((pair.number, pair.square), (number, number * number));
            }
            let error = within("error", stream.next()).await.unwrap().unwrap_err();
            assert!(
                matches!(error, CallError::Application(FlowError::Broke { at: told }) if told == at),
                "{way:?}: {error:?}"
            );
            assert!(
                stream.next().await.is_none(),
                "{way:?}: something after the error"
            );
            let Some(EndReason::Error(reason)) = stream.end_reason() else {
                panic!("{way:?}: {:?}", stream.end_reason());
            };
            if way != Way::InProcess {
                assert_eq!(reason.code(), ErrorCode::application(1), "{way:?}");
            }
            until("it was dropped", || flow.0.calls.alive() == 0).await;
            joined.idle().await;
        }
    }
}

#[tokio::test]
async fn dropping_or_cancelling_it_drops_the_stream_of_the_server() {
    for way in STREAMS {
        let flow = MyFlow::new();
        let joined = Setup::new(flow.service()).join(way).await;
        let client: FlowClient = joined.client.client();
        for taken in [0, 3] {
            for cancels in [false, true] {
                let mut stream = client.hang(5).start();
                for number in 0..taken {
                    assert_eq!(stream.next().await.unwrap().unwrap(), number);
                }
                if way != Way::InProcess {
                    until("it runs", || flow.0.calls.alive() == 1).await;
                }
                if cancels {
                    stream.cancel();
                    assert_eq!(stream.end_reason(), Some(&EndReason::Cancelled(By::Caller)));
                    assert!(stream.next().await.is_none(), "{way:?}");
                }
                drop(stream);
                until("it was dropped", || flow.0.calls.alive() == 0).await;
                joined.idle().await;
            }
        }
        // Nothing is broken.
        assert_eq!(client.count(3).start().count().await, 3);
    }
}

/// Polled `k` times and then dropped, for every `k` up to the end.
#[tokio::test]
async fn dropped_at_every_point() {
    for way in STREAMS {
        let flow = MyFlow::new();
        let joined = Setup::new(flow.service()).capacity(1).join(way).await;
        let client: FlowClient = joined.client.client();
        client.count(1).start().count().await;
        for polls in 0..30 {
            let mut stream = client.count(4).start();
            for _ in 0..polls {
                drop(poll_once(&mut stream.next()).await);
                tokio::task::yield_now().await;
            }
            drop(stream);
            joined.idle().await;
            until("no stream is left", || flow.0.calls.alive() == 0).await;
        }
        assert_eq!(client.count(3).start().count().await, 3, "{way:?}");
    }
}

#[tokio::test]
async fn what_panics_ends_one_stream_and_leaves_what_was_before() {
    for way in STREAMS {
        let flow = MyFlow::new();
        let joined = Setup::new(flow.service()).join(way).await;
        let client: FlowClient = joined.client.client();
        for at in [0, 4] {
            let mut stream = client.panics(at, false).start();
            for number in 0..at {
                assert_eq!(
                    within("item", stream.next()).await.unwrap().unwrap(),
                    number,
                    "{way:?}"
                );
            }
            let error = within("error", stream.next()).await.unwrap().unwrap_err();
            let CallError::Remote(error) = error else {
                panic!("{way:?}: {error:?}");
            };
            assert_eq!(error.code(), ErrorCode::INTERNAL, "{way:?}");
            assert!(!error.to_string().contains("a stream may panic"), "{error}");
            assert!(stream.next().await.is_none());
            until("it was dropped", || flow.0.calls.alive() == 0).await;
        }
        // In drop, after its end and before.
        let items: Vec<_> = within("items", client.panics(2, true).start().collect()).await;
        assert_eq!(items.len(), 3, "{way:?}: {items:?}");
        assert!(items.iter().all(Result::is_ok), "{way:?}: {items:?}");
        let mut stream = client.panics(500_000, true).start();
        stream.next().await.unwrap().unwrap();
        drop(stream);
        until("it was dropped", || flow.0.calls.alive() == 0).await;
        // In the method.
        let mut stream = client.panics_at_once().start();
        let error = within("error", stream.next()).await.unwrap().unwrap_err();
        assert_eq!(
            error.code(),
            Some(ErrorCode::INTERNAL),
            "{way:?}: {error:?}"
        );
        assert!(stream.next().await.is_none());

        assert_eq!(client.count(3).start().count().await, 3, "{way:?}");
        joined.idle().await;
    }
}

#[tokio::test]
async fn a_wire_without_streams_says_so() {
    let flow = MyFlow::new();
    let joined = Setup::new(flow.service()).join(Way::CborRpc).await;
    let client: FlowClient = joined.client.client();
    let unsupported = |error: &CallError<std::convert::Infallible>| {
        assert!(matches!(error, CallError::Unsupported { .. }), "{error:?}");
    };
    let mut stream = client.count(3).start();
    unsupported(&stream.next().await.unwrap().unwrap_err());
    assert!(stream.next().await.is_none());
    unsupported(&client.sum_of(1, stream::iter([1])).await.unwrap_err());
    unsupported(&client.tell(1, |_| {}).await.unwrap_err());
    assert_eq!(flow.0.calls.started(), 0);
    joined.idle().await;
}

#[tokio::test(start_paused = true)]
async fn a_deadline_covers_the_whole_stream() {
    for way in Way::TIMED {
        let flow = MyFlow::new();
        let joined = Setup::new(flow.service()).join(way).await;
        let client: FlowClient = joined.client.client();
        let mut stream = client.hang(2).deadline(Duration::from_secs(5)).start();
        for number in 0..2 {
            assert_eq!(
                within("item", stream.next()).await.unwrap().unwrap(),
                number
            );
        }
        let error = within("deadline", stream.next())
            .await
            .unwrap()
            .unwrap_err();
        assert!(matches!(error, CallError::Deadline), "{way:?}: {error:?}");
        assert_eq!(stream.end_reason(), Some(&EndReason::Deadline), "{way:?}");
        assert!(stream.next().await.is_none());
        until("it was dropped", || flow.0.calls.alive() == 0).await;
        joined.idle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_default_deadline_is_for_the_first_item_only() {
    for way in Way::TIMED {
        let flow = MyFlow::new();
        let joined = Setup::new(flow.service()).join(way).await;
        let client: FlowClient = joined.client.client();
        let mut stream = client.hang(1).start();
        assert_eq!(within("item", stream.next()).await.unwrap().unwrap(), 0);
        let waits = tokio::time::timeout(Duration::from_secs(100_000), stream.next());
        assert!(within("time", waits).await.is_err(), "{way:?}: it ended");
        assert_eq!(flow.0.calls.alive(), 1);
        drop(stream);
        let mut stream = client.hang(0).start();
        let error = within("deadline", stream.next())
            .await
            .unwrap()
            .unwrap_err();
        assert!(matches!(error, CallError::Deadline), "{way:?}: {error:?}");
        until("it was dropped", || flow.0.calls.alive() == 0).await;
        joined.idle().await;
    }
}

/// It runs on while the program takes its time.
#[tokio::test(start_paused = true)]
async fn a_deadline_does_not_wait_for_the_program() {
    for way in Way::TIMED {
        let flow = MyFlow::new();
        let joined = Setup::new(flow.service()).join(way).await;
        let client: FlowClient = joined.client.client();
        for first in [false, true] {
            // Never without an item.
            let mut stream = client
                .count(u64::MAX)
                .deadline(Duration::from_secs(5))
                .start();
            if first {
                assert_eq!(within("item", stream.next()).await.unwrap().unwrap(), 0);
            }
            tokio::time::sleep(Duration::from_secs(6)).await;
            until("it was dropped", || {
                way == Way::InProcess || flow.0.calls.alive() == 0
            })
            .await;
            // What has come before is there; then it ends.
            let error = within("deadline", async {
                loop {
                    if let Err(error) = stream.next().await.unwrap() {
                        break error;
                    }
                }
            });
            let error = error.await;
            assert!(matches!(error, CallError::Deadline), "{way:?}: {error:?}");
            assert_eq!(stream.end_reason(), Some(&EndReason::Deadline), "{way:?}");
        }
        until("it was dropped", || flow.0.calls.alive() == 0).await;
        joined.idle().await;
    }
}

/// Numbers without an end, or seven of them.
#[mynah::service]
trait Source {
    fn numbers(&self, cx: &Context, ends: bool) -> impl Stream<Item = u64> + Send;
}

/// Notes why its streams were dropped.
#[derive(Clone, Default)]
struct MySource(Arc<Mutex<Vec<Option<EndReason>>>>);

struct Farewell(Context, MySource);

impl Drop for Farewell {
    fn drop(&mut self) {
        let reason = self.0.end_reason();
        self.1.0.lock().unwrap().push(reason);
    }
}

impl Source for MySource {
    fn numbers(&self, cx: &Context, ends: bool) -> impl Stream<Item = u64> + Send {
        let farewell = Farewell(cx.clone(), self.clone());
        let numbers = if ends {
            stream::iter(0..7).boxed()
        } else {
            stream::iter(0..7).chain(stream::pending()).boxed()
        };
        numbers.map(move |number| {
            let _held = &farewell;
            number
        })
    }
}

#[tokio::test]
async fn the_producer_is_told_why_it_is_stopped() {
    for way in STREAMS {
        let source = MySource::default();
        let setup = Setup::new(SourceService::new(source.clone()));
        let joined = setup.join(way).await;
        let client: SourceClient = joined.client.client();
        let told = async |reason: Option<EndReason>| {
            until("it is told", || !source.0.lock().unwrap().is_empty()).await;
            let told = std::mem::take(&mut *source.0.lock().unwrap());
            assert_eq!(told, [reason], "{way:?}");
        };
        // By itself.
        assert_eq!(client.numbers(true).start().count().await, 7);
        told(None).await;
        let mut numbers = client.numbers(false).start();
        assert_eq!(within("item", numbers.next()).await.unwrap().unwrap(), 0);
        drop(numbers);
        told(Some(EndReason::Cancelled(By::Caller))).await;
        let late = client
            .numbers(false)
            .deadline(Duration::from_millis(20))
            .start();
        let items = within("items", late.collect::<Vec<_>>()).await;
        assert!(matches!(items.last(), Some(Err(CallError::Deadline))));
        told(Some(EndReason::Deadline)).await;
        joined.idle().await;
        if way != Way::InProcess {
            let mut numbers = client.numbers(false).start();
            assert_eq!(within("item", numbers.next()).await.unwrap().unwrap(), 0);
            joined.client.close();
            told(Some(EndReason::PeerGone)).await;
        }
    }
    let source = MySource::default();
    let server = Server::new()
        .register(SourceService::new(source.clone()))
        .listen("tcp://127.0.0.1:0")
        .start()
        .await
        .unwrap();
    let peer = mynah::connect(server.address()).await.unwrap();
    let mut numbers = peer.client::<SourceClient>().numbers(false).start();
    assert_eq!(within("item", numbers.next()).await.unwrap().unwrap(), 0);
    let report = within("drain", server.drain(Duration::from_millis(20))).await;
    assert_eq!(report.streams_cut, 1, "{report}");
    until("it is told", || !source.0.lock().unwrap().is_empty()).await;
    assert_eq!(*source.0.lock().unwrap(), [Some(EndReason::Draining)]);
}
