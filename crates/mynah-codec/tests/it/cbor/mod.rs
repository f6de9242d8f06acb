//! CBOR.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "the helpers of tests fail as the tests do"
)]

mod differential;
mod fields;
mod limits;
mod scanner;
mod typed;
mod vectors;

use mynah_codec::format::cbor;
use mynah_codec::{DecodeError, DecodeErrorKind};
use mynah_protocol::{DecodeLimits, DuplicateKeys};
use serde::{Deserialize, Serialize};

/// The bytes of a hexadecimal text, in which spaces do not count.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| u8::try_from(c.to_digit(16).expect("a hexadecimal digit")).expect("one digit"))
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

const LIMITS: DecodeLimits = DecodeLimits::DEFAULT;
const LAST_WINS: DecodeLimits = DecodeLimits {
    duplicate_keys: DuplicateKeys::LastWins,
    ..DecodeLimits::DEFAULT
};

fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    cbor::encode(value, &mut out).expect("the value can be written");
    out
}

fn decode<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, DecodeError> {
    cbor::decode(bytes, &LIMITS)
}

fn kind<T>(result: Result<T, DecodeError>) -> Option<DecodeErrorKind> {
    result.err().map(|error| error.kind())
}
