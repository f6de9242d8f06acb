//! Waiting for one event.

use super::subscription::Subscription;
use crate::error::CallError;
use crate::peer::Peer;
use mynah_connection::CloseReason;
use mynah_protocol::EndReason;
use serde::de::DeserializeOwned;
use std::fmt;
use std::future::IntoFuture;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::Instant;

/// The next event under a topic. It listens from when it was made, so an event that comes before it is awaited is not
/// lost. Made by [`Peer::wait_for`].
///
/// Cancel safety: dropped before its end, it listens no more; nobody is told.
#[must_use = "an event is waited for when this is awaited"]
pub struct WaitFor<T> {
    pub(crate) subscription: Subscription<T>,
    pub(crate) peer: Peer,
    pub(crate) timeout: Option<Duration>,
    /// The deadline of the handler that waits.
    pub(crate) deadline: Option<Instant>,
}

impl<T> fmt::Debug for WaitFor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitFor")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl<T> WaitFor<T> {
    /// How long to wait, in place of the time for calls that name none. It counts from when this is awaited.
    pub const fn deadline(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Waits as long as the connection lasts.
    pub const fn no_deadline(mut self) -> Self {
        self.timeout = None;
        self
    }
}

impl<T: DeserializeOwned + Send + 'static> WaitFor<T> {
    async fn wait(mut self) -> Result<T, CallError> {
        let end = self
            .timeout
            .and_then(|timeout| Instant::now().checked_add(timeout))
            .into_iter()
            .chain(self.deadline)
            .min();
        let next = self.subscription.next();
        let event = match end {
            Some(end) => tokio::time::timeout_at(end, next)
                .await
                .map_err(|_elapsed| CallError::Deadline)?,
            None => next.await,
        };
        match event {
            Some(Ok(message)) => Ok(message),
            Some(Err(EndReason::Error(error))) => Err(CallError::Remote(*error)),
            Some(Err(_)) | None => Err(CallError::Disconnected(
                self.peer.end_reason().unwrap_or(CloseReason::PeerGone),
            )),
        }
    }
}

impl<T: DeserializeOwned + Send + 'static> IntoFuture for WaitFor<T> {
    type Output = Result<T, CallError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.wait())
    }
}
