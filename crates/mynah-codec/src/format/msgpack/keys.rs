//! How keys in MessagePack are compared.

use super::head::{self, Class, Head, Measured};
use crate::format::keys::{Spelling, filter_bit};
use std::borrow::Cow;
use std::cmp::Ordering;

/// The spellings of MessagePack.
#[derive(Debug, Default)]
pub(super) struct MessagePack;

impl Spelling for MessagePack {
    #[inline]
    fn filter_bits(key: &[u8]) -> u64 {
        match key.first() {
            // The spellings that nearly all keys have.
            Some(0x00..=0x7f | head::FIX_TEXT..=0xbf | 0xe0..=0xff) => filter_bit(key),
            Some(_) if Self::plain(key).is_some() => filter_bit(key),
            _ => u64::MAX,
        }
    }

    fn plain(key: &[u8]) -> Option<&[u8]> {
        let head = head::read(key).ok()?;
        let content = match head.class {
            Class::Text | Class::Bytes => usize::try_from(head.argument).ok()?,
            Class::Nil | Class::Bool | Class::Uint | Class::Int => 0,
            _ => return None,
        };
        is_shortest(&head).then_some(())?;
        key.get(..content.checked_add(head.len)?)
    }

    fn scalar(key: &[u8]) -> Option<Cow<'_, [u8]>> {
        if let Some(key) = Self::plain(key) {
            return Some(Cow::Borrowed(key));
        }
        let mut out = Vec::new();
        match Cursor(key).next()? {
            Token::Nil => out.push(head::NIL),
            Token::Bool(value) => out.push(if value { head::TRUE } else { head::FALSE }),
            Token::Int(value) => match (u64::try_from(value), i64::try_from(value)) {
                (Ok(value), _) => head::uint(&mut out, value),
                (_, Ok(value)) => head::int(&mut out, value),
                _ => return None,
            },
            Token::Float(bits) => {
                out.push(head::DOUBLE);
                out.extend_from_slice(&bits.to_be_bytes());
            }
            Token::Text(text) => {
                head::measured(&mut out, Measured::Text, text.len());
                out.extend_from_slice(text);
            }
            Token::Bytes(bytes) => {
                head::measured(&mut out, Measured::Bytes, bytes.len());
                out.extend_from_slice(bytes);
            }
            Token::Ext(content) => {
                // A byte that begins nothing, so that it is like no other key.
                out.push(0xc1);
                out.extend_from_slice(content);
            }
            Token::Array(_) | Token::Map(_) => return None,
        }
        Some(Cow::Owned(out))
    }

    fn compare(a: &[u8], b: &[u8]) -> Ordering {
        let (mut a, mut b) = (Cursor(a), Cursor(b));
        let mut left: u64 = 1;
        while left > 0 {
            let (x, y) = (a.next(), b.next());
            let order = x.cmp(&y);
            if order != Ordering::Equal {
                return order;
            }
            left -= 1;
            left = match x {
                Some(Token::Array(len)) => left.saturating_add(len),
                Some(Token::Map(len)) => left.saturating_add(len.saturating_mul(2)),
                Some(_) => left,
                None => return Ordering::Equal,
            };
        }
        Ordering::Equal
    }
}

/// Whether the argument could not be written in fewer bytes.
fn is_shortest(head: &Head) -> bool {
    let n = head.argument;
    match (head.class, head.len) {
        (_, 1) => true,
        (Class::Uint, 2) => n >= 0x80,
        (Class::Int, width) => {
            let n = n.cast_signed();
            match width {
                2 => n < -32,
                3 => n < i8::MIN.into(),
                5 => n < i16::MIN.into(),
                _ => n < i32::MIN.into(),
            }
        }
        (Class::Bytes, 2) => true,
        (Class::Text, 2) => n >= 32,
        (_, 3) => n > 0xff,
        (_, 5) => n > 0xffff,
        _ => n > 0xffff_ffff,
    }
}

/// One value, or the head of one that holds others, whatever its spelling.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Token<'a> {
    Nil,
    Bool(bool),
    Int(i128),
    /// In 64 bits; one that is not a number is like the other.
    Float(u64),
    Text(&'a [u8]),
    Bytes(&'a [u8]),
    /// The number of the type comes first.
    Ext(&'a [u8]),
    Array(u64),
    Map(u64),
}

/// Walks over a value.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn next(&mut self) -> Option<Token<'a>> {
        let head = head::read(self.0).ok()?;
        let n = head.argument;
        let content = match head.class {
            Class::Text | Class::Bytes | Class::Ext => usize::try_from(n).ok()?,
            _ => 0,
        };
        let (content, rest) = self.0.get(head.len..)?.split_at_checked(content)?;
        self.0 = rest;
        Some(match head.class {
            Class::Nil => Token::Nil,
            Class::Bool => Token::Bool(n == 1),
            Class::Uint => Token::Int(n.into()),
            Class::Int => Token::Int(n.cast_signed().into()),
            Class::Single => {
                let bits = u32::try_from(n).unwrap_or_default();
                Token::Float(bits_of(f32::from_bits(bits).into()))
            }
            Class::Double => Token::Float(bits_of(f64::from_bits(n))),
            Class::Text => Token::Text(content),
            Class::Bytes => Token::Bytes(content),
            Class::Ext => Token::Ext(content),
            Class::Array => Token::Array(n),
            Class::Map => Token::Map(n),
            Class::Never => return None,
        })
    }
}

fn bits_of(float: f64) -> u64 {
    if float.is_nan() {
        f64::NAN.to_bits()
    } else {
        float.to_bits()
    }
}
