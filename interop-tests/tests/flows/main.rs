//! Calls with streams and callbacks while their servers, or Redis, are killed, frozen or cut off.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed"
)]

mod killed;
mod outages;

use std::path::Path;
use std::time::Duration;

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_fleet_node"))
}

/// Longer than a side may be silent, and the next look at it.
pub(crate) const SILENCE: Duration = Duration::from_secs(20);

async fn within<T>(time: Duration, what: impl IntoFuture<Output = T>) -> T {
    let what = tokio::time::timeout(time, what.into_future()).await;
    what.expect("it happens in time")
}

/// Looks until it holds, for a minute.
async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let looks = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    within(Duration::from_secs(60), looks).await;
}
