//! Random values: decoding, scanning, rmpv and rmp-serde against each other.

use super::{LAST_WINS, LIMITS, encode, hex, kind};
use mynah_codec::DecodeErrorKind::{DuplicateKey, InvalidUtf8, Malformed, Shape};
use mynah_codec::format::msgpack::{self, Scan, Scanner};
use mynah_protocol::{DecodeLimits, DuplicateKeys, Value};
use proptest::collection::vec;
use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn scalars() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (any::<u64>(), 0..64u32).prop_map(|(n, shift)| Value::Uint(n >> shift)),
        (any::<i64>(), 0..64u32).prop_map(|(n, shift)| Value::from((n >> shift).min(-1))),
        prop_oneof![
            any::<f64>(),
            any::<f32>().prop_map(f64::from),
            (-9..9i32).prop_map(f64::from)
        ]
        .prop_map(Value::Float),
        ".{0,12}".prop_map(Value::Text),
        "[a-c]{0,40}".prop_map(Value::Text),
        vec(any::<u8>(), 0..40).prop_map(Value::Bytes),
        (any::<i8>(), vec(any::<u8>(), 0..40))
            .prop_map(|(number, content)| Value::Ext(number, content)),
    ]
}

pub(super) fn values() -> impl Strategy<Value = Value> {
    scalars().prop_recursive(5, 60, 20, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..20).prop_map(Value::Array),
            vec((inner.clone(), inner), 0..20).prop_map(|entries| {
                let mut seen = BTreeSet::new();
                let new = |(key, _): &(Value, Value)| seen.insert(key.to_string());
                Value::Map(entries.into_iter().filter(new).collect())
            }),
        ]
    })
}

/// Writes a value in some of the many spellings that it has, as the choices say.
struct Speller<'a> {
    choices: std::iter::Cycle<std::slice::Iter<'a, u8>>,
    out: Vec<u8>,
}

fn spell(value: &Value, choices: &[u8]) -> Vec<u8> {
    let mut speller = Speller {
        choices: choices.iter().cycle(),
        out: Vec::new(),
    };
    speller.value(value);
    speller.out
}

impl Speller<'_> {
    fn choose(&mut self, of: u8) -> u8 {
        self.choices.next().copied().unwrap_or(0) % of
    }

    /// An argument of 1, 2, 4 or 8 bytes behind a first byte that says which.
    fn wide(&mut self, firsts: &[(u8, usize)], argument: u64, fits: impl Fn(usize) -> bool) {
        let fitting: Vec<_> = firsts.iter().filter(|(_, width)| fits(*width)).collect();
        let choice = usize::from(self.choose(4)) % fitting.len();
        let (first, width) = fitting[choice];
        self.out.push(*first);
        self.out
            .extend_from_slice(&argument.to_be_bytes()[8 - width..]);
    }

    fn sized(&mut self, fix: (u8, usize), firsts: &[(u8, usize)], len: usize) {
        if len < fix.1 && self.choose(3) > 0 {
            self.out.push(fix.0 | u8::try_from(len).expect("a few"));
        } else {
            let n = len as u64;
            self.wide(firsts, n, |width| n >> (8 * width) == 0);
        }
    }

    fn value(&mut self, value: &Value) {
        const UNSIGNED: &[(u8, usize)] = &[(0xcc, 1), (0xcd, 2), (0xce, 4), (0xcf, 8)];
        const SIGNED: &[(u8, usize)] = &[(0xd0, 1), (0xd1, 2), (0xd2, 4), (0xd3, 8)];
        match value {
            Value::Uint(n) if *n < 128 && self.choose(3) > 0 => {
                self.out.push(u8::try_from(*n).expect("small"));
            }
            Value::Uint(n) => {
                if self.choose(2) == 0 && i64::try_from(*n).is_ok() {
                    self.wide(SIGNED, *n, |width| n >> (8 * width - 1) == 0);
                } else {
                    let fits = |width| width == 8 || n >> (8 * width) == 0;
                    self.wide(UNSIGNED, *n, fits);
                }
            }
            Value::Int(n) if *n >= -32 && self.choose(3) > 0 => {
                self.out.push(n.to_be_bytes()[7]);
            }
            Value::Int(n) => {
                let fits = |width: usize| n >> (8 * width - 1) == -1;
                self.wide(SIGNED, n.cast_unsigned(), fits);
            }
            Value::Float(float) => self.float(*float),
            Value::Text(text) => {
                self.sized((0xa0, 32), &[(0xd9, 1), (0xda, 2), (0xdb, 4)], text.len());
                self.out.extend_from_slice(text.as_bytes());
            }
            Value::Bytes(bytes) => {
                self.sized((0, 0), &[(0xc4, 1), (0xc5, 2), (0xc6, 4)], bytes.len());
                self.out.extend_from_slice(bytes);
            }
            Value::Array(elements) => {
                self.sized((0x90, 16), &[(0xdc, 2), (0xdd, 4)], elements.len());
                for element in elements {
                    self.value(element);
                }
            }
            Value::Map(entries) => {
                self.sized((0x80, 16), &[(0xde, 2), (0xdf, 4)], entries.len());
                for (key, value) in entries {
                    self.value(key);
                    self.value(value);
                }
            }
            other => self.out.extend(encode(other)),
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "whether it does is what is asked"
    )]
    fn float(&mut self, float: f64) {
        let single = float as f32;
        if f64::from(single) == float && self.choose(2) == 0 {
            self.out.push(0xca);
            self.out.extend_from_slice(&single.to_be_bytes());
        } else {
            self.out.push(0xcb);
            self.out.extend_from_slice(&float.to_be_bytes());
        }
    }
}

/// A value of rmpv as ours, `None` when we have no word for it.
fn from_rmpv(value: rmpv::Value) -> Option<Value> {
    Some(match value {
        rmpv::Value::Nil => Value::Null,
        rmpv::Value::Boolean(value) => value.into(),
        rmpv::Value::Integer(n) => match (n.as_u64(), n.as_i64()) {
            (Some(n), _) => n.into(),
            (_, n) => n?.into(),
        },
        rmpv::Value::F32(float) => float.into(),
        rmpv::Value::F64(float) => float.into(),
        rmpv::Value::String(text) => text.into_str()?.into(),
        rmpv::Value::Binary(bytes) => bytes.into(),
        rmpv::Value::Array(elements) => elements
            .into_iter()
            .map(from_rmpv)
            .collect::<Option<Vec<_>>>()?
            .into(),
        rmpv::Value::Map(entries) => {
            let entry = |(key, value)| Some((from_rmpv(key)?, from_rmpv(value)?));
            Value::Map(entries.into_iter().map(entry).collect::<Option<_>>()?)
        }
        rmpv::Value::Ext(number, content) => Value::Ext(number, content),
    })
}

/// Some changes to a value, most of which break it.
fn damage(mut bytes: Vec<u8>, changes: &[(u8, usize, u8)]) -> Vec<u8> {
    for (what, at, byte) in changes {
        let at = at % (bytes.len() + 1);
        match what % 4 {
            0 => bytes.insert(at, *byte),
            1 => bytes.truncate(at),
            2 if at < bytes.len() => bytes[at] = *byte,
            _ if at < bytes.len() => drop(bytes.remove(at)),
            _ => {}
        }
    }
    bytes
}

fn assert_one_verdict(bytes: &[u8], limits: &DecodeLimits) -> Result<(), TestCaseError> {
    let scanned = kind(msgpack::scan(bytes, limits));
    prop_assert_eq!(
        kind(msgpack::decode::<IgnoredAny>(bytes, limits)),
        scanned,
        "{:02x?}",
        bytes
    );
    let decoded = kind(msgpack::decode::<Value>(bytes, limits));
    prop_assert_eq!(decoded, scanned, "{:02x?}", bytes);
    Ok(())
}

/// What a scanner says at the end when the bytes come in pieces, and how many it has looked at.
fn in_pieces(bytes: &[u8], limits: &DecodeLimits, pieces: &[usize]) -> (String, u64) {
    let mut scanner = Scanner::new(*limits);
    let mut pieces = pieces.iter().cycle();
    let mut end = 0;
    loop {
        let result = scanner.advance(&bytes[..end]);
        if end == bytes.len() || !matches!(result, Ok(Scan::Need(_))) {
            let last = match result {
                Ok(scan) => format!("{scan:?}"),
                Err(error) => format!("{:?}", error.kind()),
            };
            return (last, scanner.bytes_examined());
        }
        end = (end + pieces.next().copied().unwrap_or(1)).min(bytes.len());
    }
}

fn tight() -> impl Strategy<Value = DecodeLimits> {
    (0..6u32, 0..12usize, 0..200usize, any::<bool>()).prop_map(|(depth, len, bytes, last)| {
        let duplicate_keys = if last {
            DuplicateKeys::LastWins
        } else {
            DuplicateKeys::Refuse
        };
        DecodeLimits {
            max_depth: depth,
            max_collection_len: len,
            max_message_bytes: bytes,
            duplicate_keys,
        }
    })
}

/// Keeps the last entry of each key.
fn last_wins(value: &Value) -> Value {
    match value {
        Value::Array(elements) => elements.iter().map(last_wins).collect(),
        Value::Map(entries) => entries
            .iter()
            .enumerate()
            .filter(|(index, (key, _))| {
                entries
                    .iter()
                    .skip(index + 1)
                    .all(|(later, _)| later != key)
            })
            .map(|(_, (key, value))| (key.clone(), last_wins(value)))
            .collect(),
        other => other.clone(),
    }
}

fn values_with_duplicates() -> impl Strategy<Value = Value> {
    let keys = prop_oneof![
        (0..5u64).prop_map(Value::from),
        "[ab]{0,2}".prop_map(Value::Text)
    ];
    (0..9u64)
        .prop_map(Value::from)
        .prop_recursive(4, 60, 20, move |inner| {
            prop_oneof![
                vec(inner.clone(), 0..5).prop_map(Value::Array),
                vec((keys.clone(), inner), 0..20).prop_map(Value::Map),
            ]
        })
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Record {
    id: u64,
    small: i8,
    name: String,
    single: Option<f32>,
    float: f64,
    kind: Kind,
    #[serde(with = "serde_bytes")]
    bytes: Vec<u8>,
    map: BTreeMap<i16, Vec<bool>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Kind {
    Unit,
    Newtype(u32),
    Tuple(u8, String),
    Struct { a: i64, b: Option<bool> },
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::Unit),
        any::<u32>().prop_map(Kind::Newtype),
        (any::<u8>(), ".{0,40}").prop_map(|(a, b)| Kind::Tuple(a, b)),
        (any::<i64>(), any::<Option<bool>>()).prop_map(|(a, b)| Kind::Struct { a, b }),
    ]
}

fn records() -> impl Strategy<Value = Record> {
    (
        any::<u64>(),
        any::<i8>(),
        ".{0,40}",
        proptest::option::of(-1e9f32..1e9),
        -1e300..1e300,
        kinds(),
        vec(any::<u8>(), 0..300),
        proptest::collection::btree_map(any::<i16>(), vec(any::<bool>(), 0..20), 0..20),
    )
        .prop_map(
            |(id, small, name, single, float, kind, bytes, map)| Record {
                id,
                small,
                name,
                single,
                float,
                kind,
                bytes,
                map,
            },
        )
}

/// Why it is not rmp-serde that reads what peers send; ADR 8 says more.
#[test]
fn rmp_serde_takes_what_is_refused_here() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Pair {
        a: u8,
        #[serde(default)]
        b: u8,
    }
    type Map = BTreeMap<u8, u8>;
    for (what, theirs, ours) in [
        (
            "a key twice",
            rmp_serde::from_slice::<Map>(&hex("8201010102")).is_ok(),
            kind(msgpack::decode::<Map>(&hex("8201010102"), &LIMITS)),
        ),
        (
            "a key twice in what is skipped",
            rmp_serde::from_slice::<IgnoredAny>(&hex("81a1788200010001")).is_ok(),
            kind(msgpack::decode::<IgnoredAny>(
                &hex("81a1788200010001"),
                &LIMITS,
            )),
        ),
        (
            "something behind the value",
            rmp_serde::from_slice::<u8>(&hex("0101")).is_ok(),
            kind(msgpack::decode::<u8>(&hex("0101"), &LIMITS)),
        ),
        (
            "a number for the name of a field",
            rmp_serde::from_slice::<Pair>(&hex("810001")).is_ok(),
            kind(msgpack::decode::<Pair>(&hex("810001"), &LIMITS)),
        ),
        (
            "a text that is not UTF-8 in what is skipped",
            rmp_serde::from_slice::<IgnoredAny>(&hex("a1ff")).is_ok(),
            kind(msgpack::decode::<IgnoredAny>(&hex("a1ff"), &LIMITS)),
        ),
    ] {
        assert!(theirs, "{what}");
        assert!(ours.is_some(), "{what}");
    }
    // An element too few is written as if it were there.
    struct Liar;
    impl Serialize for Liar {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeSeq as _;
            let mut seq = serializer.serialize_seq(Some(2))?;
            seq.serialize_element(&1)?;
            seq.end()
        }
    }
    assert_eq!(rmp_serde::to_vec(&Liar).ok(), Some(hex("9201")));
    assert!(msgpack::encode(&Liar, &mut Vec::new()).is_err());
    // A wide integer is written as bytes, which whoever reads a value of any shape takes for bytes.
    let wide = [&hex("c410")[..], &5u128.to_be_bytes()].concat();
    assert_eq!(rmp_serde::to_vec(&5i128).ok(), Some(wide));
    assert_eq!(encode(&5i128), hex("05"));
    // A scan before it would not help with these: texts and bytes are one, variants have numbers.
    assert_eq!(
        rmp_serde::from_slice(&hex("c40161")).ok(),
        Some("a".to_owned())
    );
    assert_eq!(rmp_serde::from_slice(&hex("00")).ok(), Some(Kind::Unit));
    assert_eq!(
        kind(msgpack::decode::<Kind>(&hex("00"), &LIMITS)),
        Some(Shape)
    );
}

proptest! {
    #[test]
    fn what_is_written_is_read(value in values()) {
        let bytes = encode(&value);
        prop_assert_eq!(msgpack::scan(&bytes, &LIMITS), Ok(()));
        let read: Value = msgpack::decode(&bytes, &LIMITS).expect("what was written");
        // As text, for which a float that is not a number is equal to itself.
        prop_assert_eq!(read.to_string(), value.to_string());
    }

    #[test]
    fn all_spellings_of_a_value_are_read_as_rmpv_reads_them(
        value in values(),
        choices in vec(any::<u8>(), 1..50),
    ) {
        let bytes = spell(&value, &choices);
        prop_assert_eq!(msgpack::scan(&bytes, &LIMITS), Ok(()), "{:02x?}", &bytes);
        prop_assert_eq!(msgpack::decode::<IgnoredAny>(&bytes, &LIMITS).err(), None);
        let read: Value = msgpack::decode(&bytes, &LIMITS).expect("a spelling of a value");
        prop_assert_eq!(read.to_string(), value.to_string(), "{:02x?}", &bytes);
        let theirs = rmpv::decode::read_value(&mut &bytes[..]).expect("a spelling of a value");
        let theirs = from_rmpv(theirs).expect("nothing but what both know");
        prop_assert_eq!(theirs.to_string(), value.to_string(), "{:02x?}", &bytes);
    }

    #[test]
    fn rmpv_writes_the_same(value in values()) {
        let bytes = encode(&value);
        let theirs = rmpv::decode::read_value(&mut &bytes[..]).expect("well-formed");
        let mut out = Vec::new();
        rmpv::encode::write_value(&mut out, &theirs).expect("into memory");
        prop_assert_eq!(out, bytes);
    }

    #[test]
    fn what_rmpv_accepts_is_what_is_accepted(
        value in values(),
        choices in vec(any::<u8>(), 1..50),
        changes in vec(any::<(u8, usize, u8)>(), 0..3),
    ) {
        let bytes = damage(spell(&value, &choices), &changes);
        let mut rest = &bytes[..];
        let theirs = rmpv::decode::read_value(&mut rest).ok().filter(|_| rest.is_empty());
        match msgpack::scan(&bytes, &LIMITS) {
            Ok(()) => prop_assert!(theirs.is_some(), "{:02x?}", &bytes),
            // rmpv keeps keys that are there twice and texts that are none, and takes the byte that begins no value
            // for nil; nothing else.
            Err(error) => prop_assert!(
                theirs.is_none() || matches!(error.kind(), DuplicateKey | InvalidUtf8 | Malformed),
                "{:02x?} {:?}", &bytes, error
            ),
        }
    }

    #[test]
    fn rmp_serde_reads_and_writes_the_same(record in records()) {
        let ours = encode(&record);
        let theirs = rmp_serde::to_vec_named(&record).expect("it can be written");
        prop_assert_eq!(&ours, &theirs);
        prop_assert_eq!(&rmp_serde::from_slice::<Record>(&ours).expect("well-formed"), &record);
        prop_assert_eq!(msgpack::decode::<Record>(&theirs, &LIMITS), Ok(record.clone()));
        // Structs as arrays, which is its default.
        let arrays = rmp_serde::to_vec(&record).expect("it can be written");
        prop_assert_eq!(msgpack::decode::<Record>(&arrays, &LIMITS), Ok(record));
    }

    #[test]
    fn random_bytes_have_one_verdict(bytes in vec(any::<u8>(), 0..60), tight in tight()) {
        assert_one_verdict(&bytes, &LIMITS)?;
        assert_one_verdict(&bytes, &tight)?;
    }

    #[test]
    fn damaged_values_have_one_verdict(
        value in values(),
        choices in vec(any::<u8>(), 1..50),
        changes in vec(any::<(u8, usize, u8)>(), 0..3),
        tight in tight(),
    ) {
        let bytes = damage(spell(&value, &choices), &changes);
        assert_one_verdict(&bytes, &LIMITS)?;
        assert_one_verdict(&bytes, &tight)?;
    }

    #[test]
    fn l6_pieces_do_not_change_the_verdict(
        value in values(),
        choices in vec(any::<u8>(), 1..50),
        changes in vec(any::<(u8, usize, u8)>(), 0..3),
        pieces in vec(1..20usize, 1..9),
        tight in tight(),
    ) {
        let bytes = damage(spell(&value, &choices), &changes);
        for limits in [LIMITS, tight] {
            let (whole, _) = in_pieces(&bytes, &limits, &[usize::MAX >> 1]);
            for pieces in [&[1][..], &pieces] {
                let (result, examined) = in_pieces(&bytes, &limits, pieces);
                prop_assert_eq!(&result, &whole, "{:02x?}", &bytes);
                prop_assert!(examined <= 2 * bytes.len() as u64, "{} of {}", examined, bytes.len());
            }
        }
    }

    #[test]
    fn the_last_value_wins_on_every_level(
        value in values_with_duplicates(),
        choices in vec(any::<u8>(), 1..50),
    ) {
        let bytes = spell(&value, &choices);
        prop_assert_eq!(msgpack::decode::<Value>(&bytes, &LAST_WINS), Ok(last_wins(&value)));
        let strict = msgpack::decode::<Value>(&bytes, &LIMITS);
        prop_assert_eq!(strict.is_ok(), last_wins(&value) == value);
        assert_one_verdict(&bytes, &LIMITS)?;
    }
}
