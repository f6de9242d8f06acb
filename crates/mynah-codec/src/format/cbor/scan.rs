//! One item at a time, checked without decoding it.

mod string;

use super::fault;
use super::head;
use super::keys::Cbor;
use crate::DecodeError;
use crate::format::keys::Keys;
use mynah_protocol::{DecodeLimits, DuplicateKeys};
use string::InString;

/// So many children of an array are remembered by their offset.
const CHILDREN: usize = 8;

/// Checks that `bytes` are exactly one item within `limits`, with the verdict that decoding would give.
///
/// # Errors
/// [`DecodeError`] when they are not.
pub fn scan(bytes: &[u8], limits: &DecodeLimits) -> Result<(), DecodeError> {
    if bytes.len() > limits.max_message_bytes {
        return Err(fault::too_large(bytes.len()));
    }
    match Scanner::new(*limits).advance(bytes)? {
        Scan::Done(len) if len == bytes.len() => Ok(()),
        Scan::Done(len) => Err(fault::trailing(len)),
        Scan::Need(_) => Err(fault::truncated(bytes.len())),
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

/// Something that holds items.
#[derive(Clone, Copy, Debug)]
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
    /// What holds the outermost item alone.
    Root,
    Array,
    Map,
    Tag,
}

const ROOT: Frame = Frame {
    kind: FrameKind::Root,
    indefinite: false,
    left: 1,
    item: 0,
};

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
    top: Frame,
    /// What the innermost frame is in, from the outside inwards; as many as the depth is.
    outer: Vec<Frame>,
    /// One for each open map, and more that are kept for later ones.
    tables: Vec<Keys<Cbor>>,
    open_maps: usize,
    kind: ItemKind,
    children: [usize; CHILDREN],
    items: usize,
    examined: u64,
}

/// What came of a step.
enum Step {
    /// An item ends where the scan is.
    Complete,
    /// It goes on inside of an item.
    Inside,
    /// At least so many bytes are missing.
    Missing(usize),
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
            top: ROOT,
            outer: Vec::new(),
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
        self.top = ROOT;
        self.outer.clear();
        self.open_maps = 0;
        self.kind = ItemKind::Other;
        self.items = 0;
    }

    /// What the outermost item is; [`ItemKind::Other`] until its head was seen.
    #[must_use]
    pub const fn kind(&self) -> ItemKind {
        self.kind
    }

    /// Where the first complete children of an outermost array start, in bytes; at most 8 of them, none for other
    /// items.
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
    /// Behind the end of the item `input` may hold anything; it is not looked at. Calling again after
    /// [`Scan::Done`] gives the same answer until [`reset`](Self::reset).
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
        while self.top.left > 0 || self.top.indefinite {
            let step = if self.string.active {
                self.string_step(input)?
            } else {
                self.step(input)?
            };
            match step {
                Step::Complete => self.complete(input)?,
                Step::Inside => {}
                Step::Missing(missing) => return self.need(input, missing),
            }
        }
        Ok(Scan::Done(self.at))
    }

    #[cold]
    fn need(&self, input: &[u8], missing: usize) -> Result<Scan, DecodeError> {
        if input.len() >= self.limits.max_message_bytes {
            return Err(fault::too_large(input.len()));
        }
        Ok(Scan::Need(missing))
    }

    /// One item, or the head of one that holds others.
    #[inline]
    fn step(&mut self, input: &[u8]) -> Result<Step, DecodeError> {
        let Some(first) = input.get(self.at).copied() else {
            return Ok(Step::Missing(1));
        };
        if self.top.indefinite {
            if first == head::BREAK {
                return self.close();
            }
            if self.top.left == 0 {
                return Err(fault::too_long(self.at));
            }
        }
        self.top.item = self.at;
        match first {
            // Small integers, and the simple values of one byte.
            0x00..=0x17 | 0x20..=0x37 | 0xe0..=0xf7 => {
                self.examined += 1;
                self.at += 1;
                Ok(Step::Complete)
            }
            // Short texts; the incomplete ones take the long way.
            0x60..=0x77 => {
                let start = self.at + 1;
                let end = start + usize::from(first - head::TEXT);
                let Some(text) = input.get(start..end) else {
                    return self.long_step(first, input);
                };
                if std::str::from_utf8(text).is_err() {
                    return Err(fault::invalid_utf8(start));
                }
                self.examined += as_u64(end - self.at);
                self.at = end;
                Ok(Step::Complete)
            }
            // Longer integers and floats, of which nothing but the length matters.
            0x18..=0x1b | 0x38..=0x3b | head::HALF..=head::DOUBLE => {
                let len = 1 + (1usize << (first & 3));
                if input.len() - self.at < len {
                    return self.long_step(first, input);
                }
                self.examined += as_u64(len);
                self.at += len;
                Ok(Step::Complete)
            }
            _ => self.long_step(first, input),
        }
    }

    fn long_step(&mut self, first: u8, input: &[u8]) -> Result<Step, DecodeError> {
        let (major, info) = (first & !head::INFO, first & head::INFO);
        if info == head::INDEFINITE {
            return self.open_indefinite(first);
        }
        let (argument, end) = match self.head(info, input)? {
            Head::Known { argument, end } => (argument, end),
            Head::Missing(missing) => return Ok(Step::Missing(missing)),
        };
        match major {
            head::UINT | head::NEGATIVE => {
                self.at = end;
                Ok(Step::Complete)
            }
            head::BYTES | head::TEXT => {
                let left = self.fits(argument, 1, end)?;
                self.at = end;
                self.string = InString::whole(left, major == head::TEXT);
                self.string_step(input)
            }
            head::ARRAY => {
                self.check_depth()?;
                let left = self.count(argument, 1, end)?;
                Ok(self.open(FrameKind::Array, false, left, end))
            }
            head::MAP => {
                self.check_depth()?;
                let left = self.count(argument, 2, end)?;
                Ok(self.open(FrameKind::Map, false, left, end))
            }
            head::TAG => {
                self.check_depth()?;
                Ok(self.open(FrameKind::Tag, false, 1, end))
            }
            _ => {
                if info == 24 && argument < 32 {
                    return Err(fault::malformed(fault::LONG_SIMPLE, self.at));
                }
                self.at = end;
                Ok(Step::Complete)
            }
        }
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
            _ => return Err(fault::malformed(fault::RESERVED, self.at)),
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

    #[cold]
    fn open_indefinite(&mut self, first: u8) -> Result<Step, DecodeError> {
        self.examined += 1;
        let end = self.at + 1;
        let budget = self.limits.max_collection_len;
        match first & !head::INFO {
            major @ (head::BYTES | head::TEXT) => {
                self.at = end;
                self.string = InString::chunked(major);
                Ok(Step::Inside)
            }
            head::ARRAY => {
                self.check_depth()?;
                Ok(self.open(FrameKind::Array, true, budget, end))
            }
            head::MAP => {
                self.check_depth()?;
                Ok(self.open(FrameKind::Map, true, budget.min(usize::MAX / 2) * 2, end))
            }
            head::SIMPLE => Err(fault::malformed(fault::STRAY_BREAK, self.at)),
            _ => Err(fault::malformed(fault::NOT_INDEFINITE, self.at)),
        }
    }

    #[inline]
    fn check_depth(&self) -> Result<(), DecodeError> {
        let deep = u32::try_from(self.outer.len()).is_ok_and(|depth| depth < self.limits.max_depth);
        if deep {
            Ok(())
        } else {
            Err(fault::too_deep(self.at))
        }
    }

    /// The number of items in a collection that announces `argument` elements of `each` items.
    #[inline]
    fn count(&self, argument: u64, each: usize, end: usize) -> Result<usize, DecodeError> {
        let elements = usize::try_from(argument).unwrap_or(usize::MAX);
        if elements > self.limits.max_collection_len {
            return Err(fault::too_long(self.at));
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
            _ => Err(fault::too_large(self.at)),
        }
    }

    fn open(&mut self, kind: FrameKind, indefinite: bool, left: usize, end: usize) -> Step {
        if self.top.kind == FrameKind::Root {
            self.kind = match kind {
                FrameKind::Array => ItemKind::Array,
                FrameKind::Map => ItemKind::Map,
                FrameKind::Root | FrameKind::Tag => ItemKind::Other,
            };
        }
        self.at = end;
        if left == 0 && !indefinite {
            return Step::Complete;
        }
        if kind == FrameKind::Map {
            match self.tables.get_mut(self.open_maps) {
                Some(keys) => keys.clear(),
                None => self.tables.push(Keys::default()),
            }
            self.open_maps += 1;
        }
        self.outer.push(self.top);
        self.top = Frame {
            kind,
            indefinite,
            left,
            item: end,
        };
        Step::Inside
    }

    /// Ends a collection at its break.
    #[cold]
    fn close(&mut self) -> Result<Step, DecodeError> {
        if self.top.kind == FrameKind::Map && self.top.left % 2 == 1 {
            return Err(fault::malformed(fault::STRAY_BREAK, self.at));
        }
        self.examined += 1;
        self.at += 1;
        self.leave();
        Ok(Step::Complete)
    }

    #[inline]
    fn leave(&mut self) {
        if self.top.kind == FrameKind::Map {
            self.open_maps -= 1;
        }
        if let Some(outer) = self.outer.pop() {
            self.top = outer;
        }
    }

    /// Tells what is open that an item has ended here, and leaves what is full by that.
    #[inline]
    fn complete(&mut self, input: &[u8]) -> Result<(), DecodeError> {
        loop {
            self.top.left -= 1;
            if self.top.kind == FrameKind::Map && self.top.left % 2 == 1 {
                self.key(input)?;
            }
            if self.outer.len() == 1 {
                if let Some(child) = self.children.get_mut(self.items) {
                    *child = self.top.item;
                }
                self.items += 1;
            }
            if self.top.left > 0 || self.top.indefinite || self.top.kind == FrameKind::Root {
                return Ok(());
            }
            self.leave();
        }
    }

    #[inline]
    fn key(&mut self, input: &[u8]) -> Result<(), DecodeError> {
        if matches!(self.duplicates, Duplicates::Ignore) {
            return Ok(());
        }
        let (start, end) = (self.top.item, self.at);
        let table = self
            .open_maps
            .checked_sub(1)
            .and_then(|last| self.tables.get_mut(last));
        let Some(earlier) = table.and_then(|keys| keys.insert(input, start, end)) else {
            return Ok(());
        };
        if let Duplicates::Record(overridden) = &mut self.duplicates {
            overridden.push(earlier);
            return Ok(());
        }
        Err(fault::duplicate_key(start))
    }
}

enum Head {
    Known { argument: u64, end: usize },
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
        Ok(Scan::Need(_)) => Err(fault::truncated(offset + input.len())),
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
