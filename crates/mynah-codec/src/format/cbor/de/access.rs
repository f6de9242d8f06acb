//! The insides of arrays, maps and enums.

use super::super::keys::Cbor;
use super::{Decoder, Failure, Result, head};
use crate::format::cbor::fault;
use crate::format::keys::Keys;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess};

/// The elements of an array.
#[derive(Debug)]
pub(super) struct Elements<'b, 'de, 'a> {
    decoder: &'b mut Decoder<'de, 'a>,
    left: usize,
    indefinite: bool,
}

impl<'b, 'de, 'a> Elements<'b, 'de, 'a> {
    #[inline]
    pub(super) fn new(decoder: &'b mut Decoder<'de, 'a>, left: usize, indefinite: bool) -> Self {
        Self {
            decoder,
            left,
            indefinite,
        }
    }

    /// Whether another element is next; passes the break when none is.
    #[inline]
    fn more(&mut self) -> Result<bool> {
        more(self.decoder, &mut self.left, &mut self.indefinite)
    }

    /// To be called behind the visitor: an array that it has not read to the end is not what it wanted.
    #[inline]
    pub(super) fn end(&mut self) -> Result<()> {
        if self.more()? {
            Err(self.decoder.shape("more elements than expected"))
        } else {
            Ok(())
        }
    }
}

/// Takes one element from what is left. After the break the collection is one of definite length with nothing left.
#[inline]
fn more(decoder: &mut Decoder<'_, '_>, left: &mut usize, indefinite: &mut bool) -> Result<bool> {
    if *indefinite {
        return more_indefinite(decoder, left, indefinite);
    }
    match left.checked_sub(1) {
        Some(fewer) => {
            *left = fewer;
            Ok(true)
        }
        None => Ok(false),
    }
}

#[cold]
fn more_indefinite(
    decoder: &mut Decoder<'_, '_>,
    left: &mut usize,
    indefinite: &mut bool,
) -> Result<bool> {
    if decoder.peek()? == head::BREAK {
        decoder.pass(1);
        (*left, *indefinite) = (0, false);
        return Ok(false);
    }
    match left.checked_sub(1) {
        Some(fewer) => {
            *left = fewer;
            Ok(true)
        }
        None => Err(fault::too_long(decoder.offset()).into()),
    }
}

impl<'de> SeqAccess<'de> for &mut Elements<'_, 'de, '_> {
    type Error = Failure;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        if self.more()? {
            seed.deserialize(&mut *self.decoder).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Never more than there can be in what is left of the message.
    #[inline]
    fn size_hint(&self) -> Option<usize> {
        (!self.indefinite).then(|| self.left.min(self.decoder.rest.len()))
    }
}

/// The entries of a map.
#[derive(Debug)]
pub(super) struct Entries<'b, 'de, 'a> {
    decoder: &'b mut Decoder<'de, 'a>,
    left: usize,
    indefinite: bool,
    keys: Keys<Cbor>,
}

impl<'b, 'de, 'a> Entries<'b, 'de, 'a> {
    #[inline]
    pub(super) fn new(decoder: &'b mut Decoder<'de, 'a>, left: usize, indefinite: bool) -> Self {
        Self {
            decoder,
            left,
            indefinite,
            keys: Keys::default(),
        }
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

    /// Whether another entry is next; passes the break when none is.
    #[inline]
    fn more(&mut self) -> Result<bool> {
        loop {
            if !more(self.decoder, &mut self.left, &mut self.indefinite)? {
                return Ok(false);
            }
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
        (!self.indefinite).then(|| self.left.min(self.decoder.rest.len() / 2))
    }
}
