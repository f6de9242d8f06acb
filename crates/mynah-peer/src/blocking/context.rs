//! Waiting in handlers that block.

use super::iter::Iter;
use super::runner::Runner;
use crate::context::Context;
use crate::error::CallError;
use crate::stream::Incoming;
use mynah_connection::CloseReason;
use mynah_protocol::{By, EndReason};
use serde::de::DeserializeOwned;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use tokio::runtime::Handle;

const NO_RUNTIME: CallError = CallError::Misuse("this thread has no runtime");

impl Context {
    /// Waits for a future in a `#[blocking]` handler: a callback, a call back through [`Self::peer`], an item of an
    /// [`Incoming`]. It is over as soon as the call is asked to stop, so that no thread waits for a peer that has gone.
    ///
    /// # Errors
    /// - [`CallError::Cancelled`], [`CallError::Deadline`] or [`CallError::Disconnected`] when the call is asked to stop;
    ///   the future is dropped.
    /// - [`CallError::Misuse`] within async code, or on a thread without a runtime.
    pub fn wait<F: Future>(&self, future: F) -> Result<F::Output, CallError> {
        let handle = Handle::try_current().map_err(|_none| NO_RUNTIME)?;
        let mut future = pin!(future);
        let mut stopped = pin!(self.cancelled());
        Runner::lent(handle).wait_within(poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            stopped.as_mut().poll(cx).map(|reason| Err(stop(reason)))
        }))?
    }
}

/// Why a handler that waits is to stop.
fn stop(reason: EndReason) -> CallError {
    match reason {
        EndReason::Cancelled(by) => CallError::Cancelled(by),
        EndReason::Deadline => CallError::Deadline,
        EndReason::Draining => CallError::Disconnected(CloseReason::Drained),
        EndReason::PeerGone => CallError::Disconnected(CloseReason::PeerGone),
        EndReason::Error(error) => CallError::Remote(*error),
        _ => CallError::Cancelled(By::Callee),
    }
}

impl<T: DeserializeOwned> Incoming<T> {
    /// The stream of the caller as an iterator, in a `#[blocking]` handler. It ends with an error when the caller goes, or
    /// cancels the call.
    ///
    /// # Errors
    /// [`CallError::Misuse`] on a thread without a runtime.
    pub fn blocking(self) -> Result<Iter<Self>, CallError> {
        let handle = Handle::try_current().map_err(|_none| NO_RUNTIME)?;
        Ok(Iter::new(self, Runner::lent(handle), None))
    }
}
