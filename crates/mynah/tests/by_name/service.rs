//! The service of these tests.

use futures::StreamExt as _;
use futures::stream;
use mynah::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex};

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

#[mynah::service(mock)]
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
    fn count(&self, to: u64) -> impl Stream<Item = Result<u64, RpcError>> + Send;
    fn walk(&self, cx: &Context, to: u64) -> impl Stream<Item = u64> + Send;
    async fn back(&self, cx: &Context, a: i64, b: i64) -> Result<i64, RpcError>;
    async fn sum(&self, cx: &Context, factor: i64, numbers: Incoming<i64>) -> i64;
    async fn tell(&self, to: u64, told: Callback<u64>, asked: Callback<u64, u64>) -> u64;
    async fn steps(&self, cx: &Context, count: u64) -> u64;
    async fn budget(&self, cx: &Context) -> Option<u64>;
    async fn label(&self, cx: &Context, name: String) -> Option<String>;
    #[notification]
    async fn note(&self, text: String);
    async fn noted(&self) -> Vec<String>;
    async fn hang(&self);
    async fn ring(&self, cx: &Context, times: u64);
    #[blocking]
    fn digest(&self, data: Vec<u8>) -> u64;
    #[event]
    fn rang(times: u64);
}

/// Somebody at the desk.
#[derive(Debug, Default)]
pub(crate) struct Clerk {
    notes: Mutex<Vec<String>>,
    pub(crate) hanging: Arc<std::sync::atomic::AtomicUsize>,
}

impl Desk for Clerk {
    async fn add(&self, a: i64, b: i64) -> Result<i64, RpcError> {
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

    fn count(&self, to: u64) -> impl Stream<Item = Result<u64, RpcError>> + Send {
        stream::iter(0..to).map(Ok)
    }

    fn walk(&self, cx: &Context, to: u64) -> impl Stream<Item = u64> + Send {
        stream::iter(0..to).inspect(|step| cx.progress(step))
    }

    async fn back(&self, cx: &Context, a: i64, b: i64) -> Result<i64, RpcError> {
        let call = cx.peer().call("desk", "add").args((a, b)).within(cx);
        Ok(call.result().await?)
    }

    async fn sum(&self, _cx: &Context, factor: i64, numbers: Incoming<i64>) -> i64 {
        let sum = numbers.fold(0, async |sum, number| sum + number.unwrap_or(0));
        factor * sum.await
    }

    async fn tell(&self, to: u64, told: Callback<u64>, asked: Callback<u64, u64>) -> u64 {
        let mut sum = 0;
        for number in 0..to {
            told.send(number).await.unwrap();
            sum += asked.call(number).await.unwrap();
        }
        sum
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

    async fn ring(&self, cx: &Context, times: u64) {
        DeskEvents::from_context(cx).rang(&times).await.unwrap();
    }

    fn digest(&self, data: Vec<u8>) -> u64 {
        data.iter().map(|byte| u64::from(*byte)).sum()
    }

    async fn hang(&self) {
        struct Hanging(Arc<std::sync::atomic::AtomicUsize>);
        impl Drop for Hanging {
            fn drop(&mut self) {
                self.0.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
            }
        }
        self.hanging
            .fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let _hanging = Hanging(Arc::clone(&self.hanging));
        std::future::pending::<()>().await;
    }
}
