//! What can be passed as a stream: streams, and whatever can be iterated.

use futures_core::Stream;
use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{self, Poll, Waker};
use std::time::{Duration, Instant};

/// What a client can be given for a param that is an `Incoming<T>`: a stream of `T`, or anything that can be iterated.
///
/// Implemented for both; `Via` says which it is, and is found by the compiler. An iterator is asked where the connection
/// is driven, so it must not block; a call through a [`blocking::Peer`](crate::blocking::Peer) asks it on the thread that
/// waits for the call, where it may.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a stream nor an iterator of `{T}`",
    note = "it must be `Send + 'static` too"
)]
pub trait IntoInput<T, Via>: Send + 'static {
    /// The stream.
    #[doc(hidden)]
    fn into_input(self) -> Input<T>;
}

/// Passed as a stream.
#[derive(Debug)]
pub enum FromStream {}

/// Passed as something that can be iterated.
#[derive(Debug)]
pub enum FromIterator {}

pub(crate) type BoxStream<T> = Pin<Box<dyn Stream<Item = T> + Send>>;

/// A stream that is to be sent.
#[doc(hidden)]
pub struct Input<T> {
    pub(crate) stream: BoxStream<T>,
    /// Present for an iterator.
    pub(crate) feed: Option<Arc<dyn Feed>>,
}

impl<T> fmt::Debug for Input<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input").finish_non_exhaustive()
    }
}

impl<T, S> IntoInput<T, FromStream> for S
where
    S: Stream<Item = T> + Send + 'static,
{
    fn into_input(self) -> Input<T> {
        Input {
            stream: Box::pin(self),
            feed: None,
        }
    }
}

impl<T, I> IntoInput<T, FromIterator> for I
where
    I: IntoIterator<Item = T> + Send + 'static,
    I::IntoIter: Send,
    T: Send + 'static,
{
    fn into_input(self) -> Input<T> {
        let source = Arc::new(Source {
            state: Mutex::new(State {
                iterator: Some(self.into_iter()),
                fed: false,
                ready: VecDeque::new(),
                over: false,
                stream: None,
                feeder: None,
            }),
        });
        Input {
            stream: Box::pin(Iterated(Arc::clone(&source))),
            feed: Some(source),
        }
    }
}

/// An iterator that a thread feeds to a stream.
pub(crate) trait Feed: Send + Sync {
    /// From now on the iterator is asked by [`Self::feed`] only.
    fn take_over(&self);
    /// Waits until the stream has nothing left that is to be sent.
    fn poll_hungry(&self, cx: &mut task::Context<'_>) -> Poll<()>;
    /// Asks the iterator for more.
    fn feed(&self);
}

/// Items that are asked for at once.
const HELPING: usize = 64;
/// A slow iterator is left for the connection after so long, so that what it has given leaves.
const TURN: Duration = Duration::from_millis(1);

struct Source<I: Iterator> {
    state: Mutex<State<I>>,
}

struct State<I: Iterator> {
    /// Absent while it is asked, and after its end.
    iterator: Option<I>,
    /// A thread feeds it.
    fed: bool,
    ready: VecDeque<I::Item>,
    over: bool,
    /// The stream, which waits for more.
    stream: Option<Waker>,
    /// The thread, which waits for the stream to want more.
    feeder: Option<Waker>,
}

impl<I: Iterator> Source<I> {
    fn lock(&self) -> MutexGuard<'_, State<I>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<I> Feed for Source<I>
where
    I: Iterator + Send,
    I::Item: Send,
{
    fn take_over(&self) {
        self.lock().fed = true;
    }

    fn poll_hungry(&self, cx: &mut task::Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if !state.over && state.stream.is_some() {
            return Poll::Ready(());
        }
        if !state.over {
            state.feeder = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    fn feed(&self) {
        // Code of the user, outside of the lock.
        let Some(mut iterator) = self.lock().iterator.take() else {
            return;
        };
        let began = Instant::now();
        let mut given = Vec::new();
        let mut over = false;
        while given.len() < HELPING && began.elapsed() < TURN {
            match iterator.next() {
                Some(item) => given.push(item),
                None => {
                    over = true;
                    break;
                }
            }
        }
        let mut state = self.lock();
        state.ready.extend(given);
        state.over = over;
        let rest = if over {
            Some(iterator)
        } else {
            state.iterator = Some(iterator);
            None
        };
        let waker = state.stream.take();
        drop(state);
        drop(rest);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The stream of an iterator.
struct Iterated<I: Iterator>(Arc<Source<I>>);

impl<I: Iterator> Stream for Iterated<I> {
    type Item = I::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<I::Item>> {
        let source = &self.get_mut().0;
        let mut state = source.lock();
        if let Some(item) = state.ready.pop_front() {
            return Poll::Ready(Some(item));
        }
        if state.over {
            return Poll::Ready(None);
        }
        if state.fed {
            state.stream = Some(cx.waker().clone());
            let feeder = state.feeder.take();
            drop(state);
            if let Some(feeder) = feeder {
                feeder.wake();
            }
            return Poll::Pending;
        }
        // Nobody else asks it; outside of the lock all the same.
        let Some(mut iterator) = state.iterator.take() else {
            return Poll::Ready(None);
        };
        drop(state);
        let item = iterator.next();
        let mut state = source.lock();
        state.over = item.is_none();
        state.iterator = Some(iterator);
        Poll::Ready(item)
    }
}
