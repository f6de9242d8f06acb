//! Structs from maps: fields in any order, and none twice.

use mynah_codec::{DecodeErrorKind, Format};
use mynah_protocol::DecodeLimits;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, de::DeserializeOwned};
use std::fmt;

#[derive(Debug, Deserialize, PartialEq)]
struct Five {
    a: u8,
    bb: u8,
    #[serde(rename = "a name of more than sixteen")]
    long: u8,
    #[serde(rename = "a name that is even longer than twenty-three")]
    longer: u8,
    #[serde(default)]
    e: u8,
}

const NAMES: [&str; 5] = [
    "a",
    "bb",
    "a name of more than sixteen",
    "a name that is even longer than twenty-three",
    "e",
];

/// A struct whose visitor takes what comes: duplicates are for the decoder to find.
#[derive(Debug)]
struct Careless(usize);

impl<'de> Deserialize<'de> for Careless {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Counts;
        impl<'de> Visitor<'de> for Counts {
            type Value = usize;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<usize, A::Error> {
                let mut count = 0;
                while map.next_entry::<String, IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(count)
            }
        }
        deserializer
            .deserialize_struct("Careless", &NAMES, Counts)
            .map(Careless)
    }
}

/// A key in the spelling of so many bytes of length.
fn key(name: &str, width: u8) -> Vec<u8> {
    let len = name.len();
    let mut out = match width {
        0 if len < 24 => vec![0x60 + u8::try_from(len).expect("a short name")],
        0 | 1 => vec![0x78, u8::try_from(len).expect("a short name")],
        2 => vec![0x79, 0, u8::try_from(len).expect("a short name")],
        _ => vec![0x7f, 0x60, 0x78, u8::try_from(len).expect("a short name")],
    };
    out.extend_from_slice(name.as_bytes());
    if width > 2 {
        out.push(0xff);
    }
    out
}

fn map(entries: &[(&str, u8)]) -> Vec<u8> {
    let mut out = vec![0xa0 + u8::try_from(entries.len()).expect("a small map")];
    for (value, (name, width)) in (1..).zip(entries) {
        out.extend(key(name, *width));
        out.push(value);
    }
    out
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeErrorKind> {
    Format::Cbor
        .decode(bytes, &DecodeLimits::DEFAULT)
        .map_err(|error| error.kind())
}

/// All orders of these.
fn orders(names: &[&'static str]) -> Vec<Vec<&'static str>> {
    let Some((first, rest)) = names.split_first() else {
        return vec![Vec::new()];
    };
    let mut all = Vec::new();
    for order in orders(rest) {
        for at in 0..=order.len() {
            let mut order = order.clone();
            order.insert(at, first);
            all.push(order);
        }
    }
    all
}

#[test]
fn fields_come_in_any_order_and_spelling() {
    for order in orders(&NAMES) {
        for odd in 0..=NAMES.len() {
            for width in [1, 2, 3] {
                let entries: Vec<_> = (0..)
                    .zip(&order)
                    .map(|(at, name)| (*name, if at == odd { width } else { 0 }))
                    .collect();
                let value: Five = decode(&map(&entries)).unwrap();
                let at = |name| 1 + order.iter().position(|known| *known == name).unwrap();
                let [a, bb, long, longer, e] = NAMES.map(|name| u8::try_from(at(name)).unwrap());
                assert_eq!(
                    value,
                    Five {
                        a,
                        bb,
                        long,
                        longer,
                        e
                    }
                );
            }
        }
    }
}

#[test]
fn fields_may_be_left_out_and_others_be_there() {
    let value: Five = decode(&map(&[
        ("unknown", 0),
        (NAMES[0], 0),
        (NAMES[1], 0),
        ("b", 0),
        (NAMES[2], 0),
        (NAMES[3], 0),
    ]))
    .unwrap();
    assert_eq!(
        (value.a, value.bb, value.long, value.longer, value.e),
        (2, 3, 5, 6, 0)
    );
    assert_eq!(
        decode::<Five>(&map(&[(NAMES[1], 0), (NAMES[4], 0)])),
        Err(DecodeErrorKind::Shape)
    );
}

#[test]
fn no_key_comes_twice() {
    let names = [NAMES[0], NAMES[1], NAMES[3], NAMES[4], "unknown"];
    let mut checked = 0;
    for order in orders(&names) {
        for twice in 0..names.len() {
            for at in 0..=names.len() {
                for width in 0..=3 {
                    let mut entries: Vec<_> = order.iter().map(|name| (*name, 0)).collect();
                    entries.insert(at, (order[twice], width));
                    let bytes = map(&entries);
                    let found = decode::<Careless>(&bytes).map(|careless| careless.0);
                    assert_eq!(found, Err(DecodeErrorKind::DuplicateKey), "{entries:?}");
                    assert!(decode::<Five>(&bytes).is_err());
                    checked += 1;
                }
            }
        }
        let entries: Vec<_> = order.iter().map(|name| (*name, 0)).collect();
        assert_eq!(decode::<Careless>(&map(&entries)).unwrap().0, names.len());
    }
    assert_eq!(checked, 120 * 5 * 6 * 4);
}
