//! CBOR to values.

mod access;
mod fields;
mod number;
mod text;
mod value;

use super::head::{self, INFO};
use super::{fault, scan};
use crate::format::failure::{Failure, Result};
use crate::format::variant::{Located, OneEntry, UnitVariant};
use crate::{DecodeError, DecodeErrorKind};
use access::{Elements, Entries};
use fields::Fields;
use mynah_protocol::value::VALUE_NAME;
use mynah_protocol::{DecodeLimits, DuplicateKeys};
use serde::de::{Deserialize, Deserializer, Visitor};
use value::AnyValue;

#[inline]
pub(super) fn decode<'de, T: Deserialize<'de>>(
    bytes: &'de [u8],
    limits: &DecodeLimits,
) -> std::result::Result<T, DecodeError> {
    let mut decoder = Decoder::new(bytes, limits);
    match decoder.whole() {
        Ok(value) => Ok(value),
        Err(error) => decoder.explain(error),
    }
}

/// A deserializer over the rest of a message.
#[derive(Debug)]
pub(super) struct Decoder<'de, 'a> {
    input: &'de [u8],
    rest: &'de [u8],
    depth_left: u32,
    limits: &'a DecodeLimits,
    /// Offsets of keys that are passed over with their values, ascending: a later one overrides them.
    overridden: Vec<usize>,
}

impl<'de, 'a> Decoder<'de, 'a> {
    #[inline]
    fn new(input: &'de [u8], limits: &'a DecodeLimits) -> Self {
        Self {
            input,
            rest: input,
            depth_left: limits.max_depth,
            limits,
            overridden: Vec::new(),
        }
    }

    /// The one value that is the whole input.
    #[inline]
    fn whole<T: Deserialize<'de>>(&mut self) -> Result<T> {
        if self.input.len() > self.limits.max_message_bytes {
            return Err(fault::too_large(self.input.len()).into());
        }
        let value = T::deserialize(&mut *self)?;
        if self.rest.is_empty() {
            Ok(value)
        } else {
            Err(fault::trailing(self.offset()).into())
        }
    }

    /// A second try where duplicate keys are allowed and one was found; the error as it is otherwise.
    ///
    /// serde's structs refuse a second value for a field, so what is overridden has to be known before they see it.
    /// Finding it takes a pass over the message, which only messages with duplicates pay for.
    #[cold]
    #[inline(never)]
    fn explain<T: Deserialize<'de>>(
        &mut self,
        error: Failure,
    ) -> std::result::Result<T, DecodeError> {
        let error = error.into_inner();
        // An overridden value may be of any shape.
        if matches!(
            error.kind(),
            DecodeErrorKind::DuplicateKey | DecodeErrorKind::Shape
        ) && self.limits.duplicate_keys == DuplicateKeys::LastWins
            && self.overridden.is_empty()
        {
            let overridden = scan::overridden(self.input, self.limits)?;
            if !overridden.is_empty() {
                *self = Self {
                    overridden,
                    ..Self::new(self.input, self.limits)
                };
                return self
                    .whole()
                    .map_err(|error| self.located(error.into_inner()));
            }
        }
        Err(self.located(error))
    }

    /// Errors that serde makes do not know where they are; they are not far from where the decoder stopped.
    fn located(&self, error: DecodeError) -> DecodeError {
        if error.offset() == 0 {
            error.at(self.offset())
        } else {
            error
        }
    }

    #[inline]
    fn offset(&self) -> usize {
        self.input.len() - self.rest.len()
    }

    /// The first byte of the next item, which stays.
    #[inline]
    fn peek(&self) -> Result<u8> {
        match self.rest.first() {
            Some(first) => Ok(*first),
            None => Err(self.truncated()),
        }
    }

    #[inline]
    fn pass(&mut self, len: usize) {
        self.rest = self.rest.get(len..).unwrap_or_default();
    }

    /// The argument of the head that starts here, and passes the head. `first` is its first byte.
    #[inline]
    fn argument(&mut self, first: u8) -> Result<u64> {
        let info = first & INFO;
        if info < 24 {
            self.pass(1);
            return Ok(info.into());
        }
        // Most numbers have no more than 16 bits.
        if let (25, [_, a, b, rest @ ..]) = (info, self.rest) {
            self.rest = rest;
            return Ok(u16::from_be_bytes([*a, *b]).into());
        }
        self.long_argument(info)
    }

    #[inline(never)]
    fn long_argument(&mut self, info: u8) -> Result<u64> {
        let (argument, len) = match (info, self.rest) {
            (24, [_, byte, ..]) => (u64::from(*byte), 2),
            (25, [_, a, b, ..]) => (u16::from_be_bytes([*a, *b]).into(), 3),
            (26, [_, a, b, c, d, ..]) => (u32::from_be_bytes([*a, *b, *c, *d]).into(), 5),
            (27, [_, rest @ ..]) => match rest.first_chunk() {
                Some(bytes) => (u64::from_be_bytes(*bytes), 9),
                None => return Err(self.truncated()),
            },
            (24..=26, _) => return Err(self.truncated()),
            (head::INDEFINITE, _) => {
                return Err(self.malformed(fault::NOT_INDEFINITE));
            }
            _ => return Err(self.malformed(fault::RESERVED)),
        };
        self.pass(len);
        Ok(argument)
    }

    /// Counts one level of nesting; to be undone by [`leave`](Self::leave).
    #[inline]
    fn enter(&mut self) -> Result<()> {
        match self.depth_left.checked_sub(1) {
            Some(left) => {
                self.depth_left = left;
                Ok(())
            }
            None => Err(fault::too_deep(self.offset()).into()),
        }
    }

    #[inline]
    fn leave(&mut self) {
        self.depth_left += 1;
    }

    /// Reads the head of an array or map with `each` items for an element, and checks what it announces. Gives the
    /// number of elements, or the most that may come before the break, and whether there is one.
    #[inline]
    fn collection(&mut self, first: u8, each: usize) -> Result<(usize, bool)> {
        let len = usize::from(first & INFO);
        if len < 24
            && len <= self.limits.max_collection_len
            && let Some(left) = self.depth_left.checked_sub(1)
            && let Some((_, rest)) = self.rest.split_first()
            && len * each <= rest.len()
        {
            (self.depth_left, self.rest) = (left, rest);
            return Ok((len, false));
        }
        self.long_collection(first, each)
    }

    #[inline(never)]
    fn long_collection(&mut self, first: u8, each: usize) -> Result<(usize, bool)> {
        let start = self.offset();
        if first & INFO == head::INDEFINITE {
            self.enter()?;
            self.pass(1);
            return Ok((self.limits.max_collection_len, true));
        }
        let len = self.argument(first)?;
        self.enter()?;
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if len > self.limits.max_collection_len {
            return Err(fault::too_long(start).into());
        }
        if len > self.rest.len() / each {
            self.check_announced(len, each, start)?;
        }
        Ok((len, false))
    }

    /// What is announced and is not there: is it beyond the limit of a message?
    #[cold]
    fn check_announced(&self, len: usize, each: usize, start: usize) -> Result<()> {
        let end = len
            .checked_mul(each)
            .and_then(|size| size.checked_add(self.offset()));
        if end.is_some_and(|end| end <= self.limits.max_message_bytes) {
            return Ok(());
        }
        Err(fault::too_large(start).into())
    }

    /// Reads a value behind a tag. The tag means nothing to the type that is asked for, or else is part of it.
    #[cold]
    #[inline(never)]
    fn tagged<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.tag()?;
        let value = read(self)?;
        self.leave();
        Ok(value)
    }

    /// The number of the tag that starts here; counts a level of nesting.
    fn tag(&mut self) -> Result<u64> {
        let first = self.peek()?;
        let number = self.argument(first)?;
        self.enter()?;
        Ok(number)
    }

    /// Passes one item, checked as strictly as if it were read.
    fn skip(&mut self) -> Result<()> {
        let first = self.peek()?;
        // What has no content needs no scanner.
        if matches!(first, 0x00..=0x17 | 0x20..=0x37 | 0xe0..=0xf7) {
            self.pass(1);
            return Ok(());
        }
        let len = scan::skip(self.rest, self.offset(), self.depth_left, self.limits)?;
        self.pass(len);
        Ok(())
    }

    #[cold]
    fn truncated(&self) -> Failure {
        if self.input.len() >= self.limits.max_message_bytes {
            return fault::too_large(self.input.len()).into();
        }
        fault::truncated(self.input.len()).into()
    }

    #[cold]
    fn malformed(&self, what: &'static str) -> Failure {
        fault::malformed(what, self.offset()).into()
    }

    #[cold]
    fn shape(&self, what: &'static str) -> Failure {
        DecodeError::new(DecodeErrorKind::Shape, what, self.offset()).into()
    }

    /// The item that starts here is of another shape, provided that it is an item.
    #[cold]
    #[inline(never)]
    fn mismatch(&mut self, what: &'static str) -> Failure {
        let error = self.shape(what);
        self.skip().err().unwrap_or(error)
    }

    #[inline]
    fn array<V: Visitor<'de>>(&mut self, first: u8, visitor: V) -> Result<V::Value> {
        let (left, indefinite) = self.collection(first, 1)?;
        let mut elements = Elements::new(self, left, indefinite);
        let value = visitor.visit_seq(&mut elements)?;
        elements.end()?;
        self.leave();
        Ok(value)
    }

    #[inline]
    fn map<V: Visitor<'de>>(&mut self, first: u8, visitor: V) -> Result<V::Value> {
        let (left, indefinite) = self.collection(first, 2)?;
        let mut entries = Entries::new(self, left, indefinite);
        let value = visitor.visit_map(&mut entries)?;
        entries.end()?;
        self.leave();
        Ok(value)
    }

    /// A map in which these keys are to be expected.
    #[inline]
    fn fields<V: Visitor<'de>>(
        &mut self,
        first: u8,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        if first & INFO == head::INDEFINITE
            || names.len() > Fields::MOST
            || !self.overridden.is_empty()
        {
            return self.any_fields(first, visitor);
        }
        let (left, _) = self.collection(first, 2)?;
        let mut fields = Fields::new(self, left, names);
        let value = visitor.visit_map(&mut fields)?;
        fields.end()?;
        self.leave();
        Ok(value)
    }

    #[cold]
    #[inline(never)]
    fn any_fields<V: Visitor<'de>>(&mut self, first: u8, visitor: V) -> Result<V::Value> {
        self.map(first, visitor)
    }

    /// Reads what is there, when it is nothing of what was asked for: the visitor says what it thinks of it.
    #[cold]
    #[inline(never)]
    fn unexpected<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        self.deserialize_any(visitor)
    }
}

/// A method that takes one major type, passes tags, and leaves the rest to the visitor.
macro_rules! expect_major {
    ($method:ident, $major:path, $read:ident) => {
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            let first = self.peek()?;
            match first & !INFO {
                $major => self.$read(first, visitor),
                head::TAG => self.tagged(|decoder| decoder.$method(visitor)),
                _ => self.unexpected(visitor),
            }
        }
    };
}

macro_rules! numbers {
    ($($method:ident)*) => { $(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            self.number(visitor)
        }
    )* };
}

impl Located for Decoder<'_, '_> {
    fn wrong_shape(&self, what: &'static str) -> Failure {
        self.shape(what)
    }
}

impl<'de> Deserializer<'de> for &mut Decoder<'de, '_> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let first = self.peek()?;
        match first & !INFO {
            head::UINT | head::NEGATIVE => self.number(visitor),
            head::BYTES => self.bytes(first, visitor),
            head::TEXT => self.text(first, visitor),
            head::ARRAY => self.array(first, visitor),
            head::MAP => self.map(first, visitor),
            head::TAG => self.number(visitor),
            _ => self.simple(first, visitor),
        }
    }

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
    }

    #[inline]
    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.float(visitor)
    }

    #[inline]
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.float(visitor)
    }

    expect_major!(deserialize_bool, head::SIMPLE, simple);
    expect_major!(deserialize_unit, head::SIMPLE, simple);
    expect_major!(deserialize_seq, head::ARRAY, array);
    expect_major!(deserialize_map, head::MAP, map);

    #[inline]
    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    #[inline]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let first = self.peek()?;
        match first & !INFO {
            head::TEXT => self.text(first, visitor),
            head::TAG => self.tagged(|decoder| decoder.deserialize_str(visitor)),
            // The visitors for texts take bytes as well, and the other way round; here they are different things.
            head::BYTES => Err(self.mismatch("bytes where a text is expected")),
            _ => self.unexpected(visitor),
        }
    }

    #[inline]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    #[inline]
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let first = self.peek()?;
        match first & !INFO {
            head::BYTES => self.bytes(first, visitor),
            head::ARRAY => self.array(first, visitor),
            head::TAG => self.tagged(|decoder| decoder.deserialize_bytes(visitor)),
            head::TEXT => Err(self.mismatch("a text where bytes are expected")),
            _ => self.unexpected(visitor),
        }
    }

    #[inline]
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_bytes(visitor)
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.peek()? {
            head::NULL | head::UNDEFINED => {
                self.pass(1);
                visitor.visit_none()
            }
            _ => visitor.visit_some(self),
        }
    }

    #[inline]
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
        if name == VALUE_NAME {
            return AnyValue(self).visit(visitor);
        }
        visitor.visit_newtype_struct(self)
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    #[inline]
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let first = self.peek()?;
        match first & !INFO {
            head::MAP => self.fields(first, fields, visitor),
            head::ARRAY => self.array(first, visitor),
            head::TAG => self.tagged(|decoder| decoder.deserialize_struct(name, fields, visitor)),
            _ => self.unexpected(visitor),
        }
    }

    #[inline]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let first = self.peek()?;
        match first & !INFO {
            head::TEXT => visitor.visit_enum(UnitVariant(self)),
            head::MAP => {
                let (left, indefinite) = self.collection(first, 2)?;
                if left != 1 && !indefinite || indefinite && self.peek()? == head::BREAK {
                    return Err(self.shape("an enum is a map of one entry"));
                }
                let value = visitor.visit_enum(OneEntry(self))?;
                if indefinite {
                    if self.peek()? != head::BREAK {
                        return Err(self.shape("an enum is a map of one entry"));
                    }
                    self.pass(1);
                }
                self.leave();
                Ok(value)
            }
            head::TAG => self.tagged(|decoder| decoder.deserialize_enum(name, variants, visitor)),
            _ => Err(self.mismatch("neither the name of a variant nor a map of one entry")),
        }
    }

    /// The name of a field or a variant: a text, or bytes.
    #[inline]
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let first = self.peek()?;
        match first & !INFO {
            head::TEXT => self.text(first, visitor),
            head::BYTES => self.bytes(first, visitor),
            head::TAG => self.tagged(|decoder| decoder.deserialize_identifier(visitor)),
            // serde would take a number for the index of a field, which is nothing that a peer may rely on.
            _ => Err(self.mismatch("a name is neither a text nor bytes")),
        }
    }

    #[inline]
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.skip()?;
        visitor.visit_unit()
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        false
    }
}
