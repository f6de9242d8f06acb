//! Streams as iterators.

use super::desk::Desk;
use super::runner::{InAsync, Runner};
use crate::call::Caller;
use crate::error::{CallError, DomainError};
use crate::events::{Subscription, message};
use crate::stream::Streaming;
use futures_core::Stream;
use mynah_protocol::{EndReason, ErrorCode, RpcError};
use serde::de::DeserializeOwned;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, Waker};
use std::time::Duration;

/// A stream as an iterator: each step waits for the next item. Dropped before its end, it does what dropping the stream
/// does: a stream of results cancels its call.
///
/// Within async code a step is an error, and the iterator is over.
#[must_use = "iterators do nothing unless asked"]
pub struct Iter<S> {
    stream: S,
    runner: Arc<Runner>,
    desk: Option<Arc<Desk>>,
    /// An item has come: the next one may be there already.
    begun: bool,
    over: bool,
}

impl<S> fmt::Debug for Iter<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter")
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

/// An item that can be an error of the thread that waits for it.
#[doc(hidden)]
pub trait Fallible: Sized {
    fn failed(error: RpcError) -> Self;
    fn misuse() -> Self;
}

impl<T, E> Fallible for Result<T, CallError<E>> {
    fn failed(error: RpcError) -> Self {
        Err(CallError::Remote(error))
    }

    fn misuse() -> Self {
        Err(InAsync.error())
    }
}

impl<T> Fallible for Result<T, EndReason> {
    fn failed(error: RpcError) -> Self {
        Err(EndReason::Error(Box::new(error)))
    }

    fn misuse() -> Self {
        Self::failed(RpcError::new(ErrorCode::UNCODED, InAsync.to_string()))
    }
}

impl<S> Iter<S> {
    pub(super) const fn new(stream: S, runner: Arc<Runner>, desk: Option<Arc<Desk>>) -> Self {
        Self {
            stream,
            runner,
            desk,
            begun: false,
            over: false,
        }
    }

    /// The stream, to ask it for what its items do not say: why it ended, what was dropped.
    #[must_use]
    pub const fn stream(&self) -> &S {
        &self.stream
    }

    /// The stream.
    pub const fn stream_mut(&mut self) -> &mut S {
        &mut self.stream
    }
}

impl<S> Iter<S>
where
    S: Stream + Unpin,
    S::Item: Fallible,
{
    fn within(&mut self, patience: Duration) -> Result<Option<S::Item>, CallError> {
        if self.over {
            return Ok(None);
        }
        let stream = &mut self.stream;
        let mut failed = false;
        let next = async {
            let next = poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx));
            tokio::time::timeout(patience, next).await
        };
        let waited = match &self.desk {
            None => self.runner.wait(next),
            Some(desk) => {
                let ended = desk.wait(&self.runner, Box::pin(next));
                ended.map(|next| {
                    next.unwrap_or_else(|error| {
                        failed = true;
                        Ok(Some(S::Item::failed(error)))
                    })
                })
            }
        };
        let next = waited.map_err(InAsync::error)?;
        let next = next.map_err(|_late| CallError::Deadline)?;
        self.over = failed || next.is_none();
        Ok(next)
    }
}

impl<T, E, C> Iter<Streaming<T, E, C>>
where
    T: DeserializeOwned + Send + 'static,
    E: DomainError,
    C: Caller,
{
    /// The next item, if it comes in time; `None` at the end.
    ///
    /// # Errors
    /// [`CallError::Deadline`] when nothing has come by then, and it may be asked again; [`CallError::Misuse`] within
    /// async code.
    pub fn next_within(
        &mut self,
        patience: Duration,
    ) -> Result<Option<Result<T, CallError<E>>>, CallError> {
        self.within(patience)
    }
}

impl<T, C> Iter<Subscription<T, C>>
where
    T: DeserializeOwned + Send + 'static,
    C: Caller,
{
    /// The next message, if it comes in time: [`Subscription::next_within`].
    ///
    /// # Errors
    /// As there, and [`CallError::Misuse`] within async code.
    pub fn next_within(&mut self, patience: Duration) -> Result<T, CallError> {
        self.within(patience).and_then(message)
    }
}

impl<S> Iterator for Iter<S>
where
    S: Stream + Unpin,
    S::Item: Fallible,
{
    type Item = S::Item;

    fn next(&mut self) -> Option<S::Item> {
        if self.over {
            return None;
        }
        let stream = &mut self.stream;
        let next = match &self.desk {
            None => {
                if self.begun {
                    // What has come already costs no look at the connection.
                    let noop = &mut task::Context::from_waker(Waker::noop());
                    if let Poll::Ready(Some(item)) = Pin::new(&mut *stream).poll_next(noop) {
                        return Some(item);
                    }
                }
                self.runner
                    .wait(poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx)))
            }
            Some(desk) => {
                let next = poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx));
                let next = desk.wait(&self.runner, next);
                next.map(|next| {
                    next.unwrap_or_else(|error| {
                        self.over = true;
                        Some(S::Item::failed(error))
                    })
                })
            }
        };
        let next = next.unwrap_or_else(|_in_async| {
            self.over = true;
            Some(S::Item::misuse())
        });
        self.begun = true;
        self.over |= next.is_none();
        next
    }
}

impl<S> Drop for Iter<S> {
    fn drop(&mut self) {
        if let Some(desk) = &self.desk {
            desk.close();
        }
    }
}
