//! The spellings of the specification, one by one.

use super::{LIMITS, decode, encode, hex, kind};
use mynah_codec::DecodeErrorKind::{self, InvalidUtf8, Malformed, Shape, Truncated};
use mynah_codec::format::msgpack;
use mynah_protocol::Value;
use serde::de::IgnoredAny;

/// A text of so many letters, as a value and as content.
fn letters(len: usize) -> String {
    "x".repeat(len)
}

/// Reads as this value, and is written in this way if it is the shortest.
#[track_caller]
fn check(spelling: &str, value: impl Into<Value>, shortest: bool) {
    let (bytes, value) = (hex(spelling), value.into());
    assert_eq!(msgpack::scan(&bytes, &LIMITS), Ok(()), "{spelling}");
    assert_eq!(decode::<Value>(&bytes), Ok(value.clone()), "{spelling}");
    assert!(decode::<IgnoredAny>(&bytes).is_ok(), "{spelling}");
    assert_eq!(encode(&value) == bytes, shortest, "{spelling}");
    for end in 0..bytes.len() {
        let cut = &bytes[..end];
        assert_eq!(kind(msgpack::scan(cut, &LIMITS)), Some(Truncated));
        assert_eq!(kind(decode::<Value>(cut)), Some(Truncated), "{cut:02x?}");
        assert_eq!(kind(decode::<IgnoredAny>(cut)), Some(Truncated));
    }
}

#[test]
fn integers() {
    for (spelling, value, shortest) in [
        ("00", 0i64, true),
        ("7f", 127, true),
        ("cc80", 128, true),
        ("ccff", 255, true),
        ("cd0100", 256, true),
        ("cdffff", 65_535, true),
        ("ce00010000", 65_536, true),
        ("ceffffffff", 0xffff_ffff, true),
        ("cf0000000100000000", 0x1_0000_0000, true),
        ("ff", -1, true),
        ("e0", -32, true),
        ("d0df", -33, true),
        ("d080", -128, true),
        ("d1ff7f", -129, true),
        ("d18000", -32_768, true),
        ("d2ffff7fff", -32_769, true),
        ("d280000000", -2_147_483_648, true),
        ("d3ffffffff7fffffff", -2_147_483_649, true),
        ("d38000000000000000", i64::MIN, true),
        ("cc05", 5, false),
        ("cd0005", 5, false),
        ("ce00000005", 5, false),
        ("cf0000000000000005", 5, false),
        ("d005", 5, false),
        ("d10005", 5, false),
        ("d200000005", 5, false),
        ("d30000000000000005", 5, false),
        ("d0ff", -1, false),
        ("d1ffff", -1, false),
        ("d2ffffffff", -1, false),
        ("d3ffffffffffffffff", -1, false),
        ("d37fffffffffffffff", i64::MAX, false),
    ] {
        check(spelling, value, shortest);
    }
    check("cfffffffffffffffff", u64::MAX, true);
}

#[test]
fn scalars() {
    check("c0", Value::Null, true);
    check("c2", false, true);
    check("c3", true, true);
    check("cb3ff8000000000000", 1.5, true);
    check("cb7ff0000000000000", f64::INFINITY, true);
    check("cb8000000000000000", -0.0, true);
    // A value has one width of floats.
    check("ca3fc00000", 1.5, false);
    assert_eq!(encode(&1.5f32), hex("ca3fc00000"));
    assert_eq!(encode(&f64::NAN), hex("cb7ff8000000000000"));
    assert!(decode::<f64>(&hex("ca7fc00000")).is_ok_and(f64::is_nan));
}

#[test]
fn texts_and_bytes() {
    check("a0", "", true);
    check("a161", "a", true);
    check("a2c3a9", "\u{e9}", true);
    check("d90161", "a", false);
    check("da000161", "a", false);
    check("db0000000161", "a", false);
    check("c400", Vec::<u8>::new(), true);
    check("c40161", b"a".to_vec(), true);
    check("c5000161", b"a".to_vec(), false);
    check("c60000000161", b"a".to_vec(), false);
    for (len, text, bytes) in [
        (31, "bf", "c41f"),
        (32, "d920", "c420"),
        (255, "d9ff", "c4ff"),
        (256, "da0100", "c50100"),
        (65_535, "daffff", "c5ffff"),
        (65_536, "db00010000", "c600010000"),
    ] {
        let content = letters(len);
        let wanted = [hex(text), content.clone().into_bytes()].concat();
        assert_eq!(encode(&content), wanted, "{len}");
        assert_eq!(decode::<&str>(&wanted), Ok(&*content));
        let wanted = [hex(bytes), content.clone().into_bytes()].concat();
        let content = serde_bytes::ByteBuf::from(content);
        assert_eq!(encode(&content), wanted, "{len}");
        assert_eq!(decode(&wanted), Ok(content));
    }
}

#[test]
fn arrays_and_maps() {
    check("90", Value::Array(vec![]), true);
    check("920102", [Value::from(1), Value::from(2)], true);
    check("dc00020102", [Value::from(1), Value::from(2)], false);
    check("dd000000020102", [Value::from(1), Value::from(2)], false);
    check("80", Value::Map(vec![]), true);
    check("81a16101", [("a", Value::from(1))], true);
    check("de0001a16101", [("a", Value::from(1))], false);
    check("df00000001a16101", [("a", Value::from(1))], false);
    for (len, array, map) in [
        (15u32, "9f", "8f"),
        (16, "dc0010", "de0010"),
        (65_535, "dcffff", "deffff"),
        (65_536, "dd00010000", "df00010000"),
    ] {
        let elements: Value = (0..len).map(Value::from).collect();
        let bytes = encode(&elements);
        assert!(bytes.starts_with(&hex(array)), "{len}");
        assert_eq!(decode(&bytes), Ok(elements));
        let entries: Value = (0..len).map(|n| (n, n)).collect();
        let bytes = encode(&entries);
        assert!(bytes.starts_with(&hex(map)), "{len}");
        assert_eq!(decode(&bytes), Ok(entries));
    }
}

#[test]
fn extensions_are_passed_over_and_read_by_values_alone() {
    for (head, len) in [
        ("d4", 2),
        ("d5", 3),
        ("d6", 5),
        ("d7", 9),
        ("d8", 17),
        ("c700", 1),
        ("c703", 4),
        ("c80100", 257),
        ("c900010000", 65_537),
        // A timestamp.
        ("d6ff", 4),
    ] {
        let bytes = [hex(head), vec![0xff; len]].concat();
        assert_eq!(msgpack::scan(&bytes, &LIMITS), Ok(()), "{head}");
        assert!(decode::<IgnoredAny>(&bytes).is_ok(), "{head}");
        let content = vec![0xff; len - 1];
        let (number, content) = match head {
            "c700" => (-1, Vec::new()),
            "d6ff" => (-1, vec![0xff; 4]),
            _ => (-1, content),
        };
        let value = Value::Ext(number, content);
        assert_eq!(decode(&bytes), Ok(value.clone()), "{head}");
        // As short as it can be, and the same again.
        assert_eq!(decode(&encode(&value)), Ok(value), "{head}");
        assert_eq!(kind(decode::<Vec<u8>>(&bytes)), Some(Shape), "{head}");
        assert_eq!(kind(decode::<Option<u8>>(&bytes)), Some(Shape), "{head}");
        let cut = &bytes[..bytes.len() - 1];
        assert_eq!(kind(msgpack::scan(cut, &LIMITS)), Some(Truncated));
        assert_eq!(kind(decode::<IgnoredAny>(cut)), Some(Truncated));
        assert_eq!(kind(decode::<Value>(cut)), Some(Truncated), "{head}");
        // Beside what is read.
        let beside = [&hex("92a161")[..], &bytes].concat();
        assert_eq!(
            decode::<(String, IgnoredAny)>(&beside).map(|(text, _)| text),
            Ok("a".to_owned())
        );
    }
}

#[test]
fn what_is_no_value_is_refused_by_all() {
    let check = |bytes: &str, expected: DecodeErrorKind| {
        let bytes = hex(bytes);
        assert_eq!(kind(msgpack::scan(&bytes, &LIMITS)), Some(expected));
        assert_eq!(kind(decode::<Value>(&bytes)), Some(expected));
        assert_eq!(kind(decode::<IgnoredAny>(&bytes)), Some(expected));
    };
    check("", Truncated);
    check("c1", Malformed);
    check("91c1", Malformed);
    check("92a161c1", Malformed);
    check("81c1c0", Malformed);
    check("c0c0", DecodeErrorKind::Trailing);
    check("c0c1", DecodeErrorKind::Trailing);
    check("900090", DecodeErrorKind::Trailing);
    check("a1ff", InvalidUtf8);
    check("d901ff", InvalidUtf8);
    check("a2c328", InvalidUtf8);
    check("81a180c0", InvalidUtf8);
    check("a3eda080", InvalidUtf8);
}
