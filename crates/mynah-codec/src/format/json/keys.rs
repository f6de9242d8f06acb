//! The keys that a map has had so far.

use super::string::unescape;
use std::borrow::Cow;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};

/// Up to this many keys are compared one by one; that is faster than hashing them.
pub(super) const FEW: usize = 8;

/// The keys of one object, as spelled between their quotes.
#[derive(Debug, Default)]
pub(super) struct KeySet<'de> {
    /// One bit for each key, found by [`bit`]; all bits once a key has escapes.
    seen: u64,
    /// Where the keys start and end in the input, while they are few.
    few: [(u32, u32); FEW],
    len: usize,
    many: Option<Box<KeyTable<&'de [u8]>>>,
}

impl<'de> KeySet<'de> {
    /// Adds the key that stands in `input` from `start` on; false when the object has it already.
    #[inline]
    pub(super) fn insert(
        &mut self,
        input: &'de [u8],
        start: usize,
        key: &'de [u8],
        escaped: bool,
    ) -> bool {
        let bit = bit(key);
        if self.seen & bit == 0
            && !escaped
            && let Some(free) = self.few.get_mut(self.len)
            && let Some(span) = span(start, key)
        {
            *free = span;
            self.len += 1;
            self.seen |= bit;
            return true;
        }
        self.insert_slowly(input, start, key, escaped)
    }

    #[inline(never)]
    fn insert_slowly(
        &mut self,
        input: &'de [u8],
        start: usize,
        key: &'de [u8],
        escaped: bool,
    ) -> bool {
        if let Some(many) = &mut self.many {
            return many.insert(key, |key| key).is_none();
        }
        self.seen |= if escaped { u64::MAX } else { bit(key) };
        let few = self.few;
        let known = few.iter().take(self.len).map(|(start, end)| {
            input
                .get(*start as usize..*end as usize)
                .unwrap_or_default()
        });
        let any_escaped = self.seen == u64::MAX;
        if known
            .clone()
            .any(|known| known == key || (any_escaped && alike(known, key)))
        {
            return false;
        }
        if let Some(free) = self.few.get_mut(self.len)
            && let Some(span) = span(start, key)
        {
            *free = span;
            self.len += 1;
            return true;
        }
        let mut many = Box::<KeyTable<&'de [u8]>>::default();
        for known in known {
            many.insert(known, |key| key);
        }
        many.insert(key, |key| key);
        self.many = Some(many);
        // From here on every key goes to the table.
        self.len = FEW;
        true
    }
}

/// A bit that tells most keys of one object apart.
#[inline]
fn bit(key: &[u8]) -> u64 {
    let first = key.first().copied().unwrap_or(0);
    1 << ((key.len() + 5 * usize::from(first)) % 64)
}

/// `None` beyond the first 4 GiB of an input.
#[inline]
fn span(start: usize, key: &[u8]) -> Option<(u32, u32)> {
    Some((
        u32::try_from(start).ok()?,
        u32::try_from(start + key.len()).ok()?,
    ))
}

/// Whether two spellings are the same text.
pub(super) fn alike(left: &[u8], right: &[u8]) -> bool {
    left == right
        || ((left.contains(&b'\\') || right.contains(&b'\\')) && plain(left) == plain(right))
}

fn plain(spelling: &[u8]) -> Cow<'_, [u8]> {
    if spelling.contains(&b'\\') {
        Cow::Owned(unescape(spelling))
    } else {
        Cow::Borrowed(spelling)
    }
}

/// Many keys, found by a hash that a peer cannot foresee.
///
/// A table of indices instead of a `HashSet`, because a scanner's keys are offsets into a buffer
/// that it is lent anew with each call.
#[derive(Debug)]
pub(super) struct KeyTable<K> {
    keys: Vec<K>,
    /// The high half of a key's hash, and its index plus one; 0 is free. The length is a power of
    /// two and at least a third of the slots are free.
    slots: Vec<(u32, u32)>,
    hashing: RandomState,
}

impl<K> Default for KeyTable<K> {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            slots: vec![(0, 0); 4 * FEW],
            hashing: RandomState::new(),
        }
    }
}

impl<K: Copy> KeyTable<K> {
    /// Adds a key. If the same text is there already, it is replaced and returned instead.
    pub(super) fn insert<'k>(&mut self, key: K, spelling: impl Fn(K) -> &'k [u8]) -> Option<K> {
        if (self.keys.len() + 1).saturating_mul(3) > self.slots.len().saturating_mul(2) {
            self.double(&spelling);
        }
        let text = spelling(key);
        let (tag, mut at) = self.hash(text);
        let mask = self.slots.len() - 1;
        while let Some(slot) = self.slots.get_mut(at & mask) {
            let Some(index) = slot.1.checked_sub(1) else {
                self.keys.push(key);
                *slot = (tag, u32::try_from(self.keys.len()).unwrap_or(0));
                return None;
            };
            if slot.0 == tag
                && let Some(known) = self.keys.get_mut(index as usize)
                && alike(spelling(*known), text)
            {
                return Some(std::mem::replace(known, key));
            }
            at = at.wrapping_add(1);
        }
        None
    }

    fn double<'k>(&mut self, spelling: &impl Fn(K) -> &'k [u8]) {
        let len = self.slots.len().saturating_mul(2);
        let mask = len - 1;
        let mut slots = vec![(0, 0); len];
        for (index, key) in (1..).zip(&self.keys) {
            let (tag, mut at) = self.hash(spelling(*key));
            while let Some(slot) = slots.get_mut(at & mask) {
                if slot.1 == 0 {
                    *slot = (tag, index);
                    break;
                }
                at = at.wrapping_add(1);
            }
        }
        self.slots = slots;
    }

    /// A tag to tell keys apart, and where to look first.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "any bits of a hash will do"
    )]
    fn hash(&self, spelling: &[u8]) -> (u32, usize) {
        let mut hasher = self.hashing.build_hasher();
        hasher.write(&plain(spelling));
        let hash = hasher.finish();
        ((hash >> 32) as u32, hash as usize)
    }
}
