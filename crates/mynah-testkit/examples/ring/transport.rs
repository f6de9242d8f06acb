//! A transport of bytes over ring buffers in memory, as a kernel and a program share them, from `mynah-protocol` alone.

use async_trait::async_trait;
use mynah_protocol::{
    Accepted, Dialer, Evidence, EvidenceKey, Listener, TransportError, TransportErrorKind,
};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;

/// Bytes that may be on their way in one direction.
const ROOM: usize = 64 << 10;

/// One direction.
#[derive(Default)]
struct Ring {
    bytes: VecDeque<u8>,
    /// The writer has said everything, or the reader is gone.
    closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

type Shared = Arc<Mutex<Ring>>;
type Done<T = ()> = Poll<io::Result<T>>;
type Known = Result<Accepted<RingStream>, TransportError>;

/// One end of a connection: what comes in, and what goes out.
pub struct RingStream(Shared, Shared);

/// Does something with a ring. When it is done, whoever waits for a change of it is woken, after the lock.
fn with<T>(ring: &Shared, done: impl FnOnce(&mut Ring) -> Poll<T>) -> Poll<T> {
    let mut ring = ring.lock().unwrap_or_else(PoisonError::into_inner);
    let polled = done(&mut ring);
    let wakers = polled
        .is_ready()
        .then(|| [ring.reader.take(), ring.writer.take()]);
    drop(ring);
    wakers.into_iter().flatten().flatten().for_each(Waker::wake);
    polled
}

fn close(ring: &Shared) -> Done {
    with(ring, |ring| {
        ring.closed = true;
        Poll::Ready(Ok(()))
    })
}

impl AsyncRead for RingStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Done {
        with(&self.0, |ring| {
            if ring.bytes.is_empty() && !ring.closed {
                ring.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            // What was written before the end is read before the end, which is to read nothing.
            let len = ring.bytes.as_slices().0.len().min(to.remaining());
            to.put_slice(&ring.bytes.as_slices().0[..len]);
            ring.bytes.drain(..len);
            Poll::Ready(Ok(()))
        })
    }
}

impl AsyncWrite for RingStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Done<usize> {
        with(&self.1, |ring| {
            let len = bytes.len().min(ROOM - ring.bytes.len());
            if ring.closed {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            if len == 0 && !bytes.is_empty() {
                ring.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
            ring.bytes.extend(&bytes[..len]);
            Poll::Ready(Ok(len))
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Done {
        // What is written can be read: nothing is held back.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Done {
        close(&self.1)
    }
}

impl Drop for RingStream {
    fn drop(&mut self) {
        drop((close(&self.0), close(&self.1)));
    }
}

/// A place that can be dialled.
pub fn ring(name: &str) -> (RingListener, RingDialer) {
    let (sender, queue) = mpsc::channel(64);
    let listener = RingListener(queue, format!("ring:{name}"));
    (listener, RingDialer(sender))
}

pub struct RingListener(mpsc::Receiver<RingStream>, String);

pub struct RingDialer(mpsc::Sender<RingStream>);

impl Listener for RingListener {
    type Connection = RingStream;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Option<Known>> {
        Poll::Ready(ready!(self.0.poll_recv(cx)).map(|stream| Ok(known(stream))))
    }

    fn address(&self) -> String {
        self.1.clone()
    }
}

#[async_trait]
impl Dialer for RingDialer {
    type Connection = RingStream;

    async fn dial(&self) -> Known {
        let (there, back) = <(Shared, Shared)>::default();
        let far = RingStream(Arc::clone(&there), Arc::clone(&back));
        let refused = |_| TransportError::new(TransportErrorKind::Refused, "nobody accepts");
        self.0.send(far).await.map_err(refused)?;
        Ok(known(RingStream(back, there)))
    }
}

/// A connection, and what this transport knows of the peer: nothing that the peer could say itself.
fn known(connection: RingStream) -> Accepted<RingStream> {
    let evidence = Evidence::new().with(EvidenceKey::TRANSPORT, "ring");
    Accepted {
        connection,
        evidence,
    }
}
