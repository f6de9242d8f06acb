//! The stream that comes with a call.

use super::{Attachment, Batch};
use crate::blocking::{BoxStream, Input, IntoInput};
use crate::context::Context;
use crate::handler::{Bound, Produce, Progress, fill, panicked, wanted};
use crate::link::Link;
use futures_core::Stream;
use mynah_codec::Format;
use mynah_connection::InboundKey;
use mynah_protocol::{DecodeLimits, EndReason, ErrorCode, RpcError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{self, Poll};

/// A stream of the caller, as a param of a method.
///
/// The caller passes any stream of `T`; the handler takes items from this one, in order. It ends with `None` when the
/// caller's stream came to its end, and with one error and `None` otherwise. Dropped before its end, it stops the
/// caller's stream. The caller sends no more than the handler takes: `Limits::stream_items` and
/// `Limits::stream_bytes` bound what waits here.
#[must_use = "dropped, it stops the caller's stream"]
pub struct Incoming<T> {
    inner: Inner<T>,
}

/// Taken by whichever sends it, or by the handler in the same process.
type Shared<T> = Arc<Mutex<Option<BoxStream<T>>>>;

enum Inner<T> {
    /// To be sent.
    Own(Shared<T>),
    /// As it was decoded; with the place where its call will be, for a handler that does not bind it itself.
    Unbound(Option<Waiting>),
    /// Of the same process.
    Local(BoxStream<T>),
    Remote(Remote),
    Failed(EndReason),
    Done,
}

/// Waits to be asked for its first item.
struct Waiting(Option<Bound>);

impl Drop for Waiting {
    fn drop(&mut self) {
        let bound = self.0.take();
        if let Some((link, key)) = bound.as_ref().and_then(|bound| bound.get()?.link())
            && link.open_input(key)
        {
            link.stop_input(key);
        }
    }
}

struct Remote {
    link: Arc<Link>,
    key: InboundKey,
    batch: Batch,
    format: Format,
    limits: DecodeLimits,
    over: bool,
}

impl Drop for Remote {
    fn drop(&mut self) {
        if !self.over {
            self.link.stop_input(self.key);
        }
    }
}

impl<T> Unpin for Incoming<T> {}

impl<T> fmt::Debug for Incoming<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").finish_non_exhaustive()
    }
}

impl<T: Serialize + Send + 'static> Incoming<T> {
    /// A stream that goes with a call, and what is attached to the call for it. Used by the macro.
    pub fn outgoing<Via>(input: impl IntoInput<T, Via>) -> (Self, Attachment) {
        let Input { stream, feed } = input.into_input();
        let shared: Shared<T> = Arc::new(Mutex::new(Some(stream)));
        let producer = InputProducer {
            shared: Arc::clone(&shared),
            stream: None,
        };
        let inner = Inner::Own(shared);
        (Self { inner }, Attachment::input(Box::new(producer), feed))
    }
}

impl<T> Incoming<T> {
    /// The stream of the call of this context. Used by the macro.
    pub fn bind(mut self, context: &Context) -> Self {
        let inner = match &mut self.inner {
            Inner::Own(shared) => {
                let mut stream = shared.lock().unwrap_or_else(PoisonError::into_inner);
                stream.take().map_or(Inner::Done, Inner::Local)
            }
            Inner::Unbound(waiting) => {
                if let Some(waiting) = waiting {
                    waiting.0 = None;
                }
                Self::bind_remote(context)
            }
            Inner::Local(_) | Inner::Remote(_) | Inner::Failed(_) | Inner::Done => return self,
        };
        Self { inner }
    }

    fn bind_remote(context: &Context) -> Inner<T> {
        let (Some((link, key)), Some(facts)) = (context.link(), context.facts()) else {
            return Inner::Done;
        };
        if !link.open_input(key) {
            let text = "the call came without the stream that this method takes";
            let error = RpcError::new(ErrorCode::INVALID_PARAMS, text);
            return Inner::Failed(EndReason::Error(Box::new(error)));
        }
        Inner::Remote(Remote {
            link: Arc::clone(link),
            key,
            batch: Batch::new(Some(link.window())),
            format: facts.format,
            limits: facts.decode,
            over: false,
        })
    }
}

impl<T: DeserializeOwned> Stream for Incoming<T> {
    type Item = Result<T, EndReason>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let remote = match &mut this.inner {
            Inner::Remote(remote) => remote,
            Inner::Local(stream) => {
                let polled = catch_unwind(AssertUnwindSafe(|| stream.as_mut().poll_next(cx)));
                let end = match polled {
                    Ok(Poll::Ready(Some(item))) => return Poll::Ready(Some(Ok(item))),
                    Ok(Poll::Pending) => return Poll::Pending,
                    Ok(Poll::Ready(None)) => None,
                    // The caller's, as it is over a connection.
                    Err(payload) => Some(Err(EndReason::Error(panicked(&*payload)))),
                };
                this.inner = Inner::Done;
                return Poll::Ready(end);
            }
            Inner::Done => return Poll::Ready(None),
            Inner::Failed(_) => {
                let Inner::Failed(reason) = std::mem::replace(&mut this.inner, Inner::Done) else {
                    return Poll::Ready(None);
                };
                return Poll::Ready(Some(Err(reason)));
            }
            Inner::Unbound(waiting) => {
                // Asked for its first item by a handler that did not bind it.
                let bound = waiting.as_mut().and_then(|waiting| waiting.0.take());
                this.inner = match bound.as_ref().and_then(|bound| bound.get()) {
                    Some(context) => Self::bind_remote(context),
                    None => Inner::Failed(misplaced()),
                };
                return Pin::new(this).poll_next(cx);
            }
            Inner::Own(_) => {
                this.inner = Inner::Done;
                return Poll::Ready(Some(Err(misplaced())));
            }
        };
        let end = loop {
            if let Some(item) = remote.batch.next() {
                match remote.format.decode(item, &remote.limits) {
                    Ok(item) => {
                        if let Some(taken) = remote.batch.take_worthy() {
                            remote.link.input_taken(remote.key, taken);
                        }
                        return Poll::Ready(Some(Ok(item)));
                    }
                    Err(error) => {
                        let text = format!("item is not of the expected shape: {error}");
                        let error = RpcError::new(ErrorCode::INVALID_PARAMS, text);
                        break Some(EndReason::Error(Box::new(error)));
                    }
                }
            }
            let taken = remote.batch.take_taken();
            let bytes = &mut remote.batch.bytes;
            match task::ready!(remote.link.poll_input(cx.waker(), remote.key, bytes, taken)) {
                Ok(true) => remote.batch.restart(),
                Ok(false) => {
                    remote.over = true;
                    break None;
                }
                Err(reason) => {
                    remote.over = true;
                    break Some(reason);
                }
            }
        };
        this.inner = Inner::Done;
        Poll::Ready(end.map(Err))
    }
}

fn misplaced() -> EndReason {
    let text = "a stream is a param of its own, not a part of another value";
    EndReason::Error(Box::new(RpcError::new(ErrorCode::INVALID_PARAMS, text)))
}

impl<T> Serialize for Incoming<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.inner {
            Inner::Own(_) => serializer.serialize_unit(),
            _ => Err(serde::ser::Error::custom(
                "a stream of a peer cannot be passed on as it is: pass a stream of its items",
            )),
        }
    }
}

impl<'de, T> Deserialize<'de> for Incoming<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <()>::deserialize(deserializer)?;
        Ok(Self {
            inner: Inner::Unbound(wanted().map(|bound| Waiting(Some(bound)))),
        })
    }
}

/// Sends the stream that goes with a call.
struct InputProducer<T> {
    shared: Shared<T>,
    stream: Option<BoxStream<T>>,
}

impl<T: Serialize + Send> Produce for InputProducer<T> {
    fn produce(
        &mut self,
        task: &mut task::Context<'_>,
        items: u64,
        bytes: usize,
        format: Format,
        out: &mut Vec<u8>,
    ) -> (u64, Progress) {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => {
                let taken = self
                    .shared
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take();
                match taken {
                    Some(stream) => self.stream.insert(stream),
                    None => return (0, Progress::Ended(Ok(()))),
                }
            }
        };
        fill(items, bytes, format, out, || {
            stream.as_mut().poll_next(task).map(|item| item.map(Ok))
        })
    }
}
