//! Lines that arrive beside the bytes of a connection: what a process writes to its stderr.

use super::core::Core;
use crate::events::stderr_content;
use crate::link::{DriverEffects, State};
use mynah_protocol::{Log, Payload, SideLine, SideLines};
use std::sync::Arc;
use std::task::{self, Poll};

/// Lines heard in one go.
const BATCH_LINES: usize = 64;

/// Lines heard at the end of a connection, at most: whoever writes them need not pause.
const LAST_LINES: usize = 1024;

/// The level under which they are heard: nothing is known of it.
const INFO: i64 = 3;

/// Hears what is there. `lines` is `None` after its end.
#[cold]
pub(super) fn hear(lines: &mut Option<SideLines>, core: &mut Core, cx: &mut task::Context<'_>) {
    for _ in 0..BATCH_LINES {
        let Some(source) = lines else { return };
        match source.as_mut().poll_next(cx) {
            Poll::Ready(Some(line)) => hear_line(core, &line),
            Poll::Ready(None) => *lines = None,
            Poll::Pending => return,
        }
    }
    // There may be more: after what the connection has to do.
    cx.waker().wake_by_ref();
}

/// Hears what is there at the end of the connection. What a process still says while it stops goes to the log of this
/// side.
pub(super) fn hear_out(mut lines: SideLines, core: &mut Core) {
    let mut cx = task::Context::from_waker(task::Waker::noop());
    for _ in 0..LAST_LINES {
        match lines.as_mut().poll_next(&mut cx) {
            Poll::Ready(Some(line)) => hear_line(core, &line),
            Poll::Ready(None) => return,
            Poll::Pending => break,
        }
    }
    trace_all(lines, core.link.config.evidence.to_string());
}

/// Has lines go to the log of this side until they end, in a task of their own.
pub(crate) fn trace_all(mut lines: SideLines, peer: String) {
    tokio::spawn(async move {
        let mut heard = 0_usize;
        while let Some(line) = std::future::poll_fn(|cx| lines.as_mut().poll_next(cx)).await {
            trace(&peer, &line);
            heard = heard.wrapping_add(1);
            // Nothing else makes it pause: they may be there as fast as they are taken.
            if heard.is_multiple_of(BATCH_LINES) {
                tokio::task::yield_now().await;
            }
        }
    });
}

fn hear_line(core: &mut Core, line: &SideLine) {
    let link = Arc::clone(&core.link);
    let content = match link.facts() {
        Some(facts) if link.hears_log() => {
            let mut content = Vec::new();
            let encoded = facts.format.encode(&stderr_content(line), &mut content);
            encoded
                .ok()
                .map(|()| Payload::owned(facts.format.id(), content.into()))
        }
        _ => None,
    };
    let Some(content) = content else {
        return trace(&link.config.evidence.to_string(), line);
    };
    let log = Log {
        id: None,
        level: INFO,
        dropped: line.dropped,
        content,
    };
    let mut guard = link.lock();
    let State {
        connection, out, ..
    } = &mut *guard;
    let mut fx = DriverEffects::new(out, &mut core.turn.get().collected, &link)
        .reading(&[], core.last_route);
    fx.now = link.clock.now();
    connection.handle_beside(fx.now, log, &mut fx);
    drop(guard);
    core.carry_out(&[]);
}

/// Nobody listens: they are not lost.
fn trace(peer: &str, line: &SideLine) {
    tracing::info!(
        target: "mynah::stderr",
        peer,
        dropped = line.dropped,
        cut_bytes = line.cut_bytes,
        "{}",
        line.text.escape_debug()
    );
}
