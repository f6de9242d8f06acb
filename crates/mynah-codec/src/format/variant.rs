//! Variants of enums, as the binary formats spell them.

use super::failure::{Failure, Result};
use serde::de::{
    Deserialize as _, DeserializeSeed, Deserializer, EnumAccess, VariantAccess, Visitor,
};

/// A decoder that knows where it is.
pub(super) trait Located {
    /// What is here is of another shape.
    fn wrong_shape(&self, what: &'static str) -> Failure;
}

/// A variant that is spelled as its name alone.
#[derive(Debug)]
pub(super) struct UnitVariant<'b, D>(pub(super) &'b mut D);

impl<'de, D: Located> EnumAccess<'de> for UnitVariant<'_, D>
where
    for<'x> &'x mut D: Deserializer<'de, Error = Failure>,
{
    type Error = Failure;
    type Variant = Self;

    #[inline]
    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self)> {
        Ok((seed.deserialize(&mut *self.0)?, self))
    }
}

impl<'de, D: Located> VariantAccess<'de> for UnitVariant<'_, D> {
    type Error = Failure;

    #[inline]
    fn unit_variant(self) -> Result<()> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value> {
        Err(self.0.wrong_shape("a variant without its value"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value> {
        Err(self.0.wrong_shape("a variant without its values"))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value> {
        Err(self.0.wrong_shape("a variant without its fields"))
    }
}

/// A variant that is spelled as a map of its name to its value.
#[derive(Debug)]
pub(super) struct OneEntry<'b, D>(pub(super) &'b mut D);

impl<'de, D> EnumAccess<'de> for OneEntry<'_, D>
where
    for<'x> &'x mut D: Deserializer<'de, Error = Failure>,
{
    type Error = Failure;
    type Variant = Self;

    #[inline]
    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self)> {
        Ok((seed.deserialize(&mut *self.0)?, self))
    }
}

impl<'de, D> VariantAccess<'de> for OneEntry<'_, D>
where
    for<'x> &'x mut D: Deserializer<'de, Error = Failure>,
{
    type Error = Failure;

    /// The value has to be read, else it would be taken for what follows.
    fn unit_variant(self) -> Result<()> {
        <()>::deserialize(self.0)
    }

    #[inline]
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        seed.deserialize(self.0)
    }

    #[inline]
    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        self.0.deserialize_tuple(len, visitor)
    }

    #[inline]
    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.0.deserialize_struct("", fields, visitor)
    }
}
