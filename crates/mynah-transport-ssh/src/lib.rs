//! SSH for Mynah: a service on any host that has nothing but sshd, and a service with no shell.
//!
//! A byte transport: it yields a stream of bytes and [`Evidence`](mynah_protocol::Evidence), and knows no dialect.

#![allow(dead_code, reason = "the parts that use it come next")]

mod duplex;
mod elastic;
mod exit;
mod lines;

pub use exit::RemoteExit;
pub use lines::RemoteLines;

/// The version of this crate, shared by every crate of the workspace.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
