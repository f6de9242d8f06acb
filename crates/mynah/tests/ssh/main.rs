//! Typed calls over SSH: against a real OpenSSH server on this machine, in URLs and with the builder.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![cfg(unix)]

#[path = "../../../mynah-transport-ssh/tests/sshd/mod.rs"]
mod sshd;

mod calls;
mod example;
mod worker;
