//! Texts in the scanner.

use super::{Failure, Kind, Result, Scanner};
use crate::format::json::string::{Unit, escaped, hex, next_special, pair, unit};

/// What of a text has been read.
#[derive(Clone, Copy, Debug)]
pub(super) enum TextPart {
    /// Whole characters.
    Plain,
    /// A backslash.
    Escape,
    /// A part of the four digits behind `\u`, and the first half of the pair they belong to.
    Unit {
        left: u8,
        value: u16,
        high: Option<u16>,
    },
    /// The first half of a pair.
    High(u16),
    /// The first half of a pair and a backslash.
    HighEscape(u16),
    /// A part of a character: where it starts, how many bytes are missing, and what the next may be.
    Character {
        start: usize,
        left: u8,
        low: u8,
        high: u8,
    },
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
                TextPart::Character {
                    start,
                    left,
                    low,
                    high,
                } => {
                    if !(low..=high).contains(byte) {
                        return invalid(start);
                    }
                    self.at += 1;
                    if left == 1 {
                        TextPart::Plain
                    } else {
                        TextPart::Character {
                            start,
                            left: left - 1,
                            low: 0x80,
                            high: 0xBF,
                        }
                    }
                }
                escape => self.escape_part(*byte, escape)?,
            };
        }
        Ok(Some(part))
    }

    /// Goes past plain characters up to a quote, a backslash, a control character, or a character
    /// that the input cuts off.
    #[inline]
    fn plain(&mut self, input: &[u8]) -> Result<()> {
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
        let Some(first) = input.get(start) else {
            return Ok(TextPart::Plain);
        };
        self.at += 1;
        let (left, low, high) = match first {
            0xC2..=0xDF => (1, 0x80, 0xBF),
            0xE0 => (2, 0xA0, 0xBF),
            0xED => (2, 0x80, 0x9F),
            0xE1..=0xEF => (2, 0x80, 0xBF),
            0xF0 => (3, 0x90, 0xBF),
            0xF1..=0xF3 => (3, 0x80, 0xBF),
            0xF4 => (3, 0x80, 0x8F),
            _ => return invalid(start),
        };
        Ok(TextPart::Character {
            start,
            left,
            low,
            high,
        })
    }

    /// Reads one byte of an escape.
    fn escape_part(&mut self, byte: u8, part: TextPart) -> Result<TextPart> {
        let next = match part {
            TextPart::Escape if byte == b'u' => TextPart::Unit {
                left: 4,
                value: 0,
                high: None,
            },
            TextPart::Escape if escaped(byte).is_some() => TextPart::Plain,
            TextPart::Escape => return self.fail(Kind::Malformed, "unknown escape"),
            TextPart::High(high) if byte == b'\\' => TextPart::HighEscape(high),
            TextPart::HighEscape(high) if byte == b'u' => TextPart::Unit {
                left: 4,
                value: 0,
                high: Some(high),
            },
            TextPart::Unit { left, value, high } => {
                let Some(digit) = hex(byte) else {
                    let detail = "an escape needs four hexadecimal digits";
                    return self.fail(Kind::Malformed, detail);
                };
                let value = value << 4 | digit;
                if left > 1 {
                    TextPart::Unit {
                        left: left - 1,
                        value,
                        high,
                    }
                } else {
                    match (high, unit(value)) {
                        (Some(high), _) if pair(high, value).is_some() => TextPart::Plain,
                        (None, Unit::Char(_)) => TextPart::Plain,
                        (None, Unit::High(high)) => TextPart::High(high),
                        _ => return self.fail(Kind::Malformed, "half a surrogate pair"),
                    }
                }
            }
            _ => return self.fail(Kind::Malformed, "half a surrogate pair"),
        };
        self.at += 1;
        Ok(next)
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
