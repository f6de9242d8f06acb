//! The service of these tests, and its methods as they are called by a contract and by name.

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use mynah::prelude::*;
use mynah::{Attached, Caller};
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

pub(crate) type Numbers = BoxStream<'static, Result<u64, CallError<RpcError>>>;
pub(crate) type Answer<T> = Result<T, CallError<RpcError>>;

/// The methods of the desk, however they are called.
pub(crate) trait AtDesk: Send + Sync {
    async fn add(&self, a: i64, b: i64) -> Answer<i64>;
    async fn greet(&self, name: &str, title: Option<&str>) -> Answer<String>;
    async fn order(&self, order: &Order) -> Answer<String>;
    async fn open(&self, what: &str) -> Result<(), CallError<DeskError>>;
    fn count(&self, to: u64) -> Numbers;
    async fn sum(&self, factor: i64, numbers: Vec<i64>) -> Answer<i64>;
    async fn tell(&self, to: u64, told: Arc<Mutex<Vec<u64>>>) -> Answer<u64>;
    async fn steps(&self, count: u64, seen: Arc<Mutex<Vec<String>>>) -> Answer<u64>;
    async fn label(&self, name: &str, value: &str) -> Answer<Option<String>>;
    async fn note(&self, text: &str) -> Result<(), CallError>;
    async fn noted(&self) -> Answer<Vec<String>>;
}

/// By the contract.
pub(crate) struct Typed<C>(pub(crate) DeskClient<C>);

/// By name, with params in order.
pub(crate) struct InOrder<C>(pub(crate) C);

/// By name, each param with its own.
pub(crate) struct Named<C>(pub(crate) C);

fn widen<T>(result: Result<T, CallError>) -> Answer<T> {
    result.map_err(|error| match error {
        CallError::Remote(error) => CallError::Remote(error),
        CallError::Application(never) => match never {},
        other => panic!("{other:?}"),
    })
}

impl<C: Caller + Clone> AtDesk for Typed<C> {
    async fn add(&self, a: i64, b: i64) -> Answer<i64> {
        self.0.add(a, b).await
    }

    async fn greet(&self, name: &str, title: Option<&str>) -> Answer<String> {
        let title = title.map(ToOwned::to_owned);
        widen(self.0.greet(name.into(), title, "Hello".into()).await)
    }

    async fn order(&self, order: &Order) -> Answer<String> {
        widen(self.0.order(order.clone()).await)
    }

    async fn open(&self, what: &str) -> Result<(), CallError<DeskError>> {
        self.0.open(what.into()).await
    }

    fn count(&self, to: u64) -> Numbers {
        self.0.count(to).start().boxed()
    }

    async fn sum(&self, factor: i64, numbers: Vec<i64>) -> Answer<i64> {
        widen(self.0.sum(factor, stream::iter(numbers)).await)
    }

    async fn tell(&self, to: u64, told: Arc<Mutex<Vec<u64>>>) -> Answer<u64> {
        let hears = move |number| told.lock().unwrap().push(number);
        widen(self.0.tell(to, hears, async |number| Ok(number * 2)).await)
    }

    async fn steps(&self, count: u64, seen: Arc<Mutex<Vec<String>>>) -> Answer<u64> {
        let logged = Arc::clone(&seen);
        let call = self.0.steps(count).deadline(ways_deadline());
        let call = call.on_progress(move |step: u64| seen.lock().unwrap().push(step.to_string()));
        let call = call.on_log(move |_, line: String| logged.lock().unwrap().push(line));
        widen(call.await)
    }

    async fn label(&self, name: &str, value: &str) -> Answer<Option<String>> {
        widen(self.0.label(name.into()).metadata(name, value).await)
    }

    async fn note(&self, text: &str) -> Result<(), CallError> {
        self.0.note(text.into()).await
    }

    async fn noted(&self) -> Answer<Vec<String>> {
        widen(self.0.noted().await)
    }
}

const fn ways_deadline() -> std::time::Duration {
    std::time::Duration::from_secs(20)
}

impl<C: Caller + Clone> AtDesk for InOrder<C> {
    async fn add(&self, a: i64, b: i64) -> Answer<i64> {
        self.0.call("desk", "add").args((a, b)).result().await
    }

    async fn greet(&self, name: &str, title: Option<&str>) -> Answer<String> {
        let call = self.0.call("desk", "greet");
        match title {
            None => call.args((name.to_owned(),)).result().await,
            Some(title) => {
                let args = (name.to_owned(), title.to_owned());
                call.args(args).result().await
            }
        }
    }

    async fn order(&self, order: &Order) -> Answer<String> {
        let call = self.0.call("desk", "order").args((order.clone(),));
        call.result().await
    }

    async fn open(&self, what: &str) -> Result<(), CallError<DeskError>> {
        let call = self.0.call("desk", "open").args((what.to_owned(),));
        call.result_or().await
    }

    fn count(&self, to: u64) -> Numbers {
        self.0.call("desk", "count").args((to,)).stream().boxed()
    }

    async fn sum(&self, factor: i64, numbers: Vec<i64>) -> Answer<i64> {
        let numbers = Attached::stream(stream::iter(numbers));
        let call = self.0.call("desk", "sum").args((factor, numbers));
        call.result().await
    }

    async fn tell(&self, to: u64, told: Arc<Mutex<Vec<u64>>>) -> Answer<u64> {
        let hears = Attached::callback(move |number: u64| told.lock().unwrap().push(number));
        let asked = Attached::asking(async |number: u64| Ok(number * 2));
        let call = self.0.call("desk", "tell").args((to, hears, asked));
        call.result().await
    }

    async fn steps(&self, count: u64, seen: Arc<Mutex<Vec<String>>>) -> Answer<u64> {
        let logged = Arc::clone(&seen);
        self.0
            .call("desk", "steps")
            .args((count,))
            .deadline(ways_deadline())
            .on_progress(move |step: u64| seen.lock().unwrap().push(step.to_string()))
            .on_log(move |_, line: String| logged.lock().unwrap().push(line))
            .result()
            .await
    }

    async fn label(&self, name: &str, value: &str) -> Answer<Option<String>> {
        let call = self.0.call("desk", "label").metadata(name, value);
        call.args((name.to_owned(),)).result().await
    }

    async fn note(&self, text: &str) -> Result<(), CallError> {
        let call = self.0.call("desk", "note").args((text.to_owned(),));
        call.notify().await
    }

    async fn noted(&self) -> Answer<Vec<String>> {
        self.0.call("desk", "noted").result().await
    }
}

impl<C: Caller + Clone> AtDesk for Named<C> {
    async fn add(&self, a: i64, b: i64) -> Answer<i64> {
        // In whatever order.
        let call = self.0.call("desk", "add").arg("b", b).arg("a", a);
        call.result().await
    }

    async fn greet(&self, name: &str, title: Option<&str>) -> Answer<String> {
        let call = self.0.call("desk", "greet").arg("name", name.to_owned());
        match title {
            None => call.result().await,
            Some(title) => call.arg("title", title.to_owned()).result().await,
        }
    }

    async fn order(&self, order: &Order) -> Answer<String> {
        self.0.call("desk", "order").params(order).result().await
    }

    async fn open(&self, what: &str) -> Result<(), CallError<DeskError>> {
        let call = self.0.call("desk", "open").arg("what", what.to_owned());
        call.result_or().await
    }

    fn count(&self, to: u64) -> Numbers {
        let call = self.0.call("desk", "count").arg("to", to);
        call.stream().boxed()
    }

    async fn sum(&self, factor: i64, numbers: Vec<i64>) -> Answer<i64> {
        let numbers = Attached::stream(stream::iter(numbers));
        let call = self.0.call("desk", "sum").arg("numbers", numbers);
        call.arg("factor", factor).result().await
    }

    async fn tell(&self, to: u64, told: Arc<Mutex<Vec<u64>>>) -> Answer<u64> {
        let hears = Attached::callback(move |number: u64| told.lock().unwrap().push(number));
        let asked = Attached::asking(async |number: u64| Ok(number * 2));
        self.0
            .call("desk", "tell")
            .arg("told", hears)
            .arg("to", to)
            .arg("asked", asked)
            .result()
            .await
    }

    async fn steps(&self, count: u64, seen: Arc<Mutex<Vec<String>>>) -> Answer<u64> {
        let logged = Arc::clone(&seen);
        let call = self.0.call("desk", "steps").arg("count", count).result();
        call.on_progress(move |step: u64| seen.lock().unwrap().push(step.to_string()))
            .on_log(move |_, line: String| logged.lock().unwrap().push(line))
            .deadline(ways_deadline())
            .await
    }

    async fn label(&self, name: &str, value: &str) -> Answer<Option<String>> {
        let call = self.0.call("desk", "label").arg("name", name.to_owned());
        call.metadata(name, value).result().await
    }

    async fn note(&self, text: &str) -> Result<(), CallError> {
        // A map that is made when the program runs.
        let params = std::collections::BTreeMap::from([("text", text)]);
        self.0.call("desk", "note").params(&params).notify().await
    }

    async fn noted(&self) -> Answer<Vec<String>> {
        let params = std::collections::BTreeMap::<String, u8>::new();
        self.0.call("desk", "noted").params(params).result().await
    }
}
