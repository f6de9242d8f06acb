//! A contract that is served by closures and functions, and called by its typed client over every way.

use crate::support::{Setup, Way};
use futures::{StreamExt as _, stream};
use mynah::prelude::*;
use mynah::{CallError, Evidence, MethodKind, Router, ServerState, State};
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, PartialEq, mynah::DomainError)]
enum KitchenError {
    #[error(code = 7, message = "out of {what}")]
    OutOf { what: String },
}

#[mynah::service]
trait Kitchen {
    async fn add(&self, a: i64, b: i64) -> Result<i64, KitchenError>;
    async fn nothing(&self);
    async fn plain(&self, name: String) -> String;
    async fn fails(&self, what: String) -> Result<(), KitchenError>;
    async fn slow(&self, number: u64) -> u64;
    async fn seen(&self) -> u64;
    async fn borrowed(&self, a: i64, b: i64) -> i64;
    async fn alone(&self) -> bool;
    #[notification]
    async fn touch(&self, key: String);
}

#[mynah::service(name = "kitchen")]
trait Streams {
    fn squares(&self, up_to: u64) -> impl Stream<Item = u64> + Send;
    fn checked(&self, up_to: u64) -> impl Stream<Item = Result<u64, KitchenError>> + Send;
    fn opened(&self, up_to: u64) -> impl Stream<Item = Result<u64, KitchenError>> + Send;
    async fn sum(&self, values: Incoming<u64>) -> u64;
    async fn watch(&self, count: u64, seen: Callback<u64>) -> u64;
    async fn ask(&self, asked: Callback<u64, u64>) -> u64;
    fn doubled(&self, values: Incoming<u64>) -> impl Stream<Item = u64> + Send;
}

#[derive(Default)]
struct Seen(AtomicU64);

async fn borrowed(cx: &Context, (a, b): (i64, i64)) -> i64 {
    tokio::task::yield_now().await;
    assert!(!cx.is_cancelled());
    a * b
}

async fn alone(cx: &Context) -> bool {
    tokio::task::yield_now().await;
    cx.is_cancelled()
}

fn out_of(what: String) -> KitchenError {
    KitchenError::OutOf { what }
}

fn kitchen() -> Router {
    Router::new()
        .state(Seen::default())
        // Async, with its context.
        .method(
            "kitchen.add",
            |_cx: Context, (a, b): (i64, i64)| async move {
                a.checked_add(b).ok_or_else(|| out_of("digits".to_owned()))
            },
        )
        // Without params, without a result.
        .method("kitchen.nothing", || ())
        // Plain, without a context.
        .method("kitchen.plain", |(name,): (String,)| {
            format!("hello {name}")
        })
        .method("kitchen.fails", |(what,): (String,)| {
            Err::<(), _>(out_of(what))
        })
        // Not ready at its first poll.
        .method(
            "kitchen.slow",
            |cx: Context, (number,): (u64,)| async move {
                tokio::task::yield_now().await;
                assert!(cx.remaining().is_none_or(|left| !left.is_zero()));
                number + 1
            },
        )
        .method("kitchen.seen", |seen: ServerState<Seen>| {
            seen.0.0.load(Ordering::Relaxed)
        })
        .notification(
            "kitchen.touch",
            |_: Context, seen: ServerState<Seen>, (key,): (String,)| async move {
                seen.0.0.fetch_add(key.len() as u64, Ordering::Relaxed);
            },
        )
        .method("kitchen.borrowed", borrowed)
        .method("kitchen.alone", alone)
        .method("kitchen.squares", |(up_to,): (u64,)| {
            stream::iter(0..up_to).map(|number| number * number)
        })
        .method("kitchen.checked", |_cx: Context, (up_to,): (u64,)| {
            stream::iter(0..=up_to).map(move |number| {
                (number < up_to)
                    .then_some(number)
                    .ok_or_else(|| out_of("numbers".to_owned()))
            })
        })
        .method("kitchen.opened", |(up_to,): (u64,)| async move {
            tokio::task::yield_now().await;
            if up_to == 0 {
                return Err(out_of("streams".to_owned()));
            }
            Ok(stream::iter(0..up_to).map(Ok))
        })
        .method("kitchen.sum", |(values,): (Incoming<u64>,)| async move {
            values
                .fold(0, async |sum, value| sum + value.unwrap())
                .await
        })
        .method(
            "kitchen.watch",
            |_: Context, (count, seen): (u64, Callback<u64>)| async move {
                for number in 0..count {
                    seen.send(number).await.unwrap();
                }
                count
            },
        )
        .method(
            "kitchen.ask",
            |(asked,): (Callback<u64, u64>,)| async move { asked.call(20).await.unwrap() + 1 },
        )
        .method("kitchen.doubled", |(values,): (Incoming<u64>,)| {
            values.map(|value| value.unwrap() * 2)
        })
}

#[tokio::test]
async fn every_shape_of_handler_answers_the_typed_client() {
    for way in Way::ALL {
        let setup = Setup::of(kitchen());
        let joined = setup.join(way).await;
        let client: KitchenClient = joined.client.client();
        assert_eq!(client.add(2, 3).await.unwrap(), 5, "{way:?}");
        client.nothing().await.unwrap();
        assert_eq!(client.plain("Ann".to_owned()).await.unwrap(), "hello Ann");
        assert_eq!(client.slow(4).await.unwrap(), 5, "{way:?}");
        assert_eq!(client.borrowed(4, 5).await.unwrap(), 20, "{way:?}");
        assert!(!client.alone().await.unwrap(), "{way:?}");
        match client.fails("eggs".to_owned()).await.unwrap_err() {
            CallError::Application(error) => assert_eq!(error, out_of("eggs".to_owned())),
            // This wire has no codes.
            CallError::Remote(_) => assert_eq!(way, Way::CborRpc),
            other => panic!("{way:?}: {other:?}"),
        }
        if way != Way::CborRpc {
            let error = client.add(i64::MAX, 1).await.unwrap_err();
            assert!(matches!(
                error,
                CallError::Application(KitchenError::OutOf { .. })
            ));
        }
        client.touch("four".to_owned()).await.unwrap();
        let mut seen = client.seen().await.unwrap();
        while seen != 4 {
            tokio::task::yield_now().await;
            seen = client.seen().await.unwrap();
        }
        joined.idle().await;
    }
}

#[tokio::test]
async fn streams_and_callbacks_are_parts_of_the_params() {
    for way in Way::NATIVE.into_iter().chain([Way::InProcess]) {
        let setup = Setup::of(kitchen());
        let joined = setup.join(way).await;
        let client: StreamsClient = joined.client.client();
        let squares: Vec<_> = client
            .squares(4)
            .start()
            .map(Result::unwrap)
            .collect()
            .await;
        assert_eq!(squares, [0, 1, 4, 9], "{way:?}");

        let mut checked = client.checked(2).start();
        assert_eq!(checked.next().await.unwrap().unwrap(), 0);
        assert_eq!(checked.next().await.unwrap().unwrap(), 1);
        let error = checked.next().await.unwrap().unwrap_err();
        assert!(
            matches!(&error, CallError::Application(error) if *error == out_of("numbers".to_owned())),
            "{way:?}: {error:?}"
        );

        let opened: Vec<_> = client.opened(3).start().map(Result::unwrap).collect().await;
        assert_eq!(opened, [0, 1, 2], "{way:?}");
        let error = client.opened(0).start().next().await.unwrap().unwrap_err();
        assert!(
            matches!(&error, CallError::Application(error) if *error == out_of("streams".to_owned())),
            "{way:?}: {error:?}"
        );

        assert_eq!(
            client.sum(stream::iter([1, 2, 3])).await.unwrap(),
            6,
            "{way:?}"
        );
        let (told, mut heard) = tokio::sync::mpsc::channel(8);
        let told = move |number| told.try_send(number).unwrap();
        assert_eq!(client.watch(3, told).await.unwrap(), 3, "{way:?}");
        for number in 0..3 {
            assert_eq!(heard.try_recv(), Ok(number), "{way:?}");
        }
        let asked = |number: u64| async move { Ok(number * 2) };
        assert_eq!(client.ask(asked).await.unwrap(), 41, "{way:?}");
        let doubled = client.doubled(stream::iter([1, 2])).start();
        let doubled: Vec<_> = doubled.map(Result::unwrap).collect().await;
        assert_eq!(doubled, [2, 4], "{way:?}");
        joined.idle().await;
    }
}

#[test]
fn a_router_lists_its_methods() {
    let methods = kitchen().methods();
    let kinds = |kind| methods.iter().filter(|entry| entry.kind == kind).count();
    assert_eq!(methods.len(), 16);
    assert_eq!(kinds(MethodKind::Stream), 4);
    assert_eq!(kinds(MethodKind::Notification), 1);
    assert_eq!(methods[0].name.to_string(), "kitchen.add");
    assert!(methods.iter().all(|entry| entry.removable));
}

#[tokio::test]
async fn what_a_handler_takes_of_its_call_is_that_of_the_context() {
    #[derive(Default)]
    struct Counter(AtomicU64);

    /// A caller of one's own kind.
    struct Caller(String);

    impl mynah::FromContext for Caller {
        fn from_context(cx: &Context) -> Result<Self, RpcError> {
            match cx.metadata().value("caller") {
                Some(name) => Ok(Self(name.to_owned())),
                None => Err(RpcError::new(ErrorCode::application(9), "who calls?")),
            }
        }
    }

    #[mynah::service]
    trait Taken {
        async fn count(&self) -> u64;
        async fn transport(&self) -> String;
        async fn who(&self) -> String;
    }

    for way in [Way::Duplex, Way::InProcess] {
        let setup = Setup::of(
            Router::new()
                .method("taken.count", |counter: State<Counter>| {
                    counter.0.0.fetch_add(1, Ordering::Relaxed) + 1
                })
                .method("taken.transport", |evidence: Evidence, _peer: Peer| {
                    evidence.to_string()
                })
                .method(
                    "taken.who",
                    |_: Context, caller: Caller| async move { caller.0 },
                ),
        );
        let joined = setup.join(way).await;
        let client: TakenClient = joined.client.client();
        assert_eq!(client.count().await.unwrap(), 1, "{way:?}");
        assert_eq!(client.count().await.unwrap(), 2, "{way:?}");
        client.transport().await.unwrap();
        assert_eq!(client.who().metadata("caller", "Ann").await.unwrap(), "Ann");
        let error = client.who().await.unwrap_err();
        assert_eq!(
            error.code(),
            Some(ErrorCode::application(9)),
            "{way:?}: {error:?}"
        );
    }
}
