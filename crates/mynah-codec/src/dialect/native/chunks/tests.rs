mod order;

use super::*;
use crate::{BulkUnit, Output, OutputChunk};
use mynah_protocol::{
    ErrorCode, Lane, Limits, MethodName, Moment, RpcError, Segment, Streams, WireId,
};
use proptest::prelude::*;
use proptest::sample::Index;

const FORMATS: [FormatId; 3] = [FormatId::Cbor, FormatId::Json, FormatId::MessagePack];

/// Two sides that have heard each other's hello.
fn pair(format: FormatId, limits: &Limits) -> (NativeWire, NativeWire, Output) {
    let mut dials = NativeWire::dial(format, limits);
    let mut accepts = NativeWire::accept(limits);
    let mut out = Output::with_bulk();
    dials.own_output(&mut out);
    feed(&mut accepts, &lanes(&mut out)).unwrap();
    accepts.own_output(&mut out);
    feed(&mut dials, &lanes(&mut out)).unwrap();
    (dials, accepts, out)
}

fn lanes(out: &mut Output) -> Vec<u8> {
    let [mut control, mut data] = [OutputChunk::default(), OutputChunk::default()];
    out.take(Lane::Control, &mut control);
    out.take(Lane::Data, &mut data);
    [control.bytes, data.bytes].concat()
}

/// The next unit of large messages.
fn unit(out: &mut Output) -> Vec<u8> {
    let mut unit = BulkUnit::default();
    out.take_bulk(&mut unit, Moment::ZERO);
    out.bulk_written();
    out.note_bulk_taken(u64::MAX);
    unit.parts
        .iter()
        .flat_map(|part| part.iter().copied())
        .collect()
}

/// Everything that leaves.
fn everything(out: &mut Output) -> Vec<u8> {
    let mut bytes = lanes(out);
    loop {
        let mut more = unit(out);
        if more.is_empty() {
            return bytes;
        }
        bytes.append(&mut more);
    }
}

/// The envelopes in whole frames.
fn feed(wire: &mut NativeWire, mut input: &[u8]) -> Result<Vec<Envelope<'static>>, WireError> {
    let mut heard = Vec::new();
    while !input.is_empty() {
        let used = match wire.decode(input)? {
            Step::Need(_) => panic!("a frame is cut off"),
            Step::Skip(used) | Step::Ignore(used) => used,
            Step::Envelope(used, envelope) => {
                heard.push(envelope.into_owned());
                used
            }
        };
        input = &input[used..];
    }
    Ok(heard)
}

/// The envelopes in bytes that arrive so many at a time, read into buffers of their own where the wire offers it, as a
/// driver does.
fn read(
    wire: &mut NativeWire,
    mut bytes: &[u8],
    step: usize,
) -> Result<Vec<Envelope<'static>>, WireError> {
    let mut heard = Vec::new();
    let mut input = Vec::new();
    while !bytes.is_empty() {
        let (now, later) = bytes.split_at(step.min(bytes.len()));
        input.extend_from_slice(now);
        bytes = later;
        loop {
            if input.is_empty() {
                break;
            }
            let used = match wire.decode(&input)? {
                Step::Need(_) => {
                    let Some(mut fill) = wire.begin_fill(&input) else {
                        break;
                    };
                    fill.buffer.extend_from_slice(&input[fill.skip..]);
                    let left = fill.want - (input.len() - fill.skip);
                    let (now, later) = bytes.split_at(left.min(bytes.len()));
                    fill.buffer.extend_from_slice(now);
                    bytes = later;
                    input.clear();
                    if now.len() < left {
                        return Ok(heard);
                    }
                    heard.extend(wire.filled(fill.buffer)?);
                    break;
                }
                Step::Skip(used) | Step::Ignore(used) => used,
                Step::Envelope(used, envelope) => {
                    heard.push(envelope.into_owned());
                    used
                }
            };
            input.drain(..used);
        }
    }
    Ok(heard)
}

fn request(id: u64, payload: Payload<'_>) -> Envelope<'_> {
    Envelope::Request(Request {
        id: WireId::Uint(id),
        name: MethodName::new("s", "m"),
        timeout: None,
        metadata: mynah_protocol::Metadata::new(),
        streams: Streams::NONE,
        params: payload,
    })
}

fn response(id: u64, payload: Payload<'_>) -> Envelope<'_> {
    Envelope::Response(Response {
        id: WireId::Uint(id),
        result: Ok(payload),
    })
}

/// A body of so many bytes, which nobody looks at here.
fn body(format: FormatId, len: usize, mark: u8) -> Payload<'static> {
    Payload::owned(format, vec![mark; len].into())
}

fn chunk(format: FormatId, number: u64, total: Option<usize>, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write::chunk(format, number, total, data.len(), &mut out);
    out.extend_from_slice(data);
    out
}

#[test]
fn chunks_are_spelled_as_the_page_says() {
    let cbor = chunk(FormatId::Cbor, 7, Some(1 << 20), b"ab");
    assert_eq!(cbor, b"\0\0\0\x0b\x83\x18\x18\x07\x1a\0\x10\0\0ab");
    assert_eq!(
        chunk(FormatId::Cbor, 7, None, b"ab"),
        b"\0\0\0\x06\x82\x18\x18\x07ab"
    );
    assert_eq!(
        chunk(FormatId::Json, 7, Some(99), b"ab"),
        b"\0\0\0\x0b[24,7,99]ab"
    );
    assert_eq!(chunk(FormatId::Json, 7, None, b""), b"\0\0\0\x06[24,7]");
    let mut taken = Vec::new();
    write::taken(FormatId::Json, 65536, &mut taken);
    assert_eq!(taken, b"\0\0\0\x0a[25,65536]");
}

#[test]
fn a_large_message_arrives_as_it_was_sent() {
    for format in FORMATS {
        let (mut dials, mut accepts, mut out) = pair(format, &Limits::default());
        let inline = [b'i'; 1000];
        let segments = [300, 300, 1000].map(|at| Segment {
            at,
            bytes: vec![b's'; 40_000].into(),
        });
        let large = request(1, Payload::split(format, &inline, &segments));
        let whole = large.clone().into_owned();
        let span = dials.encode(&large, Lane::Data, &mut out).unwrap();
        assert!(span.is_bulk());
        let bytes = everything(&mut out);
        assert!(bytes.len() > 121_000 && bytes.len() < 121_100, "two chunks");
        for step in [1000, 70_000, 1 << 20] {
            let heard = read(&mut accepts, &bytes, step).unwrap();
            assert_eq!(heard, std::slice::from_ref(&whole));
            assert!(accepts.partials.list.is_empty());
        }
    }
}

#[test]
fn segments_leave_and_messages_arrive_without_a_copy() {
    let (mut dials, mut accepts, mut out) = pair(FormatId::Cbor, &Limits::default());
    let content = Bytes::from(vec![1; 100_000]);
    let segments = [Segment {
        at: 3,
        bytes: content.clone(),
    }];
    let large = response(1, Payload::split(FormatId::Cbor, b"abc", &segments));
    dials.encode(&large, Lane::Data, &mut out).unwrap();
    let mut units = Vec::new();
    let mut unit = BulkUnit::default();
    loop {
        out.take_bulk(&mut unit, Moment::ZERO);
        if unit.parts.is_empty() {
            break;
        }
        units.extend(unit.parts.drain(..));
    }
    let within = |part: &&Bytes| content.as_ptr_range().contains(&part.as_ptr());
    let shared: usize = units.iter().filter(within).map(Bytes::len).sum();
    assert_eq!(shared, content.len());

    let bytes = units.concat();
    let mut buffer = None;
    let (mut at, mut envelope) = (0, None);
    while at < bytes.len() {
        let there = &bytes[at..(at + 200).min(bytes.len())];
        let Step::Need(_) = accepts.decode(there).unwrap() else {
            let rest = accepts.decode(&bytes[at..]).unwrap();
            let Step::Envelope(_, whole) = rest else {
                panic!("{rest:?}")
            };
            envelope = Some(whole.into_owned());
            break;
        };
        let Some(mut fill) = accepts.begin_fill(there) else {
            // Too small for a buffer of its own.
            let rest = accepts.decode(&bytes[at..]).unwrap();
            let Step::Envelope(_, whole) = rest else {
                panic!("{rest:?}")
            };
            envelope = Some(whole.into_owned());
            break;
        };
        fill.buffer.reserve(fill.ahead);
        let start = at + fill.skip;
        fill.buffer
            .extend_from_slice(&bytes[start..start + fill.want]);
        at = start + fill.want;
        buffer = Some(fill.buffer.as_ptr_range());
        envelope = accepts.filled(fill.buffer).unwrap();
    }
    let Some(Envelope::Response(Response {
        result: Ok(payload),
        ..
    })) = envelope
    else {
        panic!("{envelope:?}")
    };
    let PayloadBytes::Owned(shared) = payload.into_bytes() else {
        panic!()
    };
    assert_eq!(shared.len(), 100_003);
    assert!(
        buffer.unwrap().contains(&shared.as_ptr()),
        "a part of the buffer it was read into"
    );
}

#[test]
fn a_whole_large_frame_is_a_buffer_of_its_own() {
    for format in FORMATS {
        let (_, mut accepts, _) = pair(format, &Limits::default());
        // This side has not heard a hello: it sends no chunks.
        let mut dials = NativeWire::dial(format, &Limits::default());
        let mut out = Output::with_bulk();
        let large = request(3, body(format, 300_000, b'x'));
        dials.encode(&large, Lane::Data, &mut out).unwrap();
        let bytes = everything(&mut out);
        assert_eq!(read(&mut accepts, &bytes, 10_000).unwrap(), [large]);
    }
}

#[test]
fn small_messages_leave_as_before() {
    let (mut dials, _, mut out) = pair(FormatId::Cbor, &Limits::default());
    let mut plain = Output::new();
    for envelope in [
        request(1, body(FormatId::Cbor, LARGE, 1)),
        Envelope::Ping(1),
    ] {
        dials.encode(&envelope, Lane::Data, &mut out).unwrap();
        dials.encode(&envelope, Lane::Data, &mut plain).unwrap();
    }
    assert!(!out.bulk_waits());
    assert_eq!(lanes(&mut out), lanes(&mut plain));
    let large = request(1, body(FormatId::Cbor, LARGE + 1, 1));
    let span = dials.encode(&large, Lane::Data, &mut plain).unwrap();
    assert!(
        !span.is_bulk(),
        "a driver that does not take them does not get them"
    );
}

const LARGE: usize = super::super::bulk::LARGE;

/// Kind and id of each envelope, in the order in which they arrive.
#[test]
fn a_message_that_is_too_large_is_not_written() {
    let limits = Limits::default().with_max_message_bytes(200_000);
    let (mut dials, mut accepts, mut out) = pair(FormatId::Cbor, &limits);
    let large = response(1, body(FormatId::Cbor, 199_998, 1));
    let error = dials.encode(&large, Lane::Data, &mut out).unwrap_err();
    assert_eq!(
        error,
        crate::EncodeError::TooLarge {
            len: 200_001,
            limit: 200_000
        }
    );
    assert!(out.is_empty());
    let fits = response(1, body(FormatId::Cbor, 199_997, 1));
    dials.encode(&fits, Lane::Data, &mut out).unwrap();
    let bytes = everything(&mut out);
    assert_eq!(
        read(&mut accepts, &bytes, 4096).unwrap(),
        [fits],
        "L5: what fits passes"
    );
}

#[test]
fn a_message_that_was_taken_back_never_was() {
    let (mut dials, mut accepts, mut out) = pair(FormatId::Cbor, &Limits::default());
    let span = dials
        .encode(
            &request(1, body(FormatId::Cbor, 300_000, 1)),
            Lane::Data,
            &mut out,
        )
        .unwrap();
    let mut bytes = unit(&mut out);
    assert!(out.withdraw(span));
    let other = request(2, body(FormatId::Cbor, 100_000, 2));
    dials.encode(&other, Lane::Data, &mut out).unwrap();
    bytes.extend(everything(&mut out));
    assert_eq!(read(&mut accepts, &bytes, 3000).unwrap(), [other]);
    assert!(accepts.partials.list.is_empty());
}

#[test]
fn what_was_taken_is_told() {
    let (mut dials, mut accepts, mut out) = pair(FormatId::Cbor, &Limits::default());
    dials
        .encode(
            &request(1, body(FormatId::Cbor, 300_000, 1)),
            Lane::Data,
            &mut out,
        )
        .unwrap();
    let mut back = Output::with_bulk();
    let mut told = 0;
    loop {
        let bytes = unit(&mut out);
        if bytes.is_empty() {
            break;
        }
        read(&mut accepts, &bytes, 10_000).unwrap();
        accepts.own_output(&mut back);
        feed(&mut dials, &lanes(&mut back)).unwrap();
        told += dials.partials.heard;
        dials.own_output(&mut out);
        assert!(!dials.partials.has_news());
    }
    assert!(told > 300_000 && told < 300_100, "{told}");
}

/// These chunks end the connection with this code.
fn refused(chunks: &[(u64, Option<usize>, usize)], code: ErrorCode) {
    for format in FORMATS {
        let limits = Limits::default().with_max_message_bytes(100_000);
        let bytes: Vec<u8> = chunks
            .iter()
            .flat_map(|(number, total, len)| chunk(format, *number, *total, &vec![0; *len]))
            .collect();
        let (_, mut wire, _) = pair(format, &limits);
        let at_once = feed(&mut wire, &bytes).unwrap_err();
        assert_eq!(at_once.code(), code, "{chunks:?}: {at_once}");
        let (_, mut wire, _) = pair(format, &limits);
        let in_parts = read(&mut wire, &bytes, 100).unwrap_err();
        assert_eq!(in_parts.code(), code, "{chunks:?}: {in_parts}");
    }
}

#[test]
fn l1_chunks_that_lie_end_the_connection() {
    let broken = ErrorCode::PROTOCOL_VIOLATION;
    refused(&[(1, Some(100_001), 10)], ErrorCode::TOO_LARGE);
    refused(&[(1, Some(usize::MAX), 10)], ErrorCode::TOO_LARGE);
    refused(&[(1, Some(10), 11)], broken);
    refused(&[(1, Some(10), 5), (1, None, 6)], broken);
    refused(&[(1, Some(10), 5), (1, Some(10), 5)], broken);
    refused(&[(1, None, 5)], broken);
    refused(&[(1, None, 0)], broken);
    refused(&[(1, Some(10), 0)], broken);
    refused(&[(1, Some(0), 0)], broken);
    refused(&[(1, Some(10), 5), (2, None, 5)], broken);
    refused(&[(1, Some(10), 5), (1, None, 0), (1, None, 5)], broken);
    refused(
        &[
            (1, Some(90_000), 80_000),
            (2, Some(90_000), 80_000),
            (3, Some(90_000), 1),
        ],
        broken,
    );
    let many: Vec<_> = (0..=MESSAGES as u64)
        .map(|number| (number, Some(10), 5))
        .collect();
    refused(&many, broken);
}

#[test]
fn nothing_is_allocated_on_trust() {
    let limits = Limits::default().with_max_message_bytes(1 << 30);
    let (_, mut wire, _) = pair(FormatId::Cbor, &limits);
    feed(&mut wire, &chunk(FormatId::Cbor, 1, Some(1 << 30), b"a")).unwrap();
    assert!(wire.partials.list[0].buffer.capacity() <= 2 * TRUSTED);
    feed(
        &mut wire,
        &chunk(FormatId::Cbor, 1, None, &vec![0; 600_000]),
    )
    .unwrap();
    assert!(wire.partials.list[0].buffer.capacity() <= 4 * 600_000);
}

#[test]
fn taking_back_what_hardly_began_is_a_breach() {
    let (_, mut wire, _) = pair(FormatId::Cbor, &Limits::default());
    for (len, breach) in [(1, true), (FAIR, false)] {
        let begin = chunk(FormatId::Cbor, 1, Some(100_000), &vec![0; len]);
        feed(&mut wire, &begin).unwrap();
        let end = chunk(FormatId::Cbor, 1, None, b"");
        let step = wire.decode(&end).unwrap();
        assert_eq!(matches!(step, Step::Ignore(_)), breach, "{len}");
    }
    assert!(wire.partials.list.is_empty());
}

#[test]
fn what_the_chunks_hold_is_checked_as_any_frame() {
    let (_, mut wire, _) = pair(FormatId::Cbor, &Limits::default());
    let nested = chunk(FormatId::Cbor, 5, Some(10), b"a");
    let nested = &nested[4..];
    let error = feed(
        &mut wire,
        &chunk(FormatId::Cbor, 1, Some(nested.len()), nested),
    )
    .unwrap_err();
    assert_eq!(error.code(), ErrorCode::PROTOCOL_VIOLATION);
    let unknown = chunk(FormatId::Cbor, 1, Some(3), b"\x82\x18\x63\x01");
    assert!(feed(&mut wire, &unknown).is_err(), "longer than it said");
    let (_, mut wire, _) = pair(FormatId::Cbor, &Limits::default());
    let unknown = chunk(FormatId::Cbor, 1, Some(4), b"\x82\x18\x63\x01");
    assert!(matches!(wire.decode(&unknown), Ok(Step::Ignore(_))));
    let malformed = chunk(FormatId::Cbor, 1, Some(1), b"\xff");
    assert_eq!(
        feed(&mut wire, &malformed).unwrap_err().code(),
        ErrorCode::PARSE_ERROR
    );
}

#[test]
fn a_hello_says_what_this_side_takes() {
    let (dials, accepts, _) = pair(FormatId::Json, &Limits::default());
    assert_eq!(
        (dials.peer_partials, accepts.peer_partials),
        (MESSAGES, MESSAGES)
    );
}

#[test]
fn json_progress_with_bytes_keeps_its_note() {
    let value = crate::Bytes::from_static(b"\x00 [1]");
    let mut encoded = Vec::new();
    crate::Format::NativeJson
        .encode(&value, &mut encoded)
        .unwrap();
    for note in [
        None,
        Some(Payload::owned(
            FormatId::Json,
            Bytes::from_static(b"\"half\""),
        )),
    ] {
        let progress = Envelope::Progress(mynah_protocol::Progress {
            id: WireId::Uint(1),
            value: Payload::owned(FormatId::Json, encoded.clone().into()),
            note,
        });
        let (mut dials, mut accepts, mut out) = pair(FormatId::Json, &Limits::default());
        dials.encode(&progress, Lane::Data, &mut out).unwrap();
        assert_eq!(feed(&mut accepts, &lanes(&mut out)).unwrap(), [progress]);
    }
}

#[test]
fn errors_with_bytes_travel_in_json() {
    let data = mynah_protocol::Value::Bytes(vec![0, 255]);
    let error = Envelope::Response(Response {
        id: WireId::Uint(1),
        result: Err(Box::new(
            RpcError::new(ErrorCode::application(1), "no").with_data(data),
        )),
    });
    let (mut dials, mut accepts, mut out) = pair(FormatId::Json, &Limits::default());
    dials.encode(&error, Lane::Data, &mut out).unwrap();
    assert_eq!(feed(&mut accepts, &lanes(&mut out)).unwrap(), [error]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Messages in chunks of any size, interleaved in any way and read in steps of any size, arrive as they were sent.
    #[test]
    fn any_interleaving_reassembles(
        lens in prop::collection::vec(1usize..200_000, 1..MESSAGES),
        cuts in prop::collection::vec((any::<Index>(), 1usize..90_000), 1..60),
        step in 1usize..100_000,
        format in 0usize..3,
    ) {
        let format = FORMATS[format];
        let limits = Limits::default();
        let (_, mut wire, _) = pair(format, &limits);
        let mut left: Vec<(u64, Vec<u8>, usize)> = Vec::new();
        let mut expected = Vec::new();
        for (number, len) in lens.iter().enumerate() {
            let number = number as u64;
            let message = response(number, body(format, *len, b'1' + u8::try_from(number).unwrap()));
            let mut content = Vec::new();
            write::envelope(&message, format, &mut content).unwrap();
            expected.push(message.into_owned());
            left.push((number, content, 0));
        }
        let mut bytes = Vec::new();
        let mut cuts = cuts.into_iter().cycle();
        while !left.is_empty() {
            let (which, len) = cuts.next().unwrap();
            let at = which.index(left.len());
            let (number, content, sent) = &mut left[at];
            let end = content.len().min(*sent + len);
            let total = (*sent == 0).then_some(content.len());
            bytes.extend(chunk(format, *number, total, &content[*sent..end]));
            *sent = end;
            if end == content.len() {
                left.swap_remove(at);
            }
        }
        let mut heard = read(&mut wire, &bytes, step).unwrap();
        heard.sort_by_key(|envelope| match envelope {
            Envelope::Response(Response { id: WireId::Uint(id), .. }) => *id,
            _ => u64::MAX,
        });
        prop_assert_eq!(heard, expected);
        prop_assert!(wire.partials.list.is_empty());
    }
}
