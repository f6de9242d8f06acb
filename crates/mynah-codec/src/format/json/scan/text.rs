//! Texts in the scanner.

use super::{Failure, Kind, Result, Scanner};
use crate::format::json::string::{
    Unit, escaped, hex, next_beyond_plain, next_special, pair, unit,
};

/// What of a text has been read last.
#[derive(Clone, Copy, Debug)]
pub(super) enum TextPart {
    /// A whole character.
    Plain,
    /// A backslash.
    Escape,
    /// A part of the digits behind `\u`.
    Unit,
    /// A part of the digits behind the `\u` of the second half of a pair.
    SecondUnit,
    /// The first half of a pair.
    High,
    /// The first half of a pair and a backslash.
    HighEscape,
    /// A part of a character.
    Character,
}

/// What is known of an escape or a character that has been read in part.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    /// How many digits of an escape, or bytes of a character, are missing.
    left: u8,
    /// The digits so far.
    value: u16,
    /// The first half of a pair.
    high: u16,
    /// Where the character starts.
    start: usize,
    /// The least and the greatest that its next byte can be.
    range: (u8, u8),
}

impl Scanner {
    /// Goes on with a text. `None` when its closing quote has been read.
    #[inline]
    pub(super) fn text_part(&mut self, input: &[u8], part: TextPart) -> Result<Option<TextPart>> {
        let mut part = part;
        while let Some(byte) = input.get(self.at) {
            part = match part {
                TextPart::Plain => {
                    self.plain(input)?;
                    match input.get(self.at) {
                        None => TextPart::Plain,
                        Some(b'"') => {
                            self.at += 1;
                            return Ok(None);
                        }
                        Some(b'\\') => {
                            self.at += 1;
                            self.key.1 = true;
                            TextPart::Escape
                        }
                        Some(0x80..) => self.start_character(input)?,
                        Some(_) => {
                            return self.fail(Kind::Malformed, "control character in a text");
                        }
                    }
                }
                TextPart::Character => self.character_part(*byte)?,
                escape => self.escape_part(*byte, escape)?,
            };
        }
        Ok(Some(part))
    }

    /// Goes past plain characters up to a quote, a backslash, a control character, or a character
    /// that the input cuts off.
    #[inline]
    fn plain(&mut self, input: &[u8]) -> Result<()> {
        self.at = next_beyond_plain(input, self.at);
        if let Some(0x80..) = input.get(self.at) {
            return self.beyond_ascii(input);
        }
        Ok(())
    }

    fn beyond_ascii(&mut self, input: &[u8]) -> Result<()> {
        let end = next_special(input, self.at);
        let piece = input.get(self.at..end).unwrap_or_default();
        match std::str::from_utf8(piece) {
            Ok(_) => self.at = end,
            Err(error) => {
                self.at += error.valid_up_to();
                if error.error_len().is_some() || end < input.len() {
                    return invalid(self.at);
                }
            }
        }
        Ok(())
    }

    /// Reads the start of a character whose end is not there.
    #[cold]
    fn start_character(&mut self, input: &[u8]) -> Result<TextPart> {
        let start = self.at;
        let (left, range) = match input.get(start) {
            Some(0xC2..=0xDF) => (1, (0x80, 0xBF)),
            Some(0xE0) => (2, (0xA0, 0xBF)),
            Some(0xED) => (2, (0x80, 0x9F)),
            Some(0xE1..=0xEF) => (2, (0x80, 0xBF)),
            Some(0xF0) => (3, (0x90, 0xBF)),
            Some(0xF1..=0xF3) => (3, (0x80, 0xBF)),
            Some(0xF4) => (3, (0x80, 0x8F)),
            _ => return invalid(start),
        };
        self.at += 1;
        self.pieces = Pieces {
            left,
            start,
            range,
            ..Pieces::default()
        };
        Ok(TextPart::Character)
    }

    /// Reads one more byte of a character.
    #[cold]
    fn character_part(&mut self, byte: u8) -> Result<TextPart> {
        let (low, high) = self.pieces.range;
        if !(low..=high).contains(&byte) {
            return invalid(self.pieces.start);
        }
        self.at += 1;
        self.pieces.range = (0x80, 0xBF);
        self.pieces.left -= 1;
        Ok(if self.pieces.left == 0 {
            TextPart::Plain
        } else {
            TextPart::Character
        })
    }

    /// Reads one byte of an escape.
    fn escape_part(&mut self, byte: u8, part: TextPart) -> Result<TextPart> {
        let part = match part {
            // The first half stands alone: what is here now has nothing to do with it.
            TextPart::High if byte != b'\\' && self.halves => return Ok(TextPart::Plain),
            TextPart::HighEscape if byte != b'u' && self.halves => TextPart::Escape,
            part => part,
        };
        let next = match part {
            TextPart::Escape if byte == b'u' => self.start_unit(TextPart::Unit),
            TextPart::Escape if escaped(byte).is_some() => TextPart::Plain,
            TextPart::Escape => return self.fail(Kind::Malformed, "unknown escape"),
            TextPart::High if byte == b'\\' => TextPart::HighEscape,
            TextPart::HighEscape if byte == b'u' => self.start_unit(TextPart::SecondUnit),
            TextPart::Unit | TextPart::SecondUnit => {
                let Some(digit) = hex(byte) else {
                    let detail = "an escape needs four hexadecimal digits";
                    return self.fail(Kind::Malformed, detail);
                };
                self.pieces.value = self.pieces.value << 4 | digit;
                self.pieces.left -= 1;
                if self.pieces.left > 0 {
                    part
                } else {
                    self.end_unit(part)?
                }
            }
            _ => return self.fail(Kind::Malformed, "half a surrogate pair"),
        };
        self.at += 1;
        Ok(next)
    }

    const fn start_unit(&mut self, part: TextPart) -> TextPart {
        self.pieces.left = 4;
        self.pieces.value = 0;
        part
    }

    /// All four digits have been read.
    fn end_unit(&mut self, part: TextPart) -> Result<TextPart> {
        let value = self.pieces.value;
        if matches!(part, TextPart::SecondUnit) {
            return match pair(self.pieces.high, value) {
                Some(_) => Ok(TextPart::Plain),
                None if self.halves => self.end_unit(TextPart::Unit),
                None => self.fail(Kind::Malformed, "half a surrogate pair"),
            };
        }
        match unit(value) {
            Unit::Char(_) => Ok(TextPart::Plain),
            Unit::High(high) => {
                self.pieces.high = high;
                Ok(TextPart::High)
            }
            Unit::Low if self.halves => Ok(TextPart::Plain),
            Unit::Low => self.fail(Kind::Malformed, "half a surrogate pair"),
        }
    }
}

#[cold]
fn invalid<T>(offset: usize) -> Result<T> {
    Err(Failure::new(
        Kind::InvalidUtf8,
        "text is not valid UTF-8",
        offset,
    ))
}
