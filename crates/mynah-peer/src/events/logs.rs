//! Lines of the peer's log that belong to no call.

use super::listen::Listeners;
use super::queue::Queue;
use bytes::{BufMut as _, Bytes, BytesMut};
use futures_core::Stream;
use mynah_protocol::{Log, SideLine, Value};
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

/// A line of the peer's log that belongs to no call.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LogLine {
    /// 1 critical, 2 warning, 3 info, 4 verbose, 5 debug; a peer may send any other number.
    pub level: i64,
    /// What it says: a text, or whatever the peer likes.
    pub content: Value,
    /// Lines before it that were dropped because one of the two sides was too slow.
    pub dropped: u64,
}

impl LogLine {
    pub(crate) const fn new(level: i64, content: Value, dropped: u64) -> Self {
        Self {
            level,
            content,
            dropped,
        }
    }

    /// The text, when it is what a process at the other end wrote to its stderr: [`PeerBuilder::side_lines`].
    ///
    /// Such a line has level 3, and its content is the map `{"stream": "stderr", "text": ...}`, with `cut_bytes` where its
    /// end was cut off. Whoever wrote it is not trusted: it may hold control characters, which `Display` escapes.
    ///
    /// [`PeerBuilder::side_lines`]: crate::PeerBuilder::side_lines
    #[must_use]
    pub fn stderr(&self) -> Option<&str> {
        (self.content.get(STREAM)?.as_str()? == STDERR).then_some(())?;
        self.content.get(TEXT)?.as_str()
    }
}

const STREAM: &str = "stream";
const STDERR: &str = "stderr";
const TEXT: &str = "text";
const CUT_BYTES: &str = "cut_bytes";

/// A line of stderr as the content of a line of log.
pub(crate) fn stderr_content(line: &SideLine) -> Value {
    let mut entries = vec![
        (Value::from(STREAM), Value::from(STDERR)),
        (Value::from(TEXT), Value::from(line.text.as_str())),
    ];
    if line.cut_bytes > 0 {
        entries.push((Value::from(CUT_BYTES), Value::from(line.cut_bytes)));
    }
    Value::Map(entries)
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(text) = self.stderr() {
            return write!(f, "stderr: {}", text.escape_debug());
        }
        let level = match self.level {
            1 => "critical",
            2 => "warning",
            3 => "info",
            4 => "verbose",
            5 => "debug",
            other => return write!(f, "level {other}: {}", self.content),
        };
        write!(f, "{level}: {}", self.content)
    }
}

/// The lines of a peer's log that belong to no call, in order. Made by [`Peer::logs`](crate::Peer::logs).
///
/// It ends with the connection. When it is read too slowly the oldest lines are dropped, and counted in the next one.
#[must_use = "dropped, it hears nothing"]
pub struct Logs {
    queue: Arc<Queue>,
    listeners: Arc<Listeners>,
}

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logs").finish_non_exhaustive()
    }
}

impl Logs {
    pub(super) const fn new(queue: Arc<Queue>, listeners: Arc<Listeners>) -> Self {
        Self { queue, listeners }
    }

    /// The next line, `None` at the end of the connection.
    ///
    /// Cancel safety: dropped before its end, no line is lost.
    #[allow(
        clippy::should_implement_trait,
        reason = "it is awaited, as the `next` of streams is"
    )]
    pub fn next(&mut self) -> impl Future<Output = Option<LogLine>> + Send + Unpin + '_ {
        poll_fn(|cx| self.poll_line(cx))
    }

    fn poll_line(&self, cx: &task::Context<'_>) -> Poll<Option<LogLine>> {
        let Ok((dropped, packed)) = task::ready!(self.queue.poll_pop(cx.waker())) else {
            return Poll::Ready(None);
        };
        let line = self.listeners.codec().and_then(|(format, limits)| {
            let (level, said, content) = unpack(&packed)?;
            // What does not fit into a value is told as what is wrong with it.
            let content = format
                .decode(content, &limits)
                .unwrap_or_else(|error| Value::from(error.to_string()));
            Some(LogLine::new(level, content, dropped.saturating_add(said)))
        });
        Poll::Ready(line)
    }
}

impl Stream for Logs {
    type Item = LogLine;

    fn poll_next(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<LogLine>> {
        self.poll_line(cx)
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        self.listeners.forget(None, &self.queue);
    }
}

/// Level, count and content in one buffer, for a queue.
pub(super) fn pack(log: &Log<'_>) -> Bytes {
    let content = log.content.as_slice();
    let mut packed = BytesMut::with_capacity(16 + content.len());
    packed.put_i64(log.level);
    packed.put_u64(log.dropped);
    packed.extend_from_slice(content);
    packed.freeze()
}

fn unpack(packed: &[u8]) -> Option<(i64, u64, &[u8])> {
    let (level, rest) = packed.split_first_chunk()?;
    let (dropped, content) = rest.split_first_chunk()?;
    let level = i64::from_be_bytes(*level);
    Some((level, u64::from_be_bytes(*dropped), content))
}
