//! Two ends and the queues between them.

use futures_core::Stream;
use futures_sink::Sink;
use mynah_protocol::{
    Envelope, Evidence, EvidenceKey, FormatId, Inbound, Limits, Outbound, Profile, Transport,
    TransportError, TransportErrorKind,
};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// How a pair is made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MemoryOptions {
    /// The format of the payloads. Default CBOR.
    pub format: FormatId,
    /// Envelopes that may wait in one direction. Default 64.
    pub capacity: usize,
    /// The limits; of them the size of a message holds here, the rest at the peers.
    pub limits: Limits,
}

impl Default for MemoryOptions {
    fn default() -> Self {
        Self {
            format: FormatId::Cbor,
            capacity: 64,
            limits: Limits::default(),
        }
    }
}

impl MemoryOptions {
    /// Sets the format of the payloads.
    #[must_use]
    pub const fn with_format(mut self, format: FormatId) -> Self {
        self.format = format;
        self
    }

    /// Sets how many envelopes may wait in one direction; at least one.
    #[must_use]
    pub const fn with_capacity(mut self, capacity: usize) -> Self {
        self.capacity = capacity;
        self
    }

    /// Sets the limits.
    #[must_use]
    pub const fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}

/// Two connected ends with the defaults.
#[must_use]
pub fn pair() -> (MemoryEnd, MemoryEnd) {
    pair_with(&MemoryOptions::default())
}

/// Two connected ends.
#[must_use]
pub fn pair_with(options: &MemoryOptions) -> (MemoryEnd, MemoryEnd) {
    let [there, back] = [(); 2].map(|()| Arc::new(Mutex::new(Queue::default())));
    let end = |incoming: &Arc<_>, outgoing: &Arc<_>, name: &str| MemoryEnd {
        incoming: Arc::clone(incoming),
        outgoing: Arc::clone(outgoing),
        capacity: options.capacity.max(1),
        max_bytes: options.limits.decode.max_message_bytes,
        profile: Profile::new("memory", options.format)
            .with_max_message_bytes(options.limits.decode.max_message_bytes),
        evidence: Evidence::new()
            .with(EvidenceKey::TRANSPORT, "memory")
            .with(EvidenceKey::REMOTE_ADDRESS, name),
    };
    (
        end(&back, &there, "second end"),
        end(&there, &back, "first end"),
    )
}

/// One direction.
#[derive(Debug, Default)]
struct Queue {
    envelopes: VecDeque<Envelope<'static>>,
    reader: Option<Waker>,
    writer: Option<Waker>,
    writer_gone: bool,
    reader_gone: bool,
}

/// One end of a pair.
#[derive(Debug)]
pub struct MemoryEnd {
    incoming: Arc<Mutex<Queue>>,
    outgoing: Arc<Mutex<Queue>>,
    capacity: usize,
    max_bytes: usize,
    profile: Profile,
    evidence: Evidence,
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

fn gone() -> TransportError {
    TransportError::new(TransportErrorKind::Broken, "the other end is gone")
}

impl Transport for MemoryEnd {
    fn profile(&self) -> &Profile {
        &self.profile
    }

    fn evidence(&self) -> &Evidence {
        &self.evidence
    }
}

impl Stream for MemoryEnd {
    type Item = Result<Inbound, TransportError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut queue = lock(&self.incoming);
        let Some(envelope) = queue.envelopes.pop_front() else {
            if queue.writer_gone {
                return Poll::Ready(None);
            }
            queue.reader = Some(cx.waker().clone());
            return Poll::Pending;
        };
        let writer = queue.writer.take();
        drop(queue);
        wake(writer);
        Poll::Ready(Some(Ok(Inbound {
            envelope,
            receipt: None,
        })))
    }
}

impl Sink<Outbound> for MemoryEnd {
    type Error = TransportError;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        let mut queue = lock(&self.outgoing);
        if queue.reader_gone {
            return Poll::Ready(Err(gone()));
        }
        if queue.envelopes.len() < self.capacity {
            return Poll::Ready(Ok(()));
        }
        queue.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    fn start_send(self: Pin<&mut Self>, outbound: Outbound) -> Result<(), TransportError> {
        let Outbound::Send(envelope) = outbound else {
            return Ok(());
        };
        let bytes = envelope.payload_bytes();
        if bytes > self.max_bytes {
            let what = format!(
                "message of {bytes} bytes exceeds limit of {}",
                self.max_bytes
            );
            return Err(TransportError::new(TransportErrorKind::TooLarge, what));
        }
        let mut queue = lock(&self.outgoing);
        if queue.reader_gone {
            return Err(gone());
        }
        queue.envelopes.push_back(envelope);
        let reader = queue.reader.take();
        drop(queue);
        wake(reader);
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        let mut queue = lock(&self.outgoing);
        queue.writer_gone = true;
        let reader = queue.reader.take();
        drop(queue);
        wake(reader);
        Poll::Ready(Ok(()))
    }
}

impl Drop for MemoryEnd {
    fn drop(&mut self) {
        let mut queue = lock(&self.outgoing);
        queue.writer_gone = true;
        let reader = queue.reader.take();
        drop(queue);
        wake(reader);
        let mut queue = lock(&self.incoming);
        queue.reader_gone = true;
        queue.envelopes.clear();
        let writer = queue.writer.take();
        drop(queue);
        wake(writer);
    }
}
