//! The suites on what is ours, and on what is broken on purpose.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod broken_bytes;
mod broken_dialects;
mod broken_dials;
mod broken_envelopes;
mod caught;
mod dialects;
mod pairs;
mod ring;
