//! Methods with a stream of results.
//!
//! A stream may borrow from the service and from the context of its call. A future owns both and polls the stream; it
//! puts items in a place that it shares with whoever takes them: a batch at a time for a connection, one at a time
//! within the process.

use super::inline::{TypedError, taken};
use super::output::{Output, ViaResult, ViaValue};
use super::stream::fill;
use super::{Called, Invocation, Method, Produce, Progress, panicked};
use crate::context::Context;
use crate::encoded::EncodedBuffer;
use crate::error::DomainError;
use crate::params::Reads;
use crate::validate::{CheckParams, CheckResult};
use futures_core::Stream;
use mynah_codec::Format;
use mynah_protocol::{DecodeLimits, ErrorCode, RpcError};
use serde::Serialize;
use std::any::Any;
use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{self, Poll};

/// Where the results of a call go that are a stream. Made by the routes, used by the macro.
pub struct StreamSink<T, E> {
    place: Shared<T, E>,
    /// What is held against each item.
    check: Option<Check<T>>,
}

type Check<T> = fn(&T) -> Result<(), Box<RpcError>>;

type Shared<T, E> = Arc<Mutex<Place<T, E>>>;

/// Between the future that polls the stream, and what takes the items: locked by one, then by the other.
enum Place<T, E> {
    /// For a caller in the same process.
    Item(Slot<T, E>),
    /// For a connection.
    Batch(Turn),
}

struct Slot<T, E> {
    item: Option<Result<T, TypedError<E>>>,
    over: bool,
}

/// What may be produced now, and what was.
struct Turn {
    items: u64,
    bytes: usize,
    format: Format,
    out: Vec<u8>,
    count: u64,
    progress: Progress,
}

impl<T, E> fmt::Debug for StreamSink<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamSink").finish_non_exhaustive()
    }
}

fn lock<T, E>(place: &Shared<T, E>) -> MutexGuard<'_, Place<T, E>> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Serialize + Send + 'static, E: DomainError> StreamSink<T, E> {
    /// Takes a stream of results.
    pub async fn results(self, stream: impl Stream<Item = Result<T, E>>) {
        self.outputs::<ViaResult>(stream).await;
    }

    /// Takes a stream of whatever comes to these types.
    pub(super) async fn outputs<O>(
        self,
        stream: impl Stream<Item: Output<O, Value = T, Error = E>>,
    ) {
        let mut stream = pin!(stream);
        poll_fn(|cx| self.poll(|| stream.as_mut().poll_next(cx))).await;
    }

    /// Ends at once, with this error in the place of a stream.
    pub(super) async fn end(self, error: TypedError<E>) {
        match &mut *lock(&self.place) {
            Place::Item(slot) => slot.item = Some(Err(error)),
            Place::Batch(turn) => turn.progress = Progress::Ended(Err(travelling(error))),
        }
        // As at the end of a stream: the future is dropped by whoever finds that it is over.
        std::future::pending::<()>().await;
    }

    /// Never ready: at the end of the stream its future is dropped, where a panic is caught.
    fn poll<I, O>(&self, mut next: impl FnMut() -> Poll<Option<I>>) -> Poll<()>
    where
        I: Output<O, Value = T, Error = E>,
    {
        let check = self.check;
        let mut next = || {
            next().map(|item| {
                item.map(|item| {
                    let item = item.into_result().map_err(TypedError::Own)?;
                    match check.map(|check| check(&item)) {
                        Some(Err(refused)) => Err(TypedError::Refused(refused)),
                        Some(Ok(())) | None => Ok(item),
                    }
                })
            })
        };
        // Code of the user runs under this lock, which nobody else can want: who takes the items is polling this.
        match &mut *lock(&self.place) {
            Place::Item(slot) => match next() {
                Poll::Ready(Some(item)) => slot.item = Some(item),
                Poll::Ready(None) => slot.over = true,
                Poll::Pending => {}
            },
            Place::Batch(turn) => {
                let next = || next().map(|item| item.map(|item| item.map_err(travelling)));
                let (items, bytes) = (turn.items, turn.bytes);
                (turn.count, turn.progress) = fill(items, bytes, turn.format, &mut turn.out, next);
            }
        }
        Poll::Pending
    }
}

/// The error as it goes to the peer.
fn travelling<E: DomainError>(error: TypedError<E>) -> Box<RpcError> {
    match error {
        TypedError::Own(error) => Box::new(error.into_rpc()),
        TypedError::Refused(error) => error,
    }
}

impl<T: Serialize + Send + 'static> StreamSink<T, Infallible> {
    /// Takes a stream of results that cannot fail.
    pub async fn items(self, stream: impl Stream<Item = T>) {
        self.outputs::<ViaValue>(stream).await;
    }
}

/// A stream of results on its way to a connection.
struct SinkProducer<F, T, E> {
    future: Pin<Box<F>>,
    place: Shared<T, E>,
}

impl<F, T, E> Produce for SinkProducer<F, T, E>
where
    F: Future<Output = ()> + Send,
    T: Send,
    E: Send,
{
    fn produce(
        &mut self,
        task: &mut task::Context<'_>,
        items: u64,
        bytes: usize,
        format: Format,
        out: &mut Vec<u8>,
    ) -> (u64, Progress) {
        if let Place::Batch(turn) = &mut *lock(&self.place) {
            turn.items = items;
            turn.bytes = bytes;
            turn.format = format;
            std::mem::swap(&mut turn.out, out);
        }
        // The buffer holds what others say, too: it comes back whatever happens.
        let polled = catch_unwind(AssertUnwindSafe(|| self.future.as_mut().poll(task)));
        let mut produced = (0, Progress::Ended(Ok(())));
        if let Place::Batch(turn) = &mut *lock(&self.place) {
            std::mem::swap(&mut turn.out, out);
            let progress = std::mem::replace(&mut turn.progress, Progress::Waiting);
            produced = (std::mem::take(&mut turn.count), progress);
        }
        match polled {
            Ok(Poll::Pending) => produced,
            Ok(Poll::Ready(())) => (produced.0, Progress::Ended(Ok(()))),
            Err(payload) => (produced.0, Progress::Ended(Err(panicked(&*payload)))),
        }
    }
}

/// A stream of results within the process.
struct SinkStream<F, T, E> {
    future: Pin<Box<F>>,
    place: Shared<T, E>,
}

impl<F, T, E> Stream for SinkStream<F, T, E>
where
    F: Future<Output = ()>,
{
    type Item = Result<T, TypedError<E>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let ended = this.future.as_mut().poll(cx).is_ready();
        let Place::Item(slot) = &mut *lock(&this.place) else {
            return Poll::Ready(None);
        };
        match slot.item.take() {
            Some(item) => Poll::Ready(Some(item)),
            None if ended || slot.over => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

/// A stream of results as a caller in the same process has it.
pub(crate) type LocalResults<T, E> = Pin<Box<dyn Stream<Item = Result<T, TypedError<E>>> + Send>>;

/// A method of types `P -> Stream<Result<T, E>>`, for calls in the same process.
pub(crate) trait TypedStreamMethod<P, T, E>: Send + Sync {
    /// Starts it. The error: it was refused, and nothing was started.
    fn open(&self, context: Context, params: P) -> Result<LocalResults<T, E>, Box<RpcError>>;
}

/// A handler `H: Fn(Context, P, StreamSink<T, E>) -> F` whose future takes a stream to the sink. `C` says what is held
/// against params and items.
pub(super) struct Streamed<H, P, R, T, E, C> {
    handler: H,
    reads: R,
    /// Whether streams and callbacks in the params have to be bound to the call when they are decoded.
    binds: bool,
    types: Types<P, T, E, C>,
}

type Types<P, T, E, C> = PhantomData<fn(P) -> (T, E, C)>;

impl<H, P, R, T, E, C> Streamed<H, P, R, T, E, C> {
    pub(super) fn new(handler: H, reads: R, binds: bool) -> Arc<Self> {
        Arc::new(Self {
            handler,
            reads,
            binds,
            types: PhantomData,
        })
    }
}

impl<H, P, R, F, T, E, C> Streamed<H, P, R, T, E, C>
where
    H: Fn(Context, P, StreamSink<T, E>) -> F,
    C: CheckResult<T>,
{
    fn start(
        &self,
        context: Context,
        params: P,
        place: Place<T, E>,
    ) -> (Pin<Box<F>>, Shared<T, E>) {
        let place = Arc::new(Mutex::new(place));
        let check: Check<T> = C::result;
        let sink = StreamSink {
            place: Arc::clone(&place),
            check: C::CHECKS.then_some(check),
        };
        (Box::pin((self.handler)(context, params, sink)), place)
    }
}

impl<H, P, R, F, T, E, C> Method for Arc<Streamed<H, P, R, T, E, C>>
where
    H: Fn(Context, P, StreamSink<T, E>) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
    R: Reads<P>,
    P: 'static,
    T: Serialize + Send + 'static,
    E: DomainError,
    C: CheckParams<P> + CheckResult<T>,
{
    fn call(
        &self,
        invocation: Invocation<'_>,
        _task: &mut task::Context<'_>,
        _reply: &mut EncodedBuffer,
    ) -> Called {
        if invocation.streams.window.is_none() {
            let text = "this method has a stream of results, and the call gave no credit for one";
            let error = RpcError::new(ErrorCode::INVALID_PARAMS, text);
            return Called::Done(Err(Box::new(error)));
        }
        let params = match taken::<P, R, C>(&invocation, &self.reads, self.binds) {
            Ok(params) => params,
            Err(error) => return Called::Done(Err(error)),
        };
        let (context, format) = (invocation.context, invocation.format);
        let turn = Turn {
            items: 0,
            bytes: 0,
            format,
            out: Vec::new(),
            count: 0,
            progress: Progress::Waiting,
        };
        let (future, place) = self.start(context, params, Place::Batch(turn));
        Called::Streaming {
            producer: Box::new(SinkProducer { future, place }),
            accepted: false,
        }
    }

    fn misread(
        &self,
        params: &[u8],
        format: Format,
        limits: &DecodeLimits,
    ) -> Option<Box<RpcError>> {
        self.reads.read(params, format, limits).err()
    }

    fn recycle(&self, _cell: Box<dyn Any>) {}
}

impl<H, P, R, F, T, E, C> TypedStreamMethod<P, T, E> for Streamed<H, P, R, T, E, C>
where
    H: Fn(Context, P, StreamSink<T, E>) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
    R: Reads<P>,
    P: 'static,
    T: Send + 'static,
    E: Send + 'static,
    C: CheckParams<P> + CheckResult<T>,
{
    fn open(&self, context: Context, params: P) -> Result<LocalResults<T, E>, Box<RpcError>> {
        C::params(&params, self.reads.names())?;
        let slot = Slot {
            item: None,
            over: false,
        };
        let (future, place) = self.start(context, params, Place::Item(slot));
        Ok(Box::pin(SinkStream { future, place }))
    }
}
