//! What serde asks of the decoder.

use super::access::Variant;
use super::{Decoder, Failure, Kind, Result};
use crate::format::json::raw::RAW;
use mynah_protocol::value::VALUE_NAME;
use serde::de::{self, Visitor};

macro_rules! integers {
    ($($method:ident)*) => { $(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            self.integer(visitor)
        }
    )* };
}

macro_rules! texts {
    ($($method:ident)*) => { $(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            match self.start()? {
                b'"' => self.visit_text(visitor),
                _ => Err(self.unexpected(&visitor)),
            }
        }
    )* };
}

impl<'de> de::Deserializer<'de> for &mut Decoder<'de> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.start()? {
            b'"' => self.visit_text(visitor),
            b'[' => self.visit_array(visitor),
            b'{' => self.visit_object(visitor),
            b'-' | b'0'..=b'9' => self.visit_number(visitor),
            first => self.visit_word(first, visitor),
        }
    }

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
    }

    texts! { deserialize_char deserialize_str deserialize_string deserialize_identifier }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.start()? {
            first @ (b't' | b'f') => self.visit_word(first, visitor),
            _ => Err(self.unexpected(&visitor)),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.start()? {
            b'0'..=b'9' => {}
            b'-' if !self.at_negative_infinity() => {}
            first @ (b'-' | b'N' | b'I') => return self.visit_word(first, visitor),
            _ => return Err(self.unexpected(&visitor)),
        }
        visitor.visit_f32(self.float32()?)
    }

    #[inline]
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.start()? {
            b'0'..=b'9' => {}
            b'-' if !self.at_negative_infinity() => {}
            first @ (b'-' | b'N' | b'I') => return self.visit_word(first, visitor),
            _ => return Err(self.unexpected(&visitor)),
        }
        visitor.visit_f64(self.float()?)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.start()? {
            b'"' => {
                let text = self.read_text()?;
                if text.escaped {
                    return visitor.visit_bytes(self.scratch.as_bytes());
                }
                visitor.visit_borrowed_bytes(text.spelling.as_bytes())
            }
            b'[' => self.visit_array(visitor),
            b'{' if self.bytes_behind => self.visit_object(visitor),
            _ => Err(self.unexpected(&visitor)),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_bytes(visitor)
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.start()? == b'n' {
            self.literal(b"null")?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.start()? {
            b'n' => self.visit_word(b'n', visitor),
            _ => Err(self.unexpected(&visitor)),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_unit(visitor)
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        if name == RAW {
            return visitor.visit_borrowed_str(self.raw()?);
        }
        if name == VALUE_NAME {
            // All that JSON has beyond what serde has words for is a number of any length.
            return match self.start()? {
                b'-' | b'0'..=b'9' => self.visit_any_number(visitor),
                _ => self.deserialize_any(visitor),
            };
        }
        visitor.visit_newtype_struct(self)
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.start()? {
            b'[' => self.visit_array(visitor),
            _ => Err(self.unexpected(&visitor)),
        }
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.start()? {
            b'{' => self.visit_object(visitor),
            _ => Err(self.unexpected(&visitor)),
        }
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self.start()? {
            b'{' => self.visit_object(visitor),
            b'[' => self.visit_array(visitor),
            _ => Err(self.unexpected(&visitor)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self.start()? {
            b'"' => visitor.visit_enum(Variant::unit(self)),
            b'{' => {
                self.open()?;
                if !self.next_item(0, b'}')? {
                    return Err(self.fail(Kind::Shape, "an enum without a variant"));
                }
                let value = visitor.visit_enum(Variant::with_content(self))?;
                self.close(b'}')?;
                Ok(value)
            }
            _ => Err(self.unexpected(&visitor)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.skip()?;
        visitor.visit_unit()
    }
}
