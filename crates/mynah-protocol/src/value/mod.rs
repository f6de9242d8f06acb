//! A value of any shape, for what is known only at run time.

mod access;
mod big;
mod convert;
mod de;
mod display;
mod error;
mod into_typed;
#[cfg(feature = "schema")]
mod schema;
mod ser;
#[cfg(test)]
mod tests;
mod to_value;

pub use big::BigInt;
pub use error::ValueError;
pub use into_typed::FromValue;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

/// The name under which a tagged value passes through serde: a tuple struct of the number of the tag (`u64`) and the
/// tagged value.
///
/// A format with tags writes a tuple struct of this name as a tag; one that is not human readable and has none
/// writes the two fields.
pub const TAG_NAME: &str = "$mynah::tag";

/// The name under which a simple value of CBOR without another word passes through serde: a tuple struct of its
/// number (`u8`).
pub const SIMPLE_NAME: &str = "$mynah::simple";

/// The name under which an extension type of MessagePack passes through serde: a tuple struct of the number of the type
/// (`i8`) and its content (bytes).
///
/// A format with extension types writes a tuple struct of this name as one; one that has none refuses it.
pub const EXT_NAME: &str = "$mynah::ext";

/// The name of the newtype struct by which a [`Value`] asks a format for everything that it has.
///
/// A format that knows the name hands to the visitor, as an enum: variant 0 for a tag, with a tuple of its number
/// (`u64`) and the tagged value as content; variant 1 for a simple value of CBOR that serde has no word for, with its
/// number (`u8`) as content; variant 2 for an extension type of MessagePack, with a tuple of its number (`i8`) and its
/// content (bytes) as content. Everything else goes to the visitor as it would without the name. A format that does
/// not know the name sees a plain newtype struct around a value of any kind.
///
/// A serializer sees the name around a value that a human readable format has no word for; one that is not such a
/// format passes the content on to a serializer that is not human readable.
pub const VALUE_NAME: &str = "$mynah::value";

/// A value of any shape.
///
/// Maps keep their order and may have keys of any kind, as CBOR allows. Comparing is structural: the order of a map
/// counts, an integer differs from a float, and a float that is not a number differs from itself.
///
/// From one format into another a value comes whole or not at all: what a format has no word for is an error there. A
/// float that is not a number keeps being one, but not its sign and payload, which no language shows.
///
/// | | CBOR | MessagePack | JSON |
/// |---|---|---|---|
/// | integers | of any size | 64 bits | up to [`BigInt::MAX_DECIMAL_DIGITS`] digits |
/// | NaN and the infinities | yes | yes | an error |
/// | bytes | yes | yes | an error; raw behind the text on the native wire |
/// | keys | any | any | texts |
/// | [`Tag`](Self::Tag), [`Simple`](Self::Simple) | yes | an error | an error |
/// | [`Ext`](Self::Ext) | an error | yes | an error |
///
/// Cloning, comparing and dropping recurse; a value that a format of Mynah decoded is never too deep for that.
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
    /// An integer that neither [`Uint`](Self::Uint) nor [`Int`](Self::Int) can hold.
    Big(BigInt),
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
    /// A tagged value (CBOR, RFC 8949 section 3.4). Integers beyond 64 bits (tags 2 and 3) are
    /// [`Big`](Self::Big) instead.
    Tag(u64, Box<Value>),
    /// A simple value of CBOR that has no other variant, by its number; undefined is 23.
    Simple(u8),
    /// An extension type of MessagePack: its number, and its content as it is. Numbers below zero are the format's own;
    /// -1 is a timestamp.
    Ext(i8, Vec<u8>),
}
