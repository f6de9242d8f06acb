//! What the guide's page tells an operator: which users there are to be, and which keys there are.

use crate::fleet::{ArithClient, ArithService, MyArith, redis, settled, until, within};
use crate::robust::{STREAM, abandon, add, group, send};
use crate::sessions::{MyNumbers, NumbersClient, NumbersService};
use futures::{StreamExt as _, stream};
use mynah::prelude::*;
use mynah::redis_streams::{Effect, Operations, RedisOptions, servers};
use mynah::{CallError, Peer, ServerHandle};
use mynah_testkit::redis::RedisServer;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const PAGE: &str = include_str!("../../../../docs/guide/src/redis.md");

/// The rule for a user as it stands in the page.
fn rule(user: &str) -> Vec<String> {
    let start = format!("ACL SETUSER {user} ");
    let (_, text) = PAGE.split_once(&start).expect("the page has the rule");
    let text = text.split("```").next().unwrap();
    let text = text.split("\n\n").next().unwrap();
    let rule = [&start, text].concat().replace("\\\n", " ");
    let rule = rule.replace("PREFIX", "app").replace("PASSWORD", "secret");
    rule.split_whitespace().map(str::to_owned).collect()
}

async fn with_users(redis: &RedisServer) {
    for user in ["server", "client", "operator"] {
        let rule = rule(user);
        let rule: Vec<&str> = rule.iter().map(String::as_str).collect();
        redis.command(&rule).await.unwrap();
    }
}

/// The keys of the page's table, each up to where a name of the program's begins and behind it.
fn table() -> Vec<Vec<&'static str>> {
    let (_, text) = PAGE.split_once("## Which keys there are").unwrap();
    let rows = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `PREFIX:"));
    let key = |row: &'static str| {
        let key = row.split('`').next().unwrap();
        let is_name = |c: char| c.is_ascii_uppercase() || c == '{' || c == '}';
        key.split(is_name).filter(|part| !part.is_empty()).collect()
    };
    rows.take_while(|row| row.contains('|')).map(key).collect()
}

/// Whether a key, behind the prefix, is one of this row: its fixed parts in order, from the first on.
fn is_of(row: &[&str], key: &str) -> bool {
    let Some((first, rest)) = row.split_first() else {
        return false;
    };
    let Some(mut left) = key.strip_prefix(first) else {
        return false;
    };
    for part in rest {
        match left.split_once(part) {
            Some((name, behind)) if !name.is_empty() => left = behind,
            _ => return false,
        }
    }
    // A row without names is that key alone; others end with one.
    left.is_empty() != first.ends_with(':')
}

#[test]
fn the_table_is_read_as_it_stands() {
    let rows = table();
    let first: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    for kind in [
        "cmds:", "replies:", "inbox:", "events:", "dead:", "servers:", "server:", "control", "op:",
        "once:",
    ] {
        assert_eq!(
            first.iter().filter(|first| **first == kind).count(),
            1,
            "{kind}: {rows:?}"
        );
    }
    let row = |kind| rows.iter().find(|row| row[0] == kind).unwrap();
    assert!(is_of(row("op:"), "op:arith:order-1"));
    assert!(!is_of(row("op:"), "op:arith"));
    assert!(is_of(row("once:"), "once:{stock}:arith:order-1"));
    assert!(is_of(row("control"), "control") && !is_of(row("control"), "controls"));
    assert!(!is_of(row("cmds:"), "cmds:") && !is_of(row("server:"), "servers:arith"));
}

/// All keys that there are now are added.
async fn look(redis: &RedisServer, seen: &mut BTreeSet<String>) {
    let scan = redis
        .command(&["SCAN", "0", "COUNT", "100000"])
        .await
        .unwrap();
    let keys = scan.items()[1].texts();
    seen.extend(keys.into_iter().map(str::to_owned));
}

fn options(redis: &RedisServer, user: &str) -> RedisOptions {
    RedisOptions::new(redis.url_as(user, "secret")).with_prefix("app")
}

async fn serve(
    redis: &RedisServer,
    more: &str,
) -> (
    ServerHandle,
    Arc<crate::fleet::State>,
    Arc<crate::sessions::State>,
) {
    let (arith, numbers) = (MyArith::default(), MyNumbers::default());
    let states = (Arc::clone(&arith.state), Arc::clone(&numbers.state));
    let server = Server::new()
        .register(ArithService::new(arith))
        .register(NumbersService::new(numbers))
        .listen(&format!(
            "{}?prefix=app&{more}",
            redis.url_as("server", "secret")
        ))
        .start()
        .await
        .unwrap();
    (server, states.0, states.1)
}

/// What a client can do, in one format.
async fn use_all(peer: &Peer, format: &str) {
    let (arith, numbers): (ArithClient, NumbersClient) = (peer.client(), peer.client());
    assert_eq!(within(arith.add(1, 2)).await.unwrap(), 3);
    let timely = arith.add(1, 2).deadline(Duration::from_secs(60));
    assert_eq!(within(timely).await.unwrap(), 3);
    for _ in 0..2 {
        let once = arith.add(1, 2).operation_id(format!("once-{format}"));
        assert_eq!(within(once).await.unwrap(), 3);
    }
    arith.touch("x".into()).await.unwrap();
    assert_eq!(within(numbers.steps(3)).await.unwrap(), 3);
    let items = numbers.count(1000).start().map(Result::unwrap);
    assert_eq!(within(items.count()).await, 1000);
    let sum = numbers.sum(stream::iter(1..=100u64));
    assert_eq!(within(sum).await.unwrap(), 5050);
    assert_eq!(within(numbers.tell(3, |_| {})).await.unwrap(), 3);
    let asked = numbers.ask(1, async |number| Ok(number));
    assert_eq!(within(asked).await.unwrap(), 2);
}

#[tokio::test]
async fn all_that_there_is_needs_no_other_users_and_keys_than_those_of_the_page() {
    let redis = redis().await;
    with_users(&redis).await;
    // A handler's own keys are added.
    let own = ["ACL", "SETUSER", "server", "~stock:*", "+incrby"];
    redis.command(&own).await.unwrap();
    let mut seen = BTreeSet::new();
    // What servers that are dead have left: a call that killed each of them, one that was begun, a place in the group.
    group(&redis).await;
    let poison = send(
        &redis,
        &["envelope", &add("p"), "reply-to", "app:replies:c"],
    )
    .await;
    abandon(&redis).await;
    let often = [
        "XCLAIM",
        STREAM,
        "arith",
        "arith:ghost",
        "0",
        &poison,
        "RETRYCOUNT",
        "3",
        "JUSTID",
    ];
    redis.command(&often).await.unwrap();
    send(
        &redis,
        &["envelope", &add("left"), "reply-to", "app:replies:c"],
    )
    .await;
    abandon(&redis).await;
    let dead = ["XGROUP", "CREATECONSUMER", STREAM, "arith", "arith:dead"];
    redis.command(&dead).await.unwrap();
    let dead = ["ZADD", "app:servers:arith", "1000", "dead", "0", "-"];
    redis.command(&dead).await.unwrap();
    let more =
        "instance=one&claim_idle=300ms&max_deliveries=3&events=publish&wait=1&wait_timeout=20ms";
    let (server, arith_there, numbers_there) = serve(&redis, more).await;
    until(async || crate::fleet::len(&redis, "app:dead:arith").await == 1).await;
    let score = ["ZSCORE", "app:servers:arith", "dead"];
    until(async || redis.command(&score).await.unwrap().as_text().is_none()).await;
    // One that was killed a moment ago, and counts as alive: what it is given is taken back.
    for command in [
        &[
            "SET",
            "app:server:killed",
            r#"{"formats":["json","cbor","messagepack"],"claims":true}"#,
        ][..],
        &["XADD", "app:inbox:killed", "*", "mynah", "hello"],
        &["ZADD", "app:servers:numbers", "9999999999999", "killed"],
    ] {
        redis.command(command).await.unwrap();
    }
    look(&redis, &mut seen).await;
    for format in ["json", "cbor", "messagepack"] {
        for calls in ["group", "sessions"] {
            let url = redis.url_as("client", "secret");
            let url =
                format!("{url}?prefix=app&format={format}&calls={calls}&wait=1&wait_timeout=20ms");
            let peer = mynah::connect(&url).await.unwrap();
            use_all(&peer, &format!("{format}-{calls}")).await;
            let mut news = within(peer.subscribe::<u64>("news")).await.unwrap();
            server.broadcast("news", &1u64).await.unwrap();
            assert_eq!(within(news.next()).await.unwrap().unwrap(), 1);
            peer.emit("news", &2u64).unwrap();
            assert_eq!(within(news.next()).await.unwrap().unwrap(), 2);
            // One that is cancelled where it runs.
            let arith: ArithClient = peer.client();
            let stopped = arith_there.stopped.load(Ordering::SeqCst);
            let call = arith.wait("x".into()).start();
            arith_there.begun(1).await;
            drop(call);
            until(async || arith_there.stopped.load(Ordering::SeqCst) > stopped).await;
            look(&redis, &mut seen).await;
            peer.close();
            drop(within(peer.closed()).await);
        }
    }
    let client = options(&redis, "client");
    let listed = servers(&client, "arith").await.unwrap();
    assert!(listed.iter().any(|one| one.instance == "one"));
    let operations = Operations::connect(options(&redis, "server"))
        .await
        .unwrap();
    let effect = || Effect::new().command(["INCRBY", "stock:bread", "3"]);
    for _ in 0..2 {
        let committed = operations.once("arith.order", "o-1", effect()).await;
        let replies = committed.unwrap().replies;
        assert_eq!(replies[0].as_integer(), Some(3));
    }
    look(&redis, &mut seen).await;
    // A server that drains gives back what does not end, a plain call and a stream; one that stops does so at once.
    let peer = mynah::connect(&format!("{}?prefix=app", redis.url_as("client", "secret")))
        .await
        .unwrap();
    let (arith, numbers): (ArithClient, NumbersClient) = (peer.client(), peer.client());
    let mut endless = numbers.count(u64::MAX).start();
    assert_eq!(within(endless.next()).await.unwrap().unwrap(), 0);
    let call = arith.wait("given back".into()).start();
    arith_there.begun(1).await;
    let (other, second, _) = serve(&redis, "instance=two").await;
    drop(within(server.drain(Duration::from_millis(50))).await);
    second.begun(1).await;
    second.gate.add_permits(1);
    assert_eq!(within(call).await.unwrap(), "given back");
    within(async { while endless.next().await.is_some_and(|item| item.is_ok()) {} }).await;
    until(async || numbers_there.ends.lock().unwrap().len() >= 7).await;
    settled(&redis).await;
    look(&redis, &mut seen).await;
    other.stop();
    drop(within(other.drain(Duration::from_secs(5))).await);
    let nobody = within(arith.add(1, 2).deadline(Duration::from_secs(1))).await;
    assert!(
        matches!(nobody, Err(CallError::Remote(_) | CallError::Deadline)),
        "{nobody:?}"
    );
    peer.close();
    drop(within(peer.closed()).await);
    look(&redis, &mut seen).await;

    let refused = redis.command(&["ACL", "LOG"]).await.unwrap();
    assert!(
        refused.items().is_empty(),
        "something was refused: {refused:?}"
    );
    let rows = table();
    let keys: Vec<&str> = (seen.iter())
        .filter_map(|key| key.strip_prefix("app:"))
        .collect();
    for key in &keys {
        let rows = rows.iter().filter(|row| is_of(row, key)).count();
        assert!(rows > 0, "the page does not have {key}");
    }
    for row in &rows {
        let used = keys.iter().any(|key| is_of(row, key));
        assert!(used, "the page has {row:?}, which was not made: {keys:?}");
    }
    let others: Vec<_> = seen.iter().filter(|key| !key.starts_with("app:")).collect();
    assert_eq!(others, ["stock:bread"]);
}
