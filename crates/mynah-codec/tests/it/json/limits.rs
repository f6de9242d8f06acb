//! The limits: depth, counts and size.

use super::{LAST_WINS, LIMITS, kind, verdict};
use mynah_codec::DecodeErrorKind::{Malformed, TooDeep, TooLarge, TooLong, Truncated};
use mynah_codec::format::json::{self, Scanner};
use mynah_protocol::{DecodeLimits, Value};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Runs on a stack as small as a thread of a runtime has, whatever the test runner gives.
fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(test)
        .unwrap()
        .join()
        .unwrap();
}

fn arrays(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

fn objects(depth: usize) -> String {
    format!(
        "{}{{}}{}",
        "{\"a\":".repeat(depth - 1),
        "}".repeat(depth - 1)
    )
}

fn alternating(depth: usize) -> String {
    let open: String = (0..depth - 1)
        .map(|at| if at % 2 == 0 { "[" } else { "{\"a\":" })
        .collect();
    let close: String = (0..depth - 1)
        .rev()
        .map(|at| if at % 2 == 0 { "]" } else { "}" })
        .collect();
    format!("{open}[]{close}")
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "only decoded")]
enum Tree {
    Leaf,
    Node(Box<Branch>),
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "only decoded")]
struct Branch {
    name: Option<String>,
    left: Option<Tree>,
    right: Option<Tree>,
}

#[test]
fn l2_depth_at_the_limit_and_beyond() {
    on_a_small_stack(|| {
        for build in [arrays, objects, alternating] {
            assert_eq!(verdict(build(127).as_bytes(), &LIMITS), None);
            assert_eq!(verdict(build(128).as_bytes(), &LIMITS), None);
            assert_eq!(verdict(build(129).as_bytes(), &LIMITS), Some(TooDeep));
            assert_eq!(verdict(build(100_000).as_bytes(), &LIMITS), Some(TooDeep));
        }
        assert_eq!(
            verdict("[".repeat(100_000).as_bytes(), &LIMITS),
            Some(TooDeep)
        );
        assert_eq!(
            verdict("{\"a\":".repeat(100_000).as_bytes(), &LIMITS),
            Some(TooDeep)
        );
    });
}

#[test]
fn l2_depth_counts_containers_only() {
    let flat = DecodeLimits {
        max_depth: 0,
        ..LIMITS
    };
    assert_eq!(verdict(b"1", &flat), None);
    assert_eq!(verdict(b"\"[[[\"", &flat), None);
    assert_eq!(verdict(b"[]", &flat), Some(TooDeep));
    assert_eq!(verdict(b"{}", &flat), Some(TooDeep));
    let one = DecodeLimits {
        max_depth: 1,
        ..LIMITS
    };
    assert_eq!(verdict(b"[1,2,3]", &one), None);
    assert_eq!(verdict(b"[1,{}]", &one), Some(TooDeep));
    let two = DecodeLimits {
        max_depth: 2,
        ..LIMITS
    };
    assert_eq!(verdict(b"[[],[],{},[1]]", &two), None);
    assert_eq!(verdict(b"[[],[],{\"a\":[]}]", &two), Some(TooDeep));
}

#[test]
fn l2_depth_counts_within_ignored_values() {
    #[derive(Debug, Deserialize)]
    struct Some {
        #[expect(dead_code, reason = "only decoded")]
        a: u8,
    }
    let three = DecodeLimits {
        max_depth: 3,
        ..LIMITS
    };
    assert!(json::decode::<Some>(br#"{"x":[[1]],"a":1}"#, &three).is_ok());
    let deeper = json::decode::<Some>(br#"{"x":[[[1]]],"a":1}"#, &three);
    assert_eq!(kind(deeper), Some(TooDeep));
}

#[test]
fn l2_four_hundred_levels_fit_a_small_stack() {
    on_a_small_stack(|| {
        let deep = DecodeLimits {
            max_depth: 400,
            ..LIMITS
        };
        for limits in [
            deep,
            DecodeLimits {
                max_depth: 400,
                ..LAST_WINS
            },
        ] {
            for build in [arrays, objects, alternating] {
                assert_eq!(verdict(build(400).as_bytes(), &limits), None);
                assert_eq!(verdict(build(401).as_bytes(), &limits), Some(TooDeep));
            }
        }
        let tree = format!(
            "{}\"Leaf\"{}",
            "{\"Node\":{\"name\":null,\"right\":".repeat(200),
            "}}".repeat(200)
        );
        assert!(json::decode::<Tree>(tree.as_bytes(), &deep).is_ok());
        let less = DecodeLimits {
            max_depth: 399,
            ..LIMITS
        };
        assert_eq!(
            kind(json::decode::<Tree>(tree.as_bytes(), &less)),
            Some(TooDeep)
        );
    });
}

#[test]
fn counts_at_the_limit_and_beyond() {
    let three = DecodeLimits {
        max_collection_len: 3,
        ..LIMITS
    };
    assert_eq!(verdict(b"[1,2,3]", &three), None);
    assert_eq!(verdict(b"[1,2,3,4]", &three), Some(TooLong));
    assert_eq!(verdict(b"[[1,2,3],[1,2,3],[1,2,3]]", &three), None);
    assert_eq!(verdict(b"[[1,2,3],[1,2,3,4],[]]", &three), Some(TooLong));
    assert_eq!(verdict(br#"{"a":1,"b":2,"c":3}"#, &three), None);
    assert_eq!(
        verdict(br#"{"a":1,"b":2,"c":3,"d":4}"#, &three),
        Some(TooLong)
    );
    assert_eq!(verdict(b"[1,2,3,x]", &three), Some(Malformed));
    assert_eq!(verdict(b"[1,2,3,01]", &three), Some(TooLong));
    assert_eq!(verdict(b"[1,2,3,\xff]", &three), Some(Malformed));
    assert_eq!(verdict(b"[1,2,3,]", &three), Some(Malformed));
    assert_eq!(
        verdict(br#"{"a":1,"b":2,"c":3,x}"#, &three),
        Some(Malformed)
    );
    assert_eq!(verdict(b"\"many characters\"", &three), None);
    let none = DecodeLimits {
        max_collection_len: 0,
        ..LIMITS
    };
    assert_eq!(verdict(b"[{},[]]", &none), Some(TooLong));
    assert_eq!(verdict(b"[ ]", &none), None);
    assert_eq!(
        kind(json::decode::<(u8, u8, u8, u8)>(b"[1,2,3,4]", &three)),
        Some(TooLong)
    );
}

#[test]
fn sizes_at_the_limit_and_beyond() {
    let ten = DecodeLimits {
        max_message_bytes: 10,
        ..LIMITS
    };
    for (input, expected) in [
        ("\"12345678\"", None),
        ("\"123456789\"", Some(TooLarge)),
        (" \n\t \"12345678\" \r\n      ", None),
        (" \"123456789\"", Some(TooLarge)),
        ("1234567890", None),
        ("1234567890 ", None),
        ("12345678901", Some(TooLarge)),
        ("[1,    2 ]", None),
        ("[1,    2  ]", Some(TooLarge)),
        ("[1,    2    ", Some(Truncated)),
        ("              ", Some(Truncated)),
    ] {
        assert_eq!(verdict(input.as_bytes(), &ten), expected, "{input:?}");
    }
}

#[test]
fn l1_what_never_ends_is_held_to_the_limit() {
    let limits = DecodeLimits {
        max_message_bytes: 1 << 16,
        ..LIMITS
    };
    for (start, more) in [
        ("\"", "a"),
        ("[", "1,"),
        ("[", " "),
        ("", "1"),
        ("{", "\"a\":{"),
        ("-0.", "0"),
    ] {
        let mut scanner = Scanner::new(&DecodeLimits {
            max_depth: 1 << 20,
            ..limits
        });
        let mut input = start.to_owned();
        let error = loop {
            input.push_str(&more.repeat(1000));
            match scanner.advance(input.as_bytes()) {
                Ok(scan) => assert!(matches!(scan, json::Scan::Need(1..)), "{scan:?}"),
                Err(error) => break error,
            }
            assert!(input.len() <= limits.max_message_bytes, "{start}{more}");
        };
        assert_eq!(error.kind(), TooLarge, "{start}{more}");
        assert!(scanner.bytes_examined() <= limits.max_message_bytes as u64 + 1);
    }
}

#[test]
fn l1_an_unterminated_text_allocates_nothing_for_its_end() {
    // JSON announces no lengths; what is not there cannot be reserved. The limit on the depth of
    // this thread's stack and the kinds are all that is left to check.
    let open = format!("[\"{}", "a".repeat(1 << 20));
    assert_eq!(
        kind(json::decode::<Value>(open.as_bytes(), &LIMITS)),
        Some(Truncated)
    );
    assert_eq!(
        kind(json::decode::<IgnoredAny>(open.as_bytes(), &LIMITS)),
        Some(Truncated)
    );
}
