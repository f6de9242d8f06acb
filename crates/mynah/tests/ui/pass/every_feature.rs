//! Every feature of the macros, in a program that forbids what it can.
#![deny(
    warnings,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unused_qualifications,
    elided_lifetimes_in_paths,
    unused_lifetimes,
    trivial_numeric_casts,
    unnameable_types
)]
#![allow(
    clippy::all,
    clippy::pedantic,
    clippy::nursery,
    clippy::restriction,
    reason = "odd shapes are the point; what the macros make has lints of its own"
)]

use futures::StreamExt as _;
use mynah::prelude::*;
use mynah::{DomainError as _, Service as _, ServiceClient as _, Value};
use std::borrow::Cow;
use std::sync::Arc;

/// An error with all shapes of variants.
#[derive(Clone, Debug, PartialEq, mynah::DomainError)]
pub enum ArithError {
    /// Without a text of its own.
    #[error(code = 1)]
    DivisionByZero,
    /// With named fields, one of them a keyword; not all are shown.
    #[error(code = 2, message = "{value:>3} is not in {{{type}}}")]
    OutOfRange {
        /// What was given.
        value: i64,
        /// Where it should be.
        r#type: String,
        /// May be missing.
        hint: Option<String>,
    },
    /// With fields without names.
    #[error(code = -3, message = "{1:?} before {0}")]
    Pair(u8, Option<String>),
    /// With nothing in braces.
    #[error(code = 4)]
    Braces {},
    /// With nothing in parentheses.
    #[error(code = 5)]
    Parentheses(),
}

/// An error whose texts are its own.
#[derive(Clone, Debug, PartialEq, mynah::DomainError)]
#[domain(no_display)]
pub enum OwnTexts {
    /// A variant.
    #[domain(code = 10)]
    One,
}

impl std::fmt::Display for OwnTexts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("one")
    }
}

mod model {
    /// A type of the user's own that is called like ours.
    #[derive(Debug, serde::Serialize, serde::Deserialize)]
    pub(crate) struct Context {
        pub(crate) depth: u32,
    }
}

/// What is all of the params of a method.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct Whole {
    /// May be missing.
    #[serde(default)]
    pub depth: u32,
}

/// What is not at hand as a literal.
const STEP: i8 = -1;

/// A service whose methods have no service before their names, and whose params may be absent.
#[mynah::service(name = "", rename_all = "camelCase", rename_all_params = "camelCase")]
pub trait Loose {
    /// With defaults of all kinds.
    async fn greet_all(
        &self,
        cx: &Context,
        #[default = "world"] first_name: String,
        title: Option<String>,
        #[default] times: u8,
        #[default = -3] step: i8,
        #[default = STEP] other: i8,
        #[default = vec![1, 2]] list: Vec<u8>,
        #[default = "owned"] text: Box<str>,
    ) -> Result<String, RpcError>;
    /// With one object.
    async fn whole(&self, #[params] all: Whole) -> u32;
    /// The same as a stream.
    fn steps(&self, #[params] all: Whole) -> impl Stream<Item = u32> + Send;
    /// With a default before what must come.
    async fn late(&self, #[default = 1] a: u8, b: u8) -> u8;
}

/// A service with all kinds of methods.
#[mynah::service]
pub trait Arith {
    /// With a context and a domain error.
    async fn add(&self, cx: &Context, a: i64, b: i64) -> Result<i64, ArithError>;
    /// Without either.
    async fn now(&self) -> u64;
    /// Without a result.
    async fn clear(&self);
    /// With the error that has any code.
    async fn raw(&self, cx: &Context, name: Cow<'static, str>) -> Result<String, RpcError>;
    /// Without an answer.
    #[notification]
    async fn touch(&self, cx: &Context, key: String);
    /// In a task of its own.
    #[spawn]
    async fn slow(&self, cx: &Context, ms: u64) -> Result<(), RpcError>;
    /// The same without an answer.
    #[spawn]
    #[notification]
    async fn slow_touch(&self);
    /// On the pool for blocking work.
    #[blocking]
    fn digest(&self, cx: &Context, data: Vec<u8>) -> Result<u64, OwnTexts>;
    /// The same without a domain error.
    #[blocking]
    fn count(&self, data: Vec<u8>) -> u64;
    /// The same without an answer.
    #[blocking]
    #[notification]
    fn forget(&self, data: Vec<u8>);
    /// With a name of its own on the wire.
    #[method(name = "processId")]
    async fn process_id(&self) -> u32;
    /// With names that are keywords, and names that generated code might use.
    async fn r#move(&self, r#type: u8, inner: u8, routes: u8, caller: u8, cx: u8, p0: u8) -> u8;
    /// Old, and served all the same.
    #[deprecated]
    async fn old(&self, #[allow(unused)] a: u8) -> Option<u8>;
}

#[derive(Debug)]
struct MyArith;

impl Arith for MyArith {
    async fn add(&self, _cx: &Context, a: i64, b: i64) -> Result<i64, ArithError> {
        a.checked_add(b).ok_or(ArithError::Pair(2, None))
    }

    async fn now(&self) -> u64 {
        7
    }

    async fn clear(&self) {}

    async fn raw(&self, _cx: &Context, name: Cow<'static, str>) -> Result<String, RpcError> {
        Err(RpcError::new(ErrorCode::application(77), name))
    }

    async fn touch(&self, _cx: &Context, _key: String) {}

    // An implementor may write the future out.
    fn slow(&self, _cx: &Context, _ms: u64) -> impl Future<Output = Result<(), RpcError>> + Send {
        std::future::ready(Ok(()))
    }

    async fn slow_touch(&self) {}

    fn digest(&self, _cx: &Context, data: Vec<u8>) -> Result<u64, OwnTexts> {
        if data.is_empty() {
            Err(OwnTexts::One)
        } else {
            Ok(data.len() as u64)
        }
    }

    fn count(&self, data: Vec<u8>) -> u64 {
        data.len() as u64
    }

    fn forget(&self, _data: Vec<u8>) {}

    async fn process_id(&self) -> u32 {
        4
    }

    async fn r#move(&self, r#type: u8, inner: u8, routes: u8, caller: u8, cx: u8, p0: u8) -> u8 {
        r#type + inner + routes + caller + cx + p0
    }

    async fn old(&self, a: u8) -> Option<u8> {
        Some(a)
    }
}

/// Visible in this file only, with a name of its own; only its client is used.
#[mynah::service(name = "kv")]
trait KeyStore {
    async fn get(&self, key: String, context: model::Context) -> Option<String>;
}

/// Streams, callbacks and events, with names that generated code might use.
#[mynah::service]
pub trait Flow {
    /// A stream that borrows from the service and from the context.
    fn squares(
        &self,
        cx: &Context,
        up_to: u64,
    ) -> impl Stream<Item = Result<u64, ArithError>> + Send;
    /// Without a domain error, and `Send` left out.
    fn numbers(&self, sink: u64, inner: u64) -> impl Stream<Item = u64>;
    /// With a stream of the caller.
    #[spawn]
    async fn sum(&self, start: i64, data: Incoming<i64>) -> Result<i64, ArithError>;
    /// Both ways.
    fn doubled(&self, data: Incoming<u64>) -> impl Stream<Item = u64> + Send;
    /// With callbacks of both kinds.
    async fn job(
        &self,
        cx: &Context,
        told: Callback<(u64, String)>,
        a0: Callback<u64, mynah::NoReply>,
        asked: Callback<String, u64>,
        more: Callback<u64, Vec<u64>>,
    ) -> u64;
    /// May be called again.
    #[idempotent]
    #[method(name = "getAgain")]
    async fn get(&self, key: String) -> u64;
    /// A number changed.
    #[event]
    fn changed(number: u64);
    #[event(lag = "latest")]
    #[method(name = "lastValue")]
    fn r#type(events: Vec<u64>);
    /// Old, and published all the same.
    #[deprecated]
    #[event(lag = "drop-newest", capacity = 8)]
    fn old(cx: String);
    #[event(capacity = 7)]
    fn callback(number: model::Context);
}

#[derive(Debug)]
struct MyFlow {
    start: u64,
}

impl Flow for MyFlow {
    fn squares(
        &self,
        cx: &Context,
        up_to: u64,
    ) -> impl Stream<Item = Result<u64, ArithError>> + Send {
        futures::stream::iter(self.start..up_to).map(move |number| {
            if cx.is_cancelled() {
                Err(ArithError::Braces {})
            } else {
                Ok(number * number)
            }
        })
    }

    fn numbers(&self, sink: u64, inner: u64) -> impl Stream<Item = u64> {
        futures::stream::iter([sink, inner, self.start])
    }

    async fn sum(&self, start: i64, mut data: Incoming<i64>) -> Result<i64, ArithError> {
        let mut sum = start;
        while let Some(item) = data.next().await {
            sum += item.map_err(|_| ArithError::Parentheses())?;
        }
        Ok(sum)
    }

    fn doubled(&self, data: Incoming<u64>) -> impl Stream<Item = u64> + Send {
        data.filter_map(async |item| item.ok().map(|item| item * 2))
    }

    async fn job(
        &self,
        _cx: &Context,
        told: Callback<(u64, String)>,
        a0: Callback<u64, mynah::NoReply>,
        asked: Callback<String, u64>,
        more: Callback<u64, Vec<u64>>,
    ) -> u64 {
        told.send((1, "one".to_owned())).await.expect("told");
        a0.send(2).await.expect("a0");
        let asked = asked.call("three".to_owned()).await.expect("asked");
        let more = more.call(4).await.expect("more");
        asked + more.iter().sum::<u64>()
    }

    async fn get(&self, key: String) -> u64 {
        key.len() as u64
    }
}

/// In a module, and without methods.
mod nested {
    #[mynah::service]
    pub(super) trait Empty {}

    #[mynah::service]
    pub(crate) trait OnlyEvents {
        #[event]
        fn happened(what: String);
    }

    #[mynah::service]
    #[cfg(any())]
    pub(crate) trait Absent {
        async fn get(&self) -> NoSuchType;
    }
}

#[derive(Debug)]
struct Nothing;

impl nested::Empty for Nothing {}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    names();
    domain_errors();
    calls().await;
    flows().await;

    // A trait in a function.
    #[mynah::service]
    trait Local {
        async fn twice(&self, a: u8) -> u8;
    }
    #[derive(Debug)]
    struct MyLocal;
    impl Local for MyLocal {
        async fn twice(&self, a: u8) -> u8 {
            a * 2
        }
    }
    let _ = LocalService::new(MyLocal);
    let _ = |client: &LocalClient| client.twice(2);
}

async fn calls() {
    let server = Server::new()
        .register(ArithService::new(MyArith))
        .listen("tcp://127.0.0.1:0")
        .start()
        .await
        .expect("a server");
    let arith: ArithClient = mynah::connect(server.address())
        .await
        .expect("a connection")
        .client();
    assert_eq!(arith.add(2, 3).await.expect("add"), 5);
    let error = arith.add(i64::MAX, 1).await.expect_err("add");
    assert!(
        matches!(error, CallError::Application(ArithError::Pair(2, None))),
        "{error}"
    );
    assert_eq!(arith.now().await.expect("now"), 7);
    arith.clear().await.expect("clear");
    let error = arith.raw("a".into()).await.expect_err("raw");
    assert!(matches!(error, CallError::Application(_)), "{error}");
    arith.touch("a".to_owned()).await.expect("touch");
    arith.slow(1).await.expect("slow");
    arith.slow_touch().await.expect("slow_touch");
    let error = arith.digest(Vec::new()).await.expect_err("digest");
    assert!(
        matches!(error, CallError::Application(OwnTexts::One)),
        "{error}"
    );
    assert_eq!(arith.digest(vec![1]).await.expect("digest"), 1);
    assert_eq!(arith.count(vec![1, 2]).await.expect("count"), 2);
    arith.forget(vec![1]).await.expect("forget");
    assert_eq!(arith.process_id().await.expect("processId"), 4);
    assert_eq!(arith.r#move(1, 2, 3, 4, 5, 6).await.expect("move"), 21);
}

async fn flows() {
    let server = Server::new()
        .register(FlowService::new(MyFlow { start: 1 }))
        .listen("tcp://127.0.0.1:0")
        .start()
        .await
        .expect("a server");
    let peer = mynah::connect(server.address())
        .await
        .expect("a connection");
    let flow: FlowClient = peer.client();
    let squares: Vec<u64> = flow
        .squares(4)
        .start()
        .map(|item| item.expect("item"))
        .collect()
        .await;
    assert_eq!(squares, [1, 4, 9]);
    let numbers = flow.numbers(7, 8).start();
    assert_eq!(
        numbers
            .map(|item| item.expect("item"))
            .collect::<Vec<_>>()
            .await,
        [7, 8, 1]
    );
    assert_eq!(
        flow.sum(1, futures::stream::iter([2, 3]))
            .await
            .expect("sum"),
        6
    );
    let doubled = flow.doubled(futures::stream::iter([2, 3])).start();
    assert_eq!(
        doubled
            .map(|item| item.expect("item"))
            .collect::<Vec<_>>()
            .await,
        [4, 6]
    );
    let said = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (hears, too) = (Arc::clone(&said), Arc::clone(&said));
    let job = flow.job(
        move |(number, text)| hears.lock().expect("lock").push(format!("{number} {text}")),
        move |number| too.lock().expect("lock").push(number.to_string()),
        async |text| Ok(text.len() as u64),
        |number| std::future::ready(Ok(vec![number; 2])),
    );
    assert_eq!(job.await.expect("job"), 13);
    assert_eq!(*said.lock().expect("lock"), ["1 one", "2"]);
    assert_eq!(flow.get("four".to_owned()).await.expect("get"), 4);

    let events = FlowEvents::new(server.events().clone());
    assert_eq!(FlowEvents::CHANGED, "flow.changed");
    assert_eq!(FlowEvents::TYPE, "flow.lastValue");
    let mut changed = flow.changed().await.expect("a subscription");
    let mut last = flow.r#type().await.expect("a subscription");
    assert_eq!(events.changed(&5).await.expect("published").subscribers, 1);
    events.r#type(&vec![6]).await.expect("published");
    assert_eq!(changed.next().await, Some(Ok(5)));
    assert_eq!(last.next().await, Some(Ok(vec![6])));
    assert_eq!(format!("{:?}", events.clone()), "FlowEvents { .. }");
}

fn names() {
    assert_eq!(ArithService::<MyArith>::NAME, "arith");
    let service = ArithService::new(Arc::new(MyArith));
    assert_eq!(service.clone().name(), "arith");
    assert_eq!(format!("{service:?}"), "ArithService { .. }");
    assert_eq!(nested::EmptyService::new(Nothing).name(), "empty");
    // Types of calls: what the client promises.
    let _ = |client: &KeyStoreClient| client.get("a".to_owned(), model::Context { depth: 1 });
    let _ = |client: &ArithClient| -> mynah::Call<(i64, i64), i64, ArithError, Peer> {
        client.add(1, 2)
    };
    let _ =
        |client: &ArithClient| -> mynah::Notify<(String,), Peer> { client.touch("a".to_owned()) };
    let _ = |client: &ArithClient| client.r#move(1, 2, 3, 4, 5, 6);
    let _ = |peer: Peer| {
        (
            ArithClient::from_caller(peer.clone()),
            ArithClient::new(peer),
        )
    };
    let _ = |client: &FlowClient| -> mynah::StreamCall<(u64,), u64, ArithError, Peer> {
        client.squares(2)
    };
    let _ = |client: &FlowClient| -> mynah::Subscribe<u64, Peer> { client.changed() };
    let _ = |cx: &Context| nested::OnlyEventsEvents::from_context(cx);
    let _ = |client: &nested::OnlyEventsClient| client.happened();
    let _ = |client: ArithClient| {
        (
            client.clone(),
            client.caller().clone(),
            format!("{client:?}"),
        )
    };
}

fn domain_errors() {
    let errors = [
        (ArithError::DivisionByZero, 1, "division by zero"),
        (
            ArithError::OutOfRange {
                value: 4,
                r#type: "u8".to_owned(),
                hint: None,
            },
            2,
            "  4 is not in {u8}",
        ),
        (
            ArithError::Pair(1, Some("a".to_owned())),
            -3,
            "Some(\"a\") before 1",
        ),
        (ArithError::Braces {}, 4, "braces"),
        (ArithError::Parentheses(), 5, "parentheses"),
    ];
    for (error, code, text) in errors {
        assert_eq!(error.to_string(), text);
        let rpc = error.clone().into_rpc();
        assert_eq!(rpc.code().value(), code);
        assert_eq!(rpc.message(), text);
        assert_eq!(ArithError::from_rpc(rpc), Ok(error));
    }

    // A code that is unknown, and data of another shape, come back unchanged.
    let number = |number: u64| Value::from(number);
    for strange in [
        RpcError::new(ErrorCode::application(99), "no such code"),
        RpcError::new(ErrorCode::application(2), "no data"),
        RpcError::new(ErrorCode::application(2), "no map").with_data(number(4)),
        RpcError::new(ErrorCode::application(-3), "short").with_data(Value::Array(vec![number(4)])),
        RpcError::new(ErrorCode::application(-3), "large")
            .with_data(Value::Array(vec![number(256), Value::Null])),
    ] {
        assert_eq!(ArithError::from_rpc(strange.clone()), Err(strange));
    }
    assert_eq!(OwnTexts::One.into_rpc().message(), "one");
    let _ = |error: CallError<ArithError>| error.to_string();
}
