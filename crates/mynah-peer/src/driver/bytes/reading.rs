//! What is read, up to the calls that are in it.

use super::{ByteTask, broken};
use crate::driver::fill::{self, Filling};
use crate::driver::{BATCH_FRAMES, ByteStream};
use crate::link::{DriverEffects, Link, Out, State};
use crate::metrics;
use mynah_codec::{Step, Wire, WireError};
use mynah_connection::CloseReason;
use mynah_protocol::{Envelope, Moment};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, ready};
use tokio::io::ReadBuf;

/// Looks at the clock once in a batch, and only if something in it needs the time.
struct LazyClock<'a> {
    link: &'a Link,
    last: &'a mut Moment,
    looked: bool,
}

impl<'a> LazyClock<'a> {
    const fn new(link: &'a Link, last: &'a mut Moment) -> Self {
        Self {
            link,
            last,
            looked: false,
        }
    }

    fn look(&mut self) -> Moment {
        if !self.looked {
            self.looked = true;
            *self.last = self.link.clock.now();
        }
        *self.last
    }

    /// The time of the last look: at most early.
    const fn last(&self) -> Moment {
        *self.last
    }
}

/// How a round of decoding ended.
enum Decoded {
    /// More bytes are needed.
    Starved,
    /// The batch is full; there is more.
    Full,
}

impl<S: ByteStream> ByteTask<S> {
    /// Reads what is there and handles it. Returns whether anything was done.
    pub(super) fn read_and_decode(
        &mut self,
        cx: &mut task::Context<'_>,
    ) -> Result<bool, CloseReason> {
        if self.input.is_complete() {
            return self.decode().map(|_| true);
        }
        if self.filling.is_some() {
            return self.read_large(cx);
        }
        if self.input_over.is_some() {
            return Ok(false);
        }
        match self.poll_read(cx) {
            Poll::Ready(Ok(0)) => self.end_input().map(|()| true),
            Poll::Ready(Ok(_)) => {
                self.decode()?;
                Ok(true)
            }
            Poll::Ready(Err(error)) => Err(broken(&error)),
            Poll::Pending => Ok(false),
        }
    }

    /// Reads into the buffer of a large message, and handles it when it is complete.
    #[cold]
    fn read_large(&mut self, cx: &mut task::Context<'_>) -> Result<bool, CloseReason> {
        let Some(filling) = &mut self.filling else {
            return Ok(false);
        };
        match filling.poll_read(&mut self.stream, cx) {
            Poll::Ready(Ok(0)) => return Err(CloseReason::PeerGone),
            Poll::Ready(Ok(read)) => {
                metrics::bytes_in(read);
                self.unheard = self.unheard.wrapping_add(read);
            }
            Poll::Ready(Err(error)) => return Err(broken(&error)),
            Poll::Pending => return Ok(false),
        }
        if !filling.is_complete() {
            let link = &self.core.link;
            let mut state = link.lock();
            if link.watches_silence() || state.drained {
                let read = std::mem::take(&mut self.unheard);
                state.connection.handle_bytes(link.clock.now(), read);
            }
            return Ok(true);
        }
        self.input.append(filling.beyond());
        self.proven = self.proven.max(filling.proves());
        self.filled = self.filling.take().map(|it| Box::new(it.finish()));
        self.decode()?;
        Ok(true)
    }

    fn poll_read(&mut self, cx: &mut task::Context<'_>) -> Poll<io::Result<usize>> {
        self.input.make_room();
        let room = self
            .input
            .buffer
            .get_mut(self.input.end..)
            .unwrap_or_default();
        let mut buffer = ReadBuf::new(room);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        let read = buffer.filled().len();
        metrics::bytes_in(read);
        self.input.end += read;
        self.unheard = self.unheard.wrapping_add(read);
        Poll::Ready(Ok(read))
    }

    /// Decodes one batch under the lock, then starts what arrived.
    fn decode(&mut self) -> Result<(), CloseReason> {
        let link = Arc::clone(&self.core.link);
        let mut guard = link.lock();
        let state = &mut *guard;
        let outcome = self.decode_batch(&link, state);
        if let Out::Wire { wire, output, .. } = &mut state.out {
            match &outcome {
                Ok(_) => wire.own_output(output),
                Err(Trouble::Wire(error)) => {
                    wire.farewell(error, output);
                    self.core.said_farewell = true;
                }
                Err(Trouble::Close(_)) => {}
            }
        }
        if link.facts().is_none() {
            link.note_ready(state);
            if link.facts().is_some() {
                self.core
                    .turn
                    .get()
                    .collected
                    .wakers
                    .extend(state.room.drain(..));
            }
        }
        if state.drain_untold && link.facts().is_some() {
            link.tell_drain(state, &mut self.core.turn.get().collected);
        }
        drop(guard);
        self.core.carry_out(&self.input.buffer);
        let decoded = match outcome {
            Ok((decoded, consumed)) => {
                self.input.start += consumed;
                decoded
            }
            Err(Trouble::Wire(error)) => {
                tracing::debug!(peer = %link.config.evidence, %error, "peer sent what cannot be understood");
                let detail = match std::error::Error::source(&error) {
                    Some(cause) => format!("{error}: {cause}"),
                    None => error.to_string(),
                };
                return Err(CloseReason::Violation(error.code(), detail.into()));
            }
            Err(Trouble::Close(reason)) => return Err(reason),
        };
        if let Decoded::Starved = decoded {
            self.input.compact();
        }
        if self.core.overflows() {
            return Err(CloseReason::TimedOut("peer takes no control messages"));
        }
        Ok(())
    }

    fn decode_batch(
        &mut self,
        link: &Link,
        state: &mut State,
    ) -> Result<(Decoded, usize), Trouble> {
        let mut clock = LazyClock::new(link, &mut self.last_look);
        let State {
            connection,
            out,
            drained,
            ..
        } = state;
        if link.watches_silence() || *drained {
            connection.handle_bytes(clock.look(), std::mem::take(&mut self.unheard));
        }
        let input = self
            .input
            .buffer
            .get(self.input.start..self.input.end)
            .unwrap_or_default();
        let buffer = &self.input.buffer;
        let mut fx = DriverEffects::new(out, &mut self.core.turn.get().collected, link)
            .reading(buffer, self.core.last_route);
        if let Some(buffer) = self.filled.take()
            && let Out::Wire { wire, .. } = &mut *fx.out
            && let Some(mut envelope) = wire.filled(*buffer).map_err(Trouble::Wire)?
        {
            fx.out.incoming(&mut envelope);
            fx.now = clock.look();
            connection
                .handle(fx.now, envelope, &mut fx)
                .map_err(|violation| Trouble::Close(violated(&violation)))?;
        }
        let mut consumed = 0;
        let mut frames = 0;
        let decoded = loop {
            let rest = input.get(consumed..).unwrap_or_default();
            if rest.is_empty() {
                self.input.wanted = 0;
                break Decoded::Starved;
            }
            if frames == BATCH_FRAMES || fx.arrived_len() == BATCH_FRAMES {
                self.input.wanted = 1;
                break Decoded::Full;
            }
            let Out::Wire { wire, output, .. } = &mut *fx.out else {
                break Decoded::Starved;
            };
            match wire.decode(rest).map_err(Trouble::Wire)? {
                Step::Need(more) => {
                    self.input.wanted = rest.len().saturating_add(more);
                    if self.input.wanted > fill::WORTH
                        && let Some(begun) = wire.begin_fill(rest)
                    {
                        self.filling = Some(Box::new(Filling::begin(begun, rest, self.proven)));
                        self.input.wanted = 0;
                        consumed = input.len();
                    }
                    break Decoded::Starved;
                }
                Step::Skip(len) => {
                    consumed += len;
                    // The preface of this side goes ahead of every answer to what stands behind that of the peer.
                    wire.own_output(output);
                    // A preface tells the format: calls behind it need it.
                    link.note_ready_out(fx.out);
                }
                Step::Ignore(len) => {
                    consumed += len;
                    let why = note_ignored(&**wire, link);
                    connection
                        .handle_ignored(clock.look(), why)
                        .map_err(|violation| Trouble::Close(violated(&violation)))?;
                }
                Step::Envelope(len, mut envelope) => {
                    consumed += len;
                    fx.out.incoming(&mut envelope);
                    // Nothing about an answer depends on when it came, as a rule: it costs no look at the clock.
                    let now = match envelope {
                        Envelope::Response(_) => clock.last(),
                        _ => clock.look(),
                    };
                    fx.now = now;
                    connection
                        .handle(now, envelope, &mut fx)
                        .map_err(|violation| Trouble::Close(violated(&violation)))?;
                }
            }
            frames += 1;
        };
        self.core.last_route = fx.last_route;
        Ok((decoded, consumed))
    }
}

/// Why decoding stopped for good.
pub(super) enum Trouble {
    Wire(WireError),
    Close(CloseReason),
}

/// Counts and logs a message that was skipped. Returns why it was.
#[cold]
pub(super) fn note_ignored(wire: &dyn Wire, link: &Link) -> &'static str {
    let why = wire.why_ignored();
    metrics::ignored_message(why);
    tracing::debug!(peer = %link.config.evidence, why, "peer sent what is skipped");
    why
}

pub(super) fn violated(violation: &mynah_connection::Violation) -> CloseReason {
    CloseReason::Violation(violation.code, violation.what.into())
}
