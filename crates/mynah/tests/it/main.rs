//! Integration tests of the facade: one binary.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod accepting;
mod cancel;
mod deadlines;
mod deadlock;
mod errors;
mod floods;
mod handlers;
mod limits;
mod memory;
mod panics;
mod probe;
mod serving;
mod sides;
mod support;
mod ui;
