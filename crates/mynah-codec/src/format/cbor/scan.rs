//! One item at a time, checked without decoding it.

mod utf8;

use super::head;
use super::keys::{Keys, Span};
use crate::{DecodeError, DecodeErrorKind};
use mynah_protocol::{DecodeLimits, DuplicateKeys};
use utf8::Utf8;

/// So many children of an array are remembered by their offset.
const CHILDREN: usize = 8;

/// Checks that `bytes` are exactly one item within `limits`, with the verdict that decoding would give.
///
/// # Errors
/// [`DecodeError`] when they are not.
pub fn scan(bytes: &[u8], limits: &DecodeLimits) -> Result<(), DecodeError> {
    if bytes.len() > limits.max_message_bytes {
        return Err(too_large(bytes.len()));
    }
    match Scanner::new(*limits).advance(bytes)? {
        Scan::Done(len) if len == bytes.len() => Ok(()),
        Scan::Done(len) => Err(trailing(len)),
        Scan::Need(_) => Err(truncated(bytes.len())),
    }
}

/// How far a scan has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// The item is not complete; at least so many bytes are missing.
    Need(usize),
    /// The item is complete and has so many bytes.
    Done(usize),
}

/// What the outermost item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemKind {
    /// An array.
    Array,
    /// A map.
    Map,
    /// A scalar, a text, bytes, or something tagged.
    Other,
}

/// What is done about keys that a map has twice.
#[derive(Debug)]
enum Duplicates {
    Refuse,
    Ignore,
    /// The offset of each key that a later one overrides.
    Record(Vec<usize>),
}

#[derive(Debug)]
struct Frame {
    kind: FrameKind,
    /// It ends with a break.
    indefinite: bool,
    /// Items that are missing, keys and values counted apart; or that may still come before the break.
    left: usize,
    /// Where its current item starts.
    item: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FrameKind {
    Array,
    Map,
    Tag,
}

/// A string that is being passed.
#[derive(Debug, Default)]
struct InString {
    /// Bytes that are missing of it, or of its current chunk.
    left: usize,
    /// The major type of the chunks that follow until a break; 0 for a string in one piece.
    chunks: u8,
    text: bool,
    active: bool,
    utf8: Utf8,
}

/// A strict scan over one item that can stop at any byte and go on later, without looking at anything twice.
///
/// It serves as a check, and as the framing of a sequence of items: the length of an item is known when its last
/// byte is there. It does not recurse; its memory is bounded by the depth limit and the keys of the open maps.
#[derive(Debug)]
pub struct Scanner {
    limits: DecodeLimits,
    duplicates: Duplicates,
    at: usize,
    /// No shorter input can bring the scan on.
    wait: usize,
    string: InString,
    stack: Vec<Frame>,
    /// One for each open map, and more that are kept for later ones.
    tables: Vec<Keys>,
    open_maps: usize,
    kind: ItemKind,
    children: [usize; CHILDREN],
    items: usize,
    examined: u64,
}

impl Scanner {
    /// A scan that has seen nothing yet.
    #[must_use]
    pub fn new(limits: DecodeLimits) -> Self {
        let duplicates = match limits.duplicate_keys {
            DuplicateKeys::Refuse => Duplicates::Refuse,
            DuplicateKeys::LastWins => Duplicates::Ignore,
        };
        Self::with(limits, duplicates)
    }

    fn with(limits: DecodeLimits, duplicates: Duplicates) -> Self {
        Self {
            limits,
            duplicates,
            at: 0,
            wait: 0,
            string: InString::default(),
            stack: Vec::new(),
            tables: Vec::new(),
            open_maps: 0,
            kind: ItemKind::Other,
            children: [0; CHILDREN],
            items: 0,
            examined: 0,
        }
    }

    /// Begins with the next item, whose first byte is now the first byte of the input. Keeps its memory.
    pub fn reset(&mut self) {
        self.at = 0;
        self.wait = 0;
        self.string = InString::default();
        self.stack.clear();
        self.open_maps = 0;
        self.kind = ItemKind::Other;
        self.items = 0;
        if let Duplicates::Record(overridden) = &mut self.duplicates {
            overridden.clear();
        }
    }

    /// What the outermost item is; [`ItemKind::Other`] until its head was seen.
    #[must_use]
    pub const fn kind(&self) -> ItemKind {
        self.kind
    }

    /// Where the first children of an outermost array start, in bytes; at most 8 of them, none for other items.
    #[must_use]
    pub fn children(&self) -> &[usize] {
        let known = if self.kind == ItemKind::Array {
            self.items.min(CHILDREN)
        } else {
            0
        };
        self.children.get(..known).unwrap_or_default()
    }

    /// How many elements of an outermost array, or entries of a map, are complete; 0 for other items.
    #[must_use]
    pub const fn child_count(&self) -> usize {
        match self.kind {
            ItemKind::Array => self.items,
            ItemKind::Map => self.items / 2,
            ItemKind::Other => 0,
        }
    }

    /// How many bytes were looked at since the scanner was made, each look counted. Bytes that are skipped by their
    /// announced length do not count, nor does comparing the keys of a map, which looks at each key a few times more.
    #[must_use]
    pub const fn bytes_examined(&self) -> u64 {
        self.examined
    }

    /// Goes on over `input`, which starts at the first byte of the item and has only grown since the last call.
    ///
    /// # Errors
    /// [`DecodeError`] when it can never become one item within the limits; the scanner is of no use then until it
    /// is [`reset`](Self::reset).
    pub fn advance(&mut self, input: &[u8]) -> Result<Scan, DecodeError> {
        // Nothing beyond the limit is looked at, so the verdict does not depend on how much has come already.
        let input = input.get(..self.limits.max_message_bytes).unwrap_or(input);
        if input.len() < self.wait {
            return self.need(input, self.wait - input.len());
        }
        loop {
            if self.string.active {
                let missing = self.pass_string(input)?;
                if missing > 0 {
                    return self.need(input, missing);
                }
                if !self.string.active && self.complete(input)? {
                    return Ok(Scan::Done(self.at));
                }
                if self.string.active {
                    // The next chunk, or the end of the chunks.
                    let missing = self.chunk(input)?;
                    if missing > 0 {
                        return self.need(input, missing);
                    }
                    if !self.string.active && self.complete(input)? {
                        return Ok(Scan::Done(self.at));
                    }
                }
                continue;
            }
            let Some(first) = input.get(self.at).copied() else {
                return self.need(input, 1);
            };
            if let Some(frame) = self.stack.last_mut() {
                if frame.indefinite {
                    if first == head::BREAK {
                        self.examined += 1;
                        self.close()?;
                        if self.complete(input)? {
                            return Ok(Scan::Done(self.at));
                        }
                        continue;
                    }
                    if frame.left == 0 {
                        return Err(too_long(self.at));
                    }
                }
                frame.item = self.at;
            }
            match self.item(first, input)? {
                Item::Complete => {
                    if self.complete(input)? {
                        return Ok(Scan::Done(self.at));
                    }
                }
                Item::Opened => {}
                Item::Missing(missing) => return self.need(input, missing),
            }
        }
    }

    #[cold]
    fn need(&self, input: &[u8], missing: usize) -> Result<Scan, DecodeError> {
        if input.len() >= self.limits.max_message_bytes {
            return Err(too_large(input.len()));
        }
        Ok(Scan::Need(missing))
    }

    /// The argument of the head at the current offset, and the offset behind the head.
    #[inline]
    fn head(&mut self, info: u8, input: &[u8]) -> Result<Head, DecodeError> {
        let rest = input.get(self.at + 1..).unwrap_or_default();
        let (argument, width) = match info {
            0..=23 => (Some(u64::from(info)), 0u8),
            24 => (rest.first().map(|byte| u64::from(*byte)), 1),
            25 => (
                rest.first_chunk()
                    .map(|bytes| u16::from_be_bytes(*bytes).into()),
                2,
            ),
            26 => (
                rest.first_chunk()
                    .map(|bytes| u32::from_be_bytes(*bytes).into()),
                4,
            ),
            27 => (
                rest.first_chunk().map(|bytes| u64::from_be_bytes(*bytes)),
                8,
            ),
            _ => return Err(malformed("a reserved length", self.at)),
        };
        let end = self.at + 1 + usize::from(width);
        if let Some(argument) = argument {
            self.examined += 1 + u64::from(width);
            Ok(Head::Known { argument, end })
        } else {
            self.examined += 1;
            self.wait = end;
            Ok(Head::Missing(end - input.len()))
        }
    }

    /// One item, or the head of one that holds others.
    #[inline]
    fn item(&mut self, first: u8, input: &[u8]) -> Result<Item, DecodeError> {
        let (major, info) = (first & !head::INFO, first & head::INFO);
        if info == head::INDEFINITE {
            return self.open_indefinite(first);
        }
        let (argument, end) = match self.head(info, input)? {
            Head::Known { argument, end } => (argument, end),
            Head::Missing(missing) => return Ok(Item::Missing(missing)),
        };
        match major {
            head::UINT | head::NEGATIVE => {
                self.at = end;
                Ok(Item::Complete)
            }
            head::BYTES | head::TEXT => {
                let left = self.fits(argument, 1, end)?;
                let text = major == head::TEXT;
                self.at = end;
                // A short text that is all there needs none of the machinery for resuming.
                if let Some(content) = input.get(end..).and_then(|rest| rest.get(..left)) {
                    if text {
                        self.examined += as_u64(left);
                        if std::str::from_utf8(content).is_err() {
                            return Err(invalid_utf8(end));
                        }
                    }
                    self.at = end + left;
                    return Ok(Item::Complete);
                }
                self.string = InString {
                    left,
                    chunks: 0,
                    text,
                    active: true,
                    utf8: Utf8::default(),
                };
                Ok(Item::Opened)
            }
            head::ARRAY => {
                self.check_depth()?;
                let left = self.count(argument, 1, end)?;
                self.open(FrameKind::Array, false, left, end)
            }
            head::MAP => {
                self.check_depth()?;
                let left = self.count(argument, 2, end)?;
                self.open(FrameKind::Map, false, left, end)
            }
            head::TAG => {
                self.check_depth()?;
                self.open(FrameKind::Tag, false, 1, end)
            }
            _ => {
                if info == 24 && argument < 32 {
                    return Err(malformed(
                        "a simple value in two bytes that has one",
                        self.at,
                    ));
                }
                self.at = end;
                Ok(Item::Complete)
            }
        }
    }

    #[cold]
    fn open_indefinite(&mut self, first: u8) -> Result<Item, DecodeError> {
        self.examined += 1;
        let end = self.at + 1;
        let budget = self.limits.max_collection_len;
        match first & !head::INFO {
            chunks @ (head::BYTES | head::TEXT) => {
                self.at = end;
                let text = chunks == head::TEXT;
                self.string = InString {
                    left: 0,
                    chunks,
                    text,
                    active: true,
                    utf8: Utf8::default(),
                };
                Ok(Item::Opened)
            }
            head::ARRAY => {
                self.check_depth()?;
                self.open(FrameKind::Array, true, budget, end)
            }
            head::MAP => {
                self.check_depth()?;
                self.open(FrameKind::Map, true, budget.min(usize::MAX / 2) * 2, end)
            }
            head::SIMPLE => Err(malformed(
                "a break outside of anything that it could end",
                self.at,
            )),
            _ => Err(malformed(
                "an indefinite length where there is none",
                self.at,
            )),
        }
    }

    fn check_depth(&self) -> Result<(), DecodeError> {
        let deep = u32::try_from(self.stack.len()).is_ok_and(|depth| depth < self.limits.max_depth);
        if deep { Ok(()) } else { Err(too_deep(self.at)) }
    }

    /// The number of items in a collection that announces `argument` elements of `each` items.
    fn count(&self, argument: u64, each: usize, end: usize) -> Result<usize, DecodeError> {
        let elements = usize::try_from(argument).unwrap_or(usize::MAX);
        if elements > self.limits.max_collection_len {
            return Err(too_long(self.at));
        }
        self.fits(argument, each, end)
    }

    /// `argument * each` as a size, when so many bytes behind `end` are within the limit of a message.
    #[inline]
    fn fits(&self, argument: u64, each: usize, end: usize) -> Result<usize, DecodeError> {
        let size = usize::try_from(argument)
            .ok()
            .and_then(|size| size.checked_mul(each));
        let total = size.and_then(|size| size.checked_add(end));
        match (size, total) {
            (Some(size), Some(total)) if total <= self.limits.max_message_bytes => Ok(size),
            _ => Err(too_large(self.at)),
        }
    }

    fn open(
        &mut self,
        kind: FrameKind,
        indefinite: bool,
        left: usize,
        end: usize,
    ) -> Result<Item, DecodeError> {
        if self.stack.is_empty() {
            self.kind = match kind {
                FrameKind::Array => ItemKind::Array,
                FrameKind::Map => ItemKind::Map,
                FrameKind::Tag => ItemKind::Other,
            };
        }
        self.at = end;
        if left == 0 && !indefinite {
            return Ok(Item::Complete);
        }
        if kind == FrameKind::Map {
            match self.tables.get_mut(self.open_maps) {
                Some(keys) => keys.clear(),
                None => self.tables.push(Keys::default()),
            }
            self.open_maps += 1;
        }
        self.stack.push(Frame {
            kind,
            indefinite,
            left,
            item: end,
        });
        Ok(Item::Opened)
    }

    /// Ends a collection at its break.
    #[cold]
    fn close(&mut self) -> Result<(), DecodeError> {
        let Some(frame) = self.stack.pop() else {
            return Ok(());
        };
        if frame.kind == FrameKind::Map {
            self.open_maps -= 1;
            if frame.left % 2 == 1 {
                return Err(malformed("a key without a value", self.at));
            }
        }
        self.at += 1;
        Ok(())
    }

    /// Tells the open collections that an item has ended here; true when nothing is open any more.
    #[inline]
    fn complete(&mut self, input: &[u8]) -> Result<bool, DecodeError> {
        loop {
            let level = self.stack.len();
            let Some(frame) = self.stack.last_mut() else {
                return Ok(true);
            };
            frame.left -= 1;
            let (kind, left, indefinite, item) =
                (frame.kind, frame.left, frame.indefinite, frame.item);
            if level == 1 {
                if let Some(child) = self.children.get_mut(self.items) {
                    *child = item;
                }
                self.items += 1;
            }
            if kind == FrameKind::Map && left % 2 == 1 {
                self.key(input, item)?;
            }
            if left > 0 || indefinite {
                return Ok(false);
            }
            if kind == FrameKind::Map {
                self.open_maps -= 1;
            }
            self.stack.pop();
        }
    }

    #[inline]
    fn key(&mut self, input: &[u8], start: usize) -> Result<(), DecodeError> {
        if matches!(self.duplicates, Duplicates::Ignore) {
            return Ok(());
        }
        let key = Span {
            start,
            end: self.at,
        };
        let table = self
            .open_maps
            .checked_sub(1)
            .and_then(|last| self.tables.get_mut(last));
        let Some(earlier) = table.and_then(|keys| keys.insert(input, key)) else {
            return Ok(());
        };
        if let Duplicates::Record(overridden) = &mut self.duplicates {
            overridden.push(earlier.start);
            return Ok(());
        }
        Err(duplicate_key(start))
    }

    /// Passes what is there of a string; gives how many bytes are missing of it.
    fn pass_string(&mut self, input: &[u8]) -> Result<usize, DecodeError> {
        let rest = input.get(self.at..).unwrap_or_default();
        let string = &mut self.string;
        let there = rest.get(..string.left).unwrap_or(rest);
        if string.text {
            self.examined += as_u64(there.len());
            if !string.utf8.check(there) {
                return Err(invalid_utf8(self.at));
            }
        }
        self.at += there.len();
        string.left -= there.len();
        if string.left == 0 {
            if !string.utf8.is_complete() {
                return Err(invalid_utf8(self.at));
            }
            string.active = string.chunks != 0;
        }
        Ok(string.left)
    }

    /// The head of the next chunk of a string, or the break behind the last; gives how many bytes are missing of it.
    fn chunk(&mut self, input: &[u8]) -> Result<usize, DecodeError> {
        let Some(first) = input.get(self.at).copied() else {
            return Ok(1);
        };
        if first == head::BREAK {
            self.examined += 1;
            self.at += 1;
            self.string.active = false;
            return Ok(0);
        }
        if first & !head::INFO != self.string.chunks || first & head::INFO == head::INDEFINITE {
            return Err(malformed(
                "a string holds something else than its chunks",
                self.at,
            ));
        }
        match self.head(first & head::INFO, input)? {
            Head::Missing(missing) => Ok(missing),
            Head::Known { argument, end } => {
                self.string.left = self.fits(argument, 1, end)?;
                self.at = end;
                Ok(0)
            }
        }
    }
}

enum Head {
    Known { argument: u64, end: usize },
    Missing(usize),
}

enum Item {
    Complete,
    Opened,
    Missing(usize),
}

/// Passes one item inside of a message, at `offset` and with so much depth left; gives its length.
pub(super) fn skip(
    input: &[u8],
    offset: usize,
    depth_left: u32,
    limits: &DecodeLimits,
) -> Result<usize, DecodeError> {
    let limits = DecodeLimits {
        max_depth: depth_left,
        max_message_bytes: limits.max_message_bytes.saturating_sub(offset),
        ..*limits
    };
    match Scanner::new(limits).advance(input) {
        Ok(Scan::Done(len)) => Ok(len),
        Ok(Scan::Need(_)) => Err(truncated(offset + input.len())),
        Err(error) => {
            let at = error.offset() + offset;
            Err(error.at(at))
        }
    }
}

/// The offsets of the keys that a later equal key overrides, ascending.
pub(super) fn overridden(input: &[u8], limits: &DecodeLimits) -> Result<Vec<usize>, DecodeError> {
    let mut scanner = Scanner::with(*limits, Duplicates::Record(Vec::new()));
    scanner.advance(input)?;
    match scanner.duplicates {
        Duplicates::Record(mut offsets) => {
            offsets.sort_unstable();
            Ok(offsets)
        }
        Duplicates::Refuse | Duplicates::Ignore => Ok(Vec::new()),
    }
}

fn as_u64(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

// One place for the wording, so that scanning and decoding say the same.

#[cold]
pub(super) fn truncated(at: usize) -> DecodeError {
    DecodeError::new(
        DecodeErrorKind::Truncated,
        "the input ends inside of a value",
        at,
    )
}

#[cold]
pub(super) fn trailing(at: usize) -> DecodeError {
    DecodeError::new(
        DecodeErrorKind::Trailing,
        "something is left over behind the value",
        at,
    )
}

#[cold]
pub(super) fn malformed(what: &'static str, at: usize) -> DecodeError {
    DecodeError::new(DecodeErrorKind::Malformed, what, at)
}

#[cold]
pub(super) fn too_deep(at: usize) -> DecodeError {
    DecodeError::new(DecodeErrorKind::TooDeep, "nested deeper than the limit", at)
}

#[cold]
pub(super) fn too_long(at: usize) -> DecodeError {
    DecodeError::new(DecodeErrorKind::TooLong, "more elements than the limit", at)
}

#[cold]
pub(super) fn too_large(at: usize) -> DecodeError {
    DecodeError::new(
        DecodeErrorKind::TooLarge,
        "more bytes than the limit of a message",
        at,
    )
}

#[cold]
pub(super) fn invalid_utf8(at: usize) -> DecodeError {
    DecodeError::new(
        DecodeErrorKind::InvalidUtf8,
        "a text is not valid UTF-8",
        at,
    )
}

#[cold]
pub(super) fn duplicate_key(at: usize) -> DecodeError {
    DecodeError::new(DecodeErrorKind::DuplicateKey, "a map has a key twice", at)
}
