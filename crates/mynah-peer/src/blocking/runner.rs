//! Who drives a connection while a thread waits.

use super::caretaker::{Caretaker, Signal};
use super::direct::{Place, with_place};
use crate::error::CallError;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{self, Poll, Waker};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::coop;

/// Runs futures to their end on the thread that waits for them.
pub(crate) struct Runner {
    kind: Kind,
}

enum Kind {
    /// A runtime of one thread, which is whichever waits.
    Own(Own),
    /// That of a server, whose threads do the work.
    Lent(Handle),
}

struct Own {
    // Before the caretaker, which holds it too, ends: it is to be dropped there, where nothing is async.
    runtime: Option<Arc<Runtime>>,
    signal: Arc<Signal>,
    caretaker: Option<Caretaker>,
    /// The task of the connection.
    direct: Place,
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Own(_) => "Runner(own)",
            Kind::Lent(_) => "Runner(lent)",
        })
    }
}

/// A thread was to wait that must not: it runs async code, and what it waits for may depend on it.
#[derive(Debug)]
pub(crate) struct InAsync;

impl fmt::Display for InAsync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::TEXT)
    }
}

impl InAsync {
    const TEXT: &'static str = "a blocking call within async code: await the call of an async peer, or wait on a thread \
                                of its own (tokio::task::spawn_blocking)";

    pub(crate) const fn error<E>(self) -> CallError<E> {
        CallError::Misuse(Self::TEXT)
    }
}

/// Whether this thread may be blocked. Only a task of tokio has a budget, which can be seen by using it up.
pub(super) fn may_block() -> bool {
    /// More than what a task has.
    const TRIES: usize = 256;
    if Handle::try_current().is_err() {
        return true;
    }
    let mut cx = task::Context::from_waker(Waker::noop());
    (0..TRIES).all(|_| match coop::poll_proceed(&mut cx) {
        Poll::Ready(used) => {
            used.made_progress();
            true
        }
        Poll::Pending => false,
    })
}

impl Runner {
    /// A runtime of its own, which lives as long as this.
    pub(crate) fn own() -> io::Result<Arc<Self>> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let runtime = Arc::new(runtime);
        let signal = Arc::<Signal>::default();
        let caretaker = Caretaker::start(Arc::clone(&runtime), Arc::clone(&signal))?;
        let own = Own {
            runtime: Some(runtime),
            signal,
            caretaker: Some(caretaker),
            direct: Place::default(),
        };
        Ok(Arc::new(Self {
            kind: Kind::Own(own),
        }))
    }

    /// A runtime that others drive.
    pub(crate) fn lent(handle: Handle) -> Arc<Self> {
        Arc::new(Self {
            kind: Kind::Lent(handle),
        })
    }

    /// Waits for a future.
    #[inline]
    pub(crate) fn wait<F: Future>(&self, future: F) -> Result<F::Output, InAsync> {
        match Handle::try_current() {
            // As a rule nothing is async here.
            Err(_) => Ok(self.drive(future)),
            Ok(_) if may_block() => self.drive_checked(future),
            Ok(_) => Err(InAsync),
        }
    }

    #[inline]
    fn drive<F: Future>(&self, future: F) -> F::Output {
        match &self.kind {
            Kind::Own(own) => own.drive(future),
            Kind::Lent(handle) => handle.block_on(future),
        }
    }

    /// The same on a thread that knows of a runtime. A task that was taken out of tokio's budget cannot be told from a
    /// thread that may block: tokio refuses it.
    #[cold]
    fn drive_checked<F: Future>(&self, future: F) -> Result<F::Output, InAsync> {
        let driven = catch_unwind(AssertUnwindSafe(|| self.drive(future)));
        driven.map_err(|payload| {
            let text = payload.downcast_ref::<&str>().copied();
            let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
            if !text.is_some_and(|text| text.starts_with("Cannot start a runtime from within")) {
                resume_unwind(payload);
            }
            InAsync
        })
    }

    /// Waits for a future that opens a connection.
    pub(crate) fn open<F: Future>(&self, opening: F) -> Result<F::Output, InAsync> {
        let mut opening = pin!(opening);
        match &self.kind {
            Kind::Own(own) => self.wait(poll_fn(|cx| {
                with_place(&own.direct, || opening.as_mut().poll(cx))
            })),
            Kind::Lent(_) => self.wait(opening),
        }
    }

    /// The runtime.
    pub(crate) fn handle(&self) -> Option<&Handle> {
        match &self.kind {
            Kind::Own(own) => own.runtime.as_ref().map(|runtime| runtime.handle()),
            Kind::Lent(handle) => Some(handle),
        }
    }

    /// Something was put into the output while nobody may be driving: sees that it leaves.
    pub(crate) fn stir(&self) {
        let Kind::Own(own) = &self.kind else { return };
        if own.signal.is_driven() {
            return;
        }
        if Handle::try_current().is_err() {
            own.drive(tokio::task::yield_now());
        } else if let Some(caretaker) = &own.caretaker {
            caretaker.nudge(&own.signal);
        }
    }

    /// The same, where what is refused is a misuse.
    pub(crate) fn wait_within<F: Future, E>(&self, future: F) -> Result<F::Output, CallError<E>> {
        self.wait(future).map_err(InAsync::error)
    }
}

impl Own {
    #[inline]
    fn drive<F: Future>(&self, future: F) -> F::Output {
        let _active = self.signal.enter();
        let Some(runtime) = &self.runtime else {
            // Taken at the drop only.
            return Handle::current().block_on(future);
        };
        let Some(direct) = self.direct.get() else {
            return runtime.block_on(future);
        };
        let mut seat = direct.seat();
        let mut future = pin!(future);
        runtime.block_on(poll_fn(|cx| seat.poll(cx, |cx| future.as_mut().poll(cx))))
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let may_wait = may_block();
        // The caretaker has the last one.
        self.runtime = None;
        if let Some(caretaker) = self.caretaker.take() {
            caretaker.end(&self.signal, may_wait);
        }
    }
}
