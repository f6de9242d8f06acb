//! An allocator that counts, when it is told to.
//!
//! Counting is off while time is measured: two atomic additions per allocation would be a tenth of
//! a call.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

static COUNTING: AtomicBool = AtomicBool::new(false);
static NUMBER: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);
/// Wraps below zero where something is freed that was allocated before counting began.
static LIVE: AtomicU64 = AtomicU64::new(0);

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// From here on allocations are counted.
pub(crate) fn count() {
    COUNTING.store(true, Ordering::Relaxed);
}

/// How many allocations there were, and of how many bytes. Growing one is one more.
pub(crate) fn counted() -> (u64, u64) {
    (
        NUMBER.load(Ordering::Relaxed),
        BYTES.load(Ordering::Relaxed),
    )
}

/// How many bytes are allocated now, of those that were allocated while counting.
pub(crate) fn live() -> i64 {
    LIVE.load(Ordering::Relaxed).cast_signed()
}

fn note(bytes: usize) {
    if COUNTING.load(Ordering::Relaxed) {
        NUMBER.fetch_add(1, Ordering::Relaxed);
        BYTES.fetch_add(bytes as u64, Ordering::Relaxed);
        LIVE.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

fn note_end(bytes: usize) {
    if COUNTING.load(Ordering::Relaxed) {
        LIVE.fetch_sub(bytes as u64, Ordering::Relaxed);
    }
}

// SAFETY: everything is the system allocator's; counting touches no memory that it hands out.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller's promises are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller's promises are the same.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        note_end(layout.size());
        // SAFETY: the caller's promises are the same.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        note_end(layout.size());
        // SAFETY: the caller's promises are the same.
        unsafe { System.dealloc(block, layout) }
    }
}
