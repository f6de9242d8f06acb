//! The members of a JSON object that is a message, and what their values are.
//!
//! For wires whose messages are JSON objects: the values are found, told from one another and checked, and stay as they
//! are spelled.

use crate::format::json::{self, Options, Scan, Scanner};
use crate::{DecodeError, DecodeErrorKind, Format};
use mynah_protocol::DecodeLimits;
use std::borrow::Cow;

/// Reads the members of objects.
#[derive(Debug)]
pub(super) struct Members {
    scanner: Scanner,
    most: usize,
}

impl Members {
    /// The limits are those of the whole object. Half a surrogate pair does no harm.
    pub(super) fn new(limits: &DecodeLimits, options: Options) -> Self {
        let inner = DecodeLimits {
            max_depth: limits.max_depth.saturating_sub(1),
            ..*limits
        };
        Self {
            scanner: Scanner::with_options(&inner, options).passing_half_pairs(),
            most: limits.max_collection_len,
        }
    }

    /// Hands on each member of the object that is the whole of `text`: its key without the quotes around it, and its
    /// value. A key may come twice.
    ///
    /// # Errors
    /// [`DecodeError`] at what no object within the limits has there. The members before it were handed on, and one whose
    /// value is not all there as a key with `None`.
    pub(super) fn read<'b>(
        &mut self,
        text: &'b [u8],
        mut member: impl FnMut(&[u8], Option<&'b [u8]>),
    ) -> Result<(), DecodeError> {
        let mut rest = Rest { text, at: 0 };
        rest.blank();
        rest.byte(b'{', "an object is missing")?;
        let mut count = 0;
        loop {
            rest.blank();
            if count == 0 && rest.next() == Some(b'}') {
                break;
            }
            if count == self.most {
                return rest.fail(DecodeErrorKind::TooLong, "more elements than the limit");
            }
            count += 1;
            if rest.next() != Some(b'"') {
                return rest.fail(DecodeErrorKind::Malformed, "a key is missing");
            }
            let key = self.value(&mut rest)?;
            rest.blank();
            rest.byte(b':', "a colon is missing")?;
            rest.blank();
            let key = key_text(key);
            let value = match self.value(&mut rest) {
                Ok(value) => value,
                Err(error) => {
                    member(&key, None);
                    return Err(error);
                }
            };
            rest.blank();
            if rest.next().is_none() {
                member(&key, None);
                // It may be the start of a longer number.
                return rest.fail(DecodeErrorKind::Truncated, "input ends within a value");
            }
            member(&key, Some(value));
            if rest.next() == Some(b'}') {
                break;
            }
            rest.byte(b',', "a comma or a closing bracket is missing")?;
        }
        rest.byte(b'}', "a closing bracket is missing")?;
        rest.blank();
        if rest.next().is_some() {
            let detail = "something is left over behind the value";
            return rest.fail(DecodeErrorKind::Trailing, detail);
        }
        Ok(())
    }

    /// Goes past one value.
    fn value<'b>(&mut self, rest: &mut Rest<'b>) -> Result<&'b [u8], DecodeError> {
        let text = rest.text.get(rest.at..).unwrap_or_default();
        // Most keys, names and ids are short and plain, and need no scanner.
        if let Some(len) = json::plain_text(text) {
            rest.at += len;
            return Ok(text.get(..len).unwrap_or_default());
        }
        self.scanner.reset();
        let len = match self.scanner.advance(text) {
            Ok(Scan::Done(len)) => Ok(len),
            Ok(Scan::Need(_) | Scan::Blank(_)) => self.scanner.finish(),
            Err(error) => Err(error),
        };
        let len = len.map_err(|error| {
            let offset = rest.at + error.offset();
            error.at(offset)
        })?;
        rest.at += len;
        Ok(text.get(..len).unwrap_or_default())
    }
}

/// The bytes of a key without its quotes and escapes. One that is no text is none that anybody looks for.
fn key_text(spelling: &[u8]) -> Cow<'_, [u8]> {
    match spelling {
        [b'"', inner @ .., b'"'] if !inner.contains(&b'\\') => Cow::Borrowed(inner),
        _ => match json_text(spelling) {
            Some(Cow::Borrowed(text)) => Cow::Borrowed(text.as_bytes()),
            Some(Cow::Owned(text)) => Cow::Owned(text.into_bytes()),
            None => Cow::Borrowed(b""),
        },
    }
}

/// What has not been read yet.
struct Rest<'b> {
    text: &'b [u8],
    at: usize,
}

impl Rest<'_> {
    fn next(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn blank(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.next() {
            self.at += 1;
        }
    }

    fn byte(&mut self, byte: u8, missing: &str) -> Result<(), DecodeError> {
        match self.next() {
            Some(next) if next == byte => {
                self.at += 1;
                Ok(())
            }
            Some(_) => self.fail(DecodeErrorKind::Malformed, missing),
            None => self.fail(DecodeErrorKind::Truncated, "input ends within a value"),
        }
    }

    #[cold]
    fn fail<T>(&self, kind: DecodeErrorKind, detail: &str) -> Result<T, DecodeError> {
        Err(DecodeError::new(kind, detail, self.at))
    }
}

/// The text that a JSON value is, borrowed where it has no escapes; `None` for other values, and for half a surrogate
/// pair.
pub(super) fn json_text(spelling: &[u8]) -> Option<Cow<'_, str>> {
    let inner = spelling.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if inner.contains(&b'\\') {
        let limits = DecodeLimits {
            max_message_bytes: usize::MAX,
            ..DecodeLimits::DEFAULT
        };
        let text: String = Format::Json.decode(spelling, &limits).ok()?;
        return Some(Cow::Owned(text));
    }
    str::from_utf8(inner).ok().map(Cow::Borrowed)
}

/// Whether a JSON value is one that Python takes for false.
pub(super) fn is_falsy(spelling: &[u8]) -> bool {
    match spelling {
        b"null" | b"false" | b"\"\"" => true,
        [b'[' | b'{', inside @ .., b']' | b'}'] => inside.iter().all(u8::is_ascii_whitespace),
        [b'-' | b'0'..=b'9', ..] => number(spelling).is_some_and(|number| number == 0.0),
        _ => false,
    }
}

/// The float that is nearest to a JSON number, words such as NaN included.
pub(super) fn number(spelling: &[u8]) -> Option<f64> {
    json::decode_with(spelling, &DecodeLimits::DEFAULT, Options::PYTHON).ok()
}

#[cfg(test)]
mod tests {
    use super::{Members, is_falsy};
    use crate::DecodeErrorKind as Kind;
    use crate::format::json::Options;
    use mynah_protocol::DecodeLimits;

    fn read(text: &[u8]) -> (Vec<(String, String)>, Option<Kind>) {
        let limits = DecodeLimits {
            max_depth: 4,
            max_collection_len: 3,
            ..DecodeLimits::DEFAULT
        };
        let mut members = Vec::new();
        let mut reader = Members::new(&limits, Options::PYTHON_TEXT);
        let read = reader.read(text, |key, value| {
            let value = value.map(|value| String::from_utf8_lossy(value).into_owned());
            let key = String::from_utf8_lossy(key).into_owned();
            members.push((key, value.unwrap_or_default()));
        });
        (members, read.err().map(|error| error.kind()))
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn members_are_found_as_they_are_spelled() {
        assert_eq!(read(b"{}"), (pairs(&[]), None));
        assert_eq!(read(b" { } "), (pairs(&[]), None));
        assert_eq!(
            read(br#"{"a": [1, {"b":NaN}] , "\u0062":"x\ud800","a":-Infinity}"#),
            (
                pairs(&[
                    ("a", r#"[1, {"b":NaN}]"#),
                    ("b", r#""x\ud800""#),
                    ("a", "-Infinity")
                ]),
                None
            )
        );
    }

    #[test]
    fn what_is_wrong_is_found_and_what_stands_before_it_was_read() {
        let a = || pairs(&[("a", "1")]);
        let half = || pairs(&[("a", "1"), ("b", "")]);
        for (text, members, kind) in [
            (&b"[]"[..], vec![], Kind::Malformed),
            (b"", vec![], Kind::Truncated),
            (b"{", vec![], Kind::Malformed),
            (b"{\"a\"", vec![], Kind::Truncated),
            (b"{\"a\":1", pairs(&[("a", "")]), Kind::Truncated),
            (b"{\"a\":1,", a(), Kind::Malformed),
            (b"{\"a\":1,}", a(), Kind::Malformed),
            (b"{\"a\":1}}", a(), Kind::Trailing),
            (b"{\"a\":1,\"b\":[[[[]]]]}", half(), Kind::TooDeep),
            (b"{\"a\":1,\"b\":nul}", half(), Kind::Malformed),
            (b"{\"a\":1,\"b\":\"\xff\"}", half(), Kind::InvalidUtf8),
            (b"{\"a\":1,b:1}", a(), Kind::Malformed),
            (b"{\"a\":1,\"b\":[1,2,3,4]}", half(), Kind::TooLong),
        ] {
            let shown = String::from_utf8_lossy(text);
            assert_eq!(read(text), (members, Some(kind)), "{shown}");
        }
        let many = read(br#"{"a":1,"b":2,"c":3,"d":4}"#);
        assert_eq!((many.0.len(), many.1), (3, Some(Kind::TooLong)));
    }

    #[test]
    fn short_plain_texts_are_found_as_others_are() {
        for text in [
            "\"\"",
            "\"a\"",
            "\"seven77\"",
            "\"eight888\"",
            "\"nine99999\"",
            "\"DEL \u{7f}\"",
            "\"é\"",
            r#""\"""#,
            r#""a\\""#,
            r#""abcdefgh\n""#,
        ] {
            let object = format!("{{\"a\":{text}}}");
            assert_eq!(read(object.as_bytes()), (pairs(&[("a", text)]), None));
        }
        for len in 120..140 {
            let text = format!("\"{}\"", "x".repeat(len));
            let object = format!("{{\"a\":{text}}}");
            assert_eq!(read(object.as_bytes()), (pairs(&[("a", &text)]), None));
        }
        for (text, kind) in [
            ("\"a\tb\"", Kind::Malformed),
            ("\"eight888\n\"", Kind::Malformed),
            ("\"\u{1f}", Kind::Malformed),
        ] {
            let object = format!("{{\"a\":{text}}}");
            assert_eq!(read(object.as_bytes()), (pairs(&[("a", "")]), Some(kind)));
        }
        // What follows belongs to a text that does not end.
        let cut = read(b"{\"a\":\"b}");
        assert_eq!(cut, (pairs(&[("a", "")]), Some(Kind::Truncated)));
    }

    #[test]
    fn halves_of_pairs_pass_whatever_follows_them() {
        for text in [
            r#""\ud800""#,
            r#""\ud800x""#,
            r#""\ud800\n""#,
            r#""\ud800\\""#,
            r#""\udc00\ud800""#,
            r#""\ud800\ud801\udc00""#,
            r#""\ud800\u0061""#,
            r#""\ud83d\ude00""#,
        ] {
            let object = format!("{{\"a\":{text}}}");
            assert_eq!(read(object.as_bytes()), (pairs(&[("a", text)]), None));
        }
        for text in [
            r#""\ud800\x""#,
            r#""\ud80""#,
            r#""\ud800\u00""#,
            r#""\ud800"#,
        ] {
            let object = format!("{{\"a\":{text}}}");
            assert!(read(object.as_bytes()).1.is_some(), "{object}");
        }
    }

    #[test]
    fn python_takes_these_for_false() {
        for falsy in [
            "null", "false", "0", "-0", "0.0", "0e5", "\"\"", "[]", "{ }",
        ] {
            assert!(is_falsy(falsy.as_bytes()), "{falsy}");
        }
        for truthy in ["true", "1", "-1", "0.1", "\" \"", "[0]", "{\"a\":0}", "NaN"] {
            assert!(!is_falsy(truthy.as_bytes()), "{truthy}");
        }
    }
}
