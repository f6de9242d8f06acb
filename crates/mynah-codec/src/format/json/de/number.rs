//! Numbers in the decoder.

use super::{Decoder, Failure, Kind, Result};
use crate::format::json::number::{Number, short_integer, spelling};
use mynah_protocol::value::{BigInt, VALUE_NAME, ValueError};
use serde::de::{Deserializer as _, IntoDeserializer as _, Visitor};

impl<'de> Decoder<'de> {
    #[cold]
    fn bad_number(&mut self, kind: Kind, offset: usize) -> Failure {
        self.at = offset;
        if kind == Kind::Truncated {
            self.ended()
        } else {
            self.malformed("a digit is missing or too many")
        }
    }

    #[cold]
    fn out_of_range(&self) -> Failure {
        self.fail(Kind::Shape, "number is beyond the range of a float")
    }

    /// The next value starts with a minus and is a token.
    #[inline]
    pub(super) fn at_negative_infinity(&self) -> bool {
        self.tokens && self.byte(self.at + 1) == Some(b'I')
    }

    #[cold]
    pub(super) fn token(&mut self) -> Result<f64> {
        match self.byte(self.at) {
            Some(b'N') if self.tokens => self.literal(b"NaN").map(|()| f64::NAN),
            Some(b'I') if self.tokens => self.literal(b"Infinity").map(|()| f64::INFINITY),
            Some(b'-') if self.tokens => self.literal(b"-Infinity").map(|()| f64::NEG_INFINITY),
            Some(_) => Err(self.malformed("no JSON starts with this byte")),
            None => Err(self.ended()),
        }
    }

    /// Reads the number that is next.
    #[inline(never)]
    pub(super) fn number(&mut self) -> Result<Number> {
        if self.at_negative_infinity() {
            return self.token().map(Number::Float);
        }
        match spelling(self.text.as_bytes(), self.at) {
            Ok(spelling) => match spelling.number(self.text, self.at) {
                Some(number) => {
                    self.at = spelling.end;
                    Ok(number)
                }
                None => Err(self.out_of_range()),
            },
            Err((kind, offset)) => Err(self.bad_number(kind, offset)),
        }
    }

    /// Reads the number that is next as a float.
    #[inline(never)]
    pub(super) fn float(&mut self) -> Result<f64> {
        match spelling(self.text.as_bytes(), self.at) {
            Ok(spelling) => match spelling.float(self.text, self.at) {
                Some(float) => {
                    self.at = spelling.end;
                    Ok(float)
                }
                None => Err(self.out_of_range()),
            },
            Err((kind, offset)) => Err(self.bad_number(kind, offset)),
        }
    }

    /// Reads the number that is next as a small float.
    #[inline(never)]
    pub(super) fn float32(&mut self) -> Result<f32> {
        match spelling(self.text.as_bytes(), self.at) {
            Ok(spelling) => match spelling.float32(self.text, self.at) {
                Some(float) => {
                    self.at = spelling.end;
                    Ok(float)
                }
                None => Err(self.out_of_range()),
            },
            Err((kind, offset)) => Err(self.bad_number(kind, offset)),
        }
    }

    /// Goes past the number that is next.
    #[inline(never)]
    pub(super) fn skip_number(&mut self) -> Result<()> {
        match spelling(self.text.as_bytes(), self.at) {
            Ok(spelling) => {
                self.at = spelling.end;
                Ok(())
            }
            Err((kind, offset)) => Err(self.bad_number(kind, offset)),
        }
    }

    #[inline]
    pub(super) fn visit_number<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        match self.number()? {
            Number::Unsigned(value) => visitor.visit_u64(value),
            Number::Signed(value) => visitor.visit_i64(value),
            Number::Float(value) => visitor.visit_f64(value),
            Number::Wide(value) => visitor.visit_u128(value),
            Number::WideSigned(value) => visitor.visit_i128(value),
            Number::Huge => Err(self.fail(Kind::Shape, "integer of more than 128 bits")),
        }
    }

    /// Reads a number for a [`Value`](mynah_protocol::Value).
    pub(super) fn visit_any_number<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        let start = self.at;
        match self.number()? {
            Number::Huge => self.visit_huge(start, visitor),
            Number::Unsigned(value) => visitor.visit_u64(value),
            Number::Signed(value) => visitor.visit_i64(value),
            Number::Float(value) => visitor.visit_f64(value),
            Number::Wide(value) => visitor.visit_u128(value),
            Number::WideSigned(value) => visitor.visit_i128(value),
        }
    }

    /// Hands over the integer that was read from `start` on, as a tag of CBOR.
    #[cold]
    fn visit_huge<V: Visitor<'de>>(&self, start: usize, visitor: V) -> Result<V::Value> {
        let spelled = self.text.get(start..self.at).unwrap_or_default();
        let digits = spelled.strip_prefix('-');
        let number = BigInt::from_decimal(digits.is_some(), digits.unwrap_or(spelled).as_bytes());
        match number {
            Some(number) => number
                .into_deserializer()
                .deserialize_newtype_struct(VALUE_NAME, visitor)
                .map_err(|error: ValueError| self.fail(Kind::Shape, &error.to_string())),
            None => Err(self.fail(Kind::Shape, "integer of too many digits")),
        }
    }

    /// Reads a number for an integer.
    #[inline]
    pub(super) fn integer<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        let first = self.start()?;
        if let Some((value, end)) = short_integer(self.text.as_bytes(), self.at) {
            self.at = end;
            return visitor.visit_u64(value);
        }
        match first {
            b'-' | b'0'..=b'9' => self.visit_number(visitor),
            _ => Err(self.unexpected(&visitor)),
        }
    }
}
