//! Unix sockets for Mynah: connect, listen, and what the kernel knows about the peer.
//!
//! A byte transport: it yields a stream of bytes and [`Evidence`](mynah_protocol::Evidence) (user, group and process of
//! the peer, as the kernel tells them), and knows no dialect. On systems without Unix sockets this crate is empty.
//!
//! A socket file is never open to more users than its mode says, takes the place of a stale one but never of a live one,
//! and is removed by the listener that made it and by no other: [`UnixListener`] says how.
#![cfg(unix)]

mod address;
mod claim;
mod dial;
mod listen;
mod options;

pub use address::{AddressError, MAX_ADDRESS_BYTES, UnixAddress};
pub use dial::UnixDialer;
pub use listen::UnixListener;
pub use options::{AllowedPeers, UnixOptions};

/// An open connection over a Unix socket.
pub type UnixStream = tokio::net::UnixStream;

/// The version of this crate, shared by every crate of the workspace.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

#[cfg(test)]
mod tests;
