//! Whether a value says that it is nothing.

use serde::ser::{self, Impossible, Serialize, Serializer};
use std::fmt::{self, Display};

/// Whether a value is `None`. Asked of what is an `Option`, which says so before anything else runs.
#[inline]
pub(super) fn is_none<T: Serialize + ?Sized>(value: &T) -> bool {
    value.serialize(Probe).is_ok_and(|none| none)
}

struct Probe;

/// It is a collection, and so it is something.
#[derive(Debug)]
struct Something;

impl Display for Something {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
}

impl std::error::Error for Something {}

impl ser::Error for Something {
    fn custom<T: Display>(_: T) -> Self {
        Self
    }
}

macro_rules! something {
    ($($method:ident($($argument:ty),*);)*) => { $(
        #[inline]
        fn $method(self, $(_: $argument),*) -> Result<bool, Something> {
            Ok(false)
        }
    )* };
}

macro_rules! collections {
    ($($method:ident($($argument:ty),*) -> $kind:ident;)*) => { $(
        #[inline]
        fn $method(self, $(_: $argument),*) -> Result<Self::$kind, Something> {
            Err(Something)
        }
    )* };
}

impl Serializer for Probe {
    type Ok = bool;
    type Error = Something;
    type SerializeSeq = Impossible<bool, Something>;
    type SerializeTuple = Impossible<bool, Something>;
    type SerializeTupleStruct = Impossible<bool, Something>;
    type SerializeTupleVariant = Impossible<bool, Something>;
    type SerializeMap = Impossible<bool, Something>;
    type SerializeStruct = Impossible<bool, Something>;
    type SerializeStructVariant = Impossible<bool, Something>;

    #[inline]
    fn serialize_none(self) -> Result<bool, Something> {
        Ok(true)
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<bool, Something> {
        Ok(false)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: &T,
    ) -> Result<bool, Something> {
        Ok(false)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<bool, Something> {
        Ok(false)
    }

    fn collect_str<T: Display + ?Sized>(self, _: &T) -> Result<bool, Something> {
        Ok(false)
    }

    something! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_i128(i128);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_u128(u128);
        serialize_f32(f32);
        serialize_f64(f64);
        serialize_char(char);
        serialize_str(&str);
        serialize_bytes(&[u8]);
        serialize_unit();
        serialize_unit_struct(&'static str);
        serialize_unit_variant(&'static str, u32, &'static str);
    }

    collections! {
        serialize_seq(Option<usize>) -> SerializeSeq;
        serialize_tuple(usize) -> SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> SerializeTupleVariant;
        serialize_map(Option<usize>) -> SerializeMap;
        serialize_struct(&'static str, usize) -> SerializeStruct;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> SerializeStructVariant;
    }
}
