//! Clients of three formats and of the package, served by servers of both kinds in one group.

use crate::acl::{log, options, with_users};
use crate::harness::{CMDS, Redis, WORK, drained};
use crate::service::ArithClient;
use futures::future::join_all;
use interop_tests::fleet::FleetClient;
use interop_tests::python::within;
use mynah::{CallError, FormatId, Peer, RpcError};
use std::collections::HashMap;
use std::time::Duration;

const BINARY: [FormatId; 2] = [FormatId::Cbor, FormatId::MessagePack];

async fn connect(redis: &Redis, format: FormatId) -> (Peer, ArithClient) {
    redis
        .connect_with(redis.options().with_format(format))
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_mixed_group_calls_of_every_format_are_answered_and_run_once() {
    let redis = Redis::start().await;
    let servers = [redis.serve("rust-1").await, redis.serve("rust-2").await];
    let long = Duration::from_secs(60);
    let python = redis.serve_python("python-1", long).await;
    let (json, _) = connect(&redis, FormatId::Json).await;
    let (cbor, cbor_arith) = connect(&redis, FormatId::Cbor).await;
    let (packed, _) = connect(&redis, FormatId::MessagePack).await;
    let mut share: HashMap<(String, String), usize> = HashMap::new();
    for round in 0..10 {
        let mut calls = Vec::new();
        for (peer, format) in [(&json, "json"), (&cbor, "cbor"), (&packed, "messagepack")] {
            let fleet: FleetClient = peer.client();
            for number in 0..20 {
                let id = format!("{format}-{round}-{number}");
                let call = fleet.mark(id, 5).into_future();
                calls.push(async move { (format, call.await) });
            }
        }
        // The package's client calls meanwhile.
        let all = futures::future::join(join_all(calls), redis.scenario("concurrent"));
        let (results, ()) = within("sixty calls end", all).await;
        for (format, result) in results {
            let by = result
                .unwrap_or_else(|error| panic!("{format}: {error:?}"))
                .by;
            *share.entry((format.to_owned(), by)).or_default() += 1;
        }
    }
    for format in ["json", "cbor", "messagepack"] {
        for round in 0..10 {
            for number in 0..20 {
                let marks = redis.marks(&format!("{format}-{round}-{number}")).await;
                assert_eq!(marks.len(), 1, "{format}-{round}-{number}: {marks:?}");
            }
        }
        let of = |by: &str| share.get(&(format.to_owned(), by.to_owned())).copied();
        assert!(
            of("rust-1").is_some() && of("rust-2").is_some(),
            "{share:?}"
        );
        assert_eq!(of("python-1").is_some(), format == "json", "{share:?}");
    }
    // Notifications are run by those who can read them.
    for number in 0..20 {
        let sent = cbor_arith.note(format!("cbor-{number}"));
        within("sent", sent.into_future()).await.expect("sent");
    }
    redis
        .until("all were noted", async || {
            let mut heard = std::collections::HashSet::new();
            for _ in 0..20 {
                let notes = within("notes", cbor_arith.notes().into_future()).await;
                heard.extend(notes.expect("an answer").notes);
            }
            (0..20).all(|number| heard.contains(&format!("cbor-{number}")))
        })
        .await;
    // Servers of the package leave what is done in the stream.
    for stream in [WORK, CMDS] {
        redis
            .until("nothing is pending", async || {
                redis.pending(stream).await == 0
            })
            .await;
    }
    python.end().await;
    for server in servers {
        drained(server).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_python_servers_are_alone_other_formats_are_refused_and_json_is_served() {
    let redis = Redis::start().await;
    let python = redis
        .serve_python("python-1", Duration::from_secs(60))
        .await;
    for format in BINARY {
        let (_peer, arith) = connect(&redis, format).await;
        let call = within("an end", arith.add(2, 3).into_future()).await;
        assert!(is_unsupported(&call), "{call:?}");
    }
    let (_peer, arith) = connect(&redis, FormatId::Json).await;
    let sum = within("an answer", arith.add(2, 3).into_future()).await;
    assert_eq!(sum.expect("an answer").sum, 5);
    // With a server of ours that was killed, and counts as alive for a while: until then it may be the one that takes the call.
    let says = "local now = redis.call('TIME') \
        return redis.call('ZADD', KEYS[1], now[1] * 1000 + 2000, 'ghost')";
    for format in BINARY {
        redis.ask(&["EVAL", says, "1", "app:x:servers:arith"]).await;
        let (peer, arith) = connect(&redis, format).await;
        let call = within("an end", arith.add(2, 3).into_future()).await;
        assert!(is_unsupported(&call), "{call:?}");
        peer.close();
    }
    redis
        .until("nothing is pending", async || {
            redis.pending(CMDS).await == 0
        })
        .await;
    python.end().await;
}

fn is_unsupported<T>(result: &Result<T, CallError<RpcError>>) -> bool {
    matches!(result, Err(CallError::Unsupported { feature, .. }) if feature.contains("format"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_formats_need_no_more_than_the_page_says() {
    let redis = Redis::start().await;
    with_users(&redis).await;
    let served = options(&redis, "server").with_publish_events(true);
    let served = served.with_format(FormatId::Cbor).with_instance("srv-1");
    let server = crate::sessions::serve(served).await;
    let (peer, arith) = redis
        .connect_with(options(&redis, "client").with_format(FormatId::Cbor))
        .await;
    let sum = within("an answer", arith.add(2, 3).operation_id("o").into_future()).await;
    assert_eq!(sum.expect("an answer").sum, 5);
    let again = within("an answer", arith.add(2, 3).operation_id("o").into_future()).await;
    assert_eq!(again.expect("an answer").sum, 5);
    let news = within("subscribed", peer.subscribe::<u64>("news").into_future());
    let mut news = news.await.expect("a topic");
    server.broadcast("news", &7u64).await.expect("published");
    let heard = within("news", news.next()).await;
    assert_eq!(heard.expect("more").expect("a message"), 7);
    peer.emit("news", &8u64).expect("emitted");
    let heard = within("news", news.next()).await;
    assert_eq!(heard.expect("more").expect("a message"), 8);
    drop((news, arith));
    peer.close();
    drained(server).await;
    assert_eq!(log(&redis).await, "Array([])", "something was refused");
}
