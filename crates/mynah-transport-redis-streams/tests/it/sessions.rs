//! Streams, callbacks, progress and logs between peers of ours.

use crate::fleet::{redis, until, url, within};
use futures::{Stream, StreamExt as _, stream};
use mynah::prelude::*;
use mynah::{EndReason, RpcError, ServerHandle};
use mynah_testkit::redis::RedisServer;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

#[mynah::service]
pub(crate) trait Numbers {
    fn count(&self, cx: &Context, to: u64) -> impl Stream<Item = Result<u64, RpcError>> + Send;
    async fn sum(&self, numbers: Incoming<u64>) -> Result<u64, RpcError>;
    fn running(&self, numbers: Incoming<u64>) -> impl Stream<Item = Result<u64, RpcError>> + Send;
    async fn tell(&self, to: u64, told: Callback<u64>) -> Result<u64, RpcError>;
    async fn ask(&self, number: u64, asked: Callback<u64, u64>) -> Result<u64, RpcError>;
    async fn steps(&self, cx: &Context, count: u64) -> Result<u64, RpcError>;
    async fn who(&self, cx: &Context) -> Result<String, RpcError>;
}

#[derive(Clone, Default)]
pub(crate) struct MyNumbers {
    pub(crate) state: Arc<State>,
}

#[derive(Default)]
pub(crate) struct State {
    /// Streams that were dropped before their end, and why.
    pub(crate) ends: Mutex<Vec<Option<EndReason>>>,
    /// Items that were asked of streams.
    pub(crate) made: AtomicU64,
    pub(crate) runs: AtomicU64,
}

struct Watch(Context, Arc<State>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.1.ends.lock().unwrap().push(self.0.end_reason());
    }
}

impl Numbers for MyNumbers {
    fn count(&self, cx: &Context, to: u64) -> impl Stream<Item = Result<u64, RpcError>> + Send {
        let (state, watch) = (
            Arc::clone(&self.state),
            Watch(cx.clone(), Arc::clone(&self.state)),
        );
        state.runs.fetch_add(1, Ordering::SeqCst);
        cx.progress(&"begun");
        stream::iter(0..to).map(move |number| {
            let _watched = &watch;
            state.made.fetch_add(1, Ordering::SeqCst);
            Ok(number)
        })
    }

    async fn sum(&self, mut numbers: Incoming<u64>) -> Result<u64, RpcError> {
        let mut sum = 0;
        while let Some(number) = numbers.next().await {
            sum += number?;
        }
        Ok(sum)
    }

    fn running(&self, numbers: Incoming<u64>) -> impl Stream<Item = Result<u64, RpcError>> + Send {
        numbers.scan(0, |sum, number| {
            let next = number.map(|number| {
                *sum += number;
                *sum
            });
            std::future::ready(Some(next.map_err(RpcError::from)))
        })
    }

    async fn tell(&self, to: u64, told: Callback<u64>) -> Result<u64, RpcError> {
        for number in 0..to {
            told.send(number).await?;
        }
        Ok(to)
    }

    async fn ask(&self, number: u64, asked: Callback<u64, u64>) -> Result<u64, RpcError> {
        Ok(asked.call(number).await? + 1)
    }

    async fn steps(&self, cx: &Context, count: u64) -> Result<u64, RpcError> {
        for step in 0..count {
            cx.progress(&step);
        }
        Ok(count)
    }

    async fn who(&self, cx: &Context) -> Result<String, RpcError> {
        Ok(cx.evidence().to_string())
    }
}

pub(crate) async fn serve(redis: &RedisServer, options: &str) -> (ServerHandle, Arc<State>) {
    let numbers = MyNumbers::default();
    let state = Arc::clone(&numbers.state);
    let server = Server::new()
        .register(NumbersService::new(numbers))
        .listen(&url(redis, options))
        .start()
        .await
        .unwrap();
    (server, state)
}

pub(crate) async fn connect(redis: &RedisServer, options: &str) -> NumbersClient {
    mynah::connect(&url(redis, options)).await.unwrap().client()
}

#[tokio::test]
async fn results_stream_with_credit_and_progress() {
    let redis = redis().await;
    let (_server, state) = serve(&redis, "").await;
    let numbers = connect(&redis, "").await;
    let said = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&said);
    let items = numbers
        .count(1000)
        .on_progress(move |what: String| list.lock().unwrap().push(what))
        .start();
    let items: Vec<u64> = within(items.map(|item| item.unwrap()).collect()).await;
    assert_eq!(items, Vec::from_iter(0..1000));
    assert_eq!(*said.lock().unwrap(), ["begun"]);
    let before = state.made.load(Ordering::SeqCst);
    let mut endless = numbers.count(u64::MAX).start();
    assert_eq!(within(endless.next()).await.unwrap().unwrap(), 0);
    let made = || state.made.load(Ordering::SeqCst) - before;
    for expected in 1..50_000 {
        assert_eq!(within(endless.next()).await.unwrap().unwrap(), expected);
    }
    // No more are made than there is credit for.
    let made = made();
    assert!(made < 50_000 + 70_000, "{made} items were made");
    drop(endless);
    until(async || state.ends.lock().unwrap().len() == 2).await;
    assert!(matches!(
        state.ends.lock().unwrap()[1],
        Some(EndReason::Cancelled(_))
    ));
}

#[tokio::test]
async fn params_stream_and_both_ways() {
    let redis = redis().await;
    let (_server, _state) = serve(&redis, "").await;
    let numbers = connect(&redis, "").await;
    let sum = numbers.sum(stream::iter(1..=10_000u64));
    assert_eq!(within(sum).await.unwrap(), 50_005_000);
    let running: Vec<_> = within(
        numbers
            .running(stream::iter([1, 2, 3u64]))
            .start()
            .collect::<Vec<_>>(),
    )
    .await;
    assert!(
        matches!(running.as_slice(), [Ok(1), Ok(3), Ok(6)]),
        "{running:?}"
    );
}

#[tokio::test]
async fn callbacks_are_told_and_asked() {
    let redis = redis().await;
    let (_one, _) = serve(&redis, "").await;
    let (_two, _) = serve(&redis, "").await;
    let numbers = connect(&redis, "").await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&told);
    let tell = numbers.tell(100, move |number| list.lock().unwrap().push(number));
    assert_eq!(within(tell).await.unwrap(), 100);
    assert_eq!(*told.lock().unwrap(), Vec::from_iter(0..100));
    // Several servers number their callbacks alike.
    let asked =
        (0..20u64).map(|number| numbers.ask(number, async |number| Ok(number * 10)).start());
    for (number, asked) in (0..).zip(asked.collect::<Vec<_>>()) {
        assert_eq!(within(asked).await.unwrap(), number * 10 + 1);
    }
}

#[tokio::test]
async fn progress_of_a_plain_call_stands_ahead_of_its_answer() {
    let redis = redis().await;
    let (_server, _state) = serve(&redis, "").await;
    let numbers = connect(&redis, "").await;
    let said = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&said);
    let steps = numbers
        .steps(10)
        .on_progress(move |step: u64| list.lock().unwrap().push(step));
    assert_eq!(within(steps).await.unwrap(), 10);
    assert_eq!(*said.lock().unwrap(), Vec::from_iter(0..10));
}
