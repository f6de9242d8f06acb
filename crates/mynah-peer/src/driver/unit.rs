//! Large messages that were taken from the output and are being written.

use crate::link::Clock;
use bytes::Buf as _;
use mynah_codec::{BulkUnit, Output};

/// A unit of large messages: whole frames.
///
/// ```text
///   taken: behind what was taken of the lane of data ──▶ begun ──▶ written
///             │ data that is taken later leaves behind it ▲
///             └───────────────────────────────────────────┘
/// ```
#[derive(Default)]
pub(super) struct Unit {
    bulk: BulkUnit,
    left: usize,
    /// It was taken, and the output does not know yet that it was written.
    out: bool,
    begun: bool,
    /// The data that is there was taken after it.
    first: bool,
}

/// Where a unit stands among what is being written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A part of it has been written: nothing may come in between.
    Begun,
    /// Before the data.
    First,
    /// Behind the data.
    Last,
}

impl Unit {
    #[inline]
    pub(super) const fn is_written(&self) -> bool {
        self.left == 0
    }

    #[inline]
    pub(super) const fn is_out(&self) -> bool {
        self.out
    }

    pub(super) const fn left(&self) -> usize {
        self.left
    }

    pub(super) const fn place(&self) -> Place {
        if self.begun {
            Place::Begun
        } else if self.first {
            Place::First
        } else {
            Place::Last
        }
    }

    pub(super) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.bulk.parts.iter().map(|part| &**part)
    }

    /// Data was taken, while the unit that is there had been taken before.
    #[inline]
    pub(super) const fn data_was_taken(&mut self) {
        self.first = self.left > 0;
    }

    /// Takes the next unit when this one is written.
    #[cold]
    pub(super) fn take(&mut self, output: &mut Output, clock: &Clock) {
        if self.left > 0 {
            return;
        }
        if self.out {
            output.bulk_written();
            self.out = false;
        }
        // What stands in the lane of data goes first.
        if output.data_held() == 0 {
            output.take_bulk(&mut self.bulk, clock.now());
            self.left = self.bulk.parts.iter().map(bytes::Bytes::len).sum();
            self.out = self.left > 0;
            self.begun = false;
            self.first = false;
        }
    }

    pub(super) fn advance(&mut self, mut written: usize) {
        self.left -= written;
        self.begun |= written > 0;
        while let Some(part) = self.bulk.parts.front_mut() {
            if written < part.len() {
                part.advance(written);
                break;
            }
            written -= part.len();
            self.bulk.parts.pop_front();
        }
    }

    /// Answers that were written completely; counted once.
    #[inline]
    pub(super) const fn take_answers(&mut self) -> usize {
        if self.left > 0 {
            return 0;
        }
        std::mem::replace(&mut self.bulk.answers, 0)
    }
}
