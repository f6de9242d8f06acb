//! Values to MessagePack.

use super::head::{self, Class, Head, Measured};
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
fn write_head(out: &mut Vec<u8>, what: Measured, len: usize) -> Result {
    if head::measured(out, what, len) {
        Ok(())
    } else {
        Err(Failure::value("MessagePack has no length beyond 32 bits"))
    }
}

#[inline]
fn write_text(out: &mut Vec<u8>, text: &str) -> Result {
    write_head(out, Measured::Text, text.len())?;
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

#[cold]
fn too_wide() -> Failure {
    Failure::value("MessagePack has no integer beyond 64 bits")
}

/// Puts the right head before what was written behind `at`, where one byte was kept free for it.
fn close_open_head(out: &mut Vec<u8>, at: usize, what: Measured, len: usize) -> Result {
    let mut head = Vec::with_capacity(5);
    write_head(&mut head, what, len)?;
    match (head.as_slice(), out.get_mut(at)) {
        ([only], Some(kept)) => *kept = *only,
        _ => {
            let more = head.len() - 1;
            drop(out.splice(at..=at, head));
            bytes::moved(out, at, more);
        }
    }
    Ok(())
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
        write_head(out, Measured::Bytes, content.len())?;
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
        head::int(self.0, v);
        Ok(())
    }

    fn serialize_i128(self, v: i128) -> Result {
        match (u64::try_from(v), i64::try_from(v)) {
            (Ok(v), _) => self.serialize_u64(v),
            (_, Ok(v)) => self.serialize_i64(v),
            _ => Err(too_wide()),
        }
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
        head::uint(self.0, v);
        Ok(())
    }

    fn serialize_u128(self, v: u128) -> Result {
        match u64::try_from(v) {
            Ok(v) => self.serialize_u64(v),
            Err(_) => Err(too_wide()),
        }
    }

    #[inline]
    fn serialize_f32(self, v: f32) -> Result {
        let [a, b, c, d] = v.to_bits().to_be_bytes();
        self.0.extend_from_slice(&[head::SINGLE, a, b, c, d]);
        Ok(())
    }

    #[inline]
    fn serialize_f64(self, v: f64) -> Result {
        let [a, b, c, d, e, f, g, h] = v.to_bits().to_be_bytes();
        self.0
            .extend_from_slice(&[head::DOUBLE, a, b, c, d, e, f, g, h]);
        Ok(())
    }

    fn serialize_char(self, v: char) -> Result {
        self.serialize_str(v.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, v: &str) -> Result {
        write_text(self.0, v)
    }

    #[inline]
    fn serialize_bytes(self, v: &[u8]) -> Result {
        write_head(self.0, Measured::Bytes, v.len())?;
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
        self.0.push(head::NIL);
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
        write_head(self.0, Measured::Map, 1)?;
        write_text(self.0, variant)?;
        value.serialize(self)
    }

    #[inline]
    fn serialize_seq(self, len: Option<usize>) -> Result<Elements<'a>> {
        Elements::open(self.0, Measured::Array, len)
    }

    #[inline]
    fn serialize_tuple(self, len: usize) -> Result<Elements<'a>> {
        Elements::open(self.0, Measured::Array, Some(len))
    }

    #[inline]
    fn serialize_tuple_struct(self, name: &'static str, len: usize) -> Result<TupleStruct<'a>> {
        if name == TAG_NAME {
            return Err(Failure::value("MessagePack has no tags"));
        }
        if name == SIMPLE_NAME {
            return Err(Failure::value(
                "MessagePack has nothing undefined and no other simple values",
            ));
        }
        if name == EXT_NAME {
            return Ok(TupleStruct::ExtNumber(self.0));
        }
        Elements::open(self.0, Measured::Array, Some(len)).map(TupleStruct::Plain)
    }

    #[inline]
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Elements<'a>> {
        write_head(self.0, Measured::Map, 1)?;
        write_text(self.0, variant)?;
        Elements::open(self.0, Measured::Array, Some(len))
    }

    #[inline]
    fn serialize_map(self, len: Option<usize>) -> Result<Elements<'a>> {
        Elements::open(self.0, Measured::Map, len)
    }

    #[inline]
    fn serialize_struct(self, _: &'static str, len: usize) -> Result<Elements<'a>> {
        Elements::open(self.0, Measured::Map, Some(len))
    }

    #[inline]
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Elements<'a>> {
        write_head(self.0, Measured::Map, 1)?;
        write_text(self.0, variant)?;
        Elements::open(self.0, Measured::Map, Some(len))
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
        self.0.push(head::FIX_TEXT);
        if write!(Text(self.0), "{value}").is_err() {
            return Err(Failure::value("the value refuses to be written as text"));
        }
        let len = self.0.len() - at - 1;
        close_open_head(self.0, at, Measured::Text, len)
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The elements of an array or the entries of a map that is being written.
#[derive(Debug)]
pub(super) struct Elements<'a> {
    out: &'a mut Vec<u8>,
    what: Measured,
    /// Where the head is; one byte is kept for it when the length is not known yet.
    at: usize,
    announced: Option<usize>,
    written: usize,
}

impl<'a> Elements<'a> {
    #[inline]
    fn open(out: &'a mut Vec<u8>, what: Measured, announced: Option<usize>) -> Result<Self> {
        let at = out.len();
        write_head(out, what, announced.unwrap_or(0))?;
        Ok(Self {
            out,
            what,
            at,
            announced,
            written: 0,
        })
    }

    #[inline]
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        self.written += 1;
        value.serialize(Encoder(self.out))
    }

    #[inline]
    fn field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result {
        self.written += 1;
        write_text(self.out, key)?;
        value.serialize(Encoder(self.out))
    }

    #[inline]
    fn close(self) -> Result {
        // A wrong length would shift everything behind it, on the wire of every other call too.
        match self.announced {
            Some(announced) if announced == self.written => Ok(()),
            Some(announced) => Err(wrong_count(announced, self.written)),
            None => close_open_head(self.out, self.at, self.what, self.written),
        }
    }
}

#[cold]
fn wrong_count(announced: usize, written: usize) -> Failure {
    Failure::value(format!(
        "{announced} elements were announced and {written} were written"
    ))
}

/// Elements without keys.
macro_rules! elements {
    ($($trait:ident $method:ident)*) => { $(
        impl ser::$trait for Elements<'_> {
            type Ok = ();
            type Error = Failure;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
                self.element(value)
            }

            #[inline]
            fn end(self) -> Result {
                self.close()
            }
        }
    )* };
}

/// Elements with the names of fields.
macro_rules! fields {
    ($($trait:ident)*) => { $(
        impl ser::$trait for Elements<'_> {
            type Ok = ();
            type Error = Failure;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result {
                self.field(key, value)
            }

            #[inline]
            fn end(self) -> Result {
                self.close()
            }
        }
    )* };
}

elements! {
    SerializeSeq serialize_element
    SerializeTuple serialize_element
    SerializeTupleVariant serialize_field
}

fields! { SerializeStruct SerializeStructVariant }

impl ser::SerializeMap for Elements<'_> {
    type Ok = ();
    type Error = Failure;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result {
        self.element(key)
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        value.serialize(Encoder(self.out))
    }

    #[inline]
    fn end(self) -> Result {
        self.close()
    }
}

/// A tuple struct, or an extension type in the guise of one (see [`EXT_NAME`]).
#[derive(Debug)]
pub(super) enum TupleStruct<'a> {
    Plain(Elements<'a>),
    /// The number of the type is next.
    ExtNumber(&'a mut Vec<u8>),
    /// The content is next.
    ExtContent(&'a mut Vec<u8>, i8),
    /// The guise is complete.
    Done,
}

#[cold]
fn no_ext() -> Failure {
    Failure::value("an extension type has a number from -128 to 127 and holds bytes")
}

impl TupleStruct<'_> {
    #[cold]
    fn guise_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        match std::mem::replace(self, Self::Done) {
            Self::ExtNumber(out) => {
                let at = out.len();
                value.serialize(Encoder(&mut *out))?;
                let number = out.get(at..).and_then(|written| head::read(written).ok());
                let number = number.and_then(Head::small_int).ok_or_else(no_ext)?;
                out.truncate(at);
                *self = Self::ExtContent(out, number);
                Ok(())
            }
            Self::ExtContent(out, number) => {
                let at = out.len();
                value.serialize(Encoder(&mut *out))?;
                let written = out.get(at..).and_then(|written| head::read(written).ok());
                let written = written.filter(|written| written.class == Class::Bytes);
                let content = at + written.ok_or_else(no_ext)?.len;
                // The head of bytes gives way to that of an extension type.
                let mut head = Vec::with_capacity(6);
                if !head::ext(&mut head, number, out.len() - content) {
                    return Err(Failure::value("MessagePack has no length beyond 32 bits"));
                }
                drop(out.splice(at..content, head));
                Ok(())
            }
            Self::Plain(_) | Self::Done => Err(no_ext()),
        }
    }
}

impl ser::SerializeTupleStruct for TupleStruct<'_> {
    type Ok = ();
    type Error = Failure;

    #[inline]
    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        match self {
            Self::Plain(elements) => elements.element(value),
            _ => self.guise_field(value),
        }
    }

    #[inline]
    fn end(self) -> Result {
        match self {
            Self::Plain(elements) => elements.close(),
            Self::Done => Ok(()),
            _ => Err(no_ext()),
        }
    }
}
