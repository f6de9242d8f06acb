//! Versions, and what a side says of itself at the start.

use super::*;
use mynah_protocol::Opaque;

/// The going-away that a wire says about an error, as a peer of this version reads it.
fn farewell(wire: &mut NativeWire, format: FormatId, error: &WireError) -> GoingAway<'static> {
    let mut out = Output::new();
    wire.farewell(error, &mut out);
    let mut bytes = taken(&mut out);
    if !bytes.starts_with(MAGIC) {
        bytes.splice(..0, preface(format));
    }
    let mut other = NativeWire::dial(format, &Limits::default());
    let mut seen = Vec::new();
    assert_eq!(read(&mut other, &bytes, &mut seen), 0);
    let Some(Envelope::GoingAway(away)) = seen.pop() else {
        panic!("{seen:?}")
    };
    away
}

#[test]
fn another_version_is_a_clear_error_on_both_sides() {
    for format in FORMATS {
        let check = |wire: &mut NativeWire, bytes: &[u8]| {
            let error = wire.decode(bytes).unwrap_err();
            assert_eq!(error.code(), ErrorCode::VERSION_MISMATCH);
            let away = farewell(wire, format, &error);
            assert_eq!(away.code, ErrorCode::VERSION_MISMATCH);
            for text in [error.to_string(), away.message.into_owned()] {
                assert!(text.contains("version 2, this side version 1"), "{text}");
            }
        };
        let mut newer = preface(format);
        newer[5] = 2;
        // A client of version 2 dials; it is answered in the format that it asked for.
        check(&mut NativeWire::accept(&Limits::default()), &newer);
        // A server of version 2 answers.
        let mut client = NativeWire::dial(format, &Limits::default());
        client.own_output(&mut Output::new());
        check(&mut client, &newer);
        // The prefaces agree, and the hello says something else, in words that are unknown here.
        let hello = framed(&encode(format, &(0, 2, ("new", "words"))));
        check(&mut ready(format), &hello);
    }
    // In a format that only version 2 has.
    let error = NativeWire::accept(&Limits::default())
        .decode(b"MYNAH\x02X\n")
        .unwrap_err();
    assert!(error.to_string().contains("version 2"), "{error}");

    let mut http = NativeWire::accept(&Limits::default());
    assert!(http.decode(b"G").is_err(), "known by its first byte");
}

fn say_hello(format: FormatId, hello: &Hello<'static>) -> Vec<u8> {
    let mut out = Output::new();
    let mut wire = NativeWire::dial(format, &Limits::default());
    wire.encode(&Envelope::Hello(hello.clone()), Lane::Data, &mut out)
        .unwrap();
    taken(&mut out)
}

fn hear_hello(format: FormatId, frame: &[u8]) -> Result<Hello<'static>, WireError> {
    match ready(format).decode(frame)? {
        Step::Envelope(len, Envelope::Hello(hello)) if len == frame.len() => Ok(hello.into_owned()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_hello_carries_what_is_set_and_nothing_else() {
    for format in FORMATS {
        let plain = Hello::version(1);
        let empty = framed(&encode(format, &(0, 1, BTreeMap::<(), ()>::new())));
        assert_eq!(say_hello(format, &plain), empty, "{format}");
        assert_eq!(hear_hello(format, &empty), Ok(plain.clone()));
        // No map at all, and one that is null.
        for short in [encode(format, &(0, 1)), encode(format, &(0, 1, ()))] {
            assert_eq!(hear_hello(format, &framed(&short)), Ok(plain.clone()));
        }

        let opaque = |text: &str| match format {
            FormatId::Json => Opaque::Text(text.into()),
            _ => Opaque::Bytes(text.as_bytes().into()),
        };
        let mut full = Hello::version(1);
        full.max_message_bytes = Some(u64::MAX);
        full.calls_in_flight = Some(0);
        full.agent = "somebody/1".into();
        let more = full.more_mut();
        more.versions = Some((1, 3));
        more.features = vec!["chunks".into(), "segments".into()];
        more.session = Some(opaque("s e s"));
        more.ack = Some(1 << 52);
        more.contracts.insert("arith".into(), opaque("\u{1}\u{2}"));
        more.contracts
            .insert("".into(), Opaque::Text("text".into()));
        let frame = say_hello(format, &full);
        let heard = hear_hello(format, &frame).unwrap();
        assert_eq!(heard, full, "{format}");
        assert!(heard.has_feature("chunks") && !heard.has_feature("chunk"));
    }
}

#[test]
fn bytes_in_a_hello_have_no_spelling_in_json() {
    let mut hello = Hello::version(1);
    hello.more_mut().session = Some(Opaque::Bytes([1].into()));
    let mut out = Output::new();
    let mut wire = NativeWire::dial(FormatId::Json, &Limits::default());
    let written = wire.encode(&Envelope::Hello(hello), Lane::Data, &mut out);
    assert!(matches!(written, Err(EncodeError::Value(_))), "{written:?}");
    assert!(out.is_empty());
}

#[test]
fn unknown_parts_of_a_hello_are_passed_over_and_known_ones_are_bounded() {
    let long = "x".repeat(257);
    let many: Value = (0..1025u64).map(Value::from).collect();
    let map = |key: &str, value: Value| Value::from([(key, value)]);
    for format in FORMATS {
        let hear =
            |abilities: Value| hear_hello(format, &framed(&encode(format, &(0, 1, abilities))));
        for unknown in [
            map(
                "from the future",
                Value::Array(vec![1.into(), map("a", "b".into())]),
            ),
            map("features", Value::Array(vec![])),
            map("session", Value::Null),
            map("ack", Value::Null),
            map("contracts", Value::Map(vec![])),
            map("agent", Value::Null),
            Value::Map(vec![]),
        ] {
            let heard = hear(unknown.clone()).unwrap();
            let said = heard.more.is_none_or(|more| *more == Default::default());
            assert!(said && heard.agent.is_empty(), "{unknown}");
        }
        for (abilities, part) in [
            (Value::from("features"), "a map"),
            (
                map("versions", [Value::from(2), Value::from(3)].into()),
                "versions",
            ),
            (
                map("versions", [Value::from(1), Value::from(0)].into()),
                "versions",
            ),
            (map("versions", 1.into()), "versions"),
            (map("features", "chunks".into()), "features"),
            (map("features", [Value::from(&*long)].into()), "features"),
            (map("features", [Value::from(1)].into()), "features"),
            (map("session", 5.into()), "session"),
            (map("session", (&*long).into()), "session"),
            (map("ack", "5".into()), "ack"),
            (map("ack", (-1).into()), "ack"),
            (map("agent", (&*long).into()), "agent"),
            (map("max_message_bytes", "x".into()), "max_message_bytes"),
            (map("calls_in_flight", 1.5.into()), "calls_in_flight"),
            (map("contracts", [Value::from(1)].into()), "contracts"),
            (map("contracts", map("a", 1.into())), "contracts"),
            (map("contracts", map(&long, "a".into())), "contracts"),
            (map("contracts", map("a", (&*long).into())), "contracts"),
            (map("unknown", "x".repeat(1 << 16).into()), "65536"),
        ] {
            let error = hear(abilities).unwrap_err();
            assert_eq!(error.code(), ErrorCode::PROTOCOL_VIOLATION);
            assert!(error.to_string().contains(part), "{error}");
        }
        let error = hear(map("unknown", many.clone())).unwrap_err();
        assert!(matches!(error, WireError::Decode(_)), "{error}");
    }
    let bytes = map("session", vec![0u8; 257].into());
    for format in [FormatId::Cbor, FormatId::MessagePack] {
        assert!(hear_hello(format, &framed(&encode(format, &(0, 1, &bytes)))).is_err());
    }
}
