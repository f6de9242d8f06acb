//! Lies about length, and depth.

use super::{LIMITS, encode, hex, kind};
use mynah_codec::DecodeErrorKind::{self, Malformed, TooDeep, TooLarge, TooLong};
use mynah_codec::format::cbor::{self, Scan, Scanner};
use mynah_protocol::{DecodeLimits, Value};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// What the scanner and every kind of decoding say of some bytes, when all say the same.
#[track_caller]
fn verdict(bytes: &[u8], limits: &DecodeLimits) -> Option<DecodeErrorKind> {
    let verdict = kind(cbor::scan(bytes, limits));
    assert_eq!(
        kind(cbor::decode::<Value>(bytes, limits)),
        verdict,
        "as a value"
    );
    assert_eq!(
        kind(cbor::decode::<IgnoredAny>(bytes, limits)),
        verdict,
        "ignored"
    );
    verdict
}

#[test]
fn l1_an_announced_length_is_refused_at_its_head() {
    for (bytes, expected) in [
        ("5affffffff", TooLarge),
        ("7affffffff", TooLarge),
        ("9affffffff", TooLong),
        ("baffffffff", TooLong),
        ("5b8000000000000000", TooLarge),
        ("7b8000000000000000", TooLarge),
        ("9b8000000000000000", TooLong),
        ("bb8000000000000000", TooLong),
        ("5bffffffffffffffff", TooLarge),
        ("7bffffffffffffffff", TooLarge),
        ("9bffffffffffffffff", TooLong),
        ("bbffffffffffffffff", TooLong),
        ("5f5b8000000000000000", TooLarge),
        ("7f7b8000000000000000", TooLarge),
        ("c25b8000000000000000", TooLarge),
    ] {
        let bytes = hex(bytes);
        assert_eq!(verdict(&bytes, &LIMITS), Some(expected), "{bytes:02x?}");
        // Inside of something, and with some bytes of content.
        let inside = [&[0x82, 0x01], &bytes[..], b"abc"].concat();
        assert_eq!(verdict(&inside, &LIMITS), Some(expected), "{bytes:02x?}");
        // A stream is refused as soon as the head is there, not when it has filled the buffer.
        let mut scanner = Scanner::new(LIMITS);
        assert_eq!(
            kind(scanner.advance(&bytes)),
            Some(expected),
            "{bytes:02x?}"
        );
        for shape in [
            kind(cbor::decode::<String>(&bytes, &LIMITS)),
            kind(cbor::decode::<Vec<u64>>(&bytes, &LIMITS)),
            kind(cbor::decode::<Vec<()>>(&bytes, &LIMITS)),
            kind(cbor::decode::<HashMap<u64, u64>>(&bytes, &LIMITS)),
            kind(cbor::decode::<serde_bytes::ByteBuf>(&bytes, &LIMITS)),
            kind(cbor::decode::<u128>(&bytes, &LIMITS)),
        ] {
            assert!(shape.is_some(), "{bytes:02x?}");
        }
    }
}

#[test]
fn l1_a_length_within_the_limits_allocates_nothing_in_advance() {
    // Each of 64 levels announces a million elements; taken at its word this would be gigabytes.
    let bomb = [0x9a, 0x00, 0x0f, 0xff, 0xff].repeat(64);
    assert_eq!(verdict(&bomb, &LIMITS), Some(DecodeErrorKind::Truncated));
    type Nested = Vec<Vec<Vec<Vec<Vec<Vec<Vec<Vec<[u64; 16]>>>>>>>>;
    assert!(cbor::decode::<Nested>(&bomb, &LIMITS).is_err());
}

#[test]
fn l1_elements_are_counted() {
    let limits = DecodeLimits {
        max_collection_len: 3,
        ..LIMITS
    };
    for (bytes, expected) in [
        ("83010203", None),
        ("8401020304", Some(TooLong)),
        ("9f010203ff", None),
        ("9f01020304ff", Some(TooLong)),
        ("a3010102020303", None),
        ("a40101020203030404", Some(TooLong)),
        ("bf010102020303ff", None),
        ("bf01010202030304", Some(TooLong)),
        ("5f41004100410041004100ff", None),
    ] {
        assert_eq!(verdict(&hex(bytes), &limits), expected, "{bytes}");
    }
    assert_eq!(
        kind(cbor::decode::<Vec<()>>(&hex("84f6f6f6f6"), &limits)),
        Some(TooLong)
    );
}

#[test]
fn l1_bytes_are_counted() {
    let limits = DecodeLimits {
        max_message_bytes: 6,
        ..LIMITS
    };
    for (bytes, expected) in [
        ("83010203", None),
        ("43010203", None),
        ("450102030405", None),
        ("46", Some(TooLarge)),
        ("8142010203", Some(DecodeErrorKind::Trailing)),
        ("8145", Some(TooLarge)),
        ("86", Some(TooLarge)),
        ("a2", Some(DecodeErrorKind::Truncated)),
        ("a3", Some(TooLarge)),
        ("81818181818101", Some(TooLarge)),
        ("818181818181", Some(TooLarge)),
        ("8181818181", Some(DecodeErrorKind::Truncated)),
    ] {
        assert_eq!(verdict(&hex(bytes), &limits), expected, "{bytes}");
    }
    // What follows the item does not count for a stream.
    let mut scanner = Scanner::new(limits);
    assert_eq!(
        scanner.advance(&[0x82, 1, 2, 3, 4, 5, 6, 7, 8]),
        Ok(Scan::Done(3))
    );
    let mut scanner = Scanner::new(limits);
    assert_eq!(
        kind(scanner.advance(&hex("81818181818101"))),
        Some(TooLarge)
    );
}

/// An item that is nested so deep, in each way of nesting.
fn nested(depth: usize) -> Vec<(&'static str, Vec<u8>)> {
    let around = |open: &[u8], inside: &[u8], close: &[u8]| {
        [open.repeat(depth), inside.to_vec(), close.repeat(depth)].concat()
    };
    let mut mixed = Vec::new();
    let mut ends = 0;
    for level in 0..depth {
        match level % 4 {
            0 => mixed.push(0x81),
            1 => mixed.extend([0xa1, 0x00]),
            2 => mixed.push(0xc1),
            _ => {
                mixed.push(0x9f);
                ends += 1;
            }
        }
    }
    mixed.push(0x00);
    // Everything else is full when its content is, so the breaks may all come at the end.
    mixed.extend(std::iter::repeat_n(0xff, ends));
    vec![
        ("arrays", around(&[0x81], &[0x00], &[])),
        (
            "empty innermost array",
            [vec![0x81; depth.saturating_sub(1)], vec![0x80]].concat(),
        ),
        ("indefinite arrays", around(&[0x9f], &[0x00], &[0xff])),
        ("maps", around(&[0xa1, 0x00], &[0x00], &[])),
        ("maps as keys", around(&[0xa1], &[0x00], &[0x00])),
        ("indefinite maps", around(&[0xbf, 0x00], &[0x00], &[0xff])),
        ("tags", around(&[0xc1], &[0x00], &[])),
        ("long tags", around(&[0xd9, 0xd9, 0xf7], &[0x00], &[])),
        ("tags of integers", around(&[0xc2], &[0x41, 0x00], &[])),
        ("mixed", mixed),
    ]
}

/// Runs where the stack is as small as it is on a thread of a runtime.
fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(test)
        .expect("a thread");
    thread.join().expect("no overflow and no panic");
}

#[test]
fn l2_depth_is_limited_at_the_same_level_everywhere() {
    on_a_small_stack(|| {
        for (depth, expected) in [
            (1, None),
            (127, None),
            (128, None),
            (129, Some(TooDeep)),
            (100_000, Some(TooDeep)),
        ] {
            for (name, bytes) in nested(depth) {
                assert_eq!(verdict(&bytes, &LIMITS), expected, "{depth} {name}");
                // As one of two elements, to see that levels are given back.
                let twice = [vec![0x82], bytes.clone(), bytes].concat();
                let deeper = if depth == 128 {
                    Some(TooDeep)
                } else {
                    expected
                };
                assert_eq!(verdict(&twice, &LIMITS), deeper, "{depth} {name} twice");
            }
        }
        let limits = DecodeLimits {
            max_depth: 0,
            ..LIMITS
        };
        assert_eq!(verdict(&hex("6161"), &limits), None);
        assert_eq!(verdict(&hex("80"), &limits), Some(TooDeep));
        assert_eq!(verdict(&hex("c100"), &limits), Some(TooDeep));
    });
}

#[test]
fn l2_strings_do_not_nest() {
    on_a_small_stack(|| {
        for open in [0x5f, 0x7f] {
            for depth in [2, 127, 128, 129, 100_000] {
                assert_eq!(verdict(&vec![open; depth], &LIMITS), Some(Malformed));
            }
        }
    });
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Node {
    name: String,
    values: [f64; 4],
    next: Option<Box<Node>>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Tree {
    Leaf,
    Not(Box<Tree>),
    Fields { inner: Box<Tree> },
    All(Vec<Tree>),
}

#[test]
fn l2_as_deep_as_peers_go_is_safe_on_a_small_stack() {
    on_a_small_stack(|| {
        let limits = DecodeLimits {
            max_depth: 400,
            ..LIMITS
        };
        for (name, bytes) in nested(400) {
            assert_eq!(verdict(&bytes, &limits), None, "{name}");
            let value: Value = cbor::decode(&bytes, &limits).expect(name);
            let copy = value.clone();
            assert_eq!(copy, value, "{name}");
            assert!(!copy.to_string().is_empty(), "{name}");
            assert!(!format!("{copy:?}").is_empty(), "{name}");
            let again: Value = cbor::decode(&encode(&copy), &limits).expect(name);
            assert_eq!(again, value, "{name}");
            assert_eq!(Value::from_serialize(&value), Ok(copy), "{name}");
            assert_eq!(
                value.clone().deserialize_into::<Value>(),
                Ok(value),
                "{name}"
            );
        }
        let mut node = Node {
            name: String::new(),
            values: [0.0; 4],
            next: None,
        };
        for _ in 1..399 {
            node = Node {
                name: String::new(),
                values: [1.0; 4],
                next: Some(Box::new(node)),
            };
        }
        let bytes = encode(&node);
        assert_eq!(cbor::decode(&bytes, &limits), Ok(node));

        let mut tree = Tree::Leaf;
        for level in 0..133 {
            tree = match level % 3 {
                0 => Tree::Not(Box::new(tree)),
                1 => Tree::Fields {
                    inner: Box::new(tree),
                },
                _ => Tree::All(vec![tree]),
            };
        }
        let bytes = encode(&tree);
        assert_eq!(cbor::decode(&bytes, &limits), Ok(tree));
        let mut deeper = bytes;
        for _ in 0..400 {
            deeper = [&hex("a1634e6f74")[..], &deeper].concat();
        }
        assert_eq!(kind(cbor::decode::<Tree>(&deeper, &limits)), Some(TooDeep));
    });
}
