//! The task of a connection over a carrier of envelopes.

use super::core::Core;
use super::{BATCH_FRAMES, TURN_BATCHES};
use crate::link::{Collected, DriverEffects, Link, Out, Rules, State};
use mynah_connection::CloseReason;
use mynah_protocol::{
    CALLBACK_SERVICE, Envelope, ErrorCode, Inbound, ItemBatch, Limits, Moment, Outbound, Receipt,
    Response, RpcError, Settled, Transport, TransportError, WireId,
};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

/// Runs a connection over a carrier to its end. `early`: what was taken from it before.
pub(crate) async fn drive_carrier(
    transport: Pin<Box<dyn Transport>>,
    link: Arc<Link>,
    early: Vec<Inbound>,
) {
    let mut task = CarrierTask {
        core: Core::new(link),
        transport,
        sending: VecDeque::new(),
        answers: 0,
        flushing: false,
        blocked_since: None,
    };
    let handled = early
        .into_iter()
        .try_for_each(|inbound| task.handle(inbound));
    let reason = match handled {
        Ok(()) => poll_fn(|cx| task.poll_turn(cx)).await,
        Err(reason) => reason,
    };
    task.core.end(reason);
    task.send_rest().await;
    task.core.link.discard_output();
}

struct CarrierTask {
    core: Core,
    transport: Pin<Box<dyn Transport>>,
    /// Taken from the output, not yet taken by the carrier.
    sending: VecDeque<Outbound>,
    /// Answers among what is being sent.
    answers: usize,
    flushing: bool,
    blocked_since: Option<Moment>,
}

impl CarrierTask {
    fn poll_turn(&mut self, cx: &mut task::Context<'_>) -> Poll<CloseReason> {
        for _ in 0..TURN_BATCHES {
            let polls_left = self.core.poll_running(cx);
            let received = match self.receive(cx) {
                Ok(received) => received,
                Err(reason) => return Poll::Ready(reason),
            };
            if let Err(error) = self.send(cx) {
                return Poll::Ready(broken(&error));
            }
            if received || polls_left {
                continue;
            }
            match self.rest(cx) {
                Rest::Sleep => return Poll::Pending,
                Rest::Again => {}
                Rest::Close(reason) => return Poll::Ready(reason),
            }
        }
        // A peer that never pauses must not stop the clock, nor an end that was decided.
        if let Some(reason) = self.look_at_clock(cx) {
            return Poll::Ready(reason);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn look_at_clock(&mut self, cx: &mut task::Context<'_>) -> Option<CloseReason> {
        let link = Arc::clone(&self.core.link);
        let mut state = link.lock();
        self.core.handle_time(&mut state);
        let quiet = self.sending.is_empty() && !self.flushing && !self.core.has_done();
        let cut = state.may_close(quiet);
        let due = state.connection.poll_timeout();
        drop(state);
        self.core.carry_out(&[]);
        // Armed here too: it may ring before this task comes to rest.
        let _rang = self.core.poll_timer(due, cx);
        let late = link.clock.now();
        let limit = link.config.limits.write_timeout;
        let blocked = self
            .blocked_since
            .is_some_and(|since| since.after(limit) <= late);
        cut.or_else(|| blocked.then_some(CloseReason::TimedOut("peer takes no data")))
    }

    /// Takes a batch of envelopes and handles it. Returns whether there was any.
    fn receive(&mut self, cx: &mut task::Context<'_>) -> Result<bool, CloseReason> {
        let mut any = false;
        for _ in 0..BATCH_FRAMES {
            let inbound = match self.transport.as_mut().poll_next(cx) {
                Poll::Pending => break,
                Poll::Ready(None) => return Err(CloseReason::PeerGone),
                Poll::Ready(Some(Err(error))) => return Err(broken(&error)),
                Poll::Ready(Some(Ok(inbound))) => inbound,
            };
            any = true;
            self.handle(inbound)?;
        }
        Ok(any)
    }

    fn handle(&mut self, inbound: Inbound) -> Result<(), CloseReason> {
        let Inbound { envelope, receipt } = inbound;
        let (within, mut envelope) = match envelope {
            Envelope::Within(within) => (Some(within.call), within.envelope),
            envelope => (None, envelope),
        };
        let len = envelope.payload_bytes();
        let limit = self.core.link.config.limits.decode.max_message_bytes;
        let is_too_large = len > limit;
        let mut breach = None;
        if is_too_large {
            // It is here already, so what it belongs to can fail instead of the connection.
            let what = format!("message of {len} bytes exceeds limit of {limit}");
            match &mut envelope {
                Envelope::Request(_) => {}
                Envelope::Response(Response { result, .. }) => {
                    *result = Err(Box::new(RpcError::new(ErrorCode::TOO_LARGE, what)));
                }
                _ => breach = Some((ErrorCode::TOO_LARGE, what)),
            }
        }
        let breach = breach.or_else(|| check(&envelope, &self.core.link.config.limits));
        if let (None, Some((code, what))) = (&within, &breach) {
            return Err(CloseReason::Violation(*code, what.as_str().into()));
        }
        let link = Arc::clone(&self.core.link);
        let now = link.clock.now();
        let mut guard = link.lock();
        let before =
            receipt.map(|receipt| (receipt, Mark::now(&guard, &self.core.turn.get().collected)));
        let State {
            connection, out, ..
        } = &mut *guard;
        connection.handle_bytes(now, 0);
        out.incoming(&mut envelope);
        let is_given = within
            .as_ref()
            .is_none_or(|call| is_given(connection, call, &envelope));
        let mut fx = DriverEffects::new(out, &mut self.core.turn.get().collected, &link)
            .reading(&[], self.core.last_route);
        fx.now = now;
        let handled = match (within, envelope) {
            (Some(call), _) if breach.is_some() => {
                connection.fail_within(&call, "what it says breaks a limit", &mut fx);
                Ok(())
            }
            (Some(call), _) if !is_given => {
                connection.fail_within(&call, "it calls a function that it was not given", &mut fx);
                Ok(())
            }
            (within, Envelope::Request(request)) if is_too_large => {
                let handled = connection.handle_too_large(now, request, &mut fx);
                // Said within a call, it was refused, and that is all.
                handled.or_else(|violation| within.map(drop).ok_or(violation))
            }
            (Some(call), envelope) => {
                connection.handle_within(now, &call, envelope, &mut fx);
                Ok(())
            }
            (None, envelope) => connection.handle(now, envelope, &mut fx),
        };
        self.core.last_route = fx.last_route;
        if let Some((receipt, mark)) = before {
            mark.settle(receipt, &mut guard, &self.core.turn.get().collected);
        }
        drop(guard);
        self.core.carry_out(&[]);
        if let Err(violation) = handled {
            return Err(CloseReason::Violation(
                violation.code,
                violation.what.into(),
            ));
        }
        if self.core.overflows() {
            return Err(CloseReason::TimedOut("peer takes no control messages"));
        }
        Ok(())
    }

    /// Hands to the carrier what it takes.
    fn send(&mut self, cx: &mut task::Context<'_>) -> Result<(), TransportError> {
        loop {
            self.take_output();
            if self.sending.is_empty() {
                break;
            }
            match self.transport.as_mut().poll_ready(cx)? {
                Poll::Ready(()) => {}
                Poll::Pending => {
                    if self.blocked_since.is_none() {
                        self.blocked_since = Some(self.core.link.clock.now());
                    }
                    return Ok(());
                }
            }
            self.blocked_since = None;
            let Some(outbound) = self.sending.pop_front() else {
                break;
            };
            self.transport.as_mut().start_send(outbound)?;
            self.flushing = true;
        }
        if !self.flushing {
            return Ok(());
        }
        if self.transport.as_mut().poll_flush(cx)?.is_pending() {
            let now = self.core.link.clock.now();
            self.blocked_since.get_or_insert(now);
        } else {
            self.flushing = false;
            self.blocked_since = None;
            let link = Arc::clone(&self.core.link);
            let mut state = link.lock();
            state.connection.flushed(std::mem::take(&mut self.answers));
            self.core.wake_room(&mut state);
        }
        Ok(())
    }

    /// Takes one step of the output: all control, then one envelope of data, so that control that
    /// comes later still overtakes the rest.
    fn take_output(&mut self) {
        let link = Arc::clone(&self.core.link);
        let mut guard = link.lock();
        let state = &mut *guard;
        self.core.write_done(state);
        let Out::Carrier {
            data,
            control,
            taken,
            bytes,
            ..
        } = &mut state.out
        else {
            return;
        };
        if !self.sending.is_empty() {
            // What the carrier does not take stays where it is counted.
            return;
        }
        self.sending.extend(control.drain(..).map(Outbound::Send));
        if let Some(receipts) = &mut state.receipts {
            while let Some((receipt, settled)) = receipts.next_ready() {
                self.sending.push_back(Outbound::Settle(receipt, settled));
            }
        }
        while self.sending.is_empty() {
            let Some(next) = data.pop_front() else { break };
            *taken += 1;
            if let Some(envelope) = next {
                *bytes -= envelope.payload_bytes();
                if matches!(envelope, Envelope::Response(_)) && state.answers > 0 {
                    state.answers -= 1;
                    self.answers += 1;
                }
                self.sending.push_back(Outbound::Send(envelope));
                if let Some(receipts) = &mut state.receipts {
                    while let Some(receipt) = receipts.next_before(*taken) {
                        let settle = Outbound::Settle(receipt, Settled::Done);
                        self.sending.push_back(settle);
                    }
                }
            }
        }
    }

    fn rest(&mut self, cx: &mut task::Context<'_>) -> Rest {
        let link = Arc::clone(&self.core.link);
        let mut guard = link.lock();
        let state = &mut *guard;
        self.core.handle_time(state);
        let quiet = self.sending.is_empty() && !self.flushing;
        if let Some(reason) = state.may_close(quiet && !self.core.has_done()) {
            return Rest::Close(reason);
        }
        // A flush that waits does not keep new output from being handed over.
        let blocked = !self.sending.is_empty();
        let receipts = state.receipts.as_ref().map_or(0, |it| it.ready_bytes());
        if blocked && receipts > link.config.limits.control_bytes {
            return Rest::Close(CloseReason::TimedOut("carrier takes no receipts back"));
        }
        let due = match self.blocked_since {
            Some(since) => state
                .connection
                .poll_timeout()
                .min(since.after(link.config.limits.write_timeout)),
            None => state.connection.poll_timeout(),
        };
        let settles = state.receipts.as_ref().is_some_and(|it| it.has_ready());
        if self.core.has_work() || ((settles || !state.out.is_empty()) && !blocked) {
            drop(guard);
            self.core.carry_out(&[]);
            return Rest::Again;
        }
        state.sleep_with(cx.waker());
        drop(guard);
        self.core.give_back();
        if self.core.poll_timer(due, cx) {
            let now = link.clock.now();
            let limit = link.config.limits.write_timeout;
            if self
                .blocked_since
                .is_some_and(|since| since.after(limit) <= now)
            {
                return Rest::Close(CloseReason::TimedOut("peer takes no data"));
            }
            link.lock().scheduled = true;
            return Rest::Again;
        }
        Rest::Sleep
    }

    async fn send_rest(&mut self) {
        const PATIENCE: std::time::Duration = std::time::Duration::from_millis(500);
        let rest = poll_fn(|cx| {
            if self.send(cx).is_err() {
                return Poll::Ready(());
            }
            if self.sending.is_empty() && !self.flushing {
                return self.transport.as_mut().poll_close(cx).map(|_closed| ());
            }
            Poll::Pending
        });
        // A carrier that takes nothing any more is given up.
        drop(tokio::time::timeout(PATIENCE, rest).await);
    }
}

/// What to do when nothing is ready.
pub(super) enum Rest {
    Sleep,
    Again,
    Close(CloseReason),
}

/// How things stood before an envelope with a receipt was handled.
struct Mark {
    arrived: usize,
    control: usize,
    dropped: u64,
}

impl Mark {
    fn now(state: &State, collected: &Collected) -> Self {
        Self {
            arrived: collected.arrived.len(),
            control: match &state.out {
                Out::Carrier { control, .. } => control.len(),
                Out::Wire { .. } => 0,
            },
            dropped: state.connection.dropped_notifications(),
        }
    }

    /// Keeps the receipt of what has begun, and gives the others back. A request without a permit goes back to the
    /// carrier, which may have somebody else for it, and is not answered.
    fn settle(&self, receipt: Receipt, state: &mut State, collected: &Collected) {
        let mut refused = state.connection.dropped_notifications() > self.dropped;
        if let Out::Carrier { control, .. } = &mut state.out
            && control.len() > self.control
            && control.back().is_some_and(is_refusal)
        {
            control.pop_back();
            refused = true;
        }
        let receipts = state.receipts.get_or_insert_default();
        match collected.arrived.get(self.arrived) {
            Some(call) => receipts.hold(call.key, receipt),
            None if refused => receipts.settle(receipt, Settled::Release),
            None => receipts.settle(receipt, Settled::Done),
        }
    }
}

/// Whether it says that a request was not started.
fn is_refusal(envelope: &Envelope<'_>) -> bool {
    matches!(envelope, Envelope::Response(Response { result: Err(error), .. })
        if [ErrorCode::BUSY, ErrorCode::DRAINING].contains(&error.code()))
}

/// Whether what belongs to a call of ours calls nothing but functions that went with it.
fn is_given(connection: &mut Rules, call: &WireId, envelope: &Envelope<'_>) -> bool {
    let name = match envelope {
        Envelope::Request(request) => &request.name,
        Envelope::Notification(notification) => &notification.name,
        _ => return true,
    };
    if name.service != CALLBACK_SERVICE {
        return true;
    }
    let number = name.method.parse::<u64>().ok();
    let slot = call.as_call_id().and_then(|id| connection.call_mut(id));
    let extras = slot.and_then(|(slot, _)| slot.extras.as_deref());
    extras
        .zip(number)
        .is_some_and(|(extras, number)| extras.callbacks.contains(&number))
}

/// Holds names, metadata and counts against what they are to be, as wires do that read them from bytes: what is wrong.
fn check(envelope: &Envelope<'_>, limits: &Limits) -> Option<(ErrorCode, String)> {
    let violation = |what: String| Some((ErrorCode::PROTOCOL_VIOLATION, what));
    let (name, metadata) = match envelope {
        Envelope::Request(request) => (&request.name, &request.metadata),
        Envelope::Notification(notification) => (&notification.name, &notification.metadata),
        Envelope::Items(items) if ItemBatch::count(items.batch.as_slice()) != Some(items.count) => {
            return violation("items are not as many as it says".to_owned());
        }
        _ => return None,
    };
    if let Err(error) = name.check(limits.max_name_bytes) {
        return violation(error.to_string());
    }
    if metadata.len() > limits.max_metadata_entries || metadata.bytes() > limits.max_metadata_bytes
    {
        return violation("metadata exceeds its limit".to_owned());
    }
    None
}

fn broken(error: &TransportError) -> CloseReason {
    let otherwise = || CloseReason::Transport(error.kind(), error.chain().into());
    super::ended(error).unwrap_or_else(otherwise)
}
