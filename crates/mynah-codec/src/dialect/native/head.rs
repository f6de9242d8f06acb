//! The head of a frame: one positional array of scalars, read element by element.

mod msgpack;

pub(super) use msgpack::MsgpackHead;

use crate::{DecodeError, DecodeErrorKind, Format};
use mynah_protocol::{DecodeLimits, WireId};
use std::borrow::Cow;

/// Reads a head in any format. Every accessor takes the next element.
pub(super) trait Head<'b>: Sized {
    /// Whether another element follows.
    fn more(&mut self) -> Result<bool, DecodeError>;
    fn uint(&mut self) -> Result<u64, DecodeError>;
    fn int(&mut self) -> Result<i64, DecodeError>;
    fn text(&mut self) -> Result<Cow<'b, str>, DecodeError>;
    /// Takes a null, if that is what comes next.
    fn null(&mut self) -> Result<bool, DecodeError>;
    /// Whether a text comes next.
    fn is_text(&mut self) -> Result<bool, DecodeError>;
    /// Hands out the bytes of any one element.
    fn raw(&mut self, limits: &DecodeLimits) -> Result<&'b [u8], DecodeError>;
    /// Passes over what a newer peer added, and returns the body.
    fn body(self, limits: &DecodeLimits) -> Result<&'b [u8], DecodeError>;

    fn id(&mut self) -> Result<WireId, DecodeError> {
        if self.is_text()? {
            return Ok(WireId::Text(self.text()?.into()));
        }
        self.uint().map(WireId::Uint)
    }

    /// A number, or nothing: null, or the end of the head.
    fn optional_uint(&mut self) -> Result<Option<u64>, DecodeError> {
        if !self.more()? || self.null()? {
            Ok(None)
        } else {
            self.uint().map(Some)
        }
    }
}

#[cold]
fn malformed(detail: &str, offset: usize) -> DecodeError {
    DecodeError::new(DecodeErrorKind::Malformed, detail, offset)
}

#[cold]
fn truncated(offset: usize) -> DecodeError {
    DecodeError::new(
        DecodeErrorKind::Truncated,
        "head of the frame is cut off",
        offset,
    )
}

/// A head in CBOR. Definite lengths only.
pub(super) struct CborHead<'b> {
    bytes: &'b [u8],
    at: usize,
    left: u64,
}

impl<'b> CborHead<'b> {
    #[inline]
    pub(super) fn new(bytes: &'b [u8]) -> Result<Self, DecodeError> {
        let mut head = Self {
            bytes,
            at: 0,
            left: 0,
        };
        let (major, len) = head.take_head()?;
        if major != 4 {
            return Err(malformed("head of the frame is no array", 0));
        }
        head.left = len;
        Ok(head)
    }

    #[inline]
    fn peek(&self) -> Result<u8, DecodeError> {
        self.bytes
            .get(self.at)
            .copied()
            .ok_or_else(|| truncated(self.at))
    }

    /// Major type and argument.
    #[inline(always)]
    fn take_head(&mut self) -> Result<(u8, u64), DecodeError> {
        let first = self.peek()?;
        self.at += 1;
        let info = first & 0x1f;
        let value = match info {
            0..=23 => u64::from(info),
            24 => u64::from(u8::from_be_bytes(self.chunk()?)),
            25 => u64::from(u16::from_be_bytes(self.chunk()?)),
            26 => u64::from(u32::from_be_bytes(self.chunk()?)),
            27 => u64::from_be_bytes(self.chunk()?),
            _ => return Err(malformed("length is not definite", self.at - 1)),
        };
        Ok((first >> 5, value))
    }

    #[inline(always)]
    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        match self
            .bytes
            .get(self.at..)
            .and_then(|rest| rest.first_chunk::<N>())
        {
            Some(chunk) => {
                self.at += N;
                Ok(*chunk)
            }
            None => Err(truncated(self.at)),
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

    #[inline]
    fn element(&mut self, wanted: u8, what: &str) -> Result<u64, DecodeError> {
        self.count()?;
        let at = self.at;
        let (major, value) = self.take_head()?;
        if major == wanted {
            Ok(value)
        } else {
            Err(malformed(what, at))
        }
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
}

impl<'b> Head<'b> for CborHead<'b> {
    #[inline]
    fn more(&mut self) -> Result<bool, DecodeError> {
        Ok(self.left > 0)
    }

    #[inline]
    fn uint(&mut self) -> Result<u64, DecodeError> {
        self.element(0, "not an unsigned integer")
    }

    fn int(&mut self) -> Result<i64, DecodeError> {
        self.count()?;
        let at = self.at;
        let (major, value) = self.take_head()?;
        let value = i64::try_from(value).map_err(|_large| malformed("integer is too large", at))?;
        match major {
            0 => Ok(value),
            1 => Ok(-1 - value),
            _ => Err(malformed("not an integer", at)),
        }
    }

    #[inline]
    fn text(&mut self) -> Result<Cow<'b, str>, DecodeError> {
        let len = self.element(3, "not a text")?;
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
        if self.peek()? != 0xf6 {
            return Ok(false);
        }
        self.count()?;
        self.at += 1;
        Ok(true)
    }

    #[inline]
    fn is_text(&mut self) -> Result<bool, DecodeError> {
        Ok(self.peek()? >> 5 == 3)
    }

    fn raw(&mut self, limits: &DecodeLimits) -> Result<&'b [u8], DecodeError> {
        self.count()?;
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let len = item_len(Format::Cbor, rest, limits).map_err(|error| error.at(self.at))?;
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

/// A head in JSON.
pub(super) struct JsonHead<'b> {
    bytes: &'b [u8],
    at: usize,
    first: bool,
    ended: bool,
}

impl<'b> JsonHead<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Result<Self, DecodeError> {
        let mut head = Self {
            bytes,
            at: 0,
            first: true,
            ended: false,
        };
        head.blank();
        if head.peek()? != b'[' {
            return Err(malformed("head of the frame is no array", head.at));
        }
        head.at += 1;
        Ok(head)
    }

    fn blank(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Result<u8, DecodeError> {
        self.bytes
            .get(self.at)
            .copied()
            .ok_or_else(|| truncated(self.at))
    }

    /// Moves to the next element.
    fn step(&mut self) -> Result<(), DecodeError> {
        if self.more()? {
            if !self.first {
                self.at += 1;
                self.blank();
            }
            self.first = false;
            Ok(())
        } else {
            Err(malformed("head is too short", self.at))
        }
    }

    /// The start of the next element, without moving.
    fn look(&mut self) -> Result<u8, DecodeError> {
        if !self.more()? {
            return Err(malformed("head is too short", self.at));
        }
        let mut at = self.at;
        if !self.first {
            at += 1;
        }
        while matches!(self.bytes.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            at += 1;
        }
        self.bytes.get(at).copied().ok_or_else(|| truncated(at))
    }
}

impl<'b> Head<'b> for JsonHead<'b> {
    fn more(&mut self) -> Result<bool, DecodeError> {
        if self.ended {
            return Ok(false);
        }
        self.blank();
        match self.peek()? {
            b']' => {
                self.at += 1;
                self.ended = true;
                Ok(false)
            }
            b',' if !self.first => Ok(true),
            _ if self.first => Ok(true),
            _ => Err(malformed(
                "a comma or the end of the head is missing",
                self.at,
            )),
        }
    }

    fn uint(&mut self) -> Result<u64, DecodeError> {
        self.step()?;
        let start = self.at;
        let mut value: u64 = 0;
        while let Some(digit @ b'0'..=b'9') = self.bytes.get(self.at) {
            value = value
                .checked_mul(10)
                .and_then(|value| value.checked_add(u64::from(digit - b'0')))
                .ok_or_else(|| malformed("integer is too large", start))?;
            self.at += 1;
        }
        let leading_zero = self.at - start > 1 && self.bytes.get(start) == Some(&b'0');
        if self.at == start
            || leading_zero
            || matches!(self.bytes.get(self.at), Some(b'.' | b'e' | b'E'))
        {
            return Err(malformed("not an unsigned integer", start));
        }
        Ok(value)
    }

    fn int(&mut self) -> Result<i64, DecodeError> {
        let raw = self.raw(&DecodeLimits::DEFAULT)?;
        str::from_utf8(raw)
            .ok()
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| malformed("not an integer", self.at))
    }

    fn text(&mut self) -> Result<Cow<'b, str>, DecodeError> {
        self.step()?;
        let start = self.at;
        if self.peek()? != b'"' {
            return Err(malformed("not a text", start));
        }
        let content = self.bytes.get(start + 1..).unwrap_or_default();
        let plain = content
            .iter()
            .position(|byte| matches!(byte, b'"' | b'\\' | ..0x20));
        if let Some(len) = plain
            && content.get(len) == Some(&b'"')
        {
            self.at = start + len + 2;
            return match str::from_utf8(content.get(..len).unwrap_or_default()) {
                Ok(text) => Ok(Cow::Borrowed(text)),
                Err(_) => Err(DecodeError::new(
                    DecodeErrorKind::InvalidUtf8,
                    "text is not UTF-8",
                    start,
                )),
            };
        }
        let rest = self.bytes.get(start..).unwrap_or_default();
        let len = item_len(Format::Json, rest, &DecodeLimits::DEFAULT)?;
        self.at = start + len;
        let text: String =
            Format::Json.decode(rest.get(..len).unwrap_or_default(), &DecodeLimits::DEFAULT)?;
        Ok(Cow::Owned(text))
    }

    fn null(&mut self) -> Result<bool, DecodeError> {
        if self.look()? != b'n' {
            return Ok(false);
        }
        let raw = self.raw(&DecodeLimits::DEFAULT)?;
        if raw == b"null" {
            Ok(true)
        } else {
            Err(malformed("not a null", self.at))
        }
    }

    fn is_text(&mut self) -> Result<bool, DecodeError> {
        Ok(self.look()? == b'"')
    }

    fn raw(&mut self, limits: &DecodeLimits) -> Result<&'b [u8], DecodeError> {
        self.step()?;
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let len = item_len(Format::Json, rest, limits).map_err(|error| error.at(self.at))?;
        self.at += len;
        Ok(rest.get(..len).unwrap_or_default())
    }

    fn body(mut self, limits: &DecodeLimits) -> Result<&'b [u8], DecodeError> {
        while self.more()? {
            self.raw(limits)?;
        }
        Ok(self.bytes.get(self.at..).unwrap_or_default())
    }
}

/// The length of the one value at the start of `bytes`, checked.
pub(super) fn item_len(
    format: Format,
    bytes: &[u8],
    limits: &DecodeLimits,
) -> Result<usize, DecodeError> {
    crate::format::item_len(format, bytes, limits)
}
