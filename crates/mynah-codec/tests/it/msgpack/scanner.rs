//! The resumable scan.

use super::{LIMITS, encode, hex, kind};
use mynah_codec::DecodeErrorKind::{DuplicateKey, InvalidUtf8};
use mynah_codec::format::msgpack::{Scan, Scanner};
use mynah_protocol::Value;
use serde::de::IgnoredAny;
use std::slice::from_ref;

#[test]
fn a_sequence_is_cut_into_its_items() {
    let stream = hex("9401020304 a161 dc000100 c0 8100a161");
    let mut scanner = Scanner::new(LIMITS);
    let (mut start, mut lengths) = (0, Vec::new());
    for end in 0..=stream.len() {
        while let Scan::Done(len) = scanner.advance(&stream[start..end]).expect("well-formed") {
            lengths.push(len);
            start += len;
            scanner.reset();
        }
    }
    assert_eq!(lengths, [5, 2, 4, 1, 4]);
    assert_eq!(start, stream.len());
}

#[test]
fn what_is_missing_is_known_where_it_was_announced() {
    for (bytes, missing) in [
        ("", 1),
        ("cc", 1),
        ("cd", 2),
        ("cf0000", 6),
        ("c4", 1),
        ("c420", 32),
        ("d4", 2),
        ("c702", 3),
        ("aa616263", 7),
        ("92", 1),
        ("8100a3", 3),
    ] {
        assert_eq!(
            Scanner::new(LIMITS).advance(&hex(bytes)),
            Ok(Scan::Need(missing)),
            "{bytes}"
        );
    }
}

#[test]
fn texts_are_checked_across_the_cuts() {
    let text = "a\u{e9}\u{20ac}\u{ffff}\u{10348}\u{10ffff}\u{d7ff}\u{e000}\u{1000}";
    let bytes = encode(text);
    for cut in 0..bytes.len() {
        let mut scanner = Scanner::new(LIMITS);
        assert!(
            matches!(scanner.advance(&bytes[..cut]), Ok(Scan::Need(_))),
            "{cut}"
        );
        assert_eq!(
            scanner.advance(&bytes),
            Ok(Scan::Done(bytes.len())),
            "{cut}"
        );
    }
    for broken in [
        "a180",
        "a1ff",
        "a2c041",
        "a2c0af",
        "a3e08080",
        "a3eda080",
        "a3edbfbf",
        "a4f0808080",
        "a4f48fc080",
        "a4f4908080",
        "a4f5808080",
        "a1c3",
        "a2e282",
        "a3f09080",
        "a2c328",
        "a3e28228",
    ] {
        let bytes = hex(broken);
        for cut in 0..=bytes.len() {
            let mut scanner = Scanner::new(LIMITS);
            let result = scanner
                .advance(&bytes[..cut])
                .and_then(|_| scanner.advance(&bytes));
            assert_eq!(kind(result), Some(InvalidUtf8), "{broken} at {cut}");
        }
        assert_eq!(
            kind(super::decode::<Value>(&bytes)),
            Some(InvalidUtf8),
            "{broken}"
        );
    }
    // What is there of a longer text is checked at once.
    assert_eq!(
        kind(Scanner::new(LIMITS).advance(&hex("da01006180"))),
        Some(InvalidUtf8)
    );
    assert_eq!(
        kind(super::decode::<Value>(&hex("da01006180"))),
        Some(InvalidUtf8)
    );
}

/// Feeds a message in pieces of one size, and gives the answer and how many bytes were looked at.
fn feed(bytes: &[u8], piece: usize) -> (Scan, u64) {
    let mut scanner = Scanner::new(LIMITS);
    let mut end = 0;
    loop {
        end = (end + piece).min(bytes.len());
        match scanner.advance(&bytes[..end]).expect("well-formed") {
            Scan::Need(missing) => assert!(missing >= 1 && end + missing <= bytes.len()),
            done @ Scan::Done(_) => return (done, scanner.bytes_examined()),
        }
    }
}

#[test]
fn l6_no_byte_is_looked_at_again() {
    let text = "\u{e9}\u{20ac}\u{10348}a".repeat(50_000);
    let records: Vec<Value> = (0..20_000u64)
        .map(|n| {
            Value::from([
                ("id", (n << 30).into()),
                ("name", "some name".into()),
                (
                    "values",
                    vec![Value::Float(0.5), n.into(), Value::Null].into(),
                ),
            ])
        })
        .collect();
    let map: Value = (0..50_000u64).map(|n| (n * 7, n)).collect();
    for message in [
        encode(&text),
        encode(&records),
        encode(&map),
        [hex("dd0007a120"), vec![0x01; 500_000]].concat(),
        encode(&serde_bytes::ByteBuf::from(vec![7; 500_000])),
        vec![0x91; 128].into_iter().chain([0x00]).collect(),
    ] {
        let len = u64::try_from(message.len()).expect("a length");
        for piece in [1, 2, 3, 1024, message.len()] {
            let (scan, examined) = feed(&message, piece);
            assert_eq!(scan, Scan::Done(message.len()));
            assert!(
                examined <= 2 * len,
                "{examined} of {len} in pieces of {piece}"
            );
        }
    }
}

#[test]
fn keys_are_compared_by_value_however_many_there_are() {
    // Every kind of key in every spelling: the first of each row is the plain one.
    let spellings: &[&[&str]] = &[
        &[
            "01",
            "cc01",
            "cd0001",
            "ce00000001",
            "cf0000000000000001",
            "d001",
            "d10001",
            "d200000001",
            "d30000000000000001",
        ],
        &["ff", "d0ff", "d1ffff", "d2ffffffff", "d3ffffffffffffffff"],
        &["cc80", "cd0080", "d10080"],
        &["d080", "d1ff80"],
        &["cdffff", "ce0000ffff"],
        &["cfffffffffffffffff"],
        &["cf8000000000000000"],
        &["d38000000000000000"],
        &["a161", "d90161", "da000161", "db0000000161"],
        &["c40161", "c5000161", "c60000000161"],
        &["a0", "d900"],
        &["c400", "c50000"],
        &["cb3ff8000000000000", "ca3fc00000"],
        &["cb7ff8000000000000", "ca7fc00000", "cb7ff8000000000001"],
        &["cb8000000000000000", "ca80000000"],
        &["cb0000000000000000", "ca00000000"],
        &["c2"],
        &["c3"],
        &["c0"],
        &["9101", "dc000101", "dd0000000101", "91cc01"],
        &["91a161", "91d90161"],
        &["92a17801", "dc0002d90178d001"],
        &["810102", "de00010102", "81cc0102"],
        &["d40107", "c7010107", "c800010107"],
        &["d40207"],
        &["d5010707"],
        &["90", "dc0000"],
        &["80", "de0000"],
        &["9190", "91dc0000"],
        &["920101"],
    ];
    let rows: Vec<Vec<Vec<u8>>> = spellings
        .iter()
        .map(|row| row.iter().map(|key| hex(key)).collect())
        .collect();
    // All values are different, first alone, then behind many other keys.
    for filler in [0u64, 5, 30, 80] {
        let mut entries = Vec::new();
        for n in 0..filler {
            entries.push(encode(&format!("key {n}")));
            if n % 3 == 0 {
                entries.push(encode(&vec![n + 1000]));
                entries.push(encode(&(n + 1000)));
            }
        }
        let map = |entries: &[Vec<u8>]| {
            let mut bytes = vec![0xde];
            bytes.extend(u16::try_from(entries.len()).expect("a few").to_be_bytes());
            for entry in entries {
                bytes.extend_from_slice(entry);
                bytes.push(0xc0);
            }
            bytes
        };
        let firsts: Vec<_> = entries
            .iter()
            .chain(rows.iter().map(|row| &row[0]))
            .cloned()
            .collect();
        let bytes = map(&firsts);
        assert_eq!(
            Scanner::new(LIMITS).advance(&bytes),
            Ok(Scan::Done(bytes.len())),
            "{filler}"
        );
        assert_eq!(kind(super::decode::<IgnoredAny>(&bytes)), None);
        let mut backwards = firsts.clone();
        backwards.reverse();
        let bytes = map(&backwards);
        assert_eq!(
            Scanner::new(LIMITS).advance(&bytes),
            Ok(Scan::Done(bytes.len())),
            "{filler}"
        );
        for row in &rows {
            for first in row {
                for second in row {
                    let twice = [&entries[..], from_ref(first), from_ref(second)].concat();
                    let around = [from_ref(first), &entries[..], from_ref(second)].concat();
                    for keys in [twice, around] {
                        let bytes = map(&keys);
                        let scanned = kind(Scanner::new(LIMITS).advance(&bytes));
                        assert_eq!(scanned, Some(DuplicateKey), "{first:02x?} {second:02x?}");
                    }
                }
            }
        }
    }
}

#[test]
fn nested_keys_cost_no_more_than_their_size() {
    // Each level holds the level below as one of many keys. Paying for a key at every level would be a thousand
    // million steps here; the bound of the test is the patience of whoever runs it.
    let mut key = encode(&"x".repeat(1 << 20));
    for level in 0..120u64 {
        let mut map = vec![0xde, 0, 40];
        map.extend_from_slice(&key);
        map.push(0xc0);
        for n in 0..39u64 {
            map.extend(encode(&vec![n + level]));
            map.push(0xc0);
        }
        key = map;
    }
    assert_eq!(
        Scanner::new(LIMITS).advance(&key),
        Ok(Scan::Done(key.len()))
    );
}
