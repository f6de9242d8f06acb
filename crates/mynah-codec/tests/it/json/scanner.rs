//! The resumable scanner.

use super::{LIMITS, kind, mutated, verdict};
use mynah_codec::format::json::{self, Scan, Scanner};
use mynah_codec::{DecodeError, DecodeErrorKind as Kind};
use mynah_protocol::DecodeLimits;
use proptest::prelude::*;
use std::fmt::Write as _;
use std::ops::Range;

/// What a scanner says about the first value of `input`, which comes in pieces.
#[derive(Debug, PartialEq)]
struct Outcome {
    result: Result<usize, DecodeError>,
    children: Vec<Range<usize>>,
    child_count: usize,
    blank: usize,
}

fn scan_in_pieces(input: &[u8], limits: &DecodeLimits, ends: &[usize]) -> Outcome {
    let mut scanner = Scanner::new(limits);
    let mut blank = 0;
    let mut result = None;
    for end in ends.iter().copied().chain([input.len()]) {
        let piece = loop {
            match scanner.advance(&input[blank..end]) {
                Ok(Scan::Blank(more)) => {
                    assert!(more > 0 && blank + more <= end);
                    assert!(scanner.is_blank());
                    blank += more;
                }
                other => break other,
            }
        };
        match piece {
            Ok(Scan::Need(more)) => {
                assert!(more > 0);
                result = None;
            }
            Ok(Scan::Done(len)) => {
                assert_eq!(
                    scanner.advance(&input[blank..]),
                    Ok(Scan::Done(len)),
                    "it stays done"
                );
                result = Some(Ok(len));
                break;
            }
            Ok(Scan::Blank(_)) => unreachable!(),
            Err(error) => {
                result = Some(Err(error));
                break;
            }
        }
    }
    let result = result.unwrap_or_else(|| scanner.finish());
    assert!(scanner.bytes_examined() <= 2 * input.len() as u64);
    let (children, child_count) = match result {
        Ok(_) => (scanner.children().to_vec(), scanner.child_count()),
        Err(_) => Default::default(),
    };
    Outcome {
        result,
        children,
        child_count,
        blank,
    }
}

#[test]
fn values_follow_one_another() {
    let input = b" [1]{\"a\":2}\n\n3 \"x\"4\ttrue[]null-1[2]";
    let mut scanner = Scanner::new(&LIMITS);
    let mut found = Vec::new();
    let mut at = 0;
    while at < input.len() {
        match scanner.advance(&input[at..]).unwrap() {
            Scan::Blank(blank) => at += blank,
            Scan::Done(len) => {
                found.push(std::str::from_utf8(&input[at..at + len]).unwrap());
                at += len;
                scanner.reset();
            }
            Scan::Need(_) => panic!("needs more at {at}"),
        }
    }
    assert_eq!(
        found,
        [
            "[1]",
            "{\"a\":2}",
            "3",
            "\"x\"",
            "4",
            "true",
            "[]",
            "null",
            "-1",
            "[2]"
        ]
    );
}

#[test]
fn a_number_ends_at_a_delimiter_or_with_the_input() {
    let mut scanner = Scanner::new(&LIMITS);
    assert_eq!(scanner.finish().unwrap_err().kind(), Kind::Truncated);
    assert_eq!(scanner.advance(b"12"), Ok(Scan::Need(1)));
    assert_eq!(scanner.advance(b"123"), Ok(Scan::Need(1)));
    assert_eq!(scanner.advance(b"123\n"), Ok(Scan::Done(3)));
    scanner.reset();
    assert_eq!(scanner.advance(b"-1.5e7"), Ok(Scan::Need(1)));
    assert_eq!(scanner.finish(), Ok(6));
    assert_eq!(scanner.finish(), Ok(6));
    scanner.reset();
    assert_eq!(scanner.advance(b"-1.5e"), Ok(Scan::Need(1)));
    assert_eq!(scanner.finish().unwrap_err().kind(), Kind::Truncated);
    scanner.reset();
    assert_eq!(scanner.advance(b"0"), Ok(Scan::Need(1)));
    assert_eq!(scanner.advance(b"01").unwrap_err().kind(), Kind::Malformed);
}

#[test]
fn a_megabyte_of_newlines_neither_counts_nor_stays() {
    let limits = DecodeLimits {
        max_message_bytes: 16,
        ..LIMITS
    };
    let mut scanner = Scanner::new(&limits);
    let newlines = vec![b'\n'; 8192];
    for _ in 0..128 {
        assert_eq!(scanner.advance(&newlines), Ok(Scan::Blank(8192)));
        assert_eq!(scanner.advance(b""), Ok(Scan::Need(1)));
        assert!(scanner.is_blank());
    }
    assert_eq!(scanner.advance(b"\n[1,2]"), Ok(Scan::Blank(1)));
    assert_eq!(scanner.advance(b"[1,2]"), Ok(Scan::Done(5)));
    assert!(!scanner.is_blank());
}

#[test]
fn children_of_an_array_are_noted() {
    let mut scanner = Scanner::new(&LIMITS);
    let input = br#"[1, 0 ,12, "meth\"od",[1,[2]], {"a":[1,2]},null,-1.5,true, "tenth"]"#;
    assert_eq!(scanner.advance(input), Ok(Scan::Done(input.len())));
    assert_eq!(scanner.child_count(), 10);
    let spelled: Vec<_> = scanner
        .children()
        .iter()
        .map(|child| std::str::from_utf8(&input[child.clone()]).unwrap())
        .collect();
    assert_eq!(
        spelled,
        [
            "1",
            "0",
            "12",
            r#""meth\"od""#,
            "[1,[2]]",
            r#"{"a":[1,2]}"#,
            "null",
            "-1.5"
        ]
    );
    for (input, count) in [
        ("[]", 0),
        ("{\"a\":[1,2]}", 0),
        ("7", 0),
        ("[[1,2,3]]", 1),
        ("[ ]", 0),
    ] {
        scanner.reset();
        scanner.advance(input.as_bytes()).unwrap();
        scanner.finish().unwrap();
        assert_eq!(
            (scanner.child_count(), scanner.children().len()),
            (count, count),
            "{input}"
        );
    }
}

#[test]
fn the_size_is_held_as_soon_as_it_is_exceeded() {
    let limits = DecodeLimits {
        max_message_bytes: 8,
        ..LIMITS
    };
    for (input, expected) in [
        ("\"123456\"", Ok(8)),
        ("\"1234567\"", Err(Kind::TooLarge)),
        ("12345678", Ok(8)),
        ("12345678\n", Ok(8)),
        ("12345678[", Ok(8)),
        ("123456789", Err(Kind::TooLarge)),
        ("[1,2,3,4]", Err(Kind::TooLarge)),
        ("[1,2,345", Err(Kind::Truncated)),
        ("[1,2,3456", Err(Kind::TooLarge)),
        ("\"aaaaaa\u{e9}\u{e9}\"", Err(Kind::TooLarge)),
        ("[1] ............", Ok(3)),
    ] {
        let whole = scan_in_pieces(input.as_bytes(), &limits, &[]);
        assert_eq!(
            whole.result.as_ref().map_err(DecodeError::kind),
            expected.as_ref().map_err(|kind| *kind),
            "{input}"
        );
        let ends: Vec<_> = (0..input.len()).collect();
        assert_eq!(
            whole,
            scan_in_pieces(input.as_bytes(), &limits, &ends),
            "{input}"
        );
    }
    let mut scanner = Scanner::new(&DecodeLimits {
        max_message_bytes: usize::MAX,
        ..LIMITS
    });
    assert_eq!(scanner.advance(b"[]"), Ok(Scan::Done(2)));
}

#[test]
fn what_is_needed_is_never_too_much() {
    let input = br#"{"a":[1,-2.5e-7,true,null,"x\n\u00e9\ud83e\udd9c"],"b":{"c":{},"d":[]}}"#;
    let mut scanner = Scanner::new(&LIMITS);
    for len in 0..input.len() {
        let Ok(Scan::Need(more)) = scanner.advance(&input[..len]) else {
            panic!("{len}")
        };
        assert!(more >= 1 && len + more <= input.len(), "{more} at {len}");
    }
    assert_eq!(scanner.advance(input), Ok(Scan::Done(input.len())));
}

#[test]
fn l6_each_byte_is_examined_once_however_it_comes() {
    let mut document = String::from("[");
    for number in 0..2000 {
        let text = "\"é🦜\\ud83e\\udd9c\\n plain text\"";
        writeln!(document, "{{\"key{number}\":{text}}}, -1.5e7,").unwrap();
    }
    document.push_str("0]");
    let input = document.as_bytes();
    for step in [1, 7, 1024] {
        let mut scanner = Scanner::new(&LIMITS);
        let mut end = 0;
        while end < input.len() {
            end = (end + step).min(input.len());
            scanner.advance(&input[..end]).unwrap();
        }
        assert_eq!(scanner.finish(), Ok(input.len()));
        assert_eq!(
            scanner.bytes_examined(),
            input.len() as u64,
            "in steps of {step}"
        );
    }
}

#[test]
fn l5_a_value_cut_at_every_byte_is_the_same_value() {
    let input = " [1,{\"k\\u0065y\":\"é€🦜\\ud83e\\udd9c\"},-0.5E+3,false,[[],{}]] ".as_bytes();
    let whole = scan_in_pieces(input, &LIMITS, &[]);
    assert!(whole.result.is_ok());
    for first in 0..input.len() {
        for second in first..input.len() {
            assert_eq!(whole, scan_in_pieces(input, &LIMITS, &[first, second]));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn any_cutting_gives_the_same_result(
        input in mutated(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        small in any::<bool>(),
    ) {
        let limits = if small {
            DecodeLimits { max_depth: 3, max_collection_len: 6, max_message_bytes: 100, ..LIMITS }
        } else {
            LIMITS
        };
        let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
        ends.sort_unstable();
        let whole = scan_in_pieces(&input, &limits, &[]);
        prop_assert_eq!(&whole, &scan_in_pieces(&input, &limits, &ends));
        let single: Vec<_> = (0..input.len()).collect();
        prop_assert_eq!(&whole, &scan_in_pieces(&input, &limits, &single));
        // Where a value is cut off and also too large, it depends on who looks: while it may go on,
        // white space at its end counts.
        let by_scanner = kind(whole.result);
        match verdict(&input, &limits) {
            None | Some(Kind::Trailing) => prop_assert_eq!(by_scanner, None),
            Some(Kind::TooLarge) => {}
            _ if by_scanner == Some(Kind::TooLarge) => {}
            other => prop_assert_eq!(by_scanner, other),
        }
    }

    #[test]
    fn children_are_what_decoding_finds(elements in prop::collection::vec(super::document(), 0..12)) {
        let input = serde_json::to_vec_pretty(&elements).unwrap();
        let mut scanner = Scanner::new(&LIMITS);
        prop_assert_eq!(scanner.advance(&input), Ok(Scan::Done(input.len())));
        prop_assert_eq!(scanner.child_count(), elements.len());
        prop_assert_eq!(scanner.children().len(), elements.len().min(8));
        for (child, element) in scanner.children().iter().zip(&elements) {
            let decoded: serde_json::Value = json::decode(&input[child.clone()], &LIMITS).unwrap();
            prop_assert_eq!(&decoded, element);
        }
    }
}
