//! Where a wire writes: two lanes, frame ends marked.

use crate::EncodeError;
use mynah_protocol::Lane;

/// Where a frame stands in its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameSpan {
    /// Bytes of its lane before it, since the connection began.
    pub start: u64,
    /// Its length in bytes.
    pub len: usize,
}

/// The output of one connection that has not been handed to I/O yet.
///
/// The driver takes it chunk by chunk with [`Self::take`]; both buffers go round, so that a steady
/// connection allocates nothing.
#[derive(Debug, Default)]
pub struct Output {
    data: OutputChunk,
    control: OutputChunk,
    /// Bytes of data handed out before `data`.
    data_base: u64,
    control_base: u64,
    /// Frames in `data` that were withdrawn, as offsets in `data`, ascending.
    holes: Vec<(usize, usize)>,
    hole_bytes: usize,
}

/// Bytes of whole frames, one lane.
#[derive(Debug, Default)]
pub struct OutputChunk {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Where each frame ends, as offsets in `bytes`, ascending; the last one is `bytes.len()`.
    pub ends: Vec<usize>,
}

impl OutputChunk {
    /// Forgets the content, keeps the buffers up to `keep` bytes.
    pub fn clear(&mut self, keep: usize) {
        self.bytes.clear();
        self.ends.clear();
        if self.bytes.capacity() > keep {
            self.bytes = Vec::new();
            self.ends = Vec::new();
        }
    }
}

impl Output {
    /// Nothing to say.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes one frame with `write`, or nothing if it fails.
    ///
    /// # Errors
    /// What `write` returned; the lane is as it was.
    pub fn frame(
        &mut self,
        lane: Lane,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
    ) -> Result<FrameSpan, EncodeError> {
        let (chunk, base) = match lane {
            Lane::Data => (&mut self.data, self.data_base),
            Lane::Control => (&mut self.control, self.control_base),
        };
        let start = chunk.bytes.len();
        if let Err(error) = write(&mut chunk.bytes) {
            chunk.bytes.truncate(start);
            return Err(error);
        }
        chunk.ends.push(chunk.bytes.len());
        Ok(FrameSpan {
            start: base + start as u64,
            len: chunk.bytes.len() - start,
        })
    }

    /// Takes a data frame back that has not been handed to I/O. `false` when it has left already.
    pub fn withdraw(&mut self, span: FrameSpan) -> bool {
        let Some(start) = span.start.checked_sub(self.data_base) else {
            return false;
        };
        let Ok(start) = usize::try_from(start) else {
            return false;
        };
        let end = start + span.len;
        if end > self.data.bytes.len() {
            return false;
        }
        if end == self.data.bytes.len() {
            // The newest frame: take it off the end, and with it any holes it uncovers.
            self.data.bytes.truncate(start);
            self.data.ends.pop();
            while let Some(&(hole, hole_end)) = self.holes.last() {
                if hole_end != self.data.bytes.len() {
                    break;
                }
                self.data.bytes.truncate(hole);
                self.data.ends.pop();
                self.hole_bytes -= hole_end - hole;
                self.holes.pop();
            }
            return true;
        }
        let at = self.holes.partition_point(|&(hole, _)| hole < start);
        self.holes.insert(at, (start, end));
        self.hole_bytes += span.len;
        true
    }

    /// Bytes of data that wait, withdrawn frames not counted.
    #[must_use]
    pub fn data_len(&self) -> usize {
        self.data.bytes.len() - self.hole_bytes
    }

    /// Bytes of data that are held, withdrawn frames included.
    #[must_use]
    pub fn data_held(&self) -> usize {
        self.data.bytes.len()
    }

    /// Bytes of control that wait.
    #[must_use]
    pub fn control_len(&self) -> usize {
        self.control.bytes.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.data_len() == 0 && self.control.bytes.is_empty()
    }

    /// Hands out all frames of a lane, in exchange for an empty chunk whose buffers are used next.
    pub fn take(&mut self, lane: Lane, chunk: &mut OutputChunk) {
        match lane {
            Lane::Data => {
                self.data_base += self.data.bytes.len() as u64;
                std::mem::swap(&mut self.data, chunk);
                if !self.holes.is_empty() {
                    close_holes(chunk, &self.holes);
                    self.holes.clear();
                    self.hole_bytes = 0;
                }
            }
            Lane::Control => {
                self.control_base += self.control.bytes.len() as u64;
                std::mem::swap(&mut self.control, chunk);
            }
        }
    }
}

/// Moves the frames that stay together, in one pass.
fn close_holes(chunk: &mut OutputChunk, holes: &[(usize, usize)]) {
    let ends = std::mem::take(&mut chunk.ends);
    let mut holes = holes.iter().peekable();
    let mut write = 0;
    let mut start = 0;
    for end in ends {
        if holes.peek().is_some_and(|&&(hole, _)| hole == start) {
            holes.next();
        } else {
            chunk.bytes.copy_within(start..end, write);
            write += end - start;
            chunk.ends.push(write);
        }
        start = end;
    }
    chunk.bytes.truncate(write);
}

#[cfg(test)]
mod tests;
