//! Bytes that travel as bytes, and that are not copied when they are many.
//!
//! Between a `Bytes` and the formats of this crate stands serde, which knows slices only. What belongs to both ends of
//! a call of serde is handed past it in cells of the thread, each set and emptied within one call.

use bytes::Bytes as Buffer;
use mynah_protocol::Segment;
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::ops::Deref;

/// The name under which [`Bytes`] makes itself known to the formats of this crate.
pub(crate) const NAME: &str = "$mynah::Bytes";

/// From so many bytes on they are shared and not copied: the cost of a copy exceeds that of a segment, and what is
/// decoded may keep the buffer of its message alive.
pub const SHARED_BYTES: usize = 16 << 10;

thread_local! {
    /// The serializer that runs takes a buffer instead of a slice.
    static WANTED: Cell<bool> = const { Cell::new(false) };
    /// The buffer that was left for it.
    static LEFT: Cell<Option<Buffer>> = const { Cell::new(None) };
    /// What is being encoded.
    static TARGET: Cell<Target> = const { Cell::new(Target { address: 0, start: 0, count: 0 }) };
    /// How many segments there are in `ASIDE`.
    static COUNT: Cell<usize> = const { Cell::new(0) };
    static ASIDE: RefCell<Vec<Segment>> = const { RefCell::new(Vec::new()) };
    /// The buffer of the message that is being decoded.
    static SOURCE: RefCell<Option<Buffer>> = const { RefCell::new(None) };
}

/// A value that is being encoded.
#[derive(Clone, Copy)]
struct Target {
    /// The address of the vector whose large parts are put aside.
    address: usize,
    /// Where the value began in it.
    start: usize,
    /// How many segments were there before: those of a value in whose midst this one is encoded.
    count: usize,
}

/// Bytes as param, result or field: one byte string on the wire, whatever the format, where a `Vec<u8>` is an array of
/// numbers.
///
/// Large ones (from 16 KiB on) are not copied: they leave as the buffer they are, and what arrives is a part of the
/// buffer that its message was read into, which lives as long as a part of it does. In JSON on the native wire the
/// bytes stand raw behind the text; in JSON elsewhere they are an array of numbers.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(Buffer);

impl Bytes {
    /// No bytes.
    #[must_use]
    pub const fn new() -> Self {
        Self(Buffer::new())
    }

    /// Bytes that live as long as the program; copies nothing.
    #[must_use]
    pub const fn from_static(bytes: &'static [u8]) -> Self {
        Self(Buffer::from_static(bytes))
    }

    /// Copies a slice.
    #[must_use]
    pub fn copy_from_slice(bytes: &[u8]) -> Self {
        Self(Buffer::copy_from_slice(bytes))
    }

    /// The buffer inside.
    #[must_use]
    pub fn into_inner(self) -> Buffer {
        self.0
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 64;
        if self.len() <= SHOWN {
            return self.0.fmt(f);
        }
        write!(f, "{:?}.. ({} bytes)", self.0.slice(..SHOWN), self.len())
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Buffer> for Bytes {
    fn from(bytes: Buffer) -> Self {
        Self(bytes)
    }
}

impl From<Bytes> for Buffer {
    fn from(bytes: Bytes) -> Self {
        bytes.0
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<Bytes> for Vec<u8> {
    fn from(bytes: Bytes) -> Self {
        bytes.0.into()
    }
}

impl From<&'static [u8]> for Bytes {
    fn from(bytes: &'static [u8]) -> Self {
        Self::from_static(bytes)
    }
}

impl<const N: usize> From<&'static [u8; N]> for Bytes {
    fn from(bytes: &'static [u8; N]) -> Self {
        Self::from_static(bytes)
    }
}

impl FromIterator<u8> for Bytes {
    fn from_iter<I: IntoIterator<Item = u8>>(bytes: I) -> Self {
        Self(bytes.into_iter().collect())
    }
}

impl PartialEq<[u8]> for Bytes {
    fn eq(&self, other: &[u8]) -> bool {
        **self == *other
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(NAME, &Content(&self.0))
    }
}

/// What is in a [`Bytes`]: a slice for strangers, a buffer for who wants one.
struct Content<'a>(&'a Buffer);

impl Serialize for Content<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let wanted = WANTED.take();
        if wanted && self.0.len() >= SHARED_BYTES {
            LEFT.set(Some(self.0.clone()));
            return serializer.serialize_bytes(&[]);
        }
        serializer.serialize_bytes(self.0)
    }
}

/// Runs a serializer on the content of a `Bytes`. A large one leaves its buffer, and writes as if it were empty.
pub(crate) fn left_aside<R>(serialize: impl FnOnce() -> R) -> (R, Option<Buffer>) {
    WANTED.set(true);
    let result = serialize();
    WANTED.set(false);
    (result, LEFT.take())
}

/// Runs `encode`, which writes to `out`, and collects what it puts aside.
#[inline]
pub(crate) fn collect<E>(
    out: &mut Vec<u8>,
    segments: &mut Vec<Segment>,
    encode: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let count = COUNT.get();
    let collecting = Collecting {
        outer: TARGET.replace(Target {
            address: std::ptr::from_ref(out).addr(),
            start: out.len(),
            count,
        }),
        count,
    };
    let result = encode(out);
    if COUNT.get() > collecting.count && result.is_ok() {
        ASIDE.with_borrow_mut(|aside| segments.extend(aside.drain(collecting.count..)));
    }
    result
}

/// One encoding under way. Encodings nest: a `Serialize` of the program may encode something itself.
struct Collecting {
    outer: Target,
    count: usize,
}

impl Drop for Collecting {
    #[inline]
    fn drop(&mut self) {
        TARGET.set(self.outer);
        if COUNT.get() > self.count {
            COUNT.set(self.count);
            ASIDE.with_borrow_mut(|aside| aside.truncate(self.count));
        }
    }
}

/// Whether the large parts of what is written to `out` are put aside.
#[allow(
    clippy::ptr_arg,
    reason = "it is the vector that is known by its address"
)]
pub(crate) fn puts_aside(out: &Vec<u8>) -> bool {
    TARGET.get().address == std::ptr::from_ref(out).addr()
}

/// Puts a buffer aside that belongs behind what is in `out` now.
pub(crate) fn put_aside(out: &[u8], bytes: Buffer) {
    let at = out.len() - TARGET.get().start;
    ASIDE.with_borrow_mut(|aside| {
        aside.push(Segment { at, bytes });
        COUNT.set(aside.len());
    });
}

/// So many bytes were inserted in `out` at an offset: what was put aside behind it moves.
pub(crate) fn moved(out: &Vec<u8>, at: usize, by: usize) {
    if COUNT.get() == 0 || !puts_aside(out) {
        return;
    }
    let Target { start, count, .. } = TARGET.get();
    ASIDE.with_borrow_mut(|aside| {
        for segment in aside.iter_mut().skip(count) {
            if start + segment.at > at {
                segment.at += by;
            }
        }
    });
}

/// While it lives, large [`Bytes`] that are decoded on this thread from a part of a buffer share it.
///
/// What is not a part of the buffer is copied, as ever, so nothing goes wrong if something else is decoded meanwhile.
#[derive(Debug)]
#[must_use = "the buffer is shared only while this lives"]
pub struct Source {
    outer: Option<Buffer>,
}

impl Source {
    /// Shares a buffer.
    pub fn share(buffer: &Buffer) -> Self {
        Self {
            outer: SOURCE.replace(Some(buffer.clone())),
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // The buffer goes when the cell is free: whoever owns it may have code of its own run.
        let shared = SOURCE.replace(self.outer.take());
        drop(shared);
    }
}

/// A part of a buffer that is being decoded, shared if it is large.
fn part(bytes: &[u8]) -> Buffer {
    if bytes.len() < SHARED_BYTES {
        return Buffer::copy_from_slice(bytes);
    }
    let shared = SOURCE.with_borrow(|source| {
        let source = source.as_ref()?;
        let start = bytes.as_ptr().addr().checked_sub(source.as_ptr().addr())?;
        let end = start.checked_add(bytes.len())?;
        (end <= source.len()).then(|| source.slice(start..end))
    });
    shared.unwrap_or_else(|| Buffer::copy_from_slice(bytes))
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_byte_buf(BytesVisitor).map(Self)
    }
}

struct BytesVisitor;

impl<'de> Visitor<'de> for BytesVisitor {
    type Value = Buffer;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Buffer, E> {
        Ok(part(bytes))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Buffer, E> {
        Ok(part(bytes))
    }

    fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Buffer, E> {
        Ok(bytes.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Buffer, A::Error> {
        // A length that a peer announces is good for so much and no more.
        const TRUSTED: usize = 4096;
        let mut bytes = Vec::with_capacity(elements.size_hint().unwrap_or(0).min(TRUSTED));
        while let Some(byte) = elements.next_element()? {
            bytes.push(byte);
        }
        Ok(bytes.into())
    }
}

/// A text of format `binary`, as OpenAPI has it: JSON Schema has no word for bytes.
#[cfg(feature = "schema")]
impl schemars::JsonSchema for Bytes {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Bytes".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "binary" })
    }
}

#[cfg(test)]
mod tests;
