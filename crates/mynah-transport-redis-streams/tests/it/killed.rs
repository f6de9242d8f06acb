//! Servers that are killed: what calls hear that are given to them, before anybody knows.

use crate::fleet::{redis, until, url, within};
use crate::sessions::{MyNumbers, NumbersClient, NumbersService, connect, serve};
use futures::{StreamExt as _, stream};
use mynah::{CallError, CloseReason, Listen as _, Server, ServerHandle};
use mynah_testkit::redis::RedisServer;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A server that runs by itself, and is ended as by `kill -9`: nothing of it is polled any more, and its connections are closed.
struct Killable {
    runtime: tokio::runtime::Runtime,
    server: ServerHandle,
    instance: String,
}

impl Killable {
    async fn start(redis: &RedisServer, instance: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let url = url(redis, &format!("instance={instance}"));
        let started = runtime.spawn(async move {
            let server = Server::new().register(NumbersService::new(MyNumbers::default()));
            server.listen(&url).start().await.unwrap()
        });
        let server = within(started).await.unwrap();
        Self {
            runtime,
            server,
            instance: instance.to_owned(),
        }
    }

    /// Kills it, and waits until Redis has closed its connections: it counts as alive for seconds still.
    async fn kill(self, redis: &RedisServer) {
        let connected = async || {
            let list = redis.command(&["CLIENT", "LIST", "TYPE", "normal"]).await;
            list.unwrap().as_text().unwrap().lines().count()
        };
        let card_key = format!("app:server:{}", self.instance);
        let card = redis.command(&["GET", &card_key]).await.unwrap();
        let card = card.as_text().unwrap().to_owned();
        let before = connected().await;
        tokio::task::spawn_blocking(move || self.runtime.shutdown_timeout(Duration::from_secs(20)))
            .await
            .unwrap();
        drop(self.server);
        // Upkeep, answers, the control stream, the inbox, and the calls of its service.
        until(async || connected().await + 5 <= before).await;
        // As if it had said just before that it is alive, however long this has taken.
        let set = ["SET", &card_key, &card, "PX", "12000"];
        redis.command(&set).await.unwrap();
        let script = "local now = redis.call('TIME') \
                      redis.call('ZADD', KEYS[1], now[1] * 1000 + 12000, ARGV[1])";
        let say = ["EVAL", script, "1", "app:servers:numbers", &self.instance];
        redis.command(&say).await.unwrap();
    }
}

#[tokio::test]
async fn calls_that_are_given_to_a_server_that_was_killed_are_given_to_another() {
    let redis = redis().await;
    let dead = Killable::start(&redis, "dead").await;
    let (_server, _state) = serve(&redis, "instance=alive").await;
    dead.kill(&redis).await;
    // Many clients, so that some of them choose the dead one first; each does so once, and knows it then.
    for _ in 0..3 {
        let mut calls = Vec::new();
        for _ in 0..8 {
            let numbers = connect(&redis, "").await;
            calls.push(async move {
                let sum = numbers.sum(stream::iter([1u64, 2])).no_deadline();
                assert_eq!(within(sum).await.unwrap(), 3);
                let items = numbers.count(100).start().map(Result::unwrap);
                assert_eq!(within(items.count()).await, 100);
                let asked = numbers.ask(1, async |number| Ok(number));
                assert_eq!(within(asked).await.unwrap(), 2);
            });
        }
        futures::future::join_all(calls).await;
    }
}

/// The same in each format, and where calls are sessions all of them.
#[tokio::test]
async fn plain_calls_that_are_sessions_are_given_to_another_as_well() {
    let redis = redis().await;
    let dead = Killable::start(&redis, "dead").await;
    let (_server, _state) = serve(&redis, "instance=alive").await;
    dead.kill(&redis).await;
    let formats = ["format=json", "format=cbor", "format=messagepack"];
    let mut calls = Vec::new();
    for number in 0..12 {
        let options = format!("calls=sessions&{}", formats[number % 3]);
        let numbers = connect(&redis, &options).await;
        calls.push(async move { within(numbers.steps(3).no_deadline()).await.unwrap() });
    }
    let steps = futures::future::join_all(calls).await;
    assert!(steps.iter().all(|steps| *steps == 3));
}

/// Where there is nobody else, it ends once Redis does not take its server for alive any more, and was not begun.
#[tokio::test]
async fn slow_a_call_for_a_server_that_was_killed_ends_as_one_that_nobody_serves() {
    let redis = redis().await;
    let dead = Killable::start(&redis, "dead").await;
    dead.kill(&redis).await;
    let numbers: NumbersClient = connect(&redis, "").await;
    let sum = numbers.sum(stream::iter([1u64, 2])).no_deadline();
    let error = within(sum).await.unwrap_err();
    assert!(
        matches!(&error, CallError::Remote(error) if error.code() == mynah::ErrorCode::NO_SERVERS),
        "{error:?}"
    );
    assert!(error.is_retryable());
}

/// One that was taken may have begun: that is not given to anybody else.
#[tokio::test]
async fn slow_a_call_that_was_taken_by_a_server_that_was_killed_is_indeterminate() {
    let redis = redis().await;
    let dead = Killable::start(&redis, "dead").await;
    let numbers = connect(&redis, "").await;
    let mut items = numbers.count(u64::MAX).start();
    assert_eq!(within(items.next()).await.unwrap().unwrap(), 0);
    let (_server, state) = serve(&redis, "instance=alive").await;
    dead.kill(&redis).await;
    let mut error = None;
    while let Some(item) = within(items.next()).await {
        error = item.err();
    }
    let error = error.unwrap();
    assert!(
        matches!(&error, CallError::Indeterminate(CloseReason::PeerGone)),
        "{error:?}"
    );
    assert_eq!(state.runs.load(Ordering::SeqCst), 0);
}

/// A server that may not take calls out of its inbox begins none of them: their clients may have taken them back.
#[tokio::test]
async fn a_server_begins_nothing_that_it_cannot_take_out_of_its_inbox() {
    let redis = redis().await;
    let rule = "ACL SETUSER server on >secret ~app:* +@all -xdel";
    let rule: Vec<&str> = rule.split(' ').collect();
    redis.command(&rule).await.unwrap();
    let numbers = MyNumbers::default();
    let state = std::sync::Arc::clone(&numbers.state);
    let url = format!("{}?prefix=app", redis.url_as("server", "secret"));
    let server = Server::new().register(NumbersService::new(numbers));
    let _server = server.listen(&url).start().await.unwrap();
    let client = connect(&redis, "").await;
    let mut items = client.count(3).deadline(Duration::from_millis(500)).start();
    let error = within(items.next()).await.unwrap().unwrap_err();
    assert!(
        // Between its being written and the word that it was refused, it is not known that nobody has it.
        matches!(
            error,
            CallError::Disconnected(_) | CallError::Busy { .. } | CallError::Deadline
        ),
        "{error:?}"
    );
    assert_eq!(state.runs.load(Ordering::SeqCst), 0);
    // Beside one that may, that one has them.
    let (_other, _) = serve(&redis, "").await;
    for _ in 0..5 {
        let items = client.count(3).start().map(Result::unwrap);
        assert_eq!(within(items.count()).await, 3);
    }
    assert_eq!(state.runs.load(Ordering::SeqCst), 0);
}
