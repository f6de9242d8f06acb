//! What becomes of calls when their connection ends.

use super::*;
use crate::probe::MyProbe;
use futures::stream::{self, Stream, StreamExt as _};
use mynah::CloseReason;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

#[tokio::test]
async fn what_may_have_run_ends_indeterminate_and_is_not_sent_again() {
    let (mut place, client) = place(1 << 16);
    let client = client.start().unwrap();
    let call = probe(&client).pass(1).start();
    let mut raw = place.raw().await;
    // It waited for the connection; awaited, it is sent.
    let call = tokio::spawn(call);
    raw.request().await;
    drop(raw);
    let mut raw = place.raw().await;
    let error = within("end", call).await.unwrap().unwrap_err();
    assert!(
        matches!(error, CallError::Indeterminate(CloseReason::PeerGone)),
        "{error:?}"
    );
    raw.hears_nothing().await;
    // The next one goes out.
    let call = tokio::spawn(probe(&client).pass(2).into_future());
    let request = raw.request().await;
    assert_eq!(request.body, json!([2]));
    raw.result(&request, "2").await;
    assert_eq!(within("answer", call).await.unwrap().unwrap(), 2);
    idle(&client).await;
    assert_eq!(client.stats().sent_again, 0);
}

/// The first request stands in the pipe in part; what comes later waits behind it.
async fn stuck(place: &mut Place, client: &Reconnecting) -> (Raw, Vec<Passing>) {
    let stream = place.accept().await;
    let mut raw = Raw {
        stream,
        read: Vec::new(),
    };
    raw.hear_greeting().await;
    let service = probe(client);
    let large = tokio::spawn(service.echo("x".repeat(1000)).into_future());
    settle().await;
    let mut calls = vec![tokio::spawn(async move { large.await.unwrap().map(|_| 0) })];
    for number in 1..=3 {
        calls.push(tokio::spawn(service.pass(number).into_future()));
    }
    settle().await;
    (raw, calls)
}

type Passing = tokio::task::JoinHandle<Result<u64, CallError>>;

#[tokio::test]
async fn what_never_left_is_sent_on_the_next_connection() {
    let (mut place, client) = place(64);
    let client = client.start().unwrap();
    let (raw, mut calls) = stuck(&mut place, &client).await;
    drop(raw);
    let mut raw = place.raw().await;
    for number in 1..=3 {
        let request = raw.request().await;
        assert_eq!(request.body, json!([number]));
        raw.result(&request, &number.to_string()).await;
    }
    raw.hears_nothing().await;
    let first = within("end", calls.remove(0)).await.unwrap();
    assert!(
        matches!(first, Err(CallError::Indeterminate(_))),
        "{first:?}"
    );
    for (call, number) in calls.into_iter().zip(1..) {
        assert_eq!(within("answer", call).await.unwrap().unwrap(), number);
    }
    assert_eq!(client.stats().sent_again, 3);
    idle(&client).await;
}

/// A server that says no more and still listens must not hear what is sent elsewhere: it would run twice.
#[tokio::test]
async fn what_is_sent_again_is_not_said_last_on_the_old_connection() {
    let (mut place, client) = place(64);
    let client = client.start().unwrap();
    let (mut old, calls) = stuck(&mut place, &client).await;
    old.stream.shutdown().await.unwrap();
    let mut raw = place.raw().await;
    let heard = within("rest", old.rest()).await;
    assert!(
        heard.iter().all(|frame| frame.head[3] != json!("pass")),
        "{heard:?}"
    );
    for number in 1..=3 {
        let request = raw.request().await;
        assert_eq!(request.body, json!([number]));
        raw.result(&request, "1").await;
    }
    for call in calls {
        // The one that was in the pipe may have run.
        drop(within("end", call).await.unwrap());
    }
    idle(&client).await;
}

/// The same without a second connection: the program is told that it was not sent, and it was not.
#[tokio::test]
async fn what_is_said_not_to_have_left_has_not() {
    let (mut raw, peer) = raw_server(Router::new(), Limits::new(), 64);
    raw.hear_greeting().await;
    let service: ProbeClient = peer.client();
    let large = service.echo("x".repeat(1000)).start();
    settle().await;
    let small = service.pass(1).start();
    settle().await;
    raw.stream.shutdown().await.unwrap();
    let heard = tokio::spawn(async move { raw.rest().await });
    let error = within("end", small).await.unwrap_err();
    assert!(matches!(error, CallError::Disconnected(_)), "{error:?}");
    let error = within("end", large).await.unwrap_err();
    assert!(matches!(error, CallError::Indeterminate(_)), "{error:?}");
    let heard = within("rest", heard).await.unwrap();
    assert!(
        heard.iter().all(|frame| frame.head[3] != json!("pass")),
        "{heard:?}"
    );
}

#[tokio::test]
async fn an_idempotent_call_is_sent_once_on_each_connection() {
    let (mut place, client) = place(1 << 16);
    let client = client.start().unwrap();
    let call = tokio::spawn(pass_again(&client, 5).into_future());
    for _ in 0..4 {
        let mut raw = place.raw().await;
        assert_eq!(raw.request().await.body, json!([5]));
        raw.hears_nothing().await;
    }
    let mut raw = place.raw().await;
    let request = raw.request().await;
    raw.result(&request, "5").await;
    assert_eq!(within("answer", call).await.unwrap().unwrap(), 5);
    raw.hears_nothing().await;
    assert_eq!(client.stats().sent_again, 4);
    idle(&client).await;
}

#[tokio::test(start_paused = true)]
async fn an_idempotent_call_is_not_sent_after_its_deadline() {
    let (mut place, client) = place(1 << 16);
    let client = client.start().unwrap();
    let start = Instant::now();
    let call = tokio::spawn(pass_again(&client, 5).deadline(SECOND).into_future());
    let mut raw = place.raw().await;
    let request = raw.request().await;
    assert_eq!(request.head[4], json!(1000));
    tokio::time::sleep(400 * MS).await;
    drop(raw);
    let mut raw = place.raw().await;
    let request = raw.request().await;
    // What is left of it travels.
    let left = request.head[4].as_u64().unwrap();
    assert!(left <= 600, "{left}");
    place.dialled.refuse(true);
    drop(raw);
    let error = within("end", call).await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Deadline), "{error:?}");
    assert_eq!(start.elapsed(), SECOND);
    place.dialled.refuse(false);
    let mut raw = place.raw().await;
    raw.hears_nothing().await;
    idle(&client).await;
}

/// Two calls have the same id, each on its connection.
#[tokio::test]
async fn calls_of_two_connections_are_told_apart() {
    let (mut place, client) = place(1 << 16);
    let client = client.start().unwrap();
    client.connected().await.unwrap();
    let first = probe(&client).pass(1).start();
    let mut raw = place.raw().await;
    let one = raw.request().await;
    drop(raw);
    let mut raw = place.raw().await;
    client.connected().await.unwrap();
    let second = probe(&client).pass(2).start();
    let other = raw.request().await;
    assert_eq!(one.head[1], other.head[1], "the ids are no test of it");
    raw.result(&other, "22").await;
    // The outcome of the first waited for its caller.
    assert_eq!(client.stats().draining, 1);
    let error = within("end", first).await.unwrap_err();
    assert!(matches!(error, CallError::Indeterminate(_)), "{error:?}");
    assert_eq!(within("answer", second).await.unwrap(), 22);
    idle(&client).await;
}

#[tokio::test]
async fn a_call_of_an_earlier_connection_may_be_dropped() {
    let (mut place, client) = place(1 << 16);
    let client = client.start().unwrap();
    client.connected().await.unwrap();
    let mut raw = place.raw().await;
    let call = probe(&client).pass(1).start();
    raw.request().await;
    drop(raw);
    let mut raw = place.raw().await;
    client.connected().await.unwrap();
    drop(call);
    idle(&client).await;
    raw.hears_nothing().await;
}

/// A stream that has begun is not resumed; one whose request never left is sent.
#[tokio::test]
async fn streams_are_cut_and_new_ones_are_not() {
    let (mut place, client) = place(1 << 16);
    let client = client.start().unwrap();
    client.connected().await.unwrap();
    let peer = place.serve(Counting::router()).await;
    let counter: CounterClient<Reconnecting> = client.client();
    let mut stream = counter.count().start();
    assert_eq!(within("item", stream.next()).await.unwrap().unwrap(), 0);
    peer.close();
    let error = loop {
        match within("end", stream.next()).await.unwrap() {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(
        matches!(error, CallError::Indeterminate(_) | CallError::Cancelled(_)),
        "{error:?}"
    );
    assert!(stream.next().await.is_none());
    let mut stream = counter.count().start();
    let _peer = place.serve(Counting::router()).await;
    assert_eq!(within("item", stream.next()).await.unwrap().unwrap(), 0);
    drop(stream);
    idle(&client).await;
}

#[mynah::service]
trait Counter {
    fn count(&self) -> impl Stream<Item = Result<u64, RpcError>> + Send;
}

struct Counting;

impl Counting {
    fn router() -> Router {
        Router::new().register(CounterService::new(Self))
    }
}

impl Counter for Counting {
    fn count(&self) -> impl Stream<Item = Result<u64, RpcError>> + Send {
        stream::iter(0..).map(Ok)
    }
}

/// Notifications wait for a connection, and are sent once.
#[tokio::test]
async fn notifications_wait() {
    let (mut place, client) = place(1 << 16);
    let client = client.start().unwrap();
    let service = probe(&client);
    let told = tokio::spawn(async move { service.touch("key".into()).await });
    let probe = MyProbe::new();
    let _server = place.serve(probe.router()).await;
    within("told", told).await.unwrap().unwrap();
    until("heard", || !probe.0.touched.lock().unwrap().is_empty()).await;
    assert_eq!(*probe.0.touched.lock().unwrap(), ["key"]);
}
