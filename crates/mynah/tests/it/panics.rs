//! F4: user code that panics is told from what it was called by, and nothing else dies.

use crate::probe::{MyProbe, ProbeClient};
use crate::support::*;
use mynah::Router;
use mynah::prelude::*;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{self, Wake, Waker};
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

/// Collects events as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// Everything that is logged on this thread from now on.
    fn start() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let guard = tracing::subscriber::set_default(log.clone());
        (log, guard)
    }

    fn has(&self, text: &str) -> bool {
        self.0
            .lock()
            .unwrap()
            .iter()
            .any(|line| line.contains(text))
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        use fmt::Write as _;
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= tracing::Level::WARN
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// Panics when it is encoded or decoded.
#[derive(Debug)]
struct Trap {
    decode: bool,
}

impl Serialize for Trap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert!(self.decode, "trap in Serialize");
        serializer.serialize_bool(true)
    }
}

impl<'de> Deserialize<'de> for Trap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bool::deserialize(deserializer)?;
        panic!("trap in Deserialize");
    }
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("trap in Drop");
    }
}

#[mynah::service]
trait Traps {
    async fn at_once(&self) -> u64;
    async fn later(&self) -> u64;
    #[spawn]
    async fn spawned(&self) -> u64;
    #[blocking]
    fn blocking(&self) -> u64;
    async fn result(&self) -> Trap;
    async fn result_later(&self) -> Trap;
    async fn params(&self, trap: Trap) -> u64;
    async fn bomb(&self) -> u64;
    #[spawn]
    async fn spawned_bomb(&self) -> u64;
    async fn tick(&self, cx: &Context) -> u64;
    #[notification]
    async fn note(&self);
    #[notification]
    async fn note_later(&self);
}

struct MyTraps;

impl Traps for MyTraps {
    async fn at_once(&self) -> u64 {
        panic!("trap at once")
    }

    async fn later(&self) -> u64 {
        tokio::task::yield_now().await;
        panic!("trap later: {}", 5)
    }

    async fn spawned(&self) -> u64 {
        panic!("trap spawned")
    }

    fn blocking(&self) -> u64 {
        panic!("trap blocking")
    }

    async fn result(&self) -> Trap {
        Trap { decode: false }
    }

    async fn result_later(&self) -> Trap {
        tokio::task::yield_now().await;
        Trap { decode: false }
    }

    async fn params(&self, _trap: Trap) -> u64 {
        0
    }

    async fn bomb(&self) -> u64 {
        let _bomb = Bomb;
        std::future::pending().await
    }

    async fn spawned_bomb(&self) -> u64 {
        let _bomb = Bomb;
        std::future::pending().await
    }

    async fn tick(&self, cx: &Context) -> u64 {
        cx.progress(&1);
        tokio::task::yield_now().await;
        cx.progress(&2);
        7
    }

    async fn note(&self) {
        panic!("trap note")
    }

    async fn note_later(&self) {
        tokio::task::yield_now().await;
        panic!("trap note later")
    }
}

async fn join(way: Way) -> (Joined, TrapsClient, ProbeClient, MyProbe) {
    let probe = MyProbe::new();
    let mut setup = Setup::new(TrapsService::new(MyTraps));
    setup.server = setup.server.register(probe.service());
    let joined = setup.join(way).await;
    let (traps, other) = (joined.client.client(), joined.client.client());
    (joined, traps, other, probe)
}

/// The id in the text of the error is in the log, beside what the panic said.
fn check(log: &Log, way: Way, what: &str, error: CallError) {
    let CallError::Remote(error) = error else {
        panic!("{way:?}, {what}: {error:?}")
    };
    if way != Way::CborRpc {
        assert_eq!(error.code(), ErrorCode::INTERNAL, "{way:?}, {what}");
    }
    assert!(
        !error.message().contains("trap"),
        "{way:?}: {error:?} says too much"
    );
    let id = error.message().rsplit(' ').next().unwrap();
    let lines = log.0.lock().unwrap().clone();
    let line = lines.iter().find(|line| line.contains(id));
    assert!(
        line.is_some_and(|line| line.contains(what)),
        "{way:?}, {what}: {error:?}, {lines:?}"
    );
}

#[tokio::test]
async fn f4_requests_that_panic() {
    for way in Way::ALL {
        let (log, _guard) = Log::start();
        let (joined, traps, other, _probe) = join(way).await;
        let waiting = other.echo_later("a".into(), 50).start();
        check(
            &log,
            way,
            "trap at once",
            within("a", traps.at_once().into_future())
                .await
                .unwrap_err(),
        );
        check(
            &log,
            way,
            "trap later: 5",
            within("b", traps.later().into_future()).await.unwrap_err(),
        );
        check(
            &log,
            way,
            "trap spawned",
            within("c", traps.spawned().into_future())
                .await
                .unwrap_err(),
        );
        assert_eq!(within("others", waiting).await.unwrap(), "a", "{way:?}");
        if way != Way::InProcess {
            let result = within("d", traps.result().into_future()).await.unwrap_err();
            check(&log, way, "trap in Serialize", result);
            let result = within("e", traps.result_later().into_future())
                .await
                .unwrap_err();
            check(&log, way, "trap in Serialize", result);
            let params = traps.params(Trap { decode: true });
            check(
                &log,
                way,
                "trap in Deserialize",
                within("f", params.into_future()).await.unwrap_err(),
            );
        }
        assert_eq!(
            other.echo("b".into()).await.unwrap(),
            "b",
            "{way:?}: it lives"
        );
        joined.idle().await;
    }
}

/// On a thread of its own the subscriber of the test hears nothing: only the answer is looked at.
#[tokio::test]
async fn f4_blocking_requests_that_panic() {
    for way in Way::ALL {
        let (joined, traps, other, _probe) = join(way).await;
        let error = within("answer", traps.blocking().into_future())
            .await
            .unwrap_err();
        let CallError::Remote(error) = error else {
            panic!("{way:?}: {error:?}")
        };
        assert!(!error.message().contains("trap"), "{way:?}: {error:?}");
        assert_eq!(
            other.echo("b".into()).await.unwrap(),
            "b",
            "{way:?}: it lives"
        );
        joined.idle().await;
    }
}

#[tokio::test]
async fn f4_notifications_that_panic() {
    for way in Way::ALL {
        let (log, _guard) = Log::start();
        let (joined, traps, other, _probe) = join(way).await;
        traps.note().await.unwrap();
        traps.note_later().await.unwrap();
        until(&format!("{way:?}: both are logged"), || {
            log.has("trap note later")
        })
        .await;
        assert!(
            log.has("panic=trap note") || log.has("panic=\"trap note\""),
            "{way:?}"
        );
        assert_eq!(
            other.echo("b".into()).await.unwrap(),
            "b",
            "{way:?}: it lives"
        );
        joined.idle().await;
    }
}

#[tokio::test]
async fn f4_a_handler_that_panics_while_it_is_dropped() {
    for way in Way::ALL {
        let (log, _guard) = Log::start();
        let (joined, traps, other, _probe) = join(way).await;
        for round in 0..3 {
            let mut call = traps.bomb().into_future();
            for _ in 0..20 {
                assert!(poll_once(&mut call).await.is_pending());
                tokio::task::yield_now().await;
            }
            drop(call);
            assert_eq!(
                other.echo("b".into()).await.unwrap(),
                "b",
                "{way:?}: it lives, {round}"
            );
            joined.idle().await;
        }
        until(&format!("{way:?}: it is logged"), || {
            log.has("trap in Drop")
        })
        .await;
        let mut call = traps.spawned_bomb().into_future();
        for _ in 0..20 {
            assert!(poll_once(&mut call).await.is_pending());
            tokio::task::yield_now().await;
        }
        drop(call);
        assert_eq!(
            other.echo("b".into()).await.unwrap(),
            "b",
            "{way:?}: it lives"
        );
        joined.idle().await;
    }
}

/// The bomb goes off when the connection ends: the others are dropped all the same.
#[tokio::test]
async fn f4_a_panic_in_drop_at_the_end_of_the_connection() {
    for way in Way::LINKED {
        let (_log, _guard) = Log::start();
        let (joined, traps, other, probe) = join(way).await;
        let far = joined.far().await.unwrap();
        let calls = (
            traps.bomb().start(),
            other.hang().start(),
            traps.bomb().start(),
            other.hang().start(),
        );
        until("all run", || far.stats().handlers_running == 4).await;
        joined.client.close();
        within("end", far.closed()).await;
        until("all are dropped", || probe.0.calls.alive() == 0).await;
        until("all is zero", || far.stats().handlers_running == 0).await;
        drop(calls);
    }
}

/// What the caller's own listener does is the caller's: its await panics, and the connection lives.
#[tokio::test]
async fn f4_a_listener_that_panics() {
    for way in Way::ALL {
        let (joined, traps, other, _probe) = join(way).await;
        let call = traps
            .tick()
            .on_progress(|number: u64| assert_ne!(number, 2, "trap in listener"));
        let end = tokio::spawn(call.into_future()).await;
        assert!(end.unwrap_err().is_panic(), "{way:?}");
        assert_eq!(
            other.echo("b".into()).await.unwrap(),
            "b",
            "{way:?}: it lives"
        );
        joined.idle().await;
    }
}

/// The caller's own types: its await panics, and the connection lives.
#[tokio::test]
async fn f4_types_of_the_caller_that_panic() {
    for way in Way::LINKED {
        let (joined, traps, other, _probe) = join(way).await;
        let call = traps.params(Trap { decode: false });
        assert!(
            tokio::spawn(call.into_future())
                .await
                .unwrap_err()
                .is_panic(),
            "{way:?}"
        );
        assert_eq!(
            other.echo("b".into()).await.unwrap(),
            "b",
            "{way:?}: it lives"
        );
        joined.idle().await;
    }
    let router = || Router::new().register(MyProbe::new().service());
    let (mut raw, peer) = raw_server(router(), mynah::Limits::new(), 1 << 16);
    raw.hear_greeting().await;
    raw.send(&preface(b'J')).await;
    let traps: TrapsClient = peer.client();
    let call = tokio::spawn(traps.result().into_future());
    let request = raw.next().await.unwrap();
    raw.say(serde_json::json!([RESULT, request.head[1]]), "true")
        .await;
    assert!(call.await.unwrap_err().is_panic());
    until("all is zero", || {
        peer.stats() == mynah::PeerStats::default()
    })
    .await;
}

/// Whoever wakes a call is not the connection's: its panic keeps no other call asleep, and the connection lives.
#[tokio::test]
async fn f4_wakers_that_panic() {
    struct Bad;
    impl Wake for Bad {
        fn wake(self: Arc<Self>) {
            panic!("trap in waker");
        }
    }
    let router = || Router::new().register(MyProbe::new().service());
    let (mut raw, peer) = raw_server(router(), mynah::Limits::new(), 1 << 16);
    raw.hear_greeting().await;
    raw.send(&preface(b'J')).await;
    let probe: ProbeClient = peer.client();
    let bad = Waker::from(Arc::new(Bad));
    let mut first = pin!(probe.echo("a".into()).start());
    assert!(
        first
            .as_mut()
            .poll(&mut task::Context::from_waker(&bad))
            .is_pending()
    );
    let second = tokio::spawn(probe.echo("b".into()).into_future());
    let heads = [raw.next().await.unwrap(), raw.next().await.unwrap()];
    let answers =
        heads.map(|request| frame(&serde_json::json!([RESULT, request.head[1]]), "\"x\""));
    raw.send(&answers.concat()).await;
    assert_eq!(second.await.unwrap().unwrap(), "x");
    assert_eq!(first.await.unwrap(), "x");

    // And at the end of the connection.
    let mut first = pin!(probe.echo("a".into()).start());
    assert!(
        first
            .as_mut()
            .poll(&mut task::Context::from_waker(&bad))
            .is_pending()
    );
    let second = tokio::spawn(probe.echo("b".into()).into_future());
    raw.next().await.unwrap();
    raw.next().await.unwrap();
    drop(raw);
    assert!(matches!(
        second.await.unwrap(),
        Err(CallError::Indeterminate(_))
    ));
    assert!(matches!(first.await, Err(CallError::Indeterminate(_))));
}
