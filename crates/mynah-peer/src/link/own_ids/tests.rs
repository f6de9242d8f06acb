//! Which text stands for which call.

use super::*;
use mynah_protocol::{Cancel, CancelReason, Response, RpcError};

fn id(number: u64) -> CallId {
    CallId::new(number).unwrap()
}

fn answer(id: WireId) -> Envelope<'static> {
    let error = RpcError::from_code(mynah_protocol::ErrorCode::INTERNAL);
    Envelope::Response(Response {
        id,
        result: Err(Box::new(error)),
    })
}

fn heard(ids: &OwnIds, text: &str) -> WireId {
    let mut envelope = answer(WireId::Text(text.into()));
    ids.incoming(&mut envelope);
    match envelope {
        Envelope::Response(response) => response.id,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_text_stands_for_its_call_on_the_way_out_and_in() {
    let mut ids = OwnIds::default();
    assert!(ids.insert(id(7), "req_1"));
    assert_eq!(heard(&ids, "req_1"), WireId::Uint(7));
    assert_eq!(heard(&ids, "req_2"), WireId::Text("req_2".into()));
    let cancel = |number: u64| {
        Envelope::Cancel(Cancel {
            id: WireId::Uint(number),
            reason: CancelReason::Caller,
        })
    };
    let Some(Envelope::Cancel(said)) = ids.outgoing(&cancel(7)) else {
        panic!("it has a text");
    };
    assert_eq!(said.id, WireId::Text("req_1".into()));
    assert!(ids.outgoing(&cancel(8)).is_none());
    // Answers of this side are to calls of the other.
    assert!(ids.outgoing(&answer(WireId::Uint(7))).is_none());
}

#[test]
fn a_text_is_free_again_when_its_call_is_over() {
    let mut ids = OwnIds::default();
    assert!(ids.insert(id(1), "a"));
    assert!(!ids.insert(id(2), "a"));
    ids.remove(id(2));
    ids.remove(id(1));
    // An answer that comes late is that of a call that was made once.
    assert_eq!(heard(&ids, "a"), WireId::Uint(1));
    assert!(ids.insert(id(3), "a"));
    assert_eq!(heard(&ids, "a"), WireId::Uint(3));
}

#[test]
fn what_is_over_is_forgotten_in_time() {
    let mut ids = OwnIds::default();
    assert!(ids.insert(id(1), "kept"));
    for number in 2..5_000 {
        assert!(ids.insert(id(number), &number.to_string()));
        ids.remove(id(number));
    }
    assert!(ids.by_text.len() <= REMEMBERED + 1);
    assert_eq!(heard(&ids, "kept"), WireId::Uint(1));
    assert_eq!(heard(&ids, "2"), WireId::Text("2".into()));
    // One that is used again and again is still there.
    for number in 10_000..13_000 {
        assert!(ids.insert(id(number), "again"));
        assert_eq!(heard(&ids, "again"), WireId::Uint(number));
        ids.remove(id(number));
        // Also for the answer that comes late.
        assert_eq!(heard(&ids, "again"), WireId::Uint(number));
    }
    assert!(ids.insert(id(20_000), "again"));
    ids.remove(id(1));
    assert_eq!(heard(&ids, "again"), WireId::Uint(20_000));
}
