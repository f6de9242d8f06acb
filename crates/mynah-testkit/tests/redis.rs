//! The servers that tests start: they run, keep what they should, stop and go on, and end with their handle.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that meets what it does not expect ends there, helpers included"
)]

use mynah_testkit::redis::{
    AppendOnly, RedisCluster, RedisOptions, RedisSentinel, RedisServer, Reply,
};
use std::io;
use std::time::Duration;

async fn count(server: &RedisServer) -> Option<i64> {
    let size = server.command(&["DBSIZE"]).await.expect("it answers");
    size.as_integer()
}

#[tokio::test]
async fn one_answers_and_ends_with_its_handle() {
    let server = RedisServer::start().await.expect("redis-server starts");
    let set = server.command(&["SET", "a", "b c\r\nd"]).await;
    assert_eq!(set.expect("it is set"), Reply::Text("OK".into()));
    let got = server.command(&["GET", "a"]).await.expect("an answer");
    assert_eq!(got.as_text(), Some("b c\r\nd"));
    let none = server.command(&["GET", "none"]).await.expect("an answer");
    assert_eq!(none, Reply::Nil);
    let wrong = server.command(&["XLEN", "a"]).await.expect_err("an error");
    assert!(wrong.to_string().starts_with("WRONGTYPE"), "{wrong}");
    let address = server.address();
    let folder = server.socket().parent().expect("a folder").to_owned();
    drop(server);
    let gone = tokio::time::timeout(Duration::from_secs(20), async {
        while tokio::net::TcpStream::connect(&address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    gone.await.expect("nobody listens any more");
    assert!(!folder.exists(), "its folder is left");
}

#[tokio::test]
async fn what_is_kept_survives_a_kill_and_nothing_else() {
    for (append_only, kept) in [(AppendOnly::Always, 1), (AppendOnly::No, 0)] {
        let options = RedisOptions::new().with_append_only(append_only);
        let mut server = options.start().await.expect("redis-server starts");
        let url = server.url();
        server.command(&["SET", "a", "1"]).await.expect("it is set");
        server.kill().await.expect("it is killed");
        let error = server.command(&["PING"]).await.expect_err("it is gone");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(
            server.freeze().is_err(),
            "what is not running is not frozen"
        );
        server.restart().await.expect("it comes back");
        assert_eq!((server.url(), count(&server).await), (url, Some(kept)));
    }
}

#[tokio::test]
async fn a_frozen_one_answers_when_it_goes_on() {
    let server = RedisServer::start().await.expect("redis-server starts");
    server.freeze().expect("it is frozen");
    let short = Duration::from_millis(100);
    let asked = tokio::time::timeout(short, server.command(&["PING"])).await;
    assert!(asked.is_err(), "{asked:?}");
    server.thaw().expect("it goes on");
    server.command(&["PING"]).await.expect("it answers again");
}

#[tokio::test]
async fn options_that_are_refused_are_named() {
    let options = RedisOptions::new().with_directive("no-such-option", "1");
    let error = options.start().await.expect_err("it does not start");
    assert!(error.to_string().contains("no-such-option"), "{error}");
}

#[tokio::test]
async fn access_lists_hold() {
    let server = RedisServer::start().await.expect("redis-server starts");
    let rule = ["ACL", "SETUSER", "eve", "on", ">secret", "~app:*", "+get"];
    server.command(&rule).await.expect("a user is made");
    let eve = ("eve", "secret");
    server
        .command_as(eve, &["GET", "app:a"])
        .await
        .expect("hers");
    for refused in [&["GET", "other"][..], &["SET", "app:a", "1"]] {
        let error = server.command_as(eve, refused).await.expect_err("not hers");
        assert!(error.to_string().starts_with("NOPERM"), "{error}");
    }
}

#[tokio::test]
async fn slow_a_cluster_shares_the_slots() {
    let mut cluster = RedisCluster::start().await.expect("a cluster");
    for key in ["a", "b", "c", "{x}:d"] {
        let set = cluster.command_at(key, &["SET", key, "1"]).await;
        set.unwrap_or_else(|error| panic!("{key}: {error}"));
    }
    let elsewhere = cluster.nodes()[0].command(&["GET", "a"]).await;
    let elsewhere = elsewhere.expect_err("a is of the third");
    assert!(elsewhere.to_string().starts_with("MOVED"), "{elsewhere}");
    let node = &mut cluster.nodes_mut()[2];
    node.restart().await.expect("it comes back");
    cluster.agree().await.expect("they find each other again");
}

#[tokio::test]
async fn slow_sentinels_fail_over_when_asked_and_when_the_primary_dies() {
    let mut pair = RedisSentinel::start().await.expect("a pair");
    assert_eq!(pair.primary().await.expect("a primary"), 0);
    pair.fail_over().await.expect("the replica takes over");
    assert_eq!(pair.primary().await.expect("a primary"), 1);
    pair.servers_mut()[1].kill().await.expect("it is killed");
    pair.moved_from(1).await.expect("the Sentinels notice");
    assert_eq!(pair.primary().await.expect("a primary"), 0);
}
