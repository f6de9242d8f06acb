//! What a child writes to stderr, as lines.

use super::process::Process;
use futures_core::Stream;
use mynah_protocol::{SideLine, SideLineBuffer};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;

/// Bytes that are read at once.
const READ_BYTES: usize = 8 << 10;

/// Bytes that a pipe can hold, unless root has made it larger: more than that, read after the end of a process, comes
/// from others.
const PIPE_BYTES: usize = 1 << 20;

/// What a child writes to stderr, line by line and in order.
///
/// It is read all the time, so that the child never waits for it: when lines are taken too slowly the oldest are
/// dropped, and counted in the next one. Bytes that are no UTF-8 arrive as U+FFFD. Ends when the child has closed its
/// stderr, or has ended and what it wrote before was read, at most 1 MiB. Dropped, the lines go nowhere.
#[derive(Debug)]
#[must_use = "dropped, it hears nothing"]
pub struct StderrLines {
    queue: Arc<Mutex<Queue>>,
}

#[derive(Debug)]
pub(super) struct Queue {
    lines: SideLineBuffer,
    ended: bool,
    /// Nobody takes lines any more.
    deaf: bool,
    waker: Option<Waker>,
}

impl StderrLines {
    pub(super) fn new(line_bytes: usize, lines: usize) -> (Self, Arc<Mutex<Queue>>) {
        let queue = Arc::new(Mutex::new(Queue {
            lines: SideLineBuffer::new(line_bytes, lines),
            ended: false,
            deaf: false,
            waker: None,
        }));
        let lines = Self {
            queue: Arc::clone(&queue),
        };
        (lines, queue)
    }
}

impl Stream for StderrLines {
    type Item = SideLine;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<SideLine>> {
        let mut queue = lock(&self.queue);
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

impl Drop for StderrLines {
    fn drop(&mut self) {
        let mut queue = lock(&self.queue);
        queue.deaf = true;
        queue.lines.clear();
    }
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads a child's stderr until it ends.
pub(super) async fn read(
    mut pipe: pipe::Receiver,
    process: Arc<Process>,
    queue: Arc<Mutex<Queue>>,
) {
    // However this task ends, nobody waits for it.
    let _ended = Ended(Arc::clone(&process), Arc::clone(&queue));
    let mut buffer = vec![0; READ_BYTES];
    let mut left = PIPE_BYTES;
    // A child of its own that never pauses would be read for ever.
    while left > 0 {
        let ended = process.exit().is_some();
        let read = tokio::select! {
            biased;
            read = pipe.read(&mut buffer) => read,
            _exit = process.wait() => rest(&pipe, &mut buffer),
        };
        let Ok(read @ 1..) = read else { break };
        if ended {
            left = left.saturating_sub(read);
        }
        let bytes = buffer.get(..read).unwrap_or_default();
        hand_over(&queue, |lines| lines.write(bytes));
    }
    hand_over(&queue, SideLineBuffer::finish);
}

/// What is left of a process that has ended; a child of its own may hold the pipe open, and is not waited for.
fn rest(pipe: &pipe::Receiver, buffer: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::io::read(pipe, buffer)?)
}

fn hand_over(queue: &Mutex<Queue>, take: impl FnOnce(&mut SideLineBuffer)) {
    let mut queue = lock(queue);
    take(&mut queue.lines);
    if queue.deaf {
        queue.lines.clear();
    }
    let waker = queue.waker.take();
    drop(queue);
    if let Some(waker) = waker {
        waker.wake();
    }
}

struct Ended(Arc<Process>, Arc<Mutex<Queue>>);

impl Drop for Ended {
    fn drop(&mut self) {
        let mut queue = lock(&self.1);
        queue.ended = true;
        let waker = queue.waker.take();
        drop(queue);
        if let Some(waker) = waker {
            waker.wake();
        }
        self.0.note_stderr_read();
    }
}
