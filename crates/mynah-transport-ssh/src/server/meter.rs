//! Counts what a peer sends before it is authenticated.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, ReadBuf};

/// What may still be read.
#[derive(Clone, Debug)]
pub(super) struct Meter(Arc<AtomicUsize>);

/// No bound any more.
const OPEN: usize = usize::MAX;

impl Meter {
    /// Reads with a meter on them: after `most` bytes they fail, unless it is opened by then.
    pub(super) fn on<R>(read: R, most: usize) -> (Metered<R>, Self) {
        let meter = Self(Arc::new(AtomicUsize::new(most)));
        let metered = Metered {
            read,
            meter: meter.clone(),
        };
        (metered, meter)
    }

    /// From now on nothing is counted.
    pub(super) fn open(&self) {
        self.0.store(OPEN, Ordering::Release);
    }
}

/// Reads, counted.
#[derive(Debug)]
pub(super) struct Metered<R> {
    read: R,
    meter: Meter,
}

impl<R: AsyncRead + Unpin> AsyncRead for Metered<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = self.meter.0.load(Ordering::Acquire);
        if left == OPEN {
            return Pin::new(&mut self.read).poll_read(cx, buffer);
        }
        if left == 0 {
            return Poll::Ready(Err(io::Error::other(
                "too many bytes before authentication",
            )));
        }
        let before = buffer.filled().len();
        std::task::ready!(Pin::new(&mut self.read).poll_read(cx, buffer))?;
        let read = buffer.filled().len().saturating_sub(before);
        // Opened meanwhile, it stays open.
        let still = |now: usize| (now != OPEN).then(|| now.saturating_sub(read));
        let _opened = self
            .meter
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, still);
        Poll::Ready(Ok(()))
    }
}
