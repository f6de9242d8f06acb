//! Values to CBOR.

mod compound;

use self::compound::{Elements, TupleStruct};
use super::head;
use crate::{EncodeError, bytes};
use mynah_protocol::value::{EXT_NAME, SIMPLE_NAME, TAG_NAME};
use serde::Serialize;
use serde::ser::{self, Serializer};
use std::fmt::{self, Display, Write as _};

/// An [`EncodeError`] behind a pointer, so that the results of the hot path fit a register.
#[derive(Debug)]
pub(super) struct Failure(Box<EncodeError>);

impl Failure {
    #[cold]
    fn value(detail: impl Into<String>) -> Self {
        Self(Box::new(EncodeError::Value(detail.into())))
    }

    pub(super) fn into_inner(self) -> EncodeError {
        *self.0
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Failure {}

impl ser::Error for Failure {
    #[cold]
    fn custom<T: Display>(message: T) -> Self {
        Self::value(message.to_string())
    }
}

type Result<T = ()> = std::result::Result<T, Failure>;

/// Writes one value behind what is in the buffer.
#[derive(Debug)]
pub(super) struct Encoder<'a>(pub(super) &'a mut Vec<u8>);

#[inline]
fn length(n: usize) -> u64 {
    // A usize has at most 64 bits on every platform that Rust knows.
    u64::try_from(n).unwrap_or(u64::MAX)
}

#[inline]
fn write_text(out: &mut Vec<u8>, text: &str) {
    head::write(out, head::TEXT, length(text.len()));
    out.extend_from_slice(text.as_bytes());
}

#[inline]
fn write_signed(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        head::write(out, head::NEGATIVE, !value.cast_unsigned());
    } else {
        head::write(out, head::UINT, value.cast_unsigned());
    }
}

#[inline]
fn write_float(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        let [a, b, c, d, e, f, g, h] = value.to_bits().to_be_bytes();
        out.extend_from_slice(&[head::DOUBLE, a, b, c, d, e, f, g, h]);
    } else {
        write_not_finite(out, value);
    }
}

#[cold]
fn write_not_finite(out: &mut Vec<u8>, value: f64) {
    let bits: u16 = if value.is_nan() {
        0x7e00
    } else if value > 0.0 {
        0x7c00
    } else {
        0xfc00
    };
    let [high, low] = bits.to_be_bytes();
    out.extend_from_slice(&[head::HALF, high, low]);
}

/// Writes an integer whose absolute value (less one when negative) is `argument`.
fn write_wide(out: &mut Vec<u8>, negative: bool, argument: u128) {
    let (major, tag) = if negative {
        (head::NEGATIVE, head::BIG_NEGATIVE)
    } else {
        (head::UINT, head::BIG_UINT)
    };
    if let Ok(short) = u64::try_from(argument) {
        return head::write(out, major, short);
    }
    let bytes = argument.to_be_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let digits = bytes.get(zeros..).unwrap_or_default();
    head::write(out, head::TAG, tag);
    head::write(out, head::BYTES, length(digits.len()));
    out.extend_from_slice(digits);
}

/// Puts the right head before what was written behind `at`, where one byte was kept free for it.
fn close_open_head(out: &mut Vec<u8>, at: usize, major: u8, argument: usize) {
    let mut head = Vec::with_capacity(9);
    head::write(&mut head, major, length(argument));
    match (head.as_slice(), out.get_mut(at)) {
        ([only], Some(kept)) => *kept = *only,
        _ => {
            let more = head.len() - 1;
            drop(out.splice(at..=at, head));
            bytes::moved(out, at, more);
        }
    }
}

/// Writes the content of a [`Bytes`](crate::Bytes): of a large one the head, if what is behind it is put aside.
#[cold]
fn shared<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) -> Result {
    if !bytes::puts_aside(out) {
        return value.serialize(Encoder(out));
    }
    let at = out.len();
    let (written, left) = bytes::left_aside(|| value.serialize(Encoder(out)));
    written?;
    if let Some(content) = left {
        out.truncate(at);
        head::write(out, head::BYTES, length(content.len()));
        bytes::put_aside(out, content);
    }
    Ok(())
}

impl<'a> Serializer for Encoder<'a> {
    type Ok = ();
    type Error = Failure;
    type SerializeSeq = Elements<'a>;
    type SerializeTuple = Elements<'a>;
    type SerializeTupleStruct = TupleStruct<'a>;
    type SerializeTupleVariant = Elements<'a>;
    type SerializeMap = Elements<'a>;
    type SerializeStruct = Elements<'a>;
    type SerializeStructVariant = Elements<'a>;

    #[inline]
    fn serialize_bool(self, v: bool) -> Result {
        self.0.push(if v { head::TRUE } else { head::FALSE });
        Ok(())
    }

    #[inline]
    fn serialize_i8(self, v: i8) -> Result {
        self.serialize_i64(v.into())
    }

    #[inline]
    fn serialize_i16(self, v: i16) -> Result {
        self.serialize_i64(v.into())
    }

    #[inline]
    fn serialize_i32(self, v: i32) -> Result {
        self.serialize_i64(v.into())
    }

    #[inline]
    fn serialize_i64(self, v: i64) -> Result {
        write_signed(self.0, v);
        Ok(())
    }

    fn serialize_i128(self, v: i128) -> Result {
        if v < 0 {
            write_wide(self.0, true, !v.cast_unsigned());
        } else {
            write_wide(self.0, false, v.cast_unsigned());
        }
        Ok(())
    }

    #[inline]
    fn serialize_u8(self, v: u8) -> Result {
        self.serialize_u64(v.into())
    }

    #[inline]
    fn serialize_u16(self, v: u16) -> Result {
        self.serialize_u64(v.into())
    }

    #[inline]
    fn serialize_u32(self, v: u32) -> Result {
        self.serialize_u64(v.into())
    }

    #[inline]
    fn serialize_u64(self, v: u64) -> Result {
        head::write(self.0, head::UINT, v);
        Ok(())
    }

    fn serialize_u128(self, v: u128) -> Result {
        write_wide(self.0, false, v);
        Ok(())
    }

    #[inline]
    fn serialize_f32(self, v: f32) -> Result {
        self.serialize_f64(v.into())
    }

    #[inline]
    fn serialize_f64(self, v: f64) -> Result {
        write_float(self.0, v);
        Ok(())
    }

    fn serialize_char(self, v: char) -> Result {
        self.serialize_str(v.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, v: &str) -> Result {
        write_text(self.0, v);
        Ok(())
    }

    #[inline]
    fn serialize_bytes(self, v: &[u8]) -> Result {
        head::write(self.0, head::BYTES, length(v.len()));
        self.0.extend_from_slice(v);
        Ok(())
    }

    #[inline]
    fn serialize_none(self) -> Result {
        self.serialize_unit()
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result {
        value.serialize(self)
    }

    #[inline]
    fn serialize_unit(self) -> Result {
        self.0.push(head::NULL);
        Ok(())
    }

    #[inline]
    fn serialize_unit_struct(self, _: &'static str) -> Result {
        self.serialize_unit()
    }

    #[inline]
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result {
        self.serialize_str(variant)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result {
        if name == bytes::NAME {
            return shared(self.0, value);
        }
        value.serialize(self)
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result {
        head::write(self.0, head::MAP, 1);
        write_text(self.0, variant);
        value.serialize(self)
    }

    #[inline]
    fn serialize_seq(self, len: Option<usize>) -> Result<Elements<'a>> {
        Ok(Elements::open(self.0, head::ARRAY, len))
    }

    #[inline]
    fn serialize_tuple(self, len: usize) -> Result<Elements<'a>> {
        Ok(Elements::open(self.0, head::ARRAY, Some(len)))
    }

    #[inline]
    fn serialize_tuple_struct(self, name: &'static str, len: usize) -> Result<TupleStruct<'a>> {
        if name == TAG_NAME {
            return Ok(TupleStruct::TagNumber(self.0));
        }
        if name == SIMPLE_NAME {
            return Ok(TupleStruct::SimpleNumber(self.0));
        }
        if name == EXT_NAME {
            return Err(Failure::value("CBOR has no extension types of MessagePack"));
        }
        Ok(TupleStruct::Plain(Elements::open(
            self.0,
            head::ARRAY,
            Some(len),
        )))
    }

    #[inline]
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Elements<'a>> {
        head::write(self.0, head::MAP, 1);
        write_text(self.0, variant);
        Ok(Elements::open(self.0, head::ARRAY, Some(len)))
    }

    #[inline]
    fn serialize_map(self, len: Option<usize>) -> Result<Elements<'a>> {
        Ok(Elements::open(self.0, head::MAP, len))
    }

    #[inline]
    fn serialize_struct(self, _: &'static str, len: usize) -> Result<Elements<'a>> {
        Ok(Elements::open(self.0, head::MAP, Some(len)))
    }

    #[inline]
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Elements<'a>> {
        head::write(self.0, head::MAP, 1);
        write_text(self.0, variant);
        Ok(Elements::open(self.0, head::MAP, Some(len)))
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result {
        struct Text<'a>(&'a mut Vec<u8>);
        impl fmt::Write for Text<'_> {
            fn write_str(&mut self, part: &str) -> fmt::Result {
                self.0.extend_from_slice(part.as_bytes());
                Ok(())
            }
        }

        let at = self.0.len();
        self.0.push(head::TEXT);
        if write!(Text(self.0), "{value}").is_err() {
            return Err(Failure::value("the value refuses to be written as text"));
        }
        let len = self.0.len() - at - 1;
        close_open_head(self.0, at, head::TEXT, len);
        Ok(())
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        false
    }
}
