mod custom;
mod hello;

use super::*;
use crate::{Format, OutputChunk};
use mynah_protocol::{
    Cancel, CancelReason, Event, Log, Metadata, MethodName, Notification, Payload, Progress,
    Request, Response, RpcError, Streams, Value, WireId,
};
use std::time::Duration;

const FORMATS: [FormatId; 3] = [FormatId::Cbor, FormatId::Json, FormatId::MessagePack];

fn encode(format: FormatId, value: &impl serde::Serialize) -> Vec<u8> {
    let mut out = Vec::new();
    Format::built_in(format)
        .unwrap_or(Format::Custom(&custom::BACKWARDS))
        .encode(value, &mut out)
        .unwrap();
    out
}

fn payload(format: FormatId, value: &impl serde::Serialize) -> Payload<'static> {
    Payload::owned(format, encode(format, value).into())
}

/// One of each kind, in each shape.
fn samples(format: FormatId) -> Vec<Envelope<'static>> {
    let mut metadata = Metadata::new();
    metadata.insert("trace", "a\"b\\c\u{7}é");
    let request = |id: WireId, timeout, metadata: Metadata| {
        Envelope::Request(Request {
            streams: Streams::NONE,
            id,
            name: MethodName::new("arith", "add"),
            timeout,
            metadata,
            params: payload(format, &(2, 3)),
        })
    };
    let response = |result| {
        Envelope::Response(Response {
            id: WireId::Uint(7),
            result,
        })
    };
    let data = Value::Map(vec![(Value::from("why"), Value::Array(vec![Value::Null]))]);
    vec![
        request(WireId::Uint(0), None, Metadata::new()),
        request(
            WireId::Uint(1 << 52),
            Some(Duration::from_millis(30_000)),
            Metadata::new(),
        ),
        request(WireId::Text("é\"".into()), None, metadata.clone()),
        request(
            WireId::Uint(300),
            Some(Duration::from_millis(1)),
            metadata.clone(),
        ),
        response(Ok(payload(format, &"five"))),
        response(Err(Box::new(RpcError::new(
            ErrorCode::application(-1),
            "no \u{1}",
        )))),
        response(Err(Box::new(
            RpcError::from_code(ErrorCode::BUSY).with_data(data),
        ))),
        Envelope::Notification(Notification {
            name: MethodName::new("", "touch"),
            id: None,
            metadata,
            params: payload(format, &[1.5]),
        }),
        Envelope::Cancel(Cancel {
            id: WireId::Uint(9),
            reason: CancelReason::Caller,
        }),
        Envelope::Cancel(Cancel {
            id: WireId::Uint(9),
            reason: CancelReason::Deadline,
        }),
        Envelope::Progress(Progress {
            id: WireId::Uint(3),
            value: payload(format, &50),
            note: None,
        }),
        Envelope::Progress(Progress {
            id: WireId::Uint(3),
            value: payload(format, &50),
            note: Some(payload(format, &"half")),
        }),
        Envelope::Log(Log {
            id: None,
            level: -4,
            dropped: 0,
            content: payload(format, &()),
        }),
        Envelope::Log(Log {
            id: Some(WireId::Uint(1)),
            level: 5,
            dropped: 12,
            content: payload(format, &"line"),
        }),
        Envelope::Event(Event {
            topic: "a/b".into(),
            message: payload(format, &true),
        }),
        Envelope::Ping(5),
        Envelope::Pong(CallIdMax::VALUE),
        Envelope::GoingAway(GoingAway {
            code: ErrorCode::DRAINING,
            message: "bye".into(),
        }),
    ]
}

struct CallIdMax;

impl CallIdMax {
    const VALUE: u64 = mynah_protocol::CallId::MAX;
}

fn taken(out: &mut Output) -> Vec<u8> {
    let [mut control, mut data] = [OutputChunk::default(), OutputChunk::default()];
    out.take(Lane::Control, &mut control);
    out.take(Lane::Data, &mut data);
    [control.bytes, data.bytes].concat()
}

/// Preface and hello of a side that dials, then one of each kind.
fn conversation(format: FormatId) -> Vec<u8> {
    let mut wire = NativeWire::dial(format, &Limits::default());
    let mut out = Output::new();
    wire.own_output(&mut out);
    for envelope in samples(format) {
        wire.encode(&envelope, Lane::Data, &mut out).unwrap();
    }
    taken(&mut out)
}

/// Reads everything that is whole; returns what is left over.
fn read(wire: &mut NativeWire, mut input: &[u8], seen: &mut Vec<Envelope<'static>>) -> usize {
    loop {
        match wire.decode(input).unwrap() {
            Step::Need(_) => return input.len(),
            Step::Skip(len) | Step::Ignore(len) => input = &input[len..],
            Step::Envelope(len, envelope) => {
                seen.push(envelope.into_owned());
                input = &input[len..];
            }
        }
    }
}

#[test]
fn every_kind_survives_the_wire() {
    for format in FORMATS {
        let bytes = conversation(format);
        let mut wire = NativeWire::accept(&Limits::default());
        let mut seen = Vec::new();
        assert_eq!(read(&mut wire, &bytes, &mut seen), 0);
        assert!(matches!(&seen[0], Envelope::Hello(hello) if hello.version == 1));
        assert_eq!(seen[1..], samples(format)[..], "{format}");
        assert_eq!(wire.profile().format, format);
    }
}

#[test]
fn l5_split_at_every_byte_it_is_the_same() {
    for format in FORMATS {
        let bytes = conversation(format);
        for split in 0..bytes.len() {
            let mut wire = NativeWire::accept(&Limits::default());
            let mut seen = Vec::new();
            let left = read(&mut wire, &bytes[..split], &mut seen);
            assert_eq!(read(&mut wire, &bytes[split - left..], &mut seen), 0);
            assert_eq!(seen.len(), samples(format).len() + 1, "{format} at {split}");
            assert_eq!(seen[1..], samples(format)[..], "{format} at {split}");
        }
    }
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .collect();
    digits
        .chunks(2)
        .map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap())
        .collect()
}

/// A wire that has the prefaces behind it.
fn ready(format: FormatId) -> NativeWire {
    let mut wire = NativeWire::accept(&Limits::default());
    assert!(matches!(wire.decode(&preface(format)), Ok(Step::Skip(8))));
    wire
}

fn preface(format: FormatId) -> Vec<u8> {
    let letter = match format {
        FormatId::Json => b'J',
        FormatId::MessagePack => b'M',
        _ => b'C',
    };
    [b"MYNAH\x01", &[letter, b'\n'][..]].concat()
}

fn framed(content: &[u8]) -> Vec<u8> {
    [
        &u32::try_from(content.len()).unwrap().to_be_bytes()[..],
        content,
    ]
    .concat()
}

/// Found by fuzzing: whoever passes the message on goes by the value, and would say another one.
#[test]
fn a_length_of_progress_cuts_no_value() {
    let check = |format, head: &[u8], body: &[u8], fits: bool| {
        let frame = framed(&[head, body].concat());
        let mut wire = ready(format);
        let step = wire.decode(&frame);
        let whole = matches!(&step, Ok(Step::Envelope(_, Envelope::Progress(_))));
        assert_eq!(whole, fits, "{format} {head:02x?}: {step:?}");
        if let Err(error) = step {
            assert_eq!(error.code(), ErrorCode::PROTOCOL_VIOLATION);
        }
    };
    // A value of two bytes, and a note.
    for (len, fits) in [(0, false), (1, false), (2, true), (3, false), (9, false)] {
        check(FormatId::Cbor, &[0x83, 6, 3, len], &[0x61, b'a', 1], fits);
        check(
            FormatId::MessagePack,
            &[0x93, 6, 3, len],
            &[0xa1, b'a', 1],
            fits,
        );
    }
    // In JSON bytes may stand behind the value.
    for (len, fits) in [
        (0, false),
        (1, false),
        (2, true),
        (3, true),
        (4, true),
        (5, false),
    ] {
        let head = format!("[6,3,{len}]");
        check(FormatId::Json, head.as_bytes(), b"[]ab", fits);
    }
}

#[test]
fn golden_frames_of_the_page() {
    let request = hex("00000017 85 01 1a00010000 656172697468 63616464 197530 82 02 03");
    let answer = hex("00000008 82 02 1a00010000 05");
    let mut wire = ready(FormatId::Cbor);
    let Step::Envelope(len, Envelope::Request(read)) = wire.decode(&request).unwrap() else {
        panic!("no request")
    };
    assert_eq!(len, request.len());
    assert_eq!(read.id, WireId::Uint(65536));
    assert_eq!(read.name, MethodName::new("arith", "add"));
    assert_eq!(read.timeout, Some(Duration::from_secs(30)));
    assert_eq!(read.params.as_slice(), hex("820203"));
    let mut out = Output::new();
    let envelope = Envelope::Request(read);
    wire.encode(&envelope, Lane::Data, &mut out).unwrap();
    let response = Response {
        id: WireId::Uint(65536),
        result: Ok(Payload::lent(FormatId::Cbor, &[5])),
    };
    wire.encode(&Envelope::Response(response), Lane::Data, &mut out)
        .unwrap();
    assert_eq!(taken(&mut out), [request, answer].concat());

    let json = framed(br#"[1,65536,"arith","add",30000][2,3]"#);
    let mut wire = ready(FormatId::Json);
    assert!(matches!(
        wire.decode(&json).unwrap(),
        Step::Envelope(_, Envelope::Request(_))
    ));

    let request = hex("00000017 95 01 ce00010000 a56172697468 a3616464 cd7530 92 02 03");
    let answer = hex("00000008 92 02 ce00010000 05");
    let mut wire = ready(FormatId::MessagePack);
    let Step::Envelope(len, Envelope::Request(read)) = wire.decode(&request).unwrap() else {
        panic!("no request")
    };
    assert_eq!(len, request.len());
    assert_eq!(read.id, WireId::Uint(65536));
    assert_eq!(read.params.as_slice(), hex("920203"));
    let mut out = Output::new();
    wire.encode(&Envelope::Request(read), Lane::Data, &mut out)
        .unwrap();
    let response = Response {
        id: WireId::Uint(65536),
        result: Ok(Payload::lent(FormatId::MessagePack, &[5])),
    };
    wire.encode(&Envelope::Response(response), Lane::Data, &mut out)
        .unwrap();
    assert_eq!(taken(&mut out), [request, answer].concat());
}

#[test]
fn what_a_newer_peer_adds_is_passed_over() {
    let check = |format, content: &[u8], wanted: &str| {
        let mut wire = ready(format);
        let frame = framed(content);
        let found = match wire.decode(&frame).unwrap() {
            Step::Envelope(len, envelope) if len == frame.len() => envelope.kind(),
            Step::Ignore(len) if len == frame.len() => "ignored",
            other => panic!("{other:?}"),
        };
        assert_eq!(found, wanted);
    };
    // [2, 7, [1, {}], "x"] 5, and kind 99.
    check(
        FormatId::Cbor,
        &hex("84 02 07 82 01 a0 61 78 05"),
        "response",
    );
    check(FormatId::Cbor, &hex("83 1863 01 f6 00"), "ignored");
    // Integers of any width, an extension among what is new.
    check(
        FormatId::MessagePack,
        &hex("dc0004 d002 cd0007 d40000 a178 05"),
        "response",
    );
    check(FormatId::MessagePack, &hex("93 63 01 c0 00"), "ignored");
    check(
        FormatId::Json,
        br#" [ 2 , 7 , [1, {"a": "]"}] , "x" ] 5"#,
        "response",
    );
    check(
        FormatId::Json,
        br#"[1,1,"s","m",null,null,null,null,0,true] []"#,
        "request",
    );
    check(FormatId::Json, br#"[99,{},0]0"#, "ignored");
}

#[test]
fn bad_heads_are_refused() {
    let check = |format, content: &[u8]| {
        let mut wire = ready(format);
        let frame = framed(content);
        assert!(wire.decode(&frame).is_err(), "{format} {content:02x?}");
    };
    for content in [
        "",
        "00",
        "80",
        "9f02",
        "8202",
        "82 02 20",
        "82 02 f5",
        "8402 07 9f",
        "85 01 01 61ff 6161",
        "84 01 01 60 60",
        "82 03 01",
        "82 03 01 80",
        "82 03 01 82 60 60",
        "bb ffffffffffffffff",
        "84 02 07 bb ffffffffffffffff",
        "9b ffffffffffffffff 02",
    ] {
        check(FormatId::Cbor, &hex(content));
    }
    for content in [
        "",
        "02",
        "90",
        "c1",
        "9202",
        "92 02 ff",
        "92 02 c3",
        "94 02 07 c1",
        "93 02 07 dd ffffffff",
        "93 02 07 c7 ff",
        "95 01 01 a2ff",
        "95 01 01 d901ff a161 c0",
        "94 01 01 a0 a0",
        "92 03 01",
        "92 03 01 90",
        "92 03 01 92 a0 a0",
        "92 03 01 92 01 d40000",
        "df ffffffff",
        "dd ffffffff 02",
        "94 01 01 c40173 a16d",
        "95 01 01 a173 a16d d2ffffffff",
    ] {
        check(FormatId::MessagePack, &hex(content));
    }
    for content in [
        "",
        "[",
        "[]",
        "2",
        "[2",
        "[2 7]",
        "[2,7",
        "[2,07]1",
        "[2,1.5]1",
        "[2,-1]1",
        "[,2,7]1",
        "[2,7,]1",
        "[2,1e2]1",
        "[1,1,\"s\",\"\"][]",
        "[1,1,\"s]",
        "[3,1]",
        "[3,1]{}",
        "[3,1][1]",
        "[2,99999999999999999999]1",
        "[1,1,\"s\",\"m\",nul][]",
        "[1,1,\"s\",\"m\",1,{\"a\":1}][]",
    ] {
        check(FormatId::Json, content.as_bytes());
    }
}

#[test]
fn l1_a_length_bomb_ends_at_its_head() {
    for format in FORMATS {
        let mut wire = ready(format);
        assert_eq!(
            wire.decode(&[0xff; 4]).unwrap_err(),
            WireError::TooLarge {
                len: u64::from(u32::MAX),
                limit: 16 << 20
            }
        );
    }
}

#[test]
fn a_frame_beyond_the_peers_limit_is_not_written() {
    for format in FORMATS {
        let mut wire = ready(format);
        // An empty payload tells how long the head is.
        let response = |bytes: &'static [u8]| {
            Envelope::Response(Response {
                id: WireId::Uint(1),
                result: Ok(Payload::lent(format, bytes)),
            })
        };
        let mut out = Output::new();
        wire.encode(&response(&[]), Lane::Data, &mut out).unwrap();
        let limit = taken(&mut out).len() - LengthFraming::HEAD + 7;
        let mut hello = Hello::version(1);
        hello.max_message_bytes = Some(limit as u64);
        let mut peer = NativeWire::dial(format, &Limits::default());
        peer.encode(&Envelope::Hello(hello), Lane::Data, &mut out)
            .unwrap();
        assert!(matches!(
            wire.decode(&taken(&mut out)),
            Ok(Step::Envelope(_, Envelope::Hello(_)))
        ));
        let large = wire.encode(&response(&[0; 8]), Lane::Data, &mut out);
        let len = limit + 1;
        assert_eq!(large, Err(EncodeError::TooLarge { len, limit }), "{format}");
        assert!(out.is_empty());
        assert!(
            wire.encode(&response(&[0; 7]), Lane::Data, &mut out)
                .is_ok()
        );
    }
}

#[test]
fn the_page_lists_the_codes_of_the_table() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/wire/native.md");
    let page = std::fs::read_to_string(page).unwrap();
    let rows: Vec<_> = page
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| -32")?.split(" | ");
            Some((format!("-32{}", cells.next()?), cells.next()?.to_owned()))
        })
        .collect();
    let table: Vec<_> = ErrorCode::ALL
        .iter()
        .map(|code| (code.value().to_string(), code.name().unwrap().to_owned()))
        .collect();
    assert_eq!(rows, table);
}
