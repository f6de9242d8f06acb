//! The JSON of foreign dialects.

use super::{LIMITS, kind};
use mynah_codec::DecodeErrorKind::{Malformed, Shape, Trailing, Truncated};
use mynah_codec::format::json::{self, NonFinite, Options, Scan, Scanner};
use mynah_protocol::Value;
use serde::de::{DeserializeOwned, IgnoredAny};

fn python<T: DeserializeOwned>(input: &str) -> Result<T, mynah_codec::DecodeError> {
    json::decode_with(input.as_bytes(), &LIMITS, Options::PYTHON)
}

#[test]
fn python_spells_what_is_not_finite() {
    let mut out = Vec::new();
    let floats = (
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f32::INFINITY,
        1.5,
    );
    json::encode_with(&floats, &mut out, Options::PYTHON).unwrap();
    assert_eq!(out, b"[NaN,Infinity,-Infinity,Infinity,1.5]");
    let back: (f64, f64, f64, f32, f64) = python("[NaN,Infinity,-Infinity,Infinity,1.5]").unwrap();
    assert!(back.0.is_nan());
    assert_eq!(
        (back.1, back.2, back.3, back.4),
        (floats.1, floats.2, floats.3, floats.4)
    );
    assert_eq!(
        python::<Value>("-Infinity").unwrap(),
        Value::Float(f64::NEG_INFINITY)
    );
    assert!(python::<f32>(" NaN ").unwrap().is_nan());
    assert_eq!(
        python::<Option<f64>>("Infinity").unwrap(),
        Some(f64::INFINITY)
    );
    assert_eq!(python::<f64>("-1.5").unwrap(), -1.5);
}

#[test]
fn all_ways_agree_on_tokens() {
    for (input, expected) in [
        ("NaN", None),
        ("[-Infinity, Infinity,NaN]", None),
        ("{\"a\":-Infinity}", None),
        ("-NaN", Some(Malformed)),
        ("+Infinity", Some(Malformed)),
        ("nan", Some(Malformed)),
        ("Inf ", Some(Malformed)),
        ("-Inf", Some(Truncated)),
        ("Na", Some(Truncated)),
        ("NaNs", Some(Trailing)),
        ("Infinity1", Some(Trailing)),
        ("-", Some(Truncated)),
        ("- Infinity", Some(Malformed)),
    ] {
        let bytes = input.as_bytes();
        assert_eq!(kind(python::<Value>(input)), expected, "{input}");
        assert_eq!(kind(python::<IgnoredAny>(input)), expected, "{input}");
        assert_eq!(
            kind(json::scan_with(bytes, &LIMITS, Options::PYTHON)),
            expected,
            "{input}"
        );
        assert!(json::scan(bytes, &LIMITS).is_err(), "{input}");
    }
    let mut scanner = Scanner::with_options(&LIMITS, Options::PYTHON);
    assert_eq!(scanner.advance(b"-Infini"), Ok(Scan::Need(2)));
    assert_eq!(scanner.advance(b"-Infinity"), Ok(Scan::Done(9)));
}

#[test]
fn tokens_are_floats_and_nothing_else() {
    assert_eq!(kind(python::<i64>("NaN")), Some(Shape));
    assert_eq!(kind(python::<String>("Infinity")), Some(Shape));
    assert_eq!(kind(python::<bool>("-Infinity")), Some(Shape));
    assert_eq!(kind(python::<i64>("-Infinity")), Some(Shape));
    assert_eq!(Options::default(), Options::STRICT);
    assert_eq!(Options::STRICT.non_finite, NonFinite::Refuse);
}
