//! JSON-RPC 2.0, as the specification has it and as clamator speaks it.
//!
//! [`Messages`] is what a message says, without anything around it: for carriers whose entries are messages. The wire
//! ([`JsonRpc`]) writes and reads them as lines. What maps to what is in `docs/wire/jsonrpc.md`.

mod fault;
mod messages;
mod names;
mod read;
mod write;

pub use messages::{Messages, Read};

use crate::dialect::lines::{Line, Lines};
use crate::dialect::{Dialect, Side};
use crate::{EncodeError, Format, FrameSpan, Output, Step, Wire, WireError};
use mynah_protocol::{Envelope, Lane, Limits, Profile, Response};
use read::Part;

/// The name of this dialect.
pub const NAME: &str = "jsonrpc";

/// The deepest nesting of a message in [`Flavor::Clamator`], the message itself included: payloads nest 254 deep, as
/// far as results of its Python servers go.
pub const CLAMATOR_MAX_DEPTH: u32 = 256;

/// Why a line is skipped that is too long, before its end is known.
const TOO_LONG: &str = "message is too long";

/// Messages that were not handed on and wait for [`Wire::own_output`] to answer them.
const MAX_REFUSALS: usize = 256;

/// What is left open by the specification, and who fills it in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Flavor {
    /// The specification, and nobody: ids of this side are numbers, a method has one name, params are by position
    /// or by name, and messages are compact.
    #[default]
    Standard,
    /// PyPI and npm clamator: ids are texts in the form of a UUID, methods are `service.method` by its rules, params
    /// are one object, errors always have data, and messages are spelled as Python spells them.
    Clamator,
}

/// The dialect as it is chosen.
#[derive(Clone, Copy, Debug, Default)]
pub struct JsonRpc {
    flavor: Flavor,
    named: bool,
}

impl JsonRpc {
    /// As the specification has it. Calls give their params by position.
    #[must_use]
    pub const fn standard() -> Self {
        Self {
            flavor: Flavor::Standard,
            named: false,
        }
    }

    /// As clamator speaks it.
    #[must_use]
    pub const fn clamator() -> Self {
        Self {
            flavor: Flavor::Clamator,
            named: true,
        }
    }

    /// Whether calls give their params by name. Both are read in either setting; clamator knows no other.
    #[must_use]
    pub const fn with_named_params(mut self, named: bool) -> Self {
        self.named = named || matches!(self.flavor, Flavor::Clamator);
        self
    }
}

impl Dialect for JsonRpc {
    fn name(&self) -> &'static str {
        NAME
    }

    fn wire(&self, _side: Side, limits: &Limits) -> Box<dyn Wire> {
        Box::new(JsonRpcWire::new(*self, limits))
    }

    fn clone_box(&self) -> Box<dyn Dialect> {
        Box::new(*self)
    }

    fn options(&self) -> String {
        let options = match (self.flavor, self.named) {
            (Flavor::Clamator, _) => "dialect=jsonrpc&profile=clamator",
            (Flavor::Standard, true) => "dialect=jsonrpc&params=named",
            (Flavor::Standard, false) => "dialect=jsonrpc",
        };
        options.to_owned()
    }
}

/// One connection on which messages of JSON-RPC are lines.
///
/// Both sides are the same: either asks, notifies and answers.
#[derive(Debug)]
pub struct JsonRpcWire {
    messages: Messages,
    lines: Lines,
    ignored: u64,
    why_ignored: &'static str,
    refusals: Vec<Response<'static>>,
    /// A line that is too long goes on, and its id may stand at its end.
    part: Option<Part>,
    /// The peer says no more; it is to be found out whether it still listens.
    probes: bool,
}

impl JsonRpcWire {
    /// A connection that has said nothing yet.
    #[must_use]
    pub fn new(dialect: JsonRpc, limits: &Limits) -> Self {
        Self {
            messages: Messages::new(dialect, limits),
            // Room for the longest id, escaped.
            lines: Lines::new(limits.decode.max_message_bytes)
                .with_tail(limits.max_id_bytes.saturating_mul(6).saturating_add(64)),
            part: None,
            ignored: 0,
            why_ignored: "",
            refusals: Vec::new(),
            probes: false,
        }
    }

    /// How many messages were skipped because they say nothing on this wire, or were too long.
    #[must_use]
    pub const fn ignored(&self) -> u64 {
        self.ignored
    }

    fn ignore<'b>(&mut self, next: usize, why: &'static str) -> Step<'b> {
        self.ignored += 1;
        self.why_ignored = why;
        Step::Ignore(next)
    }

    /// Beyond a number that no honest peer reaches at once, nothing is answered.
    fn refuse(&mut self, answer: Response<'static>) {
        if self.refusals.len() < MAX_REFUSALS {
            self.refusals.push(answer);
        }
    }

    fn whole<'b>(&mut self, line: &'b [u8], next: usize) -> Step<'b> {
        if line.trim_ascii().is_empty() {
            return Step::Skip(next);
        }
        match self.messages.read(line) {
            Read::Envelope(envelope) => Step::Envelope(next, envelope),
            Read::Ignored(why) => self.ignore(next, why),
            Read::Refused(answer, why) => {
                self.refuse(answer);
                self.ignore(next, why)
            }
        }
    }

    /// A line that is too long begins: it is charged for here, and answered here if its id is known.
    fn begin_long<'b>(&mut self, start: &[u8], next: usize) -> Step<'b> {
        let part = self.messages.part(start);
        if part.id.is_none() {
            self.part = Some(part);
            return self.ignore(next, TOO_LONG);
        }
        match self.messages.read_part(&part) {
            Read::Envelope(envelope) => Step::Envelope(next, envelope),
            Read::Refused(answer, why) => {
                self.refuse(answer);
                self.ignore(next, why)
            }
            Read::Ignored(why) => self.ignore(next, why),
        }
    }

    /// A line that was too long ends.
    fn end_long<'b>(&mut self, next: usize) -> Step<'b> {
        let Some(part) = self.part.take() else {
            return Step::Skip(next);
        };
        let part = self.messages.part_with_tail(part, self.lines.tail());
        match self.messages.read_part(&part) {
            Read::Envelope(envelope) => return Step::Envelope(next, envelope),
            Read::Refused(answer, _) => self.refuse(answer),
            Read::Ignored(_) => {}
        }
        Step::Skip(next)
    }

    fn take<'b>(&mut self, input: &'b [u8], line: Line) -> Option<Step<'b>> {
        let start = |len: usize| input.get(..len).unwrap_or_default();
        Some(match line {
            Line::Open => return None,
            Line::Blank(next) => Step::Skip(next),
            Line::Whole { len, next } => self.whole(start(len), next),
            Line::TooLong { len, next } => self.begin_long(start(len), next),
            Line::End(next) => self.end_long(next),
        })
    }

    fn line(&self, envelope: &Envelope<'_>, buffer: &mut Vec<u8>) -> Result<(), EncodeError> {
        let start = buffer.len();
        self.messages.write(envelope, buffer)?;
        let len = buffer.len() - start;
        let limit = self.lines.limit();
        if len > limit {
            return Err(EncodeError::TooLarge { len, limit });
        }
        buffer.push(b'\n');
        Ok(())
    }
}

impl Wire for JsonRpcWire {
    fn profile(&self) -> &Profile {
        self.messages.profile()
    }

    fn format(&self) -> Format {
        self.messages.format()
    }

    fn decode<'b>(&mut self, input: &'b [u8]) -> Result<Step<'b>, WireError> {
        let line = self.lines.cut(input);
        Ok(self.take(input, line).unwrap_or(Step::Need(1)))
    }

    fn finish<'b>(&mut self, input: &'b [u8]) -> Result<Option<Step<'b>>, WireError> {
        self.probes = true;
        // A line that was too long may have been passed already, and is answered at its end.
        if input.is_empty() && self.part.is_none() {
            return Ok(None);
        }
        let line = self.lines.finish(input);
        Ok(self.take(input, line))
    }

    fn message_end(&self) -> &'static [u8] {
        b"\n"
    }

    fn why_ignored(&self) -> &'static str {
        self.why_ignored
    }

    fn encode(
        &mut self,
        envelope: &Envelope<'_>,
        lane: Lane,
        out: &mut Output,
    ) -> Result<FrameSpan, EncodeError> {
        let wire = &*self;
        out.frame(lane, |buffer| wire.line(envelope, buffer))
    }

    fn own_output(&mut self, out: &mut Output) {
        for refusal in std::mem::take(&mut self.refusals) {
            let wire = &*self;
            let answer = Envelope::Response(refusal);
            let written = out.frame(Lane::Data, |buffer| wire.line(&answer, buffer));
            // One that is beyond the limit itself is not said.
            drop(written);
        }
        if std::mem::take(&mut self.probes) {
            // An empty line means nothing to a peer that only listens; writing to one that is gone fails.
            let written = out.frame(Lane::Data, |buffer| {
                buffer.push(b'\n');
                Ok(())
            });
            debug_assert!(written.is_ok(), "a line feed can be written");
        }
    }
}

#[cfg(test)]
mod tests;
