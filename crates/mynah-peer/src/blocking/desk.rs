//! What is done on the thread that waits for a call: its callbacks, and the iterator that it was passed.

use super::feed::Feed;
use super::runner::{InAsync, Runner};
use crate::call::Attachments;
use crate::context::Context;
use crate::encoded::EncodedBuffer;
use crate::handler::{Called, Invocation, Method, Running, panicked};
use crate::link::HandlerRef;
use crate::scratch;
use mynah_codec::Format;
use mynah_protocol::{DecodeLimits, ErrorCode, RpcError, Streams};
use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{self, Poll, Waker};

/// Values that callbacks were told and that wait for the thread, and their bytes. Only a thread that is slower than the
/// other side, while another one drives, comes near it.
const MOST_WAITING: usize = 65_536;
const MOST_BYTES: usize = 64 << 20;

/// What waits for the thread of a call.
#[derive(Default)]
pub(super) struct Desk {
    state: Mutex<State>,
    feed: Option<Arc<dyn Feed>>,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    bytes: usize,
    waker: Option<Waker>,
    /// More waited than may: the call fails.
    overflown: bool,
    /// Nobody waits any more.
    closed: bool,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk")
            .field("jobs", &self.lock().jobs.len())
            .field("feeds", &self.feed.is_some())
            .finish_non_exhaustive()
    }
}

/// One call of a callback.
struct Job {
    method: Arc<dyn Method>,
    context: Context,
    params: Vec<u8>,
    format: Format,
    limits: DecodeLimits,
    answered: bool,
}

/// What the thread is to do next.
pub(super) enum Step<T> {
    Work,
    Feed,
    Failed(RpcError),
    Done(T),
}

impl Desk {
    /// Takes over what is attached to a call, from now on done where the call is waited for.
    pub(super) fn take_over(attachments: &mut Attachments) -> Arc<Self> {
        let feed = attachments.take_feed();
        if let Some(feed) = &feed {
            feed.take_over();
        }
        let desk = Arc::new(Self {
            state: Mutex::default(),
            feed,
        });
        attachments.wrap_callbacks(|method| {
            Arc::new(AtDesk {
                method,
                desk: Arc::clone(&desk),
            })
        });
        desk
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, job: Job) {
        let mut state = self.lock();
        let over = state.jobs.len() >= MOST_WAITING || state.bytes + job.params.len() > MOST_BYTES;
        state.overflown |= over && !state.closed;
        if state.closed || state.overflown {
            let waker = state.waker.take();
            drop(state);
            if let Some(waker) = waker {
                waker.wake();
            }
            return job.refuse();
        }
        state.bytes += job.params.len();
        state.jobs.push_back(job);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// What is to be done before `future` is looked at, or its end.
    fn poll<F: Future + Unpin>(
        &self,
        future: &mut F,
        cx: &mut task::Context<'_>,
    ) -> Poll<Step<F::Output>> {
        let mut state = self.lock();
        if state.overflown {
            let text = "the thread of the call is too slow for its callbacks";
            return Poll::Ready(Step::Failed(RpcError::new(ErrorCode::LAGGED, text)));
        }
        if !state.jobs.is_empty() {
            return Poll::Ready(Step::Work);
        }
        state.waker = Some(cx.waker().clone());
        drop(state);
        if let Some(feed) = &self.feed
            && feed.poll_hungry(cx).is_ready()
        {
            return Poll::Ready(Step::Feed);
        }
        std::pin::Pin::new(future).poll(cx).map(Step::Done)
    }

    /// Waits for a future, and does what is to be done meanwhile.
    pub(super) fn wait<F: Future + Unpin>(
        &self,
        runner: &Runner,
        mut future: F,
    ) -> Result<Result<F::Output, RpcError>, InAsync> {
        loop {
            match runner.wait(poll_fn(|cx| self.poll(&mut future, cx)))? {
                Step::Work => self.work(runner)?,
                Step::Feed => {
                    if let Some(feed) = &self.feed {
                        feed.feed();
                    }
                }
                Step::Failed(error) => return Ok(Err(error)),
                Step::Done(output) => {
                    // What was told before the end is heard before it.
                    self.work(runner)?;
                    return Ok(Ok(output));
                }
            }
        }
    }

    fn work(&self, runner: &Runner) -> Result<(), InAsync> {
        loop {
            let mut state = self.lock();
            let Some(job) = state.jobs.pop_front() else {
                return Ok(());
            };
            state.bytes -= job.params.len();
            drop(state);
            job.run(runner)?;
        }
    }

    /// The call is over: what comes is not heard.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let jobs = std::mem::take(&mut state.jobs);
        state.waker = None;
        drop(state);
        jobs.into_iter().for_each(Job::refuse);
    }
}

impl Job {
    /// Nobody will run it.
    fn refuse(self) {
        if self.answered
            && let Some((link, key)) = self.context.link()
        {
            let over = RpcError::new(ErrorCode::CANCELLED, "callback is over");
            link.answer(key, Err(Box::new(over)));
        }
    }

    /// Runs the function on this thread. It is outside of whatever drives the connection, and may wait for calls of its own.
    fn run(self, runner: &Runner) -> Result<(), InAsync> {
        let Self {
            method,
            context,
            params,
            format,
            limits,
            answered,
        } = self;
        scratch::with_encoded(|reply| {
            let invocation = Invocation {
                context: context.clone(),
                params: &params,
                streams: Streams::NONE,
                format,
                limits: &limits,
            };
            let noop = &mut task::Context::from_waker(Waker::noop());
            let called = catch_unwind(AssertUnwindSafe(|| method.call(invocation, noop, reply)));
            let result = match called {
                Ok(Called::Done(result)) => result,
                Ok(Called::Running(cell)) => finish(runner, &*method, cell, reply)?,
                Ok(Called::Streaming { .. } | Called::Elsewhere(_)) => Ok(()),
                Err(payload) => Err(panicked(&*payload)),
            };
            if answered && let Some((link, key)) = context.link() {
                link.answer(key, result.map(|()| reply.whole()));
                runner.stir();
            }
            Ok(())
        })
    }
}

/// Waits for a function that was not ready at once.
fn finish(
    runner: &Runner,
    method: &dyn Method,
    mut cell: Box<dyn Running>,
    reply: &mut EncodedBuffer,
) -> Result<Result<(), Box<RpcError>>, InAsync> {
    let ended = runner.wait(poll_fn(|cx| {
        match catch_unwind(AssertUnwindSafe(|| cell.poll(cx, reply))) {
            Ok(polled) => polled,
            Err(payload) => Poll::Ready(Err(panicked(&*payload))),
        }
    }))?;
    method.recycle(cell.into_any());
    Ok(ended)
}

/// A callback whose function runs at the desk.
struct AtDesk {
    method: Arc<dyn Method>,
    desk: Arc<Desk>,
}

impl Method for AtDesk {
    fn call(
        &self,
        invocation: Invocation<'_>,
        _task: &mut task::Context<'_>,
        _reply: &mut EncodedBuffer,
    ) -> Called {
        let Invocation {
            context,
            params,
            format,
            limits,
            ..
        } = invocation;
        let answered = context
            .link()
            .is_some_and(|(link, key)| link.lock().connection.wire_id(key).is_some());
        self.desk.put(Job {
            method: Arc::clone(&self.method),
            context,
            params: params.to_vec(),
            format,
            limits: *limits,
            answered,
        });
        if answered {
            Called::Elsewhere(HandlerRef::Blocking)
        } else {
            // What is told is over for the connection when it lies on the desk.
            Called::Done(Ok(()))
        }
    }

    fn recycle(&self, _cell: Box<dyn Any>) {}
}
