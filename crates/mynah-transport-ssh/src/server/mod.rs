//! The side that is connected to: a service that is reachable over SSH with no shell behind it.
//!
//! ```text
//!   socket ──▶ a place at the door ──▶ key exchange ──▶ authentication ──▶ one channel ──▶ subsystem ──▶ accepted
//!                 │                        │                 │                │
//!                 └── too many: the one    └── bytes and time before authentication are bounded
//!                     that came first from whoever holds most places goes
//! ```
//!
//! What is granted is one channel with the subsystem [`SUBSYSTEM`]. Shells, commands, terminals, variables, forwarding of
//! any kind and agents are refused.

mod authorized;
mod door;
mod handler;
mod host_keys;
mod listen;
mod meter;
mod open;
mod options;
mod rate;
mod stream;
mod supervise;
mod trusted;

pub use listen::SshListener;
pub use options::{DEFAULT_USER, SshServerOptions};
pub use stream::SshServerStream;

/// The subsystem under which the service is reached: `ssh -s user@host mynah`.
pub const SUBSYSTEM: &str = "mynah";
