//! A duplex of bytes whose directions are chopped, delayed, throttled and broken.

use super::{Cut, Weather};
use crate::Dice;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// What both directions of a duplex share.
#[derive(Debug, Default)]
struct Line {
    reset: AtomicBool,
    /// Told when the line ends by itself.
    ended: Arc<AtomicBool>,
}

/// One direction.
#[derive(Debug, Default)]
struct Flow {
    bytes: VecDeque<u8>,
    passed: u64,
    stalled: bool,
    closed: bool,
    reader_gone: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// One end of a duplex of bytes. Its pauses are of tokio's time: under a stopped clock they take none.
#[derive(Debug)]
pub struct PipeEnd {
    line: Arc<Line>,
    incoming: Arc<Mutex<Flow>>,
    outgoing: Arc<Mutex<Flow>>,
    reads: Turn,
    writes: Turn,
    vectored: bool,
}

/// When the next piece goes, and how large it is.
#[derive(Debug)]
struct Turn {
    dice: Dice,
    weather: Weather,
    pause: Option<Pin<Box<Sleep>>>,
    waited: bool,
}

/// Two ends: what the first writes has the weather `there`, what the second writes has the weather `back`.
pub fn pipe(dice: &mut Dice, there: &Weather, back: &Weather) -> (PipeEnd, PipeEnd) {
    pipe_telling(dice, there, back, &Arc::default())
}

/// The same; `ended` is set when the line ends by itself ([`Weather::cut_at`]).
pub fn pipe_telling(
    dice: &mut Dice,
    there: &Weather,
    back: &Weather,
    ended: &Arc<AtomicBool>,
) -> (PipeEnd, PipeEnd) {
    let line = Arc::new(Line {
        reset: AtomicBool::new(false),
        ended: Arc::clone(ended),
    });
    let [one, other] = [(); 2].map(|()| Arc::new(Mutex::new(Flow::default())));
    let mut end = |incoming: &Arc<_>, outgoing: &Arc<_>, reads: &Weather, writes: &Weather| {
        let [reads, writes] = [reads, writes].map(|weather| Turn::new(dice, weather));
        PipeEnd {
            line: Arc::clone(&line),
            incoming: Arc::clone(incoming),
            outgoing: Arc::clone(outgoing),
            reads,
            writes,
            vectored: dice.once_in(2),
        }
    };
    (
        end(&other, &one, back, there),
        end(&one, &other, there, back),
    )
}

fn lock(flow: &Mutex<Flow>) -> MutexGuard<'_, Flow> {
    flow.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Turn {
    fn new(dice: &mut Dice, weather: &Weather) -> Self {
        Self {
            dice: dice.fork(),
            weather: weather.clone(),
            pause: None,
            waited: false,
        }
    }

    /// The size of the next piece, once its time has come.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
            self.waited = true;
        }
        let pause_in = self.weather.pause_in;
        if !self.waited && pause_in > 0 && self.dice.once_in(pause_in) {
            if self.dice.once_in(3) {
                // No time, but another turn.
                self.waited = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let pause = self.dice.millis(self.weather.pause_ms) + Duration::from_millis(1);
            let mut pause = Box::pin(tokio::time::sleep(pause));
            if pause.as_mut().poll(cx).is_pending() {
                self.pause = Some(pause);
                return Poll::Pending;
            }
        }
        self.waited = false;
        let piece = 1 + self.dice.below(self.weather.piece);
        Poll::Ready(usize::try_from(piece).unwrap_or(usize::MAX))
    }
}

impl Flow {
    fn wake(&mut self) {
        for waker in [self.reader.take(), self.writer.take()]
            .into_iter()
            .flatten()
        {
            waker.wake();
        }
    }
}

impl PipeEnd {
    fn reset(&self) -> io::Result<()> {
        if self.line.reset.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }

    /// The end has come for the direction of our writes.
    fn cut(&self, flow: &mut Flow) {
        if flow.stalled || flow.closed {
            return;
        }
        self.line.ended.store(true, Ordering::SeqCst);
        match self.writes.weather.cut {
            Cut::Stall => flow.stalled = true,
            Cut::Close => flow.closed = true,
            Cut::Reset => self.line.reset.store(true, Ordering::SeqCst),
        }
        flow.wake();
        // This task holds no other lock: the other direction wakes too.
        lock(&self.incoming).wake();
    }
}

impl AsyncRead for PipeEnd {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.reset()?;
        let mut flow = lock(&this.incoming);
        if flow.stalled || flow.bytes.is_empty() {
            if flow.closed && !flow.stalled {
                return Poll::Ready(Ok(()));
            }
            flow.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        drop(flow);
        let piece = ready!(this.reads.poll(cx));
        let mut flow = lock(&this.incoming);
        let len = piece.min(flow.bytes.len()).min(buffer.remaining());
        let (front, back) = flow.bytes.as_slices();
        let first = len.min(front.len());
        buffer.put_slice(front.get(..first).unwrap_or_default());
        buffer.put_slice(back.get(..len - first).unwrap_or_default());
        flow.bytes.drain(..len);
        let writer = flow.writer.take();
        drop(flow);
        if let Some(writer) = writer {
            writer.wake();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for PipeEnd {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.reset()?;
        let broken = || Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        let mut flow = lock(&this.outgoing);
        if flow.closed || flow.reader_gone {
            return broken();
        }
        let most = this.writes.weather.room.max(1);
        if flow.stalled || flow.bytes.len() >= most {
            flow.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        drop(flow);
        let piece = ready!(this.writes.poll(cx));
        let mut flow = lock(&this.outgoing);
        let room = most.saturating_sub(flow.bytes.len());
        let left = this.writes.weather.cut_at;
        let left = left.map(|at| at.saturating_sub(flow.passed));
        let left = usize::try_from(left.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        let most = piece.min(room).min(left);
        let mut len = 0;
        for part in parts {
            let part = part.get(..part.len().min(most - len)).unwrap_or_default();
            flow.bytes.extend(part);
            len += part.len();
        }
        flow.passed += len as u64;
        if left == len {
            this.cut(&mut flow);
        }
        let reader = flow.reader.take();
        drop(flow);
        if let Some(reader) = reader {
            reader.wake();
        }
        if len == 0 && parts.iter().any(|part| !part.is_empty()) {
            broken()
        } else {
            Poll::Ready(Ok(len))
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.vectored
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.reset()?;
        let falters = this.writes.weather.pause_in > 0;
        if falters && !this.writes.waited && this.writes.dice.once_in(20) {
            this.writes.waited = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut flow = lock(&self.outgoing);
        flow.closed = true;
        flow.wake();
        Poll::Ready(Ok(()))
    }
}

impl Drop for PipeEnd {
    fn drop(&mut self) {
        let mut flow = lock(&self.outgoing);
        flow.closed = true;
        if std::mem::take(&mut flow.stalled) {
            // Somebody notices one day that nobody is there any more.
            flow.bytes.clear();
        }
        flow.wake();
        drop(flow);
        let mut flow = lock(&self.incoming);
        flow.reader_gone = true;
        flow.wake();
    }
}
