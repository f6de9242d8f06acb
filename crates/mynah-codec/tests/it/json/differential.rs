//! Against `serde_json`.

use super::{LIMITS, document, encode, kind, mutated, verdict};
use mynah_codec::DecodeErrorKind as Kind;
use mynah_codec::format::json;
use mynah_protocol::{DecodeLimits, Value};
use proptest::prelude::*;

/// The differences on purpose: a key twice is an error here, and an integer beyond 64 bits is not
/// silently a float.
const fn on_purpose(kind: Kind) -> bool {
    matches!(kind, Kind::DuplicateKey | Kind::Shape)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn documents_are_written_and_read_alike(document in document()) {
        let text = encode(&document);
        prop_assert_eq!(&text, &serde_json::to_string(&document).unwrap());
        let back: serde_json::Value = json::decode(text.as_bytes(), &LIMITS).unwrap();
        prop_assert_eq!(&back, &document);
        let pretty = serde_json::to_vec_pretty(&document).unwrap();
        let back: serde_json::Value = json::decode(&pretty, &LIMITS).unwrap();
        prop_assert_eq!(&back, &document);
        let value: Value = json::decode(text.as_bytes(), &LIMITS).unwrap();
        prop_assert_eq!(encode(&value), text);
    }

    #[test]
    fn broken_documents_are_judged_alike(input in mutated()) {
        let ours = json::decode::<serde_json::Value>(&input, &LIMITS);
        let theirs = serde_json::from_slice::<serde_json::Value>(&input);
        match (&ours, &theirs) {
            (Ok(_), Ok(_)) => {}
            (Err(_), Err(_)) => {}
            (Err(error), Ok(_)) if on_purpose(error.kind()) => {}
            _ => prop_assert!(false, "{ours:?} but {theirs:?}"),
        }
        // What is cut off for us is so for `serde_json`, which sees an end in more cases: it checks a
        // text for UTF-8, and the digits of an escape, only when they are complete.
        if let (Err(ours), Err(theirs)) = (&ours, &theirs)
            && ours.kind() == Kind::Truncated
        {
            prop_assert!(theirs.is_eof(), "{ours:?} but {theirs:?}");
        }
    }

    #[test]
    fn garbage_is_judged_alike(input in prop::collection::vec(
        prop::sample::select(b"[]{}:,\"\\ \n019-+.eEntrufalsbNI/u\x00\x1f\x80\xc3\xa9\xed\xf4".to_vec()), 0..12)
    ) {
        let ours = json::decode::<serde_json::Value>(&input, &LIMITS);
        let theirs = serde_json::from_slice::<serde_json::Value>(&input);
        let on_purpose = ours.as_ref().is_err_and(|error| on_purpose(error.kind()));
        prop_assert!(ours.is_ok() == theirs.is_ok() || on_purpose, "{ours:?} but {theirs:?}");
        verdict(&input, &LIMITS);
    }

    #[test]
    fn every_way_to_look_gives_one_verdict(
        input in mutated(),
        depth in 0..6_u32,
        len in 0..12_usize,
        bytes in 0..200_usize,
    ) {
        verdict(&input, &LIMITS);
        verdict(&input, &super::LAST_WINS);
        verdict(&input, &DecodeLimits { max_depth: depth, ..LIMITS });
        verdict(&input, &DecodeLimits { max_collection_len: len, ..LIMITS });
        verdict(&input, &DecodeLimits { max_message_bytes: bytes, ..LIMITS });
    }

    #[test]
    fn typed_values_are_judged_alike(input in mutated()) {
        type Typed = std::collections::BTreeMap<String, (f64, Option<i64>, String)>;
        let ours = json::decode::<Typed>(&input, &LIMITS);
        let theirs = serde_json::from_slice::<Typed>(&input);
        let on_purpose = kind(json::scan(&input, &LIMITS)).is_some_and(on_purpose);
        prop_assert!(ours.is_ok() == theirs.is_ok() || on_purpose, "{ours:?} but {theirs:?}");
    }
}
