//! Bytes that become lines beside a connection.

use crate::SideLine;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

/// Cuts bytes into [`SideLine`]s and holds them until they are taken: a bounded number of a bounded length each.
///
/// For transports that have something beside the bytes of a connection: what a process writes to stderr. When lines are
/// taken too slowly the oldest are dropped, and counted in the next one. Bytes that are no UTF-8 become U+FFFD.
#[derive(Debug)]
pub struct SideLineBuffer {
    lines: VecDeque<SideLine>,
    most_lines: usize,
    dropped: u64,
    line: Vec<u8>,
    cut: u64,
    most_bytes: usize,
}

impl SideLineBuffer {
    /// An empty one: lines of at most `line_bytes` bytes, what is longer is cut; at most `lines` of them.
    #[must_use]
    pub const fn new(line_bytes: usize, lines: usize) -> Self {
        Self {
            lines: VecDeque::new(),
            most_lines: lines,
            dropped: 0,
            line: Vec::new(),
            cut: 0,
            most_bytes: line_bytes,
        }
    }

    /// Takes bytes as they arrive.
    pub fn write(&mut self, bytes: &[u8]) {
        let mut pieces = bytes.split(|byte| *byte == b'\n');
        let last = pieces.next_back();
        for piece in pieces {
            self.add(piece);
            self.end_line();
        }
        if let Some(last) = last {
            self.add(last);
        }
    }

    /// Nothing more arrives: the last line need not have an end.
    pub fn finish(&mut self) {
        if !self.line.is_empty() || self.cut > 0 {
            self.end_line();
        }
    }

    /// Takes the oldest line that is whole.
    pub fn pop(&mut self) -> Option<SideLine> {
        self.lines.pop_front()
    }

    /// Forgets the lines that wait.
    pub fn clear(&mut self) {
        self.lines.clear();
    }

    fn add(&mut self, piece: &[u8]) {
        let room = self.most_bytes.saturating_sub(self.line.len());
        let kept = piece.get(..room).unwrap_or(piece);
        self.line.extend_from_slice(kept);
        self.cut += (piece.len() - kept.len()) as u64;
    }

    fn end_line(&mut self) {
        let whole = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        let mut line = SideLine::new(String::from_utf8_lossy(whole));
        line.cut_bytes = core::mem::take(&mut self.cut);
        self.line.clear();
        self.push(line);
    }

    fn push(&mut self, mut line: SideLine) {
        if self.lines.len() >= self.most_lines {
            if let Some(oldest) = self.lines.pop_front() {
                self.dropped += oldest.dropped + 1;
            }
            let dropped = core::mem::take(&mut self.dropped);
            match self.lines.front_mut() {
                Some(next) => next.dropped += dropped,
                None => line.dropped += dropped,
            }
        }
        self.lines.push_back(line);
    }
}

#[cfg(test)]
mod tests;
