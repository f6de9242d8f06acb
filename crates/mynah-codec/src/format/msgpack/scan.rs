//! One value at a time, checked without decoding it.

use super::RESERVED;
use super::head::{self, Class, Head};
use super::keys::MessagePack;
use crate::DecodeError;
use crate::format::fault;
use crate::format::keys::Keys;
use crate::format::utf8::Utf8;
use mynah_protocol::{DecodeLimits, DuplicateKeys};

/// Checks that `bytes` are exactly one value within `limits`, with the verdict that decoding would give.
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
    /// The value is not complete; at least so many bytes are missing.
    Need(usize),
    /// The value is complete and has so many bytes.
    Done(usize),
}

/// What is done about keys that a map has twice.
#[derive(Debug)]
enum Duplicates {
    Refuse,
    Ignore,
    /// The offset of each key that a later one overrides.
    Record(Vec<usize>),
}

/// Something that holds values.
#[derive(Clone, Copy, Debug)]
struct Frame {
    map: bool,
    /// Values that are missing, keys counted apart.
    left: usize,
    /// Where its current value starts.
    item: usize,
}

/// What holds the outermost value alone.
const ROOT: Frame = Frame {
    map: false,
    left: 1,
    item: 0,
};

/// A strict scan over one value that can stop at any byte and go on later, without looking at anything twice.
///
/// It serves as a check, and as the framing of a sequence of values. It does not recurse; its memory is bounded by the
/// depth limit and the keys of the open maps.
#[derive(Debug)]
pub struct Scanner {
    limits: DecodeLimits,
    duplicates: Duplicates,
    at: usize,
    /// No shorter input can bring the scan on.
    wait: usize,
    content: Option<Content>,
    top: Frame,
    /// What the innermost frame is in, from the outside inwards; as many as the depth is.
    outer: Vec<Frame>,
    /// One for each open map, and more that are kept for later ones.
    tables: Vec<Keys<MessagePack>>,
    open_maps: usize,
    examined: u64,
}

/// A text, bytes or an extension that is being passed.
#[derive(Debug)]
struct Content {
    /// Bytes that are missing of it.
    left: usize,
    /// Only a text is looked at.
    text: Option<Utf8>,
}

/// What came of a step.
enum Step {
    /// A value ends where the scan is.
    Complete,
    /// It goes on inside of a value.
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

    const fn with(limits: DecodeLimits, duplicates: Duplicates) -> Self {
        Self {
            limits,
            duplicates,
            at: 0,
            wait: 0,
            content: None,
            top: ROOT,
            outer: Vec::new(),
            tables: Vec::new(),
            open_maps: 0,
            examined: 0,
        }
    }

    /// Begins with the next value, whose first byte is now the first byte of the input. Keeps its memory.
    pub fn reset(&mut self) {
        self.at = 0;
        self.wait = 0;
        self.content = None;
        self.top = ROOT;
        self.outer.clear();
        self.open_maps = 0;
    }

    /// How many bytes were looked at since the scanner was made, each look counted. Bytes that are skipped by their
    /// announced length do not count, nor does comparing the keys of a map, which looks at each key a few times more.
    #[must_use]
    pub const fn bytes_examined(&self) -> u64 {
        self.examined
    }

    /// Goes on over `input`, which starts at the first byte of the value and has only grown since the last call.
    ///
    /// Behind the end of the value `input` may hold anything; it is not looked at. Calling again after
    /// [`Scan::Done`] gives the same answer until [`reset`](Self::reset).
    ///
    /// # Errors
    /// [`DecodeError`] when it can never become one value within the limits; the scanner is of no use then until it
    /// is [`reset`](Self::reset).
    pub fn advance(&mut self, input: &[u8]) -> Result<Scan, DecodeError> {
        // Nothing beyond the limit is looked at, so the verdict does not depend on how much has come already.
        let input = input.get(..self.limits.max_message_bytes).unwrap_or(input);
        if input.len() < self.wait {
            return self.need(input, self.wait - input.len());
        }
        while self.top.left > 0 {
            let step = if self.content.is_some() {
                self.content_step(input)?
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

    /// One value, or the head of one that has content or holds others.
    #[inline]
    fn step(&mut self, input: &[u8]) -> Result<Step, DecodeError> {
        let rest = input.get(self.at..).unwrap_or_default();
        let head = match head::read(rest) {
            Ok(head) => head,
            Err(len) => {
                self.examined += u64::from(!rest.is_empty());
                self.wait = self.at + len;
                return Ok(Step::Missing(len - rest.len()));
            }
        };
        self.top.item = self.at;
        self.examined += as_u64(head.len);
        let end = self.at + head.len;
        match head.class {
            Class::Text | Class::Bytes | Class::Ext => {
                let left = self.fits(head.argument, 1, end)?;
                self.at = end;
                self.content = Some(Content {
                    left,
                    text: (head.class == Class::Text).then(Utf8::default),
                });
                self.content_step(input)
            }
            Class::Array => self.open(&head, 1, end),
            Class::Map => self.open(&head, 2, end),
            Class::Never => Err(fault::malformed(RESERVED, self.at)),
            _ => {
                self.at = end;
                Ok(Step::Complete)
            }
        }
    }

    /// Passes what is there of the current content.
    fn content_step(&mut self, input: &[u8]) -> Result<Step, DecodeError> {
        let Some(content) = &mut self.content else {
            return Ok(Step::Inside);
        };
        let rest = input.get(self.at..).unwrap_or_default();
        let there = rest.get(..content.left).unwrap_or(rest);
        if let Some(text) = &mut content.text {
            self.examined += as_u64(there.len());
            if !text.check(there) {
                return Err(fault::invalid_utf8(self.at));
            }
        }
        self.at += there.len();
        content.left -= there.len();
        if content.left > 0 {
            return Ok(Step::Missing(content.left));
        }
        if content
            .text
            .as_ref()
            .is_some_and(|text| !text.is_complete())
        {
            return Err(fault::invalid_utf8(self.at));
        }
        self.content = None;
        Ok(Step::Complete)
    }

    /// Begins an array or a map with `each` values for an element.
    fn open(&mut self, head: &Head, each: usize, end: usize) -> Result<Step, DecodeError> {
        let deep = u32::try_from(self.outer.len()).is_ok_and(|depth| depth < self.limits.max_depth);
        if !deep {
            return Err(fault::too_deep(self.at));
        }
        let elements = usize::try_from(head.argument).unwrap_or(usize::MAX);
        if elements > self.limits.max_collection_len {
            return Err(fault::too_long(self.at));
        }
        let left = self.fits(head.argument, each, end)?;
        self.at = end;
        if left == 0 {
            return Ok(Step::Complete);
        }
        let map = each == 2;
        if map {
            match self.tables.get_mut(self.open_maps) {
                Some(keys) => keys.clear(),
                None => self.tables.push(Keys::default()),
            }
            self.open_maps += 1;
        }
        self.outer.push(self.top);
        self.top = Frame {
            map,
            left,
            item: end,
        };
        Ok(Step::Inside)
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

    /// Tells what is open that a value has ended here, and leaves what is full by that.
    #[inline]
    fn complete(&mut self, input: &[u8]) -> Result<(), DecodeError> {
        loop {
            self.top.left -= 1;
            if self.top.map && self.top.left % 2 == 1 {
                self.key(input)?;
            }
            if self.top.left > 0 {
                return Ok(());
            }
            let Some(outer) = self.outer.pop() else {
                return Ok(());
            };
            if self.top.map {
                self.open_maps -= 1;
            }
            self.top = outer;
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

/// Passes one value inside of a message, at `offset` and with so much depth left; gives its length.
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
