//! The end of the peer's direction.

use super::ByteTask;
use super::reading::{Trouble, note_ignored, violated};
use crate::driver::ByteStream;
use crate::link::{DriverEffects, Link, Out, State};
use mynah_codec::Step;
use mynah_connection::CloseReason;
use mynah_protocol::HalfClose;
use std::sync::Arc;
use std::time::Duration;

/// How often a peer is looked for that has ended its direction.
const LOOK: Duration = Duration::from_secs(1);

impl<S: ByteStream> ByteTask<S> {
    /// The stream has ended: what is left may be a message that has no other end. Where the wire has it so, what the
    /// peer asked for is still answered.
    ///
    /// # Errors
    /// Why the connection ends, if it does not wait for answers.
    #[cold]
    pub(super) fn end_input(&mut self) -> Result<(), CloseReason> {
        let link = Arc::clone(&self.core.link);
        let mut guard = link.lock();
        let ended = self.hear_end(&link, &mut guard);
        drop(guard);
        self.core.carry_out(&self.input.buffer);
        (self.input.start, self.input.end) = (0, 0);
        self.input.wanted = 0;
        match ended {
            Ok(HalfClose::Answers) => {
                self.input_over = Some(link.clock.now().after(LOOK));
                Ok(())
            }
            Ok(_) => Err(CloseReason::PeerGone),
            Err(Trouble::Close(reason)) => Err(reason),
            // The peer is told nothing: it may not be there.
            Err(Trouble::Wire(error)) => {
                tracing::debug!(peer = %link.config.evidence, %error, "stream ended within a message");
                Err(CloseReason::PeerGone)
            }
        }
    }

    /// Says something that means nothing, where that is due. A peer that is gone is found out by what is written to it: on
    /// tcp, or with a process in between, not the first time.
    pub(super) fn look_for_peer(&mut self, link: &Link) {
        let Some(due) = self.input_over else { return };
        let now = link.clock.now();
        if due > now {
            return;
        }
        self.input_over = Some(now.after(LOOK));
        if let Out::Wire { wire, output, .. } = &mut link.lock().out {
            // Nothing was read: all it does is ask for the word.
            drop(wire.finish(&[]));
            wire.own_output(output);
        }
    }

    fn hear_end(&mut self, link: &Link, state: &mut State) -> Result<HalfClose, Trouble> {
        let State {
            connection, out, ..
        } = state;
        let rest = self
            .input
            .buffer
            .get(self.input.start..self.input.end)
            .unwrap_or_default();
        let mut fx = DriverEffects::new(out, &mut self.core.turn.get().collected, link)
            .reading(&self.input.buffer, self.core.last_route);
        let now = link.clock.now();
        self.last_look = now;
        fx.now = now;
        let Out::Wire { wire, output, .. } = &mut *fx.out else {
            return Ok(HalfClose::Ends);
        };
        let half_close = wire.profile().half_close;
        let step = wire.finish(rest).map_err(Trouble::Wire)?;
        let heard = match step {
            Some(Step::Ignore(_)) => {
                let why = note_ignored(&**wire, link);
                wire.own_output(output);
                connection.handle_ignored(now, why)
            }
            Some(Step::Envelope(_, envelope)) => {
                wire.own_output(output);
                connection.handle(now, envelope, &mut fx)
            }
            Some(Step::Need(_) | Step::Skip(_)) | None => {
                wire.own_output(output);
                Ok(())
            }
        };
        heard.map_err(|violation| Trouble::Close(violated(&violation)))?;
        if half_close == HalfClose::Answers {
            connection.handle_half_close(&mut fx);
        }
        Ok(half_close)
    }
}
