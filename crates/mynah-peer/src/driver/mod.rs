//! The task of a connection: it reads, dispatches and writes.

mod arrivals;
mod bytes;
mod carrier;
mod core;
mod end;
mod fill;
mod observed;
mod running;
mod side_lines;
mod streams;
mod time;
mod told;
mod turn;
mod unit;
mod writer;

pub(crate) use self::bytes::drive_bytes;
pub(crate) use carrier::drive_carrier;
pub(crate) use side_lines::trace_all as trace_lines;

use mynah_connection::CloseReason;
use mynah_protocol::PeerEnd;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

/// Why a connection ends over something that its transport says of the peer's end, if it says so.
fn ended(error: &(dyn std::error::Error + 'static)) -> Option<CloseReason> {
    PeerEnd::of(error).map(|end| CloseReason::PeerEnded(Arc::new(end.clone())))
}

/// An open duplex stream of bytes.
pub(crate) trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> ByteStream for T {}

/// Frames handled before the lock is let go and handlers are started.
const BATCH_FRAMES: usize = 128;
/// Batches in one turn of the task; then it lets others run.
const TURN_BATCHES: usize = 8;
/// Handlers polled in one turn.
const TURN_POLLS: usize = 256;
