//! Values through serde, outwards.

use super::{BigInt, EXT_NAME, SIMPLE_NAME, TAG_NAME, VALUE_NAME, Value};
use serde::ser::{Error as _, Serialize, SerializeTupleStruct as _, Serializer};

/// A human readable format (JSON) has no bytes, no tags, nothing undefined, and no keys but texts; one of a stranger has
/// no integers beyond 128 bits either. Those are errors, unless the format knows [`VALUE_NAME`] and has a word for them.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() && self.needs_more_than_json() {
            return serializer.serialize_newtype_struct(VALUE_NAME, &Exact(self));
        }
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Uint(value) => serializer.serialize_u64(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Big(value) => value.serialize(serializer),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => serializer.serialize_bytes(bytes),
            Self::Array(elements) => serializer.collect_seq(elements),
            Self::Map(entries) => {
                serializer.collect_map(entries.iter().map(|(key, value)| (key, value)))
            }
            Self::Tag(number, content) => serialize_tag(*number, &**content, serializer),
            Self::Simple(number) => serialize_simple(*number, serializer),
            Self::Ext(number, content) => serialize_ext(*number, content, serializer),
        }
    }
}

impl Value {
    /// Whether JSON has no word for it, leaving aside what it contains.
    fn needs_more_than_json(&self) -> bool {
        match self {
            Self::Tag(..) | Self::Simple(_) | Self::Ext(..) | Self::Bytes(_) => true,
            Self::Big(value) => value.as_u128().is_none() && value.as_i128().is_none(),
            // JSON libraries turn a number that is a key into a text without a word; it would come back as another
            // value.
            Self::Map(entries) => entries.iter().any(|(key, _)| key.as_str().is_none()),
            _ => false,
        }
    }
}

/// A value for those that know [`VALUE_NAME`]: they take it in the way of formats that are not human readable.
struct Exact<'a>(&'a Value);

impl Serialize for Exact<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return Err(S::Error::custom(match self.0 {
                Value::Simple(_) => "undefined and its kin cannot be written here",
                Value::Map(_) => "a key that is not a text cannot be written here",
                Value::Big(_) => "an integer beyond 128 bits cannot be written here",
                Value::Bytes(_) => "bytes cannot be written here",
                Value::Ext(..) => "an extension type cannot be written here",
                _ => "a tag cannot be written here",
            }));
        }
        self.0.serialize(serializer)
    }
}

/// As an integer of 128 bits where that is enough, else as a tag (2 or 3) of bytes.
impl Serialize for BigInt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some(value) = self.as_u128() {
            serializer.serialize_u128(value)
        } else if let Some(value) = self.as_i128() {
            serializer.serialize_i128(value)
        } else {
            let tag = if self.is_negative() { 3 } else { 2 };
            serialize_tag(tag, &Octets(self.digits()), serializer)
        }
    }
}

/// Bytes, and not an array of numbers.
struct Octets<'a>(&'a [u8]);

impl Serialize for Octets<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

fn serialize_tag<S: Serializer, T: Serialize>(
    number: u64,
    content: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut tag = serializer.serialize_tuple_struct(TAG_NAME, 2)?;
    tag.serialize_field(&number)?;
    tag.serialize_field(content)?;
    tag.end()
}

fn serialize_simple<S: Serializer>(number: u8, serializer: S) -> Result<S::Ok, S::Error> {
    let mut simple = serializer.serialize_tuple_struct(SIMPLE_NAME, 1)?;
    simple.serialize_field(&number)?;
    simple.end()
}

fn serialize_ext<S: Serializer>(
    number: i8,
    content: &[u8],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut ext = serializer.serialize_tuple_struct(EXT_NAME, 2)?;
    ext.serialize_field(&number)?;
    ext.serialize_field(&Octets(content))?;
    ext.end()
}
