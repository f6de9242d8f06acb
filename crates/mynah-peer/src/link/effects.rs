//! What the connection's rules ask for, as far as it can be done under the lock.

use super::{
    Arrived, Body, CalledKind, CancelOrder, Collected, HandlerRef, InSlot, Link, Out, OutExtras,
    OutInput, OutSlot, Reply, Run, RunKind, Side,
};
use crate::metrics;
use bytes::Bytes;
use mynah_codec::SHARED_BYTES;
use mynah_connection::{Effects, InboundKey, Outcome, Said, SideMessage};
use mynah_protocol::{
    CallId, Cancel, CancelReason, DeliveryStatus, EVENTS_SERVICE, Envelope, ErrorCode, Hello,
    Items, Lane, Metadata, MethodName, Moment, Notification, Payload, PayloadBytes, Request,
    Response, RpcError, Streams, Undelivered,
};
use std::sync::atomic::Ordering;
use std::task::Waker;

/// A call or notification as it stands in its envelope.
struct Arriving<'e> {
    name: MethodName<'e>,
    metadata: Metadata,
    params: Payload<'e>,
    deadline: Moment,
    /// It arrived with no time left.
    too_late: bool,
    streams: Streams,
    answered: bool,
}

/// Carries out what the connection asks for, as far as that may be done under the lock.
pub(crate) struct DriverEffects<'a> {
    pub(crate) out: &'a mut Out,
    pub(super) collected: &'a mut Collected,
    pub(super) link: &'a Link,
    /// Address and length of the read buffer, to turn slices of it into ranges.
    buffer: (usize, usize),
    /// When what is handled arrived: from then on its handler runs.
    pub(crate) now: Moment,
    /// The route that was found last: the next call is often to the same method.
    pub(crate) last_route: usize,
}

impl<'a> DriverEffects<'a> {
    pub(crate) fn new(out: &'a mut Out, collected: &'a mut Collected, link: &'a Link) -> Self {
        Self {
            out,
            collected,
            link,
            buffer: (0, 0),
            now: Moment::ZERO,
            last_route: usize::MAX,
        }
    }

    /// Payloads that arrive are slices of this buffer.
    pub(crate) fn reading(mut self, buffer: &[u8], last_route: usize) -> Self {
        self.buffer = (buffer.as_ptr() as usize, buffer.len());
        self.last_route = last_route;
        self
    }

    pub(crate) fn arrived_len(&self) -> usize {
        self.collected.arrived.len()
    }

    #[inline]
    pub(super) fn body(&self, payload: Payload<'_>) -> Body {
        match payload.into_bytes() {
            PayloadBytes::Lent(bytes) => {
                let (base, len) = self.buffer;
                match (bytes.as_ptr() as usize).checked_sub(base) {
                    Some(start) if start + bytes.len() <= len => {
                        Body::Range(start, start + bytes.len())
                    }
                    _ => Body::Owned(Bytes::copy_from_slice(bytes)),
                }
            }
            PayloadBytes::Owned(bytes) => Body::Owned(bytes),
            // What arrives is in one piece.
            PayloadBytes::Split(bytes, _) => Body::Owned(Bytes::copy_from_slice(bytes)),
        }
    }

    #[inline]
    fn arrive(&mut self, key: InboundKey, slot: &mut InSlot, call: Arriving<'_>) {
        let Arriving {
            name,
            metadata,
            params,
            deadline,
            too_late,
            streams,
            answered,
        } = call;
        slot.handler = HandlerRef::None;
        slot.shields = 0;
        if let Some(stale) = slot.observed.take() {
            self.collected.wakers.push(Waker::from(stale));
        }
        let route = self.link.config.router.find(&name, self.last_route);
        let mut unknown = None;
        let (mut other, mut called) = (None, CalledKind::Route);
        slot.run = Run {
            kind: match (answered, streams.window) {
                (false, _) => RunKind::Notification,
                (true, None) => RunKind::Call,
                (true, Some(_)) => RunKind::Stream,
            },
            since: self.now,
            route: route.unwrap_or(usize::MAX),
            name: None,
        };
        match route {
            Some(route) => self.last_route = route,
            None => {
                if let Some((method, kind)) = self.link.find_other(&name) {
                    if kind == CalledKind::BuiltIn {
                        slot.run.kind = if name.service == EVENTS_SERVICE {
                            RunKind::Subscription
                        } else {
                            RunKind::Callback
                        };
                        self.collected.called_back = true;
                    }
                    slot.run.name = Some(name.to_string().into_boxed_str());
                    (other, called) = (Some(method), kind);
                }
                let named = match called {
                    CalledKind::Route => !self.link.callbacks.is_over(&name),
                    _ => !answered || self.link.config.router.observes(),
                };
                if named {
                    unknown = Some(name.to_string().into_boxed_str());
                }
            }
        }
        let forbidden = self.link.forbids(&name, route);
        if forbidden && unknown.is_none() {
            unknown = Some(name.to_string().into_boxed_str());
        }
        let body = self.body(params);
        self.collected.arrived.push(Arrived {
            key,
            forbidden,
            route,
            unknown,
            other,
            called,
            streams,
            answered,
            deadline,
            metadata,
            body,
            // A budget that is used up starts nothing.
            cancelled: too_late.then_some(CancelReason::Deadline),
        });
    }
}

fn is_busy(envelope: &Envelope<'_>) -> bool {
    matches!(envelope, Envelope::Response(Response { result: Err(error), .. })
        if error.code() == ErrorCode::BUSY)
}

/// Takes the stream that goes with a call out of it.
fn stop_input(id: CallId, extras: &mut OutExtras, collected: &mut Collected) {
    match std::mem::take(&mut extras.input) {
        OutInput::Waiting(producer) => collected.unused.push(producer),
        OutInput::Running(place) => collected.stopped_inputs.push((place, id)),
        // One that moves finds nobody who waits for it.
        OutInput::None | OutInput::Moving => {}
    }
}

impl DriverEffects<'_> {
    /// Whether a call that has ended is over for its caller only later: what was told through its callbacks in the same
    /// batch is not heard yet, and an interceptor may have it wait.
    #[cold]
    fn holds_back(&mut self, slot: &mut OutSlot) -> bool {
        let (Some(extras), Some(id)) = (&mut slot.extras, slot.id) else {
            return false;
        };
        let told = self.collected.tells_wait || self.collected.called_back;
        if !told || extras.callbacks.is_empty() || matches!(slot.ended, Some(Reply::Lost { .. })) {
            return false;
        }
        stop_input(id, extras, self.collected);
        extras.held = true;
        self.collected.held.push(id);
        true
    }

    /// A call of ours is over: its input stops, its callbacks are revoked. Its results wait for the program.
    #[cold]
    fn end_extras(&mut self, slot: &mut OutSlot) {
        if let (Some(extras), Some(id)) = (&mut slot.extras, slot.id) {
            stop_input(id, extras, self.collected);
            self.collected.revoked.append(&mut extras.callbacks);
        }
    }
}

impl Effects<OutSlot, InSlot> for DriverEffects<'_> {
    fn send(&mut self, lane: Lane, envelope: Envelope<'_>) {
        if metrics::ENABLED && is_busy(&envelope) {
            self.collected.refused += 1;
        }
        let failed = self.out.put(&envelope, lane).is_err();
        if failed || self.out.control_held() > self.link.config.limits.control_bytes {
            self.collected.control_overflow = true;
        }
    }

    #[inline]
    fn complete(&mut self, slot: &mut OutSlot, outcome: Outcome<'_>) {
        slot.ended = Some(match outcome {
            Outcome::Reply(payload) => {
                slot.reply.clear();
                slot.shared = None;
                match payload.into_bytes() {
                    PayloadBytes::Lent(bytes) | PayloadBytes::Split(bytes, _) => {
                        slot.reply.extend_from_slice(bytes);
                    }
                    PayloadBytes::Owned(bytes) if bytes.len() < SHARED_BYTES => {
                        slot.reply.extend_from_slice(&bytes);
                    }
                    PayloadBytes::Owned(bytes) => slot.shared = Some(bytes),
                }
                Reply::Result
            }
            Outcome::Error(error) => Reply::Error(error),
            // Nothing is known of what has not come to the peer, or may not have.
            Outcome::Deadline => match slot.delivery.take() {
                Some(DeliveryStatus::Waits) => Reply::Undelivered(Undelivered::NotWritten),
                Some(DeliveryStatus::Doubtful) => Reply::Undelivered(Undelivered::Doubtful),
                _ => Reply::Deadline,
            },
            Outcome::Undelivered(why) => Reply::Undelivered(why),
            // What still waits here is taken back: what is said last goes out after this, and the program is told that
            // its request was not sent. What I/O has taken goes out with it, or is accounted for later.
            Outcome::Lost => Reply::Lost {
                sent: slot
                    .sent
                    .is_some_and(|sent| self.out.may_have_left(sent) || !self.out.withdraw(sent)),
            },
        });
        if slot.extras.is_some() {
            if self.holds_back(slot) {
                return;
            }
            self.end_extras(slot);
        }
        self.collected.wakers.extend(slot.waker.take());
    }

    fn delivery(&mut self, slot: &mut OutSlot, status: DeliveryStatus) {
        slot.delivery = (status != DeliveryStatus::Written).then_some(status);
    }

    fn side(&mut self, slot: &mut OutSlot, message: SideMessage<'_>) {
        let Some(sides) = &mut slot.sides else { return };
        let limits = &self.link.config.limits;
        let len = match &message {
            SideMessage::Progress(progress) => {
                let note = progress
                    .note
                    .as_ref()
                    .map_or(0, |note| note.as_slice().len());
                progress.value.as_slice().len() + note
            }
            SideMessage::Log(log) => log.content.as_slice().len(),
        };
        while sides.queue.len() >= limits.side_messages
            || sides.bytes + len > limits.decode.max_message_bytes
        {
            let Some(oldest) = sides.queue.pop_front() else {
                break;
            };
            sides.bytes -= oldest.bytes();
            sides.dropped += 1;
        }
        sides.bytes += len;
        sides.queue.push_back(match message {
            SideMessage::Progress(progress) => Side::Progress {
                value: progress.value.as_slice().to_vec(),
                note: progress.note.map(|note| note.as_slice().to_vec()),
            },
            SideMessage::Log(log) => Side::Log {
                level: log.level,
                dropped: log.dropped,
                content: log.content.as_slice().to_vec(),
            },
        });
        self.collected.wakers.extend(slot.waker.take());
    }

    fn withdraw(&mut self, slot: &mut OutSlot, cancel: Cancel) {
        slot.sides = None;
        self.end_extras(slot);
        if cancel.reason == CancelReason::Caller {
            // Nobody takes what has come already.
            slot.extras = None;
        }
        let Some(sent) = slot.sent.take() else { return };
        if self.out.withdraw(sent) || !self.out.profile().capabilities.cancel {
            return;
        }
        // A cancel overtakes data only when its request has left.
        let lane = if self.out.has_left(sent) {
            Lane::Control
        } else {
            Lane::Data
        };
        self.send(lane, Envelope::Cancel(cancel));
    }

    #[inline]
    fn request(
        &mut self,
        key: InboundKey,
        slot: &mut InSlot,
        deadline: Moment,
        request: Request<'_>,
    ) {
        let Request {
            name,
            metadata,
            params,
            timeout,
            streams,
            ..
        } = request;
        self.arrive(
            key,
            slot,
            Arriving {
                name,
                metadata,
                params,
                deadline,
                too_late: timeout.is_some_and(|left| left.is_zero()),
                streams,
                answered: true,
            },
        );
    }

    fn notification(
        &mut self,
        key: InboundKey,
        slot: &mut InSlot,
        deadline: Moment,
        notification: Notification<'_>,
    ) {
        let Notification {
            name,
            metadata,
            params,
            ..
        } = notification;
        let call = Arriving {
            name,
            metadata,
            params,
            deadline,
            too_late: false,
            streams: Streams::NONE,
            answered: false,
        };
        self.arrive(key, slot, call);
    }

    fn cancelled(&mut self, key: InboundKey, slot: &mut InSlot, reason: CancelReason) {
        slot.waiters.take_into(&mut self.collected.wakers);
        if let Some(input) = &mut slot.input {
            self.collected.wakers.extend(input.waker.take());
        }
        let shielded = slot.shields > 0;
        let handler = if shielded {
            HandlerRef::None
        } else {
            std::mem::take(&mut slot.handler)
        };
        if let Some(arrived) = self
            .collected
            .arrived
            .iter_mut()
            .rev()
            .find(|one| one.key == key)
        {
            arrived.cancelled = Some(reason);
            return;
        }
        self.collected.cancels.push(CancelOrder {
            key,
            reason,
            handler,
            shielded,
        });
    }

    fn accepted(&mut self, slot: &mut OutSlot) {
        if let Some(extras) = &mut slot.extras {
            extras.accepted = true;
            self.collected.wakers.extend(slot.waker.take());
        }
    }

    fn items(&mut self, slot: &mut OutSlot, items: Items<'_>) {
        if let Some(extras) = &mut slot.extras {
            extras.results.extend_from_slice(items.batch.as_slice());
            self.collected.wakers.extend(slot.waker.take());
        }
    }

    fn input_credit(&mut self, id: CallId, slot: &mut OutSlot) {
        let Some(extras) = &mut slot.extras else {
            return;
        };
        match std::mem::take(&mut extras.input) {
            OutInput::Waiting(producer) => {
                extras.input = OutInput::Moving;
                self.collected.inputs.push((id, producer));
            }
            OutInput::Running(place) => {
                extras.input = OutInput::Running(place);
                self.collected.resume.push(place);
            }
            other @ (OutInput::None | OutInput::Moving) => extras.input = other,
        }
    }

    fn input_stopped(&mut self, id: CallId, slot: &mut OutSlot) {
        if let Some(extras) = &mut slot.extras {
            stop_input(id, extras, self.collected);
        }
    }

    fn input(&mut self, _key: InboundKey, slot: &mut InSlot, items: Items<'_>) {
        if let Some(input) = &mut slot.input {
            input.items.extend_from_slice(items.batch.as_slice());
            self.collected.wakers.extend(input.waker.take());
        }
    }

    fn input_end(&mut self, _key: InboundKey, slot: &mut InSlot, error: Option<Box<RpcError>>) {
        // It may come before the handler has asked for the stream.
        let input = slot.input.get_or_insert_default();
        input.end = Some(error.map_or(Ok(()), Err));
        self.collected.wakers.extend(input.waker.take());
    }

    fn credit(&mut self, _key: InboundKey, slot: &mut InSlot) {
        if let HandlerRef::Running(place) = slot.handler {
            self.collected.resume.push(place);
        }
    }

    fn said<'m>(&mut self, said: Said<'m>) -> Option<Said<'m>> {
        self.tell(said)
    }

    fn hear(&mut self, key: InboundKey, slot: &mut InSlot, deadline: Moment, said: Said<'_>) {
        self.start_hearer(key, slot, deadline, said);
    }

    fn met(&mut self, hello: &Hello<'_>) {
        if let Some(more) = hello
            .more
            .as_ref()
            .filter(|more| !more.contracts.is_empty())
        {
            // A second hello never comes so far.
            let _first = self.link.announced.set(more.contracts.clone());
        }
        self.collected.met = true;
    }

    fn going_away(&mut self) {
        self.link.departing.store(true, Ordering::Release);
        self.collected.departing = true;
    }
}
