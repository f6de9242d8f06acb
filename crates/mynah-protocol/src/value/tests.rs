use super::{BigInt, Value};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};
use serde::{Deserialize, Serialize};

fn tag(number: u64, content: impl Into<Value>) -> Value {
    Value::Tag(number, Box::new(content.into()))
}

/// One of everything, with what has no word in JSON last.
fn samples() -> (Vec<Value>, Vec<Value>) {
    let common = vec![
        Value::Null,
        true.into(),
        0u8.into(),
        u64::MAX.into(),
        (-1i8).into(),
        i64::MIN.into(),
        1.5f64.into(),
        "text \u{e9}\n".into(),
        vec![Value::Null, vec![Value::from(1u8)].into()].into(),
        Value::from([("a", 1u8.into()), ("b", Value::from([("c", Value::Null)]))]),
        Value::Map(Vec::new()),
        Value::Array(Vec::new()),
    ];
    let rest = vec![
        tag(1, 5u8),
        vec![tag(7, "x")].into(),
        Value::Map(vec![(1u8.into(), Value::Null)]),
        Value::from([("a", tag(99, tag(100, Value::Null)))]),
        BigInt::value(false, &[1; 20]),
        BigInt::value(true, &[1; 20]),
        Value::from(vec![1u8, 2]),
        Value::Simple(23),
        Value::Simple(99),
        Value::Ext(-1, vec![0; 4]),
    ];
    (common, rest)
}

#[test]
fn integers_take_the_smallest_variant() {
    assert_eq!(Value::from(7i64), Value::Uint(7));
    assert_eq!(Value::from(-7i8), Value::Int(-7));
    assert_eq!(Value::from(-1i128), Value::Int(-1));
    assert_eq!(Value::from(u128::from(u64::MAX)), Value::Uint(u64::MAX));
    assert_eq!(Value::from(i128::from(i64::MIN)), Value::Int(i64::MIN));
    assert_eq!(BigInt::value(false, &[]), Value::Uint(0));
    assert_eq!(BigInt::value(true, &[]), Value::Int(-1));
    assert_eq!(BigInt::value(false, &[0; 40]), Value::Uint(0));
    assert_eq!(
        BigInt::value(false, &[0, 255, 255, 255, 255, 255, 255, 255, 255]),
        u64::MAX.into()
    );
    for number in [
        1i128 << 64,
        i128::from(i64::MIN) - 1,
        -(1 << 64),
        -(1 << 64) - 1,
        i128::MIN,
    ] {
        let Value::Big(big) = Value::from(number) else {
            panic!("{number} needs more than 64 bits");
        };
        assert_eq!(big.as_i128(), Some(number));
        assert_eq!(big.is_negative(), number < 0);
        assert_eq!(big.to_string(), number.to_string());
    }
    let Value::Big(big) = Value::from(u128::MAX) else {
        panic!("needs 128 bits");
    };
    assert_eq!((big.as_u128(), big.as_i128()), (Some(u128::MAX), None));
    assert_eq!(
        Value::Big(big).as_f64(),
        Some(340_282_366_920_938_463_463_374_607_431_768_211_455.0)
    );
}

#[test]
fn integers_of_any_size_have_a_decimal() {
    let check = |negative, digits: &[u8], text: &str| {
        let value = BigInt::value(negative, digits);
        let Value::Big(big) = &value else {
            panic!("{value} needs more than 64 bits");
        };
        assert_eq!(big.to_decimal().as_deref(), Some(text));
        let spelled = text.trim_start_matches('-');
        assert_eq!(
            BigInt::from_decimal(negative, spelled.as_bytes()),
            Some(value)
        );
    };
    check(false, &[1, 0, 0, 0, 0, 0, 0, 0, 0], "18446744073709551616");
    check(true, &[255; 8], "-18446744073709551616");
    check(true, &[255; 16], "-340282366920938463463374607431768211456");
    for (negative, spelled) in [
        (false, "0"),
        (true, "0"),
        (false, "18446744073709551615"),
        (true, "9223372036854775808"),
    ] {
        let value = BigInt::from_decimal(negative, spelled.as_bytes()).expect("digits");
        let sign = if negative && spelled != "0" { "-" } else { "" };
        assert_eq!(value.to_string(), format!("{sign}{spelled}"));
        assert!(!matches!(value, Value::Big(_)), "{value}");
    }
    for no_digits in ["", "-1", "1a", "1.0"] {
        assert_eq!(BigInt::from_decimal(false, no_digits.as_bytes()), None);
    }
    let long = "9".repeat(BigInt::MAX_DECIMAL_DIGITS + 1);
    assert_eq!(BigInt::from_decimal(false, long.as_bytes()), None);
}

#[test]
fn it_can_be_looked_into() {
    let value = Value::from([
        ("n", (-3i8).into()),
        ("list", vec![Value::from(1u8), "x".into()].into()),
        ("raw", Value::from(vec![1u8, 2])),
    ]);
    assert_eq!(value.get("n").and_then(Value::as_i64), Some(-3));
    assert_eq!(value.get("n").and_then(Value::as_u64), None);
    assert_eq!(value.get("n").and_then(Value::as_f64), Some(-3.0));
    assert_eq!(
        value.get("raw").and_then(Value::as_bytes),
        Some(&[1u8, 2][..])
    );
    assert_eq!(
        value
            .get("list")
            .and_then(|list| list.at(1))
            .and_then(Value::as_str),
        Some("x")
    );
    assert_eq!(value.get("none"), None);
    assert_eq!(Value::Null.get("n"), None);
    assert_eq!(value.as_map().map(<[_]>::len), Some(3));
    assert_eq!(Value::from("x").into_array(), Err(Value::from("x")));
    assert_eq!(
        tag(5, true)
            .as_tag()
            .map(|(number, value)| (number, value.as_bool())),
        Some((5, Some(true)))
    );
}

#[test]
fn it_prints_on_one_line() {
    let value = Value::from([
        (
            "quote\"\n",
            vec![Value::Null, 1.0f64.into(), f64::NAN.into(), tag(32, "u")].into(),
        ),
        ("\u{202e}", Value::from(vec![0u8, 255])),
    ]);
    assert_eq!(
        value.to_string(),
        r#"{"quote\"\n": [null, 1.0, NaN, 32("u")], "\u{202e}": h'00ff'}"#
    );
    assert_eq!(Value::Simple(23).to_string(), "undefined");
    assert_eq!(
        BigInt::value(true, &[1; 20]).to_string().get(..6),
        Some("3(h'01")
    );
    let mut deep = Value::Null;
    for _ in 0..400 {
        deep = vec![deep].into();
    }
    assert!(deep.to_string().contains("[...]"));
}

#[test]
fn json_says_what_it_has_words_for() {
    let (common, rest) = samples();
    for value in common {
        let text = serde_json::to_string(&value).expect("json has a word for it");
        assert_eq!(
            serde_json::from_str::<Value>(&text).expect("it is read again"),
            value,
            "{text}"
        );
    }
    for value in rest {
        assert!(serde_json::to_string(&value).is_err(), "{value}");
    }
    assert_eq!(
        serde_json::to_string(&Value::from(u128::MAX)).ok(),
        Some(u128::MAX.to_string())
    );
}

#[test]
fn a_value_is_its_own_value() {
    let (common, rest) = samples();
    for value in common.into_iter().chain(rest) {
        assert_eq!(Value::from_serialize(&value), Ok(value.clone()));
        assert_eq!(value.clone().deserialize_into::<Value>(), Ok(value));
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Kind {
    Plain,
    One(u8),
    Two(u8, String),
    Named { a: Option<i64> },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    kinds: Vec<Kind>,
    map: BTreeMap<u32, f32>,
    wide: i128,
    unit: (),
    pair: (char, bool),
    nested: Value,
    address: IpAddr,
}

#[test]
fn rust_values_come_back() {
    let value = Everything {
        kinds: vec![
            Kind::Plain,
            Kind::One(1),
            Kind::Two(2, "x".into()),
            Kind::Named { a: None },
            Kind::Named { a: Some(-5) },
        ],
        map: BTreeMap::from([(1, 0.5), (2, 1.0)]),
        wide: i128::MIN,
        unit: (),
        pair: ('\u{e9}', true),
        nested: tag(40, Value::Map(vec![(Value::Null, tag(41, 1u8))])),
        address: Ipv4Addr::LOCALHOST.into(),
    };
    let as_value = Value::from_serialize(&value).expect("nothing refuses to be written");
    assert_eq!(
        as_value.get("address").and_then(Value::as_str),
        Some("127.0.0.1")
    );
    assert_eq!(
        as_value.get("kinds").and_then(|kinds| kinds.at(0)),
        Some(&"Plain".into())
    );
    assert_eq!(as_value.get("nested"), Some(&value.nested));
    assert_eq!(as_value.deserialize_into(), Ok(value));
}

#[test]
fn shapes_are_forgiven_where_nothing_is_lost() {
    assert_eq!(Value::from(3u8).deserialize_into(), Ok(3.0f64));
    assert_eq!(
        tag(1, tag(2, "x")).deserialize_into(),
        Ok(String::from("x"))
    );
    assert_eq!(Value::Simple(23).deserialize_into(), Ok(None::<u8>));
    assert_eq!(
        Value::from([("One", 5u8.into())]).deserialize_into(),
        Ok(Kind::One(5))
    );
    assert!(
        Value::from(vec![1u8, 2])
            .deserialize_into::<Vec<u8>>()
            .is_err()
    );
    let named = Value::from([("Named", Value::Array(vec![4u8.into()]))]);
    assert_eq!(named.deserialize_into(), Ok(Kind::Named { a: Some(4) }));
    for wrong in [
        Value::from("One"),
        Value::from([("Plain", 9u8.into())]),
        Value::from([("One", 5u8.into()), ("Two", 6u8.into())]),
        Value::Map(vec![(0u8.into(), Value::Null)]),
        5u8.into(),
    ] {
        assert!(wrong.clone().deserialize_into::<Kind>().is_err(), "{wrong}");
    }
    assert!(
        Value::Array(vec![1u8.into(), 2u8.into(), 3u8.into()])
            .deserialize_into::<(u8, u8)>()
            .is_err()
    );
    assert!(Value::from("x").deserialize_into::<u8>().is_err());
    assert!(Value::from(300u16).deserialize_into::<u8>().is_err());
}
