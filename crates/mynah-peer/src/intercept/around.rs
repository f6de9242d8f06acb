//! Calls within the process that have no table of their own: callbacks and subscriptions.

use super::{CallOutcome, Entering, Gate, Observed, Passage};
use mynah_protocol::{Evidence, Metadata, RpcError};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{self, Poll};
use tokio::time::Instant;

/// Waits until a call has come through its interceptors.
pub(crate) async fn admitted(
    observed: &Arc<Observed>,
    evidence: Option<&Evidence>,
    deadline: Option<Instant>,
) -> Result<(), RpcError> {
    let mut gate = Gate::new(Arc::clone(observed));
    let mut metadata = Metadata::new();
    let passed = poll_fn(|cx| {
        let entering = Entering {
            metadata: &mut metadata,
            evidence,
            deadline,
        };
        match gate.pass(entering, Some(cx)) {
            Passage::Open => Poll::Ready(Ok(())),
            Passage::Refused(error) => Poll::Ready(Err(*error)),
            Passage::Waits => Poll::Pending,
        }
    });
    let passed = passed.await;
    if passed.is_err() {
        observed.report();
    }
    passed
}

/// Runs a call that has come through its interceptors, and tells of its end. Dropped before, it is told as cancelled.
pub(crate) async fn run<T, F>(observed: Arc<Observed>, future: F) -> Result<T, RpcError>
where
    F: Future<Output = Result<T, RpcError>>,
{
    let mut future = pin!(future);
    let result =
        poll_fn(
            |cx: &mut task::Context<'_>| match observed.run(|| future.as_mut().poll(cx)) {
                Poll::Ready(result) => Poll::Ready(result),
                Poll::Pending => observed.poll_stop(cx).map(|error| Err(*error)),
            },
        )
        .await;
    observed.ended(match &result {
        Ok(_) => CallOutcome::Ok,
        Err(error) => CallOutcome::of_code(error.code()),
    });
    observed.report();
    result
}
