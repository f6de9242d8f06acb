//! Bytes behind a value: `{"$bytes":[offset,length]}` in the text, and behind the text the bytes themselves.
//!
//! The bytes stand without gaps, in the order in which the text names them.

use crate::{DecodeError, DecodeErrorKind as Kind};
use bytes::Bytes;
use mynah_protocol::Segment;
use std::io::Write as _;
use std::ops::Range;

/// The one key of an object that stands for bytes.
pub(super) const KEY: &str = "$bytes";

/// Bytes that are to stand behind the value that is being written.
#[derive(Debug, Default)]
pub(super) struct Area {
    copied: Vec<u8>,
    shared: Vec<Segment>,
    len: usize,
}

impl Area {
    /// Takes bytes, and names them in the text.
    pub(super) fn push(&mut self, bytes: &[u8], text: &mut Vec<u8>) {
        self.name(bytes.len(), text);
        self.copied.extend_from_slice(bytes);
    }

    /// Takes bytes without copying them, and names them in the text.
    pub(super) fn push_shared(&mut self, bytes: Bytes, text: &mut Vec<u8>) {
        self.name(bytes.len(), text);
        self.shared.push(Segment {
            at: self.copied.len(),
            bytes,
        });
    }

    fn name(&mut self, len: usize, text: &mut Vec<u8>) {
        let written = write!(text, "{{\"{KEY}\":[{},{len}]}}", self.len);
        debug_assert!(written.is_ok(), "a vector takes everything");
        self.len += len;
    }

    /// Puts the bytes behind a text that began at `start`; those that were not copied become segments.
    pub(super) fn finish(self, start: usize, out: &mut Vec<u8>, segments: &mut Vec<Segment>) {
        let text = out.len() - start;
        out.extend_from_slice(&self.copied);
        segments.extend(self.shared.into_iter().map(|segment| Segment {
            at: segment.at + text,
            ..segment
        }));
    }

    /// Puts all bytes behind the text.
    pub(super) fn finish_copied(self, out: &mut Vec<u8>) {
        let mut from = 0;
        for segment in self.shared {
            out.extend_from_slice(self.copied.get(from..segment.at).unwrap_or_default());
            out.extend_from_slice(&segment.bytes);
            from = segment.at;
        }
        out.extend_from_slice(self.copied.get(from..).unwrap_or_default());
    }
}

/// What is wrong with an object that begins like a reference and is none.
pub(super) const NO_REFERENCE: &str = "an object with the key `$bytes` does not name bytes";

/// An object that stands for bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) offset: usize,
    pub(super) len: usize,
    /// Where the object ends in the text.
    pub(super) end: usize,
}

impl Reference {
    /// Reads the object at `at`, if that is what stands there. It is spelled without escapes, with white space as
    /// everywhere in JSON.
    pub(super) fn at(text: &[u8], at: usize) -> Option<Self> {
        let mut cursor = Cursor { text, at };
        cursor.token(b"{")?;
        cursor.token(b"\"$bytes\"")?;
        cursor.token(b":")?;
        cursor.token(b"[")?;
        let offset = cursor.number()?;
        cursor.token(b",")?;
        let len = cursor.number()?;
        cursor.token(b"]")?;
        cursor.token(b"}")?;
        Some(Self {
            offset,
            len,
            end: cursor.at,
        })
    }

    /// Whether the object at `at` begins like one: its first key stands for nothing else.
    pub(super) fn begins(text: &[u8], at: usize) -> bool {
        let mut cursor = Cursor { text, at };
        [&b"{"[..], b"\"$bytes\"", b":"]
            .into_iter()
            .all(|token| cursor.token(token).is_some())
    }

    /// The bytes in an area of so many, if they are there.
    pub(super) fn range(self, area: usize) -> Option<Range<usize>> {
        let end = self.offset.checked_add(self.len)?;
        (end <= area).then_some(self.offset..end)
    }
}

struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn blank(&mut self) {
        while matches!(self.text.get(self.at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn token(&mut self, token: &[u8]) -> Option<()> {
        self.blank();
        let found = self.text.get(self.at..)?.starts_with(token);
        self.at += token.len();
        found.then_some(())
    }

    /// An unsigned integer without superfluous zeros.
    fn number(&mut self) -> Option<usize> {
        self.blank();
        let digits = self.text.get(self.at..)?;
        let len = digits
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let digits = digits.get(..len)?;
        if len > 1 && digits.first() == Some(&b'0') {
            return None;
        }
        self.at += len;
        str::from_utf8(digits).ok()?.parse().ok()
    }
}

/// Checks that a text, which is one well-formed value, names every byte of what is behind it once, in order. Where it
/// names none, white space may be there.
pub(super) fn check(text: &[u8], behind: &[u8]) -> Result<(), DecodeError> {
    let wrong = |detail: &str, at| Err(DecodeError::new(Kind::Malformed, detail, at));
    let mut at = 0;
    let mut named = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => at = behind_text(text, at),
            b'{' => match Reference::at(text, at) {
                Some(reference) => {
                    if reference.offset != named || reference.range(behind.len()).is_none() {
                        return wrong("bytes behind the value are named out of order", at);
                    }
                    named += reference.len;
                    at = reference.end;
                }
                None if Reference::begins(text, at) => return wrong(NO_REFERENCE, at),
                None => at += 1,
            },
            _ => at += 1,
        }
    }
    if named == behind.len() || named == 0 && is_blank(behind) {
        return Ok(());
    }
    let detail = "something is left over behind the value";
    Err(DecodeError::new(Kind::Trailing, detail, text.len() + named))
}

/// Where the text ends that begins at `at`.
fn behind_text(text: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    loop {
        match text.get(at) {
            None => return at,
            Some(b'"') => return at + 1,
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
        }
    }
}

/// Whether there is nothing but white space.
fn is_blank(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .all(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t'))
}
