//! Events by topic, from any server to whoever reads them.

use crate::fleet::{redis, until, within};
use crate::sessions::{connect, serve};
use mynah::{EndReason, Lag, Peer};
use mynah_testkit::redis::RedisServer;
use std::time::Duration;

async fn peer(redis: &RedisServer) -> Peer {
    let url = crate::fleet::url(redis, "");
    mynah::connect(&url).await.unwrap()
}

#[tokio::test]
async fn what_any_server_broadcasts_is_heard_by_whoever_reads_the_topic() {
    let redis = redis().await;
    let (one, _) = serve(&redis, "events=publish").await;
    let (two, _) = serve(&redis, "events=publish").await;
    let first = peer(&redis).await;
    let second = peer(&redis).await;
    one.broadcast("news", &"before").await.unwrap();
    until(async || crate::fleet::len(&redis, "app:events:news").await == 1).await;
    let mut heard = [
        within(first.subscribe::<String>("news")).await.unwrap(),
        within(second.subscribe::<String>("news")).await.unwrap(),
    ];
    let mut other = within(first.subscribe::<String>("other")).await.unwrap();
    one.broadcast("news", &"a").await.unwrap();
    for news in &mut heard {
        assert_eq!(within(news.next()).await.unwrap().unwrap(), "a");
    }
    two.broadcast("news", &"b").await.unwrap();
    two.broadcast("other", &"c").await.unwrap();
    for news in &mut heard {
        assert_eq!(within(news.next()).await.unwrap().unwrap(), "b");
        assert_eq!(news.dropped(), 0);
    }
    assert_eq!(within(other.next()).await.unwrap().unwrap(), "c");
    let ttl = redis.command(&["PTTL", "app:events:news"]).await.unwrap();
    assert!(ttl.as_integer().unwrap() > 0);
}

/// Publishes as servers do, with nothing but Redis.
async fn publish(redis: &RedisServer, from: u64, count: u64) {
    let add = "for i = 0, ARGV[2] - 1 do \
        redis.call('XADD', KEYS[1], string.format('%.0f-0', ARGV[1] + i), 'mynah', 'event', 'body', string.format('%.0f', ARGV[1] + i)) end";
    let (from, count) = (from.to_string(), count.to_string());
    let add = ["EVAL", add, "1", "app:events:news", &from, &count];
    redis.command(&add).await.unwrap();
}

#[tokio::test]
async fn what_a_slow_reader_misses_is_counted() {
    let redis = redis().await;
    publish(&redis, 1000, 1).await;
    let peer = peer(&redis).await;
    let news = peer.subscribe::<u64>("news");
    let mut slow = within(news.capacity(1)).await.unwrap();
    let close = peer.subscribe::<u64>("news").lag(Lag::Close).capacity(1);
    let mut close = within(close).await.unwrap();
    let latest = peer.subscribe::<u64>("news").lag(Lag::Latest);
    let mut latest = within(latest).await.unwrap();
    publish(&redis, 1001, 1).await;
    // Everybody has this one on its way before more come than anybody takes.
    assert_eq!(within(slow.next()).await.unwrap().unwrap(), 1001);
    assert_eq!(within(close.next()).await.unwrap().unwrap(), 1001);
    assert_eq!(within(latest.next()).await.unwrap().unwrap(), 1001);
    let more = "for i = 0, 99 do \
        redis.call('XADD', KEYS[1], (1002 + i) .. '-0', 'mynah', 'event', 'body', tostring(1002 + i)) end \
        redis.call('XTRIM', KEYS[1], 'MAXLEN', 1)";
    redis
        .command(&["EVAL", more, "1", "app:events:news"])
        .await
        .unwrap();
    assert_eq!(within(slow.next()).await.unwrap().unwrap(), 1101);
    assert_eq!(slow.dropped(), 99);
    assert_eq!(within(latest.next()).await.unwrap().unwrap(), 1101);
    assert_eq!(latest.dropped(), 99);
    assert!(within(close.next()).await.is_none_or(|last| last.is_err()));
    assert!(
        matches!(close.end_reason(), Some(EndReason::Lagged(99))),
        "{:?}",
        close.end_reason()
    );
}

#[tokio::test]
async fn a_subscription_goes_on_after_a_restart_of_redis() {
    let mut redis = mynah_testkit::redis::RedisOptions::new()
        .with_append_only(mynah_testkit::redis::AppendOnly::Always)
        .start()
        .await
        .unwrap();
    let (server, _) = serve(&redis, "events=publish").await;
    let numbers = connect(&redis, "").await;
    let peer = peer(&redis).await;
    let mut news = within(peer.subscribe::<u64>("news")).await.unwrap();
    server.broadcast("news", &1).await.unwrap();
    assert_eq!(within(news.next()).await.unwrap().unwrap(), 1);
    redis.kill().await.unwrap();
    server.broadcast("news", &2).await.unwrap();
    redis.restart().await.unwrap();
    assert_eq!(within(news.next()).await.unwrap().unwrap(), 2);
    until(async || {
        numbers
            .steps(1)
            .deadline(Duration::from_secs(1))
            .await
            .is_ok()
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_subscribed_to_is_refused() {
    let redis = redis().await;
    let (_server, _) = serve(&redis, "events=publish").await;
    let peer = peer(&redis).await;
    let all = within(peer.subscribe::<(String, u64)>("*"))
        .await
        .unwrap_err();
    assert!(
        matches!(all, mynah::CallError::Unsupported { .. }),
        "{all:?}"
    );
    let newest = peer.subscribe::<u64>("news").lag(Lag::DropNewest);
    let newest = within(newest).await.unwrap_err();
    assert!(
        matches!(newest, mynah::CallError::Unsupported { .. }),
        "{newest:?}"
    );
    let block = within(peer.subscribe::<u64>("news").lag(Lag::Block)).await;
    assert!(block.is_err());
    // What is forged is no message.
    let mut news = within(peer.subscribe::<u64>("news")).await.unwrap();
    for body in ["not json", "[1,", ""] {
        let forged = [
            "XADD",
            "app:events:news",
            "*",
            "mynah",
            "event",
            "body",
            body,
        ];
        redis.command(&forged).await.unwrap();
    }
    publish(&redis, 900_000_000_000_000, 1).await;
    assert_eq!(
        within(news.next()).await.unwrap().unwrap(),
        900_000_000_000_000
    );
}
