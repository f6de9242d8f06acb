//! Every framing: the same frames however the bytes arrive, and limits before the bytes.

use super::*;
use mynah_protocol::DecodeLimits;
use proptest::prelude::*;

const LIMIT: usize = 64;

fn limits() -> DecodeLimits {
    DecodeLimits {
        max_message_bytes: LIMIT,
        ..DecodeLimits::DEFAULT
    }
}

fn all() -> Vec<Box<dyn Framing>> {
    vec![
        Box::new(LengthFraming::new(LIMIT)),
        Box::new(LineFraming::new(LIMIT)),
        Box::new(LineFraming::new(LIMIT).with_last_line(LastLine::MayBeOpen)),
        Box::new(HeaderFraming::new(LIMIT)),
        Box::new(CborSequence::new(limits())),
        Box::new(JsonSequence::new(limits())),
        Box::new(MessagePackSequence::new(limits())),
    ]
}

/// The frames of a stream that comes in pieces, and how it ends.
fn frames(
    framing: &mut dyn Framing,
    stream: &[u8],
    pieces: &[usize],
) -> (Vec<Vec<u8>>, Option<String>) {
    let mut pieces = pieces.iter().cycle();
    let (mut start, mut there) = (0, 0);
    let mut frames = Vec::new();
    loop {
        let cut = framing.cut(&stream[start..there]);
        let cut = match cut {
            Ok(Cut::Need(more)) if there == stream.len() => {
                assert!(more > 0);
                match framing.finish(&stream[start..]) {
                    Ok(Some(cut)) => Ok(cut),
                    Ok(None) => return (frames, None),
                    Err(error) => Err(error),
                }
            }
            other => other,
        };
        match cut {
            Ok(Cut::Need(more)) => {
                assert!(more > 0);
                there = (there + pieces.next().unwrap()).min(stream.len());
            }
            Ok(Cut::Skip(blank)) => {
                assert!(blank > 0 && start + blank <= there);
                start += blank;
            }
            Ok(Cut::Frame {
                start: from,
                content_end,
                end,
            }) => {
                assert!(from <= content_end && content_end <= end && start + end <= there);
                frames.push(stream[start + from..start + content_end].to_vec());
                start += end;
            }
            Err(error) => return (frames, Some(kind(&error))),
        }
    }
}

/// The error without what depends on how much had come.
fn kind(error: &FrameError) -> String {
    match error {
        FrameError::TooLarge { .. } => "too large".to_owned(),
        FrameError::Value(error) => format!("{:?}", error.kind()),
        other => other.to_string(),
    }
}

#[track_caller]
fn check(mut framing: impl Framing, stream: &[u8], frames_in_it: &[&[u8]], end: Option<&str>) {
    for size in 1..=stream.len().max(1) {
        let (frames, error) = frames(&mut framing, stream, &[size]);
        assert_eq!(frames, frames_in_it, "{size} bytes at a time");
        assert_eq!(error.as_deref(), end, "{size} bytes at a time");
        if error.is_some() {
            // An error is final: a framing that had one is of no use any more.
            return;
        }
    }
}

#[test]
fn l1_a_length_bomb_is_refused_at_its_head() {
    let too_large = |len| FrameError::TooLarge { len, limit: LIMIT };
    let bomb = u32::MAX.to_be_bytes();
    let refused = LengthFraming::new(LIMIT).cut(&bomb);
    assert_eq!(refused, Err(too_large(u32::MAX.into())));
    for (len, shown) in [("18446744073709551615", u64::MAX), ("65", 65)] {
        let headers = format!("Content-Length: {len}\r\n\r\n");
        let refused = HeaderFraming::new(LIMIT).cut(headers.as_bytes());
        assert_eq!(refused, Err(too_large(shown)));
    }
    let refused = CborSequence::new(limits()).cut(&[0x5b, 255, 255, 255, 255, 0, 0, 0, 0]);
    assert!(
        matches!(refused, Err(FrameError::TooLarge { .. })),
        "{refused:?}"
    );
    let refused = MessagePackSequence::new(limits()).cut(&[0xc6, 255, 255, 255, 255]);
    assert!(
        matches!(refused, Err(FrameError::TooLarge { .. })),
        "{refused:?}"
    );
}

#[test]
fn l4_a_line_without_an_end_is_refused_at_the_limit() {
    let mut line = LineFraming::new(LIMIT);
    let endless = vec![b'a'; LIMIT + 1];
    assert_eq!(line.cut(&endless[..LIMIT]), Ok(Cut::Need(1)));
    let refused = FrameError::TooLarge {
        len: 65,
        limit: LIMIT,
    };
    assert_eq!(line.cut(&endless), Err(refused));
    let mut headers = HeaderFraming::new(LIMIT);
    let endless = b"A: b\r\n".repeat(1000);
    assert!(headers.cut(&endless[..4095]).is_ok());
    assert_eq!(
        headers.cut(&endless),
        Err(FrameError::Malformed("headers have no end"))
    );
}

#[test]
fn length() {
    let framing = || LengthFraming::new(LIMIT);
    check(
        framing(),
        b"\0\0\0\x02ab\0\0\0\0\0\0\0\x01c",
        &[b"ab", b"", b"c"],
        None,
    );
    check(framing(), b"", &[], None);
    check(
        framing(),
        b"\0\0\0\x02a",
        &[],
        Some("stream ends within a frame"),
    );
}

#[test]
fn lines() {
    let framing = || LineFraming::new(LIMIT);
    check(
        framing(),
        b"a\r\nb\n\n\r\nc\rd\n",
        &[b"a", b"b", b"c\rd"],
        None,
    );
    check(
        framing(),
        b"a\nb",
        &[b"a"],
        Some("stream ends within a frame"),
    );
    let open = || framing().with_last_line(LastLine::MayBeOpen);
    check(open(), b"a\nb", &[b"a", b"b"], None);
    check(open(), b"a\r\nb\r", &[b"a", b"b"], None);
    check(open(), b"a\n\r", &[b"a"], None);
    // Of two carriage returns one is content, and written again so.
    check(framing(), b"a\r\r\n\r\r\n", &[b"a\r", b"\r"], None);
    // The carriage return does not count.
    let most = [&[b'x'; LIMIT][..], b"\r\n"].concat();
    check(framing(), &most, &[&[b'x'; LIMIT]], None);
    let more = [&[b'x'; LIMIT + 1][..], b"\n"].concat();
    check(framing(), &more, &[], Some("too large"));
}

#[test]
fn headers() {
    let framing = || HeaderFraming::new(LIMIT);
    check(
        framing(),
        b"Content-Length: 2\r\n\r\nabcontent-length:0\r\nContent-Type: text/x; charset=utf-8\r\n\r\nCONTENT-LENGTH:\t1 \r\n\r\n\xff",
        &[b"ab", b"", b"\xff"],
        None,
    );
    let bad = |headers: &str, why: &str| {
        let stream = format!("{headers}\r\n\r\n");
        let why = format!("frame is not well-formed: {why}");
        check(framing(), stream.as_bytes(), &[], Some(&why));
    };
    bad("Content-Type: a", "Content-Length is missing");
    bad("Content-Length: ", "Content-Length is no number");
    bad("Content-Length: -1", "Content-Length is no number");
    bad("Content-Length: +1", "Content-Length is no number");
    bad("Content-Length: 0x1", "Content-Length is no number");
    bad(
        "Content-Length: 18446744073709551616",
        "Content-Length is no number",
    );
    bad(
        "Content-Length: 1\r\nContent-Length: 1",
        "Content-Length stands there twice",
    );
    bad("Content-Length 1", "a header without a colon");
    bad(
        "Content-Length: 1\rA: b",
        "a carriage return within a header",
    );
    bad("{\"a\":1}\u{e9}", "a byte that is in no header");
    check(
        framing(),
        b"Content-Length: 2\r\n",
        &[],
        Some("stream ends within a frame"),
    );
}

#[test]
fn values_that_tell_where_they_end() {
    let cbor = || CborSequence::new(limits());
    check(
        cbor(),
        b"\x01\x82\x01\x02\x61a",
        &[b"\x01", b"\x82\x01\x02", b"\x61a"],
        None,
    );
    check(
        cbor(),
        b"\x01\x82\x01",
        &[b"\x01"],
        Some("stream ends within a frame"),
    );
    check(cbor(), b"\x01\xff", &[b"\x01"], Some("Malformed"));
    let packed = || MessagePackSequence::new(limits());
    check(
        packed(),
        b"\x01\x92\x01\x02\xa1a",
        &[b"\x01", b"\x92\x01\x02", b"\xa1a"],
        None,
    );
    check(packed(), b"\xc1", &[], Some("Malformed"));
    let json = || JsonSequence::new(limits());
    check(
        json(),
        b" {}[1]\n\n\"a\" 12 ",
        &[b"{}", b"[1]", b"\"a\"", b"12"],
        None,
    );
    // It may be the beginning of 123.
    check(
        json(),
        b"{}12",
        &[b"{}"],
        Some("stream ends within a frame"),
    );
    check(json(), b"{}]", &[b"{}"], Some("Malformed"));
}

#[test]
fn what_cannot_stand_in_a_frame_is_refused() {
    let refused = |framing: &dyn Framing, content: &[u8]| {
        let mut out = [b"before", content].concat();
        framing
            .enclose(&mut out, 6)
            .expect_err("it cannot stand there");
        assert_eq!(out, b"before");
    };
    let line = LineFraming::new(LIMIT);
    for content in [&b""[..], b"a\nb", b"\n"] {
        refused(&line, content);
    }
    for content in [&b""[..], b"\x01\x02", b"\x82\x01", b"\xff"] {
        refused(&CborSequence::new(limits()), content);
    }
    for content in [&b""[..], b"1 2", b"[1", b"x"] {
        refused(&JsonSequence::new(limits()), content);
    }
    for framing in all() {
        refused(&*framing, &[b'1'; LIMIT + 1]);
    }
}

/// L6: a frame that comes byte by byte is not looked at from its start each time.
#[test]
fn l6_each_byte_is_looked_at_once() {
    // With a limit of 2^24 bytes, looking from the start would take 2^40 looks for a line of 2^20 bytes.
    let len = 1 << 20;
    let line = [&vec![b'x'; len][..], b"\n"].concat();
    let mut framing = LineFraming::new(1 << 24);
    for there in 0..len {
        assert_eq!(framing.cut(&line[..there]), Ok(Cut::Need(1)));
        assert_eq!(framing.seen, there);
    }
    assert!(matches!(framing.cut(&line), Ok(Cut::Frame { .. })));
}

proptest! {
    #[test]
    fn what_is_enclosed_is_cut_out_again(
        contents in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..30), 0..6),
        pieces in prop::collection::vec(1..20_usize, 1..5),
    ) {
        for mut framing in all() {
            let mut out = Vec::new();
            let mut sent = Vec::new();
            for content in &contents {
                let start = out.len();
                out.extend_from_slice(content);
                match framing.enclose(&mut out, start) {
                    Ok(()) => sent.push(content.clone()),
                    Err(_) => prop_assert_eq!(out.len(), start),
                }
            }
            // White space around a value is padding for those who go by values.
            let trim = |frames: Vec<Vec<u8>>| -> Vec<Vec<u8>> {
                frames.iter().map(|frame| frame.trim_ascii().to_vec()).collect()
            };
            let (frames, error) = frames(&mut *framing, &out, &pieces);
            prop_assert_eq!(trim(frames), trim(sent));
            prop_assert_eq!(error, None);
        }
    }

    #[test]
    fn l5_the_frames_do_not_depend_on_how_the_bytes_arrive(
        stream in stream(),
        pieces in prop::collection::vec(1..20_usize, 1..5),
    ) {
        for (mut one, mut other) in all().into_iter().zip(all()) {
            let whole = frames(&mut *one, &stream, &[usize::MAX / 2]);
            prop_assert_eq!(frames(&mut *other, &stream, &pieces), whole);
        }
    }
}

/// Arbitrary bytes, with what means something to one or another framing in between.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..8),
        Just(b"\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"Content-Length: 3\r\n\r\n".to_vec()),
        Just(b"\0\0\0\x03".to_vec()),
        Just(b"{\"a\":[1]}".to_vec()),
        Just(b"\x82\x01\x61a".to_vec()),
        Just(vec![b'x'; LIMIT]),
    ];
    prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}
