//! Async bytes as a stream and a sink.

use super::PipeError;
use crate::Format;
use crate::framing::{Cut, Framing};
use bytes::{Buf as _, BytesMut};
use futures_core::Stream;
use futures_core::stream::FusedStream;
use futures_sink::Sink;
use mynah_protocol::DecodeLimits;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Room that is made for one read, in bytes. As much as tokio's own copy takes.
const READ_BYTES: usize = 8 << 10;

/// Reads without a message after which the task lets others run.
const READS_PER_POLL: u32 = 32;

/// Output above which a sink is not ready until some of it is written, in bytes.
const HIGH_WATER_BYTES: usize = 64 << 10;

/// A typed stream and sink over async bytes. Made by [`pipe`](super::pipe).
///
/// The stream side wants an [`AsyncRead`], the sink side an [`AsyncWrite`]; a half of either kind will do for one of them.
///
/// - An error of the stream ends it: behind it comes `None`. So does the end of the bytes, unless it comes within a message,
///   which is an error.
/// - What is sent is buffered until the sink is flushed, or more than 64 KiB wait. A message that cannot be encoded is
///   refused and leaves the sink as it was; an error of writing is final.
/// - It holds what has arrived of one message, whatever was announced of it, and looks at each byte once.
///
/// # Cancel safety
/// Polling, dropping a future over it (`next`, `send`) and polling again loses nothing of the stream; a dropped `send` may
/// have taken the message or not.
pub struct Pipe<IO, F, In, Out = In> {
    io: IO,
    framing: F,
    format: Format,
    limits: DecodeLimits,
    input: BytesMut,
    output: BytesMut,
    /// A message on its way into `output`.
    scratch: Vec<u8>,
    reading: Reading,
    /// Writing has failed: nobody knows how much of a message has left.
    broken: Option<io::ErrorKind>,
    types: PhantomData<fn(Out) -> In>,
}

/// How far the stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// More bytes may come.
    Open,
    /// The bytes have ended, and what is there is being cut.
    Ended,
    /// Nothing comes any more.
    Done,
}

impl<IO, F: Framing, In, Out> Pipe<IO, F, In, Out> {
    /// A pipe with the default limits on values.
    #[must_use]
    pub fn new(io: IO, framing: F, format: Format) -> Self {
        Self {
            io,
            framing,
            format,
            limits: DecodeLimits::DEFAULT,
            input: BytesMut::new(),
            output: BytesMut::new(),
            scratch: Vec::new(),
            reading: Reading::Open,
            broken: None,
            types: PhantomData,
        }
    }

    /// Sets the limits on values that are read. How large a message may be, its framing says too.
    #[must_use]
    pub const fn with_limits(mut self, limits: DecodeLimits) -> Self {
        self.limits = limits;
        self
    }

    /// The bytes underneath.
    pub const fn get_ref(&self) -> &IO {
        &self.io
    }

    /// The bytes underneath, what was read of them and not taken as messages, and what was sent and is not written.
    pub fn into_parts(self) -> (IO, BytesMut, BytesMut) {
        (self.io, self.input, self.output)
    }

    /// The next message in what is there; `None` when more bytes are needed.
    fn take(&mut self) -> Result<Option<In>, PipeError>
    where
        In: DeserializeOwned,
    {
        loop {
            let cut = self.framing.cut(&self.input).map_err(PipeError::Frame)?;
            match cut {
                Cut::Skip(blank) => self.input.advance(blank.min(self.input.len())),
                Cut::Need(_) if self.reading == Reading::Open => return Ok(None),
                Cut::Need(_) => {
                    let last = self.framing.finish(&self.input);
                    self.reading = Reading::Done;
                    return match last.map_err(PipeError::Frame)? {
                        Some(cut) => self.decode(cut),
                        None => Ok(None),
                    };
                }
                Cut::Frame { .. } => return self.decode(cut),
            }
        }
    }

    fn decode(&mut self, cut: Cut) -> Result<Option<In>, PipeError>
    where
        In: DeserializeOwned,
    {
        let Cut::Frame {
            start,
            content_end,
            end,
        } = cut
        else {
            return Ok(None);
        };
        let content = self.input.get(start..content_end).unwrap_or_default();
        let message = self.format.decode(content, &self.limits);
        self.input.advance(end.min(self.input.len()));
        message.map(Some).map_err(PipeError::Decode)
    }

    /// Whether an earlier failure forbids to write.
    fn check_whole(&self) -> Result<(), PipeError> {
        match self.broken {
            None => Ok(()),
            Some(kind) => Err(PipeError::Io(kind.into())),
        }
    }
}

impl<IO: AsyncRead + Unpin, F, In, Out> Pipe<IO, F, In, Out> {
    /// Reads once. How many bytes came; 0 at their end.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, PipeError>> {
        // The buffer grows with what has arrived, whatever was announced.
        self.input.reserve(READ_BYTES);
        let before = self.input.len();
        // Room is zeroed before it is lent: this crate has no `unsafe`.
        self.input.resize(before + READ_BYTES, 0);
        let mut room = ReadBuf::new(self.input.get_mut(before..).unwrap_or_default());
        let read = Pin::new(&mut self.io).poll_read(cx, &mut room);
        let came = room.filled().len();
        self.input.truncate(before + came);
        match ready!(read) {
            Ok(()) => Poll::Ready(Ok(came)),
            Err(error) => Poll::Ready(Err(PipeError::Io(error))),
        }
    }
}

impl<IO: AsyncWrite + Unpin, F, In, Out> Pipe<IO, F, In, Out> {
    /// Writes until at most `most` bytes wait.
    fn poll_write(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<Result<(), PipeError>> {
        while self.output.len() > most {
            let wrote = match ready!(Pin::new(&mut self.io).poll_write(cx, &self.output)) {
                Ok(0) => Err(io::ErrorKind::WriteZero.into()),
                other => other,
            };
            match wrote {
                Ok(wrote) => self.output.advance(wrote.min(self.output.len())),
                Err(error) => return Poll::Ready(Err(self.fail(error))),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn fail(&mut self, error: io::Error) -> PipeError {
        self.broken = Some(error.kind());
        self.output.clear();
        PipeError::Io(error)
    }
}

impl<IO, F, In, Out> Stream for Pipe<IO, F, In, Out>
where
    IO: AsyncRead + Unpin,
    F: Framing + Unpin,
    In: DeserializeOwned,
{
    type Item = Result<In, PipeError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        for _ in 0..READS_PER_POLL {
            if this.reading == Reading::Done {
                return Poll::Ready(None);
            }
            match this.take() {
                Ok(Some(message)) => return Poll::Ready(Some(Ok(message))),
                Ok(None) if this.reading == Reading::Done => return Poll::Ready(None),
                Ok(None) => {}
                Err(error) => {
                    this.reading = Reading::Done;
                    return Poll::Ready(Some(Err(error)));
                }
            }
            match ready!(this.poll_read(cx)) {
                Ok(0) => this.reading = Reading::Ended,
                Ok(_) => {}
                Err(error) => {
                    this.reading = Reading::Done;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        // Bytes that never end and never make a message must not keep the task from everything else.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<IO, F, In, Out> FusedStream for Pipe<IO, F, In, Out>
where
    IO: AsyncRead + Unpin,
    F: Framing + Unpin,
    In: DeserializeOwned,
{
    fn is_terminated(&self) -> bool {
        self.reading == Reading::Done
    }
}

impl<IO, F, In, Out> Sink<Out> for Pipe<IO, F, In, Out>
where
    IO: AsyncWrite + Unpin,
    F: Framing + Unpin,
    Out: Serialize,
{
    type Error = PipeError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), PipeError>> {
        self.check_whole()?;
        if self.output.len() <= HIGH_WATER_BYTES {
            return Poll::Ready(Ok(()));
        }
        self.poll_write(cx, HIGH_WATER_BYTES)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Out) -> Result<(), PipeError> {
        self.check_whole()?;
        let this = &mut *self;
        let mut scratch = std::mem::take(&mut this.scratch);
        scratch.clear();
        let written = this
            .format
            .encode(&message, &mut scratch)
            .and_then(|()| this.framing.enclose(&mut scratch, 0));
        if written.is_ok() {
            this.output.extend_from_slice(&scratch);
        }
        // A large message must not hold its room for ever.
        if scratch.capacity() <= HIGH_WATER_BYTES {
            this.scratch = scratch;
        }
        written.map_err(PipeError::Encode)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), PipeError>> {
        self.check_whole()?;
        ready!(self.poll_write(cx, 0))?;
        let flushed = ready!(Pin::new(&mut self.io).poll_flush(cx));
        Poll::Ready(flushed.map_err(|error| self.fail(error)))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), PipeError>> {
        ready!(self.as_mut().poll_flush(cx))?;
        let closed = ready!(Pin::new(&mut self.io).poll_shutdown(cx));
        Poll::Ready(closed.map_err(|error| self.fail(error)))
    }
}

impl<IO, F, In, Out> fmt::Debug for Pipe<IO, F, In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipe")
            .field("format", &self.format)
            .field("reading", &self.reading)
            .field("broken", &self.broken)
            .finish_non_exhaustive()
    }
}
