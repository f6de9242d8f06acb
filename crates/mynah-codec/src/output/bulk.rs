//! Messages that are too large for the lanes: they leave in turns, so that none holds up the others.

use super::FrameSpan;
use super::pace::Pace;
use bytes::{Buf as _, Bytes};
use mynah_protocol::{Moment, WireId};
use std::collections::VecDeque;

/// What keeps its order: frames of one call never overtake each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderKey {
    /// Frames of one call.
    Call(WireId),
    /// Frames of one kind that belong to no call.
    Kind(u8),
    /// A frame that leaves behind all that wait now.
    All,
}

/// Writes what stands before the bytes of a chunk: number of its message, bytes of the whole message if it is the
/// first chunk, bytes of this chunk.
pub type ChunkHead = fn(number: u64, total: Option<usize>, len: usize, out: &mut Vec<u8>);

/// How a large message may leave.
#[derive(Clone, Copy, Debug)]
pub struct BulkRules {
    /// Bytes at the start of the frame that its chunks do without.
    pub prefix: usize,
    /// Bytes of a chunk; a message with no more leaves whole. `usize::MAX`: the peer takes no chunks.
    pub chunk_bytes: usize,
    /// Bytes of the largest chunk, which is made while nothing else is said.
    pub most_chunk_bytes: usize,
    /// How many messages may be in chunks at once.
    pub messages: usize,
    /// Bytes that the messages in chunks may have together, if they are more than one.
    pub total_bytes: usize,
    /// How a chunk begins.
    pub head: ChunkHead,
}

/// What leaves next: whole frames.
#[derive(Debug, Default)]
pub struct BulkUnit {
    /// Its bytes, in parts. Whoever writes them takes them out.
    pub parts: VecDeque<Bytes>,
    /// Answers of which the last byte is in it.
    pub answers: usize,
}

/// Large messages that wait.
#[derive(Debug, Default)]
pub(super) struct Bulk {
    /// Those that leave in turns, each of another key.
    active: VecDeque<Message>,
    waiting: VecDeque<Message>,
    /// Bytes of large messages not handed out.
    held: usize,
    /// Bytes of small ones, and what it takes to hold them.
    behind: usize,
    /// Messages whose last byte is in the unit that was handed out.
    leaving: Vec<u64>,
    /// A unit was handed out and is not written.
    out: bool,
}

#[derive(Debug)]
struct Message {
    number: u64,
    key: OrderKey,
    parts: VecDeque<Bytes>,
    /// Bytes of the whole.
    total: usize,
    /// It is here because of what it must not overtake.
    small: bool,
    left: usize,
    answers: usize,
    rules: BulkRules,
    /// It leaves in chunks.
    chunked: bool,
    /// A chunk has left.
    begun: bool,
    withdrawn: bool,
}

/// What is not larger is here because of what it must not overtake.
const SMALL: usize = 16 << 10;
/// What it takes to hold a message, in bytes.
const OVERHEAD: usize = 256;
/// A unit is filled up to so many bytes and parts with what is small.
const UNIT_BYTES: usize = 32 << 10;
const UNIT_PARTS: usize = 32;

impl Bulk {
    pub(super) fn waits(&self) -> bool {
        !self.active.is_empty() || !self.waiting.is_empty()
    }

    /// Whether nothing is left to be known of any message.
    pub(super) fn is_done(&self) -> bool {
        !self.waits() && !self.out
    }

    pub(super) const fn held(&self) -> usize {
        self.held
    }

    pub(super) const fn behind(&self) -> usize {
        self.behind
    }

    /// So many bytes of a message are no longer held.
    fn let_go(&mut self, small: bool, len: usize) {
        if small {
            // It leaves at once.
            self.behind -= len + OVERHEAD;
        } else {
            self.held -= len;
        }
    }

    fn messages(&self) -> impl Iterator<Item = &Message> {
        self.active.iter().chain(&self.waiting)
    }

    pub(super) fn holds(&self, key: &OrderKey) -> bool {
        self.messages()
            .any(|message| message.key == *key && !message.withdrawn)
    }

    pub(super) fn put(
        &mut self,
        number: u64,
        key: OrderKey,
        parts: Vec<Bytes>,
        rules: BulkRules,
    ) -> FrameSpan {
        let len: usize = parts.iter().map(Bytes::len).sum();
        let chunked = len.saturating_sub(rules.prefix) > rules.chunk_bytes;
        let small = !chunked && len <= SMALL;
        if small {
            self.behind += len + OVERHEAD;
        } else {
            self.held += len;
        }
        self.waiting.push_back(Message {
            number,
            key,
            parts: parts.into(),
            total: len,
            small,
            left: len,
            answers: 0,
            rules,
            chunked,
            begun: false,
            withdrawn: false,
        });
        FrameSpan {
            start: number | FrameSpan::BULK,
            len,
        }
    }

    pub(super) fn note_answer(&mut self, number: u64) {
        let mut messages = self.waiting.iter_mut().rev().chain(&mut self.active);
        if let Some(message) = messages.find(|message| message.number == number) {
            message.answers += 1;
        }
    }

    pub(super) fn has_left(&self, number: u64, written: bool) -> bool {
        self.messages().all(|message| message.number != number)
            && !(written && self.leaving.contains(&number))
    }

    pub(super) fn withdraw(&mut self, number: u64) -> bool {
        let find = |list: &VecDeque<Message>| list.iter().position(|one| one.number == number);
        if let Some(at) = find(&self.waiting) {
            if let Some(message) = self.waiting.remove(at) {
                self.let_go(message.small, message.left);
            }
            return true;
        }
        let Some(at) = find(&self.active) else {
            return false;
        };
        let Some(message) = self.active.get_mut(at) else {
            return false;
        };
        if message.begun {
            // Its turn comes once more, for the chunk that takes it back.
            let left = std::mem::take(&mut message.left);
            self.held -= left;
            message.parts.clear();
            message.withdrawn = true;
        } else if let Some(message) = self.active.remove(at) {
            self.let_go(message.small, message.left);
        }
        true
    }

    /// Whether something may be handed out now.
    pub(super) fn is_ready(&self, open: bool) -> bool {
        self.waits() && (open || self.messages().any(|one| !one.is_paced()))
    }

    pub(super) fn take(&mut self, unit: &mut BulkUnit, pace: &mut Pace, now: Moment) {
        let mut len = 0;
        while len < UNIT_BYTES && unit.parts.len() < UNIT_PARTS {
            self.activate();
            let open = pace.is_open();
            let ready = |one: &Message| open || !one.is_paced();
            let Some(at) = self.active.iter().position(ready) else {
                break;
            };
            let Some(mut message) = self.active.remove(at) else {
                break;
            };
            self.out = true;
            let before = message.left;
            let paced = message.is_paced();
            let (all, content) = message.emit(unit, pace);
            len += all;
            if paced {
                pace.send(content, now);
            }
            self.let_go(message.small, before - message.left);
            if message.left == 0 {
                unit.answers += message.answers;
                if !message.withdrawn {
                    self.leaving.push(message.number);
                }
            } else {
                self.active.push_back(message);
            }
        }
    }

    pub(super) fn written(&mut self) {
        self.leaving.clear();
        self.out = false;
    }

    /// Lets messages take turns that wait: first come, first served, except that none leaves beside another of its
    /// key, and that what leaves whole does not wait for what leaves in chunks.
    fn activate(&mut self) {
        let mut at = 0;
        let mut full = false;
        while let Some(candidate) = self.waiting.get(at) {
            if candidate.key == OrderKey::All && (at > 0 || !self.active.is_empty()) {
                // Nothing passes it, so its turn comes.
                break;
            }
            full |= candidate.chunked && !self.has_room(candidate);
            let same = |one: &Message| one.key == candidate.key;
            if candidate.chunked && full
                || self.active.iter().any(same)
                || self.waiting.iter().take(at).any(same)
            {
                at += 1;
                continue;
            }
            if let Some(message) = self.waiting.remove(at) {
                self.active.push_back(message);
            }
        }
    }

    /// Whether the peer takes another message in chunks.
    fn has_room(&self, candidate: &Message) -> bool {
        let chunked = self.active.iter().filter(|one| one.chunked);
        let (count, bytes) = chunked.fold((0, candidate.total), |(count, bytes), one| {
            (count + 1, bytes + one.total)
        });
        let rules = &candidate.rules;
        count == 0 || count < rules.messages && bytes <= rules.total_bytes
    }
}

impl Message {
    /// Whether it goes only as fast as the receiver takes it.
    const fn is_paced(&self) -> bool {
        self.chunked && !self.withdrawn
    }

    /// Appends its next frame; returns how many bytes that has, and how many of them are of the message.
    fn emit(&mut self, unit: &mut BulkUnit, pace: &Pace) -> (usize, usize) {
        if !self.chunked {
            let len = std::mem::take(&mut self.left);
            unit.parts.append(&mut self.parts);
            return (len, len);
        }
        let total = (!self.begun).then(|| {
            let prefix = self.rules.prefix;
            self.drop_prefix(prefix);
            self.left
        });
        self.begun = true;
        let len = self.next_chunk(pace);
        let mut head = Vec::with_capacity(48);
        (self.rules.head)(self.number, total, len, &mut head);
        let all = head.len() + len;
        unit.parts.push_back(head.into());
        self.left -= len;
        let mut wanted = len;
        while wanted > 0
            && let Some(mut part) = self.parts.pop_front()
        {
            if part.len() > wanted {
                unit.parts.push_back(part.split_to(wanted));
                self.parts.push_front(part);
                wanted = 0;
            } else {
                wanted -= part.len();
                unit.parts.push_back(part);
            }
        }
        (all, len)
    }

    /// Bytes of its next chunk. While nothing else is said, what little would be left behind that goes with it: alone it
    /// would wait until the receiver says that it has taken the others.
    fn next_chunk(&self, pace: &Pace) -> usize {
        let least = self.rules.chunk_bytes;
        let chunk = pace.chunk_bytes(least).min(self.rules.most_chunk_bytes);
        if chunk > least && self.left <= chunk.saturating_add(chunk / 4) {
            self.left
        } else {
            self.left.min(chunk)
        }
    }

    fn drop_prefix(&mut self, len: usize) {
        if let Some(first) = self.parts.front_mut() {
            let len = len.min(first.len());
            first.advance(len);
            self.left -= len;
        }
    }
}

#[cfg(test)]
mod tests;
