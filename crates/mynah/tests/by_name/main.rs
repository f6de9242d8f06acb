//! Calls by name, params in every spelling, and what stands in the place of a peer: one binary.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod absent;
mod bodies;
mod callers;
mod events;
mod ids;
mod mocks;
mod names;
mod service;
mod spellings;
mod ways;
