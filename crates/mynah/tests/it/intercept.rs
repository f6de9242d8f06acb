//! Interceptors on both sides: every kind of call, what they add, refuse, wait for, and how they hear of the end.

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

/// Adds a value, and an entry of metadata.
struct Adds {
    waits: bool,
}

impl Interceptor for Adds {
    fn before(&self, call: &mut InterceptedCall<'_>) -> Before {
        assert_eq!(call.side(), CallSide::Server);
        let transport = call.evidence().unwrap().text(EvidenceKey::TRANSPORT);
        assert!(matches!(transport, None | Some("tcp" | "unix" | "memory")));
        if self.waits {
            return Before::wait(async {
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                }
                Ok(Admission::new()
                    .extension(Number(42))
                    .metadata("desk", "left"))
            });
        }
        call.insert(Number(42));
        call.metadata_mut().insert("desk", "left");
        Before::Proceed
    }

    fn after(&self, call: &FinishedCall<'_>) {
        assert_eq!(call.extension::<Number>().unwrap().0, 42);
    }
}

#[tokio::test]
async fn what_it_adds_at_once_or_later_reaches_the_handler() {
    for way in Way::ALL {
        for waits in [false, true] {
            let router = Router::new()
                .register(DeskService::new(MyDesk::default()))
                .intercept(Adds { waits });
            let setup = Setup {
                server: router,
                capacity: 64,
                ..Setup::default()
            };
            let joined = setup.join(way).await;
            let client: DeskClient = joined.client.client();
            let (number, entry) = within("left", client.left().into_future()).await.unwrap();
            assert_eq!(number, Some(42), "{way:?} {waits}");
            assert_eq!(entry.as_deref(), Some("left"));
            assert_eq!(
                client.left().start().await.unwrap().0,
                Some(42),
                "{way:?} {waits}"
            );
            assert_eq!(client.blocks().await.unwrap(), Some(42));
            assert_eq!(client.spawned().await.unwrap(), Some(42));
            client.note().await.unwrap();
            joined.idle().await;
        }
    }
    for way in STREAMS {
        let flow = MyFlow::new();
        let mut setup = Setup::new(flow.service());
        setup.server = setup.server.intercept(Adds { waits: true });
        let joined = setup.join(way).await;
        let client: FlowClient = joined.client.client();
        assert_eq!(within("items", client.count(5).start().count()).await, 5);
        joined.idle().await;
    }
}

/// Refuses, waits for ever, or panics.
#[derive(Clone, Copy, Debug)]
enum Hostile {
    Refuses,
    RefusesLater,
    Busy,
    Waits,
    Panics,
    PanicsLater,
    PanicsAfter,
}

impl Interceptor for Hostile {
    fn before(&self, _call: &mut InterceptedCall<'_>) -> Before {
        let no = || RpcError::new(ErrorCode::application(4), "no");
        match self {
            Self::Refuses => Before::Refuse(no()),
            Self::RefusesLater => Before::wait(async move {
                tokio::task::yield_now().await;
                Err(no())
            }),
            Self::Busy => Before::Refuse(RpcError::from_code(ErrorCode::BUSY)),
            Self::Waits => Before::wait(std::future::pending()),
            Self::Panics => panic!("interceptor, on purpose"),
            Self::PanicsLater => Before::wait(async { panic!("interceptor, on purpose") }),
            Self::PanicsAfter => Before::Proceed,
        }
    }

    fn after(&self, _call: &FinishedCall<'_>) {
        panic!("interceptor, on purpose");
    }
}

#[tokio::test]
async fn refusals_and_panics_are_answers_like_those_of_handlers() {
    for way in Way::ALL {
        for on_client in [false, true] {
            for hostile in [
                Hostile::Refuses,
                Hostile::RefusesLater,
                Hostile::Busy,
                Hostile::Panics,
                Hostile::PanicsLater,
                Hostile::PanicsAfter,
            ] {
                let book = Book::default();
                let mut setup = desk(&book);
                if !on_client {
                    setup.server = setup.server.intercept(hostile);
                }
                let joined = setup.join(way).await;
                let mut peer = joined.client.clone();
                if on_client {
                    peer = peer
                        .with_interceptor(book.clone())
                        .with_interceptor(hostile);
                }
                let client: DeskClient = peer.client();
                for started in [false, true] {
                    let call = client.fails();
                    let result = if started {
                        call.start().await
                    } else {
                        call.await
                    };
                    let error = result.unwrap_err();
                    // cbor-rpc has no codes.
                    let from_peer = !on_client || matches!(hostile, Hostile::PanicsAfter);
                    let coded = way != Way::CborRpc || !from_peer;
                    let right = !coded
                        || match hostile {
                            Hostile::Refuses | Hostile::RefusesLater => {
                                matches!(&error, CallError::Application(error) if error.code() == ErrorCode::application(4))
                            }
                            Hostile::Busy => matches!(&error, CallError::Busy { .. }),
                            Hostile::Panics | Hostile::PanicsLater => {
                                matches!(&error, CallError::Application(error) if error.code() == ErrorCode::INTERNAL)
                            }
                            _ => {
                                matches!(&error, CallError::Application(error) if error.code() == ErrorCode::application(9))
                            }
                        };
                    assert!(right, "{way:?} {hostile:?} {on_client}: {error:?}");
                }
                // Those that came before it heard of the end.
                let passes = matches!(hostile, Hostile::PanicsAfter);
                let expected = if on_client && passes { 4 } else { 2 };
                until("told", || book.ended.lock().unwrap().len() == expected).await;
                let _all = book.take();
                joined.idle().await;
            }
        }
    }
}

#[tokio::test]
async fn a_call_that_waits_for_an_interceptor_can_be_dropped_and_has_a_deadline() {
    for way in Way::ALL {
        for on_client in [false, true] {
            let book = Book::default();
            let mut setup = desk(&book);
            if !on_client {
                setup.server = setup.server.intercept(Hostile::Waits);
            }
            let joined = setup.join(way).await;
            let mut peer = joined.client.clone();
            if on_client {
                peer = peer
                    .with_interceptor(book.clone())
                    .with_interceptor(Hostile::Waits);
            }
            let client: DeskClient = peer.client();
            let mut call = client.hangs().into_future();
            assert!(poll_once(&mut call).await.is_pending());
            until("it waits", || !book.began.lock().unwrap().is_empty()).await;
            drop(call);
            assert_eq!(
                book.one().await.2,
                CallOutcome::Cancelled,
                "{way:?} {on_client}"
            );
            let late = client.hangs().deadline(Duration::from_millis(5));
            let error = within("deadline", late.into_future()).await.unwrap_err();
            assert!(
                matches!(error, CallError::Deadline),
                "{way:?} {on_client}: {error:?}"
            );
            until("told", || !book.ended.lock().unwrap().is_empty()).await;
            book.take();
            joined.idle().await;
        }
    }
}

#[tokio::test]
async fn what_stops_a_call_drops_its_handler() {
    struct Stops;
    impl Interceptor for Stops {
        fn before(&self, _call: &mut InterceptedCall<'_>) -> Before {
            Before::wait(async {
                let stop = async {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    RpcError::from_code(ErrorCode::DEADLINE_EXCEEDED)
                };
                Ok(Admission::new().stop_when(stop))
            })
        }
    }
    for way in Way::ALL {
        for on_client in [false, true] {
            let my = MyDesk::default();
            let mut setup = Setup::new(DeskService::new(my.clone()));
            if !on_client {
                setup.server = setup.server.intercept(Stops);
            }
            let joined = setup.join(way).await;
            let mut peer = joined.client.clone();
            if on_client {
                peer = peer.with_interceptor(Stops);
            }
            let client: DeskClient = peer.client();
            for spawned in [false, true] {
                let call = if spawned {
                    client.hangs_spawned()
                } else {
                    client.hangs()
                };
                let error = within("stop", call.into_future()).await.unwrap_err();
                let right = matches!(error, CallError::Deadline) || way == Way::CborRpc;
                assert!(right, "{way:?} {on_client} {spawned}: {error:?}");
                until("the handler is dropped", || my.0.alive() == 0).await;
            }
            joined.idle().await;
        }
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
