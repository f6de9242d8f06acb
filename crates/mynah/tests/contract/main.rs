//! Contracts of services: what the macro says of them, what a peer is told, and what a client makes of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod described;
mod drift;
mod emitted;
mod errors;
mod support;
mod values;
