//! The connection that a dialer yields.

use super::options::StopTimes;
use crate::duplex::{Duplex, State};
use crate::exit::RemoteExit;
use crate::lines::{LineSink, RemoteLines};
use mynah_protocol::{TransportError, TransportErrorKind};
use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

/// What is used on the other side, as a stream of bytes: the stdin and stdout of a command, a subsystem, a socket.
///
/// That of a command ends with a [`PeerEnd`](mynah_protocol::PeerEnd) that says how the command ended, as far as the
/// server says; that of a subsystem or a socket ends as a socket does.
///
/// Dropped, it says what was written, ends its side, and has the other side stopped in the background, as [`StopTimes`]
/// say; nobody waits for that. [`SshHandle::stop`] waits.
pub struct SshStream {
    /// What was read too far.
    ahead: bytes::Bytes,
    duplex: Duplex,
    state: Arc<State>,
    lines: Option<RemoteLines>,
    over: watch::Receiver<bool>,
    stop: StopTimes,
}

impl SshStream {
    pub(super) fn new(
        duplex: Duplex,
        state: Arc<State>,
        lines: RemoteLines,
        over: watch::Receiver<bool>,
        stop: StopTimes,
    ) -> Self {
        Self {
            ahead: bytes::Bytes::new(),
            duplex,
            state,
            lines: Some(lines),
            over,
            stop,
        }
    }

    /// What the remote command writes to stderr, and before it what the server says at the login. `None` the second time. Left
    /// here, the lines go nowhere.
    pub const fn take_lines(&mut self) -> Option<RemoteLines> {
        self.lines.take()
    }

    /// A handle that outlives the stream.
    #[must_use]
    pub fn handle(&self) -> SshHandle {
        SshHandle {
            state: Arc::clone(&self.state),
            over: self.over.clone(),
            stop: self.stop,
        }
    }

    /// Puts bytes back, to be read next.
    pub(super) fn unread(&mut self, bytes: Vec<u8>) {
        self.ahead = bytes.into();
    }

    /// Bytes that become lines beside the connection.
    pub(super) fn note(&self, bytes: &[u8]) {
        self.state.with_lines(|lines: &LineSink| {
            lines.write(bytes);
            lines.end_line();
        });
    }
}

impl fmt::Debug for SshStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SshStream").finish_non_exhaustive()
    }
}

impl AsyncRead for SshStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let taken = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(&self.ahead.split_to(taken));
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.duplex).poll_read(cx, buffer)
    }
}

impl AsyncWrite for SshStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.duplex).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.duplex).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.duplex.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.duplex).poll_flush(cx)
    }

    /// Ends this side: the stdin of the remote command.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.duplex).poll_shutdown(cx)
    }
}

/// A connection, seen from outside.
///
/// Holding one does not keep it alive.
#[derive(Clone)]
pub struct SshHandle {
    state: Arc<State>,
    over: watch::Receiver<bool>,
    stop: StopTimes,
}

impl SshHandle {
    /// How the remote command ended; `None` while it runs, and when the server did not say.
    #[must_use]
    pub fn exit(&self) -> Option<RemoteExit> {
        self.state.exit()
    }

    /// Waits until the connection is closed; says how the remote command ended, if the server did.
    ///
    /// Cancel safety: may be dropped and called again at any time.
    pub async fn closed(&self) -> Option<RemoteExit> {
        let mut over = self.over.clone();
        // An error: whoever would say it is gone, which is the same.
        let _gone = over.wait_for(|over| *over).await;
        self.exit()
    }

    /// Stops the other side step by step, as [`StopTimes`] say, and waits for its end. The connection ends with it.
    ///
    /// Cancel safety: dropped before its end, the other side is stopped all the same.
    ///
    /// # Errors
    /// [`TransportErrorKind::TimedOut`] when the server did not close the channel in its time: the connection was closed
    /// from this side, and nobody knows what became of the command.
    pub async fn stop(&self) -> Result<Option<RemoteExit>, TransportError> {
        self.state.stop();
        let closed = tokio::time::timeout(self.stop.total(), self.closed()).await;
        match closed {
            Ok(exit) if !self.state.was_cut() => Ok(exit),
            _ => Err(TransportError::new(
                TransportErrorKind::TimedOut,
                "the remote command does not end",
            )),
        }
    }
}

impl fmt::Debug for SshHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SshHandle").finish_non_exhaustive()
    }
}
