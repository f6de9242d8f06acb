//! Callbacks: order, results, errors, their end.

use crate::flow::*;
use crate::support::*;
use futures::{StreamExt as _, stream};
use mynah::prelude::*;
use mynah::{By, Limits};
use std::sync::{Arc, Mutex};

fn notebook() -> (Arc<Mutex<Vec<u64>>>, impl FnMut(u64) + Send + 'static) {
    let notes: Arc<Mutex<Vec<u64>>> = Arc::default();
    let pen = Arc::clone(&notes);
    (notes, move |number| pen.lock().unwrap().push(number))
}

#[tokio::test]
async fn what_is_told_is_heard_in_order_and_before_the_result() {
    for way in STREAMS {
        let flow = MyFlow::new();
        let joined = Setup::new(flow.service()).join(way).await;
        let client: FlowClient = joined.client.client();
        for count in [0, 1, 1000] {
            let (notes, pen) = notebook();
            let told = within("told", client.tell(count, pen).into_future()).await;
            assert_eq!(told.unwrap(), count);
            assert!(
                notes.lock().unwrap().iter().copied().eq(0..count),
                "{way:?}"
            );
            let (notes, pen) = notebook();
            let told = within("told", client.tell_spawned(count, pen).into_future()).await;
            assert_eq!(told.unwrap(), count);
            assert!(
                notes.lock().unwrap().iter().copied().eq(0..count),
                "{way:?} spawned"
            );
        }
        joined.idle().await;
    }
}

#[tokio::test]
async fn what_is_asked_is_answered() {
    for way in STREAMS {
        let flow = MyFlow::new();
        let joined = Setup::new(flow.service()).join(way).await;
        let client: FlowClient = joined.client.client();
        let sum = client.ask(100, async |number| {
            tokio::task::yield_now().await;
            Ok(-i64::try_from(number).unwrap())
        });
        assert_eq!(
            within("sum", sum.into_future()).await.unwrap(),
            -4950,
            "{way:?}"
        );
        joined.idle().await;
    }
}

#[tokio::test]
async fn a_stream_asks_for_each_item() {
    for way in STREAMS {
        let flow = MyFlow::new();
        let joined = Setup::new(flow.service()).join(way).await;
        let client: FlowClient = joined.client.client();
        let asking = client.asking(100, async |number| Ok(i64::try_from(number).unwrap() * 3));
        let items: Vec<i64> = within("items", asking.start().map(Result::unwrap).collect()).await;
        assert!(
            items.iter().copied().eq((0..100).map(|item| item * 3)),
            "{way:?}"
        );
        joined.idle().await;
    }
}

#[tokio::test]
async fn its_error_reaches_the_handler() {
    for way in STREAMS {
        let flow = MyFlow::new();
        let joined = Setup::new(flow.service()).join(way).await;
        let client: FlowClient = joined.client.client();
        let asked = client.ask(10, async |number| match number {
            3 => Err(RpcError::new(ErrorCode::application(33), "no three")),
            _ => Ok(1),
        });
        let error = within("error", asked.into_future()).await.unwrap_err();
        let CallError::Application(error) = error else {
            panic!("{way:?}: {error:?}");
        };
        assert_eq!(error.code(), ErrorCode::application(33), "{way:?}: {error}");
        assert_eq!(error.message(), "no three");
        joined.idle().await;
    }
}

#[tokio::test]
async fn after_the_end_of_its_call_it_is_over() {
    for way in STREAMS {
        let flow = MyFlow::new();
        let joined = Setup::new(flow.service()).join(way).await;
        let client: FlowClient = joined.client.client();
        let (notes, pen) = notebook();
        let asked = Arc::new(());
        let held = Arc::clone(&asked);
        let keep = client.keep(pen, move |_| {
            let held = Arc::clone(&held);
            async move {
                drop(held);
                Ok(1)
            }
        });
        within("keep", keep.into_future()).await.unwrap();
        let (told, ask) = flow.0.kept.lock().unwrap().clone().unwrap();
        until("the server knows", || flow.0.calls.alive() == 0).await;
        joined.idle().await;
        let error = told.send(2).await.unwrap_err();
        assert!(
            matches!(error, CallError::Cancelled(By::Caller)),
            "{way:?}: {error:?}"
        );
        let error = ask.call(2).await.unwrap_err();
        assert!(
            matches!(error, CallError::Cancelled(By::Caller)),
            "{way:?}: {error:?}"
        );
        assert_eq!(*notes.lock().unwrap(), [1], "{way:?}");
        if way != Way::InProcess {
            until("its closure was dropped", || Arc::strong_count(&asked) == 1).await;
        }
        joined.idle().await;
    }
}

/// Whether its call was over before or ended with it.
#[tokio::test]
async fn after_the_end_of_its_connection_it_is_an_error() {
    for way in LINKED {
        for hangs in [false, true] {
            let flow = MyFlow::new();
            let joined = Setup::new(flow.service()).join(way).await;
            let client: FlowClient = joined.client.client();
            let (notes, pen) = notebook();
            let asked = Arc::new(());
            let held = Arc::clone(&asked);
            let ask = move |_| {
                let held = Arc::clone(&held);
                async move {
                    drop(held);
                    Ok(1)
                }
            };
            let call = if hangs {
                Some(client.keep_and_hang(pen, ask).start())
            } else {
                let keep = client.keep(pen, ask);
                within("keep", keep.into_future()).await.unwrap();
                None
            };
            until("it was kept", || flow.0.kept.lock().unwrap().is_some()).await;
            let (told, ask) = flow.0.kept.lock().unwrap().clone().unwrap();
            let heard = notes.lock().unwrap().len();
            let far = joined.far().await.unwrap();
            joined.client.close();
            within("end", far.closed()).await;
            if let Some(call) = call {
                assert!(within("end", call).await.is_err());
            }
            let told = within("told", told.send(2)).await.unwrap_err();
            let asks = within("asked", ask.call(2)).await.unwrap_err();
            assert!(
                matches!(told, CallError::Cancelled(By::Caller)),
                "{way:?}, {hangs}: {told:?}"
            );
            assert!(
                matches!(asks, CallError::Cancelled(By::Caller)),
                "{way:?}, {hangs}: {asks:?}"
            );
            until("the handler is over", || flow.0.calls.alive() == 0).await;
            assert_eq!(notes.lock().unwrap().len(), heard, "{way:?}, {hangs}");
            until("its closure was dropped", || Arc::strong_count(&asked) == 1).await;
        }
    }
}

#[tokio::test]
async fn dropping_the_call_drops_what_was_asked() {
    for way in STREAMS {
        let flow = MyFlow::new();
        let joined = Setup::new(flow.service()).join(way).await;
        let client: FlowClient = joined.client.client();
        let count = Arc::new(Count::default());
        let counted = Arc::clone(&count);
        let call = client
            .ask_and_hang(move |_| {
                let count = Arc::clone(&counted);
                async move {
                    let _alive = count.enter();
                    std::future::pending::<Result<i64, RpcError>>().await
                }
            })
            .start();
        until("it was asked", || count.alive() == 1).await;
        drop(call);
        until("the handler was dropped", || flow.0.calls.alive() == 0).await;
        until("the answer was dropped", || count.alive() == 0).await;
        joined.idle().await;
    }
}

#[tokio::test]
async fn a_callback_that_panics_fails_alone() {
    for way in STREAMS {
        let flow = MyFlow::new();
        let joined = Setup::new(flow.service()).join(way).await;
        let client: FlowClient = joined.client.client();
        let asked = client.ask(10, async |number| {
            assert_ne!(number, 3, "a callback may panic");
            Ok(1)
        });
        let error = within("error", asked.into_future()).await.unwrap_err();
        assert!(
            matches!(error, CallError::Application(_) | CallError::Remote(_)),
            "{way:?}: {error:?}"
        );
        // A listener that panics hears what follows.
        let (notes, mut pen) = notebook();
        let told = client.tell(5, move |number| {
            assert_ne!(number, 3, "a callback may panic");
            pen(number);
        });
        let told = within("told", told.into_future()).await;
        assert_eq!(told.unwrap(), 5, "{way:?}");
        assert_eq!(*notes.lock().unwrap(), [0, 1, 2, 4], "{way:?}");
        joined.idle().await;
    }
}

#[tokio::test]
async fn one_too_many_is_busy() {
    for way in LINKED {
        let flow = MyFlow::new();
        let limits = Limits::new().with_callbacks(3);
        let joined = Setup::new(flow.service()).limits(&limits).join(way).await;
        let client: FlowClient = joined.client.client();
        let wait = |_: u64| std::future::pending::<Result<i64, RpcError>>();
        let calls: Vec<_> = (0..3).map(|_| client.ask_and_hang(wait).start()).collect();
        let error = within("busy", client.ask_and_hang(wait).into_future()).await;
        let error = error.unwrap_err();
        assert!(
            matches!(error, CallError::Busy { .. }),
            "{way:?}: {error:?}"
        );
        drop(calls);
        joined.idle().await;
        assert_eq!(
            client.tell(2, |_| {}).await.unwrap(),
            2,
            "{way:?}: no room again"
        );
        joined.idle().await;
    }
}

#[tokio::test]
async fn several_and_a_stream_in_one_call_keep_apart() {
    for way in STREAMS {
        let flow = MyFlow::new();
        let joined = Setup::new(flow.service()).join(way).await;
        let client: FlowClient = joined.client.client();
        let calls = (0..20).map(|number| {
            let client = client.clone();
            async move {
                let (notes, pen) = notebook();
                client.tell(number, pen).await.unwrap();
                assert!(
                    notes.lock().unwrap().iter().copied().eq(0..number),
                    "{way:?}"
                );
                let sum = client.ask(number, move |_| async move {
                    Ok(i64::try_from(number).unwrap())
                });
                assert_eq!(sum.await.unwrap(), i64::try_from(number * number).unwrap());
            }
        });
        within("all", stream::iter(calls).buffer_unordered(20).count()).await;
        joined.idle().await;
    }
}

/// What is on its way when the call ends is no offence.
#[tokio::test]
async fn told_after_the_end() {
    for way in STREAMS {
        let flow = MyFlow::new();
        let limits = Limits::new().with_violation_budget(0);
        let joined = Setup::new(flow.service()).limits(&limits).join(way).await;
        let client: FlowClient = joined.client.client();
        for turns in 0..50 {
            let (notes, pen) = notebook();
            let call = client.tell_for_ever(pen).start();
            until("it was told", || !notes.lock().unwrap().is_empty()).await;
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
            drop(call);
            until("the handler was dropped", || flow.0.calls.alive() == 0).await;
            let notes = notes.lock().unwrap().clone();
            assert!(notes.iter().copied().eq(0..notes.len() as u64), "{way:?}");
        }
        joined.idle().await;
        assert_eq!(client.tell(3, |_| {}).await.unwrap(), 3, "{way:?}");
    }
}

/// A task of the handler's asks still when the call ends.
#[tokio::test]
async fn what_is_asked_ends_with_the_call() {
    for way in STREAMS {
        let flow = MyFlow::new();
        let joined = Setup::new(flow.service()).join(way).await;
        let client: FlowClient = joined.client.client();
        let count = Arc::new(Count::default());
        let counted = Arc::clone(&count);
        let call = client
            .ask_aside(move |_| {
                let count = Arc::clone(&counted);
                async move {
                    let _alive = count.enter();
                    std::future::pending::<Result<i64, RpcError>>().await
                }
            })
            .start();
        until("it was asked", || count.alive() == 1).await;
        flow.0.gate.add_permits(1);
        within("answer", call).await.unwrap();
        let error = flow.0.asked.lock().await.take().unwrap();
        let error = within("end", error).await.unwrap().unwrap_err();
        assert!(
            matches!(error, CallError::Cancelled(By::Caller)),
            "{way:?}: {error:?}"
        );
        until("the answer was dropped", || count.alive() == 0).await;
        joined.idle().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_any_thread() {
    for way in STREAMS {
        let flow = MyFlow::new();
        let joined = Setup::new(flow.service()).join(way).await;
        let client: FlowClient = joined.client.client();
        let (notes, pen) = notebook();
        within("told", client.tell_from_tasks(8, 200, pen).into_future())
            .await
            .unwrap();
        let mut notes = notes.lock().unwrap().clone();
        // Of each task in its order.
        for task in 0..8 {
            let of_task = notes.iter().filter(|note| *note / 1000 == task);
            assert!(of_task.map(|note| note % 1000).eq(0..200), "{way:?}");
        }
        notes.sort_unstable();
        notes.dedup();
        assert_eq!(notes.len(), 8 * 200, "{way:?}");
        joined.idle().await;
    }
}
