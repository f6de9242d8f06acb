//! A value of any shape, for what is known only at run time.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

/// A value of any shape.
///
/// Maps keep their order and may have keys of any kind, as CBOR allows.
#[derive(Clone, Debug, PartialEq, Default)]
#[non_exhaustive]
pub enum Value {
    /// Nothing.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// An integer from 0 to 2^64 - 1.
    Uint(u64),
    /// A negative integer down to -2^63; never holds one that is not negative.
    Int(i64),
    /// A float.
    Float(f64),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A sequence.
    Array(Vec<Value>),
    /// Pairs, in order.
    Map(Vec<(Value, Value)>),
    /// A tagged value (CBOR, RFC 8949 section 3.4).
    Tag(u64, Box<Value>),
}

impl Value {
    /// The text, when it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Uint(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.into())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}
