//! The key of an object: always a text, and read as whatever a map has for a key.

use super::{Decoder, Result, Text};
use crate::format::json::error::Failure;
use crate::format::json::number::{Number, spelling};
use serde::de::{self, IntoDeserializer as _, Unexpected, Visitor};

/// A deserializer over a key.
pub(super) struct Key<'a, 'de> {
    decoder: &'a Decoder<'de>,
    text: Text<'de>,
}

impl<'a, 'de> Key<'a, 'de> {
    #[inline]
    pub(super) const fn new(decoder: &'a Decoder<'de>, text: Text<'de>) -> Self {
        Self { decoder, text }
    }

    fn as_str(&self) -> &str {
        if self.text.escaped {
            &self.decoder.scratch
        } else {
            self.text.spelling
        }
    }

    /// The number that the key spells.
    fn number(&self) -> Option<Number> {
        let text = self.as_str();
        let spelling = spelling(text.as_bytes(), 0)
            .ok()
            .filter(|it| it.end == text.len())?;
        spelling.number(text, 0)
    }

    fn visit_number<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.number() {
            Some(Number::Unsigned(value)) => visitor.visit_u64(value),
            Some(Number::Signed(value)) => visitor.visit_i64(value),
            Some(Number::Float(value)) => visitor.visit_f64(value),
            Some(Number::Wide(value)) => visitor.visit_u128(value),
            Some(Number::WideSigned(value)) => visitor.visit_i128(value),
            Some(Number::Huge) | None => Err(self.unexpected(&visitor)),
        }
    }

    #[cold]
    fn unexpected(&self, expected: &dyn de::Expected) -> Failure {
        de::Error::invalid_type(Unexpected::Str(self.as_str()), expected)
    }
}

macro_rules! numbers {
    ($($method:ident)*) => { $(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            self.visit_number(visitor)
        }
    )* };
}

impl<'de> de::Deserializer<'de> for Key<'_, 'de> {
    type Error = Failure;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.text.escaped {
            return visitor.visit_str(&self.decoder.scratch);
        }
        visitor.visit_borrowed_str(self.text.spelling)
    }

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.as_str() {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            _ => Err(self.unexpected(&visitor)),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.text.escaped {
            return visitor.visit_bytes(self.decoder.scratch.as_bytes());
        }
        visitor.visit_borrowed_bytes(self.text.spelling.as_bytes())
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.as_str()
            .into_deserializer()
            .deserialize_enum(name, variants, visitor)
    }

    serde::forward_to_deserialize_any! {
        char str string unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
