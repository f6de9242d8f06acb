//! Everything that an item has, for [`Value`](mynah_protocol::Value).

use super::{Decoder, Failure, INFO, Result, head};
use serde::de::value::U64Deserializer;
use serde::de::{
    DeserializeSeed, Deserializer as _, EnumAccess, IntoDeserializer as _, SeqAccess,
    VariantAccess, Visitor,
};

/// An item with its tags and simple values, see [`VALUE_NAME`](mynah_protocol::value::VALUE_NAME).
#[derive(Debug)]
pub(super) struct AnyValue<'b, 'de, 'a>(pub(super) &'b mut Decoder<'de, 'a>);

impl<'de> AnyValue<'_, 'de, '_> {
    #[inline]
    pub(super) fn visit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let first = self.0.peek()?;
        match first {
            head::FALSE..=head::NULL | head::HALF..=head::DOUBLE => self.0.simple(first, visitor),
            _ => match first & !INFO {
                head::TAG => {
                    let number = self.0.tag()?;
                    let value = visitor.visit_enum(Tag {
                        decoder: self.0,
                        number,
                    })?;
                    self.0.leave();
                    Ok(value)
                }
                head::SIMPLE => {
                    let number = self.0.number_of_simple(first)?;
                    visitor.visit_enum(Simple(number))
                }
                _ => self.0.deserialize_any(visitor),
            },
        }
    }
}

struct Tag<'b, 'de, 'a> {
    decoder: &'b mut Decoder<'de, 'a>,
    number: u64,
}

impl<'de> EnumAccess<'de> for Tag<'_, 'de, '_> {
    type Error = Failure;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self)> {
        Ok((seed.deserialize(kind(0))?, self))
    }
}

impl<'de> VariantAccess<'de> for Tag<'_, 'de, '_> {
    type Error = Failure;

    fn unit_variant(self) -> Result<()> {
        Err(self.decoder.shape("a tag holds a value"))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        seed.deserialize(TagContent { tag: self, next: 0 })
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        visitor.visit_seq(TagContent { tag: self, next: 0 })
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value> {
        Err(self.decoder.shape("a tag has no fields"))
    }
}

/// The number of a tag, then its value.
struct TagContent<'b, 'de, 'a> {
    tag: Tag<'b, 'de, 'a>,
    next: u8,
}

impl<'de> SeqAccess<'de> for TagContent<'_, 'de, '_> {
    type Error = Failure;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        self.next += 1;
        match self.next {
            1 => seed.deserialize(kind(self.tag.number)).map(Some),
            2 => seed.deserialize(&mut *self.tag.decoder).map(Some),
            _ => Ok(None),
        }
    }
}

impl<'de> serde::Deserializer<'de> for TagContent<'_, 'de, '_> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_seq(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct Simple(u8);

impl<'de> EnumAccess<'de> for Simple {
    type Error = Failure;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self)> {
        Ok((seed.deserialize(kind(1))?, self))
    }
}

impl<'de> VariantAccess<'de> for Simple {
    type Error = Failure;

    fn unit_variant(self) -> Result<()> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        seed.deserialize(kind(self.0.into()))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        visitor.visit_u8(self.0)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_u8(self.0)
    }
}

fn kind(number: u64) -> U64Deserializer<Failure> {
    number.into_deserializer()
}
