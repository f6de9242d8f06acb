//! What goes before what.

use super::*;

fn order(envelopes: &[Envelope<'_>], format: FormatId) -> Vec<(&'static str, u64)> {
    let (mut dials, mut accepts, mut out) = pair(format, &Limits::default());
    for envelope in envelopes {
        dials.encode(envelope, Lane::Data, &mut out).unwrap();
    }
    let heard = read(&mut accepts, &everything(&mut out), 5000).unwrap();
    let id = |id: &WireId| match id {
        WireId::Uint(id) => *id,
        _ => 0,
    };
    heard
        .iter()
        .map(|envelope| match envelope {
            Envelope::Request(one) => ("request", id(&one.id)),
            Envelope::Response(one) => ("response", id(&one.id)),
            Envelope::Items(one) => ("items", id(&one.id)),
            Envelope::Progress(one) => ("progress", id(&one.id)),
            Envelope::Cancel(one) => ("cancel", id(&one.id)),
            other => (other.kind(), 0),
        })
        .collect()
}

fn items(id: u64, format: FormatId, len: usize) -> Envelope<'static> {
    let mut batch = u32::try_from(len).unwrap().to_be_bytes().to_vec();
    batch.resize(4 + len, b'1');
    Envelope::Items(Items {
        id: WireId::Uint(id),
        stream: mynah_protocol::StreamSide::Result,
        count: 1,
        batch: Payload::owned(format, batch.into()),
    })
}

#[test]
fn frames_of_one_call_keep_their_order_and_others_go_ahead() {
    for format in FORMATS {
        let seen = order(
            &[
                items(1, format, 300_000),
                items(1, format, 10),
                response(2, body(format, 10, b'1')),
                Envelope::Progress(mynah_protocol::Progress {
                    id: WireId::Uint(1),
                    value: Payload::owned(format, Bytes::from_static(b"1")),
                    note: None,
                }),
                response(3, body(format, 100_000, b'1')),
                response(1, body(format, 10, b'1')),
                Envelope::Ping(1),
            ],
            format,
        );
        assert_eq!(
            seen,
            [
                ("response", 2),
                ("ping", 0),
                ("response", 3),
                ("items", 1),
                ("items", 1),
                ("progress", 1),
                ("response", 1)
            ]
        );
        let cancel = mynah_protocol::Cancel {
            id: WireId::Uint(1),
            reason: mynah_protocol::CancelReason::Caller,
        };
        let seen = order(
            &[
                request(1, body(format, 200_000, b'1')),
                Envelope::Cancel(cancel),
            ],
            format,
        );
        assert_eq!(seen, [("request", 1), ("cancel", 1)]);
    }
}

#[test]
fn what_was_said_through_a_callback_precedes_every_answer() {
    let callback = Envelope::Notification(Notification {
        name: MethodName::new(mynah_protocol::CALLBACK_SERVICE, "1"),
        id: None,
        metadata: mynah_protocol::Metadata::new(),
        params: body(FormatId::Cbor, 200_000, 1),
    });
    let answer = response(1, body(FormatId::Cbor, 1, 1));
    let seen = order(&[callback, answer], FormatId::Cbor);
    assert_eq!(seen, [("notification", 0), ("response", 1)]);
}

#[test]
fn a_pong_in_the_lane_of_data_overtakes_no_request() {
    let requests = [1, 2].map(|id| request(id, body(FormatId::Cbor, 200_000, 1)));
    let [one, two] = requests;
    let mut seen = order(&[one, two, Envelope::Pong(0)], FormatId::Cbor);
    // Which request is the first to be complete is nobody's promise.
    seen[..2].sort_unstable();
    assert_eq!(seen, [("request", 1), ("request", 2), ("pong", 0)]);
}
