//! Contracts in the words of others, held against the libraries and validators of others.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets what it does not expect ends there, helpers included"
)]

mod clamator;
mod comparing;
mod open_rpc;
