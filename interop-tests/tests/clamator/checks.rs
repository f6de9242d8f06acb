//! PS: what a client of this side has to see of a server of the package, whatever carries the messages.

use crate::service::{ArithClient, Notes, Sum};
use futures::future::join_all;
use interop_tests::python::within;
use mynah::{CallError, ErrorCode, RpcError, Value};
use std::time::Duration;

pub(crate) async fn done<T, E>(
    call: impl IntoFuture<Output = Result<T, CallError<E>>>,
) -> Result<T, CallError<E>> {
    within("a call ends", call.into_future()).await
}

pub(crate) async fn answered<T: std::fmt::Debug>(
    call: impl IntoFuture<Output = Result<T, CallError<RpcError>>>,
) -> RpcError {
    match done(call).await {
        Err(CallError::Application(error) | CallError::Remote(error)) => error,
        other => panic!("no answer with an error: {other:?}"),
    }
}

pub(crate) async fn usable(client: &ArithClient) {
    let sum = done(client.add(2, 3)).await.expect("usable");
    assert_eq!(sum, Sum { sum: 5 });
}

pub(crate) fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    let Value::Map(entries) = value else {
        panic!("{value}");
    };
    let entry = entries.iter().find(|(name, _)| name.as_str() == Some(key));
    entry.and_then(|(_, value)| value.as_str()).expect("a text")
}

/// 1, 16, 17, 18
pub(crate) async fn values(client: &ArithClient) {
    let mut nested = Value::Array(vec![]);
    for _ in 0..199 {
        nested = Value::Array(vec![nested]);
    }
    let mut values = vec![
        Value::Null,
        true.into(),
        "".into(),
        "\u{e9}\u{1f600}\u{2028}\0\u{ffff}\u{10ffff}".into(),
        "x".repeat(1 << 20).into(),
        Value::Map(vec![("\u{e9}".into(), Value::Array(vec![]))]),
        Value::Array((0..100_000_u64).map(Value::from).collect()),
        nested,
        Value::from(u128::from(u64::MAX) + 1),
    ];
    values.extend([0, (1 << 53) + 1, u64::MAX].map(Value::from));
    values.extend([-1, i64::MIN].map(Value::from));
    values.extend([0.1, -0.0, 1.0, 5e-324, 1.797e308].map(Value::from));
    for value in values {
        let back = done(client.echo(value.clone())).await.expect("echo");
        assert!(back.value == value, "it was changed");
        assert_eq!(back.value.to_string(), value.to_string(), "-0.0 is no 0.0");
    }
    usable(client).await;
}

/// 5, 6, 8, 9
pub(crate) async fn errors(client: &ArithClient) {
    for (code, message, data) in [
        (7, "seven", None),
        (-1, "", Some(Value::Array(vec![1_u64.into(), Value::Null]))),
        (-32001, "\u{e9}\u{2028}", Some("text".into())),
        (0, "zero", None),
    ] {
        let call = client.fail_with(code, message.to_owned(), data.clone());
        let error = answered(call).await;
        assert_eq!((error.code().value(), error.message()), (code, message));
        assert_eq!(error.data(), data.as_ref());
    }
    let error = answered(client.nowhere()).await;
    assert_eq!(error.code(), ErrorCode::METHOD_NOT_FOUND);
    assert_eq!(error.message(), "Method not found");
    let error = answered(client.boom()).await;
    assert_eq!(error.code(), ErrorCode::INTERNAL);
    let data = error.data().expect("data");
    assert_eq!(
        (text(data, "name"), text(data, "message")),
        ("ValueError", "boom")
    );
    let error = answered(client.bad_result()).await;
    assert_eq!(error.code(), ErrorCode::INTERNAL);
    assert_eq!(error.message(), "Result validation failed");
    assert!(error.data().is_some());
    usable(client).await;
}

/// 10
pub(crate) async fn notifications(client: &ArithClient) {
    let mut notes: Vec<_> = (0..20).map(|number| number.to_string()).collect();
    notes.push("fail".to_owned());
    for note in &notes {
        client.note(note.clone()).await.expect("it is sent");
    }
    let looks = async {
        while done(client.notes()).await.expect("notes")
            != (Notes {
                notes: notes.clone(),
            })
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within("all are heard", looks).await;
    usable(client).await;
}

/// 19, 20
pub(crate) async fn at_once(client: &ArithClient) {
    let calls = (0..64_u64).map(|number| done(client.sleep(200 - 3 * number)));
    for (number, result) in (0..).zip(join_all(calls).await) {
        assert_eq!(result.expect("an answer").sum, 200 - 3 * number);
    }
    let late = client.sleep(150).deadline(Duration::from_millis(30));
    let ended = done(late).await;
    assert!(matches!(ended, Err(CallError::Deadline)), "{ended:?}");
    // Its reply comes all the same.
    done(client.sleep(200)).await.expect("an answer");
    usable(client).await;
}
