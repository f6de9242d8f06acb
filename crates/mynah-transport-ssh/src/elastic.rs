//! The elastic write buffer between russh and the socket.
//!
//! russh's session loop awaits its writes to the socket, and reads nothing while it does. Two such loops whose socket
//! buffers are full in both directions wait for each other for ever. Here a write never waits: what the socket does not
//! take at once is buffered, and a task of its own, the pump, writes it when the socket has room. What the loop may
//! produce is bounded by the windows that the peer grants and by what waits for [`ElasticControl::poll_below`];
//! whatever exceeds the cap all the same (a peer that asks and asks and reads no answer) ends the connection.
//!
//! Reading can be paused without the loop being held up, and the connection can be ended with a reason from outside.

use bytes::{Buf as _, BytesMut};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// What is buffered at most, in bytes: far more than a window (2 MiB for OpenSSH and for this crate) and the largest
/// packets beside it.
pub(crate) const WRITE_CAP_BYTES: usize = 8 << 20;

/// How long the pump goes on after the session has ended, so that its last words are heard.
const LINGER: Duration = Duration::from_secs(5);

/// What is given back to the system once the buffer is empty: more than this is not kept for later.
const KEEP_BYTES: usize = 256 << 10;

/// A socket for russh whose writes never wait.
pub(crate) struct Elastic<R> {
    read: R,
    control: ElasticControl,
}

/// The same socket, seen by whoever drives the connection.
#[derive(Clone)]
pub(crate) struct ElasticControl {
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    write: Pin<Box<dyn AsyncWrite + Send>>,
    buffer: BytesMut,
    cap: usize,
    /// The most that was ever buffered, in bytes.
    high_water: usize,
    /// Nothing more will be written: the session has shut its side down, or is gone.
    finished: bool,
    paused: bool,
    /// Why reads and writes fail from now on.
    end: Option<(io::ErrorKind, String)>,
    heard: Instant,
    /// What bytes that were read are accounted for by what they carry, until somebody takes it.
    carried: u64,
    reader: Option<Waker>,
    pump: Option<Waker>,
    /// Who waits for the buffer to get shorter than this.
    waits: Option<(usize, Waker)>,
}

impl<R> Elastic<R> {
    /// Wraps both halves of a socket; more than `cap` bytes in the buffer end the connection.
    ///
    /// Must be called within a tokio runtime: it spawns the pump.
    pub(crate) fn new(
        read: R,
        write: impl AsyncWrite + Send + 'static,
        cap: usize,
    ) -> (Self, ElasticControl) {
        let control = ElasticControl {
            shared: Arc::new(Mutex::new(Shared {
                write: Box::pin(write),
                buffer: BytesMut::new(),
                cap,
                high_water: 0,
                finished: false,
                paused: false,
                end: None,
                heard: Instant::now(),
                carried: 0,
                reader: None,
                pump: None,
                waits: None,
            })),
        };
        tokio::spawn(pump(control.clone()));
        let elastic = Self {
            read,
            control: control.clone(),
        };
        (elastic, control)
    }
}

impl ElasticControl {
    /// Waits until less than `limit` bytes wait to be written, or nothing will be written any more. One waiter at a time.
    pub(crate) fn poll_below(&self, cx: &Context<'_>, limit: usize) -> Poll<()> {
        let mut shared = self.lock();
        if shared.buffer.len() < limit || shared.finished || shared.end.is_some() {
            return Poll::Ready(());
        }
        shared.waits = Some((limit, cx.waker().clone()));
        Poll::Pending
    }

    /// Has reads wait, or go on.
    pub(crate) fn set_paused(&self, paused: bool) {
        let mut shared = self.lock();
        shared.paused = paused;
        let reader = if paused { None } else { shared.reader.take() };
        drop(shared);
        wake(reader);
    }

    /// Ends the connection: reads and writes fail with this from now on. The first reason stays.
    pub(crate) fn end(&self, kind: io::ErrorKind, why: impl Into<String>) {
        let mut shared = self.lock();
        shared.end.get_or_insert_with(|| (kind, why.into()));
        let wakers = shared.wake_all();
        drop(shared);
        wakers.into_iter().for_each(wake);
    }

    /// Why it was ended from this side, if it was.
    pub(crate) fn ended(&self) -> Option<(io::ErrorKind, String)> {
        self.lock().end.clone()
    }

    /// Since when nothing has come from the peer; `None` while reading is paused, when nothing can come.
    pub(crate) fn silent_since(&self) -> Option<Instant> {
        let shared = self.lock();
        (!shared.paused).then_some(shared.heard)
    }

    /// So many of the bytes that are read, or are going to be read, are accounted for: they carry something.
    pub(crate) fn carried(&self, bytes: u64) {
        let mut shared = self.lock();
        shared.carried = shared.carried.saturating_add(bytes);
    }

    /// How many were accounted for since the last time.
    pub(crate) fn take_carried(&self) -> u64 {
        std::mem::take(&mut self.lock().carried)
    }

    /// The most bytes that ever waited to be written.
    #[cfg(test)]
    pub(crate) fn high_water(&self) -> usize {
        self.lock().high_water
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn failure(&self) -> Option<io::Error> {
        let (kind, why) = self.end.as_ref()?;
        Some(io::Error::new(*kind, why.clone()))
    }

    fn wake_all(&mut self) -> [Option<Waker>; 3] {
        [
            self.reader.take(),
            self.pump.take(),
            self.waits.take().map(|(_, waker)| waker),
        ]
    }

    /// Writes what the socket takes. Ready when all is written.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.buffer.is_empty() {
            match self.write.as_mut().poll_write(cx, &self.buffer) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => self.buffer.advance(written),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        if self.buffer.capacity() > KEEP_BYTES {
            self.buffer = BytesMut::new();
        }
        self.write.as_mut().poll_flush(cx)
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Elastic<R> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let mut shared = this.control.lock();
        if let Some(error) = shared.failure() {
            return Poll::Ready(Err(error));
        }
        // Kept also while the socket is asked: it may be paused, or ended, while its read waits.
        if !shared
            .reader
            .as_ref()
            .is_some_and(|known| known.will_wake(cx.waker()))
        {
            shared.reader = Some(cx.waker().clone());
        }
        if shared.paused {
            return Poll::Pending;
        }
        drop(shared);
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.read).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            this.control.lock().heard = Instant::now();
        }
        read
    }
}

impl<R: Unpin> AsyncWrite for Elastic<R> {
    /// Always takes all of it.
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut shared = self.control.lock();
        if let Some(error) = shared.failure() {
            return Poll::Ready(Err(error));
        }
        let mut rest = bytes;
        while shared.buffer.is_empty() && !rest.is_empty() {
            // Whoever is told that the socket has room is the pump, which looks once it is woken below.
            let mut nobody = Context::from_waker(Waker::noop());
            match shared.write.as_mut().poll_write(&mut nobody, rest) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => rest = rest.get(written..).unwrap_or_default(),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => break,
            }
        }
        if rest.is_empty() {
            return Poll::Ready(Ok(bytes.len()));
        }
        let waiting = shared.buffer.len().saturating_add(rest.len());
        if waiting > shared.cap {
            let why = format!(
                "the peer reads too little: {waiting} bytes wait for it, at most {} may",
                shared.cap
            );
            shared.end = Some((io::ErrorKind::Other, why));
            let wakers = shared.wake_all();
            let error = shared.failure();
            drop(shared);
            wakers.into_iter().for_each(wake);
            return Poll::Ready(Err(error.unwrap_or_else(|| io::ErrorKind::Other.into())));
        }
        shared.buffer.extend_from_slice(rest);
        shared.high_water = shared.high_water.max(waiting);
        let pump = shared.pump.take();
        drop(shared);
        wake(pump);
        Poll::Ready(Ok(bytes.len()))
    }

    /// Does not wait either: what is buffered is on its way.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.control.finish();
        Poll::Ready(Ok(()))
    }
}

impl ElasticControl {
    /// The pump says what is left, and shuts the socket down.
    fn finish(&self) {
        let mut shared = self.lock();
        shared.finished = true;
        let pump = shared.pump.take();
        let waits = shared.waits.take().map(|(_, waker)| waker);
        drop(shared);
        wake(pump);
        wake(waits);
    }
}

impl<R> Drop for Elastic<R> {
    fn drop(&mut self) {
        self.control.finish();
    }
}

/// Writes what is buffered until the session is over.
async fn pump(control: ElasticControl) {
    let written = std::future::poll_fn(|cx| poll_pump(&control, cx)).await;
    let last = async {
        written?;
        std::future::poll_fn(|cx| {
            let mut shared = control.lock();
            std::task::ready!(shared.poll_drain(cx))?;
            shared.write.as_mut().poll_shutdown(cx)
        })
        .await
    };
    match tokio::time::timeout(LINGER, last).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => control.end(error.kind(), format!("cannot write: {error}")),
        Err(_elapsed) => control.end(
            io::ErrorKind::TimedOut,
            "the peer did not take the last bytes",
        ),
    }
    // The socket closes with its halves, whoever still holds a control.
    control.lock().write = Box::pin(tokio::io::sink());
}

/// Ready when nothing more will be written, or nothing more can be.
fn poll_pump(control: &ElasticControl, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    let mut shared = control.lock();
    if let Some(error) = shared.failure() {
        return Poll::Ready(Err(error));
    }
    if shared.finished {
        return Poll::Ready(Ok(()));
    }
    shared.pump = Some(cx.waker().clone());
    let drained = shared.poll_drain(cx);
    let below = |(limit, _): &(usize, Waker)| shared.buffer.len() < *limit;
    let waiter = if shared.waits.as_ref().is_some_and(below) {
        shared.waits.take().map(|(_, waker)| waker)
    } else {
        None
    };
    drop(shared);
    wake(waiter);
    match drained {
        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        _ => Poll::Pending,
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests;
