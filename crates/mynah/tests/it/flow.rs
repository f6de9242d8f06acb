//! A service of streams and callbacks that most tests of them use.

use crate::support::{Count, Way};
use futures::stream::{self, StreamExt as _};
use mynah::EndReason;
use mynah::prelude::*;
use serde::{Deserialize, Serialize};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;

/// The ways that carry streams.
pub(crate) const STREAMS: [Way; 5] = [
    Way::TcpCbor,
    Way::TcpJson,
    Way::Duplex,
    Way::Memory,
    Way::InProcess,
];
/// Those of them with a connection in between.
pub(crate) const LINKED: [Way; 4] = [Way::TcpCbor, Way::TcpJson, Way::Duplex, Way::Memory];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pair {
    pub(crate) number: u64,
    pub(crate) square: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, mynah::DomainError)]
pub(crate) enum FlowError {
    #[error(code = 1, message = "broke at {at}")]
    Broke { at: u64 },
    #[error(code = 2)]
    Refused,
}

/// Streams both ways, and callbacks.
#[mynah::service]
pub(crate) trait Flow {
    /// Numbers from 0, which borrow from the service.
    fn count(&self, cx: &Context, up_to: u64) -> impl Stream<Item = u64> + Send;
    /// Squares, which break before `fail_at`.
    fn squares(
        &self,
        up_to: u64,
        fail_at: Option<u64>,
    ) -> impl Stream<Item = Result<Pair, FlowError>> + Send;
    /// So many items, and then nothing for ever.
    fn hang(&self, after: u64) -> impl Stream<Item = u64> + Send;
    /// Items of so many letters each.
    fn letters(&self, items: u64, letters: usize) -> impl Stream<Item = String>;
    /// Panics in the place of item `at`; when it is dropped, if so told.
    fn panics(&self, at: u64, in_drop: bool) -> impl Stream<Item = u64> + Send;
    /// Panics before it gives a stream.
    fn panics_at_once(&self) -> impl Stream<Item = u64> + Send;

    /// The sum of all.
    async fn sum(&self, data: Incoming<i64>) -> Result<i64, FlowError>;
    /// The sum of the first ones; the others are not taken.
    async fn sum_of(&self, first: usize, data: Incoming<i64>) -> i64;
    /// Drops the stream, and answers when the gate opens.
    async fn drops(&self, data: Incoming<i64>) -> u64;
    /// Never takes an item, nor answers.
    async fn ignores(&self, data: Incoming<i64>);
    /// Hears how the stream ends when the call is cancelled, and that callbacks end with it.
    async fn shielded(&self, cx: &Context, data: Incoming<i64>, told: Callback<u64>);
    /// Counts letters, in a task of its own.
    #[spawn]
    async fn length(&self, data: Incoming<String>) -> u64;
    /// Each number doubled.
    fn doubled(&self, data: Incoming<u64>) -> impl Stream<Item = Result<u64, FlowError>> + Send;

    /// Tells each number below `up_to`, and says how many.
    async fn tell(&self, cx: &Context, up_to: u64, told: Callback<u64>) -> u64;
    /// Asks for each number below `up_to`; the sum.
    async fn ask(&self, up_to: u64, asked: Callback<u64, i64>) -> Result<i64, RpcError>;
    /// Keeps the callback beyond the call.
    async fn keep(&self, told: Callback<u64>, asked: Callback<u64, i64>);
    /// The same, and never answers.
    async fn keep_and_hang(&self, told: Callback<u64>, asked: Callback<u64, i64>);
    /// Asks, and is dropped meanwhile.
    async fn ask_and_hang(&self, asked: Callback<u64, i64>);
    /// Asks for each item of its results.
    fn asking(&self, up_to: u64, asked: Callback<u64, i64>) -> impl Stream<Item = i64> + Send;
    /// Tells numbers until it is dropped.
    async fn tell_for_ever(&self, told: Callback<u64>);
    /// Asks in a task that goes on, and answers when the gate opens.
    async fn ask_aside(&self, asked: Callback<u64, i64>);
    /// From so many tasks.
    async fn tell_from_tasks(&self, tasks: u64, up_to: u64, told: Callback<u64>);
    /// From a task of its own.
    #[spawn]
    async fn tell_spawned(&self, up_to: u64, told: Callback<u64>) -> u64;
}

/// A task that asks.
pub(crate) type Asked = tokio::task::JoinHandle<Result<i64, CallError<RpcError>>>;

/// Callbacks that a handler has kept.
pub(crate) type Kept = (Callback<u64>, Callback<u64, i64>);

/// What the tests look at.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) calls: Count,
    /// Items that streams have made.
    pub(crate) made: AtomicU64,
    pub(crate) gate: tokio::sync::Semaphore,
    /// How inputs ended.
    pub(crate) ends: Mutex<Vec<Option<EndReason>>>,
    pub(crate) kept: Mutex<Option<Kept>>,
    /// What a task asks.
    pub(crate) asked: tokio::sync::Mutex<Option<Asked>>,
}

/// The implementation.
#[derive(Clone, Debug)]
pub(crate) struct MyFlow(pub(crate) Arc<State>);

impl MyFlow {
    pub(crate) fn new() -> Self {
        Self(Arc::new(State {
            calls: Count::default(),
            made: AtomicU64::new(0),
            gate: tokio::sync::Semaphore::new(0),
            ends: Mutex::default(),
            kept: Mutex::default(),
            asked: tokio::sync::Mutex::default(),
        }))
    }

    pub(crate) fn service(&self) -> FlowService<Self> {
        FlowService::new(self.clone())
    }

    pub(crate) fn made(&self) -> u64 {
        self.0.made.load(Ordering::SeqCst)
    }

    pub(crate) fn ends(&self) -> Vec<Option<EndReason>> {
        self.0.ends.lock().unwrap().clone()
    }

    fn make(&self, number: u64) -> u64 {
        self.0.made.fetch_add(1, Ordering::SeqCst);
        number
    }

    fn ended(&self, reason: Option<EndReason>) {
        self.0.ends.lock().unwrap().push(reason);
    }
}

impl Flow for MyFlow {
    fn count(&self, cx: &Context, up_to: u64) -> impl Stream<Item = u64> + Send {
        let alive = self.0.calls.enter();
        stream::iter(0..up_to).map(move |number| {
            let _alive = &alive;
            assert!(!cx.is_cancelled(), "a stream is polled after its end");
            self.make(number)
        })
    }

    fn squares(
        &self,
        up_to: u64,
        fail_at: Option<u64>,
    ) -> impl Stream<Item = Result<Pair, FlowError>> + Send {
        let alive = self.0.calls.enter();
        stream::iter(0..up_to).map(move |number| {
            let _alive = &alive;
            match fail_at {
                Some(at) if at == number => Err(FlowError::Broke { at }),
                _ => Ok(Pair {
                    number: self.make(number),
                    square: number * number,
                }),
            }
        })
    }

    fn hang(&self, after: u64) -> impl Stream<Item = u64> + Send {
        let alive = self.0.calls.enter();
        stream::iter(0..after)
            .map(|number| self.make(number))
            .chain(stream::pending())
            .map(move |number| {
                let _alive = &alive;
                number
            })
    }

    fn letters(&self, items: u64, letters: usize) -> impl Stream<Item = String> {
        stream::iter(0..items).map(move |number| {
            self.make(number);
            "x".repeat(letters)
        })
    }

    fn panics(&self, at: u64, in_drop: bool) -> impl Stream<Item = u64> + Send {
        let alive = self.0.calls.enter();
        let bomb = in_drop.then(|| Bomb);
        stream::iter(0..at + 1).map(move |number| {
            let _held = (&alive, &bomb);
            assert!(in_drop || number != at, "a stream may panic");
            number
        })
    }

    fn panics_at_once(&self) -> impl Stream<Item = u64> + Send {
        panic!("a method may panic");
        #[allow(unreachable_code, reason = "it says the type")]
        stream::empty()
    }

    async fn sum(&self, mut data: Incoming<i64>) -> Result<i64, FlowError> {
        let _alive = self.0.calls.enter();
        let mut sum = 0;
        while let Some(item) = data.next().await {
            match item {
                Ok(item) => sum += item,
                Err(reason) => {
                    self.ended(Some(reason));
                    assert!(data.next().await.is_none(), "an end has no second one");
                    return Err(FlowError::Refused);
                }
            }
        }
        assert!(data.next().await.is_none(), "an end has no second one");
        self.ended(None);
        Ok(sum)
    }

    async fn sum_of(&self, first: usize, mut data: Incoming<i64>) -> i64 {
        let _alive = self.0.calls.enter();
        let mut sum = 0;
        for _ in 0..first {
            sum += data.next().await.unwrap().unwrap();
        }
        sum
    }

    async fn drops(&self, data: Incoming<i64>) -> u64 {
        let _alive = self.0.calls.enter();
        drop(data);
        self.0.gate.acquire().await.unwrap().forget();
        7
    }

    async fn ignores(&self, data: Incoming<i64>) {
        let _alive = self.0.calls.enter();
        std::future::pending::<()>().await;
        drop(data);
    }

    async fn shielded(&self, cx: &Context, mut data: Incoming<i64>, told: Callback<u64>) {
        let _alive = self.0.calls.enter();
        let _shield = cx.shield();
        told.send(1).await.unwrap();
        let end = loop {
            match data.next().await {
                Some(Ok(_)) => {}
                Some(Err(reason)) => break Some(reason),
                None => break None,
            }
        };
        let error = told.send(2).await.unwrap_err();
        assert!(matches!(error, CallError::Cancelled(_)), "{error:?}");
        self.ended(end);
    }

    async fn length(&self, data: Incoming<String>) -> u64 {
        let _alive = self.0.calls.enter();
        data.fold(0, async |sum, text| sum + text.unwrap().len() as u64)
            .await
    }

    fn doubled(&self, data: Incoming<u64>) -> impl Stream<Item = Result<u64, FlowError>> + Send {
        let alive = self.0.calls.enter();
        data.map(move |item| {
            let _alive = &alive;
            match item {
                Ok(item) => Ok(self.make(item) * 2),
                Err(reason) => {
                    self.ended(Some(reason));
                    Err(FlowError::Refused)
                }
            }
        })
    }

    async fn tell(&self, _cx: &Context, up_to: u64, told: Callback<u64>) -> u64 {
        let _alive = self.0.calls.enter();
        for number in 0..up_to {
            told.send(number).await.unwrap();
        }
        up_to
    }

    async fn ask(&self, up_to: u64, asked: Callback<u64, i64>) -> Result<i64, RpcError> {
        let _alive = self.0.calls.enter();
        let mut sum = 0;
        for number in 0..up_to {
            sum += asked.call(number).await.map_err(|error| match error {
                CallError::Application(error) => error,
                other => RpcError::new(ErrorCode::application(77), format!("{other:?}")),
            })?;
        }
        Ok(sum)
    }

    async fn keep(&self, told: Callback<u64>, asked: Callback<u64, i64>) {
        let _alive = self.0.calls.enter();
        told.send(1).await.unwrap();
        *self.0.kept.lock().unwrap() = Some((told, asked));
    }

    async fn keep_and_hang(&self, told: Callback<u64>, asked: Callback<u64, i64>) {
        let _alive = self.0.calls.enter();
        *self.0.kept.lock().unwrap() = Some((told, asked));
        std::future::pending::<()>().await;
    }

    async fn ask_and_hang(&self, asked: Callback<u64, i64>) {
        let _alive = self.0.calls.enter();
        self.0.gate.close();
        drop(asked.call(1).await);
        std::future::pending::<()>().await;
    }

    fn asking(&self, up_to: u64, asked: Callback<u64, i64>) -> impl Stream<Item = i64> + Send {
        let alive = self.0.calls.enter();
        stream::iter(0..up_to).then(move |number| {
            let asked = asked.clone();
            let _alive = &alive;
            async move { asked.call(number).await.unwrap() }
        })
    }

    async fn tell_for_ever(&self, told: Callback<u64>) {
        let _alive = self.0.calls.enter();
        for number in 0.. {
            told.send(number).await.unwrap();
            tokio::task::yield_now().await;
        }
    }

    async fn ask_aside(&self, asked: Callback<u64, i64>) {
        let _alive = self.0.calls.enter();
        let task = tokio::spawn(async move { asked.call(1).await });
        *self.0.asked.lock().await = Some(task);
        self.0.gate.acquire().await.unwrap().forget();
    }

    async fn tell_from_tasks(&self, tasks: u64, up_to: u64, told: Callback<u64>) {
        let _alive = self.0.calls.enter();
        let tasks: Vec<_> = (0..tasks)
            .map(|task| {
                let told = told.clone();
                tokio::spawn(async move {
                    for number in 0..up_to {
                        told.send(task * 1000 + number).await.unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    }

    async fn tell_spawned(&self, up_to: u64, told: Callback<u64>) -> u64 {
        self.tell_all(up_to, &told).await
    }
}

impl MyFlow {
    async fn tell_all(&self, up_to: u64, told: &Callback<u64>) -> u64 {
        let _alive = self.0.calls.enter();
        for number in 0..up_to {
            told.send(number).await.unwrap();
        }
        up_to
    }
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "a drop may panic");
    }
}

/// A stream of a client that says when it is dropped, and how many items it has made.
#[derive(Debug)]
pub(crate) struct Watched<S> {
    stream: Pin<Box<S>>,
    watch: Arc<Watch>,
}

#[derive(Debug, Default)]
pub(crate) struct Watch {
    dropped: AtomicBool,
    made: AtomicU64,
}

impl Watch {
    pub(crate) fn is_dropped(&self) -> bool {
        self.dropped.load(Ordering::SeqCst)
    }

    pub(crate) fn made(&self) -> u64 {
        self.made.load(Ordering::SeqCst)
    }
}

impl<S: Stream> Watched<S> {
    pub(crate) fn new(stream: S) -> (Self, Arc<Watch>) {
        let watch = Arc::new(Watch::default());
        let watched = Self {
            stream: Box::pin(stream),
            watch: Arc::clone(&watch),
        };
        (watched, watch)
    }
}

impl<S: Stream> Stream for Watched<S> {
    type Item = S::Item;

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> Poll<Option<S::Item>> {
        let polled = self.stream.as_mut().poll_next(cx);
        if let Poll::Ready(Some(_)) = &polled {
            self.watch.made.fetch_add(1, Ordering::SeqCst);
        }
        polled
    }
}

impl<S> Drop for Watched<S> {
    fn drop(&mut self) {
        self.watch.dropped.store(true, Ordering::SeqCst);
    }
}
