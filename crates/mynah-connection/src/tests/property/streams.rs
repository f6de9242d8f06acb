//! Streams between two connections: what the programs do with them, and what holds of every one.

use super::pair::Side;
use super::*;
use crate::InboundKey;
use mynah_protocol::CallId;

/// The largest batch: one that went beyond its window by one item.
const LARGEST_BATCH: u64 = 300;

impl Pair {
    pub(super) fn stream(&mut self, at: usize, pick: usize, op: StreamOp) {
        match op {
            StreamOp::Results(count, size) => self.sides[at].results(pick, count, size),
            StreamOp::TakeResults(count) => self.take_results(at, pick, count),
            StreamOp::Accept => self.sides[at].accept(pick),
            StreamOp::OpenInput => self.open_input(at, pick),
            StreamOp::Input(count, size) => self.sides[at].input(pick, count, size),
            StreamOp::TakeInput(count) => self.take_input(at, pick, count),
            StreamOp::EndInput(well) => self.sides[at].end_input(pick, well),
            StreamOp::StopInput => self.stop_input(at, pick),
        }
    }

    fn take_results(&mut self, at: usize, pick: usize, count: usize) {
        let side = &mut self.sides[at];
        let mut seen = Recorder::default();
        if let Some((id, _)) = side.model.ended.first() {
            // What waits of a call that has ended may be taken, and nobody is told.
            let taken = Window { items: 1, bytes: 9 };
            let id = id.as_call_id().expect("ours");
            side.connection.taken(id, taken, &mut seen);
            assert_eq!(seen.take(), []);
        }
        let has = |call: &&mut Call| call.result.is_some();
        let mut calls: Vec<_> = side.model.waiting.iter_mut().filter(has).collect();
        if calls.is_empty() {
            return;
        }
        let pick = pick % calls.len();
        let Call { id, result, .. } = &mut *calls[pick];
        let (taken, more) = result.as_mut().expect("results").take(count);
        let must = more.map(|more| Must::grant(id, StreamSide::Result, more));
        let id = id.as_call_id().expect("ours");
        side.connection.taken(id, taken, &mut seen);
        self.compare(at, seen, must.into_iter().collect());
    }

    fn open_input(&mut self, at: usize, pick: usize) {
        let side = &mut self.sides[at];
        let Some(pick) = side.pick_handler(pick, |one| one.has_input) else {
            return;
        };
        let closed = side.model.closed;
        let window = side.connection.window();
        let handler = &mut side.model.running[pick];
        let key = side.keys[&handler.serial];
        let mut must = Vec::new();
        if let (Some(input), Some(id), false) = (&mut handler.input, &handler.id, closed) {
            let granted = input.open(window);
            must.extend(granted.map(|more| Must::grant(id, StreamSide::Input, more)));
        }
        let mut seen = Recorder::default();
        assert!(side.connection.open_input(key, &mut seen));
        self.compare(at, seen, must);
    }

    fn take_input(&mut self, at: usize, pick: usize, count: usize) {
        let side = &mut self.sides[at];
        let Some(pick) = side.pick_handler(pick, |one| one.input.is_some()) else {
            return;
        };
        let handler = &mut side.model.running[pick];
        let key = side.keys[&handler.serial];
        let (input, id) = (handler.input.as_mut(), handler.id.as_ref());
        let (input, id) = (input.expect("an input"), id.expect("a call"));
        if side.model.closed {
            return;
        }
        let (taken, more) = input.take(count);
        let must = more.map(|more| Must::grant(id, StreamSide::Input, more));
        let mut seen = Recorder::default();
        side.connection.input_taken(key, taken, &mut seen);
        self.compare(at, seen, must.into_iter().collect());
    }

    fn stop_input(&mut self, at: usize, pick: usize) {
        let side = &mut self.sides[at];
        let Some(pick) = side.pick_handler(pick, |one| one.has_input) else {
            return;
        };
        let handler = &mut side.model.running[pick];
        let key = side.keys[&handler.serial];
        let mut must = Vec::new();
        if let (Some(input), Some(id)) = (&mut handler.input, &handler.id)
            && !std::mem::replace(&mut input.stopped, true)
            && !side.model.closed
        {
            must.push(Must::StopInput(id.to_string()));
        }
        let mut seen = Recorder::default();
        side.connection.stop_input(key, &mut seen);
        self.compare(at, seen, must);
    }

    /// Each end counts as its model does, and what the two ends and the wire hold makes up the window.
    pub(super) fn check_streams(&mut self) {
        for at in 0..2 {
            let [left, right] = &mut self.sides;
            let (callee, caller) = if at == 0 {
                (left, right)
            } else {
                (right, left)
            };
            for call in &caller.model.waiting {
                let id = call.id.as_call_id().expect("ours");
                let flow = caller.connection.out_flow(id);
                let receiver = flow.and_then(|flow| flow.result);
                assert_eq!(receiver.is_some(), call.result.is_some());
                if let (Some(receiver), Some(intake)) = (receiver, &call.result) {
                    assert_eq!(receiver.credit(), intake.credit());
                    assert!(receiver.conserved(intake.held()), "results of {id:?}");
                    intake.check(LARGEST_BATCH);
                }
                let sender = flow.and_then(|flow| flow.input.as_ref());
                let known = call.input.as_ref().map(Feed::credit);
                assert_eq!(sender.map(|sender| sender.credit()), known);
            }
            for handler in &callee.model.running {
                let key = callee.keys[&handler.serial];
                let flow = callee.connection.in_flow(key);
                let sender = flow.and_then(|flow| flow.result.as_ref());
                let known = handler.result.as_ref().map(Feed::credit);
                assert_eq!(sender.map(|sender| sender.credit()), known);
                let receiver = flow.and_then(|flow| flow.input);
                assert_eq!(receiver.is_some(), handler.input.is_some());
                if let (Some(receiver), Some(intake)) = (receiver, &handler.input) {
                    assert_eq!(receiver.credit(), intake.credit());
                    assert!(receiver.conserved(intake.held()), "input of {key:?}");
                    intake.check(LARGEST_BATCH);
                }
                // Both ends, while neither side is over.
                let caller_of = |call: &&Call| Some(&call.id) == handler.id.as_ref();
                let Some(call) = caller.model.waiting.iter().find(caller_of) else {
                    continue;
                };
                if caller.model.closed || callee.model.closed || !handler.answered {
                    continue;
                }
                if let (Some(feed), Some(intake)) = (&handler.result, &call.result) {
                    let way = (callee.on_the_way(call), caller.on_the_way(call));
                    adds_up(
                        feed,
                        way.0.items(),
                        way.1.credits(StreamSide::Result),
                        intake,
                    );
                }
                if let (Some(feed), Some(intake)) = (&call.input, &handler.input) {
                    let way = (caller.on_the_way(call), callee.on_the_way(call));
                    adds_up(
                        feed,
                        way.0.items(),
                        way.1.credits(StreamSide::Input),
                        intake,
                    );
                }
            }
        }
    }

    /// Everything was delivered. Once the programs have taken what waits, every stream can go on.
    pub(super) fn no_stream_is_stuck(&mut self) {
        for at in 0..2 {
            for pick in 0..8 {
                self.take_results(at, pick, usize::MAX);
                self.take_input(at, pick, usize::MAX);
            }
        }
        self.deliver_everything();
        self.check_streams();
        let [left, right] = &self.sides;
        if left.model.closed || right.model.closed {
            return;
        }
        for (caller, callee) in [(left, right), (right, left)] {
            for call in &caller.model.waiting {
                let known = |one: &&Handler| one.id.as_ref() == Some(&call.id) && one.answered;
                let Some(handler) = callee.model.running.iter().find(known) else {
                    continue;
                };
                if let Some(feed) = &handler.result {
                    assert!(feed.left().is_some(), "results are stuck");
                }
                if let (Some(feed), Some(intake)) = (&call.input, &handler.input) {
                    let opened = intake.is_open() && !intake.stopped;
                    assert_eq!(feed.left().is_some(), opened, "input is stuck");
                }
            }
        }
    }
}

/// What is where makes up the window.
fn adds_up(feed: &Feed, items: Window, credits: Window, intake: &Intake) {
    let (left, left_bytes) = feed.credit();
    let (held, back) = (intake.held(), intake.unreturned());
    let there = left + items.items + credits.items + held.items + back.items;
    let bytes = items.bytes + credits.bytes + held.bytes + back.bytes;
    assert_eq!(there, intake.window().items, "items are conserved");
    let signed = |bytes: u64| i64::try_from(bytes).expect("small");
    let bytes = left_bytes + signed(bytes);
    let window = signed(intake.window().bytes);
    assert_eq!(bytes, window, "bytes are conserved");
}

/// What a side has said about a call and the other has not heard.
struct OnTheWay<'a>(Vec<&'a Envelope<'static>>);

impl OnTheWay<'_> {
    fn items(&self) -> Window {
        let mut sum = Window::ZERO;
        for envelope in &self.0 {
            if let Envelope::Items(items) = envelope {
                sum.items += items.count;
                sum.bytes += items.batch.as_slice().len() as u64;
            }
        }
        sum
    }

    fn credits(&self, stream: StreamSide) -> Window {
        let mut sum = Window::ZERO;
        for envelope in &self.0 {
            if let Envelope::Credit(credit) = envelope
                && credit.stream == stream
            {
                sum.items += credit.more.items;
                sum.bytes += credit.more.bytes;
            }
        }
        sum
    }
}

impl Side {
    /// Ids of the two directions may be the same number: those of one call are told apart by the side.
    fn on_the_way(&self, call: &Call) -> OnTheWay<'_> {
        let is_caller = self.model.waiting.iter().any(|one| std::ptr::eq(one, call));
        let said = |envelope: &&Envelope<'static>| match envelope {
            Envelope::Items(items) => {
                items.id == call.id && (items.stream == StreamSide::Input) == is_caller
            }
            Envelope::Credit(credit) => {
                credit.id == call.id && (credit.stream == StreamSide::Result) == is_caller
            }
            _ => false,
        };
        let lanes = [&self.data, &self.taken, &self.control, &self.wire];
        OnTheWay(lanes.into_iter().flatten().filter(said).collect())
    }

    fn pick_handler(&self, pick: usize, has: impl Fn(&Handler) -> bool) -> Option<usize> {
        let running = self.model.running.iter().enumerate();
        let some: Vec<_> = running.filter(|(_, one)| has(one)).collect();
        some.get(pick.checked_rem(some.len())?).map(|(at, _)| *at)
    }

    fn results(&mut self, pick: usize, count: u64, size: u64) {
        let Some(pick) = self.pick_handler(pick, |one| one.result.is_some()) else {
            return;
        };
        let handler = &mut self.model.running[pick];
        let key: InboundKey = self.keys[&handler.serial];
        let (feed, id) = (handler.result.as_mut(), handler.id.clone());
        let (feed, id) = (feed.expect("results"), id.expect("a call"));
        assert!(self.connection.wants_stream(key));
        assert_eq!(self.connection.result_credit(key), feed.left());
        if let Some(batch) = feed.batch(count, size) {
            self.connection.results_sent(key, batch);
            self.data.push_back(items(id, StreamSide::Result, batch));
        }
    }

    fn accept(&mut self, pick: usize) {
        let has = |one: &Handler| one.result.is_some() && !one.accepted;
        if let Some(pick) = self.pick_handler(pick, has) {
            let handler = &mut self.model.running[pick];
            handler.accepted = true;
            let id = handler.id.clone().expect("a call");
            self.data.push_back(Envelope::Accepted(id));
        }
    }

    fn pick_feed(&self, pick: usize) -> Option<usize> {
        let waiting = self.model.waiting.iter().enumerate();
        let some: Vec<_> = waiting.filter(|(_, call)| call.input.is_some()).collect();
        some.get(pick.checked_rem(some.len())?).map(|(at, _)| *at)
    }

    fn input(&mut self, pick: usize, count: u64, size: u64) {
        let Some(pick) = self.pick_feed(pick) else {
            return;
        };
        let call = &mut self.model.waiting[pick];
        let id: CallId = call.id.as_call_id().expect("ours");
        let feed = call.input.as_mut().expect("an input");
        assert_eq!(self.connection.input_credit(id), feed.left());
        if let Some(batch) = feed.batch(count, size) {
            self.connection.input_sent(id, batch);
            self.data
                .push_back(items(id.into(), StreamSide::Input, batch));
        }
    }

    fn end_input(&mut self, pick: usize, well: bool) {
        let Some(pick) = self.pick_feed(pick) else {
            return;
        };
        let call = &mut self.model.waiting[pick];
        // As a driver does: nothing is polled before it may be sent.
        if !call.input.as_ref().is_some_and(Feed::is_open) {
            return;
        }
        call.input = None;
        let id = call.id.as_call_id().expect("ours");
        assert!(self.connection.end_input(id));
        assert!(!self.connection.end_input(id), "ends once");
        self.data.push_back(input_end(id.into(), well));
    }
}
