//! Streams, callbacks and topics where servers of the package are in the same fleet, and as the users of the guide's page.

use crate::acl::{log, options, with_users};
use crate::harness::{CMDS, Redis, drained};
use futures::future::join_all;
use futures::{Stream, StreamExt as _, stream};
use interop_tests::fleet::dial;
use interop_tests::python::within;
use mynah::prelude::*;
use mynah::redis_streams::{RedisListener, RedisOptions};
use mynah::{CallError, RpcError, ServerHandle};
use std::time::Duration;

/// A part of what the package's test server has under the same name, and what it cannot have.
#[mynah::service(name = "arith")]
trait Streaming {
    async fn add(&self, cx: &Context, a: i64, b: i64) -> Result<Added, RpcError>;
    fn count(&self, to: u64) -> impl Stream<Item = Result<u64, RpcError>> + Send;
    async fn sum(&self, numbers: Incoming<u64>) -> Result<u64, RpcError>;
    async fn ask(&self, number: u64, asked: Callback<u64, u64>) -> Result<u64, RpcError>;
}

#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Added {
    sum: i64,
}

struct Here;

impl Streaming for Here {
    async fn add(&self, cx: &Context, a: i64, b: i64) -> Result<Added, RpcError> {
        cx.progress(&"adding");
        Ok(Added { sum: a + b })
    }

    fn count(&self, to: u64) -> impl Stream<Item = Result<u64, RpcError>> + Send {
        stream::iter((0..to).map(Ok))
    }

    async fn sum(&self, mut numbers: Incoming<u64>) -> Result<u64, RpcError> {
        let mut sum = 0;
        while let Some(number) = numbers.next().await {
            sum += number?;
        }
        Ok(sum)
    }

    async fn ask(&self, number: u64, asked: Callback<u64, u64>) -> Result<u64, RpcError> {
        Ok(asked.call(number).await?)
    }
}

pub(crate) async fn serve(options: RedisOptions) -> ServerHandle {
    Server::new()
        .register(StreamingService::new(Here))
        .listen_transport_within(RedisListener::bind(options), std::convert::identity)
        .start()
        .await
        .expect("it serves")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_of_python_servers_alone_is_told_to_stream_nothing() {
    let redis = Redis::start().await;
    let python = redis
        .serve_python("python-1", Duration::from_secs(60))
        .await;
    let (peer, _client) = redis.connect().await;
    let streaming: StreamingClient = peer.client();
    let sum = within("an end", streaming.sum(stream::iter([1])).into_future()).await;
    assert!(
        matches!(
            &sum,
            Err(CallError::Unsupported {
                feature: "streams",
                ..
            })
        ),
        "{sum:?}"
    );
    let items: Vec<_> = within("an end", streaming.count(3).start().collect()).await;
    assert!(
        matches!(
            &items[..],
            [Err(CallError::Unsupported {
                feature: "streams",
                ..
            })]
        ),
        "{items:?}"
    );
    let asked = streaming.ask(1, async |number| Ok(number));
    let asked = within("an end", asked.into_future()).await;
    assert!(
        matches!(
            &asked,
            Err(CallError::Unsupported {
                feature: "callbacks",
                ..
            })
        ),
        "{asked:?}"
    );
    // Plain calls are none the worse for it.
    let sum = within("an answer", streaming.add(2, 3).into_future()).await;
    assert_eq!(sum.expect("an answer").sum, 5);
    python.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_mixed_group_streams_go_to_those_who_can() {
    let redis = Redis::start().await;
    let python = redis
        .serve_python("python-1", Duration::from_secs(60))
        .await;
    let server = serve(redis.options().with_instance("rust-1")).await;
    let (peer, _client) = redis.connect().await;
    let streaming: StreamingClient = peer.client();
    let sums = (0..50).map(|number| streaming.add(number, 1).into_future());
    let streams = (0..50).map(|_| streaming.count(100).start().collect::<Vec<_>>());
    let asked = (0..50u64).map(|number| {
        let asked = streaming.ask(number, async |number| Ok(number + 1));
        asked.into_future()
    });
    let all = futures::future::join3(join_all(sums), join_all(streams), join_all(asked));
    let (sums, streams, asked) = within("all of them", all).await;
    for (number, sum) in (0..).zip(sums) {
        assert_eq!(sum.expect("an answer").sum, number + 1);
    }
    for items in streams {
        assert!(items.len() == 100 && items.iter().all(Result::is_ok));
    }
    for (number, asked) in (0..).zip(asked) {
        assert_eq!(asked.expect("an answer"), number + 1);
    }
    python.end().await;
    drained(server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_the_package_hears_no_progress() {
    let redis = Redis::start().await;
    let server = serve(redis.options().with_instance("rust-1")).await;
    let text = r#"{"jsonrpc":"2.0","method":"arith.add","params":{"a":1,"b":2},"id":"1"}"#;
    let call = [
        ("type", "rpc"),
        ("envelope", text),
        ("reply-to", "app:x:replies:py"),
    ];
    redis.entry(CMDS, &call).await;
    // Every entry of the stream is an envelope.
    let replies = redis.replied("app:x:replies:py", 1).await;
    redis.settled(CMDS).await;
    assert_eq!(replies.len(), 1);
    assert_eq!(redis.replies("app:x:replies:py").await.len(), 1);
    drained(server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_and_topics_need_no_more_than_the_page_says() {
    let redis = Redis::start().await;
    with_users(&redis).await;
    let served = options(&redis, "server").with_publish_events(true);
    let server = serve(served).await;
    let peer = dial(options(&redis, "client")).await.expect("redis");
    let streaming: StreamingClient = peer.client();
    let news = within("subscribed", peer.subscribe::<u64>("news").into_future());
    let mut news = news.await.expect("a topic");
    let mut endless = streaming.count(u64::MAX).start();
    for _ in 0..10_000 {
        let item = within("an item", endless.next()).await;
        item.expect("more").expect("an item");
    }
    drop(endless);
    let sum = within("a sum", streaming.sum(stream::iter([1, 2])).into_future()).await;
    assert_eq!(sum.expect("an answer"), 3);
    let asked = streaming.ask(1, async |number| Ok(number));
    let asked = within("asked", asked.into_future()).await;
    assert_eq!(asked.expect("an answer"), 1);
    server.broadcast("news", &7u64).await.expect("published");
    let heard = within("news", news.next()).await;
    assert_eq!(heard.expect("more").expect("a message"), 7);
    // Long enough for both sides to say that they are there.
    let mut slow = streaming.count(u64::MAX).start();
    for _ in 0..4 {
        let item = within("an item", slow.next()).await;
        item.expect("more").expect("an item");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    drop((news, slow, streaming));
    peer.close();
    drained(server).await;
    let none = log(&redis).await;
    assert_eq!(none, "Array([])", "something was refused");
}
