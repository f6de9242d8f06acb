//! What a turn of a connection's task works with. An idle connection has none of it.

use super::core::Done;
use super::running::RunningSet;
use crate::encoded::{EncodedBuffer, Mark};
use crate::link::Collected;
use crate::scratch::{KEEP_BYTES, Lend, Shelf};
use mynah_connection::InboundKey;
use mynah_protocol::RpcError;
use std::cell::RefCell;
use std::thread::LocalKey;

/// What was collected and what is to be written. Empty at the end of nearly every turn.
#[derive(Default)]
pub(super) struct Turn {
    pub(super) collected: Collected,
    /// What handlers have said and what waits for the lock, in order.
    pub(super) done: Vec<Done>,
    /// The bytes of `done`.
    pub(super) replies: EncodedBuffer,
    /// Bytes of items in `replies`.
    pub(super) produced: usize,
    /// Handlers that were not ready at once: while there are some, a connection keeps its turn.
    pub(super) running: RunningSet,
}

impl Turn {
    /// A call has come to its result, which stands in `replies` from `start` on.
    #[inline]
    pub(super) fn answer(&mut self, key: InboundKey, start: Mark) {
        let result = Ok((start, self.replies.mark()));
        self.done.push(Done::Answer { key, result });
    }

    /// A call ends with an error.
    pub(super) fn refuse(&mut self, key: InboundKey, error: Box<RpcError>) {
        let result = Err(error);
        self.done.push(Done::Answer { key, result });
    }

    /// Whether something waits to be carried out.
    pub(super) const fn has_work(&self) -> bool {
        !self.collected.wakers.is_empty()
            || !self.collected.cancels.is_empty()
            || self.collected.has_streams()
            || !self.done.is_empty()
    }
}

thread_local! {
    static SPARE: Shelf<Turn> = const { RefCell::new(Vec::new()) };
}

impl Lend for Turn {
    fn shelf() -> &'static LocalKey<Shelf<Self>> {
        &SPARE
    }

    fn is_spent(&mut self) -> bool {
        !self.has_work()
            && self.running.is_spent()
            && self.collected.arrived.is_empty()
            && self.collected.held.is_empty()
            && !self.collected.tells_wait
            && !self.collected.control_overflow
            && self.replies.bytes.capacity() <= KEEP_BYTES
    }
}
