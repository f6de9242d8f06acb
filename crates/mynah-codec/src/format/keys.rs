//! Which keys a map has had: the same key in another spelling is the same key.
//!
//! A key is given by the input from its start on; where it ends is found on the way.
//!
//! Everything here looks at items that were found well-formed before; on others it gives some answer, and ends.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Debug;
use std::hash::{BuildHasher as _, BuildHasherDefault, Hasher, RandomState};
use std::marker::PhantomData;

/// How a format spells its items, as far as keys are compared. Each function looks at the item at the beginning of its
/// input.
pub(super) trait Spelling: Debug + Default {
    /// The bit of a key in the filter, or all of them when its spelling does not say which key it is. Here the key is
    /// the whole input.
    fn filter_bits(key: &[u8]) -> u64;

    /// The bytes of a key, when its spelling is the only one of its value: equal keys are equal bytes then.
    fn plain(key: &[u8]) -> Option<&[u8]>;

    /// The one spelling of a key that is a scalar; `None` for what holds items.
    fn scalar(key: &[u8]) -> Option<Cow<'_, [u8]>>;

    /// Some order that takes all spellings of one value for equal. It costs no more than the shorter of the two.
    fn compare(a: &[u8], b: &[u8]) -> Ordering;
}

/// The bit in the filter for a key that is spelled in the only way.
#[inline]
pub(super) fn filter_bit(key: &[u8]) -> u64 {
    let (Some(first), Some(last)) = (key.first(), key.last()) else {
        return u64::MAX;
    };
    let second = key.get(1).unwrap_or(first);
    let mixed =
        u32::from_be_bytes([*first, *second, *last, first ^ last]).wrapping_mul(0x9e37_79b1);
    1 << (mixed >> 26)
}

/// Whether two names are the same. Most are short, and a call to compare them takes longer than they do.
#[inline]
pub(super) fn same_name(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    // Two ends that overlap, or meet, are the whole.
    if let (Some(first_a), Some(first_b), Some(last_a), Some(last_b)) = (
        a.first_chunk::<8>(),
        b.first_chunk(),
        a.last_chunk::<8>(),
        b.last_chunk(),
    ) {
        return a.len() <= 16 && first_a == first_b && last_a == last_b || a == b;
    }
    if let (Some(first_a), Some(first_b), Some(last_a), Some(last_b)) = (
        a.first_chunk::<4>(),
        b.first_chunk(),
        a.last_chunk::<4>(),
        b.last_chunk(),
    ) {
        return first_a == first_b && last_a == last_b;
    }
    a.iter().zip(b).all(|(a, b)| a == b)
}

/// So many keys of a map are kept in place.
const FEW: usize = 16;
/// So many keys of a map are compared one by one, with those that the filter cannot tell apart.
const LISTED: usize = 64;
/// As many keys in spellings that the filter cannot help with; comparing them is dearer, too.
const ODD_LISTED: usize = 8;

/// The keys of one map, by where they start in the input.
#[derive(Debug, Default)]
pub(super) struct Keys<S> {
    /// A bit for each key. A key whose bit is free is new, which is nearly always enough for a struct.
    filter: u64,
    few: [u32; FEW],
    len: usize,
    /// A key was inserted: those that were noted before are in the filter.
    inserted: bool,
    more: Option<Box<More<S>>>,
}

/// What does not fit the place.
#[derive(Debug)]
enum More<S> {
    Listed(Vec<usize>),
    Hashed(Many<S>),
}

impl<S: Spelling> Keys<S> {
    #[inline]
    pub(super) fn clear(&mut self) {
        self.filter = 0;
        self.len = 0;
        self.inserted = false;
        self.more = None;
    }

    /// Adds a key, in the only spelling of its value, that differs from all that were noted before. Whether a key that
    /// is inserted later is equal to it is found out then. `false`: it was not added, and has to be inserted.
    #[inline]
    pub(super) fn note(&mut self, start: usize) -> bool {
        if !self.inserted
            && let Some(free) = self.few.get_mut(self.len)
            && let Ok(start) = u32::try_from(start)
        {
            *free = start;
            self.len += 1;
            return true;
        }
        false
    }

    /// Adds a key, and gives the start of the equal one that was there and is replaced by it.
    #[inline]
    pub(super) fn insert(&mut self, input: &[u8], start: usize, end: usize) -> Option<usize> {
        if !self.inserted {
            self.filter_noted(input);
        }
        let bits = S::filter_bits(input.get(start..end).unwrap_or_default());
        let new = self.filter & bits == 0;
        self.filter |= bits;
        if new
            && let Some(free) = self.few.get_mut(self.len)
            && let Ok(start) = u32::try_from(start)
        {
            *free = start;
            self.len += 1;
            return None;
        }
        self.insert_compared(input, start, new)
    }

    fn filter_noted(&mut self, input: &[u8]) {
        self.inserted = true;
        for start in self.few.iter().take(self.len) {
            let key = input.get(*start as usize..).unwrap_or_default();
            self.filter |= S::plain(key).map_or(u64::MAX, S::filter_bits);
        }
    }

    #[cold]
    #[inline(never)]
    fn insert_compared(&mut self, input: &[u8], start: usize, new: bool) -> Option<usize> {
        if let Some(More::Hashed(many)) = self.more.as_deref_mut() {
            return many.insert(input, start);
        }
        let key = input.get(start..).unwrap_or_default();
        if !new {
            for earlier in self.few.iter_mut().take(self.len) {
                if same::<S>(input.get(*earlier as usize..).unwrap_or_default(), key) {
                    let replaced =
                        std::mem::replace(earlier, u32::try_from(start).unwrap_or(*earlier));
                    return Some(replaced as usize);
                }
            }
            if let Some(More::Listed(list)) = self.more.as_deref_mut() {
                for earlier in list {
                    if same::<S>(input.get(*earlier..).unwrap_or_default(), key) {
                        return Some(std::mem::replace(earlier, start));
                    }
                }
            }
        }
        self.add(input, start, S::plain(key).is_some());
        None
    }

    /// Adds a key that is known to be new.
    fn add(&mut self, input: &[u8], start: usize, plain: bool) {
        let most = if plain { LISTED } else { ODD_LISTED };
        if self.len < most.min(FEW)
            && let Some(free) = self.few.get_mut(self.len)
            && let Ok(start) = u32::try_from(start)
        {
            *free = start;
            self.len += 1;
            return;
        }
        let more = self
            .more
            .get_or_insert_with(|| Box::new(More::Listed(Vec::new())));
        if let More::Listed(list) = &mut **more {
            if self.len + list.len() < most {
                list.push(start);
                return;
            }
            let mut many = Many::default();
            for earlier in self.few.iter().take(self.len) {
                many.insert(input, *earlier as usize);
            }
            for earlier in list {
                many.insert(input, *earlier);
            }
            // From here on every key has to get there.
            self.filter = u64::MAX;
            **more = More::Hashed(many);
        }
        if let More::Hashed(many) = &mut **more {
            many.insert(input, start);
        }
    }
}

fn same<S: Spelling>(a: &[u8], b: &[u8]) -> bool {
    match (S::plain(a), S::plain(b)) {
        (Some(a), Some(b)) => a == b,
        _ => S::compare(a, b) == Ordering::Equal,
    }
}

/// Keys in a number that makes comparing each with each too dear.
#[derive(Debug, Default)]
struct Many<S> {
    /// Keyed anew for every map, so that nobody can prepare keys that collide.
    state: RandomState,
    scalars: HashMap<u64, usize, BuildHasherDefault<AsItIs>>,
    /// Different keys with the hash of one in `scalars`; there is hardly ever one.
    collided: Vec<usize>,
    nested: Runs<S>,
}

impl<S: Spelling> Many<S> {
    fn insert(&mut self, input: &[u8], start: usize) -> Option<usize> {
        let key = input.get(start..).unwrap_or_default();
        let Some(bytes) = S::scalar(key) else {
            return self.nested.insert(input, start);
        };
        let hash = self.state.hash_one(&*bytes);
        let earlier = match self.scalars.entry(hash) {
            Entry::Vacant(entry) => {
                entry.insert(start);
                return None;
            }
            Entry::Occupied(entry) => entry.into_mut(),
        };
        if same::<S>(input.get(*earlier..).unwrap_or_default(), key) {
            return Some(std::mem::replace(earlier, start));
        }
        for earlier in &mut self.collided {
            if same::<S>(input.get(*earlier..).unwrap_or_default(), key) {
                return Some(std::mem::replace(earlier, start));
            }
        }
        self.collided.push(start);
        None
    }
}

/// Takes a `u64` for the hash that it is.
#[derive(Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// Keys that are arrays, maps or tags, sorted in runs that double in size.
///
/// Comparing two keys costs no more than the shorter of them, so a large key among small ones costs nothing extra,
/// however often it is nested in further keys. Hashing would pay for the large one at every level.
#[derive(Debug, Default)]
struct Runs<S> {
    runs: Vec<Vec<usize>>,
    spelling: PhantomData<S>,
}

impl<S: Spelling> Runs<S> {
    fn insert(&mut self, input: &[u8], start: usize) -> Option<usize> {
        let order = |a: &usize, b: &usize| {
            S::compare(
                input.get(*a..).unwrap_or_default(),
                input.get(*b..).unwrap_or_default(),
            )
        };
        for run in &mut self.runs {
            if let Ok(index) = run.binary_search_by(|earlier| order(earlier, &start)) {
                return run
                    .get_mut(index)
                    .map(|earlier| std::mem::replace(earlier, start));
            }
        }
        let mut run = vec![start];
        while let Some(smaller) = self.runs.pop_if(|last| last.len() <= run.len()) {
            run.extend(smaller);
            // A stable sort of two sorted runs is a merge.
            run.sort_by(order);
        }
        self.runs.push(run);
        None
    }
}
