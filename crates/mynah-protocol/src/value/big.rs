//! Integers beyond 64 bits.

use super::Value;
use alloc::boxed::Box;

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
