//! A Redis Cluster, a failover, users, and Unix sockets.

use crate::fleet::{ArithClient, ArithService, MyArith, State, until, within};
use mynah::ServerHandle;
use mynah::prelude::*;
use mynah_testkit::redis::{RedisCluster, RedisSentinel, RedisServer};
use std::sync::Arc;
use std::time::Duration;

async fn serve(url: &str) -> (ServerHandle, Arc<State>) {
    let arith = MyArith::default();
    let state = Arc::clone(&arith.state);
    let server = Server::new().register(ArithService::new(arith)).listen(url);
    (server.start().await.unwrap(), state)
}

async fn connect(url: &str) -> ArithClient {
    mynah::connect(url).await.unwrap().client()
}

/// Calls until one is answered.
async fn answers(arith: &ArithClient) {
    until(async || {
        let call = arith.add(2, 3).deadline(Duration::from_millis(800));
        call.await.is_ok_and(|sum| sum == 5)
    })
    .await;
}

#[tokio::test]
async fn calls_go_through_a_cluster_with_and_without_a_hash_tag() {
    let cluster = RedisCluster::start().await.expect("a cluster starts");
    let addresses = cluster.addresses();
    for prefix in ["app", "{app}"] {
        let url = format!(
            "redis://{}?topology=cluster&prefix={prefix}&node={}&claim_idle=1s",
            addresses[0], addresses[1]
        );
        let (server, state) = serve(&url).await;
        let arith = connect(&url).await;
        assert_eq!(within(arith.add(2, 3)).await.unwrap(), 5, "{prefix}");
        let calls: Vec<_> = (0..100).map(|n| arith.add(n, 1).start()).collect();
        for (n, call) in (0..100).zip(calls) {
            assert_eq!(within(call).await.unwrap(), n + 1);
        }
        let stream = format!("{prefix}:cmds:arith");
        until(async || {
            let len = cluster
                .command_at(&stream, &["XLEN", &stream])
                .await
                .unwrap();
            let pending = cluster
                .command_at(&stream, &["XPENDING", &stream, "arith"])
                .await
                .unwrap();
            len.as_integer() == Some(0) && pending.items()[0].as_integer() == Some(0)
        })
        .await;
        // What is given back is there for the next at once.
        let call = arith.wait("x".into()).start();
        state.begun(1).await;
        let (_next, second) = serve(&url).await;
        drop(within(server.drain(Duration::from_millis(50))).await);
        second.begun(1).await;
        second.gate.add_permits(1);
        assert_eq!(within(call).await.unwrap(), "x");
    }
}

#[tokio::test]
async fn a_failover_is_recovered_from() {
    let sentinel = RedisSentinel::start().await.expect("sentinels start");
    let addresses = sentinel.addresses();
    let url = format!(
        "redis://{}?topology=sentinel&primary={}&node={}&prefix=app",
        addresses[0],
        sentinel.name(),
        addresses[1]
    );
    let (_server, _state) = serve(&url).await;
    let arith = connect(&url).await;
    assert_eq!(within(arith.add(2, 3)).await.unwrap(), 5);
    let before = sentinel.primary().await.unwrap();
    sentinel.fail_over().await.unwrap();
    sentinel.moved_from(before).await.unwrap();
    answers(&arith).await;
}

#[tokio::test]
async fn users_and_unix_sockets() {
    let redis = RedisServer::start().await.unwrap();
    redis
        .command(&[
            "ACL",
            "SETUSER",
            "fleet",
            "on",
            ">secret",
            "~app:*",
            "+@all",
            "-@dangerous",
            "+info",
            "+client",
        ])
        .await
        .unwrap();
    let url = format!("{}?prefix=app", redis.url_as("fleet", "secret"));
    let (_server, _state) = serve(&url).await;
    answers(&connect(&url).await).await;
    let wrong = format!("{}?prefix=app", redis.url_as("fleet", "wrong"));
    let error = mynah::connect(&wrong).await.unwrap_err().to_string();
    assert!(
        !error.contains("wrong") && !error.contains("fleet"),
        "{error}"
    );
    let url = format!("redis+unix://{}?prefix=app", redis.socket().display());
    answers(&connect(&url).await).await;
}

/// A certificate for the loopback, made for this test, and its key.
fn certificate(folder: &std::path::Path) {
    let made = std::process::Command::new("openssl")
        .current_dir(folder)
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        ])
        .args(["-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .output()
        .expect("openssl is there: apt-get install openssl");
    assert!(made.status.success(), "{made:?}");
}

#[tokio::test]
async fn tls_is_spoken_with_whom_the_certificate_names() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path());
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let file = |name: &str| folder.path().join(name).display().to_string();
    let _redis = mynah_testkit::redis::RedisOptions::new()
        .with_directive("tls-port", &port.to_string())
        .with_directive("tls-cert-file", &file("cert.pem"))
        .with_directive("tls-key-file", &file("key.pem"))
        .with_directive("tls-ca-cert-file", &file("cert.pem"))
        .with_directive("tls-auth-clients", "no")
        .start()
        .await
        .expect("a redis-server with TLS starts");
    let url = format!(
        "rediss://127.0.0.1:{port}?prefix=app&ca={}",
        file("cert.pem")
    );
    let (_server, _state) = serve(&url).await;
    answers(&connect(&url).await).await;
    // Without it the certificate is a stranger's.
    let strangers = format!("rediss://127.0.0.1:{port}?prefix=app");
    mynah::connect(&strangers).await.unwrap_err();
}

#[tokio::test]
async fn sessions_and_topics_go_through_a_cluster_with_and_without_a_hash_tag() {
    use crate::sessions::{MyNumbers, NumbersClient, NumbersService};
    use futures::{StreamExt as _, stream};
    let cluster = RedisCluster::start().await.expect("a cluster starts");
    let addresses = cluster.addresses();
    for prefix in ["app", "{app}"] {
        let url = format!(
            "redis://{}?topology=cluster&prefix={prefix}&node={}",
            addresses[0], addresses[1]
        );
        let server = Server::new()
            .register(NumbersService::new(MyNumbers::default()))
            .listen(&format!("{url}&events=publish"));
        let server = server.start().await.unwrap();
        let peer = mynah::connect(&url).await.unwrap();
        let numbers: NumbersClient = peer.client();
        let items = numbers.count(1000).start().map(Result::unwrap);
        let items: Vec<u64> = within(items.collect()).await;
        assert_eq!(items, Vec::from_iter(0..1000));
        let sum = numbers.sum(stream::iter(1..=100u64));
        assert_eq!(within(sum).await.unwrap(), 5050);
        let asked = numbers.ask(1, async |number| Ok(number));
        assert_eq!(within(asked).await.unwrap(), 2);
        let mut news = within(peer.subscribe::<u64>("news")).await.unwrap();
        server.broadcast("news", &7u64).await.unwrap();
        assert_eq!(within(news.next()).await.unwrap().unwrap(), 7);
        drop((news, numbers, peer));
        server.drain(Duration::from_secs(5)).await;
    }
}
