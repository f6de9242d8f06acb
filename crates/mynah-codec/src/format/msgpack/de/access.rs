//! The insides of arrays, maps and enums.

use super::super::keys::MessagePack;
use super::{Decoder, Failure, Result, head};
use crate::format::fault;
use crate::format::keys::{Keys, same_name};
use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess};

/// The elements of an array.
#[derive(Debug)]
pub(super) struct Elements<'b, 'de, 'a> {
    decoder: &'b mut Decoder<'de, 'a>,
    left: usize,
}

impl<'b, 'de, 'a> Elements<'b, 'de, 'a> {
    #[inline]
    pub(super) fn new(decoder: &'b mut Decoder<'de, 'a>, left: usize) -> Self {
        Self { decoder, left }
    }

    /// To be called behind the visitor: an array that it has not read to the end is not what it wanted.
    #[inline]
    pub(super) fn end(&self) -> Result<()> {
        if self.left > 0 {
            Err(self.decoder.shape("more elements than expected"))
        } else {
            Ok(())
        }
    }
}

impl<'de> SeqAccess<'de> for &mut Elements<'_, 'de, '_> {
    type Error = Failure;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        seed.deserialize(&mut *self.decoder).map(Some)
    }

    /// Never more than there can be in what is left of the message.
    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.left.min(self.decoder.rest.len()))
    }
}

/// So many of the next fields are looked at for a key.
const LEFT_OUT: usize = 4;

/// The entries of a map.
#[derive(Debug)]
pub(super) struct Entries<'b, 'de, 'a> {
    decoder: &'b mut Decoder<'de, 'a>,
    left: usize,
    keys: Keys<MessagePack>,
    /// The names that are expected next, when it is a struct that is read.
    fields: &'static [&'static str],
}

impl<'b, 'de, 'a> Entries<'b, 'de, 'a> {
    #[inline]
    pub(super) fn new(
        decoder: &'b mut Decoder<'de, 'a>,
        left: usize,
        fields: &'static [&'static str],
    ) -> Self {
        Self {
            decoder,
            left,
            keys: Keys::default(),
            fields,
        }
    }

    /// Passes the key that starts here when it is one of the next fields, which needs no check of its UTF-8.
    #[inline]
    fn expected(&mut self) -> Option<&'static str> {
        let (first, rest) = self.decoder.rest.split_first()?;
        let len = usize::from(first ^ head::FIX_TEXT);
        if len >= 32 {
            return None;
        }
        let (key, rest) = rest.split_at_checked(len)?;
        // Fields come in their order, but some may be left out.
        let mut names = self.fields.iter();
        let name = names
            .by_ref()
            .take(LEFT_OUT)
            .find(|name| same_name(name.as_bytes(), key))?;
        self.fields = names.as_slice();
        self.decoder.rest = rest;
        Some(name)
    }

    /// Whether another entry is next.
    #[inline]
    fn more(&mut self) -> Result<bool> {
        loop {
            let Some(left) = self.left.checked_sub(1) else {
                return Ok(false);
            };
            self.left = left;
            if self.decoder.overridden.is_empty() || !self.is_overridden() {
                return Ok(true);
            }
            self.decoder.skip()?;
            self.decoder.skip()?;
        }
    }

    #[cold]
    fn is_overridden(&self) -> bool {
        self.decoder
            .overridden
            .binary_search(&self.decoder.offset())
            .is_ok()
    }

    /// Notes down the key that was passed, unless the map has had it.
    #[inline]
    fn insert_key(&mut self, start: usize) -> Result<()> {
        let end = self.decoder.offset();
        match self.keys.insert(self.decoder.input, start, end) {
            Some(_) => Err(fault::duplicate_key(start).into()),
            None => Ok(()),
        }
    }

    /// To be called behind the visitor: a map that it has not read to the end is not what it wanted.
    #[inline]
    pub(super) fn end(&mut self) -> Result<()> {
        if self.more()? {
            Err(self.decoder.shape("more entries than expected"))
        } else {
            Ok(())
        }
    }
}

impl<'de> MapAccess<'de> for &mut Entries<'_, 'de, '_> {
    type Error = Failure;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        if !self.more()? {
            return Ok(None);
        }
        let start = self.decoder.offset();
        if let Some(name) = self.expected() {
            if !self.keys.note(start) {
                self.insert_key(start)?;
            }
            let name: BorrowedStrDeserializer<'de, Failure> = BorrowedStrDeserializer::new(name);
            return seed.deserialize(name).map(Some);
        }
        let value = seed.deserialize(&mut *self.decoder)?;
        self.insert_key(start)?;
        Ok(Some(value))
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        seed.deserialize(&mut *self.decoder)
    }

    /// Never more than there can be in what is left of the message.
    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.left.min(self.decoder.rest.len() / 2))
    }
}
