//! How it is written: value formats, framings and dialects. Bytes in, envelopes out; no I/O.
//!
//! - [`format`](mod@format): values to bytes and back (CBOR, JSON, MessagePack, or a stranger's own), with limits fused in.
//! - [`framing`]: how a byte stream is cut into frames, resumable.
//! - `io` (feature `io`): async bytes as a typed stream and sink, without RPC.
//! - [`dialect`]: whole wires, one module each; every one implements [`Wire`].
//! - [`Output`]: where a wire writes, with frame ends marked and two lanes.
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

mod bytes;
pub mod dialect;
pub mod format;
pub mod framing;
#[cfg(feature = "io")]
pub mod io;
mod output;
mod wire;

pub use bytes::{Bytes, SHARED_BYTES, Source};
pub use dialect::{Dialect, Side};
pub use format::{DecodeError, DecodeErrorKind, EncodeError, Format};
pub use framing::{FrameError, Framing};
pub use mynah_protocol::Lane;
pub use output::{BulkRules, BulkUnit, ChunkHead, FrameSpan, OrderKey, Output, OutputChunk};
pub use wire::{Fill, Step, Wire, WireError};

/// The version of this crate, shared by every crate of the workspace.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
