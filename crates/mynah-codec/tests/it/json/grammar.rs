//! What is JSON and what is not.

use super::{LIMITS, decode, kind, verdict};
use mynah_codec::DecodeErrorKind::{self as Kind, InvalidUtf8, Malformed, Trailing, Truncated};
use mynah_codec::format::json;

const ACCEPTED: &[&str] = &[
    // Scalars alone.
    "null",
    "true",
    "false",
    "0",
    "-0",
    "7",
    "\"\"",
    "\"x\"",
    " \t\r\n1\n ",
    "[]",
    "{}",
    // Numbers.
    "10",
    "-1",
    "0.0",
    "-0.0",
    "0.5",
    "1.25e3",
    "1E3",
    "1e+3",
    "1e-3",
    "0e0",
    "0E-0",
    "1e00009",
    "123456789012345678901234567890",
    "-123456789012345678901234567890",
    "1e-400",
    "0e999999999999",
    "[-0]",
    "0.00000000000000000000000000000000000000000000000000000000000000001",
    // Containers and white space.
    "[ ]",
    "{ }",
    "[1,2]",
    "[ 1 , 2 ]",
    "[[],[[]]]",
    "{\"a\":1}",
    "{ \"a\" : 1 , \"b\" : [ ] }",
    "{\"\":0}",
    "\n[\n1\r\n,\t2]\n",
    "{\"a\":{\"a\":{\"a\":null}}}",
    // Texts.
    r#""\"\\\/\b\f\n\r\t""#,
    r#""\u0000""#,
    r#""\u00e9\u20AC\uABCD\uabcd""#,
    r#""\ud83e\udd9c""#,
    r#""\uD83E\uDD9C""#,
    r#""\uffff""#,
    r#""\ufeff""#,
    r#""\u2028""#,
    "\"\u{7f}\"",
    "\"\u{2028}\u{feff}\"",
    "\"a/b\"",
    "\"é€🦜\"",
    "\"\u{10ffff}\"",
    r#"["\\u0000", "\\"]"#,
    r#"{"\u0061":1,"b":2}"#,
];

const REFUSED: &[(&[u8], Kind)] = &[
    // Nothing there, or not all of it.
    (b"", Truncated),
    (b" \n", Truncated),
    (b"[", Truncated),
    (b"[1", Truncated),
    (b"[1,", Truncated),
    (b"[1, ", Truncated),
    (b"{", Truncated),
    (b"{\"a", Truncated),
    (b"{\"a\"", Truncated),
    (b"{\"a\":", Truncated),
    (b"{\"a\":1", Truncated),
    (b"{\"a\":1,", Truncated),
    (b"\"", Truncated),
    (b"\"a", Truncated),
    (b"\"\\", Truncated),
    (b"\"\\u00", Truncated),
    (b"\"\\ud83e", Truncated),
    (b"\"\\ud83e\\", Truncated),
    (b"\"\\ud83e\\u", Truncated),
    (b"\"\xc3", Truncated),
    (b"\"\xf0\x9f\xa6", Truncated),
    (b"n", Truncated),
    (b"tru", Truncated),
    (b"[fals", Truncated),
    (b"-", Truncated),
    (b"1.", Truncated),
    (b"1e", Truncated),
    (b"1e-", Truncated),
    (b"[[[", Truncated),
    // More than one.
    (b"1 2", Trailing),
    (b"1,", Trailing),
    (b"1x", Trailing),
    (b"1-", Trailing),
    (b"1+1", Trailing),
    (b"nullx", Trailing),
    (b"null null", Trailing),
    (b"[]]", Trailing),
    (b"{}}", Trailing),
    (b"[][]", Trailing),
    (b"\"\"\"\"", Trailing),
    (b"1\0", Trailing),
    (b"1\x0c", Trailing),
    (b"[]\xff", Trailing),
    (b"[] #", Trailing),
    (b"[] // no", Trailing),
    (b"1.0.0", Trailing),
    (b"1e5.5", Trailing),
    (b"0x10", Trailing),
    (b"1_000", Trailing),
    // Commas, colons, brackets.
    (b"[,", Malformed),
    (b"[,1]", Malformed),
    (b"[1,]", Malformed),
    (b"[1,,2]", Malformed),
    (b"[1 2]", Malformed),
    (b"[1;2]", Malformed),
    (b"[1}", Malformed),
    (b"[}", Malformed),
    (b"{]", Malformed),
    (b"]", Malformed),
    (b"}", Malformed),
    (b",", Malformed),
    (b":", Malformed),
    (b"{,}", Malformed),
    (b"{\"a\":1,}", Malformed),
    (b"{\"a\":1,,\"b\":2}", Malformed),
    (b"{\"a\"}", Malformed),
    (b"{\"a\",1}", Malformed),
    (b"{\"a\"::1}", Malformed),
    (b"{\"a\":}", Malformed),
    (b"{\"a\":1 \"b\":2}", Malformed),
    (b"{\"a\":1]", Malformed),
    (b"{\"a\" \"b\"}", Malformed),
    (b"{a:1}", Malformed),
    (b"{'a':1}", Malformed),
    (b"{1:1}", Malformed),
    (b"{null:1}", Malformed),
    (b"{[]:1}", Malformed),
    // White space that is none.
    (b"\x0c1", Malformed),
    (b"[\x0b]", Malformed),
    (b"[\xc2\xa0]", Malformed),
    (b"\xef\xbb\xbf1", Malformed),
    (b"\xef\xbb\xbf", Malformed),
    (b"[\xe2\x80\xa8]", Malformed),
    (b"/* */1", Malformed),
    (b"\0", Malformed),
    // Words.
    (b"nul ", Malformed),
    (b"nulL", Malformed),
    (b"Null", Malformed),
    (b"True", Malformed),
    (b"[truth]", Malformed),
    (b"undefined", Malformed),
    (b"NaN", Malformed),
    (b"[Infinity]", Malformed),
    (b"-Infinity", Malformed),
    (b"-NaN", Malformed),
    // Numbers.
    (b"01", Malformed),
    (b"-01", Malformed),
    (b"00", Malformed),
    (b"-", Truncated),
    (b"--1", Malformed),
    (b"-a", Malformed),
    (b"+1", Malformed),
    (b".5", Malformed),
    (b"-.5", Malformed),
    (b"[1.]", Malformed),
    (b"1.e3", Malformed),
    (b"1.-3", Malformed),
    (b"[1e]", Malformed),
    (b"[1e+]", Malformed),
    (b"1ee3", Malformed),
    (b"1e+-3", Malformed),
    (b"[- 1]", Malformed),
    (b"[1 000]", Malformed),
    (b"[0x10]", Malformed),
    (b"[1\xc3\xa9]", Malformed),
    (b"\xd9\xa1", Malformed),
    // Texts.
    (b"\"\n\"", Malformed),
    (b"\"\t\"", Malformed),
    (b"\"a\0\"", Malformed),
    (b"\"\x1f\"", Malformed),
    (b"\"\\x41\"", Malformed),
    (b"\"\\'\"", Malformed),
    (b"\"\\0\"", Malformed),
    (b"\"\\\n\"", Malformed),
    (b"\"\\U0041\"", Malformed),
    (b"\"\\u004\"", Malformed),
    (b"\"\\u004g\"", Malformed),
    (b"\"\\u+041\"", Malformed),
    (b"\"\\u 041\"", Malformed),
    (b"\"\\\xc3\xa9\"", Malformed),
    (b"\"\\u\xc3\xa9\"", Malformed),
    (b"'a'", Malformed),
    (b"[\"a]", Truncated),
    (b"[a\"]", Malformed),
    // Halves of surrogate pairs.
    (b"\"\\ud800\"", Malformed),
    (b"\"\\udc00\"", Malformed),
    (b"\"\\udfff\\ud800\"", Malformed),
    (b"\"\\ud800\\ud800\"", Malformed),
    (b"\"\\ud800\\u0041\"", Malformed),
    (b"\"\\ud800\\n\"", Malformed),
    (b"\"\\ud800x\"", Malformed),
    (b"\"\\ud83e\\udd9", Truncated),
    (b"{\"\\ud800\":1}", Malformed),
    // Bytes that are no UTF-8.
    (b"\"\xff\"", InvalidUtf8),
    (b"\"a\x80\"", InvalidUtf8),
    (b"\"\xc3\"", InvalidUtf8),
    (b"\"\xc3(\"", InvalidUtf8),
    (b"\"\xc0\x80\"", InvalidUtf8),
    (b"\"\xe0\x80\x80\"", InvalidUtf8),
    (b"\"\xed\xa0\x80\"", InvalidUtf8),
    (b"\"\xf4\x90\x80\x80\"", InvalidUtf8),
    (b"\"\xf5\x80\x80\x80\"", InvalidUtf8),
    (b"\"\xf0\x9f\xa6\"", InvalidUtf8),
    (b"{\"\xff\":1}", InvalidUtf8),
    (b"[\xff]", Malformed),
    (b"\xff", Malformed),
    (b"\xc3", Malformed),
    (b"[1\xff", Malformed),
    (b"1.\xff", Malformed),
    (b"nul\xff", Malformed),
    // What is wrong first counts.
    (b"[01, \"\xff\"]", Malformed),
    (b"[\"\xff\", 01]", InvalidUtf8),
    (b"[\"\n\xff\"]", Malformed),
    (b"\"\xff\n\"", InvalidUtf8),
];

#[test]
fn what_is_json_is_accepted() {
    for input in ACCEPTED {
        assert_eq!(verdict(input.as_bytes(), &LIMITS), None, "{input}");
    }
}

#[test]
fn what_is_not_is_refused_by_its_kind() {
    for (input, expected) in REFUSED {
        let shown = String::from_utf8_lossy(input);
        assert_eq!(verdict(input, &LIMITS), Some(*expected), "{shown}");
    }
}

#[test]
fn serde_json_agrees_on_both_tables() {
    let accepts = |input: &[u8]| serde_json::from_slice::<serde_json::Value>(input).is_ok();
    for input in ACCEPTED {
        assert!(accepts(input.as_bytes()), "{input}");
    }
    for (input, _) in REFUSED {
        assert!(!accepts(input), "{}", String::from_utf8_lossy(input));
    }
}

#[test]
fn every_prefix_is_truncated_or_a_number() {
    let document = r#"{"a":[1,-2.5e-7,true,null,"x\n\u00e9\ud83e\udd9cé🦜"],"b":{"c":{}}}"#;
    for len in 0..document.len() {
        let prefix = &document.as_bytes()[..len];
        assert_eq!(verdict(prefix, &LIMITS), Some(Truncated), "{len}");
    }
    assert_eq!(verdict(document.as_bytes(), &LIMITS), None);
}

#[test]
fn errors_say_where() {
    for (input, offset) in [
        ("[1,]", 3),
        ("  [01]", 4),
        ("\"ab\\q\"", 4),
        ("\"ab\n\"", 3),
        ("{\"a\":1,\"b\":2,\"a\":3}", 13),
        ("[1] x", 4),
        ("[tru]", 4),
        ("[1", 2),
    ] {
        let decoded = decode::<mynah_protocol::Value>(input).unwrap_err();
        assert_eq!(decoded.offset(), offset, "decode {input}");
        let scanned = json::scan(input.as_bytes(), &LIMITS).unwrap_err();
        assert_eq!(scanned.offset(), offset, "scan {input}");
    }
    let shape = decode::<(u8, u8)>("[1, true]").unwrap_err();
    assert_eq!(shape.kind(), Kind::Shape);
    assert_eq!(shape.offset(), 4);
}

#[test]
fn texts_are_read_as_they_mean() {
    for (input, expected) in [
        (r#""""#, ""),
        (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
        (r#""a\u0000b""#, "a\0b"),
        (r#""\u00e9\u20AC""#, "é€"),
        (r#""\ud83e\udd9c!""#, "🦜!"),
        (r#""\udbff\udfff""#, "\u{10ffff}"),
        (
            r#""0123456789abcde\nf0123456789abcdef\u0041""#,
            "0123456789abcde\nf0123456789abcdefA",
        ),
        ("\"é€🦜\"", "é€🦜"),
    ] {
        assert_eq!(decode::<String>(input).unwrap(), expected, "{input}");
    }
    assert_eq!(kind(decode::<String>("17")), Some(Kind::Shape));
}

#[test]
fn specials_are_found_at_every_place() {
    for len in 0..40 {
        for at in 0..=len {
            for special in ["\\n", "\\u0041", "é", "🦜", "\n", "\""] {
                let plain = "x".repeat(len);
                let input = format!("\"{}{special}{}\"", &plain[..at], &plain[at..]);
                let reference = serde_json::from_str::<String>(&input);
                assert_eq!(decode::<String>(&input).ok(), reference.ok(), "{input}");
                verdict(input.as_bytes(), &LIMITS);
            }
        }
    }
}
