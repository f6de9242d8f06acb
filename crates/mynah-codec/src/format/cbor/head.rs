//! The first bytes of an item (RFC 8949 section 3): names, and how they are written.

/// Major type 0: an integer that is not negative.
pub(super) const UINT: u8 = 0x00;
/// Major type 1: a negative integer, as `-1 - argument`.
pub(super) const NEGATIVE: u8 = 0x20;
/// Major type 2: bytes.
pub(super) const BYTES: u8 = 0x40;
/// Major type 3: a text.
pub(super) const TEXT: u8 = 0x60;
/// Major type 4: an array.
pub(super) const ARRAY: u8 = 0x80;
/// Major type 5: a map.
pub(super) const MAP: u8 = 0xa0;
/// Major type 6: a tag.
pub(super) const TAG: u8 = 0xc0;
/// Major type 7: simple values, floats and the break.
pub(super) const SIMPLE: u8 = 0xe0;

/// The bits that say how the argument is spelled.
pub(super) const INFO: u8 = 0x1f;
/// The additional information of an indefinite length.
pub(super) const INDEFINITE: u8 = 31;

pub(super) const FALSE: u8 = 0xf4;
pub(super) const TRUE: u8 = 0xf5;
pub(super) const NULL: u8 = 0xf6;
pub(super) const UNDEFINED: u8 = 0xf7;
/// A simple value whose number follows.
pub(super) const SIMPLE_BYTE: u8 = 0xf8;
pub(super) const HALF: u8 = 0xf9;
pub(super) const SINGLE: u8 = 0xfa;
pub(super) const DOUBLE: u8 = 0xfb;
/// Ends what has an indefinite length.
pub(super) const BREAK: u8 = 0xff;

/// The tag of an integer from 2^64 on.
pub(super) const BIG_UINT: u64 = 2;
/// The tag of an integer below -2^64.
pub(super) const BIG_NEGATIVE: u64 = 3;

/// Writes a head with its argument in the shortest form.
#[inline]
pub(super) fn write(out: &mut Vec<u8>, major: u8, argument: u64) {
    let [a, b, c, d, e, f, g, h] = argument.to_be_bytes();
    if argument < 24 {
        out.push(major | h);
    } else if argument <= 0xff {
        out.extend_from_slice(&[major | 24, h]);
    } else if argument <= 0xffff {
        out.extend_from_slice(&[major | 25, g, h]);
    } else if argument <= 0xffff_ffff {
        out.extend_from_slice(&[major | 26, e, f, g, h]);
    } else {
        out.extend_from_slice(&[major | 27, a, b, c, d, e, f, g, h]);
    }
}

/// The value of a 16-bit float.
pub(super) fn half_to_f64(bits: u16) -> f64 {
    let negative = bits & 0x8000 != 0;
    let exponent = i32::from((bits >> 10) & 0x1f);
    let mantissa = f64::from(bits & 0x3ff);
    let magnitude = match exponent {
        0 => mantissa * 2f64.powi(-24),
        31 if mantissa == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (mantissa + 1024.0) * 2f64.powi(exponent - 25),
    };
    if negative { -magnitude } else { magnitude }
}
