//! The client against a real OpenSSH server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![cfg(unix)]

#[path = "../sshd/mod.rs"]
mod sshd;

mod commands;
mod host_keys;
mod logins;
mod other_servers;
mod support;
mod wire;
