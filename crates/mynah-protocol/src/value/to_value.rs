//! Rust values of any type to values.

use super::{EXT_NAME, SIMPLE_NAME, TAG_NAME, VALUE_NAME, Value, ValueError};
use alloc::string::ToString as _;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Display;
use serde::ser::{self, Error as _, Serialize, Serializer};

impl Value {
    /// What a Rust value says of itself through serde, in the way of human readable formats: an IP address is a text.
    ///
    /// Structs become maps with text keys, enums a text or a map of one entry.
    ///
    /// # Errors
    /// [`ValueError`] when the value refuses to be written.
    pub fn from_serialize<T: Serialize + ?Sized>(value: &T) -> Result<Self, ValueError> {
        value.serialize(ToValue { human: true })
    }
}

type Result<T = Value, E = ValueError> = core::result::Result<T, E>;

#[derive(Clone, Copy, Debug)]
struct ToValue {
    /// Whether what is written should be readable by people, which a value inside of a value need not.
    human: bool,
}

fn entry(variant: &'static str, value: Value) -> Value {
    Value::Map(vec![(variant.into(), value)])
}

macro_rules! scalars {
    ($($method:ident: $type:ty,)*) => { $(
        fn $method(self, value: $type) -> Result {
            Ok(value.into())
        }
    )* };
}

impl Serializer for ToValue {
    type Ok = Value;
    type Error = ValueError;
    type SerializeSeq = Elements;
    type SerializeTuple = Elements;
    type SerializeTupleStruct = Elements;
    type SerializeTupleVariant = Elements;
    type SerializeMap = Entries;
    type SerializeStruct = Entries;
    type SerializeStructVariant = Entries;

    scalars! {
        serialize_bool: bool,
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_i128: i128,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
        serialize_u128: u128,
        serialize_f32: f32,
        serialize_f64: f64,
        serialize_char: char,
        serialize_str: &str,
        serialize_bytes: &[u8],
    }

    fn serialize_none(self) -> Result {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result {
        Ok(Value::Null)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result {
        Ok(variant.into())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result {
        value.serialize(Self {
            human: self.human && name != VALUE_NAME,
        })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result {
        Ok(entry(variant, value.serialize(self)?))
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Elements> {
        Ok(Elements::new(self, len.unwrap_or(0), Close::Array))
    }

    fn serialize_tuple(self, len: usize) -> Result<Elements> {
        Ok(Elements::new(self, len, Close::Array))
    }

    fn serialize_tuple_struct(self, name: &'static str, len: usize) -> Result<Elements> {
        let close = match name {
            TAG_NAME => Close::Tag,
            SIMPLE_NAME => Close::Simple,
            EXT_NAME => Close::Ext,
            _ => Close::Array,
        };
        Ok(Elements::new(self, len, close))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Elements> {
        Ok(Elements::new(self, len, Close::Variant(variant)))
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Entries> {
        Ok(Entries::new(self, len.unwrap_or(0), None))
    }

    fn serialize_struct(self, _: &'static str, len: usize) -> Result<Entries> {
        Ok(Entries::new(self, len, None))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Entries> {
        Ok(Entries::new(self, len, Some(variant)))
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result {
        Ok(Value::Text(value.to_string()))
    }

    fn is_human_readable(&self) -> bool {
        self.human
    }
}

/// What elements become in the end.
#[derive(Debug)]
enum Close {
    Array,
    Variant(&'static str),
    Tag,
    Simple,
    Ext,
}

#[derive(Debug)]
struct Elements {
    to: ToValue,
    elements: Vec<Value>,
    close: Close,
}

impl Elements {
    fn new(to: ToValue, len: usize, close: Close) -> Self {
        Self {
            to,
            elements: Vec::with_capacity(len.min(64)),
            close,
        }
    }

    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.elements.push(value.serialize(self.to)?);
        Ok(())
    }

    fn close(self) -> Result {
        match self.close {
            Close::Array => Ok(Value::Array(self.elements)),
            Close::Variant(variant) => Ok(entry(variant, Value::Array(self.elements))),
            Close::Tag => match <[Value; 2]>::try_from(self.elements) {
                Ok([Value::Uint(number), content]) => Ok(Value::tagged(number, content)),
                _ => Err(ValueError::custom("a tag has a number and a value")),
            },
            Close::Ext => match <[Value; 2]>::try_from(self.elements) {
                Ok([number, Value::Bytes(content)]) => {
                    let number = number.as_i64().and_then(|number| i8::try_from(number).ok());
                    number
                        .map(|number| Value::Ext(number, content))
                        .ok_or_else(|| {
                            ValueError::custom("there is no extension type of this number")
                        })
                }
                _ => Err(ValueError::custom(
                    "an extension type has a number and bytes",
                )),
            },
            Close::Simple => match self.elements.as_slice() {
                [Value::Uint(number)] if *number < 24 || (32..256).contains(number) => {
                    Ok(Value::simple(u8::try_from(*number).unwrap_or_default()))
                }
                _ => Err(ValueError::custom(
                    "there is no simple value of this number",
                )),
            },
        }
    }
}

macro_rules! elements {
    ($($trait:ident $method:ident,)*) => { $(
        impl ser::$trait for Elements {
            type Ok = Value;
            type Error = ValueError;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
                self.push(value)
            }

            fn end(self) -> Result {
                self.close()
            }
        }
    )* };
}

elements! {
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field,
}

#[derive(Debug)]
struct Entries {
    to: ToValue,
    entries: Vec<(Value, Value)>,
    /// A key that waits for its value.
    key: Option<Value>,
    variant: Option<&'static str>,
}

impl Entries {
    fn new(to: ToValue, len: usize, variant: Option<&'static str>) -> Self {
        Self {
            to,
            entries: Vec::with_capacity(len.min(32)),
            key: None,
            variant,
        }
    }

    fn push<T: Serialize + ?Sized>(&mut self, key: Value, value: &T) -> Result<()> {
        self.entries.push((key, value.serialize(self.to)?));
        Ok(())
    }

    fn close(self) -> Result {
        let map = Value::Map(self.entries);
        Ok(match self.variant {
            Some(variant) => entry(variant, map),
            None => map,
        })
    }
}

impl ser::SerializeMap for Entries {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        self.key = Some(key.serialize(self.to)?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        match self.key.take() {
            Some(key) => self.push(key, value),
            None => Err(ValueError::custom("a value without a key")),
        }
    }

    fn end(self) -> Result {
        self.close()
    }
}

macro_rules! fields {
    ($($trait:ident)*) => { $(
        impl ser::$trait for Entries {
            type Ok = Value;
            type Error = ValueError;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<()> {
                self.push(key.into(), value)
            }

            fn end(self) -> Result {
                self.close()
            }
        }
    )* };
}

fields!(SerializeStruct SerializeStructVariant);
