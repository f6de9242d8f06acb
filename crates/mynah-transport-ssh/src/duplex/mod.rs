//! One SSH channel as a stream of bytes, for either role.
//!
//! Two tasks stand between the stream and russh. The *reader* takes what arrives and awaits nothing else, so russh's
//! loop never waits for whoever reads. The *writer* hands over what was written, as far as the peer's window goes.
//!
//! What arrived and was not read is bounded: above [`READ_SOFT_BYTES`] the socket is not read any more. But while the
//! writer waits, reading goes on, because what it waits for may stand behind data: the peer's window, or a peer that
//! cannot read before it has got rid of something. Above [`READ_HARD_BYTES`] the connection ends, with a reason. So
//! there is no state in which each side waits for the other.

mod last_words;
mod state;
mod stream;
mod tasks;

pub(crate) use last_words::{LAST_WORDS, sent};
pub(crate) use state::{Eof, State};
pub(crate) use stream::Duplex;

use crate::elastic::ElasticControl;
use russh::{ChannelId, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use std::sync::Arc;

/// What may wait to be read before the socket is left alone: its bytes, and 128 more for each piece that arrived alone.
pub(crate) const READ_SOFT_BYTES: usize = 1 << 20;

/// What may wait to be read while the writer waits too. A peer in order stays far below: what stands before its window
/// adjustment is a window of ours and what the kernels hold.
pub(crate) const READ_HARD_BYTES: usize = 64 << 20;

/// What a channel has to take in a packet, in bytes: with less, each byte costs a packet of its own, many times its size. RFC
/// 4253 has everybody take 32,768.
pub(crate) const LEAST_PACKET_BYTES: usize = 1 << 10;

/// What the other side may send beside each piece of data, in either direction: what wraps it, and what moves the window.
/// An eighth of the data is for exchanges of keys.
pub(crate) const fn beside(data: usize) -> u64 {
    256 + (data as u64) / 8
}

/// What may wait for the writer before a write waits.
const WRITE_BYTES: usize = 256 << 10;

/// What may wait for the socket before the writer waits: far below the cap of the elastic buffer.
const HAND_OVER_BYTES: usize = 512 << 10;

/// A channel that russh has opened, as a stream; `eof` says what it means when the peer ends its side, `why` what is known
/// of the end of the whole connection once it is there.
///
/// Must be called within a tokio runtime: it spawns both tasks, which end with the channel.
pub(crate) fn duplex<S>(
    read: ChannelReadHalf,
    write: Arc<ChannelWriteHalf<S>>,
    control: ElasticControl,
    eof: Eof,
    why: impl Fn() -> Option<String> + Send + Sync + 'static,
) -> (Duplex, Arc<State>)
where
    S: From<(ChannelId, ChannelMsg)> + Send + Sync + 'static,
{
    let state = Arc::new(State::new(control, eof, Box::new(why)));
    tokio::spawn(tasks::read(read, Arc::clone(&state)));
    tokio::spawn(tasks::write(write, Arc::clone(&state)));
    (Duplex::new(Arc::clone(&state)), state)
}

#[cfg(test)]
mod tests;
