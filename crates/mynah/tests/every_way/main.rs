//! The same conversations by the contract and by name, awaited and waited for, over every wire and in process: one
//! binary.
//!
//! `said` holds the methods as they are called in each form, `bodies` what is said through them, `expected`
//! what they are to see, `links` what lies between the two programs, and `matrix` brings them together.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod bodies;
mod expected;
mod links;
mod matrix;
mod said;
mod service;
