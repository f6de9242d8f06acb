//! A key twice in one object.

use super::{LAST_WINS, LIMITS, decode, kind, verdict};
use mynah_codec::DecodeErrorKind::{DuplicateKey, Shape};
use mynah_codec::format::json;
use mynah_protocol::Value;
use proptest::prelude::*;
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};

#[derive(Debug, Deserialize, PartialEq)]
struct Point {
    x: i32,
    y: i32,
}

#[test]
fn is_refused_at_every_level() {
    for input in [
        r#"{"a":1,"a":1}"#,
        r#"{"":1,"":2}"#,
        r#"[{"a":1,"b":{"c":1,"d":2,"c":3}}]"#,
        r#"{"a":{"x":1},"b":{"x":1},"a":0}"#,
        r#"{"a":1,"\u0061":2}"#,
        r#"{"\u0061":1,"a":2}"#,
        r#"{"\u0061":1,"\u0061":2}"#,
        r#"{"\n":1,"\u000A":2}"#,
        r#"{"🦜":1,"\ud83e\udd9c":2}"#,
        r#"{"\ud83e\udd9c":1,"b":2,"\uD83E\uDD9C":3}"#,
        r#"{"/":1,"\/":2}"#,
        r#"{"1":0,"2":0,"3":0,"4":0,"5":0,"6":0,"7":0,"8":0,"8":0}"#,
        r#"{"1":0,"2":0,"3":0,"4":0,"5":0,"6":0,"7":0,"8":0,"9":0,"1":0}"#,
        r#"{"1":0,"2":0,"3":0,"4":0,"5":0,"6":0,"7":0,"8":0,"9":0,"10":0,"\u0039":0}"#,
        r#"{"\u0031":0,"2":0,"3":0,"4":0,"5":0,"6":0,"7":0,"8":0,"9":0,"10":0,"1":0}"#,
    ] {
        assert_eq!(
            verdict(input.as_bytes(), &LIMITS),
            Some(DuplicateKey),
            "{input}"
        );
        assert_eq!(verdict(input.as_bytes(), &LAST_WINS), None, "{input}");
    }
}

#[test]
fn the_same_key_in_different_objects_is_fine() {
    for input in [
        r#"{"a":{"a":{"a":1}},"b":{"a":1}}"#,
        r#"[{"a":1},{"a":1},{"a":1}]"#,
        r#"{"a":1,"A":1,"a ":1," a":1,"aa":1}"#,
        r#"{"a\\":1,"a\\\\":2}"#,
        r#"{"\u0022":0,"":1}"#,
        r#"{"":0,"\u0000":1}"#,
        r#"{"1":{"1":0,"2":0,"3":0,"4":0,"5":0,"6":0,"7":0,"8":0,"9":0},"2":{"1":0},"3":1}"#,
    ] {
        assert_eq!(verdict(input.as_bytes(), &LIMITS), None, "{input}");
    }
}

#[test]
fn is_refused_in_structs_and_in_what_they_ignore() {
    for input in [
        r#"{"x":1,"y":2,"x":3}"#,
        r#"{"x":1,"z":1,"z":2,"y":2}"#,
        r#"{"x":1,"y":2,"z":{"a":1,"a":2}}"#,
        r#"{"x":1,"y":2,"z":[[{"a":1,"a":2}]]}"#,
    ] {
        assert_eq!(kind(decode::<Point>(input)), Some(DuplicateKey), "{input}");
    }
    assert_eq!(
        decode::<Point>(r#"{"x":1,"z":{"x":1},"y":2}"#).unwrap(),
        Point { x: 1, y: 2 }
    );
}

#[test]
fn the_last_one_wins_where_the_limits_say_so() {
    let last = |input: &str| json::decode::<Point>(input.as_bytes(), &LAST_WINS);
    assert_eq!(
        last(r#"{"x":1,"y":2,"x":3}"#).unwrap(),
        Point { x: 3, y: 2 }
    );
    assert_eq!(
        last(r#" {"x":1,"y":2,"x":3,"x":4,"y":5}"#).unwrap(),
        Point { x: 4, y: 5 }
    );
    assert_eq!(
        last(r#"{"x":"no","y":2,"\u0078":3}"#).unwrap_err().kind(),
        Shape
    );
    assert_eq!(
        last(r#"{"y":2,"x":{"a":[1,{"a":1}]},"x":3}"#)
            .unwrap_err()
            .kind(),
        Shape
    );
    assert_eq!(
        last(r#"{"z":1,"z":2,"x":1,"y":2,"z":3}"#).unwrap(),
        Point { x: 1, y: 2 }
    );
    assert_eq!(
        last(r#"{"z":{"a":1,"a":1},"x":1,"y":2}"#).unwrap(),
        Point { x: 1, y: 2 }
    );
    let nested = r#"[{"x":1,"x":2,"y":0},{"y":1,"x":2,"x":3,"y":4}]"#;
    let points: Vec<Point> = json::decode(nested.as_bytes(), &LAST_WINS).unwrap();
    assert_eq!(points, [Point { x: 2, y: 0 }, Point { x: 3, y: 4 }]);
    let any: Value = json::decode(br#"{"a":{"b":1},"c":2,"a":{"d":1,"d":3}}"#, &LAST_WINS).unwrap();
    let entry = |key: &str, value| (Value::from(key), value);
    let inner = Value::Map(vec![entry("d", Value::Uint(3))]);
    assert_eq!(
        any,
        Value::Map(vec![entry("c", Value::Uint(2)), entry("a", inner)])
    );
}

#[test]
fn many_keys_are_told_apart() {
    let object = |keys: &[String]| {
        let entries: Vec<_> = keys.iter().map(|key| format!("\"{key}\":0")).collect();
        format!("{{{}}}", entries.join(","))
    };
    let mut keys: Vec<_> = (0..3_000).map(|number| format!("k{number}")).collect();
    assert_eq!(verdict(object(&keys).as_bytes(), &LIMITS), None);
    for twin in [0, 7, 8, 9, 500, 2_998] {
        keys[2_999] = format!("k{twin}");
        assert_eq!(
            verdict(object(&keys).as_bytes(), &LIMITS),
            Some(DuplicateKey),
            "{twin}"
        );
        keys[2_999] = format!("\\u006b{twin}");
        assert_eq!(
            verdict(object(&keys).as_bytes(), &LIMITS),
            Some(DuplicateKey),
            "{twin}"
        );
    }
}

proptest! {
    #[test]
    fn is_found_wherever_it_is(keys in prop::collection::vec("[ab\\\\\"é]{0,3}", 0..40)) {
        let distinct = keys.iter().collect::<HashSet<_>>().len() == keys.len();
        let entries: Vec<_> = keys
            .iter()
            .enumerate()
            .map(|(at, key)| {
                let spelled = if at % 3 == 0 {
                    let units: Vec<_> =
                        key.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
                    format!("\"{}\"", units.concat())
                } else {
                    serde_json::to_string(key).unwrap()
                };
                format!("{spelled}:{at}")
            })
            .collect();
        let input = format!("{{{}}}", entries.join(","));
        let expected = (!distinct).then_some(DuplicateKey);
        prop_assert_eq!(verdict(input.as_bytes(), &LIMITS), expected);
        let last: BTreeMap<String, usize> = json::decode(input.as_bytes(), &LAST_WINS).unwrap();
        let reference: BTreeMap<String, usize> = keys.into_iter().zip(0..).collect();
        prop_assert_eq!(last, reference);
    }
}
