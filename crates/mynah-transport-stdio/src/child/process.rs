//! A running child: signalled, stopped and reaped, whatever happens to the runtime.

use super::exit::ChildExit;
use crate::thread::STACK_BYTES;
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid,
};
use std::io;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;
use tokio::sync::watch;

/// How a child is stopped, step by step. Each step is taken when the child has not ended by then.
///
/// 1. Its stdin is closed. A worker takes that as the end, and exits.
/// 2. After [`after_eof`](Self::after_eof) it gets SIGTERM.
/// 3. After [`after_term`](Self::after_term) it gets SIGKILL.
/// 4. After [`after_kill`](Self::after_kill) nobody waits any more: it hangs in the system.
///
/// It is reaped as soon as it ends, at whichever step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StopTimes {
    /// Time for a child whose stdin has ended. Default 2 s.
    pub after_eof: Duration,
    /// Time for a child that got SIGTERM. Default 2 s.
    pub after_term: Duration,
    /// Time for the system to end a child that got SIGKILL. Default 2 s.
    pub after_kill: Duration,
}

impl Default for StopTimes {
    fn default() -> Self {
        Self {
            after_eof: Duration::from_secs(2),
            after_term: Duration::from_secs(2),
            after_kill: Duration::from_secs(2),
        }
    }
}

impl StopTimes {
    /// Sets the time for a child whose stdin has ended.
    #[must_use]
    pub const fn with_after_eof(mut self, time: Duration) -> Self {
        self.after_eof = time;
        self
    }

    /// Sets the time for a child that got SIGTERM.
    #[must_use]
    pub const fn with_after_term(mut self, time: Duration) -> Self {
        self.after_term = time;
        self
    }

    /// Sets the time for the system to end a child that got SIGKILL.
    #[must_use]
    pub const fn with_after_kill(mut self, time: Duration) -> Self {
        self.after_kill = time;
        self
    }

    pub(super) const fn total(&self) -> Duration {
        let two = self.after_eof.saturating_add(self.after_term);
        two.saturating_add(self.after_kill)
    }
}

/// Between two looks where the system cannot say when a child ends.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A child, from its start until it is reaped.
///
/// A thread waits for its end. It asks for it without reaping, and reaps under the lock: as long as the lock is held and
/// there is no exit, the pid is that of the child and of nobody else, and may be signalled.
#[derive(Debug)]
pub(super) struct Process {
    pid: Pid,
    /// Signals go to its process group, which is its own.
    group: bool,
    state: Mutex<State>,
    ended: Condvar,
    exit: watch::Sender<Option<ChildExit>>,
    /// Its stdin is to be closed.
    closing: AtomicBool,
    /// What it wrote to stderr has been read to the end.
    stderr_read: AtomicBool,
}

#[derive(Debug)]
struct State {
    child: Child,
    exit: Option<ChildExit>,
    stopping: bool,
    /// The connection's task.
    waker: Option<Waker>,
}

impl Process {
    /// Takes charge of a child. On failure it is killed and reaped.
    pub(super) fn watch(mut child: Child, group: bool, has_stderr: bool) -> io::Result<Arc<Self>> {
        let pid = Pid::from_child(&child);
        // Moved into the thread only when that is there; a copy of the child cannot be made.
        let (give, take) = std::sync::mpsc::sync_channel::<Arc<Self>>(1);
        let thread = std::thread::Builder::new().name("mynah-child".to_owned());
        let started = thread.stack_size(STACK_BYTES).spawn(move || {
            if let Ok(process) = take.recv() {
                process.reap();
            }
        });
        if let Err(error) = started {
            // It has just started: whatever these say, it is gone after them.
            drop(child.kill());
            drop(child.wait());
            return Err(error);
        }
        let process = Arc::new(Self {
            pid,
            group,
            state: Mutex::new(State {
                child,
                exit: None,
                stopping: false,
                waker: None,
            }),
            ended: Condvar::new(),
            exit: watch::Sender::new(None),
            closing: AtomicBool::new(false),
            stderr_read: AtomicBool::new(!has_stderr),
        });
        // The thread is there and has room for one.
        drop(give.send(Arc::clone(&process)));
        Ok(process)
    }

    pub(super) const fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// How it ended, once it has.
    pub(super) fn exit(&self) -> Option<ChildExit> {
        *self.exit.borrow()
    }

    /// Waits for its end.
    pub(super) async fn wait(&self) -> ChildExit {
        let mut exit = self.exit.subscribe();
        loop {
            if let Some(exit) = *exit.borrow_and_update() {
                return exit;
            }
            // The sender is in `self`.
            drop(exit.changed().await);
        }
    }

    /// Wakes this waker at the next event: its end, the end of its stderr, or that its stdin is to be closed.
    pub(super) fn wake_at_event(&self, waker: &Waker) {
        let mut state = self.lock();
        if !state
            .waker
            .as_ref()
            .is_some_and(|known| known.will_wake(waker))
        {
            state.waker = Some(waker.clone());
        }
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Has whoever holds its stdin close it.
    pub(super) fn close_stdin(&self) {
        self.closing.store(true, Ordering::Release);
        self.wake();
    }

    pub(super) fn is_stderr_read(&self) -> bool {
        self.stderr_read.load(Ordering::Acquire)
    }

    pub(super) fn note_stderr_read(&self) {
        self.stderr_read.store(true, Ordering::Release);
        self.wake();
    }

    /// Sends a signal, unless it has ended.
    pub(super) fn signal(&self, signal: Signal) {
        let state = self.lock();
        if state.exit.is_some() {
            return;
        }
        // Refused for a child that has become somebody else (setuid); then only its own end ends it.
        let _refused = if self.group {
            kill_process_group(self.pid, signal)
        } else {
            kill_process(self.pid, signal)
        };
    }

    /// Goes through the steps that follow the end of its stdin, in the background. Does nothing the second time.
    pub(super) fn stop(self: &Arc<Self>, times: StopTimes) {
        let mut state = self.lock();
        if state.exit.is_some() || std::mem::replace(&mut state.stopping, true) {
            return;
        }
        drop(state);
        let process = Arc::clone(self);
        let thread = std::thread::Builder::new().name("mynah-stop".to_owned());
        let started = thread.stack_size(STACK_BYTES).spawn(move || {
            for (time, signal) in [
                (times.after_eof, Signal::TERM),
                (times.after_term, Signal::KILL),
            ] {
                if process.ends_within(time) {
                    return;
                }
                process.signal(signal);
            }
        });
        if started.is_err() {
            // Without a thread there is no gentle way.
            self.signal(Signal::KILL);
        }
    }

    fn ends_within(&self, time: Duration) -> bool {
        let state = self.lock();
        let waited = self
            .ended
            .wait_timeout_while(state, time, |state| state.exit.is_none());
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.exit.is_some()
    }

    /// The thread that waits for its end.
    fn reap(&self) {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Err(Errno::INTR) = waitid(WaitId::Pid(self.pid), options) {}
        let mut state = self.lock();
        let exit = loop {
            match state.child.try_wait() {
                Ok(Some(status)) => break ChildExit::from(status),
                // The program has it reaped elsewhere, or not kept at all.
                Err(_gone) => break ChildExit::UNKNOWN,
                // A system without such a wait. Nobody waits for the lock meanwhile.
                Ok(None) => {
                    let waited = self.ended.wait_timeout(state, LOOK_AGAIN);
                    state = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        };
        state.exit = Some(exit);
        drop(state);
        self.exit.send_replace(Some(exit));
        self.ended.notify_all();
        self.wake();
    }

    fn wake(&self) {
        let waker = self.lock().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
