//! Values of Rust types.

use super::{LAST_WINS, decode, encode, hex, kind};
use mynah_codec::DecodeErrorKind::{DuplicateKey, Malformed, Shape, Trailing, Truncated};
use mynah_codec::format::msgpack;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    id: u64,
    name: String,
    values: [f64; 4],
}

fn record() -> Record {
    Record {
        id: 77_000,
        name: "abcdefghijklmnop".into(),
        values: [0.5, 1.25, -3.0, 1e300],
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Shapes {
    Unit,
    Newtype(u32),
    Tuple(u8, String),
    Struct { a: i64, b: Option<bool> },
}

#[test]
fn a_struct_comes_back() {
    let bytes = encode(&record());
    assert_eq!(bytes.len(), 75);
    assert_eq!(decode::<Record>(&bytes), Ok(record()));
    for end in 0..bytes.len() {
        assert_eq!(
            kind(decode::<Record>(&bytes[..end])),
            Some(Truncated),
            "{end}"
        );
    }
    let mut longer = bytes;
    longer.push(0);
    assert_eq!(kind(decode::<Record>(&longer)), Some(Trailing));
}

#[test]
fn enums_are_externally_tagged() {
    for (value, bytes) in [
        (Shapes::Unit, "a4556e6974"),
        (Shapes::Newtype(9), "81a74e6577747970 6509"),
        (Shapes::Tuple(1, "x".into()), "81a55475706c65 9201a178"),
        (
            Shapes::Struct { a: -1, b: None },
            "81a6537472756374 82 a161ff a162c0",
        ),
    ] {
        assert_eq!(encode(&value), hex(bytes), "{value:?}");
        assert_eq!(decode(&hex(bytes)), Ok(value));
    }
    // Nil stands for the value of a unit variant.
    assert_eq!(decode(&hex("81a4556e6974c0")), Ok(Shapes::Unit));
}

#[test]
fn a_unit_variant_with_a_value_does_not_shift_what_follows() {
    let bytes = hex("92 81a4556e697409 05");
    assert_eq!(kind(decode::<(Shapes, u8)>(&bytes)), Some(Shape));
    for bytes in ["80", "82a4556e6974c0a16101", "a74e657774797065", "00"] {
        assert_eq!(kind(decode::<Shapes>(&hex(bytes))), Some(Shape), "{bytes}");
    }
}

#[test]
fn spellings_of_numbers_are_forgiven() {
    assert_eq!(decode(&hex("03")), Ok(3.0f64));
    assert_eq!(decode(&hex("fd")), Ok(-3.0f32));
    assert_eq!(decode(&hex("cfffffffffffffffff")), Ok(u64::MAX as f64));
    assert_eq!(decode(&hex("ca3fc00000")), Ok(1.5f64));
    assert_eq!(decode(&hex("cb3ff8000000000000")), Ok(1.5f32));
    assert_eq!(decode(&hex("cf0000000000000007")), Ok(7u8));
    assert_eq!(decode(&hex("d30000000000000007")), Ok(7u8));
    assert_eq!(decode(&hex("cd0007")), Ok(7i64));
    assert_eq!(decode(&hex("07")), Ok(7u128));
    assert_eq!(decode(&hex("f9")), Ok(-7i128));
    assert_eq!(kind(decode::<u8>(&hex("cd0100"))), Some(Shape));
    assert_eq!(kind(decode::<u8>(&hex("ff"))), Some(Shape));
    assert_eq!(kind(decode::<u64>(&hex("ca3f800000"))), Some(Shape));
    // Sixteen bytes are bytes, and no integer as other libraries write it.
    assert_eq!(
        kind(decode::<u128>(&[&hex("c410")[..], &[0; 16]].concat())),
        Some(Shape)
    );
}

#[test]
fn wide_integers_are_refused() {
    for value in [0i128, -1, u64::MAX.into(), i64::MIN.into()] {
        assert_eq!(decode(&encode(&value)), Ok(value));
    }
    for value in [1i128 << 64, i128::from(i64::MIN) - 1, i128::MIN] {
        let error = msgpack::encode(&value, &mut Vec::new()).expect_err("too wide");
        assert!(error.to_string().contains("64 bits"), "{error}");
    }
    assert!(msgpack::encode(&u128::MAX, &mut Vec::new()).is_err());
}

#[test]
fn shapes_are_forgiven_where_nothing_is_lost() {
    let read = Record {
        id: 1,
        name: "a".into(),
        values: [1.0, 2.0, 3.0, 1.0],
    };
    assert_eq!(decode(&hex("93 01 a161 94 01 02 03 ca3f800000")), Ok(read));
    assert_eq!(
        kind(decode::<Record>(&hex("94 01 a161 94 01020304 05"))),
        Some(Shape)
    );
    assert_eq!(decode(&hex("dc00020102")), Ok(vec![1u8, 2]));
    assert_eq!(decode(&hex("9101")), Ok(serde_bytes::ByteBuf::from([1])));
    assert_eq!(decode(&hex("c0")), Ok(None::<u8>));
    assert_eq!(decode(&hex("c0")), Ok(()));
    assert_eq!(kind(decode::<(u8, u8)>(&hex("93010203"))), Some(Shape));
    assert_eq!(kind(decode::<(u8, u8)>(&hex("9101"))), Some(Shape));
    assert_eq!(
        kind(decode::<serde_bytes::ByteBuf>(&hex("a161"))),
        Some(Shape)
    );
    assert_eq!(kind(decode::<String>(&hex("c40161"))), Some(Shape));
    assert_eq!(kind(decode::<bool>(&hex("01"))), Some(Shape));
    assert_eq!(kind(decode::<Vec<u8>>(&hex("80"))), Some(Shape));
}

#[test]
fn texts_and_bytes_are_lent() {
    let bytes = hex("92 a161 c40162");
    let (text, raw): (&str, &[u8]) = decode(&bytes).expect("both are in one piece");
    assert_eq!((text, raw), ("a", &b"b"[..]));
    assert_eq!(text.as_ptr(), bytes[2..].as_ptr());
}

#[derive(Debug, PartialEq, Deserialize)]
struct Pair {
    a: u8,
    #[serde(default)]
    b: u8,
}

#[test]
fn a_key_twice_is_refused_wherever_it_is() {
    for bytes in [
        "82 a16101 a16102",
        "82 a16101 d9016102",
        "83 a16101 a17801 a17802",
        "82 a16101 a17882 0000 0000",
        "82 a16101 a178 91 82 ca0000000000 cb000000000000000000",
        "de0002 a16101 da00016102",
    ] {
        assert_eq!(
            kind(decode::<Pair>(&hex(bytes))),
            Some(DuplicateKey),
            "{bytes}"
        );
        assert_eq!(
            kind(decode::<IgnoredAny>(&hex(bytes))),
            Some(DuplicateKey),
            "{bytes}"
        );
    }
    assert_eq!(
        kind(decode::<BTreeMap<u8, u8>>(&hex("82 0101 d00102"))),
        Some(DuplicateKey)
    );
}

#[test]
fn the_last_value_of_a_key_wins_where_it_is_allowed() {
    let pair = |bytes| msgpack::decode::<Pair>(&hex(bytes), &LAST_WINS);
    assert_eq!(pair("82 a16101 a16102"), Ok(Pair { a: 2, b: 0 }));
    assert_eq!(
        pair("83 a161a46e6f6e65 a16203 d9016102"),
        Ok(Pair { a: 2, b: 3 })
    );
    assert_eq!(
        pair("83 a16101 a17882 0000 0000 a17881 0000"),
        Ok(Pair { a: 1, b: 0 })
    );
    // An earlier value must still be well-formed.
    assert_eq!(kind(pair("82 a161c1 a16102")), Some(Malformed));
    let nested = hex("92 82 a16101 a16102 81 a16105");
    assert_eq!(
        msgpack::decode::<Vec<Pair>>(&nested, &LAST_WINS),
        Ok(vec![Pair { a: 2, b: 0 }, Pair { a: 5, b: 0 }])
    );
}

#[test]
fn names_of_fields_and_variants_are_not_numbers() {
    assert_eq!(kind(decode::<Pair>(&hex("81 0001"))), Some(Shape));
    assert_eq!(kind(decode::<Shapes>(&hex("81 0109"))), Some(Shape));
}

#[test]
fn unknown_lengths_become_definite_ones() {
    struct Unknown(usize);
    impl Serialize for Unknown {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            // A filter does not say how many elements it lets through.
            serializer.collect_seq((0..self.0).filter(|n| n % 2 == 0))
        }
    }
    assert_eq!(encode(&Unknown(0)), hex("90"));
    assert_eq!(encode(&Unknown(5)), hex("93000204"));
    let many = encode(&Unknown(60));
    assert_eq!(many[..6], hex("dc001e000204"));
    assert_eq!(decode::<Vec<u8>>(&many).expect("it is an array").len(), 30);
}

#[test]
fn a_wrong_length_is_refused() {
    struct Liar;
    impl Serialize for Liar {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeSeq as _;
            let mut seq = serializer.serialize_seq(Some(2))?;
            seq.serialize_element(&1)?;
            seq.end()
        }
    }
    assert!(msgpack::encode(&Liar, &mut Vec::new()).is_err());
}

#[test]
fn what_can_be_displayed_is_a_text() {
    struct Shown<'a>(&'a str);
    impl Serialize for Shown<'_> {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(self.0)
        }
    }
    for text in ["", "abc", &"x".repeat(32), &"x".repeat(300)] {
        assert_eq!(encode(&Shown(text)), encode(text));
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Either {
    Number(f64),
    Text(String),
    List(Vec<u8>),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Circle { radius: f64 },
    Nothing,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Outer {
    first: Either,
    #[serde(flatten)]
    rest: BTreeMap<String, Either>,
}

#[test]
fn the_other_ways_of_serde_work() {
    let outer = Outer {
        first: Either::List(vec![1, 2]),
        rest: BTreeMap::from([
            ("x".to_owned(), Either::Number(0.5)),
            ("y".to_owned(), Either::Text("t".into())),
        ]),
    };
    assert_eq!(decode(&encode(&outer)), Ok(outer));
    // Integers for floats are forgiven there as well.
    assert_eq!(
        decode(&hex("82 a56669727374 03 a179 a174")),
        Ok(Outer {
            first: Either::Number(3.0),
            rest: BTreeMap::from([("y".to_owned(), Either::Text("t".into()))]),
        })
    );
    for value in [Tagged::Circle { radius: 2.0 }, Tagged::Nothing] {
        assert_eq!(decode(&encode(&value)), Ok(value));
    }
    let twice = hex("83 a56669727374 03 a178 01 a178 02");
    assert_eq!(kind(decode::<Outer>(&twice)), Some(DuplicateKey));
    assert_eq!(kind(decode::<Either>(&hex("810000"))), Some(Shape));
}

#[test]
fn errors_say_where_and_do_not_repeat_what_was_sent() {
    let long = encode(&BTreeMap::from([("no such variant ".repeat(10_000), 1)]));
    let error = decode::<Shapes>(&long).expect_err("there is no such variant");
    assert_eq!(error.kind(), Shape);
    assert!(error.to_string().len() < 400);
    assert_eq!(
        decode::<Vec<u8>>(&hex("9201a1ff"))
            .expect_err("not a text")
            .offset(),
        3
    );
    assert_eq!(
        decode::<Vec<u8>>(&hex("9301a161")).map_err(|error| error.offset() > 0),
        Err(true)
    );
}
