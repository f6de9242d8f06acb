//! What a side says of itself at the start.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// What a side can do and bounds, said once at the start.
///
/// What a dialect has no word for is left out; what a side does not know of another's is passed over.
#[derive(Clone, Debug, PartialEq, Default)]
#[non_exhaustive]
pub struct Hello<'a> {
    /// The version of the wire on this connection.
    pub version: u64,
    /// The largest message that the sender takes, in bytes.
    pub max_message_bytes: Option<u64>,
    /// How many unanswered requests the sender takes.
    pub calls_in_flight: Option<u64>,
    /// The name of the program, for logs.
    pub agent: Cow<'a, str>,
    /// What else is said, by few: it takes no room in every envelope.
    pub more: Option<Box<MoreHello>>,
}

/// The part of a [`Hello`] that is said only where it is needed.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct MoreHello {
    /// The oldest and the newest version that the sender speaks; whoever dials again may choose one of them.
    pub versions: Option<(u64, u64)>,
    /// How many messages the sender takes in chunks at once; `None` or 0: it takes whole messages only.
    pub partial_messages: Option<u64>,
    /// The number of the format of bodies, where it is one that the two ends agreed on.
    pub format: Option<u64>,
    /// What the sender can do beyond the version, by name. Unknown ones mean nothing.
    pub features: Vec<Box<str>>,
    /// The session that this connection belongs to or goes on with. Reserved.
    pub session: Option<Opaque>,
    /// The number of the last message of that session that the sender has, and of all before it. Reserved.
    pub ack: Option<u64>,
    /// What the sender's contracts are, by service: something that is equal when they are. Reserved.
    pub contracts: BTreeMap<Box<str>, Opaque>,
}

/// Something that is compared and sent back, and never looked into.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Opaque {
    /// A text: in a format that has no bytes, nothing else can be said.
    Text(Box<str>),
    /// Bytes.
    Bytes(Box<[u8]>),
}

impl Opaque {
    /// Its bytes, whichever it is.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

impl Hello<'_> {
    /// A hello that says only the version.
    #[must_use]
    pub fn version(version: u64) -> Self {
        Self {
            version,
            ..Self::default()
        }
    }

    /// The part that few say, made when it is asked for.
    pub fn more_mut(&mut self) -> &mut MoreHello {
        self.more.get_or_insert_default()
    }

    /// Whether the sender has a feature.
    #[must_use]
    pub fn has_feature(&self, name: &str) -> bool {
        let features = self.more.as_ref().map(|more| &more.features);
        features.is_some_and(|features| features.iter().any(|feature| **feature == *name))
    }

    /// The same with a text of its own.
    #[must_use]
    pub fn into_owned(self) -> Hello<'static> {
        Hello {
            version: self.version,
            max_message_bytes: self.max_message_bytes,
            calls_in_flight: self.calls_in_flight,
            agent: Cow::Owned(self.agent.into_owned()),
            more: self.more,
        }
    }
}
