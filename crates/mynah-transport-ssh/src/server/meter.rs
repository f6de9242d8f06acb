//! Counts what a peer sends: all of it before it is authenticated, and then what carries nothing.
//!
//! russh answers by itself what it does not know: kinds of channels, requests, messages. Each is an answer for next to
//! nothing, kept in memory while the peer stalls an exchange of keys, and nobody hears of it. What can be seen from
//! outside are bytes. So what is read is held against what it carries ([`ElasticControl::carried`]): what remains may
//! come at a rate that questions for signs of life, exchanges of keys and a few refusals stay far below.

use crate::elastic::ElasticControl;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::Instant;

/// What may come at once and carry nothing, in bytes: a packet that is not read to its end counts until it is.
const IDLE_BYTES: u64 = 256 << 10;

/// What may come in a second and carry nothing, in bytes: more than an exchange of keys, or fifty questions.
const IDLE_BYTES_PER_SECOND: u64 = 4 << 10;

/// Whether what is read may be read.
#[derive(Clone)]
pub(super) struct Meter(Arc<Mutex<Count>>);

enum Count {
    /// Before authentication: how many bytes may still be read.
    Early(u64),
    /// After it: how many may still be read that carry nothing.
    Idle {
        left: u64,
        counted: Instant,
        control: ElasticControl,
    },
}

impl Count {
    /// That many were read, or why they may not be.
    fn read(&mut self, bytes: u64) -> Result<(), &'static str> {
        let (left, fault) = match self {
            Self::Early(left) => (left, "too many bytes before authentication"),
            Self::Idle {
                left,
                counted,
                control,
            } => {
                let now = Instant::now();
                let passed = now.saturating_duration_since(*counted).as_millis();
                let passed = u64::try_from(passed).unwrap_or(u64::MAX);
                let more = passed.saturating_mul(IDLE_BYTES_PER_SECOND) / 1000;
                // Less than a byte's worth of time is not lost.
                if more > 0 {
                    *counted = now;
                }
                let more = more.saturating_add(control.take_carried());
                *left = left.saturating_add(more).min(IDLE_BYTES);
                (
                    left,
                    "too much that carries nothing: requests, questions, channels",
                )
            }
        };
        *left = left.checked_sub(bytes).ok_or(fault)?;
        Ok(())
    }
}

impl Meter {
    /// Reads with a meter on them: after `most` bytes they fail, unless the peer is authenticated by then.
    pub(super) fn on<R>(read: R, most: usize) -> (Metered<R>, Self) {
        let most = u64::try_from(most).unwrap_or(u64::MAX);
        let meter = Self(Arc::new(Mutex::new(Count::Early(most))));
        let metered = Metered {
            read,
            meter: meter.clone(),
        };
        (metered, meter)
    }

    /// The peer is authenticated: from now on it counts what its bytes carry.
    pub(super) fn open(&self, control: &ElasticControl) {
        *self.lock() = Count::Idle {
            left: IDLE_BYTES,
            counted: Instant::now(),
            control: control.clone(),
        };
    }

    fn read(&self, bytes: usize) -> Result<(), &'static str> {
        let mut count = self.lock();
        let counted = count.read(u64::try_from(bytes).unwrap_or(u64::MAX));
        if let (Err(fault), Count::Idle { control, .. }) = (counted, &*count) {
            // russh does not tell whoever reads the channel why it ends.
            control.end(io::ErrorKind::Other, format!("the peer sends {fault}"));
        }
        counted
    }

    fn lock(&self) -> MutexGuard<'_, Count> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads, counted.
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
        let before = buffer.filled().len();
        std::task::ready!(Pin::new(&mut self.read).poll_read(cx, buffer))?;
        let read = buffer.filled().len().saturating_sub(before);
        Poll::Ready(self.meter.read(read).map_err(io::Error::other))
    }
}

#[cfg(test)]
mod tests;
