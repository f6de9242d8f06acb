//! Ids that the program chooses for its calls.

use super::ways;
use mynah::dialect::{Kollabor, Side};
use mynah::prelude::*;
use mynah::protocol::WireId;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream};

fn text(id: &str) -> Option<WireId> {
    Some(WireId::Text(id.into()))
}

#[tokio::test]
async fn a_call_goes_under_the_id_of_the_program() {
    for (way, joined) in &ways::all().await {
        let add = || joined.client.call("desk", "add").args((1, 2));
        let call = add().id("req_1").result::<u8>().start();
        assert_eq!(call.id(), text("req_1"), "{way}");
        assert_eq!(call.await.unwrap(), 3, "{way}");
        // It is free again.
        let call = add().result::<u8>().id("req_1");
        assert_eq!(call.await.unwrap(), 3, "{way}");

        let steps = joined.client.call("desk", "steps").args((2,)).id("long");
        let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
        let hears = Arc::clone(&seen);
        let steps = steps.on_progress(move |step: u64| hears.lock().unwrap().push(step));
        assert_eq!(steps.result::<u64>().await.unwrap(), 2, "{way}");
        assert_eq!(*seen.lock().unwrap(), [0, 1], "{way}");

        if joined.far.is_none() {
            // Within the process nobody sees it.
            continue;
        }
        let plain = add().result::<u8>().start();
        assert!(matches!(plain.id(), Some(WireId::Uint(_))), "{way}");
        let hanging = Arc::clone(&joined.clerk.hanging);
        let hang = || joined.client.call("desk", "hang").id("req_1");
        let first = hang().result::<()>().start();
        let second = hang().result::<()>().await.unwrap_err();
        assert!(matches!(second, CallError::Misuse(text) if text.contains("this id")));
        ways::until(way, || hanging.load(Ordering::SeqCst) == 1).await;
        // A cancel goes under the same id.
        drop(first);
        ways::until(way, || hanging.load(Ordering::SeqCst) == 0).await;
        assert_eq!(add().id("req_1").result::<u8>().await.unwrap(), 3, "{way}");
    }
}

#[tokio::test]
async fn what_cannot_have_an_id_of_its_own_says_so() {
    let unsupported = |result: Result<u8, CallError<RpcError>>| match result.unwrap_err() {
        CallError::Unsupported { feature, .. } => feature,
        other => panic!("{other:?}"),
    };
    let joined = ways::cbor_rpc();
    let call = joined.client.call("desk", "add").args((1, 2)).id("a");
    let feature = unsupported(call.result().await);
    assert_eq!(feature, "ids of the program's own");

    let joined = ways::over(&mynah::dialect::Native::new());
    let call = joined.client.call("desk", "count").args((1,)).id("a");
    let mut items = call.stream::<u8>();
    let feature = unsupported(futures::StreamExt::next(&mut items).await.unwrap());
    assert!(feature.contains("streams"), "{feature}");
    let empty = joined.client.call("desk", "noted").id("");
    let empty = empty.result::<u8>().await.unwrap_err();
    assert!(matches!(empty, CallError::Misuse(_)), "{empty:?}");
    let long = joined.client.call("desk", "noted").id("x".repeat(10_000));
    let long = long.result::<u8>().await.unwrap_err();
    assert!(matches!(long, CallError::Encode(_)), "{long:?}");
    assert_eq!(joined.client.stats(), mynah::PeerStats::default());
}

/// A client and the bare lines of the other side.
fn lines() -> (Peer, BufReader<DuplexStream>) {
    let (near, far) = tokio::io::duplex(4096);
    let client = Peer::over(near, &Kollabor::new()).side(Side::Dial);
    (client.start().unwrap(), BufReader::new(far))
}

async fn line(far: &mut BufReader<DuplexStream>) -> serde_json::Value {
    let mut line = String::new();
    far.read_line(&mut line).await.unwrap();
    serde_json::from_str(&line).unwrap()
}

async fn answer(far: &mut BufReader<DuplexStream>, id: &str, result: u8) {
    let reply = format!(
        "{{\"action\": \"rpc_reply\", \"request_id\": \"{id}\", \"result\": {result}, \"error\": null, \
         \"error_kind\": null}}\n"
    );
    far.write_all(reply.as_bytes()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_peer_sees_it_and_may_answer_late() {
    let (client, mut far) = lines();
    let call = |id: String| client.call("", "ping").arg("echo", "hi").id(id);
    let pending = call("req_1".to_owned()).result::<u8>().start();
    let request = line(&mut far).await;
    assert_eq!(request["request_id"], "req_1");
    assert_eq!(request["params"]["echo"], "hi");
    answer(&mut far, "req_1", 7).await;
    assert_eq!(pending.await.unwrap(), 7);

    // However often an answer comes late, the connection goes on.
    for number in 0..2_000 {
        let id = format!("late_{number}");
        let late = call(id.clone()).deadline(Duration::from_millis(5));
        let late = late.result::<u8>().await;
        assert!(matches!(late, Err(CallError::Deadline)), "{late:?}");
        let request = line(&mut far).await;
        assert_eq!(request["action"], "rpc_request");
        let cancel = line(&mut far).await;
        assert_eq!(cancel["request_id"], id.as_str(), "{cancel}");
        answer(&mut far, &id, 8).await;
    }
    let other = client.call("", "ping").id("req_2").result::<u8>().start();
    assert_eq!(line(&mut far).await["request_id"], "req_2");
    answer(&mut far, "req_2", 9).await;
    assert_eq!(other.await.unwrap(), 9);

    // One that the wire itself would give is not the program's to choose.
    let own = client.call("", "ping").id(format!("{:032x}", 65_536));
    let own = own.result::<u8>().await.unwrap_err();
    assert!(matches!(own, CallError::Encode(_)), "{own:?}");
}
