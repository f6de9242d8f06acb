//! How keys in CBOR are compared.

use super::head;
use crate::format::keys::{Spelling, filter_bit};
use std::borrow::Cow;
use std::cmp::Ordering;

/// The spellings of CBOR.
#[derive(Debug, Default)]
pub(super) struct Cbor;

impl Spelling for Cbor {
    #[inline]
    fn filter_bits(key: &[u8]) -> u64 {
        let Some(first) = key.first() else {
            return u64::MAX;
        };
        // The spellings that nearly all keys have; `plain` knows a few more.
        if first & head::INFO >= 24 && plain(key).is_none() || *first >= head::ARRAY {
            return u64::MAX;
        }
        filter_bit(key)
    }

    fn plain(key: &[u8]) -> Option<&[u8]> {
        plain(key)
    }

    fn scalar(key: &[u8]) -> Option<Cow<'_, [u8]>> {
        scalar(key)
    }

    fn compare(a: &[u8], b: &[u8]) -> Ordering {
        compare(a, b)
    }
}

/// The key at the beginning of `key`, when its spelling is the only one of its value: equal keys are equal bytes then.
fn plain(key: &[u8]) -> Option<&[u8]> {
    let (first, rest) = key.split_first()?;
    let (argument, width) = match (first & head::INFO, rest) {
        (info @ 0..24, _) => (u64::from(info), 0),
        (24, [byte @ 24..=255, ..]) => (u64::from(*byte), 1),
        (25, [a @ 1..=255, b, ..]) => (u64::from(u16::from_be_bytes([*a, *b])), 2),
        (26, [a, b, c, d, ..]) if (*a, *b) != (0, 0) => {
            (u64::from(u32::from_be_bytes([*a, *b, *c, *d])), 4)
        }
        (27, rest) => (u64::from_be_bytes(*rest.first_chunk()?), 8),
        _ => return None,
    };
    let content = match first & !head::INFO {
        head::UINT | head::NEGATIVE if width < 8 || argument > 0xffff_ffff => 0,
        head::BYTES | head::TEXT if width < 8 => usize::try_from(argument).ok()?,
        head::SIMPLE if width == 0 => 0,
        _ => return None,
    };
    key.get(..content.checked_add(1 + width)?)
}

/// The one spelling of the key at the beginning of `key`, when it is a scalar; `None` for arrays, maps and tags.
///
/// Integers are short whatever they came as, also as a small bignum; texts and bytes are in one piece; floats have
/// 64 bits, and one that is not a number is like the other.
fn scalar(key: &[u8]) -> Option<Cow<'_, [u8]>> {
    if let Some(key) = plain(key) {
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

/// Some order of the items at the beginning of `a` and `b` that takes all spellings of one value for equal.
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
const LONGEST_INTEGER: usize = 256;

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
