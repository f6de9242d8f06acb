//! Lies about length, and depth.

use super::{LIMITS, encode, hex, kind};
use mynah_codec::DecodeErrorKind::{self, TooDeep, TooLarge, TooLong};
use mynah_codec::format::msgpack::{self, Scan, Scanner};
use mynah_protocol::{DecodeLimits, Value};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// What the scanner and every kind of decoding say of some bytes, when all say the same.
#[track_caller]
fn verdict(bytes: &[u8], limits: &DecodeLimits) -> Option<DecodeErrorKind> {
    let verdict = kind(msgpack::scan(bytes, limits));
    assert_eq!(
        kind(msgpack::decode::<Value>(bytes, limits)),
        verdict,
        "as a value"
    );
    assert_eq!(
        kind(msgpack::decode::<IgnoredAny>(bytes, limits)),
        verdict,
        "ignored"
    );
    verdict
}

#[test]
fn l1_an_announced_length_is_refused_at_its_head() {
    for (bytes, expected) in [
        ("c6ffffffff", TooLarge),
        ("dbffffffff", TooLarge),
        ("c9ffffffff", TooLarge),
        ("ddffffffff", TooLong),
        ("dfffffffff", TooLong),
        ("c680000000", TooLarge),
        ("db80000000", TooLarge),
        ("dd80000000", TooLong),
        ("df80000000", TooLong),
    ] {
        let bytes = hex(bytes);
        assert_eq!(verdict(&bytes, &LIMITS), Some(expected), "{bytes:02x?}");
        // Inside of something, and with some bytes of content.
        let inside = [&[0x92, 0x01], &bytes[..], b"abc"].concat();
        assert_eq!(verdict(&inside, &LIMITS), Some(expected), "{bytes:02x?}");
        // A stream is refused as soon as the head is there, not when it has filled the buffer.
        let mut scanner = Scanner::new(LIMITS);
        assert_eq!(
            kind(scanner.advance(&bytes)),
            Some(expected),
            "{bytes:02x?}"
        );
        for shape in [
            kind(msgpack::decode::<String>(&bytes, &LIMITS)),
            kind(msgpack::decode::<Vec<u64>>(&bytes, &LIMITS)),
            kind(msgpack::decode::<Vec<()>>(&bytes, &LIMITS)),
            kind(msgpack::decode::<HashMap<u64, u64>>(&bytes, &LIMITS)),
            kind(msgpack::decode::<serde_bytes::ByteBuf>(&bytes, &LIMITS)),
            kind(msgpack::decode::<u128>(&bytes, &LIMITS)),
        ] {
            assert!(shape.is_some(), "{bytes:02x?}");
        }
    }
}

#[test]
fn l1_a_length_within_the_limits_allocates_nothing_in_advance() {
    // Each of 64 levels announces a million elements; taken at its word this would be gigabytes.
    let bomb = [0xdd, 0x00, 0x0f, 0xff, 0xff].repeat(64);
    assert_eq!(verdict(&bomb, &LIMITS), Some(DecodeErrorKind::Truncated));
    type Nested = Vec<Vec<Vec<Vec<Vec<Vec<Vec<Vec<[u64; 16]>>>>>>>>;
    assert!(msgpack::decode::<Nested>(&bomb, &LIMITS).is_err());
}

#[test]
fn l1_elements_are_counted() {
    let limits = DecodeLimits {
        max_collection_len: 3,
        ..LIMITS
    };
    for (bytes, expected) in [
        ("93010203", None),
        ("9401020304", Some(TooLong)),
        ("dc0003010203", None),
        ("dc000401020304", Some(TooLong)),
        ("83010102020303", None),
        ("8401010202030304", Some(TooLong)),
        ("c40500000000000000", Some(DecodeErrorKind::Trailing)),
        ("c4050000000000", None),
    ] {
        assert_eq!(verdict(&hex(bytes), &limits), expected, "{bytes}");
    }
    assert_eq!(
        kind(msgpack::decode::<Vec<()>>(&hex("94c0c0c0c0"), &limits)),
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
        ("93010203", None),
        ("c403010203", None),
        ("c40401020304", None),
        ("c405", Some(TooLarge)),
        ("91c403010203", None),
        ("91c404", Some(TooLarge)),
        ("91a2010203", Some(DecodeErrorKind::Trailing)),
        ("96", Some(TooLarge)),
        ("82", Some(DecodeErrorKind::Truncated)),
        ("83", Some(TooLarge)),
        ("91919191919101", Some(TooLarge)),
        ("919191919191", Some(TooLarge)),
        ("9191919191", Some(DecodeErrorKind::Truncated)),
    ] {
        assert_eq!(verdict(&hex(bytes), &limits), expected, "{bytes}");
    }
    // What follows the item does not count for a stream.
    let mut scanner = Scanner::new(limits);
    assert_eq!(
        scanner.advance(&[0x92, 1, 2, 3, 4, 5, 6, 7, 8]),
        Ok(Scan::Done(3))
    );
    let mut scanner = Scanner::new(limits);
    assert_eq!(
        kind(scanner.advance(&hex("91919191919101"))),
        Some(TooLarge)
    );
}

/// An item that is nested so deep, in each way of nesting.
fn nested(depth: usize) -> Vec<(&'static str, Vec<u8>)> {
    let around = |open: &[u8], inside: &[u8], close: &[u8]| {
        [open.repeat(depth), inside.to_vec(), close.repeat(depth)].concat()
    };
    let mixed = (0..depth).flat_map(|level| match level % 3 {
        0 => vec![0x91],
        1 => vec![0x81, 0x00],
        _ => vec![0xdc, 0x00, 0x01],
    });
    vec![
        ("arrays", around(&[0x91], &[0x00], &[])),
        (
            "empty innermost array",
            [vec![0x91; depth.saturating_sub(1)], vec![0x90]].concat(),
        ),
        ("long arrays", around(&[0xdd, 0, 0, 0, 1], &[0x00], &[])),
        ("maps", around(&[0x81, 0x00], &[0x00], &[])),
        ("maps as keys", around(&[0x81], &[0x00], &[0x00])),
        ("long maps", around(&[0xdf, 0, 0, 0, 1, 0x00], &[0x00], &[])),
        ("mixed", mixed.chain([0x00]).collect()),
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
                let twice = [vec![0x92], bytes.clone(), bytes].concat();
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
        assert_eq!(verdict(&hex("a161"), &limits), None);
        assert_eq!(verdict(&hex("90"), &limits), Some(TooDeep));
        assert_eq!(verdict(&hex("80"), &limits), Some(TooDeep));
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
            let value: Value = msgpack::decode(&bytes, &limits).expect(name);
            let copy = value.clone();
            assert_eq!(copy, value, "{name}");
            assert!(!copy.to_string().is_empty(), "{name}");
            assert!(!format!("{copy:?}").is_empty(), "{name}");
            let again: Value = msgpack::decode(&encode(&copy), &limits).expect(name);
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
        assert_eq!(msgpack::decode(&bytes, &limits), Ok(node));

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
        assert_eq!(msgpack::decode(&bytes, &limits), Ok(tree));
        let mut deeper = bytes;
        for _ in 0..400 {
            deeper = [&hex("81a34e6f74")[..], &deeper].concat();
        }
        assert_eq!(
            kind(msgpack::decode::<Tree>(&deeper, &limits)),
            Some(TooDeep)
        );
    });
}
