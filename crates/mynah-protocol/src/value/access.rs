//! Looking into a value.

use super::Value;
use alloc::vec::Vec;

impl Value {
    /// Whether it is null.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The boolean, when it is one.
    #[must_use]
    pub const fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The integer, when it is one from 0 to 2^64 - 1.
    #[must_use]
    pub const fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Uint(value) => Some(*value),
            _ => None,
        }
    }

    /// The integer, when it is one from -2^63 to 2^63 - 1.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Uint(value) => i64::try_from(*value).ok(),
            Self::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// The number, when it is one, as the nearest float: large integers are rounded.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "rounding is what the caller asks for"
    )]
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Uint(value) => Some(*value as f64),
            Self::Int(value) => Some(*value as f64),
            Self::Big(value) => Some(value.to_f64()),
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// The text, when it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The bytes, when it is bytes.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The elements, when it is an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(elements) => Some(elements),
            _ => None,
        }
    }

    /// The entries, when it is a map.
    #[must_use]
    pub fn as_map(&self) -> Option<&[(Self, Self)]> {
        match self {
            Self::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The number and the content, when it is a tag.
    #[must_use]
    pub fn as_tag(&self) -> Option<(u64, &Self)> {
        match self {
            Self::Tag(number, content) => Some((*number, content)),
            _ => None,
        }
    }

    /// The number and the content, when it is an extension type of MessagePack.
    #[must_use]
    pub fn as_ext(&self) -> Option<(i8, &[u8])> {
        match self {
            Self::Ext(number, content) => Some((*number, content)),
            _ => None,
        }
    }

    /// The value under a text key, when it is a map that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        let (_, value) = self
            .as_map()?
            .iter()
            .find(|(name, _)| name.as_str() == Some(key))?;
        Some(value)
    }

    /// The element at an index from 0, when it is an array that has it.
    #[must_use]
    pub fn at(&self, index: usize) -> Option<&Self> {
        self.as_array()?.get(index)
    }

    /// The text, when it is one; the value itself otherwise.
    ///
    /// # Errors
    /// The value when it is no text.
    pub fn into_string(self) -> Result<alloc::string::String, Self> {
        match self {
            Self::Text(text) => Ok(text),
            other => Err(other),
        }
    }

    /// The elements, when it is an array; the value itself otherwise.
    ///
    /// # Errors
    /// The value when it is no array.
    pub fn into_array(self) -> Result<Vec<Self>, Self> {
        match self {
            Self::Array(elements) => Ok(elements),
            other => Err(other),
        }
    }
}
