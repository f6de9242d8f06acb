//! The task of a connection: it reads, dispatches and writes.

mod bytes;
mod carrier;
mod core;
mod fill;
mod observed;
mod running;
mod streams;
mod told;
mod turn;
mod unit;
mod writer;

pub(crate) use self::bytes::drive_bytes;
pub(crate) use carrier::drive_carrier;

use tokio::io::{AsyncRead, AsyncWrite};

/// An open duplex stream of bytes.
pub(crate) trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> ByteStream for T {}

/// Frames handled before the lock is let go and handlers are started.
const BATCH_FRAMES: usize = 128;
/// Batches in one turn of the task; then it lets others run.
const TURN_BATCHES: usize = 8;
/// Handlers polled in one turn.
const TURN_POLLS: usize = 256;
