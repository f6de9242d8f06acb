//! The rules of one connection, without I/O, clock or runtime.
//!
//! A [`Connection`] is fed with envelopes and the time; it answers into [`Effects`], which whoever
//! drives it implements. Its methods come in four kinds:
//!
//! - `handle_*`: something arrived, from the peer or from the clock;
//! - commands of the program: [`Connection::open`], [`Connection::cancel`],
//!   [`Connection::start_drain`], …;
//! - `poll_*`: what to do next;
//! - plain getters.
//!
//! Time is an argument and must not run backwards. The connection knows no formats and no dialects; of
//! the wire it knows the [`Profile`](mynah_protocol::Profile).
//!
//! It is generic over `O`, what the driver keeps for each call that it made (a waker, a reply
//! buffer), and `I`, what it keeps for each call that the peer made (a running handler). It never
//! looks into either, and reuses both: a slot that becomes free keeps its `O` and `I`.
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

mod backoff;
mod budget;
mod connection;
mod effects;
mod error;
mod flow;
mod inbound;
mod outgoing;
mod silence;
mod timers;

pub use backoff::Backoff;
pub use budget::Violation;
pub use connection::{Connection, OpenStreams};
pub use effects::{Effects, Outcome, Said, SideMessage};
pub use error::{CloseReason, OpenError};
pub use inbound::InboundKey;

/// The version of this crate, shared by every crate of the workspace.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

#[cfg(test)]
mod tests;
#[cfg(all(fuzzing, not(test)))]
mod tests;
#[cfg(fuzzing)]
#[doc(hidden)]
pub use tests::two_connections;
