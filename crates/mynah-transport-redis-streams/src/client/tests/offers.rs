//! Calls in a format that whoever takes them may not know.

use super::*;
use mynah_protocol::{Response, RpcError};

/// What a server that does not know the format of a call says to it.
fn unread(id: u64) -> Response<'static> {
    Response {
        id: WireId::Uint(id),
        result: Err(Box::new(RpcError::from_code(ErrorCode::METHOD_NOT_FOUND))),
    }
}

/// A client that speaks CBOR, and a call of it that was written.
fn offered(id: u64, bytes: usize, until: Option<Instant>) -> (Arc<Core>, Call) {
    let mut options = RedisOptions::new("redis://127.0.0.1:1/0");
    options.format = FormatId::Cbor;
    let connector = Connector::new(&options).unwrap();
    let core = Core::new(options, connector, Keys::new("app"), "c");
    let Said::Call(call) = queued(None, None).said else {
        panic!("a call")
    };
    let call = Call {
        frame: Some(("call+cbor", vec![0; bytes].into())),
        ..call
    };
    core.offers.keep(&WireId::Uint(id), &call, "arith", until);
    (core, call)
}

#[tokio::test(start_paused = true)]
async fn a_call_is_offered_until_its_time_is_over_and_no_faster_than_once_a_second() {
    let until = Instant::now() + Duration::from_secs(120);
    let (core, _) = offered(7, 10, Some(until));
    let waits = delivery(7, DeliveryStatus::Waits);
    let mut times = 0;
    while Instant::now() < until {
        assert_eq!(core.hear_json(unread(7)), None);
        assert_eq!(heard(&core), Some(waits.clone()));
        times += 1;
        // Until it is written again, or has no time left.
        while core.take_batch(Vec::new()).calls.is_empty() && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(16)).await;
        }
    }
    assert!((110..140).contains(&times), "{times} times in two minutes");
    // Then it is not offered any more: as one that nobody has its caller may make it again.
    assert_eq!(core.hear_json(unread(7)), None);
    assert_eq!(heard(&core), Some(waits));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(core.take_batch(Vec::new()).calls.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_offer_that_is_let_go_of_ends_as_one_that_may_be_made_again() {
    let busy = DeliveryStatus::Failed(Undelivered::Busy);
    let (core, call) = offered(7, 4096, None);
    assert_eq!(core.hear_json(unread(7)), None);
    assert_eq!(heard(&core), Some(delivery(7, DeliveryStatus::Waits)));
    // While it waits, others take all the room that there is.
    let large = Call {
        frame: Some(("call+cbor", vec![0; (4 << 20) - 1024].into())),
        ..call
    };
    core.offers.keep(&WireId::Uint(8), &large, "arith", None);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(heard(&core), Some(delivery(7, busy)));
    assert!(
        core.take_batch(Vec::new()).calls.is_empty(),
        "it is not written"
    );
    // So one that was let go of before anybody took it.
    assert_eq!(core.hear_json(unread(7)), Some(delivery(7, busy)));
    // One that was cancelled while it waits has ended, and is not written.
    assert_eq!(core.hear_json(unread(8)), None);
    assert_eq!(heard(&core), Some(delivery(8, DeliveryStatus::Waits)));
    drop(core.offers.take(&WireId::Uint(8)));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(core.take_batch(Vec::new()).calls.is_empty());
}
