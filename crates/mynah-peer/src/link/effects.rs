//! What the connection's rules ask for, collected under the lock and carried out after it.

use super::state::Side;
use super::{HandlerRef, InSlot, Link, Out, OutExtras, OutInput, OutSlot, Reply, Run, RunKind};
use crate::handler::{Method, Produce};
use crate::metrics;
use bytes::Bytes;
use mynah_codec::SHARED_BYTES;
use mynah_connection::{Effects, InboundKey, Outcome, Said, SideMessage};
use mynah_protocol::{
    CallId, Cancel, CancelReason, EVENTS_SERVICE, Envelope, ErrorCode, Items, Lane, Metadata,
    MethodName, Moment, Notification, Payload, PayloadBytes, Request, Response, RpcError, Streams,
};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;

/// Everything that is to be done once the lock is free. The buffers go round.
#[derive(Default)]
pub(crate) struct Collected {
    /// Callers to wake.
    pub(crate) wakers: Vec<Waker>,
    /// Calls and notifications of the peer, in the order in which they came.
    pub(crate) arrived: Vec<Arrived>,
    /// Calls of the peer that are to stop.
    pub(crate) cancels: Vec<CancelOrder>,
    /// Control could not be written, or piles up.
    pub(crate) control_overflow: bool,
    /// Streams that go with calls of ours, whose peers are ready for items.
    pub(crate) inputs: Vec<(CallId, Box<dyn Produce>)>,
    /// Places of streams that may go on.
    pub(crate) resume: Vec<usize>,
    /// Places of input streams whose calls are over.
    pub(crate) stopped_inputs: Vec<(usize, CallId)>,
    /// Streams of the user that nobody needs any more: dropped when the lock is free.
    pub(crate) unused: Vec<Box<dyn Produce>>,
    /// Callbacks whose calls are over.
    pub(crate) revoked: Vec<u64>,
    /// A callback is among what arrived.
    pub(crate) called_back: bool,
    /// Requests that were refused for want of a permit; counted with the feature `metrics` only.
    pub(crate) refused: u64,
    /// The peer has said that it is going away.
    pub(crate) departing: bool,
    /// The peer has introduced itself.
    pub(crate) met: bool,
    /// Something that was told through a callback waits for an interceptor.
    pub(crate) tells_wait: bool,
    /// Calls of ours whose ends are held back until it is heard.
    pub(crate) held: Vec<CallId>,
}

impl Collected {
    /// Whether something is to be done for streams or callbacks.
    #[inline]
    pub(crate) const fn has_streams(&self) -> bool {
        !self.resume.is_empty()
            || !self.inputs.is_empty()
            || !self.stopped_inputs.is_empty()
            || !self.unused.is_empty()
            || !self.revoked.is_empty()
    }
}

/// A call or notification of the peer that is to be started.
pub(crate) struct Arrived {
    pub(crate) key: InboundKey,
    /// The index of its route, `None` when nobody has the method.
    pub(crate) route: Option<usize>,
    /// The name as the peer wrote it, when it is none of a route. Absent for a callback that is over.
    pub(crate) unknown: Option<Box<str>>,
    /// What is called, when it is a callback or hears what was said unasked.
    pub(crate) callback: Option<Arc<dyn Method>>,
    /// It hears what was said unasked.
    pub(crate) heard: bool,
    pub(crate) streams: Streams,
    pub(crate) answered: bool,
    pub(crate) deadline: Moment,
    pub(crate) metadata: Metadata,
    pub(crate) body: Body,
    /// It was cancelled before it was started.
    pub(crate) cancelled: Option<CancelReason>,
}

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

/// Where the params of an arrived call are.
pub(crate) enum Body {
    /// In the read buffer, from and to.
    Range(usize, usize),
    Owned(Bytes),
}

impl Body {
    /// `buffer`: the read buffer.
    #[inline]
    pub(crate) fn as_slice<'b>(&'b self, buffer: &'b [u8]) -> &'b [u8] {
        match self {
            Self::Range(start, end) => buffer.get(*start..*end).unwrap_or_default(),
            Self::Owned(bytes) => bytes,
        }
    }

    /// For a call that has to wait.
    pub(crate) fn into_bytes(self, buffer: &[u8]) -> Bytes {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Range(..) => Bytes::copy_from_slice(self.as_slice(buffer)),
        }
    }
}

/// A call of the peer that is to stop.
pub(crate) struct CancelOrder {
    pub(crate) key: InboundKey,
    pub(crate) reason: CancelReason,
    pub(crate) handler: HandlerRef,
    pub(crate) shielded: bool,
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
        let mut callback = None;
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
                callback = self.link.built_in(&name);
                if callback.is_some() {
                    slot.run.kind = if name.service == EVENTS_SERVICE {
                        RunKind::Subscription
                    } else {
                        RunKind::Callback
                    };
                    slot.run.name = Some(name.to_string().into_boxed_str());
                    self.collected.called_back = true;
                }
                let named = match callback {
                    Some(_) => self.link.config.router.observes(),
                    None => !self.link.callbacks.is_over(&name),
                };
                if named {
                    unknown = Some(name.to_string().into_boxed_str());
                }
            }
        }
        let body = self.body(params);
        self.collected.arrived.push(Arrived {
            key,
            route,
            unknown,
            callback,
            heard: false,
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
    /// Whether a call that has ended is over for its caller only later: an interceptor may have what was told through
    /// its callbacks wait.
    #[cold]
    fn holds_back(&mut self, slot: &mut OutSlot) -> bool {
        let (Some(extras), Some(id)) = (&mut slot.extras, slot.id) else {
            return false;
        };
        let told = self.collected.tells_wait || self.collected.called_back;
        if !told
            || extras.callbacks.is_empty()
            || matches!(slot.ended, Some(Reply::Lost { .. }))
            || self.link.config.router.chain().is_none()
        {
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
            Outcome::Deadline => Reply::Deadline,
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

    fn met(&mut self) {
        self.collected.met = true;
    }

    fn going_away(&mut self) {
        self.link.departing.store(true, Ordering::Release);
        self.collected.departing = true;
    }
}
