//! Iterators that block, as streams of results.

use super::pool::BlockingPool;
use futures_core::Stream;
use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{self, Poll};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Items that are asked for at once.
const MOST: usize = 64;
/// A slow iterator hands over what it has after so long.
const TURN: Duration = Duration::from_millis(1);

/// The stream of an iterator that may block. Made by [`stream`] and [`BlockingPool::stream`].
///
/// It is asked on a thread of the pool, for a few items at a time and only as far as they are taken: a stream that nobody
/// takes holds no thread. Dropped, the iterator is dropped as soon as it has given what it was asked for.
#[must_use = "streams do nothing unless polled"]
pub struct Blocked<I: Iterator> {
    pool: BlockingPool,
    ready: VecDeque<I::Item>,
    stage: Stage<I>,
}

enum Stage<I: Iterator> {
    Idle(I),
    Asked(oneshot::Receiver<Given<I>>),
    Done,
}

/// What an iterator gave, and the iterator unless it has come to its end; or its panic.
type Given<I> = Result<(VecDeque<<I as Iterator>::Item>, Option<I>), Box<dyn Any + Send>>;

impl<I: Iterator> fmt::Debug for Blocked<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocked")
            .field("ready", &self.ready.len())
            .finish_non_exhaustive()
    }
}

/// Whatever can be iterated as a stream of results, for a method of a service: the iterator may block, for it is asked on the
/// threads that the process shares. See [`BlockingPool::stream`].
pub fn stream<I>(items: I) -> Blocked<I::IntoIter>
where
    I: IntoIterator,
    I::IntoIter: Send + 'static,
    I::Item: Send + 'static,
{
    BlockingPool::default().stream(items)
}

impl BlockingPool {
    /// Whatever can be iterated as a stream, asked on threads of this pool.
    pub fn stream<I>(&self, items: I) -> Blocked<I::IntoIter>
    where
        I: IntoIterator,
        I::IntoIter: Send + 'static,
        I::Item: Send + 'static,
    {
        Blocked {
            pool: self.clone(),
            ready: VecDeque::new(),
            stage: Stage::Idle(items.into_iter()),
        }
    }
}

/// Asks for a few items.
fn give<I: Iterator>(mut items: I) -> (VecDeque<I::Item>, Option<I>) {
    let began = Instant::now();
    let mut given = VecDeque::new();
    while given.len() < MOST {
        match items.next() {
            Some(item) => given.push_back(item),
            None => return (given, None),
        }
        if began.elapsed() >= TURN {
            break;
        }
    }
    (given, Some(items))
}

impl<I: Iterator> Unpin for Blocked<I> {}

impl<I> Stream for Blocked<I>
where
    I: Iterator + Send + 'static,
    I::Item: Send + 'static,
{
    type Item = I::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<I::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(item) = this.ready.pop_front() {
                return Poll::Ready(Some(item));
            }
            match &mut this.stage {
                Stage::Done => return Poll::Ready(None),
                Stage::Asked(given) => {
                    let given = task::ready!(Pin::new(given).poll(cx));
                    this.stage = Stage::Done;
                    match given {
                        Ok(Ok((ready, items))) => {
                            this.ready = ready;
                            if let Some(items) = items {
                                this.stage = Stage::Idle(items);
                            }
                        }
                        // As if it had panicked here.
                        Ok(Err(payload)) => resume_unwind(payload),
                        // There is no thread for it.
                        Err(_gone) => resume_unwind(Box::new("no thread for a blocking stream")),
                    }
                }
                Stage::Idle(_) => {
                    let Stage::Idle(items) = std::mem::replace(&mut this.stage, Stage::Done) else {
                        return Poll::Ready(None);
                    };
                    let (done, given) = oneshot::channel();
                    let runtime = Handle::try_current().ok();
                    // The calls that streams belong to bound how many wait.
                    let _taken = this.pool.run_always(move || {
                        let _entered = runtime.as_ref().map(Handle::enter);
                        if !done.is_closed() {
                            let given = catch_unwind(AssertUnwindSafe(|| give(items)));
                            // Nobody may be waiting any more.
                            let _unheard = done.send(given);
                        }
                    });
                    this.stage = Stage::Asked(given);
                }
            }
        }
    }
}
