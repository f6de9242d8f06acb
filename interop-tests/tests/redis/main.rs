//! Mynah and PyPI clamator-over-redis on one Redis, each test with a redis-server of its own: RS (Rust server, Python
//! client), PS (Python server, Rust client) and MX (both kinds of servers in one group), and what either leaves behind.
//! `cargo xtask test` sets up what these tests need.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets what it does not expect ends there, helpers included"
)]

mod acl;
#[path = "../clamator/checks.rs"]
mod checks;
mod claims;
mod client;
mod entries;
mod formats;
mod harness;
mod lifecycle;
mod mixed;
mod operations;
mod server;
#[path = "../clamator/service.rs"]
mod service;
mod sessions;
