//! Names that nobody else has.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

pub(crate) fn bits() -> u64 {
    // Keyed by random numbers of the system.
    RandomState::new().build_hasher().finish()
}

/// A text in the form of a version 4 UUID.
pub(crate) fn uuid() -> String {
    let (high, low) = (bits(), bits());
    let high = high & !0xf000 | 0x4000;
    let low = low & !(0b11 << 62) | (0b10 << 62);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff,
    )
}

/// Something between half of a time and all of it, so that those who wait do not come at once.
pub(crate) fn jittered(most: Duration) -> Duration {
    let half = most / 2;
    let parts = u32::try_from(bits() % 1024).unwrap_or(0);
    half + half * parts / 1024
}
