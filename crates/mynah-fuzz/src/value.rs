//! What values of any shape hold true from one format to another.

use mynah_codec::format::json::NonFinite;
use mynah_codec::{DecodeErrorKind, Format};
use mynah_protocol::value::BigInt;
use mynah_protocol::{DecodeLimits, Value};

const FORMATS: [Format; 6] = [
    Format::Cbor,
    Format::Json,
    Format::MessagePack,
    Format::NativeJson,
    Format::PythonJson,
    Format::PythonText(NonFinite::Tokens),
];

/// A value comes whole from one format into another, or it is an error that could be foreseen.
///
/// The first byte says in which format the rest is.
pub fn value_conversion(bytes: &[u8]) {
    let Some((choice, bytes)) = bytes.split_first() else {
        return;
    };
    let from = FORMATS[usize::from(*choice) % FORMATS.len()];
    let limits = DecodeLimits::DEFAULT;
    let Ok(value) = from.decode::<Value>(bytes, &limits) else {
        return;
    };
    let same_again = Value::from_serialize(&value);
    assert!(
        same_again.is_ok_and(|again| same(&value, &again)),
        "{value}"
    );
    let same_again = value.clone().deserialize_into::<Value>();
    assert!(
        same_again.is_ok_and(|again| same(&value, &again)),
        "{value}"
    );
    assert!(!value.to_string().contains('\n'), "on one line");

    for to in FORMATS {
        let mut written = vec![7];
        let encoded = to.encode(&value, &mut written);
        assert_eq!(encoded.is_ok(), has_word(to, &value), "{to:?}: {encoded:?}");
        if encoded.is_err() {
            assert_eq!(written, [7], "a part is left");
            continue;
        }
        match to.decode::<Value>(&written[1..], &limits) {
            Ok(again) => assert!(same(&value, &again), "{to:?}: {value} became {again}"),
            Err(error) => assert!(is_known(to, error.kind()), "{to:?}: {value}: {error}"),
        }
    }
}

/// What may be refused of what was written: two spellings of one key become one value, and bytes in JSON are an
/// object, one level deeper.
fn is_known(to: Format, kind: DecodeErrorKind) -> bool {
    kind == DecodeErrorKind::DuplicateKey
        || matches!(to, Format::NativeJson) && kind == DecodeErrorKind::TooDeep
}

/// Whether a format can say a value.
fn has_word(to: Format, value: &Value) -> bool {
    let is_json = !matches!(to, Format::Cbor | Format::MessagePack);
    match value {
        Value::Null | Value::Bool(_) | Value::Uint(_) | Value::Int(_) | Value::Text(_) => true,
        Value::Float(float) => !is_json || matches!(to, Format::PythonText(_)) || float.is_finite(),
        Value::Big(big) => match to {
            Format::Cbor => true,
            Format::MessagePack => false,
            _ => is_short(big),
        },
        Value::Bytes(_) => !is_json || matches!(to, Format::NativeJson),
        Value::Array(elements) => elements.iter().all(|element| has_word(to, element)),
        Value::Map(entries) => entries.iter().all(|(key, value)| {
            let key = match key {
                Value::Text(text) if matches!(to, Format::NativeJson) => text != "$bytes",
                Value::Text(_) => true,
                key => !is_json && has_word(to, key),
            };
            key && has_word(to, value)
        }),
        Value::Tag(_, content) => matches!(to, Format::Cbor) && has_word(to, content),
        Value::Simple(_) => matches!(to, Format::Cbor),
        Value::Ext(..) => matches!(to, Format::MessagePack),
        other => panic!("a variant that this target does not know: {other}"),
    }
}

/// Whether an integer has no more digits in decimal than are written.
fn is_short(big: &BigInt) -> bool {
    big.digits().len() < BigInt::MAX_DECIMAL_DIGITS * 10 / 25 || big.to_decimal().is_some()
}

/// Whether two values are one. A float that is not a number is one.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Float(one), Value::Float(other)) => {
            one.to_bits() == other.to_bits() || one.is_nan() && other.is_nan()
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Map(one), Value::Map(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|((key, value), (key2, value2))| same(key, key2) && same(value, value2))
        }
        (Value::Tag(number, one), Value::Tag(number2, other)) => {
            number == number2 && same(one, other)
        }
        _ => one == other,
    }
}
