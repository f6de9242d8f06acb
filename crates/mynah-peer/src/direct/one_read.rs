//! A stream of bytes that is read once.

use crate::link::Link;
use bytes::{Buf as _, Bytes};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Has these bytes to be read, then has its connection end once they are answered; keeps what is written.
pub(super) struct OneRead {
    input: Bytes,
    /// What ends the last message, if it does not end so itself.
    end: &'static [u8],
    link: Arc<Link>,
    said: Said,
    most: usize,
    closed: bool,
}

/// What was written; nothing once it was too much.
#[derive(Clone)]
pub(super) struct Said(Arc<Mutex<Option<Vec<u8>>>>);

impl Said {
    /// `None`: it was too much.
    pub(super) fn take(&self) -> Option<Bytes> {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.take().map(Bytes::from)
    }
}

impl OneRead {
    /// `end`: what ends a message of the wire. `most`: bytes that may be written.
    pub(super) fn new(
        input: Bytes,
        end: &'static [u8],
        link: Arc<Link>,
        most: usize,
    ) -> (Self, Said) {
        let ends = input.is_empty() || input.ends_with(end);
        let said = Said(Arc::new(Mutex::new(Some(Vec::new()))));
        let read = Self {
            end: if ends { &[] } else { end },
            input,
            link,
            said: said.clone(),
            most,
            closed: false,
        };
        (read, said)
    }
}

impl AsyncRead for OneRead {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.closed {
            return Poll::Ready(Ok(()));
        }
        if self.input.is_empty() {
            self.input = Bytes::from_static(std::mem::take(&mut self.end));
        }
        if self.input.is_empty() {
            // Asked for more only when all that is there was handled.
            self.link.close_when_idle();
            return Poll::Pending;
        }
        let count = buffer.remaining().min(self.input.len());
        buffer.put_slice(self.input.get(..count).unwrap_or_default());
        self.input.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for OneRead {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut said = self.said.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = said
            .as_ref()
            .is_some_and(|said| said.len().saturating_add(bytes.len()) <= self.most);
        match &mut *said {
            Some(said) if fits => {
                said.extend_from_slice(bytes);
                Poll::Ready(Ok(bytes.len()))
            }
            said => {
                *said = None;
                Poll::Ready(Err(io::ErrorKind::StorageFull.into()))
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.closed = true;
        Poll::Ready(Ok(()))
    }
}
