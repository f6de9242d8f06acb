//! Values through serde, inwards.

use super::{BigInt, VALUE_NAME, Value};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use serde::de::{
    self, Deserialize, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess as _, Visitor,
};

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(VALUE_NAME, ValueVisitor)
    }
}

impl Value {
    /// A tagged value; tag 2 or 3 around bytes is the integer that it stands for.
    pub(super) fn tagged(number: u64, content: Self) -> Self {
        match (number, &content) {
            (2 | 3, Self::Bytes(digits)) => BigInt::value(number == 3, digits),
            _ => Self::Tag(number, Box::new(content)),
        }
    }

    /// A simple value of CBOR by its number.
    pub(super) const fn simple(number: u8) -> Self {
        match number {
            20 => Self::Bool(false),
            21 => Self::Bool(true),
            22 => Self::Null,
            _ => Self::Simple(number),
        }
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_i128<E>(self, v: i128) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(Value::Uint(v))
    }

    fn visit_u128<E>(self, v: u128) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
        Ok(Value::Float(v))
    }

    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(Value::Text(v.into()))
    }

    fn visit_string<E>(self, v: String) -> Result<Value, E> {
        Ok(Value::Text(v))
    }

    fn visit_bytes<E>(self, v: &[u8]) -> Result<Value, E> {
        Ok(Value::Bytes(v.into()))
    }

    fn visit_byte_buf<E>(self, v: Vec<u8>) -> Result<Value, E> {
        Ok(Value::Bytes(v))
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        // What is announced is not to be trusted; the vector grows as elements come.
        let mut elements = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(64));
        while let Some(element) = seq.next_element()? {
            elements.push(element);
        }
        Ok(Value::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::with_capacity(map.size_hint().unwrap_or(0).min(32));
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Value::Map(entries))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Value, A::Error> {
        match data.variant::<Kind>()? {
            (Kind::Tag, content) => {
                let (number, content): (u64, Value) = content.newtype_variant()?;
                Ok(Value::tagged(number, content))
            }
            (Kind::Simple, content) => Ok(Value::simple(content.newtype_variant()?)),
            (Kind::Ext, content) => match content.newtype_variant()? {
                (number, Value::Bytes(content)) => Ok(Value::Ext(number, content)),
                _ => Err(de::Error::custom("an extension type holds bytes")),
            },
        }
    }
}

/// The variants behind [`VALUE_NAME`].
enum Kind {
    Tag,
    Simple,
    Ext,
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            0 => Ok(Self::Tag),
            1 => Ok(Self::Simple),
            2 => Ok(Self::Ext),
            other => Err(de::Error::invalid_value(
                de::Unexpected::Unsigned(other),
                &"a kind of value",
            )),
        }
    }
}
