//! Extension types, for [`Value`](mynah_protocol::Value).

use super::{Failure, Result};
use crate::DecodeError;
use serde::de::value::{BorrowedBytesDeserializer, I8Deserializer, U64Deserializer};
use serde::de::{
    DeserializeSeed, EnumAccess, IntoDeserializer as _, SeqAccess, VariantAccess, Visitor,
};

/// The kind of what has no other word, see [`VALUE_NAME`](mynah_protocol::value::VALUE_NAME).
const KIND: u64 = 2;

/// An extension type: a sequence of its number and its content.
#[derive(Debug)]
pub(super) struct Ext<'de> {
    number: i8,
    content: &'de [u8],
    next: u8,
}

impl<'de> Ext<'de> {
    /// `bytes` begin with the number of the type.
    pub(super) fn new(bytes: &'de [u8]) -> Self {
        let (number, content) = bytes.split_first().unwrap_or((&0, &[]));
        Self {
            number: number.cast_signed(),
            content,
            next: 0,
        }
    }
}

impl<'de> EnumAccess<'de> for Ext<'de> {
    type Error = Failure;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self)> {
        let kind: U64Deserializer<Failure> = KIND.into_deserializer();
        Ok((seed.deserialize(kind)?, self))
    }
}

impl<'de> VariantAccess<'de> for Ext<'de> {
    type Error = Failure;

    fn unit_variant(self) -> Result<()> {
        Err(DecodeError::shape("an extension type holds bytes", 0).into())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        visitor.visit_seq(self)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value> {
        Err(DecodeError::shape("an extension type has no fields", 0).into())
    }
}

impl<'de> SeqAccess<'de> for Ext<'de> {
    type Error = Failure;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        self.next += 1;
        match self.next {
            1 => {
                let number: I8Deserializer<Failure> = self.number.into_deserializer();
                seed.deserialize(number).map(Some)
            }
            2 => seed
                .deserialize(BorrowedBytesDeserializer::new(self.content))
                .map(Some),
            _ => Ok(None),
        }
    }
}

impl<'de> serde::Deserializer<'de> for Ext<'de> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_seq(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}
