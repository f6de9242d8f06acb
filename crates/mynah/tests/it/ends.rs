//! Why a stream ended, as its consumer hears it over a wire.

use crate::flow::*;
use crate::support::*;
use futures::{StreamExt as _, stream};
use mynah::prelude::*;
use mynah::{By, CloseReason, EndReason, Limits, Router};
use serde_json::json;
use std::convert::Infallible;
use std::time::Duration;

type Results = mynah::Streaming<u64, Infallible>;

const WIRES: [Way; 4] = [Way::TcpCbor, Way::TcpJson, Way::TcpPack, Way::Unix];
const MOMENT: Duration = Duration::from_millis(20);

async fn joined(way: Way) -> (MyFlow, Joined, FlowClient) {
    let flow = MyFlow::new();
    let joined = Setup::new(flow.service()).join(way).await;
    let client = joined.client.client();
    (flow, joined, client)
}

/// A stream that has begun and has no end of its own.
async fn begun(client: &FlowClient) -> Results {
    let mut stream = client.hang(1).start();
    assert_eq!(within("item", stream.next()).await.unwrap().unwrap(), 0);
    stream
}

/// The error that ends it, and that nothing comes after it.
async fn error_of(stream: &mut Results) -> CallError {
    let error = within("error", stream.next()).await.unwrap().unwrap_err();
    assert!(stream.next().await.is_none());
    error
}

#[tokio::test]
async fn the_consumer_of_results_hears_why_they_end() {
    for way in WIRES {
        let (_flow, joined, client) = joined(way).await;
        let mut whole = client.count(1).start();
        while within("item", whole.next()).await.is_some() {}
        assert_eq!(whole.end_reason(), Some(&EndReason::Finished), "{way:?}");

        let mut broken = client.squares(3, Some(0)).start();
        let error = within("error", broken.next()).await.unwrap().unwrap_err();
        assert!(matches!(
            error,
            CallError::Application(FlowError::Broke { at: 0 })
        ));
        let Some(EndReason::Error(error)) = broken.end_reason() else {
            panic!("{way:?}: {:?}", broken.end_reason());
        };
        assert_eq!(error.code(), ErrorCode::application(1), "{way:?}");

        let mut cancelled = begun(&client).await;
        cancelled.cancel();
        assert!(within("end", cancelled.next()).await.is_none());
        let by_caller = EndReason::Cancelled(By::Caller);
        assert_eq!(cancelled.end_reason(), Some(&by_caller), "{way:?}");

        let mut late = client.hang(0).deadline(MOMENT).start();
        let error = error_of(&mut late).await;
        assert!(matches!(error, CallError::Deadline), "{way:?}: {error:?}");
        assert_eq!(late.end_reason(), Some(&EndReason::Deadline), "{way:?}");
        joined.idle().await;

        // The server closes without a drain, and stops what runs.
        let mut stopped = begun(&client).await;
        let client = joined.leave();
        let error = error_of(&mut stopped).await;
        assert!(
            matches!(error, CallError::Cancelled(By::Callee)),
            "{way:?}: {error:?}"
        );
        let by_callee = EndReason::Cancelled(By::Callee);
        assert_eq!(stopped.end_reason(), Some(&by_callee), "{way:?}");
        let closed = within("end", client.closed()).await;
        assert!(matches!(closed, CloseReason::PeerGone), "{way:?}");
    }
}

/// A server made of bytes that goes without a word, or with one.
#[tokio::test]
async fn the_consumer_of_results_hears_that_its_peer_is_gone() {
    let says = [
        (None, EndReason::PeerGone),
        (Some(ErrorCode::TIMED_OUT), EndReason::PeerGone),
        (Some(ErrorCode::DRAINING), EndReason::Draining),
    ];
    for (says, heard) in says {
        let (raw, client) = raw_server(Router::new(), Limits::new(), 1 << 16);
        let mut raw = raw.greet().await;
        let mut stream = client.client::<FlowClient>().hang(1).start();
        assert!(poll_once(&mut stream.next()).await.is_pending());
        let request = raw.next().await.unwrap();
        assert_eq!(request.kind(), REQUEST);
        let head = json!([ITEMS, request.head[1], 0, 1]);
        raw.say(head, "\0\0\0\u{1}0").await;
        assert_eq!(within("item", stream.next()).await.unwrap().unwrap(), 0);
        if let Some(code) = says {
            raw.say(json!([GOING_AWAY, code.value(), "bye"]), "").await;
        }
        drop(raw);
        let error = error_of(&mut stream).await;
        assert!(
            matches!(error, CallError::Indeterminate(_)) && !error.is_retryable(),
            "{says:?}: {error:?}"
        );
        assert_eq!(stream.end_reason(), Some(&heard), "{says:?}");
    }
}

#[tokio::test]
async fn the_consumer_of_results_hears_that_a_drain_has_cut_them() {
    for way in WIRES {
        let (_flow, joined, client) = joined(way).await;
        let mut stream = begun(&client).await;
        let mut log = joined.client.logs().unwrap();
        let report = joined.drain_within(MOMENT).await.unwrap();
        assert_eq!(report.streams_cut, 1, "{way:?}: {report}");
        let error = error_of(&mut stream).await;
        // It ran, so it is not made again as one that did not.
        assert!(!error.is_retryable(), "{way:?}: {error:?}");
        assert!(
            matches!(error, CallError::Indeterminate(CloseReason::Drained)),
            "{way:?}: {error:?}"
        );
        assert_eq!(stream.end_reason(), Some(&EndReason::Draining), "{way:?}");
        assert!(matches!(
            within("end", joined.client.closed()).await,
            CloseReason::Drained
        ));
        assert!(within("end of the log", log.next()).await.is_none());
    }
}

/// How the input of a handler ended that a client made of bytes has left, with or without a word before.
#[tokio::test]
async fn a_handler_hears_why_its_input_ends() {
    let says = [
        (Some(ErrorCode::DRAINING), EndReason::Draining),
        (Some(ErrorCode::PROTOCOL_VIOLATION), EndReason::PeerGone),
        (None, EndReason::PeerGone),
    ];
    for (says, heard) in says {
        let flow = MyFlow::new();
        let server = Server::new()
            .register(flow.service())
            .listen("tcp://127.0.0.1:0")
            .start()
            .await
            .unwrap();
        let mut raw = raw_tcp(&server).await.greet().await;
        let head = json!([REQUEST, 1, "flow", "shielded", null, null, null, null, 1]);
        raw.say(head, "[null,5]").await;
        until("it runs", || flow.0.calls.alive() == 1).await;
        if let Some(code) = says {
            raw.say(json!([GOING_AWAY, code.value(), "bye"]), "").await;
        }
        drop(raw);
        until("it is over", || flow.ends().len() == 1).await;
        assert_eq!(flow.ends(), [Some(heard)], "{says:?}");
    }
}

/// The side that calls may be a server too, and be drained while it sends.
#[tokio::test]
async fn a_handler_hears_that_its_caller_was_drained() {
    let flow = MyFlow::new();
    let (near, far) = mynah::memory::pair();
    let callee = Peer::over_transport(far)
        .router(Router::new().register(flow.service()))
        .limits(Limits::new())
        .start()
        .unwrap();
    let caller = Server::new().start().await.unwrap();
    let client: FlowClient = caller.attach_transport(near).unwrap().client();
    let call = client.shielded(stream::pending(), |_| {}).start();
    until("it runs", || flow.0.calls.alive() == 1).await;
    let report = within("drain", caller.drain(MOMENT)).await;
    assert_eq!(report.connections_cut, 1, "{report}");
    assert!(within("end", call).await.is_err());
    until("it is over", || flow.ends().len() == 1).await;
    assert_eq!(flow.ends(), [Some(EndReason::Draining)]);
    assert!(matches!(
        within("end", callee.closed()).await,
        CloseReason::Drained
    ));
}
