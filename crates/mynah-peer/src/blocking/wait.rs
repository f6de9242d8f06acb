//! Waiting in the place of awaiting.

use super::desk::Desk;
use super::iter::Iter;
use super::peer::Peer;
use super::runner::InAsync;
use crate::call::{Call, CallFuture, Caller, Notify};
use crate::error::{CallError, DomainError};
use crate::events::{Subscribe, Subscription};
use crate::params::Params;
use crate::stream::{StreamCall, Streaming};
use mynah_protocol::RpcError;
use serde::de::DeserializeOwned;
use std::future::IntoFuture as _;
use std::sync::Arc;

impl<P, T, E, C> Call<P, T, E, Peer<C>>
where
    P: Params,
    T: DeserializeOwned + Send + 'static,
    E: DomainError,
    C: Caller,
{
    /// Makes the call and waits for its end. Callbacks run here, and so does the iterator that was passed.
    ///
    /// # Errors
    /// As the call of an async client; [`CallError::Misuse`] within async code, where nothing was sent.
    #[inline]
    pub fn wait(self) -> Result<T, CallError<E>> {
        let plain = self.attachments.is_empty();
        let runner = Arc::clone(self.caller.runner());
        let call = self.into_future();
        if plain {
            return runner
                .wait(call)
                .unwrap_or_else(|refused| Err(refused.error()));
        }
        wait_at_desk(call)
    }
}

impl<P, T, E, C> CallFuture<P, T, E, Peer<C>>
where
    P: Params,
    T: DeserializeOwned + Send + 'static,
    E: DomainError,
    C: Caller,
{
    /// Waits for the end of a call that was started. Its callbacks run here; what they were told before waits for this.
    ///
    /// # Errors
    /// As the call of an async client; [`CallError::Misuse`] within async code.
    pub fn wait(self) -> Result<T, CallError<E>> {
        wait_at_desk(self)
    }
}

/// Waits for a call that has something to do here.
fn wait_at_desk<P, T, E, C>(mut call: CallFuture<P, T, E, Peer<C>>) -> Result<T, CallError<E>>
where
    P: Params,
    T: DeserializeOwned + Send + 'static,
    E: DomainError,
    C: Caller,
{
    call.send();
    let runner = Arc::clone(call.caller().runner());
    let waited = match call.caller().desk().cloned() {
        None => runner.wait(&mut call),
        Some(desk) => {
            let waited = desk.wait(&runner, &mut call);
            desk.close();
            waited.map(|ended| ended.unwrap_or_else(|error| Err(CallError::Remote(error))))
        }
    };
    waited.unwrap_or_else(|refused| Err(refused.error()))
}

impl<P, C> Notify<P, Peer<C>>
where
    P: Params,
    C: Caller,
{
    /// Sends the notification.
    ///
    /// # Errors
    /// As with an async client; [`CallError::Misuse`] within async code.
    pub fn wait(self) -> Result<(), CallError> {
        let runner = Arc::clone(self.caller().runner());
        let sent = runner.wait_within(self)?;
        runner.stir();
        sent
    }
}

impl<P, T, E, C> StreamCall<P, T, E, Peer<C>>
where
    P: Params,
    T: DeserializeOwned + Send + 'static,
    E: DomainError,
    C: Caller,
{
    /// Makes the call; its results are an iterator. What goes wrong is its first item.
    pub fn wait(self) -> Iter<Streaming<T, E, Peer<C>>> {
        self.start().wait()
    }
}

impl<P, T, E, C> IntoIterator for StreamCall<P, T, E, Peer<C>>
where
    P: Params,
    T: DeserializeOwned + Send + 'static,
    E: DomainError,
    C: Caller,
{
    type Item = Result<T, CallError<E>>;
    type IntoIter = Iter<Streaming<T, E, Peer<C>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.wait()
    }
}

impl<T, E, C> Streaming<T, E, Peer<C>>
where
    T: DeserializeOwned + Send + 'static,
    E: DomainError,
    C: Caller,
{
    /// The results as an iterator, as [`StreamCall::wait`] gives them.
    pub fn wait(self) -> Iter<Self> {
        let runner = Arc::clone(self.caller().runner());
        let desk: Option<Arc<Desk>> = self.caller().desk().cloned();
        Iter::new(self, runner, desk)
    }
}

impl<T, E, C> IntoIterator for Streaming<T, E, Peer<C>>
where
    T: DeserializeOwned + Send + 'static,
    E: DomainError,
    C: Caller,
{
    type Item = Result<T, CallError<E>>;
    type IntoIter = Iter<Self>;

    fn into_iter(self) -> Self::IntoIter {
        self.wait()
    }
}

impl<T, C> Subscribe<T, Peer<C>>
where
    T: DeserializeOwned + Send + 'static,
    C: Caller,
{
    /// Waits until the publisher has the subscription in its books; its messages are an iterator.
    ///
    /// # Errors
    /// As awaiting it; [`CallError::Misuse`] within async code.
    pub fn wait(self) -> Result<Iter<Subscription<T, Peer<C>>>, CallError<RpcError>> {
        let runner = Arc::clone(self.caller().runner());
        let subscribed = runner.wait(self.into_future()).map_err(InAsync::error)?;
        subscribed.map(|heard| Iter::new(heard, runner, None))
    }
}
