//! The stream itself.

use super::state::{Eof, ReadOutcome, State, WriteRefused};
use mynah_protocol::PeerEnd;
use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// How long a process that has closed its stdout may take to exit before its connection ends without a status.
const EXIT_PATIENCE: Duration = Duration::from_millis(500);

/// One channel as a stream of bytes.
pub(crate) struct Duplex {
    state: Arc<State>,
    /// How long an exit is waited for.
    patience: Option<Pin<Box<Sleep>>>,
}

impl Duplex {
    pub(super) const fn new(state: Arc<State>) -> Self {
        Self {
            state,
            patience: None,
        }
    }
}

impl fmt::Debug for Duplex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Duplex").finish_non_exhaustive()
    }
}

impl AsyncRead for Duplex {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        match std::task::ready!(self.state.poll_read(cx, buffer)) {
            ReadOutcome::Data => Poll::Ready(Ok(())),
            ReadOutcome::Closed => Poll::Ready(self.state.end().map_or(Ok(()), Err)),
            ReadOutcome::Ended if self.state.eof() == Eof::HalfClose => Poll::Ready(Ok(())),
            ReadOutcome::Ended => {
                let patience = self
                    .patience
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep(EXIT_PATIENCE)));
                std::task::ready!(patience.as_mut().poll(cx));
                let what = "the remote command closed its stdout and goes on running";
                Poll::Ready(Err(PeerEnd::new(what).into()))
            }
        }
    }
}

impl AsyncWrite for Duplex {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match std::task::ready!(self.state.poll_write(cx, parts)) {
            Ok(written) => Poll::Ready(Ok(written)),
            Err(WriteRefused::Shut) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            Err(WriteRefused::Closed) => {
                let end = self.state.end();
                Poll::Ready(Err(end.unwrap_or_else(|| io::ErrorKind::BrokenPipe.into())))
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// What was written is on its way.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Ends this side once what was written is said.
    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.state.shut();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Duplex {
    fn drop(&mut self) {
        self.state.drop_stream();
    }
}
