//! The thread that drives a connection while nobody waits.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::Notify;

/// How long nobody may have waited before it begins: between the calls of a program that makes one after the other it is
/// not in their way.
const QUIET: Duration = Duration::from_millis(20);
/// How long the end of a connection may take that nobody holds any more: its last words, and its tasks.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(1);

/// What the threads that wait and the caretaker tell each other.
#[derive(Debug, Default)]
pub(super) struct Signal {
    /// Threads that wait, and so drive.
    active: AtomicUsize,
    /// Somebody has waited since the last look.
    used: AtomicBool,
    /// The caretaker drives, or is about to.
    driving: AtomicBool,
    /// It is to begin without waiting for a quiet moment.
    nudged: AtomicBool,
    stop: AtomicBool,
    /// Rung for the caretaker that drives: somebody else wants to, or it is to stop.
    wanted: Notify,
}

/// One that waits.
pub(super) struct Active<'a>(&'a Signal);

impl Signal {
    #[inline]
    pub(super) fn enter(&self) -> Active<'_> {
        // Sequentially consistent, as is what the caretaker does: one of the two sees the other.
        self.active.fetch_add(1, Ordering::SeqCst);
        if self.driving.load(Ordering::SeqCst) {
            self.wanted.notify_one();
        }
        Active(self)
    }

    /// Whether somebody drives, and so will see what is new.
    pub(super) fn is_driven(&self) -> bool {
        self.active.load(Ordering::SeqCst) > 0 || self.driving.load(Ordering::SeqCst)
    }

    fn is_quiet(&self) -> bool {
        let used = self.used.swap(false, Ordering::Relaxed);
        let nudged = self.nudged.swap(false, Ordering::Acquire);
        (nudged || !used) && self.active.load(Ordering::SeqCst) == 0
    }
}

impl Drop for Active<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.used.store(true, Ordering::Relaxed);
        self.0.active.fetch_sub(1, Ordering::SeqCst);
    }
}

#[derive(Debug)]
pub(super) struct Caretaker {
    thread: JoinHandle<()>,
}

impl Caretaker {
    pub(super) fn start(runtime: Arc<Runtime>, signal: Arc<Signal>) -> io::Result<Self> {
        let thread = Builder::new()
            .name("mynah-blocking-io".into())
            .spawn(move || {
                care(&runtime, &signal);
                // A look-up of a name, or whatever else blocks, is not waited for.
                if let Some(runtime) = Arc::into_inner(runtime) {
                    runtime.shutdown_background();
                }
            })?;
        Ok(Self { thread })
    }

    /// Has it begin now.
    pub(super) fn nudge(&self, signal: &Signal) {
        if !signal.nudged.swap(true, Ordering::Release) {
            self.thread.thread().unpark();
        }
    }

    /// Nobody holds the connection any more: it says its last words. `waits`: for that.
    pub(super) fn end(self, signal: &Signal, waits: bool) {
        signal.stop.store(true, Ordering::SeqCst);
        signal.wanted.notify_one();
        self.thread.thread().unpark();
        // A handler of this side may have held the last handle: it runs on the thread itself.
        if waits && std::thread::current().id() != self.thread.thread().id() {
            // A panic of it was told already.
            drop(self.thread.join());
        }
    }
}

fn care(runtime: &Runtime, signal: &Signal) {
    while !signal.stop.load(Ordering::SeqCst) {
        std::thread::park_timeout(QUIET);
        if signal.stop.load(Ordering::SeqCst) {
            break;
        }
        if !signal.is_quiet() {
            continue;
        }
        signal.driving.store(true, Ordering::SeqCst);
        if signal.active.load(Ordering::SeqCst) == 0 && !signal.stop.load(Ordering::SeqCst) {
            runtime.block_on(signal.wanted.notified());
        }
        signal.driving.store(false, Ordering::SeqCst);
    }
    runtime.block_on(async {
        let last_words = async {
            while runtime.metrics().num_alive_tasks() > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        // What has not ended by then is dropped with the runtime.
        drop(tokio::time::timeout(LAST_WORDS, last_words).await);
    });
}
