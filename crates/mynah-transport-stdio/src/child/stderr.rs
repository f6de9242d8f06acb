//! What a child writes to stderr, as lines.

use super::process::Process;
use futures_core::Stream;
use mynah_protocol::SideLine;
use std::collections::VecDeque;
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
    lines: VecDeque<SideLine>,
    most: usize,
    dropped: u64,
    ended: bool,
    /// Nobody takes lines any more.
    deaf: bool,
    waker: Option<Waker>,
}

impl StderrLines {
    pub(super) fn new(most: usize) -> (Self, Arc<Mutex<Queue>>) {
        let queue = Arc::new(Mutex::new(Queue {
            lines: VecDeque::new(),
            most,
            dropped: 0,
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
        if let Some(line) = queue.lines.pop_front() {
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

impl Queue {
    fn push(&mut self, mut line: SideLine) {
        if self.deaf {
            return;
        }
        if self.lines.len() >= self.most {
            if let Some(oldest) = self.lines.pop_front() {
                self.dropped += oldest.dropped + 1;
            }
            match self.lines.front_mut() {
                Some(next) => next.dropped += std::mem::take(&mut self.dropped),
                None => line.dropped += std::mem::take(&mut self.dropped),
            }
        }
        self.lines.push_back(line);
    }
}

/// Reads a child's stderr until it ends.
pub(super) async fn read(
    mut pipe: pipe::Receiver,
    process: Arc<Process>,
    queue: Arc<Mutex<Queue>>,
    line_bytes: usize,
) {
    // However this task ends, nobody waits for it.
    let _ended = Ended(Arc::clone(&process), Arc::clone(&queue));
    let mut splitter = Splitter::new(line_bytes);
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
        hand_over(&queue, |push| splitter.split(bytes, push));
    }
    hand_over(&queue, |push| splitter.finish(push));
}

/// What is left of a process that has ended; a child of its own may hold the pipe open, and is not waited for.
fn rest(pipe: &pipe::Receiver, buffer: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::io::read(pipe, buffer)?)
}

fn hand_over(queue: &Mutex<Queue>, lines: impl FnOnce(&mut dyn FnMut(SideLine))) {
    let mut queue = lock(queue);
    lines(&mut |line| queue.push(line));
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

/// Cuts bytes into lines of a bounded length.
struct Splitter {
    line: Vec<u8>,
    cut: u64,
    most: usize,
}

impl Splitter {
    const fn new(most: usize) -> Self {
        Self {
            line: Vec::new(),
            cut: 0,
            most,
        }
    }

    fn split(&mut self, bytes: &[u8], push: &mut dyn FnMut(SideLine)) {
        let mut pieces = bytes.split(|byte| *byte == b'\n');
        let last = pieces.next_back();
        for piece in pieces {
            self.add(piece);
            push(self.take());
        }
        if let Some(last) = last {
            self.add(last);
        }
    }

    /// The last line need not have an end.
    fn finish(&mut self, push: &mut dyn FnMut(SideLine)) {
        if !self.line.is_empty() || self.cut > 0 {
            push(self.take());
        }
    }

    fn add(&mut self, piece: &[u8]) {
        let room = self.most.saturating_sub(self.line.len());
        let kept = piece.get(..room).unwrap_or(piece);
        self.line.extend_from_slice(kept);
        self.cut += (piece.len() - kept.len()) as u64;
    }

    fn take(&mut self) -> SideLine {
        let whole = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        let mut line = SideLine::new(String::from_utf8_lossy(whole));
        line.cut_bytes = std::mem::take(&mut self.cut);
        self.line.clear();
        line
    }
}

#[cfg(test)]
mod tests;
