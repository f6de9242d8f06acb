//! From bytes to values, with the limits fused in.
//!
//! The whole input is checked for UTF-8 once, up front. Where it is not, the decoder gets the valid
//! part and finds out at its end, so that whatever is wrong before is reported first.

mod access;
mod deserializer;
mod key;
mod number;
mod text;

use super::area::{self, Reference};
use super::error::Failure;
use super::number::Number;
use super::options::{NonFinite, Options};
use super::scan::{KeyRule, Scan, Scanner, starts_value, value_len};
use crate::DecodeErrorKind as Kind;
use access::{Elements, Entries};
use mynah_protocol::{DecodeLimits, DuplicateKeys};
use serde::de::{Error as _, Expected, Unexpected, Visitor};
use text::Text;

type Result<T> = std::result::Result<T, Failure>;

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
    /// Bytes stand behind the value. Text must name them; that is looked at once one of them is met, or may have been
    /// passed over.
    bytes_behind: bool,
    names_bytes: bool,
    /// Where the value ends, once that had to be known.
    value_end: Option<usize>,
    limits: DecodeLimits,
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
            bytes_behind: options.bytes_behind,
            names_bytes: false,
            value_end: None,
            limits: *limits,
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
        let end = self.at;
        match self.peek() {
            None if self.beyond == Beyond::Nothing && !self.names_bytes => Ok(()),
            _ if self.bytes_behind => self.check_behind(end),
            _ => Err(self.fail(Kind::Trailing, "something is left over behind the value")),
        }
    }

    /// Checks that the text, which ends here, names the bytes behind it.
    #[cold]
    fn check_behind(&mut self, end: usize) -> Result<()> {
        self.at = end;
        let (text, behind) = self
            .input
            .split_at_checked(end)
            .unwrap_or((self.input, &[]));
        area::check(text, behind).map_err(Failure::from)
    }

    /// The bytes that the object which starts here stands for, if it stands for bytes; the object is passed.
    #[cold]
    fn named_bytes(&mut self) -> Result<Option<&'de [u8]>> {
        let Some(reference) = Reference::at(self.input, self.at) else {
            if Reference::begins(self.input, self.at) {
                return Err(self.malformed(area::NO_REFERENCE));
            }
            return Ok(None);
        };
        self.names_bytes = true;
        let end = match self.value_end {
            Some(end) => end,
            None => value_len(self.input, &self.limits, Options::NATIVE)?,
        };
        self.value_end = Some(end);
        let behind = self.input.get(end..).unwrap_or_default();
        let named = reference.range(behind.len()).and_then(|at| behind.get(at));
        if named.is_none() {
            return Err(self.malformed("bytes are named that are not behind the value"));
        }
        self.at = reference.end;
        Ok(named)
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
        if self.bytes_behind
            && let Some(bytes) = self.named_bytes()?
        {
            return visitor.visit_borrowed_bytes(bytes);
        }
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
        self.names_bytes = self.bytes_behind;
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
