//! The order in which JavaScript's `localeCompare` puts the names that clamator allows.

use std::cmp::Ordering;

/// By what is written, without regard to capitals; of two that differ in capitals only, the one comes first that has the
/// small letter where they first differ. A hyphen comes before digits, and digits before letters, as in ICU's root
/// collation; names have nothing else.
pub(super) fn compare(one: &str, other: &str) -> Ordering {
    let primary = |name: &str| -> Vec<(u8, u8)> {
        let class = |byte: u8| match byte {
            b'0'..=b'9' => 1,
            byte if byte.is_ascii_alphabetic() => 2,
            _ => 0,
        };
        name.bytes()
            .map(|byte| (class(byte), byte.to_ascii_lowercase()))
            .collect()
    };
    let capitals =
        |name: &str| -> Vec<bool> { name.bytes().map(|byte| byte.is_ascii_uppercase()).collect() };
    primary(one)
        .cmp(&primary(other))
        .then_with(|| capitals(one).cmp(&capitals(other)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_of_the_generator() {
        let order = [
            "a-b", "a1", "a10", "a2", "ab", "aB", "Ab", "add", "adda", "addB", "b",
        ];
        for (place, name) in order.iter().enumerate() {
            for later in &order[place + 1..] {
                assert_eq!(compare(name, later), Ordering::Less, "{name} {later}");
                assert_eq!(compare(later, name), Ordering::Greater, "{name} {later}");
            }
        }
    }
}
