//! Numbers and the other items of major type 7.

use super::{Decoder, INFO, Result, head};
use crate::format::cbor::fault;
use serde::de::Visitor;

impl<'de> Decoder<'de, '_> {
    /// An integer; for everything else the visitor is asked what it makes of it.
    #[inline]
    pub(super) fn number<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        let first = self.peek()?;
        match first & !INFO {
            head::UINT => visitor.visit_u64(self.argument(first)?),
            head::NEGATIVE => {
                let argument = self.argument(first)?;
                match i64::try_from(argument) {
                    Ok(argument) => visitor.visit_i64(-1 - argument),
                    Err(_) => visitor.visit_i128(-1 - i128::from(argument)),
                }
            }
            head::TAG => self.tagged_number(visitor),
            _ => self.unexpected(visitor),
        }
    }

    /// A float of any width, or an integer.
    #[inline]
    pub(super) fn float<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        if let [head::DOUBLE, rest @ ..] = self.rest
            && let Some((bytes, rest)) = rest.split_first_chunk()
        {
            self.rest = rest;
            return visitor.visit_f64(f64::from_be_bytes(*bytes));
        }
        let first = self.peek()?;
        match first & !INFO {
            head::SIMPLE => self.simple(first, visitor),
            _ => self.number(visitor),
        }
    }

    /// The item behind a tag, where the tags of large integers are understood.
    #[cold]
    #[inline(never)]
    fn tagged_number<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        let tag = self.tag()?;
        let big = matches!(tag, head::BIG_UINT | head::BIG_NEGATIVE);
        let value = if big && self.peek()? & !INFO == head::BYTES {
            self.big(tag == head::BIG_NEGATIVE, visitor)?
        } else {
            serde::Deserializer::deserialize_any(&mut *self, visitor)?
        };
        self.leave();
        Ok(value)
    }

    /// The integer that a byte string spells.
    fn big<V: Visitor<'de>>(&mut self, negative: bool, visitor: V) -> Result<V::Value> {
        let first = self.peek()?;
        let digits = self.any_bytes(first)?;
        let zeros = digits.iter().take_while(|digit| **digit == 0).count();
        let digits = digits.get(zeros..).unwrap_or_default();
        if digits.len() > 16 {
            return Err(self.shape("an integer beyond 128 bits"));
        }
        let n = digits
            .iter()
            .fold(0u128, |n, digit| (n << 8) | u128::from(*digit));
        if !negative {
            return match u64::try_from(n) {
                Ok(n) => visitor.visit_u64(n),
                Err(_) => visitor.visit_u128(n),
            };
        }
        match i128::try_from(n).map(|n| -1 - n) {
            Ok(n) => match i64::try_from(n) {
                Ok(n) => visitor.visit_i64(n),
                Err(_) => visitor.visit_i128(n),
            },
            Err(_) => Err(self.shape("an integer beyond 128 bits")),
        }
    }

    /// A float, or a simple value that serde has a word for.
    #[inline]
    pub(super) fn simple<V: Visitor<'de>>(&mut self, first: u8, visitor: V) -> Result<V::Value> {
        match first {
            head::FALSE | head::TRUE => {
                self.pass(1);
                visitor.visit_bool(first == head::TRUE)
            }
            head::NULL | head::UNDEFINED => {
                self.pass(1);
                visitor.visit_unit()
            }
            head::HALF | head::SINGLE | head::DOUBLE => {
                let float = self.any_float(first)?;
                visitor.visit_f64(float)
            }
            _ => {
                self.number_of_simple(first)?;
                Err(self.shape("a simple value without a meaning"))
            }
        }
    }

    fn any_float(&mut self, first: u8) -> Result<f64> {
        let bits = self.argument(first)?;
        Ok(match first {
            head::HALF => head::half_to_f64(u16::try_from(bits).unwrap_or_default()),
            head::SINGLE => f32::from_bits(u32::try_from(bits).unwrap_or_default()).into(),
            _ => f64::from_bits(bits),
        })
    }

    /// The number of a simple value that is not a float.
    pub(super) fn number_of_simple(&mut self, first: u8) -> Result<u8> {
        if first == head::BREAK {
            return Err(self.malformed(fault::STRAY_BREAK));
        }
        let start = self.rest;
        let number = u8::try_from(self.argument(first)?).unwrap_or_default();
        if first == head::SIMPLE_BYTE && number < 32 {
            self.rest = start;
            return Err(self.malformed(fault::LONG_SIMPLE));
        }
        Ok(number)
    }
}
