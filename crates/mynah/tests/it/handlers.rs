//! How handlers run: where, in what order, and how they are asked to stop.

use crate::support::*;
use mynah::prelude::*;
use mynah::{EvidenceKey, Limits, Router};
use serde_json::json;
use std::sync::{Arc, Mutex};

#[mynah::service]
trait Work {
    async fn first(&self, number: u64) -> u64;
    #[spawn]
    async fn spawned(&self, cx: &Context, number: u64) -> Result<u64, RpcError>;
    #[spawn]
    async fn spawned_hang(&self);
    #[blocking]
    fn blocking(&self, number: u64) -> u64;
    #[blocking]
    fn blocking_until_cancelled(&self, cx: &Context) -> u64;
    #[notification]
    async fn note(&self, number: u64);
    #[spawn]
    #[notification]
    async fn spawned_note(&self, number: u64);
    #[blocking]
    #[notification]
    fn blocking_note(&self, number: u64);
    /// Sees its cancellation under a shield, and finishes what it began.
    async fn shielded(&self, cx: &Context);
    /// Lets its shield down after it was cancelled, and goes on waiting.
    async fn shield_down(&self, cx: &Context);
    /// Leaves a task that waits for the end of the call.
    async fn watched(&self, cx: &Context);
    /// Transport, address as the peer may have written it, one entry of metadata.
    async fn who(&self, cx: &Context) -> (Option<String>, Option<String>, Option<String>);
}

#[derive(Debug, Default)]
struct Book {
    list: Mutex<Vec<String>>,
    calls: Count,
}

impl Book {
    fn note(&self, what: impl Into<String>) {
        self.list.lock().unwrap().push(what.into());
    }

    fn has(&self, what: &str) -> bool {
        self.list.lock().unwrap().iter().any(|known| known == what)
    }
}

#[derive(Clone, Default)]
struct MyWork(Arc<Book>);

impl Work for MyWork {
    async fn first(&self, number: u64) -> u64 {
        self.0.note(format!("{number}"));
        // The earlier, the slower.
        for _ in number..50 {
            tokio::task::yield_now().await;
        }
        number
    }

    async fn spawned(&self, cx: &Context, number: u64) -> Result<u64, RpcError> {
        let _alive = self.0.calls.enter();
        cx.progress(&number);
        tokio::task::yield_now().await;
        if number == 0 {
            Err(RpcError::new(ErrorCode::application(5), "zero"))
        } else {
            Ok(number)
        }
    }

    async fn spawned_hang(&self) {
        let _alive = self.0.calls.enter();
        std::future::pending::<()>().await;
    }

    fn blocking(&self, number: u64) -> u64 {
        self.0.note(format!("{:?}", std::thread::current().id()));
        number
    }

    fn blocking_until_cancelled(&self, cx: &Context) -> u64 {
        let _alive = self.0.calls.enter();
        while !cx.is_cancelled() {
            std::thread::yield_now();
        }
        9
    }

    async fn note(&self, number: u64) {
        self.0.note(format!("note {number}"));
    }

    async fn spawned_note(&self, number: u64) {
        self.0.note(format!("spawned {number}"));
    }

    fn blocking_note(&self, number: u64) {
        self.0.note(format!("blocking {number}"));
    }

    async fn shielded(&self, cx: &Context) {
        let _alive = self.0.calls.enter();
        let shield = cx.shield();
        cx.cancelled().await;
        self.0.note("seen");
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        self.0.note("finished");
        drop(shield);
    }

    async fn shield_down(&self, cx: &Context) {
        let _alive = self.0.calls.enter();
        let shield = cx.shield();
        cx.cancelled().await;
        drop(shield);
        self.0.note("down");
        std::future::pending::<()>().await;
    }

    async fn watched(&self, cx: &Context) {
        let _alive = self.0.calls.enter();
        let (book, context) = (Arc::clone(&self.0), cx.clone());
        tokio::spawn(async move {
            context.cancelled().await;
            book.note("over");
        });
        std::future::pending::<()>().await;
    }

    async fn who(&self, cx: &Context) -> (Option<String>, Option<String>, Option<String>) {
        let fact = |key| cx.evidence().text(key).map(str::to_owned);
        let entry = cx.metadata().value("tenant").map(str::to_owned);
        (
            fact(EvidenceKey::TRANSPORT),
            fact(EvidenceKey::REMOTE_ADDRESS),
            entry,
        )
    }
}

async fn join(way: Way) -> (Joined, WorkClient, Arc<Book>) {
    let work = MyWork::default();
    let book = Arc::clone(&work.0);
    let joined = Setup::new(WorkService::new(work)).join(way).await;
    let client = joined.client.client();
    (joined, client, book)
}

#[tokio::test]
async fn handlers_start_in_the_order_of_arrival() {
    for way in Way::ALL {
        let (joined, client, book) = join(way).await;
        let calls: Vec<_> = (0..50).map(|number| client.first(number).start()).collect();
        let ends = within("ends", futures::future::join_all(calls)).await;
        assert!(
            ends.iter()
                .enumerate()
                .all(|(at, end)| end.as_ref().unwrap() == &(at as u64))
        );
        let started: Vec<String> = (0..50).map(|number: u64| number.to_string()).collect();
        assert_eq!(*book.list.lock().unwrap(), started, "{way:?}");
        joined.idle().await;
    }
}

#[tokio::test]
async fn spawned_handlers_answer_fail_and_are_stopped() {
    for way in Way::ALL {
        let (joined, client, book) = join(way).await;
        let heard = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::clone(&heard);
        let call = client
            .spawned(3)
            .on_progress(move |n: u64| list.lock().unwrap().push(n));
        assert_eq!(
            within("result", call.into_future()).await.unwrap(),
            3,
            "{way:?}"
        );
        assert_eq!(*heard.lock().unwrap(), [3], "{way:?}");
        let error = within("error", client.spawned(0).into_future())
            .await
            .unwrap_err();
        assert!(
            matches!(error, CallError::Application(_)) || way == Way::CborRpc,
            "{way:?}: {error:?}"
        );
        let mut call = client.spawned_hang().into_future();
        for _ in 0..30 {
            assert!(poll_once(&mut call).await.is_pending());
            tokio::task::yield_now().await;
        }
        until("it runs", || book.calls.alive() == 1).await;
        drop(call);
        until("it is stopped", || book.calls.alive() == 0).await;
        joined.idle().await;
    }
}

#[tokio::test]
async fn blocking_handlers_run_elsewhere_and_see_their_cancellation() {
    for way in Way::ALL {
        let (joined, client, book) = join(way).await;
        assert_eq!(
            within("result", client.blocking(3).into_future())
                .await
                .unwrap(),
            3,
            "{way:?}"
        );
        let here = format!("{:?}", std::thread::current().id());
        assert!(!book.has(&here), "{way:?}");
        let mut call = client.blocking_until_cancelled().start();
        until("it runs", || book.calls.alive() == 1).await;
        assert!(poll_once(&mut call).await.is_pending());
        drop(call);
        until("it saw it", || book.calls.alive() == 0).await;
        joined.idle().await;
    }
}

#[tokio::test]
async fn notifications_of_all_kinds_arrive() {
    for way in Way::ALL {
        let (joined, client, book) = join(way).await;
        for number in 0..5 {
            client.note(number).await.unwrap();
            client.spawned_note(number).await.unwrap();
            client.blocking_note(number).await.unwrap();
        }
        for number in 0..5 {
            for kind in ["note", "spawned", "blocking"] {
                until("arrival", || book.has(&format!("{kind} {number}"))).await;
            }
        }
        joined.idle().await;
    }
}

/// In process whoever awaits the call drives its handler, so there is nothing to shield.
#[tokio::test]
async fn a_shielded_handler_finishes_what_it_began() {
    for way in Way::LINKED {
        let (joined, client, book) = join(way).await;
        let call = client.shielded().start();
        until("it runs", || book.calls.alive() == 1).await;
        drop(call);
        until("it finished", || book.has("finished")).await;
        joined.idle().await;
        assert_eq!(book.calls.alive(), 0, "{way:?}");

        let call = client.shield_down().start();
        until("it runs", || book.calls.alive() == 1).await;
        drop(call);
        until("the shield is down", || book.has("down")).await;
        until("it is dropped", || book.calls.alive() == 0).await;
        joined.idle().await;
    }
}

/// At the end of the connection the tables are empty, and what is shielded still finishes what it began.
#[tokio::test]
async fn a_shielded_handler_finishes_without_its_connection() {
    for way in Way::LINKED {
        let (joined, client, book) = join(way).await;
        let far = joined.far().await.unwrap();
        let call = client.shielded().start();
        until("it runs", || book.calls.alive() == 1).await;
        joined.client.close();
        within("end", far.closed()).await;
        until("all is zero", || far.stats().handlers_running == 0).await;
        until("it finished", || book.has("finished")).await;
        until("it is over", || book.calls.alive() == 0).await;
        drop(call);
    }
}

#[tokio::test]
async fn a_task_that_was_left_behind_sees_the_cancellation() {
    for way in Way::ALL {
        let (joined, client, book) = join(way).await;
        let call = client.watched().start();
        until("it runs", || book.calls.alive() == 1).await;
        settle().await;
        assert!(!book.has("over"), "{way:?}");
        drop(call);
        until("it saw it", || book.has("over")).await;
        joined.idle().await;
    }
}

#[tokio::test]
async fn metadata_travels_and_evidence_does_not() {
    for way in Way::ALL {
        let (joined, client, _book) = join(way).await;
        // A peer writes what it likes into metadata; evidence is not read from there.
        let call = client
            .who()
            .metadata("tenant", "blue \"ä\" \n")
            .metadata("transport", "forged")
            .metadata("remote_address", "forged");
        let said = within("answer", call.into_future()).await;
        if way == Way::CborRpc {
            let error = said.unwrap_err();
            assert!(
                matches!(
                    error,
                    CallError::Unsupported {
                        feature: "metadata",
                        ..
                    }
                ),
                "{error:?}"
            );
            continue;
        }
        let (transport, address, tenant) = said.unwrap();
        assert_eq!(tenant.as_deref(), Some("blue \"ä\" \n"), "{way:?}");
        match way {
            Way::TcpCbor | Way::TcpJson | Way::TcpPack => {
                assert_eq!(transport.as_deref(), Some("tcp"));
                assert!(address.unwrap().starts_with("127.0.0.1:"));
            }
            Way::Unix => assert_eq!(transport.as_deref(), Some("unix")),
            Way::Memory | Way::InProcess => assert_eq!(transport.as_deref(), Some("memory")),
            _ => assert_eq!(transport, None, "{way:?}"),
        }
        joined.idle().await;
    }
}

/// The same by raw frames, with everything that a peer can say.
#[tokio::test]
async fn evidence_cannot_be_forged() {
    let router = Router::new().register(WorkService::new(MyWork::default()));
    let (mut raw, _peer) = raw_pair(router, Limits::new(), 1 << 16);
    raw.send(&preface(b'J')).await;
    raw.say(json!([HELLO, 1, {"agent": "x", "transport": "forged", "evidence": {"transport": "forged"}}]), "")
        .await;
    raw.hear_greeting().await;
    let metadata = json!({"transport": "forged", "remote_address": "forged"});
    raw.say(json!([REQUEST, 1, "work", "who", null, metadata]), "[]")
        .await;
    assert_eq!(raw.answer().await.body, json!([null, null, null]));
}

#[tokio::test]
async fn events_and_system_logs() {
    for way in Way::ALL {
        let (joined, client, _book) = join(way).await;
        client.first(50).await.unwrap();
        let emitted = joined.client.emit("topic", &(1, "two"));
        if way == Way::InProcess {
            assert!(matches!(
                emitted,
                Err(CallError::Unsupported {
                    feature: "events",
                    ..
                })
            ));
        } else {
            emitted.unwrap();
        }
        joined.client.log(3, &"a line").unwrap();
        if let Some(far) = joined.far().await {
            far.emit("topic", &1).unwrap();
            far.log(1, &"back").unwrap();
        }
        assert_eq!(client.first(50).await.unwrap(), 50, "{way:?}: it lives");
        joined.idle().await;
    }
    // By the bytes.
    let (mut raw, peer) = raw_server(Router::new(), Limits::new(), 1 << 16);
    raw.hear_greeting().await;
    raw.send(&preface(b'J')).await;
    peer.emit("a \"topic\"", &json!({"x": 1})).unwrap();
    peer.log(2, &"line").unwrap();
    let event = raw.next().await.unwrap();
    assert_eq!(
        (event.head, event.body),
        (json!([EVENT, "a \"topic\""]), json!({"x": 1}))
    );
    let log = raw.next().await.unwrap();
    assert_eq!(
        (log.head, log.body),
        (json!([LOG, null, 2, 0]), json!("line"))
    );
}

/// The service of [`Near`] as somebody with other types sees it: in process such calls are encoded.
mod far {
    #[mynah::service(name = "near")]
    pub(super) trait Far {
        async fn ask(&self, number: u8) -> i64;
    }
}

#[mynah::service]
trait Near {
    async fn ask(&self, cx: &Context, number: u64) -> u64;
}

struct MyNear;

impl Near for MyNear {
    async fn ask(&self, cx: &Context, number: u64) -> u64 {
        // A handle to the caller, dropped at once: the connection must not end with it.
        drop(cx.peer());
        tokio::task::yield_now().await;
        number
    }
}

#[tokio::test]
async fn in_process_calls_of_other_types() {
    for way in Way::ALL {
        let joined = Setup::new(NearService::new(MyNear)).join(way).await;
        let client: far::FarClient = joined.client.client();
        for number in 0..10 {
            let answer = within("answer", client.ask(number).into_future()).await;
            assert_eq!(answer.unwrap(), i64::from(number), "{way:?}");
        }
        joined.idle().await;
    }
}
