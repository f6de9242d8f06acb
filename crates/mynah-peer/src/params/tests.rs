//! Params in every shape: what is written on which wire, and what is read from whom.

use super::*;
use crate::method::MethodInfo;
use mynah_protocol::{DecodeLimits, ErrorCode, Value};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

const LIMITS: DecodeLimits = DecodeLimits::DEFAULT;

/// `greet(name, title: Option, times = 3)`.
#[derive(Debug)]
struct Greet;

impl Signature for Greet {
    type Params = (String, Option<String>, u8);
    const NAMES: &'static [&'static str] = &["name", "title", "times"];
    const DEFAULTS: <Self::Params as ReadList>::Defaults = (None, None, Some(three));
}

fn three() -> u8 {
    3
}

static GREET: MethodInfo = MethodInfo::new("hall", "greet", Greet::NAMES).lacking(0b010);

/// `find(title: Option, name: Option)`.
static FIND: MethodInfo = MethodInfo::new("hall", "find", &["title", "name"]).lacking(0b011);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Point {
    x: i64,
}

/// `show(#[params] point)`.
#[derive(Debug)]
struct Show;

impl Signature for Show {
    type Params = (Point,);
    const NAMES: &'static [&'static str] = &["point"];
    const DEFAULTS: <Self::Params as ReadList>::Defaults = (None,);
    const OBJECT: bool = true;
}

static SHOW: MethodInfo = MethodInfo::new("hall", "show", Show::NAMES).object();

#[derive(Debug)]
struct Ping;

impl Signature for Ping {
    type Params = ();
    const NAMES: &'static [&'static str] = &[];
    const DEFAULTS: () = ();
}

static PING: MethodInfo = MethodInfo::new("hall", "ping", &[]);

fn wire(params: ParamsShape, only_params: bool) -> WireFormat {
    WireFormat {
        params,
        only_params,
        dialect: "test",
        ..WireFormat::new(Format::Json, LIMITS)
    }
}

const SHAPES: [ParamsShape; 3] = [
    ParamsShape::Positional,
    ParamsShape::Named,
    ParamsShape::Object,
];

fn written(
    params: &impl Params,
    target: &Target,
    shape: ParamsShape,
    only: bool,
) -> Result<String, &'static str> {
    let mut buffer = EncodedBuffer::default();
    match encode(params, target, &wire(shape, only), &mut buffer) {
        Ok(()) => Ok(String::from_utf8(buffer.bytes).unwrap()),
        Err(CallError::Unsupported {
            dialect: "test",
            feature,
        }) => Err(feature),
        Err(error) => panic!("{error:?}"),
    }
}

/// On each wire, with other spellings allowed and without.
fn on_wires(params: &impl Params, target: &Target) -> [Result<String, &'static str>; 6] {
    let wires = SHAPES.map(|shape| [false, true].map(|only| written(params, target, shape, only)));
    wires.concat().try_into().unwrap()
}

fn all(text: &str) -> [Result<String, &'static str>; 6] {
    [(); 6].map(|()| Ok(text.to_owned()))
}

fn read<M: Signature>(params: &str) -> Result<M::Params, String> {
    let read = Spelled::<M>::new().read(params.as_bytes(), Format::Json, &LIMITS);
    read.map_err(|error| {
        assert_eq!(error.code(), ErrorCode::INVALID_PARAMS);
        error.message().to_owned()
    })
}

#[test]
fn a_method_is_spelled_as_its_wire_spells_params() {
    let params = ("Ada".to_owned(), Some("Dr".to_owned()), 2_u8);
    let array = r#"["Ada","Dr",2]"#;
    let map = r#"{"name":"Ada","title":"Dr","times":2}"#;
    let expected = [array, array, map, map, map, map].map(|text| Ok(text.to_owned()));
    assert_eq!(on_wires(&params, &Target::Method(&GREET)), expected);
}

#[test]
fn nothing_is_written_for_none() {
    let inner = ("Ada".to_owned(), None::<String>, 2_u8);
    let (array, map) = (r#"["Ada",null,2]"#, r#"{"name":"Ada","times":2}"#);
    let expected = [array, array, map, map, map, map].map(|text| Ok(text.to_owned()));
    assert_eq!(on_wires(&inner, &Target::Method(&GREET)), expected);

    let last = (Some("Dr".to_owned()), None::<String>);
    let (array, map) = (r#"["Dr"]"#, r#"{"title":"Dr"}"#);
    let expected = [array, array, map, map, map, map].map(|text| Ok(text.to_owned()));
    assert_eq!(on_wires(&last, &Target::Method(&FIND)), expected);

    let none = (None::<String>, None::<String>);
    let expected = ["[]", "[]", "{}", "{}", "{}", "{}"].map(|text| Ok(text.to_owned()));
    assert_eq!(on_wires(&none, &Target::Method(&FIND)), expected);
    // By name as by type.
    let named = Target::named("hall", "find");
    assert_eq!(
        written(&none, &named, ParamsShape::Positional, true).unwrap(),
        "[]"
    );
}

#[test]
fn one_object_is_all_of_the_params() {
    let params = (Point { x: 1 },);
    let mut expected = all(r#"{"x":1}"#);
    expected[1] = Ok(r#"[{"x":1}]"#.to_owned());
    assert_eq!(on_wires(&params, &Target::Method(&SHOW)), expected);
    let by_name = Object(Point { x: 1 });
    assert_eq!(on_wires(&by_name, &Target::named("hall", "show")), expected);
    let owned = by_name.into_owned().unwrap();
    assert_eq!(on_wires(&owned, &Target::named("hall", "show")), expected);
}

#[test]
fn no_params_are_an_empty_array_or_an_empty_map() {
    let expected = ["[]", "[]", "{}", "{}", "{}", "{}"].map(|text| Ok(text.to_owned()));
    assert_eq!(on_wires(&(), &Target::Method(&PING)), expected);
    assert_eq!(read::<Ping>("[]"), Ok(()));
    assert_eq!(read::<Ping>("{}"), Ok(()));
    let error = read::<Ping>(r#"{"x":1}"#).unwrap_err();
    assert!(
        error.contains("unknown param `x`: there are none"),
        "{error}"
    );
    read::<Ping>("[1]").unwrap_err();
}

#[test]
fn an_order_without_names_is_refused_where_only_names_are_said() {
    let expected = [
        Ok("[5,10]".to_owned()),
        Ok("[5,10]".to_owned()),
        Ok("[5,10]".to_owned()),
        Err("positional params"),
        Ok("[5,10]".to_owned()),
        Err("positional params"),
    ];
    let params = (5, 10);
    assert_eq!(on_wires(&params, &Target::named("arith", "add")), expected);
    // What every peer has is said in one way on all wires.
    assert_eq!(
        on_wires(&params, &Target::named("$events", "subscribe")),
        all("[5,10]")
    );
}

#[test]
fn every_shape_is_read() {
    let full = ("Ada".to_owned(), Some("Dr".to_owned()), 2);
    for params in [
        r#"["Ada","Dr",2]"#,
        r#"{"name":"Ada","title":"Dr","times":2}"#,
        r#"{"times":2,"title":"Dr","name":"Ada"}"#,
    ] {
        assert_eq!(read::<Greet>(params), Ok(full.clone()), "{params}");
    }
    let short = ("Ada".to_owned(), None, 3);
    for params in [
        r#"["Ada"]"#,
        r#"["Ada",null]"#,
        r#"{"name":"Ada"}"#,
        r#"{"name":"Ada","title":null}"#,
    ] {
        assert_eq!(read::<Greet>(params), Ok(short.clone()), "{params}");
    }
    assert_eq!(read::<Show>(r#"{"x":1}"#), Ok((Point { x: 1 },)));
    assert_eq!(read::<Show>(r#"[{"x":1}]"#), Ok((Point { x: 1 },)));
}

#[test]
fn what_is_wrong_is_said_by_name() {
    for (params, text) in [
        ("[]", "param `name` is missing"),
        ("{}", "param `name` is missing"),
        (
            r#"{"nmae":"Ada"}"#,
            "unknown param `nmae`: there are `name`, `title`, `times`",
        ),
        (r#"["Ada","Dr",2,3]"#, "more elements"),
        (r#"["Ada","Dr",null]"#, "unit value"),
        (r#"{"name":"Ada","name":"Bob"}"#, "twice"),
        (r#""Ada""#, "an array of params, or a map from their names"),
    ] {
        let error = read::<Greet>(params).unwrap_err();
        assert!(error.contains(text), "{params}: {error}");
    }
    let long = format!(r#"{{"{}":1}}"#, "x".repeat(10_000));
    assert!(read::<Greet>(&long).unwrap_err().len() < 256);
    let error = read::<Show>("[]").unwrap_err();
    assert!(error.contains("param `point` is missing"), "{error}");
}

#[test]
fn a_wire_where_the_last_duplicate_wins_is_obeyed() {
    let limits = DecodeLimits {
        duplicate_keys: mynah_protocol::DuplicateKeys::LastWins,
        ..LIMITS
    };
    let params = br#"{"name":"Ada","name":"Bob"}"#;
    let read = Spelled::<Greet>::new().read(params, Format::Json, &limits);
    assert_eq!(read.unwrap(), ("Bob".to_owned(), None, 3));
}

/// What a format makes of params in each shape, and back.
fn survives<M: Signature>(params: M::Params, target: &Target)
where
    M::Params: Params + PartialEq + Clone + std::fmt::Debug + DeserializeOwned,
{
    for format in [
        Format::Cbor,
        Format::Json,
        Format::MessagePack,
        Format::NativeJson,
        Format::PythonJson,
    ] {
        for shape in SHAPES {
            let wire = WireFormat {
                params: shape,
                ..WireFormat::new(format, LIMITS)
            };
            let mut buffer = EncodedBuffer::default();
            encode(&params, target, &wire, &mut buffer).unwrap();
            let read = Spelled::<M>::new().read(&buffer.bytes, format, &LIMITS);
            assert_eq!(read.unwrap(), params, "{format:?} {shape:?}");
        }
    }
}

#[test]
fn every_format_carries_every_shape() {
    let ada = || "Ada".to_owned();
    survives::<Greet>((ada(), None, 2), &Target::Method(&GREET));
    survives::<Greet>((ada(), Some(ada()), 2), &Target::Method(&GREET));
    let tagged = [0xc1, 0x81, 0xa1, 0x61, b'x', 0x01];
    assert_eq!(Format::Cbor.is_array(&tagged), Some(true));
    let read = Spelled::<Show>::new().read(&tagged, Format::Cbor, &LIMITS);
    assert_eq!(read.unwrap(), (Point { x: 1 },));
    for format in [Format::Cbor, Format::Json, Format::MessagePack] {
        for shape in SHAPES {
            let mut buffer = EncodedBuffer::default();
            let wire = WireFormat {
                params: shape,
                only_params: true,
                ..WireFormat::new(format, LIMITS)
            };
            encode(
                &(Point { x: 1 },),
                &Target::Method(&SHOW),
                &wire,
                &mut buffer,
            )
            .unwrap();
            let read = Spelled::<Show>::new().read(&buffer.bytes, format, &LIMITS);
            assert_eq!(read.unwrap(), (Point { x: 1 },), "{format:?} {shape:?}");
        }
    }
}

#[test]
fn an_object_keeps_what_is_in_it_when_it_is_taken_along() {
    let borrowed = String::from("Ada");
    let map: BTreeMap<&str, &str> = BTreeMap::from([("name", borrowed.as_str())]);
    let owned = Object(&map).into_owned().unwrap();
    let text = |text: &str| Value::Text(text.into());
    assert_eq!(owned.0, Value::Map(vec![(text("name"), text("Ada"))]));
}
