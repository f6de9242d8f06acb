//! The server: what every transport must do, whom it lets in, what it grants, and what it bears.
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

mod alive;
mod conformance;
mod costs;
mod floods;
mod keys;
mod nothing_else;
mod openssh;
mod raw;
mod real_sshd;
mod support;
mod tail;
