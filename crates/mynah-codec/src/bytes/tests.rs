use super::*;
use crate::{DecodeErrorKind, Format};
use mynah_protocol::{DecodeLimits, FormatId, Payload, Value};
use serde::Serialize;

fn large(byte: u8) -> Bytes {
    Bytes::from(vec![byte; SHARED_BYTES])
}

fn plain<T: Serialize>(format: Format, value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    format.encode(value, &mut out).unwrap();
    out
}

fn split<T: Serialize>(format: Format, value: &T) -> (Vec<u8>, Vec<Segment>) {
    let mut out = b"before".to_vec();
    let mut segments = Vec::new();
    format.encode_split(value, &mut out, &mut segments).unwrap();
    (out.split_off(6), segments)
}

/// Split and plain say the same, and so many parts are not copied.
fn check<T: Serialize>(value: &T, parts: usize) {
    for (format, id) in [
        (Format::Cbor, FormatId::Cbor),
        (Format::NativeJson, FormatId::Json),
        (Format::MessagePack, FormatId::MessagePack),
    ] {
        let (bytes, segments) = split(format, value);
        assert_eq!(segments.len(), parts, "{format:?}");
        let joined = Payload::split(id, &bytes, &segments);
        assert_eq!(joined.contiguous(), plain(format, value), "{format:?}");
        assert_eq!(joined.len(), plain(format, value).len());
        format
            .scan(&joined.contiguous(), &DecodeLimits::DEFAULT)
            .unwrap();
    }
}

#[derive(Serialize, serde::Deserialize, PartialEq, Debug, Default)]
struct File {
    name: String,
    content: Bytes,
    #[serde(default)]
    more: Vec<Bytes>,
}

#[test]
fn large_bytes_are_put_aside_and_small_ones_are_not() {
    check(&Bytes::new(), 0);
    check(&Bytes::from_static(b"small"), 0);
    check(&large(1), 1);
    check(&(large(1), Bytes::from_static(b"x"), large(2), "end"), 2);
    check(
        &Some(File {
            content: large(3),
            more: vec![large(1), Bytes::new()],
            ..File::default()
        }),
        2,
    );
}

#[test]
fn the_buffer_itself_is_put_aside() {
    let content = large(7);
    for format in [Format::Cbor, Format::NativeJson, Format::MessagePack] {
        let (_, segments) = split(format, &("x", &content));
        assert_eq!(segments[0].bytes.as_ptr(), content.as_ptr());
    }
}

/// Announces no length, so the head of the array is widened once its elements are written.
struct Unannounced(Vec<Bytes>);

impl Serialize for Unannounced {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeSeq as _;
        let mut elements = serializer.serialize_seq(None)?;
        for element in &self.0 {
            elements.serialize_element(element)?;
        }
        elements.end()
    }
}

#[test]
fn segments_move_with_what_stands_before_them() {
    let mut bytes = vec![Bytes::from_static(b"a"); 300];
    bytes.insert(150, large(9));
    check(&(1, Unannounced(bytes), large(2)), 2);
}

/// Encodes something else in the midst of an encoding.
struct Nested(Bytes);

impl Serialize for Nested {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert_eq!(plain(Format::Cbor, &self.0).len(), self.0.len() + 3);
        let (inner, segments) = split(Format::Cbor, &(&self.0, &self.0));
        assert_eq!((inner.len(), segments.len()), (7, 2));
        self.0.serialize(serializer)
    }
}

#[test]
fn encodings_nest() {
    check(&(large(1), Nested(large(2)), large(3)), 3);
}

struct Fails;

impl Serialize for Fails {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no"))
    }
}

#[test]
fn what_failed_leaves_nothing() {
    for format in [Format::Cbor, Format::NativeJson, Format::MessagePack] {
        let (mut out, mut segments) = (vec![1], Vec::new());
        let failed = format.encode_split(&(large(1), Fails), &mut out, &mut segments);
        assert!(failed.is_err() && out == [1] && segments.is_empty());
        check(&large(1), 1);
    }
}

#[test]
fn strangers_see_bytes() {
    assert_eq!(
        serde_json::to_string(&Bytes::from_static(&[1, 2])).unwrap(),
        "[1,2]"
    );
    let mut out = Vec::new();
    ciborium::into_writer(&large(5), &mut out).unwrap();
    assert_eq!(out, plain(Format::Cbor, &large(5)));
    let read: Bytes = ciborium::from_reader(&*out).unwrap();
    assert_eq!(read, large(5));
    assert_eq!(plain(Format::Json, &Bytes::from_static(&[1, 2])), b"[1,2]");
    let read: Bytes = serde_json::from_str("[1,2]").unwrap();
    assert_eq!(*read, [1, 2]);
}

#[test]
fn large_parts_of_a_message_are_shared_and_small_ones_are_copied() {
    let value = File {
        name: "f".into(),
        content: large(1),
        more: vec![Bytes::from_static(b"small")],
    };
    for format in [Format::Cbor, Format::NativeJson, Format::MessagePack] {
        let message = Buffer::from(plain(format, &value));
        let within = |bytes: &Bytes| message.as_ptr_range().contains(&bytes.as_ptr());
        let shared = {
            let _source = Source::share(&message);
            format
                .decode::<File>(&message, &DecodeLimits::DEFAULT)
                .unwrap()
        };
        assert_eq!(shared, value);
        assert!(within(&shared.content) && !within(&shared.more[0]));
        let copied: File = format.decode(&message, &DecodeLimits::DEFAULT).unwrap();
        assert!(!within(&copied.content), "the source is gone");
        let _source = Source::share(&large(0).into_inner());
        let copied: File = format.decode(&message, &DecodeLimits::DEFAULT).unwrap();
        assert!(!within(&copied.content), "another source");
    }
}

fn decode_json<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, DecodeErrorKind> {
    let decoded = Format::NativeJson.decode(body, &DecodeLimits::DEFAULT);
    let scanned = Format::NativeJson.scan(body, &DecodeLimits::DEFAULT);
    if let Err(error) = &decoded
        && error.kind() == DecodeErrorKind::Shape
    {
        return Err(error.kind());
    }
    assert_eq!(decoded.is_ok(), scanned.is_ok(), "{body:?}: {scanned:?}");
    decoded.map_err(|error| error.kind())
}

#[test]
fn json_names_the_bytes_behind_it() {
    let pair = (Bytes::from_static(b"abc"), Bytes::from_static(b"\xff\0"));
    let body = b"[{\"$bytes\":[0,3]},{\"$bytes\":[3,2]}]abc\xff\0";
    assert_eq!(plain(Format::NativeJson, &pair), body);
    assert_eq!(decode_json(body), Ok(pair));
    let spaced = b" { \"$bytes\" : [ 0 , 2 ] }\"]";
    assert_eq!(decode_json(spaced), Ok(Bytes::from_static(b"\"]")));
    assert_eq!(
        decode_json(b"{\"$bytes\":[0,2]}  "),
        Ok(Bytes::from_static(b"  "))
    );
    assert_eq!(decode_json(b"{\"$bytes\":[0,0]}"), Ok(Bytes::new()));
    assert_eq!(
        decode_json(b"{\"a\":{\"$bytes\":[0,1]}}x"),
        Ok(Value::Map(vec![("a".into(), Value::Bytes(b"x".to_vec()))]))
    );
    assert_eq!(decode_json(b"[1] "), Ok(vec![1]), "white space as ever");
}

#[test]
fn every_byte_behind_the_json_is_named_once_in_order() {
    for body in [
        &b"{\"$bytes\":[0,3]}ab"[..],
        b"{\"$bytes\":[0,3]}abcd",
        b"{\"$bytes\":[1,2]}abc",
        b"{\"$bytes\":[0,3]} abc",
        b"[{\"$bytes\":[0,2]},{\"$bytes\":[0,2]}]ab",
        b"[{\"$bytes\":[0,2]},{\"$bytes\":[1,2]}]abc",
        b"[{\"$bytes\":[1,1]},{\"$bytes\":[0,1]}]ab",
        b"[{\"$bytes\":[0,1]},{\"$bytes\":[2,1]}]abc",
        b"{\"$bytes\":[18446744073709551615,1]}a",
        b"{\"$bytes\":[0,18446744073709551615]}a",
        b"{\"$bytes\":[0,-1]}",
        b"[{ \"$bytes\" : null }]",
        b"{\"$bytes\":[0,1],\"x\":1}",
        b"[{\"$bytes\":[0,1]},{\"$bytes\":[1,0.5]}]a",
        b"[1]x",
        b"[\"{\\\"$bytes\\\":[0,1]}\"]x",
    ] {
        assert!(
            decode_json::<Value>(body).is_err(),
            "{}",
            body.escape_ascii()
        );
        assert!(decode_json::<serde::de::IgnoredAny>(body).is_err());
    }
    assert!(decode_json::<Bytes>(b"{\"$bytes\":[0,99999999999999999999]}a").is_err());
    assert!(decode_json::<Bytes>(b"{\"$bytes\":[00,1]}a").is_err());
    assert!(decode_json::<Bytes>(b"{\"$bytes\":[0,1],\"x\":1}a").is_err());
    assert!(
        decode_json::<Bytes>(b"{\"$\\u0062ytes\":[0,1]}a").is_err(),
        "no escapes"
    );
    assert!(decode_json::<(Value,)>(b"[{\"$bytes\":[0,1]},2]a").is_err());
}

#[test]
fn passed_over_bytes_count() {
    let body = b"{\"other\":[{\"$bytes\":[0,2]}],\"name\":\"n\",\"content\":{\"$bytes\":[2,1]}}abc";
    assert_eq!(*decode_json::<File>(body).unwrap().content, *b"c");
    let gap = b"{\"other\":[{\"$bytes\":[0,1]}],\"name\":\"n\",\"content\":{\"$bytes\":[2,1]}}abc";
    assert!(decode_json::<File>(gap).is_err());
}

#[test]
fn json_refuses_an_object_that_looks_like_bytes() {
    let mut out = Vec::new();
    let map = Value::Map(vec![("$bytes".into(), Value::Null)]);
    assert!(Format::NativeJson.encode(&map, &mut out).is_err());
    let keys = std::collections::HashMap::from([("$bytes", 1)]);
    assert!(Format::NativeJson.encode(&keys, &mut out).is_err());
    assert!(
        Format::Json.encode(&map, &mut out).is_ok(),
        "elsewhere it means nothing"
    );
    let typed = decode_json::<std::collections::HashMap<String, Vec<u8>>>(b"{\"$bytes\":[0,1]}a");
    assert_eq!(typed, Err(DecodeErrorKind::Shape));
}

#[test]
fn bodies_without_bytes_are_as_in_plain_json() {
    let value = serde_json::json!({"a": [1, 2.5, "x\n", null, {"b": []}], "$": {"$byte": 1}});
    assert_eq!(
        plain(Format::NativeJson, &value),
        plain(Format::Json, &value)
    );
}
