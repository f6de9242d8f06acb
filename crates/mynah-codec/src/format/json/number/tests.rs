use super::*;

#[test]
fn reciprocals_are_truncated_and_full() {
    for (places, (reciprocal, k)) in (0..).zip(RECIPROCALS) {
        let power = 5_u128.pow(places);
        assert_eq!(reciprocal >> 63, 1, "{places}");
        // reciprocal * power <= 2^k < (reciprocal + 1) * power, in 128 bits.
        let product = u128::from(reciprocal) * power;
        assert!(
            product <= 1 << k && 1_u128 << k < product + power,
            "{places}"
        );
    }
}

#[test]
fn up_to_eight_digits_at_once() {
    for number in [
        0_u64, 1, 9, 12_345_678, 87_654_321, 99_999_999, 10_000_000, 90_909_090,
    ] {
        for len in 0..=8 {
            let digits = format!("{number:08}");
            let digits = digits.get(..len).unwrap();
            for behind in 0..=255_u8 {
                let mut bytes = digits.as_bytes().to_vec();
                bytes.resize(9, behind);
                let digits = bytes
                    .iter()
                    .take_while(|byte| byte.is_ascii_digit())
                    .count();
                let expected = bytes[..digits]
                    .iter()
                    .fold(7, |n, byte| n * 10 + u64::from(byte - b'0'));
                let mut mantissa = 7;
                assert_eq!(many_digits(&bytes, 0, &mut mantissa), digits);
                assert_eq!(mantissa, expected, "{bytes:?}");
            }
        }
    }
}

#[test]
fn the_product_tells_or_leaves_it() {
    let mut state = 1_u64;
    let mut told = 0;
    for _ in 0..100_000 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let mantissa = state | 1 << 60;
        let places = (state >> 7) % 28;
        if let Some(float) = divide(mantissa, usize::try_from(places).unwrap()) {
            let exact: f64 = format!("{mantissa}e-{places}").parse().unwrap();
            assert_eq!(float.to_bits(), exact.to_bits(), "{mantissa}e-{places}");
            told += 1;
        }
    }
    assert!(told > 99_000, "{told}");
}

/// Zeros and points behind a number do not belong to it, however many they are.
#[test]
fn what_stands_behind_a_number_is_not_counted() {
    for number in ["0.0000000000000000000", "0.00000000000000000001"] {
        for behind in ["", ".0", ".0900000.0974", "...0000", ",0.0"] {
            let text = format!("{number}{behind}");
            let spelling = spelling(text.as_bytes(), 0).unwrap();
            assert_eq!(spelling.end, number.len(), "{text}");
            assert!(!spelling.long, "{text}");
        }
    }
    let long = spelling(b"0.123456789012345678901", 0).unwrap();
    assert!(long.long);
}
