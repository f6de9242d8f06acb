//! Interceptors on both sides: every kind of call, what they add, refuse, wait for, and how they hear of the end.

mod deciding;
mod retries;
mod waiting;

use crate::flow::*;
use crate::support::*;
use futures::{StreamExt as _, stream};
use mynah::prelude::*;
use mynah::{
    Admission, Before, CallKind, CallOutcome, CallSide, Events, EvidenceKey, FinishedCall,
    Intercepted, InterceptedCall, Interceptor, Router, ServiceClient as _, TraceContext,
};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[mynah::service]
trait Desk {
    /// What the interceptors left: a value, one entry of metadata.
    async fn left(&self, cx: &Context) -> (Option<u64>, Option<String>);
    async fn fails(&self) -> Result<(), RpcError>;
    async fn panics(&self);
    async fn hangs(&self);
    #[spawn]
    async fn panics_spawned(&self);
    #[spawn]
    async fn hangs_spawned(&self);
    #[blocking]
    fn blocks(&self, cx: &Context) -> Option<u64>;
    #[spawn]
    async fn spawned(&self, cx: &Context) -> Option<u64>;
    #[notification]
    async fn note(&self);
    /// Calls back.
    async fn echo(&self, cx: &Context) -> Result<u64, RpcError>;
}

#[mynah::service]
trait Near {
    async fn seven(&self, cx: &Context) -> u64;
}

struct Number(u64);

#[derive(Clone, Default)]
struct MyDesk(Arc<Count>);

impl Desk for MyDesk {
    async fn left(&self, cx: &Context) -> (Option<u64>, Option<String>) {
        let number = cx.extension::<Number>().map(|number| number.0);
        let entry = cx.metadata().value("desk").map(str::to_owned);
        (number, entry)
    }

    async fn fails(&self) -> Result<(), RpcError> {
        Err(RpcError::new(ErrorCode::application(9), "no"))
    }

    async fn panics(&self) {
        panic!("on purpose");
    }

    async fn hangs(&self) {
        let _alive = self.0.enter();
        std::future::pending::<()>().await;
    }

    async fn panics_spawned(&self) {
        tokio::task::yield_now().await;
        panic!("on purpose");
    }

    async fn hangs_spawned(&self) {
        let _alive = self.0.enter();
        std::future::pending::<()>().await;
    }

    fn blocks(&self, cx: &Context) -> Option<u64> {
        cx.extension::<Number>().map(|number| number.0)
    }

    async fn spawned(&self, cx: &Context) -> Option<u64> {
        tokio::task::yield_now().await;
        cx.extension::<Number>().map(|number| number.0)
    }

    async fn note(&self) {}

    async fn echo(&self, cx: &Context) -> Result<u64, RpcError> {
        let near: NearClient = cx.peer().client();
        near.seven()
            .await
            .map_err(|_error| RpcError::from_code(ErrorCode::INTERNAL))
    }
}

struct MyNear;

impl Near for MyNear {
    async fn seven(&self, _cx: &Context) -> u64 {
        7
    }
}

/// Name, kind, end, items.
type Line = (String, CallKind, CallOutcome, u64);

/// Writes down what it sees.
#[derive(Clone, Default)]
struct Book {
    began: Arc<Mutex<Vec<String>>>,
    ended: Arc<Mutex<Vec<Line>>>,
}

impl Book {
    fn take(&self) -> Vec<Line> {
        assert_eq!(
            self.began.lock().unwrap().len(),
            self.ended.lock().unwrap().len(),
            "each is told once"
        );
        self.began.lock().unwrap().clear();
        std::mem::take(&mut self.ended.lock().unwrap())
    }

    async fn one(&self) -> Line {
        until("it is told of the end", || {
            !self.ended.lock().unwrap().is_empty()
        })
        .await;
        let mut all = self.take();
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }
}

impl Interceptor for Book {
    fn before(&self, call: &mut InterceptedCall<'_>) -> Before {
        self.began
            .lock()
            .unwrap()
            .push(call.method_name().to_string());
        Before::Proceed
    }

    fn after(&self, call: &FinishedCall<'_>) {
        let line = (
            call.method_name().to_string(),
            call.kind(),
            call.outcome(),
            call.items(),
        );
        self.ended.lock().unwrap().push(line);
    }
}

fn desk(book: &Book) -> Setup {
    let router = Router::new()
        .register(DeskService::new(MyDesk::default()))
        .intercept(book.clone());
    Setup {
        server: router,
        capacity: 64,
        ..Setup::default()
    }
}

#[tokio::test]
async fn the_answering_side_sees_every_kind_of_end() {
    for way in Way::ALL {
        let book = Book::default();
        let joined = desk(&book).join(way).await;
        let client: DeskClient = joined.client.client();
        let name = |told: &str| told.rsplit('.').next().unwrap().to_owned();

        client.left().await.unwrap();
        let (said, kind, outcome, items) = book.one().await;
        assert_eq!(
            (name(&said), kind, outcome, items),
            ("left".to_owned(), CallKind::Unary, CallOutcome::Ok, 0),
            "{way:?}"
        );

        client.fails().await.unwrap_err();
        let outcome = book.one().await.2;
        let code = match way {
            Way::InProcess => ErrorCode::UNCODED,
            _ => ErrorCode::application(9),
        };
        assert_eq!(outcome, CallOutcome::Error(code), "{way:?}");

        client.panics().await.unwrap_err();
        assert_eq!(book.one().await.2, CallOutcome::Panicked, "{way:?}");
        client.panics_spawned().await.unwrap_err();
        assert_eq!(book.one().await.2, CallOutcome::Panicked, "{way:?}");

        client.note().await.unwrap();
        let (said, kind, outcome, _) = book.one().await;
        assert_eq!(
            (name(&said), kind, outcome),
            ("note".to_owned(), CallKind::Notification, CallOutcome::Ok),
            "{way:?}"
        );

        client.blocks().await.unwrap();
        assert_eq!(book.one().await.2, CallOutcome::Ok, "{way:?}");

        for spawned in [false, true] {
            let mut call = if spawned {
                client.hangs_spawned().start()
            } else {
                client.hangs().start()
            };
            until("it has begun", || !book.began.lock().unwrap().is_empty()).await;
            assert!(poll_once(&mut call).await.is_pending());
            drop(call);
            assert_eq!(book.one().await.2, CallOutcome::Cancelled, "{way:?}");
        }
        joined.idle().await;
    }
}

/// Methods that nobody has come past the interceptors like the others: who may not ask is not told what there is.
#[tokio::test]
async fn methods_that_nobody_has_are_seen_and_refused() {
    /// What callers think of the desk.
    #[mynah::service(name = "desk")]
    trait Wishes {
        async fn nobody(&self);
        async fn secret(&self);
        #[notification]
        async fn nothing(&self);
    }

    #[derive(Clone, Default)]
    struct Guards(Arc<Mutex<Vec<(String, bool)>>>);

    impl Interceptor for Guards {
        fn before(&self, call: &mut InterceptedCall<'_>) -> Before {
            let name = call.method_name().to_string();
            let refused = name.ends_with("secret");
            self.0.lock().unwrap().push((name, call.is_known()));
            if refused {
                return Before::Refuse(RpcError::new(ErrorCode::application(4), "who are you?"));
            }
            Before::Proceed
        }
    }

    for way in Way::ALL {
        let (book, guards) = (Book::default(), Guards::default());
        let mut setup = desk(&book);
        setup.server = setup.server.intercept(guards.clone());
        let joined = setup.join(way).await;
        let wishes: WishesClient = joined.client.client();
        let missing = wishes.nobody().into_future();
        let error = within("missing", missing).await.unwrap_err();
        let (name, kind, outcome, _) = book.one().await;
        let last = |name: &str| name.rsplit('.').next().unwrap().to_owned();
        assert_eq!((last(&name).as_str(), kind), ("nobody", CallKind::Unary));
        assert_eq!(outcome, CallOutcome::Error(ErrorCode::METHOD_NOT_FOUND));
        if way != Way::CborRpc {
            assert_eq!(error.code(), Some(ErrorCode::METHOD_NOT_FOUND), "{way:?}");
        }
        let refused = wishes.secret().into_future();
        within("refused", refused).await.unwrap_err();
        let outcome = book.one().await.2;
        assert_eq!(
            outcome,
            CallOutcome::Error(ErrorCode::application(4)),
            "{way:?}"
        );
        wishes.nothing().await.unwrap();
        let (name, kind, ..) = book.one().await;
        assert_eq!(
            (last(&name).as_str(), kind),
            ("nothing", CallKind::Notification),
            "{way:?}"
        );
        joined.client.client::<DeskClient>().left().await.unwrap();
        let seen = guards.0.lock().unwrap().clone();
        let known: Vec<_> = seen.iter().map(|(_, known)| *known).collect();
        assert_eq!(known, [false, false, false, true], "{way:?}: {seen:?}");
        joined.idle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_is_told_as_one() {
    for way in Way::TIMED {
        let book = Book::default();
        let joined = desk(&book).join(way).await;
        let client: DeskClient = joined.client.client();
        let error = client.hangs().deadline(Duration::from_secs(1)).await;
        assert!(matches!(error, Err(CallError::Deadline)), "{error:?}");
        until("it is told", || !book.ended.lock().unwrap().is_empty()).await;
        let outcome = book.take().remove(0).2;
        // The caller's cancel and the callee's own clock cross.
        assert!(
            matches!(outcome, CallOutcome::Deadline | CallOutcome::Cancelled),
            "{way:?}: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn streams_and_callbacks_are_seen_on_both_sides() {
    for way in STREAMS {
        let (server, client_side, calls) = (Book::default(), Book::default(), Book::default());
        let flow = MyFlow::new();
        let mut setup = Setup::new(flow.service());
        setup.server = setup.server.intercept(server.clone());
        setup.client = setup.client.intercept(client_side.clone());
        let joined = setup.join(way).await;
        let client: FlowClient = joined.client.with_interceptor(calls.clone()).client();

        assert_eq!(client.count(5).start().count().await, 5);
        for book in [&server, &calls] {
            let (_, kind, outcome, items) = book.one().await;
            assert_eq!(
                (kind, outcome, items),
                (CallKind::Stream, CallOutcome::Ok, 5),
                "{way:?}"
            );
        }
        let mut hangs = client.hang(2).start();
        assert_eq!(hangs.next().await.unwrap().unwrap(), 0);
        assert_eq!(hangs.next().await.unwrap().unwrap(), 1);
        drop(hangs);
        for book in [&server, &calls] {
            let (_, kind, outcome, items) = book.one().await;
            assert_eq!(
                (kind, outcome, items),
                (CallKind::Stream, CallOutcome::Cancelled, 2),
                "{way:?}"
            );
        }
        let broken: Vec<_> = client.squares(9, Some(3)).start().collect().await;
        assert_eq!(broken.len(), 4);
        for book in [&server, &calls] {
            let (_, _, outcome, items) = book.one().await;
            assert!(
                matches!(outcome, CallOutcome::Error(_)),
                "{way:?}: {outcome:?}"
            );
            assert_eq!(items, 3, "{way:?}");
        }
        let mut panics = client.panics(1, false).start();
        while let Some(Ok(_)) = panics.next().await {}
        drop(panics);
        assert_eq!(server.one().await.2, CallOutcome::Panicked, "{way:?}");
        calls.one().await;

        assert_eq!(client.sum(stream::iter([1, 2, 3])).await.unwrap(), 6);
        assert_eq!(server.one().await.2, CallOutcome::Ok);
        assert_eq!(calls.one().await.2, CallOutcome::Ok);

        assert_eq!(client.tell(2, |_number| {}).await.unwrap(), 2);
        client
            .ask(1, async |number| Ok(i64::try_from(number).unwrap()))
            .await
            .unwrap();
        until("callbacks are told", || {
            client_side.ended.lock().unwrap().len() == 3
        })
        .await;
        for (name, kind, outcome, _) in client_side.take() {
            assert!(name.starts_with("$callback."), "{name}");
            assert_eq!(
                (kind, outcome),
                (CallKind::Callback, CallOutcome::Ok),
                "{way:?}"
            );
        }
        joined.idle().await;
    }
}

#[tokio::test]
async fn subscriptions_are_seen_and_refused() {
    struct Refuses;
    impl Interceptor for Refuses {
        fn before(&self, call: &mut InterceptedCall<'_>) -> Before {
            match call.kind() {
                CallKind::Subscription => {
                    Before::Refuse(RpcError::new(ErrorCode::application(3), "not you"))
                }
                _ => Before::Proceed,
            }
        }
    }
    for way in STREAMS {
        let (server, calls) = (Book::default(), Book::default());
        let events = Events::new();
        let setup = Setup {
            server: Router::new()
                .with_events(events.clone())
                .intercept(server.clone()),
            capacity: 64,
            ..Setup::default()
        };
        let joined = setup.join(way).await;
        let peer = joined.client.with_interceptor(calls.clone());
        let mut news = peer.subscribe::<u64>("news").await.unwrap();
        events.publish("news", &5u64).await.unwrap();
        assert_eq!(within("news", news.next()).await.unwrap().unwrap(), 5);
        drop(news);
        for book in [&server, &calls] {
            let (name, kind, outcome, items) = book.one().await;
            assert_eq!(name, "$events.subscribe");
            assert_eq!(
                (kind, outcome, items),
                (CallKind::Subscription, CallOutcome::Cancelled, 1),
                "{way:?}"
            );
        }
        let refused = joined
            .client
            .with_interceptor(Refuses)
            .subscribe::<u64>("news")
            .await;
        let error = refused.unwrap_err();
        assert!(
            matches!(&error, CallError::Application(error) if error.code() == ErrorCode::application(3)),
            "{error:?}"
        );
        let setup = Setup {
            server: Router::new().intercept(Refuses),
            capacity: 64,
            ..Setup::default()
        };
        let joined = setup.join(way).await;
        joined.client.subscribe::<u64>("news").await.unwrap_err();
    }
}

#[tokio::test]
async fn a_caller_that_is_no_peer_can_have_one() {
    for way in Way::ALL {
        let (outer, inner) = (Book::default(), Book::default());
        let joined = desk(&Book::default()).join(way).await;
        let peer = joined.client.with_interceptor(inner.clone());
        let client = DeskClient::from_caller(Intercepted::new(peer, outer.clone()));
        client.left().await.unwrap();
        client.note().await.unwrap();
        assert_eq!(outer.take().len(), 2, "{way:?}");
        assert_eq!(inner.take().len(), 2, "{way:?}");
    }
}

/// The trace travels to the handler, and on to what it calls.
#[tokio::test]
async fn a_trace_goes_on_through_nested_calls_without_a_subscriber() {
    #[derive(Clone, Default)]
    struct Traces(Arc<Mutex<Vec<Option<TraceContext>>>>);
    impl Interceptor for Traces {
        fn before(&self, call: &mut InterceptedCall<'_>) -> Before {
            self.0.lock().unwrap().push(call.trace().cloned());
            Before::Proceed
        }
    }
    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for way in Way::NATIVE.into_iter().chain([Way::InProcess]) {
        let (server, client_side) = (Traces::default(), Traces::default());
        let setup = Setup {
            server: Router::new()
                .register(DeskService::new(MyDesk::default()))
                .intercept(server.clone()),
            client: Router::new()
                .register(NearService::new(MyNear))
                .intercept(client_side.clone()),
            capacity: 64,
            ..Setup::default()
        };
        let joined = setup.join(way).await;
        let client: DeskClient = joined.client.client();
        let echo = client
            .echo()
            .metadata("traceparent", PARENT)
            .metadata("tracestate", "a=b");
        assert_eq!(echo.await.unwrap(), 7, "{way:?}");
        for traces in [&server, &client_side] {
            let mut seen = std::mem::take(&mut *traces.0.lock().unwrap());
            let trace = seen.remove(0).expect("a trace");
            assert_eq!(trace.traceparent(), PARENT, "{way:?}");
            assert_eq!(trace.state(), Some("a=b"));
        }
        client.echo().await.unwrap();
        assert_eq!(server.0.lock().unwrap().pop(), Some(None));
        assert_eq!(client_side.0.lock().unwrap().pop(), Some(None));
        joined.idle().await;
    }
}
