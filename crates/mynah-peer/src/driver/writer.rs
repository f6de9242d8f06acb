//! What was taken from the output and is being written.

use super::unit::{Place, Unit};
use crate::link::Clock;
use crate::metrics;
use mynah_codec::{Lane, Output, OutputChunk};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{self, Poll, ready};
use tokio::io::AsyncWrite;

/// A stream is handed so many parts at once.
const MOST_PARTS: usize = 64;

/// What a stretch of bytes to be written is of.
#[derive(Clone, Copy)]
enum Piece {
    Data,
    Control,
    Unit,
}

/// Frames of both lanes that I/O has taken.
///
/// Control goes between two frames of data, never inside one.
#[derive(Default)]
pub(super) struct Writer {
    data: OutputChunk,
    data_at: usize,
    /// How many frame ends of `data` lie at or before `data_at`.
    frames: usize,
    control: OutputChunk,
    control_at: usize,
    /// Answers among the frames of `data`.
    answers: usize,
    unit: Unit,
    /// The stream has taken bytes that it was not asked yet to pass on.
    unflushed: bool,
}

impl Writer {
    /// Whether everything that was taken has been written and passed on.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.is_written() && !self.unflushed
    }

    #[inline]
    fn is_written(&self) -> bool {
        self.data_at == self.data.bytes.len()
            && self.control_at == self.control.bytes.len()
            && self.unit.is_written()
    }

    /// Gives back the buffers of what was written.
    pub(super) fn give_back(&mut self) {
        if !self.is_written() {
            return;
        }
        for chunk in [&mut self.data, &mut self.control] {
            if chunk.bytes.capacity() > 0 {
                crate::scratch::return_chunk(std::mem::take(chunk));
            }
        }
        self.data_at = 0;
        self.control_at = 0;
        self.frames = 0;
    }

    /// Whether all data that was taken has been written.
    pub(super) fn data_is_written(&self) -> bool {
        self.data_at == self.data.bytes.len()
    }

    /// Takes what waits in the output, each lane when it has nothing left of it.
    #[inline]
    pub(super) fn take(&mut self, output: &mut Output, answers: &mut usize, clock: &Clock) {
        if self.data_at == self.data.bytes.len() && output.data_held() > 0 {
            self.data.clear(crate::scratch::KEEP_BYTES);
            output.take(Lane::Data, &mut self.data);
            self.data_at = 0;
            self.frames = 0;
            self.answers += std::mem::take(answers);
            self.unit.data_was_taken();
        }
        if self.control_at == self.control.bytes.len() && output.control_len() > 0 {
            self.control.clear(crate::scratch::KEEP_BYTES);
            output.take(Lane::Control, &mut self.control);
            self.control_at = 0;
        }
        // What waits in the lane of data may have to precede a large message of the same call.
        if output.bulk_waits() || self.unit.is_out() {
            self.unit.take(output, clock);
        }
    }

    /// Whether large messages are being written.
    #[inline]
    pub(super) const fn is_bulk(&self) -> bool {
        self.unit.is_out()
    }

    /// Answers that were written completely; counted once.
    pub(super) fn take_answers(&mut self) -> usize {
        let in_units = self.unit.take_answers();
        if self.data_at == self.data.bytes.len() {
            in_units + std::mem::take(&mut self.answers)
        } else {
            in_units
        }
    }

    /// Bytes taken and not written.
    pub(super) fn left(&self) -> usize {
        self.data.bytes.len() - self.data_at + self.control.bytes.len() - self.control_at
    }

    /// Writes as much as the stream takes. Returns bytes of data written; `Ready` when all is written.
    pub(super) fn poll_write<W: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut W,
        task: &mut task::Context<'_>,
        data_written: &mut u64,
        any: &mut bool,
    ) -> Poll<io::Result<()>> {
        while !self.is_written() {
            let control = self
                .control
                .bytes
                .get(self.control_at..)
                .unwrap_or_default();
            let data = self.data.bytes.get(self.data_at..).unwrap_or_default();
            let written = if !self.unit.is_written() {
                ready!(self.poll_write_unit(stream, task))?
            } else if control.is_empty() {
                ready!(Pin::new(&mut *stream).poll_write(task, data))?
            } else {
                // Up to the end of the frame that is half out, then control, then the rest.
                let boundary = self.boundary();
                let head = data.get(..boundary).unwrap_or_default();
                let tail = data.get(boundary..).unwrap_or_default();
                if stream.is_write_vectored() {
                    let parts = [
                        IoSlice::new(head),
                        IoSlice::new(control),
                        IoSlice::new(tail),
                    ];
                    ready!(Pin::new(&mut *stream).poll_write_vectored(task, &parts))?
                } else {
                    let first = if head.is_empty() { control } else { head };
                    ready!(Pin::new(&mut *stream).poll_write(task, first))?
                }
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            metrics::bytes_out(written);
            *any = true;
            self.unflushed = true;
            *data_written += self.advance(written);
        }
        if self.unflushed {
            // A stream that keeps bytes back (buffered, encrypted) passes them on now.
            ready!(Pin::new(&mut *stream).poll_flush(task))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Bytes until the frame that is partly written ends; 0 at the start of a frame.
    fn boundary(&self) -> usize {
        let ends = &self.data.ends;
        let started = self
            .frames
            .checked_sub(1)
            .and_then(|last| ends.get(last))
            .copied();
        if started.unwrap_or(0) == self.data_at {
            return 0;
        }
        ends.get(self.frames).map_or(0, |end| end - self.data_at)
    }

    /// Writes a unit of large messages with what is there of the lanes, in one call if the stream takes parts.
    #[cold]
    fn poll_write_unit<W: AsyncWrite + Unpin>(
        &self,
        stream: &mut W,
        task: &mut task::Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut parts = [IoSlice::new(&[]); MOST_PARTS];
        let mut slots = parts.iter_mut();
        let mut push = |bytes| {
            if <[u8]>::is_empty(bytes) {
                return true;
            }
            let Some(slot) = slots.next() else {
                return false;
            };
            *slot = IoSlice::new(bytes);
            true
        };
        let mut data = self.data.bytes.get(self.data_at..).unwrap_or_default();
        let control = self.control.bytes.get(self.control_at..);
        for (piece, len) in self.order() {
            let whole = match piece {
                Piece::Control => push(control.unwrap_or_default()),
                Piece::Data => {
                    let (head, tail) = data.split_at_checked(len).unwrap_or((data, &[]));
                    data = tail;
                    push(head)
                }
                Piece::Unit => self.unit.parts().all(&mut push),
            };
            if !whole {
                break;
            }
        }
        let count = parts.iter().take_while(|part| !part.is_empty()).count();
        let parts = parts.get(..count).unwrap_or_default();
        if stream.is_write_vectored() {
            Pin::new(stream).poll_write_vectored(task, parts)
        } else {
            let first = parts.first();
            Pin::new(stream).poll_write(task, first.map_or(&[], |part| part))
        }
    }

    /// What is written in which order while there is a unit of large messages.
    fn order(&self) -> [(Piece, usize); 4] {
        let control = (Piece::Control, self.control.bytes.len() - self.control_at);
        let data = self.data.bytes.len() - self.data_at;
        let unit = (Piece::Unit, self.unit.left());
        let none = (Piece::Data, 0);
        match self.unit.place() {
            Place::Begun => [unit, control, (Piece::Data, data), none],
            Place::First => [control, unit, (Piece::Data, data), none],
            Place::Last => {
                let head = self.boundary();
                [
                    (Piece::Data, head),
                    control,
                    (Piece::Data, data - head),
                    unit,
                ]
            }
        }
    }

    /// Moves on by so many bytes, in the order in which [`Self::poll_write_unit`] offers them.
    #[cold]
    fn advance_unit(&mut self, mut written: usize) -> u64 {
        let mut data = 0;
        for (piece, len) in self.order() {
            let some = len.min(written);
            written -= some;
            match piece {
                Piece::Control => self.control_at += some,
                Piece::Data => data += some,
                Piece::Unit => self.unit.advance(some),
            }
        }
        self.data_at += data;
        self.pass_frames();
        data as u64
    }

    /// Moves on by so many bytes, in the order in which [`Self::poll_write`] offers them.
    fn advance(&mut self, written: usize) -> u64 {
        if !self.unit.is_written() {
            return self.advance_unit(written);
        }
        let control_left = self.control.bytes.len() - self.control_at;
        let head = if control_left == 0 {
            written
        } else {
            written.min(self.boundary())
        };
        let control = (written - head).min(control_left);
        let tail = written - head - control;
        self.control_at += control;
        self.data_at += head + tail;
        self.pass_frames();
        (head + tail) as u64
    }

    /// Counts the frames of data that are written.
    #[inline]
    fn pass_frames(&mut self) {
        while self
            .data
            .ends
            .get(self.frames)
            .is_some_and(|end| *end <= self.data_at)
        {
            self.frames += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a few bytes at a time.
    struct Slow {
        step: usize,
        taken: Vec<u8>,
        vectored: bool,
    }

    impl AsyncWrite for Slow {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut task::Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let len = bytes.len().min(self.step);
            self.taken.extend_from_slice(&bytes[..len]);
            Poll::Ready(Ok(len))
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            cx: &mut task::Context<'_>,
            parts: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let all: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
            self.poll_write(cx, &all)
        }

        fn is_write_vectored(&self) -> bool {
            self.vectored
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn put(output: &mut Output, lane: Lane, text: &str) {
        output
            .frame(lane, |out| {
                out.extend_from_slice(text.as_bytes());
                Ok(())
            })
            .unwrap();
    }

    /// After `before` bytes of three frames a control frame turns up: it must stand at the next
    /// frame boundary, whole.
    fn check(step: usize, vectored: bool, before: usize, expected: &str) {
        let mut output = Output::new();
        for frame in ["aaa", "bbbb", "cc"] {
            put(&mut output, Lane::Data, frame);
        }
        let mut writer = Writer::default();
        let mut answers = 0;
        writer.take(&mut output, &mut answers, &Clock::start());
        let mut cx = task::Context::from_waker(task::Waker::noop());
        let (mut data, mut any) = (0, false);
        let mut slow = Slow {
            step: before,
            taken: Vec::new(),
            vectored,
        };
        if before > 0 {
            let len = Pin::new(&mut slow).poll_write(&mut cx, &writer.data.bytes);
            let Poll::Ready(Ok(len)) = len else { panic!() };
            data += writer.advance(len);
        }
        put(&mut output, Lane::Control, "XY");
        writer.take(&mut output, &mut answers, &Clock::start());
        slow.step = step;
        assert!(
            writer
                .poll_write(&mut slow, &mut cx, &mut data, &mut any)
                .is_ready()
        );
        assert_eq!(
            String::from_utf8(slow.taken).unwrap(),
            expected,
            "{step} {vectored} {before}"
        );
        assert_eq!(data, 9);
        assert!(writer.is_empty());
    }

    #[test]
    fn control_overtakes_at_frame_boundaries_only() {
        for step in [1, 2, 3, 100] {
            for vectored in [false, true] {
                check(step, vectored, 0, "XYaaabbbbcc");
                check(step, vectored, 1, "aaaXYbbbbcc");
                check(step, vectored, 3, "aaaXYbbbbcc");
                check(step, vectored, 5, "aaabbbbXYcc");
                check(step, vectored, 8, "aaabbbbccXY");
            }
        }
    }
}
