//! The resumable scan.

use super::{LIMITS, encode, hex, kind};
use mynah_codec::DecodeErrorKind::{DuplicateKey, InvalidUtf8};
use mynah_codec::format::cbor::{ItemKind, Scan, Scanner};
use mynah_protocol::Value;
use std::slice::from_ref;

#[test]
fn the_children_of_a_message_are_known() {
    let bytes = hex("85 01 00 182a 63616464 820203 ff ff");
    let mut scanner = Scanner::new(LIMITS);
    assert_eq!(scanner.advance(&bytes), Ok(Scan::Done(12)));
    assert_eq!(scanner.kind(), ItemKind::Array);
    assert_eq!(scanner.child_count(), 5);
    assert_eq!(scanner.children(), [1, 2, 3, 5, 9]);
    // Again the same, until it is reset.
    assert_eq!(scanner.advance(&bytes), Ok(Scan::Done(12)));

    scanner.reset();
    assert_eq!(
        scanner.advance(&hex("9f 01 a200010203 a0 a1009fff ff")),
        Ok(Scan::Done(13))
    );
    assert_eq!(
        (scanner.kind(), scanner.child_count()),
        (ItemKind::Array, 4)
    );
    assert_eq!(scanner.children(), [1, 2, 7, 8]);

    scanner.reset();
    assert_eq!(
        scanner.advance(&hex("a2 01 820203 03 04")),
        Ok(Scan::Done(7))
    );
    assert_eq!((scanner.kind(), scanner.child_count()), (ItemKind::Map, 2));
    assert!(scanner.children().is_empty());

    for (bytes, kind, count) in [
        ("80", ItemKind::Array, 0),
        ("a0", ItemKind::Map, 0),
        ("05", ItemKind::Other, 0),
        ("6161", ItemKind::Other, 0),
        ("d9d9f7820102", ItemKind::Other, 0),
    ] {
        let bytes = hex(bytes);
        scanner.reset();
        assert_eq!(scanner.advance(&bytes), Ok(Scan::Done(bytes.len())));
        assert_eq!((scanner.kind(), scanner.child_count()), (kind, count));
        assert!(scanner.children().is_empty());
    }

    let many = encode(&(0..300).collect::<Vec<u32>>());
    scanner.reset();
    assert_eq!(scanner.advance(&many), Ok(Scan::Done(many.len())));
    assert_eq!(scanner.child_count(), 300);
    assert_eq!(scanner.children(), [3, 4, 5, 6, 7, 8, 9, 10]);
}

#[test]
fn a_sequence_is_cut_into_its_items() {
    let stream = hex("8401020304 6161 9f00ff f6 a1006161");
    let mut scanner = Scanner::new(LIMITS);
    let (mut start, mut lengths) = (0, Vec::new());
    for end in 0..=stream.len() {
        while let Scan::Done(len) = scanner.advance(&stream[start..end]).expect("well-formed") {
            lengths.push(len);
            start += len;
            scanner.reset();
        }
    }
    assert_eq!(lengths, [5, 2, 3, 1, 4]);
    assert_eq!(start, stream.len());
}

#[test]
fn what_is_missing_is_known_where_it_was_announced() {
    for (bytes, missing) in [
        ("", 1),
        ("18", 1),
        ("19", 2),
        ("1b0000", 6),
        ("58", 1),
        ("5820", 32),
        ("6a616263", 7),
        ("82", 1),
        ("5f", 1),
        ("5f4401", 3),
        ("a10063", 3),
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
        "6180",
        "61ff",
        "62c041",
        "62c0af",
        "63e08080",
        "63eda080",
        "63edbfbf",
        "64f0808080",
        "64f48fc080",
        "64f4908080",
        "64f5808080",
        "61c3",
        "62e282",
        "63f09080",
        "62c328",
        "7f61c361a9ff",
        "63e28228",
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
        kind(Scanner::new(LIMITS).advance(&hex("7901006180"))),
        Some(InvalidUtf8)
    );
    assert_eq!(
        kind(super::decode::<Value>(&hex("7901006180"))),
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
        [vec![0x7f], b"\x62ab".repeat(100_000), vec![0xff]].concat(),
        [vec![0x9f], vec![0x01; 500_000], vec![0xff]].concat(),
        encode(&serde_bytes::ByteBuf::from(vec![7; 500_000])),
        vec![0x81; 128].into_iter().chain([0x00]).collect(),
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
            "1801",
            "190001",
            "1a00000001",
            "1b0000000000000001",
            "c24101",
            "c2420001",
            "c25f4100 4101ff",
        ],
        &["20", "3800", "c340", "c34100"],
        &[
            "1bffffffffffffffff",
            "c248ffffffffffffffff",
            "c249 00ffffffffffffffff",
        ],
        &[
            "c249010000000000000000",
            "c24a00010000000000000000",
            "d802 49010000000000000000",
        ],
        &["6161", "7801 61", "7f6161ff", "7f60616160ff"],
        &["4161", "580161", "5f4161ff", "5f404161ff"],
        &["fb3ff8000000000000", "f93e00", "fa3fc00000"],
        &["f97e00", "fb7ff8000000000001", "fa7fc00000", "f97e01"],
        &["fb8000000000000000", "f98000"],
        &["fb0000000000000000", "f90000"],
        &["f4"],
        &["f6"],
        &["f7"],
        &["f820"],
        &["e0"],
        &["8101", "9f01ff", "9801 01", "8118 01"],
        &["8161 61", "817f6161ff"],
        &["82617801", "9f 7f 6178 ff 1801 ff"],
        &["a10102", "bf0102ff", "b80101 02"],
        &["c101", "d80101", "d9 0001 1801"],
        &["80", "9fff"],
        &["a0", "bfff"],
        &["d81840", "d8185fff"],
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
            let mut bytes = vec![0xbf];
            for entry in entries {
                bytes.extend_from_slice(entry);
                bytes.push(0xf6);
            }
            bytes.push(0xff);
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
        assert_eq!(kind(super::decode::<Value>(&bytes)), None);
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
        let mut map = vec![0xb8, 40];
        map.extend_from_slice(&key);
        map.push(0xf6);
        for n in 0..39u64 {
            map.extend(encode(&vec![n + level]));
            map.push(0xf6);
        }
        key = map;
    }
    assert_eq!(
        Scanner::new(LIMITS).advance(&key),
        Ok(Scan::Done(key.len()))
    );
}
