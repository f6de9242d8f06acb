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
fn eight_digits_at_once() {
    for number in [
        0, 1, 9, 12_345_678, 87_654_321, 99_999_999, 10_000_000, 90_909_090,
    ] {
        let spelled: [u8; 8] = format!("{number:08}").into_bytes().try_into().unwrap();
        let word = u64::from_le_bytes(spelled);
        assert!(all_digits(word));
        assert_eq!(eight_digits(word), number);
        for at in 0..8 {
            for byte in 0..=255_u8 {
                let mut changed = spelled;
                changed[at] = byte;
                assert_eq!(
                    all_digits(u64::from_le_bytes(changed)),
                    byte.is_ascii_digit()
                );
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
