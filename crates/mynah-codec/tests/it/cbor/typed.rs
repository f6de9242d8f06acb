//! Values of Rust types.

use super::{LAST_WINS, decode, encode, hex, kind};
use mynah_codec::DecodeErrorKind::{DuplicateKey, Malformed, Shape, Trailing, Truncated};
use mynah_codec::format::cbor;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

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
        (Shapes::Unit, "64556e6974"),
        (Shapes::Newtype(9), "a1674e6577747970 6509"),
        (Shapes::Tuple(1, "x".into()), "a1655475706c65 82016178"),
        (
            Shapes::Struct { a: -1, b: None },
            "a166537472756374 a2 616120 6162f6",
        ),
    ] {
        assert_eq!(encode(&value), hex(bytes), "{value:?}");
        assert_eq!(decode(&hex(bytes)), Ok(value));
    }
    // The map of one entry may be of indefinite length, and null stands for the value of a unit variant.
    assert_eq!(
        decode(&hex("bf674e657774797065 09ff")),
        Ok(Shapes::Newtype(9))
    );
    assert_eq!(decode(&hex("a164556e6974f6")), Ok(Shapes::Unit));
}

#[test]
fn a_unit_variant_with_a_value_does_not_shift_what_follows() {
    let bytes = hex("82 a164556e697409 05");
    assert_eq!(kind(decode::<(Shapes, u8)>(&bytes)), Some(Shape));
    assert_eq!(kind(decode::<Shapes>(&hex("a0"))), Some(Shape));
    assert_eq!(
        kind(decode::<Shapes>(&hex("a264556e6974f6616101"))),
        Some(Shape)
    );
    assert_eq!(
        kind(decode::<Shapes>(&hex("bf64556e6974f6616101ff"))),
        Some(Shape)
    );
    assert_eq!(kind(decode::<Shapes>(&hex("bfff"))), Some(Shape));
    assert_eq!(
        kind(decode::<Shapes>(&hex("674e657774797065"))),
        Some(Shape)
    );
}

#[test]
fn spellings_of_numbers_are_forgiven() {
    assert_eq!(decode(&hex("03")), Ok(3.0f64));
    assert_eq!(decode(&hex("22")), Ok(-3.0f32));
    assert_eq!(decode(&hex("f93c00")), Ok(1.0f64));
    assert_eq!(decode(&hex("fa3fc00000")), Ok(1.5f64));
    assert_eq!(decode(&hex("fb3ff8000000000000")), Ok(1.5f32));
    assert_eq!(decode(&hex("1b0000000000000007")), Ok(7u8));
    assert_eq!(decode(&hex("190007")), Ok(7i64));
    assert_eq!(decode(&hex("c24107")), Ok(7u64));
    assert_eq!(decode(&hex("c34107")), Ok(-8i64));
    assert_eq!(decode(&hex("c25f41004107ff")), Ok(7u64));
    assert_eq!(decode(&hex("c249010000000000000000")), Ok(1u128 << 64));
    assert_eq!(
        decode(&hex("c349010000000000000000")),
        Ok(-1 - (1i128 << 64))
    );
    assert_eq!(decode(&hex("3bffffffffffffffff")), Ok(-(1i128 << 64)));
    assert_eq!(decode(&hex("d9ffff07")), Ok(7u32));
    assert_eq!(kind(decode::<u8>(&hex("190100"))), Some(Shape));
    assert_eq!(kind(decode::<u64>(&hex("f93c00"))), Some(Shape));
    assert_eq!(
        kind(decode::<u64>(&hex("c249010000000000000000"))),
        Some(Shape)
    );
    assert_eq!(
        kind(decode::<u128>(&hex(
            "c251010000000000000000000000000000000000"
        ))),
        Some(Shape)
    );
}

#[test]
fn wide_integers_are_bignums_beyond_64_bits() {
    for (value, bytes) in [
        (0i128, "00"),
        (-1, "20"),
        (u64::MAX.into(), "1bffffffffffffffff"),
        (1 << 64, "c249010000000000000000"),
        (-(1 << 64), "3bffffffffffffffff"),
        (-(1 << 64) - 1, "c349010000000000000000"),
        (i128::MIN, "c3507fffffffffffffffffffffffffffffff"),
    ] {
        assert_eq!(encode(&value), hex(bytes), "{value}");
        assert_eq!(decode(&hex(bytes)), Ok(value));
    }
    assert_eq!(decode(&encode(&u128::MAX)), Ok(u128::MAX));
}

#[test]
fn floats_are_64_bit_unless_they_are_not_finite() {
    assert_eq!(encode(&1.0f32), hex("fb3ff0000000000000"));
    assert_eq!(encode(&-0.0f64), hex("fb8000000000000000"));
    assert_eq!(encode(&f64::NAN), hex("f97e00"));
    assert_eq!(encode(&f32::INFINITY), hex("f97c00"));
    assert_eq!(encode(&f64::NEG_INFINITY), hex("f9fc00"));
}

#[test]
fn shapes_are_forgiven_where_nothing_is_lost() {
    let read = Record {
        id: 1,
        name: "a".into(),
        values: [1.0, 2.0, 3.0, 1.0],
    };
    assert_eq!(decode(&hex("83 01 6161 84 01 02 03 f93c00")), Ok(read));
    assert_eq!(
        kind(decode::<Record>(&hex("84 01 6161 84 01020304 05"))),
        Some(Shape)
    );
    assert_eq!(decode(&hex("9f0102ff")), Ok(vec![1u8, 2]));
    assert_eq!(
        decode(&hex("bf616101ff")),
        Ok(HashMap::from([("a".to_owned(), 1u8)]))
    );
    assert_eq!(decode(&hex("7f61616162ff")), Ok("ab".to_owned()));
    assert_eq!(decode(&hex("f7")), Ok(None::<u8>));
    assert_eq!(decode(&hex("f7")), Ok(()));
    assert_eq!(decode(&hex("c1c2d8206161")), Ok("a"));
    assert_eq!(decode(&hex("8101")), Ok(serde_bytes::ByteBuf::from([1])));
    assert_eq!(
        decode(&hex("5f41014102ff")),
        Ok(serde_bytes::ByteBuf::from([1, 2]))
    );
    assert_eq!(kind(decode::<(u8, u8)>(&hex("83010203"))), Some(Shape));
    assert_eq!(kind(decode::<(u8, u8)>(&hex("9f010203ff"))), Some(Shape));
    assert_eq!(kind(decode::<(u8, u8)>(&hex("8101"))), Some(Shape));
    assert_eq!(
        kind(decode::<serde_bytes::ByteBuf>(&hex("6161"))),
        Some(Shape)
    );
    assert_eq!(kind(decode::<String>(&hex("4161"))), Some(Shape));
    assert_eq!(kind(decode::<Option<u8>>(&hex("e0"))), Some(Shape));
}

#[test]
fn texts_and_bytes_are_lent() {
    let bytes = hex("82 6161 4162");
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
        "a2 616101 616102",
        "a2 616101 78016102",
        "a2 7f6161ff01 616102",
        "a3 616101 617801 617802",
        "a2 616101 6178a2 0000 0000",
        "a2 616101 6178 81 a2 f93c0000 fb3ff000000000000000",
        "bf 616101 617801 617802 ff",
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
        kind(decode::<BTreeMap<u8, u8>>(&hex("a2 0101 180102"))),
        Some(DuplicateKey)
    );
}

#[test]
fn the_last_value_of_a_key_wins_where_it_is_allowed() {
    let pair = |bytes| cbor::decode::<Pair>(&hex(bytes), &LAST_WINS);
    assert_eq!(pair("a2 616101 616102"), Ok(Pair { a: 2, b: 0 }));
    assert_eq!(
        pair("bf 6161646e6f6e65 616203 7f6161ff02 ff"),
        Ok(Pair { a: 2, b: 3 })
    );
    assert_eq!(
        pair("a3 616101 6178a2 0000 0000 6178a1 0000"),
        Ok(Pair { a: 1, b: 0 })
    );
    // An earlier value must still be well-formed.
    assert_eq!(kind(pair("a2 6161ff 616102")), Some(Malformed));
    let nested = hex("82 a2 616101 616102 a1 616105");
    assert_eq!(
        cbor::decode::<Vec<Pair>>(&nested, &LAST_WINS),
        Ok(vec![Pair { a: 2, b: 0 }, Pair { a: 5, b: 0 }])
    );
}

#[test]
fn names_of_fields_are_not_numbers() {
    assert_eq!(kind(decode::<Pair>(&hex("a1 0001"))), Some(Shape));
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
    assert_eq!(encode(&Unknown(0)), hex("80"));
    assert_eq!(encode(&Unknown(5)), hex("83000204"));
    let many = encode(&Unknown(60));
    assert_eq!(many[..5], hex("981e000204"));
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
    assert!(cbor::encode(&Liar, &mut Vec::new()).is_err());
}

#[test]
fn what_can_be_displayed_is_a_text() {
    struct Shown(&'static str);
    impl Serialize for Shown {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(self.0)
        }
    }
    for text in ["", "abc", "abcdefghijklmnopqrstuvwx"] {
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
    // Tags and integers for floats are forgiven there as well.
    assert_eq!(
        decode(&hex("a2 656669727374 03 6179 c16174")),
        Ok(Outer {
            first: Either::Number(3.0),
            rest: BTreeMap::from([("y".to_owned(), Either::Text("t".into()))]),
        })
    );
    for value in [Tagged::Circle { radius: 2.0 }, Tagged::Nothing] {
        assert_eq!(decode(&encode(&value)), Ok(value));
    }
    let twice = hex("a3 656669727374 03 6178 01 6178 02");
    assert_eq!(kind(decode::<Outer>(&twice)), Some(DuplicateKey));
    assert_eq!(kind(decode::<Either>(&hex("a10000"))), Some(Shape));
}

#[test]
fn values_keep_what_rust_types_have_no_word_for() {
    use mynah_protocol::Value;
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Holder {
        any: Value,
        list: Vec<Value>,
    }
    for any in [
        "c11a514b67b0",
        "f7",
        "f0",
        "c25200ffffffffffffffffffffffffffffffff01",
        "a1c100f6",
    ] {
        let bytes = [
            &hex("a2 63616e79")[..],
            &hex(any),
            &hex("646c697374 82"),
            &hex(any),
            &hex(any),
        ];
        let bytes = bytes.concat();
        let holder: Holder = decode(&bytes).expect(any);
        assert_eq!(holder.list, [holder.any.clone(), holder.any.clone()]);
        let normal = any.replace("c25200", "c251");
        assert_eq!(encode(&holder.any), hex(&normal));
    }
}

#[test]
fn errors_say_where_and_do_not_repeat_what_was_sent() {
    let long = encode(&BTreeMap::from([("no such variant ".repeat(10_000), 1)]));
    let error = decode::<Shapes>(&long).expect_err("there is no such variant");
    assert_eq!(error.kind(), Shape);
    assert!(error.to_string().len() < 400);
    assert_eq!(
        decode::<Vec<u8>>(&hex("820161ff"))
            .expect_err("not a text")
            .offset(),
        3
    );
    assert_eq!(
        decode::<Vec<u8>>(&hex("83016161")).map_err(|error| error.offset() > 0),
        Err(true)
    );
}
