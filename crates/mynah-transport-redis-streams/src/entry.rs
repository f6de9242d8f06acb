//! Entries of streams, as Redis answers with them.

use crate::connect::Raw;
use crate::session::Note;
use redis::Value;
use std::fmt;

/// The id of an entry: when it was added by the clock of Redis, and its number within that millisecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct EntryId {
    pub(crate) ms: u64,
    pub(crate) number: u64,
}

impl EntryId {
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let dash = text.iter().position(|byte| *byte == b'-')?;
        Some(Self {
            ms: decimal(text.get(..dash)?)?,
            number: decimal(text.get(dash + 1..)?)?,
        })
    }

    /// The first id behind it.
    pub(crate) const fn next(self) -> Self {
        match self.number.checked_add(1) {
            Some(number) => Self {
                ms: self.ms,
                number,
            },
            None => Self {
                ms: self.ms.saturating_add(1),
                number: 0,
            },
        }
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.number)
    }
}

impl EntryId {
    /// As it is written on the wire.
    pub(crate) fn spelled(self) -> Spelled {
        let mut spelled = Spelled {
            text: [b'-'; 41],
            len: 0,
        };
        spelled.push(self.ms);
        // A dash is everywhere that nothing else is.
        spelled.len += 1;
        spelled.push(self.number);
        spelled
    }
}

/// An id as it is written on the wire: two numbers of 20 digits at most.
#[derive(Clone, Copy)]
pub(crate) struct Spelled {
    text: [u8; 41],
    len: usize,
}

impl Spelled {
    fn push(&mut self, number: u64) {
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(number).as_bytes();
        let end = self.len + digits.len();
        if let Some(room) = self.text.get_mut(self.len..end) {
            room.copy_from_slice(digits);
            self.len = end;
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.text.get(..self.len).unwrap_or_default()
    }
}

/// One entry. The fields that mean something; of one that comes twice the first counts, as for clamator.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Entry {
    pub(crate) id: EntryId,
    pub(crate) envelope: Option<Vec<u8>>,
    pub(crate) reply_to: Option<Vec<u8>>,
    /// The time that its caller gave it, from when it was added.
    pub(crate) timeout_ms: Option<u64>,
    /// The metadata, as a JSON object of texts.
    pub(crate) metadata: Option<Vec<u8>>,
    /// The id under which the program may make the call again.
    pub(crate) operation: Option<Vec<u8>>,
    /// In the control stream: a call that is not wanted any more.
    pub(crate) cancel: Option<u64>,
    /// How often it was delivered under ids that it had before.
    pub(crate) attempts: u32,
    /// What peers of ours say to each other.
    pub(crate) note: Option<Box<Note>>,
    /// Several answers of a server of ours.
    pub(crate) answers: Option<Vec<u8>>,
}

/// The names of fields.
pub(crate) mod field {
    pub(crate) const TYPE: &str = "type";
    pub(crate) const ENVELOPE: &str = "envelope";
    pub(crate) const REPLY_TO: &str = "reply-to";
    // What follows is ours; clamator passes over it.
    pub(crate) const TIMEOUT_MS: &str = "timeout-ms";
    pub(crate) const METADATA: &str = "metadata";
    pub(crate) const OPERATION: &str = "operation";
    pub(crate) const ATTEMPTS: &str = "attempts";
    /// Several answers, each behind its length.
    pub(crate) const ANSWERS: &str = "answers";
    /// In the control stream: the number of the call that is not wanted any more.
    pub(crate) const CANCEL: &str = "cancel";
    // What peers of ours say to each other.
    pub(crate) const MYNAH: &str = "mynah";
    pub(crate) const FROM: &str = "from";
    pub(crate) const CALL: &str = "call";
    pub(crate) const NUMBER: &str = "n";
    pub(crate) const BODY: &str = "body";
}

/// The same as bytes, to be found among what Redis answers.
mod bytes {
    use super::field;

    pub(super) const ENVELOPE: &[u8] = field::ENVELOPE.as_bytes();
    pub(super) const REPLY_TO: &[u8] = field::REPLY_TO.as_bytes();
    pub(super) const METADATA: &[u8] = field::METADATA.as_bytes();
    pub(super) const OPERATION: &[u8] = field::OPERATION.as_bytes();
    pub(super) const TIMEOUT_MS: &[u8] = field::TIMEOUT_MS.as_bytes();
    pub(super) const CANCEL: &[u8] = field::CANCEL.as_bytes();
    pub(super) const MYNAH: &[u8] = field::MYNAH.as_bytes();
    pub(super) const FROM: &[u8] = field::FROM.as_bytes();
    pub(super) const BODY: &[u8] = field::BODY.as_bytes();
    pub(super) const CALL: &[u8] = field::CALL.as_bytes();
    pub(super) const NUMBER: &[u8] = field::NUMBER.as_bytes();
    pub(super) const ANSWERS: &[u8] = field::ANSWERS.as_bytes();
    pub(super) const ATTEMPTS: &[u8] = field::ATTEMPTS.as_bytes();
}

impl Entry {
    /// One without fields.
    pub(crate) fn new(id: EntryId) -> Self {
        Self {
            id,
            ..Self::default()
        }
    }

    /// An entry as it stands in an answer; `None` when it is none. One that was deleted has no fields.
    pub(crate) fn read(value: &Raw<'_>) -> Option<Self> {
        let Raw::Array(parts) = value else {
            return None;
        };
        let mut entry = Self::new(EntryId::parse(parts.first()?.bytes()?)?);
        let Some(Raw::Array(fields)) = parts.get(1) else {
            return Some(entry);
        };
        for field in fields.chunks_exact(2) {
            if let [name, value] = field
                && let (Some(name), Some(value)) = (name.bytes(), value.bytes())
            {
                entry.put(name, value);
            }
        }
        Some(entry)
    }

    /// About how many bytes it has.
    pub(crate) fn bytes(&self) -> usize {
        let texts = [&self.envelope, &self.answers, &self.metadata];
        let texts: usize = texts.into_iter().flatten().map(Vec::len).sum();
        texts + self.note.as_ref().map_or(0, |note| note.body.len())
    }

    /// Adds a field, if it means something.
    pub(crate) fn put(&mut self, name: &[u8], value: &[u8]) {
        fn first(field: &mut Option<Vec<u8>>, value: &[u8]) {
            // An empty one counts as absent.
            if field.is_none() && !value.is_empty() {
                *field = Some(value.to_vec());
            }
        }
        fn number<T: TryFrom<u64>>(value: &[u8]) -> Option<T> {
            T::try_from(decimal(value)?).ok()
        }
        match name {
            bytes::ENVELOPE => first(&mut self.envelope, value),
            bytes::REPLY_TO => first(&mut self.reply_to, value),
            bytes::METADATA => first(&mut self.metadata, value),
            bytes::OPERATION => first(&mut self.operation, value),
            bytes::TIMEOUT_MS => self.timeout_ms = self.timeout_ms.or_else(|| number(value)),
            bytes::CANCEL => self.cancel = number(value),
            bytes::MYNAH => self.note.get_or_insert_default().kind = value.to_vec(),
            bytes::FROM => self.note.get_or_insert_default().from = value.to_vec(),
            bytes::BODY => self.note.get_or_insert_default().body = value.to_vec(),
            bytes::CALL => {
                self.note.get_or_insert_default().call = number(value).unwrap_or(0);
            }
            bytes::NUMBER => {
                self.note.get_or_insert_default().number = number(value).unwrap_or(0);
            }
            bytes::ANSWERS => first(&mut self.answers, value),
            bytes::ATTEMPTS => self.attempts = number(value).unwrap_or(0),
            _ => {}
        }
    }
}

/// The number that digits are, and nothing but digits.
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// The entries of one stream, as a reading of streams answers. Empty when there are none.
pub(crate) fn of_streams(answer: Raw<'_>) -> Vec<Entry> {
    if let Raw::Array(streams) = answer
        && let Some(Raw::Array(parts)) = streams.first()
        && let Some(entries) = parts.get(1)
    {
        return of_list(entries);
    }
    Vec::new()
}

/// The entries of a list.
pub(crate) fn of_list(answer: &Raw<'_>) -> Vec<Entry> {
    match answer {
        Raw::Array(entries) => entries.iter().filter_map(Entry::read).collect(),
        _ => Vec::new(),
    }
}

/// An entry that was delivered and not acknowledged.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) id: EntryId,
    pub(crate) consumer: Vec<u8>,
    pub(crate) idle_ms: u64,
    pub(crate) deliveries: u32,
}

impl Pending {
    pub(crate) fn of_list(answer: Value) -> Vec<Self> {
        let Value::Array(rows) = answer else {
            return Vec::new();
        };
        rows.into_iter().filter_map(Self::read).collect()
    }

    fn read(row: Value) -> Option<Self> {
        let Value::Array(row) = row else { return None };
        let mut row = row.into_iter();
        Some(Self {
            id: EntryId::parse(&text(row.next()?)?)?,
            consumer: text(row.next()?)?,
            idle_ms: integer(row.next()?)?,
            deliveries: u32::try_from(integer(row.next()?)?).unwrap_or(u32::MAX),
        })
    }
}

pub(crate) fn text(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.into_bytes()),
        _ => None,
    }
}

pub(crate) fn integer(value: Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(number).ok(),
        other => str::from_utf8(&text(other)?).ok()?.parse().ok(),
    }
}
