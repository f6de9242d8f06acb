//! What arrives beside the bytes of a connection, as lines.

use futures_core::Stream;
use mynah_protocol::{SideLine, SideLineBuffer};
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// What a remote command writes to stderr, line by line and in order; before that, what the server says at the login.
///
/// It is taken from the connection all the time, so that nobody waits for it: when lines are taken too slowly the oldest
/// are dropped, and counted in the next one. Bytes that are no UTF-8 arrive as U+FFFD. Ends with the connection. Dropped,
/// the lines go nowhere.
#[must_use = "dropped, it hears nothing"]
pub struct RemoteLines(Arc<Mutex<Queue>>);

/// Where the bytes of the lines go. Dropped, the lines end.
pub(crate) struct LineSink(Arc<Mutex<Queue>>);

struct Queue {
    lines: SideLineBuffer,
    ended: bool,
    /// Nobody takes lines any more.
    deaf: bool,
    waker: Option<Waker>,
}

/// Lines of at most `line_bytes` bytes, `lines` of which may wait.
pub(crate) fn lines(line_bytes: usize, lines: usize) -> (LineSink, RemoteLines) {
    let queue = Arc::new(Mutex::new(Queue {
        lines: SideLineBuffer::new(line_bytes, lines),
        ended: false,
        deaf: false,
        waker: None,
    }));
    (LineSink(Arc::clone(&queue)), RemoteLines(queue))
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

fn change(queue: &Mutex<Queue>, change: impl FnOnce(&mut Queue)) {
    let mut queue = lock(queue);
    change(&mut queue);
    let waker = queue.waker.take();
    drop(queue);
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl LineSink {
    pub(crate) fn write(&self, bytes: &[u8]) {
        change(&self.0, |queue| {
            if !queue.deaf {
                queue.lines.write(bytes);
            }
        });
    }

    /// The next bytes begin a line.
    pub(crate) fn end_line(&self) {
        change(&self.0, |queue| queue.lines.finish());
    }
}

impl Drop for LineSink {
    fn drop(&mut self) {
        change(&self.0, |queue| {
            queue.lines.finish();
            queue.ended = true;
        });
    }
}

impl Stream for RemoteLines {
    type Item = SideLine;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<SideLine>> {
        let mut queue = lock(&self.0);
        if let Some(line) = queue.lines.pop() {
            return Poll::Ready(Some(line));
        }
        if queue.ended {
            return Poll::Ready(None);
        }
        queue.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for RemoteLines {
    fn drop(&mut self) {
        let mut queue = lock(&self.0);
        queue.deaf = true;
        queue.lines.clear();
    }
}

impl fmt::Debug for RemoteLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteLines").finish_non_exhaustive()
    }
}
