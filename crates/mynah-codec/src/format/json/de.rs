//! From bytes to values, with the limits fused in.
//!
//! The whole input is checked for UTF-8 once, up front. Where it is not, the decoder gets the valid
//! part and finds out at its end, so that whatever is wrong before is reported first.

mod access;
mod key;

use super::error::Failure;
use super::number::{Number, short_integer, spelling};
use super::options::{NonFinite, Options};
use super::raw::RAW;
use super::scan::{KeyRule, Scan, Scanner, starts_value};

use super::string::{Unit, escaped, hex, next_special, pair, unit};
use crate::DecodeErrorKind as Kind;
use access::{Elements, Entries, Variant};
use mynah_protocol::value::VALUE_NAME;
use mynah_protocol::{DecodeLimits, DuplicateKeys};
use serde::de::{self, Error as _, Expected, Unexpected, Visitor};

type Result<T> = std::result::Result<T, Failure>;

/// A text that was read.
#[derive(Clone, Copy)]
struct Text<'de> {
    /// What stands between its quotes.
    spelling: &'de str,
    /// It has escapes, and stands without them in the decoder's scratch.
    escaped: bool,
}

/// What follows behind the end of [`Decoder::text`].
#[derive(Clone, Copy, PartialEq)]
enum Beyond {
    Nothing,
    /// A byte that is not UTF-8.
    Invalid,
    /// A character that the end of the input cuts off.
    Partial,
}

/// A deserializer over one message.
pub(super) struct Decoder<'de> {
    input: &'de [u8],
    /// The valid part of `input`; nearly always all of it.
    text: &'de str,
    beyond: Beyond,
    at: usize,
    depth_left: u32,
    max_len: usize,
    tokens: bool,
    /// What a key that is there twice does in a value that is passed over.
    rule: KeyRule,
    /// An object with a key twice was met.
    duplicates: bool,
    /// Offsets of keys, ascending, whose entries a later one replaces.
    overridden: Vec<usize>,
    scratch: String,
}

impl<'de> Decoder<'de> {
    pub(super) fn new(input: &'de [u8], limits: &DecodeLimits, options: Options) -> Self {
        let (text, beyond) = match std::str::from_utf8(input) {
            Ok(text) => (text, Beyond::Nothing),
            Err(error) => valid_part(input, error),
        };
        Self {
            input,
            text,
            beyond,
            at: 0,
            depth_left: limits.max_depth,
            max_len: limits.max_collection_len,
            tokens: options.non_finite == NonFinite::Tokens,
            rule: match limits.duplicate_keys {
                DuplicateKeys::Refuse => KeyRule::Refuse,
                DuplicateKeys::LastWins => KeyRule::Ignore,
            },
            duplicates: false,
            overridden: Vec::new(),
            scratch: String::new(),
        }
    }

    /// The same with keys to pass over.
    pub(super) fn overriding(mut self, overridden: Vec<usize>) -> Self {
        self.overridden = overridden;
        self
    }

    /// Whether it has failed over a key that is there twice, and the last one is to win.
    pub(super) fn must_override(&self) -> bool {
        self.duplicates && self.rule == KeyRule::Ignore
    }

    /// Where it stands.
    pub(super) const fn offset(&self) -> usize {
        self.at
    }

    /// Checks that only white space is left.
    #[inline]
    pub(super) fn end(&mut self) -> Result<()> {
        match self.peek() {
            None if self.beyond == Beyond::Nothing => Ok(()),
            _ => Err(self.fail(Kind::Trailing, "something is left over behind the value")),
        }
    }

    #[inline]
    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    /// The next byte that is not white space, left in place.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.byte(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other,
            }
        }
    }

    /// The first byte of a value, left in place.
    #[inline]
    fn start(&mut self) -> Result<u8> {
        match self.peek() {
            Some(byte) => Ok(byte),
            None => Err(self.ended()),
        }
    }

    #[cold]
    fn fail(&self, kind: Kind, detail: &str) -> Failure {
        Failure::new(kind, detail, self.at)
    }

    #[cold]
    fn malformed(&self, detail: &str) -> Failure {
        self.fail(Kind::Malformed, detail)
    }

    /// The valid text has ended within a value, and not within a text.
    #[cold]
    fn ended(&self) -> Failure {
        match self.beyond {
            Beyond::Nothing => self.fail(Kind::Truncated, "input ends within a value"),
            Beyond::Invalid | Beyond::Partial => self.malformed("no JSON starts with this byte"),
        }
    }

    /// The valid text has ended within a text.
    #[cold]
    fn ended_in_text(&self) -> Failure {
        match self.beyond {
            Beyond::Invalid => self.fail(Kind::InvalidUtf8, "text is not valid UTF-8"),
            Beyond::Nothing | Beyond::Partial => {
                self.fail(Kind::Truncated, "input ends within a text")
            }
        }
    }

    /// Reads `null`, `true` and the like.
    #[inline]
    fn literal(&mut self, literal: &[u8]) -> Result<()> {
        let found = self.text.as_bytes().get(self.at..self.at + literal.len());
        if found == Some(literal) {
            self.at += literal.len();
            return Ok(());
        }
        Err(self.not_literal(literal))
    }

    #[cold]
    fn not_literal(&mut self, literal: &[u8]) -> Failure {
        for wanted in literal {
            match self.byte(self.at) {
                Some(byte) if byte == *wanted => self.at += 1,
                Some(_) => return self.malformed("unknown word"),
                None => break,
            }
        }
        self.ended()
    }

    // ---- Numbers.

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
    fn at_negative_infinity(&self) -> bool {
        self.tokens && self.byte(self.at + 1) == Some(b'I')
    }

    #[cold]
    fn token(&mut self) -> Result<f64> {
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
    fn number(&mut self) -> Result<Number> {
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
    fn float(&mut self) -> Result<f64> {
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
    fn float32(&mut self) -> Result<f32> {
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
    fn skip_number(&mut self) -> Result<()> {
        match spelling(self.text.as_bytes(), self.at) {
            Ok(spelling) => {
                self.at = spelling.end;
                Ok(())
            }
            Err((kind, offset)) => Err(self.bad_number(kind, offset)),
        }
    }

    #[inline]
    fn visit_number<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        match self.number()? {
            Number::Unsigned(value) => visitor.visit_u64(value),
            Number::Signed(value) => visitor.visit_i64(value),
            Number::Float(value) => visitor.visit_f64(value),
            Number::Wide(value) => visitor.visit_u128(value),
            Number::WideSigned(value) => visitor.visit_i128(value),
            Number::Huge => Err(self.fail(Kind::Shape, "integer of more than 128 bits")),
        }
    }

    /// Reads a number for an integer.
    #[inline]
    fn integer<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
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

    // ---- Texts.

    /// Reads the text whose opening quote is next.
    #[inline]
    fn read_text(&mut self) -> Result<Text<'de>> {
        let start = self.at + 1;
        let end = next_special(self.text.as_bytes(), start);
        if self.byte(end) == Some(b'"') {
            self.at = end + 1;
            return Ok(Text {
                spelling: self.text.get(start..end).unwrap_or_default(),
                escaped: false,
            });
        }
        self.read_escaped(start, end)
    }

    /// Reads on a text that has no quote before `end`.
    #[inline(never)]
    fn read_escaped(&mut self, start: usize, mut end: usize) -> Result<Text<'de>> {
        self.scratch.clear();
        let mut plain = start;
        loop {
            self.scratch
                .push_str(self.text.get(plain..end).unwrap_or_default());
            self.at = end;
            match self.byte(end) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Text {
                        spelling: self.text.get(start..end).unwrap_or_default(),
                        escaped: true,
                    });
                }
                Some(b'\\') => {
                    let character = self.read_escape()?;
                    self.scratch.push(character);
                    plain = self.at;
                }
                Some(_) => return Err(self.malformed("control character in a text")),
                None => return Err(self.ended_in_text()),
            }
            end = next_special(self.text.as_bytes(), plain);
        }
    }

    /// Reads the escape whose backslash is next.
    #[inline]
    fn read_escape(&mut self) -> Result<char> {
        self.at += 1;
        let letter = self.start_of_escape()?;
        if let Some(character) = escaped(letter) {
            self.at += 1;
            return Ok(character);
        }
        if letter != b'u' {
            return Err(self.malformed("unknown escape"));
        }
        self.read_unicode_escape()
    }

    /// Reads the escape whose `u` is next.
    fn read_unicode_escape(&mut self) -> Result<char> {
        self.at += 1;
        match unit(self.read_unit()?) {
            Unit::Char(character) => Ok(character),
            Unit::Low => Err(self.malformed("second half of a surrogate pair without a first")),
            Unit::High(high) => {
                for wanted in [b'\\', b'u'] {
                    if self.start_of_escape()? != wanted {
                        return Err(self.malformed("half a surrogate pair"));
                    }
                    self.at += 1;
                }
                let low = self.read_unit()?;
                pair(high, low).ok_or_else(|| self.malformed("half a surrogate pair"))
            }
        }
    }

    fn start_of_escape(&self) -> Result<u8> {
        self.byte(self.at).ok_or_else(|| self.ended())
    }

    /// Reads four hexadecimal digits.
    fn read_unit(&mut self) -> Result<u16> {
        let mut value = 0;
        for _ in 0..4 {
            let Some(digit) = hex(self.start_of_escape()?) else {
                return Err(self.malformed("an escape needs four hexadecimal digits"));
            };
            value = value << 4 | digit;
            self.at += 1;
        }
        Ok(value)
    }

    #[inline]
    fn visit_text<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        let text = self.read_text()?;
        if text.escaped {
            return visitor.visit_str(&self.scratch);
        }
        visitor.visit_borrowed_str(text.spelling)
    }

    // ---- Containers.

    /// Goes past an opening bracket.
    #[inline]
    fn open(&mut self) -> Result<()> {
        let Some(left) = self.depth_left.checked_sub(1) else {
            return Err(self.fail(Kind::TooDeep, "nested deeper than the limit"));
        };
        self.depth_left = left;
        self.at += 1;
        Ok(())
    }

    /// Goes past the closing bracket that must be next now that the visitor has enough.
    #[inline]
    fn close(&mut self, bracket: u8) -> Result<()> {
        if self.start()? != bracket {
            return Err(self.fail(Kind::Shape, "more elements than were asked for"));
        }
        self.at += 1;
        self.depth_left += 1;
        Ok(())
    }

    /// Whether there is another element; goes past the comma before it.
    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "once per element, and the bracket is known"
    )]
    fn next_item(&mut self, count: usize, bracket: u8) -> Result<bool> {
        let mut byte = self.start()?;
        if byte == bracket {
            return Ok(false);
        }
        if count > 0 {
            if byte != b',' {
                return Err(self.malformed("a comma or a closing bracket is missing"));
            }
            self.at += 1;
            byte = self.start()?;
            if byte == bracket {
                return Err(self.malformed("comma before a closing bracket"));
            }
        }
        if bracket == b'}' && byte != b'"' {
            return Err(self.malformed("a key is missing"));
        }
        if count >= self.max_len {
            return Err(self.too_long(byte));
        }
        Ok(true)
    }

    /// There is an element too many, or what is no element at all.
    #[cold]
    fn too_long(&self, byte: u8) -> Failure {
        if starts_value(byte, self.tokens) {
            self.fail(Kind::TooLong, "more elements than the limit")
        } else {
            self.malformed("no JSON starts with this byte")
        }
    }

    /// Goes past the colon behind a key.
    #[inline]
    fn colon(&mut self) -> Result<()> {
        if self.start()? != b':' {
            return Err(self.malformed("a colon is missing"));
        }
        self.at += 1;
        Ok(())
    }

    fn visit_array<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        self.open()?;
        let value = visitor.visit_seq(Elements::new(self))?;
        self.close(b']')?;
        Ok(value)
    }

    fn visit_object<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        self.open()?;
        let value = visitor.visit_map(&mut Entries::new(self))?;
        self.close(b'}')?;
        Ok(value)
    }

    fn visit_word<V: Visitor<'de>>(&mut self, first: u8, visitor: V) -> Result<V::Value> {
        match first {
            b'n' => self.literal(b"null").and_then(|()| visitor.visit_unit()),
            b't' => self
                .literal(b"true")
                .and_then(|()| visitor.visit_bool(true)),
            b'f' => self
                .literal(b"false")
                .and_then(|()| visitor.visit_bool(false)),
            _ => self.token().and_then(|float| visitor.visit_f64(float)),
        }
    }

    /// Goes past one value without looking at what it means; not recursive.
    fn skip(&mut self) -> Result<()> {
        match self.start()? {
            b'"' => self.read_text().map(drop),
            b'-' if self.at_negative_infinity() => self.token().map(drop),
            b'-' | b'0'..=b'9' => self.skip_number(),
            b'n' => self.literal(b"null"),
            b't' => self.literal(b"true"),
            b'f' => self.literal(b"false"),
            b'[' | b'{' => self.skip_container(),
            _ => self.token().map(drop),
        }
    }

    #[inline(never)]
    fn skip_container(&mut self) -> Result<()> {
        let limits = DecodeLimits {
            max_depth: self.depth_left,
            max_collection_len: self.max_len,
            max_message_bytes: usize::MAX,
            ..DecodeLimits::DEFAULT
        };
        let input = self.input.get(self.at..).unwrap_or_default();
        let mut scanner = Scanner::with_rule(&limits, self.tokens, self.rule);
        match scanner.advance(input) {
            Ok(Scan::Done(len)) => {
                self.at += len;
                Ok(())
            }
            Ok(_) => {
                self.at = self.input.len();
                Err(self.fail(Kind::Truncated, "input ends within a value"))
            }
            Err(error) => {
                self.at += error.offset();
                Err(error.at(self.at).into())
            }
        }
    }

    /// Goes past one value and returns its spelling.
    fn raw(&mut self) -> Result<&'de str> {
        self.start()?;
        let start = self.at;
        self.skip()?;
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }

    /// The next value is of another kind than was asked for, or malformed.
    #[cold]
    fn unexpected(&mut self, expected: &dyn Expected) -> Failure {
        let start = self.at;
        let found = match self.byte(start) {
            Some(b'[') => Ok(Unexpected::Seq),
            Some(b'{') => Ok(Unexpected::Map),
            Some(b'"') => match self.read_text() {
                Ok(text) if text.escaped => Ok(Unexpected::Str(&self.scratch)),
                Ok(text) => Ok(Unexpected::Str(text.spelling)),
                Err(failure) => Err(failure),
            },
            Some(b'n') => self.literal(b"null").map(|()| Unexpected::Unit),
            Some(b't') => self.literal(b"true").map(|()| Unexpected::Bool(true)),
            Some(b'f') => self.literal(b"false").map(|()| Unexpected::Bool(false)),
            Some(b'-' | b'0'..=b'9') => self.number().map(|number| match number {
                Number::Unsigned(value) => Unexpected::Unsigned(value),
                Number::Signed(value) => Unexpected::Signed(value),
                Number::Float(value) => Unexpected::Float(value),
                Number::Wide(_) | Number::WideSigned(_) | Number::Huge => {
                    Unexpected::Other("integer of more than 64 bits")
                }
            }),
            _ => self.token().map(Unexpected::Float),
        };
        let failure = found.map(|found| Failure::invalid_type(found, expected));
        self.at = start;
        failure.unwrap_or_else(|failure| failure)
    }
}

#[cold]
fn valid_part(input: &[u8], error: std::str::Utf8Error) -> (&str, Beyond) {
    let valid = input.get(..error.valid_up_to()).unwrap_or_default();
    let beyond = if error.error_len().is_some() {
        Beyond::Invalid
    } else {
        Beyond::Partial
    };
    (std::str::from_utf8(valid).unwrap_or_default(), beyond)
}

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
            // JSON has nothing beyond what serde has words for.
            return self.deserialize_any(visitor);
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
