//! MessagePack to values.

mod access;
mod ext;

use super::head::{self, Class, Head};
use super::{RESERVED, scan};
use crate::format::failure::{Failure, Result};
use crate::format::fault;
use crate::format::variant::{Located, OneEntry, UnitVariant};
use crate::{DecodeError, DecodeErrorKind};
use access::{Elements, Entries};
use ext::Ext;
use mynah_protocol::value::VALUE_NAME;
use mynah_protocol::{DecodeLimits, DuplicateKeys};
use serde::de::{Deserialize, Deserializer, Visitor};

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

    /// The head of the next value, which stays.
    #[inline]
    fn peek(&self) -> Result<Head> {
        match head::read(self.rest) {
            Ok(head) if head.class != Class::Never => Ok(head),
            Ok(_) => Err(fault::malformed(RESERVED, self.offset()).into()),
            Err(_) => Err(self.truncated()),
        }
    }

    #[inline]
    fn pass(&mut self, len: usize) {
        self.rest = self.rest.get(len..).unwrap_or_default();
    }

    /// Passes the head of an array or map with `each` values for an element, and checks what it announces; counts a
    /// level of nesting, to be undone by [`leave`](Self::leave).
    #[inline]
    fn collection(&mut self, head: &Head, each: usize) -> Result<usize> {
        let Some(depth_left) = self.depth_left.checked_sub(1) else {
            return Err(fault::too_deep(self.offset()).into());
        };
        let start = self.offset();
        let len = usize::try_from(head.argument).unwrap_or(usize::MAX);
        if len > self.limits.max_collection_len {
            return Err(fault::too_long(start).into());
        }
        self.depth_left = depth_left;
        self.pass(head.len);
        if len > self.rest.len() / each {
            self.check_announced(len, each, start)?;
        }
        Ok(len)
    }

    #[inline]
    fn leave(&mut self) {
        self.depth_left += 1;
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

    /// Passes one value, checked as strictly as if it were read.
    fn skip(&mut self) -> Result<()> {
        // What has no content needs no scanner.
        if let Some(&(0x00..=0x7f | head::NIL | head::FALSE | head::TRUE | 0xe0..=0xff)) =
            self.rest.first()
        {
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
    fn shape(&self, what: &'static str) -> Failure {
        DecodeError::new(DecodeErrorKind::Shape, what, self.offset()).into()
    }

    /// The value that starts here is of another shape, provided that it is a value.
    #[cold]
    #[inline(never)]
    fn mismatch(&mut self, what: &'static str) -> Failure {
        let error = self.shape(what);
        self.skip().err().unwrap_or(error)
    }

    #[inline]
    fn text<V: Visitor<'de>>(&mut self, head: &Head, visitor: V) -> Result<V::Value> {
        let content = self.content(head)?;
        match std::str::from_utf8(content) {
            Ok(text) => visitor.visit_borrowed_str(text),
            Err(_) => Err(fault::invalid_utf8(self.offset() - content.len()).into()),
        }
    }

    #[inline]
    fn bytes<V: Visitor<'de>>(&mut self, head: &Head, visitor: V) -> Result<V::Value> {
        visitor.visit_borrowed_bytes(self.content(head)?)
    }

    /// Passes a text or bytes.
    #[inline]
    fn content(&mut self, head: &Head) -> Result<&'de [u8]> {
        let start = self.offset();
        let len = usize::try_from(head.argument).unwrap_or(usize::MAX);
        self.pass(head.len);
        match self.rest.split_at_checked(len) {
            Some((content, rest)) => {
                self.rest = rest;
                Ok(content)
            }
            None => Err(self.incomplete(head, len, start)),
        }
    }

    /// Why a text or bytes cannot be read that are longer than the input, with the verdict of a scan over the input.
    #[cold]
    #[inline(never)]
    fn incomplete(&self, head: &Head, len: usize, start: usize) -> Failure {
        if let Err(error) = self.check_announced(len, 1, start) {
            return error;
        }
        match std::str::from_utf8(self.rest) {
            Err(error) if head.class == Class::Text && error.error_len().is_some() => {
                fault::invalid_utf8(self.offset()).into()
            }
            _ => self.truncated(),
        }
    }

    #[inline]
    fn array<V: Visitor<'de>>(&mut self, head: &Head, visitor: V) -> Result<V::Value> {
        let left = self.collection(head, 1)?;
        let mut elements = Elements::new(self, left);
        let value = visitor.visit_seq(&mut elements)?;
        elements.end()?;
        self.leave();
        Ok(value)
    }

    #[inline]
    fn map<V: Visitor<'de>>(&mut self, head: &Head, visitor: V) -> Result<V::Value> {
        self.fields(head, &[], visitor)
    }

    /// A map in which these keys are to be expected.
    #[inline]
    fn fields<V: Visitor<'de>>(
        &mut self,
        head: &Head,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let left = self.collection(head, 2)?;
        let mut entries = Entries::new(self, left, fields);
        let value = visitor.visit_map(&mut entries)?;
        entries.end()?;
        self.leave();
        Ok(value)
    }

    /// A number, nil, true or false.
    #[inline]
    fn scalar<V: Visitor<'de>>(&mut self, head: &Head, visitor: V) -> Result<V::Value> {
        self.pass(head.len);
        let n = head.argument;
        match head.class {
            Class::Uint => visitor.visit_u64(n),
            // Some write small integers as signed ones.
            Class::Int => match i64::try_from(n) {
                Ok(_) => visitor.visit_u64(n),
                Err(_) => visitor.visit_i64(n.cast_signed()),
            },
            Class::Single => {
                let bits = u32::try_from(n).unwrap_or_default();
                visitor.visit_f64(f32::from_bits(bits).into())
            }
            Class::Double => visitor.visit_f64(f64::from_bits(n)),
            Class::Bool => visitor.visit_bool(n == 1),
            _ => visitor.visit_unit(),
        }
    }
}

/// A method for what needs no more than the first byte of a value.
macro_rules! whatever_comes {
    ($($method:ident)*) => { $(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            self.deserialize_any(visitor)
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

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let head = self.peek()?;
        match head.class {
            Class::Text => self.text(&head, visitor),
            Class::Bytes => self.bytes(&head, visitor),
            Class::Array => self.array(&head, visitor),
            Class::Map => self.map(&head, visitor),
            Class::Ext => Err(self.mismatch("an extension type, which has no meaning here")),
            _ => self.scalar(&head, visitor),
        }
    }

    whatever_comes! {
        deserialize_bool deserialize_unit
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64
        deserialize_seq deserialize_map
    }

    #[inline]
    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    #[inline]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let head = self.peek()?;
        match head.class {
            Class::Text => self.text(&head, visitor),
            // The visitors for texts take bytes as well, and the other way round; here they are different things.
            Class::Bytes => Err(self.mismatch("bytes where a text is expected")),
            _ => self.deserialize_any(visitor),
        }
    }

    #[inline]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    #[inline]
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let head = self.peek()?;
        match head.class {
            Class::Bytes => self.bytes(&head, visitor),
            Class::Text => Err(self.mismatch("a text where bytes are expected")),
            _ => self.deserialize_any(visitor),
        }
    }

    #[inline]
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_bytes(visitor)
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.rest.first() == Some(&head::NIL) {
            self.pass(1);
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
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
            let head = self.peek()?;
            return match head.class {
                Class::Ext => visitor.visit_enum(Ext::new(self.content(&head)?)),
                _ => self.deserialize_any(visitor),
            };
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
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let head = self.peek()?;
        match head.class {
            Class::Map => self.fields(&head, fields, visitor),
            _ => self.deserialize_any(visitor),
        }
    }

    #[inline]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let head = self.peek()?;
        match head.class {
            Class::Text => visitor.visit_enum(UnitVariant(self)),
            Class::Map => {
                if self.collection(&head, 2)? != 1 {
                    return Err(self.shape("an enum is a map of one entry"));
                }
                let value = visitor.visit_enum(OneEntry(self))?;
                self.leave();
                Ok(value)
            }
            _ => Err(self.mismatch("neither the name of a variant nor a map of one entry")),
        }
    }

    /// The name of a field or a variant: a text, or bytes.
    #[inline]
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let head = self.peek()?;
        match head.class {
            Class::Text => self.text(&head, visitor),
            Class::Bytes => self.bytes(&head, visitor),
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
