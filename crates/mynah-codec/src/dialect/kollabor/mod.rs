//! The wire of PyPI kollabor-rpc: requests and replies as lines of JSON.
//!
//! Each message is one JSON object on a line of its own. There is no handshake. What maps to what, what is refused and
//! what is repaired is in `docs/wire/kollabor.md`.

mod fault;
mod read;
mod write;

use crate::dialect::lines::{Line, Lines};
use crate::dialect::members::Members;
use crate::dialect::{Dialect, Side};
use crate::format::json::{NonFinite, Options};
use crate::{EncodeError, Format, FrameSpan, Output, Step, Wire, WireError};
use fault::Kind;
use mynah_protocol::{
    Capabilities, DuplicateKeys, Envelope, FormatId, HalfClose, Lane, Limits, ParamsShape, Profile,
    WireId,
};
use read::Meaning;

/// The name of this dialect.
pub const NAME: &str = "kollabor";

/// The deepest nesting of one message, the message itself included. Python takes more; deeper values than this are
/// none that people write.
pub const MAX_DEPTH: u32 = 400;

/// The longest line, in bytes without the line feed, that a real client takes.
pub const MAX_LINE_BYTES: usize = 16 << 20;

/// The longest line, in bytes without the line feed, that the hub takes: it closes the connection over a longer one.
pub const HUB_LINE_BYTES: usize = 64 << 10;

/// The seconds that a request has which names none.
pub const DEFAULT_TIMEOUT_SECS: u64 = 30;

/// Requests that were not handed on and wait for [`Wire::own_output`] to answer them.
const MAX_REFUSALS: usize = 256;

/// The dialect as it is chosen.
#[derive(Clone, Copy, Debug)]
pub struct Kollabor {
    max_sent_bytes: usize,
}

impl Default for Kollabor {
    fn default() -> Self {
        Self::new()
    }
}

impl Kollabor {
    /// The wire as the package has it: lines as long as the limits let a message be.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            max_sent_bytes: usize::MAX,
        }
    }

    /// The wire toward a hub: what is sent has at most [`HUB_LINE_BYTES`], and a larger request fails where it is made.
    #[must_use]
    pub const fn toward_hub() -> Self {
        Self::new().with_max_sent_bytes(HUB_LINE_BYTES)
    }

    /// Limits the lines that are sent, in bytes without the line feed, where the other side takes less than this side.
    #[must_use]
    pub const fn with_max_sent_bytes(mut self, bytes: usize) -> Self {
        self.max_sent_bytes = bytes;
        self
    }
}

impl Dialect for Kollabor {
    fn name(&self) -> &'static str {
        NAME
    }

    fn wire(&self, _side: Side, limits: &Limits) -> Box<dyn Wire> {
        Box::new(KollaborWire::new(*self, limits))
    }

    fn clone_box(&self) -> Box<dyn Dialect> {
        Box::new(*self)
    }

    fn options(&self) -> String {
        match self.max_sent_bytes {
            usize::MAX => "dialect=kollabor".to_owned(),
            most => format!("dialect=kollabor&max_sent_bytes={most}"),
        }
    }
}

/// One connection on the wire of kollabor.
///
/// Both sides are the same: either asks and answers.
#[derive(Debug)]
pub struct KollaborWire {
    profile: Profile,
    lines: Lines,
    members: Members,
    rules: read::Rules,
    max_sent_bytes: usize,
    ignored: u64,
    why_ignored: &'static str,
    refusals: Vec<Refusal>,
    /// The peer says no more; it is to be found out whether it still listens.
    probes: bool,
}

/// A request that is answered without being handed on.
#[derive(Debug)]
struct Refusal {
    id: WireId,
    kind: Kind,
    text: String,
}

impl KollaborWire {
    /// A connection that has said nothing yet.
    #[must_use]
    pub fn new(dialect: Kollabor, limits: &Limits) -> Self {
        let mut capabilities = Capabilities::NONE;
        capabilities.cancel = true;
        capabilities.deadline = true;
        capabilities.text_ids = true;
        let profile = Profile::new(NAME, FormatId::Json)
            .with_capabilities(capabilities)
            .with_params(ParamsShape::Named)
            .with_max_depth(MAX_DEPTH)
            .with_duplicate_keys(DuplicateKeys::LastWins)
            .with_half_close(HalfClose::Answers);
        let decode = profile.decode_limits(limits);
        Self {
            profile,
            lines: Lines::new(decode.max_message_bytes),
            members: Members::new(&decode, Options::PYTHON_TEXT),
            rules: read::Rules {
                max_name_bytes: limits.max_name_bytes,
                max_id_bytes: limits.max_id_bytes,
            },
            max_sent_bytes: decode.max_message_bytes.min(dialect.max_sent_bytes),
            ignored: 0,
            why_ignored: "",
            refusals: Vec::new(),
            probes: false,
        }
    }

    /// How many lines were skipped because they say nothing on this wire, or were too long.
    #[must_use]
    pub const fn ignored(&self) -> u64 {
        self.ignored
    }

    fn ignore<'b>(&mut self, next: usize, why: &'static str) -> Step<'b> {
        self.ignored += 1;
        self.why_ignored = why;
        Step::Ignore(next)
    }

    /// What a line says. `whole`: it is all there, and not only the start of one that is too long.
    fn step<'b>(&mut self, line: &'b [u8], next: usize, whole: bool) -> Step<'b> {
        let line = line.trim_ascii();
        if line.is_empty() && whole {
            return Step::Skip(next);
        }
        let mut fields = read::Fields::default();
        let read = if line.first() == Some(&b'{') {
            self.members.read(line, |key, value| fields.put(key, value))
        } else if whole {
            // Whether it is JSON makes no difference: it is no object.
            return self.ignore(next, "line is no object");
        } else {
            Ok(())
        };
        let flaw = match read {
            _ if !whole => Some(read::Flaw::TooLong(self.lines.limit())),
            Ok(()) => None,
            Err(error) => Some(read::Flaw::Malformed(error)),
        };
        match read::message(&fields, flaw, self.rules) {
            Meaning::Envelope(envelope) => Step::Envelope(next, envelope),
            Meaning::Nothing(why) => self.ignore(next, why),
            Meaning::Refused(refusal, why) => {
                // Beyond a number that no honest peer reaches at once, nothing is answered.
                if self.refusals.len() < MAX_REFUSALS {
                    self.refusals.push(refusal);
                }
                self.ignore(next, why)
            }
        }
    }

    fn take<'b>(&mut self, input: &'b [u8], line: Line) -> Option<Step<'b>> {
        let start = |len: usize| input.get(..len).unwrap_or_default();
        Some(match line {
            Line::Open => return None,
            Line::Blank(next) | Line::End(next) => Step::Skip(next),
            Line::Whole { len, next } => self.step(start(len), next, true),
            Line::TooLong { len, next } => self.step(start(len), next, false),
        })
    }
}

impl Wire for KollaborWire {
    fn profile(&self) -> &Profile {
        &self.profile
    }

    fn format(&self) -> Format {
        Format::PythonText(NonFinite::Tokens)
    }

    fn decode<'b>(&mut self, input: &'b [u8]) -> Result<Step<'b>, WireError> {
        let line = self.lines.cut(input);
        Ok(self.take(input, line).unwrap_or(Step::Need(1)))
    }

    fn finish<'b>(&mut self, input: &'b [u8]) -> Result<Option<Step<'b>>, WireError> {
        self.probes = true;
        if input.is_empty() {
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
        let limit = self.max_sent_bytes;
        out.frame(lane, |buffer| {
            let start = buffer.len();
            write::envelope(envelope, buffer)?;
            let len = buffer.len() - start;
            if len > limit {
                return Err(EncodeError::TooLarge { len, limit });
            }
            buffer.push(b'\n');
            Ok(())
        })
    }

    fn own_output(&mut self, out: &mut Output) {
        for refusal in std::mem::take(&mut self.refusals) {
            let written = out.frame(Lane::Data, |buffer| {
                write::failure(&refusal.id, refusal.kind.name(), &refusal.text, buffer)?;
                buffer.push(b'\n');
                Ok(())
            });
            debug_assert!(written.is_ok(), "an id that was read can be written");
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
