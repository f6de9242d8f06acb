//! Bytes that would mean something else in a URL, written as `%` and two hexadecimal digits.

use std::fmt::Write as _;

/// The bytes of a text. `None` when a `%` has no two digits behind it.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' {
            let high = digit(rest.next()?)?;
            high << 4 | digit(rest.next()?)?
        } else {
            byte
        });
    }
    Some(bytes)
}

/// The text of bytes as they stand in the address of a URL.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'%' | b'?' | 0..=b' ' | 0x7f.. => {
                // A string takes everything.
                let _infallible = write!(text, "%{byte:02X}");
            }
            plain => text.push(char::from(*plain)),
        }
    }
    text
}

fn digit(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}
