//! Calls that wait for an interceptor, and what they hold up.

use super::*;

/// Has callbacks wait for a permit.
#[derive(Clone)]
struct Turnstile(Arc<tokio::sync::Semaphore>);

impl Interceptor for Turnstile {
    fn before(&self, call: &mut InterceptedCall<'_>) -> Before {
        if call.kind() != CallKind::Callback {
            return Before::Proceed;
        }
        let permits = Arc::clone(&self.0);
        Before::wait(async move {
            permits.acquire().await.unwrap().forget();
            Ok(Admission::new())
        })
    }
}

/// Both sides, where callbacks of the client pass a turnstile.
async fn turnstile(way: Way) -> (Joined, Arc<tokio::sync::Semaphore>, MyFlow) {
    let permits = Arc::new(tokio::sync::Semaphore::new(0));
    let flow = MyFlow::new();
    let mut setup = Setup::new(flow.service());
    setup.client = setup.client.intercept(Turnstile(Arc::clone(&permits)));
    (setup.join(way).await, permits, flow)
}

#[tokio::test]
async fn what_is_told_waits_in_order_and_is_heard_before_the_answer() {
    for way in LINKED {
        let (joined, permits, flow) = turnstile(way).await;
        let client: FlowClient = joined.client.client();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&heard);
        let mut call = client
            .tell(5, move |number| told.lock().unwrap().push(number))
            .start();
        until("it was answered", || {
            flow.0.calls.started() == 1 && flow.0.calls.alive() == 0
        })
        .await;
        settle().await;
        permits.add_permits(2);
        until("two are heard", || heard.lock().unwrap().len() == 2).await;
        assert!(poll_once(&mut call).await.is_pending(), "{way:?}");
        // Another call is not held back.
        assert_eq!(client.count(3).start().count().await, 3, "{way:?}");
        permits.add_permits(3);
        assert_eq!(within("answer", call).await.unwrap(), 5, "{way:?}");
        assert_eq!(*heard.lock().unwrap(), [0, 1, 2, 3, 4], "{way:?}");
        joined.idle().await;
    }
}

#[tokio::test]
async fn what_waits_to_be_heard_ends_with_its_call() {
    for way in LINKED {
        let (joined, permits, flow) = turnstile(way).await;
        let client: FlowClient = joined.client.client();
        let (heard, watch) = (Arc::new(AtomicU64::new(0)), Arc::new(()));
        let tell = |up_to| {
            let (heard, watch) = (Arc::clone(&heard), Arc::clone(&watch));
            let told = move |_number| {
                let _held = &watch;
                heard.fetch_add(1, Ordering::SeqCst);
            };
            client.tell(up_to, told).start()
        };
        let mut calls = [tell(3), tell(2)];
        until("they were answered", || {
            flow.0.calls.started() == 2 && flow.0.calls.alive() == 0
        })
        .await;
        settle().await;
        for call in &mut calls {
            assert!(poll_once(call).await.is_pending(), "{way:?}");
        }
        let [first, second] = calls;
        drop(first);
        settle().await;
        permits.add_permits(2);
        assert_eq!(within("answer", second).await.unwrap(), 2, "{way:?}");
        assert_eq!(heard.load(Ordering::SeqCst), 2, "{way:?}");
        until("the closures are dropped", || {
            Arc::strong_count(&watch) == 1
        })
        .await;
        assert_eq!(permits.available_permits(), 0, "{way:?}");
        joined.idle().await;
        // The end of the connection ends all of it.
        let lost = tell(3);
        until("it was answered", || {
            flow.0.calls.started() == 3 && flow.0.calls.alive() == 0
        })
        .await;
        settle().await;
        joined.client.close();
        drop(within("end", lost).await);
        until("the closure is dropped", || Arc::strong_count(&watch) == 1).await;
        assert_eq!(heard.load(Ordering::SeqCst), 2, "{way:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn t1_an_answer_that_is_held_back_has_a_deadline() {
    for way in [Way::Duplex, Way::Memory] {
        let (joined, _permits, _flow) = turnstile(way).await;
        let client: FlowClient = joined.client.client();
        let call = client
            .tell(3, |_number| {})
            .deadline(Duration::from_secs(5));
        let error = within("deadline", call.into_future()).await.unwrap_err();
        assert!(matches!(error, CallError::Deadline), "{way:?}: {error:?}");
        joined.idle().await;
    }
}
