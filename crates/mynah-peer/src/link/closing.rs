//! How a connection is closed by this side, and who hears no more of it.

use super::state::wake;
use super::{Link, State};
use mynah_connection::CloseReason;
use mynah_protocol::EndReason;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;

impl Link {
    /// The connection has ended: nobody hears anything of it any more, and nothing is pushed to it.
    pub(crate) fn close_ears(self: &Arc<Self>, wakers: &mut Vec<Waker>) {
        if let Some(listeners) = self.config.listeners.get() {
            let reason = ears_reason(&self.lock());
            listeners.close(&reason, wakers);
        }
        self.config.router.events().starve(self);
    }

    pub(crate) fn add_handle(&self) {
        self.handles.fetch_add(1, Ordering::Relaxed);
    }

    /// The last handle closes the connection, after what waits has been written.
    pub(crate) fn drop_handle(&self) {
        if self.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.close(CloseReason::Local);
        }
    }

    pub(crate) fn close(&self, reason: CloseReason) {
        self.close_when(reason, false);
    }

    /// Closes without waiting for the peer to take what was written.
    pub(crate) fn cut(&self, reason: CloseReason) {
        self.close_when(reason, true);
    }

    /// Closes once nothing is in flight in either direction. Calls of the peer are taken until then.
    pub(crate) fn close_when_idle(&self) {
        let mut state = self.lock();
        state.drained = true;
        let waker = state.kick();
        drop(state);
        wake(waker);
    }

    /// The last of the output was written, or never will be. Whoever still holds the link holds none of it.
    pub(crate) fn discard_output(&self) {
        let mut state = self.lock();
        state.mute = true;
        state.out.discard();
    }

    fn close_when(&self, reason: CloseReason, cut: bool) {
        let mut state = self.lock();
        state.closing.get_or_insert(reason);
        state.cut |= cut;
        let waker = state.kick();
        drop(state);
        wake(waker);
    }
}

/// Why those who listen to what the peer says unasked hear no more.
pub(super) fn ears_reason(state: &State) -> EndReason {
    match state.connection.closed() {
        Some(CloseReason::Drained) => EndReason::Draining,
        _ => EndReason::PeerGone,
    }
}
