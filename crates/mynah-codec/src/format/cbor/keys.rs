//! Which keys a map has had: the same key in another spelling is the same key.
//!
//! Everything here looks at items that were found well-formed before; on others it gives some answer, and ends.

use super::head;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, Hasher, RandomState};

/// So many keys of a map are compared one by one; from then on they are hashed.
const FEW: usize = 8;

/// A key: where it is in the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Span {
    #[inline]
    fn of(self, input: &[u8]) -> &[u8] {
        input.get(self.start..self.end).unwrap_or_default()
    }
}

/// The keys of one map.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// A bit for each key. A key whose bit is free is new, which is nearly always enough for a struct.
    filter: u64,
    few: [Span; FEW],
    len: usize,
    many: Option<Box<Many>>,
}

impl Keys {
    #[inline]
    pub(super) fn clear(&mut self) {
        self.filter = 0;
        self.len = 0;
        self.many = None;
    }

    /// Adds a key, and gives the equal one that was there and is replaced by it.
    #[inline]
    pub(super) fn insert(&mut self, input: &[u8], key: Span) -> Option<Span> {
        let bits = filter_bits(key.of(input));
        let new = self.filter & bits == 0;
        self.filter |= bits;
        if new && let Some(free) = self.few.get_mut(self.len) {
            *free = key;
            self.len += 1;
            return None;
        }
        self.insert_compared(input, key)
    }

    #[inline(never)]
    fn insert_compared(&mut self, input: &[u8], key: Span) -> Option<Span> {
        if let Some(many) = &mut self.many {
            return many.insert(input, key);
        }
        let bytes = key.of(input);
        for earlier in self.few.iter_mut().take(self.len) {
            if same(earlier.of(input), bytes) {
                return Some(std::mem::replace(earlier, key));
            }
        }
        if let Some(free) = self.few.get_mut(self.len) {
            *free = key;
            self.len += 1;
            return None;
        }
        let mut many = Box::<Many>::default();
        for earlier in self.few {
            many.insert(input, earlier);
        }
        // From here on `insert` has to end up here.
        self.filter = u64::MAX;
        many.insert(input, key);
        self.many = Some(many);
        None
    }
}

/// The bit of a key in the filter, or all of them when its spelling does not say which key it is.
#[inline]
fn filter_bits(key: &[u8]) -> u64 {
    if !is_plain(key) {
        return u64::MAX;
    }
    let first = key.first().copied().unwrap_or_default();
    let second = key.get(1).copied().unwrap_or_default();
    let last = key.last().copied().unwrap_or_default();
    let mixed = u32::from_be_bytes([first, second, last, first ^ last]).wrapping_mul(0x9e37_79b1);
    1 << (mixed >> 26)
}

/// Whether the spelling is the only one that counts: then equal keys are equal bytes.
#[inline]
fn is_plain(key: &[u8]) -> bool {
    match key {
        [first, ..] if *first < head::ARRAY && first & head::INFO < 24 => true,
        [head::FALSE..=head::UNDEFINED, ..] => true,
        [0x18 | 0x38 | 0x58 | 0x78, 24..=255, ..] | [0x19 | 0x39 | 0x59 | 0x79, 1..=255, ..] => {
            true
        }
        [0x1a | 0x3a, a, b, ..] => (*a, *b) != (0, 0),
        [0x1b | 0x3b, a, b, c, d, ..] => (*a, *b, *c, *d) != (0, 0, 0, 0),
        _ => false,
    }
}

fn same(a: &[u8], b: &[u8]) -> bool {
    if is_plain(a) && is_plain(b) {
        return a == b;
    }
    match (scalar(a), scalar(b)) {
        (Some(a), Some(b)) => a == b,
        (None, None) => compare(a, b) == Ordering::Equal,
        _ => false,
    }
}

/// Keys in a number that makes comparing each with each too dear.
#[derive(Debug, Default)]
struct Many {
    /// Keyed anew for every map, so that nobody can prepare keys that collide.
    state: RandomState,
    scalars: HashMap<u64, Span, BuildHasherDefault<AsItIs>>,
    /// Different keys with the hash of one in `scalars`; there is hardly ever one.
    collided: Vec<Span>,
    nested: Runs,
}

impl Many {
    fn insert(&mut self, input: &[u8], key: Span) -> Option<Span> {
        let Some(bytes) = scalar(key.of(input)) else {
            return self.nested.insert(input, key);
        };
        let hash = self.state.hash_one(&*bytes);
        let earlier = match self.scalars.entry(hash) {
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(key);
                return None;
            }
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
        };
        if same(earlier.of(input), key.of(input)) {
            return Some(std::mem::replace(earlier, key));
        }
        for earlier in &mut self.collided {
            if same(earlier.of(input), key.of(input)) {
                return Some(std::mem::replace(earlier, key));
            }
        }
        self.collided.push(key);
        None
    }
}

/// Takes a `u64` for the hash that it is.
#[derive(Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// Keys that are arrays, maps or tags, sorted in runs that double in size.
///
/// Comparing two keys costs no more than the shorter of them, so a large key among small ones costs nothing extra,
/// however often it is nested in further keys. Hashing would pay for the large one at every level.
#[derive(Debug, Default)]
struct Runs(Vec<Vec<Span>>);

impl Runs {
    fn insert(&mut self, input: &[u8], key: Span) -> Option<Span> {
        let order = |a: &Span, b: &Span| compare(a.of(input), b.of(input));
        for run in &mut self.0 {
            if let Ok(index) = run.binary_search_by(|earlier| order(earlier, &key)) {
                return run
                    .get_mut(index)
                    .map(|earlier| std::mem::replace(earlier, key));
            }
        }
        let mut run = vec![key];
        while let Some(smaller) = self.0.pop_if(|last| last.len() <= run.len()) {
            run.extend(smaller);
            // A stable sort of two sorted runs is a merge.
            run.sort_by(order);
        }
        self.0.push(run);
        None
    }
}

/// The one spelling of a key that is a scalar; `None` for arrays, maps and tags.
///
/// Integers are short whatever they came as, also as a small bignum; texts and bytes are in one piece; floats have
/// 64 bits, and one that is not a number is like the other.
fn scalar(key: &[u8]) -> Option<Cow<'_, [u8]>> {
    if is_plain(key) {
        return Some(Cow::Borrowed(key));
    }
    let mut cursor = Cursor::new(key);
    match cursor.next()? {
        Token::Scalar(bytes) => Some(bytes),
        Token::String(major) => {
            let mut content = Vec::new();
            while let Some(piece) = cursor.piece() {
                content.extend_from_slice(piece);
            }
            Some(Cow::Owned(spelled(major, &content)))
        }
        Token::Open(_) | Token::Tag(_) | Token::End => None,
    }
}

fn spelled(major: u8, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 9);
    head::write(
        &mut out,
        major,
        u64::try_from(content.len()).unwrap_or(u64::MAX),
    );
    out.extend_from_slice(content);
    out
}

/// Some order of items that takes all spellings of one value for equal.
fn compare(a: &[u8], b: &[u8]) -> Ordering {
    let (mut a, mut b) = (Cursor::new(a), Cursor::new(b));
    loop {
        let (left, right) = (a.next(), b.next());
        let order = match (&left, &right) {
            (None, None) => return Ordering::Equal,
            (Some(Token::String(x)), Some(Token::String(y))) if x == y => {
                compare_pieces(&mut a, &mut b)
            }
            _ => left.cmp(&right),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn compare_pieces(a: &mut Cursor<'_>, b: &mut Cursor<'_>) -> Ordering {
    let (mut left, mut right): (&[u8], &[u8]) = (&[], &[]);
    loop {
        if left.is_empty() {
            left = a.piece().unwrap_or_default();
        }
        if right.is_empty() {
            right = b.piece().unwrap_or_default();
        }
        let common = left.len().min(right.len());
        if common == 0 {
            return left.len().cmp(&right.len());
        }
        let (x, left_rest) = left.split_at(common);
        let (y, right_rest) = right.split_at(common);
        match x.cmp(y) {
            Ordering::Equal => (left, right) = (left_rest, right_rest),
            other => return other,
        }
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Token<'a> {
    /// In its one spelling.
    Scalar(Cow<'a, [u8]>),
    /// Of this major type; its content comes in pieces.
    String(u8),
    /// An array or a map begins.
    Open(u8),
    Tag(u64),
    /// An array or a map ends.
    End,
}

/// A bignum that takes more bytes than this is compared as it is spelled: looking for its leading zeros would cost
/// more than the shorter of two keys.
const LONGEST_INTEGER: usize = 64;

/// Walks over an item.
#[derive(Debug)]
struct Cursor<'a> {
    rest: &'a [u8],
    /// The items that are left in each open array or map; `None` until a break.
    open: Vec<Option<u64>>,
    /// What is left of the piece of a string that is being read.
    piece: usize,
    /// The string goes on behind this piece.
    chunked: bool,
    started: bool,
}

impl<'a> Cursor<'a> {
    fn new(rest: &'a [u8]) -> Self {
        Self {
            rest,
            open: Vec::new(),
            piece: 0,
            chunked: false,
            started: false,
        }
    }

    /// The major type, the additional information and the argument.
    fn head(&mut self) -> Option<(u8, u8, u64)> {
        let (first, rest) = self.rest.split_first()?;
        let (major, info) = (first & !head::INFO, first & head::INFO);
        let width = match info {
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            _ => 0,
        };
        let (argument, rest) = rest.split_at_checked(width)?;
        self.rest = rest;
        let argument = match argument {
            [] => info.into(),
            bytes => bytes.iter().fold(0, |n, byte| (n << 8) | u64::from(*byte)),
        };
        Some((major, info, argument))
    }

    /// The next part of the string that was announced last, `None` behind its end.
    fn piece(&mut self) -> Option<&'a [u8]> {
        while self.piece == 0 {
            if !self.chunked {
                return None;
            }
            let (major, _, len) = self.head()?;
            if major == head::SIMPLE {
                self.chunked = false;
            } else {
                self.piece = usize::try_from(len).ok()?;
            }
        }
        let (piece, rest) = self.rest.split_at_checked(self.piece)?;
        (self.rest, self.piece) = (rest, 0);
        Some(piece)
    }

    /// The next token; behind a string all its pieces must have been read.
    fn next(&mut self) -> Option<Token<'a>> {
        if self.started {
            match self.open.last_mut()? {
                Some(0) => {
                    self.open.pop();
                    return Some(Token::End);
                }
                Some(left) => *left -= 1,
                None if self.rest.first() == Some(&head::BREAK) => {
                    self.rest = self.rest.get(1..)?;
                    self.open.pop();
                    return Some(Token::End);
                }
                None => {}
            }
        }
        self.started = true;
        let item = self.rest;
        let (major, info, argument) = self.head()?;
        let indefinite = info == head::INDEFINITE;
        Some(match major {
            head::UINT | head::NEGATIVE => Token::Scalar(number(major, argument)),
            head::BYTES | head::TEXT => {
                self.piece = if indefinite {
                    0
                } else {
                    usize::try_from(argument).ok()?
                };
                self.chunked = indefinite;
                Token::String(major)
            }
            head::ARRAY => {
                self.open.push((!indefinite).then_some(argument));
                Token::Open(major)
            }
            head::MAP => {
                self.open
                    .push((!indefinite).then_some(argument.saturating_mul(2)));
                Token::Open(major)
            }
            head::TAG => {
                if let Some((integer, rest)) = big_integer(argument, self.rest) {
                    self.rest = rest;
                    return Some(Token::Scalar(integer));
                }
                self.open.push(Some(1));
                Token::Tag(argument)
            }
            _ => Token::Scalar(simple(info, argument, item, self.rest)),
        })
    }
}

fn number<'a>(major: u8, argument: u64) -> Cow<'a, [u8]> {
    let mut out = Vec::with_capacity(9);
    head::write(&mut out, major, argument);
    Cow::Owned(out)
}

fn simple<'a>(info: u8, argument: u64, item: &'a [u8], rest: &[u8]) -> Cow<'a, [u8]> {
    let float = match info {
        25 => u16::try_from(argument).map(head::half_to_f64).ok(),
        26 => u32::try_from(argument)
            .map(|bits| f32::from_bits(bits).into())
            .ok(),
        27 => Some(f64::from_bits(argument)),
        _ => None,
    };
    let Some(float) = float else {
        return Cow::Borrowed(item.get(..item.len() - rest.len()).unwrap_or_default());
    };
    let bits = if float.is_nan() {
        f64::NAN.to_bits()
    } else {
        float.to_bits()
    };
    let mut out = vec![head::DOUBLE];
    out.extend_from_slice(&bits.to_be_bytes());
    Cow::Owned(out)
}

/// The integer that a tag makes of the bytes behind it, in its one spelling, and what follows them.
fn big_integer(tag: u64, content: &[u8]) -> Option<(Cow<'static, [u8]>, &[u8])> {
    let major = match tag {
        head::BIG_UINT => head::UINT,
        head::BIG_NEGATIVE => head::NEGATIVE,
        _ => return None,
    };
    let mut cursor = Cursor::new(content);
    if cursor.next()? != Token::String(head::BYTES) {
        return None;
    }
    let mut digits = Vec::new();
    loop {
        if content.len() - cursor.rest.len() + cursor.piece > LONGEST_INTEGER {
            return None;
        }
        // Empty pieces are passed one at a time, so that the check above sees them.
        if cursor.piece == 0 && cursor.chunked {
            match cursor.head()? {
                (head::SIMPLE, ..) => cursor.chunked = false,
                (_, _, len) => cursor.piece = usize::try_from(len).ok()?,
            }
            continue;
        }
        match cursor.piece() {
            Some(piece) => digits.extend_from_slice(piece),
            None => break,
        }
        if !cursor.chunked {
            break;
        }
    }
    let zeros = digits.iter().take_while(|digit| **digit == 0).count();
    let digits = digits.get(zeros..).unwrap_or_default();
    if digits.len() <= 8 {
        let n = digits
            .iter()
            .fold(0, |n, digit| (n << 8) | u64::from(*digit));
        return Some((number(major, n), cursor.rest));
    }
    let mut out = Vec::with_capacity(digits.len() + 3);
    head::write(&mut out, head::TAG, tag);
    out.extend_from_slice(&spelled(head::BYTES, digits));
    Some((Cow::Owned(out), cursor.rest))
}
