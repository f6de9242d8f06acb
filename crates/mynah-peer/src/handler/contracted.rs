//! Methods made by hand whose values are held against a contract.
//!
//! The handler reads its params, which says whether they are of its types; then what they say is held against the contract
//! and the handler runs; then its result is. Both are read once more for it, as values without a type: that is what it
//! costs, and only methods of which a contract knows the shapes pay it.

use super::{Called, Invocation, Method, Produce, Progress, Running};
use crate::encoded::{EncodedBuffer, Mark};
use crate::validate::Faults;
use mynah_codec::Format;
use mynah_contract::Validator;
use mynah_protocol::{DecodeLimits, ItemBatch, RpcError, Value};
use std::any::Any;
use std::sync::Arc;
use std::task::{self, Poll};

/// A method and what its contract says of it.
pub(crate) struct HeldToContract {
    method: Box<dyn Method>,
    validator: Arc<Validator>,
}

impl HeldToContract {
    pub(crate) fn new(method: Box<dyn Method>, validator: Arc<Validator>) -> Self {
        Self { method, validator }
    }

    /// Why params are not those of the contract.
    fn refused(
        &self,
        params: &[u8],
        format: Format,
        limits: &DecodeLimits,
    ) -> Option<Box<RpcError>> {
        let value = if params.is_empty() {
            Value::Null
        } else {
            // What is no value without a type is for the handler to refuse; a format may have none.
            format.decode(params, limits).ok()?
        };
        let faults = self.validator.params(&value);
        if faults.is_empty() {
            return None;
        }
        // Types first, as everywhere.
        let misread = self.method.misread(params, format, limits);
        Some(misread.unwrap_or_else(|| Faults::from(faults).refuse_params()))
    }

    fn results(&self, format: Format, limits: &DecodeLimits) -> Option<Results> {
        self.validator.checks_results().then(|| Results {
            validator: Arc::clone(&self.validator),
            format,
            // What this side has made itself is as long as it is.
            limits: DecodeLimits {
                max_collection_len: usize::MAX,
                max_message_bytes: usize::MAX,
                ..*limits
            },
        })
    }
}

impl Method for HeldToContract {
    fn call(
        &self,
        invocation: Invocation<'_>,
        task: &mut task::Context<'_>,
        reply: &mut EncodedBuffer,
    ) -> Called {
        let (format, limits) = (invocation.format, invocation.limits);
        if let Some(refused) = self.refused(invocation.params, format, limits) {
            return Called::Done(Err(refused));
        }
        let results = self.results(format, limits);
        let start = reply.mark();
        let called = self.method.call(invocation, task, reply);
        let Some(results) = results else {
            return called;
        };
        match called {
            Called::Done(done) => Called::Done(done.and_then(|()| results.reply(start, reply))),
            Called::Running(cell) => Called::Running(Box::new(CheckedRunning { cell, results })),
            Called::Streaming { producer, accepted } => Called::Streaming {
                producer: Box::new(CheckedProducer { producer, results }),
                accepted,
            },
            // No method that is made by hand answers from elsewhere.
            elsewhere @ Called::Elsewhere(_) => elsewhere,
        }
    }

    fn misread(
        &self,
        params: &[u8],
        format: Format,
        limits: &DecodeLimits,
    ) -> Option<Box<RpcError>> {
        self.method.misread(params, format, limits)
    }

    fn recycle(&self, cell: Box<dyn Any>) {
        match cell.downcast::<CheckedRunning>() {
            Ok(checked) => self.method.recycle(checked.cell.into_any()),
            Err(cell) => self.method.recycle(cell),
        }
    }
}

/// What is held against the results of one call.
struct Results {
    validator: Arc<Validator>,
    format: Format,
    limits: DecodeLimits,
}

impl Results {
    fn value(&self, bytes: &[u8]) -> Result<(), Box<RpcError>> {
        // A format that does not say what its values are cannot be looked into.
        let Ok(value) = self.format.decode::<Value>(bytes, &self.limits) else {
            return Ok(());
        };
        let faults = self.validator.result(&value);
        if faults.is_empty() {
            return Ok(());
        }
        Err(Faults::from(faults).refuse_result())
    }

    /// The result that stands behind a mark; one that is refused is taken back.
    fn reply(&self, start: Mark, reply: &mut EncodedBuffer) -> Result<(), Box<RpcError>> {
        let encoded = reply.between(start, reply.mark());
        let checked = self.value(&encoded.payload(self.format.id()).contiguous());
        if checked.is_err() {
            reply.truncate(start);
        }
        checked
    }
}

/// A handler that runs, and whose result is checked.
struct CheckedRunning {
    cell: Box<dyn Running>,
    results: Results,
}

impl Running for CheckedRunning {
    fn poll(
        &mut self,
        task: &mut task::Context<'_>,
        reply: &mut EncodedBuffer,
    ) -> Poll<Result<(), Box<RpcError>>> {
        let start = reply.mark();
        let polled = self.cell.poll(task, reply);
        polled.map(|done| done.and_then(|()| self.results.reply(start, reply)))
    }

    fn stop(&mut self) {
        self.cell.stop();
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// A stream of results, each of which is checked.
struct CheckedProducer {
    producer: Box<dyn Produce>,
    results: Results,
}

impl Produce for CheckedProducer {
    fn produce(
        &mut self,
        task: &mut task::Context<'_>,
        items: u64,
        bytes: usize,
        format: Format,
        out: &mut Vec<u8>,
    ) -> (u64, Progress) {
        let start = out.len();
        let produced = self.producer.produce(task, items, bytes, format, out);
        let (mut place, mut right) = (start, 0);
        while let Some(item) = item_at(out, place) {
            if let Err(refused) = self.results.value(item) {
                out.truncate(place);
                return (right, Progress::Ended(Err(refused)));
            }
            place += ItemBatch::PREFIX + item.len();
            right += 1;
        }
        produced
    }

    fn drain(&mut self) -> bool {
        self.producer.drain()
    }
}

/// The item that begins here with its length.
fn item_at(out: &[u8], place: usize) -> Option<&[u8]> {
    let (len, rest) = out
        .get(place..)?
        .split_first_chunk::<{ ItemBatch::PREFIX }>()?;
    rest.get(..usize::try_from(u32::from_be_bytes(*len)).ok()?)
}
