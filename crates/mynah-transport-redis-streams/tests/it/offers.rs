//! Calls in a format that whoever takes them may not know: they are offered again, and end as nothing that they are not.

use crate::fleet::{len, pending, redis, serve, settled, until, within};
use crate::formats::{BINARY, alive, arith};
use crate::robust::{STREAM, group};
use crate::sessions::{self, NumbersClient};
use futures::{StreamExt as _, stream};
use mynah::RpcError;
use mynah::prelude::*;
use mynah_testkit::redis::RedisServer;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Answers as servers do that know nothing of formats: the method of the envelope is not there. How often.
async fn answer_in_json(redis: &RedisServer) -> u64 {
    let answer = "local found = redis.call('XREADGROUP', 'GROUP', 'arith', 'arith:old', 'STREAMS', KEYS[1], '>') \
        if not found then return 0 end \
        local count = 0 \
        for _, entry in ipairs(found[1][2]) do \
          local to, id \
          for i = 1, #entry[2], 2 do \
            if entry[2][i] == 'reply-to' then to = entry[2][i + 1] end \
            if entry[2][i] == 'envelope' then id = cjson.decode(entry[2][i + 1]).id end \
          end \
          local text = cjson.encode(id) \
          redis.call('XADD', to, '*', 'type', 'rpc', 'envelope', '{\"jsonrpc\": \"2.0\", \"id\": ' .. text .. \
            ', \"error\": {\"code\": -32601, \"message\": \"Method not found\", \"data\": null}}') \
          redis.call('XACK', KEYS[1], 'arith', entry[1]) redis.call('XDEL', KEYS[1], entry[1]) \
          count = count + 1 \
        end \
        return count";
    let count = redis.command(&["EVAL", answer, "1", STREAM]).await.unwrap();
    u64::try_from(count.as_integer().unwrap()).unwrap()
}

fn is_unsupported(error: &CallError<RpcError>) -> bool {
    matches!(error, CallError::Unsupported { feature, .. } if feature.contains("format"))
}

#[tokio::test]
async fn where_nobody_knows_the_format_its_caller_hears_so_and_nothing_is_written() {
    let redis = redis().await;
    group(&redis).await;
    let arith = arith(&redis, "format=cbor").await;
    let error = within(arith.add(1, 2)).await.unwrap_err();
    assert!(is_unsupported(&error), "{error:?}");
    arith.touch("lost".into()).await.unwrap();
    let error = within(arith.add(1, 2)).await.unwrap_err();
    assert!(is_unsupported(&error), "{error:?}");
    assert_eq!(len(&redis, STREAM).await, 0);
}

/// Has servers of JSON take what is offered, until it ends: how often they took something, and how it ended.
async fn taken_in_json<T>(redis: &RedisServer, call: impl Future<Output = T>) -> (u64, T) {
    let mut call = std::pin::pin!(call);
    let mut answered = 0;
    within(async {
        loop {
            answered += answer_in_json(redis).await;
            let pause = tokio::time::timeout(Duration::from_millis(5), &mut call);
            if let Ok(outcome) = pause.await {
                return (answered, outcome);
            }
        }
    })
    .await
}

/// A server that knows the format is there, and busy: each time a server of JSON is faster.
#[tokio::test]
async fn what_servers_of_json_take_is_offered_for_as_long_as_somebody_knows_it() {
    let redis = redis().await;
    group(&redis).await;
    alive(&redis, "arith").await;
    let arith = arith(&redis, "format=cbor").await;
    // More often than it once was before its caller was told that nobody knows it.
    let call = arith.add(1, 2).deadline(Duration::from_secs(600)).start();
    within(async {
        let mut answered = 0;
        while answered < 18 {
            answered += answer_in_json(&redis).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    // Until its time is over. Nobody has it then, and it may be made again.
    let late = arith.add(1, 2).deadline(Duration::from_millis(400));
    let (answered, outcome) = taken_in_json(&redis, late.into_future()).await;
    let error = outcome.unwrap_err();
    assert!(answered >= 2, "{answered}");
    assert!(
        matches!(error, CallError::Disconnected(_) | CallError::Deadline),
        "{error:?}"
    );
    // One that is not waited for any more is not offered again.
    let cancelled = arith.add(1, 2).start();
    until(async || len(&redis, STREAM).await >= 1).await;
    drop(cancelled);
    // Somebody who knows it takes it at a later attempt, and runs it once. So with notifications.
    arith.touch("k".into()).await.unwrap();
    within(async {
        while answer_in_json(&redis).await == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let (_server, state) = serve(&redis, "").await;
    assert_eq!(within(call).await.unwrap(), 3);
    until(async || *state.touched.lock().unwrap() == ["k"]).await;
    settled(&redis).await;
    assert_eq!(state.runs(), 1);
}

#[tokio::test]
async fn an_offer_ends_once_nobody_is_there_who_knows_its_format() {
    let redis = redis().await;
    group(&redis).await;
    alive(&redis, "arith").await;
    let arith = arith(&redis, "format=cbor").await;
    let call = arith.add(1, 2).no_deadline().start();
    until(async || len(&redis, STREAM).await == 1).await;
    let gone = ["ZREM", "app:servers:arith", "ghost"];
    redis.command(&gone).await.unwrap();
    let (_, outcome) = taken_in_json(&redis, call).await;
    let error = outcome.unwrap_err();
    assert!(is_unsupported(&error), "{error:?}");
    assert_eq!(pending(&redis).await, 0);
    assert_eq!(len(&redis, STREAM).await, 0);
}

/// What may have to be offered again is kept in bounds: what is let go of for that ends as one that may be made again, whether
/// it waits to be offered then or stands in the stream.
#[tokio::test]
async fn an_offer_that_is_let_go_of_is_busy() {
    let redis = redis().await;
    group(&redis).await;
    alive(&redis, "arith").await;
    let arith = arith(&redis, "format=messagepack").await;
    for has_waited in [false, true] {
        let first = arith.add(1, 2).no_deadline().start();
        until(async || len(&redis, STREAM).await >= 1).await;
        if has_waited {
            until(async || answer_in_json(&redis).await > 0).await;
        }
        // As much as is kept, and one more.
        let text = "x".repeat(1 << 20);
        let others: Vec<_> = (0..5)
            .map(|_| arith.echo(text.clone()).no_deadline().start())
            .collect();
        let (_, outcome) = taken_in_json(&redis, first).await;
        let error = outcome.unwrap_err();
        assert!(matches!(error, CallError::Busy { .. }), "{error:?}");
        assert!(error.is_retryable());
        drop(others);
        redis
            .command(&["XTRIM", STREAM, "MAXLEN", "0"])
            .await
            .unwrap();
    }
}

/// A server as it was before it knew other formats: it says that it is alive, and not what it speaks; it takes calls and
/// finds the method of their envelope not there; it passes over the frames of sessions, and says that it does not know them
/// when it is asked for them.
async fn early_version(redis: &RedisServer, service: &str) {
    alive(redis, service).await;
    let card = [
        "SET",
        "app:server:ghost",
        r#"{"version":"0.0.1","started_ms":1,"draining":false,"services":{}}"#,
    ];
    redis.command(&card).await.unwrap();
    let inbox = ["XADD", "app:inbox:ghost", "*", "mynah", "hello"];
    redis.command(&inbox).await.unwrap();
}

#[tokio::test]
async fn an_early_version_is_given_no_session_in_a_format_that_it_does_not_know() {
    let redis = redis().await;
    early_version(&redis, "numbers").await;
    for format in BINARY {
        let numbers: NumbersClient = sessions::connect(&redis, format).await;
        let sum = numbers.sum(stream::iter([1u64])).no_deadline();
        let error = within(sum).await.unwrap_err();
        assert!(is_unsupported(&error), "{format}: {error:?}");
        let mut items = numbers.count(3).start();
        let error = within(items.next()).await.unwrap().unwrap_err();
        assert!(is_unsupported(&error), "{format}: {error:?}");
    }
    assert_eq!(len(&redis, "app:inbox:ghost").await, 1, "it was not asked");
    // Beside one that knows them all, that one has all of them.
    let (_server, state) = sessions::serve(&redis, "").await;
    for format in BINARY {
        let numbers: NumbersClient = sessions::connect(&redis, format).await;
        for _ in 0..10 {
            let sum = numbers.sum(stream::iter([1u64, 2]));
            assert_eq!(within(sum).await.unwrap(), 3);
        }
        let items = numbers.count(3).start().map(Result::unwrap);
        let items: Vec<u64> = within(items.collect()).await;
        assert_eq!(items, [0, 1, 2]);
    }
    assert_eq!(state.runs.load(Ordering::SeqCst), 2);
    assert_eq!(len(&redis, "app:inbox:ghost").await, 1, "it was not asked");
}

#[tokio::test]
async fn an_early_version_alone_is_no_server_for_calls_in_other_formats() {
    let redis = redis().await;
    group(&redis).await;
    early_version(&redis, "arith").await;
    for format in BINARY {
        let arith = arith(&redis, format).await;
        let error = within(arith.add(1, 2).no_deadline()).await.unwrap_err();
        assert!(is_unsupported(&error), "{format}: {error:?}");
        assert_eq!(len(&redis, STREAM).await, 0, "nothing is written");
    }
    // In JSON it is one as any other.
    let json = arith(&redis, "").await;
    let call = json.add(1, 2).start();
    until(async || len(&redis, STREAM).await == 1).await;
    drop(call);
    // Where it takes a call that another one knows, that one is offered it.
    let (_server, state) = serve(&redis, "serial=arith").await;
    for format in BINARY {
        let arith = arith(&redis, format).await;
        let first = arith.wait("x".into()).start();
        state.begun(1).await;
        let second = arith.add(1, 2).start();
        within(async {
            while answer_in_json(&redis).await == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        state.gate.add_permits(1);
        assert_eq!(within(first).await.unwrap(), "x");
        assert_eq!(within(second).await.unwrap(), 3, "{format}");
    }
}
