//! The entries of a map that is read as a struct.

use super::super::keys::Cbor;
use super::{Decoder, Failure, Result, head};
use crate::format::cbor::fault;
use crate::format::keys::{Keys, Spelling as _, same_name};
use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeSeed, MapAccess};

/// So many fields that were left out are passed when a key is looked for.
const LEFT_OUT: usize = 3;

/// The entries of a map whose keys are expected to be the names of fields, in their order.
///
/// Such keys need no check of their UTF-8, and cannot come twice: each is behind the one before. From the first key on
/// that is none of them, all keys are compared.
#[derive(Debug)]
pub(super) struct Fields<'b, 'de, 'a> {
    decoder: &'b mut Decoder<'de, 'a>,
    left: usize,
    names: &'static [&'static str],
    /// The index of the name that is expected.
    next: usize,
    /// A bit for the name of each key that was expected.
    seen: u64,
    odd: Option<Box<Odd>>,
}

/// Keys behind one that was not expected, and that one.
#[derive(Debug, Default)]
struct Odd {
    keys: Keys<Cbor>,
    /// The bits in the filter of the names that were seen.
    seen: u64,
}

impl<'b, 'de, 'a> Fields<'b, 'de, 'a> {
    /// So many names at most.
    pub(super) const MOST: usize = u64::BITS as usize;

    /// A map of so many entries, behind its head. No more than [`Self::MOST`] names are looked at.
    #[inline]
    pub(super) const fn new(
        decoder: &'b mut Decoder<'de, 'a>,
        left: usize,
        names: &'static [&'static str],
    ) -> Self {
        Self {
            decoder,
            left,
            names,
            next: 0,
            seen: 0,
            odd: None,
        }
    }

    /// Passes the key that starts here if it is the name of this field.
    #[inline]
    fn take(&mut self, index: usize) -> Option<&'static str> {
        let name = *self.names.get(index)?;
        let (first, rest) = self.decoder.rest.split_first()?;
        let (key, rest) = rest.split_at_checked(name.len())?;
        if name.len() >= 24
            || usize::from(*first) != usize::from(head::TEXT) + name.len()
            || !same_name(name.as_bytes(), key)
        {
            return None;
        }
        self.decoder.rest = rest;
        self.seen |= 1 << (index % Self::MOST);
        self.next = index + 1;
        Some(name)
    }

    /// The key that starts here is not the one that was expected.
    #[inline(never)]
    fn other<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<K::Value> {
        if self.odd.is_none()
            && let Some(name) =
                (self.next + 1..=self.next + LEFT_OUT).find_map(|index| self.take(index))
        {
            return seed.deserialize(BorrowedStrDeserializer::new(name));
        }
        let start = self.decoder.offset();
        let value = seed.deserialize(&mut *self.decoder)?;
        self.compare(start)?;
        Ok(value)
    }

    /// Compares the key that was passed with all before it.
    fn compare(&mut self, start: usize) -> Result<()> {
        let (input, end) = (self.decoder.input, self.decoder.offset());
        let key = input.get(start..end).unwrap_or_default();
        let seen = self.seen;
        let names = self.names.iter().enumerate();
        let mut seen_names = names.filter(|(index, _)| seen & (1 << (index % Self::MOST)) != 0);
        let odd = self.odd.get_or_insert_with(|| {
            let bits = seen_names
                .clone()
                .map(|(_, name)| Cbor::filter_bits(&spelled(name)));
            Box::new(Odd {
                keys: Keys::default(),
                seen: bits.fold(0, |all, bits| all | bits),
            })
        });
        let again = odd.seen & Cbor::filter_bits(key) != 0
            && Cbor::scalar(key)
                .is_some_and(|key| seen_names.any(|(_, name)| *key == *spelled(name)));
        if again || odd.keys.insert(input, start, end).is_some() {
            return Err(fault::duplicate_key(start).into());
        }
        Ok(())
    }

    /// To be called behind the visitor: a map that it has not read to the end is not what it wanted.
    #[inline]
    pub(super) fn end(&self) -> Result<()> {
        if self.left > 0 {
            Err(self.decoder.shape("more entries than expected"))
        } else {
            Ok(())
        }
    }
}

/// A name that was expected, as a key.
fn spelled(name: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + name.len());
    head::write(
        &mut key,
        head::TEXT,
        u64::try_from(name.len()).unwrap_or(u64::MAX),
    );
    key.extend_from_slice(name.as_bytes());
    key
}

impl<'de> MapAccess<'de> for &mut Fields<'_, 'de, '_> {
    type Error = Failure;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        if self.odd.is_none()
            && let Some(name) = self.take(self.next)
        {
            let name: BorrowedStrDeserializer<'de, Failure> = BorrowedStrDeserializer::new(name);
            return seed.deserialize(name).map(Some);
        }
        self.other(seed).map(Some)
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
