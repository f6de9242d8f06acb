//! Types through serde, as `serde_json` writes and reads them.

use super::{LIMITS, decode, encode, kind};
use mynah_codec::DecodeErrorKind::{Malformed, Shape, TooDeep};
use mynah_codec::format::json::{self, Raw};
use mynah_protocol::DecodeLimits;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Debug;

/// Written as `serde_json` writes it, and read back by both.
fn same<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T) {
    let text = encode(&value);
    assert_eq!(text, serde_json::to_string(&value).unwrap());
    assert_eq!(decode::<T>(&text).unwrap(), value, "{text}");
    assert_eq!(serde_json::from_str::<T>(&text).unwrap(), value, "{text}");
}

/// Refused by both.
fn refused<T: DeserializeOwned + Debug>(input: &str) {
    assert_eq!(kind(decode::<T>(input)), Some(Shape), "{input}");
    serde_json::from_str::<T>(input).unwrap_err();
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Shapes {
    Unit,
    Newtype(Option<u8>),
    Tuple(u8, String),
    Struct { a: i8, b: Vec<Shapes> },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Newtype(u32);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Pair(u8, char);

#[derive(Debug, PartialEq, Default, Serialize, Deserialize)]
struct Record {
    id: u64,
    name: String,
    values: [f64; 4],
    #[serde(default)]
    note: Option<Box<Record>>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "of")]
enum Adjacent {
    A,
    B(u8),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Internal {
    A { x: f64 },
    B { y: Option<i64> },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(i64),
    Float(f64),
    Text(String),
    List(Vec<Untagged>),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    a: u8,
    #[serde(flatten)]
    rest: BTreeMap<String, serde_json::Value>,
}

#[test]
fn scalars_and_collections() {
    same(());
    same(true);
    same(i8::MIN);
    same(u16::MAX);
    same(i32::MIN);
    same(u64::MAX);
    same(u128::MAX);
    same(i128::MIN);
    same(1.5_f32);
    same(-0.1);
    same('"');
    same('🦜');
    same("a \" \\ / \u{8}\u{c}\n\r\t\u{0}\u{1f}\u{7f} é".to_owned());
    same(Some(1));
    same(None::<u8>);
    same(Vec::<u8>::new());
    same(vec![Some("a".to_owned()), None]);
    same((1, "b".to_owned(), (), [0.5; 3]));
    same(BTreeMap::<String, u8>::new());
    same(serde_bytes::ByteBuf::from(vec![0, 1, 255]));
    same(serde_bytes::ByteBuf::new());
}

#[test]
fn structs_and_enums() {
    same(Unit);
    same(Newtype(7));
    same(Pair(1, 'x'));
    same(Record {
        id: 1,
        name: "n".to_owned(),
        note: Some(Box::default()),
        ..Record::default()
    });
    for shape in [
        Shapes::Unit,
        Shapes::Newtype(None),
        Shapes::Newtype(Some(1)),
        Shapes::Tuple(1, "t".to_owned()),
        Shapes::Struct {
            a: -1,
            b: vec![Shapes::Unit, Shapes::Newtype(Some(2))],
        },
    ] {
        same(shape);
    }
    same(vec![Adjacent::A, Adjacent::B(1)]);
    same(vec![
        Internal::A { x: 1.5 },
        Internal::B { y: Some(-1) },
        Internal::B { y: None },
    ]);
    same(Untagged::List(vec![
        Untagged::Number(-1),
        Untagged::Float(1.5),
        Untagged::Text("\n".to_owned()),
    ]));
    same(Flat {
        a: 1,
        rest: [("b".to_owned(), serde_json::json!({"c": [1]}))].into(),
    });
}

#[test]
fn keys_of_many_kinds() {
    same(BTreeMap::from([(1_u64, 'a'), (u64::MAX, 'b')]));
    same(BTreeMap::from([(-1_i8, ()), (7, ())]));
    same(BTreeMap::from([(u128::MAX, ())]));
    same(BTreeMap::from([(true, 1), (false, 2)]));
    same(BTreeMap::from([('"', 1), ('é', 2)]));
    same(BTreeMap::from([("a\n\"".to_owned(), 1)]));
    same(BTreeMap::from([(Shapes::Unit, 1)]));
    same(BTreeMap::from([(Some("a".to_owned()), 1)]));
    #[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    struct Name(String);
    same(BTreeMap::from([(Name("x".to_owned()), 1)]));
    refused::<BTreeMap<u8, u8>>(r#"{"256":0}"#);
    refused::<BTreeMap<u8, u8>>(r#"{" 1":0}"#);
    refused::<BTreeMap<u8, u8>>(r#"{"1 ":0}"#);
    refused::<BTreeMap<u8, u8>>(r#"{"":0}"#);
    refused::<BTreeMap<u8, u8>>(r#"{"01":0}"#);
    refused::<BTreeMap<bool, u8>>(r#"{"yes":0}"#);
    refused::<BTreeMap<Shapes, u8>>(r#"{"Newtype":0}"#);
}

#[test]
fn keys_that_cannot_be() {
    let mut out = Vec::new();
    assert!(json::encode(&BTreeMap::from([((), 1)]), &mut out).is_err());
    assert!(json::encode(&BTreeMap::from([(vec![1], 1)]), &mut out).is_err());
    assert!(json::encode(&BTreeMap::from([(None::<u8>, 1)]), &mut out).is_err());
    assert!(json::encode(&BTreeMap::from([(Shapes::Newtype(None), 1)]), &mut out).is_err());
}

#[test]
fn structs_are_read_by_position_too() {
    let record: Record = decode(r#"[1, "n", [1, 2.5, 3, 4], null]"#).unwrap();
    assert_eq!(record.values, [1.0, 2.5, 3.0, 4.0]);
    let shape: Shapes = decode(r#"{"Struct":[1,["Unit"]]}"#).unwrap();
    assert_eq!(
        shape,
        Shapes::Struct {
            a: 1,
            b: vec![Shapes::Unit]
        }
    );
    assert_eq!(
        decode::<Shapes>(r#" { "Unit" : null } "#).unwrap(),
        Shapes::Unit
    );
    assert_eq!(
        decode::<Record>(r#"{"values":[1,2,3,4],"more":[{}],"id":1,"name":"n"}"#)
            .unwrap()
            .id,
        1
    );
}

#[test]
fn other_shapes_are_refused() {
    refused::<u8>("true");
    refused::<u8>("\"1\"");
    refused::<u8>("[1]");
    refused::<u8>("null");
    refused::<bool>("1");
    refused::<bool>("null");
    refused::<f64>("\"1\"");
    refused::<f64>("null");
    refused::<String>("1");
    refused::<String>("[]");
    refused::<char>("\"ab\"");
    refused::<char>("\"\"");
    refused::<()>("[]");
    refused::<Unit>("{}");
    refused::<(u8, u8)>("[1]");
    refused::<Vec<u8>>("{}");
    refused::<BTreeMap<String, u8>>("[]");
    refused::<Record>("\"\"");
    refused::<Record>("{}");
    refused::<Shapes>("1");
    refused::<Shapes>("\"None\"");
    refused::<Shapes>("\"Tuple\"");
    refused::<Shapes>(r#"{"Unit":1}"#);
    refused::<Shapes>(r#"{"Tuple":[1]}"#);
    refused::<Shapes>(r#"{"Other":1}"#);
    // `serde_json` calls these a broken grammar.
    for input in ["[1,2,3]", "[1,2 ,3]"] {
        assert_eq!(kind(decode::<(u8, u8)>(input)), Some(Shape), "{input}");
    }
    for input in ["{}", r#"{"Unit":null,"Newtype":1}"#] {
        assert_eq!(kind(decode::<Shapes>(input)), Some(Shape), "{input}");
    }
    assert_eq!(
        kind(decode::<u8>("tru")),
        Some(mynah_codec::DecodeErrorKind::Truncated)
    );
    assert_eq!(kind(decode::<u8>("truE")), Some(Malformed));
    assert_eq!(kind(decode::<u8>("\"\n\"")), Some(Malformed));
}

#[test]
fn bytes_are_numbers_or_a_text() {
    assert_eq!(encode(&serde_bytes::Bytes::new(b"\x00\xff")), "[0,255]");
    assert_eq!(
        decode::<serde_bytes::ByteBuf>("[0, 255]").unwrap().as_ref(),
        [0, 255]
    );
    assert_eq!(
        decode::<serde_bytes::ByteBuf>(r#""a\u00e9""#)
            .unwrap()
            .as_ref(),
        "aé".as_bytes()
    );
    let lent: &[u8] = json::decode(b"\"abc\"", &LIMITS).unwrap();
    assert_eq!(lent, b"abc");
    assert_eq!(kind(decode::<serde_bytes::ByteBuf>("[256]")), Some(Shape));
}

#[test]
fn texts_without_escapes_are_lent() {
    let input = br#"{"a":"plain","b":"esc\u0061ped","c":["x"]}"#;
    #[derive(Deserialize)]
    struct Lent<'a> {
        a: &'a str,
        #[serde(borrow)]
        b: Cow<'a, str>,
        c: Vec<&'a str>,
    }
    let lent: Lent<'_> = json::decode(input, &LIMITS).unwrap();
    assert_eq!(
        (lent.a, &*lent.b, &*lent.c),
        ("plain", "escaped", &["x"][..])
    );
    assert!(input.as_ptr_range().contains(&lent.a.as_ptr()));
    let escaped = json::decode::<&str>(br#""\n""#, &LIMITS);
    assert_eq!(kind(escaped), Some(Shape));
}

#[test]
fn displayed_values_are_escaped() {
    struct Shown;
    impl Serialize for Shown {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(&format_args!("{}\"{}", 1, "\n"))
        }
    }
    assert_eq!(encode(&Shown), r#""1\"\n""#);
    assert_eq!(encode(&std::net::Ipv4Addr::LOCALHOST), "\"127.0.0.1\"");
}

#[test]
fn a_raw_part_keeps_its_spelling() {
    #[derive(Deserialize, Serialize)]
    struct Envelope<'a> {
        id: u8,
        #[serde(borrow)]
        params: Raw<'a>,
        #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
        more: Option<Raw<'a>>,
    }
    let input = "{\"params\": [ 1.50, {\"a\" :\"\\u0061\"} ] , \"id\":1}";
    let envelope: Envelope<'_> = json::decode(input.as_bytes(), &LIMITS).unwrap();
    assert_eq!(envelope.id, 1);
    assert_eq!(envelope.params.get(), "[ 1.50, {\"a\" :\"\\u0061\"} ]");
    assert!(envelope.more.is_none());
    assert_eq!(
        encode(&envelope),
        "{\"id\":1,\"params\":[ 1.50, {\"a\" :\"\\u0061\"} ]}"
    );
    for scalar in ["1e5", "\"x\"", "\"\\n\"", "null", "-0"] {
        let raw: Raw<'_> = json::decode(scalar.as_bytes(), &LIMITS).unwrap();
        assert_eq!(raw.get(), scalar);
    }
    let three = DecodeLimits {
        max_depth: 3,
        ..LIMITS
    };
    let deep = json::decode::<Envelope<'_>>(br#"{"id":1,"params":[[[]]]}"#, &three);
    assert_eq!(kind(deep), Some(TooDeep));
    assert_eq!(
        kind(json::decode::<Raw<'_>>(b"[01]", &LIMITS)),
        Some(Malformed)
    );
}

#[test]
fn what_fails_leaves_a_part_behind_and_says_why() {
    let mut out = b"before".to_vec();
    let error = json::encode(&[1.0, f64::NAN], &mut out).unwrap_err();
    assert!(error.to_string().contains("not finite"));
    assert!(out.starts_with(b"before"));
    let mut out = b"before".to_vec();
    mynah_codec::Format::Json
        .encode(&[1.0, f64::NAN], &mut out)
        .unwrap_err();
    assert_eq!(out, b"before");
}
