//! Streams that go with a call, and both ways at once.

use crate::flow::*;
use crate::support::*;
use futures::{StreamExt as _, stream};
use mynah::prelude::*;
use mynah::{By, EndReason};
use std::time::Duration;

#[tokio::test]
async fn the_handler_hears_all_of_it() {
    for way in STREAMS {
        let flow = MyFlow::new();
        let joined = Setup::new(flow.service()).join(way).await;
        let client: FlowClient = joined.client.client();
        for count in [0, 1, 1000] {
            let sum = within("sum", client.sum(stream::iter(0..count)).into_future()).await;
            assert_eq!(sum.unwrap(), (0..count).sum::<i64>(), "{way:?}");
        }
        assert_eq!(flow.ends(), [None, None, None], "{way:?}");
        let words = stream::iter(0..100).map(|len| "x".repeat(len));
        assert_eq!(client.length(words).await.unwrap(), (0..100).sum::<u64>());
        joined.idle().await;
    }
}

#[tokio::test]
async fn a_hundred_thousand_numbers_both_ways() {
    for way in STREAMS {
        let flow = MyFlow::new();
        let joined = Setup::new(flow.service()).join(way).await;
        let client: FlowClient = joined.client.client();
        let doubled = client.doubled(stream::iter(0..100_000)).start();
        let items: Vec<u64> = within("items", doubled.map(Result::unwrap).collect()).await;
        assert!(
            items.iter().copied().eq((0..100_000).map(|item| item * 2)),
            "{way:?}"
        );
        joined.idle().await;
    }
}

/// One way waits for the other.
#[tokio::test]
async fn question_and_answer_in_turn() {
    for way in STREAMS {
        let flow = MyFlow::new();
        let joined = Setup::new(flow.service()).join(way).await;
        let client: FlowClient = joined.client.client();
        let (say, said) = tokio::sync::mpsc::channel(1);
        let said = stream::unfold(said, async |mut said| {
            said.recv().await.map(|item| (item, said))
        });
        let mut doubled = client.doubled(said).start();
        for number in 0..100 {
            say.send(number).await.unwrap();
            let item = within("item", doubled.next()).await;
            assert_eq!(item.unwrap().unwrap(), number * 2, "{way:?}");
        }
        drop(say);
        assert!(within("end", doubled.next()).await.is_none(), "{way:?}");
        joined.idle().await;
    }
}

#[tokio::test]
async fn a_handler_that_returns_early_stops_the_stream() {
    for way in STREAMS {
        let flow = MyFlow::new();
        let joined = Setup::new(flow.service()).join(way).await;
        let client: FlowClient = joined.client.client();
        // More than what may be on its way, and then nothing for ever.
        for items in [3, 1_000_000] {
            let (data, watch) = Watched::new(stream::iter(0..items).chain(stream::pending()));
            let sum = within("sum", client.sum_of(3, data).into_future()).await;
            assert_eq!(sum.unwrap(), 3, "{way:?}");
            until("it was dropped", || watch.is_dropped()).await;
            joined.idle().await;
        }
    }
}

#[tokio::test]
async fn dropping_it_in_the_handler_stops_it_at_the_caller() {
    for way in STREAMS {
        let flow = MyFlow::new();
        let joined = Setup::new(flow.service()).join(way).await;
        let client: FlowClient = joined.client.client();
        let (data, watch) = Watched::new(stream::repeat(1));
        let call = client.drops(data).start();
        until("it was dropped", || watch.is_dropped()).await;
        assert_eq!(flow.0.calls.alive(), 1, "the call goes on");
        flow.0.gate.add_permits(1);
        assert_eq!(within("result", call).await.unwrap(), 7, "{way:?}");
        joined.idle().await;
    }
}

#[tokio::test]
async fn dropping_the_call_drops_both() {
    for way in STREAMS {
        let flow = MyFlow::new();
        let joined = Setup::new(flow.service()).join(way).await;
        let client: FlowClient = joined.client.client();
        let (data, watch) = Watched::new(stream::repeat(1));
        let call = client.ignores(data).start();
        until("it runs", || flow.0.calls.alive() == 1).await;
        drop(call);
        until("the handler was dropped", || flow.0.calls.alive() == 0).await;
        until("the stream was dropped", || watch.is_dropped()).await;
        joined.idle().await;

        let (data, watch) = Watched::new(stream::iter(0..3).chain(stream::pending()));
        let mut doubled = client.doubled(data).start();
        assert_eq!(within("item", doubled.next()).await.unwrap().unwrap(), 0);
        drop(doubled);
        until("the handler was dropped", || flow.0.calls.alive() == 0).await;
        until("the stream was dropped", || watch.is_dropped()).await;
        joined.idle().await;
    }
}

#[tokio::test]
async fn a_call_that_never_left_drops_its_stream() {
    for way in STREAMS {
        let flow = MyFlow::new();
        let joined = Setup::new(flow.service()).join(way).await;
        let client: FlowClient = joined.client.client();
        let (data, watch) = Watched::new(stream::repeat(1));
        drop(client.sum(data));
        assert!(watch.is_dropped(), "{way:?}");
        let (data, watch) = Watched::new(stream::repeat(1));
        drop(client.sum(data).into_future());
        assert!(watch.is_dropped(), "{way:?}");
        joined.idle().await;
    }
}

#[tokio::test]
async fn a_stream_that_panics_ends_as_an_error_there() {
    for way in STREAMS {
        let flow = MyFlow::new();
        let joined = Setup::new(flow.service()).join(way).await;
        let client: FlowClient = joined.client.client();
        let (data, watch) = Watched::new(stream::iter(0..10).inspect(|number| {
            assert_ne!(*number, 5, "a stream may panic");
        }));
        let error = within("error", client.sum(data).into_future()).await;
        assert!(
            matches!(error, Err(CallError::Application(FlowError::Refused))),
            "{way:?}: {error:?}"
        );
        until("it was dropped", || watch.is_dropped()).await;
        let ends = flow.ends();
        let [Some(EndReason::Error(reason))] = ends.as_slice() else {
            panic!("{way:?}: {ends:?}");
        };
        assert_eq!(reason.code(), ErrorCode::INTERNAL);
        joined.idle().await;
    }
}

#[tokio::test]
async fn the_handler_hears_that_the_caller_is_gone() {
    for way in LINKED {
        let flow = MyFlow::new();
        let joined = Setup::new(flow.service()).join(way).await;
        let client: FlowClient = joined.client.client();
        let far = joined.far().await.unwrap();
        let (data, watch) = Watched::new(stream::pending());
        let call = client.length(data).start();
        until("it runs", || flow.0.calls.alive() == 1).await;
        joined.client.close();
        assert!(within("end", call).await.is_err());
        until("the stream was dropped", || watch.is_dropped()).await;
        until("the handler was dropped", || flow.0.calls.alive() == 0).await;
        until("closed", || far.is_closed()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_it_on_both_sides() {
    for way in Way::TIMED {
        let flow = MyFlow::new();
        let joined = Setup::new(flow.service()).join(way).await;
        let client: FlowClient = joined.client.client();
        let (data, watch) = Watched::new(stream::pending());
        let call = client.sum(data).deadline(Duration::from_secs(5));
        let error = within("deadline", call.into_future()).await.unwrap_err();
        assert!(matches!(error, CallError::Deadline), "{way:?}: {error:?}");
        until("the handler was dropped", || flow.0.calls.alive() == 0).await;
        until("the stream was dropped", || watch.is_dropped()).await;
        joined.idle().await;
    }
}

/// A handler that is not dropped hears why.
#[tokio::test(start_paused = true)]
async fn a_shielded_handler_hears_who_ended_it() {
    for way in [Way::Duplex, Way::Memory] {
        for (seconds, expected) in [
            (None, EndReason::Cancelled(By::Caller)),
            (Some(5), EndReason::Deadline),
        ] {
            let flow = MyFlow::new();
            let joined = Setup::new(flow.service()).join(way).await;
            let client: FlowClient = joined.client.client();
            let (data, watch) = Watched::new(stream::iter(0..3).chain(stream::pending()));
            let (heard, hears) = tokio::sync::oneshot::channel();
            let mut heard = Some(heard);
            let call = client.shielded(data, move |_| {
                heard.take().unwrap().send(()).unwrap();
            });
            match seconds {
                None => {
                    let call = call.start();
                    within("told", hears).await.unwrap();
                    drop(call);
                }
                Some(seconds) => {
                    let call = call.deadline(Duration::from_secs(seconds));
                    let error = within("deadline", call.into_future()).await.unwrap_err();
                    assert!(matches!(error, CallError::Deadline), "{way:?}: {error:?}");
                }
            }
            until("the stream was dropped", || watch.is_dropped()).await;
            until("the handler is over", || flow.0.calls.alive() == 0).await;
            assert_eq!(flow.ends(), [Some(expected)], "{way:?}");
            joined.idle().await;
        }
    }
}

/// A connection that is cut is told from a caller that has had enough.
#[tokio::test]
async fn a_shielded_handler_hears_that_the_peer_is_gone() {
    for way in LINKED {
        let flow = MyFlow::new();
        let joined = Setup::new(flow.service()).join(way).await;
        let client: FlowClient = joined.client.client();
        let call = client.shielded(stream::pending(), |_| {}).start();
        until("it runs", || flow.0.calls.alive() == 1).await;
        joined.client.close();
        assert!(within("end", call).await.is_err());
        until("the handler is over", || flow.0.calls.alive() == 0).await;
        assert_eq!(flow.ends(), [Some(EndReason::PeerGone)], "{way:?}");
    }
}
