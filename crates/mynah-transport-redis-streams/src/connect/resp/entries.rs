//! Readings of streams, which are most of what Redis says here: read without what any answer needs.

use super::{Reader, Stop};
use crate::entry::{Entry, EntryId};

/// The entries in the answer to a reading of one stream, and how many bytes it has.
///
/// `None` for anything else, be it that something is missing, wrong, or merely unusual: then [`super::read`] says what it
/// is.
pub(in crate::connect) fn entries(input: &[u8]) -> Option<(Vec<Entry>, usize)> {
    let mut reader = Reader { input, at: 0 };
    let entries = reader.streams().ok()??;
    Some((entries, reader.at))
}

/// `None`: it is of another shape.
type Found<T> = Result<Option<T>, Stop>;

impl<'i> Reader<'i> {
    fn streams(&mut self) -> Found<Vec<Entry>> {
        let (Some(1), Some(2)) = (self.len(b'*')?, self.len(b'*')?) else {
            return Ok(None);
        };
        let (Some(_key), Some(count)) = (self.plain_text()?, self.len(b'*')?) else {
            return Ok(None);
        };
        let Ok(count) = usize::try_from(count) else {
            return Ok(None);
        };
        let mut entries = Vec::with_capacity(count.min(super::FIRST_ELEMENTS));
        for _ in 0..count {
            match self.entry()? {
                Some(entry) => entries.push(entry),
                None => return Ok(None),
            }
        }
        Ok(Some(entries))
    }

    fn entry(&mut self) -> Found<Entry> {
        let Some(2) = self.len(b'*')? else {
            return Ok(None);
        };
        let Some(id) = self.plain_text()?.and_then(EntryId::parse) else {
            return Ok(None);
        };
        let mut entry = Entry::new(id);
        let fields = match self.len(b'*')? {
            // One that was deleted has none.
            Some(-1) => 0,
            Some(words) if words % 2 == 0 => words / 2,
            _ => return Ok(None),
        };
        for _ in 0..fields {
            let (Some(name), Some(value)) = (self.plain_text()?, self.plain_text()?) else {
                return Ok(None);
            };
            entry.put(name, value);
        }
        Ok(Some(entry))
    }

    /// The length of what is of this kind.
    fn len(&mut self, kind: u8) -> Found<i64> {
        match self.input.get(self.at) {
            None => Err(Stop::Part(1)),
            Some(found) if *found == kind => {
                self.at += 1;
                match self.short_number() {
                    Some(number) => Ok(Some(number)),
                    None => super::number(self.line()?).map(Some),
                }
            }
            Some(_) => Ok(None),
        }
    }

    /// A number of one or two digits, as most are, up to the end of its line.
    fn short_number(&mut self) -> Option<i64> {
        let digit = |byte: u8| i64::from(byte - b'0');
        let (number, len) = match self.input.get(self.at..)? {
            [one @ b'0'..=b'9', b'\r', b'\n', ..] => (digit(*one), 3),
            [ten @ b'1'..=b'9', one @ b'0'..=b'9', b'\r', b'\n', ..] => {
                (digit(*ten) * 10 + digit(*one), 4)
            }
            _ => return None,
        };
        self.at += len;
        Some(number)
    }

    fn plain_text(&mut self) -> Found<&'i [u8]> {
        match self.len(b'$')? {
            Some(len) if len >= 0 => self.bytes(len).map(Some),
            _ => Ok(None),
        }
    }
}
