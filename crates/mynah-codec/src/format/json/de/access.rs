//! The elements of arrays, the entries of objects and the variants of enums.

use super::key::Key;
use super::{Decoder, Kind, Result, Text};
use crate::format::json::error::Failure;
use crate::format::json::keys::KeySet;
use serde::de::{self, DeserializeSeed, Visitor};

/// The elements of an array.
pub(super) struct Elements<'a, 'de> {
    decoder: &'a mut Decoder<'de>,
    count: usize,
}

impl<'a, 'de> Elements<'a, 'de> {
    #[inline]
    pub(super) const fn new(decoder: &'a mut Decoder<'de>) -> Self {
        Self { decoder, count: 0 }
    }
}

impl<'de> de::SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Failure;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        if !self.decoder.next_item(self.count, b']')? {
            return Ok(None);
        }
        self.count += 1;
        seed.deserialize(&mut *self.decoder).map(Some)
    }
}

/// The entries of an object.
pub(super) struct Entries<'a, 'de> {
    decoder: &'a mut Decoder<'de>,
    count: usize,
    keys: KeySet<'de>,
}

impl<'a, 'de> Entries<'a, 'de> {
    #[inline]
    pub(super) fn new(decoder: &'a mut Decoder<'de>) -> Self {
        Self {
            decoder,
            count: 0,
            keys: KeySet::default(),
        }
    }

    /// Reads the next key that counts.
    #[inline]
    fn next_key(&mut self) -> Result<Option<Text<'de>>> {
        loop {
            if !self.decoder.next_item(self.count, b'}')? {
                return Ok(None);
            }
            self.count += 1;
            let start = self.decoder.at;
            let text = self.decoder.read_text()?;
            if !self.decoder.overridden.is_empty() && self.decoder.is_overridden(start) {
                self.decoder.colon()?;
                self.decoder.skip()?;
                continue;
            }
            let key = text.spelling.as_bytes();
            if !self
                .keys
                .insert(self.decoder.input, start + 1, key, text.escaped)
            {
                return Err(self.decoder.duplicate(start));
            }
            return Ok(Some(text));
        }
    }
}

impl Decoder<'_> {
    #[cold]
    fn is_overridden(&self, key: usize) -> bool {
        self.overridden.binary_search(&key).is_ok()
    }

    #[cold]
    fn duplicate(&mut self, key: usize) -> Failure {
        self.duplicates = true;
        Failure::new(Kind::DuplicateKey, "an object has a key twice", key)
    }
}

impl<'de> de::MapAccess<'de> for Entries<'_, 'de> {
    type Error = Failure;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        let Some(text) = self.next_key()? else {
            return Ok(None);
        };
        seed.deserialize(Key::new(self.decoder, text)).map(Some)
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        self.decoder.colon()?;
        seed.deserialize(&mut *self.decoder)
    }
}

/// The variant of an enum: a text alone, or the key of an object with one entry.
pub(super) struct Variant<'a, 'de> {
    decoder: &'a mut Decoder<'de>,
    has_content: bool,
}

impl<'a, 'de> Variant<'a, 'de> {
    pub(super) const fn unit(decoder: &'a mut Decoder<'de>) -> Self {
        Self {
            decoder,
            has_content: false,
        }
    }

    pub(super) const fn with_content(decoder: &'a mut Decoder<'de>) -> Self {
        Self {
            decoder,
            has_content: true,
        }
    }

    fn content(self) -> Result<&'a mut Decoder<'de>> {
        if self.has_content {
            Ok(self.decoder)
        } else {
            Err(self.decoder.fail(Kind::Shape, "this variant needs content"))
        }
    }
}

impl<'de> de::EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Failure;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self)> {
        let text = self.decoder.read_text()?;
        let variant = seed.deserialize(Key::new(self.decoder, text))?;
        if self.has_content {
            self.decoder.colon()?;
        }
        Ok((variant, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Failure;

    fn unit_variant(self) -> Result<()> {
        if self.has_content {
            return de::Deserialize::deserialize(self.decoder);
        }
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        seed.deserialize(self.content()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        de::Deserializer::deserialize_seq(self.content()?, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        de::Deserializer::deserialize_struct(self.content()?, "", fields, visitor)
    }
}
