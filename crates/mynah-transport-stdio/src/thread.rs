//! For what cannot be watched: files, `/dev/null`, and pipes that cannot be opened anew.
//!
//! The threads are never joined: one that waits for input that never comes keeps nobody from ending.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::mpsc;

/// Bytes that a thread reads at once, and that may wait for one that writes.
const CHUNK_BYTES: usize = 64 << 10;

/// The threads do next to nothing.
pub(crate) const STACK_BYTES: usize = 128 << 10;

/// Reads in a thread, at most one chunk ahead.
#[derive(Debug)]
pub(crate) struct ThreadReader {
    chunks: mpsc::Receiver<io::Result<Vec<u8>>>,
    chunk: Vec<u8>,
    at: usize,
}

impl ThreadReader {
    pub(crate) fn start(fd: OwnedFd) -> io::Result<Self> {
        let (sender, chunks) = mpsc::channel(1);
        let thread = std::thread::Builder::new().name("mynah-stdin".to_owned());
        thread.stack_size(STACK_BYTES).spawn(move || {
            loop {
                let mut chunk = vec![0; CHUNK_BYTES];
                let read = read(&fd, &mut chunk);
                let last = !matches!(read, Ok(1..));
                let chunk = read.map(|len| {
                    chunk.truncate(len);
                    chunk
                });
                // Nobody reads any more.
                if sender.blocking_send(chunk).is_err() || last {
                    return;
                }
            }
        })?;
        Ok(Self {
            chunks,
            chunk: Vec::new(),
            at: 0,
        })
    }
}

impl AsyncRead for ThreadReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.at == self.chunk.len() {
            match ready!(self.chunks.poll_recv(cx)) {
                Some(chunk) => self.chunk = chunk?,
                None => self.chunk.clear(),
            }
            self.at = 0;
        }
        let rest = self.chunk.get(self.at..).unwrap_or_default();
        let some = rest.get(..buffer.remaining()).unwrap_or(rest);
        buffer.put_slice(some);
        self.at += some.len();
        Poll::Ready(Ok(()))
    }
}

/// Writes in a thread.
#[derive(Debug)]
pub(crate) struct ThreadWriter {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// What the thread takes next.
    pending: Vec<u8>,
    /// The thread holds what it has taken.
    writing: bool,
    /// Nothing more comes.
    closed: bool,
    /// Reported once.
    error: Option<io::Error>,
    failed: bool,
    waker: Option<Waker>,
}

impl ThreadWriter {
    pub(crate) fn start(fd: OwnedFd) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let thread = std::thread::Builder::new().name("mynah-stdout".to_owned());
        let theirs = Arc::clone(&shared);
        thread
            .stack_size(STACK_BYTES)
            .spawn(move || theirs.write_all(&fd))?;
        Ok(Self { shared })
    }

    pub(crate) fn poll_write(
        &self,
        cx: &Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.shared.lock();
        if state.failed {
            return Poll::Ready(Err(state.failure()));
        }
        let mut room = CHUNK_BYTES.saturating_sub(state.pending.len());
        if room == 0 {
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let mut taken = 0;
        for part in parts {
            let some = part.get(..room).unwrap_or(part);
            state.pending.extend_from_slice(some);
            taken += some.len();
            room -= some.len();
        }
        drop(state);
        self.shared.changed.notify_one();
        Poll::Ready(Ok(taken))
    }

    pub(crate) fn poll_flush(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.shared.lock();
        if state.failed {
            return Poll::Ready(Err(state.failure()));
        }
        if state.pending.is_empty() && !state.writing {
            return Poll::Ready(Ok(()));
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for ThreadWriter {
    /// What was taken is written; then the thread ends.
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_all(&self, fd: &OwnedFd) {
        let mut bytes = Vec::new();
        loop {
            let mut state = self.lock();
            while state.pending.is_empty() && !state.closed {
                let woken = self.changed.wait(state);
                state = woken.unwrap_or_else(PoisonError::into_inner);
            }
            if state.pending.is_empty() {
                return;
            }
            std::mem::swap(&mut bytes, &mut state.pending);
            state.writing = true;
            drop(state);
            let written = write(fd, &bytes);
            bytes.clear();
            let mut state = self.lock();
            state.writing = false;
            if let Err(error) = written {
                state.failed = true;
                state.error = Some(error);
            }
            let failed = state.failed;
            let waker = state.waker.take();
            drop(state);
            if let Some(waker) = waker {
                waker.wake();
            }
            if failed {
                return;
            }
        }
    }
}

impl State {
    fn failure(&mut self) -> io::Error {
        let again = || io::ErrorKind::BrokenPipe.into();
        self.error.take().unwrap_or_else(again)
    }
}

/// Reads once, and waits for it, also where somebody else has said that reads do not wait.
fn read(fd: &OwnedFd, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match rustix::io::read(fd, &mut *buffer) {
            Ok(read) => return Ok(read),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait_for(fd, PollFlags::IN)?,
            Err(error) => return Err(error.into()),
        }
    }
}

fn write(fd: &OwnedFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(fd, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait_for(fd, PollFlags::OUT)?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn wait_for(fd: &OwnedFd, what: PollFlags) -> io::Result<()> {
    match poll(&mut [PollFd::new(fd, what)], None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
