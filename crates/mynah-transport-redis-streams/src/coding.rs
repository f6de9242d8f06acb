//! The formats of payloads, and how entries say which one they are in.
//!
//! JSON is what clamator speaks, and has no mark. What is said in another format is a frame of the native wire, in an entry
//! whose kind has the name of the format behind a plus: `call+cbor`, `answer+cbor`, `frame+cbor`, `event+cbor`.

use crate::session::kind;
use mynah_codec::Format;
use mynah_codec::dialect::native::Frames;
use mynah_protocol::{FormatId, Limits};

/// A format that can be carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Coding {
    #[default]
    Json,
    Cbor,
    MessagePack,
}

impl Coding {
    pub(crate) const ALL: [Self; 3] = [Self::Json, Self::Cbor, Self::MessagePack];

    /// `None` for formats of a program's own.
    pub(crate) const fn of(format: FormatId) -> Option<Self> {
        match format {
            FormatId::Json => Some(Self::Json),
            FormatId::Cbor => Some(Self::Cbor),
            FormatId::MessagePack => Some(Self::MessagePack),
            _ => None,
        }
    }

    pub(crate) const fn id(self) -> FormatId {
        match self {
            Self::Json => FormatId::Json,
            Self::Cbor => FormatId::Cbor,
            Self::MessagePack => FormatId::MessagePack,
        }
    }

    /// How payloads are read where they are looked into.
    pub(crate) const fn format(self) -> Format {
        match self {
            Self::Json => Format::Json,
            Self::Cbor => Format::Cbor,
            Self::MessagePack => Format::MessagePack,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Cbor => "cbor",
            Self::MessagePack => "messagepack",
        }
    }

    /// What an entry with a frame is.
    pub(crate) const fn frame(self) -> &'static str {
        match self {
            Self::Json => kind::FRAME,
            Self::Cbor => "frame+cbor",
            Self::MessagePack => "frame+messagepack",
        }
    }

    /// What an entry with a message of a topic is.
    pub(crate) const fn event(self) -> &'static str {
        match self {
            Self::Json => crate::events::EVENT,
            Self::Cbor => "event+cbor",
            Self::MessagePack => "event+messagepack",
        }
    }

    /// What a plain call in it is; JSON has none, for it is an envelope of clamator.
    pub(crate) const fn call(self) -> Option<&'static str> {
        match self {
            Self::Json => None,
            Self::Cbor => Some("call+cbor"),
            Self::MessagePack => Some("call+messagepack"),
        }
    }

    /// What the answer to one is.
    pub(crate) const fn answer(self) -> Option<&'static str> {
        match self {
            Self::Json => None,
            Self::Cbor => Some("answer+cbor"),
            Self::MessagePack => Some("answer+messagepack"),
        }
    }

    /// The method that the envelope beside a call names, for servers that read nothing else. No service has it.
    pub(crate) const fn decoy(self) -> &'static str {
        match self {
            Self::Json => "mynahCallInJson",
            Self::Cbor => "mynahCallInCbor",
            Self::MessagePack => "mynahCallInMessagepack",
        }
    }
}

/// In which format an entry of this kind is, if it is `what`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// It is something else.
    Other,
    In(Coding),
    /// One that is not known here.
    Unknown,
}

impl Said {
    pub(crate) fn read(what: &str, kind: &[u8]) -> Self {
        let Some(rest) = kind.strip_prefix(what.as_bytes()) else {
            return Self::Other;
        };
        let name = match rest {
            [] => return Self::In(Coding::Json),
            [b'+', name @ ..] => name,
            _ => return Self::Other,
        };
        let known = (Coding::ALL.iter()).find(|coding| coding.name().as_bytes() == name);
        known.map_or(Self::Unknown, |coding| Self::In(*coding))
    }
}

/// One for each format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PerCoding<T> {
    json: T,
    cbor: T,
    messagepack: T,
}

impl<T: Copy> PerCoding<T> {
    /// The same for all.
    pub(crate) const fn all(one: T) -> Self {
        Self {
            json: one,
            cbor: one,
            messagepack: one,
        }
    }
}

impl<T> PerCoding<T> {
    pub(crate) const fn of(&self, coding: Coding) -> &T {
        match coding {
            Coding::Json => &self.json,
            Coding::Cbor => &self.cbor,
            Coding::MessagePack => &self.messagepack,
        }
    }

    pub(crate) const fn of_mut(&mut self, coding: Coding) -> &mut T {
        match coding {
            Coding::Json => &mut self.json,
            Coding::Cbor => &mut self.cbor,
            Coding::MessagePack => &mut self.messagepack,
        }
    }

    pub(crate) fn each(&self) -> impl Iterator<Item = &T> {
        [&self.json, &self.cbor, &self.messagepack].into_iter()
    }
}

impl PerCoding<Frames> {
    /// How frames are written in each.
    pub(crate) fn frames(limits: &Limits) -> Self {
        Self {
            json: Frames::new(FormatId::Json, limits),
            cbor: Frames::new(FormatId::Cbor, limits),
            messagepack: Frames::new(FormatId::MessagePack, limits),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_says_what_it_is_and_in_which_format() {
        for coding in Coding::ALL {
            assert_eq!(Coding::of(coding.id()), Some(coding));
            assert_eq!(
                Said::read("frame", coding.frame().as_bytes()),
                Said::In(coding)
            );
            assert_eq!(
                Said::read("event", coding.event().as_bytes()),
                Said::In(coding)
            );
            for (what, kind) in [("call", coding.call()), ("answer", coding.answer())] {
                let read = kind.map(|kind| Said::read(what, kind.as_bytes()));
                assert_eq!(read, kind.map(|_| Said::In(coding)));
            }
        }
        assert_eq!(Coding::of(FormatId::Other(77)), None);
        assert_eq!(Said::read("call", b"call+morse"), Said::Unknown);
        assert_eq!(Said::read("call", b"call+"), Said::Unknown);
        assert_eq!(Said::read("call", b"call+\xff"), Said::Unknown);
        for other in [&b""[..], b"1", b"calls", b"frame+cbor", b"cal"] {
            assert_eq!(Said::read("call", other), Said::Other);
        }
    }
}
