//! Threads for handlers that block.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Threads that run `#[blocking]` handlers: at most so many, and so many calls that wait for one. A call beyond is
/// answered busy, and was not run.
///
/// Threads are started when they are needed and end when they have had nothing to do for a while. All servers and peers
/// of a process share one pool of 64 threads and 1,024 waiting calls, unless a router has one of its own
/// ([`Router::blocking_pool`](crate::Router::blocking_pool)). A cheap clone: several routers may share one.
#[derive(Clone)]
pub struct BlockingPool {
    handle: Arc<Handle>,
}

/// Closes the pool with its last holder.
struct Handle {
    inner: Arc<Inner>,
}

struct Inner {
    threads: usize,
    queue: usize,
    spawn: Spawn,
    state: Mutex<State>,
    work: Condvar,
}

/// What starts a thread.
type Spawn = fn(Job) -> io::Result<()>;

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// Threads that wait for work, or are about to.
    idle: usize,
    threads: usize,
    closed: bool,
}

type Job = Box<dyn FnOnce() + Send>;

/// How long a thread waits for work before it ends.
const KEEP_IDLE: Duration = Duration::from_secs(10);

/// Every thread is busy, and as many calls wait as may.
#[derive(Debug)]
pub(crate) struct PoolFull;

impl Default for BlockingPool {
    /// The pool of the process.
    fn default() -> Self {
        static SHARED: LazyLock<BlockingPool> = LazyLock::new(|| BlockingPool::new(64, 1024));
        SHARED.clone()
    }
}

impl fmt::Debug for BlockingPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.handle.inner.lock();
        f.debug_struct("BlockingPool")
            .field("threads", &state.threads)
            .field("idle", &state.idle)
            .field("waiting", &state.jobs.len())
            .finish_non_exhaustive()
    }
}

impl BlockingPool {
    /// At most so many threads (one at least), and so many calls that wait for one.
    #[must_use]
    pub fn new(threads: usize, queue: usize) -> Self {
        Self::with_spawn(threads, queue, spawn)
    }

    fn with_spawn(threads: usize, queue: usize, spawn: Spawn) -> Self {
        Self {
            handle: Arc::new(Handle {
                inner: Arc::new(Inner {
                    threads: threads.max(1),
                    queue,
                    spawn,
                    state: Mutex::default(),
                    work: Condvar::new(),
                }),
            }),
        }
    }

    /// Runs a job on a thread. A panic of it ends nothing but the job.
    pub(crate) fn run(&self, job: impl FnOnce() + Send + 'static) -> Result<(), PoolFull> {
        self.put(Box::new(job), self.handle.inner.queue)
    }

    /// The same for a job that is bounded elsewhere: it waits however many wait.
    pub(crate) fn run_always(&self, job: impl FnOnce() + Send + 'static) -> Result<(), PoolFull> {
        self.put(Box::new(job), usize::MAX)
    }

    fn put(&self, job: Job, queue: usize) -> Result<(), PoolFull> {
        let inner = &self.handle.inner;
        let mut state = inner.lock();
        if state.idle > state.jobs.len() {
            state.jobs.push_back(job);
            drop(state);
            inner.work.notify_one();
            return Ok(());
        }
        let mut failed = None;
        if state.threads < inner.threads {
            // Under the lock, so that whoever finds a thread counted finds one that is there. It begins by waiting for it.
            let thread = Arc::clone(inner);
            match (inner.spawn)(Box::new(move || thread.work())) {
                Ok(()) => {
                    state.threads += 1;
                    // It will come to it, or to another.
                    state.idle += 1;
                    state.jobs.push_back(job);
                    return Ok(());
                }
                Err(error) => failed = Some(error),
            }
        }
        // Without any thread nobody would ever come to it. Those that idle threads are about to take do not wait.
        let taken = if state.threads == 0 || state.jobs.len() - state.idle >= queue {
            Err(job)
        } else {
            state.jobs.push_back(job);
            Ok(())
        };
        drop(state);
        if let Some(error) = failed {
            tracing::warn!(%error, "no thread for a blocking handler");
        }
        taken.map_err(|_unrun| PoolFull)
    }
}

fn spawn(work: Job) -> io::Result<()> {
    let thread = std::thread::Builder::new().name("mynah-blocking".into());
    thread.spawn(work).map(drop)
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        self.lock().idle -= 1;
        loop {
            let mut state = self.lock();
            let job = loop {
                if let Some(job) = state.jobs.pop_front() {
                    break job;
                }
                if state.closed {
                    state.threads -= 1;
                    return;
                }
                state.idle += 1;
                let waited = self.work.wait_timeout(state, KEEP_IDLE);
                let (woken, waited) = waited.unwrap_or_else(PoisonError::into_inner);
                state = woken;
                state.idle -= 1;
                if waited.timed_out() && state.jobs.is_empty() {
                    state.threads -= 1;
                    return;
                }
            };
            drop(state);
            // Handlers catch their own; this is what is left, and the thread goes on.
            if catch_unwind(AssertUnwindSafe(job)).is_err() {
                tracing::error!("a job of the blocking pool panicked");
            }
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.inner.lock().closed = true;
        self.inner.work.notify_all();
    }
}

#[cfg(test)]
mod tests;
