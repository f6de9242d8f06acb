//! Redis Streams for Mynah: a fleet of services on consumer groups, on the wire of clamator.
//!
//! A carrier of envelopes in both roles. A client ([`RedisDialer`]) writes its calls to the command stream of a service and
//! reads the answers from a stream of its own; servers ([`RedisListener`]) share the calls of a service as one consumer
//! group, with Python servers of PyPI clamator-over-redis among them. Calls are delivered at least once.
//!
//! What it is not: a queue for jobs of hours, or a log; a call is deleted once it is answered.
//!
//! ```text
//! client ── XADD ──▶ <prefix>:cmds:<service> ── XREADGROUP ──▶ server
//!        ◀─ XREAD ── <prefix>:replies:<id>   ◀── XADD, XACK, XDEL ──
//! ```
//!
//! Blocking reads have connections of their own and are never cancelled while they may take an entry. What each key holds,
//! how large it gets and what happens when Redis goes away is in the guide.
// Nothing that a peer sends may panic, and no number is narrowed without a word. An exception argues for itself in place.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::get_unwrap,
    clippy::panic,
    clippy::unreachable,
    clippy::todo,
    clippy::unimplemented,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::allow_attributes_without_reason
)]

mod answers;
mod client;
mod coding;
mod command;
mod connect;
mod entry;
mod events;
mod keys;
mod lua;
mod options;
mod presence;
mod random;
#[cfg(feature = "redis-client")]
mod redis_client;
mod sealed;
mod server;
mod session;

pub use client::{RedisClient, RedisDialer};
pub use options::{RedisOptions, RedisTopology};
pub use presence::{ServerPresence, servers};
pub use sealed::{Committed, Effect, EffectReply, OperationError, Operations};
pub use server::{RedisListener, RedisRemote, evidence};

/// The version of this crate, shared by every crate of the workspace.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

#[cfg(test)]
mod tests;
