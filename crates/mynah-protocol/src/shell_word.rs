//! Words for a shell, for transports that hand it a command as one string.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;

/// Quotes a word for a POSIX shell, so that it means itself: nothing in it splits, expands or runs.
///
/// A command of several words is made by quoting each for itself and joining them with spaces. A NUL stays in it, and no
/// command can hold one.
#[must_use]
pub fn shell_word(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:,@%+".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    // Within single quotes everything is itself but the quote.
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_only_when_they_have_to_be() {
        for (word, quoted) in [
            ("worker", "worker"),
            ("/usr/bin/a-b_c.d:e,f@g%h+1", "/usr/bin/a-b_c.d:e,f@g%h+1"),
            ("", "''"),
            ("a b", "'a b'"),
            ("A=B", "'A=B'"),
            ("~", "'~'"),
            ("it's", r"'it'\''s'"),
            ("$(id)", "'$(id)'"),
            ("a\nb", "'a\nb'"),
            ("\u{e4}", "'\u{e4}'"),
        ] {
            assert_eq!(shell_word(word), quoted);
        }
    }
}
