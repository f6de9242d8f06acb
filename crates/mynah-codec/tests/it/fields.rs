//! Keys of structs: whichever way they are recognised, one that comes twice is refused, and nothing else is.

use mynah_codec::{DecodeErrorKind, Format};
use mynah_protocol::DecodeLimits;
use serde::Deserialize;
use std::collections::HashSet;

/// More fields than are looked ahead for.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Six {
    a: u8,
    b: u8,
    c: u8,
    d: u8,
    e: u8,
    f: u8,
}

/// Six fields, and two names that are none.
const KEYS: &[u8; 8] = b"abcdefyz";

/// How a key of one letter is spelled.
#[derive(Clone, Copy)]
enum Spelling {
    Short,
    /// With a length of its own byte.
    Long,
    /// CBOR only: in pieces.
    Pieces,
}

fn encoded(format: Format, keys: &[(u8, Spelling)]) -> Vec<u8> {
    let map = match format {
        Format::Cbor => 0xa0,
        _ => 0x80,
    };
    let mut bytes = vec![map];
    for (value, (key, spelling)) in (1_u8..).zip(keys) {
        match (format, spelling) {
            (Format::Cbor, Spelling::Short) => bytes.extend([0x61, *key]),
            (Format::Cbor, Spelling::Long) => bytes.extend([0x78, 1, *key]),
            (Format::Cbor, Spelling::Pieces) => bytes.extend([0x7f, 0x60, 0x61, *key, 0xff]),
            (_, Spelling::Short) => bytes.extend([0xa1, *key]),
            (_, _) => bytes.extend([0xd9, 1, *key]),
        }
        bytes.push(value);
        // The number of entries stands in the first byte.
        bytes.splice(..1, [map | value]);
    }
    bytes
}

fn check(format: Format, keys: &[(u8, Spelling)]) {
    let bytes = encoded(format, keys);
    let decoded: Result<Six, _> = format.decode(&bytes, &DecodeLimits::DEFAULT);
    let mut seen = HashSet::new();
    if !keys.iter().all(|(key, _)| seen.insert(*key)) {
        let kind = decoded.err().map(|error| error.kind());
        assert_eq!(kind, Some(DecodeErrorKind::DuplicateKey), "{bytes:02x?}");
        return;
    }
    let mut expected = Six::default();
    for (value, (key, _)) in (1_u8..).zip(keys) {
        match key {
            b'a' => expected.a = value,
            b'b' => expected.b = value,
            b'c' => expected.c = value,
            b'd' => expected.d = value,
            b'e' => expected.e = value,
            b'f' => expected.f = value,
            _ => {}
        }
    }
    assert_eq!(decoded, Ok(expected), "{bytes:02x?}");
}

#[test]
fn keys_in_any_order_and_spelling() {
    let spellings = [Spelling::Short, Spelling::Long, Spelling::Pieces];
    for format in [Format::Cbor, Format::MessagePack] {
        // Every sequence of four keys; the odd spelling wanders through it.
        for number in 0..8_usize.pow(4) {
            let key = |at: u32| KEYS[number / 8_usize.pow(at) % 8];
            for spelling in spellings {
                let odd = number % 4;
                let spelled = |at| if at == odd { spelling } else { Spelling::Short };
                let keys: Vec<_> = (0..4).map(|at| (key(at), spelled(at as usize))).collect();
                check(format, &keys);
            }
        }
        // All in order, then each of them once more.
        for again in KEYS {
            let keys = KEYS
                .iter()
                .chain([again])
                .map(|key| (*key, Spelling::Short));
            check(format, &keys.collect::<Vec<_>>());
        }
    }
}
