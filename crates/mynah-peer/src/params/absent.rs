//! A param that did not come.

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};
use std::marker::PhantomData;

/// What stands in the place of a param that did not come: its default, `None` where it may be absent, or an error.
#[cold]
#[inline(never)]
pub(super) fn absent<'de, T: Deserialize<'de>, E: Error>(
    name: &'static str,
    default: Option<fn() -> T>,
) -> Result<T, E> {
    match default {
        Some(default) => Ok(default()),
        None => T::deserialize(Absent(name, PhantomData)),
    }
}

/// Nothing, which is a value of an `Option` and of nothing else.
struct Absent<E>(&'static str, PhantomData<E>);

impl<'de, E: Error> Deserializer<'de> for Absent<E> {
    type Error = E;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, E> {
        let name = self.0;
        Err(E::custom(format_args!("param `{name}` is missing")))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_none()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string
        bytes byte_buf unit unit_struct newtype_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}
