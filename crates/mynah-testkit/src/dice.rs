//! Numbers that look random and come again with their seed.

use std::time::Duration;

/// A stream of numbers (xorshift) that follows from its seed.
///
/// Cheap to fork: each part of a test has dice of its own, so that one more throw here changes nothing there. Not for
/// secrets.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The dice of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        // Seeds that are near each other must not begin alike.
        let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self((mixed ^ (mixed >> 31)) | 1)
    }

    /// The next number, below 2^48.
    pub const fn throw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// Other dice, which follow from these.
    #[must_use]
    pub const fn fork(&mut self) -> Self {
        Self::new(self.throw())
    }

    /// A number below `end`; 0 when that is 0.
    pub const fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.throw() % end }
    }

    /// The same for lengths and indices.
    pub fn index_below(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).unwrap_or(0)
    }

    /// A number from 0 to `most`, small ones more often.
    pub fn up_to(&mut self, most: u64) -> u64 {
        let bits = u64::BITS - most.leading_zeros();
        let cap = 1_u64 << self.below(u64::from(bits) + 1).min(62);
        self.below(cap.min(most) + 1)
    }

    /// True once in `of` times.
    pub const fn once_in(&mut self, of: u64) -> bool {
        self.below(of) == 0
    }

    /// One of several.
    ///
    /// # Panics
    /// When there is none to pick from.
    #[allow(
        clippy::indexing_slicing,
        reason = "the index is below the length; to pick from nothing is a mistake of the test"
    )]
    pub fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.index_below(of.len())].clone()
    }

    /// A span of 0 to `most` milliseconds, short ones more often.
    pub fn millis(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.up_to(most))
    }
}
