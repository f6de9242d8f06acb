//! The table of the guide's page on values: each cell is what a format makes of a value of Rust, and every value comes back.

use mynah::codec::Format;
use mynah::{Bytes, DecodeLimits, Value};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, SystemTime};

const FORMATS: [Format; 3] = [Format::Cbor, Format::MessagePack, Format::Json];

/// What `uuid::Uuid` does: a text where people read, 16 bytes elsewhere.
#[derive(Clone, Debug, PartialEq)]
struct Uuid([u8; 16]);

impl Serialize for Uuid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&self.text())
        } else {
            serializer.serialize_bytes(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Uuid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let known = Self([7; 16]);
        let same = value.as_str() == Some(&known.text()) || value.as_bytes() == Some(&known.0);
        same.then_some(known)
            .ok_or_else(|| serde::de::Error::custom("another UUID"))
    }
}

impl Uuid {
    fn text(&self) -> String {
        let hex: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        let (one, rest) = hex.split_at(8);
        let (two, rest) = rest.split_at(4);
        let (three, rest) = rest.split_at(4);
        let (four, five) = rest.split_at(4);
        format!("{one}-{two}-{three}-{four}-{five}")
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Choice {
    Plain,
    Held(u8),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    name: String,
}

fn label(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(_) => "boolean".into(),
        Value::Uint(_) | Value::Int(_) | Value::Big(_) => "integer".into(),
        Value::Float(_) => "float".into(),
        Value::Text(_) => "text".into(),
        Value::Bytes(bytes) => format!("{} bytes", bytes.len()),
        Value::Array(elements) => format!("array of {}", elements.len()),
        Value::Map(members) => match members.first() {
            Some((Value::Text(name), _)) => format!("map, key `\"{name}\"`"),
            Some((key, _)) => format!("map, key `{key}`"),
            None => "map".into(),
        },
        other => panic!("{other:?}"),
    }
}

fn cell<T: Serialize + DeserializeOwned + Debug>(
    format: Format,
    value: &T,
    same: fn(&T, &T) -> bool,
) -> String {
    let mut bytes = Vec::new();
    if format.encode(value, &mut bytes).is_err() {
        return "error".into();
    }
    let limits = DecodeLimits::DEFAULT;
    let back: T = format
        .decode(&bytes, &limits)
        .unwrap_or_else(|error| panic!("{value:?} in {format:?}: {error}"));
    assert!(
        same(value, &back),
        "{value:?} came back as {back:?} in {format:?}"
    );
    let seen: Value = format.decode(&bytes, &limits).expect("it is a value");
    label(&seen)
}

fn row<T: Serialize + DeserializeOwned + Debug + PartialEq>(rust: &str, value: &T) -> String {
    row_with(rust, value, T::eq)
}

fn row_with<T: Serialize + DeserializeOwned + Debug>(
    rust: &str,
    value: &T,
    same: fn(&T, &T) -> bool,
) -> String {
    let cells = FORMATS.map(|format| cell(format, value, same));
    format!("| {rust} | {} |\n", cells.join(" | "))
}

#[test]
fn the_table_of_the_guide_is_what_is_written() {
    let mut table = String::from("| Rust | CBOR | MessagePack | JSON |\n|---|---|---|---|\n");
    let moment = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
    table += &row("`u64`, `i64`", &u64::MAX);
    table += &row("`u128`, `i128` beyond 64 bits", &u128::MAX);
    table += &row("`f64`", &0.1f64);
    table += &row_with("`f64::NAN`, infinities", &f64::NAN, |_, back| back.is_nan());
    table += &row("`String`, `char`", &String::from("é"));
    table += &row("`Option::None`, `()`", &None::<u8>);
    table += &row("`mynah::Bytes`", &Bytes::from(vec![1, 2, 3]));
    table += &row("`Vec<u8>`", &vec![1u8, 2, 3]);
    table += &row("`(u8, u8)`", &(1u8, 2u8));
    table += &row("a struct", &Record { name: "n".into() });
    table += &row("a variant without content", &Choice::Plain);
    table += &row("a variant with content", &Choice::Held(1));
    table += &row("`BTreeMap<u32, _>`", &BTreeMap::from([(1u32, true)]));
    table += &row("`std::time::Duration`", &Duration::from_millis(1_500));
    table += &row("`std::time::SystemTime`", &moment);
    table += &row("`uuid::Uuid`", &Uuid([7; 16]));
    table += &row("`std::net::Ipv4Addr`", &Ipv4Addr::LOCALHOST);
    table += &row("`std::net::IpAddr`", &IpAddr::V4(Ipv4Addr::LOCALHOST));
    let page = include_str!("../../../../docs/guide/src/values-across-languages.md");
    assert!(
        page.contains(&table),
        "the page says something else than this:\n{table}"
    );
}

/// What the page says beside the table.
#[test]
fn numbers_of_others_are_taken() {
    let limits = DecodeLimits::DEFAULT;
    let json = |text: &str| Format::Json.decode::<f64>(text.as_bytes(), &limits);
    assert_eq!(json("5").unwrap(), 5.0);
    assert_eq!(json("0.1").unwrap(), 0.1);
    assert!(Format::Json.decode::<i64>(b"1.5", &limits).is_err());
    assert!(Format::Json.decode::<u8>(b"256", &limits).is_err());
    let mut cbor = Vec::new();
    Format::Cbor.encode(&5u8, &mut cbor).unwrap();
    assert_eq!(Format::Cbor.decode::<f64>(&cbor, &limits).unwrap(), 5.0);
    let digits = "9".repeat(60);
    let big: Value = Format::Json.decode(digits.as_bytes(), &limits).unwrap();
    let mut bytes = Vec::new();
    Format::Cbor.encode(&big, &mut bytes).unwrap();
    let back: Value = Format::Cbor.decode(&bytes, &limits).unwrap();
    assert_eq!(back, big);
    bytes.clear();
    assert!(Format::MessagePack.encode(&big, &mut bytes).is_err());
}
