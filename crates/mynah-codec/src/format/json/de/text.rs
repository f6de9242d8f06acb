//! Texts in the decoder.

use super::{Decoder, Result};
use crate::format::json::string::{Unit, escaped, hex, next_special, pair, unit};
use serde::de::Visitor;

/// A text that was read.
#[derive(Clone, Copy)]
pub(super) struct Text<'de> {
    /// What stands between its quotes.
    pub(super) spelling: &'de str,
    /// It has escapes, and stands without them in the decoder's scratch.
    pub(super) escaped: bool,
}

impl<'de> Decoder<'de> {
    /// Reads the text whose opening quote is next.
    #[inline]
    pub(super) fn read_text(&mut self) -> Result<Text<'de>> {
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
        let bytes = self.text.as_bytes();
        self.scratch.clear();
        let mut plain = start;
        loop {
            self.scratch
                .push_str(self.text.get(plain..end).unwrap_or_default());
            let Some(special) = bytes.get(end) else {
                self.at = end;
                return Err(self.ended_in_text());
            };
            match special {
                b'"' => {
                    self.at = end + 1;
                    return Ok(Text {
                        spelling: self.text.get(start..end).unwrap_or_default(),
                        escaped: true,
                    });
                }
                b'\\' => {}
                _ => {
                    self.at = end;
                    return Err(self.malformed("control character in a text"));
                }
            }
            if let Some(character) = bytes.get(end + 1).copied().and_then(escaped) {
                self.scratch.push(character);
                plain = end + 2;
            } else {
                self.at = end + 1;
                let character = self.read_unicode_escape()?;
                self.scratch.push(character);
                plain = self.at;
            }
            end = next_special(bytes, plain);
        }
    }

    /// Reads the escape whose `u` must be next.
    fn read_unicode_escape(&mut self) -> Result<char> {
        if self.start_of_escape()? != b'u' {
            return Err(self.malformed("unknown escape"));
        }
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
    pub(super) fn visit_text<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        let text = self.read_text()?;
        if text.escaped {
            return visitor.visit_str(&self.scratch);
        }
        visitor.visit_borrowed_str(text.spelling)
    }
}
