//! The examples of RFC 8949, appendix A.

use super::{LIMITS, decode, encode, hex};
use mynah_codec::format::cbor;
use mynah_protocol::Value;

/// The bytes, the value in diagnostic notation as we print it, and whether we would write it in these bytes.
const VECTORS: &[(&str, &str, bool)] = &[
    ("00", "0", true),
    ("01", "1", true),
    ("0a", "10", true),
    ("17", "23", true),
    ("1818", "24", true),
    ("1819", "25", true),
    ("1864", "100", true),
    ("1903e8", "1000", true),
    ("1a000f4240", "1000000", true),
    ("1b000000e8d4a51000", "1000000000000", true),
    ("1bffffffffffffffff", "18446744073709551615", true),
    ("c249010000000000000000", "18446744073709551616", true),
    ("3bffffffffffffffff", "-18446744073709551616", true),
    ("c349010000000000000000", "-18446744073709551617", true),
    ("20", "-1", true),
    ("29", "-10", true),
    ("3863", "-100", true),
    ("3903e7", "-1000", true),
    ("f90000", "0.0", false),
    ("f98000", "-0.0", false),
    ("f93c00", "1.0", false),
    ("fb3ff199999999999a", "1.1", true),
    ("f93e00", "1.5", false),
    ("f97bff", "65504.0", false),
    ("fa47c35000", "100000.0", false),
    ("fa7f7fffff", "3.4028234663852886e38", false),
    ("fb7e37e43c8800759c", "1e300", true),
    ("f90001", "5.960464477539063e-8", false),
    ("f90400", "6.103515625e-5", false),
    ("f9c400", "-4.0", false),
    ("fbc010666666666666", "-4.1", true),
    ("f97c00", "Infinity", true),
    ("f97e00", "NaN", true),
    ("f9fc00", "-Infinity", true),
    ("fa7f800000", "Infinity", false),
    ("fa7fc00000", "NaN", false),
    ("faff800000", "-Infinity", false),
    ("fb7ff0000000000000", "Infinity", false),
    ("fb7ff8000000000000", "NaN", false),
    ("fbfff0000000000000", "-Infinity", false),
    ("f4", "false", true),
    ("f5", "true", true),
    ("f6", "null", true),
    ("f7", "undefined", true),
    ("f0", "simple(16)", true),
    ("f8ff", "simple(255)", true),
    (
        "c074323031332d30332d32315432303a30343a30305a",
        r#"0("2013-03-21T20:04:00Z")"#,
        true,
    ),
    ("c11a514b67b0", "1(1363896240)", true),
    ("c1fb41d452d9ec200000", "1(1363896240.5)", true),
    ("d74401020304", "23(h'01020304')", true),
    ("d818456449455446", "24(h'6449455446')", true),
    (
        "d82076687474703a2f2f7777772e6578616d706c652e636f6d",
        r#"32("http://www.example.com")"#,
        true,
    ),
    ("40", "h''", true),
    ("4401020304", "h'01020304'", true),
    ("60", r#""""#, true),
    ("6161", r#""a""#, true),
    ("6449455446", r#""IETF""#, true),
    ("62225c", r#""\"\\""#, true),
    ("62c3bc", "\"\u{fc}\"", true),
    ("63e6b0b4", "\"\u{6c34}\"", true),
    ("64f0908591", "\"\u{10151}\"", true),
    ("80", "[]", true),
    ("83010203", "[1, 2, 3]", true),
    ("8301820203820405", "[1, [2, 3], [4, 5]]", true),
    (
        "98190102030405060708090a0b0c0d0e0f101112131415161718181819",
        ONE_TO_25,
        true,
    ),
    ("a0", "{}", true),
    ("a201020304", "{1: 2, 3: 4}", true),
    ("a26161016162820203", r#"{"a": 1, "b": [2, 3]}"#, true),
    ("826161a161626163", r#"["a", {"b": "c"}]"#, true),
    (
        "a56161614161626142616361436164614461656145",
        r#"{"a": "A", "b": "B", "c": "C", "d": "D", "e": "E"}"#,
        true,
    ),
    ("5f42010243030405ff", "h'0102030405'", false),
    ("7f657374726561646d696e67ff", r#""streaming""#, false),
    ("9fff", "[]", false),
    ("9f018202039f0405ffff", "[1, [2, 3], [4, 5]]", false),
    ("9f01820203820405ff", "[1, [2, 3], [4, 5]]", false),
    ("83018202039f0405ff", "[1, [2, 3], [4, 5]]", false),
    ("83019f0203ff820405", "[1, [2, 3], [4, 5]]", false),
    (
        "9f0102030405060708090a0b0c0d0e0f101112131415161718181819ff",
        ONE_TO_25,
        false,
    ),
    ("bf61610161629f0203ffff", r#"{"a": 1, "b": [2, 3]}"#, false),
    ("826161bf61626163ff", r#"["a", {"b": "c"}]"#, false),
    (
        "bf6346756ef563416d7421ff",
        r#"{"Fun": true, "Amt": -2}"#,
        false,
    ),
];

const ONE_TO_25: &str = "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, \
                         20, 21, 22, 23, 24, 25]";

#[test]
fn the_examples_of_the_standard() {
    for (bytes, diagnostic, roundtrip) in VECTORS {
        let bytes = hex(bytes);
        assert_eq!(cbor::scan(&bytes, &LIMITS), Ok(()), "{bytes:02x?}");
        let value: Value = decode(&bytes).expect(diagnostic);
        assert_eq!(value.to_string(), *diagnostic, "{bytes:02x?}");
        assert_eq!(
            encode(&value) == bytes,
            *roundtrip,
            "{diagnostic}: {:02x?}",
            encode(&value)
        );
        // Whatever was written comes back.
        let again: Value = decode(&encode(&value)).expect(diagnostic);
        assert_eq!(again.to_string(), *diagnostic);
    }
}

/// Not well-formed by RFC 8949, appendix F: reserved lengths, wrong breaks, wrong chunks, wrong simple values.
const BROKEN: &[&str] = &[
    "1c",
    "1d",
    "1e",
    "3c",
    "3d",
    "3e",
    "5c",
    "5d",
    "5e",
    "7c",
    "7d",
    "7e",
    "9c",
    "9d",
    "9e",
    "bc",
    "bd",
    "be",
    "dc",
    "dd",
    "de",
    "fc",
    "fd",
    "fe",
    "f800",
    "f801",
    "f818",
    "f81f",
    "5f00ff",
    "5f21ff",
    "5f6100ff",
    "5f80ff",
    "5fa0ff",
    "5fc000ff",
    "5fe0ff",
    "7f4100ff",
    "5f5f4100ffff",
    "7f7f6100ffff",
    "ff",
    "81ff",
    "8200ff",
    "a1ff",
    "a1ff00",
    "a100ff",
    "a20000ff",
    "9f81ff",
    "9f829f819f9fffffffff",
    "bf00ff",
    "bf000001ff",
    "1f",
    "3f",
    "df",
    "c0ff",
];

/// Not complete by RFC 8949, appendix F.
const CUT: &[&str] = &[
    "",
    "18",
    "19",
    "1a",
    "1b",
    "1901",
    "1a0102",
    "1b01020304050607",
    "38",
    "58",
    "78",
    "98",
    "9a01ff00",
    "b8",
    "d8",
    "f8",
    "f900",
    "fa0000",
    "fb000000",
    "41",
    "61",
    "5affffff00",
    "7affffff00",
    "81",
    "818181818181818181",
    "8200",
    "a1",
    "a20102",
    "a100",
    "a2000001",
    "c0",
    "5f4100",
    "7f6100",
    "9f",
    "9f0102",
    "bf",
    "bf01020202",
    "819f",
    "9f8000",
    "9f9f9f9f9fffffffff",
    "9f819f819f9fffffff",
];

#[test]
fn what_is_broken_is_refused() {
    use mynah_codec::DecodeErrorKind::{Malformed, TooLarge, Truncated};
    for text in BROKEN {
        let bytes = hex(text);
        assert_eq!(
            super::kind(cbor::scan(&bytes, &LIMITS)),
            Some(Malformed),
            "{text}"
        );
        assert_eq!(
            super::kind(decode::<Value>(&bytes)),
            Some(Malformed),
            "{text}"
        );
    }
    for text in CUT {
        let bytes = hex(text);
        let expected = if text.contains("affffff") {
            TooLarge
        } else {
            Truncated
        };
        assert_eq!(
            super::kind(cbor::scan(&bytes, &LIMITS)),
            Some(expected),
            "{text}"
        );
        assert_eq!(
            super::kind(decode::<Value>(&bytes)),
            Some(expected),
            "{text}"
        );
    }
}
