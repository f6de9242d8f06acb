//! Texts: finding their end, and undoing their escapes.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The offset of the next quote, backslash or control character at or behind `at`, or the length.
#[inline]
pub(super) fn next_special(bytes: &[u8], mut at: usize) -> usize {
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let found = special_bytes(u64::from_le_bytes(*eight));
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(byte) = bytes.get(at) {
        if is_special(*byte) {
            break;
        }
        at += 1;
    }
    at
}

/// The same, but it stops at bytes beyond ASCII too.
#[inline]
pub(super) fn next_beyond_plain(bytes: &[u8], mut at: usize) -> usize {
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*eight);
        let found = special_bytes(word) | (word & HIGH);
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(byte) = bytes.get(at) {
        if is_special(*byte) || !byte.is_ascii() {
            break;
        }
        at += 1;
    }
    at
}

#[inline]
const fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// The high bit of the lowest special byte is set and no bit below it; bits above it mean nothing.
#[inline]
pub(super) const fn special_bytes(word: u64) -> u64 {
    // A subtraction borrows from the next byte only where it has found one already.
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    let quotes = quote.wrapping_sub(ONES) & !quote;
    let backslashes = backslash.wrapping_sub(ONES) & !backslash;
    let controls = word.wrapping_sub(ONES * 0x20) & !word;
    (quotes | backslashes | controls) & HIGH
}

/// The value of a hexadecimal digit.
#[inline]
pub(super) const fn hex(byte: u8) -> Option<u16> {
    match byte {
        b'0'..=b'9' => Some((byte - b'0') as u16),
        b'a'..=b'f' => Some((byte - b'a') as u16 + 10),
        b'A'..=b'F' => Some((byte - b'A') as u16 + 10),
        _ => None,
    }
}

/// What the letter behind a backslash stands for; `u` is none of them.
#[inline]
pub(super) const fn escaped(letter: u8) -> Option<char> {
    match letter {
        b'"' => Some('"'),
        b'\\' => Some('\\'),
        b'/' => Some('/'),
        b'b' => Some('\u{8}'),
        b'f' => Some('\u{C}'),
        b'n' => Some('\n'),
        b'r' => Some('\r'),
        b't' => Some('\t'),
        _ => None,
    }
}

/// What a code unit behind `\u` is.
pub(super) enum Unit {
    /// A character.
    Char(char),
    /// The first half of a pair.
    High(u16),
    /// The second half of a pair, with no first.
    Low,
}

pub(super) fn unit(value: u16) -> Unit {
    match value {
        0xD800..=0xDBFF => Unit::High(value),
        _ => char::from_u32(u32::from(value)).map_or(Unit::Low, Unit::Char),
    }
}

/// The character of a surrogate pair; `None` if `low` is not the second half of one.
pub(super) fn pair(high: u16, low: u16) -> Option<char> {
    char::decode_utf16([high, low])
        .next()?
        .ok()
        .filter(|_| (0xDC00..=0xDFFF).contains(&low))
}

/// The text of a well-formed spelling between two quotes.
pub(super) fn unescape(spelling: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(spelling.len());
    let mut rest = spelling;
    let mut high = None;
    while let Some(position) = rest.iter().position(|byte| *byte == b'\\') {
        let (plain, escape) = rest.split_at(position);
        text.extend_from_slice(plain);
        let (character, len) = match escape.get(1) {
            Some(b'u') => {
                let digits = escape.get(2..6).unwrap_or_default();
                let value = digits
                    .iter()
                    .fold(0, |sum, digit| sum << 4 | hex(*digit).unwrap_or(0));
                let character = match (high.take(), unit(value)) {
                    (Some(high), _) => pair(high, value),
                    (None, Unit::Char(character)) => Some(character),
                    (None, Unit::High(value)) => {
                        high = Some(value);
                        None
                    }
                    (None, Unit::Low) => None,
                };
                (character, 6)
            }
            letter => (letter.copied().and_then(escaped), 2),
        };
        if let Some(character) = character {
            text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        rest = escape.get(len..).unwrap_or_default();
    }
    text.extend_from_slice(rest);
    text
}

#[cfg(test)]
mod tests;
