//! A head in MessagePack.

use super::{Head, item_len, malformed, truncated};
use crate::format::msgpack::head::{self, Class, NIL};
use crate::{DecodeError, DecodeErrorKind, Format};
use mynah_protocol::DecodeLimits;
use std::borrow::Cow;

/// A head in MessagePack: any width of integers and lengths.
pub(crate) struct MsgpackHead<'b> {
    bytes: &'b [u8],
    at: usize,
    left: u64,
}

impl<'b> MsgpackHead<'b> {
    #[inline]
    pub(crate) fn new(bytes: &'b [u8]) -> Result<Self, DecodeError> {
        let mut head = Self {
            bytes,
            at: 0,
            left: 0,
        };
        match head.take_head()? {
            (Class::Array, len) => head.left = len,
            _ => return Err(malformed("head of the frame is no array", 0)),
        }
        Ok(head)
    }

    #[inline]
    fn look(&self) -> Result<head::Head, DecodeError> {
        head::read(self.bytes.get(self.at..).unwrap_or_default())
            .map_err(|_missing| truncated(self.at))
    }

    /// Class and argument.
    #[inline]
    fn take_head(&mut self) -> Result<(Class, u64), DecodeError> {
        let head = self.look()?;
        self.at += head.len;
        Ok((head.class, head.argument))
    }

    #[inline]
    fn element(&mut self) -> Result<(Class, u64), DecodeError> {
        self.count()?;
        self.take_head()
    }

    #[inline]
    fn count(&mut self) -> Result<(), DecodeError> {
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(malformed("head is too short", self.at)),
        }
    }

    #[inline]
    fn take(&mut self, len: usize) -> Result<&'b [u8], DecodeError> {
        let taken = self
            .at
            .checked_add(len)
            .and_then(|end| self.bytes.get(self.at..end))
            .ok_or_else(|| truncated(self.at))?;
        self.at += len;
        Ok(taken)
    }
}

impl<'b> Head<'b> for MsgpackHead<'b> {
    #[inline]
    fn more(&mut self) -> Result<bool, DecodeError> {
        Ok(self.left > 0)
    }

    #[inline]
    fn uint(&mut self) -> Result<u64, DecodeError> {
        let at = self.at;
        match self.element()? {
            (Class::Uint, value) => Ok(value),
            // Some write small integers as signed ones.
            (Class::Int, value) if value.cast_signed() >= 0 => Ok(value),
            _ => Err(malformed("not an unsigned integer", at)),
        }
    }

    fn int(&mut self) -> Result<i64, DecodeError> {
        let at = self.at;
        match self.element()? {
            (Class::Uint, value) => {
                i64::try_from(value).map_err(|_large| malformed("integer is too large", at))
            }
            (Class::Int, value) => Ok(value.cast_signed()),
            _ => Err(malformed("not an integer", at)),
        }
    }

    #[inline]
    fn text(&mut self) -> Result<Cow<'b, str>, DecodeError> {
        let at = self.at;
        let (Class::Text, len) = self.element()? else {
            return Err(malformed("not a text", at));
        };
        let at = self.at;
        let bytes = self.take(usize::try_from(len).unwrap_or(usize::MAX))?;
        match str::from_utf8(bytes) {
            Ok(text) => Ok(Cow::Borrowed(text)),
            Err(_) => Err(DecodeError::new(
                DecodeErrorKind::InvalidUtf8,
                "text is not UTF-8",
                at,
            )),
        }
    }

    fn null(&mut self) -> Result<bool, DecodeError> {
        if self.bytes.get(self.at) != Some(&NIL) {
            // Where nothing is left of the frame, that is what the caller is told.
            self.look()?;
            return Ok(false);
        }
        self.count()?;
        self.at += 1;
        Ok(true)
    }

    #[inline]
    fn is_text(&mut self) -> Result<bool, DecodeError> {
        Ok(self.look()?.class == Class::Text)
    }

    fn raw(&mut self, limits: &DecodeLimits) -> Result<&'b [u8], DecodeError> {
        self.count()?;
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let len = item_len(Format::MessagePack, rest, limits).map_err(|error| error.at(self.at))?;
        self.take(len)
    }

    #[inline]
    fn body(mut self, limits: &DecodeLimits) -> Result<&'b [u8], DecodeError> {
        while self.left > 0 {
            self.raw(limits)?;
        }
        Ok(self.bytes.get(self.at..).unwrap_or_default())
    }
}
