//! Values to Rust values of any type.

use super::{VALUE_NAME, Value, ValueError};
use alloc::vec;
use alloc::vec::Vec;
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

impl Value {
    /// The Rust value that this one stands for, in the way of human readable formats, as
    /// [`from_serialize`](Self::from_serialize) writes it.
    ///
    /// As lenient as decoding from CBOR is: an integer for a float, an array for a struct, tags around anything.
    ///
    /// # Errors
    /// [`ValueError`] when it is of another shape.
    pub fn deserialize_into<T: DeserializeOwned>(self) -> Result<T, ValueError> {
        T::deserialize(FromValue(self))
    }
}

impl<'de> IntoDeserializer<'de, ValueError> for Value {
    type Deserializer = FromValue;

    fn into_deserializer(self) -> FromValue {
        FromValue(self)
    }
}

type Result<T, E = ValueError> = core::result::Result<T, E>;

/// A deserializer over a [`Value`].
#[derive(Debug)]
pub struct FromValue(Value);

impl FromValue {
    /// The value without the tags around it.
    fn untagged(self) -> Value {
        let mut value = self.0;
        while let Value::Tag(_, content) = value {
            value = *content;
        }
        value
    }
}

// Each case has a function of its own, so that the stack of a deep value does not hold room for all of them per level.

#[inline(never)]
fn visit_array<'de, V: Visitor<'de>>(elements: Vec<Value>, visitor: V) -> Result<V::Value> {
    let mut elements = SeqDeserializer::new(elements.into_iter());
    let value = visitor.visit_seq(&mut elements)?;
    elements.end()?;
    Ok(value)
}

#[inline(never)]
fn visit_map<'de, V: Visitor<'de>>(entries: Vec<(Value, Value)>, visitor: V) -> Result<V::Value> {
    let mut entries = MapDeserializer::new(entries.into_iter());
    let value = visitor.visit_map(&mut entries)?;
    entries.end()?;
    Ok(value)
}

#[inline(never)]
fn visit_scalar<'de, V: Visitor<'de>>(value: Value, visitor: V) -> Result<V::Value> {
    match value {
        Value::Bool(value) => visitor.visit_bool(value),
        Value::Uint(value) => visitor.visit_u64(value),
        Value::Int(value) => visitor.visit_i64(value),
        Value::Big(value) => match (value.as_u128(), value.as_i128()) {
            (Some(value), _) => visitor.visit_u128(value),
            (None, Some(value)) => visitor.visit_i128(value),
            (None, None) => Err(ValueError::custom("an integer beyond 128 bits")),
        },
        Value::Float(value) => visitor.visit_f64(value),
        Value::Text(text) => visitor.visit_string(text),
        Value::Bytes(bytes) => visitor.visit_byte_buf(bytes),
        Value::Null | Value::Simple(23) => visitor.visit_unit(),
        Value::Simple(_) => Err(ValueError::custom("a simple value without a meaning")),
        Value::Ext(..) => Err(ValueError::custom("an extension type without a meaning")),
        Value::Array(_) | Value::Map(_) | Value::Tag(..) => {
            Err(ValueError::custom("a value that holds others"))
        }
    }
}

/// A tag, or what passes as one, for the visitor of a [`Value`].
#[inline(never)]
fn visit_tag<'de, V: Visitor<'de>>(number: u64, content: Value, visitor: V) -> Result<V::Value> {
    visitor.visit_enum(Special {
        kind: 0,
        content: vec![number.into(), content].into(),
    })
}

impl<'de> Deserializer<'de> for FromValue {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.untagged() {
            Value::Array(elements) => visit_array(elements, visitor),
            Value::Map(entries) => visit_map(entries, visitor),
            scalar => visit_scalar(scalar, visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.0 {
            Value::Null | Value::Simple(23) => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        if name != VALUE_NAME {
            return visitor.visit_newtype_struct(self);
        }
        match self.0 {
            Value::Array(elements) => visit_array(elements, visitor),
            Value::Map(entries) => visit_map(entries, visitor),
            Value::Tag(number, content) => visit_tag(number, *content, visitor),
            Value::Simple(number) => visitor.visit_enum(Special {
                kind: 1,
                content: number.into(),
            }),
            Value::Ext(number, content) => visitor.visit_enum(Special {
                kind: 2,
                content: Value::Array(vec![number.into(), content.into()]),
            }),
            // The visitor of a value makes the same again of the digits.
            Value::Big(big) if big.as_u128().is_none() && big.as_i128().is_none() => visit_tag(
                if big.is_negative() { 3 } else { 2 },
                big.digits().into(),
                visitor,
            ),
            scalar => visit_scalar(scalar, visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self.untagged() {
            Value::Text(variant) => visitor.visit_enum(variant.into_deserializer()),
            Value::Map(entries) => match <[(Value, Value); 1]>::try_from(entries) {
                Ok([(name, content)]) => visitor.visit_enum(Variant { name, content }),
                Err(_) => Err(ValueError::custom("an enum is a map of one entry")),
            },
            _ => Err(ValueError::custom(
                "neither the name of a variant nor a map of one entry",
            )),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.untagged() {
            Value::Text(_) => Err(ValueError::custom("a text where bytes are expected")),
            other => Self(other).deserialize_any(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.untagged() {
            Value::Bytes(_) => Err(ValueError::custom("bytes where a text is expected")),
            other => Self(other).deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.untagged() {
            name @ (Value::Text(_) | Value::Bytes(_)) => Self(name).deserialize_any(visitor),
            _ => Err(ValueError::custom("a name is neither a text nor bytes")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char unit unit_struct seq tuple tuple_struct map struct
    }
}

struct Variant {
    name: Value,
    content: Value,
}

impl<'de> EnumAccess<'de> for Variant {
    type Error = ValueError;
    type Variant = Content;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Content)> {
        Ok((
            seed.deserialize(FromValue(self.name))?,
            Content(self.content),
        ))
    }
}

/// What [`VALUE_NAME`] asks for, by the number of its variant.
struct Special {
    kind: u64,
    content: Value,
}

impl<'de> EnumAccess<'de> for Special {
    type Error = ValueError;
    type Variant = Content;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Content)> {
        Ok((
            seed.deserialize(self.kind.into_deserializer())?,
            Content(self.content),
        ))
    }
}

struct Content(Value);

impl<'de> VariantAccess<'de> for Content {
    type Error = ValueError;

    fn unit_variant(self) -> Result<()> {
        serde::Deserialize::deserialize(FromValue(self.0))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        seed.deserialize(FromValue(self.0))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        FromValue(self.0).deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        FromValue(self.0).deserialize_struct("", fields, visitor)
    }
}
