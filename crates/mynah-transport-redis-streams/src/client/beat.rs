//! What keeps sessions alive while there are any.

use super::core::Core;
use crate::presence::BEAT;
use std::sync::Arc;

/// Says every few seconds which sessions this side knows, and ends those of servers that are not heard. Ends with the last
/// of them.
pub(super) async fn keep_sessions(core: Arc<Core>) {
    loop {
        drop(tokio::time::timeout(BEAT, core.wait_for_close()).await);
        if core.is_closing() || !core.has_sessions() {
            return;
        }
        // What is said while nobody can hear it would pile up.
        if !core.is_cut_off() {
            core.beat_sessions();
        }
        let pulse = core.pulse();
        core.end_silent_sessions(&pulse);
    }
}
