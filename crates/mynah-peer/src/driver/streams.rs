//! Streams that are being sent: polled while there is credit and room.

use super::core::{Core, Done, panicked_error};
use super::running::{Handler, Owner, Work};
use crate::handler::{Produce, Progress};
use crate::link::{Link, OutInput, State};
use mynah_protocol::{
    CallId, Envelope, ErrorCode, InputEnd, Items, Lane, Payload, RpcError, StreamSide, Window,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{self, Waker};

/// Bytes of items that one stream produces at a time, and all streams of a connection in one turn. The first is less
/// than what goes beside the lanes as a large message.
const TURN_BYTES: usize = 48 << 10;
const TURN_TOTAL_BYTES: usize = 256 << 10;

/// What a stream may send now.
enum Grant {
    Go(Window),
    /// It is resumed when credit comes.
    NoCredit,
    /// It is resumed when the peer has taken what waits for it.
    NoRoom,
    /// Items of it wait beside the lanes, among more large messages than may: it is resumed when some have left.
    NoRoomForLarge,
    /// Its call is over.
    Over,
}

impl Owner {
    /// Whether a message of its call waits beside the lanes.
    fn has_large(self, state: &State) -> bool {
        match self {
            Self::Theirs(key) => match state.connection.wire_id(key) {
                Some(id) => state.out.has_large_of(id),
                None => false,
            },
            Self::Ours(id) => state.out.has_large_of(&id.into()),
        }
    }
}

impl Core {
    /// Polls a stream once. Returns it unless it has ended.
    pub(super) fn poll_stream(
        &mut self,
        place: usize,
        mut handler: Handler,
        waker: &Waker,
    ) -> Option<Handler> {
        let owner = handler.owner;
        let Work::Stream(producer) = &mut handler.work else {
            return Some(handler);
        };
        let link = Arc::clone(&self.link);
        let Some(facts) = link.facts() else {
            return Some(handler);
        };
        let window = match self.grant(&link, owner) {
            Grant::Go(window) => window,
            Grant::NoCredit => return Some(handler),
            Grant::NoRoom => {
                // Credit or a waker may have it polled again before there is room: it waits once.
                if !self.stalled.contains(&place) {
                    self.stalled.push(place);
                }
                return Some(handler);
            }
            Grant::NoRoomForLarge => {
                let waits = link.lock().out.bulk_held();
                self.large_waits = self.large_waits.max(waits);
                if !self.stalled_large.contains(&place) {
                    self.stalled_large.push(place);
                }
                return Some(handler);
            }
            Grant::Over => {
                drop_producer(handler);
                return None;
            }
        };
        let limit = TURN_BYTES.min(usize::try_from(window.bytes).unwrap_or(usize::MAX));
        let turn = self.turn.get();
        let replies = &mut turn.replies.bytes;
        let start = replies.len();
        let mut cx = task::Context::from_waker(waker);
        let produced = catch_unwind(AssertUnwindSafe(|| {
            producer.produce(&mut cx, window.items, limit, facts.format, replies)
        }));
        let (count, progress) = match produced {
            Ok(produced) => produced,
            Err(payload) => {
                turn.replies.bytes.truncate(start);
                (0, Progress::Ended(Err(panicked_error(&*payload))))
            }
        };
        if count > 0 {
            let end = turn.replies.bytes.len();
            turn.produced += end - start;
            turn.done.push(Done::Items {
                owner,
                count,
                range: (start, end),
            });
        }
        match progress {
            Progress::Waiting => Some(handler),
            Progress::More => {
                waker.wake_by_ref();
                Some(handler)
            }
            Progress::Ended(result) => {
                drop_producer(handler);
                self.end_stream(owner, facts.format, result);
                None
            }
        }
    }

    /// Whether streams have produced enough for one turn.
    pub(super) fn produced_enough(&self) -> bool {
        self.produced() >= TURN_TOTAL_BYTES
    }

    /// Bytes of items that wait to be written.
    fn produced(&self) -> usize {
        self.turn.held().map_or(0, |turn| turn.produced)
    }

    fn grant(&self, link: &Link, owner: Owner) -> Grant {
        let mut state = link.lock();
        // What this turn has produced is not in the output yet.
        let held = state.out.held() + self.produced();
        let credit = match owner {
            Owner::Theirs(key) => {
                if !state.connection.is_live(key) {
                    return Grant::Over;
                }
                state.connection.result_credit(key)
            }
            Owner::Ours(id) => match state.connection.call_mut(id) {
                Some((_, false)) => state.connection.input_credit(id),
                _ => return Grant::Over,
            },
        };
        let unsent = self.unsent(owner);
        let high = link.config.limits.output_high_water_bytes;
        match credit {
            _ if held > high => Grant::NoRoom,
            // Large messages of others hold up no stream; its own do, or credit alone would say what waits here.
            Some(_) if state.out.bulk_held() > high && owner.has_large(&state) => {
                Grant::NoRoomForLarge
            }
            // What was produced and not written yet has not been taken from the credit.
            Some(credit) if credit.items > unsent.items && credit.bytes > unsent.bytes => {
                Grant::Go(Window {
                    items: credit.items - unsent.items,
                    bytes: credit.bytes - unsent.bytes,
                })
            }
            _ => Grant::NoCredit,
        }
    }

    fn unsent(&self, of: Owner) -> Window {
        let mut unsent = Window::ZERO;
        for done in self.turn.held().map_or(&[][..], |turn| &turn.done) {
            if let Done::Items {
                owner,
                count,
                range: (start, end),
            } = done
                && *owner == of
            {
                unsent.items += count;
                unsent.bytes += (end - start) as u64;
            }
        }
        unsent
    }

    fn end_stream(
        &mut self,
        owner: Owner,
        format: mynah_codec::Format,
        result: Result<(), Box<RpcError>>,
    ) {
        let turn = self.turn.get();
        match (owner, result) {
            (Owner::Ours(id), result) => turn.done.push(Done::InputEnd {
                id,
                error: result.err(),
            }),
            (Owner::Theirs(key), Ok(())) => {
                let start = turn.replies.mark();
                // Every format has a way to say nothing.
                drop(turn.replies.push(format, &()));
                turn.answer(key, start);
            }
            (Owner::Theirs(key), Err(error)) => turn.refuse(key, error),
        }
    }

    /// Writes a batch of items.
    pub(super) fn write_items(
        state: &mut State,
        owner: Owner,
        count: u64,
        batch: &[u8],
    ) -> Result<(), Box<RpcError>> {
        let (id, stream) = match owner {
            Owner::Theirs(key) => match state.connection.wire_id(key) {
                Some(id) => (id.clone(), StreamSide::Result),
                // The call is over; nobody wants its results.
                None => return Ok(()),
            },
            Owner::Ours(id) => match state.connection.call_mut(id) {
                Some((_, false)) => (id.into(), StreamSide::Input),
                _ => return Ok(()),
            },
        };
        let format = state.out.profile().format;
        let items = Envelope::Items(Items {
            id,
            stream,
            count,
            batch: Payload::lent(format, batch),
        });
        if let Err(error) = state.out.put(&items, Lane::Data) {
            let code = match &error {
                mynah_codec::EncodeError::TooLarge { .. } => ErrorCode::TOO_LARGE,
                _ => ErrorCode::UNENCODABLE,
            };
            return Err(Box::new(RpcError::new(code, error.to_string())));
        }
        let sent = Window {
            items: count,
            bytes: batch.len() as u64,
        };
        match owner {
            Owner::Theirs(key) => state.connection.results_sent(key, sent),
            Owner::Ours(id) => state.connection.input_sent(id, sent),
        }
        Ok(())
    }

    /// Writes the end of an input stream, if the peer still waits for it.
    pub(super) fn write_input_end(state: &mut State, id: CallId, error: Option<Box<RpcError>>) {
        if !state.connection.end_input(id) {
            return;
        }
        if let Some((slot, _)) = state.connection.call_mut(id)
            && let Some(extras) = &mut slot.extras
        {
            extras.input = OutInput::None;
        }
        let end = InputEnd {
            id: id.into(),
            error,
        };
        if state.out.put(&Envelope::InputEnd(end), Lane::Data).is_err() {
            // An error that cannot be written is told without its data.
            let error = Some(Box::new(RpcError::from_code(ErrorCode::UNENCODABLE)));
            let end = InputEnd {
                id: id.into(),
                error,
            };
            drop(state.out.put(&Envelope::InputEnd(end), Lane::Data));
        }
    }

    /// Takes in the streams whose peers are ready, resumes those that have credit, stops those whose calls are over.
    pub(super) fn carry_out_streams(&mut self) {
        for (id, producer) in std::mem::take(&mut self.turn.get().collected.inputs) {
            self.adopt_input(id, producer);
        }
        let turn = self.turn.get();
        for place in turn.collected.resume.drain(..) {
            turn.running.resume(place);
        }
        for (place, id) in std::mem::take(&mut self.turn.get().collected.stopped_inputs) {
            if let Some(handler) = self.turn.get().running.remove_of(place, Owner::Ours(id)) {
                drop_producer(handler);
            }
        }
        for producer in std::mem::take(&mut self.turn.get().collected.unused) {
            drop_stream(producer);
        }
        if !self.turn.get().collected.revoked.is_empty() {
            self.link
                .callbacks
                .revoke(&self.turn.get().collected.revoked);
            self.turn.get().collected.revoked.clear();
        }
    }

    fn adopt_input(&mut self, id: CallId, producer: Box<dyn Produce>) {
        let (place, waker) = self.turn.get().running.next_place();
        let link = Arc::clone(&self.link);
        let mut state = link.lock();
        let waits = match state.connection.call_mut(id) {
            Some((slot, false)) => match &mut slot.extras {
                Some(extras) if matches!(extras.input, OutInput::Moving) => {
                    extras.input = OutInput::Running(place);
                    true
                }
                _ => false,
            },
            _ => false,
        };
        drop(state);
        if !waits {
            drop_stream(producer);
            return;
        }
        let handler = Handler {
            owner: Owner::Ours(id),
            route: usize::MAX,
            work: Work::Stream(producer),
        };
        self.turn.get().running.occupy(place, handler);
        waker.wake();
    }

    /// Resumes what waited for room in the output.
    pub(super) fn resume_stalled(&mut self) {
        for place in self.stalled.drain(..) {
            self.turn.get().running.resume(place);
        }
    }

    /// Resumes the streams whose own large messages waited, when enough has left that theirs may be among it.
    #[cold]
    pub(super) fn resume_stalled_large(&mut self, waits: usize) {
        let high = self.link.config.limits.output_high_water_bytes;
        if waits > high / 2 && waits + (high / 8).max(1) > self.large_waits {
            return;
        }
        self.large_waits = 0;
        for place in self.stalled_large.drain(..) {
            self.turn.get().running.resume(place);
        }
    }

    /// This side drains: subscriptions have no end of their own, so they end now.
    pub(super) fn drain_streams(&mut self) {
        let mut told = Vec::new();
        for (place, producer) in self.turn.get().running.streams() {
            if producer.drain() {
                told.push(place);
            }
        }
        for place in told {
            self.turn.get().running.resume(place);
        }
    }
}

/// Drops a stream of the user, whose panic is its own.
pub(super) fn drop_stream(producer: Box<dyn Produce>) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(producer))) {
        panicked_error(&*payload);
    }
}

fn drop_producer(handler: Handler) {
    if let Work::Stream(producer) = handler.work {
        drop_stream(producer);
    }
}
