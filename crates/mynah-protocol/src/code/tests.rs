use super::*;
use alloc::format;

#[test]
fn every_code_of_the_table_is_reserved_and_complete() {
    for code in ErrorCode::ALL {
        assert!(
            ErrorCode::try_application(code.value()).is_none(),
            "{code} is not reserved"
        );
        assert!(code.name().is_some() && code.public_text().is_some());
        assert!((400..600).contains(&code.http_status()), "{code}");
    }
    let mut numbers: alloc::vec::Vec<_> = ErrorCode::ALL.iter().collect();
    numbers.sort();
    numbers.dedup();
    assert_eq!(
        numbers.len(),
        ErrorCode::ALL.len(),
        "a number stands twice in the table"
    );
}

#[test]
fn application_codes_keep_out_of_the_reserved_range() {
    const MINE: ErrorCode = ErrorCode::application(7);
    assert_eq!(MINE.value(), 7);
    assert_eq!(MINE.name(), None);
    for edge in [-32769, -31999, 0, i64::MIN, i64::MAX] {
        assert!(ErrorCode::try_application(edge).is_some(), "{edge}");
    }
    for edge in [-32768, -32000, -32700, -32050] {
        assert!(ErrorCode::try_application(edge).is_none(), "{edge}");
    }
}

#[test]
fn any_integer_survives() {
    for code in [i64::MIN, -1, 0, 1, i64::MAX, -32050] {
        assert_eq!(ErrorCode::from_wire(code).value(), code);
    }
    assert_eq!(format!("{}", ErrorCode::from_wire(12)), "12");
    assert_eq!(format!("{}", ErrorCode::BUSY), "-32003 (busy)");
}
