//! Messages, with nothing around them.

use super::read::{self, Fields, Flaw, Part};
use super::{CLAMATOR_MAX_DEPTH, Flavor, JsonRpc, NAME, write};
use crate::dialect::members::Members;
use crate::format::json::{NonFinite, Options};
use crate::{EncodeError, Format};
use mynah_protocol::{
    Capabilities, DuplicateKeys, Envelope, FormatId, HalfClose, Limits, ParamsShape, Profile,
    Response,
};

/// The messages of JSON-RPC 2.0, as texts: what they say, and how it is said. What cuts or carries them is elsewhere.
#[derive(Debug)]
pub struct Messages {
    flavor: Flavor,
    profile: Profile,
    members: Members,
    rules: read::Rules,
    limit: usize,
}

/// What a message says.
#[derive(Debug)]
pub enum Read<'b> {
    /// This.
    Envelope(Envelope<'b>),
    /// Nothing that this side knows. Why: one of a few texts.
    Ignored(&'static str),
    /// The same, and it is to be answered with this.
    Refused(Response<'static>, &'static str),
}

impl Messages {
    /// The messages of one connection, or of one carrier.
    #[must_use]
    pub fn new(dialect: JsonRpc, limits: &Limits) -> Self {
        let clamator = dialect.flavor == Flavor::Clamator;
        let mut capabilities = Capabilities::NONE;
        capabilities.notifications = true;
        capabilities.error_codes = true;
        capabilities.services = clamator;
        let mut profile = Profile::new(NAME, FormatId::Json)
            .with_capabilities(capabilities)
            .with_duplicate_keys(DuplicateKeys::LastWins)
            // Codes from -32099 to -32000 are anybody's.
            .with_foreign_codes()
            .with_half_close(HalfClose::Answers);
        profile = match (dialect.flavor, dialect.named) {
            (Flavor::Standard, false) => profile
                .with_params(ParamsShape::Positional)
                .with_any_params(),
            (Flavor::Standard, true) => profile.with_params(ParamsShape::Named).with_any_params(),
            (Flavor::Clamator, _) => profile
                .with_params(ParamsShape::Named)
                .with_max_depth(CLAMATOR_MAX_DEPTH),
        };
        let decode = profile.decode_limits(limits);
        let options = match dialect.flavor {
            Flavor::Standard => Options::STRICT,
            Flavor::Clamator => Options::PYTHON_TEXT,
        };
        Self {
            flavor: dialect.flavor,
            members: Members::new(&decode, options),
            rules: read::Rules {
                flavor: dialect.flavor,
                max_name_bytes: limits.max_name_bytes,
                max_id_bytes: limits.max_id_bytes,
                decode,
            },
            limit: decode.max_message_bytes,
            profile,
        }
    }

    /// What these messages can say.
    #[must_use]
    pub const fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The codec of payloads in them.
    #[must_use]
    pub const fn format(&self) -> Format {
        match self.flavor {
            Flavor::Standard => Format::Json,
            Flavor::Clamator => Format::PythonText(NonFinite::Refuse),
        }
    }

    /// Reads the message that is the whole of `text`, white space around it aside.
    pub fn read<'b>(&mut self, text: &'b [u8]) -> Read<'b> {
        let text = text.trim_ascii();
        if text.len() > self.limit {
            let start = text.get(..self.limit).unwrap_or(text);
            let part = self.part(start).with_tail(text, &self.rules);
            return self.read_part(&part);
        }
        let mut fields = Fields::default();
        let flaw = match text.first() {
            Some(b'{') => {
                let read = self.members.read(text, |key, value| fields.put(key, value));
                read.err().map(Flaw::Malformed)
            }
            Some(b'[') => Some(Flaw::Batch),
            _ => self.format().scan(text, &self.rules.decode).map_or_else(
                |error| Some(Flaw::Malformed(error)),
                |()| Some(Flaw::NoObject),
            ),
        };
        read::message(&fields, flaw, &self.rules)
    }

    /// What is known of a message that is above the limit by its start.
    pub(super) fn part(&mut self, start: &[u8]) -> Part {
        let mut fields = Fields::default();
        if start.trim_ascii_start().first() == Some(&b'{') {
            // It ends too early by its nature.
            drop(
                self.members
                    .read(start, |key, value| fields.put(key, value)),
            );
        }
        Part::of(&fields, &self.rules)
    }

    /// The same, with what stands at its end.
    pub(super) fn part_with_tail(&self, part: Part, tail: &[u8]) -> Part {
        part.with_tail(tail, &self.rules)
    }

    /// What is said of a message above the limit: a request is answered if its id is known, an answer fails its call.
    pub(super) fn read_part(&self, part: &Part) -> Read<'static> {
        read::part(part, &Flaw::TooLong(self.limit), &self.rules)
    }

    /// Writes one message on one line, without anything behind it.
    ///
    /// # Errors
    /// - [`EncodeError::Unsupported`] when these messages cannot say it.
    /// - [`EncodeError::Value`] when a payload is in another format, or a name breaks the rules of clamator.
    ///
    /// `out` may then hold a part of it.
    pub fn write(&self, envelope: &Envelope<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        write::envelope(self.flavor, envelope, out)
    }
}
