//! What is written, and what cannot be.

use super::super::{MAX_MESSAGE_BYTES, NAME, PADDING_BYTES, Padding};
use super::{CborRpc, CborRpcWire, cbor, encoded, hear, json, unhex, wire};
use crate::{EncodeError, Output, Wire as _};
use mynah_protocol::{
    Cancel, CancelReason, Envelope, ErrorCode, FormatId, GoingAway, Hello, Lane, Log, Metadata,
    MethodName, Notification, Payload, Request, Response, RpcError, Streams, Value, WireId,
};
use std::time::Duration;

fn request(service: &'static str) -> Request<'static> {
    Request {
        id: WireId::Uint(1),
        name: MethodName::new(service, "add"),
        streams: Streams::NONE,
        timeout: None,
        metadata: Metadata::new(),
        params: Payload::lent(FormatId::Cbor, b"\x82\x02\x03"),
    }
}

fn failure(error: RpcError) -> Envelope<'static> {
    Envelope::Response(Response {
        id: WireId::Uint(2),
        result: Err(Box::new(error)),
    })
}

fn refused(wire: &mut CborRpcWire, envelope: &Envelope<'_>) -> EncodeError {
    let mut output = Output::new();
    let before = encoded(
        wire,
        &Envelope::Cancel(Cancel {
            id: WireId::Uint(1),
            reason: CancelReason::Caller,
        }),
    );
    assert!(!before.is_empty());
    let error = wire
        .encode(envelope, Lane::Data, &mut output)
        .expect_err("this wire cannot say it");
    assert!(output.is_empty(), "half a message was written");
    error
}

#[test]
fn a_service_is_named_only_where_it_is_asked_for() {
    let arith = Envelope::Request(request("arith"));
    assert_eq!(
        encoded(&mut cbor(), &arith),
        unhex("8501000163616464820203")
    );
    let mut qualified = wire(CborRpc::cbor().with_qualified_names(true));
    assert_eq!(
        encoded(&mut qualified, &arith),
        unhex("8501000169 61726974682e616464 820203")
    );
    let bare = Envelope::Request(request(""));
    assert_eq!(
        encoded(&mut qualified, &bare),
        unhex("8501000163616464820203")
    );
}

#[test]
fn a_deadline_stays_here_and_metadata_is_refused() {
    let mut deadline = request("");
    deadline.timeout = Some(Duration::from_secs(1));
    let written = encoded(&mut cbor(), &Envelope::Request(deadline));
    assert_eq!(written, unhex("8501000163616464820203"));
    let mut metadata = request("");
    metadata.metadata.insert("tenant", "a");
    assert_eq!(
        refused(&mut cbor(), &Envelope::Request(metadata)),
        EncodeError::Unsupported {
            dialect: NAME,
            feature: "metadata"
        }
    );
}

#[test]
fn what_this_wire_cannot_say_is_refused() {
    let away = GoingAway {
        code: ErrorCode::DRAINING,
        message: "".into(),
    };
    for envelope in [
        Envelope::Ping(1),
        Envelope::Pong(1),
        Envelope::Hello(Hello::version(1)),
        Envelope::GoingAway(away),
    ] {
        let error = refused(&mut cbor(), &envelope);
        let feature = envelope.kind();
        assert_eq!(
            error,
            EncodeError::Unsupported {
                dialect: NAME,
                feature
            }
        );
    }
    // A payload in the other format.
    let mixed = Envelope::Request(request(""));
    assert!(matches!(
        refused(&mut json(), &mixed),
        EncodeError::Value(_)
    ));
}

#[test]
fn an_error_is_its_text_or_a_map() {
    let error = RpcError::new(ErrorCode::application(7), "seven").with_data(Value::from(1_u64));
    assert_eq!(
        encoded(&mut cbor(), &failure(error.clone())),
        unhex("85010202f465736576656e")
    );
    let mut rich = wire(CborRpc::cbor().with_rich_errors(true));
    let written = encoded(&mut rich, &failure(error.clone()));
    assert_eq!(
        written,
        unhex("85010202f4a3 64636f646507 676d657373616765 65736576656e 646461746101")
    );
    // And it comes in as it went out, whatever this side sends itself.
    assert_eq!(hear(&mut cbor(), [&*written]).envelopes, [failure(error)]);
    let empty = failure(RpcError::new(ErrorCode::INTERNAL, ""));
    assert_eq!(encoded(&mut cbor(), &empty), unhex("85010202f460"));
}

#[test]
fn json_is_padded_on_request() {
    let cancel = Envelope::Cancel(Cancel {
        id: WireId::Uint(5),
        reason: CancelReason::Deadline,
    });
    assert_eq!(encoded(&mut json(), &cancel), b"[1,3,5]\n");
    let mut padded = wire(CborRpc::json(Padding::Python));
    let written = encoded(&mut padded, &cancel);
    assert_eq!(written.len(), 7 + PADDING_BYTES);
    assert!(written[7..].iter().all(|byte| *byte == b'\n'));
}

#[test]
fn json_texts_are_escaped() {
    let mut call = request("");
    call.name = MethodName::new("", "a\"\\\n🦜");
    call.params = Payload::lent(FormatId::Json, b"[]");
    let written = encoded(&mut json(), &Envelope::Request(call));
    assert_eq!(written, "[1,0,1,\"a\\\"\\\\\\n🦜\",[]]\n".as_bytes());
}

#[test]
fn a_log_of_the_connection_has_the_id_0() {
    let log = Envelope::Log(Log {
        id: None,
        level: 2,
        dropped: 0,
        content: Payload::lent(FormatId::Cbor, b"\x61s"),
    });
    assert_eq!(encoded(&mut cbor(), &log), unhex("85020000026173"));
    let negative = Envelope::Log(Log {
        id: Some(WireId::Int(-1)),
        level: -300,
        dropped: 3,
        content: Payload::lent(FormatId::Cbor, b"\x61s"),
    });
    assert_eq!(encoded(&mut cbor(), &negative), unhex("8502002039012b6173"));
}

#[test]
fn a_fire_without_an_id_of_its_own_is_written_with_0() {
    let fire = Envelope::Notification(Notification {
        name: MethodName::new("", "note"),
        id: None,
        metadata: Metadata::new(),
        params: Payload::lent(FormatId::Cbor, b"\x81\x07"),
    });
    assert_eq!(encoded(&mut cbor(), &fire), unhex("85010100646e6f74658107"));
}

#[test]
fn a_message_larger_than_the_peer_takes_is_refused() {
    let blob = vec![0_u8; MAX_MESSAGE_BYTES];
    let mut call = request("");
    call.params = Payload::lent(FormatId::Cbor, &blob);
    let error = refused(&mut cbor(), &Envelope::Request(call));
    assert!(
        matches!(
            error,
            EncodeError::TooLarge {
                limit: MAX_MESSAGE_BYTES,
                ..
            }
        ),
        "{error:?}"
    );
}
