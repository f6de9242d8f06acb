//! What a [`Value`](mynah_protocol::Value) holds that serde has no plain word for.

use super::key::refused;
use super::{Encoder, Refusal, Result};
use mynah_protocol::Value;
use mynah_protocol::value::{BigInt, EXT_NAME, SIMPLE_NAME, TAG_NAME};
use serde::ser::{Error as _, Impossible, Serialize, SerializeTupleStruct, Serializer};

/// Writes bytes where they can stand behind the text, and integers of any size; refuses all else, see
/// [`VALUE_NAME`](mynah_protocol::value::VALUE_NAME).
pub(super) struct Exact<'a, 'out>(pub(super) &'a mut Encoder<'out>);

#[cold]
fn no_word<T>() -> Result<T> {
    Err(Refusal::new("JSON has no word for a part of a value"))
}

impl<'a, 'out> Serializer for Exact<'a, 'out> {
    type Ok = ();
    type Error = Refusal;
    type SerializeSeq = Impossible<(), Refusal>;
    type SerializeTuple = Impossible<(), Refusal>;
    type SerializeTupleStruct = Integer<'a, 'out>;
    type SerializeTupleVariant = Impossible<(), Refusal>;
    type SerializeMap = Impossible<(), Refusal>;
    type SerializeStruct = Impossible<(), Refusal>;
    type SerializeStructVariant = Impossible<(), Refusal>;

    fn serialize_bytes(self, value: &[u8]) -> Result<()> {
        if self.0.area.is_none() {
            return Err(Refusal::new("JSON has no bytes"));
        }
        self.0.serialize_bytes(value)
    }

    fn serialize_tuple_struct(self, name: &'static str, _: usize) -> Result<Integer<'a, 'out>> {
        Err(Refusal::new(match name {
            TAG_NAME => {
                return Ok(Integer {
                    encoder: self.0,
                    negative: None,
                });
            }
            SIMPLE_NAME => "JSON has nothing undefined",
            EXT_NAME => "JSON has no extension types",
            _ => return no_word(),
        }))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap> {
        Err(Refusal::new("JSON has no keys but texts"))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<()> {
        no_word()
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, _: &T) -> Result<()> {
        no_word()
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<()> {
        no_word()
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    refused! { no_word:
        serialize_bool(bool) -> ();
        serialize_i8(i8) -> ();
        serialize_i16(i16) -> ();
        serialize_i32(i32) -> ();
        serialize_i64(i64) -> ();
        serialize_u8(u8) -> ();
        serialize_u16(u16) -> ();
        serialize_u32(u32) -> ();
        serialize_u64(u64) -> ();
        serialize_f32(f32) -> ();
        serialize_f64(f64) -> ();
        serialize_char(char) -> ();
        serialize_str(&str) -> ();
        serialize_none() -> ();
        serialize_unit() -> ();
        serialize_unit_struct(&'static str) -> ();
        serialize_unit_variant(&'static str, u32, &'static str) -> ();
        serialize_seq(Option<usize>) -> Self::SerializeSeq;
        serialize_tuple(usize) -> Self::SerializeTuple;
        serialize_tuple_variant(&'static str, u32, &'static str, usize)
            -> Self::SerializeTupleVariant;
        serialize_struct(&'static str, usize) -> Self::SerializeStruct;
        serialize_struct_variant(&'static str, u32, &'static str, usize)
            -> Self::SerializeStructVariant;
    }
}

/// A tag, which has to be that of an integer beyond 128 bits.
pub(super) struct Integer<'a, 'out> {
    encoder: &'a mut Encoder<'out>,
    /// Known once the number of the tag is.
    negative: Option<bool>,
}

impl SerializeTupleStruct for Integer<'_, '_> {
    type Ok = ();
    type Error = Refusal;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        let field = Value::from_serialize(value).map_err(Refusal::custom)?;
        let Some(negative) = self.negative else {
            self.negative = match field {
                Value::Uint(2) => Some(false),
                Value::Uint(3) => Some(true),
                _ => return Err(Refusal::new("JSON has no tags")),
            };
            return Ok(());
        };
        let text = match field {
            Value::Bytes(digits) => match BigInt::value(negative, &digits) {
                Value::Big(number) => number.to_decimal(),
                small => Some(small.to_string()),
            },
            _ => return Err(Refusal::new("JSON has no tags")),
        };
        match text {
            Some(text) => self.encoder.raw(text.as_bytes()),
            None => return Err(Refusal::new("an integer of too many digits for JSON")),
        }
        Ok(())
    }

    fn end(self) -> Result<()> {
        Ok(())
    }
}
