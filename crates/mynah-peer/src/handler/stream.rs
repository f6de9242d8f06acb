//! Streams of the user that are sent: results of a method, and the input of a call.

use super::{Called, Invocation, Method, decode};
use crate::context::Context;
use crate::error::DomainError;
use futures_core::Stream;
use mynah_codec::{EncodeError, Format};
use mynah_protocol::{ErrorCode, ItemBatch, RpcError};
use serde::{Serialize, de::DeserializeOwned};
use std::any::Any;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

/// How far a stream came.
pub(crate) enum Progress {
    /// It has no item now, and wakes its task when it has.
    Waiting,
    /// It was stopped at a limit; there may be more.
    More,
    Ended(Result<(), Box<RpcError>>),
}

/// A stream of items of types that are known only inside.
pub(crate) trait Produce: Send {
    /// Polls for items and appends each with its length before it: at most `items`, and none once `bytes` were
    /// appended. Returns how many. Not called again after the end.
    fn produce(
        &mut self,
        task: &mut task::Context<'_>,
        items: u64,
        bytes: usize,
        format: Format,
        out: &mut Vec<u8>,
    ) -> (u64, Progress);

    /// This side drains. Returns whether the stream ends because of it, and is to be polled.
    fn drain(&mut self) -> bool {
        false
    }
}

/// A stream of results.
struct StreamProducer<S> {
    stream: Pin<Box<S>>,
}

impl<S> StreamProducer<S> {
    fn new(stream: S) -> Self {
        Self {
            stream: Box::pin(stream),
        }
    }
}

impl<S, T, E> Produce for StreamProducer<S>
where
    S: Stream<Item = Result<T, E>> + Send,
    T: Serialize,
    E: DomainError,
{
    fn produce(
        &mut self,
        task: &mut task::Context<'_>,
        items: u64,
        bytes: usize,
        format: Format,
        out: &mut Vec<u8>,
    ) -> (u64, Progress) {
        let limit = out.len().saturating_add(bytes);
        let mut count = 0;
        while count < items && out.len() < limit {
            match self.stream.as_mut().poll_next(task) {
                Poll::Pending => return (count, Progress::Waiting),
                Poll::Ready(None) => return (count, Progress::Ended(Ok(()))),
                Poll::Ready(Some(Err(error))) => {
                    return (count, Progress::Ended(Err(Box::new(error.into_rpc()))));
                }
                Poll::Ready(Some(Ok(item))) => {
                    if let Err(error) = append(&item, format, out) {
                        return (count, Progress::Ended(Err(error)));
                    }
                    count += 1;
                }
            }
        }
        (count, Progress::More)
    }
}

/// Writes one item behind its length.
#[inline]
pub(crate) fn append<T: Serialize + ?Sized>(
    item: &T,
    format: Format,
    out: &mut Vec<u8>,
) -> Result<(), Box<RpcError>> {
    append_with(out, |out| format.encode(item, out))
}

/// The same, with whatever writes the item.
#[inline]
pub(crate) fn append_with(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
) -> Result<(), Box<RpcError>> {
    let start = out.len();
    out.extend_from_slice(&[0; ItemBatch::PREFIX]);
    let written = write(out);
    if let Err(error) = written {
        out.truncate(start);
        let error = RpcError::new(ErrorCode::UNENCODABLE, error.to_string());
        return Err(Box::new(error));
    }
    let len = u32::try_from(out.len() - start - ItemBatch::PREFIX);
    let prefix = out
        .get_mut(start..)
        .and_then(|item| item.first_chunk_mut::<{ ItemBatch::PREFIX }>());
    match (len, prefix) {
        (Ok(len), Some(prefix)) => {
            *prefix = len.to_be_bytes();
            Ok(())
        }
        _ => {
            out.truncate(start);
            Err(Box::new(RpcError::from_code(ErrorCode::TOO_LARGE)))
        }
    }
}

/// A method of types `P -> Stream<Result<T, E>>`, for calls in the same process.
pub(crate) trait TypedStreamMethod<P, T, E>: Send + Sync {
    fn open(&self, context: Context, params: P)
    -> Pin<Box<dyn Stream<Item = Result<T, E>> + Send>>;
}

/// A handler `H: Fn(Context, P) -> S` whose results are a stream.
pub(super) struct Streamed<H, P> {
    handler: H,
    params: PhantomData<fn(P)>,
}

impl<H, P> Streamed<H, P> {
    pub(super) fn new(handler: H) -> Arc<Self> {
        Arc::new(Self {
            handler,
            params: PhantomData,
        })
    }
}

impl<H, P, S, T, E> Method for Arc<Streamed<H, P>>
where
    H: Fn(Context, P) -> S + Send + Sync + 'static,
    S: Stream<Item = Result<T, E>> + Send + 'static,
    P: DeserializeOwned + 'static,
    T: Serialize + 'static,
    E: DomainError,
{
    fn call(
        &self,
        invocation: Invocation<'_>,
        _task: &mut task::Context<'_>,
        _reply: &mut Vec<u8>,
    ) -> Called {
        let Invocation {
            context,
            params,
            streams,
            format,
            limits,
        } = invocation;
        if streams.window.is_none() {
            let text = "this method has a stream of results, and the call gave no credit for one";
            let error = RpcError::new(ErrorCode::INVALID_PARAMS, text);
            return Called::Done(Err(Box::new(error)));
        }
        let params = match decode::<P>(params, format, limits) {
            Ok(params) => params,
            Err(error) => return Called::Done(Err(error)),
        };
        Called::Streaming {
            producer: Box::new(StreamProducer::new((self.handler)(context, params))),
            accepted: false,
        }
    }

    fn recycle(&self, _cell: Box<dyn Any>) {}
}

impl<H, P, S, T, E> TypedStreamMethod<P, T, E> for Streamed<H, P>
where
    H: Fn(Context, P) -> S + Send + Sync + 'static,
    S: Stream<Item = Result<T, E>> + Send + 'static,
    P: 'static,
{
    fn open(
        &self,
        context: Context,
        params: P,
    ) -> Pin<Box<dyn Stream<Item = Result<T, E>> + Send>> {
        Box::pin((self.handler)(context, params))
    }
}
