//! Credit: nobody sends more than is taken.

use crate::flow::*;
use crate::support::*;
use futures::{StreamExt as _, stream};
use mynah::{By, EndReason, Limits};

/// Lets everything come to rest: until `number` has not changed for many turns.
async fn at_rest(mut number: impl FnMut() -> u64) -> u64 {
    let (mut last, mut same) = (number(), 0);
    while same < 2000 {
        tokio::task::yield_now().await;
        let now = number();
        same = if now == last { same + 1 } else { 0 };
        last = now;
    }
    last
}

#[tokio::test]
async fn results_stop_at_the_window_of_items() {
    for way in LINKED {
        let flow = MyFlow::new();
        let limits = Limits::new().with_stream_items(16);
        let joined = Setup::new(flow.service()).limits(&limits).join(way).await;
        let client: FlowClient = joined.client.client();
        let mut stream = client.count(1000).start();
        assert_eq!(within("item", stream.next()).await.unwrap().unwrap(), 0);
        // The first poll takes a batch, of which one was handed out; credit comes back for halves of the window.
        let made = at_rest(|| flow.made()).await;
        assert!((16..=32).contains(&made), "{way:?}: {made} items were made");
        // A call beside it is not held up.
        assert_eq!(client.count(100).start().count().await, 100, "{way:?}");
        for number in 1..100 {
            assert_eq!(
                within("item", stream.next()).await.unwrap().unwrap(),
                number
            );
        }
        let made = at_rest(|| flow.made()).await - 100;
        assert!(
            (100..=132).contains(&made),
            "{way:?}: {made} items were made"
        );
        drop(stream);
        joined.idle().await;
    }
}

/// A batch may hold the whole window: half of it taken lets the sender go on, whether the rest is taken or not.
#[tokio::test]
async fn half_of_a_batch_lets_its_sender_go_on() {
    for way in LINKED {
        let flow = MyFlow::new();
        let limits = Limits::new().with_stream_items(16);
        let joined = Setup::new(flow.service()).limits(&limits).join(way).await;
        let client: FlowClient = joined.client.client();
        let mut stream = client.count(1000).start();
        assert_eq!(at_rest(|| flow.made()).await, 16, "{way:?}");
        for (taken, made) in [(7, 16), (8, 24), (15, 24), (16, 32)] {
            while within("item", stream.next()).await.unwrap().unwrap() + 1 < taken {}
            assert_eq!(at_rest(|| flow.made()).await, made, "{way:?}: {taken}");
        }
        drop(stream);
        joined.idle().await;
    }
}

/// The same for the stream that goes with a call: the window of its results stops its handler in the midst of a batch.
#[tokio::test]
async fn half_of_a_batch_of_input_lets_its_sender_go_on() {
    for way in LINKED {
        let flow = MyFlow::new();
        let mut setup = Setup::new(flow.service());
        setup.server_limits = Limits::new().with_stream_items(16);
        setup.client_limits = Limits::new().with_stream_items(8);
        let joined = setup.join(way).await;
        let client: FlowClient = joined.client.client();
        let (data, watch) = Watched::new(stream::iter(0..1000));
        let doubled = client.doubled(data).start();
        assert_eq!(at_rest(|| watch.made()).await, 24, "{way:?}");
        assert_eq!(within("rest", doubled.count()).await, 1000, "{way:?}");
        joined.idle().await;
    }
}

#[tokio::test]
async fn a_window_of_one_item_goes_to_the_end() {
    for way in STREAMS {
        let flow = MyFlow::new();
        let limits = Limits::new().with_stream_items(1);
        let joined = Setup::new(flow.service()).limits(&limits).join(way).await;
        let client: FlowClient = joined.client.client();
        let items = client.count(200).start().map(Result::unwrap).collect();
        let items: Vec<u64> = within("items", items).await;
        assert!(items.iter().copied().eq(0..200), "{way:?}");
        let doubled = client.doubled(stream::iter(0..200)).start();
        assert_eq!(within("items", doubled.count()).await, 200, "{way:?}");
        joined.idle().await;
    }
}

/// In process nothing is made before it is asked for.
#[tokio::test]
async fn in_process_items_are_made_when_they_are_taken() {
    let flow = MyFlow::new();
    let joined = Setup::new(flow.service()).join(Way::InProcess).await;
    let client: FlowClient = joined.client.client();
    let mut stream = client.count(1000).start();
    settle().await;
    assert_eq!(flow.made(), 0);
    for number in 0..5 {
        assert_eq!(stream.next().await.unwrap().unwrap(), number);
        settle().await;
        assert_eq!(flow.made(), number + 1);
    }
}

#[tokio::test]
async fn results_stop_at_the_window_of_bytes() {
    for way in LINKED {
        let flow = MyFlow::new();
        let limits = Limits::new().with_stream_bytes(1 << 10);
        let joined = Setup::new(flow.service()).limits(&limits).join(way).await;
        let client: FlowClient = joined.client.client();
        let mut stream = client.letters(1000, 100).start();
        assert_eq!(
            within("item", stream.next()).await.unwrap().unwrap().len(),
            100
        );
        let made = at_rest(|| flow.made()).await;
        // About ten fit, and the last may exceed it; as many again when those were taken.
        assert!((9..=24).contains(&made), "{way:?}: {made} items were made");
        let rest = stream.map(|item| item.unwrap().len()).collect::<Vec<_>>();
        let rest = within("rest", rest).await;
        assert_eq!(
            (rest.len(), rest.iter().sum::<usize>()),
            (999, 99_900),
            "{way:?}"
        );
        joined.idle().await;
    }
}

#[tokio::test]
async fn items_larger_than_the_window_come_one_at_a_time() {
    for way in STREAMS {
        let flow = MyFlow::new();
        let limits = Limits::new().with_stream_bytes(100);
        let joined = Setup::new(flow.service()).limits(&limits).join(way).await;
        let client: FlowClient = joined.client.client();
        let items = client
            .letters(20, 300_000)
            .start()
            .map(|item| item.unwrap().len());
        let items: Vec<usize> = within("items", items.collect()).await;
        assert_eq!(items, [300_000; 20], "{way:?}");
        let data = stream::iter(0..20).map(|_| "y".repeat(300_000));
        let length = within("length", client.length(data).into_future()).await;
        assert_eq!(length.unwrap(), 6_000_000, "{way:?}");
        joined.idle().await;
    }
}

#[tokio::test]
async fn the_stream_of_a_call_stops_at_the_window() {
    for way in LINKED {
        let flow = MyFlow::new();
        let limits = Limits::new().with_stream_items(16);
        let joined = Setup::new(flow.service()).limits(&limits).join(way).await;
        let client: FlowClient = joined.client.client();
        let (data, watch) = Watched::new(stream::repeat(1));
        let call = client.ignores(data).start();
        until("it runs", || flow.0.calls.alive() == 1).await;
        let made = at_rest(|| watch.made()).await;
        assert_eq!(made, 16, "{way:?}");
        drop(call);
        until("it was dropped", || watch.is_dropped()).await;
        joined.idle().await;
    }
}

/// One way is not taken; the other is held up by it, and goes on with it.
#[tokio::test]
async fn both_ways_hold_up_each_other() {
    for way in LINKED {
        let flow = MyFlow::new();
        let limits = Limits::new().with_stream_items(16);
        let joined = Setup::new(flow.service()).limits(&limits).join(way).await;
        let client: FlowClient = joined.client.client();
        let (data, watch) = Watched::new(stream::iter(0..1000));
        let mut doubled = client.doubled(data).start();
        assert_eq!(within("item", doubled.next()).await.unwrap().unwrap(), 0);
        let made = at_rest(|| watch.made()).await;
        assert!((16..=64).contains(&made), "{way:?}: {made} items were made");
        assert_eq!(within("rest", doubled.count()).await, 999, "{way:?}");
        until("it was dropped", || watch.is_dropped()).await;
        joined.idle().await;
    }
}

/// More streams than fit into the output, none of which is taken, and one that is.
#[tokio::test]
async fn streams_that_nobody_takes_hold_up_no_other() {
    for way in LINKED {
        let flow = MyFlow::new();
        let limits = Limits::new().with_stream_bytes(64 << 10);
        let joined = Setup::new(flow.service()).limits(&limits).join(way).await;
        let client: FlowClient = joined.client.client();
        let held: Vec<_> = (0..100)
            .map(|_| client.letters(1000, 1000).start())
            .collect();
        at_rest(|| flow.made()).await;
        let items = client.letters(1000, 1000).start().count();
        assert_eq!(within("items", items).await, 1000, "{way:?}");
        let all = stream::iter(held)
            .flat_map_unordered(None, |stream| stream)
            .count();
        assert_eq!(within("all", all).await, 100_000, "{way:?}");
        joined.idle().await;
    }
}

/// Items that wait here when the stream is given up are lost, and nothing else is.
#[tokio::test]
async fn given_up_in_the_middle_of_a_window() {
    for way in LINKED {
        let flow = MyFlow::new();
        let limits = Limits::new().with_stream_items(16).with_violation_budget(0);
        let joined = Setup::new(flow.service()).limits(&limits).join(way).await;
        let client: FlowClient = joined.client.client();
        for taken in 0..100 {
            let (data, watch) = Watched::new(stream::iter(0..1000));
            let mut doubled = client.doubled(data).start();
            for number in 0..taken {
                let item = within("item", doubled.next()).await.unwrap();
                assert_eq!(item.unwrap(), number * 2, "{way:?}");
            }
            doubled.cancel();
            assert_eq!(
                doubled.end_reason(),
                Some(&EndReason::Cancelled(By::Caller))
            );
            drop(doubled);
            until("it was dropped", || watch.is_dropped()).await;
        }
        joined.idle().await;
    }
}
