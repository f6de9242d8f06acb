//! Synchronous programs: clients and servers without a runtime, and handlers that block.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod both;
mod client;
mod dropped;
mod handlers;
mod misuse;
mod server;
mod support;
mod threads;
