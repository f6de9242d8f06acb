//! How Python's `json` module spells texts and floats.

use super::Encoder;
use crate::format::json::string::next_beyond_plain;

/// The least exponent of ten with which Python writes a float without one.
const LEAST_PLAIN: i32 = -4;
/// The first with which it writes one again.
const FIRST_LONG: i32 = 16;

impl Encoder<'_> {
    /// Writes a text without the quotes around it, and nothing beyond printable ASCII.
    pub(super) fn escape_to_ascii(&mut self, text: &str) {
        let bytes = text.as_bytes();
        // Most texts are plain from end to end. DEL is no control character to JSON, and is not printable.
        if next_beyond_plain(bytes, 0) == bytes.len() && !bytes.contains(&0x7f) {
            return self.raw(bytes);
        }
        let mut plain = 0;
        for (at, character) in text.char_indices() {
            if matches!(character, ' '..='~') && character != '"' && character != '\\' {
                continue;
            }
            self.raw(bytes.get(plain..at).unwrap_or_default());
            plain = at + character.len_utf8();
            match u8::try_from(character) {
                Ok(byte @ ..0x7f) => self.escape_byte(byte),
                _ => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        self.unit(*unit);
                    }
                }
            }
        }
        self.raw(bytes.get(plain..).unwrap_or_default());
    }

    /// Writes `\u` and four digits.
    fn unit(&mut self, unit: u16) {
        self.raw(b"\\u");
        for shift in [12, 8, 4, 0] {
            let [_, digit] = (unit >> shift & 15).to_be_bytes();
            self.out.push(if digit < 10 {
                b'0' + digit
            } else {
                b'a' + digit - 10
            });
        }
    }

    /// Writes a finite float of which the shortest digits are given, as in `-1.5e-7`.
    pub(super) fn float(&mut self, shortest: &str) {
        let (mantissa, exponent) = shortest.split_once('e').unwrap_or((shortest, "0"));
        let (sign, mantissa) = match mantissa.strip_prefix('-') {
            Some(mantissa) => ("-", mantissa),
            None => ("", mantissa),
        };
        self.raw(sign.as_bytes());
        let exponent: i32 = exponent.parse().unwrap_or_default();
        if !(LEAST_PLAIN..FIRST_LONG).contains(&exponent) {
            let sign = if exponent < 0 { '-' } else { '+' };
            let text = format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs());
            return self.raw(text.as_bytes());
        }
        let digits: Vec<u8> = mantissa.bytes().filter(|byte| *byte != b'.').collect();
        let Ok(whole) = usize::try_from(exponent + 1) else {
            return self.fraction(exponent, &digits);
        };
        if whole == 0 {
            return self.fraction(exponent, &digits);
        }
        let (before, after) = digits.split_at_checked(whole).unwrap_or((&digits, b""));
        self.raw(before);
        self.out
            .extend(std::iter::repeat_n(b'0', whole - before.len()));
        self.out.push(b'.');
        self.raw(if after.is_empty() { b"0" } else { after });
    }

    /// Writes a float below 1.
    fn fraction(&mut self, exponent: i32, digits: &[u8]) {
        self.raw(b"0.");
        for _ in exponent..-1 {
            self.out.push(b'0');
        }
        self.raw(digits);
    }
}

#[cfg(test)]
mod tests {
    use crate::format::json::{Options, encode_with};
    use serde::Serialize;

    fn text<T: Serialize + ?Sized>(value: &T) -> String {
        let mut out = Vec::new();
        encode_with(value, &mut out, Options::PYTHON_TEXT).expect("JSON can say it");
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn floats_are_spelled_as_repr_does() {
        for (value, spelling) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (30.0, "30.0"),
            (100.0, "100.0"),
            (0.1, "0.1"),
            (-2.5, "-2.5"),
            (12.375, "12.375"),
            (0.000_1, "0.0001"),
            (0.000_123, "0.000123"),
            (0.000_01, "1e-05"),
            (1.5e-7, "1.5e-07"),
            (1e15, "1000000000000000.0"),
            (1_234_567_890_123_456.7, "1234567890123456.8"),
            (9_999_999_999_999_998.0, "9999999999999998.0"),
            (1e16, "1e+16"),
            (1.25e17, "1.25e+17"),
            (1e100, "1e+100"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(text(&value), spelling);
        }
        assert_eq!(text(&0.1_f32), "0.1");
    }

    #[test]
    fn texts_are_ascii() {
        let all = "a\"\\/\u{8}\t\n\u{c}\r\0\u{1f}\u{7f}\u{e9}\u{2028}\u{ffff}\u{1d11e}~ ";
        let spelled = r#""a\"\\/\b\t\n\f\r\u0000\u001f\u007f\u00e9\u2028\uffff\ud834\udd1e~ ""#;
        assert_eq!(text(all), spelled);
    }

    #[test]
    fn commas_and_colons_have_a_space_behind_them() {
        let value = serde_json::json!({"a": [1, 2, {}], "b": {"c": null, "d": []}});
        assert_eq!(
            text(&value),
            r#"{"a": [1, 2, {}], "b": {"c": null, "d": []}}"#
        );
        assert_eq!(text(&serde_bytes::Bytes::new(&[1, 2])), "[1, 2]");
        assert_eq!(text(&serde_bytes::Bytes::new(&[])), "[]");
        assert_eq!(text(&Ok::<u8, u8>(1)), r#"{"Ok": 1}"#);
    }
}
