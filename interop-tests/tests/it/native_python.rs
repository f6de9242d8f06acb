//! A Python client that was written from the page of the native wire, against a server of this side.

use crate::harness::run_script;
use futures::{Stream, StreamExt as _, stream};
use mynah::prelude::*;
use mynah::{RpcError, ServerHandle, Value};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

#[mynah::service(name = "native")]
trait Conversation {
    async fn add(&self, a: i64, b: i64) -> Result<i64, RpcError>;
    async fn echo(&self, text: String) -> String;
    async fn sleep(&self, milliseconds: u64) -> u64;
    async fn divide(&self, a: i64, b: i64) -> Result<i64, RpcError>;
    #[notification]
    async fn note(&self, text: String);
    async fn notes(&self, cx: &Context) -> Result<Vec<String>, RpcError>;
    async fn forever(&self);
    async fn running(&self) -> u64;
    async fn work(&self, cx: &Context, steps: u64) -> u64;
    fn squares(&self, up_to: u64) -> impl Stream<Item = Result<u64, RpcError>> + Send;
    fn squares_then_fail(&self, up_to: u64) -> impl Stream<Item = Result<u64, RpcError>> + Send;
    fn endless(&self) -> impl Stream<Item = Result<u64, RpcError>> + Send;
    async fn sum(&self, data: Incoming<i64>) -> Result<i64, RpcError>;
    async fn sum_of_first(&self, count: usize, data: Incoming<i64>) -> Result<i64, RpcError>;
    fn running_sum(&self, data: Incoming<i64>) -> impl Stream<Item = Result<i64, RpcError>> + Send;
    async fn index(&self, docs: Vec<String>, watch: Callback<u64>) -> Result<u64, RpcError>;
    async fn ask(
        &self,
        question: String,
        person: Callback<String, String>,
    ) -> Result<String, RpcError>;
    async fn publish(&self, cx: &Context, topic: String, count: u64) -> Result<u64, RpcError>;
    async fn subscribers(&self, cx: &Context, topic: String) -> u64;
    async fn emit(&self, cx: &Context, topic: String, message: String) -> Result<(), RpcError>;
}

#[derive(Clone, Default)]
struct Here {
    notes: Arc<Mutex<Vec<String>>>,
    running: Arc<AtomicU64>,
}

/// Counts as running until it is dropped.
struct Running(Arc<AtomicU64>);

impl Here {
    fn run(&self) -> Running {
        self.running.fetch_add(1, Ordering::SeqCst);
        Running(Arc::clone(&self.running))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn code(code: i64, text: impl Into<String>) -> RpcError {
    RpcError::new(ErrorCode::application(code), text)
}

impl Conversation for Here {
    async fn add(&self, a: i64, b: i64) -> Result<i64, RpcError> {
        a.checked_add(b).ok_or_else(|| code(1, "too large"))
    }

    async fn echo(&self, text: String) -> String {
        text
    }

    async fn sleep(&self, milliseconds: u64) -> u64 {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        milliseconds
    }

    async fn divide(&self, a: i64, b: i64) -> Result<i64, RpcError> {
        a.checked_div(b).ok_or_else(|| {
            let data = Value::Map(vec![(Value::from("dividend"), Value::from(a))]);
            code(7, "cannot divide by zero").with_data(data)
        })
    }

    async fn note(&self, text: String) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.push(text);
    }

    async fn notes(&self, cx: &Context) -> Result<Vec<String>, RpcError> {
        if cx.metadata().value("k") != Some("v") {
            return Err(code(2, "the metadata is lost"));
        }
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(notes.clone())
    }

    async fn forever(&self) {
        let _running = self.run();
        std::future::pending::<()>().await;
    }

    async fn running(&self) -> u64 {
        self.running.load(Ordering::SeqCst)
    }

    async fn work(&self, cx: &Context, steps: u64) -> u64 {
        for step in 1..=steps {
            cx.progress(&step);
            cx.log(3, &format!("step {step}"));
            tokio::task::yield_now().await;
        }
        steps
    }

    fn squares(&self, up_to: u64) -> impl Stream<Item = Result<u64, RpcError>> + Send {
        stream::iter((1..=up_to).map(|n| Ok(n * n)))
    }

    fn squares_then_fail(&self, up_to: u64) -> impl Stream<Item = Result<u64, RpcError>> + Send {
        let end = stream::once(async { Err(code(8, "no more squares")) });
        self.squares(up_to).chain(end)
    }

    fn endless(&self) -> impl Stream<Item = Result<u64, RpcError>> + Send {
        let running = self.run();
        stream::iter(0..).map(move |n| {
            let _running = &running;
            Ok(n)
        })
    }

    async fn sum(&self, mut data: Incoming<i64>) -> Result<i64, RpcError> {
        let mut sum = 0;
        while let Some(item) = data.next().await {
            sum += item?;
        }
        Ok(sum)
    }

    async fn sum_of_first(&self, count: usize, data: Incoming<i64>) -> Result<i64, RpcError> {
        self.sum_items(data.take(count)).await
    }

    fn running_sum(&self, data: Incoming<i64>) -> impl Stream<Item = Result<i64, RpcError>> + Send {
        data.scan(0, |sum, item| {
            let next = item.map(|item| {
                *sum += item;
                *sum
            });
            std::future::ready(Some(next.map_err(RpcError::from)))
        })
    }

    async fn index(&self, docs: Vec<String>, watch: Callback<u64>) -> Result<u64, RpcError> {
        let mut step = 0;
        for _doc in &docs {
            step += 1;
            let told = watch.send(step).await;
            told.map_err(|error| code(3, error.to_string()))?;
        }
        Ok(step)
    }

    async fn ask(
        &self,
        question: String,
        person: Callback<String, String>,
    ) -> Result<String, RpcError> {
        let asked = person.call(question).await;
        asked.map_err(|error| code(9, error.to_string()))
    }

    async fn publish(&self, cx: &Context, topic: String, count: u64) -> Result<u64, RpcError> {
        for number in 0..count {
            let published = cx.events().publish(&topic, &number).await;
            published.map_err(|error| code(4, error.to_string()))?;
        }
        Ok(count)
    }

    async fn subscribers(&self, cx: &Context, topic: String) -> u64 {
        // The cancel of a subscription is on its way before this call, and done when it is answered.
        u64::try_from(cx.events().subscribers(&topic)).unwrap_or(u64::MAX)
    }

    async fn emit(&self, cx: &Context, topic: String, message: String) -> Result<(), RpcError> {
        let emitted = cx.peer().emit(&topic, &message);
        emitted.map_err(|error| code(5, error.to_string()))
    }
}

impl Here {
    async fn sum_items(
        &self,
        mut items: impl Stream<Item = Result<i64, mynah::EndReason>> + Unpin,
    ) -> Result<i64, RpcError> {
        let mut sum = 0;
        while let Some(item) = items.next().await {
            sum += item?;
        }
        Ok(sum)
    }
}

async fn serve() -> ServerHandle {
    let server = Server::new().register(ConversationService::new(Here::default()));
    let started = server.listen("tcp://127.0.0.1:0").start().await;
    started.expect("a free port")
}

async fn check(scenario: &str) {
    for letter in ["C", "J"] {
        let server = serve().await;
        let port = server.address().rsplit(':').next().expect("a port");
        let stdout = run_script("native_client.py", &[port, letter, scenario]).await;
        assert_eq!(stdout.trim(), "done", "{scenario} {letter}");
    }
}

macro_rules! scenarios {
    ($($name:ident: $scenario:literal;)*) => {
        $(#[tokio::test]
        async fn $name() {
            check($scenario).await;
        })*
    };
}

scenarios! {
    python_calls: "calls";
    python_gets_errors: "errors";
    python_cancels: "cancel";
    python_hears_progress_and_logs: "progress";
    python_takes_a_stream: "server_stream";
    python_sends_a_stream: "client_stream";
    python_is_called_back: "callbacks";
    python_subscribes: "events";
}
