//! Values of any shape from one format to another: they come whole, or it is an error that can be foreseen.

#![allow(
    clippy::expect_used,
    reason = "the helpers of tests fail as the tests do"
)]

use mynah_codec::format::json::NonFinite;
use mynah_codec::{DecodeErrorKind, EncodeError, Format};
use mynah_protocol::value::BigInt;
use mynah_protocol::{DecodeLimits, Value};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeSet;

const LIMITS: DecodeLimits = DecodeLimits::DEFAULT;
const FORMATS: [Format; 6] = [
    Format::Cbor,
    Format::Json,
    Format::MessagePack,
    Format::NativeJson,
    Format::PythonJson,
    Format::PythonText(NonFinite::Tokens),
];

fn encoded(format: Format, value: &Value) -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::new();
    format.encode(value, &mut out).map(|()| out)
}

fn through(format: Format, value: &Value) -> Value {
    let bytes = encoded(format, value).expect("it has a spelling");
    format.decode(&bytes, &LIMITS).expect("what was written")
}

fn is_json(format: Format) -> bool {
    !matches!(format, Format::Cbor | Format::MessagePack)
}

/// Everything that any of the formats can say.
fn values() -> impl Strategy<Value = Value> {
    let scalars = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (any::<u64>(), 0..64_u32).prop_map(|(n, shift)| Value::Uint(n >> shift)),
        (any::<i64>(), 0..64_u32).prop_map(|(n, shift)| Value::from((n >> shift).min(-1))),
        (any::<bool>(), vec(any::<u8>(), 0..80))
            .prop_map(|(negative, digits)| BigInt::value(negative, &digits)),
        any::<f64>().prop_map(Value::Float),
        any::<u64>().prop_map(|bits| Value::Float(f64::from_bits(bits))),
        prop_oneof![
            Just(f64::NAN),
            Just(-f64::NAN),
            Just(f64::INFINITY),
            Just(f64::NEG_INFINITY),
            Just(-0.0),
            Just(5.0),
        ]
        .prop_map(Value::Float),
        ".{0,12}".prop_map(Value::Text),
        vec(any::<u8>(), 0..40).prop_map(Value::Bytes),
        prop_oneof![0..20_u8, 23..24_u8, 32..=255_u8].prop_map(Value::Simple),
        (any::<i8>(), vec(any::<u8>(), 0..40))
            .prop_map(|(number, content)| Value::Ext(number, content)),
    ];
    scalars.prop_recursive(4, 40, 8, |inner| {
        let keys = prop_oneof![3 => ".{0,6}".prop_map(Value::Text), 1 => inner.clone()];
        prop_oneof![
            vec(inner.clone(), 0..8).prop_map(Value::Array),
            vec((keys, inner.clone()), 0..8).prop_map(|entries| {
                let mut seen = BTreeSet::new();
                let new = |(key, _): &(Value, Value)| seen.insert(key.to_string());
                Value::Map(entries.into_iter().filter(new).collect())
            }),
            (4..300_u64, inner).prop_map(|(tag, content)| Value::Tag(tag, Box::new(content))),
        ]
    })
}

/// Whether a format can say a value: what the table at [`Value`] says.
fn has_word(format: Format, value: &Value) -> bool {
    match value {
        Value::Float(float) => {
            !is_json(format) || matches!(format, Format::PythonText(_)) || float.is_finite()
        }
        Value::Big(_) => !matches!(format, Format::MessagePack),
        Value::Bytes(_) => !is_json(format) || matches!(format, Format::NativeJson),
        Value::Array(elements) => elements.iter().all(|element| has_word(format, element)),
        Value::Map(entries) => entries.iter().all(|(key, value)| {
            let key = key.as_str().is_some() || !is_json(format) && has_word(format, key);
            key && has_word(format, value)
        }),
        Value::Tag(_, content) => matches!(format, Format::Cbor) && has_word(format, content),
        Value::Simple(_) => matches!(format, Format::Cbor),
        Value::Ext(..) => matches!(format, Format::MessagePack),
        _ => true,
    }
}

#[test]
fn what_a_format_has_no_word_for_is_an_error() {
    let tag = |content| Value::Tag(1, Box::new(content));
    for (format, value, part) in [
        (Format::MessagePack, tag(5.into()), "no tags"),
        (Format::MessagePack, vec![tag("x".into())].into(), "no tags"),
        (Format::MessagePack, Value::from(1_u128 << 64), "64 bits"),
        (
            Format::MessagePack,
            Value::from(i128::from(i64::MIN) - 1),
            "64 bits",
        ),
        (
            Format::MessagePack,
            BigInt::value(true, &[1; 40]),
            "no tags",
        ),
        (Format::MessagePack, Value::Simple(23), "undefined"),
        (Format::MessagePack, Value::Simple(0), "undefined"),
        (Format::Json, tag(5.into()), "no tags"),
        (Format::Json, Value::Simple(23), "undefined"),
        (Format::Json, Value::Bytes(vec![1]), "bytes"),
        (Format::Json, f64::NAN.into(), "not finite"),
        (Format::PythonJson, f64::NAN.into(), "not finite"),
        (Format::Json, Value::Ext(1, vec![]), "extension"),
        (Format::NativeJson, Value::Ext(1, vec![]), "extension"),
        (
            Format::Json,
            Value::Map(vec![(1_u8.into(), Value::Null)]),
            "no keys",
        ),
        (
            Format::NativeJson,
            Value::from([("$bytes", Value::Null)]),
            "$bytes",
        ),
        (Format::Cbor, Value::Ext(-1, vec![0; 4]), "extension"),
    ] {
        // What is there on an error is as it was before.
        let mut out = vec![7];
        let value = Value::Array(vec![1.into(), value]);
        let error = format.encode(&value, &mut out).expect_err("no word");
        assert!(error.to_string().contains(part), "{value}: {error}");
        assert_eq!(out, [7], "{value}");
    }
}

/// Timestamps are an extension type like any other: nobody is asked what they mean.
#[test]
fn a_timestamp_of_messagepack_is_kept() {
    let bytes = [0xd6, 0xff, 0, 0, 0, 1];
    let value: Value = Format::MessagePack.decode(&bytes, &LIMITS).unwrap();
    assert_eq!(value.as_ext(), Some((-1, &[0, 0, 0, 1][..])));
    assert_eq!(encoded(Format::MessagePack, &value).unwrap(), bytes);
    assert_eq!(value.to_string(), "ext(-1, h'00000001')");
    // A Rust type has no word for it.
    let error = Format::MessagePack
        .decode::<u32>(&bytes, &LIMITS)
        .unwrap_err();
    assert_eq!(error.kind(), DecodeErrorKind::Shape);
    assert!(value.deserialize_into::<u32>().is_err());
}

/// Python's JSON is read with its words for what is not finite, and CBOR and MessagePack write them.
#[test]
fn what_is_not_finite_comes_from_python() {
    let value: Value = Format::PythonJson
        .decode(b"[NaN,Infinity,-Infinity]", &LIMITS)
        .unwrap();
    for format in [Format::Cbor, Format::MessagePack] {
        assert_eq!(
            through(format, &value).to_string(),
            "[NaN, Infinity, -Infinity]"
        );
    }
}

proptest! {
    #[test]
    fn it_comes_whole_or_it_is_an_error(value in values()) {
        for format in FORMATS {
            let written = encoded(format, &value);
            prop_assert_eq!(written.is_ok(), has_word(format, &value), "{:?} {:?}", format, written);
            if written.is_ok() {
                // As text, for which a float that is not a number is equal to itself.
                prop_assert_eq!(through(format, &value).to_string(), value.to_string(), "{:?}", format);
            }
        }
        let by_serde = Value::from_serialize(&value).expect("its own value");
        prop_assert_eq!(by_serde.to_string(), value.to_string());
        let by_serde: Value = value.clone().deserialize_into().expect("its own value");
        prop_assert_eq!(by_serde.to_string(), value.to_string());
    }

    /// ciborium has no simple values and no extension types; all else it reads as we do.
    #[test]
    fn ciborium_reads_what_is_written(value in values()) {
        let Ok(bytes) = encoded(Format::Cbor, &value) else { return Ok(()) };
        if value.to_string().contains("simple(") || value.to_string().contains("undefined") {
            return Ok(());
        }
        let theirs: ciborium::Value = match ciborium::from_reader(&bytes[..]) {
            Ok(theirs) => theirs,
            // It has integers of 128 bits at most.
            Err(ciborium::de::Error::Semantic(_, text)) => {
                prop_assert_eq!(text, "integer too large");
                let big = format!("{value:?}").contains("BigInt");
                prop_assert!(big);
                return Ok(());
            }
            Err(error) => panic!("well-formed, but {error}"),
        };
        let mut again = Vec::new();
        ciborium::into_writer(&theirs, &mut again).expect("into memory");
        let read: Value = Format::Cbor.decode(&again, &LIMITS).expect("well-formed");
        prop_assert_eq!(read.to_string(), value.to_string());
    }

    #[test]
    fn rmpv_reads_what_is_written(value in values()) {
        let Ok(bytes) = encoded(Format::MessagePack, &value) else { return Ok(()) };
        let theirs = rmpv::decode::read_value(&mut &bytes[..]).expect("well-formed");
        let mut again = Vec::new();
        rmpv::encode::write_value(&mut again, &theirs).expect("into memory");
        prop_assert_eq!(again, bytes);
    }

    /// serde_json keeps integers of 64 bits and, as it is built here, floats to one unit in the last place; the rest of
    /// JSON is the same for both.
    #[test]
    fn serde_json_reads_what_is_written(value in values()) {
        let Ok(bytes) = encoded(Format::Json, &value) else { return Ok(()) };
        let theirs: serde_json::Value = match serde_json::from_slice(&bytes) {
            Ok(theirs) => theirs,
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        };
        let shown = format!("{value:?}");
        if shown.contains("Big(") || shown.contains("Float(") {
            return Ok(());
        }
        let again: Value = Format::Json.decode(theirs.to_string().as_bytes(), &LIMITS).unwrap();
        // Objects have no order for it.
        prop_assert_eq!(sorted(&again).to_string(), sorted(&value).to_string());
    }
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(elements) => elements.iter().map(sorted).collect(),
        Value::Map(entries) => {
            let mut entries: Vec<_> = entries
                .iter()
                .map(|(key, value)| (key.clone(), sorted(value)))
                .collect();
            entries.sort_by_key(|(key, _)| key.to_string());
            Value::Map(entries)
        }
        other => other.clone(),
    }
}
