//! From values to bytes.
//!
//! The layout and the spelling of numbers are `serde_json`'s. Its serializer cannot be used as it
//! is: it writes `null` for a float that is not finite and tells nobody, not even its formatter.

mod compound;
mod exact;
mod key;
mod python;

use super::area::{self, Area};
use super::error::Refusal;
use super::options::{NonFinite, Options, Style};
use super::raw::RAW;
use super::string::next_special;
use crate::bytes;
use compound::Compound;
use mynah_protocol::value::VALUE_NAME;
use serde::ser::{self, Serialize};
use serde_json::ser::{CompactFormatter, Formatter as _};
use std::fmt::{self, Write as _};
use std::io;

type Result<T> = std::result::Result<T, Refusal>;

/// A serializer that writes behind what is in a buffer.
pub(super) struct Encoder<'a> {
    out: &'a mut Vec<u8>,
    tokens: bool,
    /// Written as Python does.
    python: bool,
    /// Where bytes go that are to stand behind the value.
    area: Option<&'a mut Area>,
}

impl<'a> Encoder<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>, options: Options) -> Self {
        Self {
            out,
            tokens: options.non_finite == NonFinite::Tokens,
            python: options.style == Style::Python,
            area: None,
        }
    }

    /// The same with a place for bytes.
    pub(super) fn with_area(mut self, area: &'a mut Area) -> Self {
        self.area = Some(area);
        self
    }

    /// Refuses a key that would make an object look like bytes.
    #[inline]
    fn check_key(&self, key: &str) -> Result<()> {
        if self.area.is_some() && key == area::KEY {
            return Err(Refusal::new(
                "an object with the key `$bytes` stands for bytes on this wire",
            ));
        }
        Ok(())
    }

    /// Writes bytes that are not to be copied.
    #[cold]
    fn shared<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        let at = self.out.len();
        let (written, left) = bytes::left_aside(|| value.serialize(&mut *self));
        written?;
        if let (Some(bytes), Some(area)) = (left, &mut self.area) {
            self.out.truncate(at);
            area.push_shared(bytes, self.out);
        }
        Ok(())
    }

    #[inline]
    fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    fn text(&mut self, text: &str) {
        self.out.push(b'"');
        self.escape(text);
        self.out.push(b'"');
    }

    /// Writes a text without the quotes around it.
    #[inline]
    fn escape(&mut self, text: &str) {
        if self.python {
            return self.escape_to_ascii(text);
        }
        let bytes = text.as_bytes();
        let mut start = 0;
        loop {
            let end = next_special(bytes, start);
            self.raw(bytes.get(start..end).unwrap_or_default());
            let Some(byte) = bytes.get(end) else {
                return;
            };
            self.escape_byte(*byte);
            start = end + 1;
        }
    }

    fn escape_byte(&mut self, byte: u8) {
        let letter = match byte {
            b'"' | b'\\' => byte,
            8 => b'b',
            b'\t' => b't',
            b'\n' => b'n',
            12 => b'f',
            b'\r' => b'r',
            _ => {
                let digit = |value: u8| {
                    if value < 10 {
                        b'0' + value
                    } else {
                        b'a' + value - 10
                    }
                };
                self.raw(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
                return;
            }
        };
        self.raw(&[b'\\', letter]);
    }

    /// Writes with the number spellings of `serde_json`.
    #[inline]
    fn number(
        &mut self,
        write: impl FnOnce(&mut CompactFormatter, &mut Vec<u8>) -> io::Result<()>,
    ) -> Result<()> {
        write(&mut CompactFormatter, self.out).map_err(|error| Refusal::new(&error.to_string()))
    }

    #[cold]
    fn non_finite(&mut self, value: f64) -> Result<()> {
        if !self.tokens {
            return Err(Refusal::new(
                "JSON has no spelling for a float that is not finite",
            ));
        }
        let token: &[u8] = if value.is_nan() {
            b"NaN"
        } else if value > 0.0 {
            b"Infinity"
        } else {
            b"-Infinity"
        };
        self.raw(token);
        Ok(())
    }

    /// Writes what stands between two elements.
    #[inline]
    fn comma(&mut self) {
        self.out.push(b',');
        if self.python {
            self.out.push(b' ');
        }
    }

    /// Writes what stands behind a key.
    #[inline]
    fn colon(&mut self) {
        self.out.push(b':');
        if self.python {
            self.out.push(b' ');
        }
    }

    /// Writes `{"variant":`.
    fn variant(&mut self, variant: &str) {
        self.out.push(b'{');
        self.text(variant);
        self.colon();
    }
}

macro_rules! integers {
    ($($method:ident $write:ident $type:ty;)*) => { $(
        #[inline]
        fn $method(self, value: $type) -> Result<()> {
            self.number(|formatter, out| formatter.$write(out, value))
        }
    )* };
}

impl<'a, 'out> ser::Serializer for &'a mut Encoder<'out> {
    type Ok = ();
    type Error = Refusal;
    type SerializeSeq = Compound<'a, 'out>;
    type SerializeTuple = Compound<'a, 'out>;
    type SerializeTupleStruct = Compound<'a, 'out>;
    type SerializeTupleVariant = Compound<'a, 'out>;
    type SerializeMap = Compound<'a, 'out>;
    type SerializeStruct = Compound<'a, 'out>;
    type SerializeStructVariant = Compound<'a, 'out>;

    integers! {
        serialize_i8 write_i8 i8;
        serialize_i16 write_i16 i16;
        serialize_i32 write_i32 i32;
        serialize_i64 write_i64 i64;
        serialize_i128 write_i128 i128;
        serialize_u8 write_u8 u8;
        serialize_u16 write_u16 u16;
        serialize_u32 write_u32 u32;
        serialize_u64 write_u64 u64;
        serialize_u128 write_u128 u128;
    }

    fn serialize_bool(self, value: bool) -> Result<()> {
        self.raw(if value { b"true" } else { b"false" });
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Result<()> {
        if !value.is_finite() {
            return self.non_finite(f64::from(value));
        }
        if self.python {
            self.float(&format!("{value:e}"));
            return Ok(());
        }
        self.number(|formatter, out| formatter.write_f32(out, value))
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Result<()> {
        if !value.is_finite() {
            return self.non_finite(value);
        }
        if self.python {
            self.float(&format!("{value:e}"));
            return Ok(());
        }
        self.number(|formatter, out| formatter.write_f64(out, value))
    }

    fn serialize_char(self, value: char) -> Result<()> {
        self.text(value.encode_utf8(&mut [0; 4]));
        Ok(())
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<()> {
        self.text(value);
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<()> {
        if let Some(area) = &mut self.area {
            area.push(value, self.out);
            return Ok(());
        }
        self.out.push(b'[');
        for (index, byte) in value.iter().enumerate() {
            if index > 0 {
                self.comma();
            }
            self.serialize_u8(*byte)?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn serialize_none(self) -> Result<()> {
        self.serialize_unit()
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<()> {
        self.raw(b"null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<()> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<()> {
        self.serialize_str(variant)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<()> {
        if name == RAW {
            return value.serialize(key::Verbatim(self));
        }
        if name == VALUE_NAME {
            return value.serialize(exact::Exact(self));
        }
        if name == bytes::NAME && self.area.is_some() {
            return self.shared(value);
        }
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<()> {
        self.check_key(variant)?;
        self.variant(variant);
        value.serialize(&mut *self)?;
        self.out.push(b'}');
        Ok(())
    }

    #[inline]
    fn serialize_seq(self, _: Option<usize>) -> Result<Compound<'a, 'out>> {
        Ok(Compound::open(self, b'[', b"]"))
    }

    #[inline]
    fn serialize_tuple(self, _: usize) -> Result<Compound<'a, 'out>> {
        Ok(Compound::open(self, b'[', b"]"))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Compound<'a, 'out>> {
        Ok(Compound::open(self, b'[', b"]"))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Compound<'a, 'out>> {
        self.check_key(variant)?;
        self.variant(variant);
        Ok(Compound::open(self, b'[', b"]}"))
    }

    #[inline]
    fn serialize_map(self, _: Option<usize>) -> Result<Compound<'a, 'out>> {
        Ok(Compound::open(self, b'{', b"}"))
    }

    #[inline]
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Compound<'a, 'out>> {
        Ok(Compound::open(self, b'{', b"}"))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Compound<'a, 'out>> {
        self.check_key(variant)?;
        self.variant(variant);
        Ok(Compound::open(self, b'{', b"}}"))
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<()> {
        struct Escape<'a, 'out>(&'a mut Encoder<'out>);

        impl fmt::Write for Escape<'_, '_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                self.0.escape(text);
                Ok(())
            }
        }

        self.out.push(b'"');
        if write!(Escape(self), "{value}").is_err() {
            return Err(Refusal::new("a value could not be displayed"));
        }
        self.out.push(b'"');
        Ok(())
    }
}
