//! What is broken on purpose must be caught, by the case that is meant for it.

use mynah_testkit::{Failure, Shown};
use std::time::Duration;

/// Runs a case under a stopped clock: what waits for ever is given up at once. `None`: it hangs.
pub(crate) async fn outcome(
    case: impl Future<Output = Result<Shown, Failure>>,
) -> Option<Result<Shown, Failure>> {
    tokio::time::timeout(Duration::from_secs(100_000), case)
        .await
        .ok()
}

/// The case must fail, and say this.
pub(crate) async fn caught(
    what: &str,
    case: impl Future<Output = Result<Shown, Failure>>,
    says: &str,
) {
    match outcome(case).await {
        Some(Err(failure)) => {
            let text = failure.to_string();
            assert!(
                text.contains(says),
                "{what}: it says \"{text}\", not \"{says}\""
            );
        }
        Some(Ok(shown)) => panic!("{what}: it passes, and has shown {shown:?}"),
        None => assert_eq!(says, HANGS, "{what}: it hangs"),
    }
}

/// It waits for what does not come: the suite's tests give it up after their time.
pub(crate) const HANGS: &str = "hangs";
