//! What an operation does to Redis, and what came of it.

use redis::Value;

/// Redis commands that happen together, once for one operation.
///
/// All keys have to be in one slot where Redis is a Cluster: give them a hash tag, `{account-7}:balance`.
#[derive(Clone, Debug, Default)]
#[must_use = "an effect happens when it is committed"]
pub struct Effect {
    commands: Vec<Vec<Vec<u8>>>,
}

/// What Redis answered to one command of an effect.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum EffectReply {
    /// No such thing.
    Nil,
    /// A number. One beyond 2^53 is rounded on its way through Redis's scripts.
    Integer(i64),
    /// Bytes, or a status such as `OK`.
    Bytes(Vec<u8>),
    /// Several.
    List(Vec<Self>),
    /// Redis refused this command, and those after it were not run; those before it were.
    Refused(String),
}

/// An effect that has happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Committed {
    /// Whether it happened now; otherwise an earlier run of the operation did it.
    pub now: bool,
    /// What Redis answered to each command, when it happened.
    pub replies: Vec<EffectReply>,
}

impl Effect {
    /// The most commands of an effect.
    pub const MAX_COMMANDS: usize = 1_000;
    /// The most parts of one command; Lua, which runs them, has room for some 8,000.
    pub const MAX_PARTS: usize = 4_000;

    /// Nothing yet.
    pub const fn new() -> Self {
        Self {
            commands: Vec::new(),
        }
    }

    /// Adds a command, its name first: `["INCRBY", "balance", "5"]`.
    pub fn command<P: AsRef<[u8]>>(mut self, parts: impl IntoIterator<Item = P>) -> Self {
        let parts = parts.into_iter().map(|part| part.as_ref().to_vec());
        self.commands.push(parts.collect());
        self
    }

    pub(super) fn commands(&self) -> &[Vec<Vec<u8>>] {
        &self.commands
    }

    /// The first key of the first command that has one, as far as it is where most commands have it.
    pub(super) fn first_key(&self) -> Option<&[u8]> {
        let first = self.commands.iter().find_map(|command| command.get(1));
        first.map(Vec::as_slice)
    }
}

impl EffectReply {
    /// The number, where it is one or bytes that say one.
    #[must_use]
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Bytes(bytes) => std::str::from_utf8(bytes).ok()?.parse().ok(),
            Self::Nil | Self::List(_) | Self::Refused(_) => None,
        }
    }

    pub(super) fn read(value: Value) -> Self {
        match value {
            Value::Int(number) => Self::Integer(number),
            Value::BulkString(bytes) => Self::Bytes(bytes),
            Value::SimpleString(text) | Value::VerbatimString { text, .. } => {
                Self::Bytes(text.into_bytes())
            }
            Value::Okay => Self::Bytes(b"OK".to_vec()),
            Value::Array(items) | Value::Set(items) => {
                Self::List(items.into_iter().map(Self::read).collect())
            }
            Value::ServerError(error) => Self::Refused(error.to_string()),
            // A script gives none of the rest.
            _ => Self::Nil,
        }
    }
}
