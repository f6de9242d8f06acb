//! A peer that goes on with what it may not do fills no log, and is charged where nobody answers it.

use super::*;
use mynah::CloseReason;
use std::fmt;
use std::sync::Mutex;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

/// Far more than a peer may say that leads to nothing.
const MANY: usize = 100_000;

/// Collects what is logged, with its level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(tracing::Level, String)>>>);

impl Log {
    fn start() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let guard = tracing::subscriber::set_default(log.clone());
        (log, guard)
    }

    /// How many lines about what is forbidden are warnings or worse, and how many are for those who look closely.
    fn forbidden(&self) -> (usize, usize) {
        let lines = self.0.lock().unwrap();
        let mut counts = (0, 0);
        for (level, line) in lines.iter() {
            if line.contains("may not make") {
                if *level <= tracing::Level::INFO {
                    counts.0 += 1;
                } else {
                    counts.1 += 1;
                }
            }
        }
        counts
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
        metadata.is_event() && *metadata.level() <= tracing::Level::DEBUG
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        let level = *event.metadata().level();
        self.0.lock().unwrap().push((level, line.0));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// Says something until the connection ends: how often it could.
async fn until_the_end(client: &Peer, mut say: impl AsyncFnMut() -> bool) -> (usize, CloseReason) {
    let mut said = 0;
    while said < MANY && say().await {
        said += 1;
        tokio::task::yield_now().await;
    }
    let closed = tokio::time::timeout(std::time::Duration::from_secs(60), client.closed());
    (said, closed.await.expect("it is never cut off"))
}

#[tokio::test]
async fn events_that_may_not_be_emitted_are_charged_and_warned_of_once() {
    let (log, _guard) = Log::start();
    let joined = over(CborRpc::cbor(), "open.*").await;
    let client = &joined.client;
    let emit = async || client.emit("secret.mine", &1_u64).is_ok();
    let (said, reason) = until_the_end(client, emit).await;
    assert!(said < MANY, "{said} events, and then {reason}");
    let (warnings, details) = log.forbidden();
    assert_eq!(warnings, 1);
    assert!(details > 10 && details <= said, "{details} of {said}");
}

#[tokio::test]
async fn notifications_that_may_not_be_sent_are_charged_and_warned_of_once() {
    let (log, _guard) = Log::start();
    let joined = over(Native::new(), "open.*").await;
    let client = &joined.client;
    let secret: SecretClient = client.client();
    let poke = async || secret.poke("x".to_owned()).await.is_ok();
    let (said, reason) = until_the_end(client, poke).await;
    assert!(said < MANY, "{said} notifications, and then {reason}");
    assert_eq!(log.forbidden().0, 1);
    assert_eq!(joined.counts(), (0, 0));
}

/// Calls are answered, so the caller pays for each with a round trip: but the log is not theirs to fill.
#[tokio::test]
async fn calls_that_may_not_be_made_are_warned_of_once() {
    let (log, _guard) = Log::start();
    let joined = over(Native::new(), "open.*").await;
    let secret: SecretClient = joined.client.client();
    for _ in 0..500 {
        check(secret.reveal().await, "native");
    }
    let open: OpenClient = joined.client.client();
    assert_eq!(open.add(1, 2).await.unwrap(), 3);
    assert_eq!(log.forbidden(), (1, 499));
    assert_eq!(joined.counts(), (1, 0));
}
