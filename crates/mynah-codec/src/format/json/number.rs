//! Numbers: one pass over the digits, then the exact value.
//!
//! A float is computed from its digits only where the result is provably the nearest one;
//! otherwise the parser of the standard library decides.

use crate::DecodeErrorKind;
use std::str::FromStr;

/// A number, of the narrowest kind that holds it without loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    /// From 0 to 2^64 - 1.
    Unsigned(u64),
    /// Below 0, down to -2^63.
    Signed(i64),
    /// Has a fraction or an exponent, or is `-0`.
    Float(f64),
    /// An integer from 2^64 to 2^128 - 1.
    Wide(u128),
    /// An integer below -2^63, down to -2^127.
    WideSigned(i128),
    /// An integer of more than 128 bits.
    Huge,
}

/// The parts of a number's spelling.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spelling {
    /// Starts with a minus.
    negative: bool,
    /// Neither fraction nor exponent.
    integer: bool,
    /// The digits without the point, exact unless `long`.
    mantissa: u64,
    /// `mantissa` does not hold all digits.
    long: bool,
    /// The power of ten that belongs to `mantissa`.
    exponent: i32,
    /// The offset behind the last byte.
    pub(super) end: usize,
}

/// Digits that a `u64` holds whatever they are.
const SAFE_DIGITS: usize = 19;

/// The end of an exponent's range; what is beyond it is zero or infinite with any mantissa that a
/// message can hold.
const EXPONENT_CAP: i32 = 1 << 28;

/// Reads the spelling of a number that starts at `start`.
///
/// # Errors
/// `Truncated` or `Malformed`, with the offset of the byte that is wrong or missing.
#[inline(always)]
#[allow(
    clippy::inline_always,
    reason = "its result stays in registers in the few places that use it"
)]
pub(super) fn spelling(bytes: &[u8], start: usize) -> Result<Spelling, (DecodeErrorKind, usize)> {
    let negative = bytes.get(start) == Some(&b'-');
    let first = start + usize::from(negative);
    let mut mantissa = 0_u64;
    // Few integer parts are long, many fractions are.
    let mut at = single_digits(bytes, first, &mut mantissa);
    match bytes.get(first) {
        Some(b'0') if at > first + 1 => return Err((DecodeErrorKind::Malformed, first + 1)),
        Some(b'0'..=b'9') => {}
        Some(_) => return Err((DecodeErrorKind::Malformed, first)),
        None => return Err((DecodeErrorKind::Truncated, first)),
    }
    let mut count = at - first;
    let mut exponent = 0_i32;
    let mut integer = true;
    if bytes.get(at) == Some(&b'.') {
        integer = false;
        let fraction = at + 1;
        at = many_digits(bytes, fraction, &mut mantissa);
        if at == fraction {
            return Err(missing_digit(bytes, at));
        }
        count += at - fraction;
        exponent = i32::try_from(at - fraction).map_or(-EXPONENT_CAP, |places| -places);
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        integer = false;
        let (written, end) = written_exponent(bytes, at + 1)?;
        exponent = exponent.saturating_add(written);
        at = end;
    }
    let long = count > SAFE_DIGITS
        && count - leading_zeros(bytes.get(first..at).unwrap_or_default()) > SAFE_DIGITS;
    Ok(Spelling {
        negative,
        integer,
        mantissa,
        long,
        exponent,
        end: at,
    })
}

/// An integer without a sign that surely fits, and where it ends; what most integers are.
#[inline]
pub(super) fn short_integer(bytes: &[u8], start: usize) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    let at = single_digits(bytes, start, &mut value);
    let more = matches!(bytes.get(at), Some(b'.' | b'e' | b'E'));
    let leading_zero = bytes.get(start) == Some(&b'0') && at > start + 1;
    let fits = at > start && at - start <= SAFE_DIGITS;
    (fits && !more && !leading_zero).then_some((value, at))
}

/// How many zeros come before the first digit that counts. `number`: its spelling without a sign, and nothing behind it:
/// that may go on with zeros, and points.
#[cold]
fn leading_zeros(number: &[u8]) -> usize {
    let digits = number.iter().filter(|byte| **byte != b'.');
    digits.take_while(|byte| **byte == b'0').count()
}

/// Appends the digits from `at` on to `mantissa`, modulo 2^64, and returns where they end.
#[inline]
fn single_digits(bytes: &[u8], mut at: usize, mantissa: &mut u64) -> usize {
    while let Some(byte @ b'0'..=b'9') = bytes.get(at) {
        *mantissa = mantissa
            .wrapping_mul(10)
            .wrapping_add(u64::from(byte - b'0'));
        at += 1;
    }
    at
}

/// The same, eight at once while there are so many.
///
/// Fewer are taken one by one: how far they reach is then guessed by the processor, which goes on
/// meanwhile, and not computed.
#[inline]
fn many_digits(bytes: &[u8], mut at: usize, mantissa: &mut u64) -> usize {
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let values = u64::from_le_bytes(*eight) ^ 0x3030_3030_3030_3030;
        if !all_digits(values) {
            break;
        }
        *mantissa = mantissa
            .wrapping_mul(100_000_000)
            .wrapping_add(eight_digits(values));
        at += 8;
    }
    single_digits(bytes, at, mantissa)
}

/// Whether all eight bytes are from 0 to 9.
#[inline]
const fn all_digits(values: u64) -> bool {
    // Adding 0x76 to seven bits sets the eighth from 10 on, and never carries.
    let low = (values & 0x7F7F_7F7F_7F7F_7F7F) + 0x7676_7676_7676_7676;
    (low | values) & 0x8080_8080_8080_8080 == 0
}

/// The number that eight digits make, the first of them in the lowest byte.
#[inline]
const fn eight_digits(digits: u64) -> u64 {
    // Neighbours are joined pairwise: 8 digits, 4 numbers below 100, 2 below 10^4, 1 below 10^8.
    let pairs = (digits.wrapping_mul(10).wrapping_add(digits >> 8)) & 0x00FF_00FF_00FF_00FF;
    let fours = (pairs.wrapping_mul(100).wrapping_add(pairs >> 16)) & 0x0000_FFFF_0000_FFFF;
    fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xFFFF_FFFF
}

/// Reads sign and digits of an exponent, saturating at [`EXPONENT_CAP`].
fn written_exponent(bytes: &[u8], start: usize) -> Result<(i32, usize), (DecodeErrorKind, usize)> {
    let negative = bytes.get(start) == Some(&b'-');
    let first = start + usize::from(matches!(bytes.get(start), Some(b'-' | b'+')));
    let mut at = first;
    let mut value = 0_i32;
    while let Some(byte @ b'0'..=b'9') = bytes.get(at) {
        value = value
            .saturating_mul(10)
            .saturating_add(i32::from(byte - b'0'))
            .min(EXPONENT_CAP);
        at += 1;
    }
    if at == first {
        return Err(missing_digit(bytes, at));
    }
    Ok((if negative { -value } else { value }, at))
}

#[cold]
fn missing_digit(bytes: &[u8], at: usize) -> (DecodeErrorKind, usize) {
    (
        if at < bytes.len() {
            DecodeErrorKind::Malformed
        } else {
            DecodeErrorKind::Truncated
        },
        at,
    )
}

impl Spelling {
    /// The number; `None` for a float beyond the range of `f64`. It is spelled in `text` from
    /// `start` on.
    #[inline]
    pub(super) fn number(&self, text: &str, start: usize) -> Option<Number> {
        if !self.integer {
            return self.float(text, start).map(Number::Float);
        }
        if self.long {
            return Some(self.wide(text, start));
        }
        if !self.negative {
            return Some(Number::Unsigned(self.mantissa));
        }
        if self.mantissa == 0 {
            return Some(Number::Float(-0.0));
        }
        match 0_i64.checked_sub_unsigned(self.mantissa) {
            Some(value) => Some(Number::Signed(value)),
            None => Some(self.wide(text, start)),
        }
    }

    /// The nearest `f64`, `None` beyond its range.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "as `spelling`")]
    pub(super) fn float(&self, text: &str, start: usize) -> Option<f64> {
        if !self.long
            && let Some(magnitude) = nearest(self.mantissa, self.exponent)
        {
            return Some(if self.negative { -magnitude } else { magnitude });
        }
        self.parse(text, start)
            .filter(|float: &f64| float.is_finite())
    }

    /// The nearest `f32`, `None` beyond its range. By way of an `f64` it would be rounded twice.
    pub(super) fn float32(&self, text: &str, start: usize) -> Option<f32> {
        self.parse(text, start)
            .filter(|float: &f32| float.is_finite())
    }

    #[cold]
    fn wide(&self, text: &str, start: usize) -> Number {
        if let Some(value) = self.parse(text, start) {
            Number::Unsigned(value)
        } else if let Some(value) = self.parse(text, start) {
            Number::Signed(value)
        } else if let Some(value) = self.parse(text, start) {
            Number::Wide(value)
        } else {
            self.parse(text, start)
                .map_or(Number::Huge, Number::WideSigned)
        }
    }

    /// What the standard library makes of the spelling.
    fn parse<T: FromStr>(&self, text: &str, start: usize) -> Option<T> {
        text.get(start..self.end)?.parse().ok()
    }
}

/// The nearest `f64` to `mantissa * 10^exponent` where that can be told cheaply.
#[inline]
fn nearest(mantissa: u64, exponent: i32) -> Option<f64> {
    if mantissa <= 1 << 53 {
        // Both operands are exact, so the one rounding of the operation is the right one.
        if let Some(power) = exponent.checked_neg().and_then(exact_power) {
            return Some(exact(mantissa) / power);
        }
        return exact_power(exponent).map(|power| exact(mantissa) * power);
    }
    usize::try_from(exponent.checked_neg()?)
        .ok()
        .and_then(|places| divide(mantissa, places))
}

/// An integer up to 2^53 as a float.
#[expect(
    clippy::cast_precision_loss,
    reason = "the caller passes at most 2^53, which is exact"
)]
#[inline]
const fn exact(mantissa: u64) -> f64 {
    mantissa as f64
}

/// A power of ten that an `f64` holds exactly.
#[inline]
fn exact_power(exponent: i32) -> Option<f64> {
    const POWERS: [f64; 23] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
        1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
    ];
    usize::try_from(exponent)
        .ok()
        .and_then(|index| POWERS.get(index).copied())
}

/// For each power 5^n below 2^64 its reciprocal `r` with 64 bits, truncated, and the `k` with
/// `r = floor(2^k / 5^n)`.
const RECIPROCALS: [(u64, u32); 28] = {
    let mut table = [(0, 0); 28];
    let mut n = 0;
    let mut power = 1_u64;
    while n < table.len() {
        // Long division in binary until the quotient has 64 bits.
        let mut quotient = 0_u64;
        let mut rest = 1_u128;
        let mut k = 0;
        loop {
            if rest >= power as u128 {
                rest -= power as u128;
                quotient |= 1;
            }
            if quotient >> 63 == 1 {
                break;
            }
            quotient <<= 1;
            rest <<= 1;
            k += 1;
        }
        #[allow(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        {
            table[n] = (quotient, k);
        }
        n += 1;
        power = power.wrapping_mul(5);
    }
    table
};

/// The nearest `f64` to `mantissa / 10^places`, `None` where one product cannot tell.
///
/// With `r = floor(2^k / 5^places)` the wanted value, scaled by 2^(k + places), is `mantissa * 2^k /
/// 5^places`. It is at least `p = mantissa * r` and less than `p + mantissa`. If no multiple of half
/// a unit in the last place lies in that range, all of it rounds to the same float.
#[inline]
fn divide(mantissa: u64, places: usize) -> Option<f64> {
    let &(reciprocal, k) = RECIPROCALS.get(places)?;
    let product = u128::from(mantissa) * u128::from(reciprocal);
    let unused = product.leading_zeros();
    let dropped = 128_u32
        .checked_sub(unused + 53)
        .filter(|dropped| *dropped > 1)?;
    let half = dropped - 1;
    let below = product & ((1 << half) - 1);
    if below == 0 || (below + u128::from(mantissa)) >> half != 0 {
        return None;
    }
    let doubled = u64::try_from(product >> half).ok()?;
    let rounded = (doubled >> 1) + (doubled & 1);
    // value = rounded * 2^(dropped - k - places); a carry to 2^53 stays exact.
    let scale = i64::from(dropped) - i64::from(k) - i64::try_from(places).ok()?;
    let bits = u64::try_from(1023 + scale)
        .ok()
        .filter(|biased| (1..2047).contains(biased))?
        << 52;
    Some(exact(rounded) * f64::from_bits(bits))
}

#[cfg(test)]
mod tests;
