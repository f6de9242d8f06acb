//! The first bytes of a value: what they say, and how they are written.

pub(crate) const NIL: u8 = 0xc0;
pub(super) const FALSE: u8 = 0xc2;
pub(super) const TRUE: u8 = 0xc3;
pub(super) const SINGLE: u8 = 0xca;
pub(super) const DOUBLE: u8 = 0xcb;
/// The first byte of a map without entries; the number of up to 15 entries is added.
pub(super) const FIX_MAP: u8 = 0x80;
/// The first byte of an array without elements; the number of up to 15 elements is added.
pub(super) const FIX_ARRAY: u8 = 0x90;
/// The first byte of an empty text; the length of up to 31 bytes is added.
pub(super) const FIX_TEXT: u8 = 0xa0;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Nil,
    Bool,
    /// The argument is the value.
    Uint,
    /// The argument is the value, as the bits of an `i64`.
    Int,
    /// The argument is the bits.
    Single,
    /// The argument is the bits.
    Double,
    /// The argument is the length in bytes.
    Text,
    /// The argument is the length in bytes.
    Bytes,
    /// The argument is the length in bytes, the number of the type counted in.
    Ext,
    /// The argument is the number of elements.
    Array,
    /// The argument is the number of entries.
    Map,
    /// The one byte that begins nothing.
    Never,
}

/// What the first byte says: the class, how many bytes of an argument follow, and the argument if none do (what is
/// added to it otherwise).
const fn first_byte(first: u8) -> (Class, usize, u64) {
    match first {
        0x00..=0x7f => (Class::Uint, 0, first as u64),
        0x80..=0x8f => (Class::Map, 0, (first & 0x0f) as u64),
        0x90..=0x9f => (Class::Array, 0, (first & 0x0f) as u64),
        0xa0..=0xbf => (Class::Text, 0, (first & 0x1f) as u64),
        NIL => (Class::Nil, 0, 0),
        0xc1 => (Class::Never, 0, 0),
        FALSE | TRUE => (Class::Bool, 0, (first & 1) as u64),
        0xc4 => (Class::Bytes, 1, 0),
        0xc5 => (Class::Bytes, 2, 0),
        0xc6 => (Class::Bytes, 4, 0),
        // The number of the type is a byte of its own.
        0xc7 => (Class::Ext, 1, 1),
        0xc8 => (Class::Ext, 2, 1),
        0xc9 => (Class::Ext, 4, 1),
        SINGLE => (Class::Single, 4, 0),
        DOUBLE => (Class::Double, 8, 0),
        0xcc..=0xcf => (Class::Uint, 1 << (first & 3), 0),
        0xd0..=0xd3 => (Class::Int, 1 << (first & 3), 0),
        0xd4..=0xd8 => (Class::Ext, 0, (1 << (first - 0xd4)) + 1),
        0xd9 => (Class::Text, 1, 0),
        0xda => (Class::Text, 2, 0),
        0xdb => (Class::Text, 4, 0),
        0xdc => (Class::Array, 2, 0),
        0xdd => (Class::Array, 4, 0),
        0xde => (Class::Map, 2, 0),
        0xdf => (Class::Map, 4, 0),
        0xe0..=0xff => (Class::Int, 0, 0xffff_ffff_ffff_ff00 | first as u64),
    }
}

/// The head of a value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) class: Class,
    pub(crate) argument: u64,
    /// Bytes of the head.
    pub(crate) len: usize,
}

impl Head {
    /// The integer, when it is one of eight bits.
    pub(super) fn small_int(self) -> Option<i8> {
        match self.class {
            Class::Uint => i8::try_from(self.argument).ok(),
            Class::Int => i8::try_from(self.argument.cast_signed()).ok(),
            _ => None,
        }
    }
}

/// The head at the beginning of `input`, or how many bytes one that begins like this has.
#[inline]
pub(crate) fn read(input: &[u8]) -> Result<Head, usize> {
    let Some((&first, rest)) = input.split_first() else {
        return Err(1);
    };
    let (class, width, fixed) = first_byte(first);
    if width == 0 {
        return Ok(Head {
            class,
            argument: fixed,
            len: 1,
        });
    }
    let argument = match width {
        1 => rest.first().map(|byte| u64::from(*byte)),
        2 => rest
            .first_chunk()
            .map(|bytes| u16::from_be_bytes(*bytes).into()),
        4 => rest
            .first_chunk()
            .map(|bytes| u32::from_be_bytes(*bytes).into()),
        _ => rest.first_chunk().map(|bytes| u64::from_be_bytes(*bytes)),
    };
    let Some(argument) = argument else {
        return Err(1 + width);
    };
    let argument = if class == Class::Int {
        extended(argument, width)
    } else {
        argument + fixed
    };
    Ok(Head {
        class,
        argument,
        len: 1 + width,
    })
}

/// A signed integer of so many bytes, in 64 bits.
const fn extended(bits: u64, width: usize) -> u64 {
    let unused = 64 - 8 * width;
    ((bits << unused).cast_signed() >> unused).cast_unsigned()
}

/// Writes an integer that is not negative.
#[inline]
pub(crate) fn uint(out: &mut Vec<u8>, value: u64) {
    let [a, b, c, d, e, f, g, h] = value.to_be_bytes();
    if value < 0x80 {
        out.push(h);
    } else if value <= 0xff {
        out.extend_from_slice(&[0xcc, h]);
    } else if value <= 0xffff {
        out.extend_from_slice(&[0xcd, g, h]);
    } else if value <= 0xffff_ffff {
        out.extend_from_slice(&[0xce, e, f, g, h]);
    } else {
        out.extend_from_slice(&[0xcf, a, b, c, d, e, f, g, h]);
    }
}

/// Writes an integer.
#[inline]
pub(crate) fn int(out: &mut Vec<u8>, value: i64) {
    let [a, b, c, d, e, f, g, h] = value.to_be_bytes();
    if value >= 0 {
        uint(out, value.cast_unsigned());
    } else if value >= -32 {
        out.push(h);
    } else if value >= i8::MIN.into() {
        out.extend_from_slice(&[0xd0, h]);
    } else if value >= i16::MIN.into() {
        out.extend_from_slice(&[0xd1, g, h]);
    } else if value >= i32::MIN.into() {
        out.extend_from_slice(&[0xd2, e, f, g, h]);
    } else {
        out.extend_from_slice(&[0xd3, a, b, c, d, e, f, g, h]);
    }
}

/// Writes the head of an extension type with so many bytes of content, in its shortest form; false when the length is
/// beyond 32 bits.
pub(super) fn ext(out: &mut Vec<u8>, number: i8, len: usize) -> bool {
    let Ok(short) = u32::try_from(len) else {
        return false;
    };
    let [a, b, c, d] = short.to_be_bytes();
    match short {
        1 => out.push(0xd4),
        2 => out.push(0xd5),
        4 => out.push(0xd6),
        8 => out.push(0xd7),
        16 => out.push(0xd8),
        0..=0xff => out.extend_from_slice(&[0xc7, d]),
        0x100..=0xffff => out.extend_from_slice(&[0xc8, c, d]),
        _ => out.extend_from_slice(&[0xc9, a, b, c, d]),
    }
    out.push(number.cast_unsigned());
    true
}

/// What has a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measured {
    Text,
    Bytes,
    Array,
    Map,
}

/// Writes the head of something with a length, in its shortest form; false when the length is beyond 32 bits.
#[inline]
pub(crate) fn measured(out: &mut Vec<u8>, what: Measured, len: usize) -> bool {
    let Ok(len) = u32::try_from(len) else {
        return false;
    };
    let [a, b, c, d] = len.to_be_bytes();
    match what {
        Measured::Text if len < 32 => out.push(FIX_TEXT | d),
        Measured::Array if len < 16 => out.push(FIX_ARRAY | d),
        Measured::Map if len < 16 => out.push(FIX_MAP | d),
        Measured::Text if len <= 0xff => out.extend_from_slice(&[0xd9, d]),
        Measured::Bytes if len <= 0xff => out.extend_from_slice(&[0xc4, d]),
        _ => {
            let (two, four) = match what {
                Measured::Text => (0xda, 0xdb),
                Measured::Bytes => (0xc5, 0xc6),
                Measured::Array => (0xdc, 0xdd),
                Measured::Map => (0xde, 0xdf),
            };
            if len <= 0xffff {
                out.extend_from_slice(&[two, c, d]);
            } else {
                out.extend_from_slice(&[four, a, b, c, d]);
            }
        }
    }
    true
}
