//! Large messages are read right into a buffer of their own.

use crate::scratch;
use bytes::{BufMut as _, BytesMut};
use mynah_codec::Fill;
use std::future::Future as _;
use std::io;
use std::pin::pin;
use std::task::{self, Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Bytes that are read beyond the message, so that what follows it (the head of the next chunk, most of all) costs no
/// read of its own.
const BEYOND: usize = 1 << 10;
/// What is reserved for a message whatever has arrived of it.
const TRUSTED: usize = 256 << 10;

/// A frame with less than this goes through the buffer for all.
pub(super) const WORTH: usize = 64 << 10;

/// A message, or a chunk of one, that is being read into its own buffer.
pub(super) struct Filling {
    buffer: BytesMut,
    /// Length of the buffer when this part is complete, and when the whole message is.
    part: usize,
    whole: usize,
    /// Memory that is there is lent at once to a message that is no larger: its sender has sent such a one before.
    proven: usize,
}

impl Filling {
    /// Begins with what has arrived, which is all of the input.
    pub(super) fn begin(fill: Fill, input: &[u8], proven: u32) -> Self {
        let Fill {
            skip,
            buffer,
            want,
            ahead,
        } = fill;
        let there = input.get(skip..).unwrap_or_default();
        let mut filling = Self {
            part: buffer.len() + want,
            whole: buffer.len() + ahead,
            proven: usize::try_from(proven).unwrap_or(usize::MAX),
            buffer,
        };
        if filling.buffer.capacity() - filling.buffer.len() < there.len() {
            filling.reserve();
        }
        filling.buffer.extend_from_slice(there);
        filling
    }

    /// How much of it is there.
    pub(super) fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Makes room for the rest of the message, but for no more than has arrived, or a fixed amount.
    fn reserve(&mut self) {
        let len = self.buffer.len();
        // Memory that is there is lent for what has arrived in good part, not on the word of a head; that of one who has
        // kept such a word is good for what this thread keeps at most.
        let arrived = len > 0 && len >= self.whole / 8;
        if (arrived || self.whole <= self.proven)
            && let Some(mut buffer) = scratch::take_large(self.whole.saturating_add(BEYOND))
        {
            buffer.extend_from_slice(&self.buffer);
            self.buffer = buffer;
            return;
        }
        let left = self.whole - len.min(self.whole);
        // No more than it takes to be lent memory: what is there then is copied.
        let trusted = TRUSTED.min(self.whole / 8 + 1).max(WORTH).max(len);
        self.buffer.reserve(left.min(trusted) + BEYOND + 1);
        if self.buffer.capacity() > self.whole.saturating_add(BEYOND) {
            scratch::keep_large(&mut self.buffer);
        }
    }

    /// Reads what is there; 0 at the end of the stream.
    pub(super) fn poll_read(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        cx: &mut task::Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.buffer.capacity() == self.buffer.len() {
            self.reserve();
        }
        let limit = self.part + BEYOND - self.buffer.len();
        let mut room = (&mut self.buffer).limit(limit);
        let read = ready!(pin!(stream.read_buf(&mut room)).poll(cx))?;
        Poll::Ready(Ok(read))
    }

    pub(super) fn is_complete(&self) -> bool {
        self.buffer.len() >= self.part
    }

    /// Bytes of the message, if all of it has arrived.
    pub(super) fn proves(&self) -> u32 {
        if self.buffer.len() >= self.whole {
            u32::try_from(self.whole).unwrap_or(u32::MAX)
        } else {
            0
        }
    }

    /// What was read beyond it.
    pub(super) fn beyond(&self) -> &[u8] {
        self.buffer.get(self.part..).unwrap_or_default()
    }

    /// The buffer, without what was read beyond.
    pub(super) fn finish(mut self) -> BytesMut {
        self.buffer.truncate(self.part);
        self.buffer
    }
}
