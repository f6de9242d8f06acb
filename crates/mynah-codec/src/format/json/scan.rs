//! The strict scan: whether bytes are a value, and where it ends, without reading what it means.
//!
//! A machine with a stack of its own, so it neither recurses nor starts over: it stops wherever the
//! input does, in the middle of a character if need be, and goes on from there.

mod keys;
mod number;
mod stack;
mod text;
mod whole;

use super::error::Failure;
use super::keys::KeyTable;
use super::options::{NonFinite, Options};
use crate::{DecodeError, DecodeErrorKind as Kind};
use mynah_protocol::{DecodeLimits, DuplicateKeys};
use number::NumberPart;
use stack::Stack;
use std::ops::Range;
use text::{Pieces, TextPart};

pub(super) use whole::{overridden_keys, value_len};
pub use whole::{scan, scan_with};

type Result<T> = std::result::Result<T, Failure>;

/// What a scan has found so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// The value goes on for at least so many more bytes.
    Need(usize),
    /// So many bytes of white space precede the value. The next input must start behind them.
    Blank(usize),
    /// The value is complete and has so many bytes.
    Done(usize),
}

/// What happens to a key that an object has twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyRule {
    /// It is an error.
    Refuse,
    /// Nothing.
    Ignore,
    /// The earlier one is noted down.
    Record,
}

/// How many children of a top-level array are noted down.
const CHILDREN: usize = 8;

/// A resumable scan of JSON values that follow one another, with white space or nothing between
/// them.
///
/// Its verdict on a value is the one that decoding gives: of the same kind for the same limits. It
/// looks at each byte once, however the input is cut, and holds memory for the open containers and
/// their keys only.
///
/// ```
/// use mynah_codec::format::json::{Scan, Scanner};
/// use mynah_protocol::DecodeLimits;
///
/// let mut scanner = Scanner::new(&DecodeLimits::DEFAULT);
/// assert_eq!(scanner.advance(b"\n[1,"), Ok(Scan::Blank(1)));
/// assert!(matches!(scanner.advance(b"[1,"), Ok(Scan::Need(_))));
/// assert_eq!(scanner.advance(b"[1, {}] 7"), Ok(Scan::Done(7)));
/// assert_eq!(scanner.children(), [1..2, 4..6]);
/// ```
#[derive(Debug)]
pub struct Scanner {
    max_depth: usize,
    max_len: usize,
    max_bytes: usize,
    tokens: bool,
    /// Half a surrogate pair is let pass.
    halves: bool,
    rule: KeyRule,
    /// Small, since it is stored and loaded for every token; what belongs to it stands beside it.
    state: State,
    /// What is missing of a word.
    word: &'static [u8],
    /// What is known of a half-read escape or character.
    pieces: Pieces,
    /// How far the input has been examined.
    at: usize,
    examined: u64,
    /// How many containers are open.
    depth: usize,
    /// The innermost of them.
    top: Frame,
    /// The others, and what stands for the outside of all, innermost last.
    outer: Stack<Frame>,
    /// The keys of the open objects that have few, innermost last.
    keys: Stack<Span>,
    /// The keys of the open objects that have many, innermost last.
    tables: Vec<KeyTable<Span>>,
    /// Where the key that is being read, or was read last, starts and whether it has escapes.
    key: (usize, bool),
    children: [Range<usize>; CHILDREN],
    child_count: usize,
    overridden: Vec<usize>,
}

/// Where a key stands between its quotes.
type Span = (usize, usize);

/// An open container.
#[derive(Clone, Copy, Debug, Default)]
struct Frame {
    object: bool,
    /// A key has escapes.
    escaped: bool,
    /// Its keys are in a table.
    many: bool,
    count: usize,
    /// Where its keys start in `Scanner::keys`.
    keys: usize,
}

/// What may come next.
#[derive(Clone, Copy, Debug)]
enum State {
    /// White space before the value, or the value.
    Start,
    /// A value.
    Value,
    /// A value, or the end of an array.
    FirstValue,
    /// A key.
    Key,
    /// A key, or the end of an object.
    FirstKey,
    /// The colon behind a key.
    Colon,
    /// A comma, or the end of the container.
    Comma,
    /// The rest of a text.
    Text(TextPart),
    /// The rest of a text that is a key.
    KeyText(TextPart),
    /// The rest of a number.
    Number(NumberPart),
    /// The rest of a word, which is in `Scanner::word`.
    Word,
    /// Nothing: the value is complete.
    Done,
}

impl Scanner {
    /// A scanner of plain JSON.
    #[must_use]
    pub fn new(limits: &DecodeLimits) -> Self {
        Self::with_options(limits, Options::STRICT)
    }

    /// A scanner of the JSON of a foreign dialect.
    #[must_use]
    pub fn with_options(limits: &DecodeLimits, options: Options) -> Self {
        let rule = match limits.duplicate_keys {
            DuplicateKeys::Refuse => KeyRule::Refuse,
            DuplicateKeys::LastWins => KeyRule::Ignore,
        };
        Self::with_rule(limits, options.non_finite == NonFinite::Tokens, rule)
    }

    pub(super) fn with_rule(limits: &DecodeLimits, tokens: bool, rule: KeyRule) -> Self {
        Self {
            max_depth: usize::try_from(limits.max_depth).unwrap_or(usize::MAX),
            max_len: limits.max_collection_len,
            max_bytes: limits.max_message_bytes,
            tokens,
            halves: false,
            rule,
            state: State::Start,
            word: b"",
            pieces: Pieces::default(),
            at: 0,
            examined: 0,
            depth: 0,
            top: Frame::default(),
            outer: Stack::new(),
            keys: Stack::new(),
            tables: Vec::new(),
            key: (0, false),
            children: [const { 0..0 }; CHILDREN],
            child_count: 0,
            overridden: Vec::new(),
        }
    }

    /// The same, but half a surrogate pair in a text is let pass: the value can be told from what stands around it, and
    /// whoever decodes it says that it holds what is no text.
    #[must_use]
    pub const fn passing_half_pairs(mut self) -> Self {
        self.halves = true;
        self
    }

    /// Goes on with a value. `input` starts where the value does, or the white space before it, and
    /// is what the call before got plus what has come since; after [`Scan::Blank`] it starts so many
    /// bytes later.
    ///
    /// White space before a value does not count against the limit on its size and need not be kept.
    /// A number that is no part of anything is complete at the byte behind it, or with
    /// [`finish`](Self::finish). Behind [`Scan::Done`] nothing is examined until
    /// [`reset`](Self::reset).
    ///
    /// # Errors
    /// [`DecodeError`] at the first byte that no value within the limits has there. Only
    /// [`reset`](Self::reset) makes sense after one.
    pub fn advance(&mut self, input: &[u8]) -> std::result::Result<Scan, DecodeError> {
        if matches!(self.state, State::Start) {
            let blank = input.iter().take_while(|byte| is_blank(**byte)).count();
            if blank > 0 {
                self.examined += blank as u64;
                return Ok(Scan::Blank(blank));
            }
            if !input.is_empty() {
                self.state = State::Value;
            }
        }
        // One byte beyond the limit, so that the end of a number that just fits is seen.
        let window = input.get(..=self.max_bytes).unwrap_or(input);
        let before = self.at;
        let complete = self.run(window);
        self.examined += self.at.saturating_sub(before) as u64;
        let complete = complete.map_err(|failure| failure.into_error(self.at))?;
        if self.at > self.max_bytes {
            let detail = "message is larger than the limit";
            return Err(DecodeError::new(Kind::TooLarge, detail, self.max_bytes));
        }
        Ok(if complete {
            Scan::Done(self.at)
        } else {
            Scan::Need(self.missing())
        })
    }

    /// Says that nothing follows the input of the last [`advance`](Self::advance). Returns the
    /// size of the value.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Truncated`](Kind::Truncated) when the value is not complete, or has not
    /// begun.
    pub fn finish(&mut self) -> std::result::Result<usize, DecodeError> {
        match self.state {
            State::Done => Ok(self.at),
            State::Number(part) if self.depth == 0 && part.may_end() => {
                self.state = State::Done;
                Ok(self.at)
            }
            _ => Err(DecodeError::new(
                Kind::Truncated,
                "input ends within a value",
                self.at,
            )),
        }
    }

    /// Makes ready for the next value. Its input starts behind this one.
    pub fn reset(&mut self) {
        self.state = State::Start;
        self.at = 0;
        self.depth = 0;
        self.top = Frame::default();
        self.outer.truncate(0);
        self.keys.truncate(0);
        self.tables.clear();
        self.child_count = 0;
        self.overridden.clear();
    }

    /// Whether nothing of a value has been seen yet.
    #[must_use]
    pub const fn is_blank(&self) -> bool {
        matches!(self.state, State::Start)
    }

    /// How many elements the value has that are its direct children; 0 when it is no array.
    #[must_use]
    pub const fn child_count(&self) -> usize {
        self.child_count
    }

    /// Where the first eight elements of the value stand in the input; none when it is no array.
    #[must_use]
    pub fn children(&self) -> &[Range<usize>] {
        self.children
            .get(..self.child_count)
            .unwrap_or(&self.children)
    }

    /// How many bytes were looked at since the scanner was made, each look counted. Comparing the
    /// keys of an object, which looks at each key a few times more, does not count.
    #[must_use]
    pub const fn bytes_examined(&self) -> u64 {
        self.examined
    }

    /// A lower bound on the bytes that are missing.
    fn missing(&self) -> usize {
        let own = match self.state {
            State::Start | State::Value | State::Text(_) | State::Number(_) => 1,
            State::Key => 4,
            State::KeyText(_) => 3,
            State::Colon => 2,
            State::Word => self.word.len(),
            State::FirstValue | State::FirstKey | State::Comma | State::Done => 0,
        };
        // A number within a container needs nothing but the end of the container.
        let open = self.depth;
        if matches!(self.state, State::Number(_)) {
            open.max(1)
        } else {
            open + own
        }
    }

    #[cold]
    fn fail<T>(&self, kind: Kind, detail: &str) -> Result<T> {
        Err(Failure::new(kind, detail, self.at))
    }

    /// Examines what is new. True when the value is complete.
    fn run(&mut self, input: &[u8]) -> Result<bool> {
        if matches!(self.state, State::Done) {
            return Ok(true);
        }
        while let Some(byte) = input.get(self.at) {
            let done = match self.state {
                State::Text(part) => self.text(input, part)?,
                State::KeyText(part) => self.key_text(input, part)?,
                State::Number(part) => self.number(input, part)?,
                State::Word => self.word(input)?,
                _ if is_blank(*byte) => {
                    self.at += 1;
                    false
                }
                State::Start | State::Value => self.value(input, *byte)?,
                State::FirstValue if *byte == b']' => self.close(),
                State::FirstValue => self.value(input, *byte)?,
                State::FirstKey if *byte == b'}' => self.close(),
                State::FirstKey | State::Key => self.open_key(input, *byte)?,
                State::Colon => self.colon(input, *byte)?,
                State::Comma => self.comma(input, *byte)?,
                State::Done => true,
            };
            if done {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Starts a value.
    #[inline]
    fn value(&mut self, input: &[u8], byte: u8) -> Result<bool> {
        if !self.top.object && self.depth > 0 {
            if byte == b']' {
                return self.fail(Kind::Malformed, "comma before a closing bracket");
            }
            if self.top.count >= self.max_len && starts_value(byte, self.tokens) {
                return self.fail(Kind::TooLong, "more elements than the limit");
            }
            self.top.count += 1;
            if self.depth == 1 {
                if let Some(child) = self.children.get_mut(self.child_count) {
                    child.start = self.at;
                }
                self.child_count += 1;
            }
        }
        if matches!(byte, b'[' | b'{') {
            return self.open(byte == b'{');
        }
        let at = self.at;
        self.at += 1;
        self.word = match byte {
            b'"' => return self.text(input, TextPart::Plain),
            b'-' => return self.number(input, NumberPart::Minus),
            b'0' => return self.number(input, NumberPart::Zero),
            b'1'..=b'9' => return self.number(input, NumberPart::Integer),
            b'n' => b"ull",
            b't' => b"rue",
            b'f' => b"alse",
            b'N' if self.tokens => b"aN",
            b'I' if self.tokens => b"nfinity",
            _ => {
                self.at = at;
                return self.fail(Kind::Malformed, "no JSON starts with this byte");
            }
        };
        self.word(input)
    }

    /// Goes past an opening bracket.
    fn open(&mut self, object: bool) -> Result<bool> {
        if self.depth >= self.max_depth {
            return self.fail(Kind::TooDeep, "nested deeper than the limit");
        }
        self.outer.push(self.top);
        self.depth += 1;
        self.top = Frame {
            object,
            keys: self.keys.len(),
            ..Frame::default()
        };
        self.state = if object {
            State::FirstKey
        } else {
            State::FirstValue
        };
        self.at += 1;
        Ok(false)
    }

    /// Goes past a closing bracket.
    fn close(&mut self) -> bool {
        if self.top.object {
            self.keys.truncate(self.top.keys);
            if self.top.many {
                self.tables.pop();
            }
        }
        self.top = self.outer.pop().unwrap_or_default();
        self.depth = self.depth.saturating_sub(1);
        self.at += 1;
        self.end_value()
    }

    /// A value ends before `at`. True when it is the whole.
    #[inline]
    fn end_value(&mut self) -> bool {
        if self.depth == 0 {
            self.state = State::Done;
            return true;
        }
        if self.depth == 1
            && !self.top.object
            && let Some(child) = self.children.get_mut(self.child_count.wrapping_sub(1))
        {
            child.end = self.at;
        }
        self.state = State::Comma;
        false
    }

    // What nearly always follows is done at once and not by way of `run`.

    #[inline]
    fn comma(&mut self, input: &[u8], byte: u8) -> Result<bool> {
        let object = self.top.object;
        if byte != b',' {
            if byte != if object { b'}' } else { b']' } {
                let detail = "a comma or a closing bracket is missing";
                return self.fail(Kind::Malformed, detail);
            }
            return Ok(self.close());
        }
        self.at += 1;
        match input.get(self.at) {
            Some(next) if !is_blank(*next) && object => self.open_key(input, *next),
            Some(next) if !is_blank(*next) => self.value(input, *next),
            _ => {
                self.state = if object { State::Key } else { State::Value };
                Ok(false)
            }
        }
    }

    #[inline]
    fn colon(&mut self, input: &[u8], byte: u8) -> Result<bool> {
        if byte != b':' {
            return self.fail(Kind::Malformed, "a colon is missing");
        }
        self.at += 1;
        match input.get(self.at) {
            Some(next) if !is_blank(*next) => self.value(input, *next),
            _ => {
                self.state = State::Value;
                Ok(false)
            }
        }
    }

    fn open_key(&mut self, input: &[u8], byte: u8) -> Result<bool> {
        if byte != b'"' {
            return self.fail(Kind::Malformed, "a key is missing");
        }
        if self.top.count >= self.max_len {
            return self.fail(Kind::TooLong, "more elements than the limit");
        }
        self.top.count += 1;
        self.at += 1;
        self.key = (self.at, false);
        self.key_text(input, TextPart::Plain)
    }

    fn text(&mut self, input: &[u8], part: TextPart) -> Result<bool> {
        Ok(match self.text_part(input, part)? {
            Some(part) => {
                self.state = State::Text(part);
                false
            }
            None => self.end_value(),
        })
    }

    fn key_text(&mut self, input: &[u8], part: TextPart) -> Result<bool> {
        if let Some(part) = self.text_part(input, part)? {
            self.state = State::KeyText(part);
            return Ok(false);
        }
        self.add_key(input)?;
        match input.get(self.at) {
            Some(next) if !is_blank(*next) => self.colon(input, *next),
            _ => {
                self.state = State::Colon;
                Ok(false)
            }
        }
    }

    fn word(&mut self, input: &[u8]) -> Result<bool> {
        while let Some((wanted, rest)) = self.word.split_first() {
            let Some(byte) = input.get(self.at) else {
                self.state = State::Word;
                return Ok(false);
            };
            if byte != wanted {
                return self.fail(Kind::Malformed, "unknown word");
            }
            self.word = rest;
            self.at += 1;
        }
        Ok(self.end_value())
    }
}

/// Whether a value may start with a byte.
pub(super) const fn starts_value(byte: u8, tokens: bool) -> bool {
    matches!(
        byte,
        b'"' | b'[' | b'{' | b'-' | b'0'..=b'9' | b'n' | b't' | b'f'
    ) || (tokens && matches!(byte, b'N' | b'I'))
}

#[inline]
const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}
