//! Bombs, floods, and what the real peer sends that would hurt a careless reader.

use super::super::{MAX_DEPTH, MAX_MESSAGE_BYTES, PADDING_BYTES, Padding, read::MAX_ID_BYTES};
use super::{CborRpc, CborRpcWire, cbor, hear, json, unhex, wire, written};
use crate::{DecodeErrorKind, Output, Step, Wire as _, WireError};
use mynah_protocol::{DuplicateKeys, Envelope, ErrorCode, Limits};

#[test]
fn l1_declared_lengths_are_refused_at_the_head() {
    // Major types 2 to 5 with 2^32 - 1 and 2^63, alone and as the params of a call.
    for major in [0x40, 0x60, 0x80, 0xa0_u8] {
        for length in ["1affffffff", "1b8000000000000000"] {
            let mut head = unhex(length);
            head[0] |= major;
            let call = [unhex("8501000063616464"), head.clone()].concat();
            for bytes in [head, call] {
                let heard = hear(&mut cbor(), bytes.chunks(1));
                assert!(heard.error.is_some(), "{bytes:02x?} is waited for");
            }
        }
    }
}

#[test]
fn l1_what_is_larger_than_a_message_may_be_is_refused_before_it_is_there() {
    let limits = Limits::new().with_max_message_bytes(1000);
    let mut wire = CborRpcWire::new(CborRpc::cbor(), &limits);
    // A call whose params announce one text of 1000 bytes.
    let head = unhex("8501000064 6563686f 81 7903e8");
    let error = hear(&mut wire, [&*head])
        .error
        .expect("more than 1000 bytes in all");
    assert_eq!(error.code(), ErrorCode::TOO_LARGE);
    let mut wire = CborRpcWire::new(CborRpc::json(Padding::Newline), &limits);
    let text = format!("[1,0,0,\"echo\",[\"{}\"]]", "x".repeat(1000));
    let error = hear(&mut wire, text.as_bytes().chunks(100))
        .error
        .expect("more than 1000 bytes");
    assert!(
        matches!(error, WireError::TooLarge { limit: 1000, .. }),
        "{error:?}"
    );
}

#[test]
fn l2_depth_is_counted_with_the_message() {
    let call = |depth: usize| {
        let mut bytes = unhex("85010000646563686f");
        bytes.extend(vec![0x81; depth - 2]);
        bytes.push(0x80);
        bytes
    };
    let deepest = usize::try_from(MAX_DEPTH).expect("small");
    assert_eq!(hear(&mut cbor(), [&*call(deepest)]).error, None);
    for depth in [deepest + 1, deepest + 2, 100_000] {
        match hear(&mut cbor(), [&*call(depth)]).error {
            Some(WireError::Decode(error)) => assert_eq!(error.kind(), DecodeErrorKind::TooDeep),
            other => panic!("depth {depth}: {other:?}"),
        }
    }
    let text = |depth: usize| {
        format!(
            "[1,0,0,\"echo\",{}{}]",
            "[".repeat(depth - 1),
            "]".repeat(depth - 1)
        )
    };
    assert_eq!(hear(&mut json(), [text(deepest).as_bytes()]).error, None);
    assert!(
        hear(&mut json(), [text(deepest + 1).as_bytes()])
            .error
            .is_some()
    );
}

#[test]
fn the_profile_says_what_payloads_may_be() {
    for wire in [cbor(), json()] {
        let limits = wire.profile().decode_limits(&CborRpc::default_limits());
        assert_eq!(limits.max_depth, MAX_DEPTH);
        assert_eq!(limits.duplicate_keys, DuplicateKeys::LastWins);
        assert_eq!(limits.max_message_bytes, MAX_MESSAGE_BYTES);
        let able = wire.profile().capabilities;
        assert!(able.notifications && able.cancel && able.side_messages && able.events);
        assert!(!able.deadline && !able.metadata && !able.services && !able.error_codes);
        assert!(!able.ping && !able.going_away);
    }
    assert!(
        wire(CborRpc::cbor().with_rich_errors(true))
            .profile()
            .capabilities
            .error_codes
    );
}

#[test]
fn f2_refused_calls_are_answered_once_and_no_more_than_can_be_kept() {
    let mut wire = cbor();
    let call = unhex("85010005f680");
    let flood = call.repeat(10_000);
    assert_eq!(hear(&mut wire, [&*flood]).ignored, 10_000);
    assert_eq!(wire.ignored(), 10_000);
    let mut output = Output::new();
    wire.own_output(&mut output);
    let answer = unhex("85010205f4766d6574686f64206e616d65206973206e6f2074657874");
    assert_eq!(written(&mut output), answer.repeat(256));
    wire.own_output(&mut output);
    assert!(output.is_empty());
}

#[test]
fn a_name_beyond_the_limit_is_answered() {
    let long = "n".repeat(Limits::DEFAULT.max_name_bytes + 1);
    let mut wire = json();
    let heard = hear(
        &mut wire,
        [format!("[1,0,\"me\",\"{long}\",[]]").as_bytes()],
    );
    assert_eq!((heard.ignored, heard.error), (1, None));
    let mut output = Output::new();
    wire.own_output(&mut output);
    let answer = b"[1,2,\"me\",false,\"method name is too long\"]\n";
    assert_eq!(
        String::from_utf8_lossy(&written(&mut output)),
        String::from_utf8_lossy(answer)
    );
}

#[test]
fn an_id_that_nobody_can_be_asked_to_keep_is_dropped() {
    let call = |len: usize| format!("[1,0,\"{}\",\"add\",[]]", "i".repeat(len - 2));
    let heard = hear(&mut json(), [call(MAX_ID_BYTES).as_bytes()]);
    assert_eq!(heard.envelopes.len(), 1);
    let heard = hear(&mut json(), [call(MAX_ID_BYTES + 1).as_bytes()]);
    assert_eq!(
        (heard.envelopes.len(), heard.ignored, heard.error),
        (0, 1, None)
    );
}

#[test]
fn padding_between_messages_costs_nothing() {
    let mut stream = b"[1,3,5]".to_vec();
    stream.extend(vec![b'\n'; PADDING_BYTES]);
    let stream = stream.repeat(3);
    let mut wire = json();
    let heard = hear(&mut wire, stream.chunks(1000));
    assert_eq!(
        (heard.envelopes.len(), heard.ignored, heard.left),
        (3, 0, 0)
    );
    assert!(matches!(
        json().decode(b" \r\n\t[1,3,5]"),
        Ok(Step::Skip(4))
    ));
}

#[test]
fn an_error_of_any_shape_is_an_error() {
    let deep = format!("[1,2,1,false,{}{}]", "[".repeat(399), "]".repeat(399));
    let long = format!("[1,2,1,false,[\"{}\"]]", "é".repeat(5000));
    for text in [deep, long] {
        let heard = hear(&mut json(), [text.as_bytes()]);
        let [Envelope::Response(response)] = &*heard.envelopes else {
            panic!("{heard:?}")
        };
        let error = response.result.as_ref().expect_err("success is false");
        assert_eq!(error.code(), ErrorCode::UNCODED);
        assert!(error.data().is_some());
        assert!(
            error.message().len() <= 1024 + '…'.len_utf8(),
            "{}",
            error.message().len()
        );
    }
}

#[test]
fn c1_a_cancel_before_its_call_is_remembered() {
    let mut wire = cbor();
    // Cancel 5, call 5, call 6, and cancel 5 once more, which is now one of the past.
    let stream = unhex("83010305 8501000563616464820203 8501000663616464820203 83010305");
    let heard = hear(&mut wire, [&*stream]);
    let kinds: Vec<_> = heard.envelopes.iter().map(Envelope::kind).collect();
    assert_eq!(kinds, ["cancel", "request", "cancel"]);
    assert_eq!((heard.ignored, heard.error), (0, None));
    let mut output = Output::new();
    wire.own_output(&mut output);
    assert_eq!(
        written(&mut output),
        unhex("85010205f47263616c6c207761732063616e63656c6c6564")
    );
    // A call under the id of the past runs: its peer counts otherwise.
    assert_eq!(
        hear(&mut wire, [&*unhex("8501000563616464820203")])
            .envelopes
            .len(),
        1
    );
}

#[test]
fn f1_early_cancels_take_no_more_room_than_a_few() {
    let mut wire = json();
    let flood: String = (0..10_000).map(|id| format!("[1,3,{id}]\n")).collect();
    assert_eq!(hear(&mut wire, [flood.as_bytes()]).envelopes.len(), 10_000);
    // The last ones are remembered, the first are forgotten.
    let calls = b"[1,0,0,\"add\",[]][1,1,9999,\"add\",[]]";
    let kinds: Vec<_> = hear(&mut wire, [&calls[..]])
        .envelopes
        .iter()
        .map(Envelope::kind)
        .collect();
    assert_eq!(kinds, ["request"]);
}
