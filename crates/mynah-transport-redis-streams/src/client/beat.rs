//! What keeps sessions alive while there are any.

use super::core::Core;
use crate::presence::BEAT;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How often calls are looked for that nobody has taken on.
const TICK: Duration = Duration::from_millis(500);

/// Says every few seconds which sessions this side knows, and ends those of servers that are not heard; takes calls back that
/// nobody reads. Ends with the last of them.
pub(super) async fn keep_sessions(core: Arc<Core>) {
    let mut next = Instant::now() + BEAT;
    loop {
        drop(tokio::time::timeout(TICK, core.wait_for_close()).await);
        if core.is_closing() || !core.has_sessions() {
            return;
        }
        // What is said while nobody can hear it would pile up.
        let is_cut_off = core.is_cut_off();
        if !is_cut_off {
            core.take_back_unread();
        }
        if Instant::now() < next {
            continue;
        }
        next = Instant::now() + BEAT;
        if !is_cut_off {
            core.beat_sessions();
        }
        let pulse = core.pulse();
        core.end_silent_sessions(&pulse);
    }
}
