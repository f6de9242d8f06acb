//! Mynah and the functions and cores of PyPI clamator-protocol, face to face over a Unix socket. `cargo xtask test` sets up
//! what these tests need.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets what it does not expect ends there, helpers included"
)]

mod checks;
mod client;
mod server;
mod service;
