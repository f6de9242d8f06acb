//! The users that the guide's page tells an operator to make: they can do what servers and clients do, and no more.

use crate::checks::usable;
use crate::harness::{CMDS, PREFIX, Redis, drained};
use crate::service::{ArithService, Here};
use interop_tests::fleet::{FleetClient, FleetService, Node, dial};
use mynah::prelude::*;
use mynah::redis_streams::{RedisListener, RedisOptions, servers};
use std::time::Duration;

/// The rules as they stand in the guide, for the prefix of the tests.
fn rules(role: &str) -> Vec<String> {
    let page = include_str!("../../../docs/guide/src/redis.md");
    let start = format!("ACL SETUSER {role} ");
    let (_, text) = page.split_once(&start).expect("the page has the rule");
    let text = text.split("```").next().expect("it ends");
    let text = text.split("\n\n").next().expect("it ends");
    let rule = [&start, text]
        .concat()
        .replace("\\\n", " ")
        .replace("PREFIX", PREFIX)
        .replace("PASSWORD", "secret");
    rule.split_whitespace().map(str::to_owned).collect()
}

pub(crate) async fn with_users(redis: &Redis) {
    for role in ["server", "client", "operator"] {
        let rule = rules(role);
        let rule: Vec<&str> = rule.iter().map(String::as_str).collect();
        redis.ask(&rule).await;
    }
}

pub(crate) fn options(redis: &Redis, user: &str) -> RedisOptions {
    RedisOptions::new(redis.0.url_as(user, "secret")).with_prefix(PREFIX)
}

pub(crate) async fn log(redis: &Redis) -> String {
    format!("{:?}", redis.ask(&["ACL", "LOG"]).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_and_clients_need_no_more_than_the_page_says() {
    let redis = Redis::start().await;
    with_users(&redis).await;
    // The handlers of the tests keep their marks under names of their own.
    let marks = ["~marks:*", "~done:*", "~runs:*", "~effects:*", "~balance:*"];
    let own = ["+rpush", "+incr", "+incrby", "+get"];
    let mut more = vec!["ACL", "SETUSER", "server"];
    more.extend(marks.into_iter().chain(own));
    redis.ask(&more).await;
    let idle = Duration::from_secs(1);
    let served = options(&redis, "server")
        .with_instance("srv-1")
        .with_claim_idle(idle);
    let node = Node::connect(served.clone(), "srv-1").await.expect("redis");
    let server = Server::new()
        .register(ArithService::new(Here::default()))
        .register(FleetService::new(node))
        .listen_transport_within(RedisListener::bind(served), std::convert::identity)
        .start()
        .await
        .expect("it serves");
    let peer = dial(options(&redis, "client")).await.expect("redis");
    let client = peer.client();
    usable(&client).await;
    client.note("x".to_owned()).await.expect("it is sent");
    let fleet: FleetClient = peer.client();
    for _ in 0..2 {
        let call = fleet.deposit("a".to_owned(), 1).operation_id("op-1");
        assert_eq!(call.await.expect("it runs").balance, 1);
    }
    // Long enough that its claim is renewed, and an entry of somebody who is gone is taken over meanwhile.
    let text = r#"{"jsonrpc":"2.0","method":"arith.note","params":{"text":"left"}}"#;
    redis.entry(CMDS, &[("envelope", text)]).await;
    fleet.mark("long".to_owned(), 2_500).await.expect("it runs");
    redis.settled(CMDS).await;
    let seen = servers(&options(&redis, "client"), "arith").await;
    assert_eq!(seen.expect("clients may look").len(), 1);
    drop((client, fleet));
    peer.close();
    drained(server).await;
    let none = log(&redis).await;
    assert_eq!(none, "Array([])", "something was refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_and_clients_may_do_no_more_than_the_page_says() {
    let redis = Redis::start().await;
    with_users(&redis).await;
    let server = redis.serve("srv-1").await;
    let other = "elsewhere:cmds:arith";
    for (user, command) in [
        (
            "client",
            &["XREADGROUP", "GROUP", "arith", "x", "STREAMS", CMDS, ">"][..],
        ),
        ("client", &["XDEL", CMDS, "1-1"]),
        ("client", &["DEL", CMDS]),
        ("client", &["XADD", other, "*", "a", "b"]),
        ("client", &["FLUSHALL"]),
        ("client", &["KEYS", "*"]),
        ("server", &["XADD", other, "*", "a", "b"]),
        ("server", &["GET", "elsewhere"]),
        ("server", &["FLUSHALL"]),
        ("server", &["CONFIG", "GET", "*"]),
        ("operator", &["XADD", CMDS, "*", "a", "b"]),
        ("operator", &["FLUSHALL"]),
    ] {
        let answer = redis.0.command_as((user, "secret"), command).await;
        let error = answer.expect_err("it is refused").to_string();
        assert!(error.starts_with("NOPERM"), "{user} {command:?}: {error}");
    }
    // What the page says to look at.
    for command in [
        &["XLEN", CMDS][..],
        &["XINFO", "GROUPS", CMDS],
        &["XINFO", "CONSUMERS", CMDS, "arith"],
        &["XPENDING", CMDS, "arith", "-", "+", "10"],
        &["XRANGE", CMDS, "-", "+", "COUNT", "1"],
        &["XRANGE", "app:x:dead:arith", "-", "+"],
        &["ZRANGE", "app:x:servers:arith", "0", "-1", "WITHSCORES"],
        &["GET", "app:x:server:srv-1"],
        &["MEMORY", "USAGE", CMDS],
    ] {
        let answer = redis.0.command_as(("operator", "secret"), command).await;
        answer.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    }
    drained(server).await;
}
