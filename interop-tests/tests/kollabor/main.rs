//! Mynah and PyPI kollabor-rpc, face to face over a Unix socket. `cargo xtask test` sets up what these tests need.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets what it does not expect ends there, helpers included"
)]

mod client;
mod harness;
mod server;
mod service;
