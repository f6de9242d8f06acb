//! The task of a connection, polled by the thread that waits.
//!
//! A runtime of one thread polls a task, finds that it has woken the future that is waited for, looks at its reactor once more
//! and then polls that future. A thread that waits polls the task itself, in the same turn: one system call less for each call.
//!
//! ```text
//!   one has the seat ──▶ it polls the task whenever that was woken
//!   nobody has       ──▶ a task of the runtime does, which whoever drives the runtime runs
//! ```

use crate::handler::panicked;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{self, Poll, Wake, Waker};

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The task of a connection, and who is to poll it.
pub(super) struct Direct {
    /// Absent when it is over.
    task: Mutex<Option<Task>>,
    /// It was woken since it was polled last.
    woken: AtomicBool,
    who: Mutex<Who>,
    /// What the task is polled with.
    waker: Waker,
}

#[derive(Default)]
struct Who {
    /// The thread that has the seat.
    waiter: Option<Waker>,
    /// The task of the runtime.
    runtime: Option<Waker>,
}

/// What became of a look at the task.
enum Polled {
    Waits,
    Over,
    /// Another thread polls it right now.
    Elsewhere,
}

/// Looks at the task in one poll of what is waited for. A task that always has more to do lets timers and others have
/// their turn.
const LOOKS: usize = 4;

/// Where the first connection that is opened is to put its task.
pub(super) type Place = Arc<OnceLock<Arc<Direct>>>;

thread_local! {
    static WANTED: RefCell<Option<Place>> = const { RefCell::new(None) };
    /// What this thread polls right now, by its address: it looks whether that was woken before it sleeps.
    static POLLS: Cell<usize> = const { Cell::new(0) };
}

/// While `poll` runs, a connection that is opened puts its task in this place.
pub(super) fn with_place<R>(place: &Place, poll: impl FnOnce() -> R) -> R {
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            WANTED.set(None);
        }
    }
    if place.get().is_none() {
        WANTED.set(Some(Arc::clone(place)));
    }
    let _reset = Reset;
    poll()
}

/// Runs the task of a connection.
pub(crate) fn spawn<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) {
    let Some(place) = WANTED.take() else {
        drop(tokio::spawn(task));
        return;
    };
    let direct = Direct::new(Box::pin(async move { drop(task.await) }));
    // The place was empty.
    let _taken = place.set(Arc::clone(&direct));
    tokio::spawn(poll_fn(move |cx| direct.poll_in_runtime(cx)));
}

/// Wakes the task. Weak: what the task has registered with it must not keep the task.
struct Bell(Weak<Direct>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let Some(direct) = self.0.upgrade() else {
            return;
        };
        // Before the look at who polls: whoever takes or leaves the seat looks at it afterwards.
        direct.woken.store(true, Ordering::SeqCst);
        if POLLS.get() != direct.address() {
            direct.wake_poller();
        }
    }
}

impl Direct {
    fn new(task: Task) -> Arc<Self> {
        Arc::new_cyclic(|direct| Self {
            task: Mutex::new(Some(task)),
            woken: AtomicBool::new(true),
            who: Mutex::default(),
            waker: Waker::from(Arc::new(Bell(Weak::clone(direct)))),
        })
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    fn who(&self) -> MutexGuard<'_, Who> {
        self.who.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_poller(&self) {
        let who = self.who();
        let waker = who.waiter.as_ref().or(who.runtime.as_ref()).cloned();
        drop(who);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn is_woken(&self) -> bool {
        self.woken.load(Ordering::SeqCst)
    }

    /// Polls the task if it was woken.
    fn poll(&self) -> Polled {
        // Whoever polls it now looks once more whether it was woken, when it has let go.
        let Ok(mut task) = self.task.try_lock() else {
            return Polled::Elsewhere;
        };
        let Some(running) = task.as_mut() else {
            return Polled::Over;
        };
        if !self.woken.swap(false, Ordering::SeqCst) {
            return Polled::Waits;
        }
        let mut cx = task::Context::from_waker(&self.waker);
        let polled = catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(&mut cx)));
        let polled = polled.unwrap_or_else(|payload| {
            // As with a task of the runtime, that is its end.
            panicked(&*payload);
            Poll::Ready(())
        });
        if polled.is_pending() {
            return Polled::Waits;
        }
        let ended = task.take();
        drop(task);
        drop(ended);
        let runtime = self.who().runtime.take();
        if let Some(runtime) = runtime {
            runtime.wake();
        }
        Polled::Over
    }

    fn poll_in_runtime(&self, cx: &task::Context<'_>) -> Poll<()> {
        let mut who = self.who();
        let known = who.runtime.as_ref();
        if !known.is_some_and(|known| known.will_wake(cx.waker())) {
            who.runtime = Some(cx.waker().clone());
        }
        let taken = who.waiter.is_some();
        drop(who);
        if taken {
            // Whoever leaves the seat wakes this if there is something to do.
            let over = self.task.try_lock().is_ok_and(|task| task.is_none());
            return if over { Poll::Ready(()) } else { Poll::Pending };
        }
        if let Polled::Over = self.poll() {
            return Poll::Ready(());
        }
        if self.is_woken() {
            self.wake_poller();
        }
        Poll::Pending
    }

    /// For one that begins to wait.
    pub(super) const fn seat(&self) -> Seat<'_> {
        Seat {
            direct: self,
            taken: None,
        }
    }
}

/// The place of the one who polls the task while it waits; it is taken at the first poll, if it is free.
pub(super) struct Seat<'d> {
    direct: &'d Direct,
    taken: Option<bool>,
}

impl Seat<'_> {
    /// Polls the task, and what is waited for.
    #[inline]
    pub(super) fn poll<R>(
        &mut self,
        cx: &mut task::Context<'_>,
        mut future: impl FnMut(&mut task::Context<'_>) -> Poll<R>,
    ) -> Poll<R> {
        struct Before(usize);
        impl Drop for Before {
            fn drop(&mut self) {
                POLLS.set(self.0);
            }
        }
        if !self.is_taken(cx) {
            return future(cx);
        }
        let direct = self.direct;
        let before = Before(POLLS.replace(direct.address()));
        for _ in 0..LOOKS {
            let polled = direct.poll();
            if let Poll::Ready(output) = future(cx) {
                return Poll::Ready(output);
            }
            // Whoever polls it rings if it was woken meanwhile; one that is over has nothing more to do.
            if matches!(polled, Polled::Elsewhere | Polled::Over) {
                return Poll::Pending;
            }
            // What it was woken for in between, on this thread: another one would ring.
            if !direct.is_woken() {
                return Poll::Pending;
            }
        }
        drop(before);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Whether this one has the seat. What wakes it may change from one poll to the next: a thread that waits for the runtime
    /// is woken in another way than one that drives it.
    fn is_taken(&mut self, cx: &task::Context<'_>) -> bool {
        if self.taken == Some(false) {
            return false;
        }
        let mut who = self.direct.who();
        match &mut who.waiter {
            Some(_) if self.taken.is_none() => self.taken = Some(false),
            Some(known) if known.will_wake(cx.waker()) => {}
            waiter => {
                *waiter = Some(cx.waker().clone());
                self.taken = Some(true);
            }
        }
        self.taken == Some(true)
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        if self.taken == Some(true) {
            self.direct.who().waiter = None;
            if self.direct.is_woken() {
                self.direct.wake_poller();
            }
        }
    }
}

#[cfg(test)]
mod tests;
