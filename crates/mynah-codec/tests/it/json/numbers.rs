//! Numbers keep their value or are refused.

use super::{LIMITS, decode, encode, kind};
use mynah_codec::DecodeErrorKind::Shape;
use mynah_codec::Format;
use mynah_codec::format::json;
use mynah_protocol::Value;
use mynah_protocol::value::BigInt;
use proptest::prelude::*;

#[test]
fn integers_at_the_edges() {
    assert_eq!(decode::<u64>("18446744073709551615").unwrap(), u64::MAX);
    assert_eq!(decode::<i64>("-9223372036854775808").unwrap(), i64::MIN);
    assert_eq!(decode::<i64>("9223372036854775807").unwrap(), i64::MAX);
    assert_eq!(
        decode::<u64>("9999999999999999999").unwrap(),
        9_999_999_999_999_999_999
    );
    assert_eq!(decode::<u8>("255").unwrap(), 255);
    assert_eq!(decode::<u128>("18446744073709551616").unwrap(), 1 << 64);
    assert_eq!(decode::<u128>(u128::MAX.to_string()).unwrap(), u128::MAX);
    assert_eq!(decode::<u128>("7").unwrap(), 7);
    assert_eq!(decode::<i128>(i128::MIN.to_string()).unwrap(), i128::MIN);
    assert_eq!(decode::<i128>("-7").unwrap(), -7);
    for refused in [
        kind(decode::<u64>("18446744073709551616")),
        kind(decode::<i64>("9223372036854775808")),
        kind(decode::<i64>("-9223372036854775809")),
        kind(decode::<u8>("256")),
        kind(decode::<u8>("-1")),
        kind(decode::<u128>("340282366920938463463374607431768211456")),
        kind(decode::<i128>("-170141183460469231731687303715884105729")),
    ] {
        assert_eq!(refused, Some(Shape));
    }
}

#[test]
fn a_float_is_no_integer() {
    for input in [
        "1.0",
        "1e2",
        "1E0",
        "0.0",
        "-0",
        "-0.0",
        "100000000000000000000e-2",
    ] {
        assert_eq!(kind(decode::<i64>(input)), Some(Shape), "{input}");
        assert_eq!(kind(decode::<u64>(input)), Some(Shape), "{input}");
        assert!(serde_json::from_str::<i64>(input).is_err(), "{input}");
    }
}

#[test]
fn minus_zero_is_the_float() {
    assert_eq!(decode::<f64>("-0").unwrap().to_bits(), (-0.0_f64).to_bits());
    assert_eq!(
        decode::<f64>("-0.0").unwrap().to_bits(),
        (-0.0_f64).to_bits()
    );
    assert_eq!(
        decode::<f64>("-0e5").unwrap().to_bits(),
        (-0.0_f64).to_bits()
    );
    assert_eq!(decode::<Value>("-0").unwrap(), Value::Float(-0.0));
    assert_eq!(decode::<Value>("0").unwrap(), Value::Uint(0));
    let reference: serde_json::Value = serde_json::from_str("-0").unwrap();
    assert_eq!(decode::<serde_json::Value>("-0").unwrap(), reference);
}

#[test]
fn an_integer_is_a_float_where_one_is_wanted() {
    assert_eq!(decode::<f64>("3").unwrap(), 3.0);
    assert_eq!(decode::<f64>("-3").unwrap(), -3.0);
    assert_eq!(
        decode::<f64>("18446744073709551617").unwrap(),
        18_446_744_073_709_551_617.0
    );
    assert_eq!(
        decode::<f64>(format!("1{}", "0".repeat(300))).unwrap(),
        1e300
    );
    assert_eq!(decode::<f32>("16777217").unwrap(), 16_777_216.0);
}

#[test]
fn wide_integers_in_any_value_are_kept_or_refused() {
    let wide = decode::<Value>("18446744073709551616").unwrap();
    assert_eq!(wide, Value::from(1_u128 << 64));
    assert_eq!(encode(&wide), "18446744073709551616");
    let wide = decode::<Value>("-9223372036854775809").unwrap();
    assert_eq!(encode(&wide), "-9223372036854775809");
    let most = BigInt::MAX_DECIMAL_DIGITS;
    for (minus, len) in [
        ("", 39),
        ("", 40),
        ("-", 40),
        ("-", 77),
        ("", most),
        ("-", most),
    ] {
        for digit in ["9", "1"] {
            let text = format!("{minus}{}", digit.repeat(len));
            assert_eq!(encode(&decode::<Value>(&text).unwrap()), text);
        }
        let round = format!("{minus}1{}", "0".repeat(len - 1));
        assert_eq!(encode(&decode::<Value>(&round).unwrap()), round);
    }
    // The work grows with the square of the length.
    assert_eq!(kind(decode::<Value>("9".repeat(most + 1))), Some(Shape));
    let mut out = Vec::new();
    assert!(
        Format::Json
            .encode(&BigInt::value(false, &[255; 2000]), &mut out)
            .is_err()
    );
    // No Rust type holds so much.
    assert_eq!(kind(decode::<i128>("9".repeat(40))), Some(Shape));
    assert_eq!(
        kind(decode::<serde_json::Value>("18446744073709551616")),
        Some(Shape)
    );
}

#[test]
fn floats_beyond_the_range() {
    for input in ["1e309", "-1e309", "1e99999999999999999999", "[1e400]"] {
        let refused = kind(decode::<Value>(input));
        assert_eq!(refused, Some(Shape), "{input}");
        assert!(serde_json::from_str::<serde_json::Value>(input).is_err());
    }
    assert_eq!(kind(decode::<f32>("1e39")), Some(Shape));
    for input in [
        "1e-400",
        "1e-99999999999999999999",
        "0e99999999999999999999",
    ] {
        assert_eq!(decode::<f64>(input).unwrap(), 0.0, "{input}");
    }
    assert_eq!(decode::<f64>("1.7976931348623157e308").unwrap(), f64::MAX);
    assert_eq!(decode::<f64>("5e-324").unwrap(), f64::from_bits(1));
}

#[test]
fn floats_between_two_others() {
    // The middle between two floats, and a digit to either side of it.
    for input in [
        "9007199254740993",
        "9007199254740993.0",
        "9007199254740992.999999999999",
        "9007199254740993.000000000001",
        "90071992547409930e-1",
        "1.00000000000000011102230246251565404236316680908203125",
        "1.00000000000000011102230246251565404236316680908203124",
        "1.00000000000000011102230246251565404236316680908203126",
        "0.1000000000000000055511151231257827",
        "2.2250738585072011e-308",
        "2.2250738585072014e-308",
        "8.5e15",
        "1e23",
        "9.5e-27",
        "12345678901234567e-22",
        "18446744073709551615e-19",
        "1844674407370955161.5",
    ] {
        let exact: f64 = input.parse().unwrap();
        assert_eq!(
            decode::<f64>(input).unwrap().to_bits(),
            exact.to_bits(),
            "{input}"
        );
    }
}

#[test]
fn floats_that_are_not_finite_have_no_spelling() {
    for float in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut out = Vec::new();
        assert!(json::encode(&[1.0, float], &mut out).is_err());
        assert!(json::encode(&Some(float as f32), &mut out).is_err());
        assert!(json::encode(&Value::Float(float), &mut out).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn every_float_comes_back(bits in any::<u64>()) {
        let float = f64::from_bits(bits);
        prop_assume!(float.is_finite());
        let text = encode(&float);
        prop_assert_eq!(&text, &serde_json::to_string(&float).unwrap());
        prop_assert_eq!(decode::<f64>(&text).unwrap().to_bits(), bits);
    }

    #[test]
    fn every_small_float_comes_back(bits in any::<u32>()) {
        let float = f32::from_bits(bits);
        prop_assume!(float.is_finite());
        let text = encode(&float);
        prop_assert_eq!(&text, &serde_json::to_string(&float).unwrap());
        prop_assert_eq!(decode::<f32>(&text).unwrap().to_bits(), bits);
    }

    #[test]
    fn every_spelling_is_the_nearest_float(
        spelling in "-?(0|[1-9][0-9]{0,21})(\\.[0-9]{1,24})?([eE][-+]?[0-9]{1,3})?"
    ) {
        let nearest: f64 = spelling.parse().unwrap();
        let decoded = decode::<f64>(&spelling);
        if nearest.is_finite() {
            prop_assert_eq!(decoded.unwrap().to_bits(), nearest.to_bits());
        } else {
            prop_assert_eq!(kind(decoded), Some(Shape));
        }
    }

    #[test]
    fn short_decimals_are_the_nearest_float(mantissa in any::<u64>(), places in 0..30_u32) {
        let spelling = format!("{mantissa}e-{places}");
        let nearest: f64 = spelling.parse().unwrap();
        prop_assert_eq!(decode::<f64>(&spelling).unwrap().to_bits(), nearest.to_bits());
    }

    #[test]
    fn every_integer_comes_back(number in any::<i128>(), shift in 0..127_u32) {
        let number = number >> shift;
        prop_assert_eq!(encode(&number), number.to_string());
        prop_assert_eq!(decode::<i128>(number.to_string()).unwrap(), number);
        prop_assert_eq!(decode::<i64>(number.to_string()).ok(), i64::try_from(number).ok());
        prop_assert_eq!(decode::<u64>(number.to_string()).ok(), u64::try_from(number).ok());
        let any: Value = json::decode(number.to_string().as_bytes(), &LIMITS).unwrap();
        prop_assert_eq!(encode(&any), number.to_string());
    }
}
