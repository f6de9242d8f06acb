//! The calls that were written, or may have been, and were not answered.

use mynah_protocol::WireId;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Calls that nobody waits for any more, and whose answers may come yet, that are remembered one by one.
const MOST_GIVEN_UP: usize = 4096;

/// Calls under way, by the numbers that the peer gave them. What was never asked is in no count.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// Whether the peer waits for the answer.
    calls: HashMap<WireId, bool, BuildHasherDefault<OwnIds>>,
    awaited: usize,
    /// Some that nobody waits for were not remembered.
    lost_count: bool,
}

impl Asked {
    /// It is about to be written.
    pub(super) fn ask(&mut self, id: WireId) {
        if self.calls.insert(id, true) != Some(true) {
            self.awaited += 1;
        }
    }

    /// It was answered, or has certainly not been written.
    pub(super) fn end(&mut self, id: &WireId) {
        if self.calls.remove(id) == Some(true) {
            self.awaited -= 1;
        }
    }

    /// Nobody waits for it any more, though its answer may come.
    pub(super) fn give_up(&mut self, id: &WireId) {
        let Some(awaited) = self.calls.get_mut(id) else {
            return;
        };
        if std::mem::take(awaited) {
            self.awaited -= 1;
        }
        if self.calls.len() - self.awaited > MOST_GIVEN_UP {
            self.calls.remove(id);
            self.lost_count = true;
        }
    }

    /// How many the peer waits for.
    pub(super) const fn awaited(&self) -> usize {
        self.awaited
    }

    /// Whether answers may come yet.
    pub(super) fn may_be_answered(&self) -> bool {
        self.lost_count || !self.calls.is_empty()
    }
}

/// Tells ids apart that this program has given out itself: nobody else chooses them, and they need no secret.
#[derive(Debug, Default)]
struct OwnIds(u64);

impl Hasher for OwnIds {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        // An odd number without a pattern (2^64 over the golden ratio) brings what differs up to the bits that a table looks
        // at, and the turn brings it down again.
        let mixed = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed.rotate_left(26);
    }

    fn write_isize(&mut self, number: isize) {
        self.write_u64(u64::from_ne_bytes(
            i64::try_from(number).unwrap_or(0).to_ne_bytes(),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn id(number: u64) -> WireId {
        WireId::Uint(number)
    }

    #[test]
    fn answers_to_what_was_never_asked_are_not_counted() {
        let mut asked = Asked::default();
        asked.ask(id(1));
        for forged in 2..9 {
            asked.end(&id(forged));
        }
        assert!(asked.may_be_answered());
        assert_eq!(asked.awaited(), 1);
        asked.end(&id(1));
        // Two servers may answer the same call.
        asked.end(&id(1));
        assert!(!asked.may_be_answered());
        assert_eq!(asked.awaited(), 0);
    }

    #[test]
    fn what_nobody_waits_for_may_be_answered_yet() {
        let mut asked = Asked::default();
        asked.ask(id(1));
        asked.give_up(&id(1));
        asked.give_up(&id(1));
        asked.give_up(&id(2));
        assert_eq!(asked.awaited(), 0);
        assert!(asked.may_be_answered());
        asked.end(&id(1));
        assert!(!asked.may_be_answered());
    }

    #[test]
    fn calls_that_are_given_up_are_remembered_in_bounds() {
        let mut asked = Asked::default();
        let many = 3 * MOST_GIVEN_UP as u64;
        for number in 0..many {
            asked.ask(id(number));
            asked.give_up(&id(number));
        }
        assert_eq!(asked.calls.len(), MOST_GIVEN_UP);
        assert_eq!(asked.awaited(), 0);
        for number in 0..many {
            asked.end(&id(number));
        }
        assert!(asked.may_be_answered(), "answers of the forgotten may come");
    }
}
