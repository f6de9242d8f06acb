//! In-memory transport: a pair of connected ends that carry envelopes.
//!
//! [`pair`] makes a real [`Transport`](mynah_protocol::Transport): payloads are encoded, every limit holds, room is
//! bounded, and either end may vanish. It is for tests and simulation; calls within one process that need no wire go
//! through `memory:NAME`, which passes typed values.

mod end;

pub use end::{MemoryEnd, MemoryOptions, pair, pair_with};

/// The version of this crate, shared by every crate of the workspace.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

#[cfg(test)]
mod tests;
