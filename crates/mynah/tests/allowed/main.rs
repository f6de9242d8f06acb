//! What a peer may call where its evidence says so: everything else is refused before its handler, on every wire.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod floods;

use futures::TryStreamExt as _;
use futures::stream;
use mynah::codec::dialect::cbor_rpc::Padding;
use mynah::dialect::{CborRpc, Dialect, JsonRpc, Kollabor, Native};
use mynah::prelude::*;
use mynah::protocol::AllowedMethods;
use mynah::{
    Before, Evidence, EvidenceKey, InterceptedCall, Interceptor, RawCall, Router, ServerHandle,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What may be called.
#[mynah::service]
trait Open {
    async fn add(&self, a: i64, b: i64) -> i64;
    fn count(&self, to: u64) -> impl Stream<Item = u64> + Send;
    async fn tell(&self, told: Callback<u64>) -> u64;
    #[notification]
    async fn note(&self, text: String);
    #[event]
    fn changed(to: u64);
}

/// What may not.
#[mynah::service]
trait Secret {
    async fn reveal(&self) -> String;
    fn leak(&self, to: u64) -> impl Stream<Item = u64> + Send;
    async fn whisper(&self, told: Callback<u64>) -> u64;
    async fn swallow(&self, words: Incoming<u64>) -> u64;
    #[notification]
    async fn poke(&self, text: String);
    #[event]
    fn spilled(what: u64);
}

#[derive(Clone, Default)]
struct Counted {
    open: Arc<AtomicUsize>,
    secret: Arc<AtomicUsize>,
    seen: Arc<AtomicUsize>,
}

impl Counted {
    fn opened(&self) {
        self.open.fetch_add(1, Ordering::SeqCst);
    }

    fn broken(&self) {
        self.secret.fetch_add(1, Ordering::SeqCst);
    }
}

impl Open for Counted {
    async fn add(&self, a: i64, b: i64) -> i64 {
        self.opened();
        a + b
    }

    fn count(&self, to: u64) -> impl Stream<Item = u64> + Send {
        self.opened();
        stream::iter(0..to)
    }

    async fn tell(&self, told: Callback<u64>) -> u64 {
        self.opened();
        for step in 0..3 {
            told.send(step).await.unwrap();
        }
        3
    }

    async fn note(&self, _text: String) {
        self.opened();
    }
}

impl Secret for Counted {
    async fn reveal(&self) -> String {
        self.broken();
        "secret".to_owned()
    }

    fn leak(&self, to: u64) -> impl Stream<Item = u64> + Send {
        self.broken();
        stream::iter(0..to)
    }

    async fn whisper(&self, _told: Callback<u64>) -> u64 {
        self.broken();
        0
    }

    async fn swallow(&self, _words: Incoming<u64>) -> u64 {
        self.broken();
        0
    }

    async fn poke(&self, _text: String) {
        self.broken();
    }
}

/// Counts what interceptors see.
struct Sees(Arc<AtomicUsize>);

impl Interceptor for Sees {
    fn before(&self, _call: &mut InterceptedCall<'_>) -> Before {
        self.0.fetch_add(1, Ordering::SeqCst);
        Before::Proceed
    }
}

struct Joined {
    client: Peer,
    counted: Counted,
    server: ServerHandle,
}

/// A client that may call what the patterns say.
async fn over(dialect: impl Dialect + Clone, patterns: &str) -> Joined {
    let counted = Counted::default();
    let allowed: AllowedMethods = patterns.parse().unwrap();
    let evidence = Evidence::new()
        .with(EvidenceKey::TRANSPORT, "test")
        .with(EvidenceKey::METHODS, allowed.to_value());
    let (near, far) = tokio::io::duplex(64 << 10);
    let broken = counted.clone();
    let router = Router::new()
        .register(OpenService::new(counted.clone()))
        .register(SecretService::new(counted.clone()))
        .method("by_hand", {
            let broken = counted.clone();
            move || {
                broken.broken();
                1_u64
            }
        })
        .fallback(move |_cx: Context, call: RawCall| {
            broken.broken();
            async move { call.answer(&1) }
        })
        .intercept(Sees(Arc::clone(&counted.seen)))
        .announce_contracts();
    let server = Server::new()
        .router(router)
        .attach(far, dialect.clone(), evidence)
        .start()
        .await
        .unwrap();
    let client = Peer::over(near, &dialect).start().unwrap();
    Joined {
        client,
        counted,
        server,
    }
}

impl Joined {
    /// Everything that was said before is heard, in order.
    async fn settle(&self) {
        self.client.ping().await.unwrap();
    }

    fn counts(&self) -> (usize, usize) {
        let count = |of: &AtomicUsize| of.load(Ordering::SeqCst);
        (count(&self.counted.open), count(&self.counted.secret))
    }
}

/// The error of something that may not be called; a wire without codes has its text alone.
fn check<T: std::fmt::Debug, E: std::fmt::Debug>(result: Result<T, CallError<E>>, wire: &str) {
    let error = result.unwrap_err();
    let text = format!("{error:?}");
    assert!(text.contains("not allowed"), "{wire}: {text}");
    if ["native", "jsonrpc"].contains(&wire) {
        assert!(text.contains("-32014"), "{wire}: {text}");
    }
}

async fn calls(wire: &str, dialect: impl Dialect + Clone) {
    let joined = over(dialect, "open.*").await;
    let client = &joined.client;
    let open: OpenClient = client.client();
    let secret: SecretClient = client.client();
    assert_eq!(open.add(1, 2).await.unwrap(), 3, "{wire}");
    check(secret.reveal().await, wire);
    // By name, in every spelling.
    check(
        client.call("secret", "reveal").result::<String>().await,
        wire,
    );
    check(
        client.call("", "secret.reveal").result::<String>().await,
        wire,
    );
    check(client.call("", "reveal").result::<String>().await, wire);
    check(client.call("", "by_hand").result::<u64>().await, wire);
    // What nobody has would come to the fallback.
    check(client.call("other", "thing").result::<u64>().await, wire);
    check(client.call("", "thing").result::<u64>().await, wire);
    check(client.call("", "open").result::<u64>().await, wire);
    assert_eq!(joined.counts(), (1, 0), "{wire}");
    // Interceptors see what may be called alone.
    assert_eq!(joined.counted.seen.load(Ordering::SeqCst), 1, "{wire}");
}

#[tokio::test]
async fn typed_and_by_name() {
    calls("native", Native::new()).await;
    calls("native", Native::json()).await;
    calls("cbor-rpc", CborRpc::cbor()).await;
    calls("cbor-rpc", CborRpc::json(Padding::Newline)).await;
    calls("jsonrpc", JsonRpc::standard()).await;
    calls("kollabor", Kollabor::new()).await;
}

#[tokio::test]
async fn methods_that_come_later() {
    let joined = over(Native::new(), "open.*,late.fine").await;
    let methods = joined.server.methods();
    let broken = joined.counted.clone();
    methods.method("late.fine", || 1_u64).unwrap();
    methods
        .method("late.secret", move || {
            broken.broken();
            1_u64
        })
        .unwrap();
    let client = &joined.client;
    let call =
        |service: &'static str, method: &'static str| client.call(service, method).result::<u64>();
    assert_eq!(call("late", "fine").await.unwrap(), 1);
    assert_eq!(call("", "late.fine").await.unwrap(), 1);
    check(call("late", "secret").await, "native");
    check(call("", "late.secret").await, "native");
    check(call("", "secret").await, "native");
    assert_eq!(joined.counts(), (0, 0));
}

async fn notifications(wire: &str, dialect: impl Dialect + Clone) {
    let joined = over(dialect, "open.*").await;
    let open: OpenClient = joined.client.client();
    let secret: SecretClient = joined.client.client();
    for _ in 0..3 {
        secret.poke("x".to_owned()).await.unwrap();
        open.note("x".to_owned()).await.unwrap();
    }
    assert_eq!(open.add(1, 2).await.unwrap(), 3);
    assert_eq!(joined.counts(), (4, 0), "{wire}");
}

#[tokio::test]
async fn by_notification() {
    notifications("native", Native::new()).await;
    notifications("cbor-rpc", CborRpc::cbor()).await;
    notifications("jsonrpc", JsonRpc::standard()).await;
}

#[tokio::test]
async fn by_stream_and_callback() {
    let joined = over(Native::new(), "open.*").await;
    let open: OpenClient = joined.client.client();
    let secret: SecretClient = joined.client.client();
    let counted: Vec<u64> = open.count(3).start().try_collect().await.unwrap();
    assert_eq!(counted, [0, 1, 2]);
    check(
        secret.leak(3).start().try_collect::<Vec<u64>>().await,
        "native",
    );
    // The callbacks of a call that is allowed are its own.
    let heard = Arc::new(AtomicUsize::new(0));
    let hears = Arc::clone(&heard);
    let told = move |_step: u64| {
        hears.fetch_add(1, Ordering::SeqCst);
    };
    assert_eq!(open.tell(told.clone()).await.unwrap(), 3);
    assert_eq!(heard.load(Ordering::SeqCst), 3);
    check(secret.whisper(told).await, "native");
    check(secret.swallow(stream::iter(0..1000_u64)).await, "native");
    assert_eq!(joined.counts(), (2, 0));
}

#[tokio::test]
async fn events() {
    let joined = over(Native::new(), "open.*").await;
    let client = &joined.client;
    let publisher = joined.server.events().clone();
    let mut changed = client.subscribe::<u64>(OpenEvents::CHANGED).await.unwrap();
    publisher
        .publish(OpenEvents::CHANGED, &7_u64)
        .await
        .unwrap();
    assert_eq!(changed.next().await, Some(Ok(7)));
    for topic in [SecretEvents::SPILLED, "*", "other"] {
        check(client.subscribe::<u64>(topic).await.map(|_| ()), "native");
    }
    assert_eq!(publisher.subscribers(SecretEvents::SPILLED), 0);
    assert_eq!(publisher.subscribers("*"), 0);
}

#[tokio::test]
async fn events_that_are_pushed_or_emitted() {
    let heard = Arc::new(AtomicUsize::new(0));
    let allowed: AllowedMethods = "open.*".parse().unwrap();
    let evidence = Evidence::new().with(EvidenceKey::METHODS, allowed.to_value());
    let (near, far) = tokio::io::duplex(64 << 10);
    let hears = Arc::clone(&heard);
    let router = Router::new()
        .register(OpenService::new(Counted::default()))
        .register(SecretService::new(Counted::default()))
        .on_any_event(move |_cx: Context, topic: String, _message: u64| {
            assert_eq!(topic, "open.mine");
            hears.fetch_add(1, Ordering::SeqCst);
            async {}
        });
    for topic in [SecretEvents::SPILLED, OpenEvents::CHANGED] {
        router.events().push(topic);
    }
    let server = Server::new()
        .router(router)
        .attach(far, CborRpc::cbor(), evidence)
        .start()
        .await
        .unwrap();
    let client = Peer::over(near, &CborRpc::cbor()).start().unwrap();
    let mut all = client.events_any::<u64>();
    client.emit("secret.mine", &1_u64).unwrap();
    client.emit("open.mine", &1_u64).unwrap();
    let open: OpenClient = client.client();
    open.add(1, 1).await.unwrap();
    assert_eq!(heard.load(Ordering::SeqCst), 1);
    let publisher = server.events().clone();
    publisher
        .publish(SecretEvents::SPILLED, &1_u64)
        .await
        .unwrap();
    publisher
        .publish(OpenEvents::CHANGED, &2_u64)
        .await
        .unwrap();
    let event = tokio::time::timeout(std::time::Duration::from_secs(30), all.next());
    assert_eq!(
        event.await.unwrap(),
        Some(Ok((OpenEvents::CHANGED.to_owned(), 2)))
    );
}

#[tokio::test]
async fn descriptions_show_what_may_be_called() {
    let joined = over(Native::new(), "open.add,open.changed").await;
    let manifest = joined.client.describe().await.unwrap();
    let names: Vec<_> = manifest.contracts().iter().map(|one| one.name()).collect();
    assert_eq!(names, ["open"]);
    let open = &manifest.contracts()[0];
    let methods: Vec<_> = open.methods().iter().map(|one| one.name()).collect();
    assert_eq!(methods, ["add"]);
    assert_eq!(open.events().len(), 1);
    let secret = joined.client.describe_service("secret").await.unwrap();
    assert!(secret.contracts().is_empty());
    // The hello says no hash of anything: a client that checks asks.
    joined.client.check::<SecretClient>().await.unwrap_err();
    joined.settle().await;

    // Somebody else of the same server sees everything.
    let everybody = over(Native::new(), "*").await;
    let manifest = everybody.client.describe().await.unwrap();
    assert!(manifest.contracts().len() >= 2);
    everybody.client.check::<SecretClient>().await.unwrap();
}

#[tokio::test]
async fn what_says_nothing_that_can_be_understood_allows_nothing() {
    let (near, far) = tokio::io::duplex(4096);
    let evidence = Evidence::new().with(EvidenceKey::METHODS, "open.*");
    let _server = Server::new()
        .register(OpenService::new(Counted::default()))
        .attach(far, Native::new(), evidence)
        .start()
        .await
        .unwrap();
    let client = Peer::over(near, &Native::new()).start().unwrap();
    check(client.client::<OpenClient>().add(1, 2).await, "native");
}

#[tokio::test]
async fn without_a_connection_too() {
    let counted = Counted::default();
    let router = Router::new()
        .register(SecretService::new(counted.clone()))
        .share()
        .unwrap();
    let allowed: AllowedMethods = "open.*".parse().unwrap();
    let evidence = Evidence::new().with(EvidenceKey::METHODS, allowed.to_value());
    let request = br#"{"jsonrpc":"2.0","id":1,"method":"secret.reveal"}"#;
    let request = [request.as_slice(), b"\n"].concat();
    let answer = router
        .handle_wire(&JsonRpc::standard(), request, evidence)
        .await;
    let answer = String::from_utf8(answer.unwrap().unwrap().to_vec()).unwrap();
    assert!(answer.contains("-32014"), "{answer}");
    assert_eq!(counted.secret.load(Ordering::SeqCst), 0);
}
