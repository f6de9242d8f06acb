//! Many calls, large ones, ends of connections, JSON.

use super::{both, done, map};
use crate::harness::{Codec, PythonServer, RustClient, Venv, within};
use crate::service::text_of;
use mynah::dialect::CborRpc;
use mynah::{CallError, Value};
use mynah_codec::dialect::cbor_rpc::Padding;
use serde_bytes::ByteBuf;
use std::time::{Duration, Instant};

#[tokio::test]
async fn check_13_p_many_calls_at_once() {
    let (_server, client) = both().await;
    let calls: Vec<_> = (0..64)
        .map(|index| client.client.add(index, 1).start())
        .collect();
    for (index, call) in (0..).zip(calls) {
        assert_eq!(done(call).await.expect("add answers"), index + 1);
    }
    let started = Instant::now();
    let calls: Vec<_> = (0..20).map(|_| client.client.sleep(300).start()).collect();
    for call in calls {
        assert_eq!(done(call).await.expect("sleep answers"), 300);
    }
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "they run one after the other"
    );
}

#[tokio::test]
async fn check_13_p_slow_large_messages_both_ways() {
    let (_server, client) = both().await;
    let blob = Value::from(
        (0..65_536_u32)
            .map(|index| (index % 251) as u8)
            .collect::<Vec<_>>(),
    );
    let calls: Vec<_> = (0..64)
        .map(|_| client.client.echo(blob.clone()).start())
        .collect();
    for call in calls {
        assert!(
            done(call).await.expect("echo answers") == blob,
            "64 KiB come back"
        );
    }
    for size in [1_u64 << 20, 4 << 20] {
        let zeros = vec![0; usize::try_from(size).expect("small")];
        let call = client.client.length(ByteBuf::from(zeros));
        assert_eq!(done(call).await.expect("length answers"), size);
        let back = done(client.client.blob(size)).await.expect("blob answers");
        assert_eq!(back.len() as u64, size);
    }
}

#[tokio::test]
async fn check_16_p_a_server_that_closes_over_a_bad_value_is_survived() {
    let (server, client) = both().await;
    let pending = client.client.slow(20_000).start();
    let error = done(client.client.unencodable())
        .await
        .expect_err("the package closes");
    assert!(matches!(error, CallError::Indeterminate(_)), "{error:?}");
    assert!(matches!(
        done(pending).await,
        Err(CallError::Indeterminate(_))
    ));
    let again = RustClient::connect(server.port, CborRpc::cbor()).await;
    assert_eq!(
        done(again.client.add(1, 2))
            .await
            .expect("another connection"),
        3
    );
}

#[tokio::test]
async fn check_17_p_a_close_fails_pending_calls_at_once_and_later_ones_too() {
    let (_server, client) = both().await;
    let pending: Vec<_> = (0..3).map(|_| client.client.slow(20_000).start()).collect();
    client
        .until_state("they run", |state| state.started == 3)
        .await;
    let closing = done(client.client.close())
        .await
        .expect_err("no reply comes");
    assert!(
        matches!(closing, CallError::Indeterminate(_)),
        "{closing:?}"
    );
    for call in pending {
        assert!(matches!(done(call).await, Err(CallError::Indeterminate(_))));
    }
    let later = done(client.client.add(1, 2))
        .await
        .expect_err("it is closed");
    assert!(matches!(later, CallError::Disconnected(_)), "{later:?}");
}

#[tokio::test]
async fn check_17_p_a_close_of_this_side_sends_what_waits() {
    let (_server, client) = both().await;
    done(client.client.note(Value::from("last words")))
        .await
        .expect("a fire is written");
    client.peer.close();
    within("the connection ends", client.peer.closed()).await;
    let again = RustClient::connect(_server.port, CborRpc::cbor()).await;
    again
        .until_state("it arrived", |state| {
            state.notes == [Value::from("last words")]
        })
        .await;
}

#[tokio::test]
async fn check_18_p_json_one_at_a_time() {
    let server = PythonServer::start(Venv::Current, Codec::Json).await;
    let client = RustClient::connect(server.port, CborRpc::json(Padding::Newline)).await;
    let api = &client.client;
    assert_eq!(done(api.add(2, 3)).await.expect("add"), 5);
    for value in [
        Value::Null,
        Value::from("esc \" \\ \n \0 \u{1f99c} é"),
        Value::from(u64::MAX),
        Value::from(i64::MIN),
        Value::from(1_u128 << 70),
        map(&[("b", Value::Array(vec![])), ("a", Value::from(true))]),
    ] {
        assert_eq!(
            done(api.echo(value.clone())).await.expect("echo answers"),
            value
        );
    }
    let error = done(api.fail("boom".to_owned()))
        .await
        .expect_err("it fails");
    assert_eq!(text_of(&error), "boom");
}

#[tokio::test]
async fn check_19_p_json_with_padding_carries_64_concurrent_calls() {
    let server = PythonServer::start(Venv::Current, Codec::Json).await;
    let client = RustClient::connect(server.port, CborRpc::json(Padding::Python)).await;
    let calls: Vec<_> = (0..64)
        .map(|index| client.client.add(index, 1).start())
        .collect();
    for (index, call) in (0..).zip(calls) {
        assert_eq!(done(call).await.expect("add answers"), index + 1);
    }
    let pong = done(client.client.call_back("ping".to_owned()))
        .await
        .expect("call back");
    assert_eq!(pong, Value::from("pong"));
}
