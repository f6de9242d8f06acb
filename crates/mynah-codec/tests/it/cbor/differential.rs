//! Random items: decoding, scanning and ciborium against each other.
//!
//! Where ciborium 0.2 differs it is left out: it refuses simple values without a meaning, reads undefined as null,
//! and takes bignums apart only up to 128 bits.

use super::{LAST_WINS, LIMITS, encode, kind};
use mynah_codec::format::cbor::{self, Scan, Scanner};
use mynah_protocol::value::BigInt;
use mynah_protocol::{DecodeLimits, DuplicateKeys, Value};
use proptest::collection::vec;
use proptest::prelude::*;
use serde::de::IgnoredAny;
use std::collections::BTreeSet;

fn scalars() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (any::<u64>(), 0..64u32).prop_map(|(n, shift)| Value::Uint(n >> shift)),
        (any::<i64>(), 0..64u32).prop_map(|(n, shift)| Value::from((n >> shift).min(-1))),
        (any::<bool>(), vec(any::<u8>(), 0..20))
            .prop_map(|(negative, digits)| BigInt::value(negative, &digits)),
        prop_oneof![
            any::<f64>(),
            any::<f32>().prop_map(f64::from),
            (-9..9i32).prop_map(f64::from)
        ]
        .prop_map(Value::Float),
        ".{0,12}".prop_map(Value::Text),
        "[a-c]{0,40}".prop_map(Value::Text),
        vec(any::<u8>(), 0..40).prop_map(Value::Bytes),
        prop_oneof![0..20u8, 23..24u8, 32..=255u8].prop_map(Value::Simple),
    ]
}

fn values() -> impl Strategy<Value = Value> {
    scalars().prop_recursive(5, 60, 20, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..20).prop_map(Value::Array),
            vec((inner.clone(), inner.clone()), 0..20).prop_map(|entries| {
                let mut seen = BTreeSet::new();
                let new = |(key, _): &(Value, Value)| seen.insert(key.to_string());
                Value::Map(entries.into_iter().filter(new).collect())
            }),
            (prop_oneof![4..300u64, any::<u64>()], inner)
                .prop_map(|(tag, content)| Value::Tag(tag.max(4), Box::new(content))),
        ]
    })
}

/// Writes an item in some of the many spellings that it has, as the choices say.
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

    fn head(&mut self, major: u8, argument: u64) {
        let least = match argument {
            0..24 => 0,
            24..=0xff => 1,
            0x100..=0xffff => 2,
            0x1_0000..=0xffff_ffff => 3,
            _ => 4,
        };
        let bytes = argument.to_be_bytes();
        match self.choose(8).clamp(least, 4) {
            0 => self.out.push(major | bytes[7]),
            width => {
                self.out.push(major | (23 + width));
                self.out.extend_from_slice(&bytes[8 - (1 << (width - 1))..]);
            }
        }
    }

    fn string(&mut self, major: u8, content: &[u8], mut ends: Vec<usize>) {
        if self.choose(3) > 0 {
            self.head(major, content.len() as u64);
            self.out.extend_from_slice(content);
            return;
        }
        self.out.push(major | 31);
        let mut start = 0;
        ends.push(content.len());
        for end in ends {
            if end == content.len() || self.choose(4) == 0 {
                self.head(major, (end - start) as u64);
                self.out.extend_from_slice(&content[start..end]);
                start = end;
            }
        }
        self.out.push(0xff);
    }

    fn items<'v>(&mut self, major: u8, len: usize, items: impl Iterator<Item = &'v Value>) {
        let indefinite = self.choose(3) == 0;
        if indefinite {
            self.out.push(major | 31);
        } else {
            self.head(major, len as u64);
        }
        for item in items {
            self.value(item);
        }
        if indefinite {
            self.out.push(0xff);
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Uint(n) if self.choose(5) > 0 => self.head(0x00, *n),
            Value::Int(n) if self.choose(5) > 0 => self.head(0x20, (-1 - n).cast_unsigned()),
            Value::Uint(n) => self.big(2, &n.to_be_bytes()),
            Value::Int(n) => self.big(3, &(-1 - n).to_be_bytes()),
            Value::Big(n) => self.big(if n.is_negative() { 3 } else { 2 }, n.digits()),
            Value::Float(float) => self.float(*float),
            Value::Text(text) => {
                let ends = text.char_indices().map(|(index, _)| index).collect();
                self.string(0x60, text.as_bytes(), ends);
            }
            Value::Bytes(bytes) => self.string(0x40, bytes, (0..bytes.len()).collect()),
            Value::Array(elements) => self.items(0x80, elements.len(), elements.iter()),
            Value::Map(entries) => {
                let items = entries.iter().flat_map(|(key, value)| [key, value]);
                self.items(0xa0, entries.len(), items);
            }
            Value::Tag(number, content) => {
                self.head(0xc0, *number);
                self.value(content);
            }
            other => self.out.extend(encode(other)),
        }
    }

    fn big(&mut self, tag: u64, digits: &[u8]) {
        self.head(0xc0, tag);
        let zeros = usize::from(self.choose(3));
        let content = [vec![0; zeros], digits.to_vec()].concat();
        let ends = (0..content.len()).collect();
        self.string(0x40, &content, ends);
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "whether it does is what is asked"
    )]
    fn float(&mut self, float: f64) {
        let single = float as f32;
        if f64::from(single) == float && self.choose(2) == 0 {
            self.out.push(0xfa);
            self.out.extend_from_slice(&single.to_be_bytes());
        } else {
            self.out.push(0xfb);
            self.out.extend_from_slice(&float.to_be_bytes());
        }
    }
}

/// A value of ciborium as ours, `None` when it has no word for something.
fn from_ciborium(value: ciborium::Value) -> Option<Value> {
    Some(match value {
        ciborium::Value::Integer(n) => i128::from(n).into(),
        ciborium::Value::Bytes(bytes) => bytes.into(),
        ciborium::Value::Float(float) => float.into(),
        ciborium::Value::Text(text) => text.into(),
        ciborium::Value::Bool(value) => value.into(),
        ciborium::Value::Null => Value::Null,
        ciborium::Value::Tag(tag @ (2 | 3), content) => {
            BigInt::value(tag == 3, content.as_bytes()?)
        }
        ciborium::Value::Tag(tag, content) => Value::Tag(tag, Box::new(from_ciborium(*content)?)),
        ciborium::Value::Array(elements) => elements
            .into_iter()
            .map(from_ciborium)
            .collect::<Option<Vec<_>>>()?
            .into(),
        ciborium::Value::Map(entries) => {
            let entry = |(key, value)| Some((from_ciborium(key)?, from_ciborium(value)?));
            Value::Map(entries.into_iter().map(entry).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

/// Whether ciborium has a word for a scalar.
fn is_common(value: &Value) -> bool {
    match value {
        Value::Simple(_) => false,
        Value::Big(n) => n.as_u128().is_some() || n.as_i128().is_some(),
        _ => true,
    }
}

/// The value without what ciborium does not know.
fn common(value: Value) -> Value {
    match value {
        Value::Array(elements) => elements.into_iter().map(common).collect(),
        Value::Map(entries) => {
            // Keys that held different things that ciborium does not know have become the same.
            let mut seen = BTreeSet::new();
            entries
                .into_iter()
                .map(|(key, value)| (common(key), common(value)))
                .filter(|(key, _)| seen.insert(key.to_string()))
                .collect()
        }
        Value::Tag(tag, content) => Value::Tag(tag, Box::new(common(*content))),
        scalar if is_common(&scalar) => scalar,
        _ => Value::Null,
    }
}

/// Some changes to an item, most of which break it.
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
    let scanned = kind(cbor::scan(bytes, limits));
    prop_assert_eq!(
        kind(cbor::decode::<Value>(bytes, limits)),
        scanned,
        "{:02x?}",
        bytes
    );
    prop_assert_eq!(
        kind(cbor::decode::<IgnoredAny>(bytes, limits)),
        scanned,
        "{:02x?}",
        bytes
    );
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
        Value::Tag(tag, content) => Value::Tag(*tag, Box::new(last_wins(content))),
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
                vec((keys.clone(), inner.clone()), 0..20).prop_map(Value::Map),
                inner.prop_map(|inner| Value::Tag(7, Box::new(inner))),
            ]
        })
}

proptest! {
    #[test]
    fn what_is_written_is_read(value in values()) {
        let bytes = encode(&value);
        prop_assert_eq!(cbor::scan(&bytes, &LIMITS), Ok(()));
        let read: Value = cbor::decode(&bytes, &LIMITS).expect("what was written");
        // As text, for which a float that is not a number is equal to itself.
        prop_assert_eq!(read.to_string(), value.to_string());
    }

    #[test]
    fn all_spellings_of_a_value_are_read(value in values(), choices in vec(any::<u8>(), 1..50)) {
        let bytes = spell(&value, &choices);
        prop_assert_eq!(cbor::scan(&bytes, &LIMITS), Ok(()), "{:02x?}", &bytes);
        prop_assert_eq!(cbor::decode::<IgnoredAny>(&bytes, &LIMITS).err(), None);
        let read: Value = cbor::decode(&bytes, &LIMITS).expect("a spelling of a value");
        prop_assert_eq!(read.to_string(), value.to_string(), "{:02x?}", &bytes);
    }

    #[test]
    fn ciborium_reads_the_same(value in values(), choices in vec(any::<u8>(), 1..50)) {
        let value = common(value);
        let bytes = spell(&value, &choices);
        let theirs: ciborium::Value = ciborium::from_reader(&bytes[..]).expect("a spelling of a value");
        let theirs = from_ciborium(theirs).expect("nothing but what both know");
        let ours: Value = cbor::decode(&bytes, &LIMITS).expect("a spelling of a value");
        prop_assert_eq!(ours.to_string(), theirs.to_string(), "{:02x?}", &bytes);
    }

    #[test]
    fn ciborium_reads_what_is_written(value in values()) {
        let value = common(value);
        let theirs: ciborium::Value = ciborium::from_reader(&encode(&value)[..]).expect("well-formed");
        prop_assert_eq!(from_ciborium(theirs).map(|theirs| theirs.to_string()), Some(value.to_string()));
    }

    #[test]
    fn random_bytes_have_one_verdict(bytes in vec(any::<u8>(), 0..60), tight in tight()) {
        assert_one_verdict(&bytes, &LIMITS)?;
        assert_one_verdict(&bytes, &tight)?;
    }

    #[test]
    fn damaged_items_have_one_verdict(
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
        prop_assert_eq!(cbor::decode::<Value>(&bytes, &LAST_WINS), Ok(last_wins(&value)));
        let strict = cbor::decode::<Value>(&bytes, &LIMITS);
        prop_assert_eq!(strict.is_ok(), last_wins(&value) == value);
        assert_one_verdict(&bytes, &LIMITS)?;
    }
}
