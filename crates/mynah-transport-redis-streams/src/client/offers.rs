//! Calls that may have to be offered again: what is kept of them, in bounds.

use crate::command::Call;
use mynah_protocol::WireId;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// Bytes of calls that are kept, and the same of notifications. Older ones are let go of, and are not offered again.
const MOST_BYTES: usize = 4 << 20;

/// What one takes beside what it says, about.
const CALL_BYTES: usize = 256;

/// What was written and may be answered by servers that have not read it.
#[derive(Debug, Default)]
pub(super) struct Offers {
    /// By their numbers here.
    pub(super) calls: Mutex<Table>,
    /// By numbers of their own.
    pub(super) notes: Mutex<Table>,
    pub(super) last_note: AtomicU64,
}

#[derive(Debug, Default)]
pub(super) struct Table {
    offers: HashMap<u64, Offer>,
    /// Their numbers, by age: those of calls are used again, and say nothing of it.
    ages: BTreeMap<u64, u64>,
    last_age: u64,
    bytes: usize,
}

/// One that may have to be made again.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) call: Call,
    pub(super) service: String,
    pub(super) until: Option<Instant>,
    /// How often it was made.
    pub(super) times: u32,
    /// Which one it is, of all that were kept; zero before.
    pub(super) age: u64,
}

impl Offer {
    fn bytes(&self) -> usize {
        self.call.len() + CALL_BYTES
    }
}

impl Table {
    pub(super) fn put(&mut self, number: u64, mut offer: Offer) {
        drop(self.take(number));
        if offer.bytes() > MOST_BYTES {
            return;
        }
        if offer.age == 0 {
            self.last_age += 1;
            offer.age = self.last_age;
        }
        self.bytes += offer.bytes();
        self.ages.insert(offer.age, number);
        self.offers.insert(number, offer);
        while self.bytes > MOST_BYTES {
            let Some((_, oldest)) = self.ages.first_key_value() else {
                break;
            };
            drop(self.take(*oldest));
        }
    }

    pub(super) fn take(&mut self, number: u64) -> Option<Offer> {
        let offer = self.offers.remove(&number)?;
        self.ages.remove(&offer.age);
        self.bytes -= offer.bytes();
        Some(offer)
    }

    /// One that is about to be made once more.
    pub(super) fn again(&mut self, number: u64) -> Option<&Offer> {
        let offer = self.offers.get_mut(&number)?;
        offer.times = offer.times.saturating_add(1);
        Some(offer)
    }

    /// How often it was made, if it is kept.
    pub(super) fn times(&self, number: u64) -> Option<u32> {
        self.offers.get(&number).map(|offer| offer.times)
    }

    /// Lets go of the oldest, as long as their time is over.
    pub(super) fn sweep(&mut self, now: Instant) {
        while let Some((_, oldest)) = self.ages.first_key_value()
            && let Some(offer) = self.offers.get(oldest)
            && offer.until.is_some_and(|until| until <= now)
        {
            drop(self.take(*oldest));
        }
    }
}

pub(super) fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Offers {
    /// Those of calls, or of notifications.
    pub(super) const fn of(&self, calls: bool) -> &Mutex<Table> {
        match calls {
            true => &self.calls,
            false => &self.notes,
        }
    }

    /// Remembers a call, if it is one that servers may not know how to read.
    pub(super) fn keep(&self, id: &WireId, call: &Call, service: &str, until: Option<Instant>) {
        if let WireId::Uint(number) = id
            && call.frame.is_some()
        {
            let offer = Offer {
                call: call.clone(),
                service: service.to_owned(),
                until,
                times: 1,
                age: 0,
            };
            lock(&self.calls).put(*number, offer);
        }
    }

    /// Forgets a call, and says how it stood.
    pub(super) fn take(&self, id: &WireId) -> Option<Offer> {
        match id {
            WireId::Uint(number) => lock(&self.calls).take(*number),
            _ => None,
        }
    }

    /// Whether notifications may be answered yet.
    pub(super) fn has_notes(&self) -> bool {
        let mut notes = lock(&self.notes);
        notes.sweep(Instant::now());
        !notes.offers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(bytes: usize) -> Call {
        Call {
            stream: "app:cmds:arith".to_owned(),
            envelope: Vec::new(),
            reply_to: None,
            metadata: None,
            operation: None,
            frame: Some(("call+cbor", vec![0; bytes].into())),
        }
    }

    #[test]
    fn calls_that_may_be_offered_again_are_kept_in_bounds() {
        let offers = Offers::default();
        for number in 0..100_000 {
            offers.keep(&WireId::Uint(number), &call(0), "arith", None);
        }
        let kept = lock(&offers.calls).offers.len();
        assert_eq!(kept, MOST_BYTES / CALL_BYTES);
        assert!(
            offers.take(&WireId::Uint(0)).is_none(),
            "the oldest go first"
        );
        assert!(offers.take(&WireId::Uint(99_999)).is_some());
        // Numbers of calls are used again, in any order.
        let numbers = [7, 5, 3];
        for number in numbers {
            offers.keep(&WireId::Uint(number), &call(MOST_BYTES / 4), "arith", None);
        }
        offers.keep(&WireId::Uint(1), &call(MOST_BYTES / 4), "arith", None);
        assert!(offers.take(&WireId::Uint(7)).is_none());
        for number in [5, 3, 1] {
            assert!(offers.take(&WireId::Uint(number)).is_some(), "{number}");
        }
        assert_eq!(lock(&offers.calls).bytes, 0);
        offers.keep(&WireId::Uint(99_998), &call(0), "arith", None);
        // A call that is larger than all of that is sent, and not kept.
        let kept = lock(&offers.calls).offers.len();
        offers.keep(&WireId::Uint(100_000), &call(MOST_BYTES), "arith", None);
        assert!(offers.take(&WireId::Uint(100_000)).is_none());
        assert_eq!(lock(&offers.calls).offers.len(), kept);
        drop(offers.take(&WireId::Uint(99_998)));
        assert_eq!(lock(&offers.calls).bytes, 0);
        assert!(lock(&offers.calls).ages.is_empty());
        let json = Call {
            frame: None,
            ..call(0)
        };
        offers.keep(&WireId::Uint(2), &json, "arith", None);
        assert!(lock(&offers.calls).offers.is_empty());
    }
}
