//! Calls that an interceptor begins again.

use super::deciding::Hostile;
use super::*;

/// Refuses the first attempts and tries again.
#[derive(Clone, Default)]
struct Retries {
    attempts: Arc<AtomicU64>,
    pause: Duration,
}

impl Interceptor for Retries {
    fn before(&self, call: &mut InterceptedCall<'_>) -> Before {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        assert!(
            call.metadata().value("attempt").is_none(),
            "each begins as it was"
        );
        if call.side() == CallSide::Client && call.evidence().is_some() {
            let attempt = call.attempt().to_string();
            call.metadata_mut().insert("attempt", attempt);
        }
        Before::Proceed
    }

    fn retry(&self, call: &FinishedCall<'_>) -> Option<Duration> {
        (u64::from(call.attempt()) < 5).then_some(self.pause)
    }
}

/// Answers that it is busy so many times.
struct BusyFirst(AtomicU64);

impl Interceptor for BusyFirst {
    fn before(&self, _call: &mut InterceptedCall<'_>) -> Before {
        let left = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            });
        match left {
            Ok(_) => Before::Refuse(RpcError::from_code(ErrorCode::BUSY)),
            Err(_) => Before::Proceed,
        }
    }
}

#[tokio::test]
async fn what_was_not_run_is_tried_again_and_nothing_else() {
    for way in LINKED {
        let retries = Retries {
            pause: Duration::from_millis(1),
            ..Retries::default()
        };
        let mut setup = desk(&Book::default());
        setup.server = setup.server.intercept(BusyFirst(AtomicU64::new(3)));
        let joined = setup.join(way).await;
        let book = Book::default();
        let peer = joined
            .client
            .with_interceptor(book.clone())
            .with_interceptor(retries.clone());
        let client: DeskClient = peer.client();
        client.left().await.unwrap();
        assert_eq!(retries.attempts.load(Ordering::Relaxed), 4, "{way:?}");
        let ends: Vec<_> = book.take().into_iter().map(|line| line.2).collect();
        let busy = CallOutcome::Error(ErrorCode::BUSY);
        assert_eq!(ends, [busy, busy, busy, CallOutcome::Ok]);
        client.fails().await.unwrap_err();
        assert_eq!(retries.attempts.load(Ordering::Relaxed), 5, "it ran");
        joined.idle().await;
        // After five attempts it is given up.
        let mut setup = desk(&Book::default());
        setup.server = setup.server.intercept(BusyFirst(AtomicU64::new(100)));
        let joined = setup.join(way).await;
        let client: DeskClient = joined.client.with_interceptor(retries.clone()).client();
        let error = client.left().start().await.unwrap_err();
        assert!(matches!(error, CallError::Busy { .. }), "{error:?}");
        assert_eq!(retries.attempts.load(Ordering::Relaxed), 10);
        joined.client.close();
        joined.client.closed().await;
        let error = client.left().await.unwrap_err();
        assert!(matches!(error, CallError::Disconnected(_)), "{error:?}");
        assert_eq!(retries.attempts.load(Ordering::Relaxed), 15);
    }
}

#[tokio::test]
async fn a_stream_is_tried_again_before_its_first_item_only() {
    for way in LINKED {
        let retries = Retries::default();
        let flow = MyFlow::new();
        let mut setup = Setup::new(flow.service());
        setup.server = setup.server.intercept(BusyFirst(AtomicU64::new(2)));
        let joined = setup.join(way).await;
        let client: FlowClient = joined.client.with_interceptor(retries.clone()).client();
        assert_eq!(
            within("items", client.count(5).start().count()).await,
            5,
            "{way:?}"
        );
        assert_eq!(retries.attempts.load(Ordering::Relaxed), 3);
        let broken: Vec<_> = client.squares(3, Some(1)).start().collect().await;
        assert_eq!(broken.len(), 2);
        assert_eq!(retries.attempts.load(Ordering::Relaxed), 4);
        joined.idle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn no_attempt_begins_after_the_deadline() {
    for way in Way::TIMED {
        let retries = Retries {
            pause: Duration::from_millis(400),
            ..Retries::default()
        };
        let joined = desk(&Book::default()).join(way).await;
        let busy = joined
            .client
            .with_interceptor(retries.clone())
            .with_interceptor(Hostile::Busy);
        let client: DeskClient = busy.client();
        let call = client.left().deadline(Duration::from_secs(1));
        let error = call.await.unwrap_err();
        assert!(matches!(error, CallError::Busy { .. }), "{error:?}");
        assert_eq!(retries.attempts.load(Ordering::Relaxed), 3, "{way:?}");
    }
}
