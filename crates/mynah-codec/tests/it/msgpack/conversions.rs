//! From one format to another by `Value`: nothing is lost, or it is an error.

use super::differential::values;
use super::{LIMITS, hex};
use mynah_codec::{DecodeErrorKind, EncodeError, Format};
use mynah_protocol::Value;
use mynah_protocol::value::BigInt;
use proptest::prelude::*;

fn encoded(format: Format, value: &Value) -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::new();
    format.encode(value, &mut out).map(|()| out)
}

fn through(format: Format, value: &Value) -> Value {
    let bytes = encoded(format, value).expect("it has a spelling");
    format.decode(&bytes, &LIMITS).expect("what was written")
}

#[test]
fn what_messagepack_has_no_word_for_is_an_error() {
    for (value, part) in [
        (Value::Tag(1, Box::new(Value::from(5))), "no tags"),
        (
            Value::Array(vec![Value::Tag(32, Box::new("x".into()))]),
            "no tags",
        ),
        (Value::from(1u128 << 64), "64 bits"),
        (Value::from(i128::from(i64::MIN) - 1), "64 bits"),
        (BigInt::value(true, &[1; 40]), "no tags"),
    ] {
        assert!(encoded(Format::Cbor, &value).is_ok(), "{value}");
        let error = encoded(Format::MessagePack, &value).expect_err("no spelling");
        assert!(error.to_string().contains(part), "{value}: {error}");
    }
    // As in JSON, a simple value of CBOR is nothing.
    for number in [0, 23, 255] {
        let value = Value::Simple(number);
        assert_eq!(through(Format::MessagePack, &value), Value::Null);
        assert_eq!(through(Format::Json, &value), Value::Null);
    }
    // The other way round: what is on an error is as it was before.
    let mut out = vec![7];
    let value = Value::Array(vec![1.into(), Value::Tag(1, Box::new(Value::Null))]);
    assert!(Format::MessagePack.encode(&value, &mut out).is_err());
    assert_eq!(out, [7]);
}

#[test]
fn what_a_value_has_no_word_for_is_an_error() {
    let timestamp = hex("d6ff00000001");
    let error = Format::MessagePack
        .decode::<Value>(&timestamp, &LIMITS)
        .expect_err("an extension");
    assert_eq!(error.kind(), DecodeErrorKind::Shape);
    assert!(error.to_string().contains("extension"), "{error}");
}

proptest! {
    #[test]
    fn cbor_and_messagepack_say_the_same(value in values()) {
        let packed = through(Format::MessagePack, &value);
        let cbor = through(Format::Cbor, &packed);
        prop_assert_eq!(through(Format::MessagePack, &cbor).to_string(), value.to_string());
    }

    #[test]
    fn what_json_can_say_comes_back_from_messagepack(value in values()) {
        let Ok(json) = encoded(Format::Json, &value) else { return Ok(()) };
        let value: Value = Format::Json.decode(&json, &LIMITS).expect("what was written");
        let packed = through(Format::MessagePack, &value);
        prop_assert_eq!(encoded(Format::Json, &packed), Ok(json));
    }
}
