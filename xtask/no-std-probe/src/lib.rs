//! Builds only if `mynah-protocol` and all that it uses link no `std`.
//!
//! `std` brings a panic handler; this library has its own, and the compiler refuses two of them.
//! A static library is enough for that: it is compiled as a final artefact and needs no linker, no
//! C library and no installed bare-metal target.
#![no_std]

use core::alloc::{GlobalAlloc, Layout};
use core::panic::PanicInfo;

use mynah_protocol as _;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// Never has memory: nothing runs here.
struct Nothing;

// SAFETY: returning null is always allowed, and then there is nothing to give back.
unsafe impl GlobalAlloc for Nothing {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ALLOCATOR: Nothing = Nothing;
