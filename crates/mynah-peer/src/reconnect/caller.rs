//! Calls through whichever connection there is.

use super::Reconnecting;
use super::connections::Connections;
use crate::call::{Attempt, Caller, OutgoingCall, SideEffects, Ticket, WireFormat};
use crate::encoded::ReplyBuffer;
use crate::error::{CallError, retry_after};
use crate::peer::Peer;
use mynah_connection::CloseReason;
use mynah_protocol::{CancelReason, ErrorCode, RpcError, Window};
use std::sync::atomic::Ordering;
use std::task::{self, Poll};
use std::time::Duration;

impl Reconnecting {
    /// Says something on the connection of now; waits for the next where that one takes nothing new.
    #[inline]
    fn poll_say<T>(
        &self,
        cx: &mut task::Context<'_>,
        mut say: impl FnMut(&Peer, &mut task::Context<'_>) -> Poll<Result<T, CallError>>,
    ) -> Poll<Result<(u32, T), CallError>> {
        let connections = self.connections();
        loop {
            let (epoch, peer) = task::ready!(connections.poll_current(cx.waker()))?;
            if !peer.is_departing() {
                match task::ready!(say(&peer, cx)) {
                    Ok(said) => return Poll::Ready(Ok((epoch, said))),
                    Err(CallError::Disconnected(reason)) => {
                        if connections.manners.fail_fast && !peer.is_departing() {
                            return Poll::Ready(Err(CallError::Disconnected(reason)));
                        }
                    }
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
            if connections.wait_after(epoch, cx.waker()) {
                return Poll::Pending;
            }
        }
    }

    /// Looks at how a call that was sent on an earlier connection, or this one, goes on.
    #[inline]
    fn poll_sent<T>(
        &self,
        ticket: Ticket,
        look: impl FnOnce(&Peer) -> Poll<Result<T, CallError<RpcError>>>,
        over: impl FnOnce(&Result<T, CallError<RpcError>>) -> bool,
    ) -> Poll<Result<T, CallError<RpcError>>> {
        let connections = self.connections();
        let Some(peer) = connections.find(ticket.epoch()) else {
            return Poll::Ready(Err(CallError::Misuse("the call was taken already")));
        };
        let found = task::ready!(look(&peer));
        if over(&found) {
            connections.call_over(ticket.epoch());
        }
        Poll::Ready(found.map_err(|error| meant(&peer, error)))
    }
}

/// What an answer says that has to do with the end of its connection.
fn meant(peer: &Peer, error: CallError<RpcError>) -> CallError<RpcError> {
    let CallError::Application(answer) = &error else {
        return error;
    };
    if !peer.maps_codes() {
        return error;
    }
    match answer.code() {
        // It crossed the word that the other side goes away: it was not run.
        ErrorCode::DRAINING if peer.is_departing() => CallError::Disconnected(CloseReason::Drained),
        // Nobody here has cancelled it: its handler was stopped because the connection ends.
        ErrorCode::CANCELLED if peer.is_closed() => {
            CallError::Indeterminate(peer.end_reason().unwrap_or(CloseReason::PeerGone))
        }
        _ => error,
    }
}

impl Caller for Reconnecting {
    #[inline]
    fn poll_format(&self, cx: &mut task::Context<'_>) -> Poll<Result<WireFormat, CallError>> {
        let polled = self.poll_say(cx, |peer, cx| peer.poll_format(cx));
        polled.map_ok(|(_, found)| found)
    }

    #[inline]
    fn poll_begin(
        &self,
        cx: &mut task::Context<'_>,
        call: &mut OutgoingCall<'_>,
    ) -> Poll<Result<Ticket, CallError>> {
        let polled = self.poll_say(cx, |peer, cx| peer.poll_begin(cx, call));
        polled.map_ok(|(epoch, ticket)| ticket.with_epoch(epoch))
    }

    fn poll_notify(
        &self,
        cx: &mut task::Context<'_>,
        call: &OutgoingCall<'_>,
    ) -> Poll<Result<(), CallError>> {
        let polled = self.poll_say(cx, |peer, cx| peer.poll_notify(cx, call));
        polled.map_ok(|(_, ())| ())
    }

    #[inline]
    fn poll_reply(
        &self,
        cx: &mut task::Context<'_>,
        ticket: Ticket,
        reply: &mut ReplyBuffer,
        sides: Option<&mut SideEffects>,
    ) -> Poll<Result<(), CallError<RpcError>>> {
        let look = |peer: &Peer| peer.poll_reply(cx, ticket, reply, sides);
        self.poll_sent(ticket, look, |_| true)
    }

    fn poll_items(
        &self,
        cx: &mut task::Context<'_>,
        ticket: Ticket,
        batch: &mut Vec<u8>,
        taken: Window,
        sides: Option<&mut SideEffects>,
    ) -> Poll<Result<bool, CallError<RpcError>>> {
        let look = |peer: &Peer| peer.poll_items(cx, ticket, batch, taken, sides);
        self.poll_sent(ticket, look, |found| !matches!(found, Ok(true)))
    }

    fn taken(&self, ticket: Ticket, taken: Window) {
        if let Some(peer) = self.connections().find(ticket.epoch()) {
            peer.taken(ticket, taken);
        }
    }

    fn window(&self) -> Option<Window> {
        self.peer()?.window()
    }

    fn poll_accepted(&self, cx: &mut task::Context<'_>, ticket: Ticket) -> Poll<()> {
        match self.connections().find(ticket.epoch()) {
            Some(peer) => peer.poll_accepted(cx, ticket),
            None => Poll::Ready(()),
        }
    }

    fn cancel(&self, ticket: Ticket, reason: CancelReason) {
        let connections = self.connections();
        if let Some(peer) = connections.find(ticket.epoch()) {
            peer.cancel(ticket, reason);
            connections.call_over(ticket.epoch());
        }
    }

    #[inline]
    fn default_timeout(&self) -> Option<Duration> {
        self.connections().manners.default_timeout
    }

    /// Not before there is a connection: nobody knows yet what its wire carries.
    fn carries_metadata(&self) -> bool {
        let current = self.connections().current();
        current.is_some_and(|peer| peer.carries_metadata())
    }

    fn peer(&self) -> Option<Peer> {
        self.connections().current()
    }

    fn reconnects(&self) -> bool {
        true
    }

    fn send_again(&self, error: &CallError<RpcError>, attempt: Attempt) -> Option<Duration> {
        let connections = self.connections();
        if connections.is_closed() {
            return None;
        }
        let delay = match error {
            CallError::Disconnected(_) => Duration::ZERO,
            CallError::Indeterminate(_) if attempt.idempotent => Duration::ZERO,
            CallError::Busy { retry_after } => busy(connections, attempt, *retry_after)?,
            CallError::Application(answer)
                if answer.code() == ErrorCode::BUSY && self.maps_codes() =>
            {
                busy(connections, attempt, retry_after(answer))?
            }
            _ => return None,
        };
        connections.sent_again.fetch_add(1, Ordering::Relaxed);
        Some(delay)
    }

    fn poll_connected(&self, cx: &mut task::Context<'_>) -> Poll<Result<(), CallError>> {
        let connections = self.connections();
        loop {
            let (epoch, peer) = task::ready!(connections.poll_next(cx.waker()))?;
            // One that is over, and nobody has noticed yet, is none.
            let usable = !peer.is_departing() && !peer.is_closed();
            if usable {
                return Poll::Ready(Ok(()));
            }
            if connections.wait_after(epoch, cx.waker()) {
                return Poll::Pending;
            }
        }
    }

    fn maps_codes(&self) -> bool {
        self.connections().maps_codes.load(Ordering::Relaxed)
    }
}

/// How long a call that was refused for want of a permit waits; `None`: it does not.
fn busy(
    connections: &Connections,
    attempt: Attempt,
    retry_after: Option<Duration>,
) -> Option<Duration> {
    let manners = &connections.manners;
    if !manners.retry_busy {
        return None;
    }
    // Calls that were refused together do not come back together.
    let salt = connections.sent_again.load(Ordering::Relaxed);
    let delay = manners.backoff.delay(attempt.number, salt);
    Some(delay.max(retry_after.unwrap_or(Duration::ZERO)))
}
