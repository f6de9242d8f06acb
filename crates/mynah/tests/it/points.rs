//! Streams, callbacks and subscriptions at every point: dropped at each (C2), cut at each byte (L5), what is said beside
//! them (S1), and a peer that is gone (C4).

use crate::flow::*;
use crate::support::*;
use futures::{StreamExt as _, stream};
use mynah::codec::Format;
use mynah::dialect::{Native, Side};
use mynah::prelude::*;
use mynah::{EndReason, Events, Lag, Limits, Router};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Polls what `make` makes `k` times and drops it, for every `k` up to its end; `idle` waits until nothing is left.
async fn drop_at_each<F: Future>(make: impl Fn() -> F, idle: impl AsyncFn(usize)) {
    for polls in 0..200 {
        let mut future = Box::pin(make());
        let mut ended = false;
        for _ in 0..polls {
            ended = poll_once(&mut future).await.is_ready();
            if ended {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(future);
        idle(polls).await;
        if ended {
            return;
        }
    }
    panic!("it has no end");
}

#[tokio::test]
async fn c2_streams_and_callbacks_dropped_at_every_point() {
    for way in Way::TIMED {
        let flow = MyFlow::new();
        let limits = Limits::new().with_stream_items(2);
        let setup = Setup::new(flow.service()).limits(&limits).capacity(1);
        let joined = setup.join(way).await;
        let client: FlowClient = joined.client.client();
        let watches = Mutex::new(Vec::new());
        let watched = |items: i64| {
            let (items, watch) = Watched::new(stream::iter(0..items));
            watches.lock().unwrap().push(watch);
            items
        };
        let idle = async |polls: usize| {
            joined.idle().await;
            until(&format!("{way:?}: nobody is alive after {polls}"), || {
                flow.0.calls.alive() == 0
            })
            .await;
            let watches = std::mem::take(&mut *watches.lock().unwrap());
            until(&format!("{way:?}: no stream is left after {polls}"), || {
                watches.iter().all(|watch| watch.is_dropped())
            })
            .await;
        };
        drop_at_each(|| client.count(5).start().count(), &idle).await;
        drop_at_each(|| client.squares(5, Some(3)).start().count(), &idle).await;
        drop_at_each(|| client.sum(watched(5)).into_future(), &idle).await;
        drop_at_each(|| client.sum_of(2, watched(5)).into_future(), &idle).await;
        let both = || {
            let items = watched(5).map(|item| u64::try_from(item).unwrap());
            client.doubled(items).start().count()
        };
        drop_at_each(both, &idle).await;
        drop_at_each(|| client.tell(5, |_| {}).into_future(), &idle).await;
        let ask = || client.ask(3, async |_| Ok(1)).into_future();
        drop_at_each(ask, &idle).await;
        let asking = || client.asking(3, async |_| Ok(1)).start().count();
        drop_at_each(asking, &idle).await;
        assert_eq!(client.count(3).start().count().await, 3, "{way:?}");
    }
}

#[tokio::test]
async fn c2_subscriptions_dropped_at_every_point() {
    for way in Way::TIMED {
        let events = Events::new();
        events.declare("block", Lag::Block, 1);
        let mut setup = Setup::new(MyFlow::new().service());
        setup.server = setup.server.with_events(events.clone());
        let joined = setup.capacity(1).join(way).await;
        let idle = async |polls: usize| {
            joined.idle().await;
            until(&format!("{way:?}: nobody subscribes after {polls}"), || {
                events.subscribers("topic") + events.subscribers("block") == 0
            })
            .await;
        };
        let hears = async || {
            let mut heard = joined.client.subscribe::<u64>("topic").await.unwrap();
            events.try_publish("topic", &7).unwrap();
            assert_eq!(heard.next().await.unwrap().unwrap(), 7);
        };
        drop_at_each(&hears, &idle).await;
        // One who publishes and waits for those who do not listen.
        let publishes = async || {
            let mut heard = joined.client.subscribe::<u64>("block").await.unwrap();
            for number in 0..4 {
                events.publish("block", &number).await.unwrap();
                assert_eq!(heard.next().await.unwrap().unwrap(), number);
            }
        };
        drop_at_each(&publishes, &idle).await;
        let published = events.publish("block", &1).await.unwrap();
        assert_eq!(published.subscribers, 0, "{way:?}");
    }
}

/// A client that is gone: its subscriptions end here, and those that it served end there.
#[tokio::test]
async fn c4_a_disconnect_ends_subscriptions() {
    for way in LINKED {
        let [near_events, far_events] = [Events::new(), Events::new()];
        let mut setup = Setup::new(MyFlow::new().service());
        setup.server = setup.server.with_events(far_events.clone());
        setup.client = setup.client.with_events(near_events.clone());
        let joined = setup.join(way).await;
        let far = joined.far().await.unwrap();
        let mut near_hears = joined.client.subscribe::<u64>("topic").await.unwrap();
        let mut far_hears = far.subscribe::<u64>("topic").await.unwrap();
        assert_eq!(far_events.subscribers("topic"), 1, "{way:?}");
        assert_eq!(near_events.subscribers("topic"), 1, "{way:?}");
        joined.client.close();
        for hears in [&mut near_hears, &mut far_hears] {
            let end = within("end", hears.next()).await;
            assert!(
                // The side that closes may still say that it has stopped what ran for the other.
                matches!(
                    end,
                    Some(Err(EndReason::PeerGone | EndReason::Cancelled(_)))
                ),
                "{way:?}: {end:?}"
            );
            assert!(hears.next().await.is_none(), "{way:?}: a second end");
        }
        until("nobody subscribes", || {
            far_events.subscribers("topic") + near_events.subscribers("topic") == 0
        })
        .await;
    }
}

#[mynah::service]
trait Talks {
    /// Says progress and a line of log ahead of each item, and once more when the stream has ended.
    fn talks(&self, cx: &Context, items: u64) -> impl Stream<Item = u64> + Send;
}

#[derive(Clone, Debug, Default)]
struct MyTalks(Arc<Mutex<Option<Context>>>);

impl Talks for MyTalks {
    fn talks(&self, cx: &Context, items: u64) -> impl Stream<Item = u64> + Send {
        *self.0.lock().unwrap() = Some(cx.clone());
        let cx = cx.clone();
        stream::iter(0..items).map(move |number| {
            cx.progress(&number);
            cx.log(3, &number);
            number
        })
    }
}

#[tokio::test]
async fn s1_beside_a_stream_in_order_before_its_end() {
    for way in STREAMS {
        let joined = Setup::new(TalksService::new(MyTalks::default()))
            .join(way)
            .await;
        let client: TalksClient = joined.client.client();
        let streams = (1..=20).map(|count| {
            let client = client.clone();
            async move {
                let (notes, lines) = (Arc::<Mutex<Vec<u64>>>::default(), Arc::default());
                let (pen, other): (_, Arc<Mutex<Vec<u64>>>) =
                    (Arc::clone(&notes), Arc::clone(&lines));
                let call = client
                    .talks(count)
                    .on_progress(move |number| pen.lock().unwrap().push(number))
                    .on_log(move |level, number| {
                        assert_eq!(level, 3);
                        other.lock().unwrap().push(number);
                    });
                let items: Vec<u64> = call.start().map(Result::unwrap).collect().await;
                let all: Vec<u64> = (0..count).collect();
                assert_eq!(items, all, "{way:?}");
                if way != Way::InProcess {
                    assert_eq!(*notes.lock().unwrap(), all, "{way:?}");
                    assert_eq!(*lines.lock().unwrap(), all, "{way:?}");
                }
            }
        });
        within("all", futures::future::join_all(streams)).await;
        joined.idle().await;
    }
}

#[tokio::test]
async fn s1_nothing_after_the_end_of_a_stream_on_the_wire() {
    let talks = MyTalks::default();
    for cancels in [false, true] {
        let router = Router::new().register(TalksService::new(talks.clone()));
        let (raw, peer) = raw_pair(router, Limits::new(), 1 << 16);
        let mut raw = raw.greet().await;
        // Without credit for its end, when it is to be cancelled.
        let items = if cancels { 2 } else { 100 };
        let head = json!([REQUEST, 1, "talks", "talks", null, null, items, 10_000]);
        raw.say(head, "[3]").await;
        settle().await;
        if cancels {
            raw.say(json!([CANCEL, 1, 0]), "").await;
            settle().await;
        }
        let context = talks.0.lock().unwrap().take().unwrap();
        until("it is over", || context.is_cancelled()).await;
        context.progress(&9);
        context.log(1, &"late");
        peer.close();
        let kinds: Vec<u64> = raw.rest().await.iter().map(Frame::kind).collect();
        let (end, before) = kinds.split_last().unwrap();
        assert_eq!(*end, if cancels { ERROR } else { RESULT }, "{kinds:?}");
        let ends = [RESULT, ERROR];
        assert!(before.iter().all(|kind| !ends.contains(kind)), "{kinds:?}");
        let said = before.iter().filter(|kind| **kind == PROGRESS).count();
        assert_eq!(said, if cancels { 2 } else { 3 }, "{kinds:?}");
    }
}

fn batch(format: Format, items: &[u64]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for item in items {
        let mut encoded = Vec::new();
        format.encode(item, &mut encoded).unwrap();
        bytes.extend_from_slice(&u32::try_from(encoded.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(&encoded);
    }
    bytes
}

/// What is said before anything was heard, and after it: streams of all kinds.
fn conversation(format: Format) -> [Vec<u8>; 2] {
    let value = |value: &serde_json::Value| {
        let mut bytes = Vec::new();
        format.encode(value, &mut bytes).unwrap();
        bytes
    };
    let make = |head: serde_json::Value, body: &[u8]| {
        let mut content = value(&head);
        content.extend_from_slice(body);
        let mut bytes = u32::try_from(content.len()).unwrap().to_be_bytes().to_vec();
        bytes.extend_from_slice(&content);
        bytes
    };
    let call =
        |id: u64, method: &str, items: Option<u64>, input: u64, params: serde_json::Value| {
            let bytes = items.map(|_| 1000);
            let head = json!([REQUEST, id, "flow", method, null, null, items, bytes, input]);
            make(head, &value(&params))
        };
    let begin = [
        preface(match format {
            Format::Json => b'J',
            Format::MessagePack => b'M',
            _ => b'C',
        })
        .to_vec(),
        make(json!([HELLO, 1]), b""),
        call(1, "count", Some(4), 0, json!([10])),
        call(2, "sum", None, 1, json!([null])),
        call(3, "doubled", Some(8), 1, json!([null])),
        call(4, "hang", Some(5), 0, json!([2])),
        call(5, "sum_of", None, 1, json!([1, null])),
        call(6, "tell", None, 0, json!([3, 77])),
        call(7, "squares", Some(100), 0, json!([5, 3])),
    ];
    let error = value(&json!([77, "broken"]));
    let end = [
        make(json!([CREDIT, 1, 0, 100, 10_000]), b""),
        make(json!([ITEMS, 2, 1, 2]), &batch(format, &[1, 2])),
        make(json!([ITEMS, 3, 1, 1]), &batch(format, &[3])),
        make(json!([ITEMS, 2, 1, 1]), &batch(format, &[4])),
        make(json!([INPUT_END, 2]), b""),
        make(json!([ITEMS, 5, 1, 2]), &batch(format, &[5, 6])),
        make(json!([CANCEL, 4, 0]), b""),
        make(json!([INPUT_END, 3]), &error),
        make(json!([INPUT_END, 5]), b""),
    ];
    [begin.concat(), end.concat()]
}

/// What was heard of each call: its items in one piece, and its end. Batches and credits follow the time of arrival.
type Heard = BTreeMap<String, Vec<u8>>;

fn sort(format: Format, heard: &[u8]) -> (Heard, usize) {
    let mut calls = Heard::new();
    let mut ends = 0;
    let mut rest = heard.get(8..).unwrap_or_default();
    while let Some((len, behind)) = rest.split_first_chunk::<4>() {
        let Some((content, behind)) = behind.split_at_checked(u32::from_be_bytes(*len) as usize)
        else {
            break;
        };
        rest = behind;
        // The head ends where it is a value; what is behind it is the body.
        let limits = mynah::DecodeLimits::DEFAULT;
        let head = (1..=content.len()).find_map(|len| {
            let head: serde_json::Value = format.decode(&content[..len], &limits).ok()?;
            head.is_array().then_some((head, len))
        });
        let (head, len) = head.unwrap();
        let body = &content[len..];
        match head[0].as_u64().unwrap() {
            ITEMS => {
                let name = format!("items of {}", head[1]);
                calls.entry(name).or_default().extend_from_slice(body);
            }
            RESULT | ERROR => {
                ends += 1;
                let again = calls.insert(format!("end of {}", head[1]), content.to_vec());
                assert!(again.is_none(), "a second end of {head}");
            }
            NOTIFICATION => {
                let name = "callbacks".to_owned();
                calls.entry(name).or_default().extend_from_slice(content);
            }
            _ => {}
        }
    }
    (calls, ends)
}

async fn answers(format: Format, pieces: &[&[u8]], wait_at: usize) -> Heard {
    let flow = MyFlow::new();
    let (mut near, far) = tokio::io::duplex(1 << 16);
    let router = Router::new().register(flow.service());
    let peer = over(far, &Native::new(), Side::Accept, router, Limits::new());
    let (mut heard, mut ends) = (Vec::new(), 0);
    let mut said = 0;
    for piece in pieces {
        near.write_all(piece).await.unwrap();
        said += piece.len();
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        if said == wait_at {
            // Those that need nothing more have ended, and the others have given credit.
            until("they run", || peer.stats().handlers_running == 5).await;
        }
    }
    while ends < 7 {
        assert_ne!(near.read_buf(&mut heard).await.unwrap(), 0, "closed");
        ends = sort(format, &heard).1;
    }
    assert!(!peer.is_closed());
    until("nobody is alive", || flow.0.calls.alive() == 0).await;
    until("idle", || peer.stats() == mynah::PeerStats::default()).await;
    sort(format, &heard).0
}

#[tokio::test]
async fn l5_streams_cut_at_every_byte() {
    for format in [Format::Json, Format::Cbor, Format::MessagePack] {
        let [begin, end] = conversation(format);
        let wait_at = begin.len();
        let whole = within("whole", answers(format, &[&begin, &end], wait_at)).await;
        assert_eq!(whole.len(), 12, "{:?}", whole.keys());
        for at in 1..begin.len() {
            let (one, two) = begin.split_at(at);
            let cut = within("begin", answers(format, &[one, two, &end], wait_at)).await;
            assert_eq!(cut, whole, "{format:?}: begin is cut at {at}");
        }
        for at in 1..end.len() {
            let (one, two) = end.split_at(at);
            let cut = within("end", answers(format, &[&begin, one, two], wait_at)).await;
            assert_eq!(cut, whole, "{format:?}: end is cut at {at}");
        }
        let bytes: Vec<&[u8]> = begin.chunks(1).chain(end.chunks(1)).collect();
        let cut = within("bytes", answers(format, &bytes, wait_at)).await;
        assert_eq!(cut, whole, "{format:?}: byte by byte");
    }
}
