//! Both sides of a session call each other, and clients publish.

use crate::fleet::{redis, until, url, within};
use crate::sessions::{MyNumbers, NumbersClient, NumbersService};
use futures::{Stream, StreamExt as _, stream};
use mynah::prelude::*;
use mynah::{EndReason, Peer, RpcError, ServerHandle};
use mynah_testkit::redis::RedisServer;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a server has that calls its client back.
#[mynah::service(name = "host")]
trait Host {
    /// Adds up what the client counts, and what it makes of a stream of this side.
    fn visit(&self, cx: &Context, to: u64) -> impl Stream<Item = Result<u64, RpcError>> + Send;
    async fn greet(&self, cx: &Context) -> Result<String, RpcError>;
    fn stay(&self, cx: &Context) -> impl Stream<Item = Result<u64, RpcError>> + Send;
}

#[mynah::service(name = "visitor")]
trait Visitor {
    async fn name(&self) -> String;
    #[notification]
    async fn told(&self, what: String);
}

#[derive(Clone, Default)]
struct Ada {
    heard: Arc<Mutex<Vec<String>>>,
}

impl Visitor for Ada {
    async fn name(&self) -> String {
        "Ada".to_owned()
    }

    async fn told(&self, what: String) {
        self.heard.lock().unwrap().push(what);
    }
}

#[derive(Clone, Default)]
struct MyHost {
    ends: Arc<Mutex<Vec<Option<EndReason>>>>,
}

struct Watch(Context, MyHost);

impl Drop for Watch {
    fn drop(&mut self) {
        self.1.ends.lock().unwrap().push(self.0.end_reason());
    }
}

impl Host for MyHost {
    fn visit(&self, cx: &Context, to: u64) -> impl Stream<Item = Result<u64, RpcError>> + Send {
        let numbers: NumbersClient = cx.peer().client();
        stream::once(async move {
            let mut counted = 0;
            let mut items = numbers.count(to).start();
            while let Some(item) = items.next().await {
                counted += item?;
            }
            let summed = numbers.sum(stream::iter(0..to)).await?;
            let mut running = numbers.running(stream::iter([1, 2, 3u64])).start();
            let mut last = 0;
            while let Some(item) = running.next().await {
                last = item?;
            }
            // A function of a server can be called by those alone who know which of its sessions it is of.
            let asked = numbers.ask(4, async |number| Ok(number * 10)).await;
            Ok(counted + summed + last + u64::from(asked.is_err()))
        })
    }

    async fn greet(&self, cx: &Context) -> Result<String, RpcError> {
        let visitor: VisitorClient = cx.peer().client();
        visitor.told("hello".to_owned()).await?;
        cx.peer().emit("greetings", &"from the host")?;
        Ok(format!("hello, {}", visitor.name().await?))
    }

    fn stay(&self, cx: &Context) -> impl Stream<Item = Result<u64, RpcError>> + Send {
        let watch = Watch(cx.clone(), self.clone());
        stream::iter(0..).map(move |number| {
            let _watched = &watch;
            Ok(number)
        })
    }
}

async fn serve(redis: &RedisServer, options: &str) -> (ServerHandle, MyHost) {
    let host = MyHost::default();
    let server = Server::new()
        .register(HostService::new(host.clone()))
        .listen(&url(redis, options))
        .start()
        .await
        .unwrap();
    (server, host)
}

async fn connect(redis: &RedisServer, options: &str) -> (Peer, Ada) {
    let ada = Ada::default();
    let peer = mynah::connector(&url(redis, options))
        .unwrap()
        .register(VisitorService::new(ada.clone()))
        .register(NumbersService::new(MyNumbers::default()))
        .connect()
        .await
        .unwrap();
    (peer, ada)
}

const FORMATS: [&str; 3] = ["", "&format=cbor", "&format=messagepack"];

#[tokio::test]
async fn a_server_streams_with_its_client_in_a_session() {
    let redis = redis().await;
    let (_one, _) = serve(&redis, "").await;
    let (_two, _) = serve(&redis, "").await;
    for format in FORMATS {
        let (peer, _ada) = connect(&redis, &format!("calls=group{format}")).await;
        let host: HostClient = peer.client();
        // Several sessions whose calls have the same numbers at their servers.
        let visits: Vec<_> = (0..4).map(|_| host.visit(1000).start()).collect();
        for visit in visits {
            let items: Vec<_> = within(visit.collect::<Vec<_>>()).await;
            let sum = 2 * (0..1000u64).sum::<u64>() + 6 + 1;
            assert!(
                matches!(&*items, [Ok(it)] if *it == sum),
                "{format}: {items:?}"
            );
        }
        until(async || peer.stats() == mynah::PeerStats::default()).await;
    }
}

#[tokio::test]
async fn where_calls_are_sessions_every_handler_may_call_back() {
    let redis = redis().await;
    let (_server, _) = serve(&redis, "").await;
    for format in FORMATS {
        let (peer, ada) = connect(&redis, &format!("calls=sessions{format}")).await;
        let mut greetings = peer.listen::<String>("greetings").unwrap();
        let host: HostClient = peer.client();
        assert_eq!(
            within(host.greet()).await.unwrap(),
            "hello, Ada",
            "{format}"
        );
        until(async || *ada.heard.lock().unwrap() == ["hello"]).await;
        let heard = within(greetings.next()).await.unwrap().unwrap();
        assert_eq!(heard, "from the host");
    }
    // In a call that anybody in the group may take, and take again, there is nobody to call back.
    let (peer, ada) = connect(&redis, "").await;
    let host: HostClient = peer.client();
    assert!(within(host.greet()).await.is_err());
    assert!(ada.heard.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_a_client_emits_is_a_message_of_its_topic() {
    let redis = redis().await;
    let (_server, _) = serve(&redis, "").await;
    let (json, _) = connect(&redis, "").await;
    let (cbor, _) = connect(&redis, "format=cbor").await;
    let mut heard = [
        within(json.subscribe::<u64>("ticks")).await.unwrap(),
        within(cbor.subscribe::<u64>("ticks")).await.unwrap(),
    ];
    for number in 0..100 {
        [&json, &cbor][number % 2].emit("ticks", &number).unwrap();
        for ticks in &mut heard {
            let tick = within(ticks.next()).await.unwrap().unwrap();
            assert_eq!(tick, number as u64);
            assert_eq!(ticks.dropped(), 0);
        }
    }
}

#[tokio::test]
async fn what_a_client_emits_while_redis_is_away_is_heard_once_when_it_is_back() {
    let mut redis = mynah_testkit::redis::RedisOptions::new()
        .with_append_only(mynah_testkit::redis::AppendOnly::Always)
        .start()
        .await
        .unwrap();
    let (peer, _) = connect(&redis, "").await;
    let (other, _) = connect(&redis, "").await;
    let mut ticks = within(other.subscribe::<u64>("ticks")).await.unwrap();
    peer.emit("ticks", &0u64).unwrap();
    assert_eq!(within(ticks.next()).await.unwrap().unwrap(), 0);
    redis.kill().await.unwrap();
    for number in 1..20u64 {
        peer.emit("ticks", &number).unwrap();
    }
    redis.restart().await.unwrap();
    for number in 1..20 {
        assert_eq!(within(ticks.next()).await.unwrap().unwrap(), number);
    }
}

#[tokio::test]
async fn servers_hear_at_once_that_a_client_goes_away() {
    let redis = redis().await;
    let (_server, host) = serve(&redis, "").await;
    let (peer, _) = connect(&redis, "").await;
    let client: HostClient = peer.client();
    let mut numbers = client.stay().start();
    assert_eq!(within(numbers.next()).await.unwrap().unwrap(), 0);
    peer.close();
    // Long before anybody would call it silent.
    let ended = async { until(async || host.ends.lock().unwrap().len() == 1).await };
    tokio::time::timeout(Duration::from_secs(8), ended)
        .await
        .unwrap();
    let tcp = over_tcp().await;
    let ends = host.ends.lock().unwrap();
    assert_eq!(format!("{:?}", ends[0]), format!("{tcp:?}"));
}

/// How the same ends over TCP.
async fn over_tcp() -> Option<EndReason> {
    let host = MyHost::default();
    let server = Server::new()
        .register(HostService::new(host.clone()))
        .listen("tcp://127.0.0.1:0")
        .start()
        .await
        .unwrap();
    let peer = mynah::connect(server.address()).await.unwrap();
    let client: HostClient = peer.client();
    let mut numbers = client.stay().start();
    assert_eq!(within(numbers.next()).await.unwrap().unwrap(), 0);
    peer.close();
    until(async || host.ends.lock().unwrap().len() == 1).await;
    let mut ends = host.ends.lock().unwrap();
    ends.remove(0)
}
