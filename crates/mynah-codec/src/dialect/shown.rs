//! Values as texts for people.

use mynah_protocol::Value;
use std::fmt::{self, Write as _};

/// The most bytes of the text that is made of a value that came where a text was due.
const MAX_BYTES: usize = 1024;

/// A compact text of a value, cut to a size that a log can bear.
pub(super) fn short(value: &Value) -> String {
    let mut text = Short(String::new());
    if write!(text, "{value}").is_err() {
        text.0.push('…');
    }
    text.0
}

/// A text that takes no more than [`MAX_BYTES`].
struct Short(String);

impl fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if self.0.len() + character.len_utf8() > MAX_BYTES {
                return Err(fmt::Error);
            }
            self.0.push(character);
        }
        Ok(())
    }
}
