//! Integers beyond 64 bits.

use super::Value;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

/// Decimal digits that 32 bits hold whatever they are.
const DECIMALS: usize = 9;
/// What as many digits count up to.
const SCALE: u64 = 1_000_000_000;

/// An integer of any size that does not fit 64 bits.
///
/// Equal numbers are equal values: there are no leading zeros, and what fits a smaller variant of [`Value`] is never
/// held here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BigInt {
    negative: bool,
    digits: Box<[u8]>,
}

impl BigInt {
    /// The integer `n`, or `-1 - n` when `negative`, where `n` is written in `digits` as an unsigned number, most
    /// significant byte first. Gives the smallest variant of [`Value`] that holds it.
    #[must_use]
    pub fn value(negative: bool, digits: &[u8]) -> Value {
        let zeros = digits.iter().take_while(|digit| **digit == 0).count();
        let digits = digits.get(zeros..).unwrap_or_default();
        let small = digits.len() <= 8;
        let n = digits
            .iter()
            .take(8)
            .fold(0u64, |n, digit| (n << 8) | u64::from(*digit));
        if small && !negative {
            return Value::Uint(n);
        }
        match i64::try_from(n) {
            Ok(n) if small => Value::Int(-1 - n),
            _ => Value::Big(Self {
                negative,
                digits: digits.into(),
            }),
        }
    }

    /// The longest integer that is written in decimal, or read from it, in digits. The work grows with the square of the
    /// length, so a peer must not choose it.
    pub const MAX_DECIMAL_DIGITS: usize = 4096;

    /// The integer that `digits` spell in decimal, or the one below zero that they spell behind a minus. Gives the smallest
    /// variant of [`Value`] that holds it; `None` when there are no digits, other bytes, or more than
    /// [`MAX_DECIMAL_DIGITS`](Self::MAX_DECIMAL_DIGITS).
    #[must_use]
    pub fn from_decimal(negative: bool, digits: &[u8]) -> Option<Value> {
        if digits.is_empty() || digits.len() > Self::MAX_DECIMAL_DIGITS {
            return None;
        }
        // Least significant first.
        let mut limbs: Vec<u32> = Vec::with_capacity(digits.len() / 9 + 1);
        for part in digits.chunks(DECIMALS) {
            let mut scale = 1_u32;
            let mut carry = 0_u32;
            for digit in part {
                let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
                scale *= 10;
                carry = carry * 10 + u32::from(digit);
            }
            for limb in &mut limbs {
                (*limb, carry) = limb.carrying_mul(scale, carry);
            }
            if carry > 0 {
                limbs.push(carry);
            }
        }
        if negative {
            // What is held is -1 - n.
            match limbs.iter().position(|limb| *limb > 0) {
                None => return Some(Value::Uint(0)),
                Some(first) => {
                    for limb in limbs.iter_mut().take(first + 1) {
                        *limb = limb.wrapping_sub(1);
                    }
                }
            }
        }
        let bytes: Vec<u8> = limbs
            .iter()
            .rev()
            .flat_map(|limb| limb.to_be_bytes())
            .collect();
        Some(Self::value(negative, &bytes))
    }

    /// The integer in decimal, with its minus; `None` when that takes more than
    /// [`MAX_DECIMAL_DIGITS`](Self::MAX_DECIMAL_DIGITS) digits.
    #[must_use]
    pub fn to_decimal(&self) -> Option<String> {
        // A byte is more than two digits.
        if self.digits.len() * 2 > Self::MAX_DECIMAL_DIGITS {
            return None;
        }
        let mut limbs: Vec<u32> = self
            .digits
            .rchunks(4)
            .map(|part| {
                part.iter()
                    .fold(0, |limb, byte| limb << 8 | u32::from(*byte))
            })
            .collect();
        if self.negative {
            let mut carry = true;
            for limb in &mut limbs {
                (*limb, carry) = limb.overflowing_add(carry.into());
            }
            if carry {
                limbs.push(1);
            }
        }
        // Least significant first, nine digits each.
        let mut parts = Vec::with_capacity(limbs.len() * 11 / 10 + 1);
        while limbs.last().is_some() {
            let mut rest = 0_u64;
            for limb in limbs.iter_mut().rev() {
                let part = rest << 32 | u64::from(*limb);
                *limb = u32::try_from(part / SCALE).unwrap_or_default();
                rest = part % SCALE;
            }
            parts.push(rest);
            while limbs.last() == Some(&0) {
                limbs.pop();
            }
        }
        let mut text = String::with_capacity(parts.len() * DECIMALS + 1);
        if self.negative {
            text.push('-');
        }
        for (index, part) in parts.iter().rev().enumerate() {
            let width = if index == 0 { 0 } else { DECIMALS };
            // Writing into a text does not fail.
            write!(text, "{part:0width$}").ok()?;
        }
        let digits = text.len() - usize::from(self.negative);
        (digits <= Self::MAX_DECIMAL_DIGITS).then_some(text)
    }

    /// Whether it is below zero.
    #[must_use]
    pub const fn is_negative(&self) -> bool {
        self.negative
    }

    /// The unsigned number `n`, most significant byte first, without leading zeros; the integer is `n`, or `-1 - n`
    /// when it is negative.
    #[must_use]
    pub fn digits(&self) -> &[u8] {
        &self.digits
    }

    fn magnitude(&self) -> Option<u128> {
        (self.digits.len() <= 16).then(|| {
            self.digits
                .iter()
                .fold(0u128, |n, digit| (n << 8) | u128::from(*digit))
        })
    }

    /// The integer, when it is from 0 to 2^128 - 1.
    #[must_use]
    pub fn as_u128(&self) -> Option<u128> {
        self.magnitude().filter(|_| !self.negative)
    }

    /// The integer, when it is from -2^127 to 2^127 - 1.
    #[must_use]
    pub fn as_i128(&self) -> Option<i128> {
        let n = i128::try_from(self.magnitude()?).ok()?;
        Some(if self.negative { -1 - n } else { n })
    }

    /// The nearest float as far as 53 bits allow; infinite when it is too large.
    #[must_use]
    pub fn to_f64(&self) -> f64 {
        let n = self
            .digits
            .iter()
            .fold(0.0, |n, digit| n * 256.0 + f64::from(*digit));
        if self.negative { -1.0 - n } else { n }
    }
}
