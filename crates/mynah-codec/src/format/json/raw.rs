//! A part of a document that stays as it is spelled.

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};
use std::fmt;

/// The name under which [`Raw`] makes itself known to this format; no other format knows it.
pub(super) const RAW: &str = "$mynah::json::Raw";

/// One JSON value, checked and not decoded: its spelling, borrowed from the input.
///
/// A dialect cuts an envelope with it and leaves the payload alone. What is in it has passed the
/// limits, its depth counted within the document it comes from. It is meant for [`decode`] and
/// [`encode`] of this module; any other format sees a text.
///
/// [`decode`]: super::decode
/// [`encode`]: super::encode
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Raw<'a>(&'a str);

impl<'a> Raw<'a> {
    /// Takes a spelling; the caller vouches that it is exactly one JSON value, since [`encode`]
    /// writes it as it is.
    ///
    /// [`encode`]: super::encode
    #[must_use]
    pub const fn new(spelling: &'a str) -> Self {
        Self(spelling)
    }

    /// The spelling, without white space around it.
    #[must_use]
    pub const fn get(self) -> &'a str {
        self.0
    }
}

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(RAW, self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Spelling;

        impl<'de> Visitor<'de> for Spelling {
            type Value = &'de str;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value that can be borrowed")
            }

            fn visit_borrowed_str<E: Error>(self, spelling: &'de str) -> Result<&'de str, E> {
                Ok(spelling)
            }
        }

        deserializer
            .deserialize_newtype_struct(RAW, Spelling)
            .map(Raw)
    }
}
