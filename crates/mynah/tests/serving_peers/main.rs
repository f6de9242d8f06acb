//! Servers and their clients: who is admitted and when, ids, state, what is said to one and to all, and ends.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod admission;
mod crossing;
mod peers;
mod support;
