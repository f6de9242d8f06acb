//! JSON: grammar, limits, types, and comparison with `serde_json`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::cast_possible_truncation,
    reason = "a test that fails may panic, in its helpers too"
)]

mod differential;
mod grammar;
mod keys;
mod limits;
mod numbers;
mod options;
mod scanner;
mod types;

use mynah_codec::format::json;
use mynah_codec::{DecodeError, DecodeErrorKind};
use mynah_protocol::{DecodeLimits, DuplicateKeys, Value};
use proptest::prelude::*;
use serde::de::{DeserializeOwned, IgnoredAny};

const LIMITS: DecodeLimits = DecodeLimits::DEFAULT;
const LAST_WINS: DecodeLimits = DecodeLimits {
    duplicate_keys: DuplicateKeys::LastWins,
    ..DecodeLimits::DEFAULT
};

fn decode<T: DeserializeOwned>(input: impl AsRef<[u8]>) -> Result<T, DecodeError> {
    json::decode(input.as_ref(), &LIMITS)
}

fn encode<T: serde::Serialize + ?Sized>(value: &T) -> String {
    let mut out = Vec::new();
    json::encode(value, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn kind<T>(result: Result<T, DecodeError>) -> Option<DecodeErrorKind> {
    result.err().map(|error| error.kind())
}

/// The verdict of all three ways to look at a document, which must be one: the scan, the decoder that
/// passes over everything, and the decoder that keeps everything. Only the last may say that a
/// number is out of the range of what it can hold.
fn verdict(input: &[u8], limits: &DecodeLimits) -> Option<DecodeErrorKind> {
    let scanned = kind(json::scan(input, limits));
    let shown = String::from_utf8_lossy(input);
    assert_eq!(
        scanned,
        kind(json::decode::<IgnoredAny>(input, limits)),
        "ignored: {shown}"
    );
    let decoded = kind(json::decode::<Value>(input, limits));
    if decoded != Some(DecodeErrorKind::Shape) {
        assert_eq!(scanned, decoded, "decoded: {shown}");
    }
    scanned
}

/// Documents of all kinds, not deep.
fn document() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        (-1000_i64..1000).prop_map(Into::into),
        proptest::num::f64::NORMAL.prop_map(Into::into),
        proptest::num::f64::SUBNORMAL.prop_map(Into::into),
        (-1e6..1e6).prop_map(|float: f64| serde_json::Value::from((float * 1e3).round() / 1e3)),
        text().prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 48, 12, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..12).prop_map(Into::into),
            prop::collection::hash_map(text(), inner, 0..12)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Texts with much of what needs care.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{0,12}",
        ".{0,24}",
        prop::collection::vec(
            prop::sample::select(vec![
                '"',
                '\\',
                '/',
                '\n',
                '\r',
                '\t',
                '\u{0}',
                '\u{8}',
                '\u{c}',
                '\u{1f}',
                '\u{7f}',
                'é',
                '\u{7ff}',
                '\u{800}',
                '€',
                '\u{d7ff}',
                '\u{e000}',
                '\u{feff}',
                '\u{ffff}',
                '\u{10000}',
                '🦜',
                '\u{10ffff}',
                'a',
                ' ',
            ]),
            0..20
        )
        .prop_map(|characters| characters.into_iter().collect()),
    ]
}

/// One change to a document.
#[derive(Clone, Debug)]
enum Change {
    Set(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index),
    Cut(prop::sample::Index),
    Double(prop::sample::Index, prop::sample::Index),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let byte = prop_oneof![
        any::<u8>(),
        prop::sample::select(
            b"[]{}:,\"\\ \n\t0123456789-+.eEnulltruefalseNaN/\x00\x1f\x80\xc3\xed\xf4".to_vec()
        ),
    ];
    let piece = prop_oneof![
        prop::collection::vec(byte.clone(), 1..4),
        prop::sample::select(vec![
            b"\\ud83d\\ude00".to_vec(),
            b"\\ud800".to_vec(),
            b"\\udc00".to_vec(),
            b"\\u0061".to_vec(),
            b"\xf0\x9f\xa6\x9c".to_vec(),
            b"\xe2\x82".to_vec(),
            b"1e5".to_vec(),
            b"-0".to_vec(),
            b"18446744073709551616".to_vec(),
            b"\"a\":1,\"a\":2".to_vec(),
            b"null,".to_vec(),
        ]),
    ];
    let change = prop_oneof![
        (any::<prop::sample::Index>(), byte).prop_map(|(at, byte)| Change::Set(at, byte)),
        (any::<prop::sample::Index>(), piece).prop_map(|(at, piece)| Change::Insert(at, piece)),
        any::<prop::sample::Index>().prop_map(Change::Remove),
        any::<prop::sample::Index>().prop_map(Change::Cut),
        (any::<prop::sample::Index>(), any::<prop::sample::Index>())
            .prop_map(|(from, to)| Change::Double(from, to)),
    ];
    prop::collection::vec(change, 0..4)
}

/// Documents, some of them broken.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    (document(), any::<bool>(), changes()).prop_map(|(document, pretty, changes)| {
        let mut bytes = if pretty {
            serde_json::to_vec_pretty(&document).unwrap()
        } else {
            serde_json::to_vec(&document).unwrap()
        };
        for change in changes {
            let len = bytes.len();
            match change {
                Change::Insert(at, piece) => {
                    let at = at.index(len + 1);
                    bytes.splice(at..at, piece);
                }
                _ if len == 0 => {}
                Change::Set(at, byte) => bytes[at.index(len)] = byte,
                Change::Remove(at) => drop(bytes.remove(at.index(len))),
                Change::Cut(at) => bytes.truncate(at.index(len)),
                Change::Double(from, to) => {
                    let (from, to) = (from.index(len), to.index(len));
                    let piece = bytes[from.min(to)..=from.max(to)].to_vec();
                    bytes.splice(from..from, piece);
                }
            }
        }
        bytes
    })
}
