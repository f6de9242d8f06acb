//! Large messages arrive: put together from chunks, and read right into a buffer of their own.

use super::head::{CborHead, Head, JsonHead, MsgpackHead};
use super::{NAME, NativeWire, kind, read, write};
use crate::framing::{Cut, LengthFraming};
use crate::{DecodeError, Fill, Output, Step, Wire as _, WireError};
use bytes::{Bytes, BytesMut};
use mynah_protocol::{
    DecodeLimits, Envelope, Event, FormatId, Hello, Items, Lane, Notification, Payload,
    PayloadBytes, Request, Response,
};

/// How many messages may be in chunks at once.
pub(super) const MESSAGES: usize = 8;
/// How many of the largest messages those in chunks may be together.
pub(super) const TOTALS: usize = 2;
/// Taking back a message of which less has arrived counts as a breach: it would cost the peer next to nothing.
const FAIR: usize = 4 << 10;
/// What was taken is told when it is so much, or the last.
const TELL: u64 = 64 << 10;
/// A frame with less content goes through the buffer for all.
const WORTH: usize = 64 << 10;
/// More than the length and the head of a chunk take.
const HEAD: usize = 68;
/// What is reserved for a message whatever has arrived of it.
const TRUSTED: usize = 256 << 10;

/// Messages of which not all chunks have arrived.
#[derive(Debug)]
pub(super) struct Partials {
    list: Vec<Partial>,
    /// The most bytes of one message.
    limit: usize,
    /// Bytes of chunks that this side has taken and not told.
    untold: u64,
    /// Bytes of chunks that the peer says it has taken.
    heard: u64,
}

#[derive(Debug)]
struct Partial {
    number: u64,
    total: usize,
    buffer: BytesMut,
}

/// What the driver is reading.
#[derive(Clone, Copy, Debug)]
pub(super) enum Filling {
    /// A whole frame.
    Frame,
    /// A chunk of this message, with so many bytes.
    Chunk(u64, usize),
}

/// The head of a chunk.
#[derive(Clone, Copy, Debug)]
struct ChunkHead {
    number: u64,
    total: Option<usize>,
    /// Bytes of the head.
    len: usize,
}

fn violation<T>(detail: &str) -> Result<T, WireError> {
    Err(WireError::Violation {
        dialect: NAME,
        detail: detail.to_owned(),
    })
}

impl Partials {
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            list: Vec::new(),
            limit,
            untold: 0,
            heard: 0,
        }
    }

    /// Whether there is something to tell, to the peer or to the output.
    #[inline]
    pub(super) const fn has_news(&self) -> bool {
        self.heard > 0 || self.untold > 0
    }

    /// Finds the message of a chunk with so many bytes, or begins it.
    fn expect(&mut self, head: ChunkHead, len: usize) -> Result<&mut Partial, WireError> {
        let known = self.list.iter().position(|one| one.number == head.number);
        let at = match (known, head.total) {
            (Some(at), None) => at,
            (Some(_), Some(_)) => return violation("a message in chunks begins twice"),
            (None, None) => return violation("chunk of a message that did not begin"),
            (None, Some(total)) => {
                self.check_begin(total, len)?;
                self.list.push(Partial {
                    number: head.number,
                    total,
                    buffer: BytesMut::new(),
                });
                self.list.len() - 1
            }
        };
        let Some(partial) = self.list.get_mut(at) else {
            return violation("chunk of a message that did not begin");
        };
        if len > partial.total - partial.buffer.len() {
            return violation("chunks exceed the length of their message");
        }
        Ok(partial)
    }

    fn check_begin(&self, total: usize, len: usize) -> Result<(), WireError> {
        if total > self.limit {
            return Err(WireError::TooLarge {
                len: total as u64,
                limit: self.limit,
            });
        }
        if len == 0 {
            return violation("the first chunk of a message is empty");
        }
        let announced = self.list.iter().map(|one| one.total).sum::<usize>();
        let most = self.limit.saturating_mul(TOTALS);
        if self.list.len() >= MESSAGES
            || !self.list.is_empty() && announced.saturating_add(total) > most
        {
            return violation("too many messages in chunks at once");
        }
        Ok(())
    }

    /// Forgets a message; returns how much of it had arrived.
    fn forget(&mut self, number: u64) -> Option<usize> {
        let at = self.list.iter().position(|one| one.number == number)?;
        Some(self.list.swap_remove(at).buffer.len())
    }

    fn complete(&mut self, number: u64) -> Option<Bytes> {
        let at = self.list.iter().position(|one| one.number == number)?;
        let partial = self.list.get(at)?;
        if partial.buffer.len() < partial.total {
            return None;
        }
        Some(self.list.swap_remove(at).buffer.freeze())
    }
}

/// Makes room for more of a message: for what was announced, but for no more than has arrived already, or a fixed
/// amount.
fn reserve(buffer: &mut BytesMut, wanted: usize) {
    let trusted = TRUSTED.max(buffer.len());
    buffer.reserve(wanted.min(trusted));
}

impl NativeWire {
    /// Notes what concerns the wire itself.
    #[inline]
    ///
    /// # Errors
    /// [`WireError::Handshake`] when the peer's bodies are in another format than this side's.
    pub(super) fn heed(&mut self, envelope: &Envelope<'_>) -> Result<(), WireError> {
        match envelope {
            Envelope::Hello(hello) => self.heed_hello(hello),
            _ => Ok(()),
        }
    }

    #[cold]
    fn heed_hello(&mut self, hello: &Hello<'_>) -> Result<(), WireError> {
        self.heard_hello = true;
        self.check_custom(hello)?;
        let number = |number| usize::try_from(number).unwrap_or(usize::MAX);
        if let Some(limit) = hello.max_message_bytes {
            self.peer_limit = number(limit);
        }
        let partials = hello.more.as_ref().and_then(|more| more.partial_messages);
        self.peer_partials = partials.map_or(0, number);
        Ok(())
    }

    /// A frame that is no envelope by itself: a chunk, or of a kind that is not known.
    #[cold]
    pub(super) fn take_other<'b>(
        &mut self,
        frame: &[u8],
        end: usize,
    ) -> Result<Step<'b>, WireError> {
        if let Some(taken) = self.taken_head(frame)? {
            self.partials.heard = self.partials.heard.saturating_add(taken);
            return Ok(Step::Skip(end));
        }
        let Some(head) = self.chunk_head(frame)? else {
            return Ok(Step::Ignore(end));
        };
        let content = frame.get(head.len..).unwrap_or_default();
        if content.is_empty() && head.total.is_none() {
            return match self.partials.forget(head.number) {
                Some(..FAIR) => Ok(Step::Ignore(end)),
                Some(_) => Ok(Step::Skip(end)),
                None => violation("chunk of a message that did not begin"),
            };
        }
        let partial = self.partials.expect(head, content.len())?;
        let left = partial.total - partial.buffer.len();
        if partial.buffer.capacity() - partial.buffer.len() < content.len() {
            reserve(&mut partial.buffer, left);
        }
        partial.buffer.extend_from_slice(content);
        self.partials.untold += content.len() as u64;
        let Some(message) = self.partials.complete(head.number) else {
            return Ok(Step::Skip(end));
        };
        Ok(match self.whole(&message)? {
            Some(envelope) => Step::Envelope(end, envelope),
            None => Step::Ignore(end),
        })
    }

    /// Reads a message that has a buffer of its own.
    fn whole(&mut self, message: &Bytes) -> Result<Option<Envelope<'static>>, WireError> {
        match read::envelope(message, self.profile.format, self.format(), &self.limits)? {
            Some(envelope) => {
                self.heed(&envelope)?;
                Ok(Some(within(envelope, message)))
            }
            None if self.chunk_head(message)?.is_some() => violation("a chunk within a chunk"),
            None => Ok(None),
        }
    }

    /// Tells the peer what was taken of its chunks, and the output what the peer has taken.
    #[cold]
    pub(super) fn tell_taken(&mut self, out: &mut Output) {
        out.note_bulk_taken(std::mem::take(&mut self.partials.heard));
        let untold = self.partials.untold;
        if untold >= TELL || self.partials.list.is_empty() && untold > 0 {
            self.partials.untold = 0;
            let format = self.profile.format;
            let written = out.frame(Lane::Control, |buffer| {
                write::taken(format, untold, buffer);
                Ok(())
            });
            debug_assert!(written.is_ok(), "two numbers always fit");
        }
    }

    /// What a frame says was taken of chunks, if that is what it says.
    fn taken_head(&self, frame: &[u8]) -> Result<Option<u64>, DecodeError> {
        fn elements<'b>(mut head: impl Head<'b>) -> Result<Option<u64>, DecodeError> {
            if head.uint()? != kind::TAKEN {
                return Ok(None);
            }
            let taken = head.uint()?;
            head.body(&DecodeLimits::DEFAULT)?;
            Ok(Some(taken))
        }
        match self.profile.format {
            FormatId::Json => elements(JsonHead::new(frame)?),
            FormatId::MessagePack => elements(MsgpackHead::new(frame)?),
            _ => elements(CborHead::new(frame)?),
        }
    }

    /// The head of a frame, if it is a chunk.
    fn chunk_head(&self, frame: &[u8]) -> Result<Option<ChunkHead>, DecodeError> {
        fn elements<'b>(
            mut head: impl Head<'b>,
            frame: &'b [u8],
        ) -> Result<Option<ChunkHead>, DecodeError> {
            if head.uint()? != kind::CHUNK {
                return Ok(None);
            }
            let number = head.uint()?;
            let total = head.optional_uint()?;
            let body = head.body(&DecodeLimits::DEFAULT)?;
            Ok(Some(ChunkHead {
                number,
                total: total.map(|total| usize::try_from(total).unwrap_or(usize::MAX)),
                len: frame.len() - body.len(),
            }))
        }
        match self.profile.format {
            FormatId::Json => elements(JsonHead::new(frame)?, frame),
            FormatId::MessagePack => elements(MsgpackHead::new(frame)?, frame),
            _ => elements(CborHead::new(frame)?, frame),
        }
    }

    /// Begins to read a large frame, whose end is not there yet, into a buffer of its own.
    pub(super) fn start_fill(&mut self, input: &[u8]) -> Option<Fill> {
        if !self.heard_preface || input.len() < HEAD {
            return None;
        }
        let Ok(Cut::Need(more)) = self.framing.cut(input) else {
            return None;
        };
        let there = input.get(LengthFraming::HEAD..)?;
        let len = there.len() + more;
        if len < WORTH {
            return None;
        }
        // What is wrong with a head is found out when the frame is decoded.
        let Some(head) = self.chunk_head(there).ok()? else {
            self.filling = Some(Filling::Frame);
            return Some(Fill {
                skip: LengthFraming::HEAD,
                buffer: BytesMut::new(),
                want: len,
                ahead: len,
            });
        };
        let want = len - head.len;
        let partial = self.partials.expect(head, want).ok()?;
        self.filling = Some(Filling::Chunk(head.number, want));
        let buffer = std::mem::take(&mut partial.buffer);
        Some(Fill {
            skip: LengthFraming::HEAD + head.len,
            want,
            ahead: partial.total - buffer.len(),
            buffer,
        })
    }

    pub(super) fn end_fill(
        &mut self,
        buffer: BytesMut,
    ) -> Result<Option<Envelope<'static>>, WireError> {
        match self.filling.take() {
            None => Ok(None),
            Some(Filling::Frame) => self.whole(&buffer.freeze()),
            Some(Filling::Chunk(number, want)) => {
                let list = &mut self.partials.list;
                if let Some(partial) = list.iter_mut().find(|one| one.number == number) {
                    partial.buffer = buffer;
                }
                self.partials.untold += want as u64;
                match self.partials.complete(number) {
                    Some(message) => self.whole(&message),
                    None => Ok(None),
                }
            }
        }
    }
}

/// The same envelope; a payload that is a part of the message shares its buffer if it is large.
fn within(envelope: Envelope<'_>, message: &Bytes) -> Envelope<'static> {
    let share = |payload: Payload<'_>| {
        let format = payload.format();
        match payload.into_bytes() {
            PayloadBytes::Lent(bytes) if bytes.len() >= crate::SHARED_BYTES => {
                Payload::owned(format, message.slice_ref(bytes))
            }
            PayloadBytes::Lent(bytes) => Payload::owned(format, Bytes::copy_from_slice(bytes)),
            PayloadBytes::Owned(bytes) => Payload::owned(format, bytes),
            // What was read is in one piece.
            PayloadBytes::Split(bytes, segments) => {
                Payload::split(format, bytes, segments).into_owned()
            }
        }
    };
    match envelope {
        Envelope::Request(request) => Envelope::Request(Request {
            id: request.id,
            name: request.name.into_owned(),
            timeout: request.timeout,
            metadata: request.metadata,
            streams: request.streams,
            params: share(request.params),
        }),
        Envelope::Response(response) => Envelope::Response(Response {
            id: response.id,
            result: response.result.map(share),
        }),
        Envelope::Notification(notification) => Envelope::Notification(Notification {
            name: notification.name.into_owned(),
            id: notification.id,
            metadata: notification.metadata,
            params: share(notification.params),
        }),
        Envelope::Event(event) => Envelope::Event(Event {
            topic: event.topic.into_owned().into(),
            message: share(event.message),
        }),
        Envelope::Items(items) => Envelope::Items(Items {
            id: items.id,
            stream: items.stream,
            count: items.count,
            batch: share(items.batch),
        }),
        other => other.into_owned(),
    }
}

#[cfg(test)]
mod tests;
