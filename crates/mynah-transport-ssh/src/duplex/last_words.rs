//! The last of what was written, on its way to the other side.

use super::state::State;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

/// How long the other side may take to take the last of what was written.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(30);

/// Waits until what was written is handed over, the end too, and no longer waits for the socket. `true` when the channel
/// is closed, and nobody takes it any more.
///
/// What is in the socket by then need not have arrived: only an answer of the other side says so.
pub(crate) async fn sent(state: &State) -> bool {
    if poll_fn(|cx| state.poll_said(cx)).await {
        return true;
    }
    poll_fn(|cx| match state.poll_over_and_closed(cx) {
        Poll::Ready(()) => Poll::Ready(true),
        Poll::Pending => state.control().poll_below(cx, 1).map(|()| false),
    })
    .await
}
