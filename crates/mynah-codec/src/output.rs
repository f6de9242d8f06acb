//! Where a wire writes: two lanes, frame ends marked.

mod bulk;
mod pace;

pub use bulk::{BulkRules, BulkUnit, ChunkHead, OrderKey};

use crate::EncodeError;
use bulk::Bulk;
use bytes::Bytes;
use mynah_protocol::{Lane, Moment};
use pace::Pace;

/// Where a frame stands in its lane, or which large message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameSpan {
    /// Bytes of its lane before it, since the connection began; of a large message, its number and
    /// [`FrameSpan::BULK`].
    pub start: u64,
    /// Its length in bytes.
    pub len: usize,
}

impl FrameSpan {
    /// Set in `start` where that is the number of a large message.
    pub const BULK: u64 = 1 << 63;

    /// Whether it is a message beside the lanes.
    #[must_use]
    pub const fn is_bulk(self) -> bool {
        self.start & Self::BULK != 0 && self.len > 0
    }
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
    /// Large messages, if the driver takes them.
    bulk: Option<Box<Bulk>>,
    takes_bulk: bool,
    /// The number of the large message that comes next.
    bulk_next: u64,
    /// Of a connection that has sent large messages.
    pace: Option<Box<Pace>>,
    /// What the receiver has taken of chunks since the clock was looked at.
    bulk_taken: u64,
    /// Something went into the lane of data since large messages were looked at.
    others: bool,
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

    /// Nothing to say, for a driver that takes large messages with [`Self::take_bulk`]. Without that they go into
    /// the lane of data like all others.
    #[must_use]
    pub fn with_bulk() -> Self {
        Self {
            takes_bulk: true,
            ..Self::default()
        }
    }

    /// Whether large messages may be put beside the lanes.
    #[inline]
    #[must_use]
    pub const fn takes_bulk(&self) -> bool {
        self.takes_bulk
    }

    /// Whether large messages wait, or what must not overtake them.
    #[inline]
    #[must_use]
    pub fn bulk_waits(&self) -> bool {
        self.bulk.as_ref().is_some_and(|bulk| bulk.waits())
    }

    /// Whether a message of this key waits beside the lanes: nothing of the same key may go into a lane meanwhile.
    #[must_use]
    pub fn bulk_holds(&self, key: &OrderKey) -> bool {
        self.bulk.as_ref().is_some_and(|bulk| bulk.holds(key))
    }

    /// Puts one frame, in parts, beside the lanes. It leaves in turns with others, in chunks where `rules` say so, and
    /// never ahead of an earlier one of the same key.
    pub fn put_bulk(&mut self, key: OrderKey, parts: Vec<Bytes>, rules: BulkRules) -> FrameSpan {
        let number = self.bulk_next;
        self.bulk_next += 1;
        let bulk = self.bulk.get_or_insert_default();
        bulk.put(number, key, parts, rules)
    }

    /// Hands out what is to leave next of the large messages, in exchange for an empty unit.
    ///
    /// What stands in the lane of data now, and is not taken before, must leave behind it.
    pub fn take_bulk(&mut self, unit: &mut BulkUnit, now: Moment) {
        if self.bulk_taken > 0 {
            let taken = std::mem::take(&mut self.bulk_taken);
            self.pace.get_or_insert_default().take(taken, now);
        }
        if let Some(bulk) = &mut self.bulk {
            let pace = self.pace.get_or_insert_default();
            pace.listen(std::mem::take(&mut self.others), now);
            bulk.take(unit, pace, now);
        }
    }

    /// The receiver has taken so many bytes of chunks.
    pub fn note_bulk_taken(&mut self, len: u64) {
        self.bulk_taken = self.bulk_taken.saturating_add(len);
    }

    /// Whether there is something to hand out now, of any kind. Large messages may wait until the receiver has taken
    /// what is on its way.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.data_len() > 0
            || !self.control.bytes.is_empty()
            || self.bulk.as_ref().is_some_and(|bulk| {
                let open = self.pace.as_ref().is_none_or(|pace| pace.is_open());
                bulk.is_ready(open) || self.bulk_taken > 0 && bulk.waits()
            })
    }

    /// The unit that was handed out has been written.
    pub fn bulk_written(&mut self) {
        if let Some(bulk) = &mut self.bulk {
            bulk.written();
            if bulk.is_done() {
                self.bulk = None;
            }
        }
    }

    /// Bytes of large messages that were not handed out.
    #[inline]
    #[must_use]
    pub fn bulk_held(&self) -> usize {
        self.bulk.as_ref().map_or(0, |bulk| bulk.held())
    }

    /// Bytes of small messages that wait behind large ones of their call.
    #[inline]
    #[must_use]
    pub fn bulk_behind(&self) -> usize {
        self.bulk.as_ref().map_or(0, |bulk| bulk.behind())
    }

    /// Whether the last of a large message has been handed out, and written if `written`.
    #[must_use]
    pub fn bulk_has_left(&self, span: FrameSpan, written: bool) -> bool {
        let number = span.start & !FrameSpan::BULK;
        self.bulk
            .as_ref()
            .is_none_or(|bulk| bulk.has_left(number, written))
    }

    /// Notes that a large message answers a call: [`BulkUnit::answers`] counts it when it has left.
    pub fn note_bulk_answer(&mut self, span: FrameSpan) {
        if let Some(bulk) = &mut self.bulk {
            bulk.note_answer(span.start & !FrameSpan::BULK);
        }
    }

    /// Whether a lane has no buffers, so that the next frame in it makes some.
    #[inline]
    #[must_use]
    pub const fn lacks_buffers(&self, lane: Lane) -> bool {
        self.lane(lane).bytes.capacity() == 0
    }

    /// Gives a lane that lacks buffers those of an empty chunk.
    pub fn lend_buffers(&mut self, lane: Lane, chunk: OutputChunk) {
        if self.lacks_buffers(lane) && chunk.bytes.is_empty() && chunk.ends.is_empty() {
            match lane {
                Lane::Data => self.data = chunk,
                Lane::Control => self.control = chunk,
            }
        }
    }

    /// Takes the buffers of a lane, if it has any and nothing is in them.
    pub fn take_buffers(&mut self, lane: Lane) -> Option<OutputChunk> {
        if self.lacks_buffers(lane) || !self.lane(lane).bytes.is_empty() {
            return None;
        }
        Some(std::mem::take(match lane {
            Lane::Data => &mut self.data,
            Lane::Control => &mut self.control,
        }))
    }

    const fn lane(&self, lane: Lane) -> &OutputChunk {
        match lane {
            Lane::Data => &self.data,
            Lane::Control => &self.control,
        }
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
        self.others |= matches!(lane, Lane::Data);
        Ok(FrameSpan {
            start: base + start as u64,
            len: chunk.bytes.len() - start,
        })
    }

    /// Takes a data frame back that has not been handed to I/O. `false` when it has left already.
    ///
    /// A large message of which a part has left is taken back too: the peer is told to forget that part.
    pub fn withdraw(&mut self, span: FrameSpan) -> bool {
        if span.is_bulk() {
            let number = span.start & !FrameSpan::BULK;
            return self.bulk.as_mut().is_some_and(|bulk| bulk.withdraw(number));
        }
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

    /// Whether nothing waits: neither to leave, nor, of chunks, for the receiver to say that it has taken them. A
    /// socket that is closed with that word unread takes what was sent last with it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.data_len() == 0
            && self.control.bytes.is_empty()
            && !self.bulk_waits()
            && self
                .pace
                .as_ref()
                .is_none_or(|pace| pace.on_its_way() <= self.bulk_taken)
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
