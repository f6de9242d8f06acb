//! The keys of open objects in the scanner, as offsets into the input.

use super::{Failure, KeyRule, Kind, Result, Scanner, Span};
use crate::format::json::keys::{FEW, KeyTable, alike};

impl Scanner {
    /// Compares the key that ends before `at` with those that the object has.
    pub(super) fn add_key(&mut self, input: &[u8]) -> Result<()> {
        if self.rule == KeyRule::Ignore {
            return Ok(());
        }
        let start = self.key.0;
        let Some((earlier, _)) = self.replace_key(input, (start, self.at - 1)) else {
            return Ok(());
        };
        if self.rule == KeyRule::Record {
            self.overridden.push(earlier - 1);
            return Ok(());
        }
        Err(Failure::new(
            Kind::DuplicateKey,
            "an object has a key twice",
            start - 1,
        ))
    }

    /// Adds a key. If the same text is there already, it is replaced and returned instead.
    fn replace_key(&mut self, input: &[u8], key: Span) -> Option<Span> {
        let spelling = |(start, end): Span| input.get(start..end).unwrap_or_default();
        self.top.escaped |= self.key.1;
        if self.top.many {
            return self.tables.last_mut()?.insert(key, spelling);
        }
        let text = spelling(key);
        let first = self.top.keys;
        let len = self.keys.len();
        for index in first..len {
            let known = self.keys.get_mut(index)?;
            let same = spelling(*known);
            if same == text || (self.top.escaped && alike(same, text)) {
                return Some(std::mem::replace(known, key));
            }
        }
        if len - first < FEW {
            self.keys.push(key);
            return None;
        }
        let mut table = KeyTable::default();
        for index in first..len {
            table.insert(*self.keys.get_mut(index)?, spelling);
        }
        table.insert(key, spelling);
        self.keys.truncate(first);
        self.top.many = true;
        self.tables.push(table);
        None
    }
}
