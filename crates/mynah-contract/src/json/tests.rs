use super::*;

fn check(value: f64, expected: &str) {
    assert_eq!(float(value), expected, "{value:e}");
}

#[test]
fn floats_are_written_as_ecmascript_writes_them() {
    check(0.0, "0");
    check(-0.0, "0");
    check(1.0, "1");
    check(-1.5, "-1.5");
    check(123.456, "123.456");
    check(0.1, "0.1");
    check(1e20, "100000000000000000000");
    check(1e21, "1e+21");
    check(1.5e300, "1.5e+300");
    check(123_456_789_012_345_680_000.0, "123456789012345680000");
    check(1e-6, "0.000001");
    check(1.25e-6, "0.00000125");
    check(1e-7, "1e-7");
    check(5e-324, "5e-324");
    check(f64::MAX, "1.7976931348623157e+308");
    check(9_007_199_254_740_993.0, "9007199254740992");
}

#[test]
fn text_is_escaped_as_javascript_escapes_it() {
    let text = Value::from("\"\\/\u{8}\t\n\u{c}\r\u{0}\u{1f}\u{7f}\u{2028}é😀");
    assert_eq!(
        compact(&text),
        "\"\\\"\\\\/\\b\\t\\n\\f\\r\\u0000\\u001f\u{7f}\u{2028}é😀\""
    );
}

#[test]
fn lines_are_those_of_stringify_with_two_spaces() {
    let value = parse(r#"{"b":[1,{"x":null}],"a":{},"c":[]}"#).unwrap();
    assert_eq!(
        pretty(&value),
        "{\n  \"b\": [\n    1,\n    {\n      \"x\": null\n    }\n  ],\n  \"a\": {},\n  \"c\": []\n}"
    );
    assert_eq!(compact(&value), r#"{"b":[1,{"x":null}],"a":{},"c":[]}"#);
    assert_eq!(
        compact(&sorted(&value)),
        r#"{"a":{},"b":[1,{"x":null}],"c":[]}"#
    );
}

#[test]
fn numbers_are_read_to_the_last_bit() {
    for text in [
        "123456789012345680000",
        "0.1",
        "5e-324",
        "1.7976931348623157e+308",
        "2.2250738585072014e-308",
    ] {
        assert_eq!(compact(&parse(text).unwrap()), text);
    }
}

#[test]
fn what_is_settled_is_read_again_as_it_is() {
    let big = |text: &str| Value::from_serialize(&text.parse::<u128>().unwrap()).unwrap();
    for value in [
        Value::Float(30.0),
        Value::Float(-0.0),
        Value::Float(-7.0),
        Value::Float(0.5),
        Value::Float(9_007_199_254_740_994.0),
        Value::Float(9_223_372_036_854_775_808.0),
        Value::Float(18_446_744_073_709_551_616.0),
        Value::Float(-9_223_372_036_854_775_808.0),
        Value::Float(1e20),
        Value::Float(1e300),
        Value::Uint(u64::MAX),
        Value::Int(i64::MIN),
        big("18446744073709551617"),
        big("340282366920938463463374607431768211455"),
    ] {
        let settled = settled(value.clone());
        assert_eq!(parse(&compact(&settled)).unwrap(), settled, "{value:?}");
    }
    let nested = settled(Value::from([("a", Value::Array(vec![Value::Float(1.0)]))]));
    assert_eq!(nested, parse(r#"{"a":[1]}"#).unwrap());
}

#[test]
fn what_is_no_json_or_twice_there_is_refused() {
    assert!(matches!(parse("{"), Err(ContractError::Json(_))));
    assert!(matches!(parse("[1] 2"), Err(ContractError::Json(_))));
    assert!(matches!(
        parse(&"[".repeat(100_000)),
        Err(ContractError::Json(_))
    ));
    let twice = parse(r#"{"a":1,"b":{"c":1,"c":2}}"#);
    assert!(matches!(twice, Err(ContractError::Duplicate { name, .. }) if name == "c"));
    let long = " ".repeat(MAX_TEXT_BYTES + 1);
    assert!(matches!(parse(&long), Err(ContractError::TooLarge { .. })));
}
