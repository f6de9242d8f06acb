//! What was taken from the output and is being written.

use crate::metrics;
use mynah_codec::{Lane, Output, OutputChunk};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{self, Poll, ready};
use tokio::io::AsyncWrite;

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
        self.data_at == self.data.bytes.len() && self.control_at == self.control.bytes.len()
    }

    /// Whether all data that was taken has been written.
    pub(super) fn data_is_written(&self) -> bool {
        self.data_at == self.data.bytes.len()
    }

    /// Takes what waits in the output, each lane when it has nothing left of it.
    #[inline]
    pub(super) fn take(&mut self, output: &mut Output, answers: &mut usize) {
        if self.data_at == self.data.bytes.len() && output.data_held() > 0 {
            self.data.clear(crate::scratch::KEEP_BYTES);
            output.take(Lane::Data, &mut self.data);
            self.data_at = 0;
            self.frames = 0;
            self.answers += std::mem::take(answers);
        }
        if self.control_at == self.control.bytes.len() && output.control_len() > 0 {
            self.control.clear(crate::scratch::KEEP_BYTES);
            output.take(Lane::Control, &mut self.control);
            self.control_at = 0;
        }
    }

    /// Answers that were written completely; counted once.
    pub(super) fn take_answers(&mut self) -> usize {
        if self.data_at == self.data.bytes.len() {
            std::mem::take(&mut self.answers)
        } else {
            0
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
            let written = if control.is_empty() {
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

    /// Moves on by so many bytes, in the order in which [`Self::poll_write`] offers them.
    fn advance(&mut self, written: usize) -> u64 {
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
        while self
            .data
            .ends
            .get(self.frames)
            .is_some_and(|end| *end <= self.data_at)
        {
            self.frames += 1;
        }
        (head + tail) as u64
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
        writer.take(&mut output, &mut answers);
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
        writer.take(&mut output, &mut answers);
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
