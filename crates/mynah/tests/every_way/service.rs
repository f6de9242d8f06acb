//! The service of these tests, and what a program believes of it that knows an older or a wrong contract.

use futures::StreamExt as _;
use futures::stream;
use mynah::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What is wrong at the desk.
#[derive(Clone, Debug, PartialEq, mynah::DomainError)]
pub(crate) enum DeskError {
    #[error(code = 7, message = "{what} is closed")]
    Closed { what: String },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) item: String,
    #[serde(default)]
    pub(crate) count: u32,
}

#[mynah::service]
pub(crate) trait Desk {
    async fn add(&self, a: i64, b: i64) -> Result<i64, RpcError>;
    async fn greet(
        &self,
        name: String,
        title: Option<String>,
        #[default = "Hello"] word: String,
    ) -> String;
    async fn order(&self, #[params] order: Order) -> String;
    async fn open(&self, what: String) -> Result<(), DeskError>;
    async fn panics(&self) -> Result<(), RpcError>;
    /// Fails with a code.
    async fn fails(&self, code: i64) -> Result<(), RpcError>;
    /// Adds at the caller's own desk.
    async fn back(&self, cx: &Context, a: i64, b: i64) -> Result<i64, RpcError>;
    #[blocking]
    fn digest(&self, data: Vec<u8>) -> u64;
    fn count(&self, to: u64) -> impl Stream<Item = Result<u64, RpcError>> + Send;
    /// Fails at a number.
    fn breaks(&self, at: u64) -> impl Stream<Item = Result<u64, RpcError>> + Send;
    /// Has no first item.
    fn stalls(&self) -> impl Stream<Item = Result<u64, RpcError>> + Send;
    async fn sum(&self, factor: i64, numbers: Incoming<i64>) -> i64;
    /// Takes the first one only.
    async fn first(&self, numbers: Incoming<i64>) -> Option<i64>;
    fn double(&self, numbers: Incoming<i64>) -> impl Stream<Item = Result<i64, RpcError>> + Send;
    async fn tell(
        &self,
        to: u64,
        told: Callback<u64>,
        asked: Callback<u64, u64>,
    ) -> Result<u64, RpcError>;
    async fn steps(&self, cx: &Context, count: u64) -> u64;
    /// Milliseconds.
    async fn budget(&self, cx: &Context) -> Option<u64>;
    async fn label(&self, cx: &Context, name: String) -> Option<String>;
    #[notification]
    async fn note(&self, text: String);
    async fn noted(&self) -> Vec<String>;
    async fn hang(&self);
    /// Publishes every number below.
    async fn ring(&self, cx: &Context, below: u64);
    #[event]
    fn rang(times: u64);
}

/// The same service as somebody sees it who is mistaken.
#[mynah::service(name = "desk")]
pub(crate) trait Mistaken {
    /// There is none.
    async fn nope(&self) -> Result<u8, RpcError>;
    fn nopes(&self) -> impl Stream<Item = Result<u8, RpcError>> + Send;
    /// The second one is a number.
    #[method(name = "add")]
    async fn add_a_text(&self, a: i64, b: String) -> Result<i64, RpcError>;
    /// It says what there is, one after the other.
    async fn count(&self) -> Result<u64, RpcError>;
    /// It is a text.
    #[method(name = "greet")]
    async fn greet_in_numbers(&self, name: String) -> Result<u64, RpcError>;
}

/// One more mistake.
#[mynah::service(name = "desk")]
pub(crate) trait Streamed {
    /// There is one result.
    #[method(name = "add")]
    fn adds(&self, a: i64, b: i64) -> impl Stream<Item = Result<i64, RpcError>> + Send;
}

/// A service that nobody has.
#[mynah::service]
pub(crate) trait Elsewhere {
    async fn nope(&self) -> Result<u8, RpcError>;
}

/// How many of something there are, until this is dropped.
pub(crate) struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Somebody at the desk.
#[derive(Debug, Default)]
pub(crate) struct Clerk {
    notes: Mutex<Vec<String>>,
    /// Calls of `hang` that run.
    pub(crate) hanging: Arc<AtomicUsize>,
    /// Streams of results that are there.
    pub(crate) streaming: Arc<AtomicUsize>,
    /// How often `add` ran.
    pub(crate) added: AtomicUsize,
}

impl Desk for Clerk {
    async fn add(&self, a: i64, b: i64) -> Result<i64, RpcError> {
        self.added.fetch_add(1, Ordering::SeqCst);
        a.checked_add(b)
            .ok_or_else(|| RpcError::new(ErrorCode::application(1), "too large"))
    }

    async fn greet(&self, name: String, title: Option<String>, word: String) -> String {
        match title {
            Some(title) => format!("{word}, {title} {name}"),
            None => format!("{word}, {name}"),
        }
    }

    async fn order(&self, order: Order) -> String {
        format!("{} {}", order.count, order.item)
    }

    async fn open(&self, what: String) -> Result<(), DeskError> {
        Err(DeskError::Closed { what })
    }

    async fn panics(&self) -> Result<(), RpcError> {
        panic!("a handler that panics, on purpose")
    }

    async fn fails(&self, code: i64) -> Result<(), RpcError> {
        Err(RpcError::new(ErrorCode::from_wire(code), "failed"))
    }

    async fn back(&self, cx: &Context, a: i64, b: i64) -> Result<i64, RpcError> {
        let there: DeskClient = cx.peer().client();
        Ok(there.add(a, b).within(cx).await?)
    }

    fn digest(&self, data: Vec<u8>) -> u64 {
        data.iter().map(|byte| u64::from(*byte)).sum()
    }

    fn count(&self, to: u64) -> impl Stream<Item = Result<u64, RpcError>> + Send {
        let counted = Counted::new(&self.streaming);
        stream::iter(0..to).map(move |number| {
            let _counted = &counted;
            Ok(number)
        })
    }

    fn breaks(&self, at: u64) -> impl Stream<Item = Result<u64, RpcError>> + Send {
        stream::iter(0..).map(move |number| match number == at {
            true => Err(RpcError::new(ErrorCode::application(2), "broken")),
            false => Ok(number),
        })
    }

    fn stalls(&self) -> impl Stream<Item = Result<u64, RpcError>> + Send {
        let counted = Counted::new(&self.streaming);
        stream::pending().inspect(move |_| {
            let _counted = &counted;
        })
    }

    async fn sum(&self, factor: i64, numbers: Incoming<i64>) -> i64 {
        let sum = numbers.fold(0, async |sum, number| sum + number.unwrap());
        factor * sum.await
    }

    async fn first(&self, mut numbers: Incoming<i64>) -> Option<i64> {
        numbers.next().await.map(Result::unwrap)
    }

    fn double(&self, numbers: Incoming<i64>) -> impl Stream<Item = Result<i64, RpcError>> + Send {
        numbers.map(|number| Ok(2 * number.unwrap()))
    }

    async fn tell(
        &self,
        to: u64,
        told: Callback<u64>,
        asked: Callback<u64, u64>,
    ) -> Result<u64, RpcError> {
        let mut sum = 0;
        for number in 0..to {
            told.send(number).await.unwrap();
            sum += asked.call(number).await?;
        }
        Ok(sum)
    }

    async fn steps(&self, cx: &Context, count: u64) -> u64 {
        for step in 0..count {
            cx.progress(&step);
            cx.log(3, &format!("step {step}"));
        }
        count
    }

    async fn budget(&self, cx: &Context) -> Option<u64> {
        let left = cx.deadline()?.duration_since(tokio::time::Instant::now());
        Some(left.as_millis().try_into().unwrap())
    }

    async fn label(&self, cx: &Context, name: String) -> Option<String> {
        cx.metadata().value(&name).map(ToOwned::to_owned)
    }

    async fn note(&self, text: String) {
        self.notes.lock().unwrap().push(text);
    }

    async fn noted(&self) -> Vec<String> {
        self.notes.lock().unwrap().clone()
    }

    async fn hang(&self) {
        let _hanging = Counted::new(&self.hanging);
        std::future::pending::<()>().await;
    }

    async fn ring(&self, cx: &Context, below: u64) {
        let events = DeskEvents::from_context(cx);
        for number in 0..below {
            events.rang(&number).await.unwrap();
        }
    }
}

/// Longer than anything here takes.
pub(crate) const LONG: Duration = Duration::from_secs(20);
