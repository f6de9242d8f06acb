//! Callers that are no peers: a pool, a wrapper.

use super::service::{AtDesk as _, DeskClient, InOrder, Named, Typed};
use super::ways;
use mynah::{Caller, CallerExt as _, Intercepted, Interceptor};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts what goes by.
#[derive(Debug)]
struct Counts(Arc<AtomicUsize>);

impl Interceptor for Counts {
    fn after(&self, _call: &mynah::FinishedCall<'_>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

async fn both<C: Caller + Clone>(caller: C) {
    assert_eq!(
        Typed(DeskClient::new(caller.clone()))
            .add(1, 2)
            .await
            .unwrap(),
        3
    );
    assert_eq!(InOrder(caller.clone()).add(1, 2).await.unwrap(), 3);
    assert_eq!(Named(caller.clone()).add(1, 2).await.unwrap(), 3);
    let call = caller.call("desk", "add").args((1, 2)).result::<i64>();
    assert_eq!(call.await.unwrap(), 3);
}

#[tokio::test]
async fn a_wrapper_calls_by_name() {
    for (way, joined) in &ways::all().await {
        let seen = Arc::new(AtomicUsize::new(0));
        let wrapped = Intercepted::new(joined.client.clone(), Counts(Arc::clone(&seen)));
        both(wrapped).await;
        assert_eq!(seen.load(Ordering::SeqCst), 4, "{way}");
    }
}
