//! Bytes that have arrived and were not consumed.

use crate::scratch;

/// What has arrived and was not consumed.
#[derive(Default)]
pub(super) struct Input {
    /// As short as what is there while the connection is idle, which as a rule is nothing: it holds no buffer then.
    pub(super) buffer: Vec<u8>,
    pub(super) start: usize,
    pub(super) end: usize,
    /// Bytes from `start` that the wire wants to see next.
    pub(super) wanted: usize,
}

impl Input {
    /// Whether there is something to decode without reading more.
    pub(super) fn is_complete(&self) -> bool {
        let there = self.end - self.start;
        there > 0 && self.wanted <= there
    }

    /// Makes room behind what is there: at least one byte, and towards what the wire wants, but never more than
    /// 256 KiB or what has arrived again.
    pub(super) fn make_room(&mut self) {
        const STEP: usize = 256 << 10;
        if self.buffer.len() < scratch::READ_BYTES {
            self.move_to(scratch::take_read_buffer());
        }
        let there = self.end - self.start;
        if self.start + self.wanted.max(there + 1) > self.buffer.len() && self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.start = 0;
            self.end = there;
        }
        if self.wanted > self.buffer.len() || self.end == self.buffer.len() {
            let ahead = self.wanted.saturating_sub(there).clamp(1, STEP.max(there));
            self.buffer
                .resize(self.end + ahead.max(scratch::READ_BYTES), 0);
        }
    }

    /// Puts a few bytes into the empty input.
    pub(super) fn append(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.make_room();
        let end = self.end + bytes.len();
        if let Some(room) = self.buffer.get_mut(self.end..end) {
            room.copy_from_slice(bytes);
            self.end = end;
        }
    }

    /// Moves the rest of a frame to the front when that is cheap, so that it need not be done before a read.
    pub(super) fn compact(&mut self) {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Gives the buffer back when there is little in it: a peer that sends the start of a message and no more holds that
    /// start, and no buffer.
    pub(super) fn release(&mut self) {
        const LITTLE: usize = 1 << 10;
        let there = self.end - self.start;
        if self.buffer.len() >= scratch::READ_BYTES && there <= LITTLE {
            scratch::return_read_buffer(self.move_to(vec![0; there]));
        }
    }

    /// Goes on in another buffer, which has room for what is there. Returns the one before.
    fn move_to(&mut self, mut buffer: Vec<u8>) -> Vec<u8> {
        let rest = self.buffer.get(self.start..self.end).unwrap_or_default();
        if let Some(room) = buffer.get_mut(..rest.len()) {
            room.copy_from_slice(rest);
        }
        self.end -= self.start;
        self.start = 0;
        std::mem::replace(&mut self.buffer, buffer)
    }
}
