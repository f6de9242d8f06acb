//! Numbers in the scanner.

use super::{Kind, Result, Scanner, State};

/// What of a number has been read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum NumberPart {
    /// `-`
    Minus,
    /// `0`, behind which no digit may follow.
    Zero,
    /// Digits.
    Integer,
    /// The point.
    Point,
    /// Digits behind the point.
    Fraction,
    /// `e`
    Exponent,
    /// The sign of the exponent.
    Sign,
    /// Digits of the exponent.
    ExponentDigits,
}

impl NumberPart {
    /// Whether a number may end here.
    pub(super) const fn may_end(self) -> bool {
        matches!(
            self,
            Self::Zero | Self::Integer | Self::Fraction | Self::ExponentDigits
        )
    }

    /// The part that a byte belongs to, `None` when it cannot follow.
    #[inline]
    const fn next(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Minus, b'0') => Some(Self::Zero),
            (Self::Minus | Self::Integer, b'0'..=b'9') => Some(Self::Integer),
            (Self::Zero | Self::Integer, b'.') => Some(Self::Point),
            (Self::Point | Self::Fraction, b'0'..=b'9') => Some(Self::Fraction),
            (Self::Zero | Self::Integer | Self::Fraction, b'e' | b'E') => Some(Self::Exponent),
            (Self::Exponent, b'-' | b'+') => Some(Self::Sign),
            (Self::Exponent | Self::Sign | Self::ExponentDigits, b'0'..=b'9') => {
                Some(Self::ExponentDigits)
            }
            _ => None,
        }
    }
}

impl Scanner {
    /// Goes on with a number. True when it is the whole value.
    pub(super) fn number(&mut self, input: &[u8], part: NumberPart) -> Result<bool> {
        let mut part = part;
        let mut at = self.at;
        loop {
            if matches!(part, NumberPart::Integer | NumberPart::Fraction) {
                while let Some(b'0'..=b'9') = input.get(at) {
                    at += 1;
                }
            }
            let Some(byte) = input.get(at) else {
                break;
            };
            if matches!(byte, b',' | b']' | b'}' | b'\n') && part.may_end() {
                self.at = at;
                return Ok(self.end_value());
            }
            let Some(next) = part.next(*byte) else {
                self.at = at;
                return self.end_number(*byte, part);
            };
            part = next;
            at += 1;
        }
        self.at = at;
        self.state = State::Number(part);
        Ok(false)
    }

    /// A number meets a byte that does not belong to it.
    #[inline]
    fn end_number(&mut self, byte: u8, part: NumberPart) -> Result<bool> {
        if part == NumberPart::Zero && byte.is_ascii_digit() {
            return self.fail(Kind::Malformed, "a digit behind a leading zero");
        }
        if part.may_end() {
            return Ok(self.end_value());
        }
        if part == NumberPart::Minus && byte == b'I' && self.tokens {
            self.state = State::Word;
            self.word = b"nfinity";
            self.at += 1;
            return Ok(false);
        }
        self.fail(Kind::Malformed, "a digit is missing")
    }
}
