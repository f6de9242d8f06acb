//! S: progress and logs beside a call.

use crate::support::*;
use mynah::prelude::*;
use mynah::{Limits, Router};
use serde_json::json;
use std::sync::{Arc, Mutex};

#[mynah::service]
trait Talk {
    /// Says so many things, turn by turn, then ends.
    async fn talk(&self, cx: &Context, name: u64, times: u64) -> u64;
    /// Says everything at once.
    async fn burst(&self, cx: &Context, times: u64) -> u64;
    /// Leaves a task behind that goes on talking after the end.
    async fn chatter(&self, cx: &Context) -> u64;
}

#[derive(Clone, Default)]
struct MyTalk(Arc<Mutex<Vec<Context>>>);

impl Talk for MyTalk {
    async fn talk(&self, cx: &Context, name: u64, times: u64) -> u64 {
        for number in 0..times {
            cx.progress(&(name, number));
            cx.log(3, &format!("{name} {number}"));
            if number % 3 == 0 {
                tokio::task::yield_now().await;
            }
        }
        times
    }

    async fn burst(&self, cx: &Context, times: u64) -> u64 {
        for number in 0..times {
            cx.progress_with(&number, &"x".repeat(100));
        }
        cx.log(1, &"last");
        times
    }

    async fn chatter(&self, cx: &Context) -> u64 {
        self.0.lock().unwrap().push(cx.clone());
        cx.progress(&1);
        1
    }
}

fn setup() -> Setup {
    Setup::new(TalkService::new(MyTalk::default()))
}

#[tokio::test]
async fn s1_in_order_to_the_right_call_before_its_end() {
    for way in Way::ALL {
        let joined = setup().capacity(1).join(way).await;
        let client: TalkClient = joined.client.client();
        let mut calls = Vec::new();
        let mut heard = Vec::new();
        for name in 0..8_u64 {
            let list = Arc::new(Mutex::new((Vec::new(), Vec::new())));
            let (progress, log) = (Arc::clone(&list), Arc::clone(&list));
            heard.push(list);
            let call = client
                .talk(name, 20)
                .on_progress(move |said: (u64, u64)| progress.lock().unwrap().0.push(said))
                .on_log(move |level, line: String| log.lock().unwrap().1.push((level, line)));
            calls.push(async move {
                let end = call.await;
                (name, end)
            });
        }
        for (name, end) in within("ends", futures::future::join_all(calls)).await {
            assert_eq!(end.unwrap(), 20, "{way:?}");
            let (progress, logs) = &*heard[usize::try_from(name).unwrap()].lock().unwrap();
            let all: Vec<_> = (0..20).map(|number| (name, number)).collect();
            assert_eq!(*progress, all, "{way:?}");
            let lines: Vec<_> = (0..20)
                .map(|number| (3, format!("{name} {number}")))
                .collect();
            assert_eq!(*logs, lines, "{way:?}");
        }
        joined.idle().await;
    }
}

#[tokio::test]
async fn s1_nothing_after_the_end() {
    for way in Way::ALL {
        let talk = MyTalk::default();
        let joined = Setup::new(TalkService::new(talk.clone())).join(way).await;
        let client: TalkClient = joined.client.client();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::clone(&heard);
        let call = client
            .chatter()
            .on_progress(move |number: u64| list.lock().unwrap().push(number));
        assert_eq!(within("end", call.into_future()).await.unwrap(), 1);
        let context = talk.0.lock().unwrap().pop().unwrap();
        assert!(context.is_cancelled(), "{way:?}: it is over");
        within("over", context.cancelled()).await;
        for _ in 0..10 {
            context.progress(&2);
            context.log(1, &"late");
        }
        settle().await;
        // A second call in the same slot hears nothing of it.
        let list = Arc::clone(&heard);
        let call = client
            .chatter()
            .on_progress(move |number: u64| list.lock().unwrap().push(number));
        assert_eq!(within("end", call.into_future()).await.unwrap(), 1);
        assert_eq!(*heard.lock().unwrap(), [1, 1], "{way:?}");
        joined.idle().await;
    }
}

/// By the bytes: nothing with the id of a call behind its answer.
#[tokio::test]
async fn s1_nothing_after_the_end_on_the_wire() {
    let talk = MyTalk::default();
    let router = Router::new().register(TalkService::new(talk.clone()));
    let (raw, peer) = raw_pair(router, Limits::new(), 1 << 16);
    let mut raw = raw.greet().await;
    raw.say(json!([REQUEST, 1, "talk", "chatter"]), "[]").await;
    until("it is over", || !talk.0.lock().unwrap().is_empty()).await;
    let context = talk.0.lock().unwrap().pop().unwrap();
    settle().await;
    context.progress(&2);
    context.log(1, &"late");
    peer.close();
    let kinds: Vec<u64> = raw.rest().await.iter().map(Frame::kind).collect();
    assert_eq!(kinds, [PROGRESS, RESULT]);
}

/// A reader that is slow: what is beyond the mark is dropped, the end arrives, the log says how many.
#[tokio::test]
async fn s1_a_burst_to_a_slow_reader_drops_and_counts() {
    const TIMES: u64 = 10_000;
    let limits = Limits::new().with_output_high_water_bytes(10_000);
    let router = Router::new().register(TalkService::new(MyTalk::default()));
    let (mut raw, peer) = raw_pair(router, limits, 1024);
    raw = raw.greet().await;
    raw.say(json!([REQUEST, 1, "talk", "burst"]), &format!("[{TIMES}]"))
        .await;
    settle().await;
    assert!(peer.stats().output_bytes < 12_000, "{:?}", peer.stats());
    let mut said = 0;
    loop {
        let frame = raw.next().await.unwrap();
        match frame.kind() {
            PROGRESS => {
                assert_eq!(frame.body, json!(said), "the oldest stay, in order");
                said += 1;
            }
            RESULT => break,
            kind => panic!("{kind}"),
        }
    }
    assert!(said > 10 && said < TIMES / 10, "{said}");
    // The next line says how many were lost: the rest of the progress, and the last line.
    raw.say(json!([REQUEST, 2, "talk", "burst"]), "[0]").await;
    let log = raw.next().await.unwrap();
    assert_eq!(log.head, json!([LOG, 2, 1, TIMES - said + 1]), "{log:?}");
    assert_eq!(raw.next().await.unwrap().kind(), RESULT);
    assert_eq!(peer.stats(), mynah::PeerStats::default());
}

/// A caller that does not poll: the newest stay, within the limit.
#[tokio::test]
async fn s1_a_caller_that_does_not_poll_keeps_the_newest() {
    for way in [Way::TcpCbor, Way::Duplex, Way::Memory, Way::CborRpc] {
        let limits = Limits::new().with_side_messages(10);
        let joined = setup().limits(&limits).join(way).await;
        let client: TalkClient = joined.client.client();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::clone(&heard);
        let call = client
            .talk(1, 50)
            .on_progress(move |(_, number): (u64, u64)| list.lock().unwrap().push(number))
            .start();
        until("it has ended", || joined.client.stats().calls_waiting == 0).await;
        assert_eq!(within("end", call).await.unwrap(), 50, "{way:?}");
        let heard = heard.lock().unwrap().clone();
        assert!(heard.len() <= 10, "{way:?}: {heard:?}");
        assert_eq!(heard.last(), Some(&49), "{way:?}");
        joined.idle().await;
    }
}
